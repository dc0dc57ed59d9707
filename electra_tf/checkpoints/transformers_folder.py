"""Hugging Face folders of one model: `config.json`, weights, tokenizer files and a model card."""

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from electra_tf.checkpoints.containers.output import CARD, output_folder
from electra_tf.checkpoints.containers.pytorch_bin import is_nested, read_bin, read_bin_shapes, write_bin
from electra_tf.checkpoints.containers.safetensors import numpy_type, read_header, read_tensors, write_tensors
from electra_tf.checkpoints.loaded_model import OWN, LoadedModel
from electra_tf.checkpoints.tensorflow_classes import (
    from_tensorflow,
    has_tensorflow_names,
    read_h5,
    read_h5_shapes,
    write_h5,
)
from electra_tf.checkpoints.torch_classes import derive_config, from_torch, to_torch, unwrapped, wrapper_of
from electra_tf.checkpoints.weight_names import ARCHITECTURES, MODEL_CLASSES
from electra_tf.errors import CheckpointError, ConfigError
from electra_tf.files import check_fetched
from electra_tf.models.config import EncoderConfig
from electra_tf.text.tokenizer_files import TOKENIZER_FILES

if TYPE_CHECKING:
    from electra_tf.text.tokenizer import Tokenizer

CONFIG, WEIGHTS, BIN = "config.json", "model.safetensors", "pytorch_model.bin"
# What transformers writes, in the order of preference.
WEIGHT_FILES = (
    WEIGHTS,
    f"{WEIGHTS}.index.json",
    BIN,
    f"{BIN}.index.json",
    "tf_model.h5",
)
FORMS = ("safetensors", "bin", "h5")
_TOKENIZER = (*TOKENIZER_FILES, "vocab.json", "merges.txt")  # the last two are of other kinds


def write_folder(
    folder,
    model: LoadedModel,
    tokenizer: "Tokenizer | str | Path | None" = None,
    model_card: str | None = None,
    form: str = "safetensors",
    dtype: str = "float32",
    shard_bytes: int = 5_000_000_000,
    say: Callable[[str], None] = lambda text: None,
) -> None:
    """Writes a folder that `from_pretrained` of transformers opens; it appears whole or not at all.

    Args:
        folder: may exist if it holds nothing but what was written here, which is replaced; see `output.Output`.
        model: of any class.
        tokenizer: a `Tokenizer`, or the folder or file it is in; None: the folder gets none. One of a kind that is
            not read here, in a folder, is copied as it is.
        model_card: text of README.md.
        form: `safetensors`, `bin` (needs PyTorch) or `h5` (what transformers 4's TensorFlow classes read).
        dtype: of the numbers: `float32`, `float16` or `bfloat16`; h5 knows no bfloat16.
        shard_bytes: safetensors larger than this are written in several files.
        say: is told of a tokenizer that is copied, and of settings that its tokens alone tell.

    Raises: `CheckpointError` for weights that do not fit, `ConfigError` for what transformers computes
    otherwise, `OutputError` when the folder cannot be written or holds something else.
    """
    from electra_tf.text.tokenizer import Tokenizer

    if tokenizer is not None:
        tokenizer = _opened(tokenizer, say)
    if isinstance(tokenizer, Tokenizer):
        tokenizer.check_fits(model.config.vocab_size)
        model = dataclasses.replace(model, config=model.config.replace(pad_token_id=tokenizer.pad_id))
    tensors = folder_tensors(model, form, dtype)
    megabytes = sum(array.nbytes for array in tensors.values()) / 1e6
    with output_folder(folder, _is_ours, megabytes) as aside:
        if form == "bin":
            write_bin(aside / BIN, tensors)
        elif form == "h5":
            write_h5(aside / "tf_model.h5", tensors, model.name)
        else:
            _write_shards(aside, tensors, shard_bytes)
        content = config_json(model) | {"torch_dtype": dtype}
        (aside / CONFIG).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", "utf-8")
        if model_card is not None:
            (aside / CARD).write_text(model_card, "utf-8", "surrogateescape")
        if isinstance(tokenizer, Tokenizer):
            tokenizer.save(aside, max_length=_tokens(model))
        elif tokenizer is not None:
            _copy_tokenizer(tokenizer, aside)


def _tokens(model):
    """Of a text at most: of one that is classified as many as it was fine-tuned on; other texts are seen in windows."""
    length = model.fields.get(OWN, {}).get("settings", {}).get("length")
    if length is None or "sequence_classifier" not in model.heads:
        return model.config.max_position_embeddings
    return min(length, model.config.max_position_embeddings)


