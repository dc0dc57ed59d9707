"""Uniform numbers are functions of run, purpose and step, the same in a graph and in XLA."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from electra_tf.training.randomness import seed_of, uniform


def numbers(run_seed=0, purpose="sample", step=0, shape=(100, 1000)):
    return uniform(shape, seed_of(run_seed, purpose, step)).numpy()


def test_numbers_are_uniform_in_0_to_1_exclusive():
    drawn = numbers()
    assert (drawn.dtype, drawn.shape) == (np.float32, (100, 1000))
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert stats.kstest(drawn.ravel(), "uniform").pvalue > 1e-5


def test_a_draw_is_a_function_of_run_purpose_and_step():
    assert np.array_equal(numbers(step=7), numbers(step=7))
    assert np.array_equal(numbers(step=7), uniform([100, 1000], seed_of(0, "sample", tf.constant(7, tf.int64))))


@pytest.mark.parametrize("other", [{"run_seed": 1}, {"purpose": "positions"}, {"step": 1}, {"step": 1 << 20}], ids=str)
def test_other_runs_purposes_and_steps_draw_independently(other):
    correlation = np.corrcoef(numbers().ravel(), numbers(**other).ravel())[0, 1]
    assert abs(correlation) < 5 / np.sqrt(100_000)


@pytest.mark.parametrize("compiled", [{}, {"jit_compile": True}], ids=["graph", "XLA"])
def test_a_graph_and_xla_draw_the_same_numbers(compiled):
    draw = tf.function(lambda step: uniform([8, 100], seed_of(3, "positions", step)), autograph=False, **compiled)
    assert np.array_equal(draw(tf.constant(5)), numbers(3, "positions", 5, [8, 100]))
