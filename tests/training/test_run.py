"""A run from its first step to its last, in this process: what it leaves, what it says, what it refuses."""

import dataclasses
import hashlib
import io
import json
import math
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from electra_tf.checkpoints.checkpoint_inspection import of_run
from electra_tf.checkpoints.metrics_jsonl import read_metrics
from electra_tf.checkpoints.run_checkpoints import list_checkpoints, newest_intact, read_checkpoint, write_state
from electra_tf.checkpoints.run_directory import read_run
from electra_tf.data.builder import build_data
from electra_tf.data.records import frame, read_records
from electra_tf.errors import CheckpointError, ConfigError, DataError, InputError, OutputError, TrainingError
from electra_tf.locks import locked_folder
from electra_tf.optimizers.adamw import AdamW
from electra_tf.optimizers.schedules import Schedule
from electra_tf.pretraining import run
from electra_tf.pretraining.masking import Masking
from electra_tf.pretraining.settings import Electra
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.text.wordpiece_tokenizer import SPECIAL_TOKENS, WordPieceTokenizer
from electra_tf.training.recipe import Recipe
from electra_tf.training.run import _never_at_its_peak, _off_the_grid, _say_what_changed
from electra_tf.training.run_description import _goes_on, check_same_run, write_description


def pretrain(*arguments, schedule=None, **keywords):
    """With the schedule of the finished run, unless another is given."""
    return run.pretrain(*arguments, schedule=schedule or Schedule(peak=1e-3, warmup_steps=0), **keywords)


@pytest.fixture
def copied(tiny_run, tmp_path):
    """A copy of the finished run, to go on with."""
    return shutil.copytree(tiny_run.model_dir, tmp_path / "run")


def said_by(*arguments, **keywords):
    stream = io.StringIO()
    result = pretrain(*arguments, stream=stream, **keywords)
    return stream.getvalue(), result


def test_a_run_leaves_all_that_tells_what_it_was(tiny_run):
    names = {path.name for path in tiny_run.model_dir.iterdir()}
    assert names == {"run.json", "operative_config.gin", "tokenizer", "events", "metrics.jsonl", "checkpoints"}
    run = json.loads((tiny_run.model_dir / "run.json").read_text())
    assert run["settings"]["Recipe"]["steps"] == 6
    assert run["towers"]["discriminator"]["hidden_size"] == 16
    assert (tiny_run.model_dir / "operative_config.gin").read_text() == "# settings\n"


def test_the_last_checkpoints_and_the_milestones_stay(tiny_run):
    assert [step for step, _ in list_checkpoints(tiny_run.model_dir)] == [2, 4, 5, 6]


def test_lines_of_metrics_come_when_they_are_due(tiny_run):
    lines = read_metrics(tiny_run.model_dir / "metrics.jsonl")
    assert [(line["step"], line["kind"]) for line in lines] == [
        (2, "train"),
        (3, "eval"),
        (4, "train"),
        (6, "train"),
        (6, "eval"),
    ]
    for line in lines:
        del line["wall"]
        assert all(math.isfinite(value) for name, value in line.items() if name != "kind")
    assert lines[0]["learning_rate"] == pytest.approx(1e-3 * 5 / 6)  # without warm-up, decaying from the first step
    norms = lines[0]["generator_grad_norm"], lines[0]["discriminator_grad_norm"]
    assert lines[0]["grad_norm"] >= max(norms) > 0


def test_what_the_run_will_cost_is_said_as_soon_as_it_is_known(tiny_run):
    before, _, after = tiny_run.said.partition("step 2/6")
    for name in ("parameters", "steps", "tokens", "epochs", "compute"):
        assert any(line.split()[:1] == [name] for line in before.splitlines()), name
    for name in ("memory", "time"):  # after at least a second of steps, or at the end of so short a run
        assert any(line.split()[:1] == [name] for line in after.splitlines()), name


