"""From token ids to examples: [CLS] A [SEP], or [CLS] A [SEP] B [SEP].

Two packers. `pack_lossless` keeps every token, in order. `pack_original` is the one published with ELECTRA,
losses and all, for reproducing what was trained on its output.
"""

from itertools import pairwise
from random import Random

import numpy as np

from electra_tf.data.examples import Examples
from electra_tf.data.randomness import keys, uniform

ONE_SEGMENT = 0.1  # share of examples that have one segment, as in the original
_SEGMENTS, _CUTS = 0, 1  # what is drawn for


def pack_lossless(
    ids: np.ndarray, lines: np.ndarray, documents: np.ndarray, *, length: int, stream: tuple[int, ...]
) -> Examples:
    """Keeps every token, in order, in at most 1 % more than the fewest examples, and joins no documents.

    The fewest are `ceil(tokens / (length - 2))` for each document: all of one segment, all but the last full.
    A second segment costs one token of room, for its [SEP]. So examples draw whether they have one, and it is
    granted as far as the last example of the document has room to spare. Documents that lack most of that
    room get one example more, as long as all such examples together stay within 1 %.

    A and B are parted at the line end nearest to the middle, by the original's rule; inside a line where the
    example holds no line end.

    Args:
        ids: `[tokens]`.
        lines: `[lines + 1]`, where each line begins in `ids`, and the end.
        documents: `[documents + 1]`, where each document begins in `lines`, and the end.
        length: tokens of an example, with the special ones.
        stream: integers that name the random choices.
    """
    bounds = lines[documents]
    tokens = np.diff(bounds)
    room = length - 2
    count = _examples_per_document(tokens, room)

    document = np.repeat(np.arange(len(tokens)), count)
    before = np.cumsum(count) - count
    draw = uniform(len(document), *stream, _SEGMENTS)
    # Rank 0 has the first claim on the spare room of its document.
    rank = np.empty(len(document), np.int64)
    rank[np.lexsort((-draw, document))] = np.arange(len(document)) - before[document]
    two = (draw >= ONE_SEGMENT) & (rank < (count * room - tokens)[document])

    filled = np.concatenate([[0], np.cumsum(room - two)])
    offset = bounds[:-1][document] - filled[before[document]]
    begin = filled[:-1] + offset
    end = np.minimum(filled[1:] + offset, bounds[1:][document])
    kept = end > begin
    begin, end, two = begin[kept], end[kept], two[kept]
    cut = np.where(two, _middle(lines, begin, end, (length - 3) // 2, stream), end)
    return Examples(ids, cut - begin, end - begin)


def _examples_per_document(tokens, room):
    fewest = -(-tokens // room)
    wished = np.ceil(tokens / (room - (1 - ONE_SEGMENT))).astype(np.int64)
    shortage = (1 - ONE_SEGMENT) * fewest - (fewest * room - tokens)
    order = np.argsort(-shortage, kind="stable")
    more = (wished - fewest)[order]
    granted = np.where(np.cumsum(more) <= fewest.sum() // 100, more, 0)
    count = fewest.copy()
    count[order] += granted
    return count


def _middle(lines, begin, end, target, stream):
    """As the original: the last line end before `target` tokens or, at even odds, the first one after."""
    limit = np.minimum(begin + target, end)
    at = np.searchsorted(lines, limit, side="left")
    below, above = lines[at - 1], lines[at]
    has_below, has_above = below > begin, above < end
    coin = keys(len(begin), *stream, _CUTS) >> np.uint64(63) == 1
    return np.where(has_below & (coin | ~has_above), below, np.where(has_above, above, limit))


def pack_original(
    ids: np.ndarray, lines: np.ndarray, documents: np.ndarray, *, length: int, random: Random
) -> Examples:
    """The packer published with ELECTRA: what overflows is cut off, and A may hold later text than B.

    Source: google-research/electra, build_pretraining_dataset.py, `ExampleBuilder`. `random` is drawn from in
    the original's order; the other arguments are those of `pack_lossless`.
    """
    line_ids = np.split(ids, lines[1:-1])
    segments, target = [], length

    def close(buffer):
        first, second = (np.concatenate([ids[:0], *parts]) for parts in _original_segments(buffer, target, random))
        first = first[: length - 2]
        segments.append((first, second[: max(0, length - 3 - len(first))]))
        return random.randint(5, length) if random.random() < 0.05 else length

    for start, stop in pairwise(documents):
        buffer, buffered = [], 0
        for line in line_ids[start:stop]:
            buffer.append(line)
            buffered += len(line)
            if buffered >= target:
                target = close(buffer)
                buffer, buffered = [], 0
        if buffered:
            target = close(buffer)

    sizes = np.array([[len(first), len(second)] for first, second in segments], np.int64).reshape(-1, 2)
    flat = np.concatenate([ids[:0], *(segment for pair in segments for segment in pair)])
    return Examples(flat, sizes[:, 0], sizes.sum(axis=1))


def _original_segments(buffer, target, random):
    wanted = 100_000 if random.random() < ONE_SEGMENT else (target - 3) // 2
    first, second = [], []
    in_first, in_second = 0, 0
    for line in buffer:
        fits = in_first == 0 or in_first + len(line) < wanted
        if fits or (in_second == 0 and in_first < wanted and random.random() < 0.5):
            first.append(line)
            in_first += len(line)
        else:
            second.append(line)
            in_second += len(line)
    return first, second
