"""From given outputs to answers and scores, as Google's and KoELECTRA's own scorers gave them."""

import json
import lzma

import numpy as np
import pytest
from test_googles_features import questions

from electra_tf.finetuning import answer_metrics, metrics
from electra_tf.finetuning.best_answers import Beam
from electra_tf.finetuning.question_answering import CONDITIONAL, JOINT, TRANSFORMERS, Spans
from electra_tf.finetuning.question_files import read_questions
from electra_tf.finetuning.task import probabilities
from electra_tf.text.tokenizer import Tokenizer

CASES = {"squad_joint": ("made_dev", "squad_dev"), "squad_separate": ("made_dev",), "squadv1_joint": ("squadv1_dev",)}
CASES |= {"korquad": ("korquad",), "newsqa": ()}


@pytest.fixture(scope="module")
def scoring(shared):
    folder = shared / "data/golden/finetune_scoring"
    with np.load(folder / "electra_qa.npz") as arrays:
        return json.loads(lzma.decompress((folder / "electra_qa.json.xz").read_bytes())), dict(arrays)


@pytest.fixture(scope="module")
def features(shared):
    folder = shared / "data/golden/finetune_electra_data"
    return folder, json.loads((folder / "data.json").read_text())


def answered(case, scoring, features, shared):
    """(our task, its answers, the records) from the recorded outputs of a case."""
    arrays = scoring[1]
    folder, about = features
    records, settings = [], about["qa"]["made_dev"]
    if case == "newsqa":
        records = read_questions(shared / "data/golden/finetune_scoring/made_mrqa.jsonl").records
    for part in CASES[case]:
        settings, some = questions(about, folder, shared, part)
        records += some
    korean = case == "korquad"
    cased = {"lower_case": False, "strip_accents": False} if korean else {}
    tokenizer = Tokenizer.from_pretrained(folder / ("vocab_ko.txt" if korean else "vocab_en.txt"), **cased)
    parts = ("answer_start", "answer_end") if case == "squad_separate" else JOINT
    task = Spans(
        parts,
        beam=20,
        may_lack=case.startswith("squad_"),
        threshold=-2.75,
        stride=settings["doc_stride"],
        question_length=settings["max_query_length"],
        by_characters=korean,
        whole_words=True,
    )
    split = task.split(records, tokenizer, settings["max_seq_length"], learned=False)
    own = {name.split("/")[1]: array for name, array in arrays.items() if name.startswith(f"{case}/")}
    assert len(split.places) == len(own["eid"])
    if case == "squad_separate":
        outputs = zip(own["start_logits"], own["end_logits"], strict=True)
        return task, task.found([(start, end, None, None) for start, end in outputs], split), records
    names = ("start_top_index", "start_top_log_probs", "end_top_index", "end_top_log_probs", "answerable_logit")
    beams = [Beam(*row) for row in zip(*(own[name] for name in names), strict=True)]
    return task, task.found_of(beams, split), records


@pytest.mark.parametrize("case", CASES)
def test_answers_are_the_recorded_ones(case, scoring, features, shared):
    recorded = scoring[0][case]
    _, found, records = answered(case, scoring, features, shared)
    other = {}
    for record, one in zip(records, found, strict=True):
        theirs = recorded["nbest"][record.id]
        said = [text for text, *_ in theirs]
        if one.texts != said:
            other[record.id] = (one.texts[:3], said[:3])
            continue
        np.testing.assert_allclose(one.shares, [share for _, share, *_ in theirs], atol=1e-6)
        assert one.texts[0] == recorded["predictions"][record.id]
        if recorded["null_odds"]:
            theirs = recorded["null_odds"][record.id]  # a million where there is no window
            assert one.no_answer == pytest.approx(theirs if theirs < 1e6 else np.inf, abs=1e-5)
    assert not other


@pytest.fixture(scope="module")
def alberts(shared):
    folder = shared / "data/golden/finetune_scoring"
    with np.load(folder / "albert_qa.npz") as arrays:
        return json.loads(lzma.decompress((folder / "albert_qa.json.xz").read_bytes())), dict(arrays)


