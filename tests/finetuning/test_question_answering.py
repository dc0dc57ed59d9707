"""Answers in texts from a file to a span: what is learned, and transformers' pipeline."""

import dataclasses
import io
import json

import numpy as np
import pytest
import tensorflow as tf
from telling_words import squad

from electra_tf.checkpoints import read_model
from electra_tf.checkpoints.convert import convert
from electra_tf.cli.predict import _of_answers as _of_answers_in_lines
from electra_tf.errors import CheckpointError, ConfigError, InputError
from electra_tf.finetuning.best_answers import Found
from electra_tf.finetuning.labelled_data_checks import survey
from electra_tf.finetuning.predictor import Answer as GivenAnswer
from electra_tf.finetuning.predictor import Predictor
from electra_tf.finetuning.question_answering import Spans
from electra_tf.finetuning.question_files import Answer, Question, read_questions
from electra_tf.finetuning.report import _of_answers
from electra_tf.finetuning.run import _held_out, finetune, fingerprint_of
from electra_tf.finetuning.settings import FineTuning
from electra_tf.models import EncoderConfig, SpanAnswerer
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.training.recipe import Recipe

RECIPE = Recipe(batch_size=16, log_every=20, compiler="graph")


def tuned_on(folder, checkpoint, lacking=0.0, **changes):
    """(run, result, log, dev file)."""
    log, files = io.StringIO(), {}
    for seed, (name, count) in enumerate({"train": 500, "dev": 60}.items()):
        files[name] = folder / f"{name}.json"
        files[name].write_text(json.dumps(squad(count, seed, lacking, 24 if name == "train" else 80)))
    settings = FineTuning(task="span", train=str(files["train"]), dev=str(files["dev"]), length=32, stride=8)
    settings = dataclasses.replace(
        settings, question_length=8, epochs=6.0, least_updates=0, peak=1e-2, layer_decay=1.0, **changes
    )
    result = finetune(settings, folder / "run", checkpoint, recipe=RECIPE, stream=log)
    return folder / "run", result, log.getvalue(), files["dev"]


@pytest.fixture(scope="module")
def tuned(electra, tmp_path_factory):
    return tuned_on(tmp_path_factory.mktemp("spans"), electra)


def test_it_learns_and_the_score_is_that_of_the_answers(tuned):
    folder, result, log, dev = tuned
    assert result["metric"] == "f1" and result["best"] > 0.6 > result["commonest"] == 0
    assert "longer texts are seen in windows" in log and "SQuAD's JSON" in log
    predictor, records = Predictor.open(folder), read_questions(dev).records
    assert predictor.score(records) == {name: result["runs"][0]["dev"][name] for name in ("exact", "f1")}
    answers = list(predictor(records))
    assert all(answer.label in record.context for answer, record in zip(answers, records, strict=True))
    right = np.mean([answer.label == record.answers[0].text for answer, record in zip(answers, records, strict=True)])
    assert right == pytest.approx(result["runs"][0]["dev"]["exact"])


def test_transformers_pipeline_gives_the_same_answers(tuned, tmp_path):
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    convert(tuned[0] / "seed-0", tmp_path / "hf")
    pipeline = transformers.pipeline("question-answering", str(tmp_path / "hf"), device="cpu")
    records = [record for record in read_questions(tuned[3]).records if len(record.context.split()) < 12][:8]
    predictor = Predictor.open(tuned[0])
    for record, answer in zip(records, predictor(records), strict=True):
        theirs = pipeline(question=record.question, context=record.context, max_answer_len=30)
        assert theirs["answer"] == answer.label and theirs["score"] == pytest.approx(answer.probability, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["electra", "albert"])
