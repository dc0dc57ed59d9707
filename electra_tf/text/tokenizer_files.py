"""The files that hold a tokenizer: Hugging Face's folder, or a bare `vocab.txt`."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from electra_tf.errors import InputError
from electra_tf.files import check_no_pointer, snapshots_of, write_whole
from electra_tf.text.added_tokens import ADDED, AddedToken, added_tokens
from electra_tf.text.casing import settings_of_tokens
from electra_tf.text.wordpiece import SPECIAL_TOKENS

CONFIG, SPECIAL, FAST = "tokenizer_config.json", "special_tokens_map.json", "tokenizer.json"
TOKENIZER_FILES = ("vocab.txt", FAST, "spiece.model", CONFIG, SPECIAL, ADDED)  # the first three hold a vocabulary
_NAMES = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL_TOKENS, strict=True))
# Our setting -> its name in tokenizer_config.json, and in the normalizer of tokenizer.json.
_SETTING_NAMES = {
    "lower_case": ("do_lower_case", "lowercase"),
    "strip_accents": ("strip_accents", "strip_accents"),
    "split_cjk": ("tokenize_chinese_chars", "handle_chinese_chars"),
}
# What tokenizer_config.json may say, beside nothing, for the ids to be those of BERT's fast tokenizer.
_USUAL = {
    "do_basic_tokenize": (True,),
    "wordpieces_prefix": ("##",),
    "clean_text": (True,),
    "word_tokenizer_type": ("basic",),
    "subword_tokenizer_type": ("wordpiece",),
    "split_special_tokens": (False,),
}
_GENERIC = ("PreTrainedTokenizer", "TokenizersBackend")  # classes with no settings of their own
_AGAIN = "fetch or make it again"
_OTHERWISE = "use a WordPiece tokenizer of BERT's kind, as ELECTRA has; this one's ids come from transformers alone"


class OtherTokenizerError(InputError):
    """A tokenizer that may be sound, and whose ids only its own code makes."""


def read_tokenizer(path: Path, said: Mapping) -> tuple[list[str], dict, tuple[AddedToken, ...]]:
    """Vocabulary, settings and added tokens found at `path`, a folder or a vocabulary file of one token a line.

    As in transformers, `tokenizer_config.json` says the settings, and what it leaves out is as in BERT's class,
    whatever tokenizer.json says; a generic class takes `tokenizer.json` alone. Where there is no
    `tokenizer_config.json` (and transformers lowers, whatever the tokens are), `tokenizer.json` says them, or the
    tokens, unless `said` has `lower_case`.

    Raises: `InputError` where there is no tokenizer, or one that is not WordPiece as BERT's.
    """
    if not path.exists():
        raise InputError(
            "there is no such file or folder",
            where=path,
            expected="a folder with vocab.txt or tokenizer.json, or a vocabulary file",
            remedy="make a vocabulary with `electra-tf vocab`, or correct the path",
        )
    if path.is_file():
        vocabulary = read_vocabulary(path)
        return vocabulary, {} if "lower_case" in said else settings_of_tokens(vocabulary, path), ()
    config = with_special_tokens(read_tokenizer_config(path), path)
    _check_plain(config, path)
    vocabulary, settings, fast = None, {}, {}
    if (path / FAST).is_file():
        fast = read_json(path / FAST)
        vocabulary, settings = _read_tokenizer_json(fast, path / FAST)
    if (path / "vocab.txt").is_file():
        lines = read_vocabulary(path / "vocab.txt")
        vocabulary = lines if vocabulary is None else _agreed(lines, vocabulary, path)
    if vocabulary is None and (snapshots := snapshots_of(path)):
        raise InputError(
            "this is a folder of the hub's cache, which holds a model's revisions",
            where=path,
            expected="one of them",
            remedy=f"name the newest: {snapshots[-1]}",
        )
    if vocabulary is None:
        raise InputError(
            "the folder holds no tokenizer",
            where=path,
            expected="vocab.txt or tokenizer.json in it",
            remedy="name a folder made by `electra-tf vocab`, a Hugging Face folder, or a vocabulary file",
        )
    has_class = config["tokenizer_class"] or _if_there(path / "config.json").get("model_type")
    if fast and str(config["tokenizer_class"]).removesuffix("Fast") in _GENERIC:
        pass  # it takes tokenizer.json as it is
    elif (path / CONFIG).is_file():
        settings = ({} if has_class else settings) | _settings(config, 0, path / CONFIG)
    elif not fast and "lower_case" not in said:
        settings = settings_of_tokens(vocabulary, path)
    added = added_tokens(vocabulary, SPECIAL_TOKENS, fast, config, _if_there(path / ADDED), path)
    _check_lines([*vocabulary, *(token.content for token in added)], path)
    return vocabulary, settings, added


def write_tokenizer(folder: Path, tokenizer, max_length: int | None = None) -> None:
    """Writes the files from which transformers makes the same tokenizer. See `Tokenizer.save`."""
    _check_lines(tokenizer.vocabulary, tokenizer.source)
    names = dict(_NAMES)
    settings = {theirs: getattr(tokenizer.settings, ours) for ours, (theirs, _) in _SETTING_NAMES.items()}
    config = {"tokenizer_class": "ElectraTokenizer", **settings}
    fast = json.loads(tokenizer.query_tokenizer.to_str())
    # As in transformers, a token that is there twice has its last id, and the other id has none.
    fast["model"]["vocab"] = {token: i for i, token in enumerate(tokenizer.own_vocabulary)}
    write_whole(folder / "vocab.txt", "".join(f"{token}\n" for token in tokenizer.own_vocabulary))
    write_whole(folder / FAST, json.dumps(fast, ensure_ascii=False, indent=2))
    if tokenizer.added:
        listed = {str(token.pop("id")): token for token in fast["added_tokens"]}
        config["added_tokens_decoder"] = listed
        special = [token.content for token in tokenizer.found_in_text if token.special]
        names |= {"additional_special_tokens": special} if special else {}
        beyond = {t.content: t.id for t in tokenizer.added if t.id >= len(tokenizer.own_vocabulary)}
        write_whole(folder / ADDED, json.dumps(beyond, ensure_ascii=False, indent=2) + "\n")
    else:
        (folder / ADDED).unlink(missing_ok=True)
    write_config(folder, config, names, max_length)


def write_config(folder: Path, config: dict, special_tokens: dict, max_length: int | None) -> None:
    """Writes tokenizer_config.json and special_tokens_map.json."""
    config = config | special_tokens
    if max_length is not None:
        config["model_max_length"] = max_length
    write_whole(folder / CONFIG, json.dumps(config, indent=2) + "\n")
    write_whole(folder / SPECIAL, json.dumps(special_tokens, indent=2) + "\n")


def read_tokenizer_config(folder: Path) -> dict:
    """The content of tokenizer_config.json, with what config.json says of the tokenizer where that does not."""
    config, model = _if_there(folder / CONFIG), _if_there(folder / "config.json")
    return config | {name: config.get(name) or model.get(name) for name in ("tokenizer_class", "auto_map")}


def with_special_tokens(config: dict, folder: Path) -> dict:
    """The configuration with special_tokens_map.json, which counts where `added_tokens_decoder` is not yet written."""
    return config if config.get("added_tokens_decoder") is not None else config | _if_there(folder / SPECIAL)


def check_class(config: dict, families: Sequence[str], where: Path) -> None:
    """Raises: `OtherTokenizerError` for a tokenizer whose class is not one of the families, or is code of its own."""
    name = config.get("tokenizer_class") or "PreTrainedTokenizer"
    known = {*_GENERIC, *(f"{family}Tokenizer" for family in families)}
    own_code = config.get("auto_map") or {}
    if str(name).removesuffix("Fast") not in known:
        found = f"the tokenizer is a {name}"
    elif not isinstance(own_code, dict) or "AutoTokenizer" in own_code:
        found = f"the tokenizer is code of its own: auto_map is {own_code!r}"
    else:
        return
    raise OtherTokenizerError(found, where=where, expected=", ".join(sorted(known)), remedy=_OTHERWISE)


def _check_plain(config, folder):
    """Raises: `OtherTokenizerError` for what makes other ids than BERT's fast tokenizer."""
    check_class(config, ("Electra", "Bert", "DistilBert", "ConvBert", "MobileBert"), folder)
    for name, usual in _USUAL.items():
        if config.get(name) not in (None, *usual):
            raise OtherTokenizerError(
                f"{name} is {config[name]!r}",
                where=folder / CONFIG,
                expected=f"{usual[0]!r}, as in BERT's tokenizer",
                remedy=_OTHERWISE,
            )
    never_split = config.get("never_split") or []
    if not isinstance(never_split, list) or any(token not in SPECIAL_TOKENS for token in never_split):
        raise OtherTokenizerError(
            f"never_split is {never_split!r}", where=folder / CONFIG, expected="null", remedy=_OTHERWISE
        )
    check_names(config, _NAMES, folder)


