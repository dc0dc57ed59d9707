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
_SIZES = ("vocab_size", "embedding_size", "hidden_size", "num_hidden_layers", "num_attention_heads")
_SIZES += ("intermediate_size", "max_position_embeddings", "type_vocab_size")
_GROUPS = ("num_hidden_groups", "inner_group_num")  # of an ALBERT's layers; an ELECTRA's are all their own
_GENERATORS_HEADS = ("generator", "masked_lm", "cloze")  # how names begin, ours and Google's


def define_flags() -> None:
    flags.DEFINE_boolean("json", False, "Print JSON.")
    flags.DEFINE_boolean("tensors", False, "List every tensor: name, shape and type.")


def run(flag_values, paths: list[str]) -> None:
    from electra_tf.conversion import recognise
    from electra_tf.conversion.reading import damage_told

    if len(paths) != 1:
        raise ConfigError(f"{len(paths)} paths were given", expected=f"one: {EXAMPLE}")
    with damage_told(paths[0]):
        facts = _READERS[recognise(paths[0])](Path(paths[0]))
    if "tensors" in facts:
        facts["tensors"] = _told(facts["tensors"], flag_values) if flag_values.tensors else len(facts["tensors"])
    print(json.dumps(facts, ensure_ascii=False) if flag_values.json else "\n".join(in_words(facts)))


def run_directory(path: Path) -> dict:
    """Facts of a run: its model as the newest readable checkpoint holds it, checkpoints, last metrics and recipe."""
    from electra_tf.conversion.names import PRETRAINING_HEADS, TOWERS
    from electra_tf.conversion.run_directory import RUN, STATE, WEIGHTS, list_checkpoints, read_index
    from electra_tf.conversion.safetensors import read_header

    run, checkpoints, newest, tensors = _parse((path / RUN).read_text("utf-8"), path / RUN), {}, None, {}
    for step, folder in list_checkpoints(path):
        try:
            entries = read_header(folder / STATE)
            read_index(folder)
        except CheckpointError as error:
            checkpoints[step] = f"damaged: {error.found}"
            continue
        checkpoints[step], newest = "readable", step
        tensors = {name: (entry.dtype, entry.shape) for name, entry in entries.items()}
    weights = {name.removeprefix(WEIGHTS): tensor for name, tensor in tensors.items() if name.startswith(WEIGHTS)}
    towers = {tower: run["model"][tower] for tower in TOWERS}
    return {
        "kind": "run directory",
        "step": newest,
        **_model(towers, [head for tower in towers for head in PRETRAINING_HEADS[tower]], weights, tensors),
        "checkpoints": checkpoints,
        "last metrics": _last_metrics(path / "metrics.jsonl"),
        "run": run,
    }


def data_set(path: Path) -> dict:
    """Facts of a data set: counts, the lengths of examples, the fill rate, and some examples decoded."""
    from electra_tf.data.description import describe
    from electra_tf.data.reader import DataSet

    return describe(DataSet.open(path))


def transformers_folder(path: Path) -> dict:
    """Facts of a Hugging Face folder, from its configuration and the header of its weights."""
    from electra_tf.conversion.names import MODEL_CLASSES
    from electra_tf.conversion.torch_tensors import TIED, class_of, heads_of
    from electra_tf.conversion.transformers_folder import read_config_fields, read_shapes, weights_file

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


def tf1(path: Path) -> dict:
    """Facts of a TF-V1 checkpoint, from its index and its step."""
    import tensorflow as tf

    from electra_tf.conversion.layout import layout
    from electra_tf.conversion.tf1 import find_prefix, is_weight, read_shapes, read_step
    from electra_tf.conversion.tf1_albert import is_albert
    from electra_tf.conversion.tf1_tasks import kind_of, tasks_of

    prefix, shapes = find_prefix(path), read_shapes(path)
    types = tf.train.load_checkpoint(str(prefix)).get_variable_to_dtype_map()
    tensors = {name: (types[name].name, shape) for name, shape in sorted(shapes.items())}
    weights = {name: tensor for name, tensor in tensors.items() if is_weight(name)}
    if is_albert(path):
        model, more = _model(*_albert(prefix, weights), weights, tensors), {}
    else:
        shapes = {name: shapes[name] for name in weights}
        found = layout(shapes, "tf1", prefix)
        model = _model(found.towers, [head for heads in found.heads.values() for head in heads], weights, tensors)
        more = {
            "embedding sharing": found.sharing,
            "tasks": {task: kind_of(shapes, task, prefix) for task in tasks_of(shapes)},
        }
    has_data = any(prefix.parent.glob(f"{prefix.name}.data-*"))
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
    from electra_tf.conversion.models import class_with
    from electra_tf.conversion.names import ALBERT, MODEL_CLASSES, templates
    from electra_tf.conversion.tf1_albert import CONFIG_FILES, HUB_SCOPE, check_names, heads_of

    check_names(weights, prefix)
    heads, shapes = heads_of(weights), {name.removeprefix(HUB_SCOPE): shape for name, (_, shape) in weights.items()}
    files = [file for name in CONFIG_FILES if (file := prefix.with_name(name)).is_file()]
    fields = (_parse(files[0].read_text("utf-8"), files[0]) if files else {}) | {"model_type": "albert"}
    for tensor in templates(ALBERT, "generator", blocks=1):
        fields |= zip(tensor.shape("tf1"), shapes.get(tensor.tf1[0], ()), strict=False)
    return {MODEL_CLASSES[class_with("albert", heads)].tower: fields}, heads


def keras_file(path: Path) -> dict:
    """Facts of a `.keras` file, from its description and the shapes of its weights."""
    from electra_tf.conversion.keras_file import read_description
    from electra_tf.conversion.models import KERAS, class_with
    from electra_tf.conversion.names import MODEL_CLASSES

    description, tensors = read_description(path)
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


def _told(tensors, flag_values):
    if flag_values.json:
        return {name: {"shape": shape, "dtype": dtype} for name, (dtype, shape) in tensors.items()}
    return {name: f"{list(shape)} {dtype}" for name, (dtype, shape) in tensors.items()}


def in_words(facts: dict, indent: str = "") -> list[str]:
    """Lines of `name  value`, names aligned, what is in dictionaries indented, counts of lengths with bars."""
    lines, width = [], max((len(str(name)) for name in facts), default=0)
    for name, value in facts.items():
        if value and isinstance(value, dict):
            below = _with_bars(value) if name == "lengths" else value
            lines += [f"{indent}{name}", *in_words(below, indent + "  ")]
        elif isinstance(value, list) and any(len(str(item)) > _LONG for item in value):
            lines += [f"{indent}{name}", *(f"{indent}  {item}" for item in value)]
        else:
            lines.append(f"{indent}{name!s:<{width}}  {_value(value)}")
    return lines


def _value(value):
    if value in (None, [], {}):
        return "-"
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.5g}"


def _with_bars(counts):
    most, width = max(counts.values(), default=0) or 1, max(len(f"{count:,}") for count in counts.values())
    return {name: f"{count:>{width},}  {'█' * round(40 * count / most)}".rstrip() for name, count in counts.items()}


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