@pytest.mark.slow
def test_a_command_prints_what_it_says_itself_and_nothing_of_its_libraries(quick_data, tmp_path):
    settings = ("Recipe.compiler = 'islands'", "Recipe.steps = 1", "Recipe.batch_size = 4", "Recipe.eval_examples = 8")
    command = [sys.executable, "-m", "electra_tf", "pretrain", "--gin_file", "electra_tiny", "--data", quick_data]
    command += [f"--gin_param={setting}" for setting in settings]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}  # as a user's
    environment |= {"ELECTRA_TF_COMPILATION_CACHE": str(tmp_path / "cache")}
    begin = ("a new run in", "  ", "warning: ", "step 1/1", "held out at step 1")
    for programs in ("compiled", "loaded"):
        done = subprocess.run([*command, "--model_dir", tmp_path / programs], env=environment, capture_output=True)
        assert (done.returncode, done.stdout) == (0, b"")
        said = done.stderr.decode().splitlines()
        assert [line for line in said if line and not line.startswith(begin)] == [], programs


def profiled_steps(model_dir):
    """Numbers of the steps that TensorBoard's profile of a run holds."""
    from tensorflow.tsl.profiler.protobuf.xplane_pb2 import XSpace

    (path,) = (model_dir / "events").glob("plugins/profile/*/*.xplane.pb")
    found = []
    for plane in XSpace.FromString(path.read_bytes()).planes:
        for event in (event for line in plane.lines for event in line.events):
            if plane.event_metadata[event.metadata_id].name == "train":
                stats = {plane.stat_metadata[stat.metadata_id].name: stat for stat in event.stats}
                found.append(stats["step_num"].int64_value)
    return sorted(found)


def test_the_steps_asked_for_are_profiled_and_change_nothing(quick_data, tiny_model, tiny_recipe, tiny_run, tmp_path):
    said, _ = said_by(quick_data, tmp_path / "run", tiny_model, tiny_recipe, profile=2)
    assert profiled_steps(tmp_path / "run") == [3, 4]
    assert f"2 steps are profiled: tensorboard --logdir {tmp_path}/run/events" in said
    last, as_before = (newest_intact(folder)[1] for folder in (tmp_path / "run", tiny_run.model_dir))
    for name, value in as_before.items():
        np.testing.assert_array_equal(last[name], value, err_msg=name)


@pytest.mark.slow
def test_a_run_that_ends_before_all_is_profiled_says_so(quick_data, tiny_model, tiny_recipe, tmp_path):
    said, _ = said_by(quick_data, tmp_path / "run", tiny_model, tiny_recipe, profile=10)
    assert profiled_steps(tmp_path / "run") == [3, 4, 5]
    assert "warning: 3 of 10 steps are profiled" in said


def test_the_result_is_the_last_evaluation(tiny_run):
    last = read_metrics(tiny_run.model_dir / "metrics.jsonl")[-1]
    assert tiny_run.result["finished"]
    assert tiny_run.result["step"] == 6
    assert tiny_run.result["disc_auc"] == last["disc_auc"]


def test_a_finished_run_started_again_changes_nothing(copied, quick_data, tiny_model, tiny_recipe, tiny_run, hashes):
    before = hashes(copied)
    _, result = said_by(quick_data, copied, tiny_model, tiny_recipe, operative_config="# settings\n")
    assert result == tiny_run.result | {"model_dir": str(copied)}
    assert hashes(copied) == before


@pytest.mark.parametrize(
    "name, changed",
    [("seed", {"seed": 5}), ("batch_size", {"batch_size": 4}), ("compiler", {"compiler": "graph"}),
     ("steps", {"steps": 5}), ("steps", {"steps": 8})],
    ids=str,
)  # fmt: skip
def test_resuming_with_another_recipe_is_refused_by_name(
    copied, quick_data, tiny_model, tiny_recipe, hashes, name, changed
):
    before = hashes(copied)
    with pytest.raises(TrainingError, match=rf"Recipe\.{name}: ") as error:
        pretrain(quick_data, copied, tiny_model, dataclasses.replace(tiny_recipe, **changed))
    assert str(getattr(tiny_recipe, name)) in str(error.value)
    assert hashes(copied) == before


