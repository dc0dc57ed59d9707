"""LAMB: You et al. (2020), as Google's ALBERT computes it, and as the PyTorch package that ALECTRA was trained with."""

import re
from dataclasses import dataclass

import tensorflow as tf

from electra_tf.errors import ConfigError
from electra_tf.optimizers.adamw import AdamW
from electra_tf.optimizers.groups import NORMS_AND_BIASES, is_among

# Query, key and value are one weight here, and three in the originals, each with a ratio of its own.
_SIDE_BY_SIDE = re.compile(r"attention/qkv/")


@dataclass(frozen=True)
class Lamb(AdamW):
    """AdamW whose step is scaled, for each weight, to the weight's own norm. Fields as in `AdamW`, and these.

    A layer that is used at several depths is one weight: it has one ratio, from the gradients of all its uses.

    Attributes:
        no_adaptation: regular expressions, searched in a weight's name; such weights move at the bare rate.
        largest_norm: weights count as no longer than this; None: as long as they are. (10 in the PyTorch package.)
    """

    no_adaptation: tuple[str, ...] = NORMS_AND_BIASES
    largest_norm: float | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.largest_norm is not None and self.largest_norm <= 0:
            raise ConfigError(
                f"largest_norm is {self.largest_norm}", where="Lamb", expected="a number above 0, or None"
            )

    def parts(self, name: str) -> int:
        if is_among(name, self.no_adaptation):
            return 0
        return 3 if _SIDE_BY_SIDE.search(name) else 1

    def update(self, weight, gradient, scale, m, v, rate, decay, m_scale, v_scale, parts=0):
        """As `AdamW.update`."""
        step, m, v = self.direction(weight, gradient, scale, m, v, decay, m_scale, v_scale)
        return weight - rate * (step * self.ratio(weight, step, parts) if parts else step), m, v

    def ratio(self, weight, step, parts: int):
        """|weight| / |step| of each of `parts` equal parts of the last axis, spread over it; 1 where either is 0."""

        def norms(tensor):
            tensor = tf.reshape(tensor, [-1, parts, tensor.shape[-1] // parts])
            return tf.sqrt(tf.reduce_sum(tf.square(tensor), [0, 2]))

        ours, theirs = norms(weight), norms(step)
        if self.largest_norm is not None:
            ours = tf.minimum(ours, self.largest_norm)
        ratios = tf.where((ours > 0) & (theirs > 0), ours / tf.where(theirs > 0, theirs, 1.0), 1.0)
        return tf.repeat(ratios, weight.shape[-1] // parts)
