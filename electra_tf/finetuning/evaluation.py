"""What a model gives for a split, and its score; the same code answers in `predict`."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from electra_tf.errors import CheckpointError
from electra_tf.finetuning.batching import Rows
from electra_tf.finetuning.task import Split, Task


def traced(function: Callable, eager: bool = False) -> Callable:
    """Of a function of a batch: (signature of the batches) to the function as one graph for batches of any length."""
    known = {}

    def of(signature):
        key = tuple((name, signature[name]) for name in sorted(signature))
        if key not in known:
            graph = tf.function(function, input_signature=[signature], autograph=False)
            known[key] = function if eager else graph
        return known[key]

    return of


def outputs_of(model: Callable, rows: Rows, batch_size: int) -> list:
    """What the model gives for each row, as numpy arrays in the order of the rows, which are computed sorted by length.

    Args:
        model: as `traced` makes it, a batch to its outputs: tensors whose first axis is the row, or None, in a tuple or
            dictionary perhaps.
        batch_size: rows of a call; the last is filled up.

    Raises: `CheckpointError` where an output is no number.
    """
    if not len(rows):
        return []
    model = model(rows.signature(batch_size))
    order = np.argsort(rows.sizes, kind="stable")
    found = [None] * len(rows)
    for first in range(0, len(order), batch_size):
        some = order[first : first + batch_size]
        batch = rows.batch(np.resize(some, batch_size), rows.length_of(some))
        outputs = model({name: tf.constant(array) for name, array in batch.items()})
        outputs = tf.nest.map_structure(lambda x: None if x is None else x.numpy(), outputs)
        if any(x is not None and np.isnan(x).any() for x in tf.nest.flatten(outputs)):
            raise CheckpointError(
                "the model's answers are not numbers (NaN)",
                where=f"row {some[0] + 1} and those beside it",
                expected="weights that are finite",
                remedy="look at the checkpoint: its training may have diverged, or its file be damaged",
            )
        for place, row in enumerate(some):
            found[row] = tf.nest.map_structure(lambda x, at=place: None if x is None else x[at], outputs)
    return found


class SplitEvaluation:
    """Scores a split; deterministic.

    Args:
        objective: a `TaskObjective`. split: with targets. batch_size: rows of a call.
    """

    def __init__(self, objective, split: Split, batch_size: int, eager: bool = False):
        self.split, self.rows, self.task = split, batch_size, objective.task
        self._judge = traced(judged_by(objective.outputs, objective.task), eager)

    def __call__(self) -> dict[str, float]:
        return scores(self.task, self._judge, self.split, self.rows)


def scores(task: Task, judge, split: Split, batch_size: int) -> dict[str, float]:
    """The task's metrics, and the unweighted mean of its loss where the outputs tell it.

    `judge`: `judged_by`, traced.
    """
    found = outputs_of(judge, split.rows, batch_size)
    result = task.score([outputs for outputs, *_ in found], split)
    if task.tells_loss:
        loss, count = (np.sum([row[at] for row in found], dtype=np.float64) for at in (1, 2))
        result["loss"] = float(loss / max(count, 1.0))
    return result


def judged_by(outputs, task: Task):
    """A function: a batch to (outputs, the row's losses added up, how many they are); `outputs` of a batch."""

    def judge(batch):
        given = outputs(batch)
        if not task.tells_loss:
            return given, None, None
        counted = tf.cast(batch["weight"] > 0, tf.float32)
        loss = task.loss(given, batch) * counted
        inner = tf.range(1, tf.rank(loss))
        return given, tf.reduce_sum(loss, inner), tf.reduce_sum(counted, inner)

    return judge
