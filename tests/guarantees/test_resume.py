"""A run that was killed and started again ends as one that never stopped, bit by bit."""

import json
import os
import random
import shutil
import signal

import numpy as np
import pytest
import tensorflow as tf
from lives import outcome, small_run
from small_run import RECIPE, SHORT, SIZES, settings

from electra_tf.checkpoints.run_checkpoints import list_checkpoints, read_checkpoint
from electra_tf.data.reader import DataSet
from electra_tf.pretraining.electra import ReplacedTokenDetection
from electra_tf.pretraining.tokens import Tokens
from electra_tf.training.kept_checkpoints import Kept
from electra_tf.training.loop import Trainer
from electra_tf.training.state import State
from electra_tf.training.step import Step

KILLS = int(os.environ.get("KILLS", 5))  # of a run


def _assert_same(model_dir, finished):
    ours, theirs = outcome(model_dir), outcome(finished)
    assert ours.pop("metrics") == theirs.pop("metrics")
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []


def _sizes(model_dir):
    """Bytes of the newest checkpoint."""
    return sum(file.stat().st_size for file in list_checkpoints(model_dir)[-1][1].iterdir())


@pytest.mark.slow
def test_a_run_killed_within_a_checkpoint_write_goes_on_bit_exactly(short, quick_data, tmp_path):
    end = f"write:3:{random.Random(0).randrange(1, _sizes(short))}"
    assert small_run(quick_data, tmp_path, end=end, settings=SHORT).status == -signal.SIGKILL
    assert [path.name for path in (tmp_path / "checkpoints").glob("writing-*")] == ["writing-step-00000030"]
    life = small_run(quick_data, tmp_path, settings=SHORT)
    assert "resuming at step 20" in life.log
    _assert_same(tmp_path, short)


@pytest.mark.slow
def test_sigterm_saves_at_once_and_the_run_goes_on_bit_exactly(finished, quick_data, tmp_path):
    life = small_run(quick_data, tmp_path, end="term:6:0.0")
    result = json.loads(life.output)
    assert life.status == 0
    assert not result["finished"]
    assert result["step"] not in range(0, RECIPE["Recipe.steps"], RECIPE["Recipe.checkpoint_every"])
    assert list_checkpoints(tmp_path)[-1][0] == result["step"]
    life = small_run(quick_data, tmp_path)
    assert f"resuming at step {result['step']}" in life.log
    _assert_same(tmp_path, finished)


@pytest.mark.slow
def test_ctrl_c_saves_at_once_and_the_run_goes_on_bit_exactly(finished, quick_data, tmp_path):
    life = small_run(quick_data, tmp_path, end="int:6:0.0")
    assert life.status == -signal.SIGINT
    step = list_checkpoints(tmp_path)[-1][0]
    assert f"stopped by a signal at step {step}; its state is saved" in life.log
    life = small_run(quick_data, tmp_path)
    assert f"resuming at step {step}" in life.log
    _assert_same(tmp_path, finished)


def _campaign(data, model_dir, kills, chance, checkpoint_bytes, **options):
    """Kills a run again and again, at moments that `chance` chooses, then lets it end. Returns the steps executed."""
    ends = [f"kill:{chance.randint(1, 9)}:{chance.uniform(0, 0.1):.3f}" for _ in range(kills - kills // 3)]
    ends += [f"write:{chance.randint(1, 2)}:{chance.randint(1, checkpoint_bytes)}" for _ in range(kills // 3)]
    chance.shuffle(ends)
    steps_file = model_dir.with_name("steps")
    (model_dir / "tokenizer").mkdir(parents=True)  # as an earlier kill may have left it, empty
    for end in ends:
        print(f"--- {end}")
        life = small_run(data, model_dir, end=end, steps_file=steps_file, **options)
        assert life.status == -signal.SIGKILL
        if end.startswith("write"):
            assert any((model_dir / "checkpoints").glob("writing-*"))
    assert small_run(data, model_dir, steps_file=steps_file, **options).status == 0
    return sum(map(int, steps_file.read_text().split()))


@pytest.mark.slow
@pytest.mark.parametrize(("devices", "kills"), [(1, KILLS), (2, KILLS // 2 + 1)])
def test_kills_change_nothing_and_lose_little(devices, kills, finished, quick_data, tmp_path):
    seed = int(os.environ.get("KILL_SEED", random.SystemRandom().getrandbits(32)))
    print(f"KILL_SEED={seed}")
    options = {"strategy": "mirrored", "devices": devices} if devices > 1 else {}
    whole = finished
    if options:
        whole = tmp_path / "whole"
        assert small_run(quick_data, whole, **options).status == 0
    executed = _campaign(quick_data, tmp_path / "run", kills, random.Random(seed), _sizes(whole), **options)
    _assert_same(tmp_path / "run", whole)
    assert RECIPE["Recipe.steps"] <= executed <= RECIPE["Recipe.steps"] + kills * RECIPE["Recipe.checkpoint_every"]


SHARED_LAYERS = {"Electra.preset": "alectra_tiny", "Electra.discriminator": {**SIZES, "num_hidden_layers": 3}}
BF16 = {"Recipe.precision": "mixed_bfloat16"}


@pytest.mark.slow
def test_shared_layers_in_bf16_with_islands_learn_and_go_on_bit_exactly(quick_data, tmp_path):
    options = {"settings": {**SHARED_LAYERS, **BF16, "Recipe.compiler": "islands", "Recipe.steps": 150}}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert small_run(quick_data, whole, **options).status == 0
    lines = outcome(whole)["metrics"]
    first, *_, last = [line["mlm_loss"] for line in lines if line["kind"] == "train"]
    assert last < first - 0.3
    assert small_run(quick_data, killed, end="kill:9:0.02", **options).status == -signal.SIGKILL
    assert "resuming at step" in small_run(quick_data, killed, **options).log
    _assert_same(killed, whole)


@pytest.mark.slow
def test_each_of_200_flipped_bytes_is_found_and_said_and_the_checkpoint_before_is_used(short, quick_data, tmp_path):
    model_dir = shutil.copytree(short, tmp_path / "run")
    state = _state(model_dir, quick_data)
    (before, folder), (newest, damaged) = list_checkpoints(model_dir)[-2:]
    _, expected = read_checkpoint(folder)
    assert state.restore()["step"] == newest
    files, chance = sorted(damaged.iterdir()), random.Random(1)
    for number in range(200):
        file = files[number % len(files)]
        content = file.read_bytes()
        at = chance.randrange(len(content))
        file.write_bytes(content[:at] + bytes([content[at] ^ chance.randint(1, 255)]) + content[at + 1 :])
        said = []
        assert state.restore(said.append)["step"] == before
        assert len(said) == 1
        assert str(file) in said[0]
        file.write_bytes(content)
    for name, variable in state.variables.items():
        np.testing.assert_array_equal(variable.numpy(), expected[name])
    assert state.restore()["step"] == newest


def _state(model_dir, data):
    dataset, strategy = DataSet.open(data), tf.distribute.get_strategy()
    recipe, model, masking, schedule, optimizer = settings()
    objective = ReplacedTokenDetection(model, masking, Tokens.of(dataset.tokenizer), recipe.steps)
    step = Step(objective, optimizer, schedule, recipe.steps, recipe.seed)
    return State(model_dir, Trainer(strategy, step, dataset, recipe.batch_size, recipe.seed), {}, Kept())
