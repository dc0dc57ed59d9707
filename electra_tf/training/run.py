"""A pre-training run, from a data set to a run directory: begun, resumed, watched, finished."""

import dataclasses
import hashlib
import json
import os
import shutil
import signal
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from pathlib import Path

import keras
import orbit
import tensorflow as tf

from electra_tf.conversion.run_directory import METRICS, RUN, list_checkpoints
from electra_tf.data.manifest import check_vocabulary
from electra_tf.data.reader import DataSet
from electra_tf.errors import CheckpointError, ConfigError, DataError, OutputError, TrainingError
from electra_tf.pretraining.electra import Electra, SpecialIds
from electra_tf.pretraining.informed_start import start_informed
from electra_tf.startup import TUNABLES, is_settled
from electra_tf.training.actions import Evaluate, Foretell, Log, Save, Stop, Stopped
from electra_tf.training.cost import Cost
from electra_tf.training.evaluation import Evaluation
from electra_tf.training.health import Health
from electra_tf.training.initial import Start, initial_weights, summary
from electra_tf.training.loop import Trainer
from electra_tf.training.progress import Display, MetricsLog, cut_back
from electra_tf.training.recipe import Model, Recipe, differences
from electra_tf.training.state import State
from electra_tf.training.step import Step
from electra_tf.training.strategy import describe_devices, is_chief, make_strategy, use_threads

OPERATIVE = "operative_config.gin"
_LOOP_SECONDS = 10.0
_STEPS_WORTH_COMPILING = 1000


