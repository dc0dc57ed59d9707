"""A run, from a plan to a run directory: begun, resumed, watched, finished. It knows no objective."""

import dataclasses
import os
import zlib
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import keras
import orbit
import tensorflow as tf
from tensorflow.python.util._pywrap_util_port import IsMklEnabled

from electra_tf import processor
from electra_tf.checkpoints.metrics_jsonl import METRICS
from electra_tf.errors import ConfigError, TrainingError
from electra_tf.optimizers.adamw import AdamW
from electra_tf.optimizers.schedules import Schedule
from electra_tf.startup import TUNABLES, is_settled
from electra_tf.training.actions import Evaluate, Foretell, Log, Profile, Save, Stop, Stopped
from electra_tf.training.compilation import choose_compiler
from electra_tf.training.compilation_cache import explained, keep_programs
from electra_tf.training.cost import Cost
from electra_tf.training.devices import Devices, check_backend, describe_devices, is_chief, make_strategy, use_threads
from electra_tf.training.evaluation import DRAWN_AT_ONCE
from electra_tf.training.health import Health
from electra_tf.training.initial_weights import Start, initial_weights, summary
from electra_tf.training.kept_checkpoints import Kept
from electra_tf.training.loop import Trainer
from electra_tf.training.metrics import MetricsLog, cut_back
from electra_tf.training.objective import Objective, Source
from electra_tf.training.programs import hush_xla
from electra_tf.training.progress import Display
from electra_tf.training.recipe import Recipe
from electra_tf.training.run_description import (
    RULES,
    TAKEN_OVER,
    alone_in,
    begun_run,
    check_same_run,
    describe_run,
    write_description,
    write_text,
    writing,
)
from electra_tf.training.signals import Signals
from electra_tf.training.state import State
from electra_tf.training.step import Step

_LOOP_SECONDS = 10.0


class Evaluation(Protocol):
    """Deterministic metrics of what is held out; `rows` are computed in one call."""

    rows: int

    def __call__(self) -> dict[str, float]: ...


@dataclass(frozen=True)
class Plan:
    """All that decides a run's numbers. `run.json` keeps it, and a resume is held to it, field by field.

    Attributes:
        settings: the objective's dataclasses, each told apart by the name of its class.
        recipe, schedule, optimizer, source: see their classes.
        build: makes the objective; called in the strategy's scope, once Keras is seeded.
        evaluation: makes its evaluation, or None; the third argument is `DRAWN_AT_ONCE`, or None by rules that draw for
            each batch, see `RULES`. advice: warnings to begin with.
        select, keep_best: the metric of an evaluation whose best checkpoints are kept, the larger the better, or None;
            and how many of them.
    """

    settings: tuple
    recipe: Recipe
    schedule: Schedule
    optimizer: AdamW
    source: Source
    build: Callable[[], Objective]
    evaluation: Callable[[Objective, Recipe, int | None], Evaluation] | None = None
    advice: tuple[str, ...] = ()
    select: str | None = None
    keep_best: int = 1


