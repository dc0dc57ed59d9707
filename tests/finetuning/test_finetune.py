"""From a file to a model with a score: trained, chosen, resumed, exported, asked."""

import dataclasses
import io
import json
import math
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import electra_tf
from electra_tf.checkpoints import read_model
from electra_tf.checkpoints.convert import convert
from electra_tf.checkpoints.metrics_jsonl import read_metrics
from electra_tf.checkpoints.run_checkpoints import best_steps, checkpoint_folder, list_checkpoints, read_checkpoint
from electra_tf.checkpoints.run_directory import read_run
from electra_tf.checkpoints.run_json import OUTCOME, read_description
from electra_tf.errors import CheckpointError, ConfigError, InputError, OutputError, TrainingError
from electra_tf.finetuning.classification import Classification
from electra_tf.finetuning.predictor import Predictor
from electra_tf.finetuning.records import read_file
from electra_tf.finetuning.run import _check_start, finetune
from electra_tf.finetuning.settings import FineTuning
from electra_tf.locks import locked_folder
from electra_tf.models.presets import PRESETS, Preset
from electra_tf.seals import sealed
from electra_tf.training.initial_weights import Start
from electra_tf.training.recipe import Recipe

RECIPE = Recipe(batch_size=16, log_every=10, compiler="graph")
TEXTS = ["the sea and the captain", "his house was of the island", "sea"]


def settings_of(files, **changes):
    given = {"train": str(files / "train.csv"), "dev": str(files / "dev.tsv"), "text": ("review",), "label": "stars"}
    given |= {"length": 32, "epochs": 4.0, "least_updates": 0, "peak": 5e-3, "layer_decay": 1.0}
    return FineTuning(**{**given, **changes})


@pytest.fixture(scope="module")
def tuned(files, electra, tmp_path_factory):
    """(folder, result, log) of two seeds."""
    folder, log = tmp_path_factory.mktemp("tuned") / "run", io.StringIO()
    settings = settings_of(files, test=str(files / "test.jsonl"), length=64)
    result = finetune(settings, folder, electra, recipe=RECIPE, seeds=(0, 1), stream=log)
    return folder, result, log.getvalue()


def test_it_learns_what_a_word_tells_and_every_seed_is_told(tuned):
    folder, result, _ = tuned
    assert result["finished"] and result["metric"] == "accuracy" and result["failed"] == 0
    assert [run["seed"] for run in result["runs"]] == [0, 1]
    scores = [run["dev"]["accuracy"] for run in result["runs"]]
    assert min(scores) > 0.95 > result["commonest"]
    assert result["median"] == pytest.approx(np.median(scores))
    assert result["best"] == max(scores) and result["deviation"] == pytest.approx(np.std(scores, ddof=1))
    assert all(run["test"]["accuracy"] > 0.9 for run in result["runs"])
    assert json.loads((folder / "results.json").read_text()) == {k: v for k, v in result.items() if k != "finished"}


def test_an_electra_that_was_pre_trained_without_dropout_is_fine_tuned_with_it(tuned, electra):
    before, after = (read_model(path).config for path in (electra, tuned[0] / "seed-0"))
    assert (before.hidden_dropout_prob, before.attention_probs_dropout_prob) == (0.0, 0.0)
    assert (after.hidden_dropout_prob, after.attention_probs_dropout_prob) == (0.1, 0.1)


def test_what_is_in_the_files_is_said_before(tuned, files):
    log = tuned[2]
    count = sum(record.label == "bad" for record in read_file(files / "train.csv", ("review",), "stars").records)
    assert f"labels: good {400 - count}, bad {count}" in log
    assert "train: 400 rows" in log and "dev: 80 rows" in log and "test: 60 rows" in log
    assert "cut: 0.0% of the texts" in log


def test_the_checkpoint_that_is_best_on_dev_is_kept_and_read(tuned):
    folder, result, _ = tuned
    for run in result["runs"]:
        where = folder / f"seed-{run['seed']}"
        evaluations = [line for line in read_metrics(where / "metrics.jsonl") if line["kind"] == "eval"]
        best = max(line["accuracy"] for line in evaluations)
        assert run["dev"]["accuracy"] == best
        assert run["step"] == next(line["step"] for line in evaluations if line["accuracy"] == best)
        assert run["step"] in [step for step, _ in list_checkpoints(where)] and len(list_checkpoints(where)) <= 2
        assert read_run(where).step == run["step"]


