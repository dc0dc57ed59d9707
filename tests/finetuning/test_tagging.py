"""Tagging from a file to words with tags: what is learned, answers, and transformers' pipeline."""

import dataclasses
import io
import json

import numpy as np
import pytest
from in_process import run_command
from telling_words import tagged

from electra_tf.checkpoints.convert import convert
from electra_tf.errors import ConfigError, InputError
from electra_tf.finetuning.predictor import Predictor
from electra_tf.finetuning.run import finetune
from electra_tf.finetuning.settings import FineTuning
from electra_tf.finetuning.tagged_files import Sentence, read_tagged, words_of
from electra_tf.finetuning.tagging import TaggedSplit, Tagging, Units, units_of
from electra_tf.finetuning.tags import Scheme
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.training.recipe import Recipe

RECIPE = Recipe(batch_size=16, log_every=10, compiler="graph")


def write(path, sentences):
    path.write_text("\n".join("".join(f"{w}\t{t}\n" for w, t in zip(*one, strict=True)) for one in sentences))
    return path


@pytest.fixture(scope="module")
def tuned(electra, tmp_path_factory):
    """(folder of a run, its result, its log, the dev file)."""
    folder, log = tmp_path_factory.mktemp("tagging"), io.StringIO()
    train, dev = write(folder / "train.txt", tagged(400, 0)), write(folder / "dev.txt", tagged(60, 1, 90))
    settings = FineTuning(task="tagging", train=str(train), dev=str(dev), length=32, epochs=6.0, least_updates=0)
    settings = dataclasses.replace(settings, peak=5e-3, layer_decay=1.0)
    result = finetune(settings, folder / "run", electra, recipe=RECIPE, stream=log)
    return folder / "run", result, log.getvalue(), dev


def test_it_learns_and_says_what_it_saw(tuned):
    _, result, log, _ = tuned
    assert result["metric"] == "f1" and result["best"] > 0.9 and result["commonest"] == 0
    assert "tags: BIO, the part before the type" in log and "longer texts are seen in windows" in log
    assert "dev: 60 rows" in log and "O " in log.split("labels:")[1].splitlines()[0]


def test_every_word_of_a_long_sentence_is_scored_and_the_score_is_that_of_the_answers(tuned):
    folder, result, _, dev = tuned
    predictor, records = Predictor.open(folder), read_tagged(dev).records
    assert max(len(record.words) for record in records) > 32
    answers = list(predictor([" ".join(record.words) for record in records]))
    said = [[answer.label for answer in of_words] for of_words in answers]
    assert [len(one) for one in said] == [len(record.words) for record in records]
    right = np.mean(
        [a == b for one, record in zip(said, records, strict=True) for a, b in zip(one, record.tags, strict=True)]
    )
    assert right == pytest.approx(result["runs"][0]["dev"]["accuracy"])
    assert predictor.score(records)["f1"] == result["runs"][0]["dev"]["f1"]


def test_transformers_pipeline_gives_the_same_tags_and_probabilities(tuned, tmp_path):
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    convert(tuned[0] / "seed-0", tmp_path / "hf")
    config = json.loads((tmp_path / "hf/config.json").read_text())
    assert config["architectures"] == ["ElectraForTokenClassification"] and config["id2label"]["0"] == "O"
    pipeline = transformers.pipeline("token-classification", str(tmp_path / "hf"), device="cpu", ignore_labels=[])
    text = "the sea and the captain was of the sea house"
    (ours,) = Predictor.open(tuned[0])([text])
    theirs = {one["start"]: one for one in pipeline(text)}
    at = 0
    for word, answer in zip(text.split(), ours, strict=True):
        assert theirs[at]["entity"] == answer.label
        assert theirs[at]["score"] == pytest.approx(answer.probability, abs=1e-5)
        at += len(word) + 1


def test_a_word_without_pieces_is_unknown_and_characters_share_a_piece(quick_vocab):
    tokenizer = Tokenizer.from_pretrained(quick_vocab)
    plain = Sentence(("sea", "\u200b"), ("O", "O"), "")
    assert units_of([plain], tokenizer)[0].ids[1] == [tokenizer.unk_id]
    text = "the sea"
    characters = Sentence(tuple(text), tuple("BIIOBII"), "", joined=True)
    units = units_of([characters], tokenizer)[0]
    assert [piece for ids in units.ids for piece in ids] == tokenizer.encode(text, add_special_tokens=False).ids
    assert units.of_words[3] == -1 and units.of_words[0] == 0 and max(units.of_words) == len(units.ids) - 1
    task = Tagging(("O", "B-X", "I-X"), (1.0,) * 3, Scheme("BIO"))
    tags = task.tags_of(units, [1] * len(units.ids))
    assert tags[0] == "B-X" and tags[3] == "O"
    firsts = {units.words[unit] for unit in range(len(units.ids))}
    assert all((tag == "B-X") == (word in firsts) for word, tag in enumerate(tags) if tag != "O")


