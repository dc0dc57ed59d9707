"""ELECTRA (Clark et al., 2020): mask, generate, sample, discriminate.

A small generator is trained to fill in masked tokens; a discriminator is trained to tell, for every token, whether
it is the original or a sample of the generator. No gradient flows through the sample.
"""

from dataclasses import dataclass
from typing import NamedTuple

import keras
import tensorflow as tf

from electra_tf.errors import ConfigError
from electra_tf.layers.dropout import fold_in
from electra_tf.models.config import EncoderConfig
from electra_tf.models.task_models import masked_lm_head, replaced_token_head
from electra_tf.pretraining.embedding_sharing import build_towers, check_sharing
from electra_tf.pretraining.masking import Masked, mask, scatter
from electra_tf.pretraining.randomness import seed_of, uniform
from electra_tf.pretraining.sampling import sample

AUC_BINS = 200

# What `measure` reports, and the shape of each.
OBSERVED = {
    "mlm_loss": (),
    "disc_loss": (),
    "masked": (),
    "tokens": (),
    "mlm_hits": (),
    "sampled_hits": (),
    "replaced": (),
    "disc_hits": (),
    "disc_counts": (2 * AUC_BINS,),
}


@dataclass(frozen=True)
class Compat:
    """What Google's code does and a new run should not; each field is off by default.

    Attributes:
        draw_with_replacement: masked positions may repeat, so that 13.8 % instead of 15 % are masked; repeats count
            repeatedly in the loss, and differing samples at one position are averaged as integers.
        count_special_tokens: the number of masked positions counts [CLS] and [SEP] too.
        normalise_per_replica: each replica divides by its own token counts, and gradients are averaged.
    """

    draw_with_replacement: bool = False
    count_special_tokens: bool = False
    normalise_per_replica: bool = False


@dataclass(frozen=True)
class ElectraConfig:
    """The method's settings; names and defaults are the paper's.

    Attributes:
        discriminator, generator: the two towers.
        embedding_sharing: `all` (as the original), `word`, `none` or `gdes`, see `build_towers`.
        mask_prob: share of the maskable tokens that is masked.
        max_predictions: P, the most positions a row; None: `masking.max_predictions`.
        mask_token_prob, random_token_prob: shares of the masked positions that show [MASK] and any token; the rest
            keep theirs. 0.85 and 0 in the original; 1 and 0, or 0.8 and 0.1 (BERT), are usual too.
        mlm_weight, disc_weight: of the two losses.
        temperature: of the sampling only. disallow_correct: never sample the original token.
    """

    discriminator: EncoderConfig
    generator: EncoderConfig
    embedding_sharing: str = "all"
    mask_prob: float = 0.15
    max_predictions: int | None = None
    mask_token_prob: float = 0.85
    random_token_prob: float = 0.0
    mlm_weight: float = 1.0
    disc_weight: float = 50.0
    temperature: float = 1.0
    disallow_correct: bool = False
    compat: Compat = Compat()

    def __post_init__(self):
        check_sharing(self.embedding_sharing, self.discriminator, self.generator)
        if not 0 < self.mask_prob < 1:
            raise ConfigError(f"mask_prob is {self.mask_prob}", expected="a share between 0 and 1")
        if not 0 <= self.mask_token_prob + self.random_token_prob <= 1:
            raise ConfigError(
                f"mask_token_prob {self.mask_token_prob} and random_token_prob {self.random_token_prob} exceed 1",
                expected="two shares of the masked positions",
            )
        if self.temperature <= 0:
            raise ConfigError(f"temperature is {self.temperature}", expected="a positive number")

    def advice(self) -> str | None:
        """A warning about a generator as large as its discriminator, or None."""
        ours, theirs = self.generator, self.discriminator
        like = ours.hidden_size >= theirs.hidden_size and ours.num_hidden_layers >= theirs.num_hidden_layers
        if not like:
            return None
        return (
            f"the generator is as large as the discriminator ({ours.hidden_size} wide, {ours.num_hidden_layers} "
            "layers): it will sample too well, leave the discriminator little to find, and cost as much again. A "
            "quarter to a half of the width is recommended. (The published electra-small-generator has full width; "
            "it is not the paper's.)"
        )


class SpecialIds(NamedTuple):
    """Ids of the special tokens, looked up in the vocabulary."""

    pad: int
    cls: int
    sep: int
    mask: int


class Electra(keras.layers.Layer):
    """Both towers and their heads. Weights are named `discriminator/...`, `generator/...` by `named_variables`."""

    def __init__(self, config: ElectraConfig, dtype=None):
        super().__init__(name="electra", dtype=dtype)
        self.config = config
        self.discriminator, self.generator = build_towers(
            config.embedding_sharing, config.discriminator, config.generator, self.dtype_policy
        )
        self.replaced_token = replaced_token_head(self.discriminator)
        self.masked_lm = masked_lm_head(self.generator)
        self.predict = predict  # training puts a compiled one here
        self.built = True


class Draw(NamedTuple):
    """All that is random in a step but dropout, drawn for the global batch."""

    masked: Masked
    numbers: tf.Tensor  # float32 [B, P], for the sampling


class Normalisers(NamedTuple):
    """What the losses are divided by: masked positions and real tokens of the global batch, float32 scalars."""

    masked: tf.Tensor
    tokens: tf.Tensor


