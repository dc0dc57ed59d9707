"""`run.json`: of format 2 as it is, of format 1 in today's terms, and damaged in words."""

import json
import shutil
from pathlib import Path

import pytest

from electra_tf.checkpoints.convert import convert
from electra_tf.checkpoints.run_directory import read_run
from electra_tf.checkpoints.run_json import read_description
from electra_tf.errors import CheckpointError
from electra_tf.seals import sealed

OLD = Path(__file__).parents[1] / "training" / "run_format_1" / "run"


@pytest.fixture
def old(tmp_path):
    """A run that version 0.1 began."""
    return shutil.copytree(OLD, tmp_path / "run")


def test_settings_of_format_1_are_found_where_they_belong_today(old):
    settings = read_description(old)["settings"]
    assert settings["Recipe"]["objective"] == "electra"
    assert settings["Recipe"]["steps"] == 12
    assert settings["Schedule"] == {
        "kind": "product", "peak": 0.002, "warmup_steps": 2, "power": 1.0, "end": 0.0, "decay_steps": None
    }  # fmt: skip
    assert settings["Masking"]["mask_prob"] == 0.25
    assert settings["Electra"]["generator_width"] == 1.0
    assert settings["AdamW"]["beta_2"] == 0.999


def test_towers_and_what_they_share_follow_from_format_1(old):
    run = read_run(old)
    assert list(run.towers) == ["discriminator", "generator"]
    assert run.shared == {"generator/embeddings/": "discriminator/embeddings/"}
    assert run.heads == {"discriminator": ("replaced_token",), "generator": ("masked_lm",)}


@pytest.mark.parametrize("to", ["tf1", "safetensors"])
@pytest.mark.parametrize("towers", [[], {}, None, {"encoder": {}}])
def test_towers_that_are_none_are_refused_whatever_is_written(old, tmp_path, to, towers):
    run = read_description(old) | {"towers": towers}
    (old / "run.json").write_text(json.dumps(sealed({k: v for k, v in run.items() if k != "checksum"})))
    with pytest.raises(CheckpointError, match="cannot be read"):
        convert(old, tmp_path / "out", to, tower="discriminator" if to != "tf1" else None)


@pytest.mark.parametrize("lost", ["model", "recipe", "data", "format_version"])
def test_a_description_that_lacks_a_part_is_refused_with_its_place(old, lost):
    run = json.loads((old / "run.json").read_text())
    del run[lost]
    (old / "run.json").write_text(json.dumps(run))
    with pytest.raises(CheckpointError, match=lost) as error:
        read_description(old)
    assert str(old / "run.json") in str(error.value)
    assert "restore the file" in error.value.remedy


@pytest.mark.parametrize("content", ["", "{", "[]", '"a"', '{"format_version": 1, "model": 3}'])
def test_what_is_no_description_is_refused(old, content):
    (old / "run.json").write_text(content)
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_description(old)


def test_a_later_format_is_told_by_its_number(old):
    (old / "run.json").write_text(json.dumps({"format_version": 3}))
    with pytest.raises(CheckpointError, match="the run is of format 3"):
        read_description(old)


def test_a_damaged_checkpoint_of_an_old_run_gives_way_to_the_one_before(old, capsys):
    state = old / "checkpoints" / "step-00000012" / "state.safetensors"
    content = bytearray(state.read_bytes())
    content[-5] ^= 1
    state.write_bytes(content)
    assert read_run(old).step == 6
    captured = capsys.readouterr()
    assert str(state) in captured.err and captured.out == ""
