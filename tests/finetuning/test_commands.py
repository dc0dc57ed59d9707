"""`finetune`, `predict` and `evaluate` as commands: their output, their errors."""

import dataclasses
import json
import shutil
import zipfile

import numpy as np
import pytest
from in_process import run_command

import electra_tf
from electra_tf.checkpoints import read_model, write_folder
from electra_tf.checkpoints.loaded_model import LoadedModel
from electra_tf.checkpoints.weight_names import model_tensors
from electra_tf.cli.finetune import _in_words
from electra_tf.cli.predict import _given
from electra_tf.seals import sealed

SMALL = ("--gin_param", "FineTuning.least_updates = 0", "--gin_param", "FineTuning.peak = 0.005")
SMALL += ("--gin_param", "Recipe.batch_size = 16", "--gin_param", "Recipe.compiler = 'graph'")


def of_files(files, electra, folder, epochs=4.0):
    words = ["--train", files / "train.csv", "--dev", files / "dev.tsv", "--text", "review", "--label", "stars"]
    words += ["--gin_param", f"FineTuning.epochs = {epochs}", *SMALL]
    return ["finetune", *words, "--init_checkpoint", electra, "--model_dir", folder]


@pytest.fixture(scope="module")
def tuned(files, electra, tmp_path_factory):
    folder = tmp_path_factory.mktemp("commands") / "run"
    done = run_command(*of_files(files, electra, folder))
    assert done.returncode == 0, done.stderr
    return folder, done


def test_the_result_is_said_in_words(tuned):
    folder, done = tuned
    results = json.loads((folder / "results.json").read_text())
    assert done.stdout.startswith(f"seed 0      accuracy {results['best']:.4f} at step {results['runs'][0]['step']:,}")
    assert f"the commonest answer alone: {results['commonest']:.4f}; failed runs: 0" in done.stdout


def test_answers_are_columns_in_the_order_of_the_input(tuned, files, tmp_path):
    folder, _ = tuned
    by_words = run_command("predict", "--input", folder, "sea sea sea", "was was was")
    assert by_words.returncode == 0, by_words.stderr
    head, *rows = (line.split("\t") for line in by_words.stdout.splitlines())
    assert head == ["label", "probability"] and [label for label, _ in rows] == ["good", "bad"]
    assert all(0.5 < float(probability) <= 1 for _, probability in rows)
    by_input = run_command("predict", "--input", folder, given="sea sea sea\nwas was was\n")
    assert by_input.stdout == by_words.stdout
    every = run_command("predict", "--input", folder, "--all", "sea sea sea").stdout.splitlines()
    assert every[0] == "label\tprobability\tbad\tgood"
    assert sum(map(float, every[1].split("\t")[2:])) == pytest.approx(1, abs=2e-6)
    output = tmp_path / "answers.tsv"
    done = run_command("predict", "--input", folder, "--file", files / "test.jsonl", "--output", output)
    assert done.returncode == 0 and done.stdout == "", done.stderr
    answers = [line.split("\t")[0] for line in output.read_text().splitlines()[1:]]
    labels = [json.loads(line)["stars"] for line in (files / "test.jsonl").read_text().splitlines()]
    scored = json.loads(run_command("evaluate", "--input", folder, "--file", files / "test.jsonl", "--json").stdout)
    assert scored["rows"] == len(labels)
    assert scored["accuracy"] == pytest.approx(np.mean([a == b for a, b in zip(answers, labels, strict=True)]))


def test_a_changed_temperature_is_not_taken_for_what_was_written(tuned, tmp_path):
    folder = shutil.copytree(tuned[0] / "seed-0", tmp_path / "seed-0")
    file = folder / "calibration.json"
    written, temperature = file.read_text(), json.loads(file.read_text())["temperature"]
    file.write_text(written.replace(str(temperature), str(temperature + 1)))
    for words in (["predict", "--input", folder, "sea"], ["convert", "--input", folder, "--output", tmp_path / "hf"]):
        done = run_command(*words)
        assert done.returncode == 2 and "it was changed" in done.stderr and str(file) in done.stderr, done.stderr
    assert not (tmp_path / "hf").exists()


