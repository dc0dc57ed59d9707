"""What happens between two calls of the inner loop, each an Orbit action. They run in the order they stand here."""

import time

import tensorflow as tf

from electra_tf.training.cost import Cost, matrix_peak, memory_in_use
from electra_tf.training.evaluation import Evaluation
from electra_tf.training.health import Health, check_finite
from electra_tf.training.loop import Trainer
from electra_tf.training.progress import Display, MetricsLog, training_metrics
from electra_tf.training.recipe import Recipe
from electra_tf.training.state import State


class Stopped(Exception):
    """A signal asked the run to stop, and its state is saved."""


def due(step: int, every: int, last: int) -> bool:
    """Whether something done every so many steps, and at the last one, is due."""
    return step == last or (every > 0 and step % every == 0)


class Foretell:
    """Says once what the run will cost, after its third loop: the first compiles, the second still claims memory."""

    LOOPS = 3

    def __init__(self, trainer: Trainer, recipe: Recipe, cost: Cost, display: Display):
        self.trainer, self.recipe, self.cost, self.display, self.loops = trainer, recipe, cost, display, 0

    def __call__(self, _):
        step, self.loops = int(self.trainer.step.step.numpy()), self.loops + 1
        if self.cost.step_seconds is None and (self.loops == self.LOOPS or step == self.recipe.steps):
            seconds = self.trainer.seconds / self.trainer.steps
            self.display.say(self.cost.measure(step, seconds, memory_in_use(), matrix_peak()))


class Log:
    """Stops at non-finite values; at every `log_every`-th step writes the metrics and looks at the run's health."""

    def __init__(
        self,
        trainer: Trainer,
        config,
        recipe: Recipe,
        health: Health,
        state: State,
        metrics_log: MetricsLog,
        display: Display,
        cost: Cost,
    ):
        self.trainer, self.config, self.recipe, self.health = trainer, config, recipe, health
        self.state, self.metrics_log, self.display, self.cost = state, metrics_log, display, cost
        self.steps, self.seconds = 0, 0.0

    def __call__(self, _):
        step, window = int(self.trainer.step.step.numpy()), self.trainer.window
        self.display.advance(step)
        sums = {name: float(window[name].numpy()) for name in ("mlm_loss", "disc_loss", "grad_norm")}
        check_finite(sums, step, self.state.newest())
        if self.cost.step_seconds is None:
            self.steps, self.seconds = 0, 0.0  # compiling is not the speed of a step
        self.steps += self.trainer.steps
        self.seconds += self.trainer.seconds
        if not due(step, self.recipe.log_every, self.recipe.steps):
            return
        metrics = training_metrics(self.trainer.take_window(), self.config)
        metrics["learning_rate"] = float(self.trainer.step.schedule(step - 1))
        rate = self.steps / self.seconds
        rows = self.recipe.batch_size * self.trainer.dataset.manifest.length
        wall = {"time": time.time(), "tokens_per_second": rate * rows}
        wall["seconds_left"] = (self.recipe.steps - step) / rate
        if self.cost.peak_share:
            wall["peak_share"] = self.cost.peak_share * self.cost.step_seconds * rate
        self.steps, self.seconds = 0, 0.0
        self.metrics_log.write(step, "train", metrics, wall)
        self.display.show(step, metrics, wall)
        for warning in self.health.look(step, metrics):
            self.display.say(warning)


class Evaluate:
    """Evaluates at every `eval_every`-th step and at the last. `last` holds the newest metrics, or None."""

    def __init__(
        self,
        trainer: Trainer,
        evaluation: Evaluation | None,
        recipe: Recipe,
        metrics_log: MetricsLog,
        display: Display,
    ):
        self.trainer, self.evaluation, self.recipe = trainer, evaluation, recipe
        self.metrics_log, self.display, self.last = metrics_log, display, None

    def __call__(self, _):
        step = int(self.trainer.step.step.numpy())
        if self.evaluation is None or not due(step, self.recipe.eval_every, self.recipe.steps):
            return
        began = time.perf_counter()
        self.last = self.evaluation()
        seconds = time.perf_counter() - began
        self.metrics_log.write(step, "eval", self.last, {"time": time.time(), "seconds": seconds})
        self.display.say(
            f"held out at step {step:,}: mlm {self.last['mlm_loss']:.3f} (unigram {self.last['unigram_loss']:.3f})  "
            f"disc {self.last['disc_loss']:.4f}  auc {self.last['disc_auc']:.3f}  "
            f"on fixed corruptions {self.last['fixed_disc_auc']:.3f}"
        )


class Save:
    """Saves at every `checkpoint_every`-th step and at the last; after `Log` and `Evaluate`, whose lines it covers."""

    def __init__(self, trainer: Trainer, recipe: Recipe, state: State):
        self.trainer, self.recipe, self.state = trainer, recipe, state

    def __call__(self, _):
        if due(int(self.trainer.step.step.numpy()), self.recipe.checkpoint_every, self.recipe.steps):
            self.state.save()


class Stop:
    """After `ask` (from a signal handler): saves and raises `Stopped`.

    Several machines are at the same step only where something is due: there they ask each other at every checkpoint,
    and stop together.
    """

    def __init__(self, trainer: Trainer, recipe: Recipe, state: State):
        self.trainer, self.recipe, self.state, self.asked = trainer, recipe, state, False

    def ask(self) -> None:
        self.asked = True

    def __call__(self, _):
        if self._agreed():
            self.state.save()
            raise Stopped

    def _agreed(self):
        strategy = self.trainer.strategy
        step = int(self.trainer.step.step.numpy())
        if step == self.recipe.steps:
            return False
        if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            return self.asked
        if not due(step, self.recipe.checkpoint_every, self.recipe.steps):
            return False
        asked = strategy.run(lambda: tf.constant(float(self.asked)))
        return float(strategy.reduce(tf.distribute.ReduceOp.SUM, asked, axis=None)) > 0
