"""Several published tasks learned at once on one encoder, each with its own head, metric and calibration."""

import io
import json
import random

import numpy as np
import pytest
import tensorflow as tf
from in_process import run_command
from telling_words import TELLING, WORDS, sentences

import electra_tf
from electra_tf.checkpoints.convert import convert
from electra_tf.checkpoints.formats import _read_as
from electra_tf.checkpoints.reading import read_model
from electra_tf.errors import ConfigError
from electra_tf.finetuning.classification import Classification, Regression
from electra_tf.finetuning.multi_task import Several
from electra_tf.finetuning.predictor import Predictor
from electra_tf.finetuning.records import Record
from electra_tf.finetuning.run import finetune
from electra_tf.finetuning.settings import FineTuning
from electra_tf.finetuning.tagged_files import Sentence
from electra_tf.finetuning.tagging import Tagging
from electra_tf.finetuning.tags import scheme_of
from electra_tf.models.config import EncoderConfig
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.training.recipe import Recipe

TASKS = "sst2,stsb,conll2003"


def glue(folder):
    """Files of three tasks: what a word tells, how much of it two texts have, and where it stands."""
    for split, count, seed in (("train", 200, 1), ("dev", 40, 2)):
        rows = list(sentences(count, seed))
        lines = [f"{text}\t{int(label == 'good')}\n" for text, label in rows]
        write(folder / f"SST-2/{split}.tsv", "sentence\tlabel\n" + "".join(lines))
        pairs = zip(rows, rows[::-1], strict=True)
        lines = [f"{number}\t{a}\t{b}\t{5.0 * (x == 'good'):.1f}\n" for number, ((a, x), (b, _)) in enumerate(pairs)]
        write(folder / f"STS-B/{split}.tsv", "index\tsentence1\tsentence2\tscore\n" + "".join(lines))
        chance, lines = random.Random(seed), []
        for _ in range(count):
            words = chance.choices([*WORDS, TELLING["good"]], k=chance.randint(2, 12))
            lines += [f"{word} {'B-SEA' if word == TELLING['good'] else 'O'}\n" for word in words] + ["\n"]
        write(folder / f"conll2003/{'valid' if split == 'dev' else split}.txt", "".join(lines))
    return folder


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture(scope="module")
def learned(electra, tmp_path_factory):
    folder, log = tmp_path_factory.mktemp("several"), io.StringIO()
    data = glue(folder / "GLUE")
    settings = FineTuning(TASKS, data=str(data), epochs=5.0, least_updates=0, peak=5e-3)
    recipe = Recipe(batch_size=16, compiler="graph", log_every=20)
    result = finetune(settings, folder / "run", electra, recipe=recipe, stream=log)
    return folder / "run", result, log.getvalue(), data


@pytest.mark.slow
def test_each_is_learned_and_scored_by_its_own_metric(learned):
    folder, result, log, data = learned
    assert result["metric"] == "mean" and result["best"] > result["commonest"] + 0.2
    dev = result["runs"][0]["dev"]
    assert dev["mean"] == pytest.approx(np.mean([dev["sst2/accuracy"], dev["stsb/spearman"], dev["conll2003/f1"]]))
    assert all(f"# {name}" in log for name in TASKS.split(","))
    for name, file in (("sst2", "SST-2/dev.tsv"), ("stsb", "STS-B/dev.tsv"), ("conll2003", "conll2003/valid.txt")):
        done = run_command("evaluate", "--input", folder, "--task", name, "--file", data / file, "--json")
        assert done.returncode == 0, done.stderr
        for metric, value in json.loads(done.stdout).items():
            if metric not in ("rows", "loss", "rmse"):  # of the calibrated, or on the file's scale
                last_bits = 1e-3 if metric == "spearman" else 1e-6  # they change the ranks of answers that are alike
                assert value == pytest.approx(dev[f"{name}/{metric}"], abs=last_bits), (name, metric)
    assert {path.name for path in (folder / "report").iterdir()} == {*TASKS.split(",")}
    assert result["runs"][0]["calibration"].keys() == {"sst2", "conll2003"}


@pytest.mark.slow
def test_one_of_them_is_a_model_of_its_own(learned, tmp_path):
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    texts = [text for text, _ in sentences(8, 3)]
    ours = electra_tf.predict(learned[0], texts, task="sst2")
    convert(learned[0] / "seed-0", tmp_path / "hf", task="sst2")
    assert 'pipeline("text-classification", "FOLDER")' in (tmp_path / "hf/README.md").read_text()
    theirs = transformers.pipeline("text-classification", str(tmp_path / "hf"), device="cpu")(texts)
    assert [one["label"] for one in theirs] == [one.label for one in ours]
    np.testing.assert_allclose([one["score"] for one in theirs], [one.probability for one in ours], atol=1e-5)


