"""The encoder: masks, positions, shared layers, dropout, names of weights, and its use in a model of one's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import electra_tf
from electra_tf.errors import CheckpointError
from electra_tf.models import Encoder, EncoderConfig, MaskedLanguageModel, named_variables
from electra_tf.models.encoder import count_parameters

ELECTRA = EncoderConfig(
    vocab_size=50,
    embedding_size=8,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=12,
    initializer_range=0.3,
)
ALBERT = ELECTRA.replace(model_type="albert", num_hidden_layers=4, num_hidden_groups=1)


def ids_of(rows, tokens, seed=0):
    return np.random.default_rng(seed).integers(0, 50, (rows, tokens)).astype("int32")


def test_packed_rows_with_a_pairwise_mask_give_what_separate_rows_give():
    """Three texts of 5, 4 and 3 tokens in one row: a block-diagonal mask, and positions that start anew."""
    lengths, encoder = [5, 4, 3], Encoder(ELECTRA)
    texts = [ids_of(1, length, length) for length in lengths]
    owner = np.repeat(np.arange(3), lengths)
    mask = (owner[:, None] == owner[None, :]).astype("int32")[None]
    positions = np.concatenate([np.arange(length) for length in lengths]).astype("int32")[None]
    packed = encoder(np.concatenate(texts, axis=1), mask, position_ids=positions)
    apart = np.concatenate([encoder(text) for text in texts], axis=1)
    assert np.abs(packed - apart).max() < 1e-5
    unmasked = encoder(np.concatenate(texts, axis=1), position_ids=positions)
    assert np.abs(unmasked - apart).max() > 0.1


def test_padding_does_not_change_the_real_tokens():
    encoder, ids = Encoder(ELECTRA), ids_of(2, 7)
    padded, mask = np.pad(ids, [(0, 0), (0, 5)]), np.pad(np.ones_like(ids), [(0, 0), (0, 5)])
    assert np.abs(np.asarray(encoder(padded, mask))[:, :7] - encoder(ids)).max() < 1e-5


def test_types_positions_and_mask_have_their_usual_values_where_they_are_left_out():
    encoder, ids = Encoder(ELECTRA), ids_of(2, 7)
    positions = np.broadcast_to(np.arange(7, dtype="int32"), ids.shape)
    said = encoder(ids, np.ones_like(ids), np.zeros_like(ids), positions)
    assert np.array_equal(encoder(ids), said)


def test_a_dictionary_of_inputs_is_taken_too():
    encoder, ids, mask = Encoder(ELECTRA), ids_of(2, 7), np.tril(np.ones((2, 7), "int32"))
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.ones_like(ids)}
    assert np.array_equal(encoder(inputs), encoder(ids, mask, np.ones_like(ids)))


@pytest.mark.parametrize(
    "layers, groups, inner, expected",
    [
        (3, 3, 1, [0, 1, 2]),
        (4, 1, 1, [0, 0, 0, 0]),
        (4, 2, 1, [0, 0, 1, 1]),
        (2, 1, 2, [0, 1, 0, 1]),
        (4, 2, 2, [0, 1, 0, 1, 2, 3, 2, 3]),
    ],
    ids=["ELECTRA", "one group", "two groups", "inner groups", "both"],
)
def test_each_depth_uses_the_block_of_its_group(layers, groups, inner, expected):
    config = ALBERT.replace(num_hidden_layers=layers, num_hidden_groups=groups, inner_group_num=inner)
    stack = Encoder(config).transformer
    assert [stack.blocks.index(block) for block in stack.depths()] == expected


@pytest.mark.parametrize("groups, inner", [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_shared_layers_compute_what_layers_with_equal_weights_of_their_own_compute(groups, inner):
    shared = Encoder(ALBERT.replace(num_hidden_groups=groups, inner_group_num=inner))
    depths = shared.transformer.depths()
    own = Encoder(ELECTRA.replace(num_hidden_layers=len(depths)))
    for copy, original in zip(own.transformer.blocks, depths, strict=True):
        copy.set_weights(original.get_weights())
    own.embeddings.set_weights(shared.embeddings.get_weights())
    own.projection.set_weights(shared.projection.get_weights())
    assert np.abs(own(ids_of(2, 9)) - shared(ids_of(2, 9))).max() < 1e-5
    assert count_parameters(shared) < count_parameters(own)


def test_the_same_shared_layer_drops_other_units_at_every_depth():
    """One block, used twice: were its masks the same, swapping the two calls' seeds could not be seen."""
    encoder = Encoder(ALBERT.replace(num_hidden_layers=2, hidden_dropout_prob=0.5))
    seeds = []
    encoder.transformer.call_block = lambda block, x, mask, seed, **_: seeds.append(tuple(seed.numpy())) or x
    encoder(ids_of(2, 5), training=True, seed=tf.constant([1, 2, 0]))
    assert len(set(seeds)) == 2
    assert {seed[2] for seed in seeds} == {0}


