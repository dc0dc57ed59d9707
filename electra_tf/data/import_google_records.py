"""TFRecords made elsewhere as a data set of this library: every record checked, and copied as it is, in its order.

A copy, not a list of places: a data set is whole wherever it is moved to, and what becomes of the other files does
not matter to it.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from electra_tf.data.corpus import expand, size_on_disk
from electra_tf.data.google_records import RecordCheck
from electra_tf.data.manifest import SPLITS, VOCAB_FOLDER, Manifest, Shard, Split, describe_tokenizer
from electra_tf.data.progress import Progress, Reporter
from electra_tf.data.records import frame, read_records, scan
from electra_tf.data.work_folder import file_sha256, made_before, work_folder, work_name
from electra_tf.errors import ConfigError, DataError
from electra_tf.files import put

_ROOM = "a copy of the records"


def import_records(
    records: str | Path | Sequence[str | Path],
    vocab: str | Path,
    output: str | Path,
    *,
    length: int,
    held_out: float = 0.0,
    shard_examples: int = 50_000,
    progress: Callable[[Progress], None] | None = None,
) -> Manifest:
    """Makes a data set of TFRecords of Google's ELECTRA or ALBERT, in a new folder.

    Args:
        records: files and glob patterns; read in the order of their paths.
        vocab: the tokenizer's folder or file they were made with.
        output: a folder that does not exist or is empty. Where it holds the very data set that is asked for, of the
            same records by the same settings, and whole, nothing is done.
        length: tokens of every example.
        held_out: this share of the records, the last ones, goes to the split "held_out": of two or more, at least one,
            unless this is 0. ALBERT's hold a text several times, with other masks, and do not say which are of one: it
            is trained on, too, unless the last records are of another.
        shard_examples: examples of a shard. A reader holds one shard in memory; Google's scripts may write one file.
        progress: called now and then.

    Raises: `DataError` that names the first record that is damaged, of another kind or length, or with ids that the
    vocabulary does not have; `ConfigError`; `InputError`; `OutputError`.
    """
    from electra_tf.text.tokenizer import Tokenizer

    began = time.monotonic()
    if not 0 <= held_out < 1:
        raise ConfigError(
            f"held_out is {held_out!r}",
            where="--held_out",
            expected="a share: 0 or more, below 1",
            remedy="keep a hundredth, by --held_out 0.01, or leave it out",
        )
    patterns = [records] if isinstance(records, str | Path) else records
    # Google's builder leaves empty files.
    output = Path(output).resolve()  # a link stays, and leads to the data
    paths = [path for path in expand(patterns, apart_from=[output, work_name(output)]) if size_on_disk(path)]
    if not paths:
        raise DataError(
            "there are no records",
            where=", ".join(map(str, patterns)),
            expected="TFRecords of examples",
            remedy="give other files: all of these are empty",
        )
    tokenizer = Tokenizer.from_pretrained(vocab)
    report = Reporter(progress, began, sum(map(size_on_disk, paths)))
    settings = json.dumps([length, held_out, shard_examples, tokenizer.fingerprint])
    settings = hashlib.sha256(settings.encode()).hexdigest()
    if there := made_before(output, tokenizer.fingerprint, settings, lambda: _content(paths), room=_ROOM):
        report("start")
        report("there")
        return there
    check, copies, read = RecordCheck(length, tokenizer), [], 0
    with work_folder(output, room=_ROOM) as work:
        folder = work / "records"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        sizes = _sizes(sum(map(scan, paths)), held_out)
        report("start")
        for copy in _copies(paths, sizes, folder, check, shard_examples):
            copies.append(copy)
            read += copy.shard.bytes
            report("units", copy.shard.name, done=read, text_bytes=copy.shard.bytes)
        manifest = Manifest(
            length=length,
            tokenizer=describe_tokenizer(tokenizer),
            packing={"packing": "as given", "held_out": held_out},
            input={"files": len(paths), "bytes": read, "sha256": {"settings": settings, "text": _content(paths)}},
            splits={split: _split([copy for copy in copies if copy.shard.split == split], length) for split in SPLITS},
            shards=tuple(copy.shard for copy in copies),
            features=check.features,
        )
        tokenizer.save(folder / VOCAB_FOLDER)
        manifest.write(folder)
        put(folder, output)
        shutil.rmtree(work)
    return manifest


def _content(paths) -> str:
    """A hash of all files, in their order."""
    return hashlib.sha256("".join(map(file_sha256, paths)).encode()).hexdigest()


class _Copy(NamedTuple):
    """`reals` are the real tokens of each example, `pairs` says which have two segments; `unknown` counts [UNK]."""

    shard: Shard
    reals: np.ndarray
    pairs: np.ndarray
    unknown: int


def _sizes(examples, held_out):
    """So many of each split, in the order of the records."""
    last = min(examples - 1, max(1, round(held_out * examples))) if held_out else 0
    return {"train": examples - last, "held_out": last}


def _copies(paths, sizes, folder, check, shard_examples):
    records = chain.from_iterable(map(_placed, paths))
    for split, examples in sizes.items():
        own, count = islice(records, examples), -(-examples // shard_examples)
        for number in range(count):
            target = folder / f"{split}-{number:05}-of-{count:05}.tfrecord"
            yield _copy(islice(own, shard_examples), split, target, check)


def _placed(path):
    for number, record in enumerate(read_records(path)):
        yield record, f"{path}, record {number}"


def _copy(records, split, target, check):
    digest, size, reals, pairs, unknown = hashlib.sha256(), 0, [], [], 0
    with open(target, "wb") as file:
        for record, where in records:
            example = check(record, where)
            reals.append(int(example["input_mask"].sum()))
            pairs.append(bool(example["segment_ids"].any()))
            unknown += int((example["input_ids"] == check.tokenizer.unk_id).sum())
            data = frame(record)
            digest.update(data)
            size += file.write(data)
    reals, pairs = np.array(reals), np.array(pairs)
    tokens = int((reals - 2 - pairs).sum())
    return _Copy(Shard(target.name, split, len(reals), tokens, size, digest.hexdigest()), reals, pairs, unknown)


def _split(copies, length):
    if not copies:
        return Split(examples=0)
    reals = np.concatenate([copy.reals for copy in copies])
    return Split(
        examples=len(reals),
        tokens=sum(copy.shard.tokens for copy in copies),
        fill_rate=float(reals.mean() / length),
        lengths=np.bincount(reals, minlength=length + 1).tolist(),
        pairs=int(sum(copy.pairs.sum() for copy in copies)),
        unknown_rate=sum(copy.unknown for copy in copies) / max(1, sum(copy.shard.tokens for copy in copies)),
    )
