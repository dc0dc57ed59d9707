"""What happens between two calls of the inner loop, each an Orbit action. They run in the order they stand here."""

import shlex
import time
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from electra_tf.training.cost import Cost, matrix_peak, memory_in_use
from electra_tf.training.health import Health, stop_not_finite
from electra_tf.training.loop import Trainer
from electra_tf.training.metrics import MetricsLog, Ratio, Readings, metrics_of
from electra_tf.training.progress import Display
from electra_tf.training.recipe import Recipe
from electra_tf.training.signals import Signals
from electra_tf.training.state import State


class Stopped(Exception):
    """A signal asked the run to stop, and its state is saved."""


def due(step: int, every: int, last: int) -> bool:
    """Whether something done every so many steps, and at the last one, is due."""
    return step == last or (every > 0 and step % every == 0)


class Foretell:
    """Says once what the run will cost, by a loop of about a second: one step alone may be slow by chance.

    The first step compiles and the second still claims memory; the third tells how many a second has.

    Args:
        most: so many steps are timed at most.

    Attributes:
        steps: of the next loop, until the cost is known.
    """

    UNTIMED, SECONDS = 2, 1.0

    def __init__(self, trainer: Trainer, recipe: Recipe, cost: Cost, display: Display, most: int):
        self.trainer, self.recipe, self.cost, self.display, self.most = trainer, recipe, cost, display, most
        self.loops, self.steps = 0, 1

    def __call__(self, _):
        if self.cost.step_seconds is not None:
            return
        step, self.loops = int(self.trainer.step.finished.numpy()), self.loops + 1
        seconds = self.trainer.seconds / self.trainer.steps
        if self.loops == self.UNTIMED + 1:
            self.steps = min(self.most, max(1, int(self.SECONDS / seconds)))
        is_known = self.loops > self.UNTIMED and (self.steps == 1 or self.loops > self.UNTIMED + 1)
        if is_known or step == self.recipe.steps:
            peak = matrix_peak(precision=self.recipe.precision)
            self.display.say(self.cost.measure(step, seconds, memory_in_use(), peak))


class Log:
    """Stops at non-finite values; at every `log_every`-th step writes the metrics and looks at the run's health."""

    def __init__(
        self,
        trainer: Trainer,
        readings: Readings,
        recipe: Recipe,
        health: Health,
        state: State,
        metrics_log: MetricsLog,
        display: Display,
        cost: Cost,
    ):
        self.trainer, self.line, self.recipe, self.health = trainer, readings.train_line, recipe, health
        self.rules = {**readings.metrics, **{name: Ratio(name) for name in trainer.step.norm_names}}
        self.state, self.metrics_log, self.display, self.cost = state, metrics_log, display, cost
        self.steps, self.seconds, self.tokens = 0, 0.0, 0

    def __call__(self, _):
        step = int(self.trainer.step.finished.numpy())
        self.display.advance(step)
        if bad := self.trainer.first_not_finite():
            stop_not_finite(*bad, step, self.state.newest())
        if self.cost.step_seconds is None:
            self.steps, self.seconds, self.tokens = 0, 0.0, 0  # compiling is not the speed of a step
        self.steps += self.trainer.steps
        self.seconds += self.trainer.seconds
        self.tokens += self.trainer.tokens
        if not due(step, self.recipe.log_every, self.recipe.steps):
            return
        metrics = metrics_of(self.rules, self.trainer.take_window())
        metrics["learning_rate"] = float(self.trainer.step.schedule.rate(step - 1, self.recipe.steps))
        wall = {"time": time.time(), "tokens_per_second": self.tokens / self.seconds}
        wall["seconds_left"] = (self.recipe.steps - step) * self.seconds / self.steps
        if self.cost.peak_share:
            wall["peak_share"] = self.cost.peak_share * self.cost.step_seconds * self.steps / self.seconds
        self.steps, self.seconds, self.tokens = 0, 0.0, 0
        self.metrics_log.write(step, "train", metrics, wall)
        self.display.show(step, self.line.format(**metrics), wall)
        for warning in self.health.look(step, metrics):
            self.display.say(warning)


