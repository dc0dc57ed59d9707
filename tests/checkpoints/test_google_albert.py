"""Google's ALBERT checkpoints: read bit for bit, the outputs of their graphs computed, what does not fit refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from electra_tf.checkpoints import load_tower, read_model, write_folder
from electra_tf.checkpoints.google_albert import read_albert
from electra_tf.errors import CheckpointError
from electra_tf.finetuning.best_answers import log_softmax
from electra_tf.models import QuestionAnswerer, SentenceOrderModel, named_variables


@pytest.fixture(params=["e_lt_h", "e_eq_h_relu", "groups_inner"])
def folder(shared, request) -> Path:
    return shared / "data/golden/albert_outputs" / request.param


def fill(model, weights):
    """Puts every weight into the model, each once; what the model lacks is returned."""
    left = dict(weights)
    for name, variable in named_variables(model).items():
        variable.assign(left.pop(name))
    return left


def assert_close(found, expected):
    assert np.abs(np.asarray(found) - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())


def test_the_recorded_outputs_of_googles_graphs_are_computed(folder):
    checkpoint, recorded = read_albert(folder), np.load(folder / "outputs.npz")
    assert checkpoint.heads == ("pooler", "masked_lm", "sentence_order")
    model = SentenceOrderModel(checkpoint.config)
    assert not fill(model, checkpoint.weights)
    inputs = [recorded[name] for name in ("input_ids", "input_mask", "segment_ids")]
    hidden = model.encoder(*inputs)
    mlm, order = model(*inputs)
    real = recorded["input_mask"] == 1
    assert_close(np.asarray(hidden)[real], recorded["layer_outputs"][-1][real])
    assert_close(model.pooler(hidden), recorded["pooled_output"])
    assert_close(order, recorded["sop_logits"])
    positions = recorded["masked_lm_positions"]
    assert_close(np.take_along_axis(np.asarray(mlm), positions[..., None], 1), recorded["mlm_logits"])


def test_every_variable_is_read_bit_for_bit(folder):
    reader = tf.train.load_checkpoint(str(folder / "model.ckpt"))
    recorded = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    weights = read_albert(folder).weights
    assert sum(array.size for array in weights.values()) == sum(array.size for array in recorded.values())
    np.testing.assert_array_equal(
        weights["encoder/embeddings/word/embeddings"], recorded["bert/embeddings/word_embeddings"]
    )
    np.testing.assert_array_equal(weights["sentence_order/kernel"], recorded["cls/seq_relationship/output_weights"].T)


def test_the_recorded_logits_of_squad_1_are_computed(shared):
    folder = shared / "data/golden/albert_squad_heads"
    checkpoint, recorded = read_albert(folder / "v1.ckpt"), np.load(folder / "outputs.npz")
    assert checkpoint.heads == ("pooler", "question_answering")
    model = QuestionAnswerer(checkpoint.config)
    assert {name.split("/")[0] for name in fill(model, checkpoint.weights)} == {"pooler"}
    logits = model(*(recorded[name] for name in ("input_ids", "input_mask", "segment_ids")))
    real = recorded["input_mask"] == 1
    for number, name in enumerate(("start", "end")):
        assert_close(np.asarray(logits)[..., number][real], recorded[f"v1_train_{name}_logits"][real])


def test_the_recorded_probabilities_of_squad_2_are_computed(shared):
    folder = shared / "data/golden/albert_squad_heads"
    model, recorded = read_model(folder / "v2.ckpt").build(), np.load(folder / "outputs.npz")
    inputs = [recorded[name] for name in ("input_ids", "input_mask", "segment_ids")]
    allowed = recorded["p_mask"] == 0

    start, end, _, no_answer = model(*inputs, excluded=recorded["p_mask"], start_positions=recorded["start_positions"])
    assert_close(log_softmax(start)[allowed], recorded["v2_train_start_log_probs"][allowed])
    assert_close(log_softmax(end)[allowed], recorded["v2_train_end_log_probs"][allowed])
    assert_close(no_answer, recorded["v2_train_cls_logits"])

    start, end, starts, no_answer = (np.asarray(x) for x in model(*inputs, excluded=recorded["p_mask"]))
    np.testing.assert_array_equal(starts, recorded["v2_predict_start_top_index"])
    assert_close(np.take_along_axis(log_softmax(start), starts, -1), recorded["v2_predict_start_top_log_probs"])
    ends = np.argsort(-end, axis=-1)[..., :4]
    np.testing.assert_array_equal(ends.reshape(6, 20), recorded["v2_predict_end_top_index"])
    found = np.take_along_axis(log_softmax(end), ends, -1).reshape(6, 20)
    assert_close(found, recorded["v2_predict_end_top_log_probs"])
    assert_close(no_answer, recorded["v2_predict_cls_logits"])


def test_the_conditional_head_of_squad_2_has_no_class_of_transformers(shared, tmp_path):
    model = read_model(shared / "data/golden/albert_squad_heads/v2.ckpt")
    with pytest.raises(CheckpointError, match="a head of Google's for the answers"):
        write_folder(tmp_path / "hf", model)
    assert not (tmp_path / "hf").exists()


@pytest.mark.parametrize("name", ["albert_lamb", "albert_groups_adamw"])
def test_training_checkpoints_come_with_slots_and_step(shared, name):
    folder = shared / "data/golden" / name
    checkpoint = read_albert(folder / "final.ckpt")
    assert checkpoint.step > 0
    assert set(checkpoint.slots_m) == set(checkpoint.slots_v) <= set(checkpoint.weights)
    assert len(checkpoint.slots_m) > 20


def test_a_configuration_that_contradicts_the_tensors_is_an_error(shared):
    folder = shared / "data/golden/albert_outputs/e_lt_h"
    settings = json.loads((folder / "config.json").read_text())
    with pytest.raises(CheckpointError, match="hidden_size is 48, the tensors say 32"):
        read_albert(folder, settings | {"hidden_size": 48})
    with pytest.raises(CheckpointError, match="net_structure_type is 1"):
        read_albert(folder, settings | {"net_structure_type": 1})


def write(prefix, tensors):
    names = sorted(tensors)
    arrays = [tensors[name] for name in names]
    tf.raw_ops.SaveV2(prefix=str(prefix), tensor_names=names, shape_and_slices=[""] * len(names), tensors=arrays)


@pytest.fixture
def copied(shared, tmp_path):
    """A folder with a configuration, and its checkpoint's variables."""
    folder = shared / "data/golden/albert_outputs/e_lt_h"
    (tmp_path / "albert_config.json").write_text((folder / "config.json").read_text())
    reader = tf.train.load_checkpoint(str(folder / "model.ckpt"))
    return tmp_path, {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def test_tf_hubs_prefix_is_taken_off(copied):
    folder, tensors = copied
    write(folder / "model.ckpt", {f"module/{name}": array for name, array in tensors.items()})
    assert read_albert(folder).heads == ("pooler", "masked_lm", "sentence_order")


@pytest.mark.parametrize("is_race", [False, True])
def test_a_classifier_of_one_unit_is_what_the_caller_says(copied, is_race):
    folder, tensors = copied
    tensors = {name: array for name, array in tensors.items() if not name.startswith("cls/")}
    write(folder / "model.ckpt", {**tensors, "output_weights": np.ones((1, 32), "f4"), "output_bias": np.ones(1, "f4")})
    checkpoint = read_albert(folder, multiple_choice=is_race)
    assert checkpoint.heads == ("pooler", "multiple_choice" if is_race else "sequence_classifier")
    assert checkpoint.num_labels == 1


def test_missing_and_unexpected_tensors_are_listed(copied):
    folder, tensors = copied
    del tensors["bert/pooler/dense/bias"]
    write(folder / "model.ckpt", {**tensors, "bert/extra": np.zeros(2, "f4")})
    with pytest.raises(CheckpointError, match="2 tensors do not fit") as error:
        read_albert(folder)
    assert "missing     bert/pooler/dense/bias" in str(error.value)
    assert "unexpected  bert/extra" in str(error.value)


def test_without_a_configuration_the_remedy_is_said(copied):
    folder, tensors = copied
    (folder / "albert_config.json").unlink()
    write(folder / "model.ckpt", tensors)
    with pytest.raises(CheckpointError, match="no configuration beside"):
        read_albert(folder)


def test_brightmarts_network_is_refused_with_the_reason(copied):
    folder, tensors = copied
    write(folder / "model.ckpt", {**tensors, "bert/encoder/layer_shared/output/dense/bias": np.zeros(2, "f4")})
    with pytest.raises(CheckpointError, match="brightmart"):
        read_albert(folder)


def test_a_pre_trained_albert_is_a_generator(shared):
    tower = load_tower(shared / "data/golden/albert_outputs/groups_inner", "generator")
    assert tower.config.hidden_act == "gelu_new"
    assert "masked_lm/output_bias" in tower.weights
    with pytest.raises(CheckpointError, match="no discriminator here, only a generator"):
        load_tower(shared / "data/golden/albert_outputs/groups_inner", "discriminator")


def test_a_fine_tuned_albert_says_what_it_is(shared):
    with pytest.raises(CheckpointError, match="no pre-training head, only question_answering"):
        load_tower(shared / "data/golden/albert_squad_heads/v1.ckpt", "generator")
