"""The files that hold a tokenizer: Hugging Face's folder, or a bare `vocab.txt`."""

import contextlib
import json
import os
from pathlib import Path

from electra_tf.errors import InputError, OutputError

CONFIG = "tokenizer_config.json"
# Our setting -> its name in tokenizer_config.json, and in the normalizer of tokenizer.json.
_SETTING_NAMES = {
    "lower_case": ("do_lower_case", "lowercase"),
    "strip_accents": ("strip_accents", "strip_accents"),
    "split_cjk": ("tokenize_chinese_chars", "handle_chinese_chars"),
}


def read_tokenizer(path: Path) -> tuple[list[str], dict]:
    """Vocabulary and settings found at `path`, a folder or a vocabulary file of one token a line.

    As in transformers, `tokenizer_config.json` has the last word on settings; what no file says is left out. A file of
    its own says it by its tokens: one with capitals is not lower-casing.

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
        vocabulary = _read_vocabulary(path)
        words = (token for token in vocabulary if not token.startswith("["))
        return vocabulary, {"lower_case": not any("A" <= letter <= "Z" for word in words for letter in word)}
    vocabularies, settings = [], {}
    if (path / "tokenizer.json").is_file():
        vocabulary, settings = _read_tokenizer_json(path / "tokenizer.json")
        vocabularies.append(vocabulary)
    if (path / "vocab.txt").is_file():
        vocabularies.append(_read_vocabulary(path / "vocab.txt"))
    if not vocabularies:
        raise InputError(
            "the folder holds no tokenizer",
            where=path,
            expected="vocab.txt or tokenizer.json in it",
            remedy="name a folder made by `electra-tf vocab`, a Hugging Face folder, or a vocabulary file",
        )
    if vocabularies[0] != vocabularies[-1]:
        raise InputError(
            "vocab.txt and tokenizer.json hold different vocabularies",
            where=path,
            expected="the same tokens in the same order",
            remedy="remove the file that does not belong to the model",
        )
    if (path / CONFIG).is_file():
        config = read_json(path / CONFIG)
        settings |= {ours: config[name] for ours, (name, _) in _SETTING_NAMES.items() if name in config}
    return vocabularies[0], settings


def write_tokenizer(folder: Path, tokenizer, max_length: int | None = None) -> None:
    """Writes the files from which transformers makes the same tokenizer. See `Tokenizer.save`."""
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    settings = {theirs: getattr(tokenizer.settings, ours) for ours, (theirs, _) in _SETTING_NAMES.items()}
    config = {"tokenizer_class": "ElectraTokenizer", **settings}
    write_whole(folder / "vocab.txt", "".join(f"{token}\n" for token in tokenizer.vocabulary))
    write_whole(folder / "tokenizer.json", tokenizer.query_tokenizer.to_str(pretty=True))
    write_config(folder, config, names, max_length)


def write_config(folder: Path, config: dict, special_tokens: dict, max_length: int | None) -> None:
    """Writes tokenizer_config.json and special_tokens_map.json."""
    config = config | special_tokens
    if max_length is not None:
        config["model_max_length"] = max_length
    write_whole(folder / CONFIG, json.dumps(config, indent=2) + "\n")
    write_whole(folder / "special_tokens_map.json", json.dumps(special_tokens, indent=2) + "\n")


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file, text in UTF-8, so that it appears whole or not at all, making its folder where needed."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(aside, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise OutputError(
            f"cannot write the file: {error.strerror}",
            where=path,
            remedy="choose a folder that can be written to, on a disk with space",
        ) from error


def _read_vocabulary(path):
    tokens = _read_text(path).split("\n")
    while tokens and not tokens[-1]:
        tokens.pop()
    return tokens


def _read_tokenizer_json(path):
    content = read_json(path)
    model, normalizer = content.get("model") or {}, content.get("normalizer") or {}
    expected = {
        "model.type": (model.get("type"), "WordPiece"),
        "model.continuing_subword_prefix": (model.get("continuing_subword_prefix"), "##"),
        "model.max_input_chars_per_word": (model.get("max_input_chars_per_word"), 100),
        "normalizer.type": (normalizer.get("type"), "BertNormalizer"),
        "normalizer.clean_text": (normalizer.get("clean_text"), True),
        "pre_tokenizer.type": ((content.get("pre_tokenizer") or {}).get("type"), "BertPreTokenizer"),
    }
    for field, (found, wanted) in expected.items():
        if found != wanted:
            raise InputError(
                f"{field} is {found!r}",
                where=path,
                expected=repr(wanted),
                remedy="use a WordPiece tokenizer of BERT's kind, as ELECTRA has",
            )
    vocabulary = sorted(model["vocab"], key=model["vocab"].get)
    if [model["vocab"][token] for token in vocabulary] != list(range(len(vocabulary))):
        raise InputError("the ids are not 0, 1, 2, ...", where=path, expected="one token for each id")
    added = [token["content"] for token in content.get("added_tokens", [])]
    outside = [token for token in added if token not in model["vocab"]]
    if outside:
        raise InputError(
            f"tokens were added beside the vocabulary: {', '.join(outside)}",
            where=path,
            expected="all tokens in the vocabulary",
            remedy="put them in place of [unusedN] entries of the vocabulary",
        )
    return vocabulary, {ours: normalizer[name] for ours, (_, name) in _SETTING_NAMES.items() if name in normalizer}


def read_json(path: Path) -> dict:
    """The object in a JSON file. Raises: `InputError` where there is none."""
    try:
        content = json.loads(_read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(f"the file is not JSON: {error}", where=path, remedy="fetch or make it again") from error
    if not isinstance(content, dict):
        raise InputError("the file does not hold a JSON object", where=path, remedy="fetch or make it again")
    return content


def _read_text(path):
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(
            f"byte {error.object[error.start]:#04x} is not UTF-8",
            where=f"{path}, line {line}",
            expected="text in UTF-8",
            remedy="convert the file, for instance with iconv",
        ) from error
    except OSError as error:
        raise InputError(f"cannot read the file: {error.strerror}", where=path) from error
