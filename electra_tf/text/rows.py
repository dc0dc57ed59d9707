"""The ids of many lines as one array, and where each line begins in it."""

from collections.abc import Sequence

import numpy as np


def flatten(rows: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Lists of ids as one int32 array and its int64 row splits."""
    splits = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) for row in rows], out=splits[1:])
    ids = np.fromiter((i for row in rows for i in row), np.int32, count=int(splits[-1]))
    return ids, splits


def replace_rows(ids, splits, rows, replacements):
    """Ids and row splits with the rows `rows` (ascending) replaced by other ids."""
    if not len(rows):
        return ids, splits
    pieces, done = [], 0
    for row, replacement in zip(rows, replacements, strict=True):
        pieces += [ids[done : splits[row]], np.asarray(replacement, np.int32)]
        done = splits[row + 1]
    lengths = np.diff(splits)
    lengths[rows] = [len(replacement) for replacement in replacements]
    return np.concatenate([*pieces, ids[done:]]), np.concatenate([[0], np.cumsum(lengths)])
