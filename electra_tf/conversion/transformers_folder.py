"""Hugging Face folders: `config.json`, `model.safetensors`, tokenizer files and a model card, for one tower."""

import dataclasses
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from electra_tf.conversion.names import ARCHITECTURES, TOWERS, tower_tensors
from electra_tf.conversion.safetensors import read_header, read_tensors, write_tensors
from electra_tf.conversion.translation import translate
from electra_tf.errors import CheckpointError, ConfigError, OutputError

if TYPE_CHECKING:
    from electra_tf.models.config import EncoderConfig
    from electra_tf.text.tokenizer import Tokenizer

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
_TOKENIZER = ("vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")

# The class of transformers that holds each tower. None holds an ALBERT with a replaced-token head: its encoder
# goes into AlbertModel, whose loader leaves the head beside it alone.
CLASSES = {
    ("electra", "discriminator"): "ElectraForPreTraining",
    ("electra", "generator"): "ElectraForMaskedLM",
    ("albert", "discriminator"): "AlbertModel",
    ("albert", "generator"): "AlbertForMaskedLM",
}

# Tensors that repeat another. transformers ties them, and versions differ in which they believe.
_TIED = {
    "generator_lm_head.weight": "electra.embeddings.word_embeddings.weight",
    "predictions.decoder.weight": "albert.embeddings.word_embeddings.weight",
    "predictions.decoder.bias": "predictions.bias",
}
# Buffers that older versions saved.
_IGNORED = re.compile(r"(.*\.)?embeddings\.(position_ids|token_type_ids)")
# Layer norms of older versions.
_OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}


