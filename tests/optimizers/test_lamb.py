"""LAMB: its formula worked in numpy, ratios of the parts of joined weights, norms of 0."""

import numpy as np
import pytest
import tensorflow as tf

from electra_tf.errors import ConfigError
from electra_tf.optimizers.adamw import AdamW
from electra_tf.optimizers.clipping import clip_scale, global_norm
from electra_tf.optimizers.lamb import Lamb

NAMES = {
    "generator/embeddings/word/embeddings": (30, 4),
    "generator/transformer/block_0/attention/qkv/kernel": (4, 12),
    "generator/transformer/block_0/attention/qkv/bias": (12,),
    "generator/transformer/block_0/feed_forward/output/kernel": (6, 4),
    "generator/embeddings/norm/gamma": (4,),
    "masked_lm/output_bias": (30,),
}
RATES = np.linspace(0, 0.02, 20)


def trajectory(rule, rounds=20):
    """Weights after so many updates with random gradients, clipped by their global norm: (ours, gradients, start)."""
    random = np.random.default_rng(3)
    start = {name: random.normal(0, 0.3, shape).astype("float32") for name, shape in NAMES.items()}
    gradients = [
        {name: random.normal(0, 0.4, shape).astype("float32") for name, shape in NAMES.items()} for _ in range(rounds)
    ]
    w = {name: tf.constant(array) for name, array in start.items()}
    m, v = ({name: tf.zeros_like(tensor) for name, tensor in w.items()} for _ in range(2))
    for number, gradient in enumerate(gradients):
        scale = clip_scale(global_norm([tf.constant(g) for g in gradient.values()]), rule.clip_norm)
        scales = rule.bias_scales(tf.constant(number))
        for name, g in gradient.items():
            arguments = (float(RATES[number]), rule.decay_of(name), *scales)
            w[name], m[name], v[name] = rule.update(
                w[name], tf.constant(g), scale, m[name], v[name], *arguments, rule.parts(name)
            )
    return {name: tensor.numpy() for name, tensor in w.items()}, gradients, start


def by_hand(gradients, start, *, adapted, parts=lambda name: 1, decayed=None, bias_correction=False, largest=np.inf):
    """The formulas in float64: `adapted` and `decayed` tell of a name, `parts` how many ratios it has."""
    decayed = decayed or adapted
    w = {name: array.astype("float64") for name, array in start.items()}
    m, v = ({name: np.zeros_like(array) for name, array in w.items()} for _ in range(2))
    for number, gradient in enumerate(gradients):
        norm = np.sqrt(sum((g.astype("float64") ** 2).sum() for g in gradient.values()))
        for name, g in gradient.items():
            g = g.astype("float64") / max(norm, 1.0)
            m[name] = 0.9 * m[name] + 0.1 * g
            v[name] = 0.999 * v[name] + 0.001 * g**2
            t = number + 1
            corrected = (m[name] / (1 - 0.9**t), v[name] / (1 - 0.999**t)) if bias_correction else (m[name], v[name])
            u = corrected[0] / (np.sqrt(corrected[1]) + 1e-6) + (0.01 * w[name] if decayed(name) else 0)
            columns = np.split(np.arange(w[name].shape[-1]), parts(name))
            for part in columns if adapted(name) else ():
                ours, theirs = np.linalg.norm(w[name][..., part]), np.linalg.norm(u[..., part])
                u[..., part] *= min(ours, largest) / theirs if ours > 0 and theirs > 0 else 1.0
            w[name] = w[name] - RATES[number] * u
    return w


def is_kernel(name):
    return "norm/" not in name and "bias" not in name


def three_if_joined(name):
    return 3 if "qkv" in name else 1


@pytest.mark.parametrize("bias_correction", [False, True], ids=["as Google's", "with bias correction"])
def test_twenty_updates_are_the_formula_worked_in_numpy(bias_correction):
    found, gradients, start = trajectory(Lamb(bias_correction=bias_correction))
    options = {"adapted": is_kernel, "parts": three_if_joined, "bias_correction": bias_correction}
    for name, array in by_hand(gradients, start, **options).items():
        np.testing.assert_allclose(found[name], array, atol=1e-6, err_msg=name)


def test_twenty_updates_of_adamw_are_the_formula_worked_in_numpy():
    found, gradients, start = trajectory(AdamW())
    for name, array in by_hand(gradients, start, adapted=lambda name: False, decayed=is_kernel).items():
        np.testing.assert_allclose(found[name], array, atol=1e-6, err_msg=name)


def test_the_pytorch_packages_lamb_adapts_everything_and_counts_no_weight_as_longer_than_10():
    rule = Lamb(no_adaptation=(), largest_norm=0.5)
    found, gradients, start = trajectory(rule)
    options = {"adapted": lambda name: True, "decayed": is_kernel, "parts": three_if_joined, "largest": 0.5}
    for name, array in by_hand(gradients, start, **options).items():
        np.testing.assert_allclose(found[name], array, atol=1e-6, err_msg=name)


def test_one_ratio_for_a_joined_weight_is_another_trajectory():
    found, gradients, start = trajectory(Lamb())
    name = "generator/transformer/block_0/attention/qkv/kernel"
    joined = by_hand(gradients, start, adapted=is_kernel)[name]
    assert np.abs(found[name] - joined).max() > 1e-3


def test_a_weight_or_a_step_of_norm_0_moves_at_the_bare_rate():
    rule, zero, one = Lamb(weight_decay=0.0), tf.zeros([2, 2]), tf.ones([2, 2])
    moved, *_ = rule.update(zero, one, 1.0, zero, zero, 0.1, 0.0, 1.0, 1.0, 1)
    bare, *_ = AdamW(weight_decay=0.0).update(zero, one, 1.0, zero, zero, 0.1, 0.0, 1.0, 1.0)
    np.testing.assert_array_equal(moved, bare)
    stays, *_ = rule.update(one, zero, 1.0, zero, zero, 0.1, 0.0, 1.0, 1.0, 1)
    np.testing.assert_array_equal(stays, one)


def test_a_length_that_cannot_be_meant_is_refused():
    with pytest.raises(ConfigError, match="largest_norm is 0"):
        Lamb(largest_norm=0.0)
