"""What stands on an encoder: the heads of pre-training, the pooler, a classifier."""

import keras
from keras import ops

from electra_tf.layers.dense import Dense, LayerNorm, truncated_normal
from electra_tf.layers.dropout import Dropout
from electra_tf.layers.embeddings import Table


@keras.saving.register_keras_serializable("electra_tf")
class MaskedLMHead(keras.layers.Layer):
    """`LN(activation(dense(h))) @ word^T + bias`: logits over the vocabulary.

    Args:
        hidden_size, embedding_size: of the tower.
        word: the tower's word `Table`, used transposed as the output matrix.
        activation, epsilon, initializer_range: as in `EncoderConfig`.

    Call arguments: h float [..., H]. Returns: float32 [..., V].
    """

    def __init__(
        self,
        hidden_size: int,
        embedding_size: int,
        word: Table,
        activation: str = "gelu",
        epsilon: float = 1e-12,
        initializer_range: float = 0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        policy, initializer = {"dtype": self.dtype_policy}, truncated_normal(initializer_range)
        self.dense = Dense(hidden_size, embedding_size, activation, initializer, name="dense", **policy)
        self.norm = LayerNorm(embedding_size, epsilon, name="norm", **policy)
        self.word, self.initializer_range = word, initializer_range
        self.output_bias = self.add_weight(name="output_bias", shape=(word.rows,), initializer="zeros", autocast=False)
        self.built = True

    def call(self, h):
        x = self.norm(self.dense(h))
        shape = ops.shape(x)
        table = ops.cast(self.word.embeddings, self.compute_dtype)
        logits = ops.matmul(ops.reshape(x, (-1, self.word.size)), ops.transpose(table))
        logits = ops.cast(logits, "float32") + self.output_bias
        return ops.reshape(logits, (*shape[:-1], self.word.rows))

    def get_config(self):
        config = {"hidden_size": self.dense.inputs, "embedding_size": self.dense.units}
        config |= {"word": keras.saving.serialize_keras_object(self.word), "activation": self.dense.activation}
        config |= {"epsilon": self.norm.epsilon, "initializer_range": self.initializer_range}
        return {**super().get_config(), **config}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "word": keras.saving.deserialize_keras_object(config["word"])})


@keras.saving.register_keras_serializable("electra_tf")
class ReplacedTokenHead(keras.layers.Layer):
    """One logit a token: is it replaced? h float [..., H] -> float32 [...]."""

    def __init__(self, hidden_size: int, activation: str = "gelu", initializer_range: float = 0.02, **kwargs):
        super().__init__(**kwargs)
        policy, initializer = {"dtype": self.dtype_policy}, truncated_normal(initializer_range)
        self.dense = Dense(hidden_size, hidden_size, activation, initializer, name="dense", **policy)
        # The original leaves this one layer at its library's default, Glorot uniform.
        self.output_dense = Dense(hidden_size, 1, name="output", **policy)
        self.built = True

    def call(self, h):
        return ops.cast(ops.squeeze(self.output_dense(self.dense(h)), -1), "float32")


@keras.saving.register_keras_serializable("electra_tf")
class Pooler(keras.layers.Layer):
    """ALBERT's sentence vector: `tanh(dense(h[:, 0]))`. h float [B, T, H] -> float [B, H]."""

    def __init__(self, hidden_size: int, initializer_range: float = 0.02, **kwargs):
        super().__init__(**kwargs)
        self.initializer_range, initializer = initializer_range, truncated_normal(initializer_range)
        self.dense = Dense(hidden_size, hidden_size, "tanh", initializer, name="dense", dtype=self.dtype_policy)
        self.built = True

    def call(self, h):
        return self.dense(h[:, 0])

    def get_config(self):
        config = {"hidden_size": self.dense.units, "initializer_range": self.initializer_range}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable("electra_tf")
class ClassifierHead(keras.layers.Layer):
    """transformers' classifier on an ELECTRA: `dense(dropout(gelu(dense(dropout(x)))))`.

    It computes gelu whatever the encoder's activation is. x float [B, H], the first token's -> float [B, N].
    """

    def __init__(self, hidden_size: int, units: int, dropout: float = 0.1, initializer_range: float = 0.02, **kwargs):
        super().__init__(**kwargs)
        self.initializer_range = initializer_range
        policy = {"dtype": self.dtype_policy}
        initializer = truncated_normal(initializer_range)
        self.dense = Dense(hidden_size, hidden_size, "gelu", initializer, name="dense", **policy)
        self.output_dense = Dense(hidden_size, units, None, initializer, name="output", **policy)
        self.dropout = Dropout(dropout, name="dropout", **policy)
        self.built = True

    def call(self, x, training=False, seed=None):
        x = self.dense(self.dropout(x, training=training, seed=seed))
        return self.output_dense(self.dropout(x, training=training, seed=seed, site=1))

    def get_config(self):
        config = {"hidden_size": self.dense.inputs, "units": self.output_dense.units, "dropout": self.dropout.rate}
        return {**super().get_config(), **config, "initializer_range": self.initializer_range}
