"""The run directory but for its checkpoints: what a run says of itself, and whether a resumed one is the same."""

import dataclasses
import json
import os
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from electra_tf.checkpoints.metrics_jsonl import METRICS
from electra_tf.checkpoints.run_checkpoints import list_checkpoints
from electra_tf.checkpoints.run_directory import files_of_answers
from electra_tf.checkpoints.run_json import (
    FORMAT_VERSION,
    OUTCOME,
    RUN,
    TOKENIZER,
    read_description,
    tokenizer_checksums,
)
from electra_tf.errors import OutputError, TrainingError
from electra_tf.files import replaced, tidy, told
from electra_tf.locks import locked_folder
from electra_tf.seals import sealed
from electra_tf.text.tokenizer_files import TOKENIZER_FILES
from electra_tf.training.recipe import FREE

OPERATIVE, TAKEN_OVER = "operative_config.gin", "initial_weights.txt"
OF_SEEDS = ("results.json", "results.tsv", "results.md", "report")  # of a comparison of seeds
# How a run is computed where that once changed: one that was begun goes on by the rules it began with.
# 1: an evaluation draws for each of its batches, and throws coins where training does; the bias of the moments is
#    corrected from the run's first step on.
# 2: an evaluation draws for `DRAWN_AT_ONCE` rows, and as many as were asked for; bias is corrected from the step at
#    which a weight begins to learn.
RULES = 2
_STEPS = "Recipe.steps"


def begun_run(model_dir) -> dict | None:
    """The description of the run that `model_dir` holds; None where there is no checkpoint to go on with."""
    return read_description(model_dir) if list_checkpoints(model_dir) else None


def describe_run(plan, objective) -> dict:
    """What `run.json` holds of a run, as JSON values.

    Args:
        plan: a `Plan`. objective: what it builds.
    """
    settings = {type(one).__name__: asdict(one) for one in (plan.recipe, plan.schedule, plan.optimizer, *plan.settings)}
    description = {
        "format_version": FORMAT_VERSION,
        "settings": settings,
        "towers": {tower: config.to_dict() for tower, config in objective.towers.items()},
        "heads": objective.heads,
        "shared": objective.shared,
        **({"answers": objective.answers, "select": plan.select} if objective.answers else {}),
        "data": {"identity": plan.source.identity, **plan.source.facts},
        "describe": objective.describe(),
        "curves": objective.readings.curves,
    }
    return json.loads(json.dumps(description))


def check_same_run(begun: dict, now: dict, plan, extend: bool, model_dir, say) -> None:
    """Raises `TrainingError` naming every setting of the trajectory that differs; says which free ones do.

    Args:
        begun, now: descriptions as of `describe_run`. plan: the `Plan` that `now` describes.
        extend: whether more steps are allowed although they change learning rates, or what else follows from them.
    """
    # A field that the begun run does not know, since it came later, is as it was without it: its default.
    defaults = {
        type(one).__name__: _defaults(type(one)) for one in (plan.recipe, plan.schedule, plan.optimizer, *plan.settings)
    }
    # A class that is there no more does nothing now; what chooses the classes is compared itself.
    before = _flat({name: defaults[name] | fields for name, fields in begun["settings"].items() if name in defaults})
    after = _flat(now["settings"])
    changed = _differences(before, after) | _differences(_flat(begun["towers"]), _flat(now["towers"]))
    data = [run["data"] for run in (begun, now)]
    if data[0]["identity"] != data[1]["identity"]:
        changed["data"] = tuple(f"{one.get('path')} (sha256 {one['identity'][:12]})" for one in data)
    dev = [one.get("dev", now["data"].get("dev")) for one in data]  # of the rows that choose a checkpoint
    if dev[0] != dev[1]:
        changed["dev rows"] = tuple(f"sha256 {one[:12]}" for one in dev)
    for one in plan.settings:
        for name in getattr(one, "idle", ()):  # what makes no difference may have been set otherwise
            changed.pop(name, None)
    freely = {name: changed.pop(name) for name in sorted(changed.keys() & FREE)}
    longer = changed.pop(_STEPS, None)
    if longer and (longer[1] < longer[0] or not (extend or _goes_on(plan, longer[0], model_dir))):
        changed[_STEPS] = longer
    elif longer:
        say(f"this run is extended from {longer[0]:,} to {longer[1]:,} steps")
    if changed:
        extend = "" if begun.get("select") else ", or, for more steps alone, add --extend"
        raise TrainingError(
            "the run was begun with other settings:\n    "
            + "\n    ".join(f"{name}: {before!r}, now {after!r}" for name, (before, after) in sorted(changed.items())),
            where=Path(model_dir) / RUN,
            expected="the settings it was begun with; they define its trajectory",
            remedy=f"resume with those, or start anew in another --model_dir{extend}",
        )
    for name, (before, after) in freely.items():
        say(f"changed, which is free to: {name.removeprefix('Recipe.')} {before!r} -> {after!r}")


