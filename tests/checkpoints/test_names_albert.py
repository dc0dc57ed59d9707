"""Every recorded list of an ALBERT's variables, name by name and shape by shape, with the slots and the step."""

import dataclasses
import json
import re

import h5py
import numpy as np
import pytest

from electra_tf.checkpoints.containers.tf1_bundle import read_shapes
from electra_tf.checkpoints.loaded_model import LoadedModel
from electra_tf.checkpoints.tensorflow_classes import write_h5
from electra_tf.checkpoints.torch_classes import to_torch
from electra_tf.checkpoints.weight_names import MODEL_CLASSES, model_tensors
from electra_tf.models import EncoderConfig, preset

PRETRAINING = MODEL_CLASSES["AlbertForPreTraining"].heads
SLOTS = ("/adam_m", "/adam_v")
# Dump -> (preset, what the graph has beside it, heads).
TRAINED = {
    "base_v2_pretrain_lamb": ("base_v2", {}, PRETRAINING),
    "base_v2_pretrain_adamw": ("base_v2", {}, PRETRAINING),
    "base_E_eq_H_pretrain": ("base_v2", {"embedding_size": 768}, PRETRAINING),
    "base_groups12_pretrain": ("base_v2", {"num_hidden_groups": 12}, PRETRAINING),
    "base_groups3_inner2_pretrain": ("base_v2", {"num_hidden_groups": 3, "inner_group_num": 2}, PRETRAINING),
    "large_pretrain": ("large_v2", {}, PRETRAINING),
    "xlarge_pretrain": ("xlarge_v2", {}, PRETRAINING),
    "xxlarge_pretrain": ("xxlarge_v2", {}, PRETRAINING),
    "base_finetune_classifier3": ("base_v2", {}, ("pooler", "sequence_classifier")),
    "base_finetune_stsb": ("base_v2", {}, ("pooler", "sequence_classifier")),
    "base_finetune_race": ("base_v2", {}, ("pooler", "multiple_choice")),
    "base_finetune_squad_v1": ("base_v2", {}, ("pooler", "question_answering")),
    "base_finetune_squad_v2": ("base_v2", {}, ("pooler", "conditional_answers")),
}
EXPORTED = {"base_export_checkpoints_no_slots": "", "base_tfhub_module_prefix": "module/"}
GROUPED = {"num_hidden_groups": 3, "inner_group_num": 2}


def dump(path):
    """Names and shapes of a recorded list of variables."""
    lines = [line.split("\t")[:2] for line in path.read_text().splitlines()]
    return {name: tuple(int(n) for n in shape.strip("[]").split(",") if n) for name, shape in lines}


def table(config, heads=PRETRAINING, labels=2):
    return model_tensors(dataclasses.asdict(config) | {"num_labels": labels}, "generator", heads)


def tf1_shapes(tensors):
    return {name: tensor.shape("tf1") for tensor in tensors for name in tensor.tf1}


@pytest.mark.parametrize("name", TRAINED)
def test_a_trained_albert_has_the_weights_slots_and_step_of_googles_graph(shared, name):
    """A weight without a gradient, the pooler's where the head does not pool, has no slots."""
    recorded = dump(shared / f"reference/names/tf1_albert_{name}.txt")
    base, changes, heads = TRAINED[name]
    tensors = table(preset(f"albert_{base}").encoder.replace(**changes), heads, recorded.get("output_bias", (2,))[0])
    unmoved = ("pooler/",) if {"question_answering", "conditional_answers"} & set(heads) else ()
    moved = tf1_shapes(tensor for tensor in tensors if not tensor.ours.startswith(unmoved))
    slots = {weight + slot: shape for weight, shape in moved.items() for slot in SLOTS}
    assert tf1_shapes(tensors) | slots | {"global_step": ()} == recorded


