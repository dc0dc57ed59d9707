"""Files of labelled texts: CSV, TSV and JSON lines, with named columns."""

import csv
import io
import json
import lzma
import math
import re
import zlib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from electra_tf.data import bad_text
from electra_tf.data.text_stream import compression_of, refuse_other_kinds
from electra_tf.errors import InputError

_KINDS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
_JSON = (".jsonl", ".json")
_PACKED = (".gz", ".xz", ".bz2")
_LONGEST = 10_000_000  # characters of a text: a longer one is a file, or a quote that was never closed
_HALF = re.compile(r"\\u[dD][89a-fA-F]")  # of a surrogate pair, as JSON escapes it
_HEAD = 1 << 16  # bytes by which it is told that a file is no text
_MOST, _MOST_TIMES = 1 << 28, 200  # bytes that a packed file may become, or times its size: text becomes no more


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
    remedy: str | None = None,
) -> File:
    """Reads a file of named columns.

    Args:
        path: .csv, .tsv or .txt with a first line of names, or .jsonl; .gz or .xz behind it.
        text: columns of the texts. label: that of the labels; None: there is none, or it does not matter.
        names: of columns that tabs part, where the first line is a row (which it is not where it has the wanted names).
        quoted: whether quotes enclose cells that tabs part; None, and for commas always: told from what is there.
        remedy: for a file without one of the columns; None: the flags.
        lenient: rows that tabs part into another number of columns than there are names are left out, and said, as in
            the originals.

    Raises: `InputError` for a file that is not there, empty, not UTF-8, without one of the columns, or with a row of
    another number of columns.
    """
    path, wanted = Path(path), [*text, *([label] if label is not None else [])]
    content, suffix = read_text(path)
    if is_json(suffix):
        rows, read_as = json_rows(content, path), "JSON lines"
        columns = list(dict.fromkeys(name for _, row in rows for name in row))
    elif suffix in _KINDS:
        columns, rows, read_as = _table(content, _KINDS[suffix], path, quoted, names, wanted, lenient)
    else:
        raise InputError(
            f"files that end in {suffix!r} cannot be read",
            where=path,
            expected=".csv, .tsv, .txt (tabs) or .jsonl, perhaps with .gz or .xz behind it",
            remedy="give it the name of what it holds",
        )
    if not rows:
        raise InputError(
            "the file has no rows",
            where=path,
            expected="a line of names, and rows below it",
            remedy="check how the file was made",
        )
    for name in wanted:
        if columns.count(name) != 1:
            raise InputError(
                f"there {'is no column' if name not in columns else 'are several columns called'} {name!r}",
                where=path,
                expected=f"one of the columns {', '.join(map(repr, columns))}",
                remedy=_other_gap(columns) or remedy or f"name them with {flags_of('--text', label is not None)}",
            )
    records = []
    for where, row in rows:
        place = f"{path}, {where}"
        label_here = None if label is None else _label(row, label, place)
        records.append(Record(tuple(text_of(row, name, place) for name in text), label_here, place))
    return File(records, read_as, [row for _, row in rows])


def _other_gap(columns):
    """What to do about a table that is parted otherwise than its name says."""
    gaps = {";": "semicolons", "\t": "tabs", ",": "commas", "|": "bars"}
    if len(columns) == 1 and (found := [name for gap, name in gaps.items() if gap in columns[0]]):
        return f"its names are parted by {found[0]}: part them by commas in a .csv, by tabs in a .tsv"
    return None


def flags_of(texts: str, labelled: bool) -> str:
    """The flags that name columns: a command that does not read labels has none for them."""
    return texts + (" and --label" if labelled else "")


def text_of(row: dict, name: str, where: str) -> str:
    """A column of a row as text. Raises: `InputError` where there is neither a text nor a number."""
    return _as_text(row.get(name), name, where, "a text, or a number")


