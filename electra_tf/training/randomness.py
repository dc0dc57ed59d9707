"""Counted randomness: every draw is a function of (run seed, purpose, step), over the global batch.

Nothing is kept between draws, so interruptions cannot change them; they do not know of devices or micro-batches.
The algorithm is named (philox), because the default one differs between a graph and XLA; and numbers are made of its
bits here, because those two make different ones of the same bits.
"""

import zlib

import tensorflow as tf


def seed_of(run_seed: int, purpose: str, step):
    """Int32 seed [2] of one draw. `step` is an integer or an integer tensor."""
    word = zlib.crc32(f"{run_seed}/{purpose}".encode())
    word = word - (1 << 32) if word >= 1 << 31 else word
    return tf.stack([tf.constant(word, tf.int32), tf.cast(step, tf.int32)])


def uniform(shape, seed):
    """Float32 numbers in [0, 1), multiples of 2^-24, the same in eager mode, in graphs and under XLA."""
    bits = tf.random.stateless_uniform(shape, seed, None, None, tf.uint32, alg="philox")
    return tf.cast(tf.bitwise.right_shift(bits, 8), tf.float32) * 2**-24
