"""A TF-V1 checkpoint of Google's ELECTRA or ALBERT as one model, and one model as such a checkpoint."""

import dataclasses
import json
from dataclasses import replace
from pathlib import Path

from electra_tf.checkpoints.containers.tf1_bundle import read_shapes
from electra_tf.checkpoints.google_albert import is_albert, read_albert, write_albert
from electra_tf.checkpoints.google_electra import read_tf1, write_tf1
from electra_tf.checkpoints.google_heads import fine_tuned, to_task
from electra_tf.checkpoints.google_layout import layout
from electra_tf.checkpoints.google_slots import check_epsilon, is_weight, usual_heads
from electra_tf.checkpoints.loaded_model import LoadedModel, missing_tower, pretrained
from electra_tf.checkpoints.read_write_options import Reading, Writing, settings_of, told_as
from electra_tf.checkpoints.shared_tables import with_copies
from electra_tf.checkpoints.translation import with_tower_called
from electra_tf.checkpoints.weight_names import TOWERS
from electra_tf.errors import CheckpointError, ConfigError


def read_google(path, reading: Reading) -> LoadedModel:
    """One model of a checkpoint of either family. Raises: as `reading.read_model`."""
    model = _read_albert(path, reading) if is_albert(path) else _read_electra(path, reading)
    return replace(model, tokenizer=tokenizer_beside(Path(path)))


def _read_albert(path, reading):
    return read_albert(path, reading.settings_of(), reading.model_class == "AlbertForMultipleChoice").model()


def _read_electra(path, reading):
    tower, task = reading.tower, reading.task
    checkpoint = read_tf1(path)
    found = checkpoint.layout
    if reading.settings:  # of the tower that is read
        here = tower or ("generator" if checkpoint.discriminator is None else "discriminator")
        checkpoint = read_tf1(path, **{here: reading.settings_of(here)})
    if task is not None and not found.tasks:
        raise ConfigError(
            f"there is no task {task!r}",
            where=path,
            expected="none: it was not fine-tuned",
            remedy="leave the task out",
        )
    if found.tasks:
        return fine_tuned(checkpoint.weights, checkpoint.discriminator, task, reading.model_class, path)
    if tower == "generator" and "generator_ltr" in found.towers:
        raise two_towers(path)
    here = [name for name in TOWERS if getattr(checkpoint, name) is not None]
    tower = tower or here[0]
    if tower not in here:
        raise missing_tower(tower, here[0], path)
    if tower == "discriminator" and "replaced_token" not in found.heads[tower]:
        weights = {name: array for name, array in checkpoint.weights.items() if name.startswith("discriminator/")}
        weights = with_tower_called(weights, "discriminator", "encoder")
        return LoadedModel("ElectraModel", checkpoint.discriminator, weights, ())
    weights = checkpoint.weights
    if found.sharing == "encoder" and tower == "generator":
        weights = with_tower_called(weights, "discriminator", "generator")
    return pretrained(tower, getattr(checkpoint, tower), weights, None, path)


def two_towers(path) -> CheckpointError:
    """The error for a generator of two towers where one model is wanted."""
    return CheckpointError(
        "the generator reads the text from both ends by two towers, which no class of transformers can hold",
        where=path,
        expected="the discriminator, which is an ordinary one; or TF-V1 as the target, which holds all",
        remedy="name the discriminator, by --tower, or write all of it, by --to tf1",
    )


def write_google(folder, model: LoadedModel, writing: Writing) -> Path:
    """Writes one model as Google's code names it; returns the prefix.

    Raises: `ConfigError` and `CheckpointError` for what that code cannot hold or computes otherwise, `OutputError` when
    the folder cannot be written.
    """
    task = writing.task
    albert = model.config.model_type == "albert"
    if task is not None and (albert or _is_pretrained(model)):
        raise ConfigError(
            f"task {task} for {model.name}", where="--task", expected="a task only for an ELECTRA that was fine-tuned"
        )
    if albert:
        return write_albert(folder, model)
    check_google_computes(writing.settings, {model.tower: model.config})
    return write_tf1(folder, model.tower_weights() if _is_pretrained(model) else to_task(model, task))


def _is_pretrained(model):
    return not set(model.heads) - {"replaced_token", "masked_lm"}


def check_google_computes(settings, configs):
    """Raises `ConfigError` for what Google's ELECTRA code, given such tensors, would compute otherwise."""
    for tower, config in configs.items():
        given, own = settings_of(settings, tower), dataclasses.asdict(config)
        wrong = [f"{n} is {v!r}, the model's {own.get(n)!r}" for n, v in given.items() if own.get(n) != v]
        if wrong:
            raise ConfigError(
                f"the configuration contradicts the {tower}: " + "; ".join(wrong),
                where="--config",
                expected="the model's own, or none",
            )
        if config.hidden_act not in ("gelu", "relu", "tanh"):
            raise ConfigError(
                f"hidden_act is {config.hidden_act!r}",
                where="--to tf1",
                expected="gelu, relu or tanh, which Google's ELECTRA can compute",
                remedy="write it in another format",
            )
        check_epsilon(config)
        usual = {"num_attention_heads": usual_heads(config.hidden_size), "hidden_act": "gelu"}
        untold = {n: own[n] for n, value in usual.items() if own[n] not in (value, given.get(n))}
        if untold:
            raise ConfigError(
                f"TF-V1 does not hold {' and '.join(f'{n} of {v!r}' for n, v in untold.items())}: Google's code, and "
                f"this one, would take {', '.join(repr(usual[n]) for n in untold)} for {config.hidden_size} units",
                where=tower,
                expected="one head for 64 units, and gelu",
                remedy=f"say that you will tell, with --config and a file of {json.dumps(untold)}, or "
                f"{json.dumps({told_as(tower): untold})} for one tower; the same file then reads it",
            )


def towers_of_google(path) -> tuple[str, ...]:
    """The towers of an ELECTRA; none for an ALBERT, which has one encoder. Raises: `CheckpointError`."""
    if is_albert(path):
        return ()
    shapes = {name: shape for name, shape in read_shapes(path).items() if is_weight(name)}
    found = layout(shapes, "tf1", path)
    return TOWERS if found.sharing == "encoder" else tuple(found.towers)


def read_google_towers(path, settings):
    """Configurations, heads and weights by tower; None for one model: an ALBERT, or what was fine-tuned."""
    if is_albert(path):
        return None
    checkpoint = read_tf1(path, settings=settings)
    found = checkpoint.layout
    return None if found.tasks else (checkpoint.configs, found.heads, with_copies(checkpoint.weights, found.shared()))


def read_google_slots(path):
    """Both moments of the optimizer, by the names of their weights."""
    if not is_albert(path):
        found = read_tf1(path)
        return found.slots_m, found.slots_v
    found = read_albert(path)
    return tuple(with_tower_called(group, "encoder", "generator") for group in (found.slots_m, found.slots_v))


def tokenizer_beside(path: Path) -> Path | None:
    """The vocabulary that is published in one folder with a TF-V1 checkpoint: vocab.txt, or SentencePiece's model."""
    folder = path if path.is_dir() else path.parent
    if any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json")):
        return folder
    found = [*folder.glob("vocab*.txt"), *folder.glob("*.model")]
    return found[0] if len(found) == 1 else None