@pytest.mark.parametrize(
    "words, changed",
    [
        (r"Masking\.mask_prob: 0\.15, now 0\.25", {"masking": Masking(mask_prob=0.25)}),
        (r"Schedule\.peak: 0\.001, now 0\.002", {"schedule": Schedule(peak=2e-3, warmup_steps=0)}),
        (r"AdamW\.beta_2: 0\.999, now 0\.98", {"optimizer": AdamW(beta_2=0.98)}),
    ],
    ids=["masking", "schedule", "optimizer"],
)
def test_resuming_with_other_settings_is_refused_by_name(
    copied, quick_data, tiny_model, tiny_recipe, hashes, words, changed
):
    before = hashes(copied)
    with pytest.raises(TrainingError, match=words):
        pretrain(quick_data, copied, tiny_model, tiny_recipe, **changed)
    assert hashes(copied) == before


def test_resuming_with_another_model_is_refused_by_name(copied, quick_data, tiny_model, tiny_recipe, hashes):
    before = hashes(copied)
    with pytest.raises(TrainingError, match=r"generator\.num_hidden_layers: 1, now 2"):
        pretrain(quick_data, copied, dataclasses.replace(tiny_model, generator_depth=2.0), tiny_recipe)
    assert hashes(copied) == before


def test_resuming_with_other_data_is_refused(
    copied, quick_text, quick_vocab, tiny_model, tiny_recipe, hashes, tmp_path
):
    build_data(quick_text, quick_vocab, tmp_path / "other", length=32, seed=9, held_out=0.05, processes=0)
    before = hashes(copied)
    with pytest.raises(TrainingError, match="data: "):
        pretrain(tmp_path / "other", copied, tiny_model, tiny_recipe)
    assert hashes(copied) == before


def test_the_same_data_at_another_path_are_the_same(copied, quick_data, tiny_model, tiny_recipe, tmp_path):
    moved = shutil.copytree(quick_data, tmp_path / "moved")
    assert pretrain(moved, copied, tiny_model, tiny_recipe, stream=io.StringIO())["finished"]


def test_what_is_free_may_change_and_is_said_and_more_steps_come_by_extending(
    copied, quick_data, tiny_model, tiny_recipe
):
    recipe = dataclasses.replace(tiny_recipe, steps=7, keep=1)
    said, result = said_by(quick_data, copied, tiny_model, recipe, extend=True)
    assert "extended from 6 to 7 steps" in said
    assert "keep 2 -> 1" in said
    assert "resuming at step 6" in said
    assert result["step"] == 7
    assert [step for step, _ in list_checkpoints(copied)] == [2, 4, 6, 7]


