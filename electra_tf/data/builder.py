"""The builder: text files to a data set of shuffled TFRecords, on one machine.

Two passes (`stages.py`): units of text become parts, parts become shards. Units are cut by position in the
input and all randomness is a function of the seed, so the bytes do not depend on the number of processes.
Beside the output stands `<output>.building` until the end; a build that was killed finds there what is done,
and goes on. The output appears whole, by one rename.
"""

import fcntl
import hashlib
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

from electra_tf.data.corpus import UNIT_BYTES, empty_corpus, expand, read_units
from electra_tf.data.manifest import SPLITS, VOCAB_FOLDER, Manifest, Shard, Split, describe_tokenizer
from electra_tf.data.stages import (
    Recipe,
    ShardJob,
    finished_shard,
    finished_unit,
    process_unit,
    write_shard,
)
from electra_tf.data.workers import workers
from electra_tf.errors import InputError, OutputError

PACKING_FIELDS = ("packing", "cross_documents", "document", "text_field", "seed", "held_out", "unit_bytes")


@dataclass(frozen=True)
class Progress:
    """What the builder tells while it works.

    Attributes:
        stage: "start" (once, when the workers are ready), "units", "shards".
        name: the unit or shard just finished.
        kept: it was found finished by an earlier build.
        done, total: bytes of input files read, or shards written.
        text_bytes: text worked through by this build, decompressed.
        seconds: since the build began.
    """

    stage: str
    name: str
    kept: bool
    done: int
    total: int
    text_bytes: int
    seconds: float


def build_data(
    input: str | Path | Sequence[str | Path],
    vocab: str | Path,
    output: str | Path,
    *,
    length: int = 128,
    processes: int | None = None,
    seed: int = 0,
    held_out: float = 0.01,
    packing: str = "lossless",
    cross_documents: bool = False,
    document: str = "blank_line",
    text_field: str = "text",
    shard_examples: int = 50_000,
    unit_bytes: int = UNIT_BYTES,
    progress: Callable[[Progress], None] | None = None,
) -> Manifest:
    """Builds a data set: `manifest.json`, shards, and the vocabulary in `vocab/`, in a new folder.

    The same arguments give the same bytes, for any number of processes. They are started by `spawn`: in a
    script, call this below `if __name__ == "__main__":`.

    Args:
        input: files and glob patterns; .txt (or any name), .jsonl, also with .gz or .xz.
        vocab: a tokenizer's folder or file.
        output: a folder that does not exist or is empty.
        length: tokens of an example, with [CLS] and [SEP].
        processes: worker processes. 0: none; the work is done here, without TensorFlow, several times slower
            but without their start. None: by the cores and the size of the input.
        seed: of the shuffle, of the choice of segments.
        held_out: about this share of the documents, chosen by a hash of their text, goes to the split
            "held_out". Of two documents or more, at least one does, unless this is 0.
        packing: "lossless" keeps every token; "original" is the packer published with ELECTRA, which drops
            some.
        cross_documents: an example may go on into the next document (within a unit).
        document: "blank_line" separates documents, or each "line" is one.
        text_field: of JSON lines, the field that holds the text.
        shard_examples: examples of a shard, about. A reader holds one shard in memory.
        unit_bytes: text worked on at a time; changes the order of examples, not what they are made of.
        progress: called now and then.

    Raises: `InputError`, `ConfigError`, `OutputError`.
    """
    from electra_tf.text.tokenizer import Tokenizer

    began = time.monotonic()
    paths = expand([input] if isinstance(input, str | Path) else input)
    tokenizer = Tokenizer.from_pretrained(vocab)
    recipe = Recipe(
        length=length,
        seed=seed,
        held_out=held_out,
        packing=packing,
        cross_documents=cross_documents,
        document=document,
        text_field=text_field,
        unit_bytes=unit_bytes,
        shard_examples=shard_examples,
        fingerprint=tokenizer.fingerprint,
        vocabulary_size=len(tokenizer),
        cls_id=tokenizer.cls_id,
        sep_id=tokenizer.sep_id,
        pad_id=tokenizer.pad_id,
    )
    output = Path(output).absolute()
    try:
        input_bytes = sum(path.stat().st_size for path in paths)
        report = _Reporter(progress, began, input_bytes)
        with _work_folder(output) as work, workers(processes, paths, tokenizer) as run:
            report("start")
            recipe, units = _process_units(run, paths, recipe, work, report)
            folder = work / recipe.key / "data"
            shards = _write_shards(run, units, recipe, folder, report)
            manifest = _manifest(recipe, tokenizer, len(paths), units, shards)
            tokenizer.save(folder / VOCAB_FOLDER)
            manifest.write(folder)
            _publish(folder, output)
            shutil.rmtree(work)
    except OSError as error:
        raise OutputError(
            f"cannot write: {error.strerror or error}",
            where=error.filename or output,
            remedy="choose an --output that can be written to, on a disk with room for three times the text",
        ) from error
    return manifest


