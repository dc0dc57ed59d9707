"""The formats, a row each: how a model is read and written, what else each of them holds, and how that is read."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from electra_tf.checkpoints import checkpoint_inspection
from electra_tf.checkpoints.containers.output import CARD
from electra_tf.checkpoints.google_checkpoint import (
    read_google,
    read_google_slots,
    read_google_towers,
    tokenizer_beside,
    towers_of_google,
    two_towers,
    write_google,
)
from electra_tf.checkpoints.keras_model import read_keras, write_keras
from electra_tf.checkpoints.loaded_model import OWN, LoadedModel, class_with, missing_tower
from electra_tf.checkpoints.model_card import model_card
from electra_tf.checkpoints.read_write_options import Reading, Writing
from electra_tf.checkpoints.run_directory import CALIBRATION, kept_scores, read_run
from electra_tf.checkpoints.run_json import TOKENIZER, read_description
from electra_tf.checkpoints.sealed_json import read_sealed
from electra_tf.checkpoints.shared_tables import with_copies
from electra_tf.checkpoints.transformers_folder import FORMS, read_folder, write_folder
from electra_tf.checkpoints.translation import translate, with_tower_called
from electra_tf.checkpoints.weight_names import PRETRAINING_HEADS, TOWERS, model_tensors
from electra_tf.errors import ConfigError
from electra_tf.text.load_tokenizer import open_tokenizer

# Of the settings of fine-tuning, those by which files and texts are read.
_READ_AS = ("task", "text", "label", "choices", "long", "beam", "stride", "question_length", "answer_length", "compat")


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        called: in words.
        holds: what it has a place for beside the weights of one model: `joint`, several towers at once; `slots`, Adam's
            moments and the step; `tokenizer`; `labels`, the names of classes; `configuration`, all of it; `types`,
            numbers that are no float32; `copies`, tied tensors twice; `tasks`, heads under the names of their tasks.
        facts: what a checkpoint holds, told without loading its weights.
        read: (path, `Reading`) to a model.
        write: (path, model, `Writing`) to what was written; None: it is only read.
        suffix: how its names end.
        tokenizer: where that of a checkpoint is or should be; None: there is none.
        card: (path, tower, task) to the text of a model card, or None.
        towers: names of those that a checkpoint of several has; none for one of a single model.
        read_towers: (path, settings by tower) to their configurations, heads and weights; None: a single model.
        read_slots: both moments of its optimizer, by the names of their weights.
    """

    called: str
    holds: frozenset[str]
    facts: Callable[[Path], dict]
    read: Callable[[Path, Reading], LoadedModel]
    write: Callable[[Path, LoadedModel, Writing], Path] | None = None
    suffix: str = ""
    tokenizer: Callable[[Path], Path | None] = tokenizer_beside
    card: Callable[[Path, str, str | None], str | None] = lambda path, tower, task: None
    towers: Callable[[Path], tuple[str, ...]] = lambda path: ()
    read_towers: Callable[[Path, Mapping | None], tuple[dict, dict, dict] | None] = lambda path, settings: None
    read_slots: Callable[[Path], tuple[dict, dict]] = lambda path: ({}, {})


def holds(kind: str, what: str) -> bool:
    """Whether what `recognise` calls so is a model's format with a place for this, see `Format`."""
    return kind in FORMATS and what in FORMATS[kind].holds


def _read_run(path, reading):
    run = read_run(path)
    if "answers" in run.run:
        return _read_tuned(run, path, reading.task)
    tower = reading.tower or next(iter(run.towers))
    own, heads = tower, run.heads.get(tower)
    if tower in TOWERS and {*TOWERS} & {*run.towers} and "masked_lm" in run.heads.get("discriminator", ()):
        own, heads = "discriminator", PRETRAINING_HEADS[tower]  # one encoder is both towers
    if tower == "generator" and "generator_ltr" in run.towers:
        raise two_towers(path)
    if own not in run.towers:
        raise missing_tower(tower, next(iter(run.towers)), path)
    prefixes, config = (f"{own}/", *(f"{head}/" for head in heads)), run.towers[own]
    weights = {n: array for n, array in with_copies(run.weights, run.shared).items() if n.startswith(prefixes)}
    weights = translate(weights, model_tensors(asdict(config), own, heads), "ours", "ours", path)
    weights = with_tower_called(weights, own, "encoder")
    model = LoadedModel(class_with(config.model_type, heads), config, weights, heads, tokenizer=run.tokenizer)
    if "replaced_token" in heads and run.run.get("settings", {}).get("Electra", {}).get("judged") == "electric":
        model.fields[OWN] = {"judged": "electric"}
    return model


