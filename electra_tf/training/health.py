"""Is the run still worth its electricity? Values that are not finite stop it; signs of trouble warn, with advice."""

import math
from collections import deque
from collections.abc import Sequence

from electra_tf.errors import TrainingError
from electra_tf.training.metrics import Sign

_GRADIENT = (
    "warning at step {step}: the gradient's norm {grad_norm:.3g} is over 100 times the usual {typical:.3g}. One such "
    "step is clipped; if they recur, look at the data around it and lower the learning rate."
)


def stop_not_finite(name: str, value: float, step: int, last_good) -> None:
    """Raises `TrainingError`: a value is not finite; nothing of such a state has been saved.

    Args:
        name, value: of a sum or weight at `step`.
        last_good: the newest checkpoint's folder, or None.
    """
    raise TrainingError(
        f"{name} is {value} at step {step}",
        where="training",
        expected="finite values",
        remedy=f"the last good checkpoint is {last_good or 'none'}; lower the learning rate, lengthen the warm-up, "
        "or set the optimizer's clip_norm, and start again in another --model_dir",
    )


class Health:
    """Warnings from the course of the training metrics; each is given once, until its cause has gone.

    Args:
        warmup_steps: nothing is judged before five times as many steps, as all is unsettled then.
        signs: what an objective takes for trouble. A gradient far above the usual is one for every objective.
    """

    def __init__(self, warmup_steps: float, signs: Sequence[Sign] = ()):
        self.settled, self.norms = 5 * warmup_steps, deque(maxlen=50)
        self.signs = (*signs, Sign(lambda metrics: metrics["grad_norm"] > 100 * metrics["typical"], _GRADIENT, 1))
        self.held = [0] * len(self.signs)

    def look(self, step: int, metrics: dict) -> list[str]:
        """Warnings that the metrics of a logged step give rise to."""
        typical = sorted(self.norms)[len(self.norms) // 2] if len(self.norms) >= 10 else math.inf
        self.norms.append(metrics["grad_norm"])
        told, warnings = {**metrics, "typical": typical, "step": step}, []
        for number, sign in enumerate(self.signs):
            self.held[number] = self.held[number] + 1 if sign.seen(told) and step >= self.settled else 0
            if self.held[number] == sign.patience:
                warnings.append(sign.warning.format(**told))
        return warnings
