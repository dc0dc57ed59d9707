"""Each layer against its formula, written out in numpy (float64)."""

import keras
import numpy as np
import pytest
from layer_cases import EMBEDDING, HIDDEN, HIDDEN_STATES, IDS, MASK, PAIRWISE, POSITIONS, TYPES, VOCABULARY, filled
from scipy import special

from electra_tf.layers.attention import SelfAttention
from electra_tf.layers.dense import ACTIVATIONS, Dense, LayerNorm
from electra_tf.layers.embeddings import Embeddings, Table
from electra_tf.layers.feed_forward import FeedForward
from electra_tf.layers.heads import MaskedLMHead, Pooler, ReplacedTokenHead
from electra_tf.models import Encoder, named_variables
from electra_tf.models.config import ACTIVATIONS as CONFIGURABLE
from electra_tf.models.config import EncoderConfig


def weights_of(layer):
    return {name: np.float64(np.asarray(v)) for name, v in named_variables(layer).items()}


def gelu(x):
    return 0.5 * x * (1 + special.erf(x / np.sqrt(2)))


def norm(x, w, prefix="norm/", epsilon=1e-12):
    centred = x - x.mean(-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
    return centred / deviation * w[f"{prefix}gamma"] + w[f"{prefix}beta"]


def affine(x, w, prefix):
    return x @ w[f"{prefix}/kernel"] + w[f"{prefix}/bias"]


def test_layer_norm():
    layer = filled(LayerNorm(HIDDEN))
    x = 100 + 3 * HIDDEN_STATES
    assert np.allclose(layer(x), norm(np.float64(x), weights_of(layer), ""), atol=2e-5)


@pytest.mark.parametrize(
    "name, formula",
    [
        ("gelu", gelu),
        ("gelu_new", lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))),
        ("relu", lambda x: np.maximum(x, 0)),
        ("silu", lambda x: x / (1 + np.exp(-x))),
        ("tanh", np.tanh),
    ],
)
def test_activations(name, formula):
    x = np.linspace(-6, 6, 2001)
    assert np.abs(ACTIVATIONS[name](np.float32(x)) - formula(x)).max() < 1e-6


def test_the_two_gelus_differ_by_up_to_half_a_thousandth():
    x = np.linspace(-6, 6, 2001, dtype="float32")
    difference = np.abs(ACTIVATIONS["gelu"](x) - ACTIVATIONS["gelu_new"](x)).max()
    assert 4e-4 < difference < 5e-4


def test_every_activation_that_a_config_may_name_exists():
    assert set(CONFIGURABLE) == set(ACTIVATIONS)


@pytest.mark.parametrize("mask", [MASK, PAIRWISE], ids=["[B, T]", "[B, T, T]"])
@pytest.mark.parametrize("heads", [1, 4])
def test_self_attention(heads, mask):
    layer = filled(SelfAttention(HIDDEN, heads))
    w, x = weights_of(layer), np.float64(HIDDEN_STATES)
    allowed = np.broadcast_to(mask if mask.ndim == 3 else mask[:, None, :], (len(x), x.shape[1], x.shape[1]))
    parts = np.split(affine(x, w, "qkv"), 3, axis=-1)
    context = []
    for q, k, v in zip(*(np.split(part, heads, axis=-1) for part in parts), strict=True):
        scores = q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1]) - 10000.0 * (1 - allowed)
        context.append(special.softmax(scores, axis=-1) @ v)
    expected = norm(x + affine(np.concatenate(context, -1), w, "output"), w)
    assert np.allclose(layer(HIDDEN_STATES, mask), expected, atol=1e-5)


def test_a_row_without_any_token_attends_as_if_unmasked_and_gives_no_nan():
    layer, nothing = filled(SelfAttention(HIDDEN, 2)), np.zeros_like(MASK)
    got = np.asarray(layer(HIDDEN_STATES, nothing))
    assert np.isfinite(got).all()
    assert np.allclose(got, layer(HIDDEN_STATES, np.ones_like(MASK)), atol=5e-3)


