"""AdamW as pure functions: Loshchilov & Hutter (2019), and Google's variant without bias correction."""

import math
import re
from dataclasses import dataclass

import tensorflow as tf

from electra_tf.errors import ConfigError


@dataclass(frozen=True)
class AdamW:
    """Settings of one AdamW; the defaults are those of Google's ELECTRA, ALBERT and BERT.

    Attributes:
        beta_1, beta_2, epsilon: of the moments; epsilon is added outside the square root.
        weight_decay: added to the normalised update, so that it is multiplied by the learning rate.
        bias_correction: divide the moments by `1 - beta^t`, t counted from 1.
        no_decay: regular expressions, searched in a weight's name; such weights are not decayed.
        clip_norm: largest global norm of the gradient; None: no clipping.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-6
    weight_decay: float = 0.01
    bias_correction: bool = False
    no_decay: tuple[str, ...] = (r"norm/", r"bias")
    clip_norm: float | None = 1.0

    def __post_init__(self):
        if not (0 <= self.beta_1 < 1 and 0 <= self.beta_2 < 1):
            raise ConfigError(f"beta_1 is {self.beta_1}, beta_2 {self.beta_2}", expected="numbers in [0, 1)")
        if self.epsilon <= 0 or self.weight_decay < 0 or (self.clip_norm is not None and self.clip_norm <= 0):
            raise ConfigError(
                f"epsilon {self.epsilon}, weight_decay {self.weight_decay}, clip_norm {self.clip_norm}",
                expected="epsilon and clip_norm above 0, weight_decay not below 0",
            )

    def decay_of(self, name: str) -> float:
        """The weight decay of the weight called `name`."""
        return 0.0 if any(re.search(pattern, name) for pattern in self.no_decay) else self.weight_decay


def global_norm(gradients) -> tf.Tensor:
    """Float32 scalar: L2 norm of all gradients together."""
    return tf.sqrt(tf.add_n([tf.reduce_sum(tf.square(tf.cast(g, tf.float32))) for g in gradients]))


def clip_scale(norm, clip_norm: float | None) -> tf.Tensor:
    """What every gradient is multiplied by, so that their global norm does not exceed `clip_norm`."""
    return tf.ones_like(norm) if clip_norm is None else clip_norm / tf.maximum(norm, clip_norm)


def bias_scales(rule: AdamW, step) -> tuple[tf.Tensor, tf.Tensor]:
    """`1 / (1 - beta^t)` of both moments, t = `step` + 1; ones without bias correction."""
    if not rule.bias_correction:
        return tf.ones([]), tf.ones([])
    t = tf.cast(step, tf.float32) + 1
    # In float32, 0.999 and so 1 - 0.999 would be off by 1e-5: the logarithm is taken before rounding.
    logarithms = [math.log(beta) if beta else -math.inf for beta in (rule.beta_1, rule.beta_2)]
    return tuple(-1 / tf.math.expm1(t * logarithm) for logarithm in logarithms)


def update(rule: AdamW, weight, gradient, scale, m, v, rate, decay, m_scale, v_scale):
    """One update of one weight.

    Args:
        weight, gradient, m, v: float32 tensors of one shape.
        scale: what the gradient is multiplied by first, see `clip_scale`.
        rate: learning rate. decay: this weight's decay. m_scale, v_scale: see `bias_scales`.

    Returns: the new (weight, m, v).
    """
    gradient = gradient * scale
    m = rule.beta_1 * m + (1 - rule.beta_1) * gradient
    v = rule.beta_2 * v + (1 - rule.beta_2) * tf.square(gradient)
    step = m * m_scale / (tf.sqrt(v * v_scale) + rule.epsilon) + decay * weight
    return weight - rate * step, m, v
