"""Word, position and token-type embeddings, summed, normalised and dropped out."""

from collections.abc import Mapping

import keras
from keras import ops

from electra_tf.layers.dense import LayerNorm, truncated_normal
from electra_tf.layers.dropout import Dropout


@keras.saving.register_keras_serializable("electra_tf")
class Table(keras.layers.Layer):
    """A look-up table `[rows, size]`; a layer of its own so that encoders and heads can share it."""

    def __init__(self, rows: int, size: int, initializer_range: float = 0.02, **kwargs):
        super().__init__(**kwargs)
        self.rows, self.size, self.initializer_range = rows, size, initializer_range
        initializer = truncated_normal(initializer_range)
        self.embeddings = self.add_weight(name="embeddings", shape=(rows, size), initializer=initializer)
        self.built = True

    def call(self, ids):
        return ops.take(self.embeddings, ids, axis=0)

    def get_config(self):
        config = {"rows": self.rows, "size": self.size, "initializer_range": self.initializer_range}
        return {**super().get_config(), **config}


class DeltaTable(keras.layers.Layer):
    """A table that is another one, which it does not train, plus a difference of its own, which begins at 0.

    Gradient-disentangled embedding sharing of DeBERTaV3 (arXiv 2111.09543), equation 5. It is for training: what is
    written anywhere but in a run's own checkpoints is the sum.
    """

    def __init__(self, base: Table, **kwargs):
        super().__init__(**kwargs)
        self._base = lambda: base  # not a layer within this one: the weight is another's
        self.delta = self.add_weight(name="delta", shape=(base.rows, base.size), initializer="zeros")
        self.built = True

    @property
    def embeddings(self):
        return ops.stop_gradient(self._base().embeddings) + self.delta

    def call(self, ids):
        return ops.stop_gradient(self._base()(ids)) + ops.take(self.delta, ids, axis=0)


@keras.saving.register_keras_serializable("electra_tf")
class Embeddings(keras.layers.Layer):
    """Layer norm and dropout of word + token-type + position embeddings, in the original's order.

    Args:
        vocab_size, embedding_size, max_position_embeddings, type_vocab_size: table sizes.
        dropout, epsilon, initializer_range: as in `EncoderConfig`.
        tables: layers to take instead of making a `Table`, under `word` or `position`.

    Call arguments:
        input_ids, token_type_ids, position_ids: int [B, T]; types default to 0, positions to 0 .. T - 1.
        seed: int32 [3] or None, see `Dropout`.

    Returns: float [B, T, E].
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_size: int,
        max_position_embeddings: int = 512,
        type_vocab_size: int = 2,
        dropout: float = 0.1,
        epsilon: float = 1e-12,
        initializer_range: float = 0.02,
        tables: Mapping[str, keras.layers.Layer] | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.sizes = (vocab_size, embedding_size, max_position_embeddings, type_vocab_size)
        self.initializer_range = initializer_range

        def table(rows, name):
            return Table(rows, embedding_size, initializer_range, name=name, dtype=self.dtype_policy)

        tables = tables or {}
        self.word = tables.get("word") or table(vocab_size, "word")
        self.position = tables.get("position") or table(max_position_embeddings, "position")
        self.token_type = table(type_vocab_size, "token_type")
        self.norm = LayerNorm(embedding_size, epsilon, name="norm", dtype=self.dtype_policy)
        self.dropout = Dropout(dropout, name="dropout", dtype=self.dtype_policy)
        self.built = True

    def call(self, input_ids, token_type_ids=None, position_ids=None, training=False, seed=None):
        if position_ids is None:
            position_ids = ops.expand_dims(ops.arange(ops.shape(input_ids)[1], dtype="int32"), 0)
        if token_type_ids is None:
            token_type_ids = ops.zeros_like(input_ids)
        x = self.word(input_ids) + self.token_type(token_type_ids) + self.position(position_ids)
        return self.dropout(self.norm(x), training=training, seed=seed)

    def get_config(self):
        names = ("vocab_size", "embedding_size", "max_position_embeddings", "type_vocab_size")
        config = dict(zip(names, self.sizes, strict=True)) | {"dropout": self.dropout.rate}
        config |= {"epsilon": self.norm.epsilon, "initializer_range": self.initializer_range}
        return {**super().get_config(), **config}