@pytest.mark.parametrize("name", EXPORTED)
def test_an_exported_albert_has_the_weights_alone(shared, name):
    recorded = dump(shared / f"reference/names/tf1_albert_{name}.txt")
    found = tf1_shapes(table(preset("albert_base_v2").encoder))
    assert {EXPORTED[name] + weight: shape for weight, shape in found.items()} == recorded


def test_every_recorded_list_of_googles_albert_is_compared(shared):
    files = (shared / "reference/names").glob("tf1_albert_*.txt")
    assert {file.stem.removeprefix("tf1_albert_") for file in files} == TRAINED.keys() | EXPORTED.keys()


@pytest.mark.parametrize("name", ["albert_base_v1", "albert_large_v1", "albert_base_zh"])
def test_a_published_index_is_what_its_configuration_says(shared, name):
    folder = shared / "data/checkpoints" / name
    config = EncoderConfig.from_dict(json.loads((folder / "albert_config.json").read_text()) | {"model_type": "albert"})
    published = read_shapes(folder)
    assert tf1_shapes(table(config)) | {"global_step": ()} == published
    assert published == dump(shared / f"reference/names/real_{name}_index.txt")


def of_class(name, config, labels=2):
    """A model of a class, all zeros, which take no memory."""
    model = LoadedModel(name, config, {}, MODEL_CLASSES[name].heads, labels)
    zeros = {tensor.ours: np.broadcast_to(np.float32(0), tensor.shape("ours")) for tensor in model.table()}
    return dataclasses.replace(model, weights=zeros)


@pytest.mark.parametrize("name", ["AlbertModel", "AlbertForPreTraining"])
@pytest.mark.parametrize(("network", "changes"), [("E_eq_H", {"embedding_size": 768}), ("groups3_inner2", GROUPED)])
def test_an_unusual_albert_has_the_names_of_transformers(shared, name, network, changes):
    tensors = to_torch(of_class(name, preset("albert_base_v2").encoder.replace(**changes)))
    shapes = {tensor: array.shape for tensor, array in tensors.items()}
    if "predictions.bias" in shapes:  # what transformers repeats, and leaves out where it saves
        shapes["predictions.decoder.weight"] = shapes["albert.embeddings.word_embeddings.weight"]
        shapes["predictions.decoder.bias"] = shapes["predictions.bias"]
    assert shapes == dump(shared / f"reference/names/pt_{name}_{network}.txt")


TINY = {"vocab_size": 40, "embedding_size": 8, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
TINY |= {"intermediate_size": 32, "max_position_embeddings": 24}
H5 = {name: (name, {}) for name in MODEL_CLASSES if name.startswith("Albert")}
H5["AlbertForPreTraining_E_eq_H"] = ("AlbertForPreTraining", {"embedding_size": 16})
H5["AlbertForPreTraining_groups2_inner2"] = ("AlbertForPreTraining", {"num_hidden_groups": 2, "inner_group_num": 2})


@pytest.mark.parametrize("network", H5)
def test_an_alberts_h5_has_the_weights_of_tensorflows_class(shared, tmp_path, network):
    """Where they lie and their shapes; the number that Keras puts behind a second model's name says nothing."""
    name, changes = H5[network]
    model = of_class(name, EncoderConfig("albert", **TINY | changes), 3 if name.endswith("Classification") else 2)
    write_h5(tmp_path / "tf_model.h5", to_torch(model), name)
    written = {}
    with h5py.File(tmp_path / "tf_model.h5") as file:
        file.visititems(lambda path, item: written.update({path: item.shape} if isinstance(item, h5py.Dataset) else {}))
    recorded = (shared / f"reference/names/h5_TF{network}.txt").read_text()
    recorded = re.findall(r"^D /(.*?/tf_[a-z_]*[a-z])(?:_\d+)?(/\S+)\t\[([\d,]*)\]", recorded, re.MULTILINE)
    assert written == {path + rest: tuple(map(int, shape.split(","))) for path, rest, shape in recorded}