def test_a_tag_that_the_training_file_lacks_is_said(electra, tmp_path):
    train, dev = write(tmp_path / "a.txt", tagged(20, 0)), write(tmp_path / "b.txt", [(["sea"], ["B-LAKE"])])
    settings = FineTuning(task="tagging", train=str(train), dev=str(dev))
    with pytest.raises(InputError, match=r"(?s)'B-LAKE' is none of.*b.txt, line 1"):
        finetune(settings, tmp_path / "run", electra, stream=io.StringIO())


def test_an_export_answers_files_and_lines_as_its_run_does(tuned, tmp_path):
    folder, _, _, dev = tuned
    convert(folder / "seed-0", tmp_path / "hf")
    scores = [run_command("evaluate", "--input", path, "--file", dev, "--json") for path in (folder, tmp_path / "hf")]
    assert scores[0].returncode == 0 and scores[0].stdout == scores[1].stdout
    (tmp_path / "lines.txt").write_text("the sea is his\nsea captain\n\nthe captain of the sea said so\n")
    file = ("--file", tmp_path / "lines.txt")
    said = [run_command("predict", "--input", path, *file) for path in (folder, tmp_path / "hf")]
    words = [line.split("\t")[0] for line in said[0].stdout.splitlines()[1:] if line]
    assert words == (tmp_path / "lines.txt").read_text().split() and said[0].stdout == said[1].stdout
    nothing = run_command("predict", "--input", folder, "")
    assert nothing.returncode == 0, nothing.stderr


@pytest.mark.parametrize(
    "content, words",
    [
        ("EU NNP B-NP B-ORG\nsaid VBD O O\n", [("EU", "said")]),
        ("-DOCSTART- -X- O O\n\nEU x\nsaid y\n\nBonn z\n", [("EU", "said"), ("Bonn",)]),
        ("EU\nsaid\n\nBonn\n", [("EU", "said"), ("Bonn",)]),
        ("New York\nHello\n", [("New", "York"), ("Hello",)]),
        ("the\n\nsea\nship ship\n", [("the",), ("sea",), ("ship", "ship")]),
        ("the sea is blue\nthe man is old\n", [("the", "sea", "is", "blue"), ("the", "man", "is", "old")]),
    ],
)
def test_files_without_tags_are_columns_or_sentences_by_what_is_there(content, words, tmp_path):
    (tmp_path / "a.txt").write_text(content)
    assert [one.words for one in read_tagged(tmp_path / "a.txt", labelled=False).records] == words


def test_a_line_that_is_broken_makes_no_sentences_of_the_others(tmp_path):
    (tmp_path / "a.txt").write_text("EU B-ORG\nsaid O\n\n" * 5 + "it x O\n")
    with pytest.raises(InputError, match=r"(?s)the line has 3 columns: 'it x O'.*line 16"):
        read_tagged(tmp_path / "a.txt", labelled=False)


def test_one_tag_alone_is_refused(electra, tmp_path):
    train = write(tmp_path / "a.txt", [(["sea", "man"], ["O", "O"])] * 20)
    with pytest.raises(InputError, match="all words have the tag 'O'"):
        finetune(FineTuning(task="tagging", train=str(train)), tmp_path / "run", electra, stream=io.StringIO())


def test_a_part_of_a_known_type_that_training_lacks_counts_as_wrong(quick_vocab):
    tokenizer = Tokenizer.from_pretrained(quick_vocab)
    task = Tagging(("O", "B-X"), (1.0, 1.0), Scheme("BIO"))
    split = task.split([Sentence(("sea", "man", "the"), ("B-X", "I-X", "O"), "")], tokenizer, 32)
    assert split.rows.by_token["weight"][0].tolist() == [1.0, 0.0, 1.0]
    logits = np.eye(2, dtype=np.float32)[[1, 0, 0]]
    assert task.score([logits], split) == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "accuracy": pytest.approx(2 / 3)}
    assert task.calibrated([logits], split)[1].tolist() == [1, 0]


KLUE = "## klue-1 <1 년>\n1\tB-DT\n년\tI-DT\n \tI-DT\n6\tI-DT\n!\tO\n"


