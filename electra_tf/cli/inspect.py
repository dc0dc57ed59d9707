"""`electra-tf inspect`: what a run, a data set, a model or a vocabulary is, without loading its weights."""

import dataclasses
import json
from math import prod
from pathlib import Path

from absl import flags

from electra_tf.errors import CheckpointError, ConfigError

DESCRIPTION = (
    "Tells what a run directory, data set, Hugging Face folder, TF-V1 checkpoint, .keras file or vocabulary holds."
)
EXAMPLE = "electra-tf inspect runs/tiny"
POSITIONAL = "a path"

_LONG = 40  # what is longer gets a line of its own


def define_flags() -> None:
    flags.DEFINE_boolean("json", False, "Print JSON.")


def run(flag_values, paths: list[str]) -> None:
    from electra_tf.conversion import recognise
    from electra_tf.conversion.reading import damage_told

    if len(paths) != 1:
        raise ConfigError(f"{len(paths)} paths were given", expected=f"one: {EXAMPLE}")
    with damage_told(paths[0]):
        facts = _READERS[recognise(paths[0])](Path(paths[0]))
    print(json.dumps(facts, ensure_ascii=False) if flag_values.json else "\n".join(in_words(facts)))


def run_directory(path: Path) -> dict:
    """Facts of a run: its step, checkpoints, parameters, last metrics, model and recipe."""
    from electra_tf.conversion.run_directory import STATE, WEIGHTS, list_checkpoints, read_index
    from electra_tf.conversion.safetensors import read_header

    checkpoints, parameters = {}, None
    for step, folder in list_checkpoints(path):
        try:
            entries = read_header(folder / STATE)
            read_index(folder)
        except CheckpointError as error:
            checkpoints[step] = f"damaged: {error.found}"
            continue
        names = [name for name in entries if name.startswith(WEIGHTS)]
        parameters = _parameters({name.removeprefix(WEIGHTS): entries[name].shape for name in names})
        checkpoints[step] = "readable"
    readable = [step for step, state in checkpoints.items() if state == "readable"]
    return {
        "kind": "run directory",
        "step": max(readable, default=None),
        "parameters": parameters,
        "checkpoints": checkpoints,
        "last metrics": _last_metrics(path / "metrics.jsonl"),
        "run": _parse((path / "run.json").read_text("utf-8"), path / "run.json"),
    }


def data_set(path: Path) -> dict:
    """Facts of a data set: counts, the lengths of examples, the fill rate, and some examples decoded."""
    from electra_tf.data.description import describe
    from electra_tf.data.reader import DataSet

    return describe(DataSet.open(path))


def transformers_folder(path: Path) -> dict:
    """Facts of a Hugging Face folder, from its configuration and the header of its weights."""
    from electra_tf.conversion.names import MODEL_CLASSES
    from electra_tf.conversion.torch_tensors import class_of, heads_of
    from electra_tf.conversion.transformers_folder import read_config_fields, read_shapes, weights_file

    config, weights = read_config_fields(path), weights_file(path)
    shapes = read_shapes(weights)
    name = class_of(shapes, config, weights)
    return {
        "kind": "Hugging Face folder",
        "class": name,
        "tower": MODEL_CLASSES[name].tower,
        "heads": heads_of(shapes, name),
        "parameters": sum(prod(shape) for _, shape in shapes.values()),
        "dtype": sorted({dtype for dtype, _ in shapes.values()}),
        "weights": weights.name,
        "files": sorted(file.name for file in path.iterdir()),
        "configuration": config,
    }


