"""The position-wise feed-forward network with its residual connection and layer norm (post-norm)."""

import keras

from electra_tf.layers.dense import Dense, LayerNorm, truncated_normal
from electra_tf.layers.dropout import Dropout


@keras.saving.register_keras_serializable("electra_tf")
class FeedForward(keras.layers.Layer):
    """`LN(x + dropout(dense(activation(dense(x)))))`.

    Args:
        hidden_size, intermediate_size: H and I.
        activation: a name in `dense.ACTIVATIONS`.
        dropout, epsilon, initializer_range: as in `EncoderConfig`.

    Call arguments: x float [B, T, H]; seed int32 [3] or None, see `Dropout`. Returns: float [B, T, H].
    """

    def __init__(
        self,
        hidden_size: int,
        intermediate_size: int,
        activation: str = "gelu",
        dropout: float = 0.1,
        epsilon: float = 1e-12,
        initializer_range: float = 0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.hidden_size, self.intermediate_size = hidden_size, intermediate_size
        self.activation, self.initializer_range = activation, initializer_range
        policy = {"dtype": self.dtype_policy, "initializer": truncated_normal(initializer_range)}
        self.intermediate = Dense(hidden_size, intermediate_size, activation, name="intermediate", **policy)
        self.output_dense = Dense(intermediate_size, hidden_size, name="output", **policy)
        self.norm = LayerNorm(hidden_size, epsilon, name="norm", dtype=self.dtype_policy)
        self.dropout = Dropout(dropout, name="dropout", dtype=self.dtype_policy)
        self.built = True

    def call(self, x, training=False, seed=None):
        y = self.output_dense(self.intermediate(x))
        return self.norm(x + self.dropout(y, training=training, seed=seed, site=2))

    def get_config(self):
        config = {"hidden_size": self.hidden_size, "intermediate_size": self.intermediate_size}
        config |= {"activation": self.activation, "dropout": self.dropout.rate}
        config |= {"epsilon": self.norm.epsilon, "initializer_range": self.initializer_range}
        return {**super().get_config(), **config}
