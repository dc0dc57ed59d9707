"""Configurations of encoders: what follows from what, JSON and back, sizes that do not fit refused by name."""

import dataclasses
import json

import pytest

from electra_tf.errors import ConfigError
from electra_tf.models import EncoderConfig


def test_what_is_not_said_follows_from_the_rest():
    config = EncoderConfig(hidden_size=128, num_attention_heads=2, num_hidden_layers=3)
    assert (config.embedding_size, config.num_hidden_groups) == (128, 3)
    assert EncoderConfig(model_type="albert").num_hidden_groups == 1


@pytest.mark.parametrize(
    "field, value",
    [
        ("num_attention_heads", 3),
        ("num_attention_heads", 0),
        ("hidden_size", -64),
        ("vocab_size", 0),
        ("vocab_size", 100.5),
        ("num_hidden_groups", 5),
        ("num_hidden_groups", 6),
        ("inner_group_num", 2),
        ("hidden_dropout_prob", 1.0),
        ("attention_probs_dropout_prob", -0.1),
        ("hidden_act", "mish"),
        ("model_type", "bert"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_by_name(field, value):
    with pytest.raises(ConfigError, match=field) as error:
        EncoderConfig(**{field: value})
    assert error.value.expected
    assert field in error.value.where


def test_alberts_groups_may_be_of_unequal_depth_but_not_empty():
    assert EncoderConfig(model_type="albert", num_hidden_groups=5).num_hidden_groups == 5
    with pytest.raises(ConfigError, match="num_hidden_groups is 13"):
        EncoderConfig(model_type="albert", num_hidden_groups=13)


@pytest.mark.parametrize("kind", ["electra", "albert"])
def test_a_config_survives_its_json_file(tmp_path, kind):
    config = EncoderConfig(model_type=kind, hidden_size=64, embedding_size=32, num_attention_heads=1)
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    assert EncoderConfig.from_file(tmp_path / "config.json") == config


def test_electras_json_has_no_fields_of_albert():
    assert "num_hidden_groups" not in EncoderConfig().to_dict()


def test_fields_of_other_parts_of_a_hugging_face_config_are_passed_over():
    fields = {**EncoderConfig().to_dict(), "summary_type": "first", "use_cache": True, "net_structure_type": 0}
    assert EncoderConfig.from_dict(fields) == EncoderConfig()


def test_relative_positions_are_refused_instead_of_passed_over():
    with pytest.raises(ConfigError, match="relative_key"):
        EncoderConfig.from_dict({"position_embedding_type": "relative_key"})


@pytest.mark.parametrize("content", ["{", None])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "config.json"
    if content:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"config\.json"):
        EncoderConfig.from_file(path)


def test_another_depth_takes_another_number_of_groups():
    assert EncoderConfig().replace(num_hidden_layers=6).num_hidden_groups == 6
    assert EncoderConfig(model_type="albert").replace(num_hidden_layers=6).num_hidden_groups == 1


def test_a_config_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        EncoderConfig().hidden_size = 3
