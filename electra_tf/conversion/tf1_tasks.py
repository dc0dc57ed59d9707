"""Heads of fine-tuned models of Google's ELECTRA code, and what transformers' heads are to them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from electra_tf.conversion.models import LoadedModel
from electra_tf.conversion.names import Tensor
from electra_tf.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from electra_tf.models.config import EncoderConfig

PREFIX = "task_specific/"

# The layers of each kind of head, in the order they are numbered: [in, out], H for the encoder's width, N for labels.
# Their number of hidden units is fixed.
_UNITS = 512
HEADS = {
    "one layer": {"dense": ("H", "N")},
    "start and end": {"dense": ("H", 1), "dense_1": ("H", 1)},
    "start, end and answerable": {
        "dense": ("H", 1),
        "dense_1": ("H", 1),
        "dense_2": ("2H", _UNITS),
        "dense_3": (_UNITS, 1),
    },
    "start, end given start, answerable given start": {
        "dense": ("H", 1),
        "qa_hidden": ("2H", _UNITS),
        "dense_1": (_UNITS, 1),
        "dense_2": ("2H", _UNITS),
        "dense_3": (_UNITS, 1),
    },
    "start, end given start, answerable": {
        "dense": ("H", 1),
        "qa_hidden": ("2H", _UNITS),
        "dense_1": (_UNITS, 1),
        "dense_2": ("H", 1),
    },
}


def task_tensors(shapes: Mapping[str, tuple], hidden_size: int, where=None) -> list[Tensor]:
    """The weights of the heads whose tensors have such shapes; here they are called as there.

    Raises: `CheckpointError` where a head is of no kind of `HEADS`.
    """
    table = []
    for task in tasks_of(shapes):
        layers = HEADS[kind_of(shapes, task, where)]
        labels = shapes.get(f"{PREFIX}{task}/dense/kernel", (0, 0))[-1]
        sizes = {"H": hidden_size, "2H": 2 * hidden_size, "N": labels}
        for layer, axes in layers.items():
            axes = tuple(sizes.get(axis, axis) for axis in axes)
            for name, shape in (("kernel", axes), ("bias", axes[1:])):
                called = f"{PREFIX}{task}/{layer}/{name}"
                table.append(Tensor(called, (called,), (), shape))
    return table


def tasks_of(names) -> list[str]:
    """The tasks that a model with tensors of such names was fine-tuned for."""
    return sorted({name.split("/")[1] for name in names if name.startswith(PREFIX)})


def kind_of(shapes: Mapping[str, tuple], task: str, where=None) -> str:
    """The key of `HEADS` that a task's head is. Raises: `CheckpointError` where there is none."""
    inside = f"{PREFIX}{task}/"
    layers = {name.removeprefix(inside).split("/")[0] for name in shapes if name.startswith(inside)}
    for kind, expected in HEADS.items():
        if layers == expected.keys():
            return kind
    raise CheckpointError(
        f"the head of the task {task!r} has the layers {', '.join(sorted(layers)) or 'none'}",
        where=where,
        expected="; or ".join(", ".join(expected) for expected in HEADS.values()),
    )


def fine_tuned(
    weights: Mapping[str, np.ndarray],
    config: "EncoderConfig",
    task: str | None = None,
    model_class: str | None = None,
    where=None,
) -> LoadedModel:
    """A fine-tuned model as a class of transformers.

    One layer becomes ElectraForTokenClassification as it is, where `model_class` says so or the task is `chunk`, and
    ElectraForSequenceClassification by `widen`; start and end become ElectraForQuestionAnswering.

    Args:
        weights: under our names, of the encoder and all tasks. config: of the encoder.
        task: which one; None: the only one. model_class: None: by the task's head.

    Raises: `CheckpointError` where there is no such task, or transformers has no place for its head.
    """
    tasks = tasks_of(weights)
    if (task or tasks[0]) not in tasks or (task is None and len(tasks) > 1):
        raise CheckpointError(
            f"there is no task {task!r} here" if task else "the model was fine-tuned for several tasks",
            where=where,
            expected=f"one of {', '.join(tasks)}",
            remedy="name it with --task",
        )
    task = task or tasks[0]
    encoder = {name: array for name, array in weights.items() if name.startswith("discriminator/")}
    if model_class == "ElectraModel":
        return LoadedModel("ElectraModel", config, encoder, ())
    kind = kind_of({name: array.shape for name, array in weights.items()}, task, where)
    head = f"{PREFIX}{task}"
    if kind == "start and end":
        layers = ("dense", "dense_1")
        kernel = np.concatenate([weights[f"{head}/{layer}/kernel"] for layer in layers], axis=1)
        bias = np.concatenate([weights[f"{head}/{layer}/bias"] for layer in layers])
        name, own, labels = "ElectraForQuestionAnswering", {"qa_outputs/kernel": kernel, "qa_outputs/bias": bias}, 2
    elif kind == "one layer":
        kernel, bias = weights[f"{head}/dense/kernel"], weights[f"{head}/dense/bias"]
        labels = len(bias)
        if model_class == "ElectraForTokenClassification" or (model_class is None and task == "chunk"):
            name, own = "ElectraForTokenClassification", {"classifier/kernel": kernel, "classifier/bias": bias}
        else:
            name, own = "ElectraForSequenceClassification", widen(kernel, bias, where)
    else:
        raise CheckpointError(
            f"the head of the task {task!r} predicts {kind}: no class of transformers can hold it",
            where=where,
            expected="a head with one layer, or one for the start and one for the end",
            remedy="convert to TF-V1, which holds it, or the encoder alone with --class=ElectraModel",
        )
    head_name = {
        "ElectraForQuestionAnswering": "question_answering",
        "ElectraForTokenClassification": "token_classifier",
    }
    return LoadedModel(name, config, encoder | own, (head_name.get(name, "sequence_classifier"),), labels)


