"""Google's recorded ALBERT checkpoints as TF-V1 again, and there and back through every other format: the same bits."""

import json

import pytest
import tensorflow as tf

from electra_tf import convert
from electra_tf.checkpoints.containers.tf1_bundle import PREFIX, read_variables
from electra_tf.checkpoints.google_slots import is_weight
from electra_tf.errors import CheckpointError

FORMATS = ("safetensors", "bin", "h5", "keras")
RECORDED = [f"albert_{run}/{at}" for run in ("lamb", "groups_adamw") for at in ("initial", "final")]
RECORDED += [f"albert_outputs/{network}/model" for network in ("e_lt_h", "e_eq_h_relu", "groups_inner")]
RECORDED += ["albert_squad_heads/v1", "albert_squad_heads/v2"]
# Trained for neither, the pooler is in Google's files of both, and in no class for SQuAD.
POOLER = {"bert/pooler/dense/kernel", "bert/pooler/dense/bias"}
LOST = {("albert_squad_heads/v1", to): POOLER for to in FORMATS}
REFUSED = {("albert_squad_heads/v2", to): "a head of Google's for the answers" for to in FORMATS if to != "keras"}


@pytest.fixture(params=RECORDED)
def recorded(request, shared):
    """(its name, its prefix) of a checkpoint."""
    return request.param, shared / "data/golden" / f"{request.param}.ckpt"


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape), name
        assert found[name].tobytes() == array.tobytes(), name


def assert_same_configuration(written, prefix):
    """But for `down_scale_factor`, which Google's code never looks at."""
    expected = json.loads((prefix.parent / "config.json").read_text())
    del expected["down_scale_factor"]
    assert json.loads((written.parent / "albert_config.json").read_text()) == expected


def test_every_variable_is_kept_slots_and_step_included(recorded, tmp_path):
    name, prefix = recorded
    (written,) = convert(prefix, tmp_path / "tf1", "tf1")
    expected = read_variables(prefix)
    assert any(map(is_weight, expected)) and (name.endswith("final") == any(n.endswith("/adam_v") for n in expected))
    assert_same(read_variables(written), expected)
    assert_same_configuration(written, prefix)


@pytest.mark.parametrize("to", FORMATS)
def test_every_weight_comes_back_or_the_error_says_why_not(recorded, to, tmp_path):
    pytest.importorskip("torch")
    name, prefix = recorded
    between = tmp_path / f"between{'.keras' * (to == 'keras')}"
    if words := REFUSED.get((name, to)):
        with pytest.raises(CheckpointError, match=words):
            convert(prefix, between, to)
        assert not list(tmp_path.iterdir())
        return
    (path,) = convert(prefix, between, to)
    (written,) = convert(path, tmp_path / "tf1", "tf1")
    lost = LOST.get((name, to), set())
    expected = {n: array for n, array in read_variables(prefix).items() if is_weight(n) and n not in lost}
    assert_same(read_variables(written), expected)
    assert_same_configuration(written, prefix)


def test_slots_called_lambs_get_the_names_that_googles_optimizers_give(shared, tmp_path):
    """Google's export script knows `lamb_m` and `lamb_v`; both of its optimizers make `adam_m` and `adam_v`."""
    source = shared / "data/golden/albert_lamb"
    expected = read_variables(source / "final.ckpt")
    names = sorted(expected)
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / PREFIX),
        tensor_names=[name.replace("/adam_", "/lamb_") for name in names],
        shape_and_slices=[""] * len(names),
        tensors=[expected[name] for name in names],
    )
    (tmp_path / "albert_config.json").write_text((source / "config.json").read_text())
    (written,) = convert(tmp_path / PREFIX, tmp_path / "tf1", "tf1")
    assert_same(read_variables(written), expected)
