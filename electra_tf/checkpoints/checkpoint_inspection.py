"""What a checkpoint of each format holds, told without loading its weights: what `electra-tf inspect` prints."""

import json
from glob import escape
from math import prod
from pathlib import Path

from electra_tf.checkpoints.containers import keras_archive
from electra_tf.checkpoints.containers.safetensors import read_header
from electra_tf.checkpoints.containers.tf1_bundle import find_prefix, read_types
from electra_tf.checkpoints.google_albert import CONFIG_FILES, HUB_SCOPE, check_names, is_albert
from electra_tf.checkpoints.google_albert import heads_of as heads_of_albert
from electra_tf.checkpoints.google_heads import kind_of, tasks_of
from electra_tf.checkpoints.google_layout import layout
from electra_tf.checkpoints.google_slots import is_weight, read_step
from electra_tf.checkpoints.loaded_model import KERAS, class_with
from electra_tf.checkpoints.metrics_jsonl import METRICS, read_metrics
from electra_tf.checkpoints.run_checkpoints import (
    STATE,
    WEIGHTS,
    list_checkpoints,
    read_index,
    to_stderr,
    verify_checkpoint,
)
from electra_tf.checkpoints.run_directory import lost_answers
from electra_tf.checkpoints.run_json import read_description
from electra_tf.checkpoints.torch_classes import TIED, class_of, heads_of
from electra_tf.checkpoints.transformers_folder import read_config_fields, read_shapes, weights_file
from electra_tf.checkpoints.weight_names import ALBERT, MODEL_CLASSES, templates
from electra_tf.errors import CheckpointError

_SIZES = ("vocab_size", "embedding_size", "hidden_size", "num_hidden_layers", "num_attention_heads")
_SIZES += ("intermediate_size", "max_position_embeddings", "type_vocab_size")
_GROUPS = ("num_hidden_groups", "inner_group_num")  # of an ALBERT's layers; an ELECTRA's are all their own
_GENERATORS_HEADS = ("generator", "masked_lm", "cloze")  # how names begin, ours and Google's


def of_run(path: Path) -> dict:
    """Facts of a run: its model as the newest intact checkpoint holds it, checkpoints, last metrics and recipe.

    From the newest on they are verified until one is intact, which is the one that is used; of others the headers.
    """
    run, checkpoints, newest, tensors = read_description(path), {}, None, {}
    for step, folder in reversed(list_checkpoints(path)):
        try:
            (verify_checkpoint if newest is None else read_index)(folder)
            entries = read_header(folder / STATE)
        except CheckpointError as error:
            checkpoints[step] = f"damaged: {error.found}"
            continue
        checkpoints[step] = "readable"
        if newest is None:
            checkpoints[step], newest = "intact", step
            tensors = {name: (entry.dtype, entry.shape) for name, entry in entries.items()}
    weights = {name.removeprefix(WEIGHTS): tensor for name, tensor in tensors.items() if name.startswith(WEIGHTS)}
    return {
        "kind": "run directory",
        "step": newest,
        **_model(run["towers"], [head for heads in run["heads"].values() for head in heads], weights, tensors),
        "checkpoints": dict(sorted(checkpoints.items())),
        **({"lost": lost} if (lost := lost_answers(path, run)) else {}),
        "last metrics": _last_metrics(path / METRICS),
        "run": run,
    }


def of_folder(path: Path) -> dict:
    """Facts of a Hugging Face folder, from its configuration and the header of its weights."""
    config, file = read_config_fields(path), weights_file(path)
    tensors = read_shapes(file)
    name = class_of(tensors, config, file)
    # Buffers are of whole numbers.
    weights = {n: tensor for n, tensor in tensors.items() if n not in TIED and "float" in tensor[0]}
    return {
        "kind": "Hugging Face folder",
        "class": name,
        **_model({MODEL_CLASSES[name].tower: config}, heads_of(tensors, name), weights, tensors),
        "weights": file.name,
        "files": sorted(file.name for file in path.iterdir()),
        "configuration": config,
    }