def test_a_tokenizer_that_cannot_be_written_is_told_by_its_place_in_the_run(quick_vocab, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OutputError, match="File too large") as error:
            write_description(tmp_path / "run", {}, Tokenizer.from_pretrained(quick_vocab), None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert error.value.where == tmp_path / "run" / "tokenizer"
    assert not list((tmp_path / "run").iterdir())


def test_a_damaged_description_is_refused(copied, quick_data, tiny_model, tiny_recipe):
    (copied / "run.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"run\.json"):
        pretrain(quick_data, copied, tiny_model, tiny_recipe)


def test_a_second_process_in_a_run_directory_is_refused_and_changes_nothing(
    copied, quick_data, tiny_model, tiny_recipe, hashes
):
    with locked_folder(copied):
        before = hashes(copied)
        with pytest.raises(OutputError, match="another process trains here") as error:
            pretrain(quick_data, copied, tiny_model, tiny_recipe, stream=io.StringIO())
        assert error.value.where == copied
        assert hashes(copied) == before


def test_a_file_system_without_locks_is_trained_on_and_that_is_said(
    copied, quick_data, tiny_model, tiny_recipe, monkeypatch
):
    monkeypatch.setattr("electra_tf.locks.lock", lambda handle: None)
    said, result = said_by(quick_data, copied, tiny_model, tiny_recipe)
    assert result["finished"]
    assert f"warning: {copied} cannot be locked" in said


@pytest.mark.parametrize(
    "name, before, after",
    [
        ("run.json", '"steps": 6', '"steps": 8'),
        ("run.json", '"num_attention_heads": 1', '"num_attention_heads": 2'),
        ("tokenizer/vocab.txt", "\nthe\n", "\nhet\n"),
    ],
    ids=["a setting", "the model", "the vocabulary"],
)
def test_one_changed_byte_of_what_gives_weights_a_meaning_is_refused_by_all_who_read_it(
    copied, quick_data, tiny_model, tiny_recipe, name, before, after
):
    path = copied / name
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    for reader in (read_run, of_run, lambda run: pretrain(quick_data, run, tiny_model, tiny_recipe)):
        with pytest.raises(CheckpointError, match="was changed") as error:
            reader(copied)
        assert error.value.where in (path, path.parent)


def test_a_shard_with_the_same_records_in_another_order_is_refused(
    copied, quick_data, tiny_model, tiny_recipe, tmp_path
):
    data = shutil.copytree(quick_data, tmp_path / "data")
    shard = next(data.glob("train-*"))
    shard.write_bytes(b"".join(map(frame, list(read_records(shard))[::-1])))
    with pytest.raises(DataError, match="a shard holds other examples") as error:
        pretrain(data, copied, tiny_model, tiny_recipe, stream=io.StringIO())
    assert error.value.where == shard


def test_a_damaged_log_is_no_reason_to_stop(copied, quick_data, tiny_model, tiny_recipe):
    path = copied / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    beyond = lines[1].replace('"step": 3', '"step": 93')
    path.write_text("\ufeff" + lines[0] + beyond + "\n\0\0\0\n" + "[]\n" + "".join(lines[2:]) + '{"step": 6, "ki')
    said, result = said_by(quick_data, copied, tiny_model, tiny_recipe)
    assert result["finished"]
    assert f"{path} is damaged; lines left out: 2, 4, 5, 9" in said
    assert path.read_text() == lines[0] + "".join(lines[2:])


class Signalling(io.StringIO):
    """A stream that gets this process a signal when it is told of a step."""

    def __init__(self, number, step):
        super().__init__()
        self.number, self.step = number, step

    def write(self, text):
        if text.startswith(f"step {self.step}/"):
            signal.raise_signal(self.number)
        return super().write(text)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_run_that_was_asked_to_stop_saves_and_keeps_what_it_would_have_kept(
    quick_data, tiny_model, tiny_recipe, tmp_path, number
):
    settings = {"steps": 12, "log_every": 2, "checkpoint_every": 3, "eval_examples": 0, "keep": 2, "milestone_every": 0}
    recipe = dataclasses.replace(tiny_recipe, **settings)
    handlers = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
    stream = Signalling(number, 10)
    if number == signal.SIGINT:
        with pytest.raises(KeyboardInterrupt):
            pretrain(quick_data, tmp_path / "run", tiny_model, recipe, stream=stream)
    else:
        assert not pretrain(quick_data, tmp_path / "run", tiny_model, recipe, stream=stream)["finished"]
    assert "stopped by a signal at step 10; its state is saved" in stream.getvalue()
    assert [step for step, _ in list_checkpoints(tmp_path / "run")] == [6, 9, 10]
    assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)] == handlers
    said, result = said_by(quick_data, tmp_path / "run", tiny_model, recipe)
    assert result["finished"] and "resuming at step 10" in said
    assert [step for step, _ in list_checkpoints(tmp_path / "run")] == [9, 12]


