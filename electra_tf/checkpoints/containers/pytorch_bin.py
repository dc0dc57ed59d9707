"""`pytorch_model.bin` without running what is pickled in it: only tensors and dictionaries are understood. What else a
training program saved beside them, such as settings as objects of its own, is passed over.

Both formats of `torch.save` are read: the zip archive (PyTorch 1.6 and later) and the five pickles in a row before it.
"""

import errno
import lzma
import os
import pickle
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import contextmanager
from io import BytesIO
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

from electra_tf.checkpoints.containers.claims import check_claim
from electra_tf.checkpoints.containers.safetensors import numpy_type
from electra_tf.errors import CheckpointError, DependencyError

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_TYPES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}


class _Storage(NamedTuple):
    """A run of numbers in the file, before it is read."""

    dtype: np.dtype
    key: str
    size: int


class _View(NamedTuple):
    """A tensor: part of a storage, in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_bin(path) -> dict[str, np.ndarray]:
    """Every tensor of a state dictionary, by name; one that is nested, as under `state_dict`, is found.

    Tensors that share a storage, or are strided views of one, come as arrays of their own.

    Raises: `CheckpointError` for a file that is damaged, that would run code when unpickled, or holds something else.
    """
    with _opened(path) as (content, load):
        read = {}
        return {name: _array(view, read, load, path) for name, view in _state(content, path).items()}


def read_bin_shapes(path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """(NumPy type's name, shape) of every tensor; its numbers stay unread. Raises as `read_bin`."""
    with _opened(path) as (content, _):
        return {name: (v.storage.dtype.name, v.shape) for name, v in _state(content, path).items()}


def is_nested(path) -> bool:
    """Whether the state dictionary is within another, beside what else a training program saves."""
    with _opened(path) as (content, _):
        return _state(content, path) is not content


def write_bin(path, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes a state dictionary with `torch.save`. An `OSError` is passed on.

    Raises: `DependencyError` without torch.
    """
    try:
        import torch
    except ImportError as error:
        raise DependencyError(
            "writing pytorch_model.bin needs PyTorch",
            where=path,
            remedy="pip install torch, or write safetensors instead",
        ) from error
    content = OrderedDict((name, _to_torch(torch, array)) for name, array in sorted(tensors.items()))
    try:
        torch.save(content, path)
    except RuntimeError as error:  # what PyTorch makes of a full disk
        raise OSError(errno.ENOSPC, "PyTorch could not write it, for which it gives no reason") from error


def _to_torch(torch, array):
    array = np.array(array, order="C")
    if array.dtype == numpy_type("bfloat16"):
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


@contextmanager
def _opened(path):
    """(what was unpickled, how a storage's bytes are read by its key) of either format."""
    path = Path(path)
    try:
        with open(path, "rb") as file:
            start = file.read(2)
            if not start:
                raise _damaged(path, "the file is empty")
            file.seek(0)
            if start != b"PK":
                yield _legacy(file, path)
                return
            with zipfile.ZipFile(file) as archive:
                check_claim(sum(member.file_size for member in archive.infolist()), path)
                yield _zipped(archive, path)
    except OSError as error:
        raise CheckpointError(
            f"the file cannot be read: {error.strerror or error}",
            where=path,
            remedy="check that you may read it, and the disk",
        ) from error
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, KeyError, EOFError, NotImplementedError) as error:
        raise _damaged(path, f"the archive cannot be read ({error})") from error


def _zipped(archive, path):
    names = archive.namelist()
    pickled = next((name for name in names if name.endswith("/data.pkl")), None)
    if pickled is None:
        raise _damaged(path, "the archive holds no data.pkl")
    folder = pickled.removesuffix("data.pkl")
    order = archive.read(f"{folder}byteorder") if f"{folder}byteorder" in names else b"little"
    if order != b"little":
        raise CheckpointError(
            f"the numbers are {order.decode(errors='replace')}-endian",
            where=path,
            expected="little",
            remedy="save it again on a little-endian machine",
        )
    content = _load(_Unpickler(BytesIO(archive.read(pickled)), path), path)
    return content, lambda key: archive.read(f"{folder}data/{key}")


def _legacy(file, path):
    """Magic number, protocol, system, state dictionary, keys; then each storage: its size and its numbers."""
    unpicklers = [_Unpickler(file, path) for _ in range(5)]
    if _load(unpicklers[0], path) != _LEGACY_MAGIC:
        raise _damaged(path, "the file is not one of torch.save")
    _, _, state, keys = (_load(unpickler, path) for unpickler in unpicklers[1:])
    sizes, places = {storage.key: storage for storage in unpicklers[3].storages}, {}
    for key in keys:
        if key not in sizes:
            raise _damaged(path, f"storage {key} belongs to no tensor")
        if file.read(8) != sizes[key].size.to_bytes(8, "little"):
            raise _damaged(path, f"storage {key} is not where it should be")
        places[key] = file.tell(), sizes[key].size * sizes[key].dtype.itemsize
        file.seek(places[key][1], os.SEEK_CUR)

    def load(key):
        place, size = places[key]
        file.seek(place)
        return file.read(size)

    return state, load


# Where training programs put a state dictionary that they save with other things.
_NESTED = ("state_dict", "model_state_dict", "model", "module")


def _state(content, path):
    """The tensors of what was unpickled, by name."""
    nested = [value for name, value in content.items() if name in _NESTED] if isinstance(content, dict) else []
    if len(nested) == 1 and isinstance(nested[0], dict):
        content = nested[0]
    called = next((v.called for v in (content, *_values(content)) if isinstance(v, _Foreign)), None)
    if called is not None:
        raise CheckpointError(
            f"the file would call {called} when unpickled",
            where=path,
            expected="tensors and dictionaries alone",
            remedy="do not open it with torch.load either, unless you trust who made it; ask for safetensors",
        )
    if not isinstance(content, dict):
        raise CheckpointError(
            f"the file holds a {type(content).__name__}",
            where=path,
            expected="a state dictionary",
            remedy="save it again, with torch.save(model.state_dict(), ...)",
        )
    others = [str(name) for name, value in content.items() if not isinstance(value, _View)]
    if others or not content:
        found = f"the dictionary holds what is no tensor: {', '.join(sorted(others)[:5])}" if others else "no tensors"
        raise CheckpointError(
            found,
            where=path,
            expected="a state dictionary: tensors by name",
            remedy="save it again, with torch.save(model.state_dict(), ...)",
        )
    # A stride of 0 makes any number of one; tied tensors are one storage.
    check_claim(sum(view.storage.dtype.itemsize * prod(map(abs, view.shape)) for view in content.values()), path)
    return content


def _values(content):
    return content.values() if isinstance(content, dict) else ()


def _array(view, read, load, path):
    """The tensor's numbers; `read` keeps the storages."""
    storage = view.storage
    if storage.key not in read:
        data = load(storage.key)
        if len(data) != storage.size * storage.dtype.itemsize:
            raise _damaged(path, f"storage {storage.key} has {len(data)} bytes for {storage.size} {storage.dtype}")
        read[storage.key] = np.frombuffer(data, storage.dtype)
    numbers, item = read[storage.key], storage.dtype.itemsize
    if min((view.offset, *view.shape, *view.strides), default=0) < 0 or len(view.shape) != len(view.strides):
        raise _damaged(path, f"a tensor of shape {view.shape} has strides {view.strides}")
    last = view.offset + sum((n - 1) * stride for n, stride in zip(view.shape, view.strides, strict=True))
    if prod(view.shape) and last >= storage.size:
        raise _damaged(path, f"a tensor of shape {view.shape} reaches beyond its {storage.size} numbers")
    strides = tuple(item * stride for stride in view.strides)
    return np.lib.stride_tricks.as_strided(numbers[view.offset :], view.shape, strides).copy()


def _rebuild_tensor(storage, offset, shape, strides, _requires_grad=False, _hooks=None, metadata=None):
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError("a tensor without a storage")
    if metadata:  # such as the negative bit, by which its numbers are others than those stored
        raise pickle.UnpicklingError(f"a tensor with {', '.join(map(str, metadata))}")
    return _View(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


def _rebuild_parameter(view, *_):
    return view


_ALLOWED = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
}


class _Foreign:
    """Stands for whatever else a pickle calls or makes, under the name that `called` gives; nothing of it is run."""

    called: str

    def __new__(cls, *_, **__):
        return object.__new__(cls)

    def _ignored(self, *_, **__):
        pass

    __init__ = __call__ = __setstate__ = __setitem__ = append = extend = add = _ignored


class _Unpickler(pickle.Unpickler):
    """Finds nothing but what a state dictionary needs."""

    def __init__(self, file, path):
        super().__init__(file, encoding="utf-8")
        self.path, self.storages = path, []

    def find_class(self, module, name):
        if module == "torch" and name in _TYPES:
            return name
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        return type(name, (_Foreign,), {"called": f"{module}.{name}"})

    def persistent_load(self, content):
        kind, storage_type, key, _, size, *_ = content
        if kind != "storage" or storage_type not in _TYPES:
            raise pickle.UnpicklingError(f"a {kind} of {storage_type}")
        self.storages.append(_Storage(numpy_type(_TYPES[storage_type]), str(key), int(size)))
        return self.storages[-1]


def _load(unpickler, path):
    try:
        return unpickler.load()
    except CheckpointError:
        raise
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to ask for
        raise _damaged(path, f"the pickle cannot be read ({error})") from error


def _damaged(path, found):
    return CheckpointError(
        found,
        where=path,
        expected="a whole pytorch_model.bin",
        remedy="the file was damaged or cut short: copy it again from where it came from",
    )
