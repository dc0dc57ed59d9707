"""Where the replacements come from: what proposes a token for every masked position, and how it learns.

Axes: B rows, T tokens, P masked positions, V vocabulary.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from electra_tf.layers.dropout import fold_in
from electra_tf.layers.heads import MaskedLMHead
from electra_tf.models.encoder import Encoder
from electra_tf.models.task_models import masked_lm_head
from electra_tf.pretraining.masking import Masked, maskable
from electra_tf.pretraining.sampling import sample, sample_evenly
from electra_tf.pretraining.tokens import Tokens


class Proposal(NamedTuple):
    """What a generator made of some rows."""

    sampled: tf.Tensor  # int32 [B, P]
    loss: tf.Tensor  # float32 [], a sum over all that it learns from
    logits: tf.Tensor  # float32 [B, P, V], at the masked positions; [B, P, 1] where all tokens are alike
    position_loss: tf.Tensor  # float32 [B, P], of the original tokens there
    log_q: Callable | None = None  # ids int32 [B, T] -> float32 [B, T]: log of how likely each is in the original text


class Sampling(NamedTuple):
    """How tokens are drawn from logits: at a temperature, the original one perhaps never, of the first `size` ones."""

    temperature: float
    disallow_correct: bool
    size: int

    def __call__(self, logits, ids, numbers, temperature=None):
        """Int32 [B, P] by uniform `numbers` [B, P]; `temperature` float32 [B] in the place of the constant one."""
        if temperature is None:
            temperature = self.temperature
        else:
            temperature = tf.repeat(temperature, logits.shape[1])[:, None]
        flat = tf.reshape(tf.stop_gradient(logits), [-1, logits.shape[-1]])
        flat = flat[:, : self.size] if self.size < logits.shape[-1] else flat  # rows that pad the vocabulary
        never = tf.reshape(ids, [-1]) if self.disallow_correct else None
        return tf.reshape(sample(flat, tf.reshape(numbers, [-1]), temperature, never), tf.shape(ids))


class MaskedGenerator:
    """ELECTRA's: an encoder with a masked-LM head reads the masked text. The encoder may be the discriminator's own.

    Attributes:
        towers, heads: encoders and heads of its own, by their names. learned: the name of its loss.
    """

    learned = "mlm_loss"

    def __init__(self, encoder: Encoder, own: bool, sampling: Sampling):
        self.encoder, self.sampling = encoder, sampling
        self.head = masked_lm_head(encoder)
        self.towers, self.heads = {encoder.name: encoder} if own else {}, {"masked_lm": self.head}
        self.judge = self._judge  # training puts a compiled one here

    def total(self, batch, masked: Masked):
        """What its loss is divided by: the number of masked positions."""
        return tf.reduce_sum(masked.weights)

    def propose(self, batch, masked: Masked, numbers, temperature=None, seed=None, training=True) -> Proposal:
        real, segments = batch["input_mask"], batch["segment_ids"]
        hidden = self.encoder(masked.input_ids, real, segments, training=training, seed=seed)
        hidden = tf.gather(hidden, masked.positions, batch_dims=1)
        logits = self.head(hidden)
        given = () if temperature is None else (temperature,)
        position_loss, sampled = self.judge(logits, masked.ids, numbers, *given)
        return Proposal(sampled, tf.reduce_sum(position_loss * masked.weights), logits, position_loss)

    def compile(self, program):
        self.judge = program(self._judge)

    def _judge(self, logits, ids, numbers, temperature=None):
        """The loss float32 [B, P] at `ids`, and samples int32 [B, P], of logits [B, P, V]."""
        loss = tf.reduce_logsumexp(logits, -1) - tf.gather(logits, ids, batch_dims=2)
        return loss, self.sampling(logits, ids, numbers, temperature)


class TwoTowers:
    """Electric's: two encoders read the text as it is, one from each end, and predict every token from its neighbours.

    A position is given what the tower from the left made of all tokens before it, and the one from the right of all
    after it. The loss is over all tokens that could be masked.

    Args:
        from_left, from_right: encoders of one width.
        wrap_around: compat: the first position gets the last one's state and the last the first one's, which have
            seen the whole text; else nothing.
    """

    learned = "cloze_loss"

    def __init__(self, from_left: Encoder, from_right: Encoder, tokens: Tokens, sampling: Sampling, wrap_around=False):
        self.from_left, self.from_right, self.tokens, self.sampling = from_left, from_right, tokens, sampling
        self.wrap_around = wrap_around
        c = from_left.config
        self.head = MaskedLMHead(
            2 * c.hidden_size,
            c.embedding_size,
            from_left.embeddings.word,
            c.hidden_act,
            c.layer_norm_eps,
            c.initializer_range,
            name="cloze",
            dtype=from_left.dtype_policy,
        )
        self.towers = {encoder.name: encoder for encoder in (from_left, from_right)}
        self.heads = {"cloze": self.head}
        self.judge = self._judge  # training puts a compiled one here

    def total(self, batch, masked: Masked):
        """What its loss is divided by: the number of tokens that could be masked."""
        return tf.reduce_sum(tf.cast(maskable(batch, self.tokens), tf.float32))

    def propose(self, batch, masked: Masked, numbers, temperature=None, seed=None, training=True) -> Proposal:
        ids, real, segments = batch["input_ids"], batch["input_mask"], batch["segment_ids"]
        place = tf.range(ids.shape[1])
        before = tf.cast(place[None, :] <= place[:, None], tf.int32)
        seeds = (None, None) if seed is None else (fold_in(seed, 0), fold_in(seed, 1))
        left = self.from_left(ids, real[:, None, :] * before, segments, training=training, seed=seeds[0])
        right = self.from_right(
            ids, real[:, None, :] * tf.transpose(before), segments, training=training, seed=seeds[1]
        )
        hidden = tf.concat([self._from(left, 1), self._from(right, -1)], -1)
        logits = self.head(hidden)
        given = () if temperature is None else (temperature,)
        sums, token_loss, masked_logits, sampled = self.judge(
            logits, ids, masked.positions, masked.ids, numbers, *given
        )
        weights = tf.cast(maskable(batch, self.tokens), tf.float32)
        position_loss = tf.gather(token_loss, masked.positions, batch_dims=1)

        def log_q(ids):
            return tf.gather(logits, ids, batch_dims=2) - sums

        return Proposal(sampled, tf.reduce_sum(token_loss * weights), masked_logits, position_loss, log_q)

    def compile(self, program):
        self.judge = program(self._judge)

    def _from(self, hidden, by):
        """Each position's neighbour, `by` places before it."""
        rolled = tf.roll(hidden, by, axis=1)
        if self.wrap_around:
            return rolled
        edge = 0 if by > 0 else hidden.shape[1] - 1
        inside = tf.cast(tf.range(hidden.shape[1]) != edge, hidden.dtype)
        return rolled * inside[None, :, None]

    def _judge(self, logits, ids, positions, masked_ids, numbers, temperature=None):
        sums = tf.reduce_logsumexp(logits, -1)
        token_loss = sums - tf.gather(logits, ids, batch_dims=2)
        masked_logits = tf.gather(logits, positions, batch_dims=1)
        return sums, token_loss, masked_logits, self.sampling(masked_logits, masked_ids, numbers, temperature)


class Uniform:
    """Any token of the vocabulary, all alike: nothing is learned, and there are no weights."""

    learned = "mlm_loss"
    towers, heads = {}, {}

    def __init__(self, sampling: Sampling):
        self.sampling = sampling

    def total(self, batch, masked: Masked):
        """As `MaskedGenerator.total`."""
        return tf.reduce_sum(masked.weights)

    def propose(self, batch, masked: Masked, numbers, temperature=None, seed=None, training=True) -> Proposal:
        never = masked.ids if self.sampling.disallow_correct else None
        sampled = sample_evenly(self.sampling.size, numbers, never)
        position_loss = tf.fill(tf.shape(masked.ids), tf.constant(math.log(self.sampling.size), tf.float32))
        loss = tf.reduce_sum(position_loss * masked.weights)
        return Proposal(sampled, loss, tf.zeros_like(position_loss)[..., None], position_loss)

    def compile(self, program):
        """There is nothing to compile."""
