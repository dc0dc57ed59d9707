"""Reading a data set: batches are a function of seed and step, and damage is named by file and record."""

import dataclasses
import hashlib
import itertools
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from electra_tf.data.examples import FEATURES, decode
from electra_tf.data.reader import DataSet, damage_named, explain_damage
from electra_tf.data.records import frame, read_records
from electra_tf.errors import DataError, InputError


def take(dataset, count, *args, **options):
    """The ids of `count` batches."""
    batches = dataset.batches(*args, **options)
    return [batch["input_ids"].numpy() for batch in itertools.islice(batches, count)]


def rows(batches):
    return [row.tobytes() for batch in batches for row in batch]


@pytest.fixture
def dataset(data):
    return DataSet.open(data)


@pytest.fixture
def size(dataset):
    return dataset.manifest.splits["train"].examples


def test_batches_hold_what_the_records_hold(dataset):
    batch = next(iter(dataset.batches(7, seed=0)))
    assert sorted(batch) == sorted(FEATURES)
    assert all(values.shape == (7, 64) and values.dtype == "int32" for values in batch.values())
    records = {
        example["input_ids"].astype(np.int32).tobytes(): example
        for path in dataset.files("train")
        for example in map(decode, read_records(path))
    }
    for i, ids in enumerate(batch["input_ids"].numpy()):
        assert all(np.array_equal(records[ids.tobytes()][name], batch[name][i]) for name in FEATURES)


def test_an_epoch_holds_every_example_once(dataset, size):
    found = rows(take(dataset, None, 50, seed=1, repeat=False))
    assert len(found) == size
    assert sorted(found) == sorted(row.tobytes() for row in dataset.examples("train")["input_ids"])


