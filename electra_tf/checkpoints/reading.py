"""Any checkpoint as one model with its head: a pre-training tower, or what was fine-tuned from one."""

from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from electra_tf.checkpoints.format_detection import recognise
from electra_tf.checkpoints.formats import FORMATS, holds
from electra_tf.checkpoints.hub import located
from electra_tf.checkpoints.keras_model import load_keras
from electra_tf.checkpoints.loaded_model import LoadedModel, class_with, missing_tower
from electra_tf.checkpoints.read_write_options import Reading
from electra_tf.checkpoints.transformers_folder import CONFIG
from electra_tf.checkpoints.weight_names import MODEL_CLASSES, PRETRAINING_HEADS, TOWERS
from electra_tf.errors import CheckpointError, ConfigError, ElectraTFError, InputError
from electra_tf.text.load_tokenizer import open_tokenizer
from electra_tf.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    import keras

    from electra_tf.models.encoder import Encoder


def read_model(
    path,
    tower: str | None = None,
    settings: Mapping | None = None,
    *,
    model_class: str | None = None,
    task: str | None = None,
    keep_tied: str | None = None,
) -> LoadedModel:
    """A model of a checkpoint of any format.

    Args:
        path: a run directory, a Hugging Face folder, a TF-V1 checkpoint, a `.keras` file, or the name of a model on the
            hub (see `hub`).
        tower: of a checkpoint with both, `discriminator` or `generator`; None: the discriminator if there is one.
        settings: fields of its `EncoderConfig` that a TF-V1 checkpoint does not hold, see `read_tf1` and `read_albert`;
            those of one tower alone under its name.
        model_class: transformers' class to take it for, where its tensors do not tell, or to leave heads out.
        task: of a TF-V1 ELECTRA that was fine-tuned for several.
        keep_tied: see `from_torch`.

    Raises: `CheckpointError` for a damaged or foreign checkpoint and one without this tower, `InputError`
    where there is nothing to open.
    """
    if tower is not None and tower not in TOWERS:
        raise ConfigError(f"there is no tower {tower!r}", where="--tower", expected=f"one of {', '.join(TOWERS)}")
    if model_class is not None and model_class not in MODEL_CLASSES:
        raise ConfigError(
            f"there is no class {model_class!r}", where="--class", expected=f"one of {', '.join(MODEL_CLASSES)}"
        )
    path = located(path)
    kind = recognise(path)
    if kind not in FORMATS:
        raise CheckpointError(
            f"this is a {kind.replace('_', ' ')}, not a model",
            where=path,
            expected=", ".join(f.called for f in FORMATS.values()),
            remedy="name the model itself: its file, its folder, or its run",
        )
    with damage_told(path):
        model = FORMATS[kind].read(path, Reading(tower, settings, model_class, task, keep_tied))
    if model_class is not None and (model.name, model.heads) != (model_class, MODEL_CLASSES[model_class].heads):
        model = model.as_class(model_class)
    other = next((name for name in TOWERS if name != tower), None)
    own = [tower for tower, heads in PRETRAINING_HEADS.items() if heads and set(heads) <= set(model.heads)]
    if tower is not None and other in own and tower not in own:
        raise missing_tower(tower, other, path)
    return model