def check_names(config: dict, names: Mapping[str, str], folder: Path) -> None:
    """Raises: `OtherTokenizerError` where special tokens are not called as `names` says."""
    for name, usual in names.items():
        token = config.get(name)
        token = token.get("content") if isinstance(token, dict) else token
        if token not in (None, usual):
            raise OtherTokenizerError(f"{name} is {token!r}", where=folder, expected=repr(usual), remedy=_OTHERWISE)


def read_vocabulary(path: Path) -> list[str]:
    """The lines of a vocab.txt. Raises: `InputError`."""
    text = _read_text(path)
    if text.lstrip().startswith("{"):
        raise InputError(
            "the file is JSON, not a vocabulary of one token a line",
            where=path,
            expected="a vocab.txt, or a folder with tokenizer.json",
            remedy="call the file tokenizer.json, if it is one, and name its folder",
        )
    tokens = text.split("\n")
    while tokens and not tokens[-1]:
        tokens.pop()
    return tokens


def _check_lines(tokens, where):
    """Raises: `InputError` for a token that a vocab.txt cannot hold; no text has one."""
    wrong = next((token for token in tokens if "\n" in token or "\r" in token or not _is_unicode(token)), None)
    if wrong is not None:
        raise InputError(
            f"the token {wrong!r} holds {'the end of a line' if _is_unicode(wrong) else 'half of a character'}",
            where=where,
            expected="tokens that are one line of vocab.txt each; no text has this one",
            remedy="put another, such as [unused0], in its place in tokenizer.json",
        )


