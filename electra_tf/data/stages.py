"""The two passes of the builder, as functions that any process may run: a unit to parts, parts to a shard.

Their output depends on their arguments alone. Each writes files whole, and last of all a record of what it
did, by which a later build knows that it need not be done again.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from random import Random

import numpy as np

from electra_tf.data.corpus import SEPARATORS, Unit, documents
from electra_tf.data.examples import ORDER, Examples, assemble, encode
from electra_tf.data.global_shuffle import gather, write_part
from electra_tf.data.held_out import document_share, parts_of
from electra_tf.data.lossless_packing import pack_lossless
from electra_tf.data.manifest import SPLITS
from electra_tf.data.original_packing import pack_albert, pack_original
from electra_tf.data.pair_packing import pack_pairs
from electra_tf.data.randomness import keys
from electra_tf.data.records import frame
from electra_tf.data.work_folder import file_sha256
from electra_tf.data.workers import begins_word, lost_letters, tokenize
from electra_tf.errors import ConfigError
from electra_tf.files import replaced

PACKERS = ("lossless", "original", "albert")
SHORTEST = 8  # shorter examples have no room for two segments worth the name
LONGEST = 1 << 14  # every example takes as many places, full or not
_ORDER, _PACKING = 0, 1  # what is drawn for
_SAMPLED = 200  # lines of a unit, in which is looked for letters that get lost
_LINES = 2000  # lines tokenized at a time
_BLOCK = 2048  # examples encoded at a time


@dataclass(frozen=True)
class Recipe:
    """All that shapes the records beside the corpus.

    Attributes:
        length: tokens of an example.
        seed: names the random choices.
        held_out: documents whose hash, a number in [0, 1), is below this are held out.
        stretches: so large a stretch of each document is held out instead.
        packing: "lossless", "original" (ELECTRA's) or "albert" (ALBERT's).
        pairs: two consecutive segments an example, for sentence-order prediction.
        cross_documents: documents of a unit are packed as if they were one.
        document, text_field: as in `corpus.read_documents`.
        unit_bytes, shard_examples: sizes that bound memory.
        fingerprint, vocabulary_size, unk_id, cls_id, sep_id, pad_id: of the tokenizer.
    """

    length: int
    seed: int
    held_out: float
    packing: str
    pairs: bool
    cross_documents: bool
    document: str
    text_field: str
    unit_bytes: int
    shard_examples: int
    fingerprint: str
    vocabulary_size: int
    unk_id: int
    cls_id: int
    sep_id: int
    pad_id: int
    stretches: bool = False

    def __post_init__(self):
        wrong = {
            "length": SHORTEST <= self.length <= LONGEST or f"{SHORTEST} to {LONGEST:,}",
            "seed": self.seed >= 0 or "0 or more",
            "held_out": 0 <= self.held_out < 1 or "a share: 0 or more, below 1",
            "packing": self.packing in PACKERS or " or ".join(PACKERS),
            "document": self.document in SEPARATORS or " or ".join(SEPARATORS),
            "unit_bytes": self.unit_bytes >= 1 or "1 or more",
            "shard_examples": self.shard_examples >= 1 or "1 or more",
        }
        for name, expected in wrong.items():
            if expected is not True:
                raise ConfigError(f"{name} is {getattr(self, name)!r}", expected=expected)
        if self.pairs and self.cross_documents:
            raise ConfigError(
                "pairs are asked for together with cross_documents",
                where="--pairs, --cross_documents",
                expected="pairs of segments that follow each other in one document: else their order means nothing",
                remedy="leave out --cross_documents, or --pairs",
            )
        if self.pairs and self.packing == "original":
            raise ConfigError(
                "pairs are asked for of the packing 'original', which is ELECTRA's and mixes up their order",
                where="--pairs, --packing",
                expected="the packing 'lossless', or 'albert'",
                remedy="leave out --packing for pairs that keep every token; --packing=albert packs as ALBERT did",
            )

    @property
    def labelled(self) -> bool:
        """The records say whether their segments are in order."""
        return self.packing == "albert"

    @property
    def key(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def process_unit(unit: Unit, recipe: Recipe, folder: Path) -> dict:
    """Writes the parts of a unit into `folder` and returns its record.

    Raises: `InputError` as `corpus.documents`.
    """
    texts, smallest = {split: [] for split in SPLITS}, (1.0, 0)
    for number, lines in enumerate(_documents(unit, recipe)):
        share, size = document_share(lines), sum(map(len, lines))
        smallest = (share, size + smallest[1]) if share == smallest[0] else min(smallest, (share, size))
        if recipe.stretches:
            for split, part in parts_of(lines, recipe.held_out, f"{unit.number} {number}"):
                texts[split].append(part)
        else:
            texts["held_out" if share < recipe.held_out else "train"].append(lines)
    record = {"key": unit_key(unit, recipe), "bytes": unit.size, "smallest": smallest, "splits": {}}
    record["marks"] = lost_letters(list(islice(chain(*texts["train"], *texts["held_out"]), _SAMPLED)))
    for number, split in enumerate(SPLITS):
        ids, line_splits, document_splits = _tokens(texts[split])
        stream = (recipe.seed, unit.number, number)
        examples = pack(ids, line_splits, document_splits, recipe, stream)
        path = folder / part_name(unit.number, split)
        order = keys(len(examples), *stream, _ORDER)
        write_part(path, examples, order, vocabulary_size=recipe.vocabulary_size)
        record["splits"][split] = {
            "documents": len(texts[split]),
            "characters": sum(len(line) for lines in texts[split] for line in lines),
            "corpus_tokens": len(ids),
            "unknown": int((ids == recipe.unk_id).sum()),
            "examples": len(examples),
            "pairs": examples.pairs,
            "sha256": file_sha256(path),
        }
    _write_record(folder / f"{unit.number:06}.json", record)
    return record


def finished_unit(unit: Unit, recipe: Recipe, folder: Path) -> dict | None:
    """The record of a unit done before, from the same text by the same recipe, if its parts are whole."""
    record = _read_record(folder / f"{unit.number:06}.json")
    if record is None or record["key"] != unit_key(unit, recipe):
        return None
    for split in SPLITS:
        path = folder / part_name(unit.number, split)
        if not path.is_file() or file_sha256(path) != record["splits"][split]["sha256"]:
            return None
    return record


def pack(ids, line_splits, document_splits, recipe: Recipe, stream: tuple[int, ...]) -> Examples:
    if recipe.cross_documents:
        document_splits = document_splits[[0, -1]]
    texts, stream = (ids, line_splits, document_splits), (*stream, _PACKING)
    if recipe.packing in ("original", "albert"):
        packer = pack_original if recipe.packing == "original" else pack_albert
        return packer(*texts, length=recipe.length, random=Random(int(keys(1, *stream)[0])))
    if recipe.pairs:
        return pack_pairs(*texts, length=recipe.length, begins_word=begins_word(), stream=stream)
    return pack_lossless(*texts, length=recipe.length, stream=stream)


@dataclass(frozen=True)
class ShardJob:
    """A shard to be written: the examples of `split` whose keys are in `first` .. `last`.

    `source` is a hash of the parts' contents; `units` is their number.
    """

    name: str
    split: str
    first: int
    last: int
    units: int
    source: str


def write_shard(job: ShardJob, recipe: Recipe, parts: Path, folder: Path) -> dict:
    """Writes a shard into `folder` from the parts in the folder `parts`, and returns its record."""
    paths = [parts / part_name(number, job.split) for number in range(job.units)]
    examples = gather(paths, job.first, job.last, vocabulary_size=recipe.vocabulary_size)
    starts = np.concatenate([[0], np.cumsum(examples.total)])
    digest, size = hashlib.sha256(), 0
    with replaced(folder / job.name) as aside, open(aside, "wb") as file:
        for at in range(0, len(examples), _BLOCK):
            stop = min(at + _BLOCK, len(examples))
            block = Examples(examples.ids[starts[at] : starts[stop]], examples.first[at:stop], examples.total[at:stop])
            rows = assemble(
                block, length=recipe.length, cls_id=recipe.cls_id, sep_id=recipe.sep_id, pad_id=recipe.pad_id
            )
            if recipe.labelled:
                rows[ORDER] = examples.labels[at:stop, None]
            data = b"".join(map(frame, encode(rows)))
            digest.update(data)
            size += file.write(data)
    record = {
        "key": job.source,
        "name": job.name,
        "split": job.split,
        "examples": len(examples),
        "tokens": len(examples.ids),
        "bytes": size,
        "sha256": digest.hexdigest(),
        "lengths": np.bincount(examples.real, minlength=recipe.length + 1).tolist(),
    }
    _write_record(parts / f"{job.name}.json", record)
    return record


def finished_shard(job: ShardJob, parts: Path, folder: Path) -> dict | None:
    """The record of a shard that was written before, from the same parts, and is whole."""
    record = _read_record(parts / f"{job.name}.json")
    path = folder / job.name
    if record is None or record["key"] != job.source or not path.is_file():
        return None
    return record if file_sha256(path) == record["sha256"] else None


def part_name(number: int, split: str) -> str:
    return f"{number:06}.{split}"


def unit_key(unit: Unit, recipe: Recipe) -> str:
    digest = hashlib.sha256(f"{recipe.key} {unit.number}".encode())
    add_text(unit, digest)
    return digest.hexdigest()


def add_text(unit: Unit, digest) -> None:
    """Adds a unit's text to a hash."""
    for piece in unit.pieces:
        digest.update(f" {piece.is_jsonl} {len(piece.data)} ".encode())
        digest.update(piece.data)


def _documents(unit, recipe):
    for piece in unit.pieces:
        yield from documents(piece, text_field=recipe.text_field, document=recipe.document)


def _tokens(texts):
    """All lines of `texts` (documents) as flat ids, row splits of lines in ids, and of documents in lines."""
    lines = [line for text in texts for line in text]
    document_splits = np.concatenate([[0], np.cumsum([len(text) for text in texts], dtype=np.int64)])
    pieces, splits = [np.zeros(0, np.int32)], [np.zeros(1, np.int64)]
    for at in range(0, len(lines), _LINES):
        ids, line_splits = tokenize(lines[at : at + _LINES])
        splits.append(line_splits[1:] + splits[-1][-1])
        pieces.append(ids)
    return np.concatenate(pieces), np.concatenate(splits), document_splits


def _write_record(path: Path, record: dict) -> None:
    with replaced(path, synced=False) as aside:
        aside.write_text(json.dumps(record), "utf-8")


def _read_record(path: Path) -> dict | None:
    """None where there is none, or half of one: a machine that stopped may leave an empty file behind."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None
