"""The seam between fine-tuning and what is learned: a family of tasks, and a split of its records as rows.

Axes: B rows, T tokens, N classes, H the encoder's width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np

from electra_tf.finetuning.batching import Rows
from electra_tf.models.config import EncoderConfig
from electra_tf.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Split:
    """Records as rows of ids.

    Attributes:
        records: as they were read. rows: what the model sees of them, one or more a record.
        places: of each row, what of the records it holds; what that means is the family's affair.
    """

    records: Sequence
    rows: Rows
    places: Sequence = ()


class Task(Protocol):
    """A family of tasks, as it was found in the training records.

    Attributes:
        kind: its name. labels: names of the classes, in the order of the outputs; none where there are no classes.
        usual: the metric that selects, the larger the better. selecting: all that may.
        in_windows: whether long texts are seen whole, in windows; special: tokens of a window that are no text.
        tells_loss: whether the loss follows from what is given in evaluation.
        calibrated: (outputs, split) to (logits [answers, N], what is right [answers]), to which a temperature is
            fitted; None where there are none.
        hits: (outputs, batch) to float32 of the shape of the loss, 1 where the answer is right; None for numbers.
    """

    kind: str
    labels: tuple[str, ...]
    usual: str
    selecting: tuple[str, ...]
    tells_loss: bool
    in_windows: bool
    special: int
    calibrated: Callable | None
    hits: Callable | None

    def heads(self, config: EncoderConfig) -> tuple[str, ...]:
        """Keys of the name tables."""

    def build(self, config: EncoderConfig, encoder=None, dtype="float32") -> keras.Model:
        """The model, on an encoder or on one of its own."""

    def split(self, records: Sequence, tokenizer: Tokenizer, length: int, learned: bool = True) -> Split:
        """Records as rows of at most `length` tokens, with targets where they are `learned` or scored.

        Raises: `InputError` for a label that cannot be meant.
        """

    def pieces(self, records: Sequence, tokenizer: Tokenizer) -> list[list[int]]:
        """The ids of all text of each record, not cut, without special tokens."""

    def lost(self, records: Sequence, pieces: list[list[int]], tokenizer: Tokenizer, length: int) -> list[int]:
        """Of each record, how many of its `pieces` no row of at most `length` tokens holds."""

    def outputs(self, model, hidden, batch, training: bool, seed) -> Any:
        """What the head makes of hidden states [B, T, H]."""

    def loss(self, outputs, batch):
        """Float32, of the shape of `batch["weight"]`, by which it is not yet multiplied."""

    def score(self, outputs: Sequence, split: Split) -> dict[str, float]:
        """Metrics, from the outputs of every row as numpy arrays."""

    def commonest(self, split: Split) -> dict[str, float]:
        """Metrics of always giving the commonest answer, which a run must beat, or it has failed."""

    def answers(self) -> dict:
        """See `training.objective.Objective`."""


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis, float64."""
    shifted = np.exp(np.float64(logits) - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)
