"""Examples as bytes: those of deterministic protobuf, read by tf.data and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_tf.data.examples import FEATURES, ORDER, Examples, assemble, decode, encode
from electra_tf.errors import DataError


def examples_of(pairs):
    """Examples from pairs of lists (A, B)."""
    ids = np.array([i for a, b in pairs for i in a + b], np.int32)
    first = np.array([len(a) for a, _ in pairs], np.int64)
    return Examples(ids, first, first + np.array([len(b) for _, b in pairs], np.int64))


def rows_of(pairs, length=12):
    return assemble(examples_of(pairs), length=length, cls_id=101, sep_id=102, pad_id=7)


def test_segments_stand_between_special_tokens_and_padding():
    rows = rows_of([([1, 2], [3]), ([4, 5, 6], [])], length=9)
    assert rows["input_ids"].tolist() == [
        [101, 1, 2, 102, 3, 102, 7, 7, 7],
        [101, 4, 5, 6, 102, 7, 7, 7, 7],
    ]
    assert rows["input_mask"].tolist() == [[1, 1, 1, 1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 0, 0, 0, 0]]
    assert rows["segment_ids"].tolist() == [[0, 0, 0, 0, 1, 1, 0, 0, 0], [0] * 9]


token = st.one_of(st.integers(0, 300), st.integers(0, 2**31 - 1))
pair = st.tuples(st.lists(token, min_size=1, max_size=5), st.lists(token, max_size=4))


@settings(max_examples=100, deadline=None)
@given(pairs=st.lists(pair, min_size=1, max_size=5))
def test_bytes_are_those_of_deterministic_protobuf(pairs):
    import tensorflow as tf

    rows = rows_of(pairs)
    for i, record in enumerate(encode(rows)):
        message = tf.train.Example()
        for name in FEATURES:
            message.features.feature[name].int64_list.value.extend(rows[name][i].tolist())
        assert record == message.SerializeToString(deterministic=True)


@pytest.mark.parametrize("length", [8, 128, 512, 3000])
def test_bytes_of_long_examples_are_read_by_tf_data(length):
    import tensorflow as tf

    numbers = list(range(0, 40 * length, 40))
    rows = rows_of([(numbers[: length - 5], [1, 2]), (numbers[: length - 2], [])], length)
    features = dict.fromkeys(FEATURES, tf.io.FixedLenFeature([length], tf.int64))
    parsed = tf.io.parse_example(encode(rows), features)
    for name in FEATURES:
        assert np.array_equal(parsed[name].numpy(), rows[name])


@given(pairs=st.lists(pair, min_size=1, max_size=3))
@settings(max_examples=50, deadline=None)
def test_decoding_undoes_encoding(pairs):
    rows = rows_of(pairs)
    for i, record in enumerate(encode(rows)):
        decoded = decode(record)
        assert list(decoded) == sorted(FEATURES)
        assert all(np.array_equal(decoded[name], rows[name][i]) for name in FEATURES)


def test_labels_of_the_order_are_one_more_feature_in_the_same_bytes_as_protobufs():
    import tensorflow as tf

    rows = rows_of([([1, 300], [3]), ([4], [6])]) | {ORDER: np.array([[0], [1]], np.uint8)}
    for i, record in enumerate(encode(rows)):
        message = tf.train.Example()
        for name in (*FEATURES, ORDER):
            message.features.feature[name].int64_list.value.extend(rows[name][i].tolist())
        assert record == message.SerializeToString(deterministic=True)
        assert decode(record)[ORDER].tolist() == [i]


def test_float_features_are_read():
    import tensorflow as tf

    message = tf.train.Example()
    message.features.feature["weights"].float_list.value.extend([1.0, 0.0, 0.3])
    message.features.feature["ids"].int64_list.value.extend([1, 2])
    message.features.feature["none"].float_list.value.extend([])
    decoded = decode(message.SerializeToString())
    assert decoded["weights"].dtype == np.float32 and decoded["ids"].dtype == np.int64
    assert decoded["weights"].tolist() == pytest.approx([1, 0, 0.3])
    unpacked = field(1, field(1, field(1, b"w") + field(2, field(2, b"\x0d" + np.float32(0.5).tobytes()))))
    assert decode(unpacked)["w"].tolist() == [0.5]


def field(number, payload):
    size = len(payload)
    return bytes([number << 3 | 2]) + (bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])) + payload


def test_keys_in_any_order_and_unpacked_lists_are_read():
    def feature(name, values):
        return field(1, field(1, name.encode()) + field(2, field(3, values)))

    unpacked = b"".join(bytes([8, value]) for value in (5, 0, 127))
    negative = field(1, b"\xff" * 9 + b"\x01" + b"\x96\x01")
    record = field(1, feature("segment_ids", unpacked) + feature("input_ids", negative) + feature("empty", b""))
    decoded = decode(record)
    assert decoded["segment_ids"].tolist() == [5, 0, 127]
    assert decoded["input_ids"].tolist() == [-1, 150]
    assert decoded["empty"].tolist() == []


@pytest.mark.parametrize("spoil", [lambda record: record[:-1], lambda record: b"\x0f" + record, lambda _: b"\xff" * 11])
def test_bytes_that_are_no_example_are_an_error(spoil):
    with pytest.raises(DataError, match=r"no tf\.train\.Example"):
        decode(spoil(encode(rows_of([([1, 2], [3])]))[0]))
