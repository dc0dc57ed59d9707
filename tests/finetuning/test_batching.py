"""Rows in batches of like length: every row in every epoch, an order by seed and step, few lengths."""

import numpy as np
import pytest

from electra_tf.finetuning.batching import Batches, Rows
from electra_tf.finetuning.classification import Classification
from electra_tf.finetuning.records import Record
from electra_tf.text.tokenizer import Encoding, Tokenizer
from electra_tf.text.wordpiece_tokenizer import WordPieceTokenizer

COUNT, BATCH = 203, 4


@pytest.fixture(scope="module")
def source(quick_vocab):
    sizes = np.random.default_rng(0).integers(3, 101, COUNT)
    encodings = [Encoding([7] * size, [0] * size, [], []) for size in sizes]
    rows = Rows(encodings, {"target": np.arange(COUNT, dtype=np.int32)}, 100)
    return Batches(rows, WordPieceTokenizer.from_pretrained(quick_vocab), "rows.csv")


def taken(source, steps, first=0, seed=0):
    return list(source.batches(BATCH, seed=seed, start_step=first).take(steps).as_numpy_iterator())


def test_an_epoch_has_every_row_and_the_next_another_order(source):
    steps = source.steps_an_epoch(BATCH)
    orders = [np.concatenate([batch["target"] for batch in taken(source, steps, n * steps)]) for n in range(2)]
    for order in orders:
        counts = np.bincount(order, minlength=COUNT)
        assert counts.min() == 1 and counts.sum() == steps * BATCH
    assert not np.array_equal(*orders)


def test_in_a_batch_of_more_rows_than_there_are_all_are_as_often_but_for_one_time(quick_vocab):
    rows = Rows([Encoding([7] * 4, [0] * 4, [], [])] * 5, {"target": np.arange(5, dtype=np.int32)}, 8)
    source = Batches(rows, WordPieceTokenizer.from_pretrained(quick_vocab), "rows.csv")
    assert source.steps_an_epoch(4096) == 1
    batches = list(source.batches(4096, seed=0).take(10).as_numpy_iterator())
    counts = np.array([np.bincount(batch["target"], minlength=5) for batch in batches])
    assert set(counts.ravel()) == {819, 820} and counts.sum(1).tolist() == [4096] * 10
    assert len(set(counts.argmax(1))) > 1  # not always the same row is once more in it


def test_batches_follow_from_seed_and_step(source):
    whole, later, other = taken(source, 12), taken(source, 5, 7), taken(source, 12, seed=1)
    for ours, theirs in zip(whole[7:], later, strict=True):
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert any(not np.array_equal(a["target"], b["target"]) for a, b in zip(whole, other, strict=True))


def test_lengths_are_few_and_little_longer_than_rows_and_a_stretch_says_how_long_they_stay(source):
    batches, step = taken(source, 60), 0
    for batch in batches:
        longest, length = batch["input_mask"].sum(1).max(), batch["input_ids"].shape[1]
        assert longest <= length <= max(longest + 4, 1.125 * longest) and length <= 100
    assert len(Rows([], {}, 512).lengths) == 40 and Rows([], {}, 512).lengths[-1] == 512
    while step < 60:
        length, alike = source.stretch(BATCH, seed=0, step=step)
        here = batches[step : step + alike]
        assert {batch["input_ids"].shape[1] for batch in here} == {length}
        step += alike


def test_padding_is_computed_far_less_than_with_one_length(source):
    batches = taken(source, source.steps_an_epoch(BATCH))
    computed = sum(batch["input_ids"].size for batch in batches)
    assert computed < 1.15 * sum(batch["input_mask"].sum() for batch in batches)
    for batch in batches:
        np.testing.assert_array_equal(batch["input_mask"] == 1, batch["input_ids"] == 7)


def test_other_rows_have_another_identity(source, quick_vocab):
    tokenizer, rows = source.tokenizer, source.rows
    same = Batches(rows, tokenizer, "elsewhere.csv")
    assert same.identity == source.identity
    encodings = [
        Encoding(ids.tolist(), segments.tolist(), [], [])
        for (ids,), (segments,) in zip(rows.ids, rows.segments, strict=True)
    ]
    other = Rows(encodings, {"target": rows.targets["target"][::-1].copy()}, 100)
    assert Batches(other, tokenizer, "rows.csv").identity != source.identity


@pytest.mark.parametrize("long, rows", [("truncate", 1), ("head_tail", 1), ("windows", 4)])
def test_of_a_long_text_is_seen_what_was_asked_for(quick_vocab, long, rows):
    tokenizer = Tokenizer.from_pretrained(quick_vocab)
    text = " ".join(["sea"] * 10 + ["the"] * 20 + ["captain"] * 10)
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    task = Classification(("a", "b"), (1.0, 1.0), long=long)
    split = task.split([Record((text,), "b", ""), Record(("sea",), "a", "")], tokenizer, 18)
    assert split.places == [0] * rows + [1]
    seen = [row[0][1:-1].tolist() for row in split.rows.ids]
    expected = {"truncate": [ids[:16]], "head_tail": [ids[:4] + ids[-12:]]}
    expected["windows"] = [ids[first : first + 16] for first in (0, 8, 16, 24)]
    assert seen[:-1] == expected[long] and seen[-1] == ids[:1]
    np.testing.assert_allclose(split.rows.targets["weight"], [1 / rows] * rows + [1])
    outputs = [np.array([float(n), 0.0], np.float32) for n in range(rows + 1)]
    np.testing.assert_allclose(task.of_records(outputs, split)[:, 0], [np.mean(range(rows)), rows])
    assert task.targets_of(split).tolist() == [1, 0]
