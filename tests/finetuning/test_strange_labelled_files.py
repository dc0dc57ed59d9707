"""Labelled files, models, vocabularies and runs that were damaged or made to do harm, through the commands of
fine-tuning: see `strange_bytes`.

What is expected of a status of 0: that another reader finds the same rows, so that the answers are those to these rows,
the scores are theirs, and they are what is trained on; and that a damaged run answers as if it were whole. 130 inputs,
which `finetune` reads and does not train; 2,000 more *slow*, or 10,000 with EVERY_INPUT=1.
"""

import dataclasses
import json
import os
import shutil
import zipfile

import numpy as np
import pytest
from in_process import run_command
from labelled_layouts import LAYOUTS, may_be_sentences, rows_of, write_layout
from safetensors.numpy import load_file
from strange_bytes import SEED, chance_of, everything, peak_memory, strange, typed
from telling_words import WORDS

from electra_tf.checkpoints import write_folder
from electra_tf.checkpoints.loaded_model import MODEL_CLASSES, LoadedModel
from electra_tf.checkpoints.weight_names import model_tensors
from electra_tf.finetuning import averaging, predictor, run
from electra_tf.models import EncoderConfig
from electra_tf.seals import sealed
from electra_tf.text.wordpiece_tokenizer import SPECIAL_TOKENS, WordPieceTokenizer
from electra_tf.training.initial_weights import initial_weights

MANY = 10_000 if os.environ.get("EVERY_INPUT") else 1000
PARTS = 4
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,_?"
TOKENS = [*SPECIAL_TOKENS, *_LETTERS, *(f"##{letter}" for letter in _LETTERS), *WORDS, "sea", "was"]
SIZES = {
    "embedding_size": 8,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 16,
    "max_position_embeddings": 64,
}
CLASSES = {
    "classification": "ElectraForSequenceClassification",
    "multilabel": "ElectraForSequenceClassification",
    "regression": "ElectraForSequenceClassification",
    "tagging": "ElectraForTokenClassification",
    "span": "ElectraForQuestionAnswering",
    "choice": "ElectraForMultipleChoice",
}
ANSWERS = {"tagging": {"scheme": ["BIO", False]}, "span": {"may_lack": True, "threshold": 0.0}}
LABELS = {
    "multilabel": ["bad", "good", "new"],
    "tagging": ["O", "B-MAN", "I-MAN", "B-SEA", "I-SEA", "B-SHIP", "I-SHIP"],
}


def model_folder(folder, name):
    """A Hugging Face folder of a model that answers to a layout, with random weights."""
    layout = LAYOUTS[name]
    labels = LABELS.get(layout.kind, ["0", "1", "2"] if name == "pairs" else ["bad", "good", "worse"])
    labels = labels if layout.kind in ("classification", *LABELS) else []
    kind, config = MODEL_CLASSES[CLASSES[layout.kind]], EncoderConfig("electra", len(TOKENS), **SIZES)
    count = max(1, len(labels))
    table = model_tensors(dataclasses.asdict(config) | {"num_labels": count}, "encoder", kind.heads)
    rng = np.random.default_rng(0)
    weights = {t.ours: rng.normal(0, 0.5, t.shape("ours")).astype("float32") for t in table}
    of_questions = {"span": {"stride": 8, "question_length": 8}, "choice": {"question_length": 8}}
    settings = {"task": layout.kind, "length": 32, **of_questions.get(layout.kind, {}), **layout.settings}
    own = {"settings": settings, "answers": ANSWERS.get(layout.kind, {})}
    model = LoadedModel(CLASSES[layout.kind], config, weights, kind.heads, count, fields={"electra_tf": own})
    problem = "multi_label_classification" if layout.kind == "multilabel" else None
    write_folder(folder, model.answering(labels, problem_type=problem), WordPieceTokenizer(TOKENS))


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """For each layout a folder with a file to `train` on, one as `dev` rows, and a `model` that answers to it; and one
    of a `run` that has learned, of a gin file, and of GLUE's test files.
    """
    root = tmp_path_factory.mktemp("sources")
    for name in LAYOUTS:
        (root / name).mkdir()
        for seed, part in enumerate(("train", "dev")):
            write_layout(name, root / name / part, 12, seed)
        model_folder(root / name / "model", name)
    of_run = root / "csv"
    words = ["--train", of_run / "train.csv", "--dev", of_run / "dev.csv", "--init_checkpoint", of_run / "model"]
    done = run_command("finetune", *words, "--model_dir", root / "run/run", *one_step("classification"))
    assert done.returncode == 0 or "all 1 runs failed" in done.stderr, done.stderr
    (root / "gin").mkdir()
    (root / "gin/own.gin").write_text("include 'finetune/electra_rte.gin'\nFineTuning.length = 32\n")
    shutil.copytree(root / "run/run/seed-0", root / "glue/run")
    said = json.loads((root / "glue/run/run.json").read_text())
    said["settings"]["FineTuning"] |= {"task": "rte", "text": None, "label": None}
    (root / "glue/run/run.json").write_text(json.dumps(sealed(said)))
    (root / "glue/RTE").mkdir()
    rows = "".join(f"{n}\tthe sea {n}\this man\n" for n in range(12))
    (root / "glue/RTE/test.tsv").write_text(f"index\tsentence1\tsentence2\n{rows}")
    return root


