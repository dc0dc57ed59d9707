"""safetensors files: exchanged with the format's own library; headers that lie and files cut short are errors."""

import json

import numpy as np
import pytest
import safetensors.numpy

from electra_tf.checkpoints.containers.safetensors import read_header, read_tensors, write_tensors
from electra_tf.errors import CheckpointError

TENSORS = {
    "b": np.arange(6, dtype="float32").reshape(2, 3).T,  # not contiguous
    "a": np.float64([1.5]),
    "empty": np.zeros((0, 4), "float32"),
    "scalar": np.array(7, "int64"),
    "half": np.float16([[1, 2]]),
}


@pytest.fixture
def file(tmp_path):
    write_tensors(tmp_path / "x.safetensors", TENSORS, {"format": "pt"})
    return tmp_path / "x.safetensors"


def _rewrite_header(file, change):
    data = file.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    change(header)
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])


def test_the_formats_own_library_reads_what_we_write(file):
    found = safetensors.numpy.load_file(file)
    assert found.keys() == TENSORS.keys()
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    with safetensors.safe_open(file, "np") as opened:
        assert opened.metadata() == {"format": "pt"}


def test_we_read_what_the_formats_own_library_writes(tmp_path):
    tensors = {name: np.ascontiguousarray(array) for name, array in TENSORS.items()}
    safetensors.numpy.save_file(tensors, tmp_path / "y.safetensors", {"any": "thing"})
    found = read_tensors(tmp_path / "y.safetensors")
    assert found.keys() == tensors.keys()
    for name, array in tensors.items():
        np.testing.assert_array_equal(found[name], array)


def test_the_same_tensors_give_the_same_bytes(tmp_path):
    first = write_tensors(tmp_path / "1", TENSORS)
    second = write_tensors(tmp_path / "2", dict(reversed(TENSORS.items())))
    assert first == second
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    assert first[0] == (tmp_path / "1").stat().st_size


def test_the_header_tells_types_and_shapes(file):
    header = read_header(file)
    assert header["b"].shape == (3, 2)
    assert header["half"].dtype == "float16"


def _lie_about_the_shape(header):
    header["b"]["shape"] = [3, 3]


def _overlap(header):
    header["b"]["data_offsets"] = header["a"]["data_offsets"]


def _leave_one_out(header):
    del header["b"]


def _lie_about_the_end(header):
    header["b"]["data_offsets"][1] += 400


def _write_no_number(header):
    header["b"]["shape"] = ["3", 2.0]


@pytest.mark.parametrize("lie", [_lie_about_the_shape, _overlap, _leave_one_out, _lie_about_the_end, _write_no_number])
def test_a_header_that_lies_is_an_error(file, lie):
    _rewrite_header(file, lie)
    with pytest.raises(CheckpointError, match=r"x\.safetensors"):
        read_header(file)


def test_an_unknown_type_is_named(file):
    _rewrite_header(file, lambda header: header["b"].update(dtype="F8_E4M3"))
    with pytest.raises(CheckpointError, match="b is of type F8_E4M3"):
        read_header(file)


def test_a_file_cut_short_anywhere_is_an_error(file):
    data = file.read_bytes()
    for size in range(len(data)):
        file.write_bytes(data[:size])
        with pytest.raises(CheckpointError):
            read_tensors(file)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="No such file"):
        read_header(tmp_path / "none.safetensors")
