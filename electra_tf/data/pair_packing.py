"""From token ids to pairs for sentence-order prediction: [CLS] A [SEP] B [SEP], A and B consecutive text.

Every token is kept, in order; which examples are swapped is drawn when they are trained on.
"""

from bisect import bisect_right
from itertools import pairwise

import numpy as np

from electra_tf.data.examples import Examples
from electra_tf.data.randomness import uniform

SPECIAL = 3  # [CLS] and two [SEP]
_COIN = 0  # what is drawn for, beside places


def pack_pairs(
    ids: np.ndarray,
    lines: np.ndarray,
    documents: np.ndarray,
    *,
    length: int,
    begins_word: np.ndarray,
    stream: tuple[int, ...],
) -> Examples:
    """Keeps every token, in order, in at most 1 % more than the fewest pairs, and joins no documents.

    The order of a pair must not be told from its edges: an A that ends a line and a B that breaks off in one are in
    order, whatever they say. So A and B are parted like the example's own edges: at a line end where the example begins
    and ends with a line, within a line, before a token that begins a word, where both its edges are. A coin decides
    where one edge is of each kind; such a pair shows its order either way. So they are kept few, two of a document:
    see `_example_ends`. Where there is no such place the other kind is taken; where there is none of it either, any
    token. All are drawn evenly. Only a document of a single token gives an example of one segment.

    Args:
        ids: `[tokens]`.
        lines: `[lines + 1]`, where each line begins in `ids`, and the end.
        documents: `[documents + 1]`, where each document begins in `lines`, and the end.
        length: tokens of an example, with the special ones.
        begins_word: bool `[V]`, for each id.
        stream: integers that name the random choices.
    """
    line_ends = np.unique(lines)
    within = np.setdiff1d(np.flatnonzero(begins_word[ids]), line_ends, assume_unique=True)
    ends = _example_ends(line_ends, np.union1d(line_ends, within), lines[documents].tolist(), length - SPECIAL)
    begin, end = np.array(list(pairwise([0, *ends])), np.int64).reshape(-1, 2).T
    first, last = ~np.isin(begin, line_ends), ~np.isin(end, line_ends)  # edges within a line
    is_within = np.where(first == last, first, uniform(len(begin), *stream, _COIN) < 0.5)
    draw = uniform(len(begin), *stream)
    at_line, in_line = (_drawn_between(marks, begin, end, draw) for marks in (line_ends, within))
    cut = _drawn_between(np.arange(len(ids)), begin, end, draw)
    for better in (np.where(is_within, at_line, in_line), np.where(is_within, in_line, at_line)):
        cut = np.where(better < end, better, cut)
    return Examples(ids, cut - begin, end - begin)


def _example_ends(line_ends, word_ends, bounds, room):
    """Where each example ends: a document's first ones with a line, as long as there is room, the others with a word.

    The fewest examples have some room to spare, the padding of each document's last one; one more for every hundred
    adds to it. What is not spent on lines, and half a token of every example to come, goes into ending with words.
    """
    ends, before = [], 0
    for begin, stop in pairwise(bounds):
        fewest = -(-(stop - begin) // room)
        count = fewest + (before + fewest) // 100 - before // 100
        before += fewest
        spare, marks = count * room - (stop - begin), line_ends
        while stop - begin > room:
            count -= 1
            end = begin + room
            if marks is line_ends and _back(line_ends, end) > min(spare - count / 2, room - 2):
                marks = word_ends
            back = _back(marks, end)
            if back <= min(spare, room - 2):
                end -= back
            if stop - end == 1:  # the last token would have no other to be paired with
                end -= 1
            spare -= begin + room - end
            ends.append(end)
            begin = end
        if stop > begin:
            ends.append(stop)
    return ends


def _back(marks, end):
    """How far before `end` the last of the `marks` (sorted, from 0 on) is."""
    return end - int(marks[bisect_right(marks, end) - 1])


def _drawn_between(marks, begin, end, draw):
    """For each example one of the `marks` (sorted) after `begin` and before `end`, or `end`. `draw` is in [0, 1)."""
    low, high = np.searchsorted(marks, begin, side="right"), np.searchsorted(marks, end, side="left")
    chosen = low + (draw * (high - low)).astype(np.int64)
    return np.where(high > low, np.append(marks, 0)[chosen], end)
