"""Hugging Face folders of one model: `config.json`, weights, tokenizer files and a model card."""

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from electra_tf.conversion.keras_h5 import read_h5, read_h5_shapes, write_h5
from electra_tf.conversion.models import LoadedModel
from electra_tf.conversion.names import ARCHITECTURES, MODEL_CLASSES
from electra_tf.conversion.output import whole_folder, write_text
from electra_tf.conversion.pytorch_bin import read_bin, read_bin_shapes, write_bin
from electra_tf.conversion.safetensors import numpy_type, read_header, read_tensors, write_tensors
from electra_tf.conversion.torch_tensors import derive_config, from_torch, to_torch
from electra_tf.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from electra_tf.text.tokenizer import Tokenizer

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
# What transformers writes, in the order of preference.
WEIGHT_FILES = (
    WEIGHTS,
    f"{WEIGHTS}.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "tf_model.h5",
)
FORMS = ("safetensors", "bin", "h5")
_TOKENIZER = ("vocab.txt", "tokenizer.json", "spiece.model", "tokenizer_config.json", "special_tokens_map.json")


def write_folder(
    folder,
    model: LoadedModel,
    tokenizer: "Tokenizer | str | Path | None" = None,
    model_card: str | None = None,
    form: str = "safetensors",
    dtype: str = "float32",
    shard_bytes: int = 5_000_000_000,
) -> None:
    """Writes a folder that `from_pretrained` of transformers opens; it appears whole or not at all.

    Args:
        folder: may exist if it holds nothing but such files, which are replaced.
        model: of any class.
        tokenizer: a `Tokenizer`, or the folder or file it is in; None: the folder gets none.
        model_card: text of README.md.
        form: `safetensors`, `bin` (needs PyTorch) or `h5` (what transformers 4's TensorFlow classes read).
        dtype: of the numbers: `float32`, `float16` or `bfloat16`; h5 knows no bfloat16.
        shard_bytes: safetensors larger than this are written in several files.

    Raises: `CheckpointError` for weights that do not fit, `ConfigError` for what transformers computes
    otherwise, `OutputError` when the folder cannot be written or holds something else.
    """
    if tokenizer is not None:
        config, tokenizer = _fit_tokenizer(model.config, tokenizer)
        model = dataclasses.replace(model, config=config)
    tensors = folder_tensors(model, form, dtype)
    megabytes = sum(array.nbytes for array in tensors.values()) / 1e6
    with whole_folder(folder, _is_ours, megabytes) as aside:
        if form == "bin":
            write_bin(aside / "pytorch_model.bin", tensors)
        elif form == "h5":
            write_h5(aside / "tf_model.h5", tensors, model.name)
        else:
            _write_shards(aside, tensors, shard_bytes)
        content = config_json(model) | {"torch_dtype": dtype}
        write_text(aside / CONFIG, json.dumps(content, indent=2, sort_keys=True) + "\n")
        if model_card is not None:
            write_text(aside / CARD, model_card)
        if tokenizer is not None:
            tokenizer.save(aside, max_length=model.config.max_position_embeddings)


def folder_tensors(model: LoadedModel, form: str, dtype: str) -> dict[str, np.ndarray]:
    """What a folder's weights will be, by PyTorch's names. Raises: as `write_folder`, for what cannot be held."""
    tensors = to_torch(model)
    if form not in FORMS or dtype not in ("float32", *_HALF) or (form, dtype) == ("h5", "bfloat16"):
        raise ConfigError(
            f"weights in {form} of type {dtype}",
            expected=f"one of {', '.join(FORMS)}; float32, float16 or (but for h5) bfloat16",
        )
    cast = {name: array.astype(numpy_type(dtype), copy=False) for name, array in tensors.items()}
    for name, array in tensors.items() if dtype == "float16" else ():
        if np.isfinite(array).all() and not np.isfinite(cast[name]).all():
            raise ConfigError(
                f"{name} holds {np.abs(array).max():.3g}, which float16 cannot",
                expected="numbers up to 65504",
                remedy="use bfloat16 or float32",
            )
    return cast


