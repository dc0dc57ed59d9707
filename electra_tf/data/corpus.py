"""From files to documents: the text of a corpus, in units that do not depend on who works on them.

A document is a list of non-empty lines. Plain text (also .gz, .xz) separates documents by blank lines, or
holds one a line; JSON lines (.jsonl, also .gz, .xz) hold one an object. The end of a file ends a document.
"""

import glob
import gzip
import json
import lzma
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from electra_tf.errors import ConfigError, InputError

SEPARATORS = ("blank_line", "line")
UNIT_BYTES = 4_000_000
# No line may be longer; a document of more bytes is read as several, cut between lines. It bounds memory.
LONGEST_DOCUMENT = 8_000_000
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Piece:
    """Some whole documents of one file.

    Attributes:
        path: the file.
        line: the number, from 1, of the first line.
        offset: where it begins in the decompressed file, in bytes.
        data: the bytes.
    """

    path: str
    line: int
    offset: int
    data: bytes

    @property
    def is_jsonl(self) -> bool:
        return _is_jsonl(self.path)


@dataclass(frozen=True)
class Unit:
    """A share of the corpus, cut by position alone: about `UNIT_BYTES` of text, from one file or several.

    Attributes:
        number: its place in the corpus, from 0.
        pieces: its text.
        consumed: bytes of the input files, as they lie on disk, read so far.
    """

    number: int
    pieces: tuple[Piece, ...]
    consumed: int

    @property
    def size(self) -> int:
        return sum(len(piece.data) for piece in self.pieces)


def expand(patterns: Iterable[str | Path]) -> list[Path]:
    """The files that the names and glob patterns (`**` too) stand for, sorted, each once.

    Raises: `InputError` for a pattern that matches no file.
    """
    files = set()
    for pattern in map(str, patterns):
        # A name is taken as it is before it is taken as a pattern: it may hold brackets.
        found = [Path(name) for name in ([pattern] if Path(pattern).exists() else glob.glob(pattern, recursive=True))]
        files.update(path for path in found if not path.is_dir())
        if not found:
            raise InputError("no file matches", where=pattern, remedy="correct the path or the pattern")
        if all(path.is_dir() for path in found):
            raise InputError("this is a folder", where=pattern, remedy=f"name its files: {Path(pattern) / '*'}")
    if not files:
        raise InputError("no input is named", expected="files or patterns", remedy="name the corpus with --input")
    return sorted(files)


def read_documents(
    paths: Sequence[str | Path], *, text_field: str = "text", document: str = "blank_line"
) -> Iterator[list[str]]:
    """All documents in the order of `paths`, as lists of stripped, non-empty lines.

    Args:
        paths: files; see `expand`.
        text_field: the field of a JSON object that holds the text.
        document: "blank_line", or "line" where each line of a text file is a document.

    Raises: `InputError` for a file that cannot be read, is not UTF-8, holds NUL bytes or a line beyond
    `LONGEST_DOCUMENT`; and where there is no document at all.
    """
    found = False
    for unit in read_units(paths, document=document):
        for piece in unit.pieces:
            for lines in documents(piece, text_field=text_field, document=document):
                found = True
                yield lines
    if not found:
        raise empty_corpus(paths)


def empty_corpus(paths: Sequence[str | Path]) -> InputError:
    names = ", ".join(map(str, paths[:3])) + (", ..." if len(paths) > 3 else "")
    return InputError(
        "the corpus holds no text",
        where=names,
        expected="at least one line that is not blank",
        remedy="check the input",
    )


def read_units(
    paths: Sequence[str | Path], *, document: str = "blank_line", unit_bytes: int = UNIT_BYTES
) -> Iterator[Unit]:
    """Cuts the corpus into units between documents. Each file is decompressed once, as a stream.

    Raises: `InputError` for a file that cannot be read and for a line beyond `LONGEST_DOCUMENT`.
    """
    if document not in SEPARATORS:
        raise ConfigError(f"document is {document!r}", expected=" or ".join(SEPARATORS))
    pieces, size, number, consumed = [], 0, 0, 0
    for piece, consumed in chain.from_iterable(_positions(paths, document, unit_bytes)):
        if pieces and size + len(piece.data) > unit_bytes:
            yield Unit(number, tuple(pieces), consumed)
            pieces, size, number = [], 0, number + 1
        pieces.append(piece)
        size += len(piece.data)
    if pieces:
        yield Unit(number, tuple(pieces), consumed)


