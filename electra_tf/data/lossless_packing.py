"""From token ids to examples, every token kept, in order: [CLS] A [SEP], or [CLS] A [SEP] B [SEP]."""

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
