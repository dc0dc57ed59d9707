"""Several models' answers as one, against means worked by hand."""

from types import SimpleNamespace

import pytest

from electra_tf.errors import ConfigError
from electra_tf.finetuning.averaging import Average
from electra_tf.finetuning.predictor import Answer
from electra_tf.finetuning.tagging import Tagging
from electra_tf.finetuning.tags import Scheme


def model(kind, labels, *answers, in_pairs=False):
    task = SimpleNamespace(kind=kind, labels=labels)
    if kind == "tagging":
        task = Tagging(tuple(labels), (1.0,) * len(labels), Scheme("BIO"))

    class Fake:
        def __call__(self, records):
            return (answer for answer, _ in zip(answers, records, strict=True))

    fake = Fake()
    fake.task, fake.labels, fake.in_pairs = task, labels, in_pairs
    return fake


def averaged(*models):
    return list(Average(models, [f"model {number}" for number in range(len(models))])(iter(["a text"])))


def test_of_classes_the_label_is_that_of_the_mean_also_where_no_model_gave_it():
    first = Answer("a", 0.5, {"a": 0.5, "b": 0.4, "c": 0.1})
    second = Answer("c", 0.55, {"a": 0.0, "b": 0.45, "c": 0.55})
    (found,) = averaged(model("classification", "abc", first), model("classification", "abc", second))
    assert found.label == "b" and found.probability == pytest.approx(0.425)
    assert found.all == pytest.approx({"a": 0.25, "b": 0.425, "c": 0.325})


def test_of_sets_every_label_whose_mean_is_above_a_half():
    first, second = Answer("a", 0.9, {"a": 0.9, "b": 0.2}), Answer("", None, {"a": 0.3, "b": 0.4})
    (found,) = averaged(model("multilabel", "ab", first), model("multilabel", "ab", second))
    assert (found.label, found.probability) == ("a", pytest.approx(0.6))


def test_of_numbers_the_mean():
    found = averaged(*(model("regression", (), Answer(value, None, {})) for value in ("1.5", "2", "4")))
    assert found == [Answer("2.5", None, {})]


def test_of_texts_what_is_likeliest_over_all_or_nothing_where_most_give_nothing():
    first, second = Answer("sea", 0.6, {"sea": 0.6, "ship": 0.4}), Answer("ship", 0.9, {"ship": 0.9, "sea": 0.1})
    nothing = Answer("", None, {"sea": 1.0})
    two = model("span", (), first), model("span", (), second)
    (found,) = averaged(*two)
    assert (found.label, found.probability) == ("ship", pytest.approx(0.65))
    (found,) = averaged(*two, model("span", (), nothing))
    assert (found.label, found.probability) == ("ship", pytest.approx(1.3 / 3))
    (found,) = averaged(two[0], model("span", (), nothing), model("span", (), nothing))
    assert (found.label, found.probability) == ("", None)


def test_of_words_each_and_a_word_within_a_piece_goes_on():
    tags = ("O", "B-X", "I-X")
    first = [Answer("B-X", 0.8, {"O": 0.2, "B-X": 0.8, "I-X": 0.0}), Answer("I-X", 0.8, {"O": 0.2, "B-X": 0.8})]
    second = [Answer("O", 0.5, {"O": 0.5, "B-X": 0.4, "I-X": 0.1}), Answer("O", 0.6, {"O": 0.6, "B-X": 0.4})]
    (found,) = averaged(model("tagging", tags, first), model("tagging", tags, second))
    assert [one.label for one in found] == ["B-X", "I-X"]
    assert [one.probability for one in found] == pytest.approx([0.6, 0.6])
    (found,) = averaged(*(model("tagging", tags, [Answer("O", None, {})]) for _ in range(2)))
    assert found == [Answer("O", None, {})]


def test_models_of_other_labels_are_refused():
    yes, no = Answer("a", 1.0, {"a": 1.0}), Answer("b", 1.0, {"b": 1.0})
    with pytest.raises(ConfigError, match="with the same labels"):
        averaged(model("classification", "ab", yes), model("classification", "bc", no))


def test_texts_stand_in_the_order_of_their_mean():
    first, second = Answer("x", 0.5, {"x": 0.5, "y": 0.4}), Answer("y", 0.9, {"y": 0.9, "x": 0.01})
    (found,) = averaged(model("span", (), first), model("span", (), second))
    assert list(found.all) == ["y", "x"]


def test_a_word_that_one_model_does_not_see_is_the_others(monkeypatch):
    seen, unseen = [Answer("B", 0.8, {"O": 0.2, "B": 0.8})], [Answer("O", None, {})]
    for models in ((seen, unseen), (unseen, seen)):
        ((word,),) = averaged(*(model("tagging", ("O", "B"), answers) for answers in models))
        assert (word.label, word.probability) == ("B", 0.8)


def test_a_model_of_pairs_and_one_of_texts_are_not_averaged():
    answer = Answer("a", 1.0, {"a": 1.0})
    with pytest.raises(ConfigError, match="classification of pairs"):
        averaged(model("classification", "a", answer), model("classification", "a", answer, in_pairs=True))
    assert averaged(model("classification", "a", answer), model("classification", "a", answer, in_pairs=None))
