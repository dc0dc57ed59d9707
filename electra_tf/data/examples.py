"""What a pre-training example is, as arrays and as the bytes of Google's `tf.train.Example`.

Three int64 lists of the same length: `input_ids`, `input_mask` (1 for real tokens), `segment_ids` (1 from B
on). Where the order of the segments is stored, `next_sentence_labels`, Google's name, is a fourth, of one number:
0 for segments in order, 1 for others. Google's ALBERT adds masks that were drawn when the records were made.
The bytes are those of deterministic protobuf serialisation (keys sorted, lists packed), made by numpy.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from electra_tf.errors import DataError

FEATURES = ("input_ids", "input_mask", "segment_ids")
ORDER = "next_sentence_labels"
WEIGHTS = "masked_lm_weights"  # float32; all others are int64
STATIC_MASKS = ("masked_lm_positions", "masked_lm_ids", WEIGHTS)


@dataclass(frozen=True)
class Examples:
    """Examples without their special tokens and padding.

    Attributes:
        ids: `[tokens]`, the ids of all examples, one after another.
        first: `[examples]`, tokens in segment A.
        total: `[examples]`, tokens in A and B; equal to `first` where there is no B.
        labels: `[examples]`, 0 for A and B in order, 1 for others; None where that is not stored.
    """

    ids: np.ndarray
    first: np.ndarray
    total: np.ndarray
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.total)

    @property
    def real(self) -> np.ndarray:
        """`[examples]`: tokens with the special ones, as the input mask counts them."""
        return self.total + 2 + (self.total > self.first)

    @property
    def pairs(self) -> int:
        """How many have two segments."""
        return int((self.total > self.first).sum())


def assemble(examples: Examples, *, length: int, cls_id: int, sep_id: int, pad_id: int) -> dict[str, np.ndarray]:
    """The features, `[examples, length]`, with special tokens and padding; ids int32, the others uint8."""
    count, first, total = len(examples), examples.first, examples.total
    row = np.repeat(np.arange(count), total)
    place = np.arange(len(row)) - np.repeat(np.cumsum(total) - total, total)
    place += 1 + (place >= np.repeat(first, total))
    ids = np.full((count, length), pad_id, np.int32)
    ids[row, place] = examples.ids
    ids[:, 0] = cls_id
    ids[np.arange(count), first + 1] = sep_id
    pairs = np.flatnonzero(total > first)
    ids[pairs, total[pairs] + 2] = sep_id
    column = np.arange(length)
    mask = column < examples.real[:, None]
    segments = mask & (column > first[:, None] + 1)
    return {"input_ids": ids, "input_mask": mask.astype(np.uint8), "segment_ids": segments.astype(np.uint8)}


def encode(rows: dict[str, np.ndarray]) -> list[bytes]:
    """The serialised examples of what `assemble` returns, and of `ORDER`, uint8 `[examples, 1]`, where it is there."""
    payload, ends = _to_varints(rows["input_ids"])
    payload, ends = payload.tobytes(), ends.tolist()
    # All others take one byte a value, so records end alike but for these columns.
    tails = []
    for name in sorted(set(rows) - {"input_ids"}):
        head = np.frombuffer(_entry_head(name, rows[name].shape[1]), np.uint8)
        tails += [np.broadcast_to(head, (len(ends), len(head))), rows[name]]
    tails = np.concatenate(tails, axis=1)
    size = tails.shape[1]
    tails = tails.tobytes()
    records, start = [], 0
    for i, end in enumerate(ends):
        records.append(_record_head(end - start, size) + payload[start:end] + tails[i * size : (i + 1) * size])
        start = end
    return records


def decode(record: bytes) -> dict[str, np.ndarray]:
    """The features of a serialised `tf.train.Example`, int64 or float32: keys in any order, lists packed or not.

    Raises: `DataError` for bytes that are no such message.
    """
    try:
        features = {}
        for entry in _fields(_joined(_fields(record), 1)).get(1, ()):
            entry = _fields(entry)
            feature = _fields(_joined(entry, 2))
            if 2 in feature:
                values = np.frombuffer(_joined(_fields(_joined(feature, 2)), 1), "<f4")
            else:
                values = [_from_varints(value) for value in _fields(_joined(feature, 3)).get(1, ())]
                values = values[0] if len(values) == 1 else np.concatenate([np.zeros(0, np.int64), *values])
            features[entry[1][-1].decode("utf-8")] = values
        return features
    except (ValueError, LookupError) as error:
        raise DataError(
            "a record is no tf.train.Example",
            where=f"a record of {len(record):,} bytes: {error}",
            expected=f"the int64 features {', '.join(FEATURES)}",
            remedy="name files of `electra-tf data`, or of Google's builder; if they are, build them again",
        ) from error


def _to_varints(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Non-negative int32 `[n, length]` as varints: all bytes, and `[n]` where each row ends in them."""
    values = rows.reshape(-1)
    largest = int(values.max(initial=0))
    sizes = np.ones(len(values), np.int64)
    for bits in range(7, largest.bit_length(), 7):
        sizes += values >= 1 << bits
    ends = np.cumsum(sizes)
    out = np.empty(ends[-1] if len(ends) else 0, np.uint8)
    at = ends - sizes
    while len(values):
        more = values >= 128
        out[at] = values & 127 | more.astype(np.int32) << 7
        values, at = values[more] >> 7, at[more] + 1
    return out, ends[rows.shape[1] - 1 :: rows.shape[1]]


