"""What a person has put where a model is written stays, whatever it is called."""

import json
import os
import shutil

import numpy as np
import pytest
from small_models import CONFIGS

from electra_tf import convert
from electra_tf.checkpoints import pretrained, read_model, write_folder
from electra_tf.checkpoints.containers.output import LIST
from electra_tf.checkpoints.containers.tf1_bundle import read_variables
from electra_tf.checkpoints.google_electra import write_tf1
from electra_tf.errors import OutputError

HEADS = {"num_attention_heads": 2}


@pytest.fixture
def folder(make_weights, tmp_path):
    config = CONFIGS["electra"]
    write_folder(tmp_path / "hf", pretrained("discriminator", config, make_weights(config, config)))
    return tmp_path / "hf"


@pytest.fixture
def pair(make_weights, tmp_path):
    """A TF-V1 checkpoint of both towers."""
    config = CONFIGS["electra"]
    write_tf1(tmp_path / "pair", make_weights(config, config))
    return tmp_path / "pair"


def snapshot(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def put_readme(folder):
    (folder / "README.md").write_text("My notes.")


def put_weights(folder):
    (folder / "model.safetensors").write_bytes(b"another model, trained for weeks")


def put_folder(folder):
    (folder / "vocab.txt").mkdir()
    (folder / "vocab.txt/essay").write_text("years of work")


def put_link(folder):
    (folder / "essay").write_text("years of work")
    (folder / "tokenizer.json").symlink_to(folder / "essay")


@pytest.mark.parametrize("put", [put_readme, put_weights, put_folder, put_link])
@pytest.mark.parametrize("is_ours", [True, False], ids=["in an output", "in a folder of one's own"])
def test_a_folder_with_what_was_not_written_here_is_refused_and_stays(folder, put, is_ours, tmp_path):
    output = tmp_path / "out"
    convert(folder, output, "bin") if is_ours else output.mkdir()
    put(output)
    before = snapshot(output)
    for to in ("safetensors", "h5", "tf1"):
        with pytest.raises(OutputError, match="what was not written here") as told:
            convert(folder, output, to, settings=HEADS if to == "tf1" else None)
        assert "add --overwrite" in str(told.value) and str(output) in str(told.value)
    assert snapshot(output) == before and {path.name for path in tmp_path.iterdir()} == {"hf", "out"}


def test_what_was_written_here_is_replaced_until_it_is_changed(folder, tmp_path):
    output = tmp_path / "out"
    for to in ("safetensors", "h5", "safetensors"):
        convert(folder, output, to)
    config = output / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"id2label": {"0": "good"}}))
    with pytest.raises(OutputError, match=r"changed since: config\.json"):
        convert(folder, output)


