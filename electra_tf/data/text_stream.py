"""A file of a corpus as a stream of its text's bytes: what it holds is told by how it begins, not by its name.

Names tell too little: `.ndjson`, `.json` or `part-00000` hold JSON lines, `.GZ` is compressed, and all of it would
be read as text. So what can be read is known by its contents, and what is known to be no text is refused.
"""

import bz2
import gzip
import json
import lzma
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from electra_tf.errors import InputError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_HEAD = 1 << 16  # bytes by which a file is judged
# Suffix -> how the file begins, what opens it, the command that prints its text.
_COMPRESSIONS = {
    ".gz": (re.compile(rb"\x1f\x8b"), gzip.open, "gzip -dc"),
    ".xz": (re.compile(rb"\xfd7zXZ\0"), lzma.open, "xz -dc"),
    ".bz2": (re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P)"), bz2.open, "bzip2 -dc"),
}
# How a file begins that holds no text as it is, what it is, and what makes text of it.
_OTHERS = (
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "{text} | zstd -dc > {new}"),
    (b"PK\x03\x04", "a zip archive", "unzip {path}"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x {path}"),
    (b"\xff\xfe\0\0", "UTF-32", "{text} | iconv -f utf-32 -t utf-8 > {new}"),
    (b"\0\0\xfe\xff", "UTF-32", "{text} | iconv -f utf-32 -t utf-8 > {new}"),
    (b"\xff\xfe", "UTF-16", "{text} | iconv -f utf-16 -t utf-8 > {new}"),
    (b"\xfe\xff", "UTF-16", "{text} | iconv -f utf-16 -t utf-8 > {new}"),
    (b"version https://git-lfs", "what Git LFS puts in its place", "git lfs pull -I {path}"),
    (b"%PDF-", "a PDF", "pdftotext {path} {new}"),
    (b"PAR1", "Parquet", None),
    (b"ARROW1", "Arrow", None),
    (b"<?xml", "XML", None),
    (b"<mediawiki", "XML", None),
    (b"<!doctype html", "HTML", None),
    (b"<html", "HTML", None),
    (b"{\\rtf", "RTF", None),
)
_JSONL_NAMES = {".jsonl", ".ndjson", ".ldjson", ".jl", ".json"}
_FEW = 100  # carriage returns a line feed: within a line there may be some, as of a progress bar
_OBJECT = re.compile(rb'\{\s*"(?:[^"\\]|\\.)*"\s*:')
_SPREAD_JSON = re.compile(rb'\[\s*\{\s*"(?:[^"\\]|\\.)*"\s*:|[\[{]\s*\n\s*["{]')
# An object, a list of objects or of texts, or several of these one after the other.
_AS_LINES = (
    "import json, re, sys; [print(json.dumps(row if isinstance(row, dict) else dict(text=row))) "
    r"for part in re.split(r'(?m)(?<=^[\]}])\s+(?=^[\[{])', sys.stdin.read().lstrip(chr(65279))) "
    "for found in [json.loads(part)] for row in (found if isinstance(found, list) else [found])]"
)


_TEXTS_AS_LINES = (
    "import json, sys; [print(json.dumps(dict(text=text))) for line in sys.stdin if line.strip() "
    "for row in [json.loads(line.lstrip(chr(65279)))] for text in (row if isinstance(row, list) else [row]) "
    "if isinstance(text, str)]"
)


class TextStream:
    """The bytes of a text, decompressed.

    Attributes:
        is_jsonl: it holds JSON lines.
        file: the file as it lies on disk.
    """

    def __init__(self, file, stream, head: bytes, is_jsonl: bool):
        self.file, self.is_jsonl = file, is_jsonl
        self._stream, self._head = stream, head

    def read(self, size: int) -> bytes:
        """The next `size` bytes; fewer at the end alone."""
        ahead, self._head = self._head[:size], self._head[size:]
        return ahead + self._stream.read(size - len(ahead))


@contextmanager
def opened(path: Path) -> Iterator[TextStream]:
    """Raises: `InputError` for what is known to be no text, with what makes text of it; `OSError` and others where the
    file cannot be read."""
    with open(path, "rb") as file:
        compression = compression_of(path, file.peek(10))
        with compression[1](file) if compression else file as stream:
            head = stream.read(_HEAD)
            refuse_other_kinds(path, head)
            yield TextStream(file, stream, head, _is_jsonl(path, head))


