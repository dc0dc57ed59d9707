"""Every objective, by its own gin file: killed it goes on bit-exactly; devices change nothing but the last bits."""

import json
import os
import random
import signal

import pytest
from lives import outcome, run, small_run
from small_run import SIZES

from electra_tf.checkpoints.run_checkpoints import list_checkpoints
from electra_tf.data.builder import build_data

OF_ELECTRA = {"Electra.discriminator": SIZES, "Electra.initial_weights": "random"}
OF_MASKED_LM = {"MaskedLM.encoder": SIZES, "MaskedLM.initial_weights": "random"}
SHARED = {"Electra.discriminator": {**SIZES, "num_hidden_layers": 3}, "Electra.initial_weights": "random"}
# By gin file: what shrinks it.
FILES = {
    "albert_tiny": {**OF_MASKED_LM, "MaskedLM.encoder": {**SIZES, "num_hidden_layers": 3}},
    "alectra_tiny": SHARED,
    "electric_tiny": {**OF_ELECTRA, "Electra.generator_depth": 1.0},
    "masked_lm_tiny": OF_MASKED_LM,
    "shared_generator_tiny": OF_ELECTRA,
    "two_towers_tiny": {**OF_ELECTRA, "Electra.generator_depth": 1.0},
    "uniform_tiny": OF_ELECTRA,
}
FEW = {"Recipe.steps": 60, "Recipe.log_every": 7, "Recipe.checkpoint_every": 10, "Recipe.eval_every": 25}
LIMIT = 2e-6  # of the relative difference of a loss
KILLS = int(os.environ.get("KILLS", 3))  # of each objective
# One of them is among the slow tests; all with ten kills take an hour: EVERY_OBJECTIVE=1 KILLS=10.
TRIED = FILES if os.environ.get("EVERY_OBJECTIVE") else ["albert_tiny"]


@pytest.fixture(scope="module")
def data_of(quick_data, quick_text, quick_vocab, tmp_path_factory):
    """A function: the data that a gin file needs; pairs for sentence order."""
    pairs = tmp_path_factory.mktemp("pairs") / "data"
    build_data(quick_text, quick_vocab, pairs, length=32, held_out=0.05, pairs=True, processes=0)
    return lambda name: pairs if name.startswith("albert") else quick_data


def _assert_same(model_dir, finished):
    ours, theirs = outcome(model_dir), outcome(finished)
    assert ours.pop("metrics") == theirs.pop("metrics")
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", TRIED)
def test_kills_change_nothing(name, data_of, tmp_path):
    """A third of them within the write of a checkpoint, the others in the course of training; ALBERT on two devices."""
    options = {"gin_file": name, "settings": FILES[name] | FEW}
    options |= {"strategy": "mirrored", "devices": 2} if name == "albert_tiny" else {}
    whole, killed, chance = tmp_path / "whole", tmp_path / "killed", random.Random(name)
    assert small_run(data_of(name), whole, **options).status == 0
    size = sum(file.stat().st_size for file in list_checkpoints(whole)[-1][1].iterdir())
    ends = [f"kill:{chance.randint(1, 7)}:{chance.uniform(0, 0.1):.3f}" for _ in range(KILLS - KILLS // 3)]
    ends += [f"write:1:{chance.randint(1, size)}" for _ in range(KILLS // 3)]
    chance.shuffle(ends)
    lives = [small_run(data_of(name), killed, end=end, **options) for end in ends]
    assert sum(life.status == -signal.SIGKILL for life in lives) >= KILLS // 2  # until there was nothing left to kill
    assert small_run(data_of(name), killed, **options).status == 0
    _assert_same(killed, whole)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRIED)
def test_devices_and_micro_batches_change_nothing_but_the_last_bits(name, data_of):
    mistake = ("--mistake",) if name in ("albert_tiny", "electric_tiny") else ()
    options = ("--gin_file", name, "--settings", json.dumps(FILES[name] | FEW), *mistake)
    life = run("device_runs.py", data_of(name), *options)
    assert life.status == 0
    found = json.loads(life.output)
    ways = ["1 device", "2 devices", "4 micro-batches"]
    assert len({found[way]["initial"] for way in ways}) == 1
    for way in ways:
        for step, eager in zip(found[way]["steps"], found["eager draws"], strict=True):
            assert set(step["draws"]) == {eager}

    def largest_difference(way):
        pairs = zip(found["1 device"]["steps"], found[way]["steps"], strict=True)
        both = [(a["losses"][name], b["losses"][name]) for a, b in pairs for name in a["losses"]]
        largest = max(abs(a - b) / abs(a) for a, b in both)
        print(f"{name}, {way}: losses differ by at most {largest:.1e} relative")
        return largest

    assert largest_difference("2 devices") < LIMIT
    assert largest_difference("4 micro-batches") < LIMIT
    if mistake:
        assert largest_difference("2 devices, local normaliser") > 20 * LIMIT