def _write_shards(folder, tensors, shard_bytes):
    """One file, or several and their index, cut as transformers cuts them: in order, none larger than asked for."""
    shards, size = [{}], 0
    for name in sorted(tensors):
        if shards[-1] and size + tensors[name].nbytes > shard_bytes:
            shards.append({})
            size = 0
        shards[-1][name] = tensors[name]
        size += tensors[name].nbytes
    if len(shards) == 1:
        write_tensors(folder / WEIGHTS, tensors, {"format": "pt"})
        return
    places = {}
    for number, shard in enumerate(shards, start=1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        write_tensors(folder / file, shard, {"format": "pt"})
        places |= dict.fromkeys(shard, file)
    total = sum(array.nbytes for array in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
    write_text(folder / f"{WEIGHTS}.index.json", json.dumps(index, indent=2) + "\n")


def _is_ours(name):
    """Whether a file of this name belongs to such a folder."""
    known = {CONFIG, CARD, *WEIGHT_FILES, *_TOKENIZER}
    return name in known or re.fullmatch(r"model-\d{5}-of-\d{5}\.safetensors", name) is not None


def read_folder(
    folder, keep_tied: str | None = None, model_class: str | None = None, settings: Mapping | None = None
) -> LoadedModel:
    """The model of a folder, of any class, with weights in any of `WEIGHT_FILES`, as float32.

    Args:
        folder: as `from_pretrained` of transformers takes it.
        keep_tied: see `from_torch`.
        model_class: where `config.json` names no class, or one that is not known.
        settings: without `config.json`, what the tensors do not tell, see `derive_config`.

    Raises: `CheckpointError` for missing or damaged files, a class that is not known, tensors that do not fit the
    configuration.
    """
    from electra_tf.models.config import EncoderConfig

    folder = Path(folder)
    path = weights_file(folder)
    if not (folder / CONFIG).is_file():
        fields = derive_config({n: shape for n, (_, shape) in read_shapes(path).items()}, settings or {}, path)
    elif settings:
        raise ConfigError("a configuration is given", where=folder, expected=f"none: the folder has its own {CONFIG}")
    else:
        fields = read_config_fields(folder)
    said = (fields.get("architectures") or [None])[0]
    if model_class and said not in MODEL_CLASSES:
        fields["architectures"] = [model_class]
    elif said is not None and said not in MODEL_CLASSES:
        raise CheckpointError(
            f"the configuration says {said}, a class that is not known",
            where=folder / CONFIG,
            expected=f"one of {', '.join(MODEL_CLASSES)}",
            remedy="name the class whose tensors these are with --class",
        )
    model = from_torch(read_weights(path, keep_tied), fields, EncoderConfig.from_dict(fields), path, keep_tied)
    said = (fields.get("architectures") or [model.name])[0]
    if said != model.name:
        raise CheckpointError(
            f"the configuration says {said}, the tensors are those of {model.name}",
            where=folder,
            expected="weights and configuration of one model",
            remedy="correct `architectures` in config.json, or copy the weights that belong to it",
        )
    for field, usual in _SUMMARY.items() if model.name == "ElectraForMultipleChoice" else ():
        if fields.get(field, usual) != usual:
            raise CheckpointError(f"{field} is {fields[field]!r}", where=folder / CONFIG, expected=repr(usual))
    has_tokenizer = any((folder / file).is_file() for file in _TOKENIZER[:3])
    return dataclasses.replace(model, tokenizer=folder if has_tokenizer else None)


def read_config_fields(folder) -> dict:
    """The content of `config.json`. Raises: `CheckpointError` where it is unreadable or of another family."""
    path = Path(folder) / CONFIG
    try:
        fields = json.loads(path.read_text("utf-8"))
        kind = fields.get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(f"the configuration cannot be read: {error}", where=path) from error
    if not isinstance(kind, str) or kind not in ARCHITECTURES:
        raise CheckpointError(
            f"the model's type is {kind!r}", where=path, expected=" or ".join(map(repr, ARCHITECTURES))
        )
    return _DEFAULTS[kind] | fields


# How ElectraForMultipleChoice summarises a text; our model computes these.
_SUMMARY = {"summary_type": "first", "summary_use_proj": True, "summary_activation": "gelu"}
# What transformers takes for fields that config.json leaves out, where that is not what we take.
_DEFAULTS = {
    "electra": {"embedding_size": 128},
    "albert": {
        "vocab_size": 30000,
        "embedding_size": 128,
        "hidden_size": 4096,
        "num_attention_heads": 64,
        "intermediate_size": 16384,
        "hidden_act": "gelu_new",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    },
}


def weights_file(folder) -> Path:
    """The file with a folder's weights, or the index of its shards. Raises: `CheckpointError` where it has none."""
    folder = Path(folder)
    for name in WEIGHT_FILES:
        if (folder / name).is_file():
            return folder / name
    others = sorted(
        file.name for file in folder.glob("*") if file.suffix in (".bin", ".h5", ".safetensors", ".msgpack")
    )
    raise CheckpointError(
        "the folder has no weights that are read here" + (f", only {', '.join(others)}" if others else ""),
        where=folder,
        expected=f"one of {', '.join(WEIGHT_FILES)}",
        remedy="copy the weights beside the configuration",
    )


def read_weights(path, keep_tied: str | None = None) -> dict[str, np.ndarray]:
    """Every tensor in a file of `WEIGHT_FILES`, by its PyTorch name; half precision comes as float32, which holds it.

    Raises: `CheckpointError` where the file, or a shard of it, is missing or damaged.
    """
    path = Path(path)
    if path.suffix == ".h5":
        tensors = read_h5(path, keep_tied)
    else:
        tensors = _read_shards(path, _READERS) if path.suffix == ".json" else _READERS[path.suffix](path)
    return {name: array.astype("float32") if array.dtype.name in _HALF else array for name, array in tensors.items()}


def read_shapes(path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """(NumPy type's name, shape) of every tensor in a file of `WEIGHT_FILES`. Raises as `read_weights`."""
    path = Path(path)
    return _read_shards(path, _SHAPES) if path.suffix == ".json" else _SHAPES[path.suffix](path)


def _read_shards(index, readers):
    """What all the files that an index names hold, which must be where it says."""
    try:
        places = json.loads(index.read_text("utf-8"))["weight_map"]
        files = sorted(set(places.values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"the index of the shards cannot be read: {error}", where=index) from error
    tensors = {}
    for name in files:
        if Path(name).name != name or not (index.parent / name).is_file():
            raise CheckpointError(f"the shard {name} is missing", where=index, remedy="copy the folder again, whole")
        found = readers[Path(index.stem).suffixes[0]](index.parent / name)
        expected = {tensor for tensor, place in places.items() if place == name}
        if found.keys() != expected:
            odd = ", ".join(sorted(found.keys() ^ expected)[:3])
            raise CheckpointError(f"shard and index disagree about {odd}", where=index.parent / name)
        tensors |= found
    return tensors


_HALF = ("float16", "bfloat16")
_READERS = {".safetensors": read_tensors, ".bin": read_bin}
_SHAPES = {
    ".safetensors": lambda path: {name: (e.dtype, e.shape) for name, e in read_header(path).items()},
    ".bin": read_bin_shapes,
    ".h5": read_h5_shapes,
}


def config_json(model: LoadedModel) -> dict:
    """The content of `config.json`."""
    content = model.config.to_dict() | {
        "architectures": [model.name],
        "position_embedding_type": "absolute",
        "tie_word_embeddings": True,
    }
    if model.is_labelled:
        names = model.fields.get("id2label") or {}
        names = {str(number): names.get(str(number), f"LABEL_{number}") for number in range(model.num_labels)}
        content |= {"id2label": names, "label2id": {name: int(number) for number, name in names.items()}}
    return content


def _fit_tokenizer(config, tokenizer):
    """The configuration with the tokenizer's padding id, and the tokenizer opened."""
    from electra_tf.text.tokenizer import Tokenizer

    if not isinstance(tokenizer, Tokenizer):
        tokenizer = Tokenizer.from_pretrained(tokenizer)
    tokenizer.check_fits(config.vocab_size)
    return config.replace(pad_token_id=tokenizer.pad_id), tokenizer