def test_an_old_checkpoint_that_is_a_link_is_no_reason_to_stop(copied, quick_data, tiny_model, tiny_recipe, tmp_path):
    old = copied / "checkpoints" / "step-00000005"
    moved = old.rename(tmp_path / "moved")
    old.symlink_to(moved)
    recipe = dataclasses.replace(tiny_recipe, steps=7, keep=1, milestone_every=0)
    assert pretrain(quick_data, copied, tiny_model, recipe, extend=True, stream=io.StringIO())["finished"]
    assert [path.name for path in (copied / "checkpoints").iterdir()] == ["step-00000007"]
    assert read_checkpoint(moved)[0]["step"] == 5


def test_a_later_checkpoint_that_is_damaged_takes_no_place_of_those_that_are_kept(
    copied, quick_data, tiny_model, tiny_recipe
):
    """Else the only intact ones would go, and the next start would find nothing."""
    damaged = copied / "checkpoints" / "step-00000009"
    shutil.copytree(copied / "checkpoints" / "step-00000006", damaged)
    (damaged / "state.safetensors").write_bytes(b"")
    recipe = dataclasses.replace(tiny_recipe, steps=8, keep=1, milestone_every=0)
    said, result = said_by(quick_data, copied, tiny_model, recipe, extend=True)
    assert "damaged checkpoint, the one before is used" in said and result["step"] == 8
    assert [step for step, _ in list_checkpoints(copied)] == [8, 9]


@pytest.mark.parametrize(
    "content",
    [{}, {"step": 6}, {"step": 6, "files": {}}, {"step": 6, "files": {"state.safetensors": {"bytes": "3"}}}],
    ids=["nothing", "no files", "no state", "no checksum"],
)
def test_an_index_that_says_nothing_is_a_damaged_checkpoint(copied, capsys, content):
    body = json.dumps(content).encode()
    newest = copied / "checkpoints" / "step-00000006"
    (newest / "index.json").write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    assert read_run(copied).step == 5
    assert of_run(copied)["checkpoints"][6].startswith("damaged: the index does not say")
    assert capsys.readouterr().out == ""


def test_a_state_that_is_no_state_is_a_damaged_checkpoint_whatever_its_checksum(copied, capsys):
    newest = copied / "checkpoints" / "step-00000006"
    write_state(newest, 6, {"weights/a": np.zeros(3, "float32")}, {})
    body = (newest / "index.json").read_text().split("\n", 1)[1]
    right = json.loads(body)["files"]["state.safetensors"]["sha256"]
    garbage = b"\xff" * (newest / "state.safetensors").stat().st_size
    body = body.replace(right, hashlib.sha256(garbage).hexdigest()).encode()
    (newest / "state.safetensors").write_bytes(garbage)
    (newest / "index.json").write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    assert read_run(copied).step == 5
    captured = capsys.readouterr()
    assert "no safetensors file" in captured.err and captured.out == ""


@pytest.mark.parametrize("name", ["state.safetensors", "index.json"])
def test_a_checkpoint_that_may_not_be_read_is_not_taken_for_a_damaged_one(
    copied, quick_data, tiny_model, tiny_recipe, monkeypatch, name
):
    """The superuser may read everything: here the opening fails. As another user: `tests/cli/test_another_user.py`."""
    newest = copied / "checkpoints" / "step-00000006" / name

    def opened(path, *arguments, **options):
        if str(path) == str(newest):
            raise PermissionError(13, "Permission denied", str(path))
        return io_open(path, *arguments, **options)

    io_open = io.open
    monkeypatch.setattr("io.open", opened)
    monkeypatch.setattr("builtins.open", opened)
    for reader in (read_run, of_run, lambda run: pretrain(quick_data, run, tiny_model, tiny_recipe)):
        with pytest.raises(InputError, match="the checkpoint cannot be read: Permission denied") as error:
            reader(copied)
        assert error.value.where == newest


def test_a_flipped_byte_of_the_newest_state_is_told_by_inspect(copied):
    path = copied / "checkpoints" / "step-00000006" / "state.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    facts = of_run(copied)
    assert facts["step"] == 5
    assert facts["checkpoints"][5] == "intact"
    assert facts["checkpoints"][6].startswith("damaged: the file does not match its checksum")


