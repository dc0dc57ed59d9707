"""Tags and entities: schemes told apart, entities and scores as seqeval's, Google's own way as it was recorded."""

import json
import lzma
import random

import pytest

from electra_tf.errors import InputError
from electra_tf.finetuning.tagged_files import read_tagged
from electra_tf.finetuning.tags import (
    Scheme,
    entities,
    entity_scores,
    google_entities,
    normalised,
    scheme_of,
    scores_by_type,
    written,
)


def sentences(count, parts, chance, suffix=False):
    """Sentences of random tags, most of which fit no scheme."""
    kinds = ("PER", "LOC", "corporation")
    tags = ["O", "O", *(f"{k}-{p}" if suffix else f"{p}-{k}" for p in parts for k in kinds)]
    return [[chance.choice(tags) for _ in range(chance.randint(1, 9))] for _ in range(count)]


@pytest.mark.parametrize("suffix", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize("parts", ["BI", "BIES"])
def test_entities_and_scores_are_seqevals(parts, suffix):
    seqeval = pytest.importorskip("seqeval.metrics")
    from seqeval.metrics.sequence_labeling import get_entities

    chance = random.Random(parts + str(suffix))
    for _ in range(250):
        gold, said = (sentences(4, parts, chance, suffix) for _ in range(2))
        pairs = [zip(one, other * 9, strict=False) for one, other in zip(gold, said, strict=True)]
        said = [[chance.choice([a, a, b]) for a, b in pair] for pair in pairs]
        for tags in gold:
            found = [(kind, first, last) for first, last, kind in entities(tags, suffix)]
            assert found == get_entities(tags, suffix)
        ours = entity_scores(*([set(entities(tags, suffix)) for tags in side] for side in (gold, said)))
        scores = {"precision": seqeval.precision_score, "recall": seqeval.recall_score, "f1": seqeval.f1_score}
        for name, score in scores.items():
            assert ours[name] == pytest.approx(score(gold, said, suffix=suffix, zero_division=0), abs=1e-12)


def test_scores_of_each_type_are_seqevals():
    seqeval = pytest.importorskip("seqeval.metrics")
    chance = random.Random(3)
    gold, said = sentences(200, "BI", chance), sentences(200, "BI", chance)
    said = [(two * 9)[: len(one)] for one, two in zip(gold, said, strict=True)]
    report = seqeval.classification_report(gold, said, output_dict=True, zero_division=0)
    found = scores_by_type(*([set(entities(tags)) for tags in side] for side in (gold, said)))
    assert set(found) == {"PER", "LOC", "corporation"}
    for kind, scores in found.items():
        assert scores["f1"] == pytest.approx(report[kind]["f1-score"]) and scores["count"] == report[kind]["support"]


@pytest.mark.parametrize(
    "tags, scheme",
    [
        ([["B-PER", "I-PER", "O", "B-LOC"]], Scheme("BIO")),
        ([["I-PER", "I-PER", "B-PER", "O", "I-LOC"]], Scheme("IOB1")),
        ([["S-PER", "O"], ["B-LOC", "E-LOC"]], Scheme("BIOES")),
        ([["U-PER", "O"], ["B-LOC", "L-LOC"]], Scheme("BIOES")),
        ([["PER-B", "PER-I", "O"]], Scheme("BIO", True)),
        ([["NN", "VB", "DT"]], Scheme("none")),
        ([["O", "O"]], Scheme("none")),
        ([["B-creative-work", "I-creative-work"]], Scheme("BIO")),
    ],
)
def test_schemes_are_told_apart(tags, scheme):
    assert scheme_of(tags) == scheme


def test_iob1_and_bilou_are_read_as_bio_and_bioes():
    tags = ["I-PER", "I-PER", "B-PER", "I-LOC", "O", "I-LOC"]
    assert normalised(tags, Scheme("IOB1")) == ["B-PER", "I-PER", "B-PER", "B-LOC", "O", "B-LOC"]
    assert normalised(["U-PER", "B-LOC", "I-LOC", "L-LOC"], Scheme("BIOES")) == ["S-PER", "B-LOC", "I-LOC", "E-LOC"]


def test_googles_entities_are_the_recorded_ones(shared):
    recorded = json.loads(lzma.decompress((shared / "data/golden/finetune_scoring/tagging.json.xz").read_bytes()))
    for one in recorded["sequences"]:
        if "error" in one:  # the original raises where a type has a hyphen
            continue
        tags = one["tags"].split()
        found = google_entities(tags)
        assert [list(entity) for entity in found] == one["spans"]
        assert written(found, len(tags)) == one["bio"].split()
        assert written(found, len(tags), bioes=True) == one["bioes"].split()


def test_scores_are_the_recorded_ones(shared):
    recorded = json.loads(lzma.decompress((shared / "data/golden/finetune_scoring/tagging.json.xz").read_bytes()))
    for name, one in recorded["scorer_sets"].items():
        if name == "a_sentence_of_no_words":  # the original raises
            continue
        cut = zip(one["gold"], one["predicted"], one["words_scored"], strict=True)
        gold, said = zip(*((a.split()[:n], b.split()[:n]) for a, b, n in cut), strict=True)
        found = entity_scores(*([set(google_entities(tags)) for tags in side] for side in (gold, said)))
        for key in ("precision", "recall", "f1"):
            assert found[key] * 100 == pytest.approx(one["results"][key], abs=1e-9), name
    suffix = recorded["koelectra_suffix"]
    gold, said = ([set(entities(text.split(), True)) for text in suffix[side]] for side in ("gold", "predicted"))
    for key, value in entity_scores(gold, said).items():
        assert value == pytest.approx(suffix[key], abs=1e-9)


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_layouts_of_files_are_told_apart(tmp_path):
    columns = read_tagged(write(tmp_path / "a.txt", "-DOCSTART- X O O\n\nEU NNP B-ORG\nsaid VBD O\n\nBonn NNP B-LOC"))
    assert [one.words for one in columns.records] == [("EU", "said"), ("Bonn",)]
    assert columns.records[0].tags == ("B-ORG", "O") and "blanks" in columns.read_as and "BIO" in columns.read_as
    tabs = read_tagged(write(tmp_path / "b.conll", "New York\tB-LOC\n\t\nis\tO\n"))  # a line of one tab ends a sentence
    assert [one.words for one in tabs.records] == [("New York",), ("is",)]
    lines = read_tagged(write(tmp_path / "c.tsv", "한국 사람\tLOC-B O\n감기\tTRM-B\n"))
    assert [one.tags for one in lines.records] == [("LOC-B", "O"), ("TRM-B",)] and lines.scheme == Scheme("BIO", True)
    rows = read_tagged(write(tmp_path / "d.jsonl", '{"tokens": ["a", "b"], "tags": ["I-X", "I-X"]}\n'))
    assert rows.records[0].tags == ("B-X", "I-X") and rows.scheme.name == "IOB1"
    characters = read_tagged(write(tmp_path / "e.tsv", "## note\tB-X\n경\tB-OG\n찰\tI-OG\n \tO\n또\tO\n"))
    assert characters.records[0].words == ("경", "찰", " ", "또") and characters.records[0].joined


@pytest.mark.parametrize(
    "text, words",
    [
        ("EU B-ORG\nsaid\n", "line 2.*a word and its tag"),
        ("a b\tO\nc d\tO O O\n", "2 words and 1 tags"),
        ("\n\n", "the file is empty"),
        ("EU NNP B-ORG\nsaid O\n", "the line has 2 columns.*line 2.*3, as the lines above"),
        ("EU B-ORG\nsaid O\nit 0\nBonn B-LOC\n", "the tag '0' stands beside B-ORG, B-LOC"),
        ("EU B-ORG\nsaid O\nit U\nBonn B-LOC\n", "the tag 'U' stands beside B-ORG, B-LOC"),
    ],
)
def test_what_does_not_match_is_said_with_its_line(tmp_path, text, words):
    with pytest.raises(InputError, match=f"(?s){words}|1 column.*line 2"):
        read_tagged(write(tmp_path / "a.txt", text))


@pytest.mark.parametrize(
    "line, words",
    [
        ('{"tokens": ["a"], "tags": [""]}', "a tag is empty"),
        ('{"tokens": ["a"], "tags": [null]}', "the row has no 'tags'"),
        ('{"tokens": [["a"]], "tags": ["O"]}', "'tokens' is a list"),
        ('{"tokens": ["a"], "tags": 1}', "there is no list 'tags'"),
    ],
)
def test_what_is_no_tag_of_json_is_said(tmp_path, line, words):
    with pytest.raises(InputError, match=f"(?s){words}.*line 2"):
        read_tagged(write(tmp_path / "a.jsonl", f'{{"tokens": ["a"], "tags": ["O"]}}\n{line}\n'))


def test_every_shared_file_is_read_as_it_is(shared):
    tasks, found = shared / "data/tasks", {}
    for name in ("conll2000/train.txt.xz", "wnut17/train.txt.xz", "klue-ner/naver-layout/train.tsv.xz"):
        file = read_tagged(tasks / name)
        found[name] = len(file.records), str(file.scheme)
    assert found == {
        "conll2000/train.txt.xz": (8936, "BIO, the part before the type"),
        "wnut17/train.txt.xz": (3394, "BIO, the part before the type"),
        "klue-ner/naver-layout/train.tsv.xz": (5000, "BIO, the part behind the type"),
    }