def _from_varints(data: bytes) -> np.ndarray:
    octets = np.frombuffer(data, np.uint8)
    last = octets < 128
    if last.all():  # as in all features but ids
        return octets.astype(np.int64)
    if not last[-1]:
        raise ValueError("a varint is cut short")
    starts = np.flatnonzero(np.concatenate([[True], last[:-1]]))
    place = np.arange(len(octets)) - np.repeat(starts, np.diff(np.append(starts, len(octets))))
    parts = (octets & 127).astype(np.uint64) << (7 * place).astype(np.uint64)
    return np.add.reduceat(parts, starts).view(np.int64)


# Field numbers: Example.features 1; Features.feature 1, a map: key 1, value 2; Feature.float_list 2, int64_list 3;
# FloatList.value 1, Int64List.value 1. A field's tag byte is its number * 8 + 2: all hold bytes behind their length.


@cache
def _entry_head(name: str, size: int) -> bytes:
    """What stands before the `size` bytes of a feature's values in the record."""
    values = b"\x0a" + _varint(size)
    feature = b"\x1a" + _varint(len(values) + size) + values
    value = b"\x12" + _varint(len(feature) + size) + feature
    key = b"\x0a" + _varint(len(name)) + name.encode("ascii")
    return b"\x0a" + _varint(len(key) + len(value) + size) + key + value


@cache
def _record_head(size: int, rest: int) -> bytes:
    entry = _entry_head(FEATURES[0], size)
    return b"\x0a" + _varint(len(entry) + size + rest) + entry


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _fields(message: bytes) -> dict[int, list[bytes]]:
    """The values of each field by its number; a bare varint is given as its bytes, like a packed list of one."""
    found, at = {}, 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        kind = tag & 7
        if kind == 2:
            size, start = _read_varint(message, at)
            at = start + size
        elif kind == 0:
            start = at
            _, at = _read_varint(message, at)
        elif kind in (1, 5):
            start, at = at, at + (8 if kind == 1 else 4)
        else:
            raise ValueError(f"wire type {kind}")
        if at > len(message):
            raise ValueError("a field is cut short")
        found.setdefault(tag >> 3, []).append(message[start:at])
    return found


def _joined(fields, number):
    """The values of a field as one: a message that is given in several parts is what they are together."""
    return b"".join(fields.get(number, ()))


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        octet = message[at]
        value |= (octet & 127) << shift
        at, shift = at + 1, shift + 7
        if octet < 128:
            return value, at