def test_googles_heads_tell_which_questions_have_no_answer(family, request, tmp_path):
    folder, result, log, dev = tuned_on(tmp_path, request.getfixturevalue(family), 0.4, head="google")
    assert result["metric"] == "best_f1" and "no answer" in log
    dev_scores = result["runs"][0]["dev"]
    assert dev_scores["best_f1"] >= dev_scores["f1"] and "best_f1_threshold" in dev_scores
    predictor, records = Predictor.open(folder), read_questions(dev).records
    assert predictor.task.threshold == dev_scores["best_f1_threshold"]
    found = predictor.score(records)
    assert found["f1"] == pytest.approx(dev_scores["best_f1"])  # at the threshold that was best there
    task = "squad" if family == "electra" else None
    (prefix,) = convert(folder / "seed-0", tmp_path / "tf1", "tf1", task=task, settings={"num_attention_heads": 2})
    before, after = read_model(folder / "seed-0"), read_model(prefix, settings={"num_attention_heads": 2})
    assert {*after.heads} >= {*before.heads} - {"pooler"}
    for name, array in before.weights.items():
        np.testing.assert_array_equal(after.weights[name], array, err_msg=name)
    with pytest.raises(CheckpointError, match="no class of transformers can hold"):
        convert(folder / "seed-0", tmp_path / "hf")


def test_of_a_window_without_the_answer_the_first_token_is_learned(quick_vocab):
    tokenizer = Tokenizer.from_pretrained(quick_vocab)
    context = " ".join(["the captain said"] * 12 + ["sea"])
    record = Question("1", "the sea", context, (read_answer(context, "sea"),), "")
    split = Spans(stride=8).split([record], tokenizer, 32)
    batch = split.rows.batch(np.arange(len(split.rows)), 32)
    held = [window.first <= len(context.split()) - 1 < window.end for window in split.places]
    assert sum(held) >= 1 and not all(held)
    for row, holds in enumerate(held):
        start, end = batch["start"][row], batch["end"][row]
        assert (start > 0) == holds and batch["impossible"][row] == (not holds)
        if holds:
            ids = batch["input_ids"][row][start : end + 1].tolist()
            assert ids == tokenizer.encode("sea", add_special_tokens=False).ids
    compat = Spans(stride=8, answerable_windows=True).split([record], tokenizer, 32)
    assert not compat.rows.targets["impossible"].any()


def read_answer(context, text):
    from electra_tf.finetuning.question_files import Answer

    return Answer(text, context.index(text))


def test_padding_is_no_part_of_an_answer(quick_vocab):
    tokenizer, task = Tokenizer.from_pretrained(quick_vocab), Spans(beam=2)
    split = task.split([Question("1", "the sea", "the captain said", (), "")], tokenizer, 64, learned=False)
    scores = np.zeros(64, np.float32)
    scores[20:], tokens = 9.0, len(split.rows.ids[0][0])  # of padding
    scores[split.places[0].at] = 1.0
    alone, padded = (task.found([(x, x, None, None)], split)[0] for x in (scores[:tokens], scores))
    assert alone == padded and alone.texts[0] == "the"


@pytest.mark.slow
def test_a_test_file_is_answered_at_the_dev_rows_threshold_and_an_export_answers_alike(electra, tmp_path):
    (tmp_path / "test.json").write_text(json.dumps(squad(60, 5, 0.4)))
    folder, result, *_ = tuned_on(tmp_path, electra, 0.4, test=str(tmp_path / "test.json"))
    (run,), records = result["runs"], read_questions(tmp_path / "test.json").records
    predictor = Predictor.open(folder)
    assert predictor.task.threshold == run["dev"]["best_f1_threshold"]
    scores = predictor.score(records)
    assert run["test"] == {name: value for name, value in scores.items() if not name.startswith("best_")}
    convert(folder / "seed-0", tmp_path / "hf")
    assert list(Predictor.open(tmp_path / "hf")(records)) == list(predictor(records))
    assert Predictor.open(tmp_path / "hf").score(records) == scores
    log = folder / "seed-0/metrics.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    changed = [
        line | {"best_f1_threshold": 99.0, "best_f1": 1.0 - line["step"] / 1e6} if "best_f1" in line else line
        for line in lines
    ]
    for text in ("", "".join(json.dumps(line) + "\n" for line in changed)):
        log.write_text(text)  # what a log says decides nothing once the run is finished
        assert Predictor.open(folder).score(records) == scores


