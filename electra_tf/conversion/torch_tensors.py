"""Tensors of transformers' PyTorch classes: what is repeated, ignored or added there, beside the tables."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from electra_tf.conversion.names import ARCHITECTURES, tower_tensors
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
    if config.model_type == "electra" and tower == "generator" and config.hidden_act != "gelu":
        raise ConfigError(
            f"the generator's hidden_act is {config.hidden_act!r}",
            expected="'gelu': ElectraForMaskedLM computes it in its head whatever the configuration says",
        )
    tensors = translate(weights, tower_tensors(dataclasses.asdict(config), tower), "ours", "torch")
    return tensors | _identity_projection(config)


def from_torch(
    tensors: Mapping[str, np.ndarray], tower: str, config: "EncoderConfig", where=None
) -> dict[str, np.ndarray]:
    """Our weights of one tower from PyTorch's, the inverse of `to_torch`.

    Buffers are ignored; a tensor that repeats another must equal it.

    Raises: `CheckpointError` for tensors that do not fit.
    """
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
    return translate(left, tower_tensors(dataclasses.asdict(config), tower), "torch", "ours", where)


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
