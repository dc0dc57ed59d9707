"""Fine-tuning of every family: killed it goes on bit-exactly; devices change nothing but the last bits."""

import json
import os
import random
import signal
import sys
from pathlib import Path

import pytest
from in_process import run_command
from small_tasks import FAMILIES, words_of

sys.path.append(str(Path(__file__).parents[1] / "guarantees"))
from lives import end, outcome, run, start

from electra_tf.checkpoints.run_checkpoints import list_checkpoints

LIMIT = 2e-6  # of the relative difference of a loss
DYING = Path(__file__).with_name("dying_command.py")
TRIED = FAMILIES if "EVERY_TASK" in os.environ else FAMILIES[:1]

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("family", TRIED)
def test_five_kills_change_nothing(family, electra, tmp_path):
    """At moments from a printed seed in training and in an evaluation, in the last save, and as results are written."""
    seed = int(os.environ.get("KILL_SEED", random.randrange(1 << 30)))
    print(f"KILL_SEED={seed}")
    chance, words = random.Random(seed), words_of(family, tmp_path / "files")
    whole, killed = tmp_path / "whole", tmp_path / "killed"

    def live(moment, folder):
        arguments = ["finetune", *words, "--init_checkpoint", electra, "--model_dir", folder]
        return end(start(DYING, moment, *arguments), 300).status

    assert live("never", whole) == 0
    last = list_checkpoints(whole / "seed-0")[-1][1].name
    # All of them in the first half of the updates, so that there is something left to kill.
    moments = [f"train:{chance.randint(2, 6)}:{chance.uniform(0, 0.05)}" for _ in range(2)]
    moments.append(f"evaluation:1:{chance.uniform(0, 0.01)}")
    for moment in (*moments, f"put:{last}", "put:results.json"):
        assert live(moment, killed) == -signal.SIGKILL, moment
    assert not (killed / "results.json").exists()
    assert live("never", killed) == 0
    ours, theirs = outcome(whole / "seed-0"), outcome(killed / "seed-0")
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []
    assert (whole / "results.json").read_bytes() == (killed / "results.json").read_bytes()
    files = [tmp_path / f"{folder.name}.tsv" for folder in (whole, killed)]
    for folder, file in zip((whole, killed), files, strict=True):
        dev = words[words.index("--dev") + 1]
        assert run_command("predict", "--input", folder, "--file", dev, "--output", file).returncode == 0
    assert files[0].read_bytes() == files[1].read_bytes() != b""


def numbers(step):
    return [*step["losses"].values(), step["norm"]]


def test_devices_and_micro_batches_change_nothing_but_the_last_bits(electra, tmp_path):
    for family in TRIED:
        words_of(family, tmp_path / family)
    life = run("device_runs.py", tmp_path, "--init_checkpoint", electra, "--mistake")
    assert life.status == 0
    for family, found in json.loads(life.output).items():
        ways, mistake = ["1 device", "2 devices", "4 micro-batches"], "2 devices, local normaliser"
        assert len({found[way]["initial"] for way in ways}) == 1

        def largest(way, found=found):
            pairs = zip(found["1 device"]["steps"], found[way]["steps"], strict=True)
            both = [(x, y) for a, b in pairs for x, y in zip(numbers(a), numbers(b), strict=True)]
            return max(abs(x - y) / abs(x) for x, y in both)

        print(family, {way: f"{largest(way):.1e}" for way in [*ways[1:], mistake]})
        assert max(map(largest, ways)) < LIMIT
        if family != "span":  # whose rows weigh alike, so that it makes no difference
            assert largest(mistake) > 20 * LIMIT
