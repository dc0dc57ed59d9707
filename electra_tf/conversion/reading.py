"""Any checkpoint as one model with its head: a pre-training tower, or what was fine-tuned from one."""

from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from electra_tf.conversion.detect import recognise
from electra_tf.conversion.keras_file import read_keras
from electra_tf.conversion.models import LoadedModel, class_with, pretrained
from electra_tf.conversion.names import MODEL_CLASSES, PRETRAINING_HEADS, TOWERS
from electra_tf.conversion.transformers_folder import read_folder
from electra_tf.errors import CheckpointError, ConfigError, ElectraTFError

if TYPE_CHECKING:
    from electra_tf.models.encoder import Encoder

_ABILITIES = {
    "discriminator": "it tells which tokens were replaced, and has no scores over the vocabulary",
    "generator": "it fills in masked tokens, and cannot tell which were replaced",
}


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
        path: a run directory, a Hugging Face folder, a TF-V1 checkpoint, or a `.keras` file.
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
        raise ConfigError(f"there is no tower {tower!r}", expected=f"one of {', '.join(TOWERS)}")
    if model_class is not None and model_class not in MODEL_CLASSES:
        raise ConfigError(f"there is no class {model_class!r}", expected=f"one of {', '.join(MODEL_CLASSES)}")
    kind, path = recognise(path), Path(path)
    with damage_told(path):
        model = _read(kind, path, tower, settings, model_class, task, keep_tied)
    if model_class is not None and (model.name, model.heads) != (model_class, MODEL_CLASSES[model_class].heads):
        model = model.as_class(model_class)
    other = next((name for name in TOWERS if name != tower), None)
    own = [tower for tower, heads in PRETRAINING_HEADS.items() if heads and set(heads) <= set(model.heads)]
    if tower is not None and other in own and tower not in own:
        raise _missing(tower, other, path)
    return model


@contextmanager
def damage_told(path):
    """Within it, whatever Python raises over a file that is not what it should be becomes a `CheckpointError`."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, ElectraTFError):
            raise
        raise CheckpointError(
            f"it cannot be read: {type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}",
            where=path,
            expected="a checkpoint as its program wrote it",
            remedy="copy it again from where it came from",
        ) from error


def _read(kind, path, tower, settings, model_class, task, keep_tied) -> LoadedModel:
    if kind == "run_directory":
        model = _run_directory(path, tower)
    elif kind == "transformers_folder":
        model = read_folder(path, keep_tied, model_class, settings_of(settings, tower))
    elif kind == "tf1":
        model = replace(_tf1(path, tower, settings, model_class, task), tokenizer=tokenizer_beside(path))
    elif kind == "keras":
        model = read_keras(path)
    else:
        raise CheckpointError(
            f"this is a {kind.replace('_', ' ')}, not a model",
            where=path,
            expected="a run directory, a Hugging Face folder, a TF-V1 checkpoint, or a .keras file",
        )
    return model


def load_tower(path, tower: str = "discriminator", settings: Mapping | None = None) -> LoadedModel:
    """A pre-training tower with its head; arguments and errors as `read_model`."""
    return as_tower(read_model(path, tower, settings), tower, path)


def as_tower(model: LoadedModel, tower: str, where=None) -> LoadedModel:
    """A model as a pre-training tower, other heads left out. Raises: `CheckpointError` where it lacks the head."""
    wanted = PRETRAINING_HEADS[tower]
    if set(wanted) <= set(model.heads):
        name = class_with(model.config.model_type, wanted)
        return model if model.heads == wanted else model.as_class(name)
    other = next(name for name in TOWERS if name != tower)
    if set(PRETRAINING_HEADS[other]) <= set(model.heads):
        raise _missing(tower, other, where)
    raise CheckpointError(
        f"the model has no pre-training head, only {', '.join(model.heads) or 'its encoder'}",
        where=where,
        expected="ElectraForPreTraining, ElectraForMaskedLM or AlbertForMaskedLM",
        remedy="name no tower: a fine-tuned model is taken as it is, and its encoder alone as ElectraModel",
    )


def settings_of(settings: Mapping | None, tower: str | None = None) -> dict:
    """The fields that settings have for a tower: those of both, and those under its name."""
    common = {name: value for name, value in (settings or {}).items() if name not in TOWERS}
    return common | (settings or {}).get(tower, {})


def towers_of(path) -> tuple[str, ...]:
    """The towers of a checkpoint of several: a run's, or those of a TF-V1 ELECTRA; none for other formats.

    Raises: `CheckpointError` for a damaged one, `InputError` where there is nothing to open.
    """
    from electra_tf.conversion.layout import layout
    from electra_tf.conversion.tf1 import is_weight, read_shapes
    from electra_tf.conversion.tf1_albert import is_albert

    kind = recognise(path)
    if kind != "tf1" or is_albert(path):
        return TOWERS if kind == "run_directory" else ()
    shapes = {name: shape for name, shape in read_shapes(path).items() if is_weight(name)}
    found = layout(shapes, "tf1", path)
    return TOWERS if found.sharing == "encoder" else tuple(found.towers)


def holds_both_towers(path) -> bool:
    """Whether a checkpoint has a discriminator and its generator. Raises as `towers_of`."""
    return set(TOWERS) <= set(towers_of(path))


def load_encoder(
    path,
    tower: str | None = None,
    settings: Mapping | None = None,
    *,
    model_class: str | None = None,
    task: str | None = None,
    **kwargs,
) -> "Encoder":
    """The encoder of a checkpoint, without its head, as a Keras model.

    Args:
        path, tower, settings, model_class, task: as in `read_model`; the model may be of any class.
        kwargs: Keras' (name, dtype).

    Raises: as `read_model`.
    """
    return read_model(path, tower, settings, model_class=model_class, task=task).build_encoder(**kwargs)


def tokenizer_beside(path: Path) -> Path | None:
    """The vocabulary that is published in one folder with a TF-V1 checkpoint: vocab.txt, or SentencePiece's model."""
    folder = path if path.is_dir() else path.parent
    if any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json")):
        return folder
    found = [*folder.glob("vocab*.txt"), *folder.glob("*.model")]
    return found[0] if len(found) == 1 else None


