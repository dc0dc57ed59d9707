"""Every tower of a checkpoint of any format, for a run that starts from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from electra_tf.checkpoints.format_detection import recognise
from electra_tf.checkpoints.formats import FORMATS
from electra_tf.checkpoints.hub import located
from electra_tf.checkpoints.reading import read_model
from electra_tf.checkpoints.translation import with_tower_called
from electra_tf.models.config import EncoderConfig


class Tower(NamedTuple):
    """A tower of a checkpoint: its configuration, its weights and those of its heads under our names."""

    where: Path
    name: str
    config: EncoderConfig
    weights: Mapping[str, np.ndarray]
    tokenizer: Path | None

    def renamed(self, name: str) -> "Tower":
        """As a tower of another name."""
        return self._replace(name=name, weights=with_tower_called(self.weights, self.name, name))


def read_towers(path, settings: Mapping[str, Mapping] | None = None) -> dict[str, Tower]:
    """Every tower, by name; what a tower has from another is in both.

    Args:
        path: as in `read_model`. settings: by tower, fields of its configuration that a TF-V1 checkpoint does not tell.

    Raises: as `read_model`.
    """
    path = located(path)
    form = FORMATS.get(recognise(path))
    several = form and form.read_towers(path, settings)
    if not several:
        model = read_model(path)
        return {model.tower: Tower(path, model.tower, model.config, model.tower_weights(), model.tokenizer)}
    configs, heads, weights = several
    tokenizer = form.tokenizer(path)
    prefixes = {tower: (f"{tower}/", *(f"{head}/" for head in heads[tower])) for tower in configs}
    return {
        tower: Tower(
            path, tower, config, {n: a for n, a in weights.items() if n.startswith(prefixes[tower])}, tokenizer
        )
        for tower, config in configs.items()
    }


def read_slots(path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Both moments of a run's or a TF-V1 checkpoint's optimizer, by the names of their weights; empty for others."""
    path = located(path)
    form = FORMATS.get(recognise(path))
    return form.read_slots(path) if form else ({}, {})
