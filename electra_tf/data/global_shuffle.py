"""A global shuffle in bounded memory: what the builder keeps between its passes, a unit's examples by random keys.

Keys are uniform, so the examples of a shard, a range of keys, are one slice of every part: a shard is
gathered without reading more than itself, and its order is a global shuffle.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from electra_tf.data.examples import Examples
from electra_tf.files import replaced

_COLUMNS = np.dtype([("key", "<u8"), ("end", "<u4"), ("first", "<u4"), ("label", "u1")])


def write_part(path: Path, examples: Examples, keys: np.ndarray, *, vocabulary_size: int) -> None:
    """Writes examples, sorted by `keys` (uint64), as a whole or not at all."""
    order = np.argsort(keys, kind="stable")
    total = examples.total[order]
    starts = (np.cumsum(examples.total) - examples.total)[order]
    columns = np.empty(len(order), _COLUMNS)
    columns["key"], columns["end"], columns["first"] = keys[order], np.cumsum(total), examples.first[order]
    columns["label"] = 0 if examples.labels is None else examples.labels[order]
    ids = examples.ids[_ranges(starts, total)]
    with replaced(path, synced=False) as aside, open(aside, "wb") as file:  # its checksum stands in the unit's record
        file.write(len(order).to_bytes(8, "little"))
        file.write(columns.tobytes())
        file.write(ids.astype(_id_type(vocabulary_size)).tobytes())


def gather(parts: Sequence[Path], first: int, last: int, *, vocabulary_size: int) -> Examples:
    """The examples of all parts with keys from `first` to `last`, inclusive, in the order of their keys.

    Where no labels were given to a part, they are 0.
    """
    slices = [_read(part, first, last, _id_type(vocabulary_size)) for part in parts]
    columns = np.concatenate([columns for columns, _, _ in slices])
    total = np.concatenate([total for _, total, _ in slices])
    ids = np.concatenate([ids for _, _, ids in slices])
    order = np.argsort(columns["key"], kind="stable")
    starts = (np.cumsum(total) - total)[order]
    ids = ids[_ranges(starts, total[order])]
    return Examples(ids, columns["first"][order].astype(np.int64), total[order], columns["label"][order])


def _read(path, first, last, id_type):
    with open(path, "rb") as file:
        count = int.from_bytes(file.read(8), "little")
    # An empty file region cannot be mapped.
    shape = {"mode": "r", "offset": 8, "shape": (count,), "dtype": _COLUMNS}
    columns = np.memmap(path, **shape) if count else np.empty(0, _COLUMNS)
    low = int(np.searchsorted(columns["key"], np.uint64(first), side="left"))
    high = int(np.searchsorted(columns["key"], np.uint64(last), side="right"))
    ends = np.concatenate([[columns["end"][low - 1] if low else 0], columns["end"][low:high]]).astype(np.int64)
    tokens = int(ends[-1] - ends[0])
    at = 8 + count * _COLUMNS.itemsize + int(ends[0]) * np.dtype(id_type).itemsize
    ids = np.fromfile(path, id_type, tokens, offset=at)
    return np.array(columns[low:high]), np.diff(ends), ids


def _id_type(vocabulary_size: int) -> str:
    return "<u2" if vocabulary_size <= 1 << 16 else "<u4"


def _ranges(starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """starts[0], starts[0] + 1, ... (sizes[0] numbers), starts[1], ..."""
    return np.arange(sizes.sum()) + np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)