class Evaluate:
    """Evaluates at every `eval_every`-th step and at the last. `last` holds the newest metrics, or None."""

    def __init__(
        self,
        trainer: Trainer,
        evaluation: Callable[[], dict[str, float]] | None,
        line: str,
        recipe: Recipe,
        metrics_log: MetricsLog,
        display: Display,
    ):
        self.trainer, self.evaluation, self.line, self.recipe = trainer, evaluation, line, recipe
        self.metrics_log, self.display, self.last = metrics_log, display, None

    def __call__(self, _):
        step = int(self.trainer.step.finished.numpy())
        if self.evaluation is None or not due(step, self.recipe.eval_every, self.recipe.steps):
            return
        began = time.perf_counter()
        self.last = self.evaluation()
        seconds = time.perf_counter() - began
        self.metrics_log.write(step, "eval", self.last, {"time": time.time(), "seconds": seconds})
        self.display.say(f"held out at step {step:,}: {self.line.format(**self.last)}")


class Save:
    """Saves at every `checkpoint_every`-th step and at the last; after `Log` and `Evaluate`, whose lines it covers."""

    def __init__(self, trainer: Trainer, recipe: Recipe, state: State):
        self.trainer, self.recipe, self.state = trainer, recipe, state

    def __call__(self, _):
        if due(int(self.trainer.step.finished.numpy()), self.recipe.checkpoint_every, self.recipe.steps):
            self.state.save()


class Profile:
    """Profiles so many steps for TensorBoard, beside its events, once the cost of a step is known.

    Args:
        steps: 0 for none. folder: TensorBoard's; the profile lies below it, in `plugins/profile`.

    Attributes:
        left: how many steps are still to be profiled, 0 where none is being profiled. A loop then takes one.
    """

    def __init__(self, trainer: Trainer, steps: int, folder: Path, cost: Cost, display: Display):
        self.trainer, self.steps, self.folder, self.cost, self.display = trainer, steps, folder, cost, display
        self.left = 0

    def __call__(self, _):
        if self.left:
            self.left -= self.trainer.steps
            if not self.left:
                self._profiler(tf.profiler.experimental.stop)
                where = shlex.quote(str(self.folder))
                self.display.say(f"{self.steps} steps are profiled: tensorboard --logdir {where}")
                self.steps = 0
        elif self.steps and self.cost.step_seconds is not None:
            self.left = self.steps
            self._profiler(tf.profiler.experimental.start, str(self.folder))

    def end(self) -> None:
        """The run ends: what is being profiled is written, and it is said if that is less than was asked for."""
        if not self.steps:
            return
        done = self.steps - self.left if self.left else 0
        if self.left:
            self._profiler(tf.profiler.experimental.stop)
        self.display.say(f"warning: {done} of {self.steps} steps are profiled, since the run ends here")

    def _profiler(self, act, *arguments):
        try:
            act(*arguments)
        except (tf.errors.OpError, OSError) as error:
            self.steps, self.left = 0, 0
            self.display.say(f"warning: there is no profile, and training goes on without: {error}")


class Stop:
    """Once a signal has come: saves and raises `Stopped`.

    Several machines are at the same step only where something is due: there they ask each other at every checkpoint,
    and stop together.
    """

    def __init__(self, trainer: Trainer, recipe: Recipe, state: State, signals: Signals):
        self.trainer, self.recipe, self.state, self.signals = trainer, recipe, state, signals

    def __call__(self, _):
        if self._agreed():
            self.state.save()
            raise Stopped

    def _agreed(self):
        strategy = self.trainer.strategy
        step = int(self.trainer.step.finished.numpy())
        if step == self.recipe.steps:
            return False
        if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            return self.signals.asked is not None
        if not due(step, self.recipe.checkpoint_every, self.recipe.steps):
            return False
        asked = strategy.run(lambda: tf.constant(float(self.signals.asked is not None)))
        return float(strategy.reduce(tf.distribute.ReduceOp.SUM, asked, axis=None)) > 0
