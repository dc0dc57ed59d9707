"""The WordPiece tokenizer of ELECTRA and BERT, with the ids and files of Hugging Face's fast tokenizers."""

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path

from electra_tf.errors import InputError
from electra_tf.text.added_tokens import AddedToken, as_special
from electra_tf.text.line_tokenizer import LineTokenizer
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.text.tokenizer_files import read_tokenizer, write_tokenizer
from electra_tf.text.wordpiece import SPECIAL_TOKENS, reference_tokenizer
from electra_tf.text.wordpiece_normalization import WordPieceSettings, holds_hangul


class WordPieceTokenizer(Tokenizer):
    """A WordPiece tokenizer whose ids are those of Hugging Face's fast tokenizers.

    Args:
        vocabulary: the tokens, [PAD] [UNK] [CLS] [SEP] [MASK] among them, anywhere.
        settings: normalisation.
        source: the file or folder it was read from, if any.
        added: tokens that were added to the vocabulary, found in any text; see `added_tokens.py`.

    Attributes:
        own_vocabulary: the vocabulary without those that follow it.
        found_in_text: those of the added tokens that are not special tokens of BERT, which are text in a text.

    Raises: `InputError` as `Tokenizer`, and for Hangul syllables where the settings take syllables apart.
    """

    Settings = WordPieceSettings
    special_tokens = SPECIAL_TOKENS
    may_repeat = True

    def __init__(
        self,
        vocabulary: Sequence[str],
        settings: WordPieceSettings | None = None,
        *,
        source: Path | None = None,
        added: Sequence[AddedToken] = (),
    ):
        self.own_vocabulary, self.added = list(vocabulary), tuple(added)
        self.found_in_text = [token for token in self.added if token.content not in SPECIAL_TOKENS]
        beyond = [token.content for token in self.added if token.id >= len(self.own_vocabulary)]
        super().__init__([*self.own_vocabulary, *beyond], settings or WordPieceSettings(), source)
        self.special_ids = tuple(sorted({*self.special_ids, *(token.id for token in self.added if token.special)}))
        if self.settings.lower_case and self.settings.strips_accents:
            hangul = next((token for token in self.vocabulary if holds_hangul(token)), None)
            if hangul is not None:
                raise InputError(
                    f"the vocabulary holds Hangul ({hangul!r}), but lower-casing with accent stripping takes"
                    " syllables apart: every Korean word would be [UNK]",
                    where=self.source,
                    expected="lower_case or strip_accents off",
                    remedy="set lower_case to false (as KoELECTRA does), or strip_accents to false",
                )

    @classmethod
    def open(cls, path: Path, settings: dict) -> "WordPieceTokenizer":
        """See `load.open_tokenizer`."""
        vocabulary, found, added = read_tokenizer(path, settings)
        tokenizer = cls(vocabulary, WordPieceSettings(**(found | settings)), source=path, added=added)
        if twice := tokenizer.repeated():
            token, count = vocabulary[twice[0]], f" (and {len(twice) - 1:,} more)" if len(twice) > 1 else ""
            last = tokenizer.token_to_id(token)
            print(f"note: {path}: {token!r}{count} is there twice; its id is the last, {last}", file=sys.stderr)
        return tokenizer

    def save(self, folder: str | Path, *, max_length: int | None = None) -> None:
        """Writes vocab.txt, tokenizer.json, tokenizer_config.json and special_tokens_map.json.

        transformers' `AutoTokenizer.from_pretrained(folder)` gives the same ids. Otherwise as `Tokenizer.save`.
        """
        write_tokenizer(Path(folder), self, max_length)

    def line_tokenizer(self, engine: str = "fast") -> LineTokenizer:
        return LineTokenizer(self, engine)

    @cached_property
    def fingerprint(self) -> str:
        settings = [self.settings.lower_case, self.settings.strips_accents, self.settings.split_cjk]
        added = [[asdict(token) for token in self.added]] if self.added else []
        return hashlib.sha256(json.dumps([self.vocabulary, settings, *added]).encode()).hexdigest()

    @cached_property
    def text_tokenizer(self):
        """The Rust tokenizer for which everything in a text is text but what was added to the vocabulary."""
        return reference_tokenizer(self.own_vocabulary, self.settings, self.found_in_text)

    @cached_property
    def query_tokenizer(self):
        """The Rust tokenizer for which special tokens in a text are special."""
        known = {token: as_special(self.token_to_id(token), token) for token in SPECIAL_TOKENS}
        tokens = known | {token.content: token for token in self.added}
        return reference_tokenizer(self.own_vocabulary, self.settings, sorted(tokens.values(), key=lambda t: t.id))

    def normalized(self, text: str) -> str:
        return self.text_tokenizer.normalizer.normalize_str(text)

    def _encode(self, texts, special_tokens_in_text):
        engine = self.query_tokenizer if special_tokens_in_text else self.text_tokenizer
        return engine.encode_batch(texts, add_special_tokens=False)

    def _decode(self, ids):
        own = self.own_vocabulary  # a token that is there twice is known by its last id alone
        ids = [i if i >= len(own) or self.token_to_id(own[i]) is None else self.token_to_id(own[i]) for i in ids]
        return self.text_tokenizer.decode(ids, skip_special_tokens=False)

    def __reduce__(self):
        again = partial(WordPieceTokenizer, source=self.source, added=self.added)
        return again, (self.own_vocabulary, self.settings)
