"""Words, n-grams and spans are masked whole, as often as is said, and each as likely as any other.

What is judged with statistics is drawn from fixed seeds: limits are 4.5 standard deviations, or a p-value of 0.001.
"""

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import chisquare
from word_batches import (
    CLS,
    FIRST_INNER,
    MASK,
    PAD,
    SEP,
    TOKENS,
    UNK,
    VOCABULARY,
    batch_of,
    chosen,
    full_rows,
    word_numbers,
    words,
)

from electra_tf.errors import ConfigError
from electra_tf.pretraining.mask_units import Numbers, chosen_units, length_shares, run_starts, units, word_starts
from electra_tf.pretraining.masking import Masking, mask, maskable

SHORT, LONG = [1, 1, 1, 2], [1, 2, 3, 4]  # sizes of words in tokens: 1.25 as in English, and 2.5
WORD, NGRAM, SPAN = Masking(unit="word"), Masking(unit="ngram"), Masking(unit="span")
LONGER = Masking(unit="ngram", favor_longer=True)
UNITS = pytest.mark.parametrize("masking", [WORD, NGRAM, LONGER, SPAN], ids=["word", "ngram", "longer", "span"])


def runs_and_words(batch, masking):
    candidates = maskable(batch, TOKENS)
    opens = run_starts(candidates, masking.across_separators)
    return candidates, opens, word_starts(batch["input_ids"], candidates, opens, TOKENS)


def cut_by_hand(opens, starts, lengths, shares):
    """For each row the units of its runs, lists of words: how `units` is meant, one word at a time."""
    bounds, rows = np.cumsum(shares)[:-1], []
    for row_opens, row_starts, numbers in zip(opens, starts, lengths, strict=True):
        cut, word, size = [], -1, 0
        for place in np.flatnonzero(row_starts):
            word += 1
            if row_opens[place]:
                drawn = iter(numbers[word:])
            if row_opens[place] or len(cut[-1]) == size:
                size = 1 + np.searchsorted(bounds, next(drawn), side="right")
                cut.append([])
            cut[-1].append(word)
        rows.append(cut)
    return rows


# How long units are


@pytest.mark.parametrize(
    "masking, shares",
    [
        (WORD, [1]),
        (NGRAM, [6 / 11, 3 / 11, 2 / 11]),
        (LONGER, [2 / 11, 3 / 11, 6 / 11]),
        (Masking(unit="ngram", longest=2), [2 / 3, 1 / 3]),
        (SPAN, 0.2 * 0.8 ** np.arange(10) / (1 - 0.8**10)),
    ],
)
def test_the_shares_of_lengths_are_those_of_the_papers(masking, shares):
    assert length_shares(masking) == pytest.approx(list(shares))


@UNITS
@pytest.mark.parametrize("segments", [1, 2, 3, 5])
def test_every_run_is_cut_from_its_beginning_into_units_of_the_lengths_drawn(masking, segments):
    candidates, opens, starts = runs_and_words(full_rows(50, 64, SHORT, segments), masking)
    lengths = np.random.default_rng(segments).random([50, 64], np.float32)
    unit = units(opens, starts, lengths, length_shares(masking)).numpy()
    word = np.cumsum(starts, axis=1) - 1
    by_hand = cut_by_hand(opens.numpy(), starts.numpy(), lengths, length_shares(masking))
    for row in range(50):
        at = starts[row].numpy()
        found = [word[row][at & (unit[row] == n)].tolist() for n in sorted(set(unit[row][at]))]
        assert found == by_hand[row]
        inner = candidates[row].numpy() & ~at
        assert all(unit[row][place] == unit[row][place - 1] for place in np.flatnonzero(inner))