def _goes_on(plan, steps, model_dir) -> bool:
    """Whether the steps of a run of so many steps are so far the same as in a longer one."""
    step = list_checkpoints(model_dir)[-1][0]
    return plan.schedule.extensible(step, steps) and not any(
        getattr(one, "follows_steps", False) for one in plan.settings
    )


def _defaults(cls):
    fields = {f.name: f.default for f in dataclasses.fields(cls) if f.default is not dataclasses.MISSING}
    return json.loads(json.dumps(fields))


def _differences(before: dict, now: dict) -> dict[str, tuple]:
    names = sorted({*before, *now})
    return {name: (before.get(name), now.get(name)) for name in names if before.get(name) != now.get(name)}


def _flat(settings, prefix=""):
    flat = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


@contextmanager
def writing(model_dir):
    """Within it, an error of the disk becomes an `OutputError`."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"the run directory cannot be written: {error.strerror}",
            where=model_dir,
            remedy="choose another --model_dir, or change its permissions",
        ) from error


@contextmanager
def alone_in(model_dir: Path, say=print):
    """Makes the run directory and holds its lock: two processes would remove each other's checkpoints.

    Raises: `OutputError` where another process trains there, or where it cannot be made.
    """
    with ExitStack() as held:
        with writing(model_dir):
            mine = held.enter_context(locked_folder(model_dir))
        if mine is False:
            raise OutputError(
                "another process trains here",
                where=model_dir,
                expected="one process for a run directory",
                remedy="wait for it or stop it, and start the same command again; or choose another --model_dir",
            )
        if mine is None:
            say(f"warning: {model_dir} cannot be locked on its file system: start no second process in it")
        _check_is_ours(model_dir)
        with writing(model_dir):
            tidy(model_dir)
        yield


def _check_is_ours(model_dir):
    """Raises `OutputError` for files that a new run would replace, and that no run has written."""
    if list_checkpoints(model_dir):
        return
    names = [name for name in (RUN, METRICS, OPERATIVE, TAKEN_OVER, *OF_SEEDS) if os.path.lexists(model_dir / name)]
    others = [] if _is_begun(model_dir) else names
    tokenizer = model_dir / TOKENIZER
    if tokenizer.is_dir():
        others += [f"{TOKENIZER}/{path.name}" for path in tokenizer.iterdir() if path.name not in TOKENIZER_FILES]
    if others:
        raise _of_others(model_dir, sorted(others)[:5])


def _of_others(model_dir, names):
    return OutputError(
        f"the folder holds what no run has written, and a run would replace: {', '.join(names)}",
        where=model_dir,
        expected="a new folder, or that of a run",
        remedy="name another --model_dir, or move these files away",
    )


def _digests(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def _is_begun(model_dir):
    """Whether a run has begun here, which may have ended before its first checkpoint; or one of its seeds."""
    ours = [(run, "format_version") for run in (model_dir / RUN, *model_dir.glob(f"seed-*/{RUN}"))]
    for file, field in (*ours, (model_dir / "results.json", "best_seed")):
        with suppress(OSError, ValueError, RecursionError):
            content = json.loads(file.read_text("utf-8"))
            if isinstance(content, dict) and field in content:
                return True
    return False


def write_description(model_dir: Path, description: dict, tokenizer, operative_config: str | None) -> None:
    """Writes `run.json`, the tokenizer of a new run and the operative configuration. Raises: `OutputError`."""
    with writing(model_dir):
        folder = model_dir / TOKENIZER
        if not folder.exists() or not list_checkpoints(model_dir):
            # A run that ended before its first checkpoint may have left half of it, or another one.
            with told("folder", folder, 1), replaced(folder) as aside:
                tokenizer.save(aside)
                there = _digests(folder) if folder.is_dir() else {}
                if there and not _is_begun(model_dir) and there != _digests(aside):
                    raise _of_others(model_dir, [TOKENIZER])
        description = {**description, "tokenizer": tokenizer_checksums(model_dir)}
        write_text(model_dir / RUN, json.dumps(sealed(description), indent=1))
        if operative_config is not None:
            write_text(model_dir / OPERATIVE, operative_config)


def write_outcome(model_dir: Path, step: int, dev: dict[str, float]) -> None:
    """Adds to `run.json` what a finished run of fine-tuning is read as: a step's checkpoint, or the average that it is
    the best of; its scores on the dev rows; and all files that decide its answers, so that a lost one is missed.

    Raises: `OutputError`.
    """
    outcome = {"step": step, "dev": dev, "files": files_of_answers(model_dir)}
    with writing(model_dir):
        write_text(model_dir / RUN, json.dumps(sealed({**read_description(model_dir), OUTCOME: outcome}), indent=1))


def write_text(path: Path, text: str) -> None:
    """Writes a text file aside and renames it into place."""
    with replaced(path) as aside:
        aside.write_text(text, encoding="utf-8")
