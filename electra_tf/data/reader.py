"""Reading a data set as `tf.data`: another order in every epoch, and any position found again by its step.

The order is a function of (seed, epoch): shards are permuted, and so are the records of each. Epochs follow
one another without a gap, so step k takes the examples k * batch_size .. (k + 1) * batch_size - 1 of an
endless sequence. To start there, whole shards are skipped by their counts; no iterator is ever saved.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np

from electra_tf.data.corpus import expand
from electra_tf.data.examples import FEATURES, decode
from electra_tf.data.manifest import VOCAB_FOLDER, Manifest, Shard, Split, describe_tokenizer, read_manifest
from electra_tf.data.records import read_records, scan
from electra_tf.data.shuffling import permutation
from electra_tf.errors import DataError

_SHARDS, _RECORDS = 0, 1  # what is permuted
_PARSED_AT_ONCE = 1024  # examples; one by one, parsing takes five times as long
_READ_BUFFER = 8 << 20
_COUNTED = 20_000  # examples that the tokens' frequencies are taken from


class DataSet:
    """Pre-training examples on disk: made by `electra-tf data`, or by Google's scripts (`from_records`).

    Attributes:
        manifest: counts, tokenizer and packing; a `Manifest`.
        folder: where the shards are.
        vocab: the folder or file of the tokenizer.
    """

    def __init__(self, manifest: Manifest, folder: Path, vocab: Path):
        self.manifest, self.folder, self.vocab = manifest, folder, vocab

    @classmethod
    def open(cls, path: str | Path) -> "DataSet":
        """Raises: `DataError` where there is no manifest, or a shard is missing or has another size."""
        folder = Path(path)
        manifest = read_manifest(folder)
        for shard in manifest.shards:
            file = folder / shard.name
            if not file.is_file():
                raise DataError("a shard is missing", where=file, remedy="copy the data set again, whole")
            if file.stat().st_size != shard.bytes:
                scan(file)
                raise DataError(
                    f"a shard has {file.stat().st_size:,} bytes",
                    where=file,
                    expected=f"{shard.bytes:,} bytes, by the manifest",
                    remedy="copy the data set again, or build it again",
                )
        return cls(manifest, folder, folder / VOCAB_FOLDER)

    @classmethod
    def from_records(cls, pattern: str | Path, *, vocab: str | Path, length: int) -> "DataSet":
        """Opens TFRecords in Google's format that have no manifest, and reads them once to count them.

        Args:
            pattern: files, as `corpus.expand` takes them; all are the split "train".
            vocab: the tokenizer's folder or file they were made with.
            length: tokens of every example.

        Raises: `DataError` for damaged records, and where the first does not fit `length` or the vocabulary.
        """
        from electra_tf.text.tokenizer import Tokenizer

        tokenizer = Tokenizer.from_pretrained(vocab)
        shards = []
        for path in expand([pattern]):
            _check_first_record(path, length, tokenizer)
            examples = scan(path)
            shards.append(Shard(str(path.absolute()), "train", examples, None, path.stat().st_size, None))
        total = sum(shard.examples for shard in shards)
        if not total:
            raise DataError("there are no records", where=pattern, expected="TFRecords of examples")
        splits = {"train": Split(examples=total), "held_out": Split(examples=0)}
        manifest = Manifest(length, describe_tokenizer(tokenizer), {}, {}, splits, tuple(shards))
        return cls(manifest, Path(), Path(vocab))

    def tokenizer(self):
        from electra_tf.text.tokenizer import Tokenizer

        return Tokenizer.from_pretrained(self.vocab)

    def files(self, split: str) -> list[Path]:
        return [self.folder / shard.name for shard in self._shards(split)]

    def batches(self, batch_size: int, *, seed: int, start_step: int = 0, split: str = "train", repeat: bool = True):
        """Shuffled batches without end, the same for every host and any number of devices.

        Args:
            batch_size: rows of the global batch.
            seed: of the order; a non-negative integer.
            start_step: how many batches to leave out at the beginning.
            split: "train" or "held_out".
            repeat: if not, there is one epoch, and its last batch may be smaller.

        Returns: a `tf.data.Dataset` of dicts of int32 `[batch_size, length]`: `input_ids`, `input_mask`,
            `segment_ids`. Iterate it within `damage_named`.

        Raises: `DataError` where the split is empty.
        """
        import tensorflow as tf

        shards = self._shards(split)
        order = tf.data.Dataset.from_generator(
            lambda: self._order(shards, seed, start_step * batch_size, repeat),
            output_signature=(tf.TensorSpec([], tf.string), tf.TensorSpec([None], tf.int64)),
        )

        def read(path, records):
            shard = tf.data.TFRecordDataset(path, buffer_size=_READ_BUFFER).batch(1 << 40).get_single_element()
            chunks = tf.data.Dataset.from_tensor_slices(records).batch(_PARSED_AT_ONCE)
            return chunks.map(lambda chunk: self._parse(tf.gather(shard, chunk)))

        batches = order.flat_map(read).rebatch(batch_size, drop_remainder=repeat).prefetch(2)
        options = tf.data.Options()
        options.deterministic = True
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        return batches.with_options(options)

    def examples(self, split: str = "held_out", *, limit: int | None = None) -> dict[str, np.ndarray]:
        """A split, or its first `limit` examples, in the order of the files: int32 `[examples, length]`.

        Raises: `DataError` where the split is empty or a record is damaged.
        """
        import tensorflow as tf

        files = [str(path) for path in self.files(split)]
        records = tf.data.TFRecordDataset(files, buffer_size=_READ_BUFFER)
        records = records.take(-1 if limit is None else limit).batch(_PARSED_AT_ONCE)
        with damage_named(self, split):
            chunks = [self._parse(chunk) for chunk in records]
        return {name: np.concatenate([chunk[name].numpy() for chunk in chunks]) for name in FEATURES}

    @cached_property
    def frequencies(self) -> np.ndarray:
        """Each token's share in the training text, float64 `[V]`, from up to 20,000 examples of it; none is 0.

        Half an occurrence is added to every token's; special tokens are not counted, padding neither.
        """
        size, ids = self.manifest.tokenizer["vocabulary_size"], self.manifest.tokenizer
        counts = np.zeros(size)
        with damage_named(self, "train"):
            for batch in self.batches(_PARSED_AT_ONCE, seed=0, repeat=False).take(-(-_COUNTED // _PARSED_AT_ONCE)):
                counts += np.bincount(batch["input_ids"].numpy().ravel(), minlength=size)
        counts[[ids["pad_id"], ids["cls_id"], ids["sep_id"]]] = 0
        return (counts + 0.5) / (counts + 0.5).sum()

    def _parse(self, records):
        import tensorflow as tf

        feature = tf.io.FixedLenFeature([self.manifest.length], tf.int64)
        parsed = tf.io.parse_example(records, dict.fromkeys(FEATURES, feature))
        return {name: tf.cast(values, tf.int32) for name, values in parsed.items()}

    def _shards(self, split):
        shards = [shard for shard in self.manifest.shards_of(split) if shard.examples]
        if not shards:
            raise DataError(
                f"the split {split!r} is empty",
                where=self.folder,
                remedy="build the data with --held_out above 0" if split == "held_out" else "build the data again",
            )
        return shards

    def _order(self, shards, seed, start, repeat) -> Iterator[tuple[str, np.ndarray]]:
        """From the example at `start` on: each file, and which of its records to take, in order."""
        counts = [shard.examples for shard in shards]
        epoch, skipped = divmod(start, sum(counts))
        while repeat or epoch == 0:
            for number in permutation(len(shards), seed, epoch, _SHARDS):
                if skipped < counts[number]:
                    records = permutation(counts[number], seed, epoch, _RECORDS, int(number))
                    yield str(self.folder / shards[number].name), records[skipped:]
                skipped = max(0, skipped - counts[number])
            epoch += 1


@contextmanager
def damage_named(dataset: DataSet, split: str) -> Iterator[None]:
    """Within it, TensorFlow's word of a damaged record becomes a `DataError` that names file and record."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.DataLossError as error:
        raise explain_damage(dataset, split) from error


def explain_damage(dataset: DataSet, split: str) -> DataError:
    """The error for a split that TensorFlow could not read: its first damaged record."""
    for path in dataset.files(split):
        try:
            scan(path)
        except DataError as error:
            return error
    return DataError(
        "a record could not be read, but all can be now",
        where=dataset.folder,
        remedy="check the disk, and start again",
    )


def _check_first_record(path, length, tokenizer):
    record = next(read_records(path), None)
    if record is None:  # Google's builder leaves empty files.
        return
    features = decode(record)
    sizes = {name: len(features.get(name, ())) for name in FEATURES}
    if set(sizes.values()) != {length}:
        raise DataError(
            f"a record holds {', '.join(f'{size} {name}' for name, size in sizes.items())}",
            where=f"{path}, record 0",
            expected=f"{length} of each",
            remedy="give the length the records were made with",
        )
    if features["input_ids"].max() >= len(tokenizer):
        raise DataError(
            f"a record holds the id {features['input_ids'].max()}",
            where=f"{path}, record 0",
            expected=f"ids below {len(tokenizer)}, the size of the vocabulary",
            remedy="give the vocabulary the records were made with",
        )