def tf1(path: Path) -> dict:
    """Facts of a TF-V1 checkpoint, from its index and its step."""
    from electra_tf.conversion.layout import layout
    from electra_tf.conversion.tf1 import find_prefix, is_weight, read_shapes, read_step
    from electra_tf.conversion.tf1_albert import check_names, heads_of, is_albert
    from electra_tf.conversion.tf1_tasks import kind_of, tasks_of

    prefix, shapes = find_prefix(path), read_shapes(path)
    has_data = any(prefix.parent.glob(f"{prefix.name}.data-*"))
    if is_albert(path):
        check_names(shapes, prefix)
        return {
            "kind": "TF-V1 checkpoint of an ALBERT",
            "prefix": str(prefix),
            "step": read_step(prefix) if has_data else None,
            "data": "there" if has_data else "missing: only the index is here",
            "parameters": sum(prod(shape) for name, shape in shapes.items() if is_weight(name)),
            "heads": heads_of(shapes),
            "moments": any(name.endswith(("/adam_m", "/lamb_m")) for name in shapes),
            "tensors": {name: str(list(shape)) for name, shape in shapes.items() if is_weight(name)},
        }
    weights = {name: shape for name, shape in shapes.items() if is_weight(name)}
    found = layout(weights, "tf1", prefix)
    return {
        "kind": "TF-V1 checkpoint",
        "prefix": str(prefix),
        "step": read_step(prefix) if has_data else None,
        "data": "there" if has_data else "missing: only the index is here",
        "parameters": _parameters({tensor.ours: tensor.shape("ours") for tensor in found.tensors()}),
        "embedding sharing": found.sharing,
        "heads": sorted({head for heads in found.heads.values() for head in heads}),
        "tasks": {task: kind_of(weights, task, prefix) for task in tasks_of(weights)},
        "Adam slots": any(name.endswith("/adam_m") for name in shapes),
        **{tower: found.fields(tower) for tower in ("discriminator", "generator")},
        **found.towers,
    }


def keras_file(path: Path) -> dict:
    """Facts of a `.keras` file, from its description and the shapes of its weights."""
    from electra_tf.conversion.keras_file import read_description

    description, shapes = read_description(path)
    inside = description["config"]
    return {
        "kind": "Keras model",
        "class": description["class_name"],
        "parameters": sum(prod(shape) for _, shape in shapes),
        "dtype": sorted({dtype for dtype, _ in shapes}),
        "configuration": inside.get("config", inside),
    }


def vocabulary(path: Path) -> dict:
    """Facts of a tokenizer."""
    from electra_tf.text.tokenizer import Tokenizer

    tokenizer = Tokenizer.from_pretrained(path)
    return {
        "kind": "vocabulary",
        "tokens": len(tokenizer),
        "settings": dataclasses.asdict(tokenizer.settings),
        "special ids": {token: tokenizer.token_to_id(token) for token in tokenizer.special_tokens},
        "fingerprint": tokenizer.fingerprint,
    }


_READERS = {
    "run_directory": run_directory,
    "data_set": data_set,
    "transformers_folder": transformers_folder,
    "tf1": tf1,
    "keras": keras_file,
    "vocabulary": vocabulary,
}


def in_words(facts: dict, indent: str = "") -> list[str]:
    """Lines of `name  value`, names aligned, what is in dictionaries indented, counts of lengths with bars."""
    lines, width = [], max((len(str(name)) for name in facts), default=0)
    for name, value in facts.items():
        if isinstance(value, dict):
            below = _with_bars(value) if name == "lengths" else value
            lines += [f"{indent}{name}", *in_words(below, indent + "  ")]
        elif isinstance(value, list) and any(len(str(item)) > _LONG for item in value):
            lines += [f"{indent}{name}", *(f"{indent}  {item}" for item in value)]
        else:
            lines.append(f"{indent}{name!s:<{width}}  {_value(value)}")
    return lines


def _value(value):
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.5g}"


def _with_bars(counts):
    most, width = max(counts.values(), default=0) or 1, max(len(f"{count:,}") for count in counts.values())
    return {name: f"{count:>{width},}  {'█' * round(40 * count / most)}".rstrip() for name, count in counts.items()}


def _parameters(shapes):
    """Parameters of each tower with its head; what is shared is the discriminator's."""
    counts = {"discriminator": 0, "generator": 0}
    for name, shape in shapes.items():
        tower = "generator" if name.startswith(("generator", "masked_lm/", "cloze/")) else "discriminator"
        counts[tower] += prod(shape)
    return {**counts, "total": sum(counts.values())}


def _last_metrics(path):
    """The last line of each kind in a run's metrics. A run that is still writing may end in half a line."""
    found = {}
    for line in path.read_text("utf-8").splitlines(keepends=True) if path.is_file() else ():
        if line.endswith("\n"):
            metrics = _parse(line, path)
            found[metrics.pop("kind")] = metrics
    return found


def _parse(text, where):
    try:
        return json.loads(text)
    except ValueError as error:
        raise CheckpointError(f"the file is damaged: {error}", where=where) from error
