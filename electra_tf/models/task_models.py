"""An encoder with a head, as Keras models: one for each class that transformers has for ELECTRA and ALBERT."""

import keras
from keras import ops

from electra_tf.layers.dense import Dense, LayerNorm, Matrix, truncated_normal
from electra_tf.layers.dropout import Dropout
from electra_tf.layers.heads import ClassifierHead, MaskedLMHead, Pooler, ReplacedTokenHead
from electra_tf.models.config import EncoderConfig
from electra_tf.models.encoder import Encoder


def masked_lm_head(encoder: Encoder, name="masked_lm") -> MaskedLMHead:
    """The masked-LM head over `encoder`, sharing its word table."""
    c = encoder.config
    return MaskedLMHead(
        c.hidden_size,
        c.embedding_size,
        encoder.embeddings.word,
        c.hidden_act,
        c.layer_norm_eps,
        c.initializer_range,
        name=name,
        dtype=encoder.dtype_policy,
    )


def replaced_token_head(encoder: Encoder, name="replaced_token") -> ReplacedTokenHead:
    """The discriminator's head over `encoder`."""
    c = encoder.config
    return ReplacedTokenHead(c.hidden_size, c.hidden_act, c.initializer_range, name=name, dtype=encoder.dtype_policy)


class _EncoderWithHead(keras.Model):
    make_head = None

    def __init__(self, config, encoder: Encoder | None = None, **kwargs):
        super().__init__(**kwargs)
        config = config if isinstance(config, EncoderConfig) else EncoderConfig.from_dict(config)
        self.config = config
        self.encoder = encoder or Encoder(config, dtype=self.dtype_policy)
        self.head = type(self).make_head(self.encoder)
        self.built = True

    def call(self, input_ids, attention_mask=None, token_type_ids=None, position_ids=None, training=False):
        hidden = self.encoder(input_ids, attention_mask, token_type_ids, position_ids, training=training)
        return self.head(hidden)

    def get_config(self):
        return {"config": self.config.to_dict(), "name": self.name, "dtype": self.dtype_policy.name}


@keras.saving.register_keras_serializable("electra_tf")
class MaskedLanguageModel(_EncoderWithHead):
    """Logits over the vocabulary, float32 [B, T, V]; arguments as `Encoder`."""

    make_head = staticmethod(masked_lm_head)


@keras.saving.register_keras_serializable("electra_tf")
class ReplacedTokenDetector(_EncoderWithHead):
    """One logit a token, float32 [B, T], positive where it looks replaced; arguments as `Encoder`."""

    make_head = staticmethod(replaced_token_head)


class _TaskModel(keras.Model):
    """An encoder and what `make_heads` puts on it; logits are float32.

    Args:
        config: an `EncoderConfig` (or its dictionary).
        num_labels: N, where the task has labels.
        encoder: an `Encoder` to build on, or None.
    """

    def __init__(self, config, num_labels: int = 2, encoder: Encoder | None = None, **kwargs):
        super().__init__(**kwargs)
        self.config = config if isinstance(config, EncoderConfig) else EncoderConfig.from_dict(config)
        self.num_labels, self.is_albert = num_labels, self.config.model_type == "albert"
        self.encoder = encoder or Encoder(self.config, dtype=self.dtype_policy)
        rate = self.config.classifier_dropout_prob if self.is_albert else self.config.hidden_dropout_prob
        self.dropout = Dropout(rate, name="dropout", dtype=self.dtype_policy)
        self.make_heads()
        self.built = True

    def make_heads(self):
        raise NotImplementedError

    def score(self, hidden, training):
        """Logits from the encoder's output [B, T, H]."""
        raise NotImplementedError

    def call(self, input_ids, attention_mask=None, token_type_ids=None, position_ids=None, training=False):
        hidden = self.encoder(input_ids, attention_mask, token_type_ids, position_ids, training=training)
        return self.score(hidden, training)

    def _dense(self, units, name):
        c = self.config
        initializer = truncated_normal(c.initializer_range)
        return Dense(c.hidden_size, units, None, initializer, name=name, dtype=self.dtype_policy)

    def _pooler(self):
        return Pooler(self.config.hidden_size, self.config.initializer_range, name="pooler", dtype=self.dtype_policy)

    def get_config(self):
        config = {"config": self.config.to_dict(), "num_labels": self.num_labels}
        return {**config, "name": self.name, "dtype": self.dtype_policy.name}


@keras.saving.register_keras_serializable("electra_tf")
class PooledEncoder(_TaskModel):
    """An ALBERT's sequence output [B, T, H] and its pooled output [B, H], in the dtype of computation."""

    def make_heads(self):
        self.pooler = self._pooler()

    def score(self, hidden, training):
        return hidden, self.pooler(hidden)


@keras.saving.register_keras_serializable("electra_tf")
class SequenceClassifier(_TaskModel):
    """Logits [B, N] of a text or a pair: N classes, or one number."""

    def make_heads(self):
        c = self.config
        if self.is_albert:
            self.pooler, self.classifier = self._pooler(), self._dense(self.num_labels, "classifier")
        else:
            sizes = (c.hidden_size, self.num_labels, c.hidden_dropout_prob, c.initializer_range)
            self.classifier = ClassifierHead(*sizes, name="classifier", dtype=self.dtype_policy)

    def score(self, hidden, training):
        if self.is_albert:
            logits = self.classifier(self.dropout(self.pooler(hidden), training=training))
        else:
            logits = self.classifier(hidden[:, 0], training=training)
        return ops.cast(logits, "float32")


@keras.saving.register_keras_serializable("electra_tf")
class TokenClassifier(_TaskModel):
    """Logits [B, T, N] of each token."""

    def make_heads(self):
        self.classifier = self._dense(self.num_labels, "classifier")

    def score(self, hidden, training):
        return ops.cast(self.classifier(self.dropout(hidden, training=training)), "float32")


