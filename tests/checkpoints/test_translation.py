"""Weights under Google's and PyTorch's names and back: the same bits; one error lists all that does not fit."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_tf.checkpoints.google_electra import from_tf1, to_tf1
from electra_tf.checkpoints.loaded_model import pretrained
from electra_tf.checkpoints.torch_classes import from_torch, to_torch
from electra_tf.checkpoints.translation import tower_weights, translate
from electra_tf.checkpoints.weight_names import tower_tensors
from electra_tf.errors import CheckpointError
from electra_tf.models import EncoderConfig


def _assert_same(left, right):
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)
        assert left[name].dtype == right[name].dtype


@st.composite
def electra_configs(draw):
    heads = draw(st.integers(1, 3))
    return EncoderConfig(
        vocab_size=draw(st.integers(1, 9)),
        embedding_size=draw(st.integers(1, 9)),
        hidden_size=heads * draw(st.integers(1, 4)),
        num_hidden_layers=draw(st.integers(1, 11)),
        num_attention_heads=heads,
        intermediate_size=draw(st.integers(1, 9)),
        max_position_embeddings=draw(st.integers(1, 9)),
        type_vocab_size=draw(st.integers(1, 3)),
    )


@settings(max_examples=30, deadline=None)
@given(data=st.data(), sharing=st.sampled_from(["all", "none"]))
def test_tf1_and_back_is_bit_identical_for_any_sizes(make_weights, data, sharing):
    discriminator, generator = data.draw(electra_configs()), data.draw(electra_configs())
    if sharing == "all":
        tables = ("vocab_size", "embedding_size", "max_position_embeddings", "type_vocab_size")
        generator = generator.replace(**{name: getattr(discriminator, name) for name in tables})
    weights = make_weights(discriminator, generator, sharing)
    _assert_same(from_tf1(to_tf1(weights)), weights)


def test_torch_and_back_is_bit_identical(config, tower, weights):
    model = pretrained(tower, config, weights)
    _assert_same(from_torch(to_torch(model), config.to_dict(), config).weights, model.weights)


def test_the_fused_kernel_holds_query_key_and_value_side_by_side(make_weights, config):
    weights = make_weights(config, config)
    if config.model_type == "electra":
        tf1 = to_tf1(weights)
        fused = weights["discriminator/transformer/block_1/attention/qkv/kernel"]
        parts = [tf1[f"electra/encoder/layer_1/attention/self/{p}/kernel"] for p in ("query", "key", "value")]
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), fused)
    torch = to_torch(pretrained("generator", config, weights))
    first = next(name for name in torch if name.endswith("key.weight"))
    fused = weights["generator/transformer/block_0/attention/qkv/kernel"]
    size = config.hidden_size
    np.testing.assert_array_equal(torch[first], fused[:, size : 2 * size].T)


def test_one_error_lists_all_that_does_not_fit(config, weights):
    table = tower_tensors(dataclasses.asdict(config), "discriminator")
    broken = tower_weights(weights, "discriminator")
    del broken["replaced_token/output/bias"]
    broken["discriminator/embeddings/norm/beta"] = np.zeros(3)
    broken["stranger"] = np.zeros((2, 2))
    with pytest.raises(CheckpointError) as error:
        translate(broken, table, "ours", "torch", "here")
    message = str(error.value)
    assert "3 tensors do not fit" in message
    assert "missing     replaced_token/output/bias [1]" in message
    assert "discriminator/embeddings/norm/beta is [3], expected [8]" in message
    assert "unexpected  stranger [2, 2]" in message
    assert "here" in message


def test_a_kernel_that_is_not_transposed_is_a_wrong_shape(config, weights):
    tensors = to_torch(pretrained("discriminator", config, weights))
    name = next(name for name in tensors if tensors[name].shape == (24, config.hidden_size))
    with pytest.raises(CheckpointError, match=rf"{name} is \[{config.hidden_size}, 24\]"):
        from_torch(tensors | {name: tensors[name].T}, config.to_dict(), config)


def test_a_generator_takes_what_it_shares_from_the_discriminator(make_weights, config):
    for sharing in ("all", "word"):
        weights = make_weights(config, config, sharing)
        tower = tower_weights(weights, "generator")
        table = tower_tensors(dataclasses.asdict(config), "generator")
        assert set(tower) == {tensor.ours for tensor in table}
        word = tower["generator/embeddings/word/embeddings"]
        np.testing.assert_array_equal(word, weights["discriminator/embeddings/word/embeddings"])


def test_towers_that_share_the_word_table_alone_have_no_tf1_names(make_weights):
    config = EncoderConfig(hidden_size=8, num_attention_heads=1, num_hidden_layers=1, vocab_size=5)
    with pytest.raises(CheckpointError, match="word table alone"):
        to_tf1(make_weights(config, config, "word"))


def test_a_number_that_float32_cannot_hold_is_no_infinity(config, tower, weights):
    tensors = to_torch(pretrained(tower, config, weights))
    name = next(name for name in tensors if name.endswith("word_embeddings.weight"))
    wide = tensors[name].astype("float64")
    tied = [one for one, array in tensors.items() if array.shape == wide.shape and np.array_equal(array, wide)]
    assert from_torch(tensors | dict.fromkeys(tied, wide), config.to_dict(), config).weights.keys()
    wide[0, 0] = 1e40
    with pytest.raises(CheckpointError, match=r"has numbers up to 1e\+40"):
        from_torch(tensors | dict.fromkeys(tied, wide), config.to_dict(), config)


def test_a_tensor_under_its_former_and_its_present_name_is_refused(config, tower, weights):
    tensors = to_torch(pretrained(tower, config, weights))
    name = next(name for name in tensors if name.endswith("LayerNorm.weight"))
    former = name.replace("LayerNorm.weight", "LayerNorm.gamma")
    with pytest.raises(CheckpointError, match=f"{name} is there under two names"):
        from_torch(tensors | {former: tensors[name] + 1}, config.to_dict(), config)