def test_a_lost_file_that_decides_answers_is_missed_and_made_again(tuned, files, electra, tmp_path):
    folder = shutil.copytree(tuned[0], tmp_path / "run")
    ask = ["predict", "--input", folder, "--all", "--file", files / "test.jsonl"]
    answers, file = run_command(*ask).stdout, folder / "seed-0/calibration.json"
    written = file.read_bytes()
    file.unlink()
    score = ["evaluate", "--input", folder, "--file", files / "test.jsonl"]
    for words in (ask, score, ["convert", "--input", file.parent, "--output", tmp_path / "hf"]):
        done = run_command(*words)
        assert done.returncode == 2 and "calibration.json: it is not there" in done.stderr, done.stderr
        assert str(file) in done.stderr and "type the command that trained the model once more" in done.stderr
    assert not (tmp_path / "hf").exists()
    done = run_command("inspect", file.parent)
    assert done.returncode == 0 and "is not there" in done.stdout
    done = run_command(*of_files(files, electra, folder))
    assert done.returncode == 0 and "a new run" not in done.stderr, done.stderr
    assert file.read_bytes() == written and run_command(*ask).stdout == answers
    (folder / "seed-0/metrics.jsonl").unlink()  # which checkpoint is the best stands in run.json, too
    assert run_command(*ask)[:2] == (0, answers)
    (folder / "seed-0/tokenizer/tokenizer_config.json").unlink()
    done = run_command(*ask)
    assert done.returncode == 2 and "lost files: tokenizer_config.json" in done.stderr


def test_without_results_no_run_of_several_is_taken_for_the_best(tuned, tmp_path):
    folder = shutil.copytree(tuned[0], tmp_path / "run")
    (folder / "results.json").unlink()
    assert run_command("predict", "--input", folder, "sea").returncode == 0  # there is one
    shutil.copytree(folder / "seed-0", folder / "seed-1")
    done = run_command("predict", "--input", folder, "sea")
    assert done.returncode == 2 and "results.json is not there" in done.stderr
    assert f"--input {folder / 'seed-0'}" in done.stderr


def test_answers_are_lines_of_json_too_and_several_models_are_averaged(tuned, files, tmp_path):
    folder, _ = tuned
    columns = run_command("predict", "--input", folder, "--all", "--file", files / "test.jsonl").stdout.splitlines()
    output = tmp_path / "answers.jsonl"
    twice = ("predict", "--input", folder, "--input", folder / "seed-0", "--all", "--file", files / "test.jsonl")
    done = run_command(*twice, "--output", output)
    assert done.returncode == 0, done.stderr
    names = columns[0].split("\t")[2:]
    for line, row in zip(output.read_text().splitlines(), columns[1:], strict=True):
        answer, (label, share, *shares) = json.loads(line), row.split("\t")
        assert answer["label"] == label and f"{answer['probability']:.6f}" == share
        assert [f"{answer['all'][name]:.6f}" for name in names] == shares
    assert electra_tf.predict([folder, folder], ["sea sea sea"]) == electra_tf.predict(folder, ["sea sea sea"])


def test_what_a_file_holds_is_not_obeyed_by_a_terminal(electra, tmp_path):
    """Words and labels on standard output; in JSON they are escaped as JSON has it."""
    (tmp_path / "a.jsonl").write_text('{"tokens": ["sea", "\\u001b]0;x\\u0007", "\\u009b2J"]}\n')
    model = read_model(electra)
    table = model_tensors(dataclasses.asdict(model.config) | {"num_labels": 2}, "encoder", ("token_classifier",))
    weights = {t.ours: np.zeros(t.shape("ours"), np.float32) for t in table}
    tagger = LoadedModel("ElectraForTokenClassification", model.config, weights, ("token_classifier",))
    write_folder(tmp_path / "hf", tagger.answering(["O", "\x9bB"]), model.tokenizer)
    words = ["predict", "--input", tmp_path / "hf", "--file", tmp_path / "a.jsonl", "--all"]
    done = run_command(*words)
    assert done.returncode == 0, done.stderr
    assert [line.split("\t")[0] for line in done.stdout.splitlines()[1:4]] == ["sea", r"\x1b]0;x\x07", r"\x9b2J"]
    done = run_command(*words, "--json")
    assert "\x9b" not in done.stdout and "\x1b" not in done.stdout
    said = json.loads(done.stdout)["words"]
    assert [one["word"] for one in said] == ["sea", "\x1b]0;x\x07", "\x9b2J"] and "\x9bB" in said[0]["all"]


