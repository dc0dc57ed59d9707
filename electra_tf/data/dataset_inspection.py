"""What `electra-tf inspect` tells of a data set: counts, the lengths of its examples, and some of them
decoded."""

from itertools import chain, islice

import numpy as np

from electra_tf.data.examples import decode
from electra_tf.data.reader import DataSet
from electra_tf.data.records import read_records

BINS = 8


def describe(dataset: DataSet, *, examples: int = 3) -> dict:
    """Facts of a data set, all of them plain values that JSON can hold.

    Args:
        examples: so many of each split are decoded.

    Raises: `DataError` for a damaged record.
    """
    manifest = dataset.manifest
    tokenizer = dataset.tokenizer
    return {
        "kind": "data set",
        "length": manifest.length,
        "vocabulary": {name: manifest.tokenizer[name] for name in ("vocabulary_size", "fingerprint")},
        "settings": manifest.tokenizer["settings"],
        "packing": manifest.packing,
        "input": manifest.input,
        "splits": {
            name: _describe_split(dataset, name, tokenizer, examples)
            for name, split in manifest.splits.items()
            if split.examples
        },
    }


def _describe_split(dataset, name, tokenizer, examples):
    split = dataset.manifest.splits[name]
    lengths = np.asarray(_count_lengths(dataset, name) if split.lengths is None else split.lengths)
    records = islice(chain.from_iterable(map(read_records, dataset.files(name))), examples)
    real = int(np.dot(lengths, np.arange(len(lengths))))
    return {
        "documents": split.documents,
        "tokens": split.tokens,
        "examples": split.examples,
        "pairs": split.pairs,
        "unknown rate": None if split.unknown_rate is None else round(split.unknown_rate, 4),
        "shards": len(dataset.files(name)),
        "fill rate": round(real / (split.examples * dataset.manifest.length), 4),
        "lengths": _histogram(lengths),
        "decoded": [_text(decode(record), tokenizer) for record in records],
    }


def _count_lengths(dataset, name):
    """For records made elsewhere, whose manifest does not say."""
    counts = np.zeros(dataset.manifest.length + 1, np.int64)
    for record in chain.from_iterable(map(read_records, dataset.files(name))):
        counts[decode(record)["input_mask"].sum()] += 1
    return counts


def _histogram(lengths):
    """Counts of examples in about `BINS` ranges of lengths, named "1-16" and so on."""
    longest = len(lengths) - 1
    width = -(-longest // BINS)
    ranges = [(low, min(low + width - 1, longest)) for low in range(1, longest + 1, width)]
    return {f"{low}-{high}": int(lengths[low : high + 1].sum()) for low, high in ranges}


def _text(example, tokenizer):
    """`[CLS] ... [SEP] ... [SEP]`, the segments decoded, and how much padding follows."""
    real = example["input_ids"][example["input_mask"] == 1]
    segments = example["segment_ids"][: len(real)]
    parts = [tokenizer.decode(real[segments == segment]) for segment in (0, 1) if (segments == segment).any()]
    padding = len(example["input_ids"]) - len(real)
    return " ".join(["[CLS]", *(f"{part} [SEP]" for part in parts), *([f"[PAD] x {padding}"] if padding else [])])
