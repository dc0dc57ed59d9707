"""The seam between the loop and what it trains: an objective, and a source of batches.

Axes: B rows of a batch, T tokens.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import keras
import tensorflow as tf

from electra_tf.models.config import EncoderConfig
from electra_tf.optimizers.groups import Group
from electra_tf.training.metrics import Readings

if TYPE_CHECKING:
    from electra_tf.text.tokenizer import Tokenizer


class Objective(Protocol):
    """What a run trains: a model and its loss as sums over rows. The loop asks for numbers and looks at no part of it.

    Attributes:
        model: the layer below which all weights are.
        weights: every trained weight, by its name in checkpoints.
        towers: encoders, by the prefix of their weights: for starts and exports.
        heads: of each tower, as the name tables call them.
        shared: what a tower has from another, prefix by prefix, such as `{"b/embeddings/": "a/embeddings/"}`.
        readings: how what `measure` sums is read, shown and watched.
        answers: what a classifier's outputs mean, for whoever reads the run: `labels`, names of classes, or none for a
            number; `multiply` and `add`, which make of an output what the labels have. Empty without a classifier.
    """

    model: keras.layers.Layer
    weights: Mapping[str, tf.Variable]
    towers: Mapping[str, EncoderConfig]
    heads: Mapping[str, tuple[str, ...]]
    shared: Mapping[str, str]
    readings: Readings
    answers: Mapping[str, Any]

    def draw(self, batch, seed: int, step):
        """All that is random in a step but dropout, over the global batch: a function of (seed, step); () for nothing.

        A (named) tuple of tensors whose first axis is the row, or None for what is not drawn.
        """

    def totals(self, batch, drawn) -> tuple[tf.Tensor, ...]:
        """What each part of the loss is divided by: weights summed over the rows given, at least 1; float32 scalars."""

    def loss(self, batch, drawn, totals, seed=None, training=True) -> tuple[tf.Tensor, Any]:
        """The share of these rows in the loss of the batch that `totals` are of, and what was computed on the way.

        `seed` is int32 [3] for dropout, its third entry the global index of the first row; None: no dropout.
        """

    def measure(self, batch, drawn, outputs) -> dict[str, tf.Tensor]:
        """Sums over these rows, float32, with the names and shapes of `readings.sums`."""

    def group(self, name: str) -> Group:
        """How the weight of this name is updated, and under which name its gradient's norm is reported."""

    def compile(self, program: Callable) -> None:
        """Puts `program(function)` in the place of costly functions of tensors; encoders are done already."""

    def flops(self, rows: int, length: int) -> float:
        """Of the matrix products of one step."""

    def describe(self) -> dict[str, str]:
        """Lines for the announcement and the model card, by their titles."""

    def check_start(self, towers: set[str], where) -> None:
        """Raises `ConfigError` unless a run can start from checkpoints that have these towers and no others."""


class Source(Protocol):
    """Where batches (dicts of tensors whose first axis is the row) come from; the position is a function of the step.

    Attributes:
        identity: a hash of all that is in it; on resume another one is refused.
        facts: for `run.json` and the card: `examples`, `tokens`, `fill_rate`, `length`, `path`.
        tokenizer: the vocabulary its ids are of.
    """

    identity: str
    facts: Mapping[str, Any]
    tokenizer: "Tokenizer"

    def batches(self, rows: int, *, seed: int, start_step: int = 0) -> tf.data.Dataset:
        """Batches of so many rows, without end, the same for any number of devices."""

    def stretch(self, rows: int, *, seed: int, step: int) -> tuple[int, float]:
        """(T at a step, for how many steps from there it stays so): a call of the inner loop keeps within."""

    def verify(self, say: Callable[[str], None]) -> None:
        """Raises `DataError` where the data are not those that `identity` is a hash of; says what takes long."""

    def explain_damage(self, error: Exception) -> Exception:
        """What TensorFlow's error in a step means: a `DataError`, or the error itself where the data are whole."""
