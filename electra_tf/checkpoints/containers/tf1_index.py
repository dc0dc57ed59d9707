"""The index of a TF-V1 checkpoint, without TensorFlow: a LevelDB table of names and where their numbers lie.

Formats: LevelDB's doc/table_format.md; tensorflow/core/protobuf/tensor_bundle.proto. Everything in it is checked before
it is used: a forged index would end TensorFlow's process. What is written are the bytes that TensorFlow writes.
"""

from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import NamedTuple

from electra_tf.files import masked_checksum

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48  # bytes
_TRAILER = 5  # bytes behind a block: how it is packed, and its checksum
# TensorFlow's numbers of types that are arrays of numbers, with their bytes; and strings, which have no size.
TYPES = {1: ("float32", 4), 2: ("float64", 8), 3: ("int32", 4), 4: ("uint8", 1), 5: ("int16", 2), 6: ("int8", 1)}
TYPES |= {7: ("string", None), 8: ("complex64", 8), 9: ("int64", 8), 10: ("bool", 1), 14: ("bfloat16", 2)}
TYPES |= {17: ("uint16", 2), 18: ("complex128", 16), 19: ("float16", 2), 22: ("uint32", 4), 23: ("uint64", 8)}
_NUMBERS = {name: number for number, (name, _) in TYPES.items()}
_BLOCK = 262_144  # bytes, from which on the next row begins another block
_RESTART = 16  # rows, after which a key is written as a whole again
_MOST_AXES = 254
_LONGEST = 1000  # bytes of a name


class Entry(NamedTuple):
    """A variable: its NumPy type's name, shape, and the bytes of it in the file of a shard, with their checksum.

    `is_parted`: its parts are stored under names of their own.
    """

    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int
    is_parted: bool


def read_index(path: Path) -> tuple[int, dict[str, Entry]]:
    """(number of files with data, entries by name). Raises: `ValueError` saying what is wrong, `OSError`."""
    data, shards, entries = path.read_bytes(), 1, {}
    if len(data) < _FOOTER or int.from_bytes(data[-8:], "little") != _MAGIC:
        raise ValueError("it does not end as an index does")
    _, at = _handle(data[-_FOOTER:], 0)
    index, _ = _handle(data[-_FOOTER:], at)
    read = 0
    for _, value in _rows(_block(data, *index)):
        block, _ = _handle(value, 0)
        if (read := read + block[1]) > len(data):
            raise ValueError("blocks of it overlap")
        for name, content in _rows(_block(data, *block)):
            if not name:
                shards = _shards(content)
            elif name[0]:  # a part of a variable begins with 0
                entries[name.decode("utf-8")] = _entry(name, content)
    return shards, entries


def _varint(data, at):
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("a number in it does not end")
        byte, at = data[at], at + 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (1 << 64) - 1, at
        shift += 7


def _handle(data, at):
    """((offset, size) of a block, where reading goes on)."""
    offset, at = _varint(data, at)
    size, at = _varint(data, at)
    return (offset, size), at


def _block(data, offset, size):
    end = offset + size
    if end + _TRAILER > len(data):
        raise ValueError("it ends before a block of it does")
    if data[end]:
        raise ValueError("a block of it is compressed")
    if masked_checksum(data[offset : end + 1]) != int.from_bytes(data[end + 1 : end + _TRAILER], "little"):
        raise ValueError("the checksum of a block of it differs")
    return data[offset:end]


