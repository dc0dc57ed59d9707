"""A corpus in plain, compressed and JSON files: documents, units, and bytes that are no text named by their place."""

import bz2
import gzip
import json
import lzma
import os
import subprocess
import sys
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_tf.data import corpus
from electra_tf.data.corpus import documents, expand, named, read_documents, read_units
from electra_tf.errors import ConfigError, InputError

TEXT = "One.\nTwo.\n\nThree.\n\n\n  Four. \n"
DOCUMENTS = [["One.", "Two."], ["Three."], ["Four."]]


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


@pytest.mark.parametrize("name", ["a.txt", "a", "a.txt.gz", "a.xz"])
def test_blank_lines_separate_documents_in_plain_and_compressed_files(tmp_path, name):
    opener = {"gz": gzip.open, "xz": lzma.open}.get(name.split(".")[-1], open)
    with opener(tmp_path / name, "wb") as file:
        file.write(TEXT.encode())
    assert list(read_documents([tmp_path / name])) == DOCUMENTS


@pytest.mark.parametrize("name, opener", [("a.jsonl", open), ("a.jsonl.gz", gzip.open), ("a.jsonl.xz", lzma.open)])
def test_json_lines_hold_a_document_each(tmp_path, name, opener):
    lines = ["\n".join(document) + "\n\n" for document in DOCUMENTS]
    with opener(tmp_path / name, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"body": line, "id": 1}) + "\n" for line in lines)
    assert list(read_documents([tmp_path / name], text_field="body")) == DOCUMENTS


def test_lines_may_be_documents(tmp_path):
    path = write(tmp_path / "a.txt", TEXT)
    assert list(read_documents([path], document="line")) == [["One."], ["Two."], ["Three."], ["Four."]]


def test_the_end_of_a_file_ends_a_document(tmp_path):
    paths = [write(tmp_path / name, text) for name, text in [("a", "One."), ("b", "Two.")]]
    assert list(read_documents(paths)) == [["One."], ["Two."]]


def test_windows_line_ends_and_a_byte_order_mark_leave_no_trace(tmp_path):
    path = write(tmp_path / "a.txt", b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    assert list(read_documents([path])) == DOCUMENTS


line = st.text("ab é한 .\r", max_size=12)


@settings(max_examples=60, deadline=None)
@given(files=st.lists(st.lists(line, max_size=30), min_size=1, max_size=4), size=st.integers(1, 80))
def test_units_of_any_size_hold_the_same_documents(tmp_path_factory, files, size):
    folder = tmp_path_factory.mktemp("files")
    paths = [write(folder / str(i), "".join(f"{line}\n" for line in lines)) for i, lines in enumerate(files)]

    def read(unit_bytes):
        units = list(read_units(paths, unit_bytes=unit_bytes))
        assert [unit.number for unit in units] == list(range(len(units)))
        return [document for unit in units for piece in unit.pieces for document in documents(piece)]

    assert read(size) == read(corpus.UNIT_BYTES)


def test_units_are_of_about_the_size_asked_for_and_gather_small_files(tmp_path, english):
    large = write(tmp_path / "large", "\n\n".join([english[:3000]] * 40))
    small = [write(tmp_path / f"small-{i}", english[:500]) for i in range(40)]
    units = list(read_units([large, *small], unit_bytes=10_000))
    assert all(6_000 < unit.size <= 10_000 for unit in units[:-1])


def test_pieces_know_their_place_in_the_file(tmp_path):
    content = ("x" * 20 + "\ny\n\n") * 50
    path = write(tmp_path / "a.txt", content)
    pieces = [piece for unit in read_units([path], unit_bytes=100) for piece in unit.pieces]
    assert len(pieces) > 5
    for piece in pieces:
        assert content.encode()[piece.offset :].startswith(piece.data)
        assert piece.line == 1 + content[: piece.offset].count("\n")


def test_a_document_longer_than_the_limit_is_cut_between_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "LONGEST_DOCUMENT", 100)
    lines = [f"line {i}" for i in range(50)]
    path = write(tmp_path / "a.txt", "\n".join(lines))
    found = [document for unit in read_units([path], unit_bytes=50) for p in unit.pieces for document in documents(p)]
    assert [line for document in found for line in document] == lines
    assert len(found) > 1


