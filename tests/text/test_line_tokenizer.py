"""Both engines give the ids of Hugging Face's fast tokenizers, for any text."""

import lzma
import pickle
import subprocess
import sys

import numpy as np
import pytest
import tokenizers
from tokenizers.implementations import BertWordPieceTokenizer

from electra_tf.errors import ConfigError
from electra_tf.text.line_tokenizer import LineTokenizer
from electra_tf.text.rows import flatten
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.text.wordpiece_tokenizer import WordPieceSettings, WordPieceTokenizer

SETTINGS = {
    "lower": WordPieceSettings(),
    "cased": WordPieceSettings(lower_case=False),
    "lower, accents kept": WordPieceSettings(lower_case=True, strip_accents=False),
    "cased, accents stripped": WordPieceSettings(lower_case=False, strip_accents=True),
    "Chinese not split": WordPieceSettings(lower_case=False, split_cjk=False),
}
COMMON = ("lower", "cased")  # for any other the fast engine's safe characters must be derived, which takes long


def hugging_face(vocabulary, settings):
    """Hugging Face's own assembly of the tokenizer, told that special tokens in a text are text."""
    tokenizer = BertWordPieceTokenizer(
        {token: i for i, token in enumerate(vocabulary)},
        lowercase=settings.lower_case,
        strip_accents=settings.strip_accents,
        handle_chinese_chars=settings.split_cjk,
    )
    raw = tokenizers.Tokenizer.from_str(tokenizer.to_str())
    raw.encode_special_tokens = True
    return lambda texts: flatten([e.ids for e in raw.encode_batch_fast(texts, add_special_tokens=False)])


def without_hangul(vocabulary, settings):
    """Lower-casing, accent-stripping tokenizers refuse syllables; they could not be reached anyway."""
    if not (settings.lower_case and settings.strips_accents):
        return vocabulary
    return [token for token in vocabulary if not any("\uac00" <= c <= "\ud7a3" for c in token)]


def assert_same(found, expected, texts):
    np.testing.assert_array_equal(found[1].shape, expected[1].shape)
    if np.array_equal(found[0], expected[0]) and np.array_equal(found[1], expected[1]):
        return
    different = [
        text
        for i, text in enumerate(texts)
        if found[0][slice(*found[1][i : i + 2])].tolist() != expected[0][slice(*expected[1][i : i + 2])].tolist()
    ]
    pytest.fail(f"{len(different)} of {len(texts)} texts differ, the first {different[:3]!r}")


def check_code_points(vocabulary, settings, code_points, engines=("fast",)):
    vocabulary = without_hangul(vocabulary, settings)
    texts = [f"a{chr(c)}b" for c in code_points if not 0xD800 <= c <= 0xDFFF]
    expected = hugging_face(vocabulary, settings)(texts)
    tokenizer = WordPieceTokenizer(vocabulary, settings)
    for engine in engines:
        assert_same(LineTokenizer(tokenizer, engine)(texts), expected, texts)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMON)
def test_every_character_of_the_basic_plane_is_tokenized_as_by_hugging_face(name, basic_vocabulary):
    check_code_points(basic_vocabulary, SETTINGS[name], range(0x10000))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lower", "cased, accents stripped"])
def test_every_code_point_is_tokenized_as_by_hugging_face(name, character_vocabulary):
    everything = range(sys.maxunicode + 1)
    check_code_points(character_vocabulary, SETTINGS[name], everything, engines=("fast", "reference"))


@pytest.mark.parametrize(
    ("name", "engine"),
    [
        pytest.param(name, engine, marks=pytest.mark.slow if engine == "fast" else ())
        for name in SETTINGS
        for engine in ("fast", "reference")
    ],
)
def test_wild_texts_are_tokenized_as_by_hugging_face(name, engine, wild_texts, wild_vocabulary):
    vocabulary = without_hangul(wild_vocabulary, SETTINGS[name])
    found = LineTokenizer(WordPieceTokenizer(vocabulary, SETTINGS[name]), engine)(wild_texts)
    assert_same(found, hugging_face(vocabulary, SETTINGS[name])(wild_texts), wild_texts)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMON)
def test_the_fast_engine_itself_answers_for_ordinary_text(name, english_lines, wild_texts, wild_vocabulary):
    line_tokenizer = LineTokenizer(WordPieceTokenizer(without_hangul(wild_vocabulary, SETTINGS[name]), SETTINGS[name]))
    line_tokenizer(english_lines[:1])
    *_, rest = line_tokenizer._fast(english_lines)
    assert len(rest) < 0.02 * len(english_lines)
    *_, rest = line_tokenizer._fast(wild_texts)
    assert 0.2 * len(wild_texts) < len(rest) < 0.9 * len(wild_texts), "the comparison must meet both paths"


