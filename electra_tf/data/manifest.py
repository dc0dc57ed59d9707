"""`manifest.json`: what a data set is made of. Without one, a folder is no data set."""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from electra_tf.data.examples import FEATURES, ORDER, STATIC_MASKS
from electra_tf.errors import DataError
from electra_tf.seals import SEAL, is_unbroken, sealed

FILE_NAME = "manifest.json"
VOCAB_FOLDER = "vocab"
FORMAT_VERSION = 1
SPLITS = ("train", "held_out")
_IDS = ("pad_id", "unk_id", "cls_id", "sep_id", "mask_id")
_NUMBERS = ("vocabulary_size", *_IDS)


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
        pairs: examples that have two segments; of data of pairs, the others do not count for sentence order.
        unknown_rate: share of the documents' tokens that are [UNK]; older manifests do not say.
    """

    examples: int
    documents: int | None = None
    corpus_tokens: int | None = None
    tokens: int | None = None
    fill_rate: float | None = None
    lengths: list[int] | None = None
    pairs: int | None = None
    unknown_rate: float | None = None


@dataclass(frozen=True)
class Manifest:
    """A data set.

    Attributes:
        length: tokens of every example.
        tokenizer: `fingerprint`, `settings`, `vocabulary_size`, and the ids `pad_id`, `unk_id`, `cls_id`,
            `sep_id`, `mask_id`.
        packing: the choices that shaped the examples.
        input: `files` and `bytes` (decompressed) of the corpus; `sha256` of its `text` and of the `settings` that were
            asked for, by which the same command knows its own data set. Older manifests have none.
        splits: `Split` by name, "train" and "held_out".
        shards: all `Shard`s. On the disk, the checksum of all this stands beside it.
        features: how many values of each feature an example has, by name. There are `input_ids`, `input_mask` and
            `segment_ids`; `next_sentence_labels` where the order of the segments is stored; `masked_lm_positions`,
            `masked_lm_ids` and `masked_lm_weights` where the masks are.
    """

    length: int
    tokenizer: dict
    packing: dict
    input: dict
    splits: dict[str, Split]
    shards: tuple[Shard, ...]
    features: dict[str, int]
    format_version: int = FORMAT_VERSION

    @property
    def pairs(self) -> bool:
        """The examples are pairs of segments whose order can be asked for, wherever an example has two."""
        return self.stored_order or self.packing.get("pairs", False)

    @property
    def stored_order(self) -> bool:
        """Segments were swapped when the records were made, which say where; else all are in order."""
        return ORDER in self.features

    @property
    def stored_masks(self) -> bool:
        """The `input_ids` were masked when the records were made, which say where and what stood there."""
        return STATIC_MASKS[0] in self.features

    def shards_of(self, split: str) -> tuple[Shard, ...]:
        return tuple(shard for shard in self.shards if shard.split == split)

    def write(self, folder: Path) -> None:
        with open(folder / FILE_NAME, "w", encoding="utf-8") as file:
            json.dump(sealed(asdict(self)), file, indent=2, sort_keys=True)
            file.write("\n")


def describe_tokenizer(tokenizer) -> dict:
    """What `Manifest.tokenizer` holds."""
    return {
        "fingerprint": tokenizer.fingerprint,
        "settings": asdict(tokenizer.settings),
        "vocabulary_size": len(tokenizer),
        **{name: getattr(tokenizer, name) for name in _IDS},
    }


def read_manifest(folder: str | Path) -> Manifest:
    """Raises: `DataError` where there is no manifest, or one that is damaged or of another version."""
    path = Path(folder) / FILE_NAME
    try:
        content = json.loads(path.read_text("utf-8"))
        version = content["format_version"]
        if version == FORMAT_VERSION:
            if not is_unbroken(content):
                raise ValueError("it does not match its own checksum")
            content.pop(SEAL, None)
            content["splits"] = {name: Split(**split) for name, split in content["splits"].items()}
            content["shards"] = tuple(Shard(**shard) for shard in content["shards"])
            # Older manifests do not say, and their data have no other.
            content.setdefault("features", dict.fromkeys(FEATURES, content["length"]))
            manifest = Manifest(**content)
            _check(manifest)
            return manifest
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(
            "this is not a data set",
            where=folder,
            expected=f"a folder with {FILE_NAME}, which is written last",
            remedy="build it with `electra-tf data`, or let an unfinished build finish by the same command",
        ) from None
    except OSError as error:
        raise DataError(
            f"the manifest cannot be read: {error.strerror}",
            where=path,
            remedy="check that you may read it, and the disk",
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"the manifest is damaged: {str(error) or type(error).__name__}",
            where=path,
            remedy="copy the data set again, whole, or build it again",
        ) from error
    raise DataError(
        f"the data are of format version {version}",
        where=path,
        expected=f"version {FORMAT_VERSION}",
        remedy="build the data again with this release",
    )


def _check(manifest):
    """Raises `ValueError` that says what of a manifest cannot be meant."""
    counts = {"length": manifest.length, **{f"tokenizer.{name}": manifest.tokenizer[name] for name in _NUMBERS}}
    counts |= {f"features.{name}": size for name, size in manifest.features.items()}
    counts |= {f"splits.{name}.examples": manifest.splits[name].examples for name in SPLITS}
    for shard in manifest.shards:
        counts |= {f"{shard.name}.examples": shard.examples, f"{shard.name}.bytes": shard.bytes}
        if Path(shard.name).name != shard.name:
            raise ValueError(f"the shard {shard.name!r} is not in the folder")
    for name, count in counts.items():
        if type(count) is not int or count < 0:
            raise ValueError(f"{name} is {count!r}, and no number")
    name, times = Counter(shard.name for shard in manifest.shards).most_common(1)[0]
    if times > 1:
        raise ValueError(f"it lists the shard {name} {times} times")
    for name in SPLITS:
        inside = sum(shard.examples for shard in manifest.shards_of(name))
        if inside != manifest.splits[name].examples:
            raise ValueError(f"{manifest.splits[name].examples} examples of {name}, and {inside} in its shards")


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
    now = describe_tokenizer(tokenizer)
    wrong = [name for name in _NUMBERS if manifest.tokenizer[name] != now[name]]
    if wrong:
        raise DataError(
            f"the manifest says {', '.join(f'{name} {manifest.tokenizer[name]}' for name in wrong)}",
            where=where,
            expected=f"{', '.join(f'{name} {now[name]}' for name in wrong)}, as in the vocabulary",
            remedy="copy the data set again, whole, or build it again",
        )