def test_masked_tokens_do_not_change_the_others():
    layer, other = filled(SelfAttention(HIDDEN, 2)), HIDDEN_STATES.copy()
    other[MASK == 0] += 5
    real = MASK == 1
    assert np.array_equal(np.asarray(layer(HIDDEN_STATES, MASK))[real], np.asarray(layer(other, MASK))[real])


def test_feed_forward():
    layer = filled(FeedForward(HIDDEN, 24))
    w, x = weights_of(layer), np.float64(HIDDEN_STATES)
    expected = norm(x + affine(gelu(affine(x, w, "intermediate")), w, "output"), w)
    assert np.allclose(layer(HIDDEN_STATES), expected, atol=1e-5)


def test_embeddings():
    layer = filled(Embeddings(VOCABULARY, EMBEDDING, 9))
    w = weights_of(layer)
    word, token_type = w["word/embeddings"][IDS], w["token_type/embeddings"][TYPES]
    expected = norm(word + token_type + w["position/embeddings"][POSITIONS], w)
    assert np.allclose(layer(IDS, TYPES, POSITIONS), expected, atol=1e-5)
    expected = norm(word + w["token_type/embeddings"][0] + w["position/embeddings"][: IDS.shape[1]], w)
    assert np.allclose(layer(IDS), expected, atol=1e-5)


def test_masked_lm_head():
    layer = filled(MaskedLMHead(HIDDEN, EMBEDDING, Table(VOCABULARY, EMBEDDING, name="word")))
    w = weights_of(layer)
    x = norm(gelu(affine(np.float64(HIDDEN_STATES), w, "dense")), w)
    assert np.allclose(layer(HIDDEN_STATES), x @ w["word/embeddings"].T + w["output_bias"], atol=1e-5)


def test_replaced_token_head():
    layer = filled(ReplacedTokenHead(HIDDEN))
    w = weights_of(layer)
    expected = affine(gelu(affine(np.float64(HIDDEN_STATES), w, "dense")), w, "output")[..., 0]
    assert np.allclose(layer(HIDDEN_STATES), expected, atol=1e-5)


def test_pooler():
    layer = filled(Pooler(HIDDEN))
    expected = np.tanh(affine(np.float64(HIDDEN_STATES[:, 0]), weights_of(layer), "dense"))
    assert np.allclose(layer(HIDDEN_STATES), expected, atol=1e-6)


def test_initial_weights_are_the_originals():
    """Truncated normal of 0.02 (0.88 of it after truncation), Glorot where the original forgot to say, zeros, ones."""
    keras.utils.set_random_seed(1)
    config = EncoderConfig(vocab_size=3000, embedding_size=64, hidden_size=128, num_hidden_layers=1)
    kernels = weights_of(Encoder(config))
    head = weights_of(ReplacedTokenHead(128))
    glorot = {"projection/kernel": kernels.pop("projection/kernel"), "output/kernel": head.pop("output/kernel")}
    for name, value in glorot.items():
        limit = np.sqrt(6 / sum(value.shape))
        assert 0.9 * limit < np.abs(value).max() <= limit, name
    for name, value in {**kernels, **head}.items():
        if name.endswith(("kernel", "embeddings")):
            assert np.abs(value).max() <= 0.04 + 1e-6, name
            assert np.isclose(value.std(), 0.88 * 0.02, rtol=0.1), name
        else:
            assert np.all(value == (1 if name.endswith("gamma") else 0)), name


def test_alberts_projection_is_not_glorot():
    config = EncoderConfig(model_type="albert", vocab_size=9, embedding_size=64, hidden_size=128, num_hidden_layers=1)
    assert np.abs(weights_of(Encoder(config))["projection/kernel"]).max() <= 0.04 + 1e-6


def test_dense_flattens_any_number_of_axes():
    layer = filled(Dense(HIDDEN, 5))
    x = HIDDEN_STATES[None, :, :, None]
    expected = np.float64(x) @ np.asarray(layer.kernel) + np.asarray(layer.bias)
    assert np.allclose(layer(x), expected, atol=1e-5)
