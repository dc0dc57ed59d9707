"""An encoder with a head, as Keras models: one for each class that transformers has for ELECTRA and ALBERT."""

import keras
from keras import ops

from electra_tf.layers.dense import Dense, LayerNorm, Matrix, truncated_normal
from electra_tf.layers.dropout import Dropout, fold_in
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
        head_dropout: the head's rate of dropout; None: the configuration's.

    Attributes:
        first_only: the heads read nothing but the encoder's first token.
    """

    first_only = False

    def __init__(
        self, config, num_labels: int = 2, encoder: Encoder | None = None, head_dropout: float | None = None, **kwargs
    ):
        super().__init__(**kwargs)
        self.config = config if isinstance(config, EncoderConfig) else EncoderConfig.from_dict(config)
        self.num_labels, self.is_albert = num_labels, self.config.model_type == "albert"
        self.encoder = encoder or Encoder(self.config, dtype=self.dtype_policy)
        c, self.head_dropout = self.config, head_dropout
        rate = c.classifier_dropout_prob if self.is_albert else c.hidden_dropout_prob
        self.dropout = Dropout(rate if head_dropout is None else head_dropout, name="dropout", dtype=self.dtype_policy)
        self.make_heads()
        self.built = True

    def make_heads(self):
        raise NotImplementedError

    def score(self, hidden, training, seed=None, **more):
        """Logits from the encoder's output [B, T, H], or its first token's [B, 1, H] where that is enough."""
        raise NotImplementedError

    def call(
        self,
        input_ids,
        attention_mask=None,
        token_type_ids=None,
        position_ids=None,
        training=False,
        seed=None,
        **more,
    ):
        """`seed`: int32 [3] that all dropout derives from (see `layers.dropout`), or None for Keras' own. `more`: what
        the head asks for.
        """
        hidden = self.encoder(
            input_ids,
            attention_mask,
            token_type_ids,
            position_ids,
            training=training,
            seed=seed,
            first_only=self.first_only,
        )
        return self.score(hidden, training, self.head_seed(seed), **more)

    def head_seed(self, seed):
        """That of the head's dropout; the numbers below are the encoder's: one a depth, one for the embeddings."""
        return None if seed is None else fold_in(seed, len(self.encoder.transformer.depths()) + 1)

    def _dense(self, units, name):
        c = self.config
        initializer = truncated_normal(c.initializer_range)
        return Dense(c.hidden_size, units, None, initializer, name=name, dtype=self.dtype_policy)

    def _pooler(self):
        return Pooler(self.config.hidden_size, self.config.initializer_range, name="pooler", dtype=self.dtype_policy)

    def get_config(self):
        config = {"config": self.config.to_dict(), "num_labels": self.num_labels, "head_dropout": self.head_dropout}
        return {**config, "name": self.name, "dtype": self.dtype_policy.name}


@keras.saving.register_keras_serializable("electra_tf")
class PooledEncoder(_TaskModel):
    """An ALBERT's sequence output [B, T, H] and its pooled output [B, H], in the dtype of computation."""

    def make_heads(self):
        self.pooler = self._pooler()

    def score(self, hidden, training, seed=None):
        return hidden, self.pooler(hidden)


@keras.saving.register_keras_serializable("electra_tf")
class SequenceClassifier(_TaskModel):
    """Logits [B, N] of a text or a pair: N classes, or one number."""

    first_only = True

    def make_heads(self):
        c = self.config
        if self.is_albert:
            self.pooler, self.classifier = self._pooler(), self._dense(self.num_labels, "classifier")
        else:
            sizes = (c.hidden_size, self.num_labels, c.hidden_dropout_prob, c.initializer_range)
            self.classifier = ClassifierHead(*sizes, name="classifier", dtype=self.dtype_policy)

    def score(self, hidden, training, seed=None):
        if self.is_albert:
            logits = self.classifier(self.dropout(self.pooler(hidden), training=training, seed=seed))
        else:
            logits = self.classifier(hidden[:, 0], training=training, seed=seed)
        return ops.cast(logits, "float32")


@keras.saving.register_keras_serializable("electra_tf")
class FirstTokenClassifier(_TaskModel):
    """Google's ELECTRA: logits [B, N] of a text or a pair, by one layer on its first token."""

    first_only = True

    def make_heads(self):
        self.classifier = Dense(self.config.hidden_size, self.num_labels, name="classifier", dtype=self.dtype_policy)

    def score(self, hidden, training, seed=None):
        first = self.dropout(hidden[:, 0], training=training, seed=seed)
        return ops.cast(self.classifier(first), "float32")


