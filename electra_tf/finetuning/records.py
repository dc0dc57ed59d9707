"""Files of labelled texts: CSV, TSV and JSON lines, with named columns."""

import csv
import gzip
import io
import json
import lzma
import zlib
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from electra_tf.errors import InputError

_KINDS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
_JSON = (".jsonl", ".json")


class Record(NamedTuple):
    """A row of a file: one text or two, its label as it is written there, or None, and where it stands."""

    texts: tuple[str, ...]
    label: str | None
    where: str

    @property
    def answer(self):
        """What is learned of it."""
        return self.label

    @property
    def labels(self):
        """What is counted of it."""
        return () if self.label is None else (self.label,)


class File(NamedTuple):
    """The rows of a file, and in words how it was read; `rows` with all of their columns, by name."""

    records: list[Record]
    read_as: str
    rows: list[dict]


def read_file(
    path,
    text: tuple[str, ...],
    label: str | None,
    *,
    names: tuple[str, ...] | None = None,
    quoted: bool | None = None,
    lenient: bool = False,
) -> File:
    """Reads a file of named columns.

    Args:
        path: .csv, .tsv or .txt with a first line of names, or .jsonl; .gz or .xz behind it.
        text: columns of the texts. label: that of the labels; None: there is none, or it does not matter.
        names: of the columns, where the first line is already a row.
        quoted: whether quotes enclose cells; None: always where commas part them, else if it looks so.
        lenient: rows with another number of columns than there are names are left out, and said, as in the originals.

    Raises: `InputError` for a file that is not there, empty, not UTF-8, without one of the columns, or with a row of
    another number of columns.
    """
    path = Path(path)
    content, suffix = read_text(path)
    if is_json(suffix):
        rows, read_as = json_rows(content, path), "JSON lines"
        columns = list(dict.fromkeys(name for _, row in rows for name in row))
    elif suffix in _KINDS:
        columns, rows, read_as = _table(content, _KINDS[suffix], path, quoted, list(names) if names else None, lenient)
    else:
        raise InputError(
            f"files that end in {suffix!r} cannot be read",
            where=path,
            expected=".csv, .tsv, .txt (tabs) or .jsonl, perhaps with .gz or .xz behind it",
        )
    if not rows:
        raise InputError(
            "the file has no rows",
            where=path,
            expected="a line of names, and rows below it",
            remedy="check how the file was made",
        )
    wanted = [*text, *([label] if label is not None else [])]
    for name in wanted:
        if columns.count(name) != 1:
            raise InputError(
                f"there {'is no column' if name not in columns else 'are several columns called'} {name!r}",
                where=path,
                expected=f"one of the columns {', '.join(map(repr, columns))}",
                remedy="name them with --text and --label",
            )
    records = []
    for where, row in rows:
        missing = [name for name in wanted if row.get(name) is None]
        nested = [name for name in wanted if _is_nested(row.get(name), several=name not in text)]
        if nested:
            kind = "a list" if isinstance(row[nested[0]], list) else "an object"
            expected = "a text, or a number" + (", or a list of them" if nested[0] not in text else "")
            raise InputError(f"{nested[0]!r} is {kind}", where=f"{path}, {where}", expected=expected)
        if missing:
            raise InputError(f"the row has no {missing[0]!r}", where=f"{path}, {where}", expected="every column")
        label_here = None if label is None else _label(row[label])
        records.append(Record(tuple(str(row[name]) for name in text), label_here, f"{path}, {where}"))
    return File(records, read_as, [row for _, row in rows])


def _label(value):
    """As text; a list of labels (of JSON lines) as they are written in other files."""
    return "|".join(map(str, value)) if isinstance(value, list) else str(value).strip()


def _is_nested(value, several):
    """Whether it is neither a text nor a number; nor, with `several`, a list of them."""
    if several and isinstance(value, list):
        return any(isinstance(one, list | dict) for one in value)
    return isinstance(value, list | dict)


def check_is_text(value, what: str, where: str) -> None:
    """Raises `InputError` for what is no text."""
    if not isinstance(value, str):
        raise InputError(
            f"the {what} is a {type(value).__name__}",
            where=where,
            expected="a text",
            remedy="correct it, or leave the question out",
        )