def test_a_runs_emptied_tokenizer_is_missed_and_a_lost_one_is_written_anew(copied, quick_data, tiny_model, tiny_recipe):
    vocabulary = copied / "tokenizer" / "vocab.txt"
    before = vocabulary.read_bytes()
    for path in (copied / "tokenizer").iterdir():
        path.unlink()
    with pytest.raises(CheckpointError, match=r"lost files: .*vocab\.txt"):
        pretrain(quick_data, copied, tiny_model, tiny_recipe)
    (copied / "tokenizer").rmdir()
    assert pretrain(quick_data, copied, tiny_model, tiny_recipe, stream=io.StringIO())["finished"]
    assert vocabulary.read_bytes() == before


def test_a_finished_run_asks_for_no_room_and_an_unfinished_one_does(
    copied, quick_data, tiny_model, tiny_recipe, monkeypatch
):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=10, total=10, used=0))
    assert pretrain(quick_data, copied, tiny_model, tiny_recipe, stream=io.StringIO())["finished"]
    with pytest.raises(OutputError, match=r"0\.00 GB are free"):
        longer = dataclasses.replace(tiny_recipe, steps=8)
        pretrain(quick_data, copied, tiny_model, longer, extend=True, stream=io.StringIO())


def test_other_devices_under_losses_of_each_device_are_another_run_and_that_is_said():
    before, now, said = {"devices": "1 x CPU", "threads": 2}, {"devices": "2 x CPU", "threads": 2}, []
    _say_what_changed(before, now, Recipe(normalise_per_replica=True), said.append)
    assert "these are now 2 x CPU, before 1 x CPU: from here on the run is another one" in said[0]
    _say_what_changed(before, now, Recipe(), said.append)
    assert said[2:] == ["the last bits of this run may now differ, since it changed: devices: 1 x CPU -> 2 x CPU"]


def test_the_list_of_weights_taken_over_by_a_run_that_never_began_goes(quick_data, tiny_model, tiny_recipe, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "initial_weights.txt").write_text("all of them\n")
    (tmp_path / "run" / "run.json").write_text('{"format_version": 2}')  # it ended before its first checkpoint
    recipe = dataclasses.replace(tiny_recipe, steps=1)
    pretrain(quick_data, tmp_path / "run", tiny_model, recipe, stream=io.StringIO())
    assert not (tmp_path / "run" / "initial_weights.txt").exists()


OF_OTHERS = ("run.json", "metrics.jsonl", "operative_config.gin", "tokenizer/my_notes.txt", "tokenizer/vocab.txt")


@pytest.mark.parametrize("name", OF_OTHERS)
def test_what_a_person_has_put_into_the_folder_is_not_replaced(name, quick_data, tiny_model, tiny_recipe, tmp_path):
    for own in (name, "checkpoints/writing-paper/draft.tex"):
        (tmp_path / "run" / own).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / own).write_text('{"mine": 1}')
    told = "tokenizer" if name.endswith("vocab.txt") else re.escape(name)
    with pytest.raises(OutputError, match=f"a run would replace: {told}"):
        pretrain(quick_data, tmp_path / "run", tiny_model, tiny_recipe, stream=io.StringIO())
    (tmp_path / "run" / name).rename(tmp_path / "away")
    pretrain(quick_data, tmp_path / "run", tiny_model, tiny_recipe, stream=io.StringIO())
    assert (tmp_path / "run/checkpoints/writing-paper/draft.tex").is_file()


def test_what_a_start_left_that_was_killed_at_once_is_of_a_run(quick_data, tiny_model, tiny_recipe, tiny_run, tmp_path):
    """The tokenizer alone, or without the operative configuration."""
    for number, names in enumerate((["tokenizer"], ["tokenizer", "run.json"])):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name in names:
            source = tiny_run.model_dir / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
        recipe = dataclasses.replace(tiny_recipe, steps=1)
        assert pretrain(quick_data, folder, tiny_model, recipe, stream=io.StringIO())["finished"]