def _read_tuned(run, path, task):
    """A run of fine-tuning: one encoder with its head, whose outputs mean what the run says.

    Of several tasks it is the head of `task`; without one, the encoder alone. Where there is one, it has no name.
    """
    ((tower, config),), answers = run.towers.items(), run.run["answers"]
    heads, weights, calibration = run.heads[tower], run.weights, {}
    if (Path(path) / CALIBRATION).is_file():
        calibration = read_sealed(Path(path) / CALIBRATION)
    if "tasks" in answers:
        tasks = answers["tasks"]
        if task is not None and task not in tasks:
            raise ConfigError(
                f"there is no task {task!r}",
                where=path,
                expected=f"one of {', '.join(tasks)}",
                remedy="name one of these, with --task",
            )
        answers, calibration = tasks.get(task, {"labels": [], "heads": []}), calibration.get(task, {})
        heads, inside = tuple(answers["heads"]), f"{task}/"
        weights = {n.removeprefix(inside): a for n, a in weights.items() if n.startswith((f"{tower}/", inside))}
    fields = asdict(config) | {"num_labels": max(1, len(answers["labels"]))}
    weights = translate(weights, model_tensors(fields, tower, heads), "ours", "ours", path)
    name = class_with(config.model_type, heads)
    left_out = tuple(run.run["answers"].get("tasks", ())) if not heads else ()
    model = LoadedModel(name, config, weights, heads, tokenizer=run.tokenizer, left_out=left_out)
    model.fields[OWN] = {"settings": _read_as(run.run, task), "answers": _meaning(run.run, path, task, answers)}
    multiply = answers.get("multiply", 1.0) / calibration.get("temperature", 1.0)
    return model.answering(**{**answers, "multiply": multiply})


def _read_as(run, task):
    """How files and texts are read for a run of fine-tuning: fields of its `FineTuning`; of tasks the one meant."""
    settings = {name: run["settings"]["FineTuning"].get(name) for name in _READ_AS}
    length = run["answers"].get("tasks", {}).get(task, {}).get("length", run["data"]["length"])
    settings |= {"length": length} | ({} if task is None else {"task": task})
    return {name: value for name, value in settings.items() if value is not None}


def _meaning(run, path, task, answers):
    """What its outputs mean beyond the names of labels."""
    meaning = {name: answers[name] for name in ("may_lack", "by_characters", "scheme", "joined") if name in answers}
    if answers.get("may_lack"):
        inside = f"{task}/" if "tasks" in run["answers"] else ""
        best = "best_exact" if run["settings"]["FineTuning"].get("select") == "best_exact" else "best_f1"
        meaning["threshold"] = kept_scores(path).get(f"{inside}{best}_threshold", 0.0)
    return meaning


def _towers_of_run(path):
    run = read_description(path)
    return TOWERS if "masked_lm" in run["heads"].get("discriminator", ()) else tuple(run["towers"])


def _read_towers_of_run(path, settings):
    run = read_run(path)
    return run.towers, run.heads, with_copies(run.weights, run.shared)


def _read_slots_of_run(path):
    run = read_run(path)
    return run.slots_m, run.slots_v


def _read_folder(path, reading):
    return read_folder(path, reading.keep_tied, reading.model_class, reading.settings_of(reading.tower))


def _write_folder(path, model, writing):
    tokenizer = writing.tokenizer or model.tokenizer
    if writing.tokenization is not None:
        if tokenizer is None:
            raise ConfigError(
                f"tokenization {writing.tokenization}, and no tokenizer",
                where="--tokenization",
                expected="a SentencePiece model beside the checkpoint, or named: --vocab spiece.model",
            )
        tokenizer = open_tokenizer(tokenizer, tokenization=writing.tokenization)
    shard_bytes = writing.shard_bytes or 5_000_000_000
    write_folder(path, model, tokenizer, writing.card, writing.form, writing.dtype, shard_bytes, writing.say)
    return Path(path)


def _card_of_folder(path, tower, task):
    return (path / CARD).read_text("utf-8", "surrogateescape") if (path / CARD).is_file() else None


# By what `recognise` calls them.
FORMATS = {
    "run_directory": Format(
        "a run directory",
        frozenset({"joint", "slots", "tokenizer", "configuration"}),
        checkpoint_inspection.of_run,
        _read_run,
        tokenizer=lambda path: path / TOKENIZER,
        card=model_card,
        towers=_towers_of_run,
        read_towers=_read_towers_of_run,
        read_slots=_read_slots_of_run,
    ),
    "transformers_folder": Format(
        "a Hugging Face folder",
        frozenset({"tokenizer", "labels", "configuration", "types", "copies"}),
        checkpoint_inspection.of_folder,
        _read_folder,
        _write_folder,
        tokenizer=lambda path: path,
        card=_card_of_folder,
    ),
    "tf1": Format(
        "a TF-V1 checkpoint",
        frozenset({"joint", "slots", "tasks"}),
        checkpoint_inspection.of_google,
        read_google,
        write_google,
        towers=towers_of_google,
        read_towers=read_google_towers,
        read_slots=read_google_slots,
    ),
    "keras": Format(
        "a .keras file",
        frozenset({"configuration"}),
        checkpoint_inspection.of_keras,
        lambda path, reading: read_keras(path),
        lambda path, model, writing: write_keras(path, model),
        suffix=".keras",
    ),
}
# What can be written; a Hugging Face folder has its weights in one of three forms.
TARGETS = dict.fromkeys(FORMS, "transformers_folder") | {"keras": "keras", "tf1": "tf1"}