@contextmanager
def damage_told(path):
    """Within it, whatever Python raises over a file that is not what it should be becomes a `CheckpointError`."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"it cannot be read: {error.strerror or error}",
            where=error.filename or path,
            remedy="check that you may read it, and the disk",
        ) from error
    except MemoryError as error:
        raise CheckpointError(
            "there is not enough memory for what it holds, or claims to",
            where=path,
            remedy="free some memory; if its size is not that of such a model, copy it again",
        ) from error
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, ElectraTFError):
            raise
        raise CheckpointError(
            f"it cannot be read: {type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}",
            where=path,
            expected="a checkpoint as its program wrote it",
            remedy="copy it again from where it came from",
        ) from error


def load_tower(path, tower: str = "discriminator", settings: Mapping | None = None) -> LoadedModel:
    """A pre-training tower with its head; arguments and errors as `read_model`."""
    return as_tower(read_model(path, tower, settings), tower, path)


def as_tower(model: LoadedModel, tower: str, where=None) -> LoadedModel:
    """A model as a pre-training tower, other heads left out. Raises: `CheckpointError` where it lacks the head."""
    wanted = PRETRAINING_HEADS[tower]
    if set(wanted) <= set(model.heads):
        name = class_with(model.config.model_type, wanted)
        return model if model.heads == wanted else replace(model.with_heads(wanted), name=name)
    other = next(name for name in TOWERS if name != tower)
    if set(PRETRAINING_HEADS[other]) <= set(model.heads):
        raise missing_tower(tower, other, where)
    raise CheckpointError(
        f"the model has no pre-training head, only {', '.join(model.heads) or 'its encoder'}",
        where=where,
        expected="ElectraForPreTraining, ElectraForMaskedLM or AlbertForMaskedLM",
        remedy="name no tower: a fine-tuned model is taken as it is, and its encoder alone as ElectraModel",
    )


def towers_of(path) -> tuple[str, ...]:
    """The towers of a checkpoint of several: a run's, or those of a TF-V1 ELECTRA; none for other formats.

    Raises: `CheckpointError` for a damaged one, `InputError` where there is nothing to open.
    """
    path = located(path)
    form = FORMATS.get(recognise(path))
    return form.towers(path) if form else ()


def lacks_configuration(path) -> bool:
    """Whether something of a model's configuration is not in the checkpoint."""
    path = located(path)
    kind = recognise(path)
    if kind == "transformers_folder":
        return not (path / CONFIG).is_file()
    return kind in FORMATS and not holds(kind, "configuration")


def load_model(
    path,
    tower: str | None = None,
    settings: Mapping | None = None,
    *,
    model_class: str | None = None,
    task: str | None = None,
    **kwargs,
) -> "keras.Model":
    """A checkpoint of any format as a Keras model, with its head.

    Args:
        path, tower, settings, model_class, task: as in `read_model`. A `.keras` file may hold a user's own model that
            is made with layers of this library.
        kwargs: Keras' name and dtype; of a `.keras` file those of `keras.saving.load_model`.

    Raises: as `read_model`, but for a `.keras` file what Keras raises.
    """
    path = located(path)
    if recognise(path) == "keras" and not (tower or settings or model_class or task):
        return load_keras(path, **kwargs)
    return read_model(path, tower, settings, model_class=model_class, task=task).build(**kwargs)


def load_encoder(
    path,
    tower: str | None = None,
    settings: Mapping | None = None,
    *,
    model_class: str | None = None,
    task: str | None = None,
    **kwargs,
) -> "Encoder":
    """The encoder of a checkpoint of any format, without its head, as a Keras model.

    Args:
        path, model_class, task: as in `read_model`; the model may be of any class.
        tower: `discriminator` or `generator`; None: the discriminator if there is one, else the only encoder.
        settings: fields of its configuration that a TF-V1 checkpoint does not tell, such as
            `{"num_attention_heads": 4}`; by default one head for 64 units.
        kwargs: Keras' (name, dtype).

    Raises: as `read_model`.
    """
    return read_model(path, tower, settings, model_class=model_class, task=task).build_encoder(**kwargs)


def load_tokenizer(path, **settings) -> Tokenizer:
    """The tokenizer of a run, of a model in a Hugging Face folder, or beside a TF-V1 checkpoint; or one by itself.

    Args:
        path: of the checkpoint, or what `text.load_tokenizer.open_tokenizer` takes. settings: as there.

    Raises: `InputError` where there is none.
    """
    path = located(path)
    form = FORMATS.get(recognise(path))
    found = form.tokenizer(path) if form else path
    if found is None:
        raise InputError(
            "there is no tokenizer beside the checkpoint, or more than one",
            where=path,
            expected="vocab.txt, a SentencePiece model or tokenizer.json in its folder",
            remedy="name the tokenizer's own file or folder",
        )
    return open_tokenizer(found, **settings)