def alberts_answers(case, alberts, googles_albert, features, shared):
    """(our task, its answers, the records) from the recorded outputs of ALBERT's `v1` or `v2`."""
    recorded, own = alberts[0][case], {n.split("/")[1]: a for n, a in alberts[1].items() if n.startswith(f"{case}/")}
    (_, said, tokenizer), known = googles_albert, {}
    for part in ("made_dev", "squad_dev", "squadv1_dev"):
        kept = {"qa": {part: {"kept": said["squad"][part]["examples"]}}}
        known |= {record.id: record for record in questions(features[1] | kept, features[0], shared, part)[1]}
    records, settings = [known[name] for name in recorded["examples"]], alberts[0]["v2"]["settings"]
    task = Spans(
        TRANSFORMERS if case == "v1" else CONDITIONAL,
        beam=20 if case == "v1" else 5,
        may_lack=case == "v2",
        stride=settings["doc_stride"],
        question_length=settings["max_query_length"],
        answer_length=settings["max_answer_length"],
    )
    split = task.split(records, tokenizer, settings["max_seq_length"], learned=False)
    assert [window.question for window in split.places] == recorded["window_example"]
    if case == "v1":
        # Its code looks for the 20 likeliest in the padding, too, which ours does not.
        both = (own["start_log_prob"], own["end_log_prob"])
        starts, ends = (np.argsort(-scores, kind="stable")[:, :20] for scores in both)
        scores = (np.take_along_axis(array, at, -1) for array, at in zip(both, (starts, ends), strict=True))
        start_scores, end_scores = scores
        nothing = both[0][:, 0] + both[1][:, 0]
        rows = zip(starts, start_scores, ends, end_scores, nothing, strict=True)
        beams = [Beam(s, a, np.tile(e, (20, 1)), np.tile(b, (20, 1)), n) for s, a, e, b, n in rows]
        return task, task.found_of(beams, split), records
    ends = (own[name].reshape(-1, 5, 5) for name in ("end_top_index", "end_top_log_probs"))
    columns = (own["start_top_index"], own["start_top_log_probs"], *ends, own["cls_logits"])
    return task, task.found_of([Beam(*row) for row in zip(*columns, strict=True)], split), records


@pytest.mark.parametrize("case", ["v1", "v2"])
def test_alberts_answers_are_the_recorded_ones(case, alberts, googles_albert, features, shared):
    """But for the empty text of a lone word border, which the second has among them and which answers nothing."""
    recorded, other = alberts[0][case], {}
    _, found, records = alberts_answers(case, alberts, googles_albert, features, shared)
    for record, one in zip(records, found, strict=True):
        everything = recorded["nbest"][record.id]
        theirs = [row for row in everything if row[0]] or everything
        said = [text for text, *_ in theirs]
        if one.texts[: len(said)] != said:
            other[record.id] = (one.texts[:4], said[:4])
            continue
        if len(theirs) == len(everything):
            np.testing.assert_allclose(one.shares, [share for _, share, *_ in theirs], atol=1e-6)
        if case == "v2":
            odds = recorded["null_odds"][record.id]
            assert one.no_answer == pytest.approx(odds if odds < 1e6 else np.inf, abs=1e-5)
    assert not other


