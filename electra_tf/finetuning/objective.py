"""Fine-tuning as an objective: an encoder with the head of a task, each layer at a learning rate of its own.

Axes: B rows, C choices, T tokens, H the encoder's width.
"""

from typing import NamedTuple

import tensorflow as tf

from electra_tf.finetuning.layer_rates import rate_of
from electra_tf.finetuning.task import Task
from electra_tf.models.config import EncoderConfig
from electra_tf.models.encoder import count_parameters, named_variables
from electra_tf.models.flops import encoder_flops
from electra_tf.optimizers.groups import Group
from electra_tf.training.metrics import Ratio, Readings

_INPUTS = ("input_ids", "input_mask", "segment_ids")


class Totals(NamedTuple):
    """The weights of all that is learned of the rows, added up; a float32 scalar."""

    weight: tf.Tensor


class TaskObjective:
    """The objective; see `training.objective.Objective`.

    Args:
        config: of the encoder. task: what is learned. layer_decay: see `FineTuning`.
        precision: Keras' dtype policy.
        sum_loss: the loss is a sum over the batch. decay_gap: the top layer already has `layer_decay` squared of the
            head's rate. Both are Google's ELECTRA.
    """

    def __init__(
        self,
        config: EncoderConfig,
        task: Task,
        layer_decay: float = 1.0,
        precision="float32",
        *,
        sum_loss: bool = False,
        decay_gap: bool = False,
    ):
        self.config, self.task, self.layer_decay = config, task, layer_decay
        self.sum_loss, self.decay_gap = sum_loss, decay_gap
        self.model = task.build(config, dtype=precision)
        self.weights = {name: variable.value for name, variable in named_variables(self.model).items()}
        self.towers, self.shared = {"encoder": config}, {}
        self.heads, self.answers = {"encoder": task.heads(config)}, task.answers()
        self.readings = _readings(task)

    def draw(self, batch, seed: int, step):
        """Nothing is drawn."""
        return ()

    def totals(self, batch, drawn) -> Totals:
        return Totals(tf.ones([]) if self.sum_loss else tf.maximum(tf.reduce_sum(batch["weight"]), 1.0))

    def loss(self, batch, drawn, totals: Totals, seed=None, training=True):
        """The weighted mean of the task's loss over the batch, and what the head gives."""
        outputs = self.outputs(batch, seed, training)
        return tf.reduce_sum(self.task.loss(outputs, batch) * batch["weight"]) / totals.weight, outputs

    def outputs(self, batch, seed=None, training=False):
        """What the task's head gives for each row."""
        return outputs_of_model(self.model, self.task, batch, seed, training)

    def measure(self, batch, drawn, outputs) -> dict[str, tf.Tensor]:
        loss, weight = self.task.loss(outputs, batch), batch["weight"]
        measured = {"task_loss": tf.reduce_sum(loss * weight), "weight": tf.reduce_sum(weight)}
        if self.task.hits is not None:
            counted = tf.cast(weight > 0, tf.float32)
            hits = tf.reduce_sum(self.task.hits(outputs, batch) * counted)
            measured |= {"hits": hits, "judged": tf.reduce_sum(counted)}
        return measured

    def group(self, name: str) -> Group:
        """Each layer has a rate of its own, see `layer_rates`."""
        return Group("all", rate=rate_of(name, self.config, self.layer_decay, self.decay_gap))

    def compile(self, program) -> None:
        """The head is small."""

    def flops(self, rows: int, length: int) -> float:
        """Forward and backward, three times forward."""
        return 3.0 * encoder_flops(self.config, length, self.model.first_only) * rows * length

    def describe(self) -> dict[str, str]:
        c, task = self.config, self.task
        sizes = f"{count_parameters(self.model):,}, {c.hidden_size} wide, {c.num_hidden_layers} layers"
        shown = ", ".join(task.labels[:8]) + (", ..." if len(task.labels) > 8 else "")
        learned = f"{task.kind} ({len(task.labels)} classes: {shown})" if task.labels else task.kind
        rates = "one rate" if self.layer_decay == 1 else f"each layer {self.layer_decay:g} of the rate above it"
        return {"learned by": learned, "model": sizes, "layers learn at": rates}

    def check_start(self, towers: set[str], where) -> None:
        """Any encoder will do."""


def outputs_of_model(model, task: Task, batch, seed=None, training=False):
    """What the head of a task gives for the rows of a batch; `seed` as in `training.objective.Objective.loss`."""
    ids, real, segments = (batch[name] for name in _INPUTS)
    if len(ids.shape) == 3:  # choices are rows of the encoder
        ids, real, segments = (tf.reshape(x, [-1, tf.shape(x)[-1]]) for x in (ids, real, segments))
        seed = None if seed is None else seed * tf.constant([1, 1, batch["input_ids"].shape[1]])
    hidden = model.encoder(ids, real, segments, training=training, seed=seed, first_only=model.first_only)
    return task.outputs(model, hidden, batch, training, model.head_seed(seed))


def _readings(task) -> Readings:
    sums, metrics = {"task_loss": (), "weight": ()}, {"loss": Ratio("task_loss", "weight")}
    line = "loss {loss:.4f}"
    if task.hits is not None:
        sums |= {"hits": (), "judged": ()}
        metrics["right"] = Ratio("hits", "judged")
        line += "  right {right:.1%}"
    return Readings(
        sums=sums,
        metrics=metrics,
        train_line=line,
        eval_line=f"{task.usual} {{{task.usual}:.4f}}" + ("  loss {loss:.4f}" if task.tells_loss else ""),
        curves=(("Loss", ("loss",)), (task.usual, (task.usual,))),
    )
