"""What is kept for evaluation: documents chosen by a hash of their text, so that one is held out of every data set or
of none; or, where they are so long that this gives far from the share that was asked for, a stretch of lines of each.
"""

import hashlib
import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

TOLERANCE = 0.1  # more of the text than this beyond the share that was asked for is too much
_MUCH = 1_000_000  # characters; so many too many, or too few, are of long documents


def document_share(lines: Sequence[str], place: str = "") -> float:
    """A document's place in [0, 1), from its text alone, or from its place in the corpus as well."""
    digest = hashlib.blake2b(("\n".join(lines) + place).encode("utf-8"), digest_size=7).digest()
    return int.from_bytes(digest, "big") / 2**56


def parts_of(lines: list[str], share: float, place: str) -> Iterator[tuple[str, list[str]]]:
    """Cuts a document: `("held_out", lines)` for about this share of it, and ("train", lines) for what is around.

    Of a document with too few lines, all is held out or nothing, by its text and its place in the corpus.
    """
    if len(lines) * share < 0.5:
        yield "held_out" if document_share(lines, place) < share else "train", lines
        return
    ends = list(accumulate(len(line) + 1 for line in lines))
    wanted = share * ends[-1]
    begin = bisect_left(ends, document_share(lines) * (ends[-1] - wanted))
    end = bisect_left(ends, (ends[begin - 1] if begin else 0) + wanted) + 1
    if end - begin >= len(lines):
        end -= 1
    for split, part in (("train", lines[:begin]), ("held_out", lines[begin:end]), ("train", lines[end:])):
        if part:
            yield split, part


def better_choice(share: float, characters: dict[str, int], smallest: tuple[float, int]) -> float | None:
    """The choice of whole documents by which a fitting share of the text is held out.

    Args:
        share: documents whose place is below this were held out: about this share of the text is wanted.
        characters: of the text in each split.
        smallest: the lowest place of all documents, and how many characters have it.

    Returns: the share itself; a larger one, for few documents, of which the one with the lowest place is held out; or
    None where only stretches of documents will do.
    """
    total, held_out, choice = sum(characters.values()), characters["held_out"], share
    if not held_out:
        held_out, choice = smallest[1], math.nextafter(smallest[0], 1)
    excess = held_out - share * total
    is_far = not 0.5 * share <= held_out / total <= 2 * share
    return None if excess > TOLERANCE * total or (is_far and abs(excess) > _MUCH) else choice
