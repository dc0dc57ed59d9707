"""ELECTRA (Clark et al., 2020): mask, generate, sample, discriminate; and Electric (Clark et al., 2020).

A generator is trained to fill in masked tokens; a discriminator is trained to tell, for every token, whether it is the
original or a sample of the generator. No gradient flows through the sample.

Axes: B rows, T tokens, P masked positions, V vocabulary.
"""

import math
from typing import NamedTuple

import tensorflow as tf

from electra_tf.checkpoints.shared_tables import base_of
from electra_tf.errors import ConfigError
from electra_tf.layers.dropout import fold_in
from electra_tf.models.encoder import count_parameters, named_variables
from electra_tf.models.flops import encoder_flops, masked_lm_head_flops
from electra_tf.models.task_models import replaced_token_head
from electra_tf.optimizers.groups import Group
from electra_tf.pretraining.generators import MaskedGenerator, Proposal, Sampling, TwoTowers, Uniform
from electra_tf.pretraining.joint_model import Parts
from electra_tf.pretraining.masking import Masked, Masking, mask, scatter
from electra_tf.pretraining.metrics import binned, detection_readings, hits
from electra_tf.pretraining.settings import Electra
from electra_tf.pretraining.sharing import build_towers
from electra_tf.pretraining.tokens import Tokens
from electra_tf.training.randomness import seed_of, uniform


class Draw(NamedTuple):
    """All that is random in a step but dropout."""

    masked: Masked
    numbers: tf.Tensor  # float32 [B, P], for the sampling
    temperature: tf.Tensor | None = None  # float32 [B], of the sampling, where it falls in the course of the run
    corrupted: tf.Tensor | None = None  # int32 [B, T], in the place of samples: a recording's, or a fixed corruption


class Totals(NamedTuple):
    """What the losses are divided by: what the generator learns from, and real tokens; float32 scalars."""

    generator: tf.Tensor
    tokens: tf.Tensor


class Outputs(NamedTuple):
    """What a step computed; losses are the share of these rows in those of the batch."""

    generator_loss: tf.Tensor  # float32 []
    disc_loss: tf.Tensor  # float32 []
    mlm_logits: tf.Tensor  # float32 [B, P, V]
    disc_logits: tf.Tensor  # float32 [B, T]
    sampled: tf.Tensor  # int32 [B, P]
    corrupted: tf.Tensor  # int32 [B, T]
    labels: tf.Tensor  # int32 [B, T], what the discriminator should say
    mlm_position_loss: tf.Tensor  # float32 [B, P]