def test_the_score_is_that_of_the_answers_again(tuned, files):
    folder, result, _ = tuned
    records = read_file(files / "dev.tsv", ("review",), "stars").records
    predictor = Predictor.open(folder)
    best = next(run for run in result["runs"] if run["seed"] == result["best_seed"])
    assert predictor.score(records)["accuracy"] == best["dev"]["accuracy"]
    answers = list(predictor([record.texts[0] for record in records]))
    right = np.mean([answer.label == record.label for answer, record in zip(answers, records, strict=True)])
    assert right == pytest.approx(best["dev"]["accuracy"])


def test_tables_and_a_report_lie_beside_the_results(tuned, files):
    folder, result, _ = tuned
    head, *rows = (line.split("\t") for line in (folder / "results.tsv").read_text().splitlines())
    assert [row[0] for row in rows] == ["0", "1"] and {"seed", "accuracy", "test accuracy"} <= {*head}
    for row, run in zip(rows, result["runs"], strict=True):
        assert float(row[head.index("accuracy")]) == pytest.approx(run["dev"]["accuracy"], rel=1e-5)
    assert f"median {result['median']:.4f}" in (folder / "results.md").read_text()
    report = folder / "report"
    assert {"confusion.tsv", "classes.tsv", "mistakes.tsv", "reliability.png"} == {
        file.name for file in report.iterdir()
    }
    head, *rows = (line.split("\t") for line in (report / "confusion.tsv").read_text().splitlines())
    counts = np.array([[int(cell) for cell in row[1:]] for row in rows])
    records = read_file(files / "dev.tsv", ("review",), "stars").records
    assert head == ["right", "bad", "good"] and counts.sum() == len(records)
    best = next(run for run in result["runs"] if run["seed"] == result["best_seed"])
    assert np.trace(counts) / counts.sum() == best["dev"]["accuracy"]
    wrong = (report / "mistakes.tsv").read_text().splitlines()[1:]
    assert len(wrong) == min(20, counts.sum() - np.trace(counts))


def test_labels_go_from_the_file_to_transformers_pipeline(tuned, tmp_path):
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder = tuned[0] / "seed-0"
    convert(folder, tmp_path / "hf")
    config = json.loads((tmp_path / "hf/config.json").read_text())
    assert config["id2label"] == {"0": "bad", "1": "good"} and config["label2id"] == {"bad": 0, "good": 1}
    assert config["problem_type"] == "single_label_classification"
    card = (tmp_path / "hf/README.md").read_text()
    assert "fine-tuned: classification" in card and 'pipeline("text-classification", "FOLDER")' in card
    for run in tuned[1]["runs"]:
        assert f"{run['dev']['accuracy']:.4f} | {run['test']['accuracy']:.4f}" in card
    assert "| 0 (this one) |" in card and "train.csv, 400 rows" in card
    pipeline = transformers.pipeline("text-classification", str(tmp_path / "hf"), device="cpu")
    ours = list(Predictor.open(folder)(TEXTS))
    for answer, theirs in zip(ours, pipeline(TEXTS), strict=True):
        assert answer.label == theirs["label"]
        assert answer.probability == pytest.approx(theirs["score"], abs=1e-5)
    again = list(Predictor.open(tmp_path / "hf")(TEXTS))
    assert [answer.label for answer in again] == [answer.label for answer in ours]


def test_weights_that_are_no_numbers_give_no_answers_and_no_score(tuned, files):
    model = read_model(tuned[0] / "seed-0")
    weights = model.weights | {"classifier/output/bias": np.float32([np.nan, 0])}
    predictor = Predictor(dataclasses.replace(model, weights=weights))
    with pytest.raises(CheckpointError, match="not numbers"):
        list(predictor(TEXTS))
    with pytest.raises(CheckpointError, match="not numbers"):
        predictor.score(read_file(files / "dev.tsv", ("review",), "stars").records)


def test_a_class_without_a_name_is_refused(tuned):
    model = read_model(tuned[0] / "seed-0")
    for names in ({"0": "bad"}, {"0": "bad", "2": "good"}):
        with pytest.raises(CheckpointError, match="a name for each of 0 to 1"):
            Predictor(dataclasses.replace(model, fields=model.fields | {"id2label": names}))


