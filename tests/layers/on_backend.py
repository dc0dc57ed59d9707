"""Runs every layer on the Keras backend of this process and saves what it computes: `on_backend.py OUT.npz`."""

import sys

import numpy as np
from keras import ops
from layer_cases import CASES, HIDDEN_STATES, filled

from electra_tf.layers.dropout import Dropout, fold_in, random_bits

SEED = np.array([12345, -678, 9], "int32")


def results() -> dict[str, np.ndarray]:
    """The output of every case, and dropout's bits."""
    found = {name: filled(case.make())(*map(ops.convert_to_tensor, case.inputs)) for name, case in CASES.items()}
    seed = ops.convert_to_tensor(SEED)
    found["bits"] = random_bits(fold_in(seed, 7), 2, 5, (10, 100))
    found["dropped"] = Dropout(0.4)(ops.convert_to_tensor(HIDDEN_STATES), training=True, seed=seed, site=1)
    return {name: ops.convert_to_numpy(value) for name, value in found.items()}


if __name__ == "__main__":
    np.savez(sys.argv[1], **results(), tensorflow_is_loaded="tensorflow" in sys.modules)