def _process_units(run, paths, recipe, work, report):
    """The first pass. Returns the units' records, and the recipe: its `held_out` may have been raised."""
    folder = work / recipe.key
    folder.mkdir(exist_ok=True)
    records = {}

    def unfinished():
        for unit in read_units(paths, document=recipe.document, unit_bytes=recipe.unit_bytes):
            record = finished_unit(unit, recipe, folder)
            if record is None:
                yield unit
            else:
                records[unit.number] = record
                report("units", f"unit {unit.number}", kept=True, done=unit.consumed)

    task = partial(process_unit, recipe=recipe, folder=folder)
    for unit, record in run(task, unfinished()):
        records[unit.number] = record
        report("units", f"unit {unit.number}", done=unit.consumed, text_bytes=unit.size)

    units = [records[number] for number in sorted(records)]
    if not any(unit["splits"][split]["documents"] for unit in units for split in SPLITS):
        shutil.rmtree(folder)
        raise empty_corpus(paths)
    documents = sum(unit["splits"]["train"]["documents"] for unit in units)
    held_out = sum(unit["splits"]["held_out"]["documents"] for unit in units)
    if recipe.held_out and not held_out and documents > 1:
        # So few documents that none fell below the share: again, with the one that comes nearest.
        smallest = min(unit["smallest_share"] for unit in units)
        recipe = replace(recipe, held_out=math.nextafter(smallest, 1))
        return _process_units(run, paths, recipe, work, report)
    return recipe, units


def _write_shards(run, units, recipe, folder, report):
    """The second pass. Returns the shards' records in order."""
    folder.mkdir(exist_ok=True)
    jobs = [job for split in SPLITS for job in _shard_jobs(split, units, recipe)]
    names = {job.name for job in jobs}
    # What else is there was left by a build that was killed, or of a corpus that has changed since.
    shutil.rmtree(folder / VOCAB_FOLDER, ignore_errors=True)
    for path in folder.iterdir():
        if path.name not in names:
            path.unlink()
    records = {}

    def unfinished():
        for job in jobs:
            record = finished_shard(job, folder.parent, folder)
            if record is None:
                yield job
            else:
                records[job.name] = record
                report("shards", job.name, kept=True, done=len(records), total=len(jobs))

    task = partial(write_shard, recipe=recipe, parts=folder.parent, folder=folder)
    for job, record in run(task, unfinished()):
        records[job.name] = record
        report("shards", job.name, done=len(records), total=len(jobs))
    return [records[job.name] for job in jobs]


def _shard_jobs(split, units, recipe):
    examples = sum(unit["splits"][split]["examples"] for unit in units)
    count = -(-examples // recipe.shard_examples)
    parts = "".join(unit["splits"][split]["sha256"] for unit in units)
    contents = hashlib.sha256(parts.encode()).hexdigest()
    for number in range(count):
        name = f"{split}-{number:05}-of-{count:05}.tfrecord"
        first, end = (2**64 * n // count for n in (number, number + 1))
        source = hashlib.sha256(f"{recipe.key} {name} {contents}".encode()).hexdigest()
        yield ShardJob(name, split, first, end - 1, len(units), source)


def _manifest(recipe, tokenizer, files, units, shards):
    splits = {}
    for split in SPLITS:
        counts = [unit["splits"][split] for unit in units]
        own = [shard for shard in shards if shard["split"] == split]
        lengths = [sum(column) for column in zip(*(shard["lengths"] for shard in own), strict=True)]
        examples, real = sum(lengths), sum(n * count for n, count in enumerate(lengths))
        splits[split] = Split(
            documents=sum(count["documents"] for count in counts),
            examples=examples,
            corpus_tokens=sum(count["corpus_tokens"] for count in counts),
            tokens=sum(shard["tokens"] for shard in own),
            fill_rate=real / (examples * recipe.length) if examples else 0.0,
            lengths=lengths or [0] * (recipe.length + 1),
        )
    if not splits["train"].examples:
        raise InputError(
            "no document is left to train on",
            expected="documents with tokens that are not held out",
            remedy="lower --held_out, or give more text",
        )
    return Manifest(
        length=recipe.length,
        tokenizer=describe_tokenizer(tokenizer),
        packing={name: getattr(recipe, name) for name in PACKING_FIELDS},
        input={"files": files, "bytes": sum(unit["bytes"] for unit in units)},
        splits=splits,
        shards=tuple(Shard(**{field.name: shard[field.name] for field in fields(Shard)}) for shard in shards),
    )


@contextmanager
def _work_folder(output: Path) -> Iterator[Path]:
    """The folder beside the output, locked."""
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise OutputError(
            "the output already exists",
            where=output,
            expected="a folder that does not exist or is empty",
            remedy="choose another --output, or remove what is there",
        )
    work = output.with_name(output.name + ".building")
    work.mkdir(parents=True, exist_ok=True)
    with open(work / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(
                "another build is writing this output", where=output, remedy="wait for it, or stop it"
            ) from None
        try:
            yield work
        finally:
            if not any(work.rglob("*.json")):  # nothing, or nothing yet, that a later build could use
                shutil.rmtree(work, ignore_errors=True)


def _publish(folder: Path, output: Path) -> None:
    """The one moment in which the output appears: with all its files safely on disk."""
    for path in (*folder.rglob("*"), folder):
        _sync(path)
    os.replace(folder, output)
    _sync(output.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Reporter:
    """Calls `progress`, if there is one."""

    def __init__(self, progress: Callable[[Progress], None] | None, began: float, input_bytes: int):
        self.progress, self.began, self.input_bytes = progress, began, input_bytes
        self.text_bytes = 0

    def __call__(self, stage, name="", *, kept=False, done=0, total=None, text_bytes=0):
        self.text_bytes += text_bytes
        if self.progress:
            seconds = time.monotonic() - self.began
            total = self.input_bytes if total is None else total
            self.progress(Progress(stage, name, kept, done, total, self.text_bytes, seconds))
