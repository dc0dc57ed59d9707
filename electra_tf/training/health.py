"""Is the run still worth its electricity? Non-finite values stop it; signs of collapse warn, with advice."""

import math
from collections import deque

from electra_tf.errors import TrainingError


def check_finite(metrics: dict, step: int, last_good) -> None:
    """Raises `TrainingError` when a metric is not finite; nothing of such a state has been saved.

    Args:
        metrics: of the steps up to `step`.
        last_good: the newest checkpoint's folder, or None.
    """
    bad = {name: value for name, value in metrics.items() if not math.isfinite(value)}
    if bad:
        name, value = next(iter(bad.items()))
        raise TrainingError(
            f"{name} is {value} at step {step}",
            where="training",
            expected="finite values",
            remedy=f"the last good checkpoint is {last_good or 'none'}; lower the learning rate, lengthen the warm-up, "
            "or set Recipe.clip_norm, and start again in another --model_dir",
        )


class Health:
    """Warnings from the course of the training metrics; each is given once, until its cause has gone.

    Args:
        warmup_steps: nothing is judged before five times as many steps, as all is unsettled then.
        vocab_size: the loss of a uniform guess is its logarithm.
        patience: a sign must hold for so many looks in a row.
    """

    def __init__(self, warmup_steps: float, vocab_size: int, patience: int = 3):
        self.settled, self.uniform_loss, self.patience = 5 * warmup_steps, math.log(vocab_size), patience
        self.held = dict.fromkeys(_SIGNS, 0)
        self.norms = deque(maxlen=50)

    def look(self, step: int, metrics: dict) -> list[str]:
        """Warnings that the metrics of a logged step give rise to."""
        typical = sorted(self.norms)[len(self.norms) // 2] if len(self.norms) >= 10 else math.inf
        self.norms.append(metrics["grad_norm"])
        signs = {
            "discriminator": metrics["disc_auc"] < 0.52,
            "strong generator": metrics["sampled_accuracy"] > 0.7,
            "weak generator": metrics["mlm_loss"] > self.uniform_loss - 0.1,
            "gradient": metrics["grad_norm"] > 100 * typical,
        }
        warnings = []
        for name, seen in signs.items():
            patience = 1 if name == "gradient" else self.patience
            self.held[name] = self.held[name] + 1 if seen and step >= self.settled else 0
            if self.held[name] == patience:
                warnings.append(_SIGNS[name].format(step=step, patience=patience, typical=typical, **metrics))
        return warnings


_SIGNS = {
    "discriminator": (
        "warning at step {step}: the discriminator's AUC is {disc_auc:.3f}, no better than chance, long after the "
        "warm-up. Lower the learning rate, or lengthen the warm-up; if the generator is large, make it smaller."
    ),
    "strong generator": (
        "warning at step {step}: {sampled_accuracy:.0%} of the generator's samples are the original token, which "
        "leaves the discriminator little to find. Use a smaller generator, or a higher mask_prob; if the text repeats "
        "itself, remove duplicates."
    ),
    "weak generator": (
        "warning at step {step}: the generator's loss {mlm_loss:.2f} is that of a uniform guess, long after the "
        "warm-up. Check that data and vocabulary belong together, and lower the learning rate."
    ),
    "gradient": (
        "warning at step {step}: the gradient's norm {grad_norm:.3g} is over 100 times the usual {typical:.3g}. One "
        "such step is clipped; if they recur, look at the data around it and lower the learning rate."
    ),
}
