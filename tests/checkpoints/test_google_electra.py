"""Google's ELECTRA checkpoints: every mode read and written again bit for bit, what does not fit refused in words."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from electra_tf.checkpoints.containers.tf1_bundle import find_prefix, read_shapes
from electra_tf.checkpoints.google_electra import read_tf1, to_tf1, write_tf1
from electra_tf.checkpoints.google_slots import read_step
from electra_tf.errors import CheckpointError, OutputError

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
FOLDERS = ["electra_tied", "electra_untied_embeddings", "electra_disallow_temperature"]


def _recorded(prefix):
    reader = tf.train.load_checkpoint(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def _configs(folder):
    config = json.loads((GOLDEN / folder / "config.json").read_text())
    return config["bert_config"], config["generator_bert_config"]


def _write(prefix, tensors):
    names = sorted(tensors)
    arrays = [tensors[name] for name in names]
    tf.raw_ops.SaveV2(prefix=str(prefix), tensor_names=names, shape_and_slices=[""] * len(names), tensors=arrays)
    return prefix


@pytest.fixture
def tensors():
    return _recorded(GOLDEN / "electra_tied/initial.ckpt")


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("name", ["initial", "final"])
def test_reading_loses_nothing_of_googles_checkpoints(folder, name):
    prefix = GOLDEN / folder / f"{name}.ckpt"
    checkpoint, recorded = read_tf1(prefix), _recorded(prefix)
    again = to_tf1(checkpoint.weights) | {"global_step": np.int64(checkpoint.step)}
    for slot, slots in (("adam_m", checkpoint.slots_m), ("adam_v", checkpoint.slots_v)):
        if name == "final":
            again |= {f"{weight}/{slot}": array for weight, array in to_tf1(slots).items()}
    assert again.keys() == recorded.keys()
    for key, array in recorded.items():
        np.testing.assert_array_equal(again[key], array, err_msg=key)


@pytest.mark.parametrize(("folder", "sharing"), [*zip(FOLDERS, ["all", "none", "all"], strict=True)])
def test_sizes_follow_from_the_tensors_and_settings_from_the_caller(folder, sharing):
    theirs = _configs(folder)
    checkpoint = read_tf1(GOLDEN / folder / "final.ckpt", *theirs)
    assert (checkpoint.step, checkpoint.sharing) == (20, sharing)
    for config, fields in zip((checkpoint.discriminator, checkpoint.generator), theirs, strict=True):
        for name in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"):
            assert getattr(config, name) == fields[name]
        assert config.hidden_dropout_prob == fields["hidden_dropout_prob"]
    assert checkpoint.discriminator.embedding_size == 16
    assert checkpoint.generator.embedding_size == 16


def test_heads_are_one_for_64_units_where_nobody_says():
    checkpoint = read_tf1(GOLDEN / "electra_tied/initial.ckpt")
    assert (checkpoint.discriminator.hidden_size, checkpoint.discriminator.num_attention_heads) == (32, 1)


def test_a_checkpoint_without_a_generator_is_a_discriminator_alone(shared):
    checkpoint = read_tf1(shared / "data/golden/electra_uniform/final.ckpt")
    assert checkpoint.generator is None
    assert {name.split("/")[0] for name in checkpoint.weights} == {"discriminator", "replaced_token"}


def test_settings_that_contradict_the_tensors_are_an_error():
    with pytest.raises(CheckpointError, match="hidden_size is 64, the tensors say 32"):
        read_tf1(GOLDEN / "electra_tied/initial.ckpt", {"hidden_size": 64})


# What each mode of the original leaves: its towers, what they share, and their heads.
MODES = {
    "electra_tied": ({"discriminator", "generator"}, "all", {"replaced_token", "masked_lm"}),
    "electra_untied_embeddings": ({"discriminator", "generator"}, "none", {"replaced_token", "masked_lm"}),
    "electra_tied_generator": ({"discriminator"}, "encoder", {"replaced_token", "masked_lm"}),
    "electra_mlm_only": ({"generator"}, "none", {"masked_lm"}),
    "electra_uniform": ({"discriminator"}, "none", {"replaced_token"}),
    "electra_two_tower": ({"discriminator", "generator_ltr", "generator_rtl"}, "all", {"replaced_token", "cloze"}),
    "electra_electric": ({"discriminator", "generator_ltr", "generator_rtl"}, "all", {"replaced_token", "cloze"}),
    "electra_finetune_classification": ({"discriminator"}, "none", set()),
}


@pytest.mark.parametrize("folder", MODES)
@pytest.mark.parametrize("name", ["initial", "final"])
def test_every_mode_of_googles_code_is_read_and_written_again(shared, folder, name, tmp_path):
    prefix = shared / "data/golden" / folder / f"{name}.ckpt"
    source, recorded = read_tf1(prefix), _recorded(prefix)
    towers, sharing, heads = MODES[folder]
    assert source.layout.towers.keys() == towers
    assert source.sharing == sharing
    assert {head for tower in source.layout.heads.values() for head in tower} == heads
    assert bool(source.layout.tasks) == ("finetune" in folder)
    written = _recorded(write_tf1(tmp_path / "out", source.weights, source.slots_m, source.slots_v, source.step))
    assert written.keys() == recorded.keys()
    for key, array in recorded.items():
        np.testing.assert_array_equal(written[key], array, err_msg=key)


def test_a_block_of_a_number_beyond_reason_is_a_stranger(tensors, tmp_path):
    tensors["generator/encoder/layer_123456789/output/dense/bias"] = np.zeros(2, "float32")
    with pytest.raises(CheckpointError, match="unexpected  generator/encoder/layer_123456789/output/dense/bias"):
        read_tf1(_write(tmp_path / "model.ckpt", tensors))


def test_one_error_lists_missing_strange_and_misshapen_variables(tensors, tmp_path):
    del tensors["generator/encoder/layer_1/output/dense/bias"]
    tensors["generator/encoder/layer_9/stranger"] = np.zeros(2, "float32")
    tensors["electra/encoder/layer_2/intermediate/dense/kernel"] = np.zeros((64, 32), "float32")
    with pytest.raises(CheckpointError) as error:
        read_tf1(_write(tmp_path / "model.ckpt", tensors))
    message = str(error.value)
    assert "3 tensors do not fit" in message
    assert "missing     generator/encoder/layer_1/output/dense/bias [8]" in message
    assert "unexpected  generator/encoder/layer_9/stranger [2]" in message
    assert "electra/encoder/layer_2/intermediate/dense/kernel is [64, 32], expected [32, 64]" in message
    assert str(tmp_path / "model.ckpt") in message


def test_slots_that_are_incomplete_are_an_error(tmp_path):
    tensors = _recorded(GOLDEN / "electra_tied/final.ckpt")
    del tensors["discriminator_predictions/dense/kernel/adam_v"]
    with pytest.raises(CheckpointError, match=r"missing     discriminator_predictions/dense/kernel"):
        read_tf1(_write(tmp_path / "model.ckpt", tensors))


def test_without_word_embeddings_it_is_said_what_cannot_be_told(tensors, tmp_path):
    del tensors["electra/embeddings/word_embeddings"]
    with pytest.raises(CheckpointError, match=r"vocab_size .* electra/embeddings/word_embeddings is missing"):
        read_tf1(_write(tmp_path / "model.ckpt", tensors))


def test_variables_of_optimizers_are_ignored_by_name(tensors, tmp_path):
    strange = {"temperature": np.float32(1), "electra/embeddings/word_embeddings/lamb_m": np.zeros(3)}
    checkpoint = read_tf1(_write(tmp_path / "model.ckpt", tensors | strange))
    assert len(checkpoint.weights) == len(read_tf1(GOLDEN / "electra_tied/initial.ckpt").weights)


@pytest.mark.parametrize("end", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_damaged_files_are_named(end, damage, tmp_path):
    for file in GOLDEN.glob("electra_tied/final.ckpt.*"):
        shutil.copy(file, tmp_path)
    file = tmp_path / f"final.ckpt.{end}"
    data = bytearray(file.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 16
    file.write_bytes(data[: len(data) // 2] if damage == "truncate" else data)
    if damage == "remove":
        file.unlink()
    with pytest.raises(CheckpointError, match=r"final\.ckpt"):
        read_tf1(tmp_path / "final.ckpt")


def test_a_folder_stands_for_the_checkpoint_it_names(tensors, tmp_path):
    _write(tmp_path / "model.ckpt-10", tensors)
    assert find_prefix(tmp_path) == tmp_path / "model.ckpt-10"
    _write(tmp_path / "model.ckpt-20", tensors)
    with pytest.raises(CheckpointError, match=r"several checkpoints: model.ckpt-10, model.ckpt-20"):
        find_prefix(tmp_path)
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "/elsewhere/model.ckpt-20"\n')
    assert find_prefix(tmp_path) == tmp_path / "model.ckpt-20"
    assert find_prefix(tmp_path / "model.ckpt-10.index") == tmp_path / "model.ckpt-10"


def test_shapes_and_step_are_read_without_the_weights(tmp_path):
    shutil.copy(GOLDEN / "electra_tied/final.ckpt.index", tmp_path)
    assert read_shapes(tmp_path)["electra/embeddings/word_embeddings"] == (601, 16)
    assert read_step(GOLDEN / "electra_tied/final.ckpt") == 20


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_is_written_is_googles_checkpoint_again(folder, tmp_path):
    recorded, source = _recorded(GOLDEN / folder / "final.ckpt"), read_tf1(GOLDEN / folder / "final.ckpt")
    prefix = write_tf1(tmp_path / "out", source.weights, source.slots_m, source.slots_v, source.step)
    assert tf.train.latest_checkpoint(str(tmp_path / "out")) == str(prefix)
    written = _recorded(prefix)
    assert written.keys() == recorded.keys()
    for name, array in recorded.items():
        assert written[name].dtype == array.dtype
        np.testing.assert_array_equal(written[name], array, err_msg=name)


def test_the_originals_saver_restores_what_is_written(tensors, tmp_path):
    prefix = write_tf1(tmp_path / "out", read_tf1(GOLDEN / "electra_tied/initial.ckpt").weights)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        names = [name for name in tensors if name != "global_step"]
        variables = [tf.compat.v1.get_variable(name, tensors[name].shape, use_resource=False) for name in names]
        tf.compat.v1.train.Saver(variables).restore(session, str(prefix))
        for name, value in zip(names, session.run(variables), strict=True):
            np.testing.assert_array_equal(value, tensors[name], err_msg=name)


def test_writing_again_replaces_it_and_nothing_else_is_overwritten(tmp_path):
    weights = read_tf1(GOLDEN / "electra_tied/initial.ckpt").weights
    write_tf1(tmp_path / "out", weights, step=1)
    write_tf1(tmp_path / "out", weights, step=2)
    assert read_step(tmp_path / "out") == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"not written here, or was changed since: notes\.txt"):
        write_tf1(tmp_path / "out", weights, step=3)
    assert read_step(tmp_path / "out") == 2


def test_a_pointer_to_a_checkpoint_that_is_not_there_is_told(tmp_path):
    (tmp_path / "model.ckpt-100.index").write_bytes(b"")
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-300"\n')
    with pytest.raises(
        CheckpointError, match=r"(?s)names model.ckpt-300, which is not there.*name what is there: .*-100"
    ):
        find_prefix(tmp_path)
