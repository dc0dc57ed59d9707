"""Devices and gradient accumulation change nothing but the last bits."""

import json

import pytest
from lives import outcome, run, small_run

WAYS = ["1 device", "2 devices", "4 micro-batches"]
LIMIT = 2e-6  # of the relative difference of a loss


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(quick_data):
    """What `device_runs.py` computed."""
    life = run("device_runs.py", quick_data, "--mistake")
    assert life.status == 0
    return json.loads(life.output)


def _largest_difference(found, way):
    losses = [[step["losses"].values() for step in found[name]["steps"]] for name in ("1 device", way)]
    pairs = [(a, b) for first, other in zip(*losses, strict=True) for a, b in zip(first, other, strict=True)]
    largest = max(abs(a - b) / abs(a) for a, b in pairs)
    print(f"{way}: losses differ by at most {largest:.1e} relative")
    return largest


def test_masks_and_uniform_numbers_are_identical_everywhere(found):
    for way in WAYS:
        for step, eager in zip(found[way]["steps"], found["eager draws"], strict=True):
            assert set(step["draws"]) == {eager}
    assert len(set(found["eager draws"])) == len(found["eager draws"])


def test_the_initial_weights_are_the_same_on_any_number_of_devices(found):
    assert len({found[way]["initial"] for way in WAYS}) == 1


def test_each_of_two_devices_gets_half_the_rows(found):
    for whole, halves in zip(found["1 device"]["steps"], found["2 devices"]["steps"], strict=True):
        assert whole["rows"] == [8]
        assert halves["rows"] == [4, 4]
        assert sum(halves["real_tokens"]) == whole["real_tokens"][0]
        assert halves["real_tokens"][0] > 1.3 * halves["real_tokens"][1]


@pytest.mark.parametrize("way", WAYS[1:])
def test_from_the_same_state_the_losses_of_each_step_agree(way, found):
    assert _largest_difference(found, way) < LIMIT


def test_dividing_by_local_counts_would_be_seen(found):
    assert _largest_difference(found, "2 devices, local normaliser") > 100 * LIMIT


def test_twenty_free_steps_stay_together(quick_data, tmp_path):
    ways = {
        "1 device": ({}, {}),
        "2 devices": ({}, {"strategy": "mirrored", "devices": 2}),
        "4 accumulated": ({"Recipe.micro_batches": 4}, {}),
        "2 devices x 2": ({"Recipe.micro_batches": 2}, {"strategy": "mirrored", "devices": 2}),
    }
    runs = {}
    for name, (changes, options) in ways.items():
        changes |= {"Recipe.steps": 20, "Recipe.log_every": 1, "Recipe.checkpoint_every": 20}
        changes["Schedule.warmup_steps"] = 2
        assert small_run(quick_data, tmp_path / name, settings=changes, **options).status == 0
        runs[name] = [line for line in outcome(tmp_path / name)["metrics"] if line["kind"] == "train"]
    print("step " + "".join(f"{name:>16}" for name in runs))
    for lines in zip(*runs.values(), strict=True):
        print(f"{lines[0]['step']:4} " + "".join(f"{line['loss']:16.6f}" for line in lines))
    for lines in zip(*runs.values(), strict=True):
        assert max(line["loss"] for line in lines) < 1.001 * min(line["loss"] for line in lines)