@keras.saving.register_keras_serializable("electra_tf")
class TokenClassifier(_TaskModel):
    """Logits [B, T, N] of each token."""

    def make_heads(self):
        self.classifier = self._dense(self.num_labels, "classifier")

    def score(self, hidden, training, seed=None):
        return ops.cast(self.classifier(self.dropout(hidden, training=training, seed=seed)), "float32")


@keras.saving.register_keras_serializable("electra_tf")
class QuestionAnswerer(_TaskModel):
    """Logits [B, T, 2] of each token as the first and as the last of an answer."""

    def make_heads(self):
        self.qa_outputs = self._dense(2, "qa_outputs")

    def score(self, hidden, training, seed=None):
        return ops.cast(self.qa_outputs(hidden), "float32")


class _Answerer(_TaskModel):
    """Where answers begin, and where they end given the beginning.

    Call arguments: as `Encoder`, and
        excluded: float or int [B, T], 1 where no answer may start or end; None: nowhere.
        start_positions: int [B], the true starts; None: the `beam` likeliest ones.

    Returns: logits of the start [B, T], of the end [B, T] given the true start or [B, beam, T] given each of the
    likeliest, their positions [B, beam] (or None), and the logit [B] that there is no answer (or None); float32.
    """

    beam = 5

    def score(self, hidden, training, seed=None, excluded=None, start_positions=None):
        out = ops.zeros(ops.shape(hidden)[:2], "float32") if excluded is None else ops.cast(excluded, "float32")
        start = self.exclude(self.answers.start(hidden), out)
        starts, ends = self.find_ends(hidden, start, out, start_positions)
        return start, ends, starts, self.no_answer(hidden, start, training, seed)

    def find_ends(self, hidden, start, out, start_positions):
        """(the starts that were followed or None, logits of the ends), ends that are given their start."""
        if start_positions is not None:
            return None, self.end(hidden, start_positions, out)
        length = start.shape[1]  # a short row has fewer tokens than are followed
        width = ops.minimum(self.beam, ops.shape(start)[1]) if length is None else min(self.beam, length)
        starts = ops.top_k(start, width)[1]
        ends = ops.map(lambda start: self.end(hidden, start, out), ops.transpose(starts))
        return starts, ops.transpose(ends, (1, 0, 2))

    def end(self, hidden, start, out):
        """Logits [B, T] of the end, given starts [B]."""
        raise NotImplementedError

    def no_answer(self, hidden, start, training, seed):
        """The logit [B] that there is no answer, from the start's [B, T]."""
        raise NotImplementedError

    def _wide(self, name, units, activation, initializer="glorot_uniform"):
        return Dense(2 * self.config.hidden_size, units, activation, initializer, name=name, dtype=self.dtype_policy)


@keras.saving.register_keras_serializable("electra_tf")
class SpanAnswerer(_Answerer):
    """Google's ELECTRA on questions, with the heads of `parts`; what it returns, see `_Answerer`.

    Args:
        parts: `answer_start`; `answer_end`, or `answer_end_by_start`, given where the answer starts; and, where texts
            may hold none, `answerable` from the first token, or `answerable_by_start`, from where it may start, too.
    """

    beam, units = 20, 512

    def __init__(self, config, num_labels: int = 2, parts=("answer_start", "answer_end"), **kwargs):
        self.parts = tuple(parts)
        super().__init__(config, num_labels, **kwargs)

    def make_heads(self):
        policy = {"dtype": self.dtype_policy}
        self.answers = answers = _Parts(name="answers", **policy)
        answers.start = Dense(self.config.hidden_size, 1, name="start", **policy)
        if self.is_joint:
            answers.end_hidden = self._wide("end_hidden", self.units, "gelu")
        answers.end = Dense(self.units if self.is_joint else self.config.hidden_size, 1, name="end", **policy)
        if "answerable_by_start" in self.parts:
            answers.class_hidden = self._wide("class_hidden", self.units, "gelu")
            answers.class_output = Dense(self.units, 1, name="class", **policy)
        elif "answerable" in self.parts:
            answers.class_output = Dense(self.config.hidden_size, 1, name="class", **policy)

    @property
    def is_joint(self) -> bool:
        """Whether the end is given its start."""
        return "answer_end_by_start" in self.parts

    def exclude(self, logits, out):
        return ops.cast(ops.squeeze(logits, -1), "float32") - 1000.0 * out

    def find_ends(self, hidden, start, out, start_positions):
        if self.is_joint:
            return super().find_ends(hidden, start, out, start_positions)
        return None, self.exclude(self.answers.end(hidden), out)

    def end(self, hidden, start, out):
        both = ops.concatenate([_repeated(hidden, start), hidden], -1)
        return self.exclude(self.answers.end(self.answers.end_hidden(both)), out)

    def no_answer(self, hidden, start, training, seed):
        if not hasattr(self.answers, "class_output"):
            return None
        x = hidden[:, 0]
        if hasattr(self.answers, "class_hidden"):
            x = self.answers.class_hidden(ops.concatenate([x, _mean_by(start, hidden)], -1))
        return ops.cast(ops.squeeze(self.answers.class_output(x), -1), "float32")

    def get_config(self):
        return {**super().get_config(), "parts": list(self.parts)}