def _label(row, name, where):
    """As text; a list of labels (of JSON lines) as they are written in other files."""
    value, expected = row.get(name), "a text, or a number, or a list of them"
    if not isinstance(value, list):
        return _as_text(value, name, where, expected).strip()
    labels = [_as_text(one, name, where, expected) for one in value]
    if parted := [label for label in labels if "|" in label]:
        raise InputError(
            f"the label {parted[0]!r} has a | in it",
            where=where,
            expected="labels without it: it parts them in files and answers",
            remedy="write another character",
        )
    return "|".join(labels)


def _as_text(value, name, where, expected):
    if isinstance(value, list | dict):
        kind = "a list" if isinstance(value, list) else "an object"
        raise InputError(
            f"{name!r} is {kind}", where=where, expected=expected, remedy="write it so, or name another column"
        )
    if value is None or (isinstance(value, float) and math.isnan(value)):  # how pandas writes that there is nothing
        raise InputError(
            f"the row has no {name!r}", where=where, expected="every column", remedy="fill it in, or take the row out"
        )
    text = str(value)
    if len(text) > _LONGEST:
        raise InputError(
            f"{name!r} has {len(text):,} characters",
            where=where,
            expected=f"at most {_LONGEST:,}",
            remedy="look for a quotation mark that is not closed, or part the text",
        )
    return text


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

    Raises: `InputError` for one that is not there, empty, damaged, not UTF-8, or packed to a tiny part of its size.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = bool(suffixes) and suffixes[-1] in _PACKED
    try:
        data = _unpacked(path)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise InputError(
            f"it cannot be read: {getattr(error, 'strerror', None) or error}",
            where=path,
            expected="a file of text, perhaps packed as .gz or .xz",
            remedy="check the path, given with --train, --dev, --test or --file",
        ) from error
    refuse_other_kinds(path, data[:_HEAD])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise bad_text.not_utf8(str(path), data, error.start, _line_of(path, data, error.start)) from error
    if b"\0" in data:
        raise bad_text.nul(str(path), data, _line_of(path, data, data.index(b"\0")))
    if not text.strip():
        raise InputError(
            "the file is empty",
            where=path,
            expected="a line of names, and rows below it",
            remedy="check the path, and how the file was made",
        )
    return text, (suffixes[-2] if packed and len(suffixes) > 1 else suffixes[-1] if suffixes else "")


def _line_of(path, data, at):
    line = data[:at].count(b"\n") + 1
    return f"{path}, line {line}"


def _unpacked(path):
    """The bytes of a file, which is packed where it begins so, whatever its name is."""
    size = path.stat().st_size
    most = max(_MOST, _MOST_TIMES * size)
    with open(path, "rb") as file:
        compression = compression_of(path, file.peek(10))
        if compression is None:
            return file.read()
        with compression[1](file) as stream:
            data = stream.read(most + 1)
    if len(data) > most:
        raise InputError(
            f"the file becomes more than {most:,} bytes when it is unpacked, and has {size:,}",
            where=path,
            expected=f"at most {_MOST:,}, or {_MOST_TIMES} times its size, as of text",
            remedy="do not open it, or unpack it first",
        )
    return data


def json_of(text: str, where: str):
    """What a text of JSON holds.

    Raises: `InputError` for an object with a key twice, and for half a character; else as `json.loads`.
    """

    def once(pairs):
        found = dict(pairs)
        if len(found) < len(pairs):
            name = Counter(name for name, _ in pairs).most_common(1)[0][0]
            raise InputError(
                f"{name!r} stands twice in an object", where=where, expected="every name once", remedy="remove one"
            )
        return found

    found = json.loads(text, object_pairs_hook=once)
    if _HALF.search(text):
        try:
            json.dumps(found, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"half a surrogate pair, {error.object[error.start : error.start + 1]!a}",
                where=where,
                expected="whole characters",
                remedy="correct it, or leave it out",
            ) from error
    return found


