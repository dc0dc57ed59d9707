"""Files that hold what no program writes: an error in words, and nothing that was there is lost."""

import json
import shutil
import zipfile

import numpy as np
import pytest
from small_models import CONFIGS

from electra_tf import convert
from electra_tf.checkpoints import pretrained, read_model, write_folder
from electra_tf.checkpoints.containers.safetensors import read_tensors, write_tensors
from electra_tf.checkpoints.verify import verify
from electra_tf.errors import CheckpointError, ConfigError, ElectraTFError, OutputError


@pytest.fixture
def folder(make_weights, tmp_path):
    config = CONFIGS["electra"]
    write_folder(tmp_path / "hf", pretrained("discriminator", config, make_weights(config, config)))
    return tmp_path / "hf"


def change_config(folder, **fields):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"hidden_dropout_prob": None},
        {"hidden_dropout_prob": "0.1"},
        {"model_type": ["electra"]},
        {"architectures": {"a": 1}},
        {"num_hidden_layers": 2.5},
        {"hidden_size": 10**30},
    ],
)
def test_a_configuration_of_strange_values_is_an_error_in_words(folder, fields, tmp_path):
    change_config(folder, **fields)
    with pytest.raises(ElectraTFError):
        convert(folder, tmp_path / "out", "bin")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["[" * 100_000, "[1]", "null", "{", ""])
def test_a_configuration_that_is_no_object_is_an_error_in_words(folder, text):
    (folder / "config.json").write_text(text)
    with pytest.raises(ElectraTFError):
        read_model(folder)


@pytest.mark.parametrize("content", [{1: "x"}, {"electra.x": [1, 2]}, [], 5])
def test_a_bin_of_strange_objects_is_an_error_in_words(folder, content):
    torch = pytest.importorskip("torch")
    (folder / "model.safetensors").unlink()
    torch.save(content, folder / "pytorch_model.bin")
    with pytest.raises(ElectraTFError):
        read_model(folder)


def test_a_bin_whose_numbers_would_fill_the_memory_is_an_error_in_words(folder):
    torch = pytest.importorskip("torch")
    (folder / "model.safetensors").unlink()
    torch.save({"electra.x": torch.zeros(1).expand(10**14)}, folder / "pytorch_model.bin")
    with pytest.raises(ElectraTFError):
        read_model(folder)


def test_a_keras_file_of_something_else_is_an_error_in_words(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Encoder", "config": "y"}))
    with pytest.raises(ElectraTFError):
        read_model(tmp_path / "model.keras")


@pytest.mark.parametrize("kind", ["int32", "int64", "bool"])
def test_weights_that_are_no_floats_are_refused(folder, kind):
    tensors = read_tensors(folder / "model.safetensors")
    tensors["electra.embeddings.LayerNorm.bias"] = np.ones(8, kind)
    write_tensors(folder / "model.safetensors", tensors, {"format": "pt"})
    with pytest.raises(CheckpointError, match=f"electra.embeddings.LayerNorm.bias is {kind}"):
        read_model(folder)


def test_numbers_too_large_for_float16_are_refused_and_infinities_never_verified(folder, tmp_path):
    tensors = read_tensors(folder / "model.safetensors")
    tensors["electra.embeddings.LayerNorm.bias"] = np.full(8, 1e6, "float32")
    write_tensors(folder / "model.safetensors", tensors, {"format": "pt"})
    with pytest.raises(ConfigError, match=r"LayerNorm\.bias holds 1e\+06, which float16 cannot"):
        convert(folder, tmp_path / "half", dtype="float16")
    tensors["electra.embeddings.LayerNorm.bias"] = np.full(8, np.nan, "float32")
    write_tensors(folder / "model.safetensors", tensors, {"format": "pt"})
    (path,) = convert(folder, tmp_path / "nan", "safetensors")
    assert verify(folder, path)["difference"] == np.inf


def test_another_epsilon_has_no_place_in_tf1(folder, tmp_path):
    change_config(folder, layer_norm_eps=1e-2)
    with pytest.raises(ConfigError, match=r"layer_norm_eps is 0\.01"):
        convert(folder, tmp_path / "tf1", "tf1", settings={"num_attention_heads": 2})


def test_both_towers_are_read_before_one_is_written(folder, shared, tmp_path):
    convert(shared / "data/golden/electra_tied/final.ckpt", tmp_path / "pair", tower="both")
    before = (tmp_path / "pair/discriminator/model.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match="no generator here"):
        convert(shared / "data/golden/electra_uniform/final.ckpt", tmp_path / "pair", tower="both")
    assert (tmp_path / "pair/discriminator/model.safetensors").read_bytes() == before


def test_a_link_stays_and_what_it_leads_to_is_replaced(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "target")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    convert(folder, tmp_path / "link", "h5")
    assert not (tmp_path / "target/model.safetensors").exists()
    assert (tmp_path / "link").is_symlink()
    assert read_model(tmp_path / "target").name == "ElectraForPreTraining"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["hf", "link", "target"]


@pytest.mark.parametrize("name", ["x" * 300, "file/x.keras"])
def test_a_place_that_cannot_be_written_is_said(folder, tmp_path, name):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError):
        convert(folder, tmp_path / name, "keras" if name.endswith("keras") else "safetensors")
    assert (tmp_path / "file").read_text() == "mine"


def test_the_class_is_asked_for_where_the_folder_names_none(make_weights, tmp_path):
    from test_convert import made

    write_folder(tmp_path / "hf", made("AlbertForMultipleChoice", CONFIGS["albert"]))
    change_config(tmp_path / "hf", architectures=None)
    assert read_model(tmp_path / "hf").name == "AlbertForSequenceClassification"
    assert read_model(tmp_path / "hf", model_class="AlbertForMultipleChoice").name == "AlbertForMultipleChoice"


def test_what_a_class_computes_by_its_configuration_is_refused_where_we_would_not(tmp_path):
    from test_convert import made

    write_folder(tmp_path / "hf", made("ElectraForMultipleChoice", CONFIGS["electra"]))
    change_config(tmp_path / "hf", summary_activation="tanh")
    with pytest.raises(CheckpointError, match="summary_activation is 'tanh'"):
        read_model(tmp_path / "hf")


def test_the_encoder_alone_of_an_albert_without_a_pooler(tmp_path):
    from test_convert import made

    model = made("AlbertForMaskedLM", CONFIGS["albert"])
    write_folder(tmp_path / "hf", model)
    alone = read_model(tmp_path / "hf", model_class="AlbertModel")
    assert (alone.name, alone.heads) == ("AlbertModel", ())
    kernel = "transformer/block_0/feed_forward/output/kernel"
    np.testing.assert_array_equal(alone.weights[f"encoder/{kernel}"], model.weights[f"encoder/{kernel}"])