def pretrain(
    data,
    model_dir,
    model: Model | None = None,
    recipe: Recipe | None = None,
    *,
    strategy: str = "one",
    devices: int | None = None,
    threads: int | None = None,
    extend: bool = False,
    start: Start | None = None,
    operative_config: str | None = None,
    stream=None,
) -> dict:
    """Pre-trains generator and discriminator together, or goes on with an interrupted run.

    Args:
        data: a data set made by `build_data`, or an opened `DataSet`.
        model_dir: the run directory. If it holds a run with the same trajectory, that run is resumed.
        model, recipe: what is trained and how; by default ELECTRA-Small as published.
        strategy, devices: see `make_strategy`.
        threads: of an operation on a CPU; by default all cores.
        extend: allow more steps than the run was begun with, although that changes its learning rates.
        start: checkpoints that a new run takes its initial weights from; a run that is resumed has its own.
        operative_config: text to keep as `operative_config.gin`.
        stream: where progress goes; by default standard error.

    Returns: `step`, `model_dir`, whether the run is `finished`, and the last evaluation's metrics.

    Raises: `ElectraTFError`s: of the configuration, the data, the checkpoints, the disk, or non-finite values.
    """
    _check_backend()
    model, recipe, model_dir = model or Model(), recipe or Recipe(), Path(model_dir)
    dataset = data if isinstance(data, DataSet) else DataSet.open(data)
    threads = use_threads(threads)
    distribution = make_strategy(strategy, devices)
    chief = is_chief(distribution)
    config = model.electra_config(dataset.manifest.tokenizer["vocabulary_size"])
    recipe.check_rows(distribution.num_replicas_in_sync)
    _check_data(dataset, config, recipe)
    if start is not None and recipe.initial_weights != "random":
        raise ConfigError(
            f"initial_weights is {recipe.initial_weights!r}, and there is a checkpoint to start from",
            where="Recipe",
            expected="'random' for what the checkpoint does not hold",
            remedy="add --gin_param \"Recipe.initial_weights = 'random'\"",
        )

    description = {
        "format_version": 1,
        "model": {**asdict(config), "discriminator": config.discriminator.to_dict()},
        "settings": asdict(model),
        "recipe": asdict(recipe),
        "data": {"path": str(dataset.folder), "identity": _identity(dataset), **_facts(dataset)},
    }
    description["model"]["generator"] = config.generator.to_dict()
    display = Display(recipe.steps, 0, stream)
    recipe = _settle(model_dir, description, recipe, extend, display.say)
    if chief:
        _make_folder(model_dir)
    on_cpu = not tf.config.list_physical_devices("GPU")
    slow = None if is_settled() or not on_cpu else f"set GLIBC_TUNABLES={TUNABLES}; without it a step is slower"
    for warning in filter(None, [config.advice(), slow]):
        display.say(f"warning: {warning}")

    environment = {"devices": describe_devices(distribution), "threads": threads, "compiler": recipe.compiler}
    environment |= {"tensorflow": tf.__version__, "keras": keras.__version__}
    trainer, special_ids = _build(distribution, config, recipe, dataset)
    facts = {"seed": recipe.seed, "environment": environment}
    state = State(model_dir, trainer, facts, recipe.keep, recipe.milestone_every, chief)
    state.check_space()
    index = state.restore(display.say)
    step = index["step"] if index else 0
    if start is not None and index is None:
        _take_over(start, config, recipe, dataset, trainer.step, model_dir, chief, display.say)
        description["start"] = _names(start)
    elif index:
        begun = _read_description(model_dir / RUN).get("start")
        description |= {"start": begun} if begun else {}
        if start is not None and _names(start) != begun:
            display.say(f"warning: the run goes on from its own step {step:,}, and takes no weights from elsewhere")
    if index and index["environment"] != environment:
        changed = {k: (index["environment"].get(k), v) for k, v in environment.items()}
        changed = [f"{k}: {a} -> {b}" for k, (a, b) in changed.items() if a != b]
        display.say(f"the last bits of this run may now differ, since it changed: {'; '.join(changed)}")
    if chief:
        _write_description(model_dir, description, dataset, operative_config)
        cut_back(model_dir / METRICS, step)

    evaluation = None
    if recipe.eval_examples and chief:
        rows = max(1, recipe.batch_size // recipe.micro_batches)
        eager = recipe.compiler == "eager"
        evaluation = Evaluation(
            trainer.step.model, dataset, special_ids, recipe.eval_examples, rows, recipe.eval_seed, eager
        )
    train = dataset.manifest.splits["train"]
    replicas = 1 if on_cpu else distribution.num_replicas_in_sync
    eval_rows = len(evaluation.batches) * evaluation.batch_size if evaluation else 0
    cost = Cost(
        trainer.step.model,
        recipe,
        dataset.manifest.length,
        train.examples,
        train.fill_rate or 1.0,
        step,
        replicas,
        eval_rows,
    )
    if step < recipe.steps:
        display.say(f"{'resuming at step ' + format(step, ',') if step else 'a new run'} in {model_dir}")
        display.say(cost.describe())
    return _train(trainer, recipe, config, state, evaluation, cost, display, model_dir, chief, step)


def _check_backend():
    if (backend := keras.backend.backend()) != "tensorflow":
        raise ConfigError(
            f"Keras runs on {backend}",
            where="the environment variable KERAS_BACKEND, or ~/.keras/keras.json",
            expected="tensorflow, which training needs; the encoders themselves run on any backend",
            remedy="set KERAS_BACKEND=tensorflow",
        )


def _check_data(dataset, config, recipe):
    length, positions = dataset.manifest.length, config.discriminator.max_position_embeddings
    if length > min(positions, config.generator.max_position_embeddings):
        raise ConfigError(
            f"the examples are {length} tokens long, the model has {positions} positions",
            where=dataset.folder,
            remedy="build the data with a smaller --length, or raise max_position_embeddings",
        )
    check_vocabulary(dataset.manifest, dataset.tokenizer(), dataset.vocab)
    examples = dataset.manifest.splits["train"].examples
    if examples < recipe.batch_size:
        raise DataError(
            f"the data set has {examples} training examples",
            where=dataset.folder,
            expected=f"at least one batch of {recipe.batch_size}",
            remedy="build it from more text, or lower Recipe.batch_size",
        )


def _identity(dataset) -> str:
    """A hash of what the data set holds: its tokenizer and every shard."""
    shards = [(s.name, s.split, s.examples, s.bytes, s.sha256) for s in dataset.manifest.shards]
    content = json.dumps([dataset.manifest.tokenizer["fingerprint"], dataset.manifest.length, shards])
    return hashlib.sha256(content.encode()).hexdigest()


def _settle(model_dir, description, recipe, extend, say) -> Recipe:
    """The recipe with `auto` resolved, once this run is known to be new, or the same as the one in `model_dir`."""
    begun = _read_description(model_dir / RUN) if list_checkpoints(model_dir) else None
    if recipe.compiler == "auto":
        compiler = begun["recipe"]["compiler"] if begun else _choose_compiler(recipe.steps)
        recipe = dataclasses.replace(recipe, compiler=compiler)
        description["recipe"] = asdict(recipe)
    if begun:
        _check_same_run(begun, json.loads(json.dumps(description)), recipe, extend, model_dir, say)
    return recipe


def _read_description(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"the description of the run beside its checkpoints cannot be read: {error}",
            where=path,
            remedy="restore the file from a copy, or start anew in another --model_dir",
        ) from error


def _check_same_run(begun, now, recipe, extend, model_dir, say):
    begun["recipe"] = asdict(Recipe()) | begun["recipe"]  # fields that came later are as they were without them
    changed = differences(begun["recipe"], now["recipe"]) | differences(begun["model"], now["model"])
    if begun["data"]["identity"] != now["data"]["identity"]:
        changed["data"] = (begun["data"]["path"], now["data"]["path"])
    longer = changed.pop("steps", None)
    if longer and (longer[1] < longer[0] or not (extend or recipe.learning_rates().extensible)):
        changed["steps"] = longer
    elif longer:
        say(f"this run is extended from {longer[0]:,} to {longer[1]:,} steps")
    if changed:
        raise TrainingError(
            "the run was begun with other settings:\n    "
            + "\n    ".join(f"{name}: {before!r}, now {after!r}" for name, (before, after) in changed.items()),
            where=model_dir / RUN,
            expected="the settings it was begun with; they define its trajectory",
            remedy="resume with those, start anew in another --model_dir, or, for more steps alone, add --extend",
        )
    for name in sorted(begun["recipe"]):
        if begun["recipe"][name] != now["recipe"].get(name) and name != "steps":
            say(f"changed, which is free to: {name} {begun['recipe'][name]!r} -> {now['recipe'].get(name)!r}")


def _choose_compiler(steps) -> str:
    """A CPU gets islands, which start soonest; a GPU one program, in a long run; a TPU compiles the step by itself."""
    if tf.config.list_logical_devices("TPU"):
        return "graph"
    if tf.config.list_physical_devices("GPU") and steps >= _STEPS_WORTH_COMPILING:
        return "xla"
    return "islands"


@contextmanager
def _writing(model_dir):
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"the run directory cannot be written: {error.strerror}",
            where=model_dir,
            remedy="choose another --model_dir, or change its permissions",
        ) from error