def lengths_of_chosen_units(masking, sizes, least, length=128, rows=2000):
    """How many of at least so many chosen units have each length, in words.

    Counted are units that begin at least `longest` words before the end of their run: others may be cut short by it.
    """
    shares = length_shares(masking)
    batch = full_rows(rows, length, sizes)
    candidates, opens, starts = runs_and_words(batch, masking)
    word = np.cumsum(starts, axis=1) - 1
    run = np.cumsum(opens, axis=1)
    left = np.zeros([rows, length], int)  # words from here to the end of the run
    for number in range(1, run.max() + 1):
        last = np.where(run == number, word, -1).max(axis=1, keepdims=True)
        left = np.where(run == number, last - word + 1, left)
    wanted = np.round(masking.mask_prob * candidates.numpy().sum(axis=1)).astype("float32")

    @tf.function
    def draw(numbers):
        unit = units(opens, starts, numbers.lengths, shares)
        return unit, *chosen_units(candidates, unit, numbers, tf.constant(wanted), masking.predictions(length))

    counts = np.zeros(len(shares) + 1, int)
    random = np.random.default_rng(1)
    row = np.arange(rows)[:, None]
    while counts.sum() < least:
        size = [rows, length]
        unit, positions, number = draw(Numbers(*(tf.constant(random.random(s, "float32")) for s in (size, size, rows))))
        unit = unit.numpy()
        masked = np.zeros([rows, length], bool)
        masked[row, positions] = np.arange(positions.shape[1]) < number.numpy()[:, None]
        at = row * length + unit
        words_of = np.bincount(at[masked & starts], minlength=rows * length)
        first = starts & (opens | (unit != np.roll(unit, 1, axis=1)))
        far = np.bincount(at[masked & first & (left >= len(shares))], minlength=rows * length) > 0
        counts += np.bincount(words_of[far], minlength=len(counts))
    return counts[1:]


