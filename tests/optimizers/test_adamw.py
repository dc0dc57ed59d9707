"""AdamW: reference values, torch's with bias correction, what is decayed, clipping."""

import numpy as np
import pytest
import tensorflow as tf

from electra_tf.errors import ConfigError
from electra_tf.optimizers.adamw import AdamW
from electra_tf.optimizers.clipping import clip_scale, global_norm

START = [0.5, -1.0, 2.0, 0.25]
GRADIENTS = [[0.1, -0.2, 0.3, 0.4], [-0.5, 0.05, 0.2, 0.0], [0.01, 0.02, -0.03, 1.0]]


def run(rule, name="kernel", rate=0.01, weight=START, gradients=GRADIENTS):
    """Weight and moments after one update a gradient, without clipping."""
    w = tf.constant(weight)
    m = v = tf.zeros_like(w)
    for step, gradient in enumerate(gradients):
        scales = rule.bias_scales(tf.constant(step))
        w, m, v = rule.update(w, tf.constant(gradient), 1.0, m, v, rate, rule.decay_of(name), *scales)
    return w.numpy(), m.numpy(), v.numpy()


@pytest.mark.parametrize(
    "rule, name, expected",
    [
        (AdamW(), "kernel", [0.5159371827, -0.9333215711, 1.8921831121, 0.1509632167]),
        (AdamW(), "norm/gamma", [0.516083388, -0.9336132231, 1.8927726053, 0.1510290382]),
        (AdamW(bias_correction=True), "kernel", [0.5003341089, -0.982013351, 1.9727547777, 0.2253731178]),
    ],
    ids=["as in the originals", "without decay", "bias corrected"],
)
def test_three_updates_give_the_reference_values(rule, name, expected):
    assert np.allclose(run(rule, name)[0], expected, rtol=5e-7)


def test_the_moments_of_three_updates_are_the_reference_values():
    _, m, v = run(AdamW())
    assert np.allclose(m, [-0.0359, -0.0097, 0.0393, 0.1324], rtol=1e-6)
    assert np.allclose(v, [0.00025983, 0.0000428175, 0.0001306801, 0.0011596802], rtol=1e-6)


def test_with_bias_correction_it_is_torchs_adamw():
    torch = pytest.importorskip("torch")
    gradients = np.random.default_rng(0).normal(size=(50, 6)).astype("float32")
    weight = torch.nn.Parameter(torch.linspace(-1, 1, 6))
    optimizer = torch.optim.AdamW([weight], lr=0.01, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.1)
    for gradient in gradients:
        weight.grad = torch.tensor(gradient)
        optimizer.step()
    rule = AdamW(beta_2=0.98, weight_decay=0.1, bias_correction=True)
    ours, _, _ = run(rule, weight=np.linspace(-1, 1, 6, dtype="float32"), gradients=gradients)
    assert np.allclose(ours, weight.detach().numpy(), rtol=1e-5)


def test_the_first_step_without_bias_correction_is_3_16_times_as_long():
    gradient = [[1.0, 1.0, -1.0, 1.0]]
    steps = [
        np.abs(run(AdamW(weight_decay=0, bias_correction=corrected), gradients=gradient)[0] - START)
        for corrected in (False, True)
    ]
    assert np.allclose(steps[0] / steps[1], 0.1 / np.sqrt(0.001), rtol=1e-4)


def test_bias_correction_is_exact_to_float32_even_after_many_steps():
    for step in (0, 1, 100, 100_000):
        found = AdamW(bias_correction=True).bias_scales(tf.constant(step))
        assert np.allclose(found, [1 / (1 - beta ** (step + 1)) for beta in (0.9, 0.999)], rtol=2e-6)
    assert AdamW(beta_1=0.0, bias_correction=True).bias_scales(tf.constant(0))[0] == 1


@pytest.mark.parametrize(
    "name, decays",
    [
        ("discriminator/embeddings/word/embeddings", True),
        ("discriminator/embeddings/position/embeddings", True),
        ("discriminator/transformer/block_0/attention/qkv/kernel", True),
        ("discriminator/transformer/block_0/attention/qkv/bias", False),
        ("discriminator/transformer/block_0/feed_forward/norm/gamma", False),
        ("discriminator/embeddings/norm/beta", False),
        ("masked_lm/output_bias", False),
    ],
)
def test_biases_and_norms_are_not_decayed_and_all_tables_are(name, decays):
    assert AdamW().decay_of(name) == (0.01 if decays else 0)


def test_the_global_norm_is_over_all_gradients_together():
    gradients = [tf.constant([3.0, 0.0]), tf.constant([[4.0]]), tf.constant([12.0], tf.bfloat16)]
    assert global_norm(gradients).numpy() == 13


@pytest.mark.parametrize("norm, limit, scale", [(0.5, 1.0, 1.0), (4.0, 1.0, 0.25), (4.0, None, 1.0), (0.0, 1.0, 1.0)])
def test_gradients_are_scaled_down_to_the_limit_and_never_up(norm, limit, scale):
    assert clip_scale(tf.constant(norm), limit).numpy() == scale


def test_the_scale_multiplies_the_gradient_before_the_moments():
    rule, w, zero = AdamW(), tf.constant(START), tf.zeros(4)
    g = tf.constant(GRADIENTS[0])
    scaled = rule.update(w, g, 0.5, zero, zero, 0.01, 0.01, 1.0, 1.0)
    halved = rule.update(w, g / 2, 1.0, zero, zero, 0.01, 0.01, 1.0, 1.0)
    assert all(np.array_equal(a, b) for a, b in zip(scaled, halved, strict=True))


@pytest.mark.parametrize(
    "settings",
    [
        {"beta_1": 1.0},
        {"beta_2": -0.1},
        {"beta_2": "half"},
        {"epsilon": 0.0},
        {"weight_decay": -0.1},
        {"clip_norm": 0.0},
    ],
    ids=str,
)
def test_settings_that_cannot_be_meant_are_refused(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        AdamW(**settings)