def one_step(kind):
    """The words for a training of a step."""
    settings = ["least_updates = 0", "epochs = 0.5", "length = 32"]
    settings += {"span": ["stride = 8", "question_length = 8"], "choice": ["question_length = 8"]}.get(kind, [])
    settings = [f"FineTuning.{one}" for one in settings] + ["Recipe.compiler = 'eager'", "Recipe.batch_size = 16"]
    return [word for one in settings for word in ("--gin_param", one)]


@pytest.fixture
def read_once(monkeypatch):
    """Models by their folder, which are opened once; and the plans of the runs that `finetune` would have begun."""
    opened, plans, really = {}, [], predictor.Predictor.open.__func__

    def open_model(cls, path, vocab=None, length=None, task=None):
        if path not in opened:
            opened[path] = really(cls, path, vocab, length, task)
        return opened[path]

    def begin(plan, folder, **more):
        plans.append((plan, more["start"]))
        return {"finished": False}

    monkeypatch.setattr(run, "train", begin)
    return opened, plans, lambda: monkeypatch.setattr(predictor.Predictor, "open", classmethod(open_model))


def damage(chance, path):
    """Changes one file at or below a path."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    file = chance.choice(files)
    file.write_bytes(strange(chance, file.read_bytes()))
    return file


def part_of(name, folder, part):
    return folder / f"{part}{LAYOUTS[name].suffix}"


def columns(name):
    told = LAYOUTS[name].settings
    return [word for field, value in told.items() for word in (f"--{field}", ",".join(value))]


def same_answers(found, expected, told):
    """Labels alike, and probabilities but for the last bits, of lines of JSON and of `Answer`s."""
    assert len(found) == len(expected), told
    for line, answers in zip(found, expected, strict=True):
        lines = line.get("words", [line])
        answers = answers if isinstance(answers, list) else [answers]
        assert len(lines) == len(answers), f"{told}: {line}"
        for one, answer in zip(lines, answers, strict=True):
            label = one["label"]
            if isinstance(label, float):
                assert np.isclose(label, float(answer.label), rtol=1e-4, atol=1e-4), told
                continue
            if (label if isinstance(label, str) else "|".join(label)) != answer.label:  # but for the last bits
                assert answer.all and abs(one["probability"] - answer.probability) < 1e-5, told
            if answer.probability is not None:
                assert abs(one["probability"] - answer.probability) < 1e-4, told


def check_file(chance, sources, home, told, reading):
    """A strange labelled file through `predict`, `evaluate` or `finetune`."""
    opened, plans, _ = reading
    name = chance.choice(sorted(LAYOUTS))
    given, model, output = home / "given", sources / name / "model", home / "output"
    given.mkdir()
    for part in ("train", "dev"):
        source = part_of(name, sources / name, part)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, part_of(name, given, part))
    part = chance.choice(("train", "dev"))
    file = part_of(name, given, part)
    changed = damage(chance, file)
    what = chance.choice(("predict", "evaluate", "finetune"))
    told = f"{told}: {name}, {changed.relative_to(home)}, {what}"
    before = everything(given)
    if what == "predict":
        done = typed(["predict", "--input", model, "--file", file, "--output", output / "answers.jsonl"], told)
        assert (output / "answers.jsonl").exists() == (done.returncode == 0), told
        if done.returncode == 0 and not may_be_sentences(name, file):
            rows = found_by_another(name, file, False, told)
            lines = [json.loads(line) for line in (output / "answers.jsonl").read_text("utf-8").splitlines()]
            same_answers(lines, list(opened[str(model)](rows)), told)
    elif what == "evaluate":
        done = typed(["evaluate", "--input", model, "--file", file, "--json"], told)
        if done.returncode == 0:
            rows = found_by_another(name, file, True, told)
            expected = {"rows": len(rows), **opened[str(model)].score(rows)}
            found = json.loads(done.stdout)
            assert found.keys() == expected.keys(), told
            assert all(np.isclose(found[key], expected[key], atol=1e-4, equal_nan=True) for key in found), told
    else:
        words = ["--train", part_of(name, given, "train"), "--dev", part_of(name, given, "dev")]
        words += [
            "--task",
            LAYOUTS[name].kind,
            *columns(name),
            "--init_checkpoint",
            model,
            *one_step(LAYOUTS[name].kind),
        ]
        done = typed(["finetune", *words, "--model_dir", output / "tuned"], told, (2, 143))
        if done.returncode == 143:
            ((plan, _),) = plans
            rows = found_by_another(name, part_of(name, given, "train"), True, told)
            task = plan.build().task
            split = task.split(rows, plan.source.tokenizer, plan.source.rows.length)
            assert split.rows.fingerprint() == plan.source.rows.fingerprint(), told
            dev = found_by_another(name, part_of(name, given, "dev"), True, told)
            assert plan.source.facts["dev"] == run.fingerprint_of(dev), told
    assert everything(given) == before, told


def found_by_another(name, file, labelled, told):
    try:
        return rows_of(name, file, labelled)
    except Exception as error:
        raise AssertionError(f"{told}: read, though another reader cannot: {error!r}") from error


def check_start(chance, sources, home, told, reading):
    """A strange checkpoint, vocabulary or gin file that `finetune` begins with."""
    _, plans, _ = reading
    given, name = home / "given", "csv"
    shutil.copytree(sources / "gin", given / "gin")
    for what in ("model", "vocab"):
        shutil.copytree(sources / name / "model", given / what)
    file = damage(chance, given / chance.choice(("model", "vocab", "gin")))
    told = f"{told}: {file.relative_to(home)}, finetune"
    before = everything(given)
    files = ["--train", sources / name / "train.csv", "--dev", sources / name / "dev.csv", "--task", "classification"]
    words = ["--gin_file", given / "gin/own.gin", "--gin_param", "FineTuning.text = 'text'"]
    words += ["--gin_param", "FineTuning.label = 'label'", "--init_checkpoint", given / "model"]
    words += ["--vocab", given / "vocab"] if "vocab" in file.parts else []
    done = typed(["finetune", *files, *words, "--model_dir", home / "output/tuned"], told, (2, 143))
    assert everything(given) == before, told
    if done.returncode == 143 and "model" in file.parts:
        ((plan, start),) = plans
        try:
            weights, _, _ = initial_weights(start, plan.build(), plan.source.tokenizer)
        except run.ElectraTFError:
            return  # it would have been told before the first step
        theirs = load_file(given / "model/model.safetensors")["electra.embeddings.position_embeddings.weight"]
        np.testing.assert_array_equal(
            weights["encoder/embeddings/position/embeddings"], theirs.astype("float32"), err_msg=told
        )


def check_run(chance, sources, home, told):
    """A strange run through what reads it: it is refused, or answers as if it were whole."""
    given, output = home / "given", home / "output"
    shutil.copytree(sources / "run", given)
    shutil.copy(sources / "csv/dev.csv", given)
    file = damage(chance, given / "run")
    answer = ["predict", "--input", given / "run", "--file", given / "dev.csv", "--output", output / "answers.jsonl"]
    words = chance.choice(
        [
            answer,
            [*answer, "--input", sources / "csv/model"],
            ["evaluate", "--json", "--input", given / "run", "--file", given / "dev.csv"],
            ["inspect", given / "run/seed-0"],
            ["convert", "--input", given / "run/seed-0", "--output", output / "hf"],
        ]
    )
    told = f"{told}: {file.relative_to(home)}, {' '.join(map(str, words[:2]))}"
    before = everything(given)
    done = typed(words, told)
    assert everything(given) == before, told
    if done.returncode == 0 and words[0] == "predict":
        lines = [json.loads(line) for line in (output / "answers.jsonl").read_text("utf-8").splitlines()]
        models = [sources / "run/run", *([sources / "csv/model"] if words is not answer else [])]
        same_answers(lines, list(averaging.open_predictor(models)(rows_of("csv", given / "dev.csv", False))), told)
    if done.returncode == 0 and words[0] == "evaluate":
        whole = averaging.open_predictor([sources / "run/run"]).score(rows_of("csv", given / "dev.csv", True))
        found = json.loads(done.stdout)
        assert all(np.isclose(found[key], whole[key], atol=1e-4) for key in whole), told
    if done.returncode == 0 and words[0] == "convert":
        whole, found = sources / "run/run/seed-0", output / "hf"
        rows = rows_of("csv", given / "dev.csv", False)
        both = [list(averaging.open_predictor([path])(rows)) for path in (whole, found)]
        assert [one.label for one in both[0]] == [one.label for one in both[1]], told


def check_glue(chance, sources, home, told):
    """Strange files of GLUE, or a strange run, through `glue`: the answers to every row, in a whole zip, or none."""
    given, output = home / "given", home / "output/submission.zip"
    shutil.copytree(sources / "glue", given)
    file = damage(chance, given)
    told = f"{told}: {file.relative_to(home)}, glue"
    before = everything(given)
    done = typed(["glue", "--input", given / "run", "--data", given, "--output", output], told)
    assert everything(given) == before and output.exists() == (done.returncode == 0), told
    if done.returncode == 0:
        names, *rows = (
            line.rstrip("\r").split("\t") for line in (given / "RTE/test.tsv").read_text("utf-8-sig").split("\n")
        )
        at = [names.index(name) for name in ("sentence1", "sentence2")]
        rows = [tuple(row[place] for place in at) for row in rows if row != [""]]
        expected = [answer.label for answer in averaging.open_predictor([sources / "glue/run"])(rows)]
        with zipfile.ZipFile(output) as archive:
            table = archive.read("RTE.tsv").decode()
        assert table.splitlines() == ["index\tprediction", *(f"{n}\t{label}" for n, label in enumerate(expected))], told


def run_all(numbers, sources, tmp_path, monkeypatch, read_once):
    opened, plans, open_once = read_once
    open_once()
    before = peak_memory(begin=True)
    monkeypatch.chdir(tmp_path)
    print(f"STRANGE_SEED={SEED}")
    wrong = []
    for number in numbers:
        chance, home = chance_of(f"labelled {number}"), tmp_path / str(number)
        (home / "output").mkdir(parents=True)
        told = f"STRANGE_SEED={SEED}, number {number}"
        plans.clear()
        try:
            which = chance.random()
            if which < 0.7:
                check_file(chance, sources, home, told, read_once)
            elif which < 0.85:
                check_start(chance, sources, home, told, read_once)
            elif which < 0.93:
                check_run(chance, sources, home, told)
            else:
                check_glue(chance, sources, home, told)
        except AssertionError as error:
            wrong.append(str(error))
        shutil.rmtree(home)
        for path in [path for path in opened if str(home) in str(path)]:
            del opened[path]
    assert not wrong, f"{len(wrong)} of {len(numbers)}\n" + "\n\n".join(wrong)
    assert not list(tmp_path.iterdir())
    assert peak_memory() - before < 2


def test_strange_labelled_files(sources, tmp_path, monkeypatch, read_once):
    run_all(range(130), sources, tmp_path, monkeypatch, read_once)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_thousands_of_strange_labelled_files(part, sources, tmp_path, monkeypatch, read_once):
    run_all(range(150 + part, 150 + MANY, PARTS), sources, tmp_path, monkeypatch, read_once)