@pytest.mark.parametrize("kind", ["uniform", "masked"])
def test_what_makes_no_difference_may_have_been_set_otherwise(kind, tmp_path):
    def described(masking):
        fields = (Recipe(), Schedule(), AdamW(), Electra(generator_kind=kind), masking)
        settings = {type(one).__name__: dataclasses.asdict(one) for one in fields}
        plan = SimpleNamespace(recipe=fields[0], schedule=fields[1], optimizer=fields[2], settings=fields[3:])
        return plan, json.loads(json.dumps({"settings": settings, "towers": {}, "data": {"identity": "a"}}))

    _, begun = described(Masking(mask_token_prob=1.0))
    plan, now = described(Masking())
    if kind == "uniform":
        check_same_run(begun, now, plan, False, tmp_path, print)
    else:
        with pytest.raises(TrainingError, match=r"Masking\.mask_token_prob: 1\.0, now 0\.85"):
            check_same_run(begun, now, plan, False, tmp_path, print)


def test_a_checkpoint_under_the_name_of_another_step_is_damaged(copied):
    (copied / "checkpoints" / "step-00000006").rename(copied / "checkpoints" / "step-00000009")
    facts = of_run(copied)
    assert facts["step"] == 5
    assert facts["checkpoints"][9].startswith("damaged: the checkpoint is of step 6")


def test_weights_that_are_not_finite_are_not_saved(quick_data, tiny_model, tiny_recipe, tmp_path):
    """The loss of the first step is finite; the weights it leaves are not."""
    recipe, schedule = dataclasses.replace(tiny_recipe, steps=1), Schedule(peak=1e39, warmup_steps=0)
    with pytest.raises(TrainingError, match="weights/"):
        pretrain(quick_data, tmp_path / "new", tiny_model, recipe, schedule=schedule, stream=io.StringIO())
    assert list_checkpoints(tmp_path / "new") == []


def test_examples_longer_than_the_models_positions_are_refused(quick_data, tiny_model, tiny_recipe, tmp_path):
    short = dataclasses.replace(tiny_model, discriminator={**tiny_model.discriminator, "max_position_embeddings": 31})
    with pytest.raises(ConfigError, match="32 tokens long, the discriminator has 31 positions"):
        pretrain(quick_data, tmp_path / "new", short, tiny_recipe)
    assert not (tmp_path / "new").exists()


def test_data_that_the_vocabulary_does_not_know_are_told_first(tiny_run, tiny_model, tiny_recipe, tmp_path):
    WordPieceTokenizer([*SPECIAL_TOKENS, "the", "cat", "."]).save(tmp_path / "vocab")
    (tmp_path / "text.txt").write_text("the zebra .\n\nthe cat .\n\n" * 50)
    build_data(tmp_path / "text.txt", tmp_path / "vocab", tmp_path / "data", length=32, held_out=0, processes=0)
    recipe = dataclasses.replace(tiny_recipe, steps=1)
    said, _ = said_by(tmp_path / "data", tmp_path / "run", tiny_model, recipe)
    assert said.startswith("warning: 16.7% of the tokens to learn from are [UNK]")
    assert "[UNK]" not in tiny_run.said


def test_data_of_less_than_a_batch_are_refused(quick_data, tiny_model, tiny_recipe, tmp_path):
    with pytest.raises(DataError, match="at least one batch of 1000000"):
        pretrain(quick_data, tmp_path / "new", tiny_model, dataclasses.replace(tiny_recipe, batch_size=1_000_000))
    assert not (tmp_path / "new").exists()


def test_a_large_generator_is_warned_of(quick_data, tiny_model, tiny_recipe, tmp_path):
    like = dataclasses.replace(tiny_model, generator_width=1.0)
    said, _ = said_by(quick_data, tmp_path / "new", like, dataclasses.replace(tiny_recipe, steps=1, eval_examples=0))
    assert "warning: the generator is as large as the discriminator" in said


