"""What a run will cost, said before its first step."""

import resource
import time

import numpy as np

from electra_tf.models.config import EncoderConfig
from electra_tf.models.encoder import count_parameters
from electra_tf.pretraining.electra import ElectraConfig
from electra_tf.pretraining.masking import max_predictions
from electra_tf.training.progress import duration


def encoder_flops(config: EncoderConfig, length: int) -> float:
    """Multiply-adds times two of the encoder's matrix products, forward, a token."""
    hidden, inner = config.hidden_size, config.intermediate_size
    block = 2 * (4 * hidden * hidden + 2 * hidden * inner) + 4 * length * hidden
    project = 2 * config.embedding_size * hidden if config.embedding_size != hidden else 0
    return config.num_hidden_layers * config.inner_group_num * block + project


def step_flops(config: ElectraConfig, batch_size: int, length: int) -> float:
    """Matrix products of one step, forward and backward (three times forward), over the global batch."""
    generator, discriminator = config.generator, config.discriminator
    predicted = config.max_predictions or max_predictions(config.mask_prob, length)
    head = 2 * generator.embedding_size * (generator.hidden_size + generator.vocab_size) * predicted / length
    head += 2 * discriminator.hidden_size * (discriminator.hidden_size + 1)
    each = encoder_flops(generator, length) + encoder_flops(discriminator, length) + head
    return 3.0 * each * batch_size * length


def matrix_peak(seconds: float = 0.3) -> float:
    """FLOP/s of float32 matrix products of a block's shape on the default device, the best of several."""
    import tensorflow as tf

    a, b = tf.random.normal([4096, 256]), tf.random.normal([256, 1024])
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
        model: `Electra`. recipe: `Recipe`. length: tokens a row. examples: of the training split.
        fill: share of real tokens. first_step: steps already done. devices: how many there are.
        eval_rows: rows of one evaluation; 0: there is none.

    Attributes:
        step_seconds: None until `measure`.
    """

    def __init__(self, model, recipe, length, examples, fill, first_step, devices, eval_rows):
        self.model, self.recipe, self.length, self.examples = model, recipe, length, examples
        self.fill, self.first_step, self.devices, self.eval_rows = fill, first_step, devices, eval_rows
        self.flops = step_flops(model.config, recipe.batch_size, length)
        self.step_seconds = self.peak_share = None

    def describe(self) -> str:
        """What is known before anything runs, as it is printed."""
        recipe, config = self.recipe, self.model.config
        tokens = recipe.steps * recipe.batch_size * self.length
        return _table(
            {
                "parameters": f"{count_parameters(self.model):,} "
                f"(discriminator {count_parameters(self.model.discriminator):,} with its embeddings, "
                f"generator {config.generator.hidden_size} wide, {config.generator.num_hidden_layers} layers)",
                "steps": f"{recipe.steps:,} of {recipe.batch_size} rows x {self.length} tokens"
                + (f", {self.first_step:,} done" if self.first_step else ""),
                "tokens": f"{tokens * self.fill:,.0f} real ones ({self.fill:.1%} of {tokens:,})",
                "epochs": f"{recipe.steps * recipe.batch_size / self.examples:.2f} over {self.examples:,} examples",
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
        # A forward pass of both towers and one more of the discriminator, against three forward passes of a step.
        evaluation = evaluations * step_seconds * self.eval_rows / self.recipe.batch_size / 2
        return _table(
            {
                "memory": f"{memory / 1e9:.2f} GB",
                "time": f"{duration(left * step_seconds + evaluation)} ({step_seconds:.3f} s a step, "
                f"{duration(evaluation)} of evaluation), {self.peak_share:.0%} of this machine's matrix products",
            }
        )


def _table(rows):
    return "\n".join(f"  {name:11} {text}" for name, text in rows.items())