def to_task(model: LoadedModel, task: str | None) -> dict[str, np.ndarray]:
    """The weights of a fine-tuned model as Google's code calls them below our names, the inverse of `fine_tuned`.

    Raises: `ConfigError` without a task's name, `CheckpointError` for a head that Google's code has not.
    """
    head = next(
        (head for head in model.heads if head in ("sequence_classifier", "token_classifier", "question_answering")),
        None,
    )
    if head is None:
        raise CheckpointError(
            f"TF-V1 ELECTRA has no place for the head of {model.name}",
            expected="a classifier of texts or tokens, or of the start and end of answers",
        )
    if not task:
        raise ConfigError("the task has no name", expected="--task, such as mnli: Google's code looks for it by name")
    inside = f"{PREFIX}{task}"
    if head == "question_answering":
        kernel, bias = model.weights["qa_outputs/kernel"], model.weights["qa_outputs/bias"]
        own = {f"{inside}/dense{'_1' * n}/kernel": kernel[:, n : n + 1] for n in (0, 1)}
        own |= {f"{inside}/dense{'_1' * n}/bias": bias[n : n + 1] for n in (0, 1)}
    else:
        single = head == "token_classifier"
        kernel, bias = (
            [model.weights[f"classifier/{n}"] for n in ("kernel", "bias")] if single else narrow(model.weights)
        )
        own = {f"{inside}/dense/kernel": kernel, f"{inside}/dense/bias": bias}
    encoder = {name: array for name, array in model.weights.items() if name.startswith(f"{model.tower}/")}
    return encoder | own


def widen(kernel: np.ndarray, bias: np.ndarray, where=None) -> dict[str, np.ndarray]:
    """Google's one layer as the two of transformers' classifier, which compute the same.

    Since gelu(z) - gelu(-z) = z, every label takes two hidden units, its own row and the negative.

    Args:
        kernel: float32 `[H, N]`. bias: `[N]`.

    Returns: our names (see `names`): `classifier/dense` `[H, H]` and `classifier/output` `[H, N]`, kernels and biases.

    Raises: `CheckpointError` where 2 N exceeds H.
    """
    hidden, labels = kernel.shape
    if 2 * labels > hidden:
        raise CheckpointError(
            f"the head has {labels} labels, the encoder {hidden} units",
            where=where,
            expected="half as many labels as units: ElectraForSequenceClassification needs two units for each",
        )
    first, second = np.zeros((hidden, hidden), "float32"), np.zeros((hidden, labels), "float32")
    first_bias = np.zeros(hidden, "float32")
    for sign, start in ((1, 0), (-1, 1)):
        units = np.arange(start, 2 * labels, 2)
        first[:, units], first_bias[units] = sign * kernel, sign * bias
        second[units, np.arange(labels)] = sign
    return {
        "classifier/dense/kernel": first,
        "classifier/dense/bias": first_bias,
        "classifier/output/kernel": second,
        "classifier/output/bias": np.zeros(labels, "float32"),
    }


def narrow(weights: Mapping[str, np.ndarray], where=None) -> tuple[np.ndarray, np.ndarray]:
    """The kernel and bias that `widen` was given, bit for bit.

    Raises: `CheckpointError` for a classifier that is not made that way: one layer cannot hold two.
    """
    kernel, bias = weights["classifier/dense/kernel"], weights["classifier/dense/bias"]
    labels = weights["classifier/output/kernel"].shape[1]
    kernel, bias = kernel[:, : 2 * labels : 2], bias[: 2 * labels : 2]
    made = widen(kernel, bias) if 2 * labels <= len(weights["classifier/dense/kernel"]) else {}
    if not made or any(not np.array_equal(array, weights[name]) for name, array in made.items()):
        raise CheckpointError(
            "the classifier has two layers with an activation between them",
            where=where,
            expected="one that was made of Google's single layer: TF-V1 ELECTRA has no place for a second",
            remedy="convert the encoder alone, and fine-tune it anew",
        )
    return kernel, bias
