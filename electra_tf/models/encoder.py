"""The encoder: embeddings, a projection where widths differ, and a stack of blocks."""

import os
from collections.abc import Mapping

import keras
from keras import ops

from electra_tf.errors import CheckpointError, ConfigError
from electra_tf.layers.dense import Dense, truncated_normal
from electra_tf.layers.dropout import fold_in
from electra_tf.layers.embeddings import Embeddings
from electra_tf.layers.transformer import Block, Transformer
from electra_tf.models.config import EncoderConfig


@keras.saving.register_keras_serializable("electra_tf")
class Encoder(keras.Model):
    """An ELECTRA or ALBERT encoder; all weights exist once it is constructed.

    Args:
        config: an `EncoderConfig` (or its dictionary).
        embeddings, projection, blocks: layers of another encoder, to share them with it. tables: see `Embeddings`.

    Call arguments:
        input_ids: int [B, T].
        attention_mask: int [B, T] (1 = real token), or [B, T, T] for packed rows; default all ones.
        token_type_ids, position_ids: int [B, T]; default 0, and 0 .. T - 1.
        seed: int32 [3] that all dropout derives from (see `layers.dropout`), or None for Keras' own.
        first_only: only the first token's output is asked for, as most classifiers do, and only that of the last block
            is computed.

    The first argument may also be a dictionary of these tensors. Returns the sequence output, float [B, T, H], or its
    first token, [B, 1, H].
    """

    def __init__(
        self,
        config,
        embeddings: Embeddings | None = None,
        tables: Mapping[str, keras.layers.Layer] | None = None,
        projection: Dense | None = None,
        blocks: list[Block] | None = None,
        name="encoder",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        self.config = c = config if isinstance(config, EncoderConfig) else EncoderConfig.from_dict(config)
        _check_fits(c)
        policy = {"dtype": self.dtype_policy}
        common = {"epsilon": c.layer_norm_eps, "initializer_range": c.initializer_range}
        self.embeddings = embeddings or Embeddings(
            c.vocab_size,
            c.embedding_size,
            c.max_position_embeddings,
            c.type_vocab_size,
            c.hidden_dropout_prob,
            tables=tables,
            name="embeddings",
            **common,
            **policy,
        )
        self.projection = projection
        if projection is None and c.embedding_size != c.hidden_size:
            # ELECTRA's original leaves this layer at its library's default, Glorot; ALBERT's does not.
            initializer = "glorot_uniform" if c.model_type == "electra" else truncated_normal(c.initializer_range)
            self.projection = Dense(c.embedding_size, c.hidden_size, None, initializer, name="projection", **policy)
        block = {"hidden_size": c.hidden_size, "num_heads": c.num_attention_heads} | common
        block |= {"intermediate_size": c.intermediate_size, "activation": c.hidden_act}
        block |= {"dropout": c.hidden_dropout_prob, "attention_dropout": c.attention_probs_dropout_prob}
        self.transformer = Transformer(
            c.num_hidden_layers, block, c.num_hidden_groups, c.inner_group_num, blocks, name="transformer", **policy
        )
        self.built = True

    def call(
        self,
        input_ids,
        attention_mask=None,
        token_type_ids=None,
        position_ids=None,
        training=False,
        seed=None,
        first_only=False,
    ):
        if isinstance(input_ids, dict):
            return self.call(**input_ids, training=training, seed=seed, first_only=first_only)
        if attention_mask is None:
            attention_mask = ops.ones_like(input_ids)
        embeddings_seed = None if seed is None else fold_in(seed, len(self.transformer.depths()))
        x = self.embeddings(input_ids, token_type_ids, position_ids, training=training, seed=embeddings_seed)
        if self.projection is not None:
            x = self.projection(x)
        return self.transformer(x, attention_mask, training=training, seed=seed, first_only=first_only)

    def get_config(self):
        return {"config": self.config.to_dict(), "name": self.name, "dtype": self.dtype_policy.name}

    @classmethod
    def from_pretrained(cls, path, tower: str | None = None, settings=None, **kwargs) -> "Encoder":
        """The encoder of a checkpoint of any format; see `electra_tf.load_encoder`, of which this is another name."""
        from electra_tf.checkpoints import load_encoder

        return load_encoder(path, tower, settings, **kwargs)


def _check_fits(config):
    """Raises `ConfigError` for weights that are more than this machine's memory, for which a system may end it."""
    needed, memory = 4 * config.encoder_weights(), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory:
        sizes = ("vocab_size", "max_position_embeddings", "hidden_size", "intermediate_size", "num_hidden_layers")
        raise ConfigError(
            f"the encoder's weights would take {needed / 2**30:,.1f} GiB, and this machine has {memory / 2**30:,.1f}",
            where=f"encoder configuration: {', '.join(f'{name} {getattr(config, name):,}' for name in sizes)}",
            expected="an encoder that the memory holds",
            remedy="correct its sizes",
        )


def named_variables(layer: keras.Layer, prefix: str = "") -> dict:
    """Every weight below `layer` by a name unique in it, such as `transformer/block_0/attention/qkv/kernel`.

    A weight that is reached by several paths (shared layers) has the name of the first. Keras' own paths are no
    keys: layers built apart lose their parents. Counters of Keras' random generators are no weights.
    """
    found, seen = {}, set()

    def visit(layer, prefix):
        for variable in layer._trainable_variables:
            if id(variable) in seen:
                continue
            seen.add(id(variable))
            name = f"{prefix}{variable.name}"
            if name in found:
                raise CheckpointError(f"two weights are called {name}", where=layer.name)
            found[name] = variable
        for child in layer._layers:
            visit(child, f"{prefix}{child.name}/")

    visit(layer, prefix)
    return found


def count_parameters(layer: keras.Layer) -> int:
    """Number of weights below `layer`, shared ones counted once."""
    total = 0
    for variable in named_variables(layer).values():
        size = 1
        for dimension in variable.shape:
            size *= dimension
        total += size
    return total