def of_google(path: Path) -> dict:
    """Facts of a TF-V1 checkpoint, from its index and its step."""
    prefix, tensors = find_prefix(path), dict(sorted(read_types(path).items()))
    weights = {name: tensor for name, tensor in tensors.items() if is_weight(name)}
    if is_albert(path):
        model, more = _model(*_albert(prefix, weights), weights, tensors), {}
    else:
        shapes = {name: shape for name, (_, shape) in weights.items()}
        found = layout(shapes, "tf1", prefix)
        model = _model(found.towers, [head for heads in found.heads.values() for head in heads], weights, tensors)
        more = {
            "embedding sharing": found.sharing,
            "tasks": {task: kind_of(shapes, task, prefix) for task in tasks_of(shapes)},
        }
    has_data = any(prefix.parent.glob(f"{escape(prefix.name)}.data-*"))
    return {
        "kind": "TF-V1 checkpoint",
        "prefix": str(prefix),
        "data": "there" if has_data else "missing: only the index is here",
        "step": read_step(prefix) if has_data else None,
        **model,
        "moments": any(name.endswith(("/adam_m", "/lamb_m")) for name in tensors),
        **more,
    }


def _albert(prefix, weights):
    """Configurations by tower, and heads: sizes as the tensors tell, the rest from the file beside them."""
    check_names(weights, prefix)
    heads = heads_of_albert(weights)
    shapes = {name.removeprefix(HUB_SCOPE): shape for name, (_, shape) in weights.items()}
    files = [file for name in CONFIG_FILES if (file := prefix.with_name(name)).is_file()]
    fields = (_parse(files[0].read_text("utf-8"), files[0]) if files else {}) | {"model_type": "albert"}
    for tensor in templates(ALBERT, "generator", blocks=1):
        fields |= zip(tensor.shape("tf1"), shapes.get(tensor.tf1[0], ()), strict=False)
    return {MODEL_CLASSES[class_with("albert", heads)].tower: fields}, heads


def of_keras(path: Path) -> dict:
    """Facts of a `.keras` file, from its description and the shapes of its weights."""
    description, tensors = keras_archive.read_description(path)
    name, inside = description["class_name"], description["config"]
    config, towers, heads = inside.get("config", inside), {}, []
    if name == "Encoder" or name in KERAS.values():
        heads = ["pooler"] if any("/pooler/" in tensor for tensor in tensors) else []
        heads += ["masked_lm"] if name == "SentenceOrderModel" else []
        heads += [head for head, keras_name in KERAS.items() if keras_name == name and head not in heads]
        towers = {MODEL_CLASSES[class_with(config["model_type"], heads)].tower: config}
    weights = {n: tensor for n, tensor in tensors.items() if not n.startswith("optimizer/")}
    return {
        "kind": "Keras model",
        "class": name,
        **_model(towers, heads, weights, tensors),
        "configuration": config,
    }


def _model(configurations, heads, weights, tensors):
    """What is told of every model.

    Args:
        configurations: fields by tower, the discriminator's first. heads: of all towers.
        weights, tensors: (type, shape) by name; of the weights, and of all there is.
    """
    towers, architecture = {}, next((fields["model_type"] for fields in configurations.values()), None)
    for tower, fields in configurations.items():
        names = _SIZES + _GROUPS * (fields["model_type"] == "albert")
        towers[tower] = {name: fields[name] for name in names if name in fields} | {"parameters": 0}
    for name, (_, shape) in weights.items() if towers else ():
        first, *others = towers
        tower = name.split("/")[0]
        if tower not in towers:  # a head's, or of a file with one tower
            tower = others[0] if others and tower.startswith(_GENERATORS_HEADS) else first
        towers[tower]["parameters"] += prod(shape)
    return {
        "architecture": architecture,
        "towers": towers,
        "heads": list(heads),
        "parameters": sum(prod(shape) for _, shape in weights.values()),
        "dtype": sorted({dtype for dtype, _ in weights.values()}),
        "tensors": tensors,
    }


def _last_metrics(path):
    """The last line of each kind in a run's metrics."""
    return {line.pop("kind"): line for line in read_metrics(path, to_stderr)}


def _parse(text, where):
    try:
        return json.loads(text)
    except ValueError as error:
        raise CheckpointError(
            f"the file is damaged: {error}", where=where, expected="JSON", remedy="copy it again"
        ) from error
