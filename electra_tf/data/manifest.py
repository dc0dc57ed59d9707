"""`manifest.json`: what a data set is made of. Without one, a folder is no data set."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from electra_tf.errors import DataError

FILE_NAME = "manifest.json"
VOCAB_FOLDER = "vocab"
FORMAT_VERSION = 1
SPLITS = ("train", "held_out")


@dataclass(frozen=True)
class Shard:
    """A TFRecord file. `tokens` counts those of the text, without special ones; `sha256` is of the file.

    `tokens` and `sha256` are None for records made elsewhere.
    """

    name: str
    split: str
    examples: int
    tokens: int | None
    bytes: int
    sha256: str | None


@dataclass(frozen=True)
class Split:
    """Counts of one split; of records made elsewhere, only the examples are known.

    Attributes:
        examples: their number.
        documents: documents they were made of.
        corpus_tokens: tokens the documents have.
        tokens: tokens in the examples, without special ones; less than `corpus_tokens` where the packer drops
            some.
        fill_rate: share of positions that are not padding.
        lengths: `[length + 1]`, how many examples have 0, 1, 2, ... real tokens, special ones included.
    """

    examples: int
    documents: int | None = None
    corpus_tokens: int | None = None
    tokens: int | None = None
    fill_rate: float | None = None
    lengths: list[int] | None = None


@dataclass(frozen=True)
class Manifest:
    """A data set.

    Attributes:
        length: tokens of every example.
        tokenizer: `fingerprint`, `settings`, `vocabulary_size`, and the ids `pad_id`, `unk_id`, `cls_id`,
            `sep_id`, `mask_id`.
        packing: the choices that shaped the examples.
        input: `files` and `bytes` (decompressed) of the corpus.
        splits: `Split` by name, "train" and "held_out".
        shards: all `Shard`s.
    """

    length: int
    tokenizer: dict
    packing: dict
    input: dict
    splits: dict[str, Split]
    shards: tuple[Shard, ...]
    format_version: int = FORMAT_VERSION

    def shards_of(self, split: str) -> tuple[Shard, ...]:
        return tuple(shard for shard in self.shards if shard.split == split)

    def write(self, folder: Path) -> None:
        with open(folder / FILE_NAME, "w", encoding="utf-8") as file:
            json.dump(asdict(self), file, indent=2, sort_keys=True)
            file.write("\n")


def describe_tokenizer(tokenizer) -> dict:
    """What `Manifest.tokenizer` holds."""
    return {
        "fingerprint": tokenizer.fingerprint,
        "settings": asdict(tokenizer.settings),
        "vocabulary_size": len(tokenizer),
        **{name: getattr(tokenizer, name) for name in ("pad_id", "unk_id", "cls_id", "sep_id", "mask_id")},
    }


def read_manifest(folder: str | Path) -> Manifest:
    """Raises: `DataError` where there is no manifest, or one that is damaged or of another version."""
    path = Path(folder) / FILE_NAME
    try:
        content = json.loads(path.read_text("utf-8"))
        version = content["format_version"]
        if version == FORMAT_VERSION:
            splits = {name: Split(**split) for name, split in content["splits"].items()}
            return Manifest(**content | {"splits": splits, "shards": tuple(Shard(**s) for s in content["shards"])})
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(
            "this is not a data set",
            where=folder,
            expected=f"a folder with {FILE_NAME}, which is written last",
            remedy="build it with `electra-tf data`, or let an unfinished build finish by the same command",
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError("the manifest is damaged", where=path, remedy="build the data again") from error
    raise DataError(
        f"the data are of format version {version}",
        where=path,
        expected=f"version {FORMAT_VERSION}",
        remedy="build the data again with this release",
    )


def check_vocabulary(manifest: Manifest, tokenizer, where=None) -> None:
    """Raises: `DataError` where the data were not made with this tokenizer."""
    made_with = manifest.tokenizer["fingerprint"]
    if made_with != tokenizer.fingerprint:
        raise DataError(
            f"the vocabulary does not match the data: {len(tokenizer):,} tokens, {tokenizer.fingerprint[:12]}",
            where=where,
            expected=f"{manifest.tokenizer['vocabulary_size']:,} tokens, {made_with[:12]}",
            remedy="use the vocabulary kept in the data folder, or build the data again with this one",
        )
