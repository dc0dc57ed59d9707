"""The characters on which the fast WordPiece engine was seen to agree with the reference.

The set is derived by running both engines. It depends on the tokenizer's settings and on the versions of both
libraries, not on the vocabulary. A vocabulary folder keeps it in `safe_characters.json`, which counts only if
settings and versions are those of now; otherwise the set is derived again (some seconds).
"""

import functools
import json
import sys
import unicodedata
from importlib.metadata import version
from pathlib import Path

from electra_tf.text.wordpiece import PREFIX, FastEngine, normalizer, reference_tokenizer

FILE_NAME = "safe_characters.json"


def safe_characters(settings, folder: Path | None = None) -> list[tuple[int, int]]:
    """Inclusive ranges of code points: those stored in `folder` if they are up to date, else derived."""
    if folder is not None and (folder / FILE_NAME).is_file():
        stored = json.loads((folder / FILE_NAME).read_text("utf-8"))
        if stored["key"] == _key(settings):
            return [tuple(pair) for pair in stored["ranges"]]
    return derive(settings)


def stored_form(settings) -> str:
    """What `safe_characters.json` holds."""
    return json.dumps({"key": _key(settings), "ranges": derive(settings)})


@functools.cache
def derive(settings) -> list[tuple[int, int]]:
    """Tokenizes every assigned character, in a word and alone, with both engines; keeps those that agree."""
    characters = [chr(c) for c in range(sys.maxunicode + 1)]
    characters = [c for c in characters if unicodedata.category(c) not in ("Cn", "Cs", "Co")]
    vocabulary = ["[UNK]", *characters, *(PREFIX + c for c in characters)]
    texts = [f"a{c}b {c}" for c in characters]

    reference = reference_tokenizer(vocabulary, settings)
    expected = [encoding.ids for encoding in reference.encode_batch_fast(texts)]
    ids, splits, _ = FastEngine(vocabulary, settings, [(0, 0)]).tokenize(texts)
    ids, splits = ids.tolist(), splits.tolist()

    safe = []
    for i, character in enumerate(characters):
        found = ids[splits[i] : splits[i + 1]]
        # 0 is [UNK]: nothing was compared.
        if found == expected[i] and 0 not in found and not _reorders(character, settings):
            safe.append(ord(character))
    return _ranges(safe)


def _reorders(character, settings) -> bool:
    """Whether the reference may swap what this becomes with a neighbour: combining marks that survive NFD."""
    text = normalizer(settings).normalize_str(character)
    return settings.strips_accents and any(unicodedata.combining(c) for c in text)


def _key(settings) -> dict:
    return {
        "lower_case": settings.lower_case,
        "strips_accents": settings.strips_accents,
        "split_cjk": settings.split_cjk,
        "tokenizers": version("tokenizers"),
        "tensorflow_text": version("tensorflow-text"),
        "unicode": unicodedata.unidata_version,
    }


def _ranges(code_points):
    ranges = []
    for c in code_points:
        if ranges and c == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], c)
        else:
            ranges.append((c, c))
    return ranges