def test_without_its_guard_the_fast_engine_would_be_wrong(wild_texts, wild_vocabulary):
    settings = SETTINGS["cased"]
    line_tokenizer = LineTokenizer(WordPieceTokenizer(wild_vocabulary, settings))
    line_tokenizer._safe = [(0, 0xD7FF), (0xE000, sys.maxunicode)]
    with pytest.raises(pytest.fail.Exception, match="texts differ"):
        assert_same(line_tokenizer(wild_texts), hugging_face(wild_vocabulary, settings)(wild_texts), wild_texts)


@pytest.mark.parametrize("engine", ["fast", "reference"])
@pytest.mark.parametrize("length", [99, 100, 101])
@pytest.mark.parametrize("letter", ["a", "é", "한"])
def test_a_word_is_unknown_from_101_characters_on(engine, length, letter):
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", letter, f"##{letter}"]
    line_tokenizer = LineTokenizer(WordPieceTokenizer(vocabulary, SETTINGS["cased"]), engine)
    ids, splits = line_tokenizer([letter, letter * length, ""])
    expected = [5] + [6] * (length - 1) if length <= 100 else [1]
    assert ids.tolist() == [5, *expected]
    assert splits.tolist() == [0, 1, 1 + len(expected), 1 + len(expected)]


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_special_tokens_in_lines_are_text(engine):
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[", "]", "mask", "x"]
    ids, _ = LineTokenizer(WordPieceTokenizer(vocabulary), engine)(["x[MASK]", "[mask] \u2603[MASK]"])
    assert ids.tolist() == [8, 5, 7, 6, 5, 7, 6, 1, 5, 7, 6]


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_types_and_shapes_hold_for_no_lines_and_empty_lines(engine, wild_vocabulary):
    line_tokenizer = LineTokenizer(WordPieceTokenizer(wild_vocabulary, SETTINGS["cased"]), engine)
    for lines in ([], [""], ["", " ", "\x00"]):
        ids, splits = line_tokenizer(lines)
        assert (ids.dtype, ids.shape) == (np.int32, (0,))
        assert (splits.dtype, splits.tolist()) == (np.int64, [0] * (len(lines) + 1))


def test_a_line_tokenizer_travels_to_another_process(wild_texts, wild_vocabulary):
    line_tokenizer = LineTokenizer(WordPieceTokenizer(wild_vocabulary, SETTINGS["cased"]))
    expected = line_tokenizer(wild_texts)
    again = pickle.loads(pickle.dumps(line_tokenizer))
    assert_same(again(wild_texts), expected, wild_texts)


def test_an_unknown_engine_is_refused(wild_vocabulary):
    with pytest.raises(ConfigError, match="quick"):
        LineTokenizer(WordPieceTokenizer(wild_vocabulary, SETTINGS["cased"]), "quick")


@pytest.mark.slow
@pytest.mark.parametrize("language", ["english", "korean"])
def test_published_vocabularies_give_the_same_ids_for_real_text(shared_data, language):
    if language == "english":
        files, name, lower_case = "english/corpus/*.xz", "bert_base_uncased", True
    else:
        files, name, lower_case = "korean/*.xz", "koelectra", False
    vocabulary = shared_data / "checkpoints" / name / "vocab.txt"
    tokenizer = Tokenizer.from_pretrained(vocabulary, lower_case=lower_case)
    expect = hugging_face(tokenizer.vocabulary, tokenizer.settings)
    line_tokenizer = LineTokenizer(tokenizer)
    for path in sorted(shared_data.glob(files)):
        lines = lzma.decompress(path.read_bytes()).decode().split("\n")
        assert_same(line_tokenizer(lines), expect(lines), lines)


def test_the_reference_engine_does_without_tensorflow():
    program = (
        "import sys; import electra_tf.text.wordpiece_vocabulary;"
        "from electra_tf.text.line_tokenizer import LineTokenizer;"
        "from electra_tf.text.wordpiece_tokenizer import SPECIAL_TOKENS, WordPieceTokenizer;"
        "LineTokenizer(WordPieceTokenizer(SPECIAL_TOKENS), 'reference')(['a']);"
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'tensorflow_text', 'keras')))"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_transformers_gives_the_same_ids(tmp_path, wild_texts, wild_vocabulary):
    transformers = pytest.importorskip("transformers")
    tokenizer = WordPieceTokenizer(wild_vocabulary, SETTINGS["cased"])
    tokenizer.save(tmp_path)
    theirs = transformers.ElectraTokenizerFast.from_pretrained(tmp_path)
    encoded = theirs(wild_texts, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert_same(LineTokenizer(tokenizer)(wild_texts), flatten(encoded), wild_texts)
