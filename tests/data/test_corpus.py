import gzip
import json
import lzma

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_tf.data import corpus
from electra_tf.data.corpus import documents, expand, read_documents, read_units
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
    paths = [write(folder / str(i), "\n".join(lines)) for i, lines in enumerate(files)]

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
