"""What the shapes of tensors tell of a model's configuration, and whether a configuration agrees."""

import re
from collections.abc import Iterable, Mapping

from electra_tf.checkpoints.weight_names import ARCHITECTURES, WORLDS, templates
from electra_tf.errors import CheckpointError


def derive_fields(
    shapes: Mapping[str, tuple],
    model_type: str,
    tower: str,
    world: str,
    known: Mapping | None = None,
    where=None,
    heads: Iterable[str] | None = None,
    scope: str | None = None,
) -> dict:
    """The sizes of a tower, as fields of its configuration, from the shapes of its tensors.

    Those of an ALBERT do not tell how often its layers run: there is no `num_hidden_layers` among them.

    Args:
        shapes: shapes by names in `world`; names that are not the tower's do not matter.
        model_type, tower: keys of `weight_names.ARCHITECTURES` and of its towers.
        known: fields that the tensors of another tower tell.
        where: the file, for errors.
        heads, scope: see `templates`.

    Raises: `CheckpointError` naming a tensor that would tell what cannot be told.
    """
    architecture = ARCHITECTURES[model_type]
    first = (name for tensor in templates(architecture, tower, 1, 1, (), scope) for name in tensor.names(world))
    blocks, inner = _blocks(shapes, architecture.block[WORLDS.index(world)], first)
    fields, telling = dict(known or {}), {}
    for tensor in templates(architecture, tower, max(1, blocks), inner, heads, scope):
        axes = (tensor.axes[-1], *tensor.axes[:-1]) if world in tensor.turned else tensor.axes
        for name in tensor.names(world):
            for axis in axes:
                telling.setdefault(axis, name)
            if len(shapes.get(name, ())) == len(axes):
                *rows, columns = shapes[name]
                sizes = (*rows, columns // tensor.parts if world == "ours" else columns)
                fields = dict(zip(axes, sizes, strict=True)) | fields
    telling = {axis: name for axis, name in telling.items() if not isinstance(axis, int)}
    for axis, name in telling.items():
        if axis not in fields:
            raise CheckpointError(
                f"{axis} of the {tower} cannot be told: {name} is missing",
                where=where,
                expected=f"an {model_type.upper()} checkpoint with its encoder",
                remedy="copy the checkpoint again, whole, or name the file that holds the encoder",
            )
    sizes = {axis: fields[axis] for axis in telling if axis != "twice_hidden_size"}
    if model_type == "albert":
        layers = {"num_hidden_groups": blocks // inner, "inner_group_num": inner}
    else:
        layers = {"num_hidden_layers": blocks, "num_hidden_groups": blocks, "inner_group_num": 1}
    return {"model_type": model_type, **sizes, **layers}


def check_told(
    fields: Mapping, told: Mapping, where=None, remedy="give the configuration it was trained with, or none"
) -> None:
    """Raises `CheckpointError` where fields of a configuration are not what the tensors tell."""
    wrong = [
        f"{name} is {fields[name]}, the tensors say {size}"
        for name, size in told.items()
        if fields.get(name, size) != size
    ]
    if wrong:
        raise CheckpointError(
            "the configuration contradicts the tensors: " + "; ".join(wrong),
            where=where,
            expected="the configuration of this model",
            remedy=remedy,
        )


def _blocks(shapes, block, first) -> tuple[int, int]:
    """(number of blocks, how many of them are a group); `first` are the names of a tower with one block."""
    zeros = re.escape(block.format(block=0, group=0, inner=0))
    numbered = re.sub(r"\\{(\w+)\\}", r"(?P<\1>\\d+)", re.escape(block))
    patterns = [re.compile(re.escape(name).replace(zeros, numbered)) for name in first if re.search(zeros, name)]
    places = [place.groupdict() for p in patterns for place in map(p.fullmatch, shapes) if place]
    # A damaged name may hold any number; a block has a tensor for every pattern, or misses one.
    most = 1 + len(shapes) // max(1, len(patterns) - 1)
    places = [place for place in places if all(int(number) < most for number in place.values())]
    counts = {kind: 1 + max(int(place[kind]) for place in places) for kind in (places[0] if places else ())}
    if "block" in counts or not counts:
        return counts.get("block", 0), 1
    return counts["group"] * counts["inner"], counts["inner"]
