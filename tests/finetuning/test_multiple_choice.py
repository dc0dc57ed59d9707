"""One of several choices, and several labels at once, from files to answers and transformers."""

import dataclasses
import io
import json
import random
from types import SimpleNamespace

import numpy as np
import pytest

from electra_tf.checkpoints.convert import convert
from electra_tf.errors import ConfigError, InputError
from electra_tf.finetuning.classification import Multilabel
from electra_tf.finetuning.labelled_data_checks import survey
from electra_tf.finetuning.multiple_choice import Choice, completed
from electra_tf.finetuning.multiple_choice_files import Puzzle, read_choices
from electra_tf.finetuning.predictor import _ANSWERS, Predictor, as_written
from electra_tf.finetuning.records import Record
from electra_tf.finetuning.run import finetune
from electra_tf.finetuning.settings import FineTuning
from electra_tf.finetuning.task import Split
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.training.recipe import Recipe

RECIPE = Recipe(batch_size=16, log_every=20, compiler="graph")
WORDS = ("the", "captain", "and", "of", "island", "man", "said", "his", "house")
SETTINGS = FineTuning(length=32, epochs=6.0, least_updates=0, peak=1e-2, layer_decay=1.0)


def puzzles(path, count, seed):
    """JSON lines whose right choice has the word `sea`; some contexts are shared."""
    chance, lines = random.Random(seed), []
    for number in range(count):
        choices = [" ".join(chance.choices(WORDS, k=2)) for _ in range(3)]
        right = chance.randrange(3)
        choices[right] += " sea"
        context = " ".join(chance.choices(WORDS, k=5)) if number % 3 == 0 or not lines else lines[-1]["context"]
        lines.append({"context": context, "question": "what", "options": choices, "answer": right})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("family", ["electra", "albert"])
def test_a_choice_is_learned_answered_and_opens_in_transformers(family, request, tmp_path):
    train, dev = puzzles(tmp_path / "train.jsonl", 300, 0), puzzles(tmp_path / "dev.jsonl", 40, 1)
    settings = dataclasses.replace(SETTINGS, task="choice", train=str(train), dev=str(dev))
    result = finetune(settings, tmp_path / "run", request.getfixturevalue(family), recipe=RECIPE, stream=io.StringIO())
    assert result["metric"] == "accuracy" and result["best"] > 0.9 > 0.6 > result["commonest"]
    predictor, records = Predictor.open(tmp_path / "run"), read_choices(dev).records
    answers = list(predictor(records))
    right = [answer.label == record.choices[record.right] for answer, record in zip(answers, records, strict=True)]
    assert np.mean(right) == result["best"] == predictor.score(records)["accuracy"]
    assert all(sum(answer.all.values()) == pytest.approx(1) for answer in answers)
    convert(tmp_path / "run/seed-0", tmp_path / "hf")
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    model = getattr(transformers, f"{family.capitalize()}ForMultipleChoice").from_pretrained(tmp_path / "hf").eval()
    split = predictor.task.split(records[:4], predictor.tokenizer, predictor.length)
    batch = split.rows.batch(np.arange(4), 32)
    names = {"input_ids": "input_ids", "input_mask": "attention_mask", "segment_ids": "token_type_ids"}
    with torch.no_grad():
        logits = model(**{theirs: torch.tensor(batch[ours]).long() for ours, theirs in names.items()}).logits.numpy()
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    np.testing.assert_allclose(shares, [list(answer.all.values()) for answer in answers[:4]], atol=1e-5)


