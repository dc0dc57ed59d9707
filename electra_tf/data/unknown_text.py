"""What a vocabulary does not know of a corpus, and why: the text may be in another Unicode form, case or language."""

import unicodedata
from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path

from electra_tf.data.corpus import documents, read_units
from electra_tf.data.text_stream import mended_by_python
from electra_tf.errors import InputError

MUCH, NEARLY_ALL = 0.05, 0.9  # shares of [UNK] that are told, and refused
_FILES, _LINES = 20, 100  # of the sample in which the reason is looked for
_TO_NFC = "import sys, unicodedata; sys.stdout.write(unicodedata.normalize('NFC', sys.stdin.read()))"
# What would make a text known -> what is the matter, and what to do.
_REASONS = (
    (
        lambda line: unicodedata.normalize("NFC", line),
        "the text is in NFD: its accents and syllables are taken apart",
        "give it in NFC, made by: {nfc}",
    ),
    (
        lambda line: unicodedata.normalize("NFD", line),
        "the vocabulary was made of text in NFD, and this text is in NFC",
        "make the vocabulary of text in NFC",
    ),
    (
        str.lower,
        "the text has capitals, and the vocabulary none",
        'let the vocabulary lower them: "do_lower_case": true in its tokenizer_config.json',
    ),
)


def check_known(rate: float, paths: Sequence[Path], tokenizer, recipe) -> str | None:
    """A warning where the share of [UNK] in the tokens is large, with the reason if it is found.

    Raises: `InputError` where nearly all is unknown.
    """
    if rate <= MUCH:
        return None
    unknown = tokenizer.vocabulary[tokenizer.unk_id]
    found = f"{rate:.1%} of the tokens are {unknown}: the vocabulary does not know them"
    reason, remedy = _reason(list(_sample(paths, recipe)), tokenizer)
    remedy = remedy.format(nfc=composed(paths[0]))
    if rate > NEARLY_ALL:
        raise InputError(
            f"{found}; {reason}" if reason else found,
            where=str(paths[0]) + (", ..." if len(paths) > 1 else ""),
            expected="text of the language, the case and the Unicode form that the vocabulary was made of",
            remedy=remedy,
        )
    return f"{found}; {reason}; {remedy}" if reason else f"{found}; {remedy}"


def composed(path: Path) -> str:
    """The command line that makes a text in NFC of one in NFD."""
    return mended_by_python(path, _TO_NFC)


def _reason(lines, tokenizer):
    unclear = None, "make a vocabulary of this text with `electra-tf vocab`, or name that of its language"
    if not lines:
        return unclear
    encode = tokenizer.line_tokenizer("reference")

    def unknown(lines):
        ids, _ = encode(lines)
        return (ids == tokenizer.unk_id).sum()

    here = unknown(lines)
    for change, reason, remedy in _REASONS:
        if unknown([change(line) for line in lines]) < 0.5 * here:
            return reason, remedy
    return unclear


def _sample(paths, recipe):
    for path in paths[:: -(-len(paths) // _FILES)]:
        unit = next(read_units([path], document=recipe.document), None)
        if unit is not None:
            own = chain.from_iterable(documents(piece, text_field=recipe.text_field) for piece in unit.pieces)
            yield from islice(chain.from_iterable(own), _LINES)
