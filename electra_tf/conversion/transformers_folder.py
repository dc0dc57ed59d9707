"""Hugging Face folders of one tower: `config.json`, `model.safetensors`, tokenizer files and a model card."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from electra_tf.conversion.names import ARCHITECTURES
from electra_tf.conversion.safetensors import read_tensors, write_tensors
from electra_tf.conversion.torch_tensors import from_torch, to_torch, tower_of
from electra_tf.conversion.translation import tower_weights
from electra_tf.errors import CheckpointError, ConfigError, OutputError

if TYPE_CHECKING:
    from electra_tf.models.config import EncoderConfig
    from electra_tf.text.tokenizer import Tokenizer

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
_TOKENIZER = ("vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")

# The class of transformers that holds each tower. None holds an ALBERT with a head for replaced tokens: its
# encoder is an AlbertModel (without weights for the pooler), whose loader leaves the head beside it alone.
CLASSES = {
    ("electra", "discriminator"): "ElectraForPreTraining",
    ("electra", "generator"): "ElectraForMaskedLM",
    ("albert", "discriminator"): "AlbertModel",
    ("albert", "generator"): "AlbertForMaskedLM",
}


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

    Raises: `CheckpointError` for weights that do not fit, `ConfigError` for what transformers computes
    otherwise, `OutputError` when the folder cannot be written or holds something else.
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
            expected=f"{sum(array.nbytes for array in tensors.values()) / 1e6:.0f} MB of free space there",
            remedy="choose a folder that can be written to, on a disk with space",
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def read_folder(folder) -> "tuple[EncoderConfig, str, dict[str, np.ndarray]]":
    """(configuration, tower, weights under our names) of a folder with `model.safetensors`.

    Raises: `CheckpointError` for missing or damaged files and tensors that do not fit the configuration.
    """
    from electra_tf.models.config import EncoderConfig

    config, path = EncoderConfig.from_dict(read_config_fields(folder)), weights_file(folder)
    tensors = read_tensors(path)
    tower = tower_of(tensors, path)
    return config, tower, from_torch(tensors, tower, config, path)


def read_config_fields(folder) -> dict:
    """The content of `config.json`. Raises: `CheckpointError` where it is unreadable or of another family."""
    path = Path(folder) / CONFIG
    try:
        fields = json.loads(path.read_text("utf-8"))
        kind = fields.get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(f"the configuration cannot be read: {error}", where=path) from error
    if kind not in ARCHITECTURES:
        raise CheckpointError(
            f"the model's type is {kind!r}", where=path, expected=" or ".join(map(repr, ARCHITECTURES))
        )
    return fields


def weights_file(folder) -> Path:
    """The file with a folder's weights. Raises: `CheckpointError` where it has none that is read here."""
    folder = Path(folder)
    if (folder / WEIGHTS).is_file():
        return folder / WEIGHTS
    others = sorted(file.name for file in folder.glob("*") if file.suffix in (".bin", ".h5", ".safetensors"))
    raise CheckpointError(
        f"the folder has no {WEIGHTS}" + (f", only {', '.join(others)}" if others else ""),
        where=folder,
        expected=f"all weights in one file {WEIGHTS}",
        remedy="open it with transformers and save it again with save_pretrained",
    )


def config_json(config: "EncoderConfig", tower: str) -> dict:
    """The content of `config.json`."""
    return config.to_dict() | {
        "architectures": [CLASSES[config.model_type, tower]],
        "position_embedding_type": "absolute",
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
    }


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
    strange = "it is a file" if not folder.is_dir() else ", ".join(sorted({p.name for p in folder.iterdir()} - known))
    if strange:
        raise OutputError(
            f"the folder exists and holds something else: {strange}",
            where=folder,
            expected="a new folder, or one with an exported model, which is replaced",
            remedy="name another folder",
        )


def _write_text(path, text):
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
