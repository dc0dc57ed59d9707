"""Heads of fine-tuned models of Google's ELECTRA code, and what transformers' heads are to them."""

from collections.abc import Mapping

import numpy as np

from electra_tf.checkpoints.loaded_model import LoadedModel
from electra_tf.checkpoints.translation import with_tower_called
from electra_tf.checkpoints.weight_names import Tensor, head_tensors
from electra_tf.errors import CheckpointError, ConfigError
from electra_tf.models.config import EncoderConfig

PREFIX = "task_specific/"

# What Google's code calls the layers of each head, and where they are here. They are numbered as they are made.
LAYERS = {
    "first_token_classifier": {"dense": "classifier"},
    "answer_start": {"dense": "answers/start"},
    "answer_end": {"dense_1": "answers/end"},
    "answer_end_by_start": {"qa_hidden": "answers/end_hidden", "dense_1": "answers/end"},
    "answerable": {"dense_2": "answers/class"},
    "answerable_by_start": {"dense_2": "answers/class_hidden", "dense_3": "answers/class"},
}
# A task's head, in words, and the heads here that it is made of.
KINDS = {
    "one layer": ("first_token_classifier",),
    "start and end": ("answer_start", "answer_end"),
    "start, end and answerable": ("answer_start", "answer_end", "answerable"),
    "start, end, and answerable given start": ("answer_start", "answer_end", "answerable_by_start"),
    "start and end given start": ("answer_start", "answer_end_by_start"),
    "start, end given start, and answerable": ("answer_start", "answer_end_by_start", "answerable"),
    "start, end given start, and answerable given start": (
        "answer_start",
        "answer_end_by_start",
        "answerable_by_start",
    ),
}


def task_tensors(shapes: Mapping[str, tuple], hidden_size: int, where=None) -> list[Tensor]:
    """The weights of the heads whose tensors have such shapes; here they are called as there.

    Raises: `CheckpointError` where a head is of no kind of `KINDS`.
    """
    table = []
    for task in tasks_of(shapes):
        labels = shapes.get(f"{PREFIX}{task}/dense/kernel", (0, 0))[-1]
        heads = KINDS[kind_of(shapes, task, where)]
        own = {tensor.ours: tensor for tensor in head_tensors(heads, hidden_size, labels)}
        for theirs, ours in names_of(task, heads).items():
            table.append(Tensor(theirs, (theirs,), (), own[ours].axes))
    return table


def names_of(task: str, heads) -> dict[str, str]:
    """Our names of a task's weights by Google's."""
    layers = {theirs: ours for head in heads for theirs, ours in LAYERS[head].items()}
    parts = ("kernel", "bias")
    return {f"{PREFIX}{task}/{theirs}/{part}": f"{ours}/{part}" for theirs, ours in layers.items() for part in parts}


def tasks_of(names) -> list[str]:
    """The tasks that a model with tensors of such names was fine-tuned for."""
    return sorted({name.split("/")[1] for name in names if name.startswith(PREFIX)})


def kind_of(shapes: Mapping[str, tuple], task: str, where=None) -> str:
    """The key of `KINDS` that a task's head is. Raises: `CheckpointError` where there is none."""
    inside = f"{PREFIX}{task}/"
    found = {name.removeprefix(inside).split("/")[0] for name in shapes if name.startswith(inside)}
    layers = {kind: {layer for head in heads for layer in LAYERS[head]} for kind, heads in KINDS.items()}
    for kind, expected in layers.items():
        if found == expected:
            return kind
    raise CheckpointError(
        f"the head of the task {task!r} has the layers {', '.join(sorted(found)) or 'none'}",
        where=where,
        expected="; or ".join(", ".join(sorted(expected)) for expected in layers.values()),
        remedy="name another task of the checkpoint, or take the encoder alone, with --class=ElectraModel",
    )


def fine_tuned(
    weights: Mapping[str, np.ndarray],
    config: EncoderConfig,
    task: str | None = None,
    model_class: str | None = None,
    where=None,
) -> LoadedModel:
    """A fine-tuned model as a class of transformers.

    One layer becomes ElectraForTokenClassification as it is, where `model_class` says so or the task is `chunk`, and
    ElectraForSequenceClassification by `widen`; start and end become ElectraForQuestionAnswering. Other heads for
    answers stay as they are, beside an ElectraModel.

    Args:
        weights: under our names, of the encoder (`discriminator`) and all tasks. config: of the encoder.
        task: which one; None: the only one. model_class: None: by the task's head.

    Raises: `CheckpointError` where there is no such task.
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
    encoder = with_tower_called(encoder, "discriminator", "encoder")
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
        name, labels = "ElectraModel", 2
        own = {ours: weights[theirs] for theirs, ours in names_of(task, KINDS[kind]).items()}
        return LoadedModel(name, config, encoder | own, KINDS[kind], labels)
    head_name = {
        "ElectraForQuestionAnswering": "question_answering",
        "ElectraForTokenClassification": "token_classifier",
    }
    return LoadedModel(name, config, encoder | own, (head_name.get(name, "sequence_classifier"),), labels)


def to_task(model: LoadedModel, task: str | None) -> dict[str, np.ndarray]:
    """The weights of a fine-tuned model as Google's code calls them below our names, the inverse of `fine_tuned`.

    Raises: `ConfigError` without a task's name, `CheckpointError` for a head that Google's code has not.
    """
    known = ("sequence_classifier", "token_classifier", "question_answering", *LAYERS)
    head = next((head for head in model.heads if head in known), None)
    if head is None:
        raise CheckpointError(
            f"TF-V1 ELECTRA has no place for the head of {model.name}",
            where="--to tf1",
            expected="a classifier of texts or tokens, or of the start and end of answers",
            remedy="convert to another format, or the encoder alone with --class=ElectraModel",
        )
    if not task:
        raise ConfigError(
            "the task has no name",
            where="--to tf1",
            expected="--task, such as mnli: Google's code looks for it by name",
        )
    inside = f"{PREFIX}{task}"
    if head in LAYERS:
        own = {theirs: model.weights[ours] for theirs, ours in names_of(task, model.heads).items()}
    elif head == "question_answering":
        kernel, bias = model.weights["qa_outputs/kernel"], model.weights["qa_outputs/bias"]
        own = {f"{inside}/dense{'_1' * n}/kernel": kernel[:, n : n + 1] for n in (0, 1)}
        own |= {f"{inside}/dense{'_1' * n}/bias": bias[n : n + 1] for n in (0, 1)}
    else:
        single = head == "token_classifier"
        kernel, bias = (
            [model.weights[f"classifier/{n}"] for n in ("kernel", "bias")] if single else narrow(model.weights)
        )
        own = {f"{inside}/dense/kernel": kernel, f"{inside}/dense/bias": bias}
    encoder = {name: array for name, array in model.weights.items() if name.startswith("encoder/")}
    return with_tower_called(encoder, "encoder", "discriminator") | own


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
            remedy="take the encoder alone, with --class=ElectraModel",
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
