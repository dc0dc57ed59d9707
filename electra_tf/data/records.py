"""The TFRecord file format, written and read without TensorFlow."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from electra_tf.errors import DataError, InputError
from electra_tf.files import masked_checksum

_LARGEST_RECORD = 1 << 30  # a longer one is damage, not data


def frame(record: bytes) -> bytes:
    """A record as it stands in a file: its length, the length's checksum, the bytes, their checksum."""
    return _framed_length(len(record)) + record + _checksum(record)


def read_records(path: str | Path) -> Iterator[bytes]:
    """The records of a file, each verified.

    Raises: `InputError` for a file that cannot be read, `DataError` that names the first damaged record: its
    file, its number from 0, its byte offset.
    """
    try:
        with open(path, "rb") as file:
            number, offset = 0, 0
            while head := file.read(12):
                record, damage = _read_body(file, head)
                if damage:
                    raise DataError(
                        f"a record {damage}",
                        where=f"{path}, record {number}, byte {offset}",
                        expected="TFRecords as they were written, not compressed",
                        remedy="copy the file again, or build the data again",
                    )
                yield record
                number, offset = number + 1, offset + 16 + len(record)
    except OSError as error:
        raise InputError(
            f"cannot read the file: {error.strerror}", where=path, remedy="check that you may read it, and the disk"
        ) from error


def scan(path: str | Path) -> int:
    """Verifies every record and returns their number. Raises as `read_records`."""
    return sum(1 for _ in read_records(path))


def _read_body(file, head):
    if len(head) < 12:
        return b"", "is cut short"
    size = int.from_bytes(head[:8], "little")
    if _checksum(head[:8]) != head[8:] or size > _LARGEST_RECORD:
        return b"", "has a damaged length"
    record, checksum = file.read(size), file.read(4)
    if len(checksum) < 4:
        return b"", "is cut short"
    return record, None if _checksum(record) == checksum else "does not match its checksum"


@cache
def _framed_length(size: int) -> bytes:
    length = size.to_bytes(8, "little")
    return length + _checksum(length)


def _checksum(data: bytes) -> bytes:
    return masked_checksum(data).to_bytes(4, "little")
