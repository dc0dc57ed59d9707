"""Opens a tokenizer of either kind, told apart by the files that are there."""

from dataclasses import fields
from pathlib import Path

from electra_tf.errors import ConfigError
from electra_tf.text.sentencepiece import SentencePieceTokenizer, holds_sentencepiece
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.text.tokenizer_files import CONFIG, FAST
from electra_tf.text.wordpiece_tokenizer import WordPieceTokenizer


def open_tokenizer(path: str | Path, **settings) -> Tokenizer:
    """Opens a folder made by `electra-tf vocab` or Hugging Face's libraries, or a bare vocabulary file.

    Args:
        path: the folder, a `vocab.txt`, or SentencePiece's model (`*.model`).
        **settings: fields of `WordPieceSettings` or `SentencePieceSettings`, overruling what the folder says.
            Where neither says it, a vocab.txt tells its casing by its tokens: see `casing.py`. Of SentencePiece's model
            `tokenizer_config.json` beside it tells the casing, else its pieces do.

    Raises: `InputError`, naming the file.
    """
    path = Path(path)
    # A file that is one of several is not the whole tokenizer.
    if path.is_file() and (path.name == FAST or (path.name == "vocab.txt" and _has_settings(path.parent))):
        path = path.parent
    kind = SentencePieceTokenizer if holds_sentencepiece(path) else WordPieceTokenizer
    known = [field.name for field in fields(kind.Settings)]
    for name in settings.keys() - set(known):
        raise ConfigError(
            f"there is no setting {name!r}",
            where=path,
            expected=", ".join(known),
            remedy="leave it out, or name one of these",
        )
    return kind.open(path, settings)


def is_told_by_tokens(path: str | Path) -> bool:
    """Whether nothing but its tokens says what a WordPiece vocabulary was made with."""
    path = Path(path)
    folder = path.parent if path.name in ("vocab.txt", FAST) else path
    return not holds_sentencepiece(path) and not (folder.is_dir() and _has_settings(folder))


def _has_settings(folder):
    return any((folder / name).is_file() for name in (CONFIG, FAST))