def train(
    plan: Plan,
    model_dir,
    *,
    devices: Devices | None = None,
    start: Start | None = None,
    extend: bool = False,
    operative_config: str | None = None,
    profile: int = 0,
    stream=None,
) -> dict:
    """Begins a run, or goes on with the one in `model_dir`.

    Args:
        plan: what is trained, and how.
        model_dir: the run directory. If it holds a run with the same trajectory, that run is resumed.
        devices: see `Devices`.
        start: checkpoints that a new run takes its initial weights from; a run that is resumed has its own.
        extend: allow more steps than the run was begun with, although that changes its rates, or shares of masks.
        operative_config: text to keep as `operative_config.gin`.
        profile: of how many steps a profile is written for TensorBoard.
        stream: where progress goes; by default standard error.

    Returns: `step`, `model_dir`, whether the run is `finished`, and the last evaluation's metrics.

    SIGTERM and Ctrl-C let it save and stop; after Ctrl-C, `KeyboardInterrupt` is raised then.

    Raises: `ElectraTFError`s: of the configuration, the data, the checkpoints, the disk, or non-finite values.
    """
    check_backend()
    devices, model_dir = devices or Devices(), Path(model_dir)
    plan.schedule.check(plan.recipe.steps)
    threads = use_threads(devices.threads)
    strategy = make_strategy(devices.strategy, devices.count)
    chief, on_cpu = is_chief(devices.strategy), not tf.config.list_physical_devices("GPU")
    plan.recipe.check_rows(strategy.num_replicas_in_sync)
    display = Display(plan.recipe.steps, 0, stream)
    with explained(), Signals() as signals, alone_in(model_dir, display.say) if chief else nullcontext():
        begun = begun_run(model_dir)
        plan = dataclasses.replace(plan, recipe=_settled(plan.recipe, begun))
        recipe, source = plan.recipe, plan.source
        source.verify(display.say)
        if recipe.compiler in ("islands", "xla"):
            hush_xla()
        rules = begun.get("rules", 1) if begun else RULES
        objective, trainer = _build(plan, strategy, rules)
        description = describe_run(plan, objective) | {"rules": rules}
        if begun:
            check_same_run(begun, description, plan, extend, model_dir, display.say)
        else:
            _check_clipping(plan.optimizer, trainer.step)
        slow = None if is_settled() or not on_cpu else f"set GLIBC_TUNABLES={TUNABLES}; without it a step is slower"
        for warning in filter(None, [*plan.advice, _never_at_its_peak(plan), _off_the_grid(recipe), slow]):
            display.say(f"warning: {warning}")

        environment = {"devices": describe_devices(strategy), "threads": threads, "compiler": recipe.compiler}
        environment |= {"tensorflow": tf.__version__, "keras": keras.__version__}
        environment |= {"onednn": IsMklEnabled(), "processor": processor.kind()}
        facts = {"seed": recipe.seed, "environment": environment}
        due = {"every": recipe.checkpoint_every, "last": recipe.steps}
        kept = Kept(recipe.keep, recipe.milestone_every, plan.keep_best, plan.select, **due)
        state = State(model_dir, trainer, facts, kept, writes=chief)
        index = state.restore(display.say)
        step, taken = index["step"] if index else 0, None
        if step < recipe.steps:
            state.check_space()
        if index:
            _say_what_changed(index.get("environment", {}), environment, recipe, display.say)
            description |= {"start": begun["start"]} if "start" in begun else {}
            own = {name: value for name, value in begun.get("start", {}).items() if name != "sha256"}
            if start is not None and start.names() != own:
                display.say(f"warning: the run goes on from its own step {step:,}, and takes no weights from elsewhere")
        elif start is not None:
            taken = _take_over(start, plan, trainer.step, display.say)
            description["start"] = start.names() | ({"sha256": start.sha256} if start.sha256 else {})
        _check_together(strategy, trainer.step, model_dir)
        if chief:
            write_description(model_dir, description, source.tokenizer, operative_config)
            with writing(model_dir):
                if not index:  # a run that was not begun may have left it
                    _write_taken(model_dir / TAKEN_OVER, taken)
                cut_back(model_dir / METRICS, step, display.say)

        evaluation = None
        if plan.evaluation and recipe.eval_examples and chief:
            evaluation = plan.evaluation(objective, recipe, DRAWN_AT_ONCE if rules > 1 else None)
        replicas = 1 if on_cpu else strategy.num_replicas_in_sync
        cost = Cost(objective, source, recipe, step, replicas, evaluation.rows if evaluation else 0)
        if step < recipe.steps:
            display.say(f"{'resuming at step ' + format(step, ',') if step else 'a new run'} in {model_dir}")
            display.say(cost.describe())
        result = _run(plan, objective, trainer, state, evaluation, cost, display, model_dir, chief, signals, profile)
        signals.check()
        return result


def _check_clipping(optimizer, step):
    """Raises `ConfigError` where a new run asks for parts to be clipped apart, and nothing is, or there is one."""
    if not optimizer.clip_apart or (optimizer.clip_norm is not None and len(step.parts) > 1):
        return
    why = "clip_norm = None" if optimizer.clip_norm is None else f"one part of weights ({step.parts[0]})"
    raise ConfigError(
        f"clip_apart with {why}",
        where=type(optimizer).__name__,
        expected="gradients that are clipped, of several parts that learn together",
        remedy=f"--gin_param '{type(optimizer).__name__}.clip_apart = False'",
    )


