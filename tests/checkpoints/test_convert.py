"""Any model from any format to any other: the same bits where the target can hold it, else an error that says why."""

import dataclasses
import json
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import CONFIGS

from electra_tf import convert
from electra_tf.checkpoints import LoadedModel, pretrained, read_model, recognise, write_folder
from electra_tf.checkpoints.google_checkpoint import check_google_computes
from electra_tf.checkpoints.google_electra import read_tf1
from electra_tf.checkpoints.verify import verify
from electra_tf.checkpoints.weight_names import MODEL_CLASSES, model_tensors
from electra_tf.errors import CheckpointError, ConfigError, ElectraTFError
from electra_tf.models import EncoderConfig
from electra_tf.pretraining.settings import Electra
from electra_tf.text.wordpiece_tokenizer import SPECIAL_TOKENS, WordPieceTokenizer

LABELS = 3
FORMATS = ("safetensors", "bin", "h5", "keras", "tf1")
# What TF-V1 has no place for, and the words that say so.
_REFUSED_BY_TF1 = {
    "ElectraForSequenceClassification": "two layers with an activation",
    "ElectraForMultipleChoice": "no place for the head",
    "AlbertForTokenClassification": "no place for the head",
}


def made(name, config, seed=0):
    """A model of a class with random weights."""
    kind = MODEL_CLASSES[name]
    labelled = {"sequence_classifier", "token_classifier"} & set(kind.heads)
    model = LoadedModel(name, config, {}, kind.heads, LABELS if labelled else 2)
    random = np.random.default_rng(seed)
    weights = {t.ours: random.normal(0, 0.3, t.shape("ours")).astype("float32") for t in model.table()}
    return dataclasses.replace(model, weights=weights)


def through(source, to, folder, name):
    """The model after a conversion, as read from where it was written."""
    target = folder / f"{to}{'.keras' if to == 'keras' else ''}"
    model = read_model(source, model_class=name)
    heads = {"num_attention_heads": model.config.num_attention_heads}
    fine_tuned = name.startswith("Electra") and model.heads and not {"replaced_token", "masked_lm"} & set(model.heads)
    task = "mine" if fine_tuned and "tf1" in (to, recognise(source)) else None
    (path,) = convert(source, target, to, task=task, model_class=name, settings=heads if to == "tf1" else None)
    return path


def assert_same(model, expected):
    assert (model.name, model.heads, model.num_labels) == (expected.name, expected.heads, expected.num_labels)
    # Dropout and the like are no part of a TF-V1 ELECTRA.
    for field in ("model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_hidden_groups", "hidden_act"):
        assert getattr(model.config, field) == getattr(expected.config, field), field
    assert model.weights.keys() == expected.weights.keys()
    for tensor, array in expected.weights.items():
        np.testing.assert_array_equal(model.weights[tensor], array, err_msg=tensor)


@st.composite
def models(draw):
    name = draw(st.sampled_from(sorted(MODEL_CLASSES)))
    albert, heads = name.startswith("Albert"), draw(st.integers(1, 2))
    layers = draw(st.integers(1, 3))
    sizes = {"num_hidden_groups": draw(st.integers(1, layers)), "inner_group_num": draw(st.integers(1, 2))}
    config = EncoderConfig(
        "albert" if albert else "electra",
        vocab_size=draw(st.integers(2, 9)),
        embedding_size=draw(st.integers(1, 6)),
        hidden_size=heads * draw(st.integers(2, 4)),
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=draw(st.integers(1, 9)),
        hidden_act="gelu_new" if albert else "gelu",
        max_position_embeddings=draw(st.integers(1, 9)),
        **(sizes if albert else {}),
    )
    return made(name, config, draw(st.integers(0, 9)))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(model=models(), path=st.lists(st.sampled_from(FORMATS), min_size=1, max_size=3))
