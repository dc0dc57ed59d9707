"""`tf_model.h5`, as transformers' TensorFlow classes wrote it, read and written with h5py alone.

It holds what a PyTorch state dictionary holds, under names that follow from PyTorch's by rule (kernels are [in, out]):

    electra.encoder.layer.3.output.dense.weight
    /electra/tf_electra_model/electra/encoder/layer_._3/output/dense/kernel:0
     (layer) (the class)     (the weight)
"""

import io
import re
from collections.abc import Mapping
from contextlib import contextmanager

import numpy as np

from electra_tf.errors import CheckpointError

_ATTRIBUTE_BYTES = 64_000  # HDF5 allows 64 KB; Keras splits longer lists of names
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
    with _opened(path) as datasets:
        for name, dataset in datasets:
            ours, in_head = to_torch_name(name, path), dataset.name.split("/")[1] in _HEADS_WITH_EMBEDDINGS
            if ours not in tensors or keep_tied is None:
                _add(tensors, ours, _oriented(name, dataset[()]), path)
            elif in_head == (keep_tied == "head"):
                tensors[ours] = _oriented(name, dataset[()])
    return tensors


def read_h5_shapes(path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """(NumPy type's name, shape) of every weight as `read_h5` gives it; numbers stay unread. Raises as `read_h5`."""
    with _opened(path) as datasets:
        return {
            to_torch_name(name, path): (d.dtype.name, d.shape[::-1] if name.endswith(_KERNEL) else d.shape)
            for name, d in datasets
        }


@contextmanager
def _opened(path):
    """(name, dataset) of every weight that is listed."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield list(_listed(file, path))
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise _damaged(path, f"the file cannot be read ({error})") from error


def _listed(file, path):
    import h5py

    listed, found = set(), []
    for layer in _names(file, "layer_names", path):
        if layer not in file:
            raise _damaged(path, f"the layer {layer} is listed and not there")
        for name in _names(file[layer], "weight_names", path):
            if name not in file[layer]:
                raise _damaged(path, f"the weight {layer}/{name} is listed and not there")
            listed.add(f"{layer}/{name}")
            yield name, file[layer][name]
    file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    if others := sorted(set(found) - listed):
        raise _damaged(path, f"{len(others)} weights are there and not listed, {others[0]} among them")


def write_h5(path, tensors: Mapping[str, np.ndarray], model_class: str) -> None:
    """Writes weights by their PyTorch names, as the TensorFlow counterpart of `model_class` would. `OSError` passes."""
    import h5py

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
    content = io.BytesIO()  # HDF5 does not survive a disk that fills up while it writes
    with h5py.File(content, "w") as file:
        file.attrs["backend"], file.attrs["keras_version"] = "tensorflow", "2.20.0"
        _write_names(file, "layer_names", list(layers))
        for layer, weights in layers.items():
            group = file.create_group(layer)
            _write_names(group, "weight_names", list(weights))
            for name, array in weights.items():
                group.create_dataset(name, data=np.ascontiguousarray(array))
        file.create_group("top_level_model_weights").attrs["weight_names"] = np.zeros(0)
    with open(path, "wb") as file:
        file.write(content.getbuffer())


def to_torch_name(name: str, where=None) -> str:
    """PyTorch's name of a weight called `model/...:0`. Raises: `CheckpointError` for an ending that is not Keras'."""
    *parts, leaf = name.removesuffix(":0").split("/")[1:]
    parent = parts[-1] if parts else ""
    if leaf in ("kernel", "gamma", "weight") or (leaf == "embeddings" and parent in (*_TABLES, _WORD)):
        leaf = "weight"
    elif leaf == "beta":
        leaf = "bias"
    elif leaf != "bias":
        raise CheckpointError(f"the weight {name} is of no kind that is known", where=where)
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


def _names(group, attribute, path):
    """A list of names, which Keras splits where it is long."""
    if attribute in group.attrs:
        values = list(group.attrs[attribute])
    else:
        parts, values = 0, []
        while f"{attribute}{parts}" in group.attrs:
            values += list(group.attrs[f"{attribute}{parts}"])
            parts += 1
        if not parts:
            raise _damaged(path, f"{group.name} has no attribute {attribute}")
    return [value.decode("utf-8") if isinstance(value, bytes) else str(value) for value in values]


def _write_names(group, attribute, names):
    chunks, size = [[]], 0
    for name in names:
        if size + len(name) + 16 > _ATTRIBUTE_BYTES:
            chunks.append([])
            size = 0
        chunks[-1].append(name)
        size += len(name) + 16
    if len(chunks) == 1:
        group.attrs[attribute] = chunks[0]
    else:
        for number, chunk in enumerate(chunks):
            group.attrs[f"{attribute}{number}"] = chunk


def _damaged(path, found):
    return CheckpointError(
        found,
        where=path,
        expected="a whole tf_model.h5 of transformers 4",
        remedy="copy it again from where it came from, or convert the model's PyTorch weights",
    )