def folder_tensors(model: LoadedModel, form: str, dtype: str) -> dict[str, np.ndarray]:
    """What a folder's weights will be, by PyTorch's names. Raises: as `write_folder`, for what cannot be held."""
    tensors = to_torch(model)
    if form not in FORMS or dtype not in ("float32", *_HALF) or (form, dtype) == ("h5", "bfloat16"):
        raise ConfigError(
            f"weights in {form} of type {dtype}",
            where="--dtype",
            expected=f"one of {', '.join(FORMS)}; float32, float16 or (but for h5) bfloat16",
        )
    cast = {name: array.astype(numpy_type(dtype), copy=False) for name, array in tensors.items()}
    for name, array in tensors.items() if dtype == "float16" else ():
        if np.isfinite(array).all() and not np.isfinite(cast[name]).all():
            raise ConfigError(
                f"{name} holds {np.abs(array).max():.3g}, which float16 cannot",
                where="--dtype",
                expected="numbers up to 65504",
                remedy="leave out --dtype, or take bfloat16",
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
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps(index, indent=2) + "\n", "utf-8")


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
    folder = Path(folder)
    path = weights_file(folder)
    if not (folder / CONFIG).is_file():
        fields = derive_config({n: shape for n, (_, shape) in read_shapes(path).items()}, settings or {}, path)
    elif settings:
        raise ConfigError(
            "a configuration is given",
            where=folder,
            expected=f"none: the folder has its own {CONFIG}",
            remedy="leave it out, or correct that file",
        )
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
    config = EncoderConfig.from_dict(fields, folder / CONFIG)
    model = from_torch(read_weights(path, keep_tied), fields, config, path, keep_tied)
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
            raise CheckpointError(
                f"{field} is {fields[field]!r}",
                where=folder / CONFIG,
                expected=repr(usual),
                remedy="if it was trained so, correct the field; no other summary is computed here",
            )
    has_tokenizer = any((folder / file).is_file() for file in _TOKENIZER[:3])
    return dataclasses.replace(model, tokenizer=folder if has_tokenizer else None)


def read_config_fields(folder) -> dict:
    """The content of `config.json`. Raises: `CheckpointError` where it is unreadable or of another family."""
    path = Path(folder) / CONFIG
    try:
        fields = json.loads(path.read_text("utf-8-sig"))
        kind = fields.get("model_type") or _kind_told_by_class(fields)
    except (OSError, ValueError, AttributeError) as error:
        if isinstance(error, ValueError):
            check_fetched(path)
        raise CheckpointError(
            f"the configuration cannot be read: {error}",
            where=path,
            expected="JSON as transformers writes it",
            remedy="copy the file again",
        ) from error
    if not isinstance(kind, str) or kind not in ARCHITECTURES:
        raise CheckpointError(
            f"the model's type is {kind!r}",
            where=path,
            expected=" or ".join(map(repr, ARCHITECTURES)),
            remedy="name an ELECTRA or an ALBERT" if kind else 'add "model_type": "electra", or "albert", to the file',
        )
    if fields.get("is_decoder"):
        raise CheckpointError(
            "is_decoder is true: each token sees only those before it",
            where=path,
            expected="an encoder, whose tokens see all others",
            remedy="if it was trained as an encoder, write false there; a decoder cannot be read",
        )
    return _DEFAULTS[kind] | fields | {"model_type": kind} | _labels(fields, path)


def _kind_told_by_class(fields):
    said = next(iter(fields.get("architectures") or []), "")
    return next((kind for kind in ARCHITECTURES if str(said).lower().startswith(kind)), None)


def _labels(fields, path):
    """Names of classes by number, which a file may tell the other way round only."""
    names, numbers = fields.get("id2label"), fields.get("label2id")
    if names is None and isinstance(numbers, dict):
        names = {str(number): name for name, number in numbers.items()}
    if names is None:
        return {}
    wanted = {str(number) for number in range(len(names))}
    if not isinstance(names, dict) or set(names) != wanted or not all(isinstance(n, str) for n in names.values()):
        raise CheckpointError(
            f"id2label is {str(names)[:80]}",
            where=path,
            expected='names by number: {"0": "good", "1": "bad", ...}',
            remedy="correct id2label there",
        )
    return {"id2label": names}


# What a configuration says of its files and its class, which are others once it is written anew.
_SAID_ANEW = {"architectures", "torch_dtype", "dtype", "transformers_version", "_name_or_path", "num_labels"}
_SAID_ANEW |= {"id2label", "label2id", "problem_type", OWN}
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
            check_fetched(folder / name)
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
        tensors = from_tensorflow(tensors) if has_tensorflow_names(tensors) else unwrapped(tensors)
    return {name: array.astype("float32") if array.dtype.name in _HALF else array for name, array in tensors.items()}


