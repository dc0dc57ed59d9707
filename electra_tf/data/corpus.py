"""From files to documents: the text of a corpus, in units that do not depend on who works on them.

A document is a list of non-empty lines. Plain text separates documents by blank lines, or holds one a line; JSON lines
hold one an object. Both may be compressed (`text_stream.py`). The end of a file ends a document.
"""

import glob
import itertools
import json
import lzma
import os
import shlex
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from electra_tf.data import bad_text
from electra_tf.data.text_stream import BYTE_ORDER_MARK, opened
from electra_tf.errors import ConfigError, InputError

SEPARATORS = ("blank_line", "line")
UNIT_BYTES = 4_000_000
# No line may be longer; a document of more bytes is read as several, cut between lines. It bounds memory.
LONGEST_DOCUMENT = 8_000_000


@dataclass(frozen=True)
class Piece:
    """Some whole documents of one file.

    Attributes:
        path: the file.
        line: the number, from 1, of the first line.
        offset: where it begins in the decompressed file, in bytes.
        data: the bytes.
        is_jsonl: they are JSON lines.
    """

    path: str
    line: int
    offset: int
    data: bytes
    is_jsonl: bool


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


def expand(patterns: Iterable[str | Path], *, apart_from: Sequence[Path] = ()) -> list[Path]:
    """The files that the names and glob patterns (`**` too) stand for, sorted, each once even under several names.

    Args:
        apart_from: folders whose files are left out, such as the one that is being written.

    Raises: `InputError` for a pattern that matches no file, and for a file that cannot be reached.
    """
    files = set()
    for pattern in map(str, patterns):
        found = _matches(pattern)
        files.update(path for path in found if not os.path.isdir(path))
        if not found:
            raise InputError(
                "no file matches",
                where=pattern,
                expected="files or patterns",
                remedy="correct the path or the pattern",
            )
        if all(map(os.path.isdir, found)):
            raise _folder(pattern)
    if not files:
        raise InputError(
            "no input is named", where="--input", expected="files or patterns", remedy="name the corpus with --input"
        )
    own = {Path(os.path.realpath(folder)) for folder in apart_from}  # of links in a circle resolve() would raise
    files = {path for path in files if own.isdisjoint(Path(os.path.realpath(path)).parents)}
    if not files:
        raise InputError(
            "the files named are those that are being written",
            where=apart_from[0],
            expected="other files, the text",
            remedy="correct the path or the pattern",
        )
    for path in files:
        size_on_disk(path)
    return sorted({os.path.realpath(path): path for path in sorted(files, reverse=True)}.values())


def named(values: Iterable[str]) -> list[str]:
    """The names and patterns in the values of a flag, separated by commas.

    A name may hold commas itself: what exists, or matches, is not divided.
    """
    names = []
    for value in values:
        parts = [value] if _names_files(value) or os.path.exists(value) else value.split(",")
        while parts:
            joined = itertools.accumulate(parts, "{},{}".format)
            length = next((n for n, name in enumerate(joined, 1) if _names_files(name)), 1)
            names.append(",".join(parts[:length]))
            parts = parts[length:]
    return [name for name in names if name]


def size_on_disk(path: Path) -> int:
    """Raises: `InputError` for a file that cannot be reached."""
    try:
        return path.stat().st_size
    except OSError as error:
        leads_nowhere = path.is_symlink()
        raise InputError(
            f"a link that leads nowhere: {error.strerror}" if leads_nowhere else f"cannot read: {error.strerror}",
            where=path,
            expected="files that can be read",
            remedy="fetch what the link stands for, or remove it" if leads_nowhere else "check the path and its rights",
        ) from error