def _is_unicode(token):
    return not any("\ud800" <= character <= "\udfff" for character in token)


def _agreed(lines, tokens, folder):
    """The vocabulary of vocab.txt and tokenizer.json, which has no place for a token that is there twice."""
    ids = [{token: i for i, token in enumerate(some) if token} for some in (lines, tokens)]
    if ids[0] == ids[1]:
        return lines
    if list(filter(None, lines)) == list(filter(None, tokens)):  # transformers leaves no line for an id without a token
        return tokens
    raise InputError(
        "vocab.txt and tokenizer.json hold different vocabularies",
        where=folder,
        expected="the same tokens in the same order",
        remedy="remove the file that does not belong to the model",
    )


def _settings(content, column, path):
    """The settings that a file holds. Raises: `InputError` for one that is not true or false."""
    settings = {ours: content[names[column]] for ours, names in _SETTING_NAMES.items() if names[column] in content}
    for ours, value in settings.items():
        if not (isinstance(value, bool) or (value is None and ours == "strip_accents")):
            raise InputError(
                f"{_SETTING_NAMES[ours][column]} is {json.dumps(value)}",
                where=path,
                expected="true or false",
                remedy="write the one that the model was trained with",
            )
    return settings


def _puts_special_tokens(content, path):
    """The kind of what puts [CLS] and [SEP] around a text, of which both have one meaning. Tokenizers that `tokenizers`
    has just trained have none.
    """
    if content.get("post_processor") is None:
        print(f"note: {path} puts no [CLS] and [SEP] around a text; here they are put", file=sys.stderr)
    told = content.get("post_processor") or {"type": "BertProcessing"}
    kind = told.get("type") if isinstance(told, dict) else None
    return "TemplateProcessing or BertProcessing" if kind in ("TemplateProcessing", "BertProcessing") else kind