class Outputs(NamedTuple):
    """What a step computed; sums, not means, so that replicas and micro-batches add up."""

    mlm_loss: tf.Tensor  # float32 [], the share of these rows in the normalised loss
    disc_loss: tf.Tensor
    mlm_logits: tf.Tensor  # float32 [B, P, V]
    disc_logits: tf.Tensor  # float32 [B, T]
    sampled: tf.Tensor  # int32 [B, P]
    corrupted: tf.Tensor  # int32 [B, T]
    replaced: tf.Tensor  # int32 [B, T]
    mlm_position_loss: tf.Tensor  # float32 [B, P]


def draw(batch, run_seed: int, step, config: ElectraConfig, special_ids: SpecialIds) -> Draw:
    """Masks and uniform numbers of the global batch: a function of (run seed, step) alone."""
    masked = mask(batch, run_seed, step, config, special_ids)
    return Draw(masked, uniform(masked.positions.shape, seed_of(run_seed, "sample", step)))


def normalisers(batch, drawn: Draw) -> Normalisers:
    """Of the global batch. Every replica sees the whole batch, so nothing has to be reduced."""
    masked = tf.reduce_sum(drawn.masked.weights)
    tokens = tf.reduce_sum(tf.cast(batch["input_mask"], tf.float32))
    return Normalisers(tf.maximum(masked, 1.0), tf.maximum(tokens, 1.0))


def electra_loss(model: Electra, batch, drawn: Draw, total: Normalisers, seed=None, training=True, fed=None):
    """The loss of some rows of a batch.

    Args:
        model: both towers.
        batch: `input_ids`, `input_mask`, `segment_ids`, int32 [B, T].
        drawn: masks and numbers of these rows.
        total: of the global batch these rows belong to.
        seed: int32 [3] for dropout, its third entry the global index of the first row; None without dropout.
        training: whether dropout is on.
        fed: int32 [B, T] to use as the corrupted input instead of sampling, or None.

    Returns: (loss, outputs): float32 scalar `mlm_weight * mlm + disc_weight * disc`, and `Outputs`.
    """
    config, masked = model.config, drawn.masked
    ids, real, segments = batch["input_ids"], batch["input_mask"], batch["segment_ids"]
    seeds = [None, None] if seed is None else [fold_in(seed, 0), fold_in(seed, 1)]

    # Generate: predict the masked tokens from their context.
    hidden = model.generator(masked.input_ids, real, segments, training=training, seed=seeds[0])
    hidden = tf.gather(hidden, masked.positions, batch_dims=1)
    mlm_logits, position_loss, sampled = model.predict(model.masked_lm, hidden, masked.ids, drawn.numbers, config)
    mlm_loss = tf.reduce_sum(position_loss * masked.weights) / total.masked

    # Sample: put the predictions in place; one that hits the original counts as original.
    average = config.compat.draw_with_replacement
    corrupted = scatter(ids, masked.positions, sampled, masked.weights, average) if fed is None else fed
    replaced = tf.cast(corrupted != ids, tf.int32)

    # Discriminate: which tokens are replaced?
    hidden = model.discriminator(corrupted, real, segments, training=training, seed=seeds[1])
    disc_logits = model.replaced_token(hidden)
    labels, counts = tf.cast(replaced, tf.float32), tf.cast(real, tf.float32)
    token_loss = tf.nn.sigmoid_cross_entropy_with_logits(labels, disc_logits)
    disc_loss = tf.reduce_sum(token_loss * counts) / total.tokens

    loss = config.mlm_weight * mlm_loss + config.disc_weight * disc_loss
    return loss, Outputs(mlm_loss, disc_loss, mlm_logits, disc_logits, sampled, corrupted, replaced, position_loss)


def predict(head, hidden, ids, numbers, config: ElectraConfig):
    """Logits [B, P, V], loss [B, P] at `ids`, and samples [B, P] of the masked-LM head, all float32 but the ids."""
    logits = head(hidden)
    likelihood = tf.gather(logits, ids, batch_dims=2)
    loss = tf.reduce_logsumexp(logits, -1) - likelihood
    flat = tf.reshape(tf.stop_gradient(logits), [-1, logits.shape[-1]])
    never = tf.reshape(ids, [-1]) if config.disallow_correct else None
    sampled = sample(flat, tf.reshape(numbers, [-1]), config.temperature, never)
    return logits, loss, tf.reshape(sampled, tf.shape(ids))


def measure(batch, drawn: Draw, outputs: Outputs) -> dict:
    """Sums of some rows from which the training metrics follow (`training.progress`), all float32."""
    weights, real = drawn.masked.weights, tf.cast(batch["input_mask"], tf.float32)
    replaced = tf.cast(outputs.replaced, tf.float32)
    predicted = tf.argmax(outputs.mlm_logits, -1, output_type=tf.int32)
    said = tf.cast(outputs.disc_logits > 0, tf.float32)

    def hits(a, b, w):
        return tf.reduce_sum(tf.cast(a == b, tf.float32) * w)

    bins = tf.cast(tf.sigmoid(outputs.disc_logits) * AUC_BINS, tf.int32)
    bins = tf.minimum(bins, AUC_BINS - 1) + AUC_BINS * outputs.replaced
    counts = tf.math.unsorted_segment_sum(tf.reshape(real, [-1]), tf.reshape(bins, [-1]), 2 * AUC_BINS)
    return {
        "mlm_loss": outputs.mlm_loss,
        "disc_loss": outputs.disc_loss,
        "masked": tf.reduce_sum(weights),
        "tokens": tf.reduce_sum(real),
        "mlm_hits": hits(predicted, drawn.masked.ids, weights),
        "sampled_hits": hits(outputs.sampled, drawn.masked.ids, weights),
        "replaced": tf.reduce_sum(replaced * real),
        "disc_hits": hits(said, replaced, real),
        "disc_counts": counts,
    }
