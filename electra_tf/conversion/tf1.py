"""Checkpoints of Google's ELECTRA code (TF-V1): both towers in one file, with Adam's slots and the step."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from electra_tf.conversion.layout import Layout, layout
from electra_tf.conversion.names import Tensor
from electra_tf.conversion.output import whole_folder, write_text
from electra_tf.conversion.translation import translate
from electra_tf.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from electra_tf.models.config import EncoderConfig

PREFIX = "model.ckpt"
_FILES = (f"{PREFIX}.index", f"{PREFIX}.data-00000-of-00001", "checkpoint")
_SLOTS = ("/adam_m", "/adam_v")
# Variables of the originals' optimizers and graphs that are no weights.
_IGNORED = re.compile(r"global_step|temperature|AdamWeightDecayOptimizer.*|.*/(adam|lamb)_[mv]")


@dataclass(frozen=True)
class Tf1Checkpoint:
    """A TF-V1 ELECTRA checkpoint under our names (see `names`).

    Attributes:
        weights: every weight.
        slots_m, slots_v: Adam's moments by the names of their weights; empty where the file has none.
        step: `global_step`, or None.
        discriminator: its configuration; None: a masked-LM run left its encoder, a generator, alone.
        generator: its configuration; None: the model sampled uniformly, by two towers, or is fine-tuned.
        layout: towers, heads and what is shared, as the tensors tell.
    """

    weights: dict[str, np.ndarray]
    slots_m: dict[str, np.ndarray]
    slots_v: dict[str, np.ndarray]
    step: int | None
    discriminator: "EncoderConfig | None"
    generator: "EncoderConfig | None"
    layout: Layout

    @property
    def sharing(self) -> str:
        """What of the embeddings is shared, see `Layout`."""
        return self.layout.sharing


def read_tf1(path, discriminator: Mapping | None = None, generator: Mapping | None = None) -> Tf1Checkpoint:
    """Reads a whole checkpoint.

    Args:
        path: its prefix, its index file, or a folder that holds one.
        discriminator, generator: fields of each tower's `EncoderConfig` that tensors do not tell. Without
            them heads are `max(1, hidden_size // 64)`, as the original sets them, and the rest is default.

    Raises: `CheckpointError` for files that are damaged, tensors that do not fit, fields that contradict
    them, and models of other code.
    """
    prefix = find_prefix(path)
    tensors = read_variables(prefix)
    weights = {name: array for name, array in tensors.items() if is_weight(name)}
    found = layout({name: array.shape for name, array in weights.items()}, "tf1", prefix)
    table = found.tensors()
    slots = [
        {name.removesuffix(kind): array for name, array in tensors.items() if name.endswith(kind)} for kind in _SLOTS
    ]
    # The original makes no slots for a weight without a gradient; one slot alone is an error.
    moved = [tensor for tensor in table if any(name in slot for slot in slots for name in tensor.tf1)]
    step = read_global_step(tensors, prefix)
    return Tf1Checkpoint(
        translate(weights, table, "tf1", "ours", prefix),
        *(translate(slot, moved, "tf1", "ours", prefix) for slot in slots),
        step,
        *(
            _config(found.fields(tower), settings, prefix) if found.fields(tower) else None
            for tower, settings in (("discriminator", discriminator), ("generator", generator))
        ),
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
        folder: may exist if it holds nothing but such files, which are replaced.
        weights: under our names, of both towers.
        slots_m, slots_v: Adam's moments by the names of their weights, or none.
        step: becomes `global_step`, or None.

    Returns: the prefix, `folder/model.ckpt`.

    Raises: `CheckpointError` for tensors that do not fit, `OutputError` when the folder cannot be written.
    """

    table = _layout(weights, "ours").tensors()
    return save_variables(folder, table, weights, slots_m, slots_v, step)


def save_variables(folder, table: list[Tensor], weights, slots_m=None, slots_v=None, step=None, beside=None) -> Path:
    """As `write_tf1`, for a model with the tensors of `table`; `beside`: texts of further files, by name."""
    import tensorflow as tf

    tensors = translate(weights, table, "ours", "tf1", folder)
    for kind, slots in zip(_SLOTS, (slots_m or {}, slots_v or {}), strict=True):
        moved = translate(slots, [tensor for tensor in table if tensor.ours in slots], "ours", "tf1", folder)
        tensors |= {name + kind: array for name, array in moved.items()}
    if step is not None:
        tensors["global_step"] = np.int64(step)
    names, known = sorted(tensors), {*_FILES, *(beside or {})}
    with whole_folder(folder, known.__contains__, sum(array.nbytes for array in tensors.values()) / 1e6) as aside:
        try:
            tf.raw_ops.SaveV2(
                prefix=str(aside / PREFIX),
                tensor_names=names,
                shape_and_slices=[""] * len(names),
                tensors=[tensors[name] for name in names],
            )
        except tf.errors.OpError as error:
            reason = str(error).splitlines()[0].split("; ")[-1]  # after TensorFlow's own names and places
            raise OSError(reason.removesuffix(" [Op:SaveV2]")) from error
        pointer = f'model_checkpoint_path: "{PREFIX}"\nall_model_checkpoint_paths: "{PREFIX}"\n'
        for name, text in {"checkpoint": pointer, **(beside or {})}.items():
            write_text(aside / name, text)
    return Path(folder) / PREFIX


