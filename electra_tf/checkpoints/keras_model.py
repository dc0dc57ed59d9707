"""Models in Keras' own format, `.keras`: configuration and weights in one file."""

from math import prod
from pathlib import Path

import numpy as np

from electra_tf.checkpoints.containers.keras_archive import read_description
from electra_tf.checkpoints.containers.output import output_file
from electra_tf.checkpoints.loaded_model import KERAS, LoadedModel, class_with
from electra_tf.errors import CheckpointError, ConfigError, ElectraTFError
from electra_tf.files import check_fetched
from electra_tf.models.config import EncoderConfig


def load_keras(path, **kwargs):
    """`keras.saving.load_model`, which then knows the layers and models of this library.

    Raises: `CheckpointError` for a file that describes a larger model of ours than it holds, before it is built.
    """
    import keras

    import electra_tf.models.task_models  # noqa: F401 - registers every class

    check_fetched(path)
    _check_described(*read_description(path), path)
    return keras.saving.load_model(path, **kwargs)


def read_keras(path) -> LoadedModel:
    """The model in a `.keras` file that holds one of ours: an `Encoder`, or one with a head.

    Raises: `CheckpointError` for a damaged file and for other models.
    """
    from electra_tf import models

    try:
        model = load_keras(path, compile=False)
    except ElectraTFError:
        raise
    except Exception as error:  # Keras raises whatever its reading of the file comes upon
        reason = str(error).strip().splitlines()
        raise CheckpointError(
            f"the file cannot be read: {reason[0] if reason else type(error).__name__}",
            where=path,
            expected="a model of electra_tf saved by Keras",
            remedy="copy the file again from where it came from",
        ) from error
    heads = [head for head, name in KERAS.items() if isinstance(model, getattr(models, name))]
    if not heads and not isinstance(model, models.Encoder):
        inside = [layer.name for layer in getattr(model, "layers", []) if isinstance(layer, models.Encoder)]
        raise CheckpointError(
            f"the file holds a {type(model).__name__}" + (f" with an encoder in it, {inside[0]!r}" if inside else ""),
            where=path,
            expected="an Encoder of electra_tf, or a model of electra_tf.models",
            remedy="take the encoder out: electra_tf.load_model(path).get_layer(name).save('encoder.keras')"
            if inside
            else "save the encoder by itself",
        )
    if heads == ["sentence_order"]:
        heads = ["masked_lm", "sentence_order"]
    if heads == ["answer_start"]:
        heads = list(model.parts)
    heads = ("pooler", *(head for head in heads if head != "pooler")) if hasattr(model, "pooler") else tuple(heads)
    name = class_with(model.config.model_type, heads)
    prefix = "encoder/" if isinstance(model, models.Encoder) else ""
    weights = {ours: np.asarray(variable) for ours, variable in models.named_variables(model, prefix).items()}
    return LoadedModel(name, model.config, weights, heads, getattr(model, "num_labels", 2))


def _check_described(description, shapes, path):
    """Keras builds whatever is described, and only then looks for the weights."""
    name, inside = description["class_name"], description["config"]
    if name != "Encoder" and name not in KERAS.values():
        return
    fields, labels = inside.get("config", inside), inside.get("num_labels", 0)
    config = EncoderConfig.from_dict(fields, path)
    described = config.encoder_weights() + (labels * config.hidden_size if type(labels) is int else 0)
    held = sum(prod(shape) for name, (_, shape) in shapes.items() if not name.startswith("optimizer/"))
    if described > held:
        raise CheckpointError(
            f"the file describes a model of {described:,} weights and holds {held:,}",
            where=path,
            expected="the weights of the model that it describes",
            remedy="copy the file again from where it came from",
        )


def write_keras(path, model: LoadedModel) -> Path:
    """Writes a `.keras` file that `electra_tf.load_model` and `keras.saving.load_model` open; whole or not at all.

    Args:
        path: or an `Output`.

    Raises: `ConfigError` for another ending, `OutputError` when the file cannot be written, or is another's.
    """
    if Path(path).suffix != ".keras":
        raise ConfigError(
            f"the file's name is {Path(path).name}",
            expected="one that ends in .keras",
            where=path,
            remedy="end the name so",
        )
    built = model.build()
    with output_file(path, sum(array.nbytes for array in model.weights.values()) / 1e6) as aside:
        built.save(aside)
    return Path(path)
