"""Training a vocabulary: deterministic, and as good as the `tokenizers` library's."""

import hashlib
import lzma
import os
import random
import subprocess
import sys

import pytest
from tokenizers import Tokenizer as RustTokenizer
from tokenizers import models, pre_tokenizers, trainers

from electra_tf.errors import ConfigError, InputError
from electra_tf.text.wordpiece_normalization import normalizer
from electra_tf.text.wordpiece_tokenizer import SPECIAL_TOKENS, WordPieceSettings, WordPieceTokenizer
from electra_tf.text.wordpiece_vocabulary import count_words, measure_vocabulary, train_vocabulary

CASED = WordPieceSettings(lower_case=False)


def tokenizers_vocabulary(lines, size, settings, alphabet):
    tokenizer = RustTokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer(settings), pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=2,
        limit_alphabet=alphabet,
        special_tokens=list(SPECIAL_TOKENS),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    return sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)


def assert_as_good(train, held_out, size, settings):
    """Tokens per word and unknown rate at most 1 % above the library's trainer, on text not seen."""
    ours, report = train_vocabulary(train, size, settings)
    theirs = tokenizers_vocabulary(train, size, settings, report.alphabet)
    assert len(ours) == len(theirs) == size
    words = count_words(held_out, settings)
    fit, their_fit = (measure_vocabulary(v, words) for v in (ours, theirs))
    assert fit.tokens_per_word == pytest.approx(their_fit.tokens_per_word, rel=0.01)
    assert fit.unknown_rate <= 1.01 * their_fit.unknown_rate


def read(*paths):
    return [line for path in paths for line in lzma.decompress(path.read_bytes()).decode().split("\n")]


def test_merges_follow_frequency_and_ties_follow_the_alphabet():
    vocabulary, _ = train_vocabulary(["ab ab ab cd cd ef ef abcd"], 17)
    assert vocabulary[:5] == list(SPECIAL_TOKENS)
    assert vocabulary[5:11] == list("abcdef")
    assert vocabulary[11:15] == ["##b", "##c", "##d", "##f"]
    assert vocabulary[15:] == ["ab", "cd"], "ab 4 times, then cd and ef twice each"


def test_overlapping_pairs_merge_from_the_left():
    vocabulary, report = train_vocabulary(["aaaaa aaaaa aaaaa"], 100)
    assert vocabulary[5:] == ["a", "##a", "##aa", "aaa", "aaaaa"]
    assert report.tokens_per_word == 1


def test_the_vocabulary_does_not_depend_on_the_order_of_lines(english_lines):
    lines = english_lines[:3000]
    shuffled = random.Random(1).sample(lines, len(lines))
    assert train_vocabulary(lines, 2000) == train_vocabulary(shuffled, 2000)


def test_the_vocabulary_does_not_depend_on_the_hash_seed(tmp_path, english_lines):
    (tmp_path / "text").write_text("\n".join(english_lines[:2000]), "utf-8")
    program = (
        "import sys, hashlib; from electra_tf.text.wordpiece_vocabulary import train_vocabulary;"
        "v, _ = train_vocabulary(open(sys.argv[1], encoding='utf-8'), 2000);"
        "print(hashlib.sha256('\\n'.join(v).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program, tmp_path / "text"],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("0", "1", "4242")
    }
    vocabulary, _ = train_vocabulary(english_lines[:2000], 2000)
    assert digests == {hashlib.sha256("\n".join(vocabulary).encode()).hexdigest()}


def test_it_is_as_good_as_the_library_on_held_out_english(english_lines):
    cut = len(english_lines) * 4 // 5
    assert_as_good(english_lines[:cut], english_lines[cut:], 6000, WordPieceSettings())


@pytest.mark.slow
@pytest.mark.parametrize(("language", "size"), [("english", 8000), ("korean", 30000)])
def test_it_is_as_good_as_the_library_on_held_out_files(shared_data, language, size):
    if language == "english":
        files, settings = sorted((shared_data / "english/corpus").glob("*.xz")), WordPieceSettings()
    else:
        files, settings = sorted((shared_data / "korean").glob("*.xz")), CASED
    assert_as_good(read(*files[:-2]), read(*files[-2:]), size, settings)


def test_the_report_says_what_the_tokenizer_does(english_lines):
    lines = english_lines[:1000]
    vocabulary, report = train_vocabulary(lines, 1000, alphabet_limit=30)
    assert report.size == report.requested_size == len(vocabulary)
    encodings = WordPieceTokenizer(vocabulary).encode_batch(lines, add_special_tokens=False)
    tokens = [token for encoding in encodings for token in encoding.tokens]
    assert report.words == sum(not token.startswith("##") for token in tokens)
    assert report.tokens_per_word == pytest.approx(len(tokens) / report.words)
    assert report.unknown_rate == pytest.approx(tokens.count("[UNK]") / report.words) and report.unknown_rate > 0
    assert report.alphabet == 30 and 0.99 < report.alphabet_coverage < 1


def test_a_size_the_text_cannot_fill_gives_a_smaller_vocabulary_and_says_so():
    vocabulary, report = train_vocabulary(["one fish two fish"], 500)
    assert (report.size, report.requested_size) == (len(vocabulary), 500) and len(vocabulary) < 40
    assert "fish" in vocabulary


