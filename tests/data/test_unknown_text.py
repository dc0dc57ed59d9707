"""Text that the vocabulary does not know is told, with the reason, and refused where it is nearly all of it."""

import subprocess
import unicodedata

import pytest

from electra_tf.cli.main import main
from electra_tf.data.builder import build_data
from electra_tf.data.manifest import read_manifest
from electra_tf.errors import InputError
from electra_tf.text.wordpiece_tokenizer import SPECIAL_TOKENS, WordPieceSettings, WordPieceTokenizer

KOREAN = ["나는", "책을", "읽는다", "문서"]
CASED = WordPieceSettings(lower_case=False)


@pytest.fixture
def vocab(tmp_path):
    WordPieceTokenizer([*SPECIAL_TOKENS, *KOREAN, "the", "cat"], CASED).save(tmp_path / "vocab")
    return tmp_path / "vocab"


def build(tmp_path, text, vocab, name="data"):
    (tmp_path / "text.txt").write_text(text, "utf-8")
    told = []
    options = {"length": 32, "processes": 0, "held_out": 0, "progress": told.append}
    manifest = build_data(tmp_path / "text.txt", vocab, tmp_path / name, **options)
    return manifest.splits["train"], [event.name for event in told if event.stage == "warning"]


@pytest.mark.parametrize(
    "text, rate, warned",
    [
        ("the cat the cat\n", 0, False),
        ("the cat " * 49 + "the dog\n", 0.01, False),
        ("the cat " * 4 + "the dog\n", 0.1, True),
    ],
)
def test_the_share_is_counted_and_much_is_told(vocab, tmp_path, text, rate, warned):
    train, warnings = build(tmp_path, text, vocab)
    assert train.unknown_rate == pytest.approx(rate)
    assert read_manifest(tmp_path / "data").splits["train"].unknown_rate == train.unknown_rate
    assert [f"{rate:.1%} of the tokens are [UNK]" in warning for warning in warnings] == [True] * warned


def test_a_text_in_nfd_is_called_so_and_the_remedy_mends_it(vocab, tmp_path):
    text = unicodedata.normalize("NFD", " ".join(KOREAN) + "\n") * 20
    with pytest.raises(
        InputError, match=r"(?s)100\.0% of the tokens are \[UNK\].*the text is in NFD.*text\.txt"
    ) as error:
        build(tmp_path, text, vocab)
    assert not (tmp_path / "data").exists() and not (tmp_path / "data.building").exists()
    subprocess.run(error.value.remedy.split("made by: ")[1], shell=True, check=True, timeout=60)
    mended = (tmp_path / "text.new.txt").read_text("utf-8")
    assert build(tmp_path, mended, vocab)[0].unknown_rate == 0


def test_a_part_in_nfd_is_a_warning_with_the_reason(vocab, tmp_path):
    text = "the cat\n" * 30 + unicodedata.normalize("NFD", " ".join(KOREAN) + "\n") * 5
    (warning,) = build(tmp_path, text, vocab)[1]
    assert "25.0% of the tokens are [UNK]" in warning and "NFD" in warning


def test_capitals_that_the_vocabulary_lacks_are_the_reason(vocab, tmp_path):
    with pytest.raises(InputError, match=r"(?s)the text has capitals.*do_lower_case"):
        build(tmp_path, "THE CAT\n", vocab)


def test_a_text_of_another_language_is_refused_without_such_a_reason(vocab, tmp_path):
    with pytest.raises(InputError, match=r"(?s)100\.0% of the tokens.*electra-tf vocab") as error:
        build(tmp_path, "Ein ganz anderer Text\n", vocab)
    assert "NFD" not in str(error.value) and "capitals" not in str(error.value)


def test_the_command_says_it(vocab, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("the cat the dog\n" * 9)
    with pytest.raises(SystemExit):
        options = [f"--vocab={vocab}", f"--output={tmp_path / 'd'}", "--held_out=0", "--processes=0"]
        main(["data", f"--input={tmp_path}/a.txt", *options])
    out, err = capsys.readouterr()
    assert "25.0% unknown" in out and "\nwarning: 25.0% of the tokens are [UNK]" in err


@pytest.mark.parametrize(
    "line, was, left",
    [
        ("मैं किताब पढ़ता हूँ", "मैं", "म"),
        ("ที่นี่ดีมาก", "ที่นี่ดีมาก", "ทนดมาก"),
        ("これはガラスです", "これはガラスです", "これはカラスてす"),
        ("mọi người", "mọi", "moi"),
    ],
)
def test_letters_that_a_vocabulary_strips_are_told(tmp_path, line, was, left):
    """A published vocabulary may do so, and its model may be trained on: it is no error."""
    letters = sorted({*line, *unicodedata.normalize("NFD", line)} - {" "})
    tokens = [*SPECIAL_TOKENS, *letters, *("##" + letter for letter in letters)]
    for settings, expected in ((WordPieceSettings(), 1), (CASED, 0)):
        WordPieceTokenizer(tokens, settings).save(tmp_path / f"v{expected}")
        _, warnings = build(tmp_path, f"{line}\n" * 5, tmp_path / f"v{expected}", f"data{expected}")
        told = [warning for warning in warnings if "takes letters from words" in warning]
        assert len(told) == expected
        assert all(f"{was!r} {left!r}" in warning and "--nostrip_accents" in warning for warning in told)


def test_accents_of_latin_greek_and_cyrillic_are_no_letters_lost(tmp_path):
    line = "café Ελλάδα приём"
    letters = sorted({c for c in unicodedata.normalize("NFD", line.lower()) if c.isalpha()})
    WordPieceTokenizer([*SPECIAL_TOKENS, *letters, *("##" + letter for letter in letters)]).save(tmp_path / "v")
    assert build(tmp_path, f"{line}\n", tmp_path / "v")[1] == []