def test_blanks_within_an_entity_of_characters_are_of_it_and_do_not_count(tmp_path):
    (tmp_path / "a.tsv").write_text(KLUE)
    (record,) = read_tagged(tmp_path / "a.tsv").records
    assert record.joined and record.tags == ("B-DT", "I-DT", "I-DT", "I-DT", "O")
    task = Tagging(("O", "B-DT", "I-DT"), (1.0,) * 3, Scheme("BIO"))
    units = Units([[7], [8], [9], [10]], [0, 1, 3, 4], [0, 1, -1, 2, 3])
    tags = task.tags_of(units, [1, 2, 2, 0])
    assert tags == ["B-DT", "I-DT", "I-DT", "I-DT", "O"]
    assert task.tags_of(units, [1, 2, 1, 0])[2] == "O" and task.tags_of(units, [1, 0, 2, 0])[2] == "O"
    split = TaggedSplit([record], None, (), [units])
    assert task._score([tags], split) == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "accuracy": 1.0}
    beside = [tags[:2] + ["O"] + tags[3:]]  # whatever is said of the blank
    assert task._score(beside, split)["f1"] == 1.0
    assert task.filled(["B-DT", "I-DT", "B-DT", "I-DT", "O"], [2])[2] == "I-DT"
    assert task.filled(["O", "B-DT", "I-DT", "B-DT", "O"], [2])[2] == "O"
    bare = Tagging(("O", "B", "I"), (1.0,) * 3, Scheme("BIO"))
    assert bare.filled(["B", "O", "I"], [1]) == ["B", "I", "I"]
    suffix = Tagging(("O", "DT-B", "DT-I"), (1.0,) * 3, Scheme("BIO", True))
    assert suffix.tags_of(units, [1, 2, 2, 0])[2] == "DT-I"


def test_a_word_that_is_a_blank_does_not_make_characters_of_all(tmp_path):
    (tmp_path / "a.tsv").write_text("Barack\tB-PER\nObama\tI-PER\n\u00a0\tO\nsea\tO\n")
    file = read_tagged(tmp_path / "a.tsv")
    assert not file.records[0].joined and "a character a line" not in file.read_as


def test_entities_cannot_select_where_tags_are_none(electra, tmp_path):
    train = write(tmp_path / "a.txt", [(["sea", "the"], ["NOUN", "DET"])] * 8)
    settings = FineTuning(task="tagging", train=str(train), dev=str(train), select="f1")
    with pytest.raises(ConfigError, match="one of accuracy"):
        finetune(settings, tmp_path / "run", electra, stream=io.StringIO())


def test_a_model_of_characters_reads_characters(quick_vocab, tmp_path):
    """Of a text, of a file of texts, and of columns in which no blank happens to be; its pieces are as in training."""
    (tmp_path / "a.tsv").write_text(KLUE)
    file = read_tagged(tmp_path / "a.tsv")
    task = Tagging.of(file.records, file.scheme)
    assert task.joined and task.answers()["joined"]
    assert not Tagging.of([Sentence(("sea", "the"), ("B-X", "O"), "a")], Scheme("BIO")).joined
    asked = words_of("the sea", task.joined)
    assert asked.words == tuple("the sea") and asked.joined
    tokenizer = Tokenizer.from_pretrained(quick_vocab)
    pieces = tokenizer.encode("the sea", add_special_tokens=False).ids
    assert [piece for ids in units_of([asked], tokenizer)[0].ids for piece in ids] == pieces
    (tmp_path / "b.txt").write_text("the sea\n")
    (record,) = read_tagged(tmp_path / "b.txt", labelled=False, joined=True).records
    assert record.words == asked.words and record.joined
    (tmp_path / "c.tsv").write_text("s\tB-DT\ne\tI-DT\na\tI-DT\n")
    for joined in (True, False):
        assert read_tagged(tmp_path / "c.tsv", joined=joined).records[0].joined == joined
    (tmp_path / "d.tsv").write_text("the\tO\nsea\tB-DT\n")
    assert not read_tagged(tmp_path / "d.tsv", joined=True).records[0].joined  # words are no characters


def test_two_number_signs_are_a_word_where_columns_are_as_many(tmp_path):
    (tmp_path / "a.txt").write_text("see O\n## O\nParis B-LOC\n")
    (record,) = read_tagged(tmp_path / "a.txt").records
    assert record.words == ("see", "##", "Paris")
    for comment in ("id 7: a comment", "doc-1"):
        (tmp_path / "b.txt").write_text(f"## {comment}\nsee O\nParis B-LOC\n")
        (record,) = read_tagged(tmp_path / "b.txt").records
        assert record.words == ("see", "Paris")
    (tmp_path / "c.txt").write_text("see\n##\nParis\n\nsea\n")
    assert [one.words for one in read_tagged(tmp_path / "c.txt", labelled=False).records] == [
        ("see", "##", "Paris"),
        ("sea",),
    ]


@pytest.mark.parametrize(
    "tags, said, read",
    [
        (["B-PER", "L-PER", "U-LOC"], "written as BILOU and read as BIOES", ("B-PER", "E-PER", "S-LOC")),
        (["I-PER", "I-PER", "O"], "IOB1, the part before the type, read as BIO", ("B-PER", "I-PER", "O")),
        (["L", "U", "L"], "single words, no entities", ("L", "U", "L")),
        (["B", "I", "O"], "BIO, the part before the type", ("B", "I", "O")),
    ],
)
def test_how_tags_are_written_and_what_they_become_is_said(tags, said, read, tmp_path):
    (tmp_path / "a.txt").write_text("".join(f"w{tag} {tag}\n" for tag in tags))
    file = read_tagged(tmp_path / "a.txt")
    assert file.read_as.endswith(said)
    assert file.records[0].tags == read
