"""What is wrong with a text, where, and what mends it: judged by the bytes around, for a wrong remedy does harm."""

import json
import unicodedata

from electra_tf.data.text_stream import mended, mended_by_python
from electra_tf.errors import InputError

# Of lines of JSON: what a pattern on their characters would do wrong.
_WITHOUT_NULL = """import json, sys; F = {field!r}
read = lambda line: json.loads(line.lstrip(chr(65279)))
sys.stdout.writelines(line for line in sys.stdin if not line.strip() or read(line).get(F, F) is not None)"""
_WITH_EACH = """import json, sys; F = {field!r}
clean = lambda row: row | {{F: row[F].METHOD}}
[print(json.dumps(clean(json.loads(line.lstrip(chr(65279)))))) for line in sys.stdin if line.strip()]"""
_WITHOUT_NUL = _WITH_EACH.replace("METHOD", "replace(chr(0), str())")
_WITHOUT_HALVES = _WITH_EACH.replace("METHOD", "encode(errors='ignore').decode()")


def _by_python(path, script, field):
    return mended_by_python(path, script.format(field=field).replace("\n", "; "))


def not_utf8(path: str, data: bytes, at: int, place: str) -> InputError:
    """For the first byte that is not UTF-8, at `at` in `data`."""
    if _utf_16(data):
        return nul(path, data, place)
    text = data.decode("utf-8", errors="replace")
    bad, good = text.count("\ufffd"), sum(not c.isascii() and c != "\ufffd" for c in text)
    if good > bad:
        remedy = "the text around is UTF-8: give the file without such bytes, made by: " + mended(
            path, "iconv -c -f utf-8 -t utf-8"
        )
    elif sum(byte > 127 for byte in data) < 0.2 * len(data):
        remedy = "if the text is of Western Europe, give it converted, made by: " + mended(
            path, "iconv -f cp1252 -t utf-8"
        )
    else:
        command = mended(path, "iconv -f ENCODING -t utf-8")
        remedy = f"give it converted from its encoding, such as gb18030, euc-kr, sjis or cp1251, made by: {command}"
    return InputError(f"byte {data[at]:#04x} is not UTF-8", where=place, expected="text in UTF-8", remedy=remedy)


def nul(path: str, data: bytes, place: str) -> InputError:
    """For a NUL byte in `data`."""
    if byte_order := _utf_16(data):
        found, command = "NUL bytes, as in UTF-16", f"iconv -f {byte_order} -t utf-8"
    else:
        found, command = "a NUL byte", "tr -d '\\000'"
    return InputError(
        found, where=place, expected="text in UTF-8", remedy=f"give it mended, made by: {mended(path, command)}"
    )


def _utf_16(data: bytes) -> str | None:
    """The byte order of UTF-16 without a mark, in which each character has two bytes; None: it is something else.

    Much of it is NUL where letters are Latin; where they are not, blanks and ends of lines still are.
    """
    low, high = data[::2], data[1::2]
    if data.count(0) > 0.2 * len(data):
        return "utf-16le" if high.count(0) > low.count(0) else "utf-16be"
    without = data.replace(b"\0", b"").decode("utf-8", "replace")
    if all((one.isprintable() and one != "\ufffd") or one in "\t\r\n" for one in without):
        return None  # it is UTF-8 but for a NUL byte
    for order, own, other in (("utf-16le", low, high), ("utf-16be", high, low)):
        blanks = [chr(byte) for byte, above in zip(own, other, strict=False) if above == 0]
        if blanks and not own.count(0) and all(blank.isprintable() or blank in "\t\r\n" for blank in blanks):
            text = "".join(data[: len(data) // 2 * 2].decode(order, "replace").split())
            if sum(unicodedata.category(character)[0] in "LMNPZ" for character in text) > 0.8 * len(text):
                return order
    return None


def long_line(path: str, is_jsonl: bool, data: bytes, most: int, place: str) -> InputError:
    """For a line of which `data` is the beginning, and all that is read."""
    if is_jsonl:
        expected, remedy = "one JSON object a line, a document each", "write one object for each document, a line each"
    elif max(map(len, data.split(b" "))) < 10_000:
        expected, remedy = (
            "lines of sentences or paragraphs",
            "give it broken at blanks, made by: " + mended(path, "fold -s -w 10000"),
        )
    else:  # `fold` would cut within characters
        expected = "lines of sentences or paragraphs"
        remedy = "give it broken after sentences, made by: " + mended(path, "sed 's/[.!?] \\|\u3002/&\\n/g'")
    return InputError(f"a line of more than {most:,} bytes", where=place, expected=expected, remedy=remedy)


def no_text(value, text_field: str, path: str, place: str) -> InputError:
    """For a line of JSON without text."""
    remedy = "name the field of the text with --text_field"
    if not isinstance(value, dict):
        found, remedy = f"no text in field {text_field!r}: it is no object", "write an object a line"
    elif text_field not in value:
        found = f"no text in field {text_field!r}; fields found: {', '.join(value) or 'none'}"
    elif value[text_field] is None:
        found = f"no text in field {text_field!r}: it is null"
        remedy = "give the file without such lines, made by: " + _by_python(path, _WITHOUT_NULL, text_field)
    else:
        found = f"no text in field {text_field!r}: it holds no string"
        others = [name for name, text in value.items() if isinstance(text, str)]
        remedy = f"{remedy}; strings are in {', '.join(others)}" if others else "write it as one string"
    return InputError(found, where=place, expected=f'an object such as {{"{text_field}": "..."}}', remedy=remedy)


def escaped_nul(path: str, text_field: str, place: str) -> InputError:
    return _escaped(r"a NUL character, \u0000", "text", _by_python(path, _WITHOUT_NUL, text_field), place)


def unpaired_surrogate(path: str, text_field: str, place: str) -> InputError:
    found, command = r"an unpaired surrogate (\ud800 to \udfff)", _by_python(path, _WITHOUT_HALVES, text_field)
    return _escaped(found, "valid Unicode", command, place)


def _escaped(found, expected, command, place):
    remedy = f"give the file without them, made by: {command}"
    return InputError(f"{found} in the text", where=place, expected=expected, remedy=remedy)


def not_json(error: ValueError | RecursionError, place: str) -> InputError:
    if isinstance(error, json.JSONDecodeError):
        found = f"not JSON: {error}"
    elif isinstance(error, RecursionError):
        found = "JSON nested too deep"
    else:
        found = "a number of too many digits in JSON"
    return InputError(
        found,
        where=place,
        expected="one JSON object a line, as the file's name, its first line or most of its lines say",
        remedy="mend the line, or leave it out; if the file is plain text, begin its lines otherwise",
    )
