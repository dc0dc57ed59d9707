"""`electra-tf vocab` writes a tokenizer folder, whole or not at all."""

import gzip
import json

import pytest
from absl import flags

from electra_tf.cli import vocab
from electra_tf.errors import ConfigError, InputError, OutputError
from electra_tf.text import safe_characters
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.text.vocabulary import train_vocabulary
from electra_tf.text.wordpiece import WordPieceSettings, WordPieceTokenizer


def run(*arguments):
    before = set(flags.FLAGS)
    vocab.define_flags()
    try:
        flags.FLAGS(["vocab", *map(str, arguments)])
        vocab.run(flags.FLAGS)
    finally:
        for name in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, name)


@pytest.fixture
def corpus(tmp_path, english_lines):
    (tmp_path / "a.txt").write_text("\n".join(english_lines[:300]), "utf-8")
    with gzip.open(tmp_path / "b.txt.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(english_lines[300:600]))
    lines = (json.dumps({"body": line}) for line in english_lines[600:900])
    (tmp_path / "c.jsonl").write_text("\n".join(lines), "utf-8")
    return tmp_path


def test_it_writes_the_tokenizer_of_all_files_named(corpus, english_lines, capsys):
    run(
        f"--input={corpus}/a.txt,{corpus}/b*",
        f"--input={corpus}/c.jsonl",
        "--text_field=body",
        "--size=900",
        "--unused=2",
        "--nolower_case",
        f"--output={corpus}/made",
    )
    settings = WordPieceSettings(lower_case=False)
    expected, _ = train_vocabulary(english_lines[:900], 900, settings, unused=2)
    tokenizer = Tokenizer.from_pretrained(corpus / "made")
    assert (tokenizer.vocabulary, tokenizer.settings) == (expected, settings)
    assert "900 entries" in capsys.readouterr().out
    report = json.loads((corpus / "made" / vocab.REPORT_NAME).read_text())
    assert (report["size"], report["fingerprint"]) == (900, tokenizer.fingerprint)
    stored = (corpus / "made" / safe_characters.FILE_NAME).read_text()
    assert stored == safe_characters.stored_form(settings)


def test_it_says_in_json_that_the_text_gave_less_than_asked_for(corpus, capsys):
    run(f"--input={corpus}/a.txt", "--size=50000", f"--output={corpus}/made", "--json")
    report = json.loads(capsys.readouterr().out)
    assert report["size"] < report["requested_size"] == 50000
    assert report["size"] == len(Tokenizer.from_pretrained(corpus / "made"))


@pytest.mark.parametrize(
    "error, content, options",
    [
        (InputError, b"", []),
        (InputError, b"\n \n", []),
        (InputError, b"caf\xe9\n", []),
        (InputError, b"a\x00b\n", []),
        (ConfigError, "한국어 문서\n".encode(), []),
        (ConfigError, b"abcdefg\n", ["--size=9"]),
    ],
    ids=["empty", "blank", "not UTF-8", "NUL bytes", "Korean, lower-casing", "no room"],
)
def test_bad_input_is_refused_and_what_was_there_stays(tmp_path, error, content, options):
    (tmp_path / "bad.txt").write_bytes(content)
    WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "kept"]).save(tmp_path / "made")
    before = {path: path.read_bytes() for path in (tmp_path / "made").iterdir()}
    with pytest.raises(error):
        run(f"--input={tmp_path}/bad.txt", f"--output={tmp_path}/made", *options)
    assert {path: path.read_bytes() for path in (tmp_path / "made").iterdir()} == before


def test_input_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="nothing"):
        run(f"--input={tmp_path}/nothing*.txt", f"--output={tmp_path}/made")
    assert not (tmp_path / "made").exists()


def test_an_output_that_cannot_be_a_folder_is_refused(corpus):
    with pytest.raises(OutputError):
        run(f"--input={corpus}/a.txt", "--size=500", f"--output={corpus}/a.txt")