def test_races_folders_and_tables_are_read(tmp_path):
    race = {
        "article": "the sea",
        "questions": ["_ is", "what"],
        "options": [["a", "b"], ["c", "d"]],
        "answers": ["B", "A"],
    }
    for level, number in (("high", 2), ("middle", 10), ("middle", 9)):
        (tmp_path / "race" / level).mkdir(parents=True, exist_ok=True)
        (tmp_path / "race" / level / f"{number}.txt").write_text(json.dumps(race | {"id": f"{level}{number}"}))
    file = read_choices(tmp_path / "race")
    assert [one.right for one in file.records] == [1, 0] * 3 and "3 files of RACE" in file.read_as
    places = [one.where for one in file.records[::2]]
    assert ["9.txt" in places[0], "10.txt" in places[1], "high" in places[2]] == [True] * 3
    (tmp_path / "a.csv").write_text("context,question,x,y,answer\nthe sea,what,a,b,b\nman,,c,d,0\n")
    rows = read_choices(tmp_path / "a.csv", choices=("x", "y")).records
    assert [(one.choices, one.right) for one in rows] == [(("a", "b"), 1), (("c", "d"), 0)]
    with pytest.raises(InputError, match=r"(?s)the right one is 'z'.*line 2"):
        (tmp_path / "b.csv").write_text("context,question,x,y,answer\nthe sea,what,a,b,z\n")
        read_choices(tmp_path / "b.csv", choices=("x", "y"))
    with pytest.raises(InputError, match="there are 3 choices"):
        lines = [{"context": "", "question": "", "options": ["a"] * n, "answer": 0} for n in (2, 3)]
        (tmp_path / "c.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        read_choices(tmp_path / "c.jsonl")


def test_a_users_own_columns_are_all_wanted_and_a_number_is_written_in_digits(tmp_path):
    line = {"context": "the sea", "question": "what", "options": ["a", "b"], "answer": "\u00b2"}
    (tmp_path / "a.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(InputError, match="the right one is"):
        read_choices(tmp_path / "a.jsonl")
    with pytest.raises(InputError, match="there is no 'qestion'"):
        read_choices(tmp_path / "a.jsonl", ("context", "qestion"), named=True)


@pytest.mark.parametrize("answer", ["", "AB", "C", None, 1])
def test_an_answer_of_race_is_the_letter_of_a_choice(answer, tmp_path):
    passage = {"article": "sea", "questions": ["what"], "options": [["a", "b"]], "answers": [answer]}
    (tmp_path / "1.txt").write_text(json.dumps(passage))
    with pytest.raises(InputError, match="this is no passage of RACE"):
        read_choices(tmp_path)


@pytest.mark.parametrize("changed", [{"options": ["ab"]}, {"questions": "w"}, {"answers": "A"}])
def test_a_word_of_race_is_no_list_of_letters(changed, tmp_path):
    passage = {"article": "sea", "questions": ["what"], "options": [["a", "b"]], "answers": ["A"]}
    (tmp_path / "1.txt").write_text(json.dumps(passage | changed))
    with pytest.raises(InputError, match="and no list"):
        read_choices(tmp_path)


def test_among_choices_that_are_numbers_the_right_one_is_meant_as_in_all_other_rows(tmp_path):
    """A 1 is the second choice where all rows hold numbers from 0, and the choice 1 where all rows hold texts."""

    def rights(*rows):
        lines = ({"context": "sea", "options": options, "answer": answer} for options, answer in rows)
        (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return [one.right for one in read_choices(tmp_path / "a.jsonl").records]

    assert rights(([1, 2, 3], 1), ([4, 5, 6], 2)) == [1, 2]
    assert rights(([1, 2, 3], 1), ([4, 5, 6], 6)) == [0, 2]
    with pytest.raises(InputError, match=r"(?s)the right one may be choice 1 or 2.*line 1"):
        rights(([1, 2, 3], 1), ([0, 1, 2], 0))


@pytest.mark.parametrize("field", ["context", "question", "options", "answer"])
def test_a_field_of_a_puzzle_that_is_null_is_no_text(field, tmp_path):
    row = {"context": "sea", "question": "what", "options": ["a", "b"], "answer": "a"}
    row[field] = ["a", None] if field == "options" else None
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(InputError, match=f"the row has no '{field}'"):
        read_choices(tmp_path / "a.jsonl")


def test_a_row_without_room_for_a_choice_is_refused(quick_vocab):
    record = Puzzle("the sea", "what", ("a", "b"), 0, "")
    with pytest.raises(ConfigError, match="length is 3"):
        Choice().split([record], Tokenizer.from_pretrained(quick_vocab), 3)
    split = Choice().split([record], Tokenizer.from_pretrained(quick_vocab), 4)
    assert split.rows.sizes.tolist() == [4]


def test_a_choice_stands_in_the_gap_or_behind_the_question():
    assert completed("What_is missing_here ?", "sea") == "Whatseais missingseahere ?"
    assert completed("What is it?", "sea") == "What is it? sea"
    assert completed("", "sea") == "sea"


@pytest.mark.slow
def test_several_labels_at_once_are_learned_and_open_in_transformers(electra, tmp_path):
    chance, rows = random.Random(0), []
    other = [word for word in WORDS if word not in ("sea", "house")]
    for _ in range(360):
        told = [word for word in ("sea", "house") if chance.random() < 0.4]
        words = told * 3 + chance.choices(other, k=9 - 3 * len(told))
        rows.append((" ".join(words), "|".join({"sea": "wet", "house": "dry"}[word] for word in told)))
    for name, part in (("train", rows[:300]), ("dev", rows[300:])):
        (tmp_path / f"{name}.csv").write_text("text,label\n" + "".join(f"{a},{b}\n" for a, b in part))
    files = {"train": str(tmp_path / "train.csv"), "dev": str(tmp_path / "dev.csv")}
    settings = dataclasses.replace(SETTINGS, task="multilabel", peak=2e-3, epochs=40.0, **files)
    result = finetune(settings, tmp_path / "run", electra, recipe=RECIPE, stream=io.StringIO())
    assert result["metric"] == "micro_f1" and result["best"] > 0.9 > result["commonest"]
    predictor = Predictor.open(tmp_path / "run")
    texts, labels = zip(*rows[300:], strict=True)
    answers = list(predictor(texts))
    assert {answer.label for answer in answers} == {"", "dry", "wet", "dry|wet"}
    exact = [
        set(answer.label.split("|")) == set(label.split("|")) for answer, label in zip(answers, labels, strict=True)
    ]
    assert sum(exact) > 0.75 * len(exact)
    assert all((answer.probability is None) == (answer.label == "") for answer in answers)
    place = [answer.label for answer in answers].index("dry|wet")
    convert(tmp_path / "run/seed-0", tmp_path / "hf")
    config = json.loads((tmp_path / "hf/config.json").read_text())
    assert config["problem_type"] == "multi_label_classification" and config["id2label"] == {"0": "dry", "1": "wet"}
    again = next(iter(Predictor.open(tmp_path / "hf")([texts[place]])))
    assert again.label == "dry|wet"
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    pipeline = transformers.pipeline("text-classification", str(tmp_path / "hf"), device="cpu", top_k=None)
    theirs = {one["label"]: one["score"] for one in pipeline([texts[place]])[0]}
    assert theirs == {label: pytest.approx(share, abs=1e-5) for label, share in answers[place].all.items()}


@pytest.mark.parametrize("weight", [0.0, -1, 1e300, float("inf"), float("nan")])
def test_a_weight_that_no_number_of_a_model_can_hold_is_refused(weight):
    with pytest.raises(ConfigError, match="weights from 1e-6 to 1e6"):
        FineTuning(train="a", class_weights={"good": weight})


@pytest.mark.parametrize("chosen", [{"dry": 2.0}, "balanced"])
def test_a_label_can_weigh_more_by_its_name(chosen):
    from electra_tf.finetuning.classification import Classification
    from electra_tf.finetuning.records import Record

    records = [Record(("x",), label, "a.csv, line 1") for label in ("dry", "wet", "wet", "wet")]
    weights = Classification.of(records, chosen).targets(records)["weight"]
    expected = [2.0, 1.0, 1.0, 1.0] if chosen != "balanced" else [2.0, 2 / 3, 2 / 3, 2 / 3]
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    with pytest.raises(InputError, match="a weight for 'damp', which is no label"):
        Classification.of(records, {"damp": 2.0})


def test_the_columns_of_all_choices_are_as_many_in_every_line(quick_vocab):
    """Also where two choices are alike, whose shares are."""
    from electra_tf.cli.predict import _of_choices

    records = [Puzzle("the sea", "what", ("a", "b", "a"), 0, ""), Puzzle("the sea", "what", ("c", "d", "e"), 0, "")]
    logits = [np.log([0.4, 0.2, 0.4]), np.log([0.1, 0.2, 0.7])]
    answers = list(_ANSWERS["choice"](Choice(), logits, Split(records, None)))
    assert answers[0].all == pytest.approx({"a": 0.4, "b": 0.2}) and answers[0].label == "a"
    lines = list(_of_choices(None, zip(records, answers, strict=True), True))
    assert [line.split("\t") for line in lines] == [
        ["label", "probability", "choice 1", "choice 2", "choice 3"],
        ["a", "0.400000", "0.400000", "0.200000", "0.400000"],
        ["e", "0.700000", "0.100000", "0.200000", "0.700000"],
    ]


def test_what_of_question_choice_and_context_no_row_holds_is_counted(quick_vocab):
    tokenizer = Tokenizer.from_pretrained(quick_vocab)
    long_choice = Puzzle("the sea", "what", ("sea " * 20, "sea"), 0, "")
    long_context = Puzzle("sea " * 40, "what", ("sea", "the"), 0, "")
    task, sizes = Choice(question_length=8), []
    for one in (long_choice, long_context):
        (ids,) = task.pieces([one], tokenizer)
        sizes.append(len(ids))
    found = survey([long_choice, long_context], task, 32, tokenizer)
    behind = sizes[0] - 2, sizes[1] - 40  # of the question and its choice
    assert found.cut == 1.0
    assert found.lost == pytest.approx((behind[0] - 8 + 40 - (32 - 3 - behind[1])) / sum(sizes))


def test_a_number_is_written_with_all_digits_it_has():
    assert [as_written(x) for x in (2_000_003.0, 0.1, -3, 1e-30)] == ["2000003", "0.1", "-3", "1e-30"]


def test_a_longer_gap_is_one_gap():
    assert completed("The capital is ____.", "Paris") == "The capital is Paris."
    assert completed("_ and _", "a") == "a and a"


def test_a_table_may_lack_the_question_and_names_its_columns_by_flags_that_are_there(tmp_path):
    (tmp_path / "a.csv").write_text("context,x,y,answer\nthe sea,a,b,b\n")
    (row,) = read_choices(tmp_path / "a.csv", choices=("x", "y")).records
    assert (row.question, row.choices) == ("", ("a", "b"))
    for labelled, flags in ((True, "--text, --choices and --label"), (False, "--text, --choices")):
        with pytest.raises(InputError) as error:
            read_choices(tmp_path / "a.csv", labelled=labelled)
        assert error.value.remedy == f"name them with {flags}"
        (tmp_path / "a.jsonl").write_text(json.dumps({"context": "a"}) + "\n")
        with pytest.raises(InputError) as error:
            read_choices(tmp_path / "a.jsonl", labelled=labelled)
        assert error.value.remedy == f"name them with {flags}"


def test_the_commonest_set_of_labels_is_what_exact_is_held_against():
    records = [Record(("a",), "", str(n)) for n in range(9)] + [Record(("a",), "x", "9"), Record(("a",), "y|x", "10")]
    task = Multilabel.of(records)
    rows = SimpleNamespace(targets=task.targets(records))
    split = SimpleNamespace(rows=rows, records=records, places=range(len(records)))
    assert task.commonest(split)["exact"] == pytest.approx(9 / 11)
