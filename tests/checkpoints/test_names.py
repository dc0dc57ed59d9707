"""The tables of names name every weight of a model, and have Google's and transformers' recorded names and shapes."""

import dataclasses
import re

import pytest

from electra_tf.checkpoints.google_layout import layout
from electra_tf.checkpoints.weight_names import MODEL_CLASSES, joint_tensors, model_tensors, tower_tensors
from electra_tf.models import MaskedLanguageModel, ReplacedTokenDetector, named_variables, preset
from electra_tf.models.generator_size import generator_config
from electra_tf.models.task_models import masked_lm_head, replaced_token_head
from electra_tf.pretraining.joint_model import Parts
from electra_tf.pretraining.sharing import Sharing, build_towers


def _fields(config):
    return None if config is None else dataclasses.asdict(config)


def _foreign(table, world):
    return {name: tensor.shape(world) for tensor in table for name in tensor.names(world)}


def _dump(path):
    """Names and shapes of a recorded list of variables, without slots and the step."""
    lines = [line.split("\t")[:2] for line in path.read_text().splitlines()]
    shapes = {name: tuple(int(n) for n in shape.strip("[]").split(",") if n) for name, shape in lines}
    return {n: s for n, s in shapes.items() if not n.endswith(("/adam_m", "/adam_v")) and n != "global_step"}


def test_a_towers_table_names_every_weight_of_its_model(config, tower):
    model = {"discriminator": ReplacedTokenDetector, "generator": MaskedLanguageModel}[tower](config)
    found = {n.replace("encoder/", f"{tower}/", 1): tuple(v.shape) for n, v in named_variables(model).items()}
    assert {t.ours: t.shape("ours") for t in tower_tensors(_fields(config), tower)} == found


@pytest.mark.parametrize("sharing", ["all", "word", "none"])
def test_the_joint_table_names_every_weight_of_both_towers(sharing):
    discriminator = preset("electra_tiny").encoder
    generator = generator_config(discriminator, 0.5, 0.5)
    towers = build_towers(Sharing(sharing), {"discriminator": discriminator, "generator": generator})
    heads = replaced_token_head(towers["discriminator"]), masked_lm_head(towers["generator"])
    model = Parts({**towers, **{head.name: head for head in heads}})
    table = joint_tensors(_fields(discriminator), _fields(generator), sharing)
    assert {t.ours: t.shape("ours") for t in table} == {
        name: tuple(variable.shape) for name, variable in named_variables(model).items()
    }


@pytest.mark.parametrize(
    ("dump", "name", "width", "sharing"),
    [
        ("small_pretrain", "electra_small", None, "all"),
        ("small_pretrain_gen_full_width", "electra_small", 1.0, "all"),
        ("small_pretrain_untied_embeddings", "electra_small", None, "none"),
        ("base_pretrain", "electra_base", None, "all"),
        ("base_pretrain_untied_embeddings", "electra_base", None, "none"),
        ("large_pretrain", "electra_large", None, "all"),
        ("koelectra_base_v3_pretrain", "koelectra_base_v3", None, "all"),
        ("koelectra_small_v3_pretrain", "koelectra_small_v3", 0.25, "all"),
        ("koelectra_small_v3_pretrain_gen_full_width", "koelectra_small_v3", None, "all"),
    ],
)
def test_tf1_names_and_shapes_are_those_of_googles_graphs(shared, dump, name, width, sharing):
    model = preset(name)
    generator = model.generator if width is None else generator_config(model.encoder, width)
    if sharing == "none":  # the original then makes embeddings as wide as the generator
        generator = generator.replace(embedding_size=generator.hidden_size)
    table = joint_tensors(_fields(model.encoder), _fields(generator), sharing)
    assert _foreign(table, "tf1") == _dump(shared / f"reference/names/tf1_electra_{dump}.txt")


# What the names of a dump say of its towers; the rest have a discriminator and a generator.
_ALONE = {"uniform": {"discriminator"}, "tied_generator": {"discriminator"}, "mlm_only": {"generator"}}
_ALONE |= {mode: {"discriminator", "generator_ltr", "generator_rtl"} for mode in ("two_tower", "electric")}
_ALONE |= {"finetune": {"discriminator"}}


def test_every_mode_of_googles_electra_has_the_names_of_its_dump(shared):
    files = sorted((shared / "reference/names").glob("tf1_electra_*.txt"))
    assert len(files) > 20
    for file in files:
        dump = _dump(file)
        found = layout(dump, "tf1", file)
        assert _foreign(found.tensors(), "tf1") == dump, file.name
        expected = next((t for mode, t in _ALONE.items() if mode in file.name), {"discriminator", "generator"})
        assert found.towers.keys() == expected, file.name
        size = re.search("small|base|large", file.name)[0]
        fields = _fields(preset(f"electra_{size}").encoder)
        whole = found.towers.get("discriminator") or found.towers["generator"]
        names = set(whole) - {"vocab_size"}  # Korean ones have another
        assert {n: whole[n] for n in names} == {n: fields[n] for n in names}, file.name