@keras.saving.register_keras_serializable("electra_tf")
class QuestionAnswerer(_TaskModel):
    """Logits [B, T, 2] of each token as the first and as the last of an answer."""

    def make_heads(self):
        self.qa_outputs = self._dense(2, "qa_outputs")

    def score(self, hidden, training):
        return ops.cast(self.qa_outputs(hidden), "float32")


@keras.saving.register_keras_serializable("electra_tf")
class ConditionalQuestionAnswerer(_TaskModel):
    """Google's ALBERT for SQuAD 2: the end of an answer given its start, and whether there is one.

    Call arguments: as `Encoder`, and
        excluded: float or int [B, T], 1 where no answer may start or end.
        start_positions: int [B], the true starts; None: the `beam` likeliest ones.

    Returns: log-probabilities of the start [B, T], of the end [B, T] given the true start or [B, beam, T] given each of
    the likeliest, their positions [B, beam] (or None), and the logit [B] that there is no answer; float32.
    """

    beam = 5

    def make_heads(self):
        c, policy = self.config, {"dtype": self.dtype_policy}
        initializer = truncated_normal(c.initializer_range)

        def wide(name):
            return Dense(2 * c.hidden_size, c.hidden_size, "tanh", initializer, name=name, **policy)

        self.pooler, self.answers = self._pooler(), _Parts(name="answers", **policy)
        self.answers.start, self.answers.end = self._dense(1, "start"), self._dense(1, "end")
        self.answers.end_hidden, self.answers.class_hidden = wide("end_hidden"), wide("class_hidden")
        self.answers.end_norm = LayerNorm(c.hidden_size, c.layer_norm_eps, name="end_norm", **policy)
        self.answers.class_output = Matrix(c.hidden_size, 1, initializer, name="class", **policy)

    def call(
        self,
        input_ids,
        attention_mask=None,
        token_type_ids=None,
        position_ids=None,
        excluded=None,
        start_positions=None,
        training=False,
    ):
        hidden = self.encoder(input_ids, attention_mask, token_type_ids, position_ids, training=training)
        parts = self.answers
        out = ops.zeros(ops.shape(input_ids), "float32") if excluded is None else ops.cast(excluded, "float32")
        start = _masked(parts.start(hidden), out)
        starts = start_positions[:, None] if start_positions is not None else ops.top_k(start, self.beam)[1]
        ends = [self._end(hidden, starts[:, number], out) for number in range(starts.shape[1])]
        ends = ends[0] if start_positions is not None else ops.stack(ends, axis=1)

        mean = ops.einsum("bt,bth->bh", ops.cast(ops.softmax(start, -1), hidden.dtype), hidden)
        x = self.dropout(parts.class_hidden(ops.concatenate([mean, hidden[:, 0]], -1)), training=training)
        no_answer = ops.cast(ops.squeeze(parts.class_output(x), -1), "float32")
        return ops.log_softmax(start, -1), ends, None if start_positions is not None else starts, no_answer

    def _end(self, hidden, start, out):
        parts, tokens = self.answers, ops.shape(hidden)[1]
        at_start = ops.take_along_axis(hidden, ops.cast(start, "int32")[:, None, None], axis=1)
        both = ops.concatenate([hidden, ops.repeat(at_start, tokens, axis=1)], -1)
        return ops.log_softmax(_masked(parts.end(parts.end_norm(parts.end_hidden(both))), out), -1)


def _masked(logits, excluded):
    """Logits [B, T, 1] as float32 [B, T], very low where `excluded` is 1."""
    return ops.cast(ops.squeeze(logits, -1), "float32") * (1.0 - excluded) - 1e30 * excluded


@keras.saving.register_keras_serializable("electra_tf")
class _Parts(keras.layers.Layer):
    """A name for layers that belong together."""


@keras.saving.register_keras_serializable("electra_tf")
class MultipleChoice(_TaskModel):
    """Logits [B, C] of C choices; inputs are [B, C, T]."""

    def make_heads(self):
        if self.is_albert:
            self.pooler = self._pooler()
        else:  # transformers computes gelu here whatever the encoder's activation
            c = self.config
            initializer = truncated_normal(c.initializer_range)
            self.summary = Dense(
                c.hidden_size, c.hidden_size, "gelu", initializer, name="summary", dtype=self.dtype_policy
            )
        self.classifier = self._dense(1, "classifier")

    def call(self, input_ids, attention_mask=None, token_type_ids=None, position_ids=None, training=False):
        choices = ops.shape(input_ids)[1]
        flat = [
            None if x is None else ops.reshape(x, (-1, ops.shape(x)[-1]))
            for x in (input_ids, attention_mask, token_type_ids, position_ids)
        ]
        return ops.reshape(super().call(*flat, training=training), (-1, choices))

    def score(self, hidden, training):
        if self.is_albert:
            x = self.dropout(self.pooler(hidden), training=training)
        else:
            x = self.summary(self.dropout(hidden[:, 0], training=training))
        return ops.cast(self.classifier(x), "float32")


@keras.saving.register_keras_serializable("electra_tf")
class SentenceOrderModel(_TaskModel):
    """ALBERT's pre-training: logits over the vocabulary [B, T, V], and of the order of two segments [B, 2]."""

    def make_heads(self):
        self.pooler, self.masked_lm = self._pooler(), masked_lm_head(self.encoder)
        self.sentence_order = self._dense(2, "sentence_order")

    def score(self, hidden, training):
        order = self.sentence_order(self.dropout(self.pooler(hidden), training=training))
        return self.masked_lm(hidden), ops.cast(order, "float32")
