"""Strategies and clusters that are not there are refused in words."""

import json

import pytest

from electra_tf.errors import ConfigError
from electra_tf.training.devices import is_chief, make_strategy


def test_an_unknown_strategy_is_refused():
    with pytest.raises(ConfigError, match="'two'") as error:
        make_strategy("two")
    assert "mirrored" in error.value.expected


@pytest.mark.parametrize(
    "value",
    [None, "", "[]", "{}", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}'],
    ids=["missing", "empty", "a list", "without a cluster", "an index that is not there"],
)
def test_a_cluster_that_is_not_described_is_refused(value, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if value is not None:
        monkeypatch.setenv("TF_CONFIG", value)
    with pytest.raises(ConfigError, match="TF_CONFIG") as error:
        make_strategy("multi_worker")
    assert "worker" in error.value.expected


@pytest.mark.parametrize("name", [None, "local", "far-away"])
def test_a_tpu_that_is_not_there_is_refused(name, monkeypatch):
    monkeypatch.delenv("TPU_NAME", raising=False)
    if name is not None:
        monkeypatch.setenv("TPU_NAME", name)
    with pytest.raises(ConfigError, match="no TPU can be reached"):
        make_strategy("tpu")


def test_more_devices_than_tensorflow_has_begun_with_are_refused():
    import tensorflow as tf

    float(tf.zeros([]))
    with pytest.raises(ConfigError, match="64 devices were asked for"):
        make_strategy("mirrored", 64)


def test_devices_are_not_ignored_where_a_strategy_uses_all_that_there_are():
    for name in ("multi_worker", "tpu"):
        with pytest.raises(ConfigError, match="2 devices were asked for") as error:
            make_strategy(name, 2)
        assert "leave --devices out" in error.value.remedy


def test_several_devices_are_mirrored():
    import tensorflow as tf

    float(tf.zeros([]))
    with pytest.raises(ConfigError, match="64 devices were asked for"):
        make_strategy("one", 64)
    assert make_strategy("one", 1).num_replicas_in_sync == 1


@pytest.mark.parametrize(
    "cluster, kind, index, chief",
    [({"worker": ["a:1", "b:1"]}, "worker", 0, True), ({"worker": ["a:1", "b:1"]}, "worker", 1, False),
     ({"chief": ["a:1"], "worker": ["b:1"]}, "chief", 0, True),
     ({"chief": ["a:1"], "worker": ["b:1"]}, "worker", 0, False)],
)  # fmt: skip
def test_one_process_of_a_cluster_writes(cluster, kind, index, chief, monkeypatch):
    assert is_chief("one")
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}}))
    assert is_chief("multi_worker") == chief
