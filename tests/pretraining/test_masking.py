"""Masks of tokens: how many, where, what is shown there, and a function of run and step alone."""

import math
import re

import numpy as np
import pytest
import tensorflow as tf
from vocabularies import numbered

from electra_tf.errors import ConfigError
from electra_tf.pretraining.masking import Masking, mask, max_predictions, scatter

VOCABULARY, LENGTH = 500, 128
IDS = numbered(VOCABULARY, pad=0, cls=2, sep=3, mask=4, unk=1)
SPECIAL = (IDS.pad, IDS.unk, IDS.cls, IDS.sep, IDS.mask)


def batch_of(texts):
    """`[CLS] text [SEP]` for each list of ids, padded."""
    rows = [[IDS.cls, *text, IDS.sep] for text in texts]
    ids = np.array([row + [IDS.pad] * (LENGTH - len(row)) for row in rows], "int32")
    real = np.array([[1] * len(row) + [0] * (LENGTH - len(row)) for row in rows], "int32")
    return {"input_ids": tf.constant(ids), "input_mask": tf.constant(real)}


def text(tokens, seed=0):
    return np.random.default_rng(seed).integers(5, VOCABULARY, tokens).tolist()


@pytest.fixture(scope="module")
def full():
    """400 rows of 128 tokens."""
    return batch_of([text(LENGTH - 2, seed) for seed in range(400)])


@pytest.mark.parametrize("mask_prob, length, expected", [(0.15, 128, 19), (0.15, 512, 79), (0.25, 512, 130)])
def test_most_predictions_are_as_many_as_in_the_original(mask_prob, length, expected):
    assert max_predictions(mask_prob, length) == expected


@pytest.mark.parametrize("mask_prob", [0.05, 0.15, 0.25])
def test_so_many_distinct_positions_as_asked_for_are_chosen_of_the_maskable_ones(mask_prob):
    lengths = [1, 2, 3, 10, 30, 61, 90, 126]
    batch = batch_of([text(n, n) for n in lengths])
    masked = mask(batch, 0, 0, Masking(mask_prob=mask_prob), IDS)
    for row, length in enumerate(lengths):
        chosen = masked.positions[row].numpy()[masked.weights[row].numpy() > 0]
        wanted = max(1, np.round(mask_prob * length))
        assert len(set(chosen)) == len(chosen) == min(wanted, max_predictions(mask_prob, LENGTH))
        assert all(1 <= position <= length for position in chosen)


def test_special_tokens_and_padding_are_never_masked_even_inside_a_text():
    inner = [*text(20), IDS.sep, *text(20, 1), IDS.mask, IDS.cls, *text(10, 2)]
    batch = batch_of([inner] * 50)
    masked = mask(batch, 1, 2, Masking(mask_prob=0.9), IDS)
    ids = batch["input_ids"].numpy()
    chosen = np.zeros_like(ids)
    np.put_along_axis(chosen, masked.positions.numpy(), masked.weights.numpy().astype(int), 1)
    special = np.isin(ids, SPECIAL)
    assert not chosen[special].any()
    assert (chosen.sum(-1) == round(0.9 * 50)).all()
    assert np.array_equal(masked.input_ids.numpy()[special], ids[special])


def test_a_row_with_nothing_to_mask_masks_nothing():
    batch = batch_of([[], text(40)])
    masked = mask(batch, 0, 0, Masking(), IDS)
    assert masked.weights[0].numpy().sum() == 0
    assert np.array_equal(masked.input_ids[0], batch["input_ids"][0])


def test_the_original_ids_of_the_positions_are_kept(full):
    masked = mask(full, 3, 1, Masking(), IDS)
    assert np.array_equal(masked.ids, tf.gather(full["input_ids"], masked.positions, batch_dims=1))


def test_every_position_is_equally_likely(full):
    counts = np.zeros(LENGTH)
    for step in range(50):
        masked = mask(full, 0, step, Masking(), IDS)
        counts += np.bincount(masked.positions.numpy().ravel(), minlength=LENGTH)
    counts, draws = counts[1:-1], 50 * 400
    share = 19 / 126
    assert np.abs(counts / draws - share).max() < 5 * math.sqrt(share * (1 - share) / draws)


@pytest.mark.parametrize(
    "mask_token, random_token",
    [(0.85, 0.0), (1.0, 0.0), (0.8, 0.1), (0.0, 1.0)],
    ids=["original", "all", "BERT", "any"],
)
def test_chosen_positions_show_mask_any_token_or_their_own_in_the_shares_asked_for(full, mask_token, random_token):
    config = Masking(mask_token_prob=mask_token, random_token_prob=random_token)
    masked = mask(full, 0, 5, config, IDS)
    shown = tf.gather(masked.input_ids, masked.positions, batch_dims=1).numpy()
    own = masked.ids.numpy()
    found = {"mask": (shown == IDS.mask).mean(), "own": (shown == own).mean()}
    n = shown.size
    hits = random_token / (VOCABULARY - len(SPECIAL))
    wanted = {"mask": mask_token + hits, "own": 1 - mask_token - random_token + hits}
    for name, share in wanted.items():
        assert abs(found[name] - share) <= 5 * math.sqrt(share * (1 - share) / n) + 1e-9, name
    others = shown[(shown != IDS.mask) & (shown != own)]
    assert len(others) == 0 or (others.min() < 20 and others.max() > VOCABULARY - 20)
    assert not np.isin(others, SPECIAL).any()