def _check_together(strategy, step, model_dir):
    """Raises `TrainingError`, in every process of a cluster, where they do not go on from the same state."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return
    done, checksum = int(step.finished.numpy()), 0
    for name in sorted(step.weights):
        checksum = zlib.crc32(step.weights[name].numpy().tobytes(), checksum)
    state = [float(done), float(checksum >> 12)]  # whose squares a float64 holds
    both = tf.constant([state, [x * x for x in state]], tf.float64)
    totals = strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(lambda: tf.identity(both)), axis=None).numpy()
    if (totals[1] * strategy.num_replicas_in_sync != totals[0] ** 2).any():  # they vary
        raise TrainingError(
            f"the processes of the cluster do not go on from the same state: this one is at step {done:,}",
            where=model_dir,
            expected="one run directory, and the same checkpoints to start from, which all of them see alike",
            remedy="put --model_dir, and the checkpoints to start from, where all machines share them, and start the "
            "command on all of them again",
        )


def _settled(recipe, begun) -> Recipe:
    """The recipe with `auto` resolved: as the run in its directory has it, or by the devices."""
    if recipe.compiler != "auto":
        return recipe
    compiler = begun["settings"]["Recipe"]["compiler"] if begun else choose_compiler(recipe.steps)
    return dataclasses.replace(recipe, compiler=compiler)


def _never_at_its_peak(plan):
    warmup, steps = plan.schedule.warmup_steps, plan.recipe.steps
    if warmup < steps:
        return None
    return f"the rate rises for {warmup:,} steps, and the run has {steps:,}; Schedule.warmup_steps takes fewer"


def _off_the_grid(recipe):
    if recipe.milestone_every % recipe.checkpoint_every == 0:
        return None
    return (
        f"milestone_every is {recipe.milestone_every:,}, and checkpoints are written every "
        f"{recipe.checkpoint_every:,} steps: of the milestones those stay at which one is written"
    )


def _build(plan, strategy, rules):
    recipe = plan.recipe
    keras.utils.set_random_seed(recipe.seed)  # the initial weights, the same on any number of devices
    with strategy.scope():
        objective = plan.build()
        step = Step(
            objective,
            plan.optimizer,
            plan.schedule,
            recipe.steps,
            recipe.seed,
            recipe.compiler,
            recipe.micro_batches,
            recipe.normalise_per_replica,
            bias_from_begin=rules > 1,
        )
    eager = recipe.compiler == "eager"
    return objective, Trainer(strategy, step, plan.source, recipe.batch_size, recipe.seed, eager)


def _say_what_changed(before, now, recipe, say):
    if recipe.normalise_per_replica and before.get("devices", now["devices"]) != now["devices"]:
        say(
            f"warning: losses are divided by what each device has (Recipe.normalise_per_replica), and these are now "
            f"{now['devices']}, before {before['devices']}: from here on the run is another one"
        )
    changed = [f"{name}: {before.get(name)} -> {value}" for name, value in now.items() if before.get(name) != value]
    if changed:
        say(f"the last bits of this run may now differ, since it changed: {'; '.join(changed)}")


def _take_over(start, plan, step, say):
    """Puts the weights of other checkpoints into a new run, says how many, and returns where each is from."""
    weights, slots, report = initial_weights(start, step.objective, plan.source.tokenizer)
    for group, values in zip((step.weights, step.m, step.v), (weights, *(slots or ({}, {}))), strict=True):
        for name in group.keys() & values.keys():  # of a weight that is not trained there are no moments
            group[name].assign(values[name])
    say(f"{summary(report)} ({TAKEN_OVER} lists them)")
    return report


def _write_taken(path, taken):
    if taken is None:
        path.unlink(missing_ok=True)
    else:
        write_text(path, "".join(f"{one}\n" for one in taken))


def _run(plan, objective, trainer, state, evaluation, cost, display, model_dir, chief, signals, profile):
    recipe, readings, metrics_log = plan.recipe, objective.readings, MetricsLog(model_dir, chief, display.say)
    health = Health(plan.schedule.warmup_steps, readings.signs)
    profiler = Profile(trainer, profile if chief else 0, metrics_log.events_dir, cost, display)
    evaluate = Evaluate(trainer, evaluation, readings.eval_line, recipe, metrics_log, display)
    foretell = Foretell(trainer, recipe, cost, display, most=1 if profile else 10)  # profiled steps are slower
    actions = [
        foretell,
        Log(trainer, readings, recipe, health, state, metrics_log, display, cost),
        evaluate,
        Save(trainer, recipe, state),
        lambda _: keep_programs(),
        profiler,
        Stop(trainer, recipe, state, signals),
    ]
    finished = True
    if int(trainer.step.finished.numpy()) < recipe.steps:
        trainer.start()
        signals.trains = True
        controller = orbit.Controller(
            global_step=trainer.step.finished,
            trainer=trainer,
            strategy=trainer.strategy,
            steps_per_loop=lambda done: _loop_length(int(done), recipe, cost, trainer, foretell.steps, profiler.left),
            train_actions=actions,
        )
        try:
            # Orbit prints a line a loop to standard output; ours go to standard error.
            with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
                controller.train(recipe.steps, checkpoint_at_completion=False)
        except Stopped:
            finished = False
            display.say(f"stopped by a signal at step {int(trainer.step.finished.numpy()):,}; its state is saved")
        finally:
            signals.trains = False
            profiler.end()
            trainer.stop()
    display.close()
    result = {"step": int(trainer.step.finished.numpy()), "finished": finished, "model_dir": str(model_dir)}
    if finished and evaluation is not None and evaluate.last is None:
        evaluate.last = evaluation()
    return {**result, **(evaluate.last or {})}


def _loop_length(done, recipe, cost, trainer, first, profiled):
    """Steps until something is due: a line, an evaluation, a checkpoint, another length.

    One while steps are profiled; `first` while the cost is unknown.
    """
    most = max(1, int(_LOOP_SECONDS / cost.step_seconds)) if cost.step_seconds else first
    most = 1 if profiled else most
    intervals = (recipe.log_every, recipe.checkpoint_every, recipe.eval_every or recipe.steps)
    _, alike = trainer.stretch(done)
    return min(most, recipe.steps - done, alike, *(interval - done % interval for interval in intervals))