def test_patterns_are_expanded_sorted_and_named_files_may_hold_brackets(tmp_path):
    names = ["b.txt", "a.txt", "[c].txt", "sub/d.txt"]
    (tmp_path / "sub").mkdir()
    paths = {name: write(tmp_path / name, "x") for name in names}
    assert expand([tmp_path / "**" / "*.txt", paths["a.txt"]]) == sorted(paths.values())
    assert expand([paths["[c].txt"]]) == [paths["[c].txt"]]


def test_a_pattern_without_a_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"(?s)no file matches.*missing-\*\.txt"):
        expand([tmp_path / "missing-*.txt"])


def test_a_folder_is_no_input_and_the_remedy_is_a_pattern(tmp_path):
    with pytest.raises(InputError, match=r"(?s)folder.*\*"):
        expand([tmp_path])


@pytest.mark.parametrize("content", ["", "\n\n  \n"])
def test_a_corpus_without_text_is_an_error(tmp_path, content):
    path = write(tmp_path / "empty.txt", content)
    with pytest.raises(InputError, match=r"(?s)no text.*empty\.txt"):
        list(read_documents([path]))


def test_bytes_that_are_not_utf8_are_named_by_line_and_byte(tmp_path):
    path = write(tmp_path / "latin.txt", b"good\nalso good\ncaf" + b"\xe9 au lait\n")
    with pytest.raises(InputError, match=r"(?s)0xe9 is not UTF-8.*latin\.txt, line 3, byte 18.*iconv"):
        list(read_documents([path]))


def test_the_place_is_right_beyond_the_first_unit(tmp_path):
    path = write(tmp_path / "a.txt", b"good\n\n" * 100 + b"\xff\n")
    with pytest.raises(InputError, match="line 201, byte 600"):
        [list(documents(p)) for unit in read_units([path], unit_bytes=64) for p in unit.pieces]


def test_nul_bytes_are_named_by_line_and_byte(tmp_path):
    path = write(tmp_path / "a.txt", b"good\nb\0d\n")
    with pytest.raises(InputError, match=r"(?s)NUL byte.*line 2, byte 6.*tr -d"):
        list(read_documents([path]))


def test_a_line_of_50_megabytes_is_refused_with_a_remedy(tmp_path):
    path = write(tmp_path / "a.txt", b"good\n" + b"word " * 10_000_000 + b"\n")
    with pytest.raises(InputError, match=r"(?s)a line of more than 8,000,000 bytes.*line 2, byte 5.*fold"):
        list(read_documents([path]))


@pytest.mark.parametrize(
    "line, message",
    [
        ('{"title": "x", "id": 1}', "no text in field 'text'; fields found: title, id"),
        ('{"text": 3}', "no text in field 'text'"),
        ('["text"]', "it is no object"),
        ('{"text": "x"', "not JSON"),
        ('{"text": "a\\u0000b"}', "NUL"),
        ('{"text": "a\\ud800b"}', "surrogate"),
    ],
)
def test_a_json_line_without_text_is_named(tmp_path, line, message):
    path = write(tmp_path / "a.jsonl", '{"text": "good"}\n' + line + "\n")
    with pytest.raises(InputError, match=rf"(?s){message}.*a\.jsonl, line 2"):
        list(read_documents([path]))


@pytest.mark.parametrize("name, compress", [("a.gz", gzip.compress), ("a.xz", lzma.compress)])
@pytest.mark.parametrize("damage", ["cut short", "not compressed"])
def test_a_damaged_compressed_file_is_named(tmp_path, name, compress, damage):
    content = compress(TEXT.encode() * 1000)
    path = write(tmp_path / name, content[:-20] if damage == "cut short" else TEXT)
    with pytest.raises(InputError, match=rf"(?s)cannot read the file.*{name}"):
        list(read_documents([path]))


