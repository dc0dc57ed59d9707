"""Batches of words of several tokens, and which tokens were masked in them."""

import numpy as np
import tensorflow as tf
from vocabularies import numbered

VOCABULARY, FIRST_INNER = 1000, 500  # tokens from FIRST_INNER on continue a word
PAD, UNK, CLS, SEP, MASK = range(5)
TOKENS = numbered(VOCABULARY, PAD, CLS, SEP, MASK, UNK, np.arange(VOCABULARY) < FIRST_INNER)


def batch_of(rows, length):
    """`[CLS] segment [SEP] segment [SEP] ...` for each list of segments, lists of ids; padded."""
    ids = [[CLS, *(i for segment in segments for i in (*segment, SEP))] for segments in rows]
    real = np.array([[1] * len(row) + [0] * (length - len(row)) for row in ids], "int32")
    ids = np.array([row + [PAD] * (length - len(row)) for row in ids], "int32")
    return {"input_ids": tf.constant(ids), "input_mask": tf.constant(real)}


def words(*sizes, seed=0):
    """The ids of words of so many tokens."""
    random = np.random.default_rng(seed)
    return [int(i) for n in sizes for i in (random.integers(5, 500), *random.integers(500, 1000, n - 1))]


def full_rows(count, length, sizes, segments=2, seed=0):
    """Rows without padding, of segments of even length, whose words have sizes drawn from `sizes`.

    Words are cut at the ends of segments, so that many segments begin with a piece that continues a word.
    """
    random = np.random.default_rng(seed)
    ends = np.cumsum(random.choice(sizes, [count, length]), axis=1)
    begins = np.zeros([count, length + 1], bool)
    begins[np.arange(count)[:, None], np.minimum(ends, length)] = True
    ids = np.where(begins[:, :length], *random.integers([[[5]], [[500]]], [[[500]], [[1000]]], [2, count, length]))
    ids[:, np.arange(1, segments + 1) * (length - 1) // segments] = SEP
    ids[:, 0] = CLS
    return {"input_ids": tf.constant(ids, tf.int32), "input_mask": tf.ones([count, length], tf.int32)}


def word_numbers(batch):
    """Int [B, T]: the number of each token's word in its row, -1 for special ones; told by plain Python."""
    rows = []
    for ids in batch["input_ids"].numpy().tolist():
        row, word, inside = [], -1, False
        for i in ids:
            special = i in (PAD, CLS, SEP, MASK)
            word += not special and (not inside or i < FIRST_INNER)
            inside = not special
            row.append(-1 if special else word)
        rows.append(row)
    return np.array(rows)


def chosen(masked, length):
    """Bool [B, T]: the masked tokens."""
    positions, counts = masked.positions.numpy(), masked.weights.numpy() > 0
    where = np.zeros([len(positions), length], bool)
    for row, (places, count) in enumerate(zip(positions, counts, strict=True)):
        assert len(set(places[count])) == count.sum()
        where[row, places[count]] = True
    return where
