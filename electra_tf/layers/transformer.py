"""The stack of blocks. Depth names a block: its own one (ELECTRA) or a shared one (ALBERT)."""

import keras

from electra_tf.layers.attention import SelfAttention
from electra_tf.layers.dropout import fold_in
from electra_tf.layers.feed_forward import FeedForward


@keras.saving.register_keras_serializable("electra_tf")
class Block(keras.layers.Layer):
    """Self-attention, then feed-forward. x float [B, T, H], mask int [B, T] or [B, T, T] -> float [B, T, H], or, with
    `first_only`, that of the first token, [B, 1, H].
    """

    def __init__(
        self,
        hidden_size: int,
        num_heads: int,
        intermediate_size: int,
        activation: str = "gelu",
        dropout: float = 0.1,
        attention_dropout: float = 0.1,
        epsilon: float = 1e-12,
        initializer_range: float = 0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        shared = {"epsilon": epsilon, "initializer_range": initializer_range, "dtype": self.dtype_policy}
        self.attention = SelfAttention(hidden_size, num_heads, dropout, attention_dropout, name="attention", **shared)
        self.feed_forward = FeedForward(
            hidden_size, intermediate_size, activation, dropout, name="feed_forward", **shared
        )
        self.built = True

    def call(self, x, mask, training=False, seed=None, first_only=False):
        x = self.attention(x, mask, training=training, seed=seed, first_only=first_only)
        return self.feed_forward(x, training=training, seed=seed)

    def get_config(self):
        attention, feed_forward = self.attention.get_config(), self.feed_forward.get_config()
        names = ("hidden_size", "num_heads", "dropout", "attention_dropout", "epsilon", "initializer_range")
        config = {name: attention[name] for name in names}
        config |= {name: feed_forward[name] for name in ("intermediate_size", "activation")}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable("electra_tf")
class Transformer(keras.layers.Layer):
    """A stack of `num_layers * inner_groups` blocks over `num_groups * inner_groups` sets of weights.

    ELECTRA is `num_groups == num_layers`: every layer has its own weights. ALBERT's layer `i` of `num_layers` uses
    group `i * num_groups // num_layers`, and runs the inner blocks of that group one after another.

    Args:
        num_layers, num_groups, inner_groups: see above.
        block: keyword arguments of every `Block`.
        blocks: those of another stack, to share its weights.

    Call arguments: as `Block`; returns the last block's output.

    Attributes:
        call_block: how a block is run, `f(block, x, mask, training, seed, first_only)`; training puts a compiled one
            here.
    """

    def __init__(
        self, num_layers: int, block: dict, num_groups: int | None = None, inner_groups=1, blocks=None, **kwargs
    ):
        super().__init__(**kwargs)
        self.num_layers, self.inner_groups = num_layers, inner_groups
        self.num_groups = num_layers if num_groups is None else num_groups
        self.block = dict(block)
        self.blocks = blocks or [
            Block(**self.block, name=f"block_{i}", dtype=self.dtype_policy)
            for i in range(self.num_groups * inner_groups)
        ]
        self.call_block = _call_block
        self.built = True

    def depths(self) -> list[Block]:
        """The block used at each depth, in order."""
        groups = [layer * self.num_groups // self.num_layers for layer in range(self.num_layers)]
        return [self.blocks[g * self.inner_groups + k] for g in groups for k in range(self.inner_groups)]

    def call(self, x, mask, training=False, seed=None, first_only=False):
        depths = self.depths()
        for depth, block in enumerate(depths):
            block_seed = None if seed is None else fold_in(seed, depth)
            first_now = first_only and depth == len(depths) - 1  # all tokens are keys of the last block
            x = self.call_block(block, x, mask, training=training, seed=block_seed, first_only=first_now)
        return x

    def get_config(self):
        config = {"num_layers": self.num_layers, "block": self.block}
        config |= {"num_groups": self.num_groups, "inner_groups": self.inner_groups}
        return {**super().get_config(), **config}


def _call_block(block, x, mask, training, seed, first_only):
    return block(x, mask, training=training, seed=seed, first_only=first_only)
