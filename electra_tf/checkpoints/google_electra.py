"""Checkpoints of Google's ELECTRA code (TF-V1): both towers in one file, with Adam's slots and the step."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from electra_tf.checkpoints.config_from_shapes import check_told
from electra_tf.checkpoints.containers.tf1_bundle import find_prefix, read_variables
from electra_tf.checkpoints.google_layout import Layout, layout
from electra_tf.checkpoints.google_slots import SLOTS, is_weight, read_global_step, save_variables, usual_heads
from electra_tf.checkpoints.translation import translate
from electra_tf.models.config import EncoderConfig


@dataclass(frozen=True)
class Tf1Checkpoint:
    """A TF-V1 ELECTRA checkpoint under our names (see `names`).

    Attributes:
        weights: every weight.
        slots_m, slots_v: Adam's moments by the names of their weights; empty where the file has none.
        step: `global_step`, or None.
        configs: the configuration of each tower of `layout`.
        layout: towers, heads and what is shared, as the tensors tell.
    """

    weights: dict[str, np.ndarray]
    slots_m: dict[str, np.ndarray]
    slots_v: dict[str, np.ndarray]
    step: int | None
    configs: dict[str, EncoderConfig]
    layout: Layout

    @property
    def discriminator(self) -> EncoderConfig | None:
        """Its configuration; None: a masked-LM run left its encoder, a generator, alone."""
        return self.configs.get("discriminator")

    @property
    def generator(self) -> EncoderConfig | None:
        """Its configuration; None: the model sampled uniformly, by two towers, or is fine-tuned."""
        return self.configs.get("discriminator" if self.layout.sharing == "encoder" else "generator")

    @property
    def sharing(self) -> str:
        """What of the embeddings is shared, see `Layout`."""
        return self.layout.sharing


def read_tf1(
    path,
    discriminator: Mapping | None = None,
    generator: Mapping | None = None,
    *,
    settings: Mapping[str, Mapping] | None = None,
) -> Tf1Checkpoint:
    """Reads a whole checkpoint.

    Args:
        path: its prefix, its index file, or a folder that holds one.
        discriminator, generator: fields of each tower's `EncoderConfig` that tensors do not tell. Without
            them heads are `max(1, hidden_size // 64)`, as the original sets them, and the rest is default.
        settings: the same by the name of the tower, for any tower.

    Raises: `CheckpointError` for files that are damaged, tensors that do not fit, fields that contradict
    them, and models of other code.
    """
    settings, prefix = {"discriminator": discriminator, "generator": generator, **(settings or {})}, find_prefix(path)
    tensors = read_variables(prefix)
    weights = {name: array for name, array in tensors.items() if is_weight(name)}
    found = layout({name: array.shape for name, array in weights.items()}, "tf1", prefix)
    table = found.tensors()
    slots = [
        {name.removesuffix(kind): array for name, array in tensors.items() if name.endswith(kind)} for kind in SLOTS
    ]
    # The original makes no slots for a weight without a gradient; one slot alone is an error.
    moved = [tensor for tensor in table if any(name in slot for slot in slots for name in tensor.tf1)]
    step = read_global_step(tensors, prefix)
    if found.sharing == "encoder" and not settings["discriminator"]:  # one encoder is both towers
        settings["discriminator"] = settings["generator"]
    return Tf1Checkpoint(
        translate(weights, table, "tf1", "ours", prefix),
        *(translate(slot, moved, "tf1", "ours", prefix) for slot in slots),
        step,
        {tower: _config(fields, settings.get(tower), prefix) for tower, fields in found.towers.items()},
        found,
    )


def from_tf1(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Our weights from the original's, or slots by the names of their weights. Raises as `read_tf1`."""
    return translate(tensors, _layout(tensors, "tf1").tensors(), "tf1", "ours")


def to_tf1(weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The original's weights from ours, the inverse of `from_tf1`.

    Raises: `CheckpointError` for tensors that do not fit, and for towers that share the word table alone,
    which the original has no names for.
    """
    return translate(weights, _layout(weights, "ours").tensors(), "ours", "tf1")


def write_tf1(
    folder,
    weights: Mapping[str, np.ndarray],
    slots_m: Mapping[str, np.ndarray] | None = None,
    slots_v: Mapping[str, np.ndarray] | None = None,
    step: int | None = None,
) -> Path:
    """Writes a checkpoint as Google's code would, which its `tf.train.Saver` restores; it appears whole or not at all.

    Args:
        folder: may exist if it holds nothing but what was written here, which is replaced; see `output.Output`.
        weights: under our names, of both towers.
        slots_m, slots_v: Adam's moments by the names of their weights, or none.
        step: becomes `global_step`, or None.

    Returns: the prefix, `folder/model.ckpt`.

    Raises: `CheckpointError` for tensors that do not fit, `OutputError` when the folder cannot be written.
    """

    table = _layout(weights, "ours").tensors()
    return save_variables(folder, table, weights, slots_m, slots_v, step)


def _layout(tensors, world):
    return layout({name: array.shape for name, array in tensors.items()}, world)


def _config(fields, settings, where):
    settings = dict(settings or {})
    check_told(settings, fields, where)
    heads = {"num_attention_heads": usual_heads(fields["hidden_size"])}
    return EncoderConfig.from_dict(heads | settings | fields, where)