def test_epochs_follow_without_a_gap_each_in_another_order(dataset, size):
    found = rows(take(dataset, 3 * size // 16 + 1, 16, seed=1))
    first, second, third = (found[i * size : (i + 1) * size] for i in range(3))
    assert sorted(first) == sorted(second) == sorted(third)
    assert first != second != third


@pytest.mark.slow
def test_the_order_is_a_shuffle_within_and_among_shards(dataset, size):
    place = {row.tobytes(): i for i, row in enumerate(dataset.examples("train")["input_ids"])}
    order = [place[row] for row in rows(take(dataset, None, 50, seed=1, repeat=False))]
    shards = [shard.examples for shard in dataset.manifest.shards_of("train")]
    first = order[: shards[0]]
    assert np.mean(np.diff(first) == 1) < 0.02
    starts = {np.searchsorted(np.cumsum(shards), take_first(dataset, place, seed), "right") for seed in range(12)}
    assert len(starts) > 1


def take_first(dataset, place, seed):
    return place[rows(take(dataset, 1, 1, seed=seed))[0]]


def test_the_order_depends_on_the_seed_alone(dataset):
    assert np.array_equal(take(dataset, 9, 16, seed=3), take(dataset, 9, 16, seed=3))
    assert not np.array_equal(take(dataset, 9, 16, seed=3), take(dataset, 9, 16, seed=4))


@pytest.mark.parametrize("batch_size", [1, 16, 333])
def test_a_start_at_any_step_gives_the_batches_that_would_have_followed(dataset, size, batch_size):
    steps = 2 * size // batch_size
    whole = take(dataset, steps + 2, batch_size, seed=5)
    for step in {0, 1, steps // 3, size // batch_size, size // batch_size + 1, steps}:
        assert np.array_equal(take(dataset, 2, batch_size, seed=5, start_step=step), whole[step : step + 2])


def test_batches_may_be_larger_than_the_data(dataset, size):
    (batch,) = take(dataset, 1, 2 * size + 1, seed=0)
    counts = np.unique(rows([batch]), return_counts=True)[1]
    assert counts.min() >= 2 and counts.sum() == 2 * size + 1


@pytest.mark.slow
def test_another_process_reads_the_same_batches(dataset, data):
    code = (
        "import sys, hashlib; from electra_tf.data.reader import DataSet\n"
        "batch = next(iter(DataSet.open(sys.argv[1]).batches(8, seed=2, start_step=40)))\n"
        "print(hashlib.sha256(batch['input_ids'].numpy().tobytes()).hexdigest())"
    )
    there = subprocess.run([sys.executable, "-c", code, data], capture_output=True, text=True, check=True).stdout
    here = take(dataset, 1, 8, seed=2, start_step=40)[0]
    assert there.strip() == hashlib.sha256(here.tobytes()).hexdigest()


def test_examples_come_in_the_order_of_the_files_and_may_be_limited(dataset):
    found = dataset.examples("held_out", limit=5)
    records = itertools.islice(read_records(dataset.files("held_out")[0]), 5)
    for i, example in enumerate(map(decode, records)):
        assert all(np.array_equal(found[name][i], example[name]) for name in FEATURES)
    assert len(found["input_ids"]) == 5
    assert len(dataset.examples("held_out")["input_ids"]) == dataset.manifest.splits["held_out"].examples


def test_an_empty_split_is_an_error_with_a_remedy(dataset):
    dataset.manifest = dataclasses.replace(dataset.manifest, shards=dataset.manifest.shards_of("train"))
    with pytest.raises(DataError, match=r"(?s)'held_out' is empty.*--held_out"):
        dataset.examples("held_out")


def test_the_vocabulary_comes_with_the_data(dataset):
    assert dataset.tokenizer.fingerprint == dataset.manifest.tokenizer["fingerprint"]


# Damage


def test_a_flipped_bit_is_named_by_file_and_record(dataset):
    path = dataset.files("train")[1]
    records = list(read_records(path))
    offset = sum(len(frame(record)) for record in records[:10])
    content = bytearray(path.read_bytes())
    content[offset + 100] ^= 4
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{path.name}, record 10, byte {offset}\b"), damage_named(dataset, "train"):
        for _ in dataset.batches(64, seed=0, repeat=False):
            pass


def test_examples_name_damage_too(dataset):
    path = dataset.files("held_out")[0]
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{path.name}, record"):
        dataset.examples("held_out")


def test_a_shard_cut_short_is_named_by_file_and_record_when_opened(dataset, data):
    path = dataset.files("train")[0]
    records = list(read_records(path))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match=rf"(?s)cut short.*{path.name}, record {len(records) - 1},"):
        DataSet.open(data)


def test_a_shard_with_a_record_too_few_is_named_when_opened(dataset, data):
    path = dataset.files("train")[0]
    path.write_bytes(b"".join(map(frame, list(read_records(path))[:-1])))
    with pytest.raises(DataError, match=rf"(?s)bytes.*{path.name}.*by the manifest"):
        DataSet.open(data)


def test_a_missing_shard_is_named_when_opened(dataset, data):
    path = dataset.files("train")[2]
    path.unlink()
    with pytest.raises(DataError, match=rf"(?s)missing.*{path.name}"):
        DataSet.open(data)


def test_damage_that_has_gone_is_said_to_be_gone(dataset):
    gone = tf.errors.DataLossError(None, None, "")
    assert "all can be now" in str(explain_damage(dataset, "train", gone))


def test_what_is_no_matter_of_the_data_stays_what_it_is(dataset):
    for kind in (tf.errors.InvalidArgumentError, tf.errors.ResourceExhaustedError):
        error = kind(None, None, "")
        assert explain_damage(dataset, "train", error) is error


def _encode(example):
    features = {name: {"int64_list": {"value": values.tolist()}} for name, values in example.items()}
    return tf.train.Example(features={"feature": features}).SerializeToString()


def _rewritten(dataset, change, number=0):
    """Writes a shard anew, records changed; its manifest as if it had been so from the first."""
    path = dataset.files("train")[number]
    records = change([decode(record) for record in read_records(path)])
    content = b"".join(map(frame, map(_encode, records)))
    path.write_bytes(content)
    shards = [
        dataclasses.replace(shard, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        if shard.name == path.name
        else shard
        for shard in dataset.manifest.shards
    ]
    dataset.manifest = dataclasses.replace(dataset.manifest, shards=tuple(shards))
    return path


def test_records_in_another_order_are_found_by_the_checksum(dataset):
    dataset.verify()
    path = dataset.files("train")[1]
    path.write_bytes(b"".join(map(frame, list(read_records(path))[::-1])))
    with pytest.raises(DataError, match=rf"(?s)holds other examples.*{path.name}.*by the manifest"):
        dataset.verify()


def test_a_flipped_bit_is_named_by_its_record_when_verified(dataset):
    path = dataset.files("held_out")[0]
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{path.name}, record"):
        dataset.verify()


def test_a_shard_that_vanishes_or_changes_while_it_is_read_is_named(dataset):
    path = dataset.files("train")[2]
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(DataError, match=rf"(?s)missing.*{path.name}"), damage_named(dataset, "train"):
        list(dataset.batches(64, seed=0, repeat=False))
    path.write_bytes(content[: len(frame(next(read_records(dataset.files("train")[0]))))])
    with pytest.raises(DataError, match=rf"{path.name}"), damage_named(dataset, "train"):
        list(dataset.batches(64, seed=0, repeat=False))


@pytest.mark.parametrize(
    "name, value, words",
    [("input_ids", 10**6, "holds the id 1000000"), ("input_ids", -1, "holds the id -1"), ("segment_ids", 7, "to 7")],
)
def test_ids_that_cannot_be_looked_up_are_named_by_file_and_record(dataset, name, value, words):
    def spoil(examples):
        examples[3][name] = examples[3][name].copy()
        examples[3][name][5] = value
        return examples

    path = _rewritten(dataset, spoil)
    dataset.verify()
    with pytest.raises(DataError, match=rf"(?s){words}.*{path.name}, record 3"), damage_named(dataset, "train"):
        list(dataset.batches(64, seed=0, repeat=False))


def test_fewer_records_than_the_manifest_says_are_named(dataset):
    path = _rewritten(dataset, lambda examples: examples[:-1])
    with pytest.raises(DataError, match=rf"(?s)a shard holds .* examples.*{path.name}"), damage_named(dataset, "train"):
        list(dataset.batches(64, seed=0, repeat=False))


# Records made elsewhere


@pytest.fixture
def foreign(tmp_path, dataset):
    """Files as the original builder names them, by TensorFlow's own writer; one is empty."""
    import tensorflow as tf

    examples = dataset.examples("held_out")
    for i in range(3):
        with tf.io.TFRecordWriter(str(tmp_path / f"pretrain_data.tfrecord-{i}-of-1000")) as writer:
            for row in range(i, len(examples["input_ids"]), 2) if i < 2 else ():
                message = tf.train.Example()
                for name in FEATURES:
                    message.features.feature[name].int64_list.value.extend(examples[name][row].tolist())
                writer.write(message.SerializeToString())
    return tmp_path / "pretrain_data.tfrecord-*"


def test_google_records_are_read_without_a_manifest(foreign, dataset, vocab):
    found = DataSet.from_records(foreign, vocab=vocab, length=64)
    ours = rows([dataset.examples("held_out")["input_ids"]])
    assert sorted(rows([found.examples("train")["input_ids"]])) == sorted(ours)
    assert found.manifest.splits["train"].examples == len(ours)
    assert sorted(rows(take(found, None, 10, seed=0, repeat=False))) == sorted(ours)


def test_google_records_of_another_length_are_refused(foreign, vocab):
    with pytest.raises(DataError, match=r"(?s)64 input_ids.*128 of each"):
        DataSet.from_records(foreign, vocab=vocab, length=128)


def test_google_records_of_a_larger_vocabulary_are_refused(foreign, tmp_path):
    small = tmp_path / "small.txt"
    small.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n")
    with pytest.raises(DataError, match=r"(?s)holds the id.*ids below 6"):
        DataSet.from_records(foreign, vocab=small, length=64)


def test_google_records_that_are_damaged_are_named(foreign, vocab):
    path = foreign.with_name("pretrain_data.tfrecord-1-of-1000")
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"(?s)cut short.*tfrecord-1-of-1000, record"):
        DataSet.from_records(foreign, vocab=vocab, length=64)


def test_google_records_that_are_not_there_are_an_error(tmp_path, vocab):
    with pytest.raises(InputError, match="no file matches"):
        DataSet.from_records(tmp_path / "*.tfrecord", vocab=vocab, length=64)
    (tmp_path / "a.tfrecord").touch()
    with pytest.raises(DataError, match="no records"):
        DataSet.from_records(tmp_path / "*.tfrecord", vocab=vocab, length=64)
