"""Record files: TensorFlow's bytes, and every flipped bit found."""

import pytest

from electra_tf.data.records import frame, read_records, scan
from electra_tf.errors import DataError, InputError

RECORDS = [b"first", b"", b"x" * 300, b"last"]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(b"".join(map(frame, RECORDS)))
    return path


def test_files_are_those_of_tensorflow(tmp_path, file):
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(tmp_path / "tf")) as writer:
        for record in RECORDS:
            writer.write(record)
    assert file.read_bytes() == (tmp_path / "tf").read_bytes()


def test_reading_undoes_framing(file):
    assert list(read_records(file)) == RECORDS
    assert scan(file) == len(RECORDS)


def test_every_flipped_bit_is_found_and_its_record_named(file):
    whole, starts = file.read_bytes(), [0, 21, 37, 353]
    for at in range(0, len(whole), 3):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        number = sum(start <= at for start in starts) - 1
        with pytest.raises(DataError, match=rf"a\.tfrecord, record {number}, byte {starts[number]}\b"):
            scan(file)


@pytest.mark.parametrize("size", [1, 11, 12, 20, 36, 40, 360])
def test_a_file_cut_short_is_found_and_its_record_named(file, size):
    file.write_bytes(file.read_bytes()[:size])
    number = sum(start < size for start in [0, 21, 37, 353]) - 1
    with pytest.raises(DataError, match=rf"(?s)cut short.*record {number},"):
        scan(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="nothing"):
        scan(tmp_path / "nothing")
