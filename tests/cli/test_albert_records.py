"""TFRecords of Google's ALBERT, from the file to an evaluated run, by commands alone."""

import json

import pytest

SIZES = {
    "embedding_size": 8,
    "hidden_size": 16,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
}
SHORT = {
    "MaskedLM.encoder": SIZES,
    "Recipe.steps": 2,
    "Recipe.batch_size": 8,
    "Recipe.compiler": "eager",
    "Schedule.warmup_steps": 1,
}


@pytest.fixture
def data(electra_tf, golden_albert, tmp_path):
    """A function: a data set of the records, by the command, with further flags."""

    def make(*flags):
        records = [f"--records={golden_albert / 'default.tfrecord'}", f"--vocab={golden_albert / 'vocab.txt'}"]
        done = electra_tf("data", *records, "--length=64", f"--output={tmp_path / 'data'}", *flags)
        assert done.returncode == 0, done.stderr
        return tmp_path / "data"

    return make


def pretrain(electra_tf, data, model_dir, **changes):
    settings = SHORT | {name.replace("__", "."): value for name, value in changes.items()}
    params = [f"--gin_param={name} = {value!r}" for name, value in settings.items()]
    return electra_tf(
        "pretrain", "--gin_file=papers/albert_base_v1", *params, f"--data={data}", f"--model_dir={model_dir}", "--json"
    )


def test_records_are_trained_on_and_evaluated_as_they_are(electra_tf, data, tmp_path):
    done = pretrain(electra_tf, data("--held_out=0.1"), tmp_path / "run")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["step"] == 2 and result["finished"]
    assert 4 < result["mlm_loss"] < 8 and 0.5 < result["order_loss"] < 0.9
    assert "held out at step 2: mlm" in done.stderr


@pytest.mark.slow
def test_a_run_says_that_the_masks_are_those_of_the_records(electra_tf, data, tmp_path):
    done = pretrain(electra_tf, data("--held_out=0.1"), tmp_path / "run", Masking__mask_prob=0.5)
    assert done.returncode == 0, done.stderr
    assert "masked        as stored in the records, up to 10 tokens of an example\n" in done.stderr
    (warning,) = [line for line in done.stderr.splitlines() if "the records hold their masks" in line]
    assert warning.startswith("warning: ")
    assert all(name in warning for name in ("mask_prob", "unit", "one_by_one", "max_predictions"))
    assert "favor_longer" not in warning and "50%" not in done.stderr
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert "Masking" not in run["settings"]
    assert run["describe"]["masked"].startswith("as stored in the records")


@pytest.mark.slow
def test_a_run_on_records_that_hold_nothing_out_says_so_and_trains(electra_tf, data, tmp_path):
    folder = data()
    done = pretrain(electra_tf, folder, tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert (
        "warning: nothing is evaluated: the data hold nothing out" in done.stderr and "--held_out 0.01" in done.stderr
    )
    assert json.loads(done.stdout) == {"step": 2, "finished": True, "model_dir": str(tmp_path / "run")}
    done = pretrain(electra_tf, folder, tmp_path / "quiet", Recipe__eval_examples=0)
    assert done.returncode == 0 and "nothing is evaluated" not in done.stderr