def _layout(tensors, world):
    return layout({name: array.shape for name, array in tensors.items()}, world)


def _config(fields, settings, where):
    from electra_tf.models.config import EncoderConfig

    settings = dict(settings or {})
    wrong = [
        f"{name} is {settings[name]}, the tensors say {size}"
        for name, size in fields.items()
        if settings.get(name, size) != size
    ]
    if wrong:
        raise CheckpointError(
            "the configuration contradicts the tensors: " + "; ".join(wrong),
            where=where,
            remedy="give the configuration this checkpoint was trained with, or none",
        )
    heads = {"num_attention_heads": usual_heads(fields["hidden_size"])}
    return EncoderConfig.from_dict(heads | settings | fields)


def check_epsilon(config: "EncoderConfig") -> None:
    """Raises `ConfigError` for another epsilon of layer norms than the originals', which TF-V1 has no place for."""
    if config.layer_norm_eps != 1e-12:
        raise ConfigError(f"layer_norm_eps is {config.layer_norm_eps}", expected="1e-12, which Google's code computes")


def usual_heads(hidden_size: int) -> int:
    """The number of attention heads that Google's code takes for a width where nobody says."""
    return max(1, hidden_size // 64)


def find_prefix(path) -> Path:
    """The prefix of the checkpoint at `path`: a prefix, an index file, or a folder with a checkpoint.

    In a folder the file `checkpoint` names it, or it is the only one. Raises: `CheckpointError`.
    """
    path = Path(path)
    if path.name.endswith(".index") and path.is_file():
        return path.with_name(path.name.removesuffix(".index"))
    if path.with_name(f"{path.name}.index").is_file():
        return path
    found = sorted(file.with_name(file.name.removesuffix(".index")) for file in path.glob("*.index"))
    pointer = path / "checkpoint"
    if pointer.is_file():
        named = re.search(r'^model_checkpoint_path: "(.*)"$', pointer.read_text("utf-8", "replace"), re.MULTILINE)
        found = [prefix for prefix in found if named and prefix.name == Path(named[1]).name] or found
    if len(found) == 1:
        return found[0]
    names = ", ".join(prefix.name for prefix in found)
    raise CheckpointError(
        f"the folder holds several checkpoints: {names}" if found else "there is no TF-V1 checkpoint",
        where=path,
        expected="the prefix of one, such as model.ckpt-1000 of model.ckpt-1000.index",
    )


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
        raise CheckpointError(f"global_step is {step.dtype} {list(step.shape)}", where=where, expected="a whole number")
    return None if step is None else int(step)


def read_shapes(path) -> dict[str, tuple[int, ...]]:
    """The shape of every variable by the original's name; weights stay unread. Raises: `CheckpointError`."""
    prefix = find_prefix(path)
    return {name: tuple(shape) for name, shape in _open(prefix).get_variable_to_shape_map().items()}


def read_variables(prefix, pattern=".*") -> dict[str, np.ndarray]:
    """Variables whose names match; a damaged one is recognised by its checksum. Raises: `CheckpointError`."""
    import tensorflow as tf

    reader, tensors = _open(prefix), {}
    for name in sorted(filter(re.compile(pattern).fullmatch, reader.get_variable_to_shape_map())):
        try:
            tensors[name] = np.asarray(reader.get_tensor(name))
        except (tf.errors.OpError, IndexError, RuntimeError, ValueError) as error:
            raise _damaged(f"{name} cannot be read", prefix, error) from error
    return tensors


def _open(prefix):
    import tensorflow as tf

    try:
        return tf.train.load_checkpoint(str(prefix))
    except (tf.errors.OpError, IndexError, RuntimeError, ValueError) as error:
        raise _damaged("the index cannot be read", prefix, error) from error


def _damaged(found, prefix, error):
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return CheckpointError(
        f"{found}: {reason}",
        where=prefix,
        expected=f"{prefix.name}.index and {prefix.name}.data-00000-of-00001, whole",
        remedy="copy the checkpoint again from where it came from",
    )
