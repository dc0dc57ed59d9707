"""Reading a data set as `tf.data`: another order in every epoch, and any position found again by its step.

The order is a function of (seed, epoch): shards are permuted, and so are the records of each. Epochs follow
one another without a gap, so step k takes the examples k * batch_size .. (k + 1) * batch_size - 1 of an
endless sequence. To start there, whole shards are skipped by their counts; no iterator is ever saved.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np

from electra_tf.data.corpus import expand
from electra_tf.data.examples import ORDER, WEIGHTS
from electra_tf.data.google_records import RecordCheck
from electra_tf.data.manifest import VOCAB_FOLDER, Manifest, Shard, Split, describe_tokenizer, read_manifest
from electra_tf.data.randomness import permutation
from electra_tf.data.records import read_records, scan
from electra_tf.errors import DataError, ElectraTFError

_SHARDS, _RECORDS = 0, 1  # what is permuted
_PARSED_AT_ONCE = 1024  # examples; one by one, parsing takes five times as long
_READ_BUFFER = 8 << 20
_WORTH_SAYING = 2e9  # bytes, that are verified in some seconds
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
        dataset = cls(manifest, folder, folder / VOCAB_FOLDER)
        for shard in manifest.shards:
            dataset._check_size(shard)
        return dataset

    @classmethod
    def from_records(cls, pattern: str | Path, *, vocab: str | Path, length: int) -> "DataSet":
        """Opens TFRecords of Google's ELECTRA or ALBERT, which have no manifest, and reads them once to count them.

        The first record of each file is checked; all are by `import_google_records.import_records`, which makes a data
        set.

        Args:
            pattern: files, as `corpus.expand` takes them; all are the split "train".
            vocab: the tokenizer's folder or file they were made with.
            length: tokens of every example.

        Raises: `DataError` for damaged records, where a first one does not fit `length` or the vocabulary, and
        where they are of several kinds.
        """
        from electra_tf.text.tokenizer import Tokenizer

        tokenizer = Tokenizer.from_pretrained(vocab)
        shards, check = [], RecordCheck(length, tokenizer)
        for path in expand([pattern]):
            for record in islice(read_records(path), 1):  # Google's builder leaves empty files.
                check(record, f"{path}, record 0")
            examples = scan(path)
            shards.append(Shard(str(path.absolute()), "train", examples, None, path.stat().st_size, None))
        total = sum(shard.examples for shard in shards)
        if not total:
            raise DataError(
                "there are no records",
                where=pattern,
                expected="TFRecords of examples",
                remedy="name files that hold some, as `electra-tf data` writes them",
            )
        splits = {"train": Split(examples=total), "held_out": Split(examples=0)}
        manifest = Manifest(length, describe_tokenizer(tokenizer), {}, {}, splits, tuple(shards), check.features)
        return cls(manifest, Path(), Path(vocab))

    @cached_property
    def tokenizer(self):
        """The vocabulary that the ids are of, a `Tokenizer`."""
        from electra_tf.text.tokenizer import Tokenizer

        return Tokenizer.from_pretrained(self.vocab)

    @cached_property
    def identity(self) -> str:
        """A hash of what the data set holds: its tokenizer and every shard."""
        shards = [(s.name, s.split, s.examples, s.bytes, s.sha256) for s in self.manifest.shards]
        content = json.dumps([self.manifest.tokenizer["fingerprint"], self.manifest.length, shards])
        return hashlib.sha256(content.encode()).hexdigest()

    @property
    def facts(self) -> dict:
        """What a run keeps of its data: path, length, and counts of the training split."""
        train = self.manifest.splits["train"]
        counts = {"examples": train.examples, "tokens": train.tokens, "fill_rate": train.fill_rate}
        return {"path": str(self.folder), "length": self.manifest.length, **counts}

    def stretch(self, rows: int, *, seed: int, step: int) -> tuple[int, float]:
        """(tokens of a row at a step, for how many steps from there it stays so): all rows have one length."""
        return self.manifest.length, math.inf

    def verify(self, say=print) -> None:
        """Reads every shard once, about 1 GB a second on two cores: other bytes would be trained on without a word.

        Raises: `DataError` for a shard that is missing or is not the one that the manifest describes.
        """
        size = sum(shard.bytes for shard in self.manifest.shards if shard.sha256)
        if size >= _WORTH_SAYING:
            say(f"verifying {size / 1e9:.1f} GB of data in {self.folder}")
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            for _ in pool.map(self._check_content, self.manifest.shards):
                pass

    def _check_size(self, shard):
        file = self.folder / shard.name
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

    def _check_content(self, shard):
        self._check_size(shard)
        if shard.sha256 is None:
            return
        path = self.folder / shard.name
        try:
            with open(path, "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DataError(
                f"a shard cannot be read: {error.strerror}",
                where=path,
                remedy="check that you may read it; where it is missing, copy the data set again",
            ) from error
        if found != shard.sha256:
            scan(path)
            raise DataError(
                f"a shard holds other examples: sha256 {found[:12]}",
                where=path,
                expected=f"{shard.sha256[:12]}, by the manifest",
                remedy="copy the data set again, or build it again",
            )

    def explain_damage(self, error: Exception) -> Exception:
        """The error for training examples that TensorFlow could not read; see `explain_damage`."""
        return explain_damage(self, "train", error)

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
            `segment_ids`; where the manifest's `features` name them, `next_sentence_labels` int32 `[batch_size]`,
            `masked_lm_positions` and `masked_lm_ids` int32 `[batch_size, P]`, `masked_lm_weights` float32
            `[batch_size, P]`. Iterate it within `damage_named`.

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
        """A split, or its first `limit` examples, in the order of the files: arrays as those of `batches`.

        Raises: `DataError` where the split is empty or a record is damaged.
        """
        import tensorflow as tf

        files = [str(path) for path in self.files(split)]
        records = tf.data.TFRecordDataset(files, buffer_size=_READ_BUFFER)
        records = records.take(-1 if limit is None else limit).batch(_PARSED_AT_ONCE)
        with damage_named(self, split):
            chunks = [self._parse(chunk) for chunk in records]
        return {name: np.concatenate([chunk[name].numpy() for chunk in chunks]) for name in self.manifest.features}

    @cached_property
    def frequencies(self) -> np.ndarray:
        """Each token's share in the training text, float64 `[V]`, from up to 20,000 examples of it; none is 0.

        Half an occurrence is added to every token's; special tokens are not counted, padding neither.
        """
        size, ids = self.manifest.tokenizer["vocabulary_size"], self.manifest.tokenizer
        counts = np.zeros(size)
        with damage_named(self, "train"):
            for batch in self.batches(_PARSED_AT_ONCE, seed=0, repeat=False).take(-(-_COUNTED // _PARSED_AT_ONCE)):
                counts += np.bincount(_unmasked(batch).ravel(), minlength=size)
        counts[[ids["pad_id"], ids["cls_id"], ids["sep_id"]]] = 0
        return (counts + 0.5) / (counts + 0.5).sum()

    def _parse(self, records):
        import tensorflow as tf

        kinds = {name: tf.float32 if name == WEIGHTS else tf.int64 for name in self.manifest.features}
        features = {n: tf.io.FixedLenFeature([size], kinds[n]) for n, size in self.manifest.features.items()}
        batch = tf.io.parse_example(records, features)
        ids = self.manifest.tokenizer["vocabulary_size"]
        ends = {"input_ids": ids, "masked_lm_ids": ids, "masked_lm_positions": self.manifest.length}
        for name, values in batch.items():
            if name != WEIGHTS:  # a GPU looks up any id, and says nothing
                tf.debugging.assert_non_negative(values)
                tf.debugging.assert_less(values, tf.constant(ends.get(name, 2), tf.int64))
        batch = {name: values if name == WEIGHTS else tf.cast(values, tf.int32) for name, values in batch.items()}
        return batch | ({ORDER: batch[ORDER][:, 0]} if ORDER in batch else {})

    def _shards(self, split):
        shards = [shard for shard in self.manifest.shards_of(split) if shard.examples]
        if not shards:
            raise DataError(
                f"the split {split!r} is empty",
                where=self.folder,
                expected="examples in it",
                remedy=f"build the data again{', with --held_out above 0' if split == 'held_out' else ''}",
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


def _unmasked(batch):
    """The ids of a batch, with what stood at masked positions where masks are stored."""
    ids = batch["input_ids"].numpy()
    if WEIGHTS in batch:
        rows, columns = np.nonzero(batch[WEIGHTS].numpy())
        positions, masked = (batch[name].numpy()[rows, columns] for name in ("masked_lm_positions", "masked_lm_ids"))
        ids[rows, positions] = masked
    return ids


@contextmanager
def damage_named(dataset: DataSet, split: str) -> Iterator[None]:
    """Within it, TensorFlow's word of a damaged record becomes a `DataError` that names file and record."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        raise explain_damage(dataset, split, error) from error.__cause__


def explain_damage(dataset: DataSet, split: str, error: Exception) -> Exception:
    """What TensorFlow's error over a split means: a `DataError` that names its first shard or record that is not what
    it should be; where there is none, the error itself.
    """
    import tensorflow as tf

    of_data = ("DataLossError", "InvalidArgumentError", "NotFoundError", "OutOfRangeError", "PermissionDeniedError")
    if not isinstance(error, tuple(getattr(tf.errors, name) for name in of_data)):
        return error
    check = RecordCheck(dataset.manifest.length, dataset.tokenizer)
    for shard in dataset.manifest.shards_of(split):
        path = dataset.folder / shard.name
        try:
            dataset._check_content(shard)
            count = 0
            for record in read_records(path):
                check(record, f"{path}, record {count}")
                count += 1
        except ElectraTFError as damage:
            return damage
        if count != shard.examples:
            return DataError(
                f"a shard holds {count:,} examples",
                where=path,
                expected=f"{shard.examples:,}, by the manifest",
                remedy="copy the data set again, or build it again",
            )
    if not isinstance(error, tf.errors.DataLossError):
        return error
    return DataError(
        "a record could not be read, but all can be now",
        where=dataset.folder,
        remedy="check the disk, and start again",
    )
