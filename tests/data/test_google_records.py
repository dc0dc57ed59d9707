"""Records that Google's code made are read as they are, and become a data set once every one is checked."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from electra_tf.data.dataset_inspection import describe
from electra_tf.data.examples import FEATURES, ORDER, STATIC_MASKS
from electra_tf.data.import_google_records import import_records
from electra_tf.data.manifest import FILE_NAME, read_manifest
from electra_tf.data.reader import DataSet
from electra_tf.data.records import frame, read_records
from electra_tf.data.stages import file_sha256
from electra_tf.errors import ConfigError, DataError, InputError, OutputError
from electra_tf.text.tokenizer import Tokenizer

KINDS = {"default": 10, "permutation": 20}  # predictions of an example


@pytest.fixture
def albert(golden_albert):
    """Google's records, with what opens them."""
    return {
        "pattern": golden_albert / "default.tfrecord",
        "vocab": golden_albert / "vocab.txt",
        "length": 64,
    }


@pytest.fixture
def records(golden_albert):
    return list(read_records(golden_albert / "default.tfrecord"))


def padded(rows, length, dtype=np.int32):
    return np.array([[*row, *[0] * (length - len(row))] for row in rows], dtype)


def recorded(golden_albert, kind):
    """What the original made, by its own words, as the arrays that must be read."""
    tokenizer = Tokenizer.from_pretrained(golden_albert / "vocab.txt")
    ids = {token: i for i, token in enumerate(tokenizer.vocabulary)}
    found = [json.loads(line) for line in (golden_albert / f"{kind}.jsonl").read_text("utf-8").splitlines()]
    predictions = KINDS[kind]
    return {
        "input_ids": padded([[ids[token] for token in i["tokens"]] for i in found], 64),
        "input_mask": padded([[1] * len(i["tokens"]) for i in found], 64),
        "segment_ids": padded([[int(s) for s in i["segment_ids"]] for i in found], 64),
        "masked_lm_positions": padded([i["masked_lm_positions"] for i in found], predictions),
        "masked_lm_ids": padded([[ids[token] for token in i["masked_lm_labels"]] for i in found], predictions),
        "masked_lm_weights": padded([[1] * len(i["masked_lm_labels"]) for i in found], predictions, np.float32),
        "next_sentence_labels": np.array([i["is_random_next"] for i in found], np.int32),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_alberts_records_are_read_as_what_the_original_made(golden_albert, kind):
    dataset = DataSet.from_records(golden_albert / f"{kind}.tfrecord", vocab=golden_albert / "vocab.txt", length=64)
    found, expected = dataset.examples("train"), recorded(golden_albert, kind)
    assert sorted(found) == sorted(expected)
    for name, values in expected.items():
        assert found[name].dtype == values.dtype
        assert np.array_equal(found[name], values), name


def test_batches_hold_the_masks_and_the_order(albert):
    batch = next(iter(DataSet.from_records(**albert).batches(7, seed=0)))
    shapes = {name: (tuple(values.shape), values.dtype.name) for name, values in batch.items()}
    assert shapes == {
        "input_ids": ((7, 64), "int32"),
        "input_mask": ((7, 64), "int32"),
        "segment_ids": ((7, 64), "int32"),
        "masked_lm_positions": ((7, 10), "int32"),
        "masked_lm_ids": ((7, 10), "int32"),
        "masked_lm_weights": ((7, 10), "float32"),
        "next_sentence_labels": ((7,), "int32"),
    }


def test_the_manifest_tells_stored_masks_from_masks_to_be_drawn(albert, data):
    stored, drawn = DataSet.from_records(**albert).manifest, DataSet.open(data).manifest
    assert stored.features == dict.fromkeys(FEATURES, 64) | dict.fromkeys(STATIC_MASKS, 10) | {ORDER: 1}
    assert stored.stored_masks and stored.stored_order and stored.pairs
    assert drawn.features == dict.fromkeys(FEATURES, 64)
    assert not (drawn.stored_masks or drawn.stored_order or drawn.pairs)


def test_frequencies_are_those_of_the_text_before_it_was_masked(albert, golden_albert):
    text = recorded(golden_albert, "default")
    ids = text["input_ids"].copy()
    for row, positions, masked, weights in zip(ids, *(text[name] for name in STATIC_MASKS), strict=True):
        row[positions[weights > 0]] = masked[weights > 0]
    counts = np.bincount(ids.ravel(), minlength=420)
    counts[[0, 2, 3]] = 0
    frequencies = DataSet.from_records(**albert).frequencies
    assert counts[4] == 0
    assert frequencies == pytest.approx((counts + 0.5) / (counts + 0.5).sum())


# As a data set


@pytest.fixture
def imported(albert, tmp_path):
    manifest = import_records(albert["pattern"], albert["vocab"], tmp_path / "data", length=64)
    return manifest, tmp_path / "data"


def test_a_data_set_of_records_holds_their_bytes_and_reads_as_they_do(imported, albert):
    manifest, folder = imported
    assert (folder / manifest.shards[0].name).read_bytes() == albert["pattern"].read_bytes()
    assert read_manifest(folder) == manifest
    found, expected = (dataset.examples("train") for dataset in (DataSet.open(folder), DataSet.from_records(**albert)))
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_its_manifest_counts_what_is_there(imported, golden_albert):
    manifest, folder = imported
    expected = recorded(golden_albert, "default")
    real = expected["input_mask"].sum(axis=1)
    train = manifest.splits["train"]
    assert (train.examples, train.pairs, train.tokens) == (113, 113, real.sum() - 3 * 113)
    assert train.fill_rate == pytest.approx(real.mean() / 64)
    assert train.lengths == np.bincount(real, minlength=65).tolist()
    assert manifest.shards[0].sha256 == file_sha256(folder / manifest.shards[0].name)
    assert manifest.tokenizer["fingerprint"] == DataSet.open(folder).tokenizer.fingerprint
    assert describe(DataSet.open(folder))["splits"]["train"]["examples"] == 113


def test_it_is_whole_wherever_it_is_moved_and_whatever_becomes_of_the_records(albert, tmp_path):
    own = shutil.copytree(albert["pattern"].parent, tmp_path / "own")
    import_records(own / "default.tfrecord", own / "vocab.txt", tmp_path / "data", length=64)
    shutil.rmtree(own)
    (tmp_path / "data").rename(tmp_path / "moved")
    dataset = DataSet.open(tmp_path / "moved")
    assert len(dataset.examples("train")["input_ids"]) == 113
    assert dataset.tokenizer.vocabulary[4] == "[MASK]"


def test_electras_records_become_a_data_set_too(data, vocab, tmp_path):
    """Of several files, one of them empty, as the original leaves some."""
    (tmp_path / "pretrain_data.tfrecord-9-of-1000").touch()
    for i, path in enumerate(DataSet.open(data).files("train")):
        shutil.copy(path, tmp_path / f"pretrain_data.tfrecord-{i}-of-1000")
    manifest = import_records(tmp_path / "pretrain_data*", vocab, tmp_path / "data-2", length=64)
    ours, given = manifest.splits["train"], read_manifest(data).splits["train"]
    for name in ("examples", "pairs", "tokens", "fill_rate", "lengths"):
        assert getattr(ours, name) == pytest.approx(getattr(given, name))
    assert not manifest.stored_masks and not manifest.pairs


def test_long_files_become_shards_that_a_reader_can_hold(albert, records, tmp_path):
    manifest = import_records(albert["pattern"], albert["vocab"], tmp_path / "data", length=64, shard_examples=50)
    assert [shard.examples for shard in manifest.shards] == [50, 50, 13]
    files = DataSet.open(tmp_path / "data").files("train")
    assert [path.name for path in files] == [f"train-0000{n}-of-00003.tfrecord" for n in range(3)]
    assert [record for path in files for record in read_records(path)] == records
    assert [shard.sha256 for shard in manifest.shards] == list(map(file_sha256, files))


@pytest.mark.parametrize(
    "held_out, shards",
    [(0.4, {"train": [40, 28], "held_out": [40, 5]}), (1e-6, {"train": [40, 40, 32], "held_out": [1]})],
)
def test_the_last_records_are_held_out_where_that_is_asked_for(albert, records, tmp_path, held_out, shards):
    options = {"length": 64, "held_out": held_out, "shard_examples": 40}
    manifest = import_records(albert["pattern"], albert["vocab"], tmp_path / "data", **options)
    dataset, copied = DataSet.open(tmp_path / "data"), []
    for split, sizes in shards.items():
        assert [shard.examples for shard in manifest.shards_of(split)] == sizes
        names = [f"{split}-{n:05}-of-{len(sizes):05}.tfrecord" for n in range(len(sizes))]
        assert [path.name for path in dataset.files(split)] == names
        assert manifest.splits[split].examples == sum(manifest.splits[split].lengths) == sum(sizes)
        copied += [record for path in dataset.files(split) for record in read_records(path)]
    assert copied == records
    whole = DataSet.from_records(**albert).examples("train")
    for name, values in dataset.examples("held_out").items():
        assert np.array_equal(values, whole[name][sum(shards["train"]) :])


def test_the_only_record_is_trained_on_and_no_share_but_one_is_taken(albert, records, tmp_path):
    (tmp_path / "one.tfrecord").write_bytes(frame(records[0]))
    manifest = import_records(tmp_path / "one.tfrecord", albert["vocab"], tmp_path / "a", length=64, held_out=0.9)
    assert [split.examples for split in manifest.splits.values()] == [1, 0]
    with pytest.raises(ConfigError, match=r"(?s)held_out is 1\.0.*below 1"):
        import_records(albert["pattern"], albert["vocab"], tmp_path / "b", length=64, held_out=1.0)


def test_a_copy_that_was_killed_is_made_again(albert, records, tmp_path):
    (tmp_path / "long.tfrecord").write_bytes(b"".join(map(frame, records * 20)))
    code = (
        "import os, sys; from electra_tf.data.import_google_records import import_records\n"
        "import_records(*sys.argv[1:4], length=64, progress=lambda p: p.done and os.kill(os.getpid(), 9))"
    )
    arguments = [tmp_path / "long.tfrecord", albert["vocab"], tmp_path / "data"]
    assert subprocess.run([sys.executable, "-c", code, *arguments]).returncode == -9
    assert not (tmp_path / "data").exists()
    import_records(*arguments, length=64)
    assert not list((tmp_path / "data").glob("[0-9]*"))
    assert len(DataSet.open(tmp_path / "data").examples("train")["input_ids"]) == 20 * 113
    assert not (tmp_path / "data.building").exists()


# What must not be


def changed(record, **features):
    """The record with other values of some features; None takes a feature away."""
    import tensorflow as tf

    example = tf.train.Example.FromString(record)
    for name, values in features.items():
        del example.features.feature[name]
        if values is not None:
            kind = "float_list" if any(isinstance(value, float) for value in values) else "int64_list"
            getattr(example.features.feature[name], kind).value.extend(values)
    return example.SerializeToString()


BAD = {
    "another length": (
        dict.fromkeys((*FEATURES, "token_boundary"), [2] * 32),
        r"32 input_ids, 32 input_mask.*64",
    ),
    "a missing feature": ({"masked_lm_ids": None}, r"masked_lm_positions.*masked_lm_ids"),
    "no order": ({ORDER: None}, r"next_sentence_labels"),
    "no masks": (dict.fromkeys(("token_boundary", *STATIC_MASKS, ORDER)), r"64 segment_ids"),
    "fewer masks": (dict.fromkeys(STATIC_MASKS[:2], [0] * 9) | {STATIC_MASKS[2]: [0.0] * 9}, r"9 masked_lm_ids"),
    "an id above the vocabulary": ({"input_ids": [2] * 63 + [420]}, r"the id 420 in input_ids.*ids below 420"),
    "an answer above it": ({"masked_lm_ids": [5] * 9 + [1000]}, r"the id 1000 in masked_lm_ids.*ids below 420"),
    "a negative id": ({"input_ids": [2] * 63 + [-1]}, r"the id -1 in input_ids"),
    "a position outside": ({"masked_lm_positions": [64] * 10}, r"masked_lm_positions from 64 to 64.*from 0 to 63"),
    "a third segment": ({"segment_ids": [2] * 64}, r"segment_ids from 2 to 2.*from 0 to 1"),
    "another label": ({ORDER: [2]}, r"next_sentence_labels from 2 to 2.*from 0 to 1"),
    "whole weights": ({"masked_lm_weights": [1] * 10}, r"masked_lm_weights from 1 to 1, as int64.*float numbers"),
    "a weight that is no number": ({"masked_lm_weights": [float("nan")] * 10}, r"masked_lm_weights from nan"),
    "another vocabulary": ({"input_ids": [101] * 64}, r"begins with the id 101.*2, \[CLS\].*give the vocabulary"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_record_that_cannot_be_meant_is_named(albert, records, tmp_path, case):
    features, message = BAD[case]
    bad = tmp_path / "bad.tfrecord"
    bad.write_bytes(b"".join(map(frame, [*records[:3], changed(records[3], **features), *records[4:]])))
    with pytest.raises(DataError, match=rf"(?s){message}") as error:
        import_records(bad, albert["vocab"], tmp_path / "data", length=64)
    assert error.value.where == f"{bad}, record 3"
    assert error.value.expected
    assert [path.name for path in tmp_path.iterdir()] == ["bad.tfrecord"]


@pytest.mark.parametrize(
    "features, message",
    [
        ({"masked_lm_weights": None}, r"no masked_lm_weights.*as ALBERT's records have"),
        ({"input_mask": None}, r"no input_mask"),
        (dict.fromkeys((*FEATURES, "token_boundary", *STATIC_MASKS)), r"no input_ids, no input_mask, no segment_ids"),
        ({"token_boundary": [0] * 63}, r"63 token_boundary.*64 of each"),
        ({"masked_lm_ids": [1] * 9}, r"10 masked_lm_positions, 9 masked_lm_ids.*as many of"),
    ],
)
def test_a_first_record_is_held_to_the_features_that_albert_writes(albert, records, tmp_path, features, message):
    bad = tmp_path / "bad.tfrecord"
    bad.write_bytes(frame(changed(records[0], **features)))
    for make in (
        DataSet.from_records,
        lambda path, **options: import_records(path, output=tmp_path / "data", **options),
    ):
        with pytest.raises(DataError, match=rf"(?s){message}") as error:
            make(bad, vocab=albert["vocab"], length=64)
        assert error.value.where == f"{bad}, record 0"


def test_records_of_another_length_are_refused_with_a_remedy(albert, tmp_path):
    for make in (DataSet.from_records, lambda pattern, **options: import_records(pattern, output=tmp_path, **options)):
        with pytest.raises(DataError, match=r"(?s)64 input_ids, .*128 of each.*give the length"):
            make(**albert | {"length": 128})


def test_files_of_two_kinds_are_refused_by_name(albert, records, tmp_path):
    bare = changed(records[0], **dict.fromkeys(("token_boundary", *STATIC_MASKS, ORDER)))
    for name, record in {"a": records[0], "b": bare}.items():
        (tmp_path / f"{name}.tfrecord").write_bytes(frame(record))
    with pytest.raises(DataError, match=r"(?s)b\.tfrecord, record 0.*as in .*a\.tfrecord, record 0.*one kind"):
        DataSet.from_records(tmp_path / "*.tfrecord", vocab=albert["vocab"], length=64)


def test_what_is_no_example_is_named(albert, records, tmp_path):
    (tmp_path / "bad.tfrecord").write_bytes(frame(records[0]) + frame(b"text"))
    with pytest.raises(DataError, match=r"(?s)no tf\.train\.Example.*bad\.tfrecord, record 1"):
        import_records(tmp_path / "bad.tfrecord", albert["vocab"], tmp_path / "data", length=64)


def test_a_file_cut_short_leaves_no_output(albert, tmp_path):
    (tmp_path / "cut.tfrecord").write_bytes(albert["pattern"].read_bytes()[:-9])
    with pytest.raises(DataError, match=r"(?s)cut short.*record 112,"):
        import_records(tmp_path / "cut.tfrecord", albert["vocab"], tmp_path / "data", length=64)
    assert [path.name for path in tmp_path.iterdir()] == ["cut.tfrecord"]


def test_files_that_are_not_there_or_empty_are_an_error(albert, tmp_path):
    with pytest.raises(InputError, match="no file matches"):
        import_records(tmp_path / "*.tfrecord", albert["vocab"], tmp_path / "data", length=64)
    (tmp_path / "a.tfrecord").touch()
    with pytest.raises(DataError, match="no records"):
        import_records(tmp_path / "*.tfrecord", albert["vocab"], tmp_path / "data", length=64)


def test_an_existing_output_is_not_touched(albert, imported):
    _, folder = imported
    before = (folder / FILE_NAME).read_bytes()
    with pytest.raises(OutputError, match="already exists"):
        import_records(albert["pattern"], albert["vocab"], folder, length=64, held_out=0.3)
    assert import_records(albert["pattern"], albert["vocab"], folder, length=64) == imported[0]  # it is that one
    assert (folder / FILE_NAME).read_bytes() == before


def test_an_output_that_cannot_be_written_is_named(albert, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"(?s)cannot write.*file.*a copy of the records"):
        import_records(albert["pattern"], albert["vocab"], tmp_path / "file" / "data", length=64)