def _matches(pattern: str) -> list[Path]:
    """As a name, before it is taken as a pattern; and folders that exist as they are written: names hold brackets."""
    if not pattern:
        return []
    with suppress(FileNotFoundError, NotADirectoryError), _told(pattern):
        os.lstat(pattern)
        return [Path(pattern)]
    with _told(pattern):
        folder = next(folder for folder in Path(pattern).parents if folder.exists())
    rest = str(Path(pattern).relative_to(folder))
    found = glob.glob(os.path.join(glob.escape(str(folder)), rest), recursive=True)
    return sorted(map(Path, found or glob.glob(pattern, recursive=True)))


@contextmanager
def _told(path):
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise InputError(
            f"the path cannot be read: {error.strerror}",
            where=path,
            expected="folders that may be searched, and names of ordinary length",
            remedy="correct the path, or ask for the rights",
        ) from error


def _names_files(name):
    with suppress(InputError):  # many names in one are too long for one
        return any(not os.path.isdir(path) for path in _matches(name))
    return False


def _folder(pattern):
    folders = _matches(pattern)
    name = next((name for name in ("*", "**") if _names_files(str(folders[0] / name))), None)
    files = shlex.quote(str(Path(pattern) / (name or "*")))
    return InputError(
        "this is a folder" if name else "this is a folder without files",
        where=pattern,
        expected="files or patterns",
        remedy=f"name its files: {files}" if name else f"put text there, and name it: {files}",
    )


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
    return InputError(
        "the corpus holds no text",
        where=_names(paths),
        expected="at least one line that is not blank",
        remedy="check the input",
    )


def no_pairs(paths: Sequence[str | Path], document: str) -> InputError:
    return InputError(
        "no document can be parted into two segments: each that is trained on has one token",
        where=_names(paths),
        expected="documents of several sentences, one sentence a line",
        remedy="leave out --document=line, and put a blank line between documents"
        if document == "line"
        else "leave out --pairs, or give other text",
    )


def _names(paths):
    return ", ".join(map(str, paths[:3])) + (", ..." if len(paths) > 3 else "")


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
        raise bad_text.not_utf8(piece.path, piece.data, error.start, _place(piece, error.start)) from None
    if "\0" in text:
        raise bad_text.nul(piece.path, piece.data, _place(piece, piece.data.index(b"\0")))
    if piece.is_jsonl:
        for i, line in enumerate(text.split("\n")):
            if line and not line.isspace():
                yield from _split(
                    _json_text(line, text_field, piece.path, f"{piece.path}, line {piece.line + i}"), "whole"
                )
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


def _json_text(line: str, text_field: str, path: str, where: str) -> str:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise bad_text.not_json(error, where) from None
    text = value.get(text_field) if isinstance(value, dict) else None
    if not isinstance(text, str):
        raise bad_text.no_text(value, text_field, path, where)
    if "\0" in text:
        raise bad_text.escaped_nul(path, text_field, where)
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise bad_text.unpaired_surrogate(path, text_field, where)
    return text


def _place(piece: Piece, at: int) -> str:
    line = piece.line + piece.data.count(b"\n", 0, at)
    return f"{piece.path}, line {line}, byte {piece.offset + at}"


def _positions(paths, document, unit_bytes):
    """For each file an iterator of its pieces, each with the bytes on disk read so far in all files."""
    before = 0
    for path in map(Path, paths):
        yield _pieces(path, document == "line", unit_bytes, before)
        before += size_on_disk(path)


def _pieces(path: Path, by_line: bool, size: int, before: int):
    line, offset, rest = 1, 0, b""
    try:
        with opened(path) as stream:
            while True:
                data, cut = _next_documents(stream, rest, size, by_line or stream.is_jsonl)
                if cut is None:
                    place = f"{path}, line {line}, byte {offset}"
                    raise bad_text.long_line(path, stream.is_jsonl, data, LONGEST_DOCUMENT, place)
                if not cut:
                    return
                start = len(BYTE_ORDER_MARK) if offset == 0 and data.startswith(BYTE_ORDER_MARK) else 0
                piece = Piece(str(path), line, offset + start, data[start:cut], stream.is_jsonl)
                yield piece, before + stream.file.tell()
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
