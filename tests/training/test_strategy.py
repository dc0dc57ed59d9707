import pytest

from electra_tf.errors import ConfigError
from electra_tf.training.strategy import make_strategy


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


def test_a_tpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.delenv("TPU_NAME", raising=False)
    with pytest.raises(ConfigError, match="no TPU can be reached"):
        make_strategy("tpu")


def test_more_devices_than_tensorflow_has_begun_with_are_refused():
    import tensorflow as tf

    float(tf.zeros([]))
    with pytest.raises(ConfigError, match="64 devices were asked for"):
        make_strategy("mirrored", 64)
