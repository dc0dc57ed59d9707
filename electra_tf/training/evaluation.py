"""Held-out examples in batches of one shape, so that an evaluation is compiled once, with what is random drawn once."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import tensorflow as tf

DRAWN_AT_ONCE = 64  # rows


def drawn_once(arrays: Mapping[str, np.ndarray], draw: Callable, rows: int):
    """What `draw(batch, number)` makes of all examples: tensors or structures of them, as arrays of a row each.

    It is given blocks of `rows`, `DRAWN_AT_ONCE`, so that what an example gets depends on no run's batch size.
    """
    blocks = [draw(batch, number) for number, batch in enumerate(batched(arrays, rows))]
    count = len(next(iter(arrays.values())))
    return tf.nest.map_structure(lambda *parts: np.concatenate(parts)[:count], *blocks)


def batched(arrays, rows: int) -> Iterator:
    """Batches of `rows` rows in order, the last filled up with zeros: rows without a real token do not count.

    `arrays`: a structure of arrays that have a row for each example; a batch is such a structure of tensors.
    """
    for first in range(0, len(tf.nest.flatten(arrays)[0]), rows):
        batch = tf.nest.map_structure(lambda array: _filled_up(array[first : first + rows], rows), arrays)  # noqa: B023
        yield tf.nest.map_structure(tf.constant, batch)


def _filled_up(array, rows):
    return np.pad(array, [(0, rows - len(array)), *[(0, 0)] * (array.ndim - 1)])