def mended(path: str | Path, command: str) -> str:
    """The command line that mends a file, from what prints its text to a new file: a remedy that can be typed.

    Args:
        command: reads standard input; or holds `{path}`, `{text}` (what prints the text) and `{new}` itself.
    """
    path = Path(path)
    with open(path, "rb") as file:
        compression = compression_of(path, file.peek(10))
    plain = path.with_suffix("") if path.suffix.lower() in (*_COMPRESSIONS, ".zst") else path
    new = str(plain.with_name(f"{plain.stem}.new{plain.suffix or '.txt'}"))
    new = shlex.quote(f"./{new}" if new.startswith("-") else new)
    name = shlex.quote(f"./{path}" if str(path).startswith("-") else str(path))
    text = f"{compression[2] if compression else 'cat'} {name}"
    if "{path}" in command or "{text}" in command:
        return command.format(path=name, text=text, new=new)
    return f"{text} | {command} > {new}"


def compression_of(path: Path, start: bytes):
    """(how such files begin, what opens one, the command that prints its text) of one that begins so, or None."""
    for begins, opener, command in _COMPRESSIONS.values():
        if begins.match(start):
            return begins, opener, command
    return _COMPRESSIONS.get(path.suffix.lower()) if start else None


def mended_by_python(path: str | Path, script: str) -> str:
    """The same, where a line of Python reads standard input and prints what is right."""
    return mended(path, f"python3 -X utf8 -c {shlex.quote(script)}")


def refuse_other_kinds(path, head: bytes) -> None:
    """Raises `InputError` for what is known to be no text by how it begins, with what makes text of it."""
    text = head.removeprefix(BYTE_ORDER_MARK)
    markup = text[:1000].lstrip().lower()
    found = [
        (kind, command)
        for begins, kind, command in _OTHERS
        if text.startswith(begins) or (begins[:1] in b"<{" and markup.startswith(begins.lower()))
    ]
    if any(begins.match(text) for begins, _, _ in _COMPRESSIONS.values()):
        found = [("compressed twice", "{text} > {new}")]
    if head[257:262] == b"ustar":
        found = [("a tar archive", "tar -xf {path}")]
    if found:
        kind, command = found[0]
        raise InputError(
            f"the file is {kind}",
            where=path,
            expected="text in UTF-8, or JSON lines, plain or compressed by gzip, xz or bzip2",
            remedy=f"give its text instead, made by: {mended(path, command)}"
            if command
            else "write the texts in it as JSON lines, one object a line",
        )
    feeds, alone = head.count(b"\n"), head[:-1].count(b"\r") - head.count(b"\r\n")
    if alone > _FEW * feeds:
        raise InputError(
            "the lines end by carriage returns alone, as on old Macs: they would be one line",
            where=path,
            expected="lines that end by a line feed, or by both",
            remedy="give it with such lines, made by: " + mended(path, "tr '\\r' '\\n'"),
        )


def _is_jsonl(path, head):
    """Whether the first line that is not blank is a JSON object, or most lines are, or the name says so. A line that is
    none is then an error, when it is read.
    """
    text = head.removeprefix(BYTE_ORDER_MARK).lstrip()
    if _SPREAD_JSON.match(text):
        raise InputError(
            "the file is JSON, but not JSON lines",
            where=path,
            expected="one JSON object a line",
            remedy=f"give its objects as lines, made by: {mended_by_python(path, _AS_LINES)}",
        )
    if not _JSONL_NAMES.isdisjoint(suffix.lower() for suffix in path.suffixes[-2:]):
        return True
    lines = text.split(b"\n")
    if len(head) == _HEAD and len(lines) == 1:
        return bool(_OBJECT.match(text.lstrip(b"\x1e")))
    if len(head) == _HEAD:
        lines.pop()  # it is cut
    lines = [line for line in lines if line.strip()]
    escaped = any(line.lstrip()[:1] == b"[" or b"\\" in line for line in lines)  # else they may be quoted text
    if len(lines) > 1 and escaped and all(map(_is_list_or_string, lines)):
        raise InputError(
            "each line is a list, or a string, of JSON",
            where=path,
            expected="one JSON object a line, or plain text",
            remedy=f"give its texts as objects, made by: {mended_by_python(path, _TEXTS_AS_LINES)}",
        )
    return bool(lines) and (_is_object(lines[0]) or 2 * sum(map(_is_object, lines)) > len(lines))


def _is_list_or_string(line):
    try:
        return isinstance(json.loads(line), list | str)
    except (ValueError, RecursionError):
        return False


def _is_object(line):
    """Whether a line is an object with names in it: perhaps behind a record separator (RFC 7464), or with a comma or
    another object behind it, which no text would have.
    """
    line = line.lstrip(b"\x1e").strip()
    if not line.startswith(b"{"):
        return False
    try:
        line = line.decode("utf-8")
        found, end = json.JSONDecoder().raw_decode(line)
        return isinstance(found, dict) and bool(found) and line[end:].lstrip()[:1] in ("", ",", "{")
    except (json.JSONDecodeError, UnicodeDecodeError):
        return False
    except (ValueError, RecursionError):  # too large a number, too deep: told with its place where the line is read
        return True
