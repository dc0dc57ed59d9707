"""The inner loop: steps on one batch after another, inside one graph."""

import time

import orbit
import tensorflow as tf

from electra_tf.data.reader import DataSet, damage_named
from electra_tf.training.step import Step


class Trainer(orbit.AbstractTrainer):
    """Runs `Step` on every replica, for Orbit's controller.

    Args:
        strategy: under whose scope `step` was made.
        step: the state and what changes it.
        dataset: where the batches come from.
        batch_size: rows of the global batch.
        seed: of the order of the examples.
        eager: run without a graph (for tests).

    Attributes:
        window: sums of what the steps observed since `take_window`, by name, variables; part of the state.
        steps, seconds: of the last call of `train`.
    """

    def __init__(self, strategy, step: Step, dataset: DataSet, batch_size: int, seed: int, eager: bool = False):
        self.strategy, self.step, self.dataset = strategy, step, dataset
        self.batch_size, self.seed = batch_size, seed
        self.steps, self.seconds = 0, 0.0
        self._run = self._steps if eager else tf.function(self._steps, autograph=False)
        with strategy.scope():
            self.window = {
                name: tf.Variable(tf.zeros(shape), trainable=False, name=f"window/{name}")
                for name, shape in {"steps": (), **step.observed}.items()
            }

    def start(self) -> None:
        """Places the input at the state's step: the position follows from it alone."""
        self.iterator = iter(self.batches(self.step.step.numpy()))

    def batches(self, first_step: int) -> tf.data.Dataset:
        """The batches from step `first_step` on, endlessly."""
        return self.dataset.batches(self.batch_size, seed=self.seed, start_step=int(first_step)).prefetch(4)

    def train(self, num_steps: tf.Tensor) -> None:
        """`num_steps` steps. Raises `DataError` naming the file and record where the data is damaged."""
        began = time.perf_counter()
        self.steps = int(num_steps)
        with damage_named(self.dataset, "train"):
            self._run(self.iterator, tf.constant(self.steps))
            self.step.step.numpy()  # waits for the devices
        self.seconds = time.perf_counter() - began

    def take_window(self) -> dict:
        """The window as numpy arrays; it starts anew."""
        taken = {name: variable.numpy() for name, variable in self.window.items()}
        for variable in self.window.values():
            variable.assign(tf.zeros_like(variable))
        return taken

    def _steps(self, iterator, steps):
        def one(index):
            self.strategy.run(self._replica_step, args=(next(iterator),))
            return (index + 1,)

        tf.while_loop(lambda index: index < steps, one, (tf.constant(0),), parallel_iterations=1)

    def _replica_step(self, batch):
        observed = {"steps": tf.ones([]), **self.step(batch)}
        for name, value in observed.items():
            self.window[name].assign_add(value)