def test_with_consent_files_of_a_model_are_replaced_and_all_others_stay(folder, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    put_weights(output)
    put_readme(output)
    (output / "runs").mkdir()
    (output / "runs/events").write_text("mine")
    (output / "notes").symlink_to("runs/events")
    convert(folder, output, overwrite=True)
    assert read_model(output).name == "ElectraForPreTraining"
    assert (output / "README.md").read_text() == "My notes."
    assert (output / "runs/events").read_text() == (output / "notes").read_text() == "mine"
    assert (output / "notes").is_symlink()
    with pytest.raises(OutputError, match=r"README\.md, notes, runs"):  # still not ours
        convert(folder, output)


def test_with_consent_a_folder_is_not_replaced_by_a_file_of_its_name(folder, tmp_path):
    output = tmp_path / "out"
    (output / "config.json").mkdir(parents=True)
    (output / "config.json/essay").write_text("mine")
    with pytest.raises(OutputError, match=r"config\.json is to be written"):
        convert(folder, output, overwrite=True)
    assert snapshot(tmp_path / "out") == {(output / "config.json/essay").relative_to(output): b"mine"}


def test_a_single_file_is_replaced_while_it_is_as_it_was_written_here(folder, tmp_path):
    output = tmp_path / "model.keras"
    output.touch()  # as of mktemp
    for _ in range(2):
        assert convert(folder, output, "keras") == [output]
    written = output.read_bytes()
    output.rename(tmp_path / "moved.keras")
    convert(folder, tmp_path / "moved.keras", "keras")
    shutil.copy(tmp_path / "moved.keras", output)  # a person's own
    (tmp_path / "changed.keras").write_bytes(written)
    with open(tmp_path / "moved.keras", "ab") as file:
        file.write(b"and more")
    for path in (output, tmp_path / "moved.keras", tmp_path / "changed.keras"):
        before = path.read_bytes()
        with pytest.raises(OutputError, match="the file was not written here, or was changed") as told:
            convert(folder, path, "keras")
        assert "add --overwrite" in str(told.value) and str(path) in str(told.value)
        assert path.read_bytes() == before
        assert read_model(convert(folder, path, "keras", overwrite=True)[0]).name == "ElectraForPreTraining"
        convert(folder, path, "keras")


def test_what_is_no_file_is_not_replaced_by_one(folder, tmp_path):
    os.mkfifo(tmp_path / "pipe.keras")
    (tmp_path / "folder.keras").mkdir()
    for name in ("pipe.keras", "folder.keras"):
        with pytest.raises(OutputError, match="of this name that is no file"):
            convert(folder, tmp_path / name, "keras", overwrite=True)
    assert (tmp_path / "pipe.keras").is_fifo() and (tmp_path / "folder.keras").is_dir()


def test_a_tower_of_both_that_was_changed_stays(pair, tmp_path):
    output = tmp_path / "both"
    convert(pair, output, "keras", tower="both", settings=HEADS)
    (output / "generator.keras").write_bytes(b"another model, trained for weeks")
    before = snapshot(output)
    with pytest.raises(OutputError, match="the file was not written here") as told:
        convert(pair, output, "keras", tower="both", settings=HEADS)
    assert str(output / "generator.keras") in str(told.value) and snapshot(output) == before
    convert(pair, output, "keras", tower="both", settings=HEADS, overwrite=True)
    assert snapshot(output).keys() == before.keys() and snapshot(output) != before


@pytest.mark.parametrize("to", ["safetensors", "keras"])
def test_both_towers_are_exchanged_at_one_moment_or_not_at_all(pair, to, tmp_path, monkeypatch):
    output = tmp_path / "both"
    written = convert(pair, output, to, tower="both", settings=HEADS)
    assert [path.parent for path in written] == [output] * 2 and all(path.exists() for path in written)
    inode = output.stat().st_ino
    assert convert(pair, output, to, tower="both", settings=HEADS) == written
    assert output.stat().st_ino != inode  # one rename
    before = snapshot(output)
    if to == "safetensors":
        put_readme(output / "generator")
        before = snapshot(output)
        with pytest.raises(OutputError, match=r"README\.md") as told:
            convert(pair, output, to, tower="both", settings=HEADS)
        assert str(output / "generator") in str(told.value)
    else:
        (output / "mine").write_text("mine")
        before = snapshot(output)
        with pytest.raises(OutputError, match="changed since: mine"):
            convert(pair, output, to, tower="both", settings=HEADS)
    assert snapshot(output) == before
    convert(pair, output, to, tower="both", settings=HEADS, overwrite=True)
    assert snapshot(output).keys() == before.keys()


def test_the_list_is_no_part_of_a_model(folder, tmp_path):
    convert(folder, tmp_path / "tf1", "tf1", settings=HEADS)
    assert json.loads((tmp_path / "tf1" / LIST).read_text())["files"].keys() == {
        "checkpoint",
        "model.ckpt.index",
        "model.ckpt.data-00000-of-00001",
    }
    assert all(isinstance(array, np.ndarray) for array in read_variables(tmp_path / "tf1/model.ckpt").values())


def test_a_link_of_a_models_name_is_not_read_in_the_place_of_what_is_written(folder, tmp_path):
    """The old weights would win; what the link leads to stays, and other links do, too."""
    (tmp_path / "store").mkdir()
    out = shutil.copytree(folder, tmp_path / "out")
    (out / "model.safetensors").rename(tmp_path / "store" / "m")
    (out / "model.safetensors").symlink_to(tmp_path / "store" / "m")
    (out / "notes").symlink_to("../nowhere")
    convert(folder, out, "bin", overwrite=True)
    assert not os.path.lexists(out / "model.safetensors") and (out / "pytorch_model.bin").is_file()
    assert (tmp_path / "store" / "m").is_file() and (out / "notes").is_symlink()
