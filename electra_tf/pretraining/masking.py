"""Which tokens are masked, and what stands in their place."""

from typing import NamedTuple

import tensorflow as tf

from electra_tf.pretraining.randomness import seed_of, uniform


class Masked(NamedTuple):
    """A batch with masked positions.

    Attributes:
        input_ids: int32 [B, T], the generator's input.
        positions: int32 [B, P].
        ids: int32 [B, P], the original tokens there.
        weights: float32 [B, P], 1 for a position that counts; a row with fewer positions ends in zeros.
    """

    input_ids: tf.Tensor
    positions: tf.Tensor
    ids: tf.Tensor
    weights: tf.Tensor


def max_predictions(mask_prob: float, length: int) -> int:
    """P, as the original computes it: 19 at length 128 and 15 %."""
    return int((mask_prob + 0.005) * length)


def mask(batch, run_seed: int, step, config, special_ids) -> Masked:
    """Chooses `round(mask_prob * maskable tokens)` distinct positions a row, at most P, without replacement.

    Args:
        batch: `input_ids` and `input_mask`, int32 [B, T]; B is the global batch.
        run_seed, step: what the draw is a function of.
        config: `ElectraConfig`: mask_prob, max_predictions, mask_token_prob, random_token_prob, compat.
        special_ids: `SpecialIds`; [CLS], [SEP], [MASK] and padding are never masked.
    """
    ids = batch["input_ids"]
    rows, length = ids.shape
    limit = config.max_predictions or max_predictions(config.mask_prob, length)
    never = tf.constant([special_ids.cls, special_ids.sep, special_ids.mask])
    maskable = tf.reduce_all(ids[:, :, None] != never, -1) & (batch["input_mask"] == 1)

    counted = batch["input_mask"] if config.compat.count_special_tokens else tf.cast(maskable, tf.int32)
    wanted = tf.round(config.mask_prob * tf.cast(tf.reduce_sum(counted, -1), tf.float32))
    available = tf.reduce_sum(tf.cast(maskable, tf.float32), -1)
    count = tf.minimum(tf.clip_by_value(wanted, 1, limit), available)

    scores = uniform([rows, length], seed_of(run_seed, "positions", step))
    _, positions = tf.math.top_k(tf.where(maskable, scores, -1.0), limit)
    if config.compat.draw_with_replacement:
        order = tf.argsort(tf.where(maskable, 0, 1), stable=True)
        drawn = uniform([rows, limit], seed_of(run_seed, "repeated positions", step)) * available[:, None]
        positions = tf.gather(order, tf.cast(drawn, tf.int32), batch_dims=1)
    weights = tf.cast(tf.range(limit, dtype=tf.float32)[None, :] < count[:, None], tf.float32)
    original = tf.gather(ids, positions, batch_dims=1)

    # 85 % of the chosen positions show [MASK] and 15 % keep their token in the original.
    choice = uniform([rows, limit], seed_of(run_seed, "replacement", step))
    at_random = (choice >= config.mask_token_prob) & (choice < config.mask_token_prob + config.random_token_prob)
    any_token = uniform([rows, limit], seed_of(run_seed, "random token", step))
    any_token = tf.cast(any_token * config.generator.vocab_size, tf.int32)
    shown = tf.where(at_random, any_token, special_ids.mask)
    changed = weights * tf.cast((choice < config.mask_token_prob) | at_random, tf.float32)
    masked = scatter(ids, positions, shown, changed, config.compat.draw_with_replacement)
    return Masked(masked, positions, original, weights)


def scatter(ids, positions, values, weights, average_repeated=False):
    """`ids` [B, T] with `values` [B, P] written at `positions` wherever `weights` is 1.

    Positions that count must be distinct, unless `average_repeated`: then several values of one position become
    the floor of their mean and position 0 is never written, as in the original.
    """
    if average_repeated:
        here = (positions[:, :, None] == tf.range(ids.shape[1])) & (weights[:, :, None] > 0)
        here = tf.cast(here & (positions[:, :, None] > 0), tf.int32)
        count = tf.reduce_sum(here, axis=1)
        total = tf.reduce_sum(here * values[:, :, None], axis=1)
        return tf.where(count > 0, total // tf.maximum(count, 1), ids)
    values = tf.where(weights > 0, values, tf.gather(ids, positions, batch_dims=1))
    rows = tf.broadcast_to(tf.range(tf.shape(ids)[0])[:, None], tf.shape(positions))
    return tf.tensor_scatter_nd_update(ids, tf.stack([rows, positions], -1), values)