@pytest.mark.slow
def test_training_under_another_backend_is_a_clear_error(quick_data, tmp_path):
    pytest.importorskip("jax")
    code = f"import electra_tf; electra_tf.pretrain({str(quick_data)!r}, {str(tmp_path / 'new')!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "KERAS_BACKEND": "jax"}, capture_output=True, text=True
    )
    assert "ConfigError: Keras runs on jax" in done.stderr
    assert "KERAS_BACKEND=tensorflow" in done.stderr


@pytest.mark.slow
def test_a_run_of_format_1_goes_on_and_ends_where_it_would_have(tmp_path):
    """Begun by version 0.1: its state at step 6 of 12, and what it had at step 12."""
    here = Path(__file__).parent / "run_format_1"
    model_dir = shutil.copytree(here / "run", tmp_path / "run")
    shutil.rmtree(model_dir / "checkpoints" / "step-00000012")
    sizes = {"embedding_size": 8, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    settings = Electra(
        "electra_small",
        discriminator={**sizes, "intermediate_size": 16, "max_position_embeddings": 16},
        generator_width=1.0,
    )
    recipe = Recipe(
        steps=12, batch_size=4, compiler="graph", log_every=5, checkpoint_every=6, eval_every=6, eval_examples=8,
        keep=9, seed=3,
    )  # fmt: skip
    schedule = Schedule(peak=2e-3, warmup_steps=2)
    said, result = said_by(
        here / "data", model_dir, settings, recipe, masking=Masking(mask_prob=0.25), schedule=schedule
    )
    assert "resuming at step 6" in said
    assert result["finished"]
    _, expected = read_checkpoint(here / "run" / "checkpoints" / "step-00000012")
    _, found = read_checkpoint(model_dir / "checkpoints" / "step-00000012")
    assert found.keys() == expected.keys()
    for name, array in expected.items():  # the same bits on the machine that it was begun on
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-6, err_msg=name)
    lines, before = (read_metrics(folder / "metrics.jsonl") for folder in (model_dir, here / "run"))
    assert [line.keys() for line in lines] == [line.keys() for line in before]
    for line, other in zip(lines, before, strict=True):
        assert {k: pytest.approx(v, rel=1e-4) for k, v in other.items() if k not in ("wall", "kind")} == {
            k: v for k, v in line.items() if k not in ("wall", "kind")
        }
    with pytest.raises(TrainingError, match=r"Masking\.mask_prob: 0\.25, now 0\.15"):
        pretrain(here / "data", model_dir, settings, recipe, schedule=schedule)


@pytest.mark.parametrize(
    ("steps", "masking", "goes_on"),
    [(8, {}, True), (7, {}, False), (8, {"last_mask_prob": 0.1}, False)],  # the last two steps decay
)
def test_more_steps_need_no_word_where_those_done_are_the_same_then(steps, masking, goes_on, tiny_run):
    schedule = Schedule("warmup_stable_decay", 1e-3, warmup_steps=0, decay_steps=2)
    plan = SimpleNamespace(schedule=schedule, settings=(Masking(**masking),))
    assert _goes_on(plan, steps, tiny_run.model_dir) == goes_on
    heated = SimpleNamespace(schedule=schedule, settings=(Electra(first_temperature=2.0),))
    assert not _goes_on(heated, steps, tiny_run.model_dir)


def test_a_warm_up_that_never_ends_and_milestones_without_a_checkpoint_are_told():
    recipe = Recipe(steps=100, checkpoint_every=10, milestone_every=15)
    plan = SimpleNamespace(schedule=Schedule(warmup_steps=100), recipe=recipe)
    assert "the rate rises for 100 steps, and the run has 100" in _never_at_its_peak(plan)
    assert "milestone_every is 15" in _off_the_grid(recipe)
    good = dataclasses.replace(recipe, milestone_every=20)
    assert _never_at_its_peak(SimpleNamespace(schedule=Schedule(warmup_steps=99), recipe=good)) is None
    assert _off_the_grid(good) is None