def wrapper_of_weights(folder) -> str:
    """What a training program has put before the name of every weight, which is not read as a part of it."""
    path = weights_file(folder)
    return wrapper_of(_SHAPES[path.suffix](path)) if path.suffix in _READERS else ""


def is_wrapped(folder) -> bool:
    """Whether the weights are as a training program or TensorFlow left them, under other names or in another
    dictionary, where transformers' PyTorch classes do not look for them."""
    path = weights_file(folder)
    if path.suffix in _READERS and has_tensorflow_names(_SHAPES[path.suffix](path)):
        return True
    return wrapper_of_weights(folder) != "" or (path.suffix == ".bin" and is_nested(path))


def read_shapes(path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """(NumPy type's name, shape) of every tensor in a file of `WEIGHT_FILES`. Raises as `read_weights`."""
    path = Path(path)
    shapes = _read_shards(path, _SHAPES) if path.suffix == ".json" else _SHAPES[path.suffix](path)
    if has_tensorflow_names(shapes):
        empty = {
            name: np.broadcast_to(np.zeros((), numpy_type(dtype)), shape) for name, (dtype, shape) in shapes.items()
        }
        return {name: (array.dtype.name, array.shape) for name, array in from_tensorflow(empty).items()}
    return unwrapped(shapes)


def _read_shards(index, readers):
    """What all the files that an index names hold, which must be where it says."""
    try:
        places = json.loads(index.read_text("utf-8"))["weight_map"]
        files = sorted(set(places.values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"the index of the shards cannot be read: {error}", where=index, remedy="copy the folder again, whole"
        ) from error
    tensors = {}
    for name in files:
        if Path(name).name != name or not (index.parent / name).is_file():
            raise CheckpointError(f"the shard {name} is missing", where=index, remedy="copy the folder again, whole")
        check_fetched(index.parent / name)
        found = readers[Path(index.stem).suffixes[0]](index.parent / name)
        expected = {tensor for tensor, place in places.items() if place == name}
        if found.keys() != expected:
            odd = ", ".join(sorted(found.keys() ^ expected)[:3])
            raise CheckpointError(
                f"shard and index disagree about {odd}",
                where=index.parent / name,
                expected="the tensors that the index names, each in its shard",
                remedy="copy the folder again, whole",
            )
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
    content = (
        other_fields(model)
        | model.config.to_dict()
        | {
            "architectures": [model.name],
            "position_embedding_type": "absolute",
            "tie_word_embeddings": True,
        }
    )
    if model.is_labelled:
        names = model.fields.get("id2label") or {}
        names = {str(number): names.get(str(number), f"LABEL_{number}") for number in range(model.num_labels)}
        content |= {"problem_type": model.fields["problem_type"]} if model.fields.get("problem_type") else {}
        content |= {"id2label": names, "label2id": {name: int(number) for number, name in names.items()}}
    return content | ({OWN: model.fields[OWN]} if OWN in model.fields else {})


def other_fields(model: LoadedModel) -> dict:
    """Of the `config.json` it came with, what neither its encoder nor its class determines."""
    own = {*_SAID_ANEW, *model.config.to_dict()}
    return {name: value for name, value in model.fields.items() if name not in own}


def _opened(tokenizer, say):
    """The tokenizer, or its folder where it is of a kind that is not read here."""
    from electra_tf.text.load_tokenizer import is_told_by_tokens
    from electra_tf.text.tokenizer import Tokenizer
    from electra_tf.text.tokenizer_files import OtherTokenizerError

    if isinstance(tokenizer, Tokenizer):
        return tokenizer
    try:
        opened = Tokenizer.from_pretrained(tokenizer)
        if is_told_by_tokens(tokenizer):
            lower, strip = opened.settings.lower_case, opened.settings.strip_accents
            strips = lower if strip is None else strip
            say(
                f"by the tokens of {tokenizer}, capitals are {'lowered' if lower else 'kept'} and accents "
                f"{'removed' if strips else 'kept'}, which tokenizer_config.json now says"
            )
        return opened
    except OtherTokenizerError as error:
        folder = Path(tokenizer) if Path(tokenizer).is_dir() else Path(tokenizer).parent
        names = ", ".join(name for name in _TOKENIZER if (folder / name).is_file())
        say(f"{error.found}, whose ids transformers alone makes: its files are copied unread ({names})")
        return folder


def _copy_tokenizer(folder, to):
    """A tokenizer's files; into tokenizer_config.json goes what config.json, which is written anew, says of it."""
    from electra_tf.text.tokenizer_files import read_tokenizer_config

    for name in _TOKENIZER:
        if (folder / name).is_file():
            (to / name).write_bytes((folder / name).read_bytes())
    told = {name: value for name, value in read_tokenizer_config(folder).items() if value is not None}
    (to / "tokenizer_config.json").write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", "utf-8")