def _make_folder(model_dir):
    with _writing(model_dir):
        model_dir.mkdir(parents=True, exist_ok=True)


def _write_description(model_dir, description, dataset, operative_config):
    with _writing(model_dir):
        tokenizer = model_dir / "tokenizer"
        if not tokenizer.exists() or not list_checkpoints(model_dir):
            # A run that ended before its first checkpoint may have left half of it, or another one.
            aside = model_dir / "tokenizer.new"
            dataset.tokenizer().save(aside)
            shutil.rmtree(tokenizer, ignore_errors=True)
            os.replace(aside, tokenizer)
        _write_text(model_dir / RUN, json.dumps(description, indent=1))
        if operative_config is not None:
            _write_text(model_dir / OPERATIVE, operative_config)


def _write_text(path, text):
    aside = path.with_name(f"{path.name}.new")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, path)


def _build(distribution, config, recipe, dataset):
    ids = dataset.manifest.tokenizer
    special_ids = SpecialIds(ids["pad_id"], ids["cls_id"], ids["sep_id"], ids["mask_id"])
    keras.utils.set_random_seed(recipe.seed)  # the initial weights, the same on any number of devices
    with distribution.scope():
        model = Electra(config, dtype=recipe.precision)
        if recipe.initial_weights == "informed":
            start_informed(model, dataset.frequencies)
        step = Step(
            model,
            recipe.optimizer(),
            recipe.learning_rates(),
            special_ids,
            recipe.seed,
            recipe.compiler,
            recipe.micro_batches,
            generator_steps=recipe.generator_steps,
        )
    trainer = Trainer(distribution, step, dataset, recipe.batch_size, recipe.seed, eager=recipe.compiler == "eager")
    return trainer, special_ids


