"""The builder: text files to a data set of shuffled TFRecords, on one machine.

Two passes (`stages.py`): units of text become parts, parts become shards. Units are cut by position in the
input and all randomness is a function of the seed, so the bytes do not depend on the number of processes.
Beside the output stands `<output>.building` until the end; a build that was killed finds there what is done,
and goes on. The output appears whole, by one rename.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

from electra_tf.data.corpus import UNIT_BYTES, empty_corpus, expand, no_pairs, read_units, size_on_disk
from electra_tf.data.examples import FEATURES, ORDER
from electra_tf.data.held_out import better_choice
from electra_tf.data.manifest import SPLITS, VOCAB_FOLDER, Manifest, Shard, Split, describe_tokenizer
from electra_tf.data.progress import Progress, Reporter
from electra_tf.data.stages import (
    Recipe,
    ShardJob,
    add_text,
    finished_shard,
    finished_unit,
    process_unit,
    write_shard,
)
from electra_tf.data.unknown_text import check_known
from electra_tf.data.work_folder import made_before, work_folder, work_name
from electra_tf.data.workers import workers
from electra_tf.errors import InputError
from electra_tf.files import put, remove
from electra_tf.text.lost_marks import TOLERANCE

_ROOM = "three times the text"
PACKING_FIELDS = ("packing", "pairs", "cross_documents", "document", "text_field", "seed", "held_out", "unit_bytes")


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
    pairs: bool = False,
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
        output: a folder that does not exist or is empty. Where it holds the very data set that is asked for, of the
            same text by the same settings, and whole, nothing is done.
        length: tokens of an example, with [CLS] and [SEP].
        processes: worker processes. 0: none; the work is done here, without TensorFlow, several times slower
            but without their start. None: by the cores and the size of the input.
        seed: of the shuffle, of the choice of segments.
        held_out: about this share of the documents, chosen by a hash of their text, goes to the split
            "held_out". Of two documents or more, at least one does, unless this is 0. Where documents are so long that
            much more or less of the text would be held out, a stretch of lines of each is.
        packing: "lossless" keeps every token; "original" is the packer published with ELECTRA, which drops
            some; "albert" that published with ALBERT, which makes pairs, drops some, swaps some, and says which.
        pairs: an example is two consecutive segments of one document, for sentence-order prediction; which are
            swapped is drawn in training. The packing "albert" means pairs, too.
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
    output = Path(output).resolve()  # a link stays, and leads to the data
    paths = expand([input] if isinstance(input, str | Path) else input, apart_from=[output, work_name(output)])
    tokenizer = Tokenizer.from_pretrained(vocab)
    recipe = Recipe(
        length=length,
        seed=seed,
        held_out=held_out,
        packing=packing,
        pairs=pairs or packing == "albert",
        cross_documents=cross_documents,
        document=document,
        text_field=text_field,
        unit_bytes=unit_bytes,
        shard_examples=shard_examples,
        fingerprint=tokenizer.fingerprint,
        vocabulary_size=len(tokenizer),
        unk_id=tokenizer.unk_id,
        cls_id=tokenizer.cls_id,
        sep_id=tokenizer.sep_id,
        pad_id=tokenizer.pad_id,
    )
    report = Reporter(progress, began, sum(map(size_on_disk, paths)))
    if there := made_before(output, tokenizer.fingerprint, recipe.key, lambda: _text(paths, recipe), room=_ROOM):
        report("start")
        report("there")
        return there
    with work_folder(output, room=_ROOM) as work, workers(processes, paths, tokenizer) as run:
        report("start")
        asked, text = recipe, hashlib.sha256()
        recipe, units = _process_units(run, paths, recipe, tokenizer, work, report, text, recipe.held_out)
        for warning in _warnings(recipe, asked.held_out, tokenizer, paths, units):
            report("warning", warning)
        folder = work / recipe.key / "data"
        shards = _write_shards(run, units, recipe, folder, report)
        made_of = {"settings": asked.key, "text": text.hexdigest()}
        manifest = _manifest(recipe, tokenizer, len(paths), units, shards, made_of)
        tokenizer.save(folder / VOCAB_FOLDER)
        manifest.write(folder)
        put(folder, output)  # the one moment in which the output appears
        shutil.rmtree(work)
    return manifest


def _text(paths, recipe) -> str:
    """A hash of the text, as `_process_units` makes it."""
    digest = hashlib.sha256()
    for unit in read_units(paths, document=recipe.document, unit_bytes=recipe.unit_bytes):
        add_text(unit, digest)
    return digest.hexdigest()


def _process_units(run, paths, recipe, tokenizer, work, report, text, asked):
    """The first pass. Returns the recipe, whose `held_out` may have been raised from what was `asked` for, and the
    units' records. The text is added to the hash `text`.
    """
    folder = work / recipe.key
    folder.mkdir(exist_ok=True)
    records = {}

    def unfinished():
        for unit in read_units(paths, document=recipe.document, unit_bytes=recipe.unit_bytes):
            add_text(unit, text)
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
    if not _total(units, "documents"):
        shutil.rmtree(folder)
        raise empty_corpus(paths)
    try:
        check_known(_unknown_rate(units), paths, tokenizer, recipe)
    except InputError:
        shutil.rmtree(folder)
        raise
    if other := _other_choice(recipe, units, asked):
        return _process_units(run, paths, other, tokenizer, work, report, hashlib.sha256(), asked)
    if recipe.pairs and _total(units, "documents", "train") and not _total(units, "pairs", "train"):
        shutil.rmtree(folder)
        raise no_pairs(paths, recipe.document)
    return recipe, units


def _other_choice(recipe, units, asked):
    """A recipe that holds out the share that was `asked` for, where this one does not; else None."""
    if recipe.stretches:  # too little text to cut
        return None if _total(units, "documents", "train") else replace(recipe, stretches=False, held_out=0)
    if not recipe.held_out or recipe.held_out != asked:  # it was raised already: this is the best choice
        return None
    lowest = min(unit["smallest"][0] for unit in units)
    size = sum(unit["smallest"][1] for unit in units if unit["smallest"][0] == lowest)
    share = better_choice(
        recipe.held_out, {split: _total(units, "characters", split) for split in SPLITS}, (lowest, size)
    )
    if share is None:
        return replace(recipe, stretches=True)
    return None if share == recipe.held_out else replace(recipe, held_out=share)


def _warnings(recipe, asked, tokenizer, paths, units):
    if told := check_known(_unknown_rate(units), paths, tokenizer, recipe):
        yield told
    marks = [unit["marks"] for unit in units]
    share = sum(unit["damaged"] for unit in marks) / max(1, sum(unit["characters"] for unit in marks))
    if share > TOLERANCE:
        worst = max(marks, key=lambda unit: unit["damaged"])
        yield (
            f"the vocabulary takes letters from words that are {share:.1%} of the text: it makes {worst['was']!r} "
            f"{worst['is']!r}; one that is made with --nostrip_accents keeps them"
        )
    held_out = _total(units, "documents", "held_out")
    if asked and not held_out:
        yield "nothing is held out: the text is too short for that share; --held_out takes a larger one"
    elif recipe.stretches:
        yield (
            "the documents are too few or too long to hold out about that share of them: of each, a stretch of lines is"
            + ("" if recipe.document == "line" else "; blank lines, or --document line, would part documents")
        )


def _unknown_rate(units, *splits):
    return _total(units, "unknown", *splits) / max(1, _total(units, "corpus_tokens", *splits))


def _total(units, count, *splits):
    return sum(unit["splits"][split][count] for unit in units for split in splits or SPLITS)


def _write_shards(run, units, recipe, folder, report):
    """The second pass. Returns the shards' records in order."""
    folder.mkdir(exist_ok=True)
    jobs = [job for split in SPLITS for job in _shard_jobs(split, units, recipe)]
    names = {job.name for job in jobs}
    # What else is there was left by a build that was killed, or of a corpus that has changed since.
    shutil.rmtree(folder / VOCAB_FOLDER, ignore_errors=True)
    for path in folder.iterdir():
        if path.name not in names:
            remove(path)
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


def _manifest(recipe, tokenizer, files, units, shards, made_of):
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
            pairs=sum(count["pairs"] for count in counts),
            unknown_rate=_unknown_rate(units, split),
        )
    if not splits["train"].examples:
        raise InputError(
            "no document is left to train on",
            where="--held_out",
            expected="documents with tokens that are not held out",
            remedy="lower --held_out, or give more text",
        )
    return Manifest(
        length=recipe.length,
        tokenizer=describe_tokenizer(tokenizer),
        packing={name: getattr(recipe, name) for name in PACKING_FIELDS}
        | ({"held_out_stretches": True} if recipe.stretches and splits["held_out"].examples else {}),
        input={"files": files, "bytes": sum(unit["bytes"] for unit in units), "sha256": made_of},
        splits=splits,
        shards=tuple(Shard(**{field.name: shard[field.name] for field in fields(Shard)}) for shard in shards),
        features=dict.fromkeys(FEATURES, recipe.length) | ({ORDER: 1} if recipe.labelled else {}),
    )