def test_any_model_through_any_formats_is_the_same_bits_or_a_named_error(model, path):
    pytest.importorskip("torch")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        write_folder(folder / "start", model)
        place = folder / "start"
        for number, to in enumerate(path):
            if to == "tf1" and model.name in _REFUSED_BY_TF1:
                with pytest.raises(CheckpointError, match=_REFUSED_BY_TF1[model.name]):
                    through(place, to, folder / str(number), model.name)
                return
            place = through(place, to, folder / str(number), model.name)
        heads = {"num_attention_heads": model.config.num_attention_heads}
        given_heads = heads if path[-1] == "tf1" and model.config.model_type == "electra" else None
        assert_same(read_model(place, settings=given_heads, model_class=model.name), model)


@pytest.mark.parametrize("name", MODEL_CLASSES)
@pytest.mark.parametrize("to", [pytest.param(to, marks=pytest.mark.slow) if to == "bin" else to for to in FORMATS])
def test_what_is_written_computes_the_same(name, to, tmp_path):
    """By transformers' class where it is its folder, else by ours."""
    pytest.importorskip("torch")
    config = CONFIGS["electra" if name.startswith("Electra") else "albert_of_one_width"]
    config = config.replace(num_attention_heads=1)  # what a TF-V1 ELECTRA of this width is taken to have
    model = made(name, config)
    write_folder(tmp_path / "source", model)
    if to == "tf1" and name in _REFUSED_BY_TF1:
        with pytest.raises(CheckpointError, match=_REFUSED_BY_TF1[name]):
            through(tmp_path / "source", to, tmp_path, name)
        return
    target = through(tmp_path / "source", to, tmp_path, name)
    found = verify(tmp_path / "source", target, model_class=name)
    assert found["largest"] > 0.01
    assert found["difference"] <= 1e-5 * max(1, found["largest"])
    engine = "transformers" if to in ("safetensors", "bin") else "electra_tf, the source by transformers"
    assert found["engine"] == engine


def test_googles_classifier_becomes_transformers_and_back_bit_for_bit(shared, tmp_path):
    source = shared / "data/golden/electra_finetune_classification/final.ckpt"
    (folder,) = convert(source, tmp_path / "hf")
    found = verify(source, folder)
    assert found["difference"] <= 1e-5 * max(1, found["largest"])
    (prefix,) = convert(folder, tmp_path / "tf1", "tf1", task="mnli")
    ours, theirs = read_tf1(prefix).weights, read_tf1(source).weights
    assert {n.split("/")[1] for n in theirs if n.startswith("task_")} == {"mnli"}
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array, err_msg=name)


def test_two_folders_become_one_checkpoint(shared, tmp_path):
    source = shared / "data/golden/electra_tied/final.ckpt"
    both = convert(source, tmp_path / "hf", tower="both")
    (prefix,) = convert(both[0], tmp_path / "tf1", "tf1", generator=both[1])
    ours, theirs = read_tf1(prefix), read_tf1(source)
    assert ours.sharing == "all"
    for name, array in theirs.weights.items():
        np.testing.assert_array_equal(ours.weights[name], array, err_msg=name)


def test_two_folders_with_other_embeddings_say_by_how_much(tmp_path, make_weights):
    config = CONFIGS["electra"]
    weights = make_weights(config, config)
    weights["generator/embeddings/norm/beta"] = weights["discriminator/embeddings/norm/beta"] + 1
    for tower in ("discriminator", "generator"):
        write_folder(tmp_path / tower, pretrained(tower, config, weights))
    arguments = (tmp_path / "discriminator", tmp_path / "tf1", "tf1")
    join = {"generator": tmp_path / "generator", "settings": {"num_attention_heads": 2}}
    with pytest.raises(CheckpointError, match=r"embeddings differ: .*norm/beta by up to 1\b"):
        convert(*arguments, **join)
    (prefix,) = convert(*arguments, **join, sharing="none")
    assert read_tf1(prefix).sharing == "none"
    np.testing.assert_array_equal(
        read_tf1(prefix).weights["generator/embeddings/norm/beta"], weights["generator/embeddings/norm/beta"]
    )