def test_alberts_scores_are_those_of_its_scripts(alberts, googles_albert, features, shared):
    """But for its own final one, which blanks by a threshold of probabilities what are logits."""
    task, found, records = alberts_answers("v1", alberts, googles_albert, features, shared)
    theirs = alberts[0]["v1"]["evaluation"]
    scores = task.scores_of(found, records)
    assert [100 * scores[name] for name in ("exact", "f1")] == pytest.approx([theirs["exact_match"], theirs["f1"]])
    _, _, records = alberts_answers("v2", alberts, googles_albert, features, shared)
    recorded = alberts[0]["v2"]
    golds = [[answer.text for answer in record.answers] for record in records]
    said, odds = (
        [recorded[name][record.id] for record in records] for name in ("predictions_without_threshold", "null_odds")
    )
    best, official = recorded["best_thresholds"], recorded[f"{_EVALUATION}_by_the_official_rule"]
    scores = answer_metrics.no_answer_scores(golds, said, odds, best["best_f1_thresh"])
    assert 100 * scores["best_f1"] == pytest.approx(best["best_f1"])
    assert 100 * scores["best_exact"] == pytest.approx(best["best_exact"])
    assert [100 * scores[name] for name in ("exact", "f1")] == pytest.approx([official["exact"], official["f1"]])


def test_korquads_answers_are_those_that_transformers_takes_from_the_same_logits(features, shared):
    """The likeliest of each question; of those behind it transformers widens more to whole words."""
    folder = shared / "data/golden/finetune_scoring"
    recorded = json.loads(lzma.decompress((folder / "korquad_transformers.json.xz").read_bytes()))["scoring"]
    settings, records = questions(features[1], features[0], shared, "korquad")
    tokenizer = Tokenizer.from_pretrained(features[0] / "vocab_ko.txt", lower_case=False, strip_accents=False)
    own = {"stride": settings["doc_stride"], "question_length": settings["max_query_length"]}
    task = Spans(TRANSFORMERS, beam=20, whole_words=True, by_characters=True, **own)
    split = task.split(records, tokenizer, settings["max_seq_length"], learned=False)
    with np.load(folder / "korquad_transformers.npz") as arrays:
        outputs = zip(arrays["start_logits"], arrays["end_logits"], strict=True)
        found = task.found([(start, end, None, None) for start, end in outputs], split)
    assert {record.id: one.texts[0] for record, one in zip(records, found, strict=True)} == recorded["predictions"]
    scores, theirs = task.scores_of(found, records), recorded["korquad_script"]
    expected = [theirs["official_exact_match"], theirs["official_f1"]]
    assert [100 * scores[name] for name in ("exact", "f1")] == pytest.approx(expected)


def test_alberts_metrics_are_those_of_its_classes(shared):
    folder = shared / "data/golden/finetune_scoring"
    recorded = json.loads((folder / "albert_metrics.json").read_text())
    with np.load(folder / "albert_metrics.npz") as arrays:
        for name, theirs in recorded.items():
            real = arrays[f"{name}/is_real_example"] == 1
            logits, labels = (arrays[f"{name}/{part}"][real] for part in ("logits", "labels"))
            said = logits.argmax(-1)
            assert metrics.accuracy(labels, said) == pytest.approx(theirs["eval_accuracy"], rel=1e-6)
            if "matthew_corr" in theirs:
                assert metrics.matthews(labels, said, 2) == pytest.approx(theirs["matthew_corr"], rel=1e-6, abs=1e-9)
            loss = -np.log(probabilities(logits))[np.arange(len(labels)), labels].mean()
            assert loss == pytest.approx(theirs["eval_loss"], rel=1e-5)


_EVALUATION = "evaluation_of_the_same_at_best_f1_threshold"


def test_scores_of_pairs_are_those_of_the_scripts(scoring):
    ways = {
        "squad_v1": (answer_metrics.exact_match, answer_metrics.word_f1),
        "squad_v2": (answer_metrics.exact_match, answer_metrics.of_none),
        "korquad": (answer_metrics.exact_match_korean, answer_metrics.character_f1),
    }
    for one in scoring[0]["pairs"]:
        for name, scores in ways.items():
            found = [max(score(gold, one["prediction"]) for gold in one["golds"]) for score in scores]
            assert found == pytest.approx(one[name]), (name, one)
        assert answer_metrics.normalised(one["prediction"]) == one["normalized"][0]
        assert answer_metrics.normalised_korean(one["prediction"]) == one["normalized"][1]