@pytest.mark.slow
def test_googles_electra_has_no_place_for_the_head_and_googles_albert_has(tuned, files, albert, tmp_path):
    with pytest.raises(CheckpointError, match="classifier"):
        convert(tuned[0] / "seed-0", tmp_path / "tf1", "tf1", task="stars", settings={"num_attention_heads": 2})
    assert not (tmp_path / "tf1").exists()
    finetune(settings_of(files), tmp_path / "albert", albert, recipe=RECIPE, stream=io.StringIO())
    (prefix,) = convert(tmp_path / "albert/seed-0", tmp_path / "tf1", "tf1", settings={"num_attention_heads": 2})
    before = read_model(tmp_path / "albert/seed-0")
    after = read_model(prefix, settings={"num_attention_heads": 2})
    for name, array in before.weights.items():
        np.testing.assert_array_equal(after.weights[name], array, err_msg=name)


@pytest.mark.slow
def test_an_albert_and_a_regression_on_pairs(files, albert, tmp_path):
    settings = settings_of(
        files, task="regression", train=str(files / "pairs.csv"), dev=None, text=("a", "b"), label="y"
    )
    log = io.StringIO()
    result = finetune(settings, tmp_path / "run", albert, recipe=RECIPE, stream=log)
    assert "40 rows, 10%, are held out" in log.getvalue()
    assert result["metric"] == "spearman" and result["best"] > 0.3
    answers = [float(answer.label) for answer in Predictor.open(tmp_path / "run")([("sea", "sea"), ("sea", "was")])]
    assert all(900 < value < 1150 for value in answers)
    line = result["runs"][0]["dev"]
    assert line["rmse"] < 30 and math.isfinite(line["loss"])


@pytest.mark.slow
def test_a_finished_seed_is_passed_over_and_one_more_is_added(files, electra, tmp_path):
    settings = settings_of(files, epochs=3.0)
    first = finetune(settings, tmp_path / "run", electra, recipe=RECIPE, seeds=(3,), stream=io.StringIO())
    before = (tmp_path / "run/seed-3/metrics.jsonl").read_bytes()
    both = finetune(settings, tmp_path / "run", electra, recipe=RECIPE, seeds=(3, 4), stream=io.StringIO())
    assert (tmp_path / "run/seed-3/metrics.jsonl").read_bytes() == before
    assert both["runs"][0] == first["runs"][0]


def test_balanced_classes_weigh_alike(files):
    records = read_file(files / "train.csv", ("review",), "stars").records
    task = Classification.of(records, "balanced")
    weights = task.targets(records)["weight"]
    good = np.array([record.label == "good" for record in records])
    assert weights[good].sum() == pytest.approx(weights[~good].sum()) == pytest.approx(200)


@pytest.mark.slow
def test_from_scratch_needs_no_checkpoint(files, electra, quick_vocab, tmp_path, monkeypatch):
    monkeypatch.setitem(PRESETS, "small", Preset(read_model(electra).config))
    settings = settings_of(files, select="macro_f1")
    given = {"from_scratch": "small", "vocab": quick_vocab, "recipe": RECIPE, "stream": io.StringIO()}
    result = finetune(settings, tmp_path / "run", **given)
    assert result["metric"] == "macro_f1" and result["best"] > 0.9 > 0.5 > result["commonest"]
    assert not (tmp_path / "run/seed-0/initial_weights.txt").exists()


@pytest.mark.slow
def test_the_head_of_another_task_starts_anew(files, tuned, tmp_path):
    settings = settings_of(files, epochs=0.2)
    finetune(settings, tmp_path / "run", tuned[0] / "seed-0", recipe=RECIPE, seeds=(5,), stream=io.StringIO())
    report = (tmp_path / "run/seed-5/initial_weights.txt").read_text()
    anew = [line.split()[0] for line in report.splitlines() if line.endswith("starts anew")]
    assert anew and all(name.startswith("classifier/") for name in anew)


def test_it_is_a_function_of_the_package():
    assert electra_tf.finetune is finetune and electra_tf.FineTuning is FineTuning