def test_a_table_has_ids_and_says_where_an_answer_begins(tmp_path):
    (tmp_path / "a.csv").write_text("id,question,context,answer,answer_start\nq7,what,the sea the sea,sea,12\n")
    (one,) = read_questions(tmp_path / "a.csv").records
    assert one.id == "q7" and one.answers == (("sea", 12),)


@pytest.mark.parametrize("content", ['{"data": {"a": 1}}', '{"data": [1]}', '{"data": [{"paragraphs": [1]}]}'])
def test_json_of_another_shape_is_refused(content, tmp_path):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=r"is not as it should be|no questions"):
        read_questions(tmp_path / "a.json")


_CHANGES = {
    "not in the context": lambda one, answer: answer.update(text=""),
    "KeyError: 'answers'": lambda one, answer: one.pop("answers"),
    "`is_impossible` is 'false'": lambda one, answer: one.update(is_impossible="false"),
}


@pytest.mark.parametrize("words", _CHANGES)
def test_a_question_that_could_be_meant_otherwise_is_refused(words, tmp_path):
    """What is left out or written otherwise is no question without an answer."""
    given = squad(3, 0)
    one = given["data"][0]["paragraphs"][1]["qas"][0]
    _CHANGES[words](one, one["answers"][0])
    (tmp_path / "a.json").write_text(json.dumps(given))
    with pytest.raises(InputError, match=words):
        read_questions(tmp_path / "a.json")


@pytest.mark.parametrize("content", ['{"data": [{"paragraph": []}]}', '{"data": [{"paragraphs": [{"context": "a"}]}]}'])
def test_questions_that_are_called_otherwise_are_not_left_out(content, tmp_path):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match="a question is not as it should be: KeyError"):
        read_questions(tmp_path / "a.json", labelled=False)


@pytest.mark.parametrize("span", [[4, 7], [-3, 2], [6, 4]])
def test_an_answer_of_mrqa_ends_within_its_context(span, tmp_path):
    one = {"qid": "7", "question": "what", "detected_answers": [{"text": "sea", "char_spans": [span]}]}
    (tmp_path / "a.jsonl").write_text(json.dumps({"context": "the sea", "qas": [one]}) + "\n")
    with pytest.raises(InputError, match=f"from character {span[0]} to {span[1]} of a context of 7"):
        read_questions(tmp_path / "a.jsonl")


def test_a_field_that_is_null_is_no_text(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"question": "what", "context": null, "answer": ""}\n')
    with pytest.raises(InputError, match=r"(?s)the row has no 'context'.*line 1"):
        read_questions(tmp_path / "a.jsonl")


def test_a_question_leaves_room_for_the_text(electra, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(squad(20, 0)))
    settings = FineTuning(task="span", train=str(tmp_path / "a.json"), question_length=60)
    with pytest.raises(ConfigError, match="question_length is 60, and a row has 64 tokens"):
        finetune(settings, tmp_path / "run", electra, stream=io.StringIO())


def test_rows_of_a_table_are_read_and_an_answer_that_is_not_there_is_said(tmp_path):
    rows = "question,context,answer\nwho,the captain said,captain\nwhat,his house,\n"
    (tmp_path / "a.csv").write_text(rows)
    first, second = read_questions(tmp_path / "a.csv").records
    assert first.answers[0] == ("captain", 4) and second.answers == ()
    (tmp_path / "b.csv").write_text(rows.replace(",captain\n", ",ship\n"))
    with pytest.raises(InputError, match=r"(?s)'ship' is not in the context.*b.csv, line 2"):
        read_questions(tmp_path / "b.csv")
    mrqa = {"context": "the sea", "qas": [{"qid": "7", "question": "what", "detected_answers": [
        {"text": "sea", "char_spans": [[4, 6]]}]}]}  # fmt: skip
    (tmp_path / "c.jsonl").write_text('{"header": {"dataset": "NewsQA"}}\n' + json.dumps(mrqa) + "\n")
    (one,) = read_questions(tmp_path / "c.jsonl").records
    assert one.id == "7" and one.answers == (("sea", 4),)