def test_the_file_that_is_asked_about_is_not_written_over(tuned, tmp_path):
    file = write(tmp_path / "a.csv", "review\nsea\n")
    done = run_command("predict", "--input", tuned[0], "--file", file, "--output", tmp_path / "." / "a.csv")
    assert done.returncode == 2 and "the output is the file that is read" in done.stderr
    assert file.read_text() == "review\nsea\n"


def test_predictions_that_cannot_be_written_leave_nothing_half(tuned, files, tmp_path):
    folder, _ = tuned
    (blocked := tmp_path / "a.csv").write_text("review\nsea\n")
    done = run_command("predict", "--input", folder, "--file", blocked, "--output", blocked / "answers.tsv")
    assert done.returncode == 2 and "the file cannot be written" in done.stderr and "Traceback" not in done.stderr
    older = tmp_path / "older.tsv"
    older.write_text("older")
    for more, reason in ([], "the file was not written here, or was changed"), (["--overwrite"], "is not UTF-8"):
        done = run_command(
            "predict", "--input", folder, "--output", older, *more, given=b"sea\n" * 3 + b"\xed\xa0\x80\n"
        )
        assert done.returncode == 2 and reason in done.stderr, done
    assert older.read_text() == "older" and sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "older.tsv"]


def test_answers_are_replaced_by_others_until_a_person_changes_them(tuned, tmp_path):
    answers, predict = tmp_path / "answers.tsv", ["predict", "--input", tuned[0], "--output", tmp_path / "answers.tsv"]
    for text in ("sea sea sea", "was was was"):
        assert run_command(*predict, text).returncode == 0
    assert answers.read_text().splitlines()[1].startswith("bad")
    answers.write_text(mine := answers.read_text().replace("bad", "good"))
    done = run_command(*predict, "was was was")
    assert done.returncode == 2 and "name another file, or add --overwrite" in done.stderr
    assert answers.read_text() == mine
    assert run_command(*predict, "--overwrite", "was was was").returncode == 0
    assert answers.read_text() != mine


def test_answers_to_glues_test_files_are_a_zip_as_its_server_takes_it(tuned, tmp_path):
    """A table a file, with rows numbered from 0, of MNLI three; quotation marks are characters."""
    texts = [("sea sea", '"sea'), ("was was", "was"), ("the", 'of "was" was')]
    for name, first in (("MNLI/test_matched", 0), ("MNLI/test_mismatched", 1), ("diagnostic/diagnostic", 2)):
        (path := tmp_path / f"GLUE/{name}.tsv").parent.mkdir(parents=True, exist_ok=True)
        rows = [f"{number}\t{a}\t{b}\n" for number, (a, b) in enumerate(texts[first:])]
        path.write_text("".join(["index\tsentence1\tsentence2\n", *rows]))
    run = as_run_of(tuned[0] / "seed-0", "mnli", tmp_path / "run")
    command = ("glue", "--input", run, "--data", tmp_path / "GLUE", "--output", tmp_path / "submission.zip")
    done = run_command(*command)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:3] == ["MNLI-m   3 rows", "MNLI-mm  2 rows", "AX       1 rows"]
    assert "the server wants these, too: CoLA, SST-2, MRPC, STS-B, QQP, QNLI, RTE, WNLI" in done.stdout
    labels = [answer.label for answer in electra_tf.predict(run, texts)]
    with zipfile.ZipFile(tmp_path / "submission.zip") as archive:
        tables = {name: archive.read(name).decode() for name in archive.namelist()}
    assert set(tables) == {"MNLI-m.tsv", "MNLI-mm.tsv", "AX.tsv"}
    for first, name in enumerate(("MNLI-m", "MNLI-mm", "AX")):
        rows = [f"{number}\t{label}" for number, label in enumerate(labels[first:])]
        assert tables[f"{name}.tsv"].splitlines() == ["index\tprediction", *rows]
    once = (tmp_path / "submission.zip").read_bytes()
    assert run_command(*command).returncode == 0 and (tmp_path / "submission.zip").read_bytes() == once


