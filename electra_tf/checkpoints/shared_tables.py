"""Tables that the towers of a run share, or of which one keeps the difference from the other's, as each tower's own."""

import numpy as np


def sum_tables(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights with the tables that the discriminator computes with in the place of differences; others unchanged."""
    return {
        sum_of(name): weights[base_of(name)] + array if name.endswith("/delta") else array
        for name, array in weights.items()
    }


def split_tables(weights: dict[str, np.ndarray], names) -> dict[str, np.ndarray]:
    """The inverse: weights under `names`, of which those that end in `/delta` are differences."""
    return {
        name: weights[sum_of(name)] - weights[base_of(name)] if name.endswith("/delta") else weights[name]
        for name in names
    }


def sum_of(delta: str) -> str:
    """The name of the table of which `delta` is a part; other names as they are."""
    return f"{delta.removesuffix('/delta')}/embeddings" if delta.endswith("/delta") else delta


def base_of(delta: str) -> str:
    """The name of the table that `delta` is a difference from."""
    return sum_of(delta).replace("discriminator/", "generator/", 1)


def with_copies(weights: dict[str, np.ndarray], shared: dict[str, str]) -> dict[str, np.ndarray]:
    """Weights, and what a tower has from another under its own names, too."""
    found = dict(weights)
    for own, other in shared.items():
        copies = {own + name.removeprefix(other): array for name, array in weights.items() if name.startswith(other)}
        found = copies | found
    return found
