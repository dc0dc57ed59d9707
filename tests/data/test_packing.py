"""Packing documents into examples: nothing lost and hardly more than the fewest examples, or as the original packed."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_tf.data.lossless_packing import pack_lossless
from electra_tf.data.original_packing import pack_original


def flat(documents):
    """Documents, lists of lines, lists of ids, as ids and row splits."""
    lines = [line for document in documents for line in document]
    ids = np.array([i for line in lines for i in line], np.int32)
    line_splits = np.cumsum([0, *map(len, lines)])
    return ids, line_splits, np.cumsum([0, *map(len, documents)])


def segments(examples):
    """Pairs of lists (A, B)."""
    ends = np.cumsum(examples.total)
    starts = ends - examples.total
    rows = zip(starts, starts + examples.first, ends, strict=True)
    return [(examples.ids[a:b].tolist(), examples.ids[b:c].tolist()) for a, b, c in rows]


def natural(random, documents, lines, median):
    """Documents with log-normal numbers and lengths of lines; ids count up."""
    count = iter(range(10**9))

    def size(middle):
        return max(1, round(middle * np.exp(random.gauss(0, 0.6))))

    return [[[next(count) for _ in range(size(median))] for _ in range(size(lines))] for _ in range(documents)]


shapes = st.lists(st.lists(st.integers(0, 40), max_size=12), max_size=25)


@settings(max_examples=200, deadline=None)
@given(shape=shapes, length=st.integers(8, 64), seed=st.integers(0, 5))
def test_lossless_keeps_every_token_in_order_and_joins_no_documents(shape, length, seed):
    count = iter(range(10**6))
    documents = [[[next(count) for _ in range(size)] for size in sizes] for sizes in shape]
    examples = segments(pack_lossless(*flat(documents), length=length, stream=(seed,)))

    assert [i for a, b in examples for i in a + b] == [i for d in documents for line in d for i in line]
    for a, b in examples:
        assert 0 < len(a) + len(b) <= length - (3 if b else 2)
    document_of = {i: n for n, d in enumerate(documents) for line in d for i in line}
    assert all(document_of[(a + b)[0]] == document_of[(a + b)[-1]] for a, b in examples)


@settings(max_examples=200, deadline=None)
@given(sizes=st.lists(st.integers(1, 30_000), min_size=1, max_size=60), length=st.integers(8, 512))
def test_lossless_needs_at_most_one_percent_more_than_the_fewest_examples(sizes, length):
    ids, bounds = np.zeros(sum(sizes), np.int32), np.cumsum([0, *sizes])
    examples = pack_lossless(ids, bounds, np.arange(len(sizes) + 1), length=length, stream=(0,))
    fewest = sum(-(-size // (length - 2)) for size in sizes)
    assert fewest <= len(examples) <= 1.01 * fewest


@pytest.mark.parametrize("length", [128, 512])
@pytest.mark.parametrize("lines, median", [(30, 22), (8, 80), (300, 22)])
def test_lossless_gives_one_segment_to_about_a_tenth_as_the_original(length, lines, median):
    examples = pack_lossless(*flat(natural(Random(0), 60, lines, median)), length=length, stream=(0,))
    # The last example of a document may be too short for a second segment.
    full = examples.total > length // 2
    assert (examples.first == examples.total)[full].mean() == pytest.approx(0.1, abs=0.05)


def test_lossless_parts_segments_at_line_ends_near_the_middle():
    documents = natural(Random(1), 40, 50, 20)
    ids, lines, bounds = flat(documents)
    examples = pack_lossless(ids, lines, bounds, length=128, stream=(0,))
    cuts = (np.cumsum(examples.total) - examples.total + examples.first)[examples.first < examples.total]
    assert np.isin(cuts, lines).mean() > 0.98
    two = examples.first[(examples.first < examples.total) & (examples.total > 120)]
    assert 50 < two.mean() < 75


def test_lossless_is_a_function_of_its_stream():
    documents = flat(natural(Random(2), 20, 30, 20))
    first, again, other = (pack_lossless(*documents, length=64, stream=s).first for s in [(1,), (1,), (2,)])
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def published_packer(documents, length, random):
    """The published algorithm, line by line as it is described, over plain lists."""
    examples, target = [], length

    def create(sentences):
        nonlocal target
        first_target = 100000 if random.random() < 0.1 else (target - 3) // 2
        a, b = [], []
        for sentence in sentences:
            if (
                not a
                or len(a) + len(sentence) < first_target
                or (not b and len(a) < first_target and random.random() < 0.5)
            ):
                a = a + sentence
            else:
                b = b + sentence
        a = a[: length - 2]
        b = b[: max(0, length - len(a) - 3)]
        target = random.randint(5, length) if random.random() < 0.05 else length
        examples.append((a, b))

    for document in documents:
        buffer = []
        for line in document:
            buffer.append(line)
            if sum(map(len, buffer)) >= target:
                create(buffer)
                buffer = []
        if sum(map(len, buffer)):
            create(buffer)
    return examples


@pytest.mark.parametrize("length", [16, 128])
@pytest.mark.parametrize("median", [5, 22, 80])
def test_original_is_the_published_packer(length, median):
    documents = natural(Random(median), 80, 30, median)
    examples = pack_original(*flat(documents), length=length, random=Random(7))
    assert segments(examples) == published_packer(documents, length, Random(7))


def test_original_loses_tokens_and_order_as_published():
    documents = natural(Random(3), 200, 30, 22)
    examples = segments(pack_original(*flat(documents), length=128, random=Random(0)))
    tokens = sum(len(line) for document in documents for line in document)
    assert 0.08 < 1 - sum(len(a + b) for a, b in examples) / tokens < 0.18
    assert 0.05 < np.mean([bool(b) and max(a) > min(b) for a, b in examples]) < 0.3


@pytest.mark.parametrize("documents", [[], [[]], [[[]], [[], []]]])
def test_nothing_gives_no_examples(documents):
    assert len(pack_lossless(*flat(documents), length=16, stream=(0,))) == 0
    assert len(pack_original(*flat(documents), length=16, random=Random(0))) == 0
