"""A small file cannot take the memory or the time of a large one: what it claims is compared with what it holds."""

import dataclasses
import json
import zipfile

import numpy as np
import pytest
from small_models import CONFIGS

from electra_tf.checkpoints import pretrained, read_model
from electra_tf.checkpoints.config_from_shapes import derive_fields
from electra_tf.checkpoints.containers.keras_archive import read_description
from electra_tf.checkpoints.containers.pytorch_bin import read_bin, read_bin_shapes
from electra_tf.checkpoints.containers.tf1_bundle import read_variables, write_variables
from electra_tf.checkpoints.containers.tf1_index import Entry
from electra_tf.checkpoints.keras_model import load_keras, write_keras
from electra_tf.checkpoints.translation import translate
from electra_tf.checkpoints.weight_names import model_tensors
from electra_tf.errors import CheckpointError, ConfigError
from electra_tf.models import Encoder, EncoderConfig


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory):
    config = CONFIGS["electra"]
    table = model_tensors(dataclasses.asdict(config), "discriminator", ("replaced_token",))
    weights = {tensor.ours: np.zeros(tensor.shape("ours"), "float32") for tensor in table}
    return write_keras(tmp_path_factory.mktemp("keras") / "m.keras", pretrained("discriminator", config, weights))


def with_member(file, to, name, content):
    """A copy of an archive with another content of one member, all of them deflated."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as new:
        for member in {*old.namelist(), name}:
            new.writestr(member, content if member == name else old.read(member))
    return to


@pytest.mark.parametrize("read", [read_bin, read_bin_shapes])
@pytest.mark.parametrize("member", ["a/data.pkl", "a/data/0"])
def test_an_archive_of_pytorch_that_grows_is_refused_unread(read, member, tmp_path):
    with zipfile.ZipFile(tmp_path / "m.bin", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, bytes(20_000_000))
    with pytest.raises(CheckpointError, match=r"20,000,000 bytes in memory"):
        read(tmp_path / "m.bin")


@pytest.mark.parametrize("read", [read_bin, read_bin_shapes])
def test_one_number_is_not_expanded_to_a_million(read, tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"x": torch.zeros(1).expand(1_000_000)}, tmp_path / "m.bin")
    with pytest.raises(CheckpointError, match=r"4,000,000 bytes in memory"):
        read(tmp_path / "m.bin")


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5", "assets/x"])
def test_an_archive_of_keras_that_grows_is_refused_unread(keras_file, member, tmp_path):
    file = with_member(keras_file, tmp_path / "m.keras", member, bytes(20_000_000))
    for read in (read_description, read_model, load_keras):
        with pytest.raises(CheckpointError, match=r"bytes in memory"):
            read(file)


@pytest.mark.parametrize(
    "fields", [{"num_hidden_layers": 900}, {"vocab_size": 10**9}, {"hidden_size": 2**15}, {"intermediate_size": 10**9}]
)
def test_a_keras_file_describes_no_more_than_it_holds(keras_file, fields, tmp_path):
    content = json.loads(zipfile.ZipFile(keras_file).read("config.json"))
    content["config"]["config"] |= fields
    file = with_member(keras_file, tmp_path / "m.keras", "config.json", json.dumps(content))
    for read in (read_model, load_keras):
        with pytest.raises(CheckpointError, match=r"describes a model of .* weights and holds"):
            read(file)


@pytest.mark.parametrize(
    "fields",
    [
        {"num_hidden_layers": 10**8},
        {"model_type": "albert", "num_hidden_layers": 10**8},
        {"model_type": "albert", "num_hidden_layers": 100, "inner_group_num": 100},
    ],
)
def test_no_encoder_has_so_many_blocks(fields):
    with pytest.raises(ConfigError, match=r"num_hidden_layers|inner_group_num") as told:
        EncoderConfig.from_dict(fields)
    assert "at most 1000 blocks" in str(told.value)


@pytest.mark.parametrize("fields", [{"vocab_size": 10**12}, {"hidden_size": 2**24}, {"intermediate_size": 10**12}])
def test_an_encoder_larger_than_the_memory_is_not_built(fields):
    with pytest.raises(ConfigError, match="GiB, and this machine has"):
        Encoder(EncoderConfig(**fields))


@pytest.mark.parametrize("name", ["electra", "albert"])
def test_the_weights_of_an_encoder_are_counted_but_for_vectors(name):
    config = CONFIGS[name]
    table = model_tensors(dataclasses.asdict(config), "encoder", ())
    shapes = [tensor.shape("ours") for tensor in table]
    assert config.encoder_weights() == sum(a * b for a, b in (shape for shape in shapes if len(shape) == 2))


def test_variables_that_lie_on_each_other_are_refused(tmp_path, monkeypatch):
    prefix = write_variables(tmp_path / "tf1", {"a": np.ones(8, "float32"), "b": np.ones(8, "float32")})
    from electra_tf.checkpoints.containers import tf1_bundle

    entry = Entry("float32", (8,), 0, 0, 32, 0, False)
    monkeypatch.setattr(tf1_bundle, "read_index", lambda path: (1, {"a": entry, "b": entry}))
    with pytest.raises(CheckpointError, match="its bytes are those of another variable"):
        read_variables(prefix)
    parted = Entry("float32", (10**12,), 0, 0, 0, 0, True)
    monkeypatch.setattr(tf1_bundle, "read_index", lambda path: (1, {"a": parted}))
    with pytest.raises(CheckpointError, match=r"\[1000000000000\] of 64 bytes in all"):
        read_variables(prefix)


def test_of_a_hundred_thousand_tensors_some_are_named():
    tensors = {f"electra.encoder.layer.{i}.output.dense.bias": np.zeros(1, "float32") for i in range(100_000)}
    table = model_tensors(dataclasses.asdict(CONFIGS["electra"]), "encoder", ())
    with pytest.raises(CheckpointError, match=r"and 99,997 more") as told:
        translate(tensors, table, "torch", "ours")
    assert len(str(told.value)) < 10_000


def test_one_tensor_of_each_of_many_blocks_does_not_make_as_many_blocks():
    shapes = {f"electra/encoder/layer_{i}/output/dense/bias": (1,) for i in range(3000)}
    with pytest.raises(CheckpointError, match="cannot be told"):
        derive_fields(shapes, "electra", "encoder", "tf1", heads=())
    assert derive_fields(whole(4), "electra", "encoder", "tf1", heads=())["num_hidden_layers"] == 4


def whole(layers):
    config = CONFIGS["electra"].replace(num_hidden_layers=layers)
    table = model_tensors(dataclasses.asdict(config), "encoder", ())
    return {name: tensor.shape("tf1") for tensor in table for name in tensor.tf1}