def test_a_padded_vocabulary_is_cut_back(tmp_path):
    model = made("ElectraForMaskedLM", CONFIGS["electra"])
    write_folder(tmp_path / "padded", model)
    (folder,) = convert(tmp_path / "padded", tmp_path / "cut", vocab_size=30)
    cut = read_model(folder)
    assert cut.config.vocab_size == 30
    for name in ("encoder/embeddings/word/embeddings", "masked_lm/output_bias"):
        np.testing.assert_array_equal(cut.weights[name], model.weights[name][:30])
    with pytest.raises(CheckpointError, match="the vocabulary has 40 rows"):
        convert(tmp_path / "padded", tmp_path / "more", vocab_size=41)


@pytest.mark.parametrize("keep", [None, "embeddings", "head"])
@pytest.mark.parametrize("name", ["ElectraForMaskedLM", "AlbertForMaskedLM"])
def test_copies_in_an_h5_that_differ_are_an_error_unless_one_is_chosen(name, keep, tmp_path):
    import h5py

    model = made(name, CONFIGS["electra" if name.startswith("Electra") else "albert"])
    write_folder(tmp_path / "hf", model, form="h5")
    table = "encoder/embeddings/word/embeddings"
    with h5py.File(tmp_path / "hf/tf_model.h5", "r+") as file:
        copies = []
        file["generator_lm_head" if name.startswith("Electra") else "predictions"].visititems(
            lambda path, item: copies.append(item) if path.endswith("word_embeddings/weight:0") else None
        )
        copies[0][...] = copies[0][()] + 1
    if keep is None:
        with pytest.raises(CheckpointError, match=r"there twice and differs, by up to 1\b"):
            read_model(tmp_path / "hf")
    else:
        found = read_model(tmp_path / "hf", keep_tied=keep).weights[table]
        np.testing.assert_array_equal(found, model.weights[table] + (keep == "head"))


@pytest.mark.parametrize("keep", [None, "embeddings", "head"])
def test_tied_tensors_that_differ_are_an_error_unless_one_is_chosen(keep, tmp_path):
    from electra_tf.checkpoints.containers.safetensors import read_tensors, write_tensors

    model = made("ElectraForMaskedLM", CONFIGS["electra"])
    write_folder(tmp_path / "hf", model)
    file = tmp_path / "hf/model.safetensors"
    tensors, table = read_tensors(file), model.weights["encoder/embeddings/word/embeddings"]
    write_tensors(file, {**tensors, "generator_lm_head.weight": table + 0.5}, {"format": "pt"})
    if keep is None:
        with pytest.raises(CheckpointError, match=r"(?s)differ by up to 0\.5.*--keep_tied"):
            read_model(tmp_path / "hf")
        return
    expected = table if keep == "embeddings" else table + 0.5
    found = read_model(tmp_path / "hf", keep_tied=keep).weights["encoder/embeddings/word/embeddings"]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"to": "onnx"}, "no format 'onnx'"),
        ({"tower": "both"}, "no generator here, only a discriminator"),
        ({"model_class": "ElectraForMaskedLM"}, "cannot be a ElectraForMaskedLM: its heads are replaced_token"),
        ({"model_class": "BertModel"}, "no class 'BertModel'"),
    ],
)
def test_what_cannot_be_asked_for_is_said(arguments, message, tmp_path):
    write_folder(tmp_path / "hf", made("ElectraForPreTraining", CONFIGS["electra"]))
    with pytest.raises(ElectraTFError, match=message):
        convert(tmp_path / "hf", tmp_path / "out", **arguments)