def test_an_unknown_separator_is_refused(tmp_path):
    path = write(tmp_path / "a.txt", TEXT)
    with pytest.raises(ConfigError, match="blank_line or line"):
        list(read_documents([path], document="page"))


# What a file holds is told by its contents.


@pytest.mark.parametrize(
    "name", ["a.ndjson", "a.json", "a.jl", "a.txt", "part-00000", "a.JSONL", "a.jsonl.1", "a.JL.GZ"]
)
def test_json_lines_are_known_under_any_name(tmp_path, name):
    lines = '\ufeff\n  \n{"url": "http://x", "text": "the cat"}\n\n{"text": "the dog"}\n'.encode()
    path = write(tmp_path / name, gzip.compress(lines) if name.endswith("GZ") else lines)
    assert list(read_documents([path])) == [["the cat"], ["the dog"]]


def test_a_first_line_of_json_longer_than_what_is_looked_at_is_known(tmp_path):
    path = write(tmp_path / "a", json.dumps({"text": "word " * 50_000}) + "\n" + json.dumps({"text": "b"}))
    assert [len(lines) for lines in read_documents([path])] == [1, 1]
    assert list(read_documents([path]))[1] == ["b"]


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1} is an object.',
        "7" * 5000,
        "[" * 50_000,
        '{"quoted": words} are text',
        "{curly}",
        "[1]",
        '"a": b',
        "{}",
        '["a", "b"]',
        "[",
        "{",
    ],
)
def test_text_that_looks_a_little_like_json_is_text(tmp_path, text):
    path = write(tmp_path / "a.txt", text + "\nmore\n")
    assert list(read_documents([path])) == [[text, "more"]]


@pytest.mark.parametrize("name", ["a.txt", "a", "a.GZ", "a.dump"])
@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, bz2.compress])
def test_compressed_text_is_known_under_any_name(tmp_path, name, compress):
    assert list(read_documents([write(tmp_path / name, compress(TEXT.encode()))])) == DOCUMENTS


def error_of(path):
    with pytest.raises(InputError) as error:
        list(read_documents([path]))
    return error.value


def typed(error, folder):
    """Types the command at the remedy's end, and returns the file that it makes."""
    before = set(folder.rglob("*"))
    command = error.remedy.split("made by: ")[1]
    subprocess.run(command, shell=True, cwd=folder, stderr=subprocess.DEVNULL, timeout=20)
    (made,) = (path for path in set(folder.rglob("*")) - before if path.is_file())
    return made