def write_folder(
    folder,
    tower: str,
    config: "EncoderConfig",
    weights: Mapping[str, np.ndarray],
    tokenizer: "Tokenizer | str | Path | None" = None,
    model_card: str | None = None,
) -> None:
    """Writes a folder that `from_pretrained` of transformers opens; it appears whole or not at all.

    Args:
        folder: may exist if it holds nothing but such files, which are replaced.
        tower: `discriminator` or `generator`.
        config: of this tower.
        weights: under our names, of both towers or of this one.
        tokenizer: a `Tokenizer`, or the folder or file it is in; None: the folder gets none.
        model_card: text of README.md.

    Raises: `CheckpointError` for weights that do not fit, `ConfigError` for what transformers computes otherwise,
    `OutputError` when the folder cannot be written or holds something else.
    """
    folder = Path(folder)
    _check_folder(folder)
    if tokenizer is not None:
        config, tokenizer = _fit_tokenizer(config, tokenizer)
    tensors = to_torch(tower_weights(weights, tower), tower, config)
    aside, old = (folder.with_name(f".{folder.name}.{kind}{os.getpid()}") for kind in ("new", "old"))
    try:
        aside.mkdir(parents=True)
        write_tensors(aside / WEIGHTS, tensors, {"format": "pt"})
        _write_text(aside / CONFIG, json.dumps(config_json(config, tower), indent=2, sort_keys=True) + "\n")
        if model_card is not None:
            _write_text(aside / CARD, model_card)
        if tokenizer is not None:
            tokenizer.save(aside, max_length=config.max_position_embeddings)
        if folder.exists():
            os.replace(folder, old)
        os.replace(aside, folder)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise OutputError(
            f"the folder cannot be written: {error.strerror or error}",
            where=folder,
            expected=f"about {sum(array.nbytes for array in tensors.values()) / 1e6:.0f} MB of free space there",
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def read_folder(folder) -> "tuple[EncoderConfig, str, dict[str, np.ndarray]]":
    """(configuration, tower, weights under our names) of a folder with `model.safetensors`.

    Raises: `CheckpointError` for files that are missing or damaged and tensors that do not fit the configuration.
    """
    folder = Path(folder)
    config = _read_config(folder)
    path = folder / WEIGHTS
    if not path.is_file():
        others = sorted(
            p.name for p in folder.glob("*") if p.suffix in (".bin", ".h5", ".safetensors", ".msgpack")
        )
        raise CheckpointError(
            f"the folder has no {WEIGHTS}" + (f", only {', '.join(others)}" if others else ""),
            where=folder,
            expected=f"weights in one file {WEIGHTS}",
            remedy="open it with transformers and save it again with save_pretrained",
        )
    tensors = read_tensors(path)
    tower = _tower_of(tensors, path)
    return config, tower, from_torch(tensors, tower, config, path)


def read_tower(folder) -> str:
    """The tower in a folder, told from the names of its tensors. Raises: `CheckpointError`."""
    path = Path(folder) / WEIGHTS
    return _tower_of(read_header(path), path)


def config_json(config: "EncoderConfig", tower: str) -> dict:
    """The content of `config.json`."""
    return config.to_dict() | {
        "architectures": [CLASSES[config.model_type, tower]],
        "position_embedding_type": "absolute",
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
    }


def tower_weights(weights: Mapping[str, np.ndarray], tower: str) -> dict[str, np.ndarray]:
    """One tower and its head out of both. What the generator shares with the discriminator is under its own name."""
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


def to_torch(weights: Mapping[str, np.ndarray], tower: str, config: "EncoderConfig") -> dict[str, np.ndarray]:
    """PyTorch's tensors of one tower from ours. Kernels are transposed views.

    Raises: `CheckpointError` for weights that do not fit, `ConfigError` for an ELECTRA generator whose activation is
    not `gelu`: transformers uses that in its head whatever the configuration says.
    """
    if config.model_type == "electra" and tower == "generator" and config.hidden_act != "gelu":
        raise ConfigError(
            f"the generator's hidden_act is {config.hidden_act!r}",
            expected="'gelu': ElectraForMaskedLM computes it in its head whatever the configuration says",
        )
    tensors = translate(weights, tower_tensors(dataclasses.asdict(config), tower), "ours", "torch")
    return tensors | _identity_projection(config)


def from_torch(
    tensors: Mapping[str, np.ndarray], tower: str, config: "EncoderConfig", where=None
) -> dict[str, np.ndarray]:
    """Our weights of one tower from PyTorch's, the inverse of `to_torch`.

    Buffers are ignored; a tensor that repeats another must equal it.

    Raises: `CheckpointError` for tensors that do not fit.
    """
    left = {_current_name(name): array for name, array in tensors.items() if not _IGNORED.fullmatch(name)}
    for repeated, name in _TIED.items():
        if repeated in left:
            _check_equal(left, repeated, left.setdefault(name, left[repeated]), name, where)
            del left[repeated]
    for name, identity in _identity_projection(config).items():
        if name in left:
            _check_equal(
                left, name, identity, "the identity, since embeddings are as wide as the encoder", where
            )
            del left[name]
    return translate(left, tower_tensors(dataclasses.asdict(config), tower), "torch", "ours", where)


def _identity_projection(config):
    """ALBERT's projection in PyTorch, where it exists even if widths are equal; ours has none then."""
    size = config.hidden_size
    if config.model_type != "albert" or config.embedding_size != size:
        return {}
    name = f"{ARCHITECTURES['albert'].towers['discriminator'][2]}.encoder.embedding_hidden_mapping_in"
    return {f"{name}.weight": np.eye(size, dtype="float32"), f"{name}.bias": np.zeros(size, "float32")}


def _current_name(name):
    for old, new in _OLD_NAMES.items():
        name = name.removesuffix(old) + new if name.endswith(old) else name
    return name


def _check_equal(tensors, name, expected, what, where):
    array = tensors[name]
    if array.shape != expected.shape:
        difference = f"its shape is {list(array.shape)}, not {list(expected.shape)}"
    elif not np.array_equal(array, expected):
        difference = f"they differ by up to {np.max(np.abs(array - expected)):.3g}"
    else:
        return
    raise CheckpointError(
        f"{name} is not equal to {what}: {difference}",
        where=where,
        expected="tied tensors",
        remedy="a model with tensors of its own there cannot be held; save it with the tensors tied",
    )


def _tower_of(names, where):
    for tower, prefixes in zip(
        TOWERS, ("discriminator_predictions.", ("generator_predictions.", "predictions."))
    ):
        if any(name.startswith(prefixes) for name in names):
            return tower
    heads = sorted({name.split(".")[0] for name in names})
    raise CheckpointError(
        f"the model has neither a replaced-token head nor a masked-LM head, only {', '.join(heads)}",
        where=where,
        expected="a model saved from " + ", ".join(sorted(set(CLASSES.values()) - {"AlbertModel"})),
    )


def _read_config(folder):
    from electra_tf.models.config import EncoderConfig

    path = folder / CONFIG
    try:
        fields = json.loads(path.read_text("utf-8"))
        kind = fields.get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(f"the configuration cannot be read: {error}", where=path) from error
    if kind not in ARCHITECTURES:
        raise CheckpointError(
            f"the model's type is {kind!r}", where=path, expected=" or ".join(map(repr, ARCHITECTURES))
        )
    return EncoderConfig.from_dict(fields)


def _fit_tokenizer(config, tokenizer):
    """The configuration with the tokenizer's padding id, and the tokenizer opened."""
    from electra_tf.text.tokenizer import Tokenizer

    if not isinstance(tokenizer, Tokenizer):
        tokenizer = Tokenizer.from_pretrained(tokenizer)
    if len(tokenizer) > config.vocab_size:
        raise ConfigError(
            f"the tokenizer has {len(tokenizer)} tokens, the model {config.vocab_size}",
            where=tokenizer.source,
            expected="the vocabulary the model was trained with",
        )
    return config.replace(pad_token_id=tokenizer.pad_id), tokenizer


def _check_folder(folder):
    if not folder.exists():
        return
    known = {CONFIG, WEIGHTS, CARD, *_TOKENIZER}
    strange = "it is a file" if not folder.is_dir() else sorted({p.name for p in folder.iterdir()} - known)
    if strange:
        raise OutputError(
            f"the folder exists and holds something else: {strange if isinstance(strange, str) else strange[0]}",
            where=folder,
            expected="a new folder, or one with an exported model, which is replaced",
            remedy="name another folder",
        )


def _write_text(path, text):
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