@pytest.mark.slow
def test_the_encoder_alone_is_a_start_for_another_task(learned):
    whole, alone = read_model(learned[0] / "seed-0", task="stsb"), read_model(learned[0] / "seed-0")
    assert alone.heads == () and alone.left_out == ("sst2", "stsb", "conll2003")
    for name, array in alone.weights.items():
        np.testing.assert_array_equal(array, whole.weights[name])


@pytest.mark.slow
def test_which_one_is_meant_must_be_said(learned, tmp_path):
    for task in (None, "rte"):
        with pytest.raises(ConfigError, match="one of sst2, stsb, conll2003"):
            Predictor.open(learned[0], task=task)
    with pytest.raises(ConfigError, match="there is no task 'rte'"):
        convert(learned[0] / "seed-0", tmp_path / "hf", task="rte")
    done = run_command("predict", "--input", learned[0], "sea")
    assert done.returncode == 2 and "name it: --task sst2" in done.stderr


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"task": "sst2,sst2"}, "different tasks"),
        ({"task": "sst2,race"}, "different tasks that are learned together"),
        ({"task": "sst2,classification"}, "different tasks"),
        ({"data": None}, "the folder in which the tasks' folders are"),
        ({"text": ("sentence",)}, "None for several tasks"),
    ],
)
def test_what_cannot_be_learned_together_is_refused(more, message):
    with pytest.raises(ConfigError, match=message):
        FineTuning(**{"task": "sst2,rte", "data": "GLUE"} | more)


def test_a_batch_of_all_has_the_losses_of_each_worked_alone(quick_vocab):
    tokenizer = Tokenizer.from_pretrained(quick_vocab)
    config = EncoderConfig(vocab_size=len(tokenizer), embedding_size=8, hidden_size=16, num_hidden_layers=1)
    texts = [Record((text,), label, "") for text, label in sentences(3)]
    numbers = [Record((text, "sea"), f"{number}", "") for number, (text, _) in enumerate(sentences(2))]
    words = [Sentence(("the", "sea", "said"), ("O", "B-X", "O"), ""), Sentence(("sea",), ("B-X",), "")]
    tasks = {
        "texts": Classification(("bad", "good"), (2.0, 0.5)),
        "numbers": Regression.of(numbers),
        "words": Tagging(("O", "B-X"), (1.0, 3.0), scheme_of([["O", "B-X"]])),
    }
    several, records = Several(tasks, config), {"texts": texts, "numbers": numbers, "words": words}
    split = several.joined({name: task.split(records[name], tokenizer, 32) for name, task in tasks.items()})
    batch = {name: tf.constant(array) for name, array in split.rows.batch(np.arange(7), 32).items()}
    chance = np.random.default_rng(0)
    outputs = {
        "texts": chance.normal(size=(7, 2)).astype("float32"),
        "numbers": chance.normal(size=(7, 1)).astype("float32"),
        "words": chance.normal(size=(7, 32, 2)).astype("float32"),
    }
    found = several.loss({name: tf.constant(array) for name, array in outputs.items()}, batch).numpy()

    def entropy(logits, right):
        return np.log(np.exp(logits).sum()) - logits[right]

    rights = [("bad", "good").index(record.label) for record in texts]
    expected = [entropy(outputs["texts"][row], right) for row, right in enumerate(rights)]
    expected += [(outputs["numbers"][3 + number, 0] - value) ** 2 for number, value in enumerate((-1.0, 1.0))]
    of_words = [entropy(outputs["words"][5, place], right) for place, right in enumerate((0, 1, 0))]
    expected += [np.dot(of_words, [1, 3, 1]) / 5, entropy(outputs["words"][6, 0], 1)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    weights = [(2.0, 0.5)[right] for right in rights] + [1.0] * 4
    np.testing.assert_array_equal(batch["weight"].numpy(), np.float32(weights))


def test_each_is_read_at_the_length_that_it_was_learned_at():
    tasks = {"sst2": Classification(("0", "1"), (1.0, 1.0)), "stsb": Regression(0.0, 1.0)}
    several = Several(tasks, EncoderConfig(), lengths={"sst2": 128, "stsb": 256})
    run = {"settings": {"FineTuning": {}}, "data": {"length": 256}, "answers": several.answers()}
    assert _read_as(run, "sst2") == {"length": 128, "task": "sst2"}
    assert _read_as(run, "stsb")["length"] == 256 == _read_as(run, None)["length"]


def test_of_the_originals_ways_each_has_those_that_matter_to_it():
    settings = FineTuning("sst2,squad2", data="GLUE", compat=("sum_loss", "first_keeps_odd", "whole_words"))
    assert settings.of_task("sst2").compat == ("sum_loss", "first_keeps_odd")
    assert settings.of_task("squad2").compat == ("sum_loss", "whole_words")
    with pytest.raises(ConfigError, match="cut_sentences for tagging alone"):
        FineTuning("sst2,squad2", data="GLUE", compat=("cut_sentences",))