@pytest.mark.parametrize("world", ["tf1", "torch"])
def test_groups_that_another_world_divides_otherwise_are_refused(world, tmp_path):
    layers, groups = {"tf1": (22, 22), "torch": (18, 14)}[world]
    config = CONFIGS["albert_of_one_width"].replace(num_hidden_layers=layers, num_hidden_groups=groups)
    model = made("AlbertForMaskedLM", config)
    if world == "tf1":
        write_folder(tmp_path / "hf", model)
    with pytest.raises(ConfigError, match=f"{layers} layers in {groups} groups"):
        if world == "torch":
            write_folder(tmp_path / "hf", model)
        else:
            convert(tmp_path / "hf", tmp_path / "tf1", "tf1")


def test_a_number_of_heads_that_tf1_does_not_tell_must_be_said(tmp_path):
    write_folder(tmp_path / "hf", made("ElectraForPreTraining", CONFIGS["electra"]))
    with pytest.raises(ConfigError, match=r"num_attention_heads of 2: .* would take 1 for 12 units"):
        convert(tmp_path / "hf", tmp_path / "tf1", "tf1")
    settings = {"num_attention_heads": 2}
    (prefix,) = convert(tmp_path / "hf", tmp_path / "tf1", "tf1", settings=settings)
    assert read_model(prefix, settings=settings).config.num_attention_heads == 2


def test_each_tower_may_have_heads_of_its_own(tmp_path, make_weights):
    """The configuration tells those of one tower under its name, when both are written and when they are read."""
    heads = {"discriminator": {"num_attention_heads": 2}, "generator": {"num_attention_heads": 3}}
    configs = {tower: CONFIGS["electra"].replace(**fields) for tower, fields in heads.items()}
    weights = make_weights(*configs.values(), "all")
    for tower, config in configs.items():
        ours = {name.replace("discriminator/embeddings", f"{tower}/embeddings"): a for name, a in weights.items()}
        write_folder(tmp_path / tower, pretrained(tower, config, ours))
    arguments = (tmp_path / "discriminator", tmp_path / "tf1", "tf1")
    with pytest.raises(ConfigError, match="num_attention_heads of 3"):
        convert(*arguments, generator=tmp_path / "generator", settings={"discriminator": heads["discriminator"]})
    (prefix,) = convert(*arguments, generator=tmp_path / "generator", settings=heads)
    for path in convert(prefix, tmp_path / "again", tower="both", settings=heads):
        assert read_model(path).config.num_attention_heads == heads[path.name]["num_attention_heads"]


def test_the_encoder_alone_of_what_transformers_cannot_hold(shared, tmp_path):
    source = shared / "data/golden/albert_squad_heads/v2.ckpt"
    (folder,) = convert(source, tmp_path / "hf", model_class="AlbertModel")
    assert read_model(folder).heads == ("pooler",)
    found = verify(source, folder, model_class="AlbertModel")
    assert found["engine"] == "transformers"
    assert found["difference"] <= 1e-5 * max(1, found["largest"])


def test_an_albert_with_a_head_for_replaced_tokens_is_verified_by_that_head(tmp_path, make_weights):
    config = CONFIGS["albert"]
    write_folder(tmp_path / "hf", pretrained("discriminator", config, make_weights(config, config)))
    (folder,) = convert(tmp_path / "hf", tmp_path / "bin", "bin")
    found = verify(tmp_path / "hf", folder)
    assert (found["difference"], found["engine"], found["model"]) == (0.0, "electra_tf", "AlbertModel")


def test_a_pooler_that_a_class_does_not_use_is_left_out(tmp_path):
    from electra_tf.checkpoints.containers.safetensors import read_tensors, write_tensors

    write_folder(tmp_path / "hf", made("AlbertForMaskedLM", CONFIGS["albert"]))
    file = tmp_path / "hf/model.safetensors"
    pooler = {"albert.pooler.weight": np.ones((12, 12), "f4"), "albert.pooler.bias": np.ones(12, "f4")}
    write_tensors(file, {**read_tensors(file), **pooler}, {"format": "pt"})
    assert read_model(tmp_path / "hf").heads == ("masked_lm",)


