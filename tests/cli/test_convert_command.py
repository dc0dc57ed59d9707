"""`electra-tf convert`: every form and type, slots and step, verification, flags that mean nothing refused."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from electra_tf.checkpoints import read_folder
from electra_tf.checkpoints.google_electra import read_tf1
from electra_tf.checkpoints.translation import tower_weights

SHARED = Path(__file__).resolve().parents[2].parent / "shared/data/golden"
CHECKPOINT = Path(__file__).resolve().parents[1] / "golden/electra_tied/final.ckpt"


@pytest.mark.parametrize(
    "form, file", [("safetensors", "model.safetensors"), ("h5", "tf_model.h5"), ("bin", "pytorch_model.bin")]
)
def test_both_towers_of_a_tf1_checkpoint_in_every_form(electra_tf, tmp_path, form, file):
    if form == "bin":
        pytest.importorskip("torch")
    done = electra_tf("convert", "--input", CHECKPOINT, "--tower", "both", "--to", form, "--output", tmp_path / "hf")
    assert done.returncode == 0, done.stderr
    source = read_tf1(CHECKPOINT)
    for tower in ("discriminator", "generator"):
        assert (tmp_path / "hf" / tower / file).is_file()
        model = read_folder(tmp_path / "hf" / tower)
        assert model.tower == tower
        for name, array in tower_weights(source.weights, tower).items():
            np.testing.assert_array_equal(model.tower_weights()[name], array, err_msg=name)


def test_a_tf1_checkpoint_is_written_with_slots_and_step(electra_tf, tmp_path):
    done = electra_tf("convert", "--input", CHECKPOINT, "--to", "tf1", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "out" / "model.ckpt")
    ours, theirs = (tf.train.load_checkpoint(str(path)) for path in (tmp_path / "out/model.ckpt", CHECKPOINT))
    assert ours.get_variable_to_shape_map() == theirs.get_variable_to_shape_map()
    for name in theirs.get_variable_to_shape_map():
        np.testing.assert_array_equal(ours.get_tensor(name), theirs.get_tensor(name), err_msg=name)


def test_verifying_a_checkpoint_of_both_towers_runs_both(electra_tf, tmp_path):
    done = electra_tf("convert", "--input", CHECKPOINT, "--to", "tf1", "--output", tmp_path / "out", "--verify")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("verified by electra_tf") == 2


def test_from_one_folder_to_another_form_and_type(electra_tf, folders, tmp_path):
    """The tokenizer goes with the model; half precision is what was asked for."""
    command = ["convert", "--input", folders / "generator", "--tower", "generator", "--to", "h5"]
    done = electra_tf(*command, "--dtype", "float16", "--output", tmp_path / "hf")
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "hf").iterdir()}
    assert {"config.json", "tf_model.h5", "vocab.txt", "tokenizer.json"} <= names
    assert json.loads(electra_tf("inspect", tmp_path / "hf", "--json").stdout)["dtype"] == ["float16"]
    done = electra_tf("fill-mask", "--input", tmp_path / "hf", "the [MASK] .")
    assert done.returncode == 0, done.stderr


def test_h5_of_bfloat16_is_refused_before_anything_is_written(electra_tf, folders, tmp_path):
    command = ["convert", "--input", folders / "discriminator", "--to", "h5", "--dtype", "bfloat16"]
    done = electra_tf(*command, "--output", tmp_path / "out")
    assert done.returncode == 2
    assert "bfloat16" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--task", "mnli"], "--task|task mnli"),
        (["--to", "bin", "--shard_gigabytes", "1"], "shard_bytes"),
        (["--to", "keras", "--shard_gigabytes", "1"], "shard_bytes"),
        (["--to", "keras", "--tokenization", "google"], "tokenization google"),
        (["--tokenization", "google"], "there is no setting 'tokenization'"),
        (["--to", "tf1", "--task", "mnli"], "a task only for an ELECTRA that was fine-tuned"),
    ],
)
def test_flags_that_mean_nothing_are_refused(flags, said, electra_tf, folders, tmp_path):
    """Of one kind of source or target only: given for another, they are not ignored."""
    done = electra_tf("convert", "--input", folders / "discriminator", "--output", tmp_path / "out", *flags)
    assert done.returncode == 2
    assert re.search(said, done.stderr)
    assert not (tmp_path / "out").exists()


def test_a_rule_for_tied_copies_is_refused_where_there_are_none(electra_tf, tmp_path):
    command = ["convert", "--input", CHECKPOINT, "--to", "tf1", "--output", tmp_path / "out"]
    done = electra_tf(*command, "--keep_tied", "head")
    assert done.returncode == 2 and "keep_tied head" in done.stderr
    done = electra_tf(*command, "--task", "mnli", "--tower", "generator")
    assert done.returncode == 2 and "there is no task 'mnli'" in done.stderr


def test_verifying_says_what_was_not_run(electra_tf, tmp_path):
    source = SHARED / "electra_two_tower/final.ckpt"
    if not source.with_name("final.ckpt.index").is_file():
        pytest.skip("the reference data are not here")
    done = electra_tf("convert", "--input", source, "--to", "tf1", "--output", tmp_path / "out", "--verify")
    assert done.returncode == 0, done.stderr
    assert "as ElectraForPreTraining" in done.stdout
    assert "copied and not run, since nothing here computes them: generator_ltr, generator_rtl" in done.stdout


def test_the_remedy_for_a_folder_of_someone_elses_works_when_typed(electra_tf, folders, tmp_path):
    output = tmp_path / "hf"
    output.mkdir()
    (output / "README.md").write_text("My notes.")
    (output / "config.json").write_text("{}")
    command = ["convert", "--input", folders / "discriminator", "--output", output]
    done = electra_tf(*command)
    assert done.returncode == 2 and "README.md, config.json" in done.stderr and "add --overwrite" in done.stderr
    assert (output / "config.json").read_text() == "{}"
    done = electra_tf(*command, "--overwrite")
    assert done.returncode == 0, done.stderr
    assert (output / "README.md").read_text() == "My notes."
    assert electra_tf("detect", "--input", output, "the sea .").returncode == 0
