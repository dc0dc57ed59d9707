"""A data set built from text: all its tokens, held-out documents, the same bytes again, impossible options refused."""

import gzip
import itertools
import pickle
import random
import string
from collections import Counter

import numpy as np
import pytest

from electra_tf.data.builder import build_data
from electra_tf.data.corpus import read_documents
from electra_tf.data.examples import FEATURES, ORDER, decode
from electra_tf.data.manifest import FILE_NAME, read_manifest
from electra_tf.data.records import read_records
from electra_tf.data.stages import document_share, file_sha256
from electra_tf.data.work_folder import work_folder, work_name
from electra_tf.errors import ConfigError, InputError, OutputError
from electra_tf.text.line_tokenizer import LineTokenizer
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.text.wordpiece_tokenizer import SPECIAL_TOKENS, WordPieceTokenizer

SMALL = {"length": 64, "unit_bytes": 30_000, "shard_examples": 300, "processes": 0}


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def examples(folder, split="*"):
    return [decode(record) for path in sorted(folder.glob(f"{split}-*")) for record in read_records(path)]


def segments(example):
    """The ids of A and of B, without special tokens."""
    real = example["input_ids"][example["input_mask"] == 1]
    parts = [real[example["segment_ids"][: len(real)] == segment].tolist() for segment in (0, 1)]
    return parts[0][1:-1], parts[1][:-1]


@pytest.fixture(scope="module")
def counting(tmp_path_factory):
    """A corpus whose n-th word has id n + 5: what was packed where can be read off the ids."""
    folder = tmp_path_factory.mktemp("counting")
    words = ["".join(letters) for letters in itertools.product(string.ascii_lowercase, repeat=3)][:15_000]
    WordPieceTokenizer([*SPECIAL_TOKENS, *words]).save(folder / "vocab")
    pick, text, rest = random.Random(0), [], words
    while rest:
        lines = []
        for _ in range(pick.randint(1, 60)):
            size = pick.randint(1, 30)
            lines.append(" ".join(rest[:size]))
            rest = rest[size:]
        text.append("\n".join(lines).strip())
    (folder / "text.txt").write_text("\n\n".join(text), "utf-8")
    return folder


@pytest.mark.slow
def test_sentencepiece_tokenizes_a_corpus_in_any_number_of_processes(quick_text, spiece_folder, tmp_path):
    """And the data set keeps the tokenizer, whose ids its examples are."""
    for processes in (0, 2):
        options = SMALL | {"held_out": 0, "processes": processes}
        build_data(quick_text, spiece_folder / "spiece.model", tmp_path / str(processes), **options)
    assert contents(tmp_path / "0") == contents(tmp_path / "2")
    tokenizer = Tokenizer.from_pretrained(tmp_path / "0/vocab")
    assert read_manifest(tmp_path / "0").tokenizer["fingerprint"] == tokenizer.fingerprint
    found = Counter(i for example in examples(tmp_path / "0") for part in segments(example) for i in part)
    ids, _ = tokenizer.line_tokenizer()(quick_text.read_text("utf-8").splitlines())
    assert found == Counter(ids.tolist())


@pytest.mark.parametrize("packing", [{}, {"cross_documents": True}, {"pairs": True}])
def test_decoding_the_records_returns_the_corpus_token_stream(counting, tmp_path, packing):
    options = {**SMALL, **packing, "held_out": 0.2, "unit_bytes": 9_000}
    build_data(counting / "text.txt", counting / "vocab", tmp_path / "data", **options)
    stream = []
    for a, b in sorted(map(segments, examples(tmp_path / "data"))):
        stream += a + b
    if "cross_documents" in packing:  # Documents that are held out leave gaps in the others.
        stream.sort()
    assert stream == list(range(5, 15_005))


