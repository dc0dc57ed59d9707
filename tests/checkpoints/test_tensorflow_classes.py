"""`tf_model.h5` of transformers' TensorFlow classes: names by rule, what is written is read, damage is an error."""

import h5py
import numpy as np
import pytest

from electra_tf.checkpoints.tensorflow_classes import read_h5, read_h5_shapes, to_h5_name, to_torch_name, write_h5
from electra_tf.errors import CheckpointError

NAMES = {
    "electra.embeddings.word_embeddings.weight": "electra/embeddings/word_embeddings/weight:0",
    "electra.embeddings.position_embeddings.weight": "electra/embeddings/position_embeddings/embeddings:0",
    "electra.embeddings.LayerNorm.weight": "electra/embeddings/LayerNorm/gamma:0",
    "electra.encoder.layer.11.output.dense.weight": "electra/encoder/layer_._11/output/dense/kernel:0",
    "electra.encoder.layer.0.attention.output.LayerNorm.bias": (
        "electra/encoder/layer_._0/attention/output/LayerNorm/beta:0"
    ),
    "albert.encoder.albert_layer_groups.1.albert_layers.2.full_layer_layer_norm.weight": (
        "albert/encoder/albert_layer_groups_._1/albert_layers_._2/full_layer_layer_norm/gamma:0"
    ),
    "generator_lm_head.bias": "generator_lm_head/bias:0",
    "albert.pooler.weight": "albert/pooler/kernel:0",
}


@pytest.mark.parametrize("torch_name", NAMES)
def test_names_follow_by_rule_both_ways(torch_name):
    assert to_h5_name(torch_name) == NAMES[torch_name]
    assert to_torch_name(f"tf_model/{NAMES[torch_name]}") == torch_name


def tensors(names, seed=0):
    random = np.random.default_rng(seed)
    return {
        n: random.normal(size=(3, 2) if n.endswith(".weight") and "Norm" not in n else 2).astype("f4") for n in names
    }


ELECTRA = [name for name in NAMES if not name.startswith("albert")]


def test_what_is_written_is_read(tmp_path):
    written = tensors(ELECTRA)
    write_h5(tmp_path / "tf_model.h5", written, "ElectraForMaskedLM")
    found = read_h5(tmp_path / "tf_model.h5")
    assert found.keys() == written.keys()
    for name, array in written.items():
        np.testing.assert_array_equal(found[name], array)
    with h5py.File(tmp_path / "tf_model.h5") as file:
        assert list(file.attrs["layer_names"]) == ["electra", "generator_lm_head"]
        repeated = file["generator_lm_head"].attrs["weight_names"]
        assert "tf_electra_for_masked_lm/electra/embeddings/word_embeddings/weight:0" in repeated


def test_alberts_bias_is_written_under_both_names(tmp_path):
    written = tensors(["albert.embeddings.word_embeddings.weight", "predictions.bias"])
    write_h5(tmp_path / "m.h5", written, "AlbertForMaskedLM")
    with h5py.File(tmp_path / "m.h5") as file:
        for name in ("predictions/bias:0", "predictions/decoder/bias:0"):
            np.testing.assert_array_equal(
                file[f"predictions/tf_albert_for_masked_lm/{name}"], written["predictions.bias"]
            )


def test_a_base_models_names_get_its_prefix(tmp_path):
    write_h5(tmp_path / "m.h5", tensors(["pooler.weight"]), "AlbertModel")
    with h5py.File(tmp_path / "m.h5") as file:
        assert list(file["albert"].attrs["weight_names"]) == ["tf_albert_model/albert/pooler/kernel:0"]


def test_long_lists_of_names_are_split_and_joined(tmp_path):
    names = [f"electra.encoder.layer.{n}.attention.output.dense.weight" for n in range(1200)]
    write_h5(tmp_path / "m.h5", tensors(names), "ElectraModel")
    with h5py.File(tmp_path / "m.h5") as file:
        assert {"weight_names0", "weight_names1"} <= set(file["electra"].attrs)
    assert read_h5(tmp_path / "m.h5").keys() == set(names)


@pytest.fixture
def file(tmp_path):
    write_h5(tmp_path / "m.h5", tensors(ELECTRA), "ElectraForMaskedLM")
    return tmp_path / "m.h5"


WORD = "tf_electra_for_masked_lm/electra/embeddings/word_embeddings/weight:0"


def test_copies_that_differ_are_an_error(file):
    with h5py.File(file, "a") as opened:
        opened["generator_lm_head"][WORD][0, 0] += 1
    with pytest.raises(CheckpointError, match="twice and differs, by up to 1"):
        read_h5(file)


def test_a_weight_that_is_listed_and_missing_is_an_error(file):
    with h5py.File(file, "a") as opened:
        del opened["electra"][WORD]
    with pytest.raises(CheckpointError, match="listed and not there"):
        read_h5(file)


def test_a_weight_that_is_not_listed_is_an_error(file):
    with h5py.File(file, "a") as opened:
        opened["electra"].create_dataset("more/weights:0", data=np.zeros(2))
    with pytest.raises(CheckpointError, match="not listed"):
        read_h5(file)


def test_without_layer_names_it_is_an_error(file):
    with h5py.File(file, "a") as opened:
        del opened.attrs["layer_names"]
    with pytest.raises(CheckpointError, match="no attribute layer_names"):
        read_h5(file)


def test_a_file_cut_short_is_an_error(file):
    data = file.read_bytes()
    for size in (0, 10, len(data) // 2, len(data) - 100):
        file.write_bytes(data[:size])
        with pytest.raises(CheckpointError):
            read_h5(file)


SECRET = b"what is not to be copied " * 1000


def _external_numbers(file, name, secret):
    file.create_dataset(name, (4, 4), "float32", external=[(secret, 0, 64)])


def _virtual_numbers(file, name, secret):
    with h5py.File("other.h5", "w") as other:
        other["x"] = np.ones((4, 4), "float32")
    layout = h5py.VirtualLayout((4, 4), "float32")
    layout[...] = h5py.VirtualSource("other.h5", "x", (4, 4))
    file.create_virtual_dataset(name, layout)


def _external_link(file, name, secret):
    with h5py.File("other.h5", "w") as other:
        other["x"] = np.ones((4, 4), "float32")
    file[name] = h5py.ExternalLink("other.h5", "x")


def _soft_link(file, name, secret):
    file[name] = h5py.SoftLink("/elsewhere")


def _claimed_numbers(file, name, secret):
    file.create_dataset(name, (1 << 20, 1 << 10), "float32", chunks=(1 << 10, 1 << 10))


def _external_group(file, name, secret):
    layer = name.split("/")[1]
    with h5py.File("other.h5", "w") as other:
        file.copy(layer, other)
    del file[layer]
    file[layer] = h5py.ExternalLink("other.h5", f"/{layer}")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (_external_numbers, "are in other files"),
        (_virtual_numbers, "are in other files"),
        (_external_link, "is a link to other.h5"),
        (_external_group, "is a link to other.h5"),
        (_soft_link, "is a link to /elsewhere"),
        (_claimed_numbers, "bytes in memory"),
    ],
)
def test_nothing_outside_the_file_is_read(file, make, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_bytes(SECRET)
    with h5py.File(file, "a") as opened:
        found = []
        opened.visititems(lambda name, item: found.append(item.name) if isinstance(item, h5py.Dataset) else None)
        del opened[found[0]]
        make(opened, found[0], str(tmp_path / "secret"))
    for read in (read_h5, read_h5_shapes):
        with pytest.raises(CheckpointError, match=told):
            read(file)
