"""Tensors of transformers' PyTorch classes: what is repeated, ignored or added there, beside the tables."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from electra_tf.conversion.names import (
    ARCHITECTURES,
    MODEL_CLASSES,
    PRETRAINING_HEADS,
    model_tensors,
    tower_tensors,
)
from electra_tf.conversion.translation import translate
from electra_tf.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from electra_tf.models.config import EncoderConfig

# Tensors that repeat another. transformers ties them, and versions differ in which they believe.
_TIED = {
    "generator_lm_head.weight": "electra.embeddings.word_embeddings.weight",
    "predictions.decoder.weight": "albert.embeddings.word_embeddings.weight",
    "predictions.decoder.bias": "predictions.bias",
}
# Buffers that older versions saved.
_IGNORED = re.compile(r"(.*\.)?embeddings\.(position_ids|token_type_ids)")
# Layer norms of older versions.
_OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}

# The tower that a head belongs to, as tensors call it.
_HEADS = {
    "discriminator_predictions": "discriminator",
    "generator_predictions": "generator",
    "predictions": "generator",
}


def to_torch(weights: Mapping[str, np.ndarray], tower: str, config: "EncoderConfig") -> dict[str, np.ndarray]:
    """transformers' tensors of one tower from ours, kernels as transposed views.

    Raises: `CheckpointError` for weights that do not fit, `ConfigError` for an ELECTRA generator whose
    activation is not `gelu`: transformers uses that in its head whatever the configuration says.
    """
    _check_activation(PRETRAINING_HEADS[tower], config)
    tensors = translate(weights, tower_tensors(dataclasses.asdict(config), tower), "ours", "torch")
    return tensors | _identity_projection(config)


def from_torch(
    tensors: Mapping[str, np.ndarray], tower: str, config: "EncoderConfig", where=None
) -> dict[str, np.ndarray]:
    """Our weights of one tower from PyTorch's, the inverse of `to_torch`.

    Buffers are ignored; a tensor that repeats another must equal it.

    Raises: `CheckpointError` for tensors that do not fit.
    """
    table = tower_tensors(dataclasses.asdict(config), tower)
    return translate(_essential(tensors, config, where), table, "torch", "ours", where)


def _check_activation(heads, config):
    if config.model_type == "electra" and "masked_lm" in heads and config.hidden_act != "gelu":
        raise ConfigError(
            f"the generator's hidden_act is {config.hidden_act!r}",
            expected="'gelu': ElectraForMaskedLM computes it in its head whatever the configuration says",
        )


def _essential(tensors, config, where):
    """The tensors without buffers and without those that repeat another, once they are seen to equal it."""
    left = {_current_name(name): array for name, array in tensors.items() if not _IGNORED.fullmatch(name)}
    for repeated, name in _TIED.items():
        if repeated in left:
            _check_equal(left, repeated, left.setdefault(name, left[repeated]), name, where)
            del left[repeated]
    for name, identity in _identity_projection(config).items():
        if name not in left:
            raise CheckpointError(f"{name} is missing", where=where, expected="the identity")
        _check_equal(left, name, identity, "the identity, though embeddings are as wide as the encoder", where)
        del left[name]
    return left


def class_to_torch(
    weights: Mapping[str, np.ndarray], name: str, config: "EncoderConfig", num_labels: int = 2
) -> dict[str, np.ndarray]:
    """The state dictionary of transformers' class `name` (of `MODEL_CLASSES`) from our weights.

    Raises: `CheckpointError` for weights that do not fit, `ConfigError` as `to_torch`.
    """
    kind = MODEL_CLASSES[name]
    _check_activation(kind.heads, config)
    table = model_tensors(dataclasses.asdict(config) | {"num_labels": num_labels}, kind.tower, kind.heads)
    tensors = translate(weights, table, "ours", "torch") | _identity_projection(config)
    base = f"{kind.model_type}."
    return {n.removeprefix(base): t for n, t in tensors.items()} if not _has_prefix(name) else tensors


def class_from_torch(
    tensors: Mapping[str, np.ndarray], name: str, config: "EncoderConfig", where=None
) -> tuple[dict[str, np.ndarray], int]:
    """(our weights, number of labels) of the class `name`, the inverse of `class_to_torch`. Raises as `from_torch`."""
    kind = MODEL_CLASSES[name]
    if not _has_prefix(name):
        base = f"{kind.model_type}."
        tensors = {n if n.startswith(base) else base + n: tensor for n, tensor in tensors.items()}
    labels = next((len(tensors[n]) for n in ("classifier.out_proj.bias", "classifier.bias") if n in tensors), 2)
    table = model_tensors(dataclasses.asdict(config) | {"num_labels": labels}, kind.tower, kind.heads)
    return translate(_essential(tensors, config, where), table, "torch", "ours", where), labels


def class_of(names: Iterable[str], fields: Mapping, where=None) -> str:
    """The class of transformers that tensors of such names belong to.

    Args:
        names: of the tensors. fields: of `config.json`; its `architectures` decides between an ALBERT's classifier and
            its choice among several, whose tensors have the same names.

    Raises: `CheckpointError` where the tensors have a head that is not known.
    """
    kind, names = fields["model_type"], {_current_name(name) for name in names}
    heads = {name.split(".")[0] for name in names}
    named = (fields.get("architectures") or [None])[0]
    for class_name, tells in _TELLING.items():
        if class_name.lower().startswith(kind) and tells & (heads | names):
            return class_name
    if kind == "albert" and "classifier" in heads:
        if "albert.pooler.weight" not in names:
            return "AlbertForTokenClassification"
        return named if named == "AlbertForMultipleChoice" else "AlbertForSequenceClassification"
    known = {kind, "embeddings", "embeddings_project", "encoder", "pooler"}
    if heads <= known:
        return f"{kind.capitalize()}Model"
    raise CheckpointError(
        f"the model has a head that is not known: {', '.join(sorted(heads - known))}",
        where=where,
        expected=f"one of {', '.join(n for n in MODEL_CLASSES if n.lower().startswith(kind))}",
    )


def _has_prefix(name):
    """Whether the tensors of a class name its base model; the base class itself does not."""
    return not name.endswith("Model")


# What only a class has among its tensors, heads or whole names; the first that fits is meant.
_TELLING = {
    "ElectraForPreTraining": {"discriminator_predictions"},
    "ElectraForMaskedLM": {"generator_predictions"},
    "ElectraForSequenceClassification": {"classifier.out_proj.weight"},
    "ElectraForMultipleChoice": {"sequence_summary"},
    "ElectraForQuestionAnswering": {"qa_outputs"},
    "ElectraForTokenClassification": {"classifier"},
    "AlbertForPreTraining": {"sop_classifier"},
    "AlbertForMaskedLM": {"predictions"},
    "AlbertForQuestionAnswering": {"qa_outputs"},
}


def _identity_projection(config):
    """ALBERT's projection in PyTorch, where it exists even if widths are equal; ours has none then."""
    size = config.hidden_size
    if config.model_type != "albert" or config.embedding_size != size:
        return {}
    name = f"{ARCHITECTURES['albert'].towers['discriminator'][2]}.encoder.embedding_hidden_mapping_in"
    return {f"{name}.weight": np.eye(size, dtype="float32"), f"{name}.bias": np.zeros(size, "float32")}


def _current_name(name):
    for old, new in _OLD_NAMES.items():
        name = name.removesuffix(old) + new if name.endswith(old) else name
    return name


def _check_equal(tensors, name, expected, what, where):
    array = tensors[name]
    if array.shape != expected.shape:
        difference = f"its shape is {list(array.shape)}, not {list(expected.shape)}"
    elif not np.array_equal(array, expected):
        difference = f"they differ by up to {np.max(np.abs(array - expected)):.3g}"
    else:
        return
    raise CheckpointError(
        f"{name} is not equal to {what}: {difference}",
        where=where,
        expected="tied tensors",
        remedy="a model with tensors of its own there cannot be held; save it with the tensors tied",
    )


def tower_of(names: Iterable[str], where=None) -> str:
    """The tower whose head is among tensors of such names. Raises: `CheckpointError` where there is none."""
    heads = sorted({name.split(".")[0] for name in names})
    for head, tower in _HEADS.items():
        if head in heads:
            return tower
    raise CheckpointError(
        f"the model has no pre-training head, only {', '.join(heads)}",
        where=where,
        expected="ElectraForPreTraining, ElectraForMaskedLM or AlbertForMaskedLM",
    )
