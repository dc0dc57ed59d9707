"""A run from its first step to its last, in this process: what it leaves, what it says, what it refuses."""

import dataclasses
import io
import json
import math
import os
import shutil
import subprocess
import sys

import pytest

from electra_tf.conversion.run_directory import list_checkpoints, read_metrics
from electra_tf.data.builder import build_data
from electra_tf.errors import CheckpointError, ConfigError, DataError, TrainingError
from electra_tf.training.run import pretrain


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
    assert run["recipe"]["steps"] == 6
    assert run["model"]["discriminator"]["hidden_size"] == 16
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
    until_third, _, _ = after.partition("step 4/6")
    for name in ("memory", "time"):
        assert any(line.split()[:1] == [name] for line in until_third.splitlines()), name


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
    [("learning_rate", {"learning_rate": 2e-3}), ("seed", {"seed": 5}), ("batch_size", {"batch_size": 4}),
     ("compiler", {"compiler": "graph"}), ("steps", {"steps": 5}), ("steps", {"steps": 8})],
    ids=str,
)  # fmt: skip
def test_resuming_with_another_recipe_is_refused_by_name(
    copied, quick_data, tiny_model, tiny_recipe, hashes, name, changed
):
    before = hashes(copied)
    with pytest.raises(TrainingError, match=f"{name}: ") as error:
        pretrain(quick_data, copied, tiny_model, dataclasses.replace(tiny_recipe, **changed))
    assert str(getattr(tiny_recipe, name)) in str(error.value)
    assert hashes(copied) == before


def test_resuming_with_another_model_is_refused_by_name(copied, quick_data, tiny_model, tiny_recipe, hashes):
    before = hashes(copied)
    with pytest.raises(TrainingError, match=r"mask_prob: 0\.15, now 0\.25"):
        pretrain(quick_data, copied, dataclasses.replace(tiny_model, mask_prob=0.25), tiny_recipe)
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


def test_a_damaged_description_is_refused(copied, quick_data, tiny_model, tiny_recipe):
    (copied / "run.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"run\.json"):
        pretrain(quick_data, copied, tiny_model, tiny_recipe)


def test_weights_that_are_not_finite_are_not_saved(quick_data, tiny_model, tiny_recipe, tmp_path):
    """The loss of the first step is finite; the weights it leaves are not."""
    recipe = dataclasses.replace(tiny_recipe, learning_rate=1e39, steps=1)
    with pytest.raises(TrainingError, match="weights/"):
        pretrain(quick_data, tmp_path / "new", tiny_model, recipe, stream=io.StringIO())
    assert list_checkpoints(tmp_path / "new") == []


def test_examples_longer_than_the_models_positions_are_refused(quick_data, tiny_model, tiny_recipe, tmp_path):
    short = dataclasses.replace(tiny_model, discriminator={**tiny_model.discriminator, "max_position_embeddings": 31})
    with pytest.raises(ConfigError, match="32 tokens long, the model has 31 positions"):
        pretrain(quick_data, tmp_path / "new", short, tiny_recipe)
    assert not (tmp_path / "new").exists()


def test_data_of_less_than_a_batch_are_refused(quick_data, tiny_model, tiny_recipe, tmp_path):
    with pytest.raises(DataError, match="at least one batch of 1000000"):
        pretrain(quick_data, tmp_path / "new", tiny_model, dataclasses.replace(tiny_recipe, batch_size=1_000_000))
    assert not (tmp_path / "new").exists()


def test_a_large_generator_is_warned_of(quick_data, tiny_model, tiny_recipe, tmp_path):
    like = dataclasses.replace(tiny_model, generator_width=1.0)
    said, _ = said_by(quick_data, tmp_path / "new", like, dataclasses.replace(tiny_recipe, steps=1, eval_examples=0))
    assert "warning: the generator is as large as the discriminator" in said


def test_training_under_another_backend_is_a_clear_error(quick_data, tmp_path):
    pytest.importorskip("jax")
    code = f"import electra_tf; electra_tf.pretrain({str(quick_data)!r}, {str(tmp_path / 'new')!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "KERAS_BACKEND": "jax"}, capture_output=True, text=True
    )
    assert "ConfigError: Keras runs on jax" in done.stderr
    assert "KERAS_BACKEND=tensorflow" in done.stderr