@pytest.mark.parametrize("config", [ELECTRA, ALBERT])
def test_the_first_token_alone_is_that_of_all_tokens(config):
    """Values and gradients; with either kind of mask."""
    encoder, ids = Encoder(config), ids_of(3, 9)
    real = np.arange(9) < np.array([[9], [4], [1]])
    for mask in (real.astype("int32"), (real[:, :, None] & real[:, None, :]).astype("int32")):
        results = []
        for first_only in (False, True):
            with tf.GradientTape() as tape:
                first = encoder(ids, mask, first_only=first_only)[:, :1]
                loss = tf.reduce_sum(tf.sin(first))
            gradients = tape.gradient(loss, [variable.value for variable in encoder.trainable_variables])
            results.append([first, *map(tf.convert_to_tensor, gradients)])
        for whole, alone in zip(*results, strict=True):
            np.testing.assert_allclose(alone, whole, rtol=1e-4, atol=1e-5)
    assert encoder(ids, first_only=True).shape == (3, 1, config.hidden_size)


def test_dropout_with_a_seed_is_a_function_of_the_global_row():
    encoder, ids = Encoder(ELECTRA), ids_of(6, 9)
    whole = encoder(ids, training=True, seed=tf.constant([3, 4, 0])).numpy()
    part = encoder(ids[2:5], training=True, seed=tf.constant([3, 4, 2])).numpy()
    assert np.abs(part - whole[2:5]).max() < 1e-5
    assert np.abs(whole - encoder(ids)).max() > 0.1
    assert not np.array_equal(whole, encoder(ids, training=True, seed=tf.constant([3, 5, 0])))


def test_weights_have_names_that_tell_their_place():
    names = named_variables(MaskedLanguageModel(ELECTRA))
    assert {
        "encoder/embeddings/word/embeddings",
        "encoder/embeddings/norm/gamma",
        "encoder/projection/kernel",
        "encoder/transformer/block_1/attention/qkv/kernel",
        "encoder/transformer/block_1/feed_forward/output/bias",
        "masked_lm/dense/kernel",
        "masked_lm/output_bias",
    } <= names.keys()
    assert not any("seed" in name for name in names)


def test_two_weights_of_one_name_are_an_error_and_not_one_weight():
    twins = keras.Sequential([keras.layers.Dense(2, name="same"), keras.layers.Dense(2, name="other")])
    twins.build((None, 2))
    twins.layers[1].name = "same"
    with pytest.raises(CheckpointError, match="two weights are called same/"):
        named_variables(twins)


@pytest.mark.slow
@pytest.mark.parametrize("config", [ELECTRA, ALBERT], ids=["ELECTRA", "ALBERT"])
def test_a_users_own_model_learns_by_fit_and_is_saved_and_loaded(config, tmp_path):
    """Whether a text holds token 7, with nothing of ours but the encoder; dropout is on, without a seed of ours."""
    keras.utils.set_random_seed(0)
    ids = ids_of(256, 6)
    labels = (ids == 7).any(-1)
    ids[::2, 2], labels[::2] = 7, True
    inputs = keras.Input((6,), dtype="int32")
    outputs = keras.layers.Dense(1)(Encoder(config)(inputs)[:, 0])
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(5e-3), keras.losses.BinaryCrossentropy(from_logits=True))
    losses = model.fit(ids, labels.astype("float32"), epochs=12, batch_size=32, verbose=0).history["loss"]
    assert losses[-1] < 0.6 * losses[0]
    model.save(tmp_path / "model.keras")
    loaded = electra_tf.load_model(tmp_path / "model.keras")
    assert np.array_equal(loaded(ids), model(ids))


def test_mixed_bfloat16_reaches_every_layer():
    encoder = Encoder(ELECTRA, dtype="mixed_bfloat16")
    policies = {layer.dtype_policy.name for layer in encoder._flatten_layers()}
    assert policies == {"mixed_bfloat16"}
    assert encoder(ids_of(1, 5)).dtype == tf.bfloat16
