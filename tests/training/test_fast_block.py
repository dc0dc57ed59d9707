"""The fast form of a block computes what the layers do: values, gradients, dropout bits. Others run as they are."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from electra_tf.layers.dense import Dense
from electra_tf.layers.transformer import Block, Transformer
from electra_tf.training import fast_block
from electra_tf.training.compilation import compile_blocks
from electra_tf.training.fast_block import can_run

SIZES = {"hidden_size": 32, "num_heads": 4, "intermediate_size": 48, "dropout": 0.2, "attention_dropout": 0.3}


def batch(rows, tokens, pairwise):
    random = np.random.default_rng(tokens)
    real = np.arange(tokens) < random.integers(1, tokens + 1, (rows, 1))
    mask = real[:, :, None] & real[:, None, :] if pairwise else real
    return tf.constant(random.normal(size=(rows, tokens, 32)), tf.float32), tf.constant(mask.astype("int32"))


def learned(transformer, x, mask, training):
    """The output, and the gradients of x and of every weight."""
    weights = [variable.value for variable in transformer.trainable_variables]

    @tf.function(autograph=False, reduce_retracing=True)
    def run(x, mask):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = transformer(x, mask, training=training, seed=tf.constant([5, 6, 7]) if training else None)
            loss = tf.reduce_sum(tf.sin(y))
        return y, *tape.gradient(loss, [x, *weights])

    return run(x, mask)


@pytest.mark.parametrize("pairwise", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("activation", "turns_first"), [("gelu", True), ("gelu", False), ("gelu_new", True), ("relu", False)]
)
def test_it_computes_what_the_layers_do(activation, turns_first, training, pairwise, monkeypatch):
    """To 1e-5 of the largest entry, at two lengths by one graph; a bit of dropout that differed would be seen."""
    monkeypatch.setattr(fast_block, "TURNS_FIRST", turns_first)
    transformer = Transformer(2, {**SIZES, "activation": activation})
    inputs = [batch(3, tokens, pairwise) for tokens in (9, 6)]
    expected = [learned(transformer, x, mask, training) for x, mask in inputs]
    compile_blocks(transformer, "islands")
    for (x, mask), wanted in zip(inputs, expected, strict=True):
        found = learned(transformer, x, mask, training)
        assert len(found) == len(wanted) == 2 + 2 * 12
        for ours, theirs in zip(found, wanted, strict=True):
            scale = max(1e-3, float(tf.reduce_max(tf.abs(theirs))))
            assert float(tf.reduce_max(tf.abs(ours - theirs))) < 1e-5 * scale


class OwnBlock(Block):
    """A user's: the input is added once more."""

    def call(self, x, mask, training=False, seed=None, first_only=False):
        return x + super().call(x, mask, training=training, seed=seed, first_only=first_only)


class OwnDense(Dense):
    """A user's: half the product."""

    def call(self, x):
        return super().call(x) / 2


def test_what_is_not_ours_runs_as_it_is():
    own_dense = Block(**SIZES)
    own_dense.attention.qkv = OwnDense(32, 96, name="qkv")
    blocks = [OwnBlock(**SIZES), own_dense, Block(**SIZES, dtype="mixed_bfloat16")]
    assert can_run(Block(**SIZES))
    x, mask = batch(3, 8, False)
    for block in blocks:
        assert not can_run(block)
        transformer = Transformer(1, SIZES, blocks=[block], dtype=block.dtype_policy)
        expected = learned(transformer, x, mask, True)[0]
        compile_blocks(transformer, "islands")
        found = learned(transformer, x, mask, True)[0]
        tolerance = 1e-6 if block.compute_dtype == "float32" else 1e-2
        np.testing.assert_allclose(
            keras.ops.cast(found, "float32"), keras.ops.cast(expected, "float32"), rtol=tolerance, atol=tolerance
        )


def test_a_users_block_above_one_of_ours_is_not_taken_for_it():
    transformer = Transformer(2, SIZES, blocks=[Block(**SIZES), OwnBlock(**SIZES)])
    x, mask = batch(3, 8, False)
    expected = learned(transformer, x, mask, True)
    for name in ("graph", "islands"):
        compile_blocks(transformer, name)
        for ours, theirs in zip(learned(transformer, x, mask, True), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
