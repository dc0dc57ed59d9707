"""Hashed random numbers for data: the same for ever, apart for each name, evenly spread."""

import numpy as np

from electra_tf.data.randomness import keys, permutation, uniform


def test_keys_are_those_of_ever():
    # Data sets and the order of training depend on them: they may never change.
    assert keys(3, 0).tolist() == [12035550249420947055, 12935080325729570654, 7141179953334974231]
    assert keys(2, 1, 2, 3).tolist() == [8442993811948235340, 8500371535776618899]
    assert permutation(8, 5).tolist() == [2, 0, 6, 1, 4, 3, 5, 7]


def test_streams_differ_by_each_of_their_names_and_their_order():
    streams = [(0,), (1,), (0, 0), (0, 1), (1, 0), (2**63,)]
    assert len({tuple(keys(4, *stream).tolist()) for stream in streams}) == len(streams)


def test_permutations_hold_every_number_once_and_leave_little_in_place():
    order = permutation(10_000, 3, 1)
    assert sorted(order.tolist()) == list(range(10_000))
    assert (order == np.arange(10_000)).sum() < 10
    assert abs(np.corrcoef(order, np.arange(10_000))[0, 1]) < 0.05


def test_uniform_numbers_fill_the_interval_evenly():
    numbers = uniform(100_000, 9)
    counts, _ = np.histogram(numbers, bins=10, range=(0, 1))
    assert numbers.min() >= 0 and numbers.max() < 1
    assert abs(counts - 10_000).max() < 500
