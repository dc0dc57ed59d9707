"""Tensors from one world of names to another, strictly: each is used once, all that is wrong is listed."""

from collections.abc import Mapping

import numpy as np

from electra_tf.checkpoints.weight_names import Tensor
from electra_tf.errors import CheckpointError

_SHOWN = 40  # of the tensors that do not fit


def translate(tensors: Mapping[str, np.ndarray], table: list[Tensor], source: str, target: str, where=None) -> dict:
    """The same tensors in another world, bit for bit (float64 as float32); transposed ones are views of those given.

    Args:
        tensors: arrays by their names in the world `source`.
        table: every tensor that must be there.
        source, target: `ours`, `tf1` or `torch`, see `names`.
        where: the file, for errors.

    Raises: `CheckpointError` listing the tensors that are missing, unexpected or of another shape.
    """
    left, result, problems = dict(tensors), {}, []
    for tensor in table:
        shape, parts = tensor.shape(source), []
        problems += [f"no name     {tensor.ours} in {world}" for world in (source, target) if not tensor.names(world)]
        for name in tensor.names(source):
            part = left.pop(name, None)
            if part is None:
                problems.append(f"missing     {name} {list(shape)}")
            elif part.shape != shape:
                problems.append(f"shape       {name} is {list(part.shape)}, expected {list(shape)}")
            else:
                parts.append(part)
        if parts and len(parts) == len(tensor.names(source)) and tensor.names(target):
            result |= _reshaped(tensor, parts, source, target)
    problems += [f"unexpected  {name} {list(array.shape)}" for name, array in sorted(left.items())]
    problems += [f"type        {n} is {a.dtype}" for n, a in sorted(tensors.items()) if a.dtype.kind not in "fV"]
    if problems:
        more = [f"and {len(problems) - _SHOWN:,} more"] if len(problems) > _SHOWN else []
        raise CheckpointError(
            "\n    ".join([f"{len(problems):,} tensors do not fit:", *problems[:_SHOWN], *more]),
            where=where,
            expected=f"exactly the {sum(len(tensor.names(source)) for tensor in table)} tensors of the model",
            remedy="name the checkpoint of such a model, or correct the configuration beside it",
        )
    return {name: _as_float32(name, a, where) if a.dtype == np.float64 else a for name, a in result.items()}


def _as_float32(name, array, where):
    with np.errstate(over="ignore"):
        narrow = array.astype("float32")
    if not np.isfinite(narrow[np.isfinite(array)]).all():
        raise CheckpointError(
            f"{name} has numbers up to {np.abs(array[np.isfinite(array)]).max():.3g}",
            where=where,
            expected="numbers that float32 holds, in which models are kept",
            remedy="look how the checkpoint was made: no trained weight is so large",
        )
    return narrow


def _reshaped(tensor, parts, source, target):
    """One weight, given in the world `source`, under its names in `target`."""
    names = tensor.names(target)
    if source in tensor.turned:
        parts = [part.T for part in parts]
    if len(parts) < len(names):
        parts = np.split(parts[0], len(names), axis=-1)
    elif len(parts) > len(names):
        parts = [np.concatenate(parts, axis=-1)]
    if target in tensor.turned:
        parts = [part.T for part in parts]
    return dict(zip(names, parts, strict=True))


def tower_weights(weights: Mapping[str, np.ndarray], tower: str) -> dict[str, np.ndarray]:
    """One tower and its head out of both; what the generator shares is put under its own name."""
    prefixes = {
        "discriminator": ("discriminator/", "replaced_token/"),
        "generator": ("generator/", "masked_lm/"),
    }
    found = {name: array for name, array in weights.items() if name.startswith(prefixes[tower])}
    if tower == "generator":
        shared = "discriminator/embeddings/"
        for name, array in weights.items():
            if name.startswith(shared):
                found.setdefault("generator/embeddings/" + name.removeprefix(shared), array)
    return found


def with_tower_called(weights: Mapping[str, np.ndarray], old: str, new: str) -> dict[str, np.ndarray]:
    """The weights of a tower and its heads, the tower called otherwise: a `generator` becomes an `encoder`, or back."""
    return {
        f"{new}/{name.removeprefix(f'{old}/')}" if name.startswith(f"{old}/") else name: array
        for name, array in weights.items()
    }