def test_glue_takes_no_run_of_another_task_and_no_folder_without_its_files(tuned, tmp_path):
    rest = ("--data", tmp_path, "--output", tmp_path / "submission.zip")
    done = run_command("glue", "--input", tuned[0], *rest)
    assert done.returncode == 2 and "a run of some of cola, sst2" in done.stderr
    done = run_command("glue", "--input", as_run_of(tuned[0] / "seed-0", "rte", tmp_path / "run"), *rest)
    assert done.returncode == 2 and "there is no RTE/test.tsv" in done.stderr
    assert not (tmp_path / "submission.zip").exists()


def as_run_of(run, task, folder):
    """A copy of a run that says it is of a published task."""
    shutil.copytree(run, folder)
    said = json.loads((folder / "run.json").read_text())
    said["settings"]["FineTuning"] |= {"task": task, "text": None, "label": None}
    (folder / "run.json").write_text(json.dumps(sealed(said)))
    return folder


def test_errors_of_a_user_are_status_2_without_a_traceback(tuned, files, electra, tmp_path):
    folder, _ = tuned
    no_checkpoint = ["finetune", "--train", files / "train.csv", "--text", "review", "--model_dir", tmp_path / "run"]
    rest = ["--init_checkpoint", electra, "--model_dir", tmp_path / "run"]
    cases = {
        "--from_scratch PRESET": no_checkpoint,
        "one of classification, multilabel, regression": [
            *of_files(files, electra, tmp_path / "run"),
            "--task",
            "sentiment",
        ],
        "no column 'stars'": ["evaluate", "--input", folder, "--file", write(tmp_path / "a.csv", "review\nsea\n")],
        "no head of a task": ["predict", "--input", electra, "sea"],
        "there is no train.tsv": ["finetune", "--task", "sst2", "--data", tmp_path, *rest],
        "name one: ": ["convert", "--input", folder, "--to", "safetensors", "--output", tmp_path / "hf"],
        "--text names 2 columns": ["predict", "--input", folder, "--text", "a,b", "--file", files / "test.jsonl"],
        "the columns are stars, stars": [
            "evaluate",
            "--input",
            folder,
            "--text",
            "stars",
            "--file",
            files / "test.jsonl",
        ],
        "none: the model is no run of several": ["predict", "--input", electra, "--task", "rte", "sea"],
        "--seeds is one": [*of_files(files, electra, tmp_path / "run"), "--seeds", "one"],
    }
    for words, command in cases.items():
        done = run_command(*command)
        assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert not (tmp_path / "run").exists()


def write(path, content):
    path.write_text(content)
    return path


def test_a_file_of_a_published_task_is_read_as_its_training_file(tmp_path):
    """CoLA has no line of names, and a quotation mark is a character."""
    from electra_tf.finetuning.families import read_records
    from electra_tf.finetuning.published import columns_of

    file = write(tmp_path / "a.tsv", 'gj04\t1\t\t"sea"\ngj04\t0\t*\t"was"\nhalf a line\n')
    file = read_records(columns_of({"task": "cola"}), file)
    assert "left out, of another number of columns: 1 lines" in file.read_as
    assert [(record.texts, record.label) for record in file.records] == [(('"sea"',), "1"), (('"was"',), "0")]


def test_standard_input_that_is_not_utf8_is_told_by_its_line(tuned):
    done = run_command("predict", "--input", tuned[0], given=b"the sea\ncaf\xe9\n")
    assert done.returncode == 2 and "byte 0xe9 is not UTF-8" in done.stderr and "standard input, line 2" in done.stderr


def test_of_several_tasks_the_rows_of_others_are_said_by_task():
    run = {"seed": 0, "step": 8, "failed": False, "dev": {"mean": 0.5}, "dev_mismatched": {"mnli/accuracy": 0.25}}
    result = {"metric": "mean", "runs": [run], "finished": True, "deviation": None, "failed": 0, "commonest": 0.1}
    said = _in_words(result | dict.fromkeys(("median", "mean", "best"), 0.5))
    assert "seed 0      mean 0.5000 at step 8  dev_mismatched mnli/accuracy 0.2500" in said


def test_a_model_of_strangers_takes_pairs_with_a_tab_between():
    assert _given("a\tb", "classification", None) == ("a", "b")
    assert _given("a", "classification", None) == "a" and _given("a\tb", "tagging", False) == "a\tb"
