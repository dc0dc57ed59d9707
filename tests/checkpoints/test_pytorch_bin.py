"""`pytorch_model.bin`, read without torch and written for it; code in a file is refused, damage an error."""

import os
import pickle
import zipfile
from collections import OrderedDict

import ml_dtypes
import numpy as np
import pytest

from electra_tf.checkpoints.containers.pytorch_bin import read_bin, write_bin
from electra_tf.errors import CheckpointError

torch = pytest.importorskip("torch")

FORMATS = pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])


def tensors():
    whole = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    return OrderedDict(
        whole=whole,
        view=whole[1:3, 2:5],  # an offset and strides into the same storage
        turned=whole.T,
        tied=whole,
        half=torch.tensor([[1.5, -2.0]]).half(),
        brain=torch.tensor([1.0, 3.140625, -1e30]).bfloat16(),
        ids=torch.arange(3),
        scalar=torch.tensor(2.5, dtype=torch.float64),
        empty=torch.zeros(0, 3),
        truth=torch.tensor([True, False]),
    )


def save(path, content, is_zip=True):
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    return path


def as_numpy(tensor):
    return tensor.float().numpy().astype(ml_dtypes.bfloat16) if tensor.dtype == torch.bfloat16 else tensor.numpy()


@FORMATS
def test_what_torch_saves_is_read_exactly(tmp_path, is_zip):
    found = read_bin(save(tmp_path / "pytorch_model.bin", tensors(), is_zip))
    assert found.keys() == tensors().keys()
    for name, tensor in tensors().items():
        assert found[name].dtype == as_numpy(tensor).dtype, name
        np.testing.assert_array_equal(found[name], as_numpy(tensor))


@FORMATS
def test_parameters_and_a_nested_dictionary_are_read(tmp_path, is_zip):
    layer = torch.nn.Linear(3, 2)
    nested = {"state_dict": OrderedDict(weight=layer.weight, bias=layer.bias)}
    for content in (layer.state_dict(), nested):
        found = read_bin(save(tmp_path / "m.bin", content, is_zip))
        np.testing.assert_array_equal(found["weight"], layer.weight.detach().numpy())
        assert found.keys() == {"weight", "bias"}


def test_torch_reads_what_is_written(tmp_path):
    arrays = {name: as_numpy(tensor) for name, tensor in tensors().items()}
    write_bin(tmp_path / "m.bin", arrays)
    found = torch.load(tmp_path / "m.bin", weights_only=True)
    for name, tensor in tensors().items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor), name
    again = read_bin(tmp_path / "m.bin")
    assert all(np.array_equal(again[name], array) for name, array in arrays.items())


class Trap:
    """Touches a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@FORMATS
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path, is_zip):
    trap = tmp_path / "sprung"
    path = save(tmp_path / "m.bin", {"a": torch.zeros(1), "b": Trap(trap)}, is_zip)
    with pytest.raises(CheckpointError, match=r"would call (posix|nt)\.system"):
        read_bin(path)
    assert not trap.exists()


def test_a_whole_module_is_refused_by_name(tmp_path):
    with pytest.raises(CheckpointError, match=r"torch\.nn\.modules\.linear\.Linear"):
        read_bin(save(tmp_path / "m.bin", torch.nn.Linear(2, 2)))


@pytest.mark.parametrize(
    "content, found", [([1, 2], "holds a list"), ({"epoch": 3}, "no tensor: epoch"), ({}, "no tensors")]
)
def test_what_is_no_state_dictionary_is_refused(tmp_path, content, found):
    with pytest.raises(CheckpointError, match=found):
        read_bin(save(tmp_path / "m.bin", content))


@FORMATS
def test_a_file_cut_short_anywhere_is_an_error(tmp_path, is_zip):
    data = save(tmp_path / "m.bin", tensors(), is_zip).read_bytes()
    for size in (0, 1, 2, 20, len(data) // 3, len(data) // 2, len(data) - 30, len(data) - 1):
        (tmp_path / "cut.bin").write_bytes(data[:size])
        with pytest.raises(CheckpointError):
            read_bin(tmp_path / "cut.bin")


def test_a_tensor_that_reaches_beyond_its_storage_is_an_error(tmp_path):
    path = save(tmp_path / "m.bin", {"a": torch.arange(4.0)})
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in content if name.endswith("data.pkl"))
    assert content[name].count(b"K\x04\x85") == 1  # the shape (4,)
    content[name] = content[name].replace(b"K\x04\x85", b"K\x05\x85")
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in content.items():
            archive.writestr(member, data)
    with pytest.raises(CheckpointError, match="beyond its 4 numbers"):
        read_bin(path)


def test_a_pickle_of_something_else_is_an_error(tmp_path):
    (tmp_path / "m.bin").write_bytes(pickle.dumps({"a": 1}, protocol=2))
    with pytest.raises(CheckpointError, match="not one of torch"):
        read_bin(tmp_path / "m.bin")


def test_a_tensor_whose_numbers_are_others_than_those_stored_is_refused(tmp_path):
    """The negative bit: the stored numbers are those of another sign."""
    tensor = torch._neg_view(torch.arange(4.0))
    torch.save({"x": tensor}, tmp_path / "a.bin")
    assert torch.load(tmp_path / "a.bin", weights_only=True)["x"].tolist() == [-0.0, -1.0, -2.0, -3.0]
    with pytest.raises(CheckpointError, match="neg"):
        read_bin(tmp_path / "a.bin")