def test_positions_that_are_not_chosen_are_left_alone(full):
    masked = mask(full, 0, 0, Masking(), IDS)
    changed = (masked.input_ids != full["input_ids"]).numpy()
    allowed = np.zeros_like(changed)
    np.put_along_axis(allowed, masked.positions.numpy(), True, 1)
    assert not (changed & ~allowed).any()


def test_masks_follow_from_run_and_step_alone(full):
    first = mask(full, 0, 4, Masking(), IDS)
    again = mask(full, 0, tf.constant(4, tf.int64), Masking(), IDS)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    for run_seed, step in ((0, 5), (1, 4)):
        assert not np.array_equal(mask(full, run_seed, step, Masking(), IDS).positions, first.positions)


@pytest.mark.parametrize("compiled", [{}, {"jit_compile": True}], ids=["graph", "XLA"])
@pytest.mark.parametrize("compat", [{}, {"draw_with_replacement": True}], ids=["", "with replacement"])
def test_a_graph_and_xla_mask_the_same(full, compiled, compat):
    config = Masking(random_token_prob=0.1, **compat)
    function = tf.function(lambda batch, step: mask(batch, 0, step, config, IDS), autograph=False, **compiled)
    here, there = mask(full, 0, 2, config, IDS), function(full, tf.constant(2))
    assert all(np.array_equal(a, b) for a, b in zip(here, there, strict=True))


def test_drawing_with_replacement_masks_as_few_distinct_positions_as_the_original(full):
    """17.71 of 19 at length 128, 13.8 % of the row; 85.9 % of the distinct ones show [MASK]."""
    compat = {"draw_with_replacement": True, "count_special_tokens": True}
    distinct, shown = [], []
    for step in range(20):
        masked = mask(full, 0, step, Masking(**compat), IDS)
        assert masked.weights.numpy().sum(-1).tolist() == [19] * 400
        chosen = np.zeros([400, LENGTH], bool)
        np.put_along_axis(chosen, masked.positions.numpy(), True, 1)
        distinct.append(chosen.sum(-1).mean())
        shown.append((masked.input_ids.numpy() == IDS.mask)[chosen].mean())
    assert np.mean(distinct) == pytest.approx(17.71, abs=0.04)
    assert np.mean(shown) == pytest.approx(0.859, abs=0.004)


def test_counting_special_tokens_masks_more_as_the_original():
    batch = batch_of([text(98)])
    counts = [
        float(tf.reduce_sum(mask(batch, 0, 0, Masking(**compat), IDS).weights))
        for compat in ({}, {"count_special_tokens": True})
    ]
    assert counts == [15, 15]  # 14.7 and 15
    batch = batch_of([text(95)])
    counts = [
        float(tf.reduce_sum(mask(batch, 0, 0, Masking(**compat), IDS).weights))
        for compat in ({}, {"count_special_tokens": True})
    ]
    assert counts == [14, 15]  # 14.25 and 14.55


def test_values_are_written_where_they_count_and_nowhere_else():
    ids = tf.constant([[10, 11, 12, 13], [20, 21, 22, 23]])
    positions, values = tf.constant([[2, 0], [1, 3]]), tf.constant([[92, 90], [81, 83]])
    weights = tf.constant([[1.0, 0.0], [1.0, 1.0]])
    assert scatter(ids, positions, values, weights).numpy().tolist() == [[10, 11, 92, 13], [20, 81, 22, 83]]


def test_repeated_values_become_the_floor_of_their_mean_and_position_0_is_never_written():
    ids = tf.constant([[10, 11, 12, 13]])
    positions = tf.constant([[1, 1, 0, 3, 3]])
    values = tf.constant([[100, 103, 99, 7, 50]])
    weights = tf.constant([[1.0, 1.0, 1.0, 1.0, 0.0]])
    assert scatter(ids, positions, values, weights, average_repeated=True).numpy().tolist() == [[10, 101, 12, 7]]


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"mask_prob": 0.0}, "mask_prob is 0.0"),
        ({"last_mask_prob": 1.0}, "last_mask_prob is 1.0"),
        ({"mask_token_prob": 0.9, "random_token_prob": 0.2}, "two shares of the masked positions"),
        ({"unit": "sentence"}, "one of token, word, ngram, span"),
        ({"max_predictions": 0}, "max_predictions is 0"),
        ({"longest": 3}, "longest is 3 with the unit 'token'"),
        ({"unit": "word", "favor_longer": True}, "favor_longer with the unit 'word'"),
        ({"one_by_one": True}, "one_by_one with the unit 'token'"),
        ({"unit": "word", "by_coins": True}, "by_coins with the unit 'word'"),
        ({"by_coins": True, "draw_with_replacement": True}, "one of them"),
        ({"random_special_tokens": True}, "random_token_prob 0"),
    ],
    ids=str,
)
def test_masking_that_cannot_be_meant_is_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        Masking(**settings)


@pytest.mark.parametrize(
    ("settings", "length", "told"),
    [
        ({}, 128, None),
        ({}, 512, None),
        ({}, 32, None),
        ({"mask_prob": 0.05}, 32, "at most 1 of 32 tokens .* is 2 tokens; max_predictions = 2 masks"),
        ({}, 19, "at most 2 of 19 tokens"),
        ({"max_predictions": 10}, 128, "a larger max_predictions, or none, masks"),
        ({"mask_prob": 0.1, "last_mask_prob": 0.3, "max_predictions": 13}, 128, "a share of 0.3 is 38"),
    ],
)
def test_a_limit_that_masks_less_than_asked_is_told(settings, length, told):
    found = Masking(**settings).advice(length)
    assert found is None if told is None else re.search(told, found), found