def zipped(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inside.txt", TEXT)


def archived(path):
    inside = write(path.parent.parent / "inside.txt", TEXT)
    with tarfile.open(path, "w:gz") as archive:
        archive.add(inside, "inside.txt")


def spread(path):
    rows = [{"text": "\n".join(lines)} for lines in DOCUMENTS]
    write(path, json.dumps(rows, indent=1))


KINDS = {
    "UTF-16": lambda path: path.write_text(TEXT, "utf-16"),
    "UTF-16 of the other order": lambda path: path.write_bytes(b"\xfe\xff" + TEXT.encode("utf-16-be")),
    "UTF-16 without a mark": lambda path: path.write_text(TEXT, "utf-16-le"),
    "UTF-32": lambda path: path.write_text(TEXT, "utf-32"),
    "UTF-16, compressed": lambda path: path.write_bytes(gzip.compress(TEXT.encode("utf-16"))),
    "zip": zipped,
    "tar": archived,
    "JSON over several lines": spread,
    "one JSON list": lambda path: write(path, json.dumps([{"text": "\n".join(lines)} for lines in DOCUMENTS])),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_text_is_refused_and_the_remedy_gives_the_text(tmp_path, kind):
    folder = tmp_path / "it's [here]"
    folder.mkdir()
    KINDS[kind](folder / "a b.txt")
    error = error_of(folder / "a b.txt")
    assert "a b.txt" in str(error.where)
    assert list(read_documents([typed(error, folder)])) == DOCUMENTS


@pytest.mark.parametrize(
    "content, kind",
    [
        (b"PAR1\x15\x04", "Parquet"),
        (b'<?xml version="1.0"?>', "XML"),
        (b"<html>", "HTML"),
        (b'\n <!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN">', "HTML"),
        (b"<HTML><BODY>the cat", "HTML"),
        (b"{\\rtf1\\ansi the cat}", "RTF"),
        (b"%PDF-1.7", "PDF"),
    ],
)
@pytest.mark.parametrize("compress", [bytes, bz2.compress])
def test_what_no_command_makes_text_of_is_named(tmp_path, content, kind, compress):
    with pytest.raises(InputError, match=rf"(?s)the file is .*{kind}.*a\.txt.*what to do"):
        list(read_documents([write(tmp_path / "a.txt", compress(content))]))


@pytest.mark.parametrize("name", ["a.ndjson", "a.json", "a.jl.gz"])
def test_a_name_of_json_lines_holds_no_text(tmp_path, name):
    content = b'["the cat", "sat"]\n'
    path = write(tmp_path / name, gzip.compress(content) if name.endswith("gz") else content)
    with pytest.raises(InputError, match="it is no object"):
        list(read_documents([path]))


@pytest.mark.parametrize(
    "content, mended",
    [
        ("café é\ncafé \\ é\n".encode().replace(b"\\", b"\xff"), [["café é", "café  é"]]),
        ("un café noir\n".encode("cp1252"), [["un café noir"]]),
        (b"go\0od\n" * 9, [["good"] * 9]),
        (gzip.compress(b"good\nb\0ad\n"), [["good", "bad"]]),
        (b'{"text": "a"}\n{"text":null}\n{"text": null}\n', [["a"]]),
        (b'{"text": "a", "more": {"text": null}}\n\n{"text" : null}\n', [["a"]]),
        (b'{"text": "a \\u0000b"}', [["a b"]]),
        (b'{"text": "a \\u0000b", "n": 1}\n\n{"text": "a \\\\u0000b \\ud55c"}\n', [["a b"], ["a \\u0000b 한"]]),
        (b'{"text": "\\ud83d\\ude00 a\\udc00b", "n": 1}\n{"text": "\\\\ud800"}\n', [["\U0001f600 ab"], ["\\ud800"]]),
        (b'{\n "text": "the cat"\n}\n', [["the cat"]]),
        (b'{\n "text": "the cat"\n}\n{\n "text": "sat"\n}\n', [["the cat"], ["sat"]]),
        (b'[\n {"text": "the cat"},\n {"text": "sat"}\n]\n', [["the cat"], ["sat"]]),
        (b'[\n "the cat",\n "sat"\n]\n', [["the cat"], ["sat"]]),
        (b'["the cat", "sat"]\n["on"]\n', [["the cat"], ["sat"], ["on"]]),
        (b'"the cat\\nthe dog"\n\n"sat"\n', [["the cat", "the dog"], ["sat"]]),
        (
            "\u043a\u043e\u0442 \u0441\u0438\u0434\u0438\u0442\n".encode("utf-16le"),
            [["\u043a\u043e\u0442 \u0441\u0438\u0434\u0438\u0442"]],
        ),
        ("\u5b57 \u4e2d\u56fd\n".encode("utf-16be"), [["\u5b57 \u4e2d\u56fd"]]),
        ("cat \u00e9 b\n".encode("utf-16le"), [["cat \u00e9 b"]]),
        (b'\xef\xbb\xbf{"text": "a"}\n{"text":null}\n', [["a"]]),
    ],
    ids=["a bad byte", "cp1252", "NUL", "NUL, compressed", "null", "another's null", "escaped NUL", "and a backslash"]
    + ["half a pair", "an object", "objects", "a list", "a list of texts", "lists", "strings", "Cyrillic UTF-16"]
    + ["Chinese UTF-16", "Latin UTF-16", "null behind a mark"],
)
def test_the_remedy_for_bad_text_mends_it(tmp_path, content, mended):
    error = error_of(write(tmp_path / "a.txt", content))
    assert list(read_documents([typed(error, tmp_path)])) == mended


@pytest.mark.parametrize(
    "content, mended",
    [("x" * 50 + "。" + "y" * 60 + "。", ["x" * 50 + "。", "y" * 60 + "。"]), ("word " * 30_000, None)],
)
def test_the_remedy_for_a_long_line_breaks_no_character(tmp_path, monkeypatch, content, mended):
    monkeypatch.setattr(corpus, "LONGEST_DOCUMENT", 30_000 if mended is None else 100)
    lines = content if mended is None else content * 200
    path = write(tmp_path / "a.txt", lines)
    with pytest.raises(InputError) as error:
        list(read_units([path], unit_bytes=50))
    made = typed(error.value, tmp_path).read_text()
    assert made.replace("\n", "") == lines
    assert max(map(len, made.split("\n"))) <= 10_000


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress, lambda data: bz2.compress(data, 5)])
def test_a_file_compressed_twice_is_told_so(tmp_path, pack):
    error = error_of(write(tmp_path / "a.txt.gz.gz", gzip.compress(pack(b"the cat\n"))))
    assert "compressed twice" in str(error)
    assert list(read_documents([typed(error, tmp_path)])) == [["the cat"]]


