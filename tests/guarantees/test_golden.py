"""The product's own step goes where Google's code went, and a step that is slightly wrong does not."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import replay_golden
import tensorflow as tf
from lives import end

from electra_tf.finetuning.objective import TaskObjective, Totals
from electra_tf.finetuning.question_answering import Spans
from electra_tf.layers.dense import ACTIVATIONS, LayerNorm
from electra_tf.models import SpanAnswerer
from electra_tf.optimizers.adamw import AdamW
from electra_tf.optimizers.lamb import Lamb
from electra_tf.optimizers.schedules import Schedule
from electra_tf.pretraining import electra, generators, masked_lm
from electra_tf.pretraining.masking import scatter
from electra_tf.training import step

TESTS = Path(__file__).resolve().parents[1]
GOLDEN = TESTS / "golden"
SHARED = TESTS.parent.parent / "shared" / "data" / "golden"
FOLDERS = sorted(path.name for path in GOLDEN.iterdir())
# Recordings of other objectives, which are not kept here.
OTHERS = ["albert_lamb", "albert_groups_adamw", "electra_electric", "electra_mlm_only", "electra_tied_generator"]
OTHERS += ["electra_two_tower", "electra_uniform"]
# Recordings of fine-tuning.
TASKS = ["electra_finetune_classification"]
TASKS += [f"finetune_electra_training/{n}" for n in ("chunk", "multitask", "squad", "squad_plain", "squad_separate")]
TASKS += [f"finetune_electra_training/{n}" for n in ("squadv1", "sts")]
TASKS += [f"finetune_albert_training/{n}" for n in ("classification", "race", "regression", "squad_v1", "squad_v2")]
# The script meets all of them in every mode, on one device and two, which takes an hour; here one of each kind.
COMPILED = ["albert_lamb", "finetune_electra_training/squad"]
QUICK_TASKS = ("finetune_electra_training/multitask", "finetune_albert_training/squad_v2")


def _slow_but(name, *quick):
    return pytest.param(name, marks=() if name in quick else pytest.mark.slow)


def _shared(name):
    """A recording that lies beside the repository."""
    if not (SHARED / name).is_dir():
        pytest.skip("the reference data are not here")
    return SHARED / name


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


@pytest.mark.parametrize(
    "folder", [pytest.param(f, marks=() if f == "electra_tied" else pytest.mark.slow) for f in FOLDERS]
)
def test_a_replay_in_a_graph_stays_within_the_limits(folder, monkeypatch):
    assert _replay(monkeypatch, GOLDEN / folder, "--compilers", "graph", "--devices", "1") == 0


@pytest.mark.slow
def test_a_recording_is_met_compiled_on_two_devices():
    done = _replay_apart(GOLDEN / "electra_tied", "islands,xla", "2", timeout=900)
    assert done.status == 0
    assert done.output.count("2 device(s)") == 2


@pytest.mark.slow
def test_a_recording_of_other_sizes_made_by_pytorch_is_met(tmp_path):
    from torch_recording import record

    record(tmp_path)
    assert _replay_apart(tmp_path, "graph,xla", "2", timeout=900).status == 0


@pytest.mark.parametrize("name", [_slow_but(name, "albert_lamb") for name in OTHERS])
def test_recordings_of_other_objectives_are_met_in_a_graph(name, monkeypatch):
    assert _replay(monkeypatch, _shared(name), "--compilers", "graph", "--devices", "1") == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILED)
def test_recordings_are_met_compiled_on_two_devices(name):
    done = _replay_apart(_shared(name), "islands,xla", "2", timeout=900)
    assert done.status == 0
    assert done.output.count("device(s)") == 2


@pytest.mark.parametrize("name", [_slow_but(name, *QUICK_TASKS) for name in TASKS])
def test_recordings_of_fine_tuning_are_met_as_it_runs(name, monkeypatch):
    assert _replay(monkeypatch, _shared(name), "--compilers", "islands", "--devices", "1") == 0


def _mean_of_the_batch(patch):
    patch.setattr(TaskObjective, "totals", lambda self, batch, drawn: Totals(tf.reduce_sum(batch["weight"])))


def _no_gap(patch):
    usual = TaskObjective.group

    def group(self, name):
        self.decay_gap = False
        return usual(self, name)

    patch.setattr(TaskObjective, "group", group)


def _ends_before_starts(patch):
    usual = SpanAnswerer.end

    def end(self, hidden, start, out):
        answers = self.answers
        kernel = answers.end_hidden.kernel
        with keras.StatelessScope([(kernel, tf.concat(tf.split(kernel, 2)[::-1], 0))]):
            return usual(self, hidden, start, out)

    patch.setattr(SpanAnswerer, "end", end)


def _everything_open(patch):
    usual = Spans.outputs

    def outputs(self, model, hidden, batch, training, seed):
        return usual(self, model, hidden, {**batch, "allowed": batch["input_mask"]}, training, seed)

    patch.setattr(Spans, "outputs", outputs)


# A mistake, and a recording that it fails.
TASK_MISTAKES = {
    "the mean of the batch": (_mean_of_the_batch, "finetune_electra_training/sts"),
    "the top layer at the layer decay": (_no_gap, "finetune_electra_training/chunk"),
    "the start behind the token": (_ends_before_starts, "finetune_electra_training/squad"),
    "the question may be an answer": (_everything_open, "finetune_electra_training/squad_plain"),
}


@pytest.mark.slow
@pytest.mark.parametrize("mistake", TASK_MISTAKES)
def test_a_mistake_in_fine_tuning_fails_the_replay(mistake, monkeypatch):
    patch, name = TASK_MISTAKES[mistake]
    patch(monkeypatch)
    assert _replay(monkeypatch, _shared(name), "--compilers", "graph", "--devices", "1") == 1


def _swapped_shifts(patch):
    usual = generators.TwoTowers._from
    patch.setattr(generators.TwoTowers, "_from", lambda self, hidden, by: usual(self, hidden, -by))


def _reversed_order(patch):
    loss = masked_lm.MaskedLanguageModelling.loss

    def wrong(self, batch, drawn, *arguments, **keywords):
        return loss(self, batch, drawn._replace(is_swapped=1 - drawn.is_swapped), *arguments, **keywords)

    patch.setattr(masked_lm.MaskedLanguageModelling, "loss", wrong)


MISTAKES = {
    "layer norm adds 1e-6 instead of 1e-12": lambda patch: patch.setattr(
        LayerNorm, "epsilon", property(lambda self: 1e-6, lambda self, value: None), raising=False
    ),
    "gelu by its tanh approximation": lambda patch: patch.setitem(ACTIVATIONS, "gelu", ACTIVATIONS["gelu_new"]),
    "Adam corrects its bias": lambda patch: patch.setattr(
        AdamW, "bias_scales", lambda rule, now, scales=AdamW.bias_scales: scales(AdamW(bias_correction=True), now)
    ),
    "the learning rate of the next step": lambda patch: patch.setattr(
        Schedule, "rate", lambda self, now, steps, rate=Schedule.rate: rate(self, now + 1, steps)
    ),
    "no clipping": lambda patch: patch.setattr(step, "clip_scale", lambda norm, limit: tf.ones_like(norm)),
    "weight decay on everything": lambda patch: patch.setattr(AdamW, "decay_of", lambda rule, name: rule.weight_decay),
}
# Of other objectives: the recording that must tell.
OTHER_MISTAKES = {
    "one trust ratio for query, key and value joined": (
        "albert_lamb",
        lambda patch: patch.setattr(Lamb, "parts", lambda rule, name, parts=Lamb.parts: min(1, parts(rule, name))),
    ),
    "a trust ratio for biases and norms too": (
        "albert_lamb",
        lambda patch: patch.setattr(Lamb, "parts", lambda rule, name, parts=Lamb.parts: parts(rule, name) or 1),
    ),
    "labels of sentence order reversed": ("albert_groups_adamw", _reversed_order),
    "shifts of the two towers swapped": ("electra_two_tower", _swapped_shifts),
    "log q left out": (
        "electra_electric",
        lambda patch: patch.setattr(electra.ReplacedTokenDetection, "_noise", lambda self, corrupted, proposal: 0.0),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_deliberate_mistake_fails_the_replay(mistake, monkeypatch):
    MISTAKES[mistake](monkeypatch)
    assert _replay(monkeypatch, GOLDEN / "electra_tied", "--compilers", "graph", "--devices", "1") == 1


@pytest.mark.slow
@pytest.mark.parametrize("mistake", OTHER_MISTAKES)
def test_a_deliberate_mistake_in_another_objective_fails_its_replay(mistake, monkeypatch):
    name, make = OTHER_MISTAKES[mistake]
    make(monkeypatch)
    assert _replay(monkeypatch, _shared(name), "--compilers", "graph", "--devices", "1") == 1


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