def _take_over(start, config, recipe, dataset, step, model_dir, chief, say):
    """Puts the weights of other checkpoints into a new run, says how many, and lists each beside the run."""
    built = {name: weight.numpy() for name, weight in step.weights.items()}
    weights, slots, report = initial_weights(start, config, recipe, dataset.tokenizer(), built)
    for group, values in zip((step.weights, step.m, step.v), (weights, *(slots or ({}, {}))), strict=True):
        for name, value in values.items():
            group[name].assign(value)
    if chief:
        with _writing(model_dir):
            _write_text(model_dir / "initial_weights.txt", "".join(f"{taken}\n" for taken in report))
    say(f"{summary(report)} (initial_weights.txt lists them)")


def _facts(dataset):
    """What a model card says of the data."""
    train = dataset.manifest.splits["train"]
    return {"length": dataset.manifest.length, "examples": train.examples, "tokens": train.tokens}


def _names(start: Start) -> dict[str, str]:
    """What `run.json` keeps of where a run's initial weights come from."""
    return {name: str(value) for name, value in asdict(start).items() if value}


def _train(trainer, recipe, config, state, evaluation, cost, display, model_dir, chief, step):
    metrics_log = MetricsLog(model_dir, chief)
    evaluate = Evaluate(trainer, evaluation, recipe, metrics_log, display)
    stop = Stop(trainer, recipe, state)
    actions = [
        Foretell(trainer, recipe, cost, display),
        Log(trainer, config, recipe, Health(recipe.warmup_steps, config.discriminator.vocab_size), state,
            metrics_log, display, cost),
        evaluate,
        Save(trainer, recipe, state),
        stop,
    ]  # fmt: skip
    finished = True
    if step < recipe.steps:
        trainer.start()
        controller = orbit.Controller(
            global_step=trainer.step.step,
            trainer=trainer,
            strategy=trainer.strategy,
            steps_per_loop=lambda done: _loop_length(int(done), recipe, cost),
            train_actions=actions,
        )
        try:
            # Orbit prints a line a loop to standard output; ours go to standard error.
            with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), _on_sigterm(stop.ask):
                controller.train(recipe.steps, checkpoint_at_completion=False)
        except Stopped:
            finished = False
            display.say(f"stopped by a signal at step {int(trainer.step.step.numpy()):,}; its state is saved")
    display.close()
    done = int(trainer.step.step.numpy())
    result = {"step": done, "finished": finished, "model_dir": str(model_dir)}
    if finished and evaluation is not None and evaluate.last is None:
        evaluate.last = evaluation()
    return {**result, **(evaluate.last or {})}


def _loop_length(done, recipe, cost):
    """Steps until something is due: a line, an evaluation, a checkpoint, the end; one while the cost is unknown."""
    most = max(1, int(_LOOP_SECONDS / cost.step_seconds)) if cost.step_seconds else 1
    intervals = (recipe.log_every, recipe.checkpoint_every, recipe.eval_every or recipe.steps)
    return min(most, recipe.steps - done, *(interval - done % interval for interval in intervals))


@contextmanager
def _on_sigterm(ask):
    before = signal.signal(signal.SIGTERM, lambda *_: ask())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
