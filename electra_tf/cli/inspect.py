"""`electra-tf inspect`: what a run, a data set, a model or a vocabulary is, without loading its weights."""

import dataclasses
import json
from math import prod
from pathlib import Path

from absl import flags

from electra_tf.errors import CheckpointError, ConfigError

DESCRIPTION = (
    "Tells what is at a path: a run directory, a data set, a Hugging Face folder, a TF-V1 checkpoint."
)
EXAMPLE = "electra-tf inspect runs/tiny"


def define_flags() -> None:
    flags.DEFINE_boolean("json", False, "Print JSON.")


def run(flag_values, paths: list[str]) -> None:
    from electra_tf.conversion import recognise

    if len(paths) != 1:
        raise ConfigError(f"{len(paths)} paths were given", expected=f"one: {EXAMPLE}")
    facts = _READERS[recognise(paths[0])](Path(paths[0]))
    print(json.dumps(facts, ensure_ascii=False) if flag_values.json else "\n".join(in_words(facts)))


def run_directory(path: Path) -> dict:
    """Facts of a run: its newest readable checkpoint, all checkpoints, parameters, last metrics, settings."""
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
    try:
        settings = json.loads((path / "run.json").read_text("utf-8"))
    except ValueError as error:
        raise CheckpointError(f"run.json cannot be read: {error}", where=path) from error
    readable = [step for step, state in checkpoints.items() if state == "readable"]
    return {
        "kind": "run directory",
        "step": max(readable, default=None),
        "parameters": parameters,
        "checkpoints": checkpoints,
        "last metrics": _last_metrics(path / "metrics.jsonl"),
        "settings": settings,
    }


def transformers_folder(path: Path) -> dict:
    """Facts of a Hugging Face folder, from its configuration and the header of its weights."""
    from electra_tf.conversion.safetensors import read_header
    from electra_tf.conversion.torch_tensors import tower_of
    from electra_tf.conversion.transformers_folder import read_config_fields, weights_file

    config, weights = read_config_fields(path), weights_file(path)
    entries = read_header(weights)
    return {
        "kind": "Hugging Face folder",
        "tower": tower_of(entries, weights),
        "parameters": sum(prod(entry.shape) for entry in entries.values()),
        "dtype": sorted({entry.dtype for entry in entries.values()}),
        "files": sorted(file.name for file in path.iterdir()),
        "configuration": config,
    }


def tf1(path: Path) -> dict:
    """Facts of a TF-V1 checkpoint, from its index and its step."""
    from electra_tf.conversion.names import joint_tensors
    from electra_tf.conversion.tf1 import find_prefix, is_weight, layout, read_shapes, read_step

    prefix, shapes = find_prefix(path), read_shapes(path)
    weights = {name: shape for name, shape in shapes.items() if is_weight(name)}
    discriminator, generator, sharing = layout(weights, "tf1", prefix)
    tensors = joint_tensors(discriminator, generator, sharing)
    return {
        "kind": "TF-V1 checkpoint",
        "prefix": str(prefix),
        "step": read_step(prefix),
        "parameters": _parameters({tensor.ours: tensor.shape("ours") for tensor in tensors}),
        "embedding sharing": sharing,
        "Adam slots": any(name.endswith("/adam_m") for name in shapes),
        "discriminator": discriminator,
        "generator": generator,
    }


def vocabulary(path: Path) -> dict:
    """Facts of a tokenizer."""
    from electra_tf.text.tokenizer import SPECIAL_TOKENS, Tokenizer

    tokenizer = Tokenizer.from_pretrained(path)
    return {
        "kind": "vocabulary",
        "tokens": len(tokenizer),
        "settings": dataclasses.asdict(tokenizer.settings),
        "special ids": {token: tokenizer.token_to_id(token) for token in SPECIAL_TOKENS},
        "fingerprint": tokenizer.fingerprint,
    }


_READERS = {
    "run_directory": run_directory,
    "transformers_folder": transformers_folder,
    "tf1": tf1,
    "vocabulary": vocabulary,
}


def in_words(facts: dict, indent: str = "") -> list[str]:
    """Lines of `name  value`, names aligned, what is in dictionaries indented."""
    lines, width = [], max((len(str(name)) for name in facts), default=0)
    for name, value in facts.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}", *in_words(value, indent + "  ")]
            continue
        if isinstance(value, list):
            value = ", ".join(map(str, value))
        elif isinstance(value, int) and not isinstance(value, bool):
            value = f"{value:,}"
        lines.append(f"{indent}{name!s:<{width}}  {'-' if value is None else value}")
    return lines


def _parameters(shapes):
    """Parameters of each tower with its head; what is shared is the discriminator's."""
    counts = {"discriminator": 0, "generator": 0}
    for name, shape in shapes.items():
        tower = "discriminator" if name.startswith(("discriminator/", "replaced_token/")) else "generator"
        counts[tower] += prod(shape)
    return {**counts, "total": sum(counts.values())}


def _last_metrics(path):
    """The last whole line of a run's metrics; a run that is still writing may have half a line after it."""
    if not path.is_file():
        return None
    for line in reversed(path.read_text("utf-8").splitlines()):
        try:
            return json.loads(line)
        except ValueError:
            continue
    return None