def _read_tokenizer_json(content, path):
    """Vocabulary, "" where an id has no token, and settings."""
    model, normalizer = part_of(content, "model", path), part_of(content, "normalizer", path)
    early = "WordPiece" if "continuing_subword_prefix" in model else None  # tokenizers' first versions had no type
    expected = {
        "model.type": (model.get("type", early), "WordPiece"),
        "model.unk_token": (model.get("unk_token"), "[UNK]"),
        "model.continuing_subword_prefix": (model.get("continuing_subword_prefix"), "##"),
        "model.max_input_chars_per_word": (model.get("max_input_chars_per_word"), 100),
        "normalizer.type": (normalizer.get("type"), "BertNormalizer"),
        "normalizer.clean_text": (normalizer.get("clean_text"), True),
        "pre_tokenizer.type": (part_of(content, "pre_tokenizer", path).get("type"), "BertPreTokenizer"),
        "post_processor.type": (_puts_special_tokens(content, path), "TemplateProcessing or BertProcessing"),
    }
    for field, (found, wanted) in expected.items():
        if found != wanted:
            raise OtherTokenizerError(f"{field} is {found!r}", where=path, expected=repr(wanted), remedy=_OTHERWISE)
    ids = part_of(model, "vocab", path)
    if any(type(i) is not int or i < 0 for i in ids.values()) or len({*ids.values()}) < len(ids):
        raise InputError(
            "the ids of model.vocab are not numbers from 0, each one token's",
            where=path,
            expected="one token for each id",
            remedy="fetch the file again, or open the tokenizer with transformers and save it again",
        )
    if ids and max(ids.values()) >= 2 * len(ids):
        raise InputError(
            f"the ids go up to {max(ids.values()):,}, and there are {len(ids):,} tokens",
            where=path,
            expected="a token for nearly each id",
            remedy="fetch the file again",
        )
    vocabulary = [""] * (max(ids.values(), default=-1) + 1)
    for token, i in ids.items():
        vocabulary[i] = token
    while vocabulary and not vocabulary[-1]:
        vocabulary.pop()
    return vocabulary, _settings(normalizer, 1, path)


def part_of(content: dict, name: str, path: Path) -> dict:
    """An object within a JSON object; an empty one where it is not there. Raises: `InputError` for anything else."""
    part = content.get(name)
    if part is not None and not isinstance(part, dict):
        raise InputError(f"{name} is {str(part)[:100]!r}", where=path, expected="a JSON object", remedy=_AGAIN)
    return part or {}


def _if_there(path):
    return read_json(path) if path.is_file() else {}


def read_json(path: Path) -> dict:
    """The object in a JSON file. Raises: `InputError` where there is none."""
    try:
        content = json.loads(_read_text(path))
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a plain ValueError
        raise InputError(
            f"the file is not JSON: {error}", where=path, expected="a JSON object", remedy=_AGAIN
        ) from error
    if not isinstance(content, dict):
        raise InputError("the file does not hold a JSON object", where=path, expected="a JSON object", remedy=_AGAIN)
    return content


def read_bytes(path: Path) -> bytes:
    """Raises: `InputError` for what cannot be read, or was never fetched."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot read the file: {error.strerror}", where=path, remedy="check that you may read it, and the disk"
        ) from error
    check_no_pointer(content, path, InputError)
    return content


def _read_text(path):
    """Text with line feeds alone, and without the mark that some editors put before it."""
    content = read_bytes(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(
            f"byte {error.object[error.start]:#04x} is not UTF-8",
            where=f"{path}, line {line}",
            expected="text in UTF-8",
            remedy="convert the file, for instance with iconv",
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")
