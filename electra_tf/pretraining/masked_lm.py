"""Masked language modelling (BERT), with sentence order where it is asked for (ALBERT, Lan et al., 2020).

Axes: B rows, T tokens, P masked positions, V vocabulary.
"""

from typing import NamedTuple

import tensorflow as tf

from electra_tf.data.examples import ORDER, STATIC_MASKS
from electra_tf.layers.dense import Dense, truncated_normal
from electra_tf.layers.heads import Pooler
from electra_tf.models.encoder import Encoder, count_parameters, named_variables
from electra_tf.models.flops import encoder_flops, masked_lm_head_flops
from electra_tf.models.task_models import masked_lm_head
from electra_tf.optimizers.groups import Group
from electra_tf.pretraining.joint_model import Parts
from electra_tf.pretraining.masking import Masked, Masking, StoredMasks, mask
from electra_tf.pretraining.metrics import hits, masked_lm_readings
from electra_tf.pretraining.segment_swapping import has_pair, in_any_order
from electra_tf.pretraining.settings import MaskedLM
from electra_tf.pretraining.tokens import Tokens


class Draw(NamedTuple):
    """All that is random in a step but dropout."""

    masked: Masked
    segment_ids: tf.Tensor  # int32 [B, T]
    is_swapped: tf.Tensor  # int32 [B], 1 where B stands before A
    judged: tf.Tensor  # float32 [B], 1 where there are two segments


class Totals(NamedTuple):
    """What the losses are divided by: masked positions, and rows of two segments; float32 scalars."""

    masked: tf.Tensor
    pairs: tf.Tensor


class Outputs(NamedTuple):
    """What a step computed; losses are the share of these rows in those of the batch."""

    mlm_loss: tf.Tensor  # float32 []
    order_loss: tf.Tensor  # float32 []
    mlm_logits: tf.Tensor  # float32 [B, P, V]
    order_logits: tf.Tensor  # float32 [B, 2]
    mlm_position_loss: tf.Tensor  # float32 [B, P]