def test_wrong_offsets_and_questions_without_any_answer_are_refused(electra, tmp_path):
    wrong = squad(3, 0)
    wrong["data"][0]["paragraphs"][1]["qas"][0]["answers"][0]["answer_start"] += 1
    (tmp_path / "a.json").write_text(json.dumps(wrong))
    with pytest.raises(InputError, match=r"(?s)is not in the context at character.*question 'q1'"):
        read_questions(tmp_path / "a.json")
    (tmp_path / "b.json").write_text(json.dumps(squad(20, 0, lacking=1.0)))
    with pytest.raises(InputError, match="no question has an answer"):
        settings = FineTuning(task="span", train=str(tmp_path / "b.json"))
        finetune(settings, tmp_path / "run", electra, stream=io.StringIO())


def test_answers_to_mrqa_are_scored_against_all_that_are_right(tmp_path):
    """As its own script does: also against those that are not found in the context. F1 by hand: 2 * 2 / (2 + 3)."""
    answers = {"answers": ["Neil Armstrong", "Armstrong"], "detected_answers": [
        {"text": "Armstrong", "char_spans": [[0, 8]]}]}  # fmt: skip
    row = {"context": "Armstrong landed", "qas": [{"qid": "1", "question": "who", **answers}]}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    (record,) = read_questions(tmp_path / "a.jsonl").records
    assert record.answer[0].text == "Armstrong" and record.golds == ["Neil Armstrong", "Armstrong"]
    found = Spans().scores_of([Found(["Neil Armstrong landed"], [1.0], [1.0], [0], 0.0)], [record])
    assert found["f1"] == pytest.approx(0.8)
    of_characters = Spans(by_characters=True, may_lack=True)
    lacking = record._replace(right=(), answers=())
    said = [Found(["Armstrong"], [1.0], [1.0], [0], -1.0), Found(["sea"], [1.0], [1.0], [0], 1.0)]
    found = of_characters.scores_of(said, [record, lacking])
    assert (found["f1_answer"], found["f1_none"]) == (1.0, 1.0)
    nearly = of_characters.scores_of(
        [Found(["Armstr"], [1.0], [1.0], [0], -1.0)], [record._replace(right=("Armstrong",))]
    )
    assert nearly["f1"] == pytest.approx(2 * 6 / (6 + 9))  # of characters; no word is right


def test_what_is_learned_of_rows_is_known_by_what_it_was_before_questions_had_right_texts():
    """So that a run that was begun then goes on."""
    import hashlib

    question = Question("1", "what", "the sea", (Answer("sea", 4),), "a.json")
    before = (
        "Question(id='1', question='what', context='the sea', answers=(Answer(text='sea', start=4),), where='', "
        "impossible=False)"
    )
    assert fingerprint_of([question]) == hashlib.sha256(before.encode()).hexdigest()
    assert fingerprint_of([question._replace(right=("sea",))]) != fingerprint_of([question])


def test_questions_without_an_answer_count_for_a_model_that_knows_none(tuned, tmp_path):
    (tmp_path / "lacking.json").write_text(json.dumps(squad(40, 5, 0.5)))
    records = read_questions(tmp_path / "lacking.json").records
    found = Predictor.open(tuned[0]).score(records)
    assert found["f1_none"] == pytest.approx(found["exact_none"]) and found["best_f1"] >= 0.3
    assert found["f1"] == pytest.approx(
        np.mean([found["f1_answer"] if r.answer else found["f1_none"] for r in records])
    )


def test_the_metric_that_the_rows_cannot_have_is_refused_before_training(electra, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(squad(40, 1)))
    settings = FineTuning("squad2", train=str(tmp_path / "a.json"), dev=str(tmp_path / "a.json"), select="best_f1")
    with pytest.raises(ConfigError, match=r"(?s)select is 'best_f1'.*one of f1, exact"):
        finetune(settings, tmp_path / "run", electra, stream=io.StringIO())


