"""What a model gives for each row: sorted by length, in batches; evaluation and `predict` have it from here."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from electra_tf.errors import CheckpointError
from electra_tf.finetuning.batching import Rows


def traced(function: Callable, eager: bool = False) -> Callable:
    """Of a function of a batch: (signature of the batches) to the function as one graph for batches of any length."""
    known = {}

    def of(signature):
        key = tuple((name, signature[name]) for name in sorted(signature))
        if key not in known:
            graph = tf.function(function, input_signature=[signature], autograph=False)
            known[key] = function if eager else graph
        return known[key]

    return of


def outputs_of(model: Callable, rows: Rows, batch_size: int) -> list:
    """What the model gives for each row, as numpy arrays in the order of the rows, which are computed sorted by length.

    Args:
        model: as `traced` makes it, a batch to its outputs: tensors whose first axis is the row, or None, in a tuple or
            dictionary perhaps.
        batch_size: rows of a call; the last is filled up.

    Raises: `CheckpointError` where an output is no number.
    """
    if not len(rows):
        return []
    model = model(rows.signature(batch_size))
    order = np.argsort(rows.sizes, kind="stable")
    found = [None] * len(rows)
    for first in range(0, len(order), batch_size):
        some = order[first : first + batch_size]
        batch = rows.batch(np.resize(some, batch_size), rows.length_of(some))
        outputs = model({name: tf.constant(array) for name, array in batch.items()})
        outputs = tf.nest.map_structure(lambda x: None if x is None else x.numpy(), outputs)
        if any(x is not None and np.isnan(x).any() for x in tf.nest.flatten(outputs)):
            raise CheckpointError(
                "the model's answers are not numbers (NaN)",
                where=f"row {some[0] + 1} and those beside it",
                expected="weights that are finite",
                remedy="look at the checkpoint: its training may have diverged, or its file be damaged",
            )
        for place, row in enumerate(some):
            found[row] = tf.nest.map_structure(lambda x, at=place: None if x is None else x[at], outputs)
    return found