class MaskedLanguageModelling:
    """The objective; see `training.objective.Objective`.

    Args:
        settings, masking: of the method; `StoredMasks` for data that hold their masks.
        tokens: special tokens and the size of the vocabulary.
        steps: of the run, in whose course the share of masked tokens may fall.
        precision: Keras' dtype policy.
    """

    def __init__(
        self,
        settings: MaskedLM,
        masking: Masking | StoredMasks,
        tokens: Tokens,
        steps: int,
        precision="float32",
    ):
        self.settings, self.masking, self.tokens, self.steps = settings, masking, tokens, steps
        self.towers = settings.towers(tokens.size)
        c = self.towers["generator"]
        self.encoder = Encoder(c, name="generator", dtype=precision)
        self.head = masked_lm_head(self.encoder)
        layers, heads = {"generator": self.encoder}, {"masked_lm": self.head}
        self.learns_order = settings.order_weight > 0
        if self.learns_order:
            policy = {"dtype": self.encoder.dtype_policy}
            initializer = truncated_normal(c.initializer_range)
            self.pooler = Pooler(c.hidden_size, c.initializer_range, name="pooler", **policy)
            self.order = Dense(c.hidden_size, 2, None, initializer, name="sentence_order", **policy)
            heads = {"pooler": self.pooler, **heads, "sentence_order": self.order}
        self.model = Parts({**layers, **heads})
        self.weights = {name: variable.value for name, variable in named_variables(self.model).items()}
        self.heads, self.shared, self.answers = {"generator": tuple(heads)}, {}, {}
        self.readings = masked_lm_readings(settings.order_weight, tokens.size)
        self.nats = nats  # training puts a compiled one here

    def draw(self, batch, seed: int, step, masking: Masking | None = None) -> Draw:
        """Swaps and masks of the global batch: a function of (seed, step) alone, or what its records hold.

        `masking`: in the place of the objective's own, for an evaluation.
        """
        judged = has_pair(batch)
        is_swapped = tf.zeros_like(batch["input_mask"][:, 0])
        if ORDER in batch:
            is_swapped = batch[ORDER]
        elif self.learns_order:
            batch, is_swapped = in_any_order(batch, seed, step)
        if STATIC_MASKS[0] in batch:
            masked = Masked(batch["input_ids"], *(batch[name] for name in STATIC_MASKS))
        else:
            masked = mask(batch, seed, step, masking or self.masking, self.tokens, self.steps)
        return Draw(masked, batch["segment_ids"], is_swapped, tf.cast(judged, tf.float32))

    def totals(self, batch, drawn: Draw) -> Totals:
        masked, pairs = tf.reduce_sum(drawn.masked.weights), tf.reduce_sum(drawn.judged)
        return Totals(tf.maximum(masked, 1.0), tf.maximum(pairs, 1.0))

    def loss(self, batch, drawn: Draw, totals: Totals, seed=None, training=True) -> tuple[tf.Tensor, Outputs]:
        """`mlm_loss + order_weight * order_loss`, and what was computed on the way; arguments as the protocol's."""
        masked = drawn.masked
        hidden = self.encoder(masked.input_ids, batch["input_mask"], drawn.segment_ids, training=training, seed=seed)

        # Which tokens were there?
        at_masks = tf.gather(hidden, masked.positions, batch_dims=1)
        logits = self.head(at_masks)
        position_loss = self.nats(logits, masked.ids)
        loss = mlm_loss = tf.reduce_sum(position_loss * masked.weights) / totals.masked
        if not self.learns_order:
            return loss, Outputs(mlm_loss, tf.zeros([]), logits, tf.zeros([hidden.shape[0], 2]), position_loss)

        # Which segment came first?
        order_logits = tf.cast(self.order(self.pooler(hidden)), tf.float32)
        order_row = tf.nn.sparse_softmax_cross_entropy_with_logits(drawn.is_swapped, order_logits)
        order_loss = tf.reduce_sum(order_row * drawn.judged) / totals.pairs
        loss = mlm_loss + self.settings.order_weight * order_loss
        return loss, Outputs(mlm_loss, order_loss, logits, order_logits, position_loss)

    def measure(self, batch, drawn: Draw, outputs: Outputs) -> dict[str, tf.Tensor]:
        predicted = tf.argmax(outputs.mlm_logits, -1, output_type=tf.int32)
        sums = {
            "mlm_loss": outputs.mlm_loss,
            "masked": tf.reduce_sum(drawn.masked.weights),
            "mlm_hits": hits(predicted, drawn.masked.ids, drawn.masked.weights),
        }
        if self.learns_order:
            said = tf.argmax(outputs.order_logits, -1, output_type=tf.int32)
            sums |= {
                "order_loss": outputs.order_loss,
                "pairs": tf.reduce_sum(drawn.judged),
                "order_hits": hits(said, drawn.is_swapped, drawn.judged),
            }
        return sums

    def group(self, name: str) -> Group:
        return Group("encoder")

    def compile(self, program) -> None:
        self.nats = program(nats)

    def flops(self, rows: int, length: int) -> float:
        """Forward and backward, three times forward."""
        c = self.towers["generator"]
        head = masked_lm_head_flops(c, self.masking.predictions(length)) / length
        return 3.0 * (encoder_flops(c, length) + head) * rows * length

    def describe(self) -> dict[str, str]:
        c = self.towers["generator"]
        return {
            "learned by": "masked language modelling" + (" and sentence order" if self.learns_order else ""),
            "encoder": f"{count_parameters(self.encoder):,}, {c.hidden_size} wide, {c.num_hidden_layers} layers",
            "masked": self.masking.in_words(),
        }

    def check_start(self, towers: set[str], where) -> None:
        """Any encoder will do."""


def nats(logits, ids):
    """How unlikely logits [B, P, V] make the tokens `ids` [B, P]: float32 [B, P]."""
    return tf.reduce_logsumexp(logits, -1) - tf.gather(logits, ids, batch_dims=2)
