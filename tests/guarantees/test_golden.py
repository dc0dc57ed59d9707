"""The product's own step goes where Google's code went, and a step that is slightly wrong does not."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import replay_golden
import tensorflow as tf
from lives import end

from electra_tf.layers.dense import ACTIVATIONS, LayerNorm
from electra_tf.optimizers.adamw import AdamW, bias_scales
from electra_tf.optimizers.schedules import Schedule
from electra_tf.pretraining.masking import scatter
from electra_tf.training import step

TESTS = Path(__file__).resolve().parents[1]
GOLDEN = TESTS / "golden"
FOLDERS = sorted(path.name for path in GOLDEN.iterdir())
OTHERS = ["electric", "finetune_classification", "mlm_only", "tied_generator", "two_tower", "uniform"]


def _replay(monkeypatch, folder, *options):
    """The exit status of a replay in this process, whose table goes to the test's output."""
    monkeypatch.setattr(sys, "argv", ["replay_golden.py", str(folder), *options])
    with pytest.raises(SystemExit) as exited:
        replay_golden.main()
    return exited.value.code


def _replay_apart(folder, compilers, devices, timeout):
    """The same in a process of its own, in which several devices can be made."""
    command = [sys.executable, TESTS / "replay_golden.py", folder, "--compilers", compilers, "--devices", devices]
    done = end(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True), timeout)
    print(done.output)
    return done


def test_a_replay_in_a_graph_stays_within_the_limits(monkeypatch):
    assert _replay(monkeypatch, GOLDEN / "electra_tied", "--compilers", "graph", "--devices", "1") == 0


@pytest.mark.slow
def test_a_replay_on_two_devices_with_xla_islands_stays_within_the_limits():
    done = _replay_apart(GOLDEN / "electra_tied", "islands", "2", timeout=300)
    assert done.status == 0
    assert "islands, 2 device(s)" in done.output


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS)
def test_every_recording_is_met_in_every_mode_on_one_and_two_devices(folder):
    done = _replay_apart(GOLDEN / folder, "eager,graph,islands,xla", "1,2", timeout=900)
    assert done.status == 0
    assert done.output.count("device(s)") == 8


@pytest.mark.slow
def test_a_recording_of_other_sizes_made_by_pytorch_is_met(tmp_path):
    from torch_recording import record

    record(tmp_path)
    assert _replay_apart(tmp_path, "graph,xla", "1,2", timeout=900).status == 0


MISTAKES = {
    "layer norm adds 1e-6 instead of 1e-12": lambda patch: patch.setattr(
        LayerNorm, "epsilon", property(lambda self: 1e-6, lambda self, value: None), raising=False
    ),
    "gelu by its tanh approximation": lambda patch: patch.setitem(ACTIVATIONS, "gelu", ACTIVATIONS["gelu_new"]),
    "Adam corrects its bias": lambda patch: patch.setattr(
        step, "bias_scales", lambda rule, now: bias_scales(AdamW(bias_correction=True), now)
    ),
    "the learning rate of the next step": lambda patch: patch.setattr(
        Schedule, "__call__", lambda self, now, rate=Schedule.__call__: rate(self, now + 1)
    ),
    "no clipping": lambda patch: patch.setattr(step, "clip_scale", lambda norm, limit: tf.ones_like(norm)),
    "weight decay on everything": lambda patch: patch.setattr(AdamW, "decay_of", lambda rule, name: rule.weight_decay),
}


# Those before the learning rate's compile the longest.
_SLOW = list(MISTAKES)[:3]


@pytest.mark.parametrize("mistake", [pytest.param(m, marks=pytest.mark.slow) if m in _SLOW else m for m in MISTAKES])
def test_a_deliberate_mistake_fails_the_replay(mistake, monkeypatch):
    MISTAKES[mistake](monkeypatch)
    assert _replay(monkeypatch, GOLDEN / "electra_tied", "--compilers", "graph", "--devices", "1") == 1


@pytest.mark.parametrize("other", OTHERS)
def test_recordings_of_other_objectives_are_refused_in_words(other, monkeypatch):
    folder = TESTS.parent.parent / "shared" / "data" / "golden" / f"electra_{other}"
    if not folder.is_dir():
        pytest.skip("the reference data are not here")
    assert "only ELECTRA with a generator of its own" in _replay(monkeypatch, folder)


def test_a_folder_without_a_recording_is_refused_in_words(tmp_path, monkeypatch):
    assert "no recorded trajectory" in _replay(monkeypatch, tmp_path)


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_recorded_samples_scattered_as_the_original_does_give_its_corrupted_input(folder):
    with np.load(GOLDEN / folder / "steps.npz") as a:
        for ids, positions, sampled, weights, corrupted in zip(
            *(a[name] for name in ("input_ids", "masked_lm_positions", "sampled_token_ids")),
            *(a[name] for name in ("masked_lm_weights", "corrupted_input_ids")),
            strict=True,
        ):
            ours = scatter(*map(tf.constant, (ids, positions, sampled, weights)), average_repeated=True)
            np.testing.assert_array_equal(ours, corrupted)
