"""Temperature: what logits are divided by, so that probabilities are what they say (Guo et al., arXiv 1706.04599).

Where all answers are right, ever higher probabilities would fit best, from however few: as in Platt's scaling, of n
answers (n + 1) / (n + 2) is taken to be right, and the rest spread over the other classes.
"""

import numpy as np

from electra_tf.finetuning.metrics import calibration_error
from electra_tf.finetuning.task import probabilities

_LEAST, _MOST = 0.05, 20.0


def fit_temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """The temperature of the least log loss on these smoothed targets, within [0.05, 20].

    The loss is convex in the inverse, whose derivative is halved in on.

    Args:
        logits: float [N, classes]. targets: int [N].
    """
    logits = np.float64(logits)
    count, classes = logits.shape
    share = (count + 1) / (count + 2)
    right = logits[np.arange(count), targets]
    right = share * right + (1 - share) * (logits.sum(-1) - right) / (classes - 1)
    low, high = 1 / _MOST, 1 / _LEAST
    for _ in range(60):
        inverse = (low + high) / 2
        slope = np.mean((probabilities(logits * inverse) * logits).sum(-1) - right)
        low, high = (low, inverse) if slope > 0 else (inverse, high)
    return float(2 / (low + high))


def calibration_of(logits: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """`temperature`, and the expected calibration error `before` and `after`; arguments as of `fit_temperature`."""
    temperature = fit_temperature(logits, targets)
    return {
        "temperature": temperature,
        "before": calibration_error(probabilities(logits), targets),
        "after": calibration_error(probabilities(logits / temperature), targets),
    }