def json_rows(content: str, path) -> list[tuple[str, dict]]:
    """(where, object) of every line. Raises: `InputError` for one that is no object."""
    rows = []
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json_of(line, f"{path}, line {number}")
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"this is no JSON: {error}",
                where=f"{path}, line {number}",
                expected="an object on every line",
                remedy="correct the line, or leave it out",
            ) from error
        if not isinstance(row, dict):
            raise InputError(
                f"this is a {type(row).__name__}",
                where=f"{path}, line {number}",
                expected="an object on every line",
                remedy="of a list of objects, write each on a line of its own",
            )
        rows.append((f"line {number}", row))
    return rows


def _table(content, delimiter, path, quoted, names, wanted, lenient):
    """Names, rows and how they were told apart: quoted or not, by what is there."""
    if delimiter == ",":
        quoted, lenient, names = not _is_plain(content), False, None
    elif quoted is None:
        quoted = _is_quoted(content, delimiter) or _fits_quoted_alone(content, delimiter)
    lines, rows = _quoted_lines(content, delimiter, path) if quoted else _plain_lines(content, delimiter), []
    names, left_out = list(names) if names else None, 0
    for at, (number, cells) in enumerate(_without_blank(lines)):
        if names is None or (at == 0 and {*wanted} <= {cell.strip() for cell in cells}):
            names = [cell.strip() for cell in cells]
            continue
        if len(names) > 1 and [cell.strip("\ufeff ") for cell in cells] == names:
            raise InputError(
                "the line of names stands here again",
                where=f"{path}, line {number}",
                expected="rows below it",
                remedy="take the line out; of files behind one another each brings its own",
            )
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
    if left_out and not rows:
        raise InputError(
            f"no row has {len(names)} columns",
            where=path,
            expected=f"the columns {', '.join(names)}, with tabs between them",
            remedy="if the first line has other names, name the columns with --text and --label",
        )
    if left_out:
        read_as += f"; left out, of another number of columns: {left_out:,} lines"
    return names or [], rows, read_as


def _without_blank(lines):
    """Lines as cells, without blank ones; of a single column these are rows without text, but for those at the end."""
    width, waiting = None, []
    for number, cells in lines:
        if not cells:
            waiting += [(number, [""])] if width == 1 else []
            continue
        width = width or len(cells)
        yield from waiting
        waiting = []
        yield number, cells


def _plain_lines(content, delimiter):
    """Only a line feed ends a line: texts of the field have other separators in them."""
    for number, line in enumerate(content.split("\n"), 1):
        line = line.rstrip("\r")
        yield number, line.split(delimiter) if line else []


def _fits_quoted_alone(content, delimiter) -> bool:
    """Whether rows have as many columns each where quotes enclose cells, and only there."""
    if len({len(cells) for _, cells in _without_blank(_plain_lines(content, delimiter))}) == 1:
        return False
    try:
        return len({len(cells) for cells in _reader(content, delimiter) if cells}) == 1
    except csv.Error:
        return False


def _reader(content, delimiter):
    csv.field_size_limit(1 << 30)
    return csv.reader(io.StringIO(content, newline="\n"), delimiter=delimiter, strict=True)


def _quoted_lines(content, delimiter, path):
    reader = _reader(content, delimiter)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        place = f"{path}, line {reader.line_num}"
        raise InputError(
            f"the quotes do not match: {error}",
            where=place,
            expected='"a ""quoted"" cell"',
            remedy="close the quotes of that line, and write each quote within a cell twice",
        ) from error


def _is_plain(content) -> bool:
    """Whether quotes are characters as any other where commas part cells: they do not match, though none is left open,
    enclose no cell, and every line has as many cells without them.
    """
    try:
        for _ in _reader(content, ","):
            pass
    except csv.Error as error:
        rows = [cells for _, cells in _plain_lines(content, ",") if cells]
        cells = (cell.strip() for cells in rows for cell in cells)
        encloses = any(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in cells)
        return "end of data" not in str(error) and not encloses and len(set(map(len, rows))) == 1
    return False


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
