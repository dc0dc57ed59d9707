"""Weights that are updated alike, within one run."""

from typing import NamedTuple


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
