"""Held-out examples in batches of one shape, so that an evaluation is compiled once."""

from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf


def batched(arrays: Mapping[str, np.ndarray], rows: int) -> Iterator[dict[str, tf.Tensor]]:
    """Batches of `rows` rows in order, the last filled up with zeros: rows without a real token do not count."""
    count = len(next(iter(arrays.values())))
    for first in range(0, count, rows):
        yield {name: tf.constant(_filled_up(array[first : first + rows], rows)) for name, array in arrays.items()}


def _filled_up(array, rows):
    return np.pad(array, [(0, rows - len(array)), *[(0, 0)] * (array.ndim - 1)])
