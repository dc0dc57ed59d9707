"""Sampling tokens from logits: the inverse of the cumulative distribution, in two levels.

One uniform number a position and two short cumulative sums are exact and far cheaper than Gumbel noise over the
whole vocabulary (0.1 instead of 0.8 s of an ELECTRA-Small step on one core).
"""

import tensorflow as tf

BLOCK = 256


def sample(logits, numbers, temperature=1.0, never=None):
    """Draws one token a row.

    Args:
        logits: float32 [N, V].
        numbers: float32 [N], uniform in [0, 1): the only randomness.
        temperature: divides the logits; a number, or float32 [N, 1].
        never: int32 [N] of tokens that must not be drawn (`disallow_correct`), or None.

    Returns: int32 [N].
    """
    rows, vocabulary = tf.shape(logits)[0], logits.shape[1]
    blocks = -(-vocabulary // BLOCK)
    logits = tf.cast(logits, tf.float32) / temperature
    if never is not None:
        logits = tf.where(tf.range(vocabulary)[None, :] == never[:, None], logits.dtype.min, logits)
    probability = tf.exp(logits - tf.reduce_max(logits, -1, keepdims=True))
    probability = tf.pad(probability, [[0, 0], [0, blocks * BLOCK - vocabulary]])
    probability = tf.reshape(probability, [rows, blocks, BLOCK])

    mass = tf.reduce_sum(probability, -1)
    target = numbers * tf.reduce_sum(mass, -1)
    block, before = _first_beyond(mass, target)
    inside = tf.gather(probability, block, batch_dims=1)
    token, _ = _first_beyond(inside, target - before)
    return block * BLOCK + token


def _first_beyond(mass, target):
    """The first index whose cumulative mass exceeds `target`, and the cumulative mass before it.

    Where rounding leaves none, the largest entry: never one of mass zero.
    """
    cumulative = tf.cumsum(mass, axis=-1)
    index = tf.reduce_sum(tf.cast(cumulative <= target[:, None], tf.int32), -1)
    largest = tf.argmax(mass, -1, output_type=tf.int32)
    index = tf.where(index < mass.shape[-1], index, largest)
    before = tf.gather(cumulative - mass, index, batch_dims=1)
    return index, tf.maximum(before, 0.0)


def sample_evenly(vocabulary: int, numbers, never=None):
    """Draws tokens that are all alike.

    Args:
        vocabulary: V. numbers: float32 of any shape, uniform in [0, 1).
        never: int32 of that shape, tokens that must not be drawn, or None.

    Returns: int32 of that shape.
    """
    if never is None:
        return tf.cast(numbers * vocabulary, tf.int32)
    drawn = tf.cast(numbers * (vocabulary - 1), tf.int32)
    return drawn + tf.cast(drawn >= never, tf.int32)
