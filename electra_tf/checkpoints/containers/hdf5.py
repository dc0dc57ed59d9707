"""Weights in HDF5 as Keras 2 wrote them: groups, one a layer, each with a list of its weights. `tf_model.h5` is one."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from electra_tf.checkpoints.containers.claims import check_claim
from electra_tf.errors import CheckpointError

_MOST_LINKS = 50_000  # a thousand blocks have 16,000 weights; each takes HDF5 a millisecond
_ATTRIBUTE_BYTES = 64_000  # HDF5 allows 64 KB; Keras splits longer lists of names


@contextmanager
def open_weights(path) -> Iterator[list]:
    """(name, HDF5's dataset, still unread) of every weight that is listed; `dataset.name` begins with its layer's.

    Raises: `CheckpointError` for a file that is damaged, that misses what it lists, or holds what it does not list.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield list(_listed(file, path, check_is_whole(file, path)))
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise _damaged(path, f"the file cannot be read ({error})") from error


def check_is_whole(file, path) -> dict:
    """Every dataset by its path. HDF5 may take bytes from any file of this machine, and claim what it does not hold.

    Args:
        file: as h5py has opened it. path: of the file, or of the archive that it is in.

    Raises: `CheckpointError` for a file that does.
    """
    import h5py

    claimed, names, datasets = 0, [], {}

    def visit(name):  # HDF5 does not bear errors in here: nothing is looked at yet
        names.append(name)
        return len(names) > _MOST_LINKS or None

    if file.visit_links(visit):
        raise _damaged(path, f"it holds more than {_MOST_LINKS:,} weights and groups")
    for name in names:
        if not isinstance(link := file.get(name, getlink=True), h5py.HardLink):
            raise _damaged(path, f"{name} is a link to {getattr(link, 'filename', link.path)}")
        if isinstance(item := file[name], h5py.Dataset):
            if item.external or item.is_virtual:
                raise _damaged(path, f"the numbers of {name} are in other files")
            claimed, datasets[name] = claimed + item.nbytes, item
    check_claim(claimed, path)
    return datasets


def _listed(file, path, datasets):
    listed = set()
    for layer in _names(file, "layer_names", path):
        if layer not in file:
            raise _damaged(path, f"the layer {layer} is listed and not there")
        for name in _names(file[layer], "weight_names", path):
            if f"{layer}/{name}" not in datasets:
                raise _damaged(path, f"the weight {layer}/{name} is listed and not there")
            listed.add(f"{layer}/{name}")
            yield name, datasets[f"{layer}/{name}"]
    if others := sorted(datasets.keys() - listed):
        raise _damaged(path, f"{len(others)} weights are there and not listed, {others[0]} among them")


def write_weights(path, layers: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Writes weights by their names in each layer. An `OSError` is passed on."""
    import h5py

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
        expected="a whole file as Keras wrote it, such as tf_model.h5 of transformers 4",
        remedy="copy it again from where it came from, or convert the model's PyTorch weights",
    )