def test_legacy_encodings_are_not_called_western(tmp_path):
    assert "euc-kr" in error_of(write(tmp_path / "a.txt", "한국어 문서".encode("euc-kr"))).remedy


def test_a_long_json_line_is_not_to_be_broken(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "LONGEST_DOCUMENT", 1000)
    path = write(tmp_path / "a.txt", json.dumps({"text": "word " * 1000}))
    with pytest.raises(InputError, match="one object for each document"):
        list(read_units([path], unit_bytes=50))


@pytest.mark.parametrize("name", ["a.jsonl", "a.txt"])
@pytest.mark.parametrize(
    "line, message", [('{"text": "a", "n": ' + "1" * 5000 + "}", "digits"), ('{"a":' * 100_000, "too deep")]
)
def test_json_that_python_cannot_read_is_named_by_its_line(tmp_path, name, line, message):
    path = write(tmp_path / name, '{"text": "good"}\n' + line + "\n")
    error = error_of(path)
    assert message in error.found and str(error.where).endswith("line 2")
    error = error_of(write(path, line + "\n"))
    assert message in error.found and str(error.where).endswith("line 1")


def test_fields_with_strings_are_named_where_the_text_is_none(tmp_path):
    error = error_of(write(tmp_path / "a.jsonl", '{"text": 3, "body": "the cat"}'))
    assert "it holds no string" in error.found and "body" in error.remedy
    error = error_of(write(tmp_path / "a.jsonl", '{"text": ["the cat"]}'))
    assert error.remedy == "write it as one string"


# Names


