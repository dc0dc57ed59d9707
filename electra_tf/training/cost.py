"""What a run will cost, said before its first step."""

import resource
import time

import numpy as np

from electra_tf.models.encoder import count_parameters
from electra_tf.training.objective import Objective, Source
from electra_tf.training.progress import duration
from electra_tf.training.recipe import Recipe


def matrix_peak(seconds: float = 0.3, precision: str = "float32") -> float:
    """FLOP/s of matrix products of a block's shape here, in a recipe's `precision`; the best of several."""
    import tensorflow as tf

    dtype = tf.bfloat16 if precision == "mixed_bfloat16" else tf.float32
    a, b = tf.random.normal([4096, 256], dtype=dtype), tf.random.normal([256, 1024], dtype=dtype)
    product = tf.function(lambda a, b: tf.reduce_max(tf.matmul(a, b)), autograph=False)
    float(product(a, b))
    best, began = np.inf, time.perf_counter()
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        float(product(a, b))
        best = min(best, time.perf_counter() - start)
    return 2 * 4096 * 256 * 1024 / best


def memory_in_use() -> int:
    """Bytes: the process's largest resident set so far, or what the first GPU has held at most."""
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return tf.config.experimental.get_memory_info("GPU:0")["peak"]
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Cost:
    """Figures of a run: some follow from what is trained, the others from timing a step.

    Args:
        objective, source, recipe: of the run.
        first_step: steps already done. devices: how many there are.
        eval_rows: rows of one evaluation; 0: there is none.

    Attributes:
        step_seconds: None until `measure`.
    """

    def __init__(
        self, objective: Objective, source: Source, recipe: Recipe, first_step: int, devices: int, eval_rows: int
    ):
        self.objective, self.source, self.recipe = objective, source, recipe
        self.first_step, self.devices, self.eval_rows = first_step, devices, eval_rows
        self.length, _ = source.stretch(recipe.batch_size, seed=recipe.seed, step=first_step)
        self.flops = objective.flops(recipe.batch_size, self.length)
        self.step_seconds = self.peak_share = None

    def describe(self) -> str:
        """What is known before anything runs, as it is printed."""
        recipe, facts = self.recipe, self.source.facts
        tokens, fill = recipe.steps * recipe.batch_size * self.length, facts.get("fill_rate")
        return _table(
            {
                "parameters": f"{count_parameters(self.objective.model):,}",
                **self.objective.describe(),
                "steps": f"{recipe.steps:,} of {recipe.batch_size} rows x {self.length} tokens"
                + (f", {self.first_step:,} done" if self.first_step else ""),
                "tokens": f"{tokens * fill:,.0f} real ones ({fill:.1%} of {tokens:,})"
                if fill
                else f"{tokens:,}, padding included",
                "epochs": f"{recipe.steps * recipe.batch_size / facts['examples']:.2f} over "
                f"{facts['examples']:,} examples",
                "compute": f"{self.flops * recipe.steps:.2e} FLOP, {self.flops / 1e9:.1f} GFLOP a step",
                "compiled": f"{recipe.compiler}, {recipe.precision}, {recipe.micro_batches} micro-batch(es)",
            }
        )

    def measure(self, step: int, step_seconds: float, memory: int, peak: float) -> str:
        """What else it will cost, from step `step` on, as it is printed.

        Args:
            step_seconds: of a step once everything is compiled. memory: bytes in use by then.
            peak: FLOP/s of matrix products on one device.
        """
        self.step_seconds, self.peak_share = step_seconds, self.flops / step_seconds / (peak * self.devices)
        left = self.recipe.steps - step
        evaluations = 1 + (left // self.recipe.eval_every if self.recipe.eval_every else 0) if self.eval_rows else 0
        # About one and a half forward passes, against three of a step.
        evaluation = evaluations * step_seconds * self.eval_rows / self.recipe.batch_size / 2
        return _table(
            {
                "memory": f"{memory / 1e9:.2f} GB",
                "time": f"{duration(left * step_seconds + evaluation)} ({step_seconds:.3f} s a step, "
                f"{duration(evaluation)} of evaluation), {self.peak_share:.0%} of this machine's matrix products",
            }
        )


def _table(rows):
    return "\n".join(f"  {name:13} {text}" for name, text in rows.items())