def _missing(tower, other, path):
    return CheckpointError(
        f"there is no {tower} here, only a {other}: {_ABILITIES[other]}",
        where=path,
        expected=f"a checkpoint with a {tower}",
    )


def _run_directory(path, tower):
    from electra_tf.conversion.run_directory import read_run

    run, tower = read_run(path), tower or "discriminator"
    return pretrained(tower, getattr(run, tower), run.weights, run.tokenizer, path)


def _tf1(path, tower, settings, model_class, task):
    from electra_tf.conversion.tf1 import read_tf1
    from electra_tf.conversion.tf1_albert import is_albert, read_albert
    from electra_tf.conversion.tf1_tasks import fine_tuned

    if is_albert(path):
        return read_albert(path, settings_of(settings), model_class == "AlbertForMultipleChoice").model()
    checkpoint = read_tf1(path)
    found = checkpoint.layout
    if settings:  # of the tower that is read
        here = tower or ("generator" if checkpoint.discriminator is None else "discriminator")
        checkpoint = read_tf1(path, **{here: settings_of(settings, here)})
    if task is not None and not found.tasks:
        raise ConfigError(f"there is no task {task!r}", where=path, expected="none: it was not fine-tuned")
    if found.tasks:
        return fine_tuned(checkpoint.weights, checkpoint.discriminator, task, model_class, path)
    if tower == "generator" and "generator_ltr" in found.towers:
        raise CheckpointError(
            "the generator reads the text from both ends by two towers, which no class of transformers can hold",
            where=path,
            expected="the discriminator, which is an ordinary one; or TF-V1 as the target, which holds all",
        )
    here = [name for name in TOWERS if getattr(checkpoint, name) is not None]
    tower = tower or here[0]
    if tower not in here:
        raise _missing(tower, here[0], path)
    if tower == "discriminator" and "replaced_token" not in found.heads[tower]:
        weights = {name: array for name, array in checkpoint.weights.items() if name.startswith("discriminator/")}
        return LoadedModel("ElectraModel", checkpoint.discriminator, weights, ())
    weights = checkpoint.weights
    if found.sharing == "encoder" and tower == "generator":
        weights = {name.replace("discriminator/", "generator/", 1): array for name, array in weights.items()}
    return pretrained(tower, getattr(checkpoint, tower), weights, None, path)
