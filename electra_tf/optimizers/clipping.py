"""Clipping by the global norm of the gradient."""

import tensorflow as tf


def global_norm(gradients) -> tf.Tensor:
    """Float32 scalar: L2 norm of all gradients together."""
    return tf.sqrt(tf.add_n([tf.reduce_sum(tf.square(tf.cast(g, tf.float32))) for g in gradients]))


def clip_scale(norm, clip_norm: float | None) -> tf.Tensor:
    """What every gradient is multiplied by, so that their global norm does not exceed `clip_norm`."""
    return tf.ones_like(norm) if clip_norm is None else clip_norm / tf.maximum(norm, clip_norm)
