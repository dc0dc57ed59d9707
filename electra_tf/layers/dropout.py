"""Dropout whose bits are a function of (seed, site, global row, element) and of nothing else.

A mask drawn this way is the same however a batch is spread over devices and micro-batches, in eager mode, in a
graph and under XLA, and it needs no state. Without a seed the layer draws from a Keras `SeedGenerator`.
"""

import math

import keras
from keras import ops


def _int32(value: int) -> int:
    return value - (1 << 32) if value >= 1 << 31 else value


# Multipliers of a well-tested 32-bit finaliser; int32 products wrap around on every backend.
_FIRST, _SECOND = _int32(0x7FEB352D), _int32(0x846CA68B)
_GOLDEN = _int32(0x9E3779B9)


def _shift_right(x, bits: int):
    """Logical shift of int32, which Keras' backends shift arithmetically."""
    return ops.bitwise_and(ops.right_shift(x, bits), (1 << (32 - bits)) - 1)


def _mix(x):
    x = ops.bitwise_xor(x, _shift_right(x, 16)) * _FIRST
    x = ops.bitwise_xor(x, _shift_right(x, 15)) * _SECOND
    return ops.bitwise_xor(x, _shift_right(x, 16))


def fold_in(seed, number: int):
    """The seed of part `number`: `seed` is int32 [3], its third entry (the first global row) is kept."""
    words = _mix(ops.bitwise_xor(seed[:2], _int32((number + 1) * 0x9E3779B9 & 0xFFFFFFFF)))
    return ops.concatenate([words, seed[2:]])


def random_bits(seed, site: int, rows, elements):
    """Int32 random bits [rows, *elements] for the batch rows `seed[2] + 0 .. rows - 1`.

    Args:
        seed: int32 [3]: two words, and the global index of this batch's first row.
        site: which dropout of the layer this is.
        rows, elements: shape of the result; an element is known by its place among those of its row, whatever axes
            they have.
    """
    seed = fold_in(seed, site)
    row = ops.arange(rows, dtype="int32") + seed[2]
    key = _mix(_mix(row * _GOLDEN + seed[0]) + seed[1])
    element = _mix(ops.arange(math.prod(elements), dtype="int32") * _GOLDEN)
    return _mix(ops.bitwise_xor(ops.reshape(element, (1, *elements)), ops.reshape(key, (-1, *(1 for _ in elements)))))


def drop(x, seed, site: int, rate: float):
    """`x` [rows, ...] with a share `rate` of its entries set to zero, the others scaled by `1 / (1 - rate)`."""
    rows, *elements = ops.shape(x)
    keep = random_bits(seed, site, rows, elements) >= round((rate - 0.5) * 2**32)
    return ops.where(keep, x * (1 / (1 - rate)), ops.zeros((), x.dtype))


@keras.saving.register_keras_serializable("electra_tf")
class Dropout(keras.layers.Layer):
    """Inverted dropout.

    Args:
        rate: share of the entries set to zero, in [0, 1).

    Call arguments:
        x: tensor whose leading axis is the batch, or, with `rows`, the batch flattened with further axes.
        seed: int32 [3] (see `random_bits`), or None for Keras' own generator.
        site: number of this dropout within the part that `seed` belongs to.
        rows: how many batch rows `x` holds; by default its first dimension.

    Attributes:
        drop: how entries are dropped, `drop(x, seed, site, rate)`; training puts a compiled one here.
    """

    def __init__(self, rate: float, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate
        self.seed_generator = keras.random.SeedGenerator() if rate else None
        self.drop = drop
        self.built = True

    def call(self, x, training=False, seed=None, site: int = 0, rows=None):
        if not training or not self.rate:
            return x
        if seed is None:
            return keras.random.dropout(x, self.rate, seed=self.seed_generator)
        if rows is None:
            return self.drop(x, seed, site, self.rate)
        # Its axes stay apart: XLA would otherwise divide for each entry to find its place.
        shape = ops.shape(x)
        x = self.drop(ops.reshape(x, (rows, -1, *shape[1:])), seed, site, self.rate)
        return ops.reshape(x, shape)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate}