@keras.saving.register_keras_serializable("electra_tf")
class ConditionalQuestionAnswerer(_Answerer):
    """Google's ALBERT on questions that may have no answer; what it returns, see `_Answerer`."""

    is_joint = True

    def make_heads(self):
        c, policy = self.config, {"dtype": self.dtype_policy}
        initializer = truncated_normal(c.initializer_range)
        self.pooler, self.answers = self._pooler(), _Parts(name="answers", **policy)
        self.answers.start, self.answers.end = self._dense(1, "start"), self._dense(1, "end")
        self.answers.end_hidden = self._wide("end_hidden", c.hidden_size, "tanh", initializer)
        self.answers.class_hidden = self._wide("class_hidden", c.hidden_size, "tanh", initializer)
        self.answers.end_norm = LayerNorm(c.hidden_size, c.layer_norm_eps, name="end_norm", **policy)
        self.answers.class_output = Matrix(c.hidden_size, 1, initializer, name="class", **policy)

    def exclude(self, logits, out):
        return ops.cast(ops.squeeze(logits, -1), "float32") * (1.0 - out) - 1e30 * out

    def end(self, hidden, start, out):
        parts = self.answers
        both = ops.concatenate([hidden, _repeated(hidden, start)], -1)
        return self.exclude(parts.end(parts.end_norm(parts.end_hidden(both))), out)

    def no_answer(self, hidden, start, training, seed):
        x = self.answers.class_hidden(ops.concatenate([_mean_by(start, hidden), hidden[:, 0]], -1))
        x = self.dropout(x, training=training, seed=seed)
        return ops.cast(ops.squeeze(self.answers.class_output(x), -1), "float32")


def _repeated(hidden, start):
    """The vector [B, T, H] of the start, at every token."""
    at_start = ops.take_along_axis(hidden, ops.expand_dims(ops.cast(start, "int32"), (1, 2)), axis=1)
    return ops.repeat(at_start, ops.shape(hidden)[1], axis=1)


def _mean_by(start, hidden):
    """The mean [B, H] of all vectors, by how likely an answer starts there."""
    return ops.einsum("bt,bth->bh", ops.cast(ops.softmax(start, -1), hidden.dtype), hidden)


@keras.saving.register_keras_serializable("electra_tf")
class _Parts(keras.layers.Layer):
    """A name for layers that belong together."""


@keras.saving.register_keras_serializable("electra_tf")
class MultipleChoice(_TaskModel):
    """Logits [B, C] of C choices; inputs are [B, C, T]."""

    first_only = True

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

    def score(self, hidden, training, seed=None):
        if self.is_albert:
            x = self.dropout(self.pooler(hidden), training=training, seed=seed)
        else:
            x = self.summary(self.dropout(hidden[:, 0], training=training, seed=seed))
        return ops.cast(self.classifier(x), "float32")


@keras.saving.register_keras_serializable("electra_tf")
class SentenceOrderModel(_TaskModel):
    """ALBERT's pre-training: logits over the vocabulary [B, T, V], and of the order of two segments [B, 2]."""

    def make_heads(self):
        self.pooler, self.masked_lm = self._pooler(), masked_lm_head(self.encoder)
        self.sentence_order = self._dense(2, "sentence_order")

    def score(self, hidden, training, seed=None):
        order = self.sentence_order(self.dropout(self.pooler(hidden), training=training, seed=seed))
        return self.masked_lm(hidden), ops.cast(order, "float32")