@pytest.mark.parametrize("size", ["base", "large"])
def test_tf1_names_of_an_albert_are_those_of_googles_files(shared, size):
    heads = MODEL_CLASSES["AlbertForPreTraining"].heads
    table = model_tensors(_fields(preset(f"albert_{size}_v1").encoder), "generator", heads)
    assert _foreign(table, "tf1") == _dump(shared / f"reference/names/real_albert_{size}_v1_index.txt")


@pytest.mark.parametrize(
    ("dump", "name", "tower"),
    [
        ("ElectraForPreTraining_small", "electra_small", "discriminator"),
        ("ElectraForPreTraining_base", "electra_base", "discriminator"),
        ("ElectraForMaskedLM_small", "electra_small_plus_plus", "generator"),
        ("AlbertForMaskedLM_base", "albert_base_v1", "generator"),
    ],
)
def test_torch_names_and_shapes_are_those_of_transformers(shared, dump, name, tower):
    table = _foreign(tower_tensors(_fields(preset(name).encoder), tower), "torch")
    published = _dump(shared / f"reference/names/pt_{dump}.txt")
    tied = {"generator_lm_head.weight", "predictions.decoder.weight", "predictions.decoder.bias"}
    assert table == {n: s for n, s in published.items() if n not in tied}


def test_groups_of_inner_blocks_are_numbered_in_order(shared):
    config = preset("albert_base_v1").encoder.replace(num_hidden_groups=3, inner_group_num=2)
    table = tower_tensors(_fields(config), "generator")
    fifth = next(t for t in table if t.ours == "generator/transformer/block_5/feed_forward/output/kernel")
    assert fifth.tf1 == ("bert/encoder/transformer/group_2/inner_group_1/ffn_1/intermediate/output/dense/kernel",)
    dump = _dump(shared / "reference/names/tf1_albert_base_groups3_inner2_pretrain.txt")
    assert set(_foreign(table, "tf1")) <= set(dump)


def _labels(shapes):
    """What num_labels a list of variables has."""
    return next((shape[0] for name, shape in shapes.items() if name.endswith(("classifier.bias", "out_proj.bias"))), 2)


@pytest.mark.parametrize("name", MODEL_CLASSES)
def test_every_class_of_transformers_has_the_names_of_its_dumps(shared, name):
    model_class, sizes = MODEL_CLASSES[name], {"electra": ("small", "base"), "albert": ("base",)}
    for size in sizes[model_class.model_type]:
        dump = _dump(shared / f"reference/names/pt_{name}_{size}.txt")
        of = {"electra": f"electra_{size}", "albert": "albert_base_v1"}[model_class.model_type]
        fields = _fields(preset(of).encoder) | {"num_labels": _labels(dump)}
        table = _foreign(model_tensors(fields, model_class.tower, model_class.heads), "torch")
        prefix = f"{model_class.model_type}."
        if name.endswith("Model"):  # the base class leaves its own name out
            table = {tensor.removeprefix(prefix): shape for tensor, shape in table.items()}
        tied = {"generator_lm_head.weight", "predictions.decoder.weight", "predictions.decoder.bias"}
        assert table == {n: s for n, s in dump.items() if n not in tied}


@pytest.mark.parametrize(
    ("dump", "heads"),
    [
        ("base_v2_pretrain_lamb", ("pooler", "masked_lm", "sentence_order")),
        ("base_finetune_classifier3", ("pooler", "sequence_classifier")),
        ("base_finetune_stsb", ("pooler", "sequence_classifier")),
        ("base_finetune_race", ("pooler", "multiple_choice")),
        ("base_finetune_squad_v1", ("pooler", "question_answering")),
        ("base_finetune_squad_v2", ("pooler", "conditional_answers")),
        ("large_pretrain", ("pooler", "masked_lm", "sentence_order")),
        ("xlarge_pretrain", ("pooler", "masked_lm", "sentence_order")),
        ("xxlarge_pretrain", ("pooler", "masked_lm", "sentence_order")),
    ],
)
def test_tf1_names_of_alberts_heads_are_those_of_googles_graphs(shared, dump, heads):
    published = _dump(shared / f"reference/names/tf1_albert_{dump}.txt")
    labels = published.get("output_bias", (2,))[0]
    fields = _fields(preset(f"albert_{dump.split('_')[0]}_v1").encoder) | {"num_labels": labels}
    assert _foreign(model_tensors(fields, "generator", heads), "tf1") == published
