"""The characters on which the fast WordPiece engine was seen to agree with the reference.

The set is derived by running both engines. It depends on the tokenizer's settings and on the versions of both
libraries, not on the vocabulary. A vocabulary folder keeps it in `safe_characters.json`, which counts only if
settings and versions are those of now; otherwise the set is derived again (some seconds).
"""

import functools
import hashlib
import json
import sys
import unicodedata
from importlib.metadata import version
from pathlib import Path

from electra_tf.text.fast_wordpiece import FastEngine
from electra_tf.text.wordpiece import PREFIX, reference_tokenizer
from electra_tf.text.wordpiece_normalization import normalizer

FILE_NAME = "safe_characters.json"
_AT_ONCE = 20_000  # characters; all at once would take 1.1 GB

Ranges = tuple[tuple[int, int], ...]


def safe_characters(settings, folder: Path | None = None) -> Ranges:
    """Inclusive ranges of code points: those stored in `folder` if intact and up to date, else derived."""
    key = _key(settings)
    stored = _read(folder / FILE_NAME, key) if folder is not None else None
    return derive(settings) if stored is None else stored


def stored_form(settings) -> str:
    """What `safe_characters.json` holds."""
    return _written(_key(settings), derive(settings))


@functools.cache
def derive(settings) -> Ranges:
    """Tokenizes every assigned character, in a word and alone, with both engines; keeps those that agree."""
    characters = [chr(c) for c in range(sys.maxunicode + 1)]
    characters = [c for c in characters if unicodedata.category(c) not in ("Cn", "Cs", "Co")]
    chunks = (characters[i : i + _AT_ONCE] for i in range(0, len(characters), _AT_ONCE))
    return _ranges([ord(c) for chunk in chunks for c in _agreeing(chunk, settings)])


def _agreeing(characters, settings):
    """Those of the characters that both engines tokenize alike, with a vocabulary in which nothing is unknown."""
    texts = [f"a{c}b {c}" for c in characters]
    known = sorted({*characters, *normalizer(settings).normalize_str(" ".join(texts))})
    vocabulary = ["[UNK]", *known, *(PREFIX + c for c in known)]
    expected = [encoding.ids for encoding in reference_tokenizer(vocabulary, settings).encode_batch_fast(texts)]
    ids, splits, _ = FastEngine(vocabulary, settings, safe=[]).tokenize(texts)
    ids, splits = ids.tolist(), splits.tolist()
    for i, character in enumerate(characters):
        found = ids[splits[i] : splits[i + 1]]
        # 0 is [UNK]: nothing was compared.
        if found == expected[i] and 0 not in found and not _reorders(character, settings):
            yield character


def _reorders(character, settings) -> bool:
    """Whether the reference may swap what this becomes with a neighbour: combining marks that survive NFD."""
    text = normalizer(settings).normalize_str(character)
    return settings.strips_accents and any(unicodedata.combining(c) for c in text)


def _ranges(code_points):
    ranges = []
    for c in code_points:
        if ranges and c == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], c)
        else:
            ranges.append((c, c))
    return tuple(ranges)


def _key(settings):
    return {
        "lower_case": settings.lower_case,
        "strips_accents": settings.strips_accents,
        "split_cjk": settings.split_cjk,
        "tokenizers": version("tokenizers"),
        "tensorflow_text": version("tensorflow-text"),
        "unicode": unicodedata.unidata_version,
    }


def _written(key, ranges):
    body = {"key": key, "ranges": ranges}
    return json.dumps(body | {"sha256": _digest(body)})


def _read(path, key):
    """The ranges in the file, or None unless it is whole and has this key."""
    try:
        body = json.loads(path.read_text("utf-8"))
        digest = body.pop("sha256")
    except (OSError, ValueError, KeyError):
        return None
    if digest != _digest(body) or body["key"] != key:
        return None
    return tuple((first, last) for first, last in body["ranges"])


def _digest(body):
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
