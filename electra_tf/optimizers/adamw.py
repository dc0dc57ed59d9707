"""AdamW as pure functions: Loshchilov & Hutter (2019), and Google's variant without bias correction."""

import math
from dataclasses import dataclass

import tensorflow as tf

from electra_tf.errors import ConfigError
from electra_tf.optimizers.groups import NORMS_AND_BIASES, decay_of
from electra_tf.settings import check_numbers


@dataclass(frozen=True)
class AdamW:
    """Settings of one AdamW; the defaults are those of Google's ELECTRA, ALBERT and BERT.

    Attributes:
        beta_1, beta_2, epsilon: of the moments; epsilon is added outside the square root. `beta_2 = 'auto'` is the one
            whose memory halves in 10 million tokens, whatever the batch (Marek et al., arXiv 2507.07101).
        weight_decay: added to the normalised update, so that it is multiplied by the learning rate.
        bias_correction: divide the moments by `1 - beta^t`, t counted from 1.
        no_decay: regular expressions, searched in a weight's name; such weights are not decayed.
        clip_norm: largest global norm of the gradient; None: no clipping.
        clip_apart: clip each tower by its own norm instead of all by one (a gradient of one then cannot shrink the
            steps of the other).
    """

    beta_1: float = 0.9
    beta_2: float | str = 0.999
    epsilon: float = 1e-6
    weight_decay: float = 0.01
    bias_correction: bool = False
    no_decay: tuple[str, ...] = NORMS_AND_BIASES
    clip_norm: float | None = 1.0
    clip_apart: bool = False

    def __post_init__(self):
        check_numbers(self)
        if self.beta_2 != "auto" and not (
            0 <= self.beta_1 < 1 and not isinstance(self.beta_2, str) and 0 <= self.beta_2 < 1
        ):
            raise ConfigError(
                f"beta_1 is {self.beta_1!r}, beta_2 {self.beta_2!r}",
                where=type(self).__name__,
                expected="numbers in [0, 1), or 'auto' for beta_2",
            )
        if self.epsilon <= 0 or self.weight_decay < 0 or (self.clip_norm is not None and self.clip_norm <= 0):
            raise ConfigError(
                f"epsilon {self.epsilon}, weight_decay {self.weight_decay}, clip_norm {self.clip_norm}",
                where=type(self).__name__,
                expected="epsilon and clip_norm above 0, weight_decay not below 0",
            )

    def decay_of(self, name: str) -> float:
        """The weight decay of the weight called `name`."""
        return decay_of(name, self.weight_decay, self.no_decay)

    def parts(self, name: str) -> int:
        """How many parts of the weight called `name` are each scaled by their norms; 0: it moves element by element."""
        return 0

    def bias_scales(self, step) -> tuple[tf.Tensor, tf.Tensor]:
        """`1 / (1 - beta^t)` of both moments, t = `step` + 1; ones without bias correction."""
        if not self.bias_correction:
            return tf.ones([]), tf.ones([])
        t = tf.cast(step, tf.float32) + 1
        # In float32, 0.999 and so 1 - 0.999 would be off by 1e-5: the logarithm is taken before rounding.
        logarithms = [math.log(beta) if beta else -math.inf for beta in (self.beta_1, self.beta_2)]
        return tuple(-1 / tf.math.expm1(t * logarithm) for logarithm in logarithms)

    def update(self, weight, gradient, scale, m, v, rate, decay, m_scale, v_scale, parts=0):
        """One update of one weight, or of some joined.

        Args:
            weight, gradient, m, v: float32 tensors of one shape.
            scale: what the gradient is multiplied by first, see `clip_scale`.
            rate: learning rate. decay: this weight's decay. m_scale, v_scale: see `bias_scales`.
            parts: see `parts`.

        Returns: the new (weight, m, v).
        """
        step, m, v = self.direction(weight, gradient, scale, m, v, decay, m_scale, v_scale)
        return weight - rate * step, m, v

    def direction(self, weight, gradient, scale, m, v, decay, m_scale, v_scale):
        """(what is subtracted at a rate of 1, the new m, the new v); arguments as `update`."""
        gradient = gradient * scale
        m = self.beta_1 * m + (1 - self.beta_1) * gradient
        v = self.beta_2 * v + (1 - self.beta_2) * tf.square(gradient)
        return m * m_scale / (tf.sqrt(v * v_scale) + self.epsilon) + decay * weight, m, v