class ReplacedTokenDetection:
    """The objective; see `training.objective.Objective`.

    Args:
        settings, masking: of the method.
        tokens: special tokens and the size of the vocabulary.
        steps: of the run, in whose course shares and temperatures may fall.
        precision: Keras' dtype policy.
    """

    def __init__(self, settings: Electra, masking: Masking, tokens: Tokens, steps: int, precision="float32"):
        self.settings, self.masking, self.tokens, self.steps = settings, masking, tokens, steps
        self.towers = settings.towers(tokens.size)
        built = build_towers(settings.sharing, self.towers, precision)
        self.discriminator = built.pop("discriminator")
        self.replaced_token = replaced_token_head(self.discriminator)
        self.generator = self._generator(built)
        encoders, heads = self.generator.towers, self.generator.heads
        self.model = Parts(
            {"discriminator": self.discriminator, **encoders, "replaced_token": self.replaced_token, **heads}
        )
        self.weights = {name: variable.value for name, variable in named_variables(self.model).items()}
        self._bases = {base_of(name) for name in self.weights if name.endswith("/delta")}
        self._of_generator = tuple(f"{name}/" for name in (*encoders, *heads))

        own = ("replaced_token",) if encoders or not heads else ("replaced_token", *heads)
        self.heads = {"discriminator": own, **dict.fromkeys(encoders, ())}
        if encoders:
            self.heads[next(iter(encoders))] = tuple(heads)
        self.shared, self.answers = settings.sharing.prefixes(self.towers), {}
        self.readings = detection_readings(self.generator.learned, settings, tokens.size, bool(heads))

    def _generator(self, encoders):
        c = self.settings
        sampling = Sampling(c.temperature, c.disallow_correct, self.tokens.size)
        if c.generator_kind == "uniform":
            return Uniform(sampling)
        if c.generator_kind == "two_towers":
            return TwoTowers(*encoders.values(), self.tokens, sampling, c.wrap_around)
        own = c.generator_kind == "masked"
        return MaskedGenerator(encoders["generator"] if own else self.discriminator, own, sampling)

    def draw(self, batch, seed: int, step) -> Draw:
        """Masks and uniform numbers of the global batch: a function of (seed, step) alone."""
        masked = mask(batch, seed, step, self.masking, self.tokens, self.steps)
        numbers = uniform(masked.positions.shape, seed_of(seed, "sample", step))
        temperature = self.settings.temperature_at(step, self.steps)
        if temperature is not None:
            temperature = tf.fill([batch["input_ids"].shape[0]], temperature)
        return Draw(masked, numbers, temperature)

    def totals(self, batch, drawn: Draw) -> Totals:
        """Of the global batch. Every replica sees the whole batch, so nothing has to be reduced."""
        learned = self.generator.total(batch, drawn.masked)
        tokens = tf.reduce_sum(tf.cast(batch["input_mask"], tf.float32))
        return Totals(tf.maximum(learned, 1.0), tf.maximum(tokens, 1.0))

    def loss(self, batch, drawn: Draw, totals: Totals, seed=None, training=True) -> tuple[tf.Tensor, Outputs]:
        """`mlm_weight * generator_loss + disc_weight * disc_loss`, and what was computed on the way.

        Args:
            batch: `input_ids`, `input_mask`, `segment_ids`, int32 [B, T].
            drawn: of these rows. totals: of the global batch these rows belong to.
            seed: int32 [3] for dropout, its third entry the global index of the first row; None without dropout.
            training: whether dropout is on.
        """
        masked, settings = drawn.masked, self.settings
        ids, real, segments = batch["input_ids"], batch["input_mask"], batch["segment_ids"]
        seeds = (None, None) if seed is None else (fold_in(seed, 0), fold_in(seed, 1))

        # Generate: predict the masked tokens from their context.
        learns = training and not settings.freeze_generator
        proposal = self.generator.propose(batch, masked, drawn.numbers, drawn.temperature, seeds[0], learns)
        generator_loss = proposal.loss / totals.generator

        # Sample: put the predictions in place; one that hits the original counts as original.
        corrupted = drawn.corrupted
        if corrupted is None:
            average = self.masking.draw_with_replacement
            corrupted = scatter(ids, masked.positions, proposal.sampled, masked.weights, average)
        labels = self._labels(ids, masked, corrupted)

        # Discriminate: which tokens are replaced?
        hidden = self.discriminator(corrupted, real, segments, training=training, seed=seeds[1])
        disc_logits = self.replaced_token(hidden)
        if settings.judged == "electric":
            disc_logits += self._noise(corrupted, proposal)
        is_replaced, counts = tf.cast(labels, tf.float32), tf.cast(real, tf.float32)
        token_loss = tf.nn.sigmoid_cross_entropy_with_logits(is_replaced, disc_logits)
        disc_loss = tf.reduce_sum(token_loss * counts) / totals.tokens

        if settings.freeze_generator:
            loss = settings.disc_weight * disc_loss
        else:
            loss = settings.mlm_weight * generator_loss + settings.disc_weight * disc_loss
        outputs = (proposal.sampled, corrupted, labels, proposal.position_loss)
        return loss, Outputs(generator_loss, disc_loss, proposal.logits, disc_logits, *outputs)

    def _labels(self, ids, masked: Masked, corrupted):
        """Int32 [B, T]: what is replaced; for Electric, what is noise, even where it hit the original."""
        if self.settings.judged == "replaced":
            return tf.cast(corrupted != ids, tf.int32)
        ones, average = tf.ones_like(masked.positions), self.masking.draw_with_replacement
        return scatter(tf.zeros_like(ids), masked.positions, ones, masked.weights, average)

    def _noise(self, corrupted, proposal: Proposal):
        """Float32 [B, T]: how likely the noise makes each token, and how frequent noise is, in logarithms.

        Beside it the head's output is an energy, learned by noise-contrastive estimation.
        """
        frequency = self.masking.mask_prob
        return tf.stop_gradient(proposal.log_q(corrupted)) + math.log(frequency / (1 - frequency))

    def measure(self, batch, drawn: Draw, outputs: Outputs) -> dict[str, tf.Tensor]:
        weights, real = drawn.masked.weights, tf.cast(batch["input_mask"], tf.float32)
        labels = tf.cast(outputs.labels, tf.float32)
        predicted = tf.argmax(outputs.mlm_logits, -1, output_type=tf.int32)
        said = tf.cast(outputs.disc_logits > 0, tf.float32)
        counts = binned(outputs.disc_logits, outputs.labels, real)
        return {
            self.generator.learned: outputs.generator_loss,
            "disc_loss": outputs.disc_loss,
            "masked": tf.reduce_sum(weights),
            "tokens": tf.reduce_sum(real),
            "mlm_hits": hits(predicted, drawn.masked.ids, weights),
            "sampled_hits": hits(outputs.sampled, drawn.masked.ids, weights),
            "replaced": tf.reduce_sum(labels * real),
            "disc_hits": hits(said, labels, real),
            "disc_counts": counts,
        }

    def group(self, name: str) -> Group:
        if name in self._bases:  # of the generator's tables, which are the discriminator's, too
            rate, begins = 0.0 if self.settings.freeze_generator else 1.0, self.settings.generator_steps
            return Group("generator", rate=rate, begins=begins)
        if name.startswith(self._of_generator):
            return Group("generator", rate=0.0 if self.settings.freeze_generator else 1.0)
        return Group("discriminator", begins=self.settings.generator_steps)

    def compile(self, program) -> None:
        self.generator.compile(program)

    def flops(self, rows: int, length: int) -> float:
        """Forward and backward, three times forward; a frozen generator's forward alone."""
        head, discriminator = 0.0, self.towers["discriminator"]
        encoders = [config for tower, config in self.towers.items() if tower != "discriminator"]
        if self.settings.generator_kind == "shared":
            encoders = [discriminator]
        if encoders:
            predicted = self.masking.predictions(length)
            if self.settings.generator_kind == "two_towers":
                predicted = length
            head = masked_lm_head_flops(encoders[0], predicted) / length
        generate = sum(encoder_flops(config, length) for config in encoders) + head
        judge = encoder_flops(discriminator, length) + 2 * discriminator.hidden_size * (discriminator.hidden_size + 1)
        return ((1.0 if self.settings.freeze_generator else 3.0) * generate + 3.0 * judge) * rows * length

    def describe(self) -> dict[str, str]:
        c, lines = self.settings, {}
        for name, config in self.towers.items():
            encoder = getattr(self.model, name)
            lines[name] = f"{count_parameters(encoder):,} with its embeddings, {config.hidden_size} wide, "
            lines[name] += f"{config.num_hidden_layers} layers"
        kinds = {"shared": "the discriminator itself", "uniform": "any token, all alike"}
        lines |= {"generator": kinds[c.generator_kind]} if c.generator_kind in kinds else {}
        learned = "replaced-token detection" if c.judged == "replaced" else "noise-contrastive estimation (Electric)"
        return {"learned by": learned, **lines, "masked": self.masking.in_words()}

    def check_start(self, towers: set[str], where) -> None:
        missing = [tower for tower in self.towers if tower not in towers and tower != "discriminator"]
        if not missing or self.settings.generator_steps:
            return
        expected, remedy = "a checkpoint with one", "add --init_generator"
        if missing[0] != "generator":
            expected, remedy = "a run or TF-V1 checkpoint with both", "name such a one with --init_checkpoint"
        if not self.settings.freeze_generator:
            expected += ", or one that starts anew and first learns alone"
            remedy += ", or the steps it learns alone: --gin_param 'Electra.generator_steps = 1000'"
        raise ConfigError(f"there is no {missing[0]} to start from", where=where, expected=expected, remedy=remedy)
