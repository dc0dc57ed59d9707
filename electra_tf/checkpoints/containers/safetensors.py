"""The safetensors format: a JSON header with types, shapes and places, then the bytes of each tensor."""

import hashlib
import json
import os
from collections.abc import Mapping
from math import prod
from operator import index
from typing import NamedTuple

import numpy as np

from electra_tf.errors import CheckpointError

_TYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
}
_TYPES |= {"I8": "int8", "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool"}
_CODES = {name: code for code, name in _TYPES.items()}


class Entry(NamedTuple):
    """A tensor as the header tells of it: a NumPy type's name, shape, first byte and end among the data."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_header(path) -> dict[str, Entry]:
    """Every tensor of a file, by name; its data stay unread.

    Raises: `CheckpointError` when the file cannot be read, is cut short, or its header contradicts itself
    or the file's size.
    """
    return _read_header(path)[0]


def read_tensors(path) -> dict[str, np.ndarray]:
    """Every tensor of a file, by name. Raises as `read_header`."""
    entries, start = _read_header(path)
    with open(path, "rb") as file:
        file.seek(start)
        return {
            name: np.fromfile(file, numpy_type(entry.dtype), prod(entry.shape)).reshape(entry.shape)
            for name, entry in sorted(entries.items(), key=lambda item: item[1].begin)
        }


def numpy_type(name: str) -> np.dtype:
    """NumPy's type of this name; `bfloat16` is not NumPy's own."""
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def write_tensors(path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None):
    """Writes a file, one tensor after another, so that no second copy of them is held.

    The same tensors give the same bytes. Returns: (size in bytes, SHA-256 in hexadecimal) of the file, which
    has reached the disk then. An `OSError` is passed on.
    """
    header, place = {"__metadata__": dict(metadata)} if metadata else {}, 0
    for name in sorted(tensors):
        array = tensors[name]
        header[name] = {"dtype": _CODES[str(array.dtype)], "shape": list(array.shape)}
        header[name]["data_offsets"] = [place, place + array.nbytes]
        place += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    digest, size = hashlib.sha256(), 0
    with open(path, "wb") as file:

        def write(part):
            nonlocal size
            file.write(part)
            digest.update(part)
            size += len(part)

        write(len(text).to_bytes(8, "little"))
        write(text)
        for name in sorted(tensors):
            write(np.ascontiguousarray(tensors[name]).tobytes())
        file.flush()
        os.fsync(file.fileno())
    return size, digest.hexdigest()


def _read_header(path):
    """Entries by name, and where the data start."""
    try:
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= size - 8:
                raise _damaged(path, f"the header should take {length} bytes of {size}")
            text = file.read(length)
    except OSError as error:
        raise CheckpointError(
            f"the file cannot be read: {error.strerror}", where=path, remedy="check that you may read it, and the disk"
        ) from error
    try:
        content = json.loads(text)
        content.pop("__metadata__", None)
        entries = {
            name: Entry(
                _TYPES.get(e["dtype"], e["dtype"]),
                tuple(map(index, e["shape"])),
                *map(index, e["data_offsets"]),
            )
            for name, e in content.items()
        }
        _check(entries, size - 8 - length, path)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _damaged(path, f"the header is not one of this format ({error})") from error
    return entries, 8 + length


def _check(entries, size, path):
    place = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.dtype not in _CODES:
            raise CheckpointError(
                f"{name} is of type {entry.dtype}",
                where=path,
                expected=f"one of {', '.join(_TYPES)}",
                remedy="convert it to float32 where it was made",
            )
        expected = prod(entry.shape) * numpy_type(entry.dtype).itemsize
        if entry.begin != place or entry.end != place + expected:
            raise _damaged(
                path,
                f"{name} of {entry.dtype} {list(entry.shape)} should be at bytes {entry.begin}-{entry.end}",
            )
        place = entry.end
    if place != size:
        raise _damaged(path, f"the header tells of {place} bytes of data, the file has {size}")


def _damaged(path, found):
    return CheckpointError(
        found,
        where=path,
        expected="a whole safetensors file",
        remedy="the file was damaged or cut short: copy it again from where it came from",
    )
