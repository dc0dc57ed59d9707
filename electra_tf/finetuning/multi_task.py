"""Several tasks learned at once on one encoder, each with a head of its own.

Axes: B rows, of which each is of one task.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from electra_tf.finetuning.batching import Rows
from electra_tf.finetuning.task import Split, Task
from electra_tf.models.config import EncoderConfig
from electra_tf.text.tokenizer import Encoding


class SeveralModels(keras.Model):
    """Models of tasks, by their names, on the encoder of the first."""

    def __init__(self, models: Mapping[str, keras.Model], **kwargs):
        super().__init__(**kwargs)
        self.encoder = next(iter(models.values())).encoder
        self.head_seed = next(iter(models.values())).head_seed
        self.first_only = all(model.first_only for model in models.values())
        self.models = dict(models)
        for name, model in models.items():
            setattr(self, name, model)


@dataclass(frozen=True)
class SeveralSplit(Split):
    """Rows of all tasks, one task's behind another's; `parts` are the splits of each."""

    parts: Mapping[str, Split] = None


class Several:
    """A `Task` of tasks; the fields of a batch are called `<task>/<field>`, and a row weighs 0 for other tasks.

    Every row counts alike, also one with many words to tag.

    Args:
        tasks: by their names. config: of the encoder.
        metrics: of each the metric that selects, or its usual one; `mean` is the mean of these.
        lengths: of each, the tokens of a row at most.
    """

    kind = "several tasks"
    labels = ()
    in_windows = False
    special = 3
    calibrated = None
    hits = None
    usual = "mean"

    def __init__(
        self,
        tasks: Mapping[str, Task],
        config: EncoderConfig,
        metrics: Mapping[str, str] | None = None,
        lengths: Mapping[str, int] | None = None,
    ):
        self.tasks, self.config, self.lengths = dict(tasks), config, lengths or {}
        self.metrics = metrics or {name: task.usual for name, task in tasks.items()}
        self.selecting = ("mean", *(f"{name}/{metric}" for name, task in tasks.items() for metric in task.selecting))
        self.tells_loss = all(task.tells_loss for task in tasks.values())

    def heads(self, config):
        """None is the encoder's own; those of the tasks are in `answers`."""
        return ()

    def build(self, config, encoder=None, dtype="float32"):
        models = {}
        for name, task in self.tasks.items():
            models[name] = task.build(config, encoder, dtype)
            models[name].name, encoder = name, models[name].encoder
        return SeveralModels(models, dtype=dtype)

    def joined(self, parts: Mapping[str, Split]) -> SeveralSplit:
        """The splits of the tasks as one."""
        rows = {name: part.rows for name, part in parts.items()}
        places = [name for name, own in rows.items() for _ in range(len(own))]
        weight = np.concatenate([_weight_of_rows(own) for own in rows.values()])
        targets, by_token, first = {"weight": weight}, {}, 0
        for name, own in rows.items():
            for field, array in own.targets.items():
                all_rows = np.zeros((len(places), *array.shape[1:]), array.dtype)
                # A row of a task counts once, by its weight among all rows.
                all_rows[first : first + len(own)] = array > 0 if field == "weight" else array
                targets[f"{name}/{field}"] = all_rows
            for field, arrays in own.by_token.items():
                arrays = [array / max(array.sum(), 1e-6) for array in arrays] if field == "weight" else arrays
                nothing = np.zeros(0, arrays[0].dtype)
                before, behind = [nothing] * first, [nothing] * (len(places) - first - len(own))
                by_token[f"{name}/{field}"] = [*before, *arrays, *behind]
            first += len(own)
        encodings = [
            Encoding(ids, segments, [], [])
            for own in rows.values()
            for (ids,), (segments,) in zip(own.ids, own.segments, strict=True)
        ]
        length = max(own.length for own in rows.values())
        records = [record for part in parts.values() for record in part.records]
        return SeveralSplit(records, Rows(encodings, targets, length, by_token), places, dict(parts))

    def outputs(self, model, hidden, batch, training, seed):
        return {
            name: task.outputs(model.models[name], hidden, self.fields(batch, name), training, seed)
            for name, task in self.tasks.items()
        }

    def loss(self, outputs, batch):
        """[B]: of each row, the loss of its task."""
        return sum(self.losses(outputs, batch).values())

    def losses(self, outputs, batch) -> dict[str, tf.Tensor]:
        """[B] of each task; 0 for rows of others."""
        losses = {}
        for name, task in self.tasks.items():
            fields = self.fields(batch, name)
            loss = task.loss(outputs[name], fields) * fields["weight"]
            losses[name] = tf.reduce_sum(loss, tf.range(1, tf.rank(loss)))
        return losses

    @staticmethod
    def fields(batch, name):
        """What of a batch a task sees, under its own names."""
        shared = {key: value for key, value in batch.items() if "/" not in key}
        own = {key.removeprefix(f"{name}/"): v for key, v in batch.items() if key.startswith(f"{name}/")}
        return shared | own

    def score(self, outputs: Sequence, split: SeveralSplit) -> dict[str, float]:
        """`<task>/<metric>` of each, and `mean`."""
        own = {name: [] for name in self.tasks}
        for name, output in zip(split.places, outputs, strict=True):
            own[name].append(output[name])
        return self.named({name: task.score(own[name], split.parts[name]) for name, task in self.tasks.items()})

    def commonest(self, split: SeveralSplit) -> dict[str, float]:
        return self.named({name: task.commonest(split.parts[name]) for name, task in self.tasks.items()})

    def named(self, scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        """The tasks' metrics as one table."""
        found = {"mean": float(np.mean([scores[name][metric] for name, metric in self.metrics.items()]))}
        return found | {f"{name}/{metric}": value for name, own in scores.items() for metric, value in own.items()}

    def answers(self):
        tasks = {name: {"heads": task.heads(self.config), **task.answers()} for name, task in self.tasks.items()}
        for name, length in self.lengths.items():
            tasks[name]["length"] = length
        return {"labels": [], "tasks": tasks}


def _weight_of_rows(rows) -> np.ndarray:
    """Float32 [rows]: of rows with weights of their own these, of rows of words 1 where any is learned."""
    if "weight" in rows.targets:
        return rows.targets["weight"]
    return np.array([array.any() for array in rows.by_token["weight"]], np.float32)