def test_unused_entries_are_reserved_within_the_size(english_lines):
    vocabulary, _ = train_vocabulary(english_lines[:500], 400, unused=3)
    assert len(vocabulary) == 400 and vocabulary[-3:] == ["[unused0]", "[unused1]", "[unused2]"]


def test_pairs_below_the_minimum_frequency_are_not_merged():
    vocabulary, _ = train_vocabulary(["xy xy xy zw zw"], 100, min_frequency=3)
    assert "xy" in vocabulary and "zw" not in vocabulary


def test_the_alphabet_keeps_the_most_frequent_characters():
    vocabulary, report = train_vocabulary(["aaa bb c"], 100, alphabet_limit=2)
    assert "c" not in vocabulary and {"a", "b"} <= set(vocabulary)
    assert (report.alphabet_coverage, report.unknown_rate) == (5 / 6, 1 / 3)


def test_by_default_a_large_alphabet_is_kept_to_nearly_all_of_the_text():
    common = "".join(chr(0xAC00 + i) for i in range(2000)) * 200
    rare = "".join(chr(0xAC00 + i) for i in range(2000, 2050))
    lines = [common[i : i + 10] for i in range(0, len(common), 10)] + list(rare)
    _, report = train_vocabulary(lines, 6000, CASED)
    assert 2000 <= report.alphabet < 2050 and report.alphabet_coverage >= 0.99999


def test_no_piece_is_learned_that_the_tokenizer_could_not_use(english_lines):
    vocabulary, _ = train_vocabulary([*english_lines[:2000], "Café [MASK] " * 9, "x" * 150 + " " + "x" * 150], 2000)
    tokenizer = WordPieceTokenizer(vocabulary)
    for token in vocabulary[5:]:
        if not token.startswith("##"):
            assert tokenizer.encode(token, add_special_tokens=False).tokens == [token]


@pytest.mark.parametrize("lines", [[], ["", "  "], ["\x00\u200b"]])
def test_a_corpus_without_words_is_refused(lines):
    with pytest.raises(InputError, match="no words"):
        train_vocabulary(lines, 100)


def test_a_size_without_room_for_the_alphabet_is_refused():
    with pytest.raises(ConfigError, match="characters alone take 7 entries"):
        train_vocabulary(["abcd"], 10)


def test_korean_text_is_refused_where_hangul_would_be_taken_apart():
    lines = ["한국어 문서", "english words"]
    for settings in (WordPieceSettings(), WordPieceSettings(True, True), WordPieceSettings(False, True)):
        with pytest.raises(ConfigError, match="Korean"):
            train_vocabulary(lines, 100, settings)
    for settings in (CASED, WordPieceSettings(strip_accents=False)):
        vocabulary, _ = train_vocabulary(lines, 100, settings)
        assert "한" in vocabulary
    vocabulary, _ = train_vocabulary(["english words " * 200, "한국어"], 100)
    assert WordPieceTokenizer(vocabulary).encode("words").tokens == ["[CLS]", "words", "[SEP]"]


@pytest.mark.parametrize(
    "text",
    ["मैं किताब पढ़ता हूँ", "ที่นี่ดีมาก", "தமிழ் மொழி", "これはガラスです", "שָׁלוֹם עוֹלָם", "كِتَابٌ"],
    ids=["Hindi", "Thai", "Tamil", "Japanese", "pointed Hebrew", "pointed Arabic"],
)
def test_marks_that_are_letters_are_not_removed_unasked(text):
    with pytest.raises(ConfigError, match="would be") as caught:
        train_vocabulary([text, "english"], 100)
    assert "--nostrip_accents" in str(caught.value)
    vocabulary, report = train_vocabulary([text], 200, WordPieceSettings(strip_accents=False))
    assert report.stripped == 0
    pieces = WordPieceTokenizer(vocabulary, WordPieceSettings(strip_accents=False)).encode(text).tokens[1:-1]
    assert "[UNK]" not in pieces
    train_vocabulary([text], 200, WordPieceSettings(strip_accents=True)), "asked for by name"
    train_vocabulary([*["english words"] * 200, text[:4]], 100), "a stray word"


def test_accents_of_latin_greek_and_cyrillic_go_and_the_report_says_how_many():
    _, report = train_vocabulary(["Über café Ёж ένας plain", "❤\ufe0f 1\ufe0f\u20e3"], 200)
    assert report.stripped == pytest.approx(4 / 7)


def morphemes_at(*places):
    """As an analyser would find them, in the words of a test."""
    return lambda text: places if text == "drawbacks" else []


def test_pieces_keep_within_morphemes_and_only_the_first_of_a_word_is_a_beginning():
    lines = ["drawbacks drawbacks drawbacks"]
    vocabulary, report = train_vocabulary(lines, 100, divide=morphemes_at(0, 4, 8))
    assert {"draw", "##back"} <= set(vocabulary)
    assert all(token.removeprefix("##") in ("drawbacks" if len(token) < 4 else "draw back") for token in vocabulary[5:])
    assert WordPieceTokenizer(vocabulary).encode("drawbacks").tokens[1:-1] == ["draw", "##back", "##s"]
    assert report.tokens_per_word == 3
    undivided, _ = train_vocabulary(lines, 100)
    assert "drawbacks" in undivided