def _rows(block) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values; a key says how much of it is that of the key before."""
    restarts = int.from_bytes(block[-4:], "little")
    end, at, key = len(block) - 4 * (restarts + 1), 0, b""
    if end < 0:
        raise ValueError("a block of it has no room for its own table")
    while at < end:
        shared, at = _varint(block, at)
        own, at = _varint(block, at)
        size, at = _varint(block, at)
        if shared > len(key) or at + own + size > end:
            raise ValueError("a row of it does not fit its block")
        key = key[:shared] + block[at : at + own]
        if len(key) > _LONGEST:  # a row of some bytes can repeat all of the one before
            raise ValueError(f"a name in it has {len(key):,} bytes")
        yield key, block[at + own : at + own + size]
        at += own + size


def _fields(message) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of a protocol buffer's fields: whole numbers, or bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(message, at)
        elif kind == 2:
            size, at = _varint(message, at)
            value, at = message[at : at + size], at + size
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value, at = int.from_bytes(message[at : at + size], "little"), at + size
        else:
            raise ValueError(f"a field of it has the type {kind}")
        if at > len(message):
            raise ValueError("a field of it does not end")
        yield tag >> 3, value


def _numbers(message, *wanted) -> list[int]:
    """Whole numbers of some fields, 0 where they are left out."""
    found = {number: value for number, value in _fields(message) if isinstance(value, int)}
    return [found.get(number, 0) for number in wanted]


def _shards(message):
    shards, big_endian = _numbers(message, 1, 2)
    if big_endian:
        raise ValueError("its numbers are big-endian")
    return shards or 1


def _entry(name, message) -> Entry:
    kind, shard, offset, size, checksum = _numbers(message, 1, 3, 4, 5, 6)
    messages = [(number, value) for number, value in _fields(message) if isinstance(value, bytes)]
    shape = next((_shape(value) for number, value in messages if number == 2), ())
    parted, where = any(number == 7 for number, _ in messages), name.decode("utf-8", "replace")
    if kind not in TYPES:
        raise ValueError(f"{where} is of the unknown type {kind}")
    dtype, width = TYPES[kind]
    if width and not parted and prod(shape) * width != size:
        raise ValueError(f"{where} is {dtype} {list(shape)} in {size:,} bytes")
    return Entry(dtype, shape, shard, offset, size, checksum, parted)


def _shape(message):
    axes = [_numbers(value, 1)[0] for number, value in _fields(message) if number == 2 and isinstance(value, bytes)]
    if _numbers(message, 3)[0]:
        raise ValueError("a shape in it is unknown")
    if len(axes) > _MOST_AXES or any(size >> 63 for size in axes):
        raise ValueError(f"a shape in it has {len(axes)} axes, or one below 0")
    return tuple(axes)


def write_index(path: Path, entries: Mapping[str, Entry]) -> None:
    """Writes the index of variables that are not parted, their data in one file. An `OSError` is passed on."""
    header = _field(1, 1) + _field(3, _field(1, 1))  # so many files; of the format's first version
    rows = [(b"", header), *sorted((name.encode(), _message(entry)) for name, entry in entries.items())]
    blocks, written = list(_blocks(rows, _RESTART)), bytearray()

    def add(block):
        """Returns the block's handle."""
        offset, packing = len(written), b"\0"  # none
        checksum = masked_checksum(block + packing)
        written.extend(block + packing + checksum.to_bytes(4, "little"))
        return _number(offset) + _number(len(block))

    after = [keys[0] for keys, _ in blocks[1:]] + [None]
    ends = [_end(keys[-1], key) for (keys, _), key in zip(blocks, after, strict=True)]
    index = [(end, add(block)) for end, (_, block) in zip(ends, blocks, strict=True)]
    ((_, about), (_, last)) = (*_blocks([], 1), *_blocks(index, 1))
    footer = add(about) + add(last)
    path.write_bytes(written + footer.ljust(_FOOTER - 8, b"\0") + _MAGIC.to_bytes(8, "little"))


def _blocks(rows, restart) -> Iterator[tuple[list[bytes], bytes]]:
    """Blocks of sorted rows, each with its keys; the inverse of `_rows`."""
    keys, content, restarts = [], bytearray(), [0]
    for key, value in rows:
        if len(content) + 4 * (len(restarts) + 1) >= _BLOCK:
            yield keys, _ended(content, restarts)
            keys, content, restarts = [], bytearray(), [0]
        shared = _shared(keys[-1], key) if len(keys) % restart else 0
        if keys and len(keys) % restart == 0:
            restarts.append(len(content))
        content += _number(shared) + _number(len(key) - shared) + _number(len(value)) + key[shared:] + value
        keys.append(key)
    yield keys, _ended(content, restarts)


def _ended(content, restarts):
    return bytes(content) + b"".join(at.to_bytes(4, "little") for at in (*restarts, len(restarts)))


def _end(key, following):
    """A short key that is not before the last one of a block, and before what follows, if anything does."""
    if following is None:
        at = next((at for at, byte in enumerate(key) if byte < 255), None)
        return key if at is None else key[:at] + bytes([key[at] + 1])
    at = _shared(key, following)
    shortens = at < min(len(key), len(following)) and key[at] + 1 < following[at]
    return key[:at] + bytes([key[at] + 1]) if shortens else key


def _shared(one, other):
    """How many bytes two keys begin with alike."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _number(value):
    """The inverse of `_varint`."""
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def _field(number, value):
    """A field of a protocol buffer: a whole number, which is left out where it is 0, or bytes."""
    if isinstance(value, bytes):
        return _number(number << 3 | 2) + _number(len(value)) + value
    return _number(number << 3) + _number(value) if value else b""


def _message(entry):
    """The inverse of `_entry`."""
    shape = b"".join(_field(2, _field(1, size)) for size in entry.shape)
    message = _field(1, _NUMBERS[entry.dtype]) + _field(2, shape) + _field(3, entry.shard)
    message += _field(4, entry.offset) + _field(5, entry.size)
    return message + _number(6 << 3 | 5) + entry.checksum.to_bytes(4, "little")