def test_a_task_without_a_name_is_asked_for(tmp_path):
    write_folder(tmp_path / "hf", made("ElectraForTokenClassification", CONFIGS["electra"]))
    with pytest.raises(ConfigError, match="--task"):
        convert(tmp_path / "hf", tmp_path / "tf1", "tf1", settings={"num_attention_heads": 2})


def test_the_table_of_a_model_is_the_table_of_its_class():
    for name, kind in MODEL_CLASSES.items():
        config = CONFIGS["electra" if kind.model_type == "electra" else "albert"]
        fields = dataclasses.asdict(config) | {"num_labels": 2}
        assert made(name, config).weights.keys() == {t.ours for t in model_tensors(fields, "encoder", kind.heads)}


@pytest.mark.parametrize("act", ["relu", "tanh"])
def test_an_activation_that_tf1_does_not_tell_must_be_said(act, tmp_path):
    """Then the same file reads it; without, `verify` shows what Google's code would compute."""
    config = CONFIGS["electra"].replace(hidden_act=act, num_attention_heads=1)
    write_folder(tmp_path / "hf", made("ElectraForPreTraining", config))
    with pytest.raises(ConfigError, match=f"hidden_act of '{act}'"):
        convert(tmp_path / "hf", tmp_path / "tf1", "tf1")
    settings = {"hidden_act": act}
    (prefix,) = convert(tmp_path / "hf", tmp_path / "tf1", "tf1", settings=settings)
    assert read_model(prefix, settings=settings).config.hidden_act == act
    assert verify(tmp_path / "hf", prefix, settings=settings)["difference"] < 1e-6
    found = verify(tmp_path / "hf", prefix)
    assert found["difference"] > 1e-3 * found["largest"]


def test_a_configuration_that_contradicts_the_model_is_refused(shared, tmp_path):
    write_folder(tmp_path / "hf", made("ElectraForPreTraining", CONFIGS["electra"]))
    with pytest.raises(ConfigError, match="hidden_size is 999, the model's 12"):
        convert(tmp_path / "hf", tmp_path / "out", "tf1", settings={"num_attention_heads": 2, "hidden_size": 999})
    with pytest.raises(CheckpointError, match="hidden_size is 999"):
        convert(shared / "data/golden/electra_tied/final.ckpt", tmp_path / "out", "tf1", settings={"hidden_size": 999})
    assert not (tmp_path / "out").exists()


def test_what_stays_behind_is_said(shared, tmp_path):
    model = made("AlbertForPreTraining", CONFIGS["albert_of_one_width"])
    write_folder(tmp_path / "hf", model, WordPieceTokenizer(SPECIAL_TOKENS), "# A card")
    said = []
    (path,) = convert(tmp_path / "hf", tmp_path / "alone", tower="generator", say=said.append)
    assert said == ["left out: pooler, sentence_order, which AlbertForMaskedLM has not"]
    assert (path / "README.md").read_text() == "# A card"
    said.clear()
    convert(path, tmp_path / "tf1", "tf1", say=said.append)
    assert [text.split(",")[0] for text in said] == ["the tokenizer stays behind", "there is no pooler"]
    said.clear()
    labels = {"id2label": {"0": "bad", "1": "good", "2": "unsure"}}
    named = dataclasses.replace(made("AlbertForTokenClassification", model.config), fields=labels)
    write_folder(tmp_path / "named", named)
    convert(tmp_path / "named", tmp_path / "named.keras", "keras", say=said.append)
    assert said == ["the names of the labels stay behind, since keras holds none: bad, good, unsure"]
    said.clear()
    convert(shared / "data/golden/electra_tied/final.ckpt", tmp_path / "one", "tf1", tower="generator", say=said.append)
    assert said == ["Adam's moments and the step stay behind: they go with a whole checkpoint only"]
    said.clear()
    convert(tmp_path / "one", tmp_path / "without", say=said.append)
    assert said == [
        "there is no tokenizer beside the source, or more than one, and the folder gets none: name it by vocab"
    ]