@pytest.mark.parametrize(
    "changes, error, words",
    [
        ({"text": ("revew",)}, InputError, "no column 'revew'.*'review', 'stars'"),
        ({"label": "star"}, InputError, "no column 'star'"),
        ({"task": "regression"}, InputError, "the label is '(good|bad)'.*line 2.*a finite number"),
        ({"select": "bleu"}, ConfigError, "select is 'bleu'.*accuracy"),
        ({"train": None}, ConfigError, "--train"),
        ({"dev": "nowhere.csv"}, InputError, "No such file"),
        ({"text": ("review", "review")}, ConfigError, "columns that differ"),
        ({"text": ("stars",)}, ConfigError, "columns that differ"),
        ({"task": "choice", "choices": ("a", "a")}, ConfigError, "columns that differ"),
        ({"epochs": 0.0}, ConfigError, "epochs is 0.0"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_said(files, electra, tmp_path, changes, error, words):
    with pytest.raises(error, match=f"(?s){words}"):
        finetune(settings_of(files, **changes), tmp_path / "run", electra, recipe=RECIPE, stream=io.StringIO())
    assert not (tmp_path / "run").exists()


def test_a_run_does_not_go_on_with_other_dev_rows(tuned, files, electra, tmp_path):
    folder = shutil.copytree(tuned[0], tmp_path / "run")
    before = (folder / "results.json").read_bytes()
    (tmp_path / "dev.tsv").write_text((files / "dev.tsv").read_text().replace("\tgood", "\tbad"))
    settings = settings_of(files, dev=str(tmp_path / "dev.tsv"), length=64)
    with pytest.raises(TrainingError, match=r"(?s)dev rows: 'sha256 .*start anew in another --model_dir$"):
        finetune(settings, folder, electra, recipe=RECIPE, stream=io.StringIO())
    assert (folder / "results.json").read_bytes() == before


@pytest.mark.parametrize("known", [True, False])
def test_a_run_whose_log_is_lost_keeps_its_verdict_or_is_judged_by_its_newest_checkpoint(
    known, tuned, files, electra, tmp_path
):
    folder, result, _ = tuned
    copied = shutil.copytree(folder, tmp_path / "run")
    before = list_checkpoints(copied / "seed-0")
    (copied / "seed-0" / "metrics.jsonl").unlink()
    if not known:  # as a run that ended before verdicts were kept
        described = read_description(copied / "seed-0")
        del described[OUTCOME]
        (copied / "seed-0" / "run.json").write_text(json.dumps(sealed(described)))
    settings, log = settings_of(files, test=str(files / "test.jsonl"), length=64), io.StringIO()
    again = finetune(settings, copied, electra, recipe=RECIPE, seeds=(0, 1), stream=log)
    assert list_checkpoints(copied / "seed-0") == before
    step = result["runs"][0]["step"] if known else before[-1][0]
    assert again["runs"][0]["step"] == step and again["runs"][0]["dev"]["accuracy"] > 0.9
    assert not known or again["runs"][0]["dev"] == result["runs"][0]["dev"]
    assert again["runs"][1] == result["runs"][1]


def test_a_second_process_in_the_folder_of_seeds_is_refused(tuned, files, electra):
    with locked_folder(tuned[0]), pytest.raises(OutputError, match="another process trains here") as error:
        finetune(settings_of(files), tuned[0], electra, recipe=RECIPE, seeds=(2,), stream=io.StringIO())
    assert error.value.where == tuned[0] and not (tuned[0] / "seed-2").exists()


def test_of_rows_that_are_all_different_none_can_be_held_out(electra, tmp_path):
    (tmp_path / "a.csv").write_text("text,label\nsea,a\nman,b\n")
    with pytest.raises(InputError, match=r"(?s)no row can be held out.*--dev"):
        finetune(FineTuning(train=str(tmp_path / "a.csv")), tmp_path / "run", electra, stream=io.StringIO())


def test_a_label_that_the_training_file_lacks_is_said_with_its_line(files, electra, tmp_path):
    (tmp_path / "dev.csv").write_text("review,stars\nsea,good\nsea,medium\n")
    with pytest.raises(InputError, match=r"(?s)'medium' is none of.*dev.csv, line 3.*'bad', 'good'"):
        finetune(settings_of(files, dev=str(tmp_path / "dev.csv")), tmp_path / "run", electra, stream=io.StringIO())


def test_one_class_alone_is_refused(electra, tmp_path):
    (tmp_path / "a.csv").write_text("text,label\n" + "sea,good\n" * 30)
    with pytest.raises(InputError, match="all rows have the label 'good'"):
        finetune(FineTuning(train=str(tmp_path / "a.csv")), tmp_path / "run", electra, stream=io.StringIO())


def test_a_text_of_another_language_is_refused(electra, tmp_path):
    rows = "".join(f"책은 바다 사람 {n},{n % 2}\n" for n in range(40))
    (tmp_path / "a.csv").write_text("text,label\n" + rows)
    with pytest.raises(InputError, match="of the tokens are unknown"):
        finetune(FineTuning(train=str(tmp_path / "a.csv")), tmp_path / "run", electra, stream=io.StringIO())


def test_without_a_checkpoint_from_scratch_is_offered(files, tmp_path):
    with pytest.raises(ConfigError, match="--from_scratch PRESET"):
        finetune(settings_of(files), tmp_path / "run", stream=io.StringIO())


def test_a_model_without_a_classifier_does_not_answer(electra):
    with pytest.raises(CheckpointError, match="no head of a task"):
        Predictor.open(electra)


@pytest.mark.slow
def test_the_average_of_the_best_checkpoints_is_used_where_it_is_not_worse(files, electra, tmp_path):
    settings = settings_of(files, average=3)
    result = finetune(settings, tmp_path / "run", electra, recipe=RECIPE, stream=io.StringIO())
    folder, (run,) = tmp_path / "run/seed-0", result["runs"]
    kept = [step for step, _ in list_checkpoints(folder)]
    verdict = json.loads((folder / "average.json").read_text())
    best = best_steps(folder, "accuracy", 3)
    assert verdict["steps"] == best and {*best} <= {*kept} and len(kept) <= 4
    alone = max(line["accuracy"] for line in read_metrics(folder / "metrics.jsonl") if line["kind"] == "eval")
    assert verdict["used"] == (verdict["dev"]["accuracy"] >= alone) == ("averaged" in run)
    assert run["dev"]["accuracy"] == max(alone, verdict["dev"]["accuracy"])
    states = [read_checkpoint(checkpoint_folder(folder, step))[1] for step in best]
    weights = read_run(folder).weights
    for name, array in weights.items():
        several = [state[f"weights/{name}"] for state in states]
        expected = np.mean(several, 0, np.float64) if verdict["used"] else several[0]
        np.testing.assert_allclose(array, expected, rtol=1e-6, atol=1e-9)
    records = read_file(files / "dev.tsv", ("review",), "stars").records
    assert Predictor.open(tmp_path / "run").score(records)["accuracy"] == run["dev"]["accuracy"]
    again = finetune(settings, tmp_path / "run", electra, recipe=RECIPE, stream=io.StringIO())
    assert again == result
    lost = ["average.json", *(["average/index.json"] if verdict["used"] else [])]
    for name in lost:
        shutil.rmtree(folder / "average") if name.startswith("average/") else (folder / name).unlink()
        with pytest.raises(CheckpointError, match=f"{name}: it is not there"):
            Predictor.open(tmp_path / "run")
        again = finetune(settings, tmp_path / "run", electra, recipe=RECIPE, stream=io.StringIO())
        assert again == result
        assert Predictor.open(tmp_path / "run").score(records)["accuracy"] == run["dev"]["accuracy"]


def test_a_batch_of_more_rows_than_the_file_has_is_learned_from_and_warned_of(files, electra, tmp_path):
    lines = (files / "train.csv").read_text().splitlines(keepends=True)
    (tmp_path / "train.csv").write_text("".join(lines[:51]))
    settings, log = settings_of(files, train=str(tmp_path / "train.csv"), epochs=40.0), io.StringIO()
    recipe = dataclasses.replace(RECIPE, batch_size=400)
    result = finetune(settings, tmp_path / "run", electra, recipe=recipe, stream=log)
    assert list_checkpoints(tmp_path / "run/seed-0")[-1][0] == 40
    assert "warning: a batch is 400 rows, and there are 50: each is in it about 8.0 times" in log.getvalue()
    assert result["best"] > 0.9 > result["commonest"]


def test_a_length_that_the_model_cannot_take_and_some_unknown_tokens_are_warned_of(files, electra, tmp_path):
    rows = [f"the sea and {'☃' if number % 10 == 0 else 'the'} man,{number % 2}" for number in range(40)]
    (tmp_path / "train.csv").write_text("review,stars\n" + "\n".join(rows) + "\n", encoding="utf-8")
    settings = settings_of(files, train=str(tmp_path / "train.csv"), dev=None, length=512, epochs=0.1, peak=1e-12)
    log = io.StringIO()
    with pytest.raises(TrainingError, match="all 1 runs failed: none is better than the commonest answer"):
        finetune(settings, tmp_path / "run", electra, recipe=RECIPE, stream=log)  # its labels mean nothing
    assert json.loads((tmp_path / "run/results.json").read_text())["failed"] == 1
    assert "warning: FineTuning.length is 512, and the model takes 64 tokens" in log.getvalue()
    assert "of the tokens are unknown: is the vocabulary of this language and casing?" in log.getvalue()


def test_scores_from_some_weights_are_not_passed_off_as_those_from_others(tuned, files, electra, quick_vocab, tmp_path):
    """Of a finished run, which the same command would find; the same weights may lie elsewhere."""
    folder = shutil.copytree(tuned[0], tmp_path / "run")
    settings = settings_of(files, test=str(files / "test.jsonl"), length=64)
    options = {"recipe": RECIPE, "seeds": (0, 1), "stream": io.StringIO()}
    with pytest.raises(TrainingError, match="is now to begin with random weights"):
        finetune(settings, folder, from_scratch="electra_tiny", vocab=quick_vocab, **options)
    elsewhere = convert(electra, tmp_path / "same")[0]
    assert finetune(settings, folder, elsewhere, **options)["median"] == tuned[1]["median"]
    weights = load_file(elsewhere / "model.safetensors")
    name = next(name for name in weights if "word_embeddings" in name)
    save_file(weights | {name: weights[name] + 1}, elsewhere / "model.safetensors", {"format": "pt"})
    with pytest.raises(TrainingError, match=r"begin with [\s\S]*the weights it began with"):
        finetune(settings, folder, elsewhere, **options)
    start = read_description(folder / "seed-0")["start"]
    assert start["checkpoint"] == str(electra) and len(start["sha256"]) == 64
    with pytest.raises(TrainingError, match="have changed since the run began"):
        _check_start({"start": start}, Start(electra, sha256="0" * 64), folder)
    early = {name: value for name, value in start.items() if name != "sha256"}  # of a run before there were hashes
    _check_start({"start": early}, Start(electra, sha256="0" * 64), folder)


def test_results_of_somebodys_are_not_replaced(files, electra, tmp_path):
    (tmp_path / "run" / "report").mkdir(parents=True)
    (tmp_path / "run" / "results.md").write_text("mine")
    with pytest.raises(OutputError, match=r"a run would replace: report, results\.md"):
        finetune(settings_of(files), tmp_path / "run", electra, recipe=RECIPE, stream=io.StringIO())
    assert (tmp_path / "run" / "results.md").read_text() == "mine"


def test_a_path_is_a_file_and_one_text_is_no_list_of_texts(tuned, files):
    assert settings_of(files, train=files / "train.csv") == settings_of(files)
    for models in (tuned[0], [tuned[0] / "seed-0", tuned[0] / "seed-1"]):
        with pytest.raises(ConfigError, match="the records are one text"):
            electra_tf.predict(models, "A joy.")
        with pytest.raises(ConfigError, match="2 texts at once"):
            electra_tf.predict(models, [("A joy.", "A joy.")])


@pytest.mark.parametrize("name", ["stride", "beam", "answer_length", "question_length"])
def test_what_is_about_questions_is_refused_for_texts(name, files):
    with pytest.raises(ConfigError, match="it does nothing but for span"):
        settings_of(files, **{name: 8})
    assert getattr(FineTuning(task="span", train="a.json", **{name: 8}), name) == 8
    several = FineTuning(task="mrpc,squad2", data="GLUE", **{name: 8})
    assert [getattr(several.of_task(task), name) == 8 for task in several.tasks] == [False, True]
    with pytest.raises(ConfigError, match="it does nothing"):
        FineTuning(task="mrpc,rte", data="GLUE", **{name: 8})