def test_brackets_and_commas_in_names_are_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("wiki [2020]/a.txt", "x, y/Smith, J.txt", "b.txt", "c.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        write(path, "x")
    (tmp_path / "x").mkdir()

    def found(*values):
        return [str(path) for path in expand(named(values))]

    assert found("wiki [2020]/*") == ["wiki [2020]/a.txt"]
    assert found("x, y/Smith, J.txt") == found("x, y/*") == ["x, y/Smith, J.txt"]
    assert found("x, y/Smith, J.txt,b.txt,c.txt") == ["b.txt", "c.txt", "x, y/Smith, J.txt"]
    assert found("b.txt,", ",c.txt") == ["b.txt", "c.txt"]
    with pytest.raises(InputError, match=r"(?s)no file matches.*missing\.txt"):
        found("b.txt,missing.txt")
    with pytest.raises(InputError, match="no input is named"):
        found("")


def test_many_names_in_one_value_are_read_as_such(tmp_path):
    paths = [str(write(tmp_path / f"{number:0100}.txt", "x")) for number in range(60)]
    assert list(map(str, expand(named([",".join(paths)])))) == paths


@pytest.mark.parametrize("inside", ["a.txt", "sub [1]/a.txt"])
def test_the_pattern_that_is_told_for_a_folder_works(tmp_path, inside):
    folder = tmp_path / "it's [here], so"
    path = folder / inside
    path.parent.mkdir(parents=True)
    write(path, "x")
    with pytest.raises(InputError, match="this is a folder") as error:
        expand(named([str(folder)]))
    argument = subprocess.run(
        ["sh", "-c", f"printf %s {error.value.remedy.split(': ')[1]}"], capture_output=True
    ).stdout
    assert expand(named([argument.decode()])) == [path]


def test_a_link_that_leads_nowhere_is_named(tmp_path):
    write(tmp_path / "a.txt", "x")
    (tmp_path / "b.txt").symlink_to("nowhere")
    for pattern in ("b.txt", "*.txt"):
        with pytest.raises(InputError, match=r"(?s)a link that leads nowhere.*b\.txt"):
            expand([tmp_path / pattern])
    (tmp_path / "b.txt").unlink()
    (tmp_path / "b.txt").symlink_to("b.txt")
    with pytest.raises(InputError, match=r"(?s)a link that leads nowhere.*b\.txt"):
        expand([tmp_path / "b.txt"])


@pytest.mark.parametrize("name", ["n" * 300, "d/" * 3000])
def test_a_name_that_no_file_can_have_is_an_error(tmp_path, name):
    with pytest.raises(InputError):
        expand([tmp_path / name])


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is tried, which root alone can become")
def test_a_folder_that_may_not_be_searched_is_an_error(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "shut").mkdir(mode=0o600)
    write(tmp_path / "shut" / "a.txt", "x")
    script = f"""if 1:
        import os
        from electra_tf.data.corpus import expand
        from electra_tf.errors import InputError
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
        try:
            expand(["{tmp_path}/shut/a.txt"])
        except InputError as error:
            print(error.found)"""
    # A user without rights cannot reach a folder below that of another: only what is said is looked at.
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert "Permission denied" in done.stdout


@pytest.mark.parametrize(
    "first",
    ['rld"}', '{"text":"a"},', "// from a crawl", "{}", '{"text": "a"}{"text": "b"}'],
    ids=lambda text: text[:6],
)
def test_json_lines_with_a_first_line_that_is_none_are_not_text(tmp_path, first):
    """As of `split -b`, of a list's lines, or behind a comment."""
    path = write(tmp_path / "part-ab", first + '\n{"text": "c d"}\n{"text": "e"}\n')
    with pytest.raises(InputError, match="part-ab, line 1"):
        list(read_documents([path]))


def test_a_file_of_several_names_is_read_once(tmp_path, monkeypatch):
    (tmp_path / "v1").mkdir()
    path = write(tmp_path / "v1/a.txt", "x")
    (tmp_path / "latest").symlink_to("v1")
    monkeypatch.chdir(tmp_path)
    assert expand(["latest/a.txt", path]) == [path]
    assert len(expand(["**/*.txt"])) == len(expand([path, "v1/a.txt", "v1/../v1/a.txt", "latest/a.txt"])) == 1


def test_one_line_feed_among_carriage_returns_does_not_make_lines(tmp_path):
    path = write(tmp_path / "a.txt", "title\n" + "a line\r" * 400 + "end\n")
    with pytest.raises(InputError, match="the lines end by carriage returns alone") as caught:
        list(read_documents([path]))
    remedy = str(caught.value).partition("made by: ")[2].splitlines()[0]
    subprocess.run(remedy, shell=True, check=True)
    assert list(read_documents([tmp_path / "a.new.txt"])) == [["title", *["a line"] * 400, "end"]]
    assert list(read_documents([write(tmp_path / "b.txt", "10 %\r20 %\rdone\nmore\n")]))
