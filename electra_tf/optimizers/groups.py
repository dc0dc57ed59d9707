"""Weights that are updated alike, within one run: at which rate, from when on, and which without weight decay."""

import re
from collections.abc import Iterable
from typing import NamedTuple

# Found in the names of what has no weight decay, nor adaptation by LAMB, unless an optimizer's settings say otherwise.
NORMS_AND_BIASES = (r"norm/", r"bias")


class Group(NamedTuple):
    """How a weight is updated beside what holds for all.

    Attributes:
        norm: its gradient counts in the norm reported as `<norm>_grad_norm`, and is clipped by that norm where clipping
            is apart.
        rate: times the schedule's rate: below 1 for lower layers, 0 for a weight that is not trained.
        begins: the weight stands still until this step, then warms up in its turn.
    """

    norm: str
    rate: float = 1.0
    begins: int = 0


def is_among(name: str, patterns: Iterable[str]) -> bool:
    """Whether any of the regular expressions is found in the name of a weight."""
    return any(re.search(pattern, name) for pattern in patterns)


def decay_of(name: str, weight_decay: float, no_decay: Iterable[str] = NORMS_AND_BIASES) -> float:
    """The weight decay of the weight called `name`: none where it is among those without."""
    return 0.0 if is_among(name, no_decay) else weight_decay