def test_examples_hold_no_more_than_one_document_unless_asked(counting, tmp_path):
    documents = [sum(len(line.split()) for line in lines) for lines in read_documents([counting / "text.txt"])]
    ends = np.cumsum(documents) + 5

    def crossing(**options):
        output = tmp_path / f"data-{len(options)}"
        build_data(counting / "text.txt", counting / "vocab", output, **SMALL, **options)
        ids = [a + b for a, b in map(segments, examples(output))]
        return sum(np.searchsorted(ends, row[0], "right") != np.searchsorted(ends, row[-1], "right") for row in ids)

    assert crossing() == 0
    assert crossing(cross_documents=True) > len(documents) / 2


def test_all_text_of_real_documents_is_there_and_held_out_documents_are_whole(data, corpus, vocab):
    tokenize = LineTokenizer(Tokenizer.from_pretrained(vocab), engine="reference")
    wanted = {"train": Counter(), "held_out": Counter()}
    for lines in read_documents([corpus]):
        wanted["held_out" if document_share(lines) < 0.1 else "train"].update(tokenize(lines)[0].tolist())
    for split, counts in wanted.items():
        assert Counter(id_ for pair in map(segments, examples(data, split)) for part in pair for id_ in part) == counts


def test_the_examples_are_shuffled_over_the_whole_corpus(counting, tmp_path):
    build_data(counting / "text.txt", counting / "vocab", tmp_path / "data", **{**SMALL, "unit_bytes": 9_000})
    firsts = [segments(example)[0][0] for example in examples(tmp_path / "data", "train")]
    assert abs(np.corrcoef(np.arange(len(firsts)), firsts)[0, 1]) < 0.2
    assert len(set(np.array(firsts[:50]) // 3000)) == 5


def test_the_manifest_counts_what_is_there(data, vocab):
    manifest = read_manifest(data)
    assert manifest.tokenizer["fingerprint"] == Tokenizer.from_pretrained(vocab).fingerprint
    assert manifest.tokenizer["mask_id"] == 4
    assert {path.name for path in data.glob("*.tfrecord")} == {shard.name for shard in manifest.shards}
    for shard in manifest.shards:
        records = list(read_records(data / shard.name))
        assert shard.examples == len(records)
        assert shard.bytes == (data / shard.name).stat().st_size
        assert shard.sha256 == file_sha256(data / shard.name)
    for name, split in manifest.splits.items():
        found = examples(data, name)
        lengths = [int(example["input_mask"].sum()) for example in found]
        assert split.examples == len(found)
        assert split.lengths == np.bincount(lengths, minlength=65).tolist()
        assert split.fill_rate == pytest.approx(np.mean(lengths) / 64)
        assert split.pairs == sum(bool(b) for _, b in map(segments, found))
        assert split.tokens == sum(len(a) + len(b) for a, b in map(segments, found)) == split.corpus_tokens
    assert len(manifest.shards_of("train")) >= 3


def test_the_original_packer_may_be_asked_for_and_what_it_drops_is_counted(corpus, vocab, tmp_path):
    manifest = build_data(corpus, vocab, tmp_path / "data", **SMALL, packing="original")
    train = manifest.splits["train"]
    assert train.tokens < 0.9 * train.corpus_tokens
    found = examples(tmp_path / "data", "train")
    assert sum(len(a) + len(b) for a, b in map(segments, found)) == train.tokens


# Pairs for sentence order


def test_every_example_of_pairs_has_two_segments_that_follow_each_other_in_a_document(counting, tmp_path):
    build_data(counting / "text.txt", counting / "vocab", tmp_path / "data", **SMALL, pairs=True)
    documents = [sum(len(line.split()) for line in lines) for lines in read_documents([counting / "text.txt"])]
    ends = set(np.cumsum(documents) + 5)
    for a, b in map(segments, examples(tmp_path / "data")):
        assert b[0] == a[-1] + 1
        assert b[0] not in ends


def test_the_manifest_says_that_the_data_are_pairs_and_the_records_that_nothing_is_swapped(counting, tmp_path):
    manifest = build_data(counting / "text.txt", counting / "vocab", tmp_path / "data", **SMALL, pairs=True)
    assert manifest.packing["pairs"] and manifest.pairs
    assert not manifest.stored_order and not manifest.stored_masks
    assert manifest.features == dict.fromkeys(FEATURES, 64)
    assert sorted(examples(tmp_path / "data")[0]) == sorted(FEATURES)


@pytest.mark.parametrize("kind", ["wordpiece", "sentencepiece"])
def test_a_document_of_one_line_is_parted_between_words(english, vocab, spiece_folder, tmp_path, kind):
    (tmp_path / "line.txt").write_text(english[:20_000].replace("\n", " "))
    tokenizer = {"wordpiece": vocab, "sentencepiece": spiece_folder / "spiece.model"}[kind]
    build_data(tmp_path / "line.txt", tokenizer, tmp_path / "data", **SMALL, held_out=0, pairs=True)
    vocabulary = Tokenizer.from_pretrained(tokenizer).vocabulary
    starts = [vocabulary[b[0]] for _, b in map(segments, examples(tmp_path / "data"))]
    assert len(starts) > 60
    assert not any(token.startswith("##") for token in starts)
    assert kind == "wordpiece" or all(token.startswith("\u2581") for token in starts)


def test_documents_too_short_for_two_segments_are_counted(counting, tmp_path):
    (tmp_path / "short.txt").write_text("aaa\n\n" * 7 + "aaa aab\n\n" * 20 + "aac aad aae aaf\n")
    options = {**SMALL, "length": 8, "held_out": 0}
    manifest = build_data(tmp_path / "short.txt", counting / "vocab", tmp_path / "data", **options, pairs=True)
    train = manifest.splits["train"]
    assert (train.documents, train.examples, train.pairs) == (28, 28, 21)
    assert train.tokens == train.corpus_tokens == 51


def test_alberts_packing_stores_which_pairs_are_not_in_order(counting, tmp_path):
    build_data(counting / "text.txt", counting / "vocab", tmp_path / "data", **SMALL, packing="albert")
    manifest = read_manifest(tmp_path / "data")
    assert manifest.packing["packing"] == "albert" and manifest.pairs and manifest.stored_order
    assert manifest.features == dict.fromkeys(FEATURES, 64) | {ORDER: 1}
    found, labels = examples(tmp_path / "data"), []
    for example in found:
        a, b = segments(example)
        labels += example[ORDER].tolist()
        # What is in order comes later; and may, rarely, be so in another document.
        assert (b[0] > a[-1]) if labels[-1] == 0 else (b[0] != a[-1] + 1)
    assert 0.4 < np.mean(labels) < 0.7
    assert sum(split.pairs for split in manifest.splits.values()) == len(found)


def test_the_same_arguments_give_the_same_bytes_and_another_seed_others(corpus, vocab, tmp_path):
    for name, seed in [("a", 1), ("b", 1), ("c", 2)]:
        build_data(corpus, vocab, tmp_path / name, **SMALL, seed=seed)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert contents(tmp_path / "a") != contents(tmp_path / "c")


def test_the_form_of_the_files_does_not_matter(corpus, english, vocab, tmp_path):
    (tmp_path / "english.txt.gz").write_bytes(gzip.compress(english.encode()))
    build_data(corpus, vocab, tmp_path / "plain", **SMALL)
    build_data(tmp_path / "*.gz", vocab, tmp_path / "compressed", **SMALL)
    assert contents(tmp_path / "plain") == contents(tmp_path / "compressed")


@pytest.mark.parametrize("held_out", [0.001, 1e-9])
def test_at_least_one_document_of_a_small_corpus_is_held_out(corpus, vocab, tmp_path, held_out):
    manifest = build_data(corpus, vocab, tmp_path / "data", **SMALL, held_out=held_out)
    assert manifest.splits["held_out"].documents == 1
    assert manifest.splits["held_out"].examples > 0


def test_nothing_is_held_out_where_that_is_asked_or_there_is_one_document(corpus, vocab, tmp_path):
    (tmp_path / "one.txt").write_text("A single document.\nOf two lines.\n")
    for source, share in [(corpus, 0), (tmp_path / "one.txt", 0.01)]:
        manifest = build_data(source, vocab, tmp_path / f"data-{share}", **SMALL, held_out=share)
        assert manifest.splits["held_out"].examples == 0


def test_a_document_is_held_out_by_its_text_whatever_surrounds_it(english, vocab, tmp_path):
    documents, held_out = english.split("\n\n"), {}
    for name, texts in {"all": documents, "half": documents[len(documents) // 2 :]}.items():
        (tmp_path / name).write_text("\n\n".join(texts))
        build_data(tmp_path / name, vocab, tmp_path / f"data-{name}", **SMALL, held_out=0.3)
        found = examples(tmp_path / f"data-{name}", "held_out")
        held_out[name] = Counter(id_ for pair in map(segments, found) for part in pair for id_ in part)
    assert held_out["half"]
    assert held_out["half"] < held_out["all"]


# What must not be: each ends in an error of the project, and leaves nothing behind that looks like a data set.


@pytest.mark.parametrize(
    "options, message",
    [
        ({"length": 4}, "length is 4"),
        ({"held_out": 1.0}, "held_out is 1.0"),
        ({"packing": "dense"}, "packing is 'dense'"),
        ({"document": "page"}, "document is 'page'"),
        ({"processes": -1}, "-1 processes were asked for"),
        ({"pairs": True, "cross_documents": True}, r"(?s)pairs.*together with cross_documents.*leave out"),
        ({"packing": "albert", "cross_documents": True}, r"(?s)pairs.*together with cross_documents.*leave out"),
        ({"pairs": True, "packing": "original"}, "(?s)'original'.*'albert'.*--packing=albert"),
    ],
)
def test_impossible_options_are_refused(corpus, vocab, tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        build_data(corpus, vocab, tmp_path / "data", **{**SMALL, **options})
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("content", [b"", b"\n \n", b"caf\xe9", b"a\0b"])
def test_a_corpus_that_cannot_be_used_leaves_no_output(vocab, tmp_path, content):
    (tmp_path / "bad.txt").write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.txt"):
        build_data(tmp_path / "bad.txt", vocab, tmp_path / "data", **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.txt"]


def test_a_layout_that_gives_no_pairs_is_an_error_and_leaves_no_output(counting, tmp_path):
    (tmp_path / "words.txt").write_text("aaa\naab\naac\n" * 9)
    options = {**SMALL, "pairs": True, "held_out": 0, "document": "line"}
    with pytest.raises(InputError, match=r"(?s)no document can be parted.*words\.txt.*--document=line"):
        build_data(tmp_path / "words.txt", counting / "vocab", tmp_path / "data", **options)
    assert [path.name for path in tmp_path.iterdir()] == ["words.txt"]
    assert (
        build_data(
            tmp_path / "words.txt", counting / "vocab", tmp_path / "data", **{**options, "document": "blank_line"}
        )
        .splits["train"]
        .pairs
    )


def test_an_error_survives_the_way_from_a_worker_process():
    error = InputError("a NUL byte", where="a.txt, line 3", remedy="remove it")
    arrived = pickle.loads(pickle.dumps(error))
    assert type(arrived) is InputError
    assert str(arrived) == str(error)
    assert arrived.where == "a.txt, line 3"


def test_an_existing_output_is_not_touched(data, corpus, vocab):
    before = contents(data)
    with pytest.raises(OutputError, match="already exists"):
        build_data(corpus, vocab, data, **SMALL)
    assert contents(data) == before
    assert not data.with_name("data.building").exists()


def test_the_very_data_set_that_is_asked_for_is_not_built_again(corpus, vocab, tmp_path):
    output, text = tmp_path / "data", tmp_path / "text.txt"
    text.write_bytes(corpus.read_bytes())
    made = build_data(text, vocab, output, **SMALL)
    before, inodes = contents(output), [path.stat().st_ino for path in sorted(output.rglob("*"))]
    left = tmp_path / "data.building"
    (left / ("a" * 64)).mkdir(parents=True)  # as of a build that was killed when its output had just appeared
    (left / ("a" * 64) / "a.json").touch()
    assert build_data(tmp_path / "*.txt", vocab, output, **SMALL) == made
    assert contents(output) == before and [path.stat().st_ino for path in sorted(output.rglob("*"))] == inodes
    assert not left.exists()

    def refused(**options):
        with pytest.raises(OutputError, match="already exists, and is not the data set that is asked for"):
            build_data(text, vocab, output, **{**SMALL, **options})

    for options in ({"seed": 8}, {"held_out": 0.2}, {"length": 32}, {"shard_examples": 50}):
        refused(**options)
    text.write_bytes(corpus.read_bytes().replace(b"Treasure", b"Pleasure"))
    refused()
    text.write_bytes(corpus.read_bytes())
    for name in ("manifest.json", "vocab", next(path.name for path in output.glob("train*"))):
        (output / name).rename(tmp_path / "away")
        refused()
        (tmp_path / "away").rename(output / name)
    assert contents(output) == before
    build_data(text, vocab, output, **SMALL)


def test_an_empty_folder_may_be_the_output(corpus, vocab, tmp_path):
    (tmp_path / "data").mkdir()
    build_data(corpus, vocab, tmp_path / "data", **SMALL)
    assert (tmp_path / "data" / FILE_NAME).is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_an_error_names_the_output_and_not_where_it_is_made(tmp_path):
    output = tmp_path / "data"
    for inside in (work_name(output), work_name(output) / "a/b.json"):
        with pytest.raises(OutputError) as told, work_folder(output, room="the text"):
            raise PermissionError(13, "Permission denied", str(inside))
        assert told.value.where == output and "building" not in str(told.value)
    with pytest.raises(OutputError) as told, work_folder(output, room="the text"):
        raise PermissionError(13, "Permission denied", "elsewhere")
    assert str(told.value.where) == "elsewhere"


def test_an_output_that_cannot_be_written_is_named(corpus, vocab, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"(?s)cannot write.*file"):
        build_data(corpus, vocab, tmp_path / "file" / "data", **SMALL)


def test_a_vocabulary_without_a_special_token_is_refused(corpus, tmp_path):
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n")
    with pytest.raises(InputError, match=r"(?s)\[MASK\].*vocab\.txt"):
        build_data(corpus, tmp_path / "vocab.txt", tmp_path / "data", **SMALL)
    assert not (tmp_path / "data").exists()


def test_what_a_person_has_put_where_data_are_built_stays(corpus, vocab, tmp_path):
    """In a folder of this name; and an unfinished build stays where the output has come to be something else."""
    work = tmp_path / "data.building"
    work.mkdir()
    (work / "thesis.tex").write_text("mine")
    with pytest.raises(OutputError, match=r"what no build has written: thesis\.tex"):
        build_data(corpus, vocab, tmp_path / "data", **SMALL)
    (work / "thesis.tex").rename(tmp_path / "thesis.tex")
    (work / ("a" * 64)).mkdir()
    (work / ("a" * 64) / "0.json").write_text("of a build")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_text("mine")
    with pytest.raises(OutputError, match="already exists"):
        build_data(corpus, vocab, tmp_path / "data", **SMALL)
    assert (work / ("a" * 64) / "0.json").is_file()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "other.building").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="it is a link, or a file"):
        build_data(corpus, vocab, tmp_path / "other", **SMALL)
