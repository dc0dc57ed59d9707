"""Files of labelled texts: kinds, quotes, columns, and what is wrong with a file."""

import gzip
import json
import lzma

import pytest

from electra_tf.errors import InputError
from electra_tf.finetuning.records import read_file


def rows_of(path, content, text=("text",), label="label"):
    path.write_text(content, encoding="utf-8", newline="")
    return [(record.texts, record.label) for record in read_file(path, text, label).records]


def test_a_csv_has_quoted_cells_with_commas_quotes_and_lines_in_them(tmp_path):
    content = 'label,text\r\ngood,"Well, ""done"".\nYes."\r\nbad,no\r\n'
    assert rows_of(tmp_path / "a.csv", content) == [(('Well, "done".\nYes.',), "good"), (("no",), "bad")]


def test_tabs_are_quoted_or_not_by_what_is_there(tmp_path):
    unquoted = 'text\tlabel\n"Begun and not ended\t1\nplain\t0\n'
    assert rows_of(tmp_path / "a.tsv", unquoted) == [(('"Begun and not ended',), "1"), (("plain",), "0")]
    quoted = 'text\tlabel\n"in ""quotes"""\t1\nplain\t0\n'
    assert rows_of(tmp_path / "b.tsv", quoted) == [(('in "quotes"',), "1"), (("plain",), "0")]
    assert read_file(tmp_path / "a.tsv", ("text",), "label").read_as.endswith("unquoted")
    assert read_file(tmp_path / "b.tsv", ("text",), "label").read_as.endswith(", quoted")


def test_json_lines_have_pairs_and_labels_of_any_type(tmp_path):
    lines = [{"a": "one", "b": "two", "y": 1}, {"a": "three", "b": "four", "y": "no"}]
    content = "".join(json.dumps(line) + "\n" for line in lines)
    expected = [(("one", "two"), "1"), (("three", "four"), "no")]
    assert rows_of(tmp_path / "a.jsonl", content, ("a", "b"), "y") == expected


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress], ids=["gz", "xz"])
def test_compressed_files_are_read(tmp_path, pack):
    path = tmp_path / f"a.tsv.{'gz' if pack is gzip.compress else 'xz'}"
    path.write_bytes(pack(b"\xef\xbb\xbftext\tlabel\nsea\t1\n"))
    assert read_file(path, ("text",), "label").records[0].texts == ("sea",)


def test_a_record_says_where_it_stands(tmp_path):
    (tmp_path / "a.csv").write_text('text,label\n"two\nlines",1\nsea,0\n')
    records = read_file(tmp_path / "a.csv", ("text",), "label").records
    assert [record.where.rpartition(", ")[2] for record in records] == ["line 3", "line 4"]


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("a.csv", b"", "the file is empty"),
        ("a.csv", b"text,label\n", "no rows"),
        ("a.csv", b"txt,label\nsea,1\n", "no column 'text'.*'txt', 'label'"),
        ("a.csv", b"text,text,label\nsea,ship,1\n", "several columns called 'text'"),
        ("a.csv", b"text,label\nsea,1,2\n", "3 columns, and there are names for 2.*line 2"),
        ("a.csv", b'text,label\n"sea,1\n', "the quotes do not match"),
        ("a.csv", b"text,label\ncaf\xe9,1\n", "byte 14 is not UTF-8.*line 2"),
        ("a.jsonl", b'{"text": "sea", "label": 1}\n{"text"\n', "this is no JSON.*line 2"),
        ("a.jsonl", b'{"text": "sea", "label": 1}\n{"text": "ship"}\n', "the row has no 'label'.*line 2"),
        ("a.jsonl", b"[1]\n", "this is a list"),
        ("a.jsonl", b'{"text": ["sea"], "label": 1}\n', "'text' is a list.*line 1"),
        ("a.xlsx", b"PK", "files that end in '.xlsx' cannot be read"),
        ("a.csv.gz", b"no gzip", "it cannot be read"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"(?s){words}"):
        read_file(tmp_path / name, ("text",), "label")


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_file(tmp_path / "a.csv", ("text",), "label")
