"""The inner loop: steps on one batch after another, inside one graph."""

import time

import orbit
import tensorflow as tf

from electra_tf.training.compilation_cache import explained
from electra_tf.training.metrics import first_not_finite
from electra_tf.training.objective import Source
from electra_tf.training.step import Step


class Trainer(orbit.AbstractTrainer):
    """Runs `Step` on every replica, for Orbit's controller.

    Args:
        strategy: under whose scope `step` was made.
        step: the state and what changes it.
        source: where the batches come from.
        batch_size: rows of the global batch.
        seed: of the order of the examples.
        eager: run without a graph (for tests).

    Attributes:
        window: sums of what the steps measured since `take_window`, by name, variables; part of the state.
        steps, seconds, tokens: of the last call of `train`; padding counts as tokens.
    """

    def __init__(self, strategy, step: Step, source: Source, batch_size: int, seed: int, eager: bool = False):
        self.strategy, self.step, self.source = strategy, step, source
        self.batch_size, self.seed = batch_size, seed
        self.steps, self.seconds, self.tokens = 0, 0.0, 0
        self._run = self._steps if eager else tf.function(self._steps, autograph=False)
        with strategy.scope():
            self.window = {
                name: tf.Variable(tf.zeros(shape), trainable=False, name=f"window/{name}")
                for name, shape in step.sums.items()
            }

    def start(self) -> None:
        """Places the input at the state's step: the position follows from it alone."""
        self.iterator = iter(self.batches(self.step.finished.numpy()))

    def stop(self) -> None:
        """Lets go of the input. (Left to the collector, it makes the process wait for seconds at some later time.)"""
        del self.iterator  # setting None would not do: TensorFlow keeps what it tracks under a name

    def batches(self, first_step: int) -> tf.data.Dataset:
        """The batches from step `first_step` on, endlessly."""
        return self.source.batches(self.batch_size, seed=self.seed, start_step=int(first_step)).prefetch(4)

    def stretch(self, step: int) -> tuple[int, float]:
        """(tokens of a row at a step, for how many steps from there it stays so)."""
        return self.source.stretch(self.batch_size, seed=self.seed, step=step)

    def train(self, num_steps: tf.Tensor) -> None:
        """`num_steps` steps, within one stretch. Raises `DataError` that names what is damaged in the data."""
        began = time.perf_counter()
        self.steps = int(num_steps)
        first = int(self.step.finished.numpy())
        length, _ = self.stretch(first)
        self.tokens = self.steps * self.batch_size * length
        try:
            # A step of TensorBoard's profile.
            with explained(), tf.profiler.experimental.Trace("train", step_num=first, _r=1):
                self._run(self.iterator, tf.constant(self.steps))
                self.step.finished.numpy()  # waits for the devices
        except tf.errors.OpError as error:
            raise self.source.explain_damage(error) from error.__cause__
        self.seconds = time.perf_counter() - began

    def take_window(self) -> dict:
        """The window as numpy arrays; it starts anew."""
        taken = {name: variable.numpy() for name, variable in self.window.items()}
        for variable in self.window.values():
            variable.assign(tf.zeros_like(variable))
        return taken

    def first_not_finite(self) -> tuple[str, float] | None:
        """(name, value) of the first sum of the window that is not finite."""
        return first_not_finite({name: variable.numpy() for name, variable in self.window.items()})

    def _steps(self, iterator, steps):
        def one(index):
            self.strategy.run(self._replica_step, args=(next(iterator),))
            return (index + 1,)

        tf.while_loop(lambda index: index < steps, one, (tf.constant(0),), parallel_iterations=1)

    def _replica_step(self, batch):
        for name, value in self.step(batch).items():
            self.window[name].assign_add(value)