def test_scores_with_thresholds_are_those_of_the_script(scoring):
    one = scoring[0]["thresholds"]
    names = sorted(one["predictions"])
    golds = [
        [one["gold"].replace("<id>", name)] if has else [] for name, has in zip(names, one["has_answer"], strict=True)
    ]
    said, odds = ([one[key][name] for name in names] for key in ("predictions", "null_odds"))
    keys = {"exact": "exact", "f1": "f1", "HasAns_f1": "f1_answer", "NoAns_exact": "exact_none"}
    for at, theirs in one["evaluation"].items():
        found = answer_metrics.no_answer_scores(golds, said, odds, float(at))
        for key, ours in keys.items():
            assert found[ours] * 100 == pytest.approx(theirs[key]), (at, key)
    best = answer_metrics.no_answer_scores(golds, said, odds, 0.0)
    # The script looks within groups of equal odds, too, and reports what no threshold reaches; ours are reached.
    again = answer_metrics.no_answer_scores(golds, said, odds, best["best_f1_threshold"])
    assert again["f1"] == pytest.approx(best["best_f1"])
    theirs = max(one["f1"] for one in one["evaluation_at_best_thresholds"].values())
    assert best["best_f1"] * 100 >= theirs - 1e-9


def test_korquads_scores_are_those_of_its_script(scoring, features, shared):
    task, _, records = answered("korquad", scoring, features, shared)
    said = scoring[0]["korquad"]["predictions"]
    pairs = [([answer.text for answer in record.answers], said[record.id]) for record in records]
    theirs = scoring[0]["korquad"]["korquad_script"]
    exact = np.mean([max(answer_metrics.exact_match_korean(g, text) for g in golds) for golds, text in pairs])
    f1 = np.mean([max(answer_metrics.character_f1(g, text) for g in golds) for golds, text in pairs])
    assert [100 * exact, 100 * f1] == pytest.approx([theirs["official_exact_match"], theirs["official_f1"]])
    assert task.by_characters


def test_scores_of_classes_and_numbers_are_those_of_the_scorers(shared):
    folder = shared / "data/golden/finetune_scoring"
    recorded = json.loads(lzma.decompress((folder / "classification.json.xz").read_bytes()))
    for name, one in recorded["classification"].items():
        labels, said = np.array(one["labels"]), np.array(one["predictions"])
        classes = int(max(labels.max(), said.max())) + 1
        assert 100 * metrics.accuracy(labels, said) == pytest.approx(one["accuracy_scorer"]["accuracy"]), name
        if "mcc" in one.get("mcc_scorer", {}):
            assert 100 * metrics.matthews(labels, said, max(2, classes)) == pytest.approx(one["mcc_scorer"]["mcc"]), (
                name
            )
    for name, one in recorded["regression"].items():
        theirs = one["results"]
        targets, said = (np.array(one[key], float) for key in ("targets", "predictions"))
        for key, score in (("pearson", metrics.pearson), ("spearman", metrics.spearman)):
            if theirs.get(key) is not None and np.isfinite(theirs[key]):
                assert 100 * score(targets, said) == pytest.approx(theirs[key], rel=1e-5), name


@pytest.mark.parametrize("case", CASES)
def test_scores_of_the_recorded_outputs_are_the_recorded_ones(case, scoring, features, shared):
    """An impossible question with answers counts as one that has them, as in SQuAD's script."""
    task, found, records = answered(case, scoring, features, shared)
    scores, theirs = task.scores_of(found, records), scoring[0][case]["evaluation"]
    names = {"exact": "exact", "f1": "f1", "best_exact": "best_exact", "best_f1": "best_f1"}
    names |= {"exact_answer": "HasAns_exact", "f1_answer": "HasAns_f1", "exact_none": "NoAns_exact"}
    if not task.may_lack:
        names = {"exact": "exact_match", "f1": "f1"}
    if case != "korquad":  # which was scored by SQuAD's script there
        assert {ours: 100 * scores[ours] for ours in names} == pytest.approx(
            {ours: theirs[name] for ours, name in names.items()}
        )
