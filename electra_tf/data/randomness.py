"""Randomness as a function: integers hashed from a seed and the names of what is drawn for.

Nothing is drawn from a generator with a state, so an order or a choice depends on nothing but these integers:
not on who computes it, when, or with which library version.
"""

import numpy as np

_GOLDEN = 0x9E3779B97F4A7C15


def keys(count: int, *stream: int) -> np.ndarray:
    """`count` uniform uint64 keys of the stream that integers name, such as (seed, unit, purpose)."""
    state = np.zeros(1, np.uint64)
    for name in stream:
        state = _mix(state + np.uint64(_GOLDEN * (name + 1) % 2**64))
    return _mix(state + np.uint64(_GOLDEN) * np.arange(1, count + 1, dtype=np.uint64))


def uniform(count: int, *stream: int) -> np.ndarray:
    """`count` float64 numbers in [0, 1)."""
    return (keys(count, *stream) >> np.uint64(11)) * 2.0**-53


def permutation(count: int, *stream: int) -> np.ndarray:
    """A permutation of 0 .. count - 1, int64."""
    return np.argsort(keys(count, *stream), kind="stable")


def _mix(x: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014), a bijection; arrays wrap around silently."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
