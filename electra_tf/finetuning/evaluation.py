"""The score of a split, by the answers of a model."""

import numpy as np
import tensorflow as tf

from electra_tf.finetuning.inference import outputs_of, traced
from electra_tf.finetuning.task import Split, Task


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
