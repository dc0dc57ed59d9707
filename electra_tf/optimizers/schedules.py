"""Learning rates as functions of the number of finished steps."""

from dataclasses import dataclass

import tensorflow as tf

from electra_tf.errors import ConfigError
from electra_tf.settings import check_numbers

KINDS = ("product", "linear", "switch", "warmup_stable_decay")


@dataclass(frozen=True)
class Schedule:
    """A learning-rate schedule; s is the number of steps finished before the update, so the first is s = 0.

    Attributes:
        kind: `product`: warm-up times decay over all steps, so that the peak is never reached (ELECTRA);
            `linear`: up to the peak, then down over the steps that are left (Hugging Face, NVIDIA's with power 0.5);
            `switch`: up to the peak, then at once onto the decay over all steps, which is below it (ALBERT);
            `warmup_stable_decay`: up, level, and down by `1 - sqrt` over the last `decay_steps`.
        peak: the highest rate. warmup_steps: 0 means no warm-up.
        power: of the decay, but for `warmup_stable_decay`. end: the last rate.
        decay_steps: of `warmup_stable_decay`; None: a tenth of all steps.
    """

    kind: str = "product"
    peak: float = 5e-4
    warmup_steps: float = 10_000
    power: float = 1.0
    end: float = 0.0
    decay_steps: int | None = None

    def __post_init__(self):
        check_numbers(self)
        if self.kind not in KINDS:
            raise ConfigError(
                f"the schedule is {self.kind!r}", where="Schedule.kind", expected=f"one of {', '.join(KINDS)}"
            )
        if self.peak <= 0 or self.warmup_steps < 0 or self.end < 0 or self.power <= 0:
            raise ConfigError(
                f"peak {self.peak}, warmup_steps {self.warmup_steps}, end {self.end}, power {self.power}",
                where="Schedule",
                expected="a positive peak and power, no negative warm-up or end",
            )
        stable = self.kind == "warmup_stable_decay"
        if self.decay_steps is not None and (not stable or self.decay_steps < 0):
            raise ConfigError(
                f"decay_steps is {self.decay_steps}, with the schedule {self.kind!r}",
                where="Schedule",
                expected="0 or more, with 'warmup_stable_decay'; the others decay in all steps",
            )
        if stable and self.power != 1:
            raise ConfigError(
                f"power is {self.power}, with the schedule 'warmup_stable_decay'",
                where="Schedule",
                expected="1; it decays by 1 - sqrt",
            )

    def check(self, steps: int) -> None:
        """Raises `ConfigError` where a run of so many steps has no room for it."""
        if self.kind == "warmup_stable_decay" and self.warmup_steps + self.decay(steps) > steps:
            raise ConfigError(
                f"{self.warmup_steps} warm-up and {self.decay(steps)} decay steps exceed {steps} steps",
                where="Schedule",
                expected="no more than the run's steps, both together",
                remedy="shorten warmup_steps or decay_steps",
            )

    def decay(self, steps: int) -> int:
        """Number of decaying steps of `warmup_stable_decay`."""
        return steps // 10 if self.decay_steps is None else self.decay_steps

    def extensible(self, step: int, steps: int) -> bool:
        """Whether the rates of the first `step` of `steps` steps are what they are in a longer run."""
        return self.kind == "warmup_stable_decay" and step <= steps - self.decay(steps)

    def rate(self, step, steps: int) -> tf.Tensor:
        """Float32 rate of the update after `step` finished ones (an integer tensor), in a run of `steps`."""
        s, n, w = tf.cast(step, tf.float32), float(steps), float(self.warmup_steps)
        warmup = tf.minimum(1.0, s / w) if w > 0 else tf.ones_like(s)
        if self.kind in ("product", "switch"):
            left = 1.0 - tf.minimum(s, n) / n
            left = left if self.power == 1 else left**self.power
            decayed = (self.peak - self.end) * left + self.end
            return decayed * warmup if self.kind == "product" else tf.where(s < w, self.peak * warmup, decayed)
        if self.kind == "linear":
            left = tf.maximum(0.0, (n - s) / max(1.0, n - w))
            left = left if self.power == 1 else left**self.power
            if self.end:
                left = left * (1.0 - self.end / self.peak) + self.end / self.peak
            return self.peak * tf.where(s < w, warmup, left)
        decay = self.decay(steps)
        done = tf.clip_by_value((s - (n - decay)) / max(1, decay), 0.0, 1.0)
        floor = self.end / self.peak
        return self.peak * warmup * ((1.0 - tf.sqrt(done)) * (1.0 - floor) + floor)