def test_tokens_of_a_question_that_no_row_holds_are_counted(quick_vocab):
    tokenizer = Tokenizer.from_pretrained(quick_vocab)
    question = Question("1", "sea " * 20, "the sea", (Answer("sea", 4),), "")
    found = survey([question, question._replace(question="sea")], Spans(question_length=8), 32, tokenizer)
    assert found.cut == 0.5 and found.lost == pytest.approx(12 / (20 + 2 + 1 + 2))


def test_what_pandas_writes_for_no_answer_is_none_and_no_word(tmp_path):
    row = {"question": "who?", "context": "The tenant paid.", "answer": float("nan"), "answer_start": float("nan")}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(row | {"answer": "tenant"}) + "\n")
    first, second = read_questions(tmp_path / "a.jsonl").records
    assert first.answers == () and second.answers == (Answer("tenant", 4),)


def test_an_answer_right_but_for_its_article_is_no_mistake():
    record = Question("1", "what?", "the Eiffel Tower.", (Answer("the Eiffel Tower", 0),), "a")
    found = [GivenAnswer("Eiffel Tower", 0.99, {}), GivenAnswer("Tower", 0.98, {})]
    rows = list(_of_answers([record] * 2, found))
    assert [right == said for _, _, right, said, _ in rows] == [True, False]


@pytest.mark.parametrize(
    "sizes, expected",
    [([5, 5, 200], 5), ([1, 20], 1), ([20, 1], 1), ([98, 1, 1], 2), ([3, 300, 3, 3], 9), ([1] * 40, 4), ([2] * 5, 2)],
)
def test_of_texts_with_many_and_few_questions_about_a_tenth_is_held_out(sizes, expected):
    """Never more than twice as many as were asked for where that can be, and never all."""
    records = [
        Question(f"{text} {number}", "?", f"text {text}", (), "a, line 1")
        for text, count in enumerate(sizes)
        for number in range(count)
    ]
    for seed in range(20):
        found = list(_held_out(records, "span", FineTuning(task="span", train="a", held_out_seed=seed)))
        assert 0 < len(found) <= max(2 * round(0.1 * len(records)), expected), (seed, len(found))
        of_texts = {record.context for number, record in enumerate(records) if number in found}
        assert len(found) == sum(record.context in of_texts for record in records)


def test_where_an_answer_begins_may_be_written_as_pandas_does(tmp_path):
    (tmp_path / "a.csv").write_text("question,context,answer,answer_start\nwho,bob ran,bob,0.0\nwhy,bob ran,,\n")
    first, second = read_questions(tmp_path / "a.csv").records
    assert first.answers == (Answer("bob", 0),) and second.answers == ()
    (tmp_path / "a.csv").write_text("question,context,answer,answer_start\nwho,bob ran,bob,0.5\n")
    with pytest.raises(InputError, match=r"answer_start is '0\.5'[\s\S]*line 2"):
        read_questions(tmp_path / "a.csv")


@pytest.mark.parametrize("is_traced", [False, True])
def test_a_short_row_has_fewer_starts_than_are_followed(is_traced):
    config = EncoderConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    model = SpanAnswerer(config, parts=("answer_start", "answer_end_by_start"))
    answer = tf.function(lambda ids: model(ids), input_signature=[tf.TensorSpec([None, None], tf.int32)])
    start, end, starts, _ = (answer if is_traced else model)(tf.ones([2, 7], tf.int32))
    assert start.shape == (2, 7) and end.shape == (2, 7, 7) and starts.shape == (2, 7)


def test_all_answers_begin_with_the_one_that_is_given():
    record = Question("7", "?", "", (), "")
    lines = list(_of_answers_in_lines(None, [(record, GivenAnswer("", None, {"sea": 0.1}))], True))
    assert lines == ["id\tlabel\tprobability", "7\t\t", "7\tsea\t0.100000"]
    lines = list(_of_answers_in_lines(None, [(record, GivenAnswer("sea", 0.9, {"sea": 0.9, "a": 0.1}))], True))
    assert lines[1:] == ["7\tsea\t0.900000", "7\ta\t0.100000"]
