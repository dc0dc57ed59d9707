"""The bits of dropout look random in every direction, and are a function of seed, site, row and element alone."""

import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from electra_tf.layers.dropout import Dropout, fold_in, random_bits
from electra_tf.training.randomness import seed_of

ROWS, ELEMENTS = 64, 16384


def seed_at(step=3, row=0, run_seed=0):
    return tf.concat([seed_of(run_seed, "dropout", step), [row]], 0)


def bits(step=3, depth=0, site=0, row=0, run_seed=0, rows=ROWS, elements=ELEMENTS):
    drawn = random_bits(fold_in(seed_at(step, row, run_seed), depth), site, rows, (elements,))
    return drawn.numpy().view(np.uint32)


def uncorrelated(a, b):
    """Whether two arrays of bits, as numbers, correlate no more than chance allows (five sigma)."""
    a, b = np.float64(a).ravel(), np.float64(b).ravel()
    return abs(np.corrcoef(a, b)[0, 1]) * math.sqrt(a.size) < 5


def plausible(counts):
    """Whether counts come from a uniform distribution: neither too uneven nor too even."""
    return 1e-6 < stats.chisquare(np.ravel(counts)).pvalue < 1 - 1e-6


def test_every_bit_is_set_half_of_the_time():
    drawn = bits()
    shares = np.array([(drawn >> k & 1).mean() for k in range(32)])
    assert np.abs(shares - 0.5).max() < 5 * 0.5 / math.sqrt(drawn.size)


@pytest.mark.parametrize("shift", [0, 8, 16, 24])
def test_every_byte_is_uniform(shift):
    assert plausible(np.bincount((bits() >> shift & 255).ravel(), minlength=256))


@pytest.mark.parametrize(
    "other",
    [{"step": 4}, {"step": 4003}, {"depth": 1}, {"depth": 12}, {"site": 1}, {"site": 2}, {"run_seed": 1}, {"row": 64}],
    ids=str,
)
def test_other_steps_depths_sites_runs_and_rows_draw_independently(other):
    ours, theirs = bits(), bits(**other)
    assert uncorrelated(ours, theirs)
    for name, shift in (("high", 24), ("low", 0)):
        pairs = (ours >> shift & 15).astype(int) * 16 + (theirs >> shift & 15)
        assert plausible(np.bincount(pairs.ravel(), minlength=256)), name


@pytest.mark.parametrize("lag", [1, 2, 128, 256, 1024])
def test_elements_of_a_row_are_independent(lag):
    drawn = bits()
    first, second = drawn[:, :-lag], drawn[:, lag:]
    assert uncorrelated(first, second)
    pairs = (first >> 28).astype(int) * 16 + (second >> 28)
    assert plausible(np.bincount(pairs.ravel(), minlength=256))


@pytest.mark.parametrize("lag", [1, 2, 32])
def test_rows_are_independent(lag):
    drawn = bits()
    assert uncorrelated(drawn[:-lag], drawn[lag:])


def test_no_two_of_a_models_draws_share_a_seed():
    seeds = {tuple(fold_in(fold_in(seed_at(), tower), depth).numpy()) for tower in (0, 1) for depth in range(26)}
    assert len(seeds) == 52


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_share_dropped_and_its_spread_are_those_of_independent_draws(rate):
    x = tf.ones([ROWS, ELEMENTS])
    dropped = (Dropout(rate)(x, training=True, seed=seed_at()) == 0).numpy()
    assert abs(dropped.mean() - rate) < 5 * math.sqrt(rate * (1 - rate) / dropped.size)
    for axis in (0, 1):
        n, sums = dropped.shape[axis], dropped.sum(axis)
        spread = ((sums - n * rate) ** 2 / (n * rate * (1 - rate))).sum()
        assert 1e-6 < stats.chi2.cdf(spread, sums.size) < 1 - 1e-6


def test_what_is_kept_is_scaled_so_that_the_mean_stays():
    kept = Dropout(0.25)(tf.fill([8, 1000], 3.0), training=True, seed=seed_at()).numpy()
    assert set(np.unique(kept)) == {0.0, 4.0}


def test_a_slice_of_the_rows_with_its_offset_draws_the_same_bits():
    whole = bits(rows=12, elements=50)
    assert np.array_equal(bits(row=5, rows=4, elements=50), whole[5:9])


def test_rows_given_apart_keep_their_bits_when_the_batch_is_flattened():
    x, layer, seed = tf.ones([4, 6, 10]), Dropout(0.5), seed_at()
    flat = layer(tf.reshape(x, [24, 10]), training=True, seed=seed, rows=4)
    assert np.array_equal(tf.reshape(flat, x.shape), layer(x, training=True, seed=seed))


@pytest.mark.parametrize("compiled", [{}, {"jit_compile": True}], ids=["graph", "XLA"])
def test_a_graph_and_xla_draw_the_same_bits(compiled):
    draw = tf.function(lambda seed: random_bits(fold_in(seed, 2), 1, 6, (3, 100)), **compiled)
    seed = seed_at()
    assert np.array_equal(draw(seed), random_bits(fold_in(seed, 2), 1, 6, (3, 100)))


def test_without_a_seed_every_call_draws_anew():
    layer, x = Dropout(0.5), tf.ones([4, 1000])
    assert not np.array_equal(layer(x, training=True), layer(x, training=True))


def test_nothing_is_dropped_outside_training():
    x = tf.ones([4, 10])
    assert np.array_equal(Dropout(0.5)(x, seed=seed_at()), x)
