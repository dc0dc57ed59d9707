"""`tf_model.h5`, as transformers' TensorFlow classes wrote it, under PyTorch's names.

It holds what a PyTorch state dictionary holds, under names that follow from PyTorch's by rule (kernels are [in, out]):

    electra.encoder.layer.3.output.dense.weight
    /electra/tf_electra_model/electra/encoder/layer_._3/output/dense/kernel:0
     (layer) (the class)     (the weight)
"""

import re
from collections.abc import Mapping

import numpy as np

from electra_tf.checkpoints.containers.hdf5 import open_weights, write_weights
from electra_tf.errors import CheckpointError

_NORMS = ("LayerNorm", "full_layer_layer_norm")
_WORD, _KERNEL = "word_embeddings", "/kernel:0"
_TABLES = ("position_embeddings", "token_type_embeddings")
# What the head's group repeats, as it refers to the embedding layer; and a bias of two names, of which TensorFlow's
# classes add the second.
_HEADS_WITH_EMBEDDINGS = ("generator_lm_head", "predictions")
_ALBERT_BIAS = ("predictions.bias", "predictions.decoder.bias")


def read_h5(path, keep_tied: str | None = None) -> dict[str, np.ndarray]:
    """Every weight under its PyTorch name, with PyTorch's orientation.

    Args:
        keep_tied: which of two copies that differ is meant: that of the `embeddings`, or the `head`'s; None: an error.

    Raises: `CheckpointError` for a file that is damaged, that misses what it lists, holds what it does not list, or
    holds a weight twice with different values.
    """
    tensors = {}
    with open_weights(path) as datasets:
        for name, dataset in datasets:
            ours, in_head = to_torch_name(name, path), dataset.name.split("/")[1] in _HEADS_WITH_EMBEDDINGS
            if ours not in tensors or keep_tied is None:
                _add(tensors, ours, _oriented(name, dataset[()]), path)
            elif in_head == (keep_tied == "head"):
                tensors[ours] = _oriented(name, dataset[()])
    return tensors


def has_tensorflow_names(names) -> bool:
    """Whether a safetensors file has the names of these classes, which `save_pretrained` writes there too."""
    return bool(names) and all(name.endswith(":0") for name in names)


def from_tensorflow(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What such a file holds, by PyTorch's names and with PyTorch's orientation; as `read_h5`."""
    return {to_torch_name(f"model/{name}"): _oriented(name, array) for name, array in tensors.items()}


def read_h5_shapes(path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """(NumPy type's name, shape) of every weight as `read_h5` gives it; numbers stay unread. Raises as `read_h5`."""
    with open_weights(path) as datasets:
        return {
            to_torch_name(name, path): (d.dtype.name, d.shape[::-1] if name.endswith(_KERNEL) else d.shape)
            for name, d in datasets
        }


def write_h5(path, tensors: Mapping[str, np.ndarray], model_class: str) -> None:
    """Writes weights by their PyTorch names, as the TensorFlow counterpart of `model_class` would. `OSError` passes."""
    model = "tf_" + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", model_class.replace("LM", "Lm")).lower()
    base = model_class.split("For")[0].removesuffix("Model").lower()
    layers: dict[str, dict[str, np.ndarray]] = {}
    prefix = "" if any(name.startswith(f"{base}.") for name in tensors) else f"{base}."  # the base class leaves it out
    for name, array in _with_repeated(tensors, base).items():
        name = prefix + name
        layers.setdefault(name.split(".")[0], {})[f"{model}/{to_h5_name(name)}"] = _oriented(to_h5_name(name), array)
    for head in _HEADS_WITH_EMBEDDINGS:
        if head in layers:
            layers[head] |= {name: a for name, a in layers[base].items() if f"/{base}/embeddings/" in name}
    write_weights(path, layers)


def to_torch_name(name: str, where=None) -> str:
    """PyTorch's name of a weight called `model/...:0`. Raises: `CheckpointError` for an ending that is not Keras'."""
    *parts, leaf = name.removesuffix(":0").split("/")[1:]
    parent = parts[-1] if parts else ""
    if leaf in ("kernel", "gamma", "weight") or (leaf == "embeddings" and parent in (*_TABLES, _WORD)):
        leaf = "weight"
    elif leaf == "beta":
        leaf = "bias"
    elif leaf != "bias":
        raise CheckpointError(
            f"the weight {name} is of no kind that is known",
            where=where,
            expected="a kernel, bias, gamma, beta or a table of embeddings",
            remedy="save the model again, with its save_pretrained",
        )
    return ".".join([*parts, leaf]).replace("_._", ".")


def to_h5_name(name: str) -> str:
    """The weight's name below the model's, from PyTorch's; the inverse of `to_torch_name`."""
    parts = []
    for part in name.split("."):
        if part.isdigit():
            parts[-1] += f"_._{part}"
        else:
            parts.append(part)
    *parts, leaf = parts
    if parts[-1] in _NORMS:
        leaf = {"weight": "gamma", "bias": "beta"}[leaf]
    elif leaf == "weight":
        leaf = "weight" if parts[-1] == _WORD else "embeddings" if parts[-1] in _TABLES else "kernel"
    return f"{'/'.join([*parts, leaf])}:0"


def _oriented(h5_name, array):
    return array.T if h5_name.endswith(_KERNEL) else array


def _with_repeated(tensors, base):
    bias, live = _ALBERT_BIAS
    return {**tensors, live: tensors[bias]} if base == "albert" and bias in tensors else tensors


def _add(tensors, name, array, path):
    if name in tensors and not np.array_equal(tensors[name], array):
        raise CheckpointError(
            f"{name} is there twice and differs, by up to {np.max(np.abs(tensors[name] - array)):.3g}",
            where=path,
            expected="copies that are equal",
            remedy="say which is meant: --keep_tied=embeddings, or head for the head's copy",
        )
    tensors[name] = array
