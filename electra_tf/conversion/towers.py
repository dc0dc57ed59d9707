"""One tower of a checkpoint of any format, and the Keras models made of it."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from electra_tf.conversion.detect import recognise
from electra_tf.conversion.models import read_model
from electra_tf.conversion.names import TOWERS, tower_tensors
from electra_tf.conversion.transformers_folder import read_folder, read_shapes, weights_file
from electra_tf.conversion.translation import tower_weights, translate
from electra_tf.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    import keras

    from electra_tf.models.config import EncoderConfig
    from electra_tf.models.encoder import Encoder

_ABILITIES = {
    "discriminator": "it tells which tokens were replaced, and has no scores over the vocabulary",
    "generator": "it fills in masked tokens, and cannot tell which were replaced",
}


class _MissingTower(CheckpointError):
    """The checkpoint has the other tower alone."""


@dataclass(frozen=True)
class LoadedTower:
    """A tower with its head.

    Attributes:
        tower: `discriminator` or `generator`.
        config: its configuration.
        weights: all of them under our names, shared embeddings under the tower's own.
        tokenizer: where its tokenizer is, or None where the checkpoint has none.
    """

    tower: str
    config: "EncoderConfig"
    weights: dict[str, np.ndarray]
    tokenizer: Path | None

    def build(self, **kwargs) -> "keras.Model":
        """A `ReplacedTokenDetector` or `MaskedLanguageModel`; `kwargs` are Keras' (name, dtype)."""
        from electra_tf.models import MaskedLanguageModel, ReplacedTokenDetector

        models = {"discriminator": ReplacedTokenDetector, "generator": MaskedLanguageModel}
        model = models[self.tower](self.config, **kwargs)
        self._assign(model, "encoder/", f"{self.tower}/")
        return model

    def build_encoder(self, **kwargs) -> "Encoder":
        """The encoder alone; `kwargs` are Keras' (name, dtype)."""
        from electra_tf.models import Encoder

        encoder = Encoder(self.config, **kwargs)
        self._assign(encoder, "", f"{self.tower}/")
        return encoder

    def _assign(self, model, prefix, ours):
        from electra_tf.models import named_variables

        for name, variable in named_variables(model).items():
            variable.assign(self.weights[ours + name.removeprefix(prefix) if name.startswith(prefix) else name])


def load_tower(path, tower: str = "discriminator", settings: Mapping | None = None) -> LoadedTower:
    """Reads one tower of a checkpoint.

    Args:
        path: a run directory, a Hugging Face folder, or a TF-V1 checkpoint.
        tower: `discriminator` or `generator`.
        settings: fields of its `EncoderConfig` that a TF-V1 checkpoint does not hold, see `read_tf1`.

    Raises: `CheckpointError` for a damaged or foreign checkpoint and one without this tower, `InputError`
    where there is nothing to open.
    """
    if tower not in TOWERS:
        raise ConfigError(f"there is no tower {tower!r}", expected=f"one of {', '.join(TOWERS)}")
    kind = recognise(path)
    if kind not in _READERS:
        raise CheckpointError(
            f"this is a {kind.replace('_', ' ')}, not a model",
            where=path,
            expected="a run directory, a Hugging Face folder, or a TF-V1 checkpoint",
        )
    config, weights, tokenizer = _READERS[kind](Path(path), tower, settings)
    if config is None:
        other = next(name for name in TOWERS if name != tower)
        raise _MissingTower(
            f"there is no {tower} here, only a {other}: {_ABILITIES[other]}",
            where=path,
            expected=f"a checkpoint with a {tower}",
        )
    weights = tower_weights(weights, tower)
    weights = translate(weights, tower_tensors(dataclasses.asdict(config), tower), "ours", "ours", path)
    return LoadedTower(tower, config, weights, tokenizer)


def load_encoder(path, tower: str | None = None, **kwargs) -> "Encoder":
    """The encoder of a checkpoint, without its head.

    Args:
        path: as in `load_tower`; a Hugging Face folder may hold any class of `names.MODEL_CLASSES`.
        tower: which one; None: the discriminator if there is one, else the only encoder.
        kwargs: Keras' (name, dtype).

    Raises: as `load_tower`.
    """
    if tower is not None:
        return load_tower(path, tower).build_encoder(**kwargs)
    if recognise(path) == "transformers_folder" and not _is_our_albert_discriminator(path):
        return read_model(path).build_encoder(**kwargs)
    try:
        loaded = load_tower(path)
    except _MissingTower:
        loaded = load_tower(path, "generator")
    return loaded.build_encoder(**kwargs)


def _is_our_albert_discriminator(folder):
    """No class of transformers has an ALBERT's encoder and a head for replaced tokens."""
    names = read_shapes(weights_file(folder))
    return any(n.startswith("albert.") for n in names) and any(n.startswith("discriminator_pred") for n in names)


# Each gives (configuration or None where there is no such tower, weights, tokenizer).


def _run_directory(path, tower, settings):
    from electra_tf.conversion.run_directory import read_run

    run = read_run(path)
    return getattr(run, tower), run.weights, run.tokenizer


def _transformers_folder(path, tower, settings):
    config, found, weights = read_folder(path)
    has_tokenizer = any((path / name).is_file() for name in ("vocab.txt", "tokenizer.json"))
    return config if found == tower else None, weights, path if has_tokenizer else None


def _tf1(path, tower, settings):
    from electra_tf.conversion.tf1 import read_tf1
    from electra_tf.conversion.tf1_albert import is_albert, read_albert

    if not is_albert(path):
        checkpoint = read_tf1(path, **{tower: settings})
        return getattr(checkpoint, tower), checkpoint.weights, None
    checkpoint = read_albert(path, settings)
    if "masked_lm" not in checkpoint.heads:
        raise CheckpointError(
            f"this is a fine-tuned ALBERT, with {', '.join(checkpoint.heads) or 'no head'}",
            where=path,
            expected="one with the masked-LM head of pre-training",
        )
    return checkpoint.config if tower == "generator" else None, checkpoint.weights, None


_READERS = {"run_directory": _run_directory, "transformers_folder": _transformers_folder, "tf1": _tf1}
