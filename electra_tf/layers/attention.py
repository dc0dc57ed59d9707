"""Multi-head self-attention with its output projection, residual connection and layer norm (post-norm)."""

import math

import keras
from keras import ops

from electra_tf.layers.dense import Dense, LayerNorm, truncated_normal
from electra_tf.layers.dropout import Dropout


@keras.saving.register_keras_serializable("electra_tf")
class SelfAttention(keras.layers.Layer):
    """`LN(x + dropout(dense(attention(x))))`, all three projections in one product.

    Args:
        hidden_size, num_heads: the hidden size must be a multiple of the number of heads.
        dropout: on the output; attention_dropout: on the attention probabilities.
        epsilon, initializer_range: as in `EncoderConfig`.

    Call arguments:
        x: float [B, T, H].
        mask: int [B, T] (1 = attend to this token) or [B, T, T] (row: query, column: key).
        seed: int32 [3] or None, see `Dropout`.
        first_only: the first token alone asks, and its result alone is computed, [B, 1, H].

    Returns: float [B, T, H]. Scores and softmax are float32 under every dtype policy.
    """

    def __init__(
        self,
        hidden_size: int,
        num_heads: int,
        dropout: float = 0.1,
        attention_dropout: float = 0.1,
        epsilon: float = 1e-12,
        initializer_range: float = 0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.hidden_size, self.num_heads, self.initializer_range = hidden_size, num_heads, initializer_range
        policy, initializer = {"dtype": self.dtype_policy}, truncated_normal(initializer_range)
        self.qkv = Dense(hidden_size, 3 * hidden_size, initializer=initializer, name="qkv", **policy)
        self.output_dense = Dense(hidden_size, hidden_size, initializer=initializer, name="output", **policy)
        self.norm = LayerNorm(hidden_size, epsilon, name="norm", **policy)
        self.dropout = Dropout(dropout, name="dropout", **policy)
        self.attention_dropout = Dropout(attention_dropout, name="attention_dropout", **policy)
        self.built = True

    def call(self, x, mask, training=False, seed=None, first_only=False):
        q_BNTD, k_BNTD, v_BNTD = self.heads(self.qkv(x))
        if first_only:
            x, q_BNTD, mask = x[:, :1], q_BNTD[:, :, :1], mask if len(mask.shape) == 2 else mask[:, :1]
        scores = ops.matmul(q_BNTD, ops.transpose(k_BNTD, (0, 1, 3, 2)))
        probabilities = self.probabilities(scores, mask)
        probabilities = self.attention_dropout(probabilities, training=training, seed=seed, site=0)
        y = self.output_dense(self.joined(ops.matmul(probabilities, v_BNTD)))
        return self.norm(x + self.dropout(y, training=training, seed=seed, site=1))

    def heads(self, qkv):
        """Queries, keys and values of each head, [B, N, T, D] each, from [B, T, 3 H]."""
        batch, tokens = ops.shape(qkv)[0], ops.shape(qkv)[1]
        qkv = ops.reshape(qkv, (batch, tokens, 3, self.num_heads, self.hidden_size // self.num_heads))
        return ops.unstack(ops.transpose(qkv, (2, 0, 3, 1, 4)), 3)

    def probabilities(self, scores, mask):
        """How much each query reads of each key, from their products [B, N, T, T]."""
        scores = ops.cast(scores, "float32") * (1 / math.sqrt(self.hidden_size // self.num_heads)) + _mask_bias(mask)
        return ops.cast(ops.softmax(scores, axis=-1), self.compute_dtype)

    def joined(self, context):
        """The heads' contexts [B, N, T, D] beside each other, [B, T, H]."""
        context = ops.transpose(context, (0, 2, 1, 3))
        return ops.reshape(context, (*ops.shape(context)[:2], self.hidden_size))

    def get_config(self):
        config = {"hidden_size": self.hidden_size, "num_heads": self.num_heads}
        config |= {"dropout": self.dropout.rate, "attention_dropout": self.attention_dropout.rate}
        config |= {"epsilon": self.norm.epsilon, "initializer_range": self.initializer_range}
        return {**super().get_config(), **config}


def _mask_bias(mask):
    """Float32 bias, broadcast over heads and queries: -10000 where `mask` is 0, added as the originals do.

    A finite value keeps rows without any token to attend to (padding examples) free of NaN.
    """
    mask = ops.expand_dims(mask, (1, 2) if len(mask.shape) == 2 else 1)  # LiteRT has no mask[:, None]
    return (1.0 - ops.cast(mask, "float32")) * -10000.0
