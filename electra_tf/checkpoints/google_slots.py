"""What Google's code keeps beside weights (slots, the step), and what it always computes; names: `weight_names.py`."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from electra_tf.checkpoints.containers.tf1_bundle import find_prefix, read_variables, write_variables
from electra_tf.checkpoints.translation import translate
from electra_tf.checkpoints.weight_names import Tensor
from electra_tf.errors import CheckpointError, ConfigError
from electra_tf.models.config import EncoderConfig

SLOTS = ("/adam_m", "/adam_v")
# Variables of the originals' optimizers and graphs that are no weights.
_IGNORED = re.compile(r"global_step|temperature|AdamWeightDecayOptimizer.*|.*/(adam|lamb)_[mv]")


def is_weight(name: str) -> bool:
    """Whether a variable of the original's is a weight, and no slot, step or the like."""
    return not _IGNORED.fullmatch(name)


def read_step(path) -> int | None:
    """`global_step`, or None where the checkpoint has none. Raises: `CheckpointError`."""
    prefix = find_prefix(path)
    return read_global_step(read_variables(prefix, "global_step"), prefix)


def read_global_step(tensors: Mapping[str, np.ndarray], where=None) -> int | None:
    """`global_step` among variables, or None. Raises: `CheckpointError` where it is no whole number."""
    step = tensors.get("global_step")
    if step is not None and (step.shape or step.dtype.kind not in "iu"):
        raise CheckpointError(
            f"global_step is {step.dtype} {list(step.shape)}",
            where=where,
            expected="a whole number",
            remedy="copy the checkpoint again",
        )
    return None if step is None else int(step)


def save_variables(folder, table: list[Tensor], weights, slots_m=None, slots_v=None, step=None, beside=None) -> Path:
    """Writes a model with the tensors of `table`, its slots and its step; `beside` as in `write_variables`."""
    tensors = translate(weights, table, "ours", "tf1", folder)
    for kind, slots in zip(SLOTS, (slots_m or {}, slots_v or {}), strict=True):
        moved = translate(slots, [tensor for tensor in table if tensor.ours in slots], "ours", "tf1", folder)
        tensors |= {name + kind: array for name, array in moved.items()}
    if step is not None:
        tensors["global_step"] = np.int64(step)
    return write_variables(folder, tensors, beside)


def check_epsilon(config: EncoderConfig) -> None:
    """Raises `ConfigError` for another epsilon of layer norms than the originals', which TF-V1 has no place for."""
    if config.layer_norm_eps != 1e-12:
        raise ConfigError(
            f"layer_norm_eps is {config.layer_norm_eps}",
            where="--to tf1",
            expected="1e-12, which Google's code computes",
            remedy="write it in another format",
        )


def usual_heads(hidden_size: int) -> int:
    """The number of attention heads that Google's code takes for a width where nobody says."""
    return max(1, hidden_size // 64)
