"""Learning rates as functions of the number of finished steps."""

from dataclasses import dataclass

import tensorflow as tf

from electra_tf.errors import ConfigError

KINDS = ("product", "linear", "warmup_stable_decay")


@dataclass(frozen=True)
class Schedule:
    """A learning-rate schedule; s is the number of steps finished before the update, so the first is s = 0.

    Attributes:
        kind: `product`: warm-up times linear decay over all steps, so that the peak is never reached (ELECTRA);
            `linear`: up to the peak, then straight down (Hugging Face); `warmup_stable_decay`: up, level, and
            down by `1 - sqrt` over the last `decay_steps`.
        peak: the highest rate. steps: of the whole run. warmup_steps: 0 means no warm-up.
        power: of `product`'s decay. end: the last rate of `product` and `warmup_stable_decay`.
        decay_steps: of `warmup_stable_decay`; None: a tenth of all steps.
    """

    kind: str = "product"
    peak: float = 5e-4
    steps: int = 1_000_000
    warmup_steps: float = 10_000
    power: float = 1.0
    end: float = 0.0
    decay_steps: int | None = None

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ConfigError(f"the schedule is {self.kind!r}", expected=f"one of {', '.join(KINDS)}")
        if self.peak <= 0 or self.steps < 1 or self.warmup_steps < 0 or self.end < 0:
            raise ConfigError(
                f"peak {self.peak}, steps {self.steps}, warmup_steps {self.warmup_steps}, end {self.end}",
                where="learning-rate schedule",
                expected="a positive peak, at least one step, no negative warm-up or end",
            )
        if self.kind == "warmup_stable_decay" and self.warmup_steps + self.decay > self.steps:
            raise ConfigError(
                f"{self.warmup_steps} warm-up and {self.decay} decay steps exceed {self.steps} steps",
                where="learning-rate schedule",
                remedy="shorten warmup_steps or decay_steps",
            )

    @property
    def decay(self) -> int:
        """Number of decaying steps of `warmup_stable_decay`."""
        return self.steps // 10 if self.decay_steps is None else self.decay_steps

    @property
    def extensible(self) -> bool:
        """Whether more steps leave the rates of the stable part as they were."""
        return self.kind == "warmup_stable_decay"

    def __call__(self, step) -> tf.Tensor:
        """Float32 rate of the update after `step` finished ones; `step` is an integer tensor."""
        s, n, w = tf.cast(step, tf.float32), float(self.steps), float(self.warmup_steps)
        warmup = tf.minimum(1.0, s / w) if w > 0 else tf.ones_like(s)
        if self.kind == "product":
            left = 1.0 - tf.minimum(s, n) / n
            left = left if self.power == 1 else left**self.power
            return ((self.peak - self.end) * left + self.end) * warmup
        if self.kind == "linear":
            left = tf.maximum(0.0, (n - s) / max(1.0, n - w))
            return self.peak * tf.where(s < w, warmup, left)
        done = tf.clip_by_value((s - (n - self.decay)) / max(1, self.decay), 0.0, 1.0)
        floor = self.end / self.peak
        return self.peak * warmup * ((1.0 - tf.sqrt(done)) * (1.0 - floor) + floor)
