"""Pairs for sentence order: swapped by a fair coin, labelled, masked afterwards; what records hold is kept."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import binomtest, chisquare
from word_batches import CLS, MASK, PAD, SEP, TOKENS, batch_of, chosen, words

from electra_tf.data.examples import ORDER, STATIC_MASKS
from electra_tf.pretraining.masked_lm import MaskedLanguageModelling
from electra_tf.pretraining.masking import Masking
from electra_tf.pretraining.segment_swapping import has_pair, swapped
from electra_tf.pretraining.settings import MaskedLM

LENGTH = 24
ENCODER = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
ENCODER |= {"max_position_embeddings": LENGTH, "embedding_size": 16}


def pairs_of(rows, length=LENGTH):
    """`[CLS] A [SEP] B [SEP]`, or `[CLS] A [SEP]` where B is None."""
    batch = batch_of([[a] if b is None else [a, b] for a, b in rows], length)
    segments = [[0] * (len(a) + 2) + [1] * (0 if b is None else len(b) + 1) for a, b in rows]
    segments = [row + [0] * (length - len(row)) for row in segments]
    return {**batch, "segment_ids": tf.constant(segments)}


def random_pairs(count, seed=0):
    """Rows of all kinds: padded and full, with B, of one token and of more, and without."""
    random, rows = np.random.default_rng(seed), []
    for _ in range(count):
        total = LENGTH - 3 if random.random() < 0.3 else int(random.integers(2, LENGTH - 3))
        first = total - 1 if random.random() < 0.2 else int(random.integers(1, total))
        text = random.integers(5, 1000, total).tolist()
        rows.append((text, None) if random.random() < 0.2 else (text[:first], text[first:]))
    return rows


def objective(order_weight=1.0, **masking):
    settings = MaskedLM("albert_base_v2", ENCODER, order_weight=order_weight)
    return MaskedLanguageModelling(settings, Masking(**masking), TOKENS, steps=10)


def is_same(batch, other):
    return all(np.array_equal(batch[name], other[name]) for name in ("input_ids", "input_mask", "segment_ids"))


def test_swapping_changes_the_segments_over_where_there_are_two():
    rows = random_pairs(500)
    where = np.random.default_rng(1).random(500) < 0.5
    by_hand = [(b, a) if swap and b is not None else (a, b) for (a, b), swap in zip(rows, where, strict=True)]
    assert is_same(swapped(pairs_of(rows), where), pairs_of(by_hand))


@pytest.mark.parametrize("a, b", [(1, 1), (1, 20), (20, 1), (3, 4)])
def test_segments_of_any_sizes_are_swapped_and_swapped_back(a, b):
    text = words(*[1] * (a + b))
    batch = pairs_of([(text[:a], text[a:])])
    once = swapped(batch, tf.constant([True]))
    assert is_same(once, pairs_of([(text[a:], text[:a])]))
    assert is_same(swapped(once, tf.constant([True])), batch)


def test_a_row_of_one_segment_is_no_pair_and_stays_as_it_is():
    batch = pairs_of([(words(1, 2), None), ([], None), (words(1), words(1))])
    assert has_pair(batch).numpy().tolist() == [False, False, True]
    after = swapped(batch, tf.constant([True, True, False]))
    assert is_same(after, batch)


def test_what_is_between_special_tokens_alone_is_no_pair_either():
    """`[CLS] A [SEP] [SEP]`: the second segment is a [SEP]."""
    batch = pairs_of([(words(1, 1), [])])
    assert has_pair(batch).numpy().tolist() == [False]


def test_coins_are_fair_and_those_of_rows_and_steps_have_nothing_to_do_with_each_other():
    draw = objective().draw
    batch = pairs_of([(words(1, 1), words(1))] * 2000)
    coins = np.array([draw(batch, 0, step).is_swapped for step in range(50)])
    assert binomtest(int(coins.sum()), coins.size).pvalue > 0.001
    neighbours = [2 * coins[:, :-1] + coins[:, 1:], 2 * coins[:-1] + coins[1:]]
    for pairs in (neighbours[0][:, ::2], neighbours[1][::2]):
        assert chisquare(np.bincount(pairs.ravel(), minlength=4)).pvalue > 0.001


def test_the_label_is_0_in_order_and_1_swapped_and_only_pairs_are_judged():
    rows = random_pairs(400)
    batch = pairs_of(rows)
    drawn = objective(mask_token_prob=0.0).draw(batch, 0, 0)  # every token shows itself
    labels = drawn.is_swapped.numpy()
    by_hand = pairs_of([(b, a) if label else (a, b) for (a, b), label in zip(rows, labels, strict=True)])
    assert np.array_equal(drawn.masked.input_ids, by_hand["input_ids"])
    assert np.array_equal(drawn.segment_ids, by_hand["segment_ids"])
    assert drawn.judged.numpy().tolist() == [float(b is not None) for _, b in rows]
    assert not labels[[b is None for _, b in rows]].any()


def test_masks_are_drawn_after_the_swap():
    """The tokens said to have been at the positions are those of the swapped row."""
    rows = random_pairs(200)
    drawn = objective(unit="word").draw(pairs_of(rows), 0, 3)
    labels = drawn.is_swapped.numpy()
    by_hand = pairs_of([(b, a) if label else (a, b) for (a, b), label in zip(rows, labels, strict=True)])
    assert np.array_equal(drawn.masked.ids, tf.gather(by_hand["input_ids"], drawn.masked.positions, batch_dims=1))
    where = chosen(drawn.masked, LENGTH)
    assert np.array_equal(drawn.masked.input_ids.numpy()[~where], by_hand["input_ids"].numpy()[~where])
    assert not np.isin(by_hand["input_ids"].numpy()[where], [PAD, CLS, SEP, MASK]).any()


def test_the_draw_is_a_function_of_the_global_batch_seed_and_step_in_a_graph_too():
    """So that devices, which take their rows of it, cannot change it."""
    draw, batch = objective(unit="ngram").draw, pairs_of(random_pairs(64))
    graph = tf.function(lambda step: draw(batch, 7, step))
    first = draw(batch, 7, 2)
    for again in (draw(batch, 7, 2), graph(tf.constant(2)), graph(tf.constant(2, tf.int64))):
        flat = zip(tf.nest.flatten(first), tf.nest.flatten(again), strict=True)
        assert all(np.array_equal(a, b) for a, b in flat)
    for seed, step in ((7, 3), (8, 2)):
        assert not np.array_equal(draw(batch, seed, step).is_swapped, first.is_swapped)


def test_an_order_that_the_records_hold_is_respected():
    batch = pairs_of([(words(1, 1), words(1, 1))] * 100)
    labels = tf.constant([0, 1] * 50)
    drawn = objective(mask_token_prob=0.0).draw({**batch, ORDER: labels}, 0, 0)
    assert np.array_equal(drawn.is_swapped, labels)
    assert np.array_equal(drawn.masked.input_ids, batch["input_ids"])
    assert np.array_equal(drawn.segment_ids, batch["segment_ids"])


def test_masks_that_the_records_hold_are_respected():
    batch = pairs_of([(words(1, 1), words(1, 1))] * 3)
    masks = [tf.constant([[1, 0]] * 3), tf.constant([[9, 0]] * 3), tf.constant([[1.0, 0.0]] * 3)]
    static = {**batch, ORDER: tf.constant([0, 1, 1]), **dict(zip(STATIC_MASKS, masks, strict=True))}
    drawn = objective().draw(static, 0, 0)
    assert np.array_equal(drawn.masked.input_ids, batch["input_ids"])
    for found, said in zip(drawn.masked[1:], masks, strict=True):
        assert np.array_equal(found, said)


def test_where_order_is_not_learnt_nothing_is_swapped():
    batch = pairs_of([(words(1, 1), words(1, 1))] * 100)
    drawn = objective(order_weight=0.0, mask_token_prob=0.0).draw(batch, 0, 0)
    assert np.array_equal(drawn.masked.input_ids, batch["input_ids"])
    assert not drawn.is_swapped.numpy().any()
