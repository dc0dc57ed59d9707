"""The packers published with ELECTRA and with ALBERT, losses and all, to reproduce what was trained on their output."""

from itertools import chain, pairwise
from random import Random

import numpy as np

from electra_tf.data.examples import Examples
from electra_tf.data.lossless_packing import ONE_SEGMENT
from electra_tf.data.pair_packing import SPECIAL

SHORT_TARGET = 0.1  # share of ALBERT's documents whose pairs are short
_OTHER_DOCUMENT_TRIES = 10


def pack_original(
    ids: np.ndarray, lines: np.ndarray, documents: np.ndarray, *, length: int, random: Random
) -> Examples:
    """ELECTRA's: what overflows is cut off, and A may hold later text than B.

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


def pack_albert(ids: np.ndarray, lines: np.ndarray, documents: np.ndarray, *, length: int, random: Random) -> Examples:
    """The pairs published with ALBERT, swapped and labelled: what overflows is cut off at either end.

    `labels` are 0 where the segments are in order, and 1 where they are swapped; 1 as well where the text for an
    example was one line, whose B is then of another document: a pair that its topic tells, not its order.

    Source: google-research/albert, create_pretraining_data.py, `create_instances_from_document`. `random` is drawn
    from in the original's order; the other arguments are those of `pack_pairs`. The original draws foreign documents
    from the whole corpus, this one from the documents it is given.
    """
    line_ids = [line.tolist() for line in np.split(ids, lines[1:-1])]
    texts = [[line for line in line_ids[start:stop] if line] for start, stop in pairwise(documents)]
    texts = [text for text in texts if text]
    pairs = [pair for number in range(len(texts)) for pair in _albert_pairs(texts, number, length - SPECIAL, random)]
    sizes = np.array([[len(first), len(second)] for first, second, _ in pairs], np.int64).reshape(-1, 2)
    flat = np.array([i for first, second, _ in pairs for i in first + second], ids.dtype)
    labels = np.array([label for _, _, label in pairs], np.uint8)
    return Examples(flat, sizes[:, 0], sizes.sum(axis=1), labels)


def _albert_pairs(texts, number, room, random):
    target = random.randint(2, room) if random.random() < SHORT_TARGET else room
    chunk, size = [], 0
    for at, line in enumerate(texts[number], 1):
        chunk.append(line)
        size += len(line)
        if size >= target or at == len(texts[number]):
            first, second, label = _albert_pair(chunk, texts, number, target, random)
            yield *_cut_to(room, first, second, random), label
            chunk, size = [], 0


def _albert_pair(chunk, texts, number, target, random):
    if len(chunk) == 1:
        return chunk[0], _foreign(texts, number, target - len(chunk[0]), random), 1
    parted = random.randint(1, len(chunk) - 1)
    first, second = (list(chain.from_iterable(lines)) for lines in (chunk[:parted], chunk[parted:]))
    return (second, first, 1) if random.random() < 0.5 else (first, second, 0)


def _foreign(texts, number, size, random):
    for _ in range(_OTHER_DOCUMENT_TRIES):
        other = random.randint(0, len(texts) - 1)
        if other != number:
            break
    found = []
    for line in texts[other][random.randint(0, len(texts[other]) - 1) :]:
        found = found + line
        if len(found) >= size:
            break
    return found


def _cut_to(room, first, second, random):
    """Takes tokens off the longer segment, B where they are even, one by one, from its front or its end."""
    bounds = [[0, len(first)], [0, len(second)]]
    sizes = [len(first), len(second)]
    while sum(sizes) > room:
        longer = 0 if sizes[0] > sizes[1] else 1
        sizes[longer] -= 1
        if random.random() < 0.5:
            bounds[longer][0] += 1
        else:
            bounds[longer][1] -= 1
    return tuple(segment[start:stop] for segment, (start, stop) in zip((first, second), bounds, strict=True))