def test_nothing_is_written_where_one_of_two_towers_cannot_be(shared, tmp_path):
    """A generator's head is computed with gelu by transformers, whatever the configuration says."""
    source, settings = shared / "data/golden/electra_tied/final.ckpt", {"hidden_act": "relu"}
    with pytest.raises(ConfigError, match="the generator's hidden_act"):
        convert(source, tmp_path / "out", tower="both", settings=settings)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", ["safetensors", "bin", "h5"])
@pytest.mark.parametrize("name", ["ElectraModel", "ElectraForMaskedLM", "AlbertModel", "AlbertForPreTraining"])
def test_without_a_configuration_sizes_are_told_from_the_tensors(form, name, tmp_path):
    pytest.importorskip("torch")
    config = CONFIGS["electra" if name.startswith("Electra") else "albert_with_groups"]
    model = made(name, config)
    write_folder(tmp_path / "hf", model, form=form)
    (tmp_path / "hf/config.json").unlink()
    settings = {"num_attention_heads": 2}
    if config.model_type == "albert":
        with pytest.raises(CheckpointError, match="do not tell num_hidden_layers"):
            read_model(tmp_path / "hf", settings=settings)
        settings |= {"num_hidden_layers": 4, "hidden_act": config.hidden_act}
    found = read_model(tmp_path / "hf", settings=settings)
    assert_same(found, model)
    with pytest.raises(CheckpointError, match="hidden_size is 13, the tensors say 12"):
        read_model(tmp_path / "hf", settings=settings | {"hidden_size": 13})
    (path,) = convert(tmp_path / "hf", tmp_path / "again", settings=settings)
    assert_same(read_model(path), model)
    with pytest.raises(ConfigError, match=r"the folder has its own config\.json"):
        read_model(path, settings=settings)


def test_labels_and_classes_that_contradict_the_tensors_are_refused(tmp_path):
    write_folder(tmp_path / "hf", made("ElectraForSequenceClassification", CONFIGS["electra"]))
    file = tmp_path / "hf/config.json"
    fields = json.loads(file.read_text())
    file.write_text(json.dumps(fields | {"id2label": {"0": "a", "1": "b"}}))
    with pytest.raises(CheckpointError, match="the configuration has 2 labels, the head 3"):
        read_model(tmp_path / "hf")
    file.write_text(json.dumps(fields | {"architectures": ["ElectraForCausalLM"]}))
    with pytest.raises(CheckpointError, match="ElectraForCausalLM, a class that is not known"):
        read_model(tmp_path / "hf")
    assert read_model(tmp_path / "hf", model_class="ElectraForSequenceClassification").num_labels == 3


def test_an_encoder_takes_what_tf1_does_not_tell(shared):
    from electra_tf import Encoder

    source = shared / "data/golden/electra_tied/final.ckpt"
    assert Encoder.from_pretrained(source).config.num_attention_heads == 1
    assert Encoder.from_pretrained(source, settings={"num_attention_heads": 4}).config.num_attention_heads == 4
    fine_tuned = shared / "data/golden/electra_finetune_classification/final.ckpt"
    alone = Encoder.from_pretrained(fine_tuned, model_class="ElectraModel")
    assert alone.config == Encoder.from_pretrained(fine_tuned).config


def test_two_towers_of_one_generator_are_told_under_its_name():
    """The command line knows the names discriminator and generator alone; what the error says to add is accepted."""
    towers = Electra("electra_tiny", generator_kind="two_towers").towers(100)
    told = {"discriminator": {"num_attention_heads": 4}}
    with pytest.raises(ConfigError, match=re.escape('{"generator": {"num_attention_heads": 2}} for one tower')):
        check_google_computes(told, towers)
    check_google_computes(told | {"generator": {"num_attention_heads": 2}}, towers)
    with pytest.raises(ConfigError, match="contradicts the generator_ltr"):
        check_google_computes(told | {"generator": {"num_attention_heads": 1}}, towers)