def documents(piece: Piece, *, text_field: str = "text", document: str = "blank_line") -> Iterator[list[str]]:
    """The documents of a piece. Raises `InputError` as `read_documents`."""
    try:
        text = piece.data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"byte {piece.data[error.start]:#04x} is not UTF-8",
            where=_place(piece, error.start),
            expected="text in UTF-8, in a file that is plain or ends in .gz or .xz",
            remedy="convert the file, for instance with `iconv -f latin1 -t utf-8`",
        ) from None
    if "\0" in text:
        raise _nul(_place(piece, piece.data.index(b"\0")))
    if piece.is_jsonl:
        for i, line in enumerate(text.split("\n")):
            if line and not line.isspace():
                yield from _split(_json_text(line, text_field, f"{piece.path}, line {piece.line + i}"), "whole")
    else:
        yield from _split(text, document)


def _split(text: str, document: str) -> Iterator[list[str]]:
    lines = []
    for line in text.split("\n"):
        stripped = line.strip()
        if stripped:
            lines.append(stripped)
        if lines and (document == "line" or (document == "blank_line" and not stripped)):
            yield lines
            lines = []
    if lines:
        yield lines


def _json_text(line: str, text_field: str, where: str) -> str:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error}", where=where, expected="one JSON object a line") from None
    text = value.get(text_field) if isinstance(value, dict) else None
    if not isinstance(text, str):
        fields = ", ".join(value) if isinstance(value, dict) else "it is no object"
        raise InputError(
            f"no text in field {text_field!r}; fields found: {fields or 'none'}",
            where=where,
            expected=f'an object such as {{"{text_field}": "..."}}',
            remedy="name the field with --text_field",
        )
    if "\0" in text:
        raise _nul(where)
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(
            "an unpaired surrogate (\\ud800 to \\udfff) in the text", where=where, expected="valid Unicode"
        )
    return text


def _nul(where: str) -> InputError:
    return InputError(
        "a NUL byte", where=where, expected="text", remedy="remove them, for instance with `tr -d '\\000'`"
    )


def _place(piece: Piece, at: int) -> str:
    line = piece.line + piece.data.count(b"\n", 0, at)
    return f"{piece.path}, line {line}, byte {piece.offset + at}"


def _is_jsonl(path: str | Path) -> bool:
    return ".jsonl" in Path(path).suffixes[-2:]


def _positions(paths, document, unit_bytes):
    """For each file an iterator of its pieces, each with the bytes on disk read so far in all files."""
    before = 0
    for path in map(Path, paths):
        yield _pieces(path, document == "line" or _is_jsonl(path), unit_bytes, before)
        before += path.stat().st_size


def _pieces(path: Path, by_line: bool, size: int, before: int):
    line, offset, rest = 1, 0, b""
    try:
        with open(path, "rb") as file, _decompressed(file, path.suffix) as stream:
            while True:
                data, cut = _next_documents(stream, rest, size, by_line)
                if cut is None:
                    raise InputError(
                        f"a line of more than {LONGEST_DOCUMENT:,} bytes",
                        where=f"{path}, line {line}, byte {offset}",
                        expected="lines of sentences or paragraphs",
                        remedy="break the text into lines, for instance with `fold -s -w 10000`",
                    )
                if not cut:
                    return
                start = len(BYTE_ORDER_MARK) if offset == 0 and data.startswith(BYTE_ORDER_MARK) else 0
                yield Piece(str(path), line, offset + start, data[start:cut]), before + file.tell()
                line, offset, rest = line + data.count(b"\n", 0, cut), offset + cut, data[cut:]
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise InputError(
            f"cannot read the file: {getattr(error, 'strerror', None) or error}",
            where=path,
            remedy="check that it is whole and that its name tells its compression",
        ) from error


def _next_documents(stream, data: bytes, size: int, by_line: bool) -> tuple[bytes, int | None]:
    """Reads on until `data` holds a document's end, and says where the last one ends; None if in mid-line."""
    while True:
        data += stream.read(max(0, size - len(data)))
        if len(data) < size:
            return data, len(data)
        cut = _end_of_last_document(data, by_line)
        if cut:
            return data, cut
        if size >= LONGEST_DOCUMENT:
            return data, data.rfind(b"\n") + 1 or None
        size = min(2 * size, LONGEST_DOCUMENT)


def _end_of_last_document(data: bytes, by_line: bool) -> int:
    ends = (b"\n",) if by_line else (b"\n\n", b"\n\r\n")
    return max(data.rfind(end) + len(end) if end in data else 0 for end in ends)


def _decompressed(file, suffix: str):
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=file)
    if suffix == ".xz":
        return lzma.LZMAFile(file)
    return file