@pytest.mark.parametrize("least", [50_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("sizes", [SHORT, LONG], ids=["short words", "long words"])
@pytest.mark.parametrize("masking", [NGRAM, LONGER, SPAN], ids=["ngram", "longer", "span"])
def test_masked_units_have_the_lengths_asked_for(masking, sizes, least):
    counts = lengths_of_chosen_units(masking, sizes, least)
    p = chisquare(counts, np.array(length_shares(masking)) * counts.sum()).pvalue
    print(f"{counts.sum():,} units, shares {np.round(counts / counts.sum(), 4).tolist()}, p = {p:.3f}")
    assert p > 0.001


# What is masked, and how much


@pytest.mark.slow
@UNITS
def test_every_word_of_a_row_is_as_likely_to_be_masked_as_any_other(masking):
    """Words of 1 to 5 tokens in two segments; the likelihood is masked tokens / maskable ones, exactly."""
    first, second = words(1, 5, 2, 1, 3, 1, 4, 1, 1, 2), words(2, 1, 1, 5, 1, 3, 1, 1)
    batch = batch_of([[first, second]] * 4000, 48)
    total = len(first) + len(second)
    numbers = word_numbers(batch)[0].tolist()
    starts = [numbers.index(word) for word in range(18)]
    hits, draws = 0, 10 * 4000
    for step in range(10):
        hits = hits + chosen(mask(batch, 0, step, masking, TOKENS), 48).sum(axis=0)
    share = np.round(0.15 * total) / total
    off = (hits / draws - share) / np.sqrt(share * (1 - share) / draws)
    assert np.abs(off[starts]).max() < 4.5


@UNITS
@pytest.mark.parametrize("length, rows", [(32, 4000), pytest.param(128, 1000, marks=pytest.mark.slow), (512, 200)])
@pytest.mark.parametrize(
    "sizes", [SHORT, pytest.param(LONG, marks=pytest.mark.slow)], ids=["short words", "long words"]
)
def test_so_many_tokens_as_asked_for_are_masked_on_average(masking, length, rows, sizes):
    batch = full_rows(rows, length, sizes)
    for rate in (0.05, 0.15, 0.3):
        config = Masking(mask_prob=rate, unit=masking.unit, favor_longer=masking.favor_longer)
        draws = [mask(batch, 0, step, config, TOKENS).weights for step in range(2)]
        counts = tf.reduce_sum(tf.concat(draws, axis=0), axis=1).numpy()
        error = counts.std() / np.sqrt(counts.size)
        wanted = np.round(rate * (length - 3))
        print(f"{masking.unit} {length} {rate}: {counts.mean():.3f} of {wanted:.0f}, {error:.3f}")
        assert abs(counts.mean() - wanted) < 4.5 * error
        assert error < 0.04 * wanted
        assert counts.max() <= config.predictions(length)


@UNITS
def test_words_are_masked_whole(masking):
    batch = full_rows(500, 128, LONG)
    word, masked = word_numbers(batch), chosen(mask(batch, 0, 0, masking, TOKENS), 128)
    for row in range(500):
        assert not set(word[row][masked[row]]) & set(word[row][~masked[row]])


@UNITS
@pytest.mark.parametrize("limit", [1, 3, 19])
def test_never_more_than_the_most_predictions_are_masked(masking, limit):
    config = Masking(mask_prob=0.5, max_predictions=limit, unit=masking.unit, favor_longer=masking.favor_longer)
    batch = full_rows(2000, 64, LONG)
    masked = mask(batch, 0, 0, config, TOKENS)
    assert masked.positions.shape == [2000, limit]
    assert chosen(masked, 64).sum(axis=1).max() <= limit


@UNITS
def test_special_tokens_are_never_masked_and_no_unit_holds_one(masking):
    inner = [*words(1, 2, 1), MASK, *words(3, 1), CLS, *words(1, 1)]
    batch = batch_of([[inner, words(2, 1), words(1)]] * 2000, 24)
    candidates, opens, starts = runs_and_words(batch, masking)
    lengths = np.random.default_rng(0).random([2000, 24], np.float32)
    unit, run = units(opens, starts, lengths, length_shares(masking)).numpy(), np.cumsum(opens, axis=1)
    ids = batch["input_ids"].numpy()
    assert not np.isin(ids[candidates.numpy()], [PAD, CLS, SEP, MASK]).any()
    for row in range(2000):
        at = candidates[row].numpy()
        assert len(set(zip(unit[row][at], run[row][at], strict=True))) == len(set(unit[row][at]))
    masked = mask(batch, 0, 0, masking, TOKENS)
    assert not chosen(masked, 24)[~candidates.numpy()].any()
    assert np.array_equal(masked.input_ids.numpy()[~candidates.numpy()], ids[~candidates.numpy()])


# Odd rows


@UNITS
def test_a_row_with_nothing_to_mask_masks_nothing(masking):
    batch = batch_of([[[]], [[], []], [words(1, 1, 1)]], 8)
    masked = mask(batch, 0, 0, masking, TOKENS)
    assert not chosen(masked, 8)[:2].any()
    assert np.array_equal(masked.input_ids[:2], batch["input_ids"][:2])


def test_a_word_longer_than_the_most_predictions_is_masked_in_parts_of_that_many():
    batch = batch_of([[words(25)]] * 1000, 32)
    masked = chosen(mask(batch, 0, 0, Masking(max_predictions=10, unit="word"), TOKENS), 32)
    parts = np.split(masked[:, 1:26], [10, 20], axis=1)
    assert all((part == part[:, :1]).all() and part.any() for part in parts)
    assert set(masked.sum(axis=1)) == {0, 5, 10}


@UNITS
def test_unknown_tokens_are_words_of_their_own(masking):
    batch = batch_of([[[UNK] * 61]] * 4000, 64)
    counts = chosen(mask(batch, 0, 0, masking, TOKENS), 64).sum(axis=1)
    assert counts.mean() == pytest.approx(9, abs=4.5 * counts.std() / np.sqrt(4000))
    assert masking.unit != "word" or set(counts) == {9}


def test_a_piece_that_continues_a_word_begins_one_at_the_head_of_a_segment():
    head = [700, 701]  # of a word that was cut off
    batch = batch_of([[words(1, 1), [*head, *words(1, 1)]]] * 2000, 12)
    masked = chosen(mask(batch, 0, 0, WORD, TOKENS), 12)
    assert (masked[:, 4] == masked[:, 5]).all() and masked[:, 4].any()
    assert not (masked[:, 2] & masked[:, 4]).all() and (masked[:, 2] != masked[:, 4]).any()


def test_words_and_ngrams_go_across_separators_where_that_is_asked_for():
    batch = batch_of([[words(1, 1), [700, *words(1, 1)]]] * 2000, 12)
    across = Masking(unit="word", across_separators=True)
    masked = chosen(mask(batch, 0, 0, across, TOKENS), 12)
    assert (masked[:, 2] == masked[:, 4]).all()  # one word, glued across [SEP] at 3
    batch = batch_of([[words(1), words(1, 1)]] * 2000, 12)
    across = Masking(mask_prob=0.5, unit="ngram", longest=2, favor_longer=True, across_separators=True)
    _, opens, starts = runs_and_words(batch, across)
    unit = units(opens, starts, np.full([2000, 12], 0.9, np.float32), length_shares(across)).numpy()
    assert (unit[:, 1] == unit[:, 3]).all() and (unit[:, 3] != unit[:, 4]).all()


# What stands in their place


@UNITS
def test_masked_tokens_show_mask_any_token_or_their_own_in_the_shares_asked_for(masking):
    config = Masking(0.15, mask_token_prob=0.8, random_token_prob=0.1, unit=masking.unit)
    batch = full_rows(4000, 128, SHORT)
    masked = mask(batch, 0, 0, config, TOKENS)
    at = masked.weights.numpy() > 0
    shown = tf.gather(masked.input_ids, masked.positions, batch_dims=1).numpy()[at]
    counts = [(shown == MASK).sum(), (shown == masked.ids.numpy()[at]).sum()]
    same = 0.1 / (VOCABULARY - 5)  # a random token that is the one that was there
    shares = np.array([0.8, 0.1 + same, 0.1 - same])
    assert chisquare([*counts, at.sum() - sum(counts)], shares * at.sum()).pvalue > 0.001


@pytest.mark.parametrize("special", [False, True])
def test_a_random_token_is_any_but_a_special_one_unless_that_is_asked_for(special):
    tokens = TOKENS._replace(size=20, begins=np.ones(20, bool))
    config = Masking(0.3, mask_token_prob=0, random_token_prob=1, unit="word", random_special_tokens=special)
    batch = batch_of([[[7] * 61]] * 4000, 64)
    masked = mask(batch, 0, 0, config, tokens)
    shown = tf.gather(masked.input_ids, masked.positions, batch_dims=1).numpy()[masked.weights.numpy() > 0]
    counts = np.bincount(shown, minlength=20)
    assert special or not counts[:5].any()
    assert chisquare(counts if special else counts[5:]).pvalue > 0.001


# What a draw depends on


@pytest.mark.parametrize(
    "unit, compat",
    [
        ("ngram", {"one_by_one": True}),
        pytest.param("word", {}, marks=pytest.mark.slow),
        pytest.param("span", {}, marks=pytest.mark.slow),
        pytest.param("ngram", {}, marks=pytest.mark.slow),
        pytest.param("word", {"one_by_one": True}, marks=pytest.mark.slow),
        pytest.param("span", {"one_by_one": True}, marks=pytest.mark.slow),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else value,
)
def test_a_graph_and_xla_mask_the_same(unit, compat):
    batch = full_rows(100, 48, LONG, segments=3)
    config = Masking(unit=unit, mask_token_prob=0.8, random_token_prob=0.1, **compat)
    functions = [
        tf.function(lambda step: mask(batch, 0, step, config, TOKENS), jit_compile=xla) for xla in (False, True)
    ]
    for step in range(3):
        here = mask(batch, 0, step, config, TOKENS)
        for function in functions:
            assert all(np.array_equal(a, b) for a, b in zip(here, function(tf.constant(step)), strict=True))


@UNITS
def test_masks_follow_from_run_and_step_alone(masking):
    batch = full_rows(50, 64, SHORT)
    first = mask(batch, 3, 4, masking, TOKENS)
    mask(batch, 5, 6, masking, TOKENS)
    again = mask(batch, 3, tf.constant(4, tf.int64), masking, TOKENS)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    for seed, step in ((3, 5), (2, 4)):
        assert not np.array_equal(mask(batch, seed, step, masking, TOKENS).positions, first.positions)


@pytest.mark.parametrize("unit", ["token", "word", "ngram", "span"])
@pytest.mark.parametrize("step, share", [(0, 0.3), (50, 0.225), (100, 0.15), (120, 0.15)])
def test_the_share_of_masked_tokens_falls_evenly_to_the_last(unit, step, share):
    config = Masking(mask_prob=0.3, last_mask_prob=0.15, unit=unit)
    batch = full_rows(4000, 128, SHORT)
    masked = mask(batch, 0, tf.constant(step), config, TOKENS, steps=100)
    counts, wanted = masked.weights.numpy().sum(axis=1), np.round(np.float32(share) * np.float32(125))
    assert counts.mean() == pytest.approx(wanted, abs=4.5 * counts.std() / np.sqrt(4000))


def test_there_is_room_for_the_larger_share_whether_it_is_the_first_or_the_last():
    assert Masking(0.15, last_mask_prob=0.3).predictions(128) == Masking(0.3, last_mask_prob=0.15).predictions(128)


def test_a_vocabulary_in_which_every_token_begins_a_word_is_refused():
    with pytest.raises(ConfigError, match="does not tell where words begin"):
        WORD.check(TOKENS._replace(begins=np.ones(VOCABULARY, bool)))


def test_the_words_of_these_batches_are_counted_as_said():
    batch = batch_of([[words(1, 2), words(3)]], 10)
    inner = (batch["input_ids"].numpy()[0] >= FIRST_INNER).astype(int)
    assert inner.tolist() == [0, 0, 0, 1, 0, 0, 1, 1, 0, 0]
    assert word_numbers(batch)[0].tolist() == [-1, 0, 1, 1, -1, 2, 2, 2, -1, -1]
