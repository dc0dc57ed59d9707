"""Sampled tokens have the softmax's probabilities, the same in eager mode, in a graph and in XLA."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from electra_tf.pretraining.sampling import BLOCK, sample
from electra_tf.training.randomness import uniform

DRAWS = 40_000


def draw(logits, count=DRAWS, seed=0, **settings):
    """`count` tokens drawn from one row of logits."""
    rows = tf.broadcast_to(tf.constant(logits, tf.float32), [count, len(logits)])
    return sample(rows, uniform([count], [seed, 7]), **settings).numpy()


def fits(drawn, probability):
    """Whether the counts of the tokens fit their probabilities (chi-square; rare tokens are taken together)."""
    order = np.argsort(-probability)
    expected = probability[order] * len(drawn)
    counts = np.bincount(drawn, minlength=len(probability))[order]
    common = int((expected >= 10).sum())
    expected = np.append(expected[:common], expected[common:].sum())
    counts = np.append(counts[:common], counts[common:].sum())
    keep = expected > 0
    return stats.chisquare(counts[keep], expected[keep] * counts.sum() / expected.sum()).pvalue > 1e-5


@pytest.mark.parametrize("size", [5, BLOCK, BLOCK + 1, 700])
def test_tokens_are_drawn_with_the_softmaxs_probabilities(size):
    logits = np.random.default_rng(size).normal(0, 2, size)
    assert fits(draw(logits), special.softmax(logits))


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_the_temperature_divides_the_logits(temperature):
    logits = np.random.default_rng(1).normal(0, 2, 600)
    drawn = draw(logits, temperature=temperature)
    assert fits(drawn, special.softmax(logits / temperature))
    assert not fits(drawn, special.softmax(logits))


def test_a_token_ruled_out_is_never_drawn_and_the_others_keep_their_proportions():
    logits = np.random.default_rng(2).normal(0, 1, 300)
    likeliest = int(np.argmax(logits))
    drawn = draw(logits, never=tf.fill([DRAWS], likeliest))
    assert likeliest not in drawn
    probability = special.softmax(logits)
    probability[likeliest] = 0
    assert fits(drawn, probability / probability.sum())


def test_every_row_rules_out_its_own_token():
    never = tf.constant([0, 1, 2])
    drawn = sample(tf.constant([[9.0, 0, 0], [0, 9.0, 0], [0, 0, 9.0]]), tf.constant([0.0, 0.5, 0.99]), never=never)
    assert not np.any(drawn.numpy() == never.numpy())


@pytest.mark.parametrize("number", [0.0, 0.25, 0.5, 0.999999, float(np.nextafter(np.float32(1), np.float32(0)))])
def test_a_token_of_no_probability_is_never_drawn_not_even_at_the_ends(number):
    """Only tokens 3, 300 and 700 are possible: whole blocks, and both ends of the vocabulary, have no mass."""
    logits = np.full(1000, -np.inf, "float32")
    logits[[3, 300, 700]] = [0.0, 1.0, -1.0]
    numbers = tf.fill([1000], tf.constant(number, tf.float32))
    drawn = sample(tf.broadcast_to(tf.constant(logits), [1000, 1000]), numbers).numpy()
    assert set(drawn) <= {3, 300, 700}


def test_the_padding_of_the_last_block_is_never_drawn():
    size = BLOCK + 3
    drawn = draw(np.random.default_rng(3).normal(0, 3, size))
    assert drawn.max() < size
    assert drawn.min() >= 0


def test_the_inverse_of_the_cumulative_distribution_is_taken():
    probability = np.array([0.1, 0.2, 0.3, 0.4])
    numbers = np.array([0.05, 0.15, 0.29, 0.31, 0.59, 0.61, 0.99], "float32")
    drawn = sample(tf.constant(np.log([probability] * 7), tf.float32), tf.constant(numbers))
    assert drawn.numpy().tolist() == [0, 1, 1, 2, 2, 3, 3]


def test_large_logits_do_not_overflow():
    drawn = sample(tf.constant([[1e4, 0.0, -1e4]] * 2), tf.constant([0.1, 0.9]))
    assert drawn.numpy().tolist() == [0, 0]


def test_bfloat16_logits_are_sampled_in_float32():
    logits = tf.constant(np.random.default_rng(4).normal(0, 2, 300), tf.bfloat16)
    assert fits(draw(tf.cast(logits, tf.float32)), special.softmax(np.float64(logits)))
    drawn = sample(tf.broadcast_to(logits, [DRAWS, 300]), uniform([DRAWS], [0, 7])).numpy()
    assert np.array_equal(drawn, draw(tf.cast(logits, tf.float32)))


@pytest.mark.parametrize("compiled", [{}, {"jit_compile": True}], ids=["graph", "XLA"])
def test_a_graph_and_xla_draw_the_same_tokens(compiled):
    logits = tf.constant(np.random.default_rng(5).normal(0, 2, (2000, 700)), tf.float32)
    never = tf.argmax(logits, -1, output_type=tf.int32)

    def drawn(logits, never):
        return sample(logits, uniform([2000], [1, 2]), 1.3, never)

    eager = drawn(logits, never).numpy()
    other = tf.function(drawn, autograph=False, **compiled)(logits, never).numpy()
    # Compilers may round a sum otherwise; then a number on the very boundary may fall to the neighbour.
    assert (eager != other).sum() <= 1