def is_json(suffix: str) -> bool:
    """Whether files that end so are of JSON lines."""
    return suffix in _JSON


def read_text(path: Path) -> tuple[str, str]:
    """(the text of a file, perhaps packed, and the ending of its name, in small letters).

    Raises: `InputError` for one that is not there, empty, damaged or not UTF-8.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1] if suffixes and suffixes[-1] in (".gz", ".xz") else ""
    try:
        data = path.read_bytes()
        data = {".gz": gzip.decompress, ".xz": lzma.decompress}.get(packed, bytes)(data)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise InputError(
            f"it cannot be read: {getattr(error, 'strerror', None) or error}",
            where=path,
            expected="a file of text, perhaps packed as .gz or .xz",
            remedy="check the path, given with --train, --dev, --test or --file",
        ) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(
            f"byte {error.start} is not UTF-8: {error.reason}",
            where=f"{path}, line {line}",
            expected="text in UTF-8",
            remedy=f"if it is CP1252, convert it: iconv -f CP1252 -t UTF-8 {quote(str(path))} > utf8{path.suffix}",
        ) from error
    if not text.strip():
        raise InputError(
            "the file is empty",
            where=path,
            expected="a line of names, and rows below it",
            remedy="check the path, and how the file was made",
        )
    return text, (suffixes[-2] if packed and len(suffixes) > 1 else suffixes[-1] if suffixes else "")


def json_rows(content: str, path) -> list[tuple[str, dict]]:
    """(where, object) of every line. Raises: `InputError` for one that is no object."""
    rows = []
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"this is no JSON: {error}",
                where=f"{path}, line {number}",
                expected="an object on every line",
                remedy="correct the line, or leave it out",
            ) from error
        if not isinstance(row, dict):
            raise InputError(f"this is a {type(row).__name__}", where=f"{path}, line {number}", expected="an object")
        rows.append((f"line {number}", row))
    return rows


def _table(content, delimiter, path, quoted, names, lenient):
    """Names, rows and how they were told apart. Tab-separated files are quoted or not: by what is there."""
    if quoted is None:
        quoted = delimiter == "," or _is_quoted(content, delimiter)
    lines, rows = _quoted_lines(content, delimiter, path) if quoted else _plain_lines(content, delimiter), []
    left_out = 0
    for number, cells in lines:
        if names is None:
            names = [cell.strip() for cell in cells]
            continue
        if len(cells) != len(names) and lenient:
            left_out += 1
            continue
        if len(cells) != len(names):
            raise InputError(
                f"the row has {len(cells)} columns, and there are names for {len(names)}",
                where=f"{path}, line {number}",
                expected=", ".join(names),
                remedy="quote texts with the separator in them, or write JSON lines",
            )
        rows.append((f"line {number}", dict(zip(names, cells, strict=True))))
    kind = "commas" if delimiter == "," else "tabs"
    read_as = f"columns parted by {kind}, {'quoted' if quoted else 'unquoted'}"
    if left_out:
        read_as += f"; left out, of another number of columns: {left_out:,} lines"
    return names or [], rows, read_as


def _plain_lines(content, delimiter):
    """Only a line feed ends a line: texts of the field have other separators in them."""
    for number, line in enumerate(content.split("\n"), 1):
        if line.rstrip("\r"):
            yield number, line.rstrip("\r").split(delimiter)


def _quoted_lines(content, delimiter, path):
    csv.field_size_limit(1 << 30)
    reader = csv.reader(io.StringIO(content, newline="\n"), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        place = f"{path}, line {reader.line_num}"
        raise InputError(f"the quotes do not match: {error}", where=place, expected='"a ""quoted"" cell"') from error


def _is_quoted(content, delimiter) -> bool:
    """Whether quotes enclose cells: every cell that begins with one also ends with one, and some do."""
    begun = 0
    for line in content.split("\n"):
        for cell in line.rstrip("\r").split(delimiter):
            if cell.startswith('"'):
                if len(cell) < 2 or not cell.endswith('"'):
                    return False
                begun += 1
    return begun > 0
