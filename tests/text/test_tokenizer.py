"""The one face of tokenization."""

import pickle

import pytest

from electra_tf.errors import ConfigError, InputError
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.text.wordpiece_tokenizer import SPECIAL_TOKENS, WordPieceSettings, WordPieceTokenizer

VOCABULARY = [*SPECIAL_TOKENS, "the", "cap", "##tain", "looked", "at", "sea", "[", "]", "mask", ".", "é", "e"]


@pytest.fixture(scope="module")
def tokenizer():
    return WordPieceTokenizer(VOCABULARY)


def test_a_text_stands_between_cls_and_sep(tokenizer):
    encoding = tokenizer.encode("The captain looked.")
    assert encoding.tokens == ["[CLS]", "the", "cap", "##tain", "looked", ".", "[SEP]"]
    assert encoding.ids == [VOCABULARY.index(token) for token in encoding.tokens]
    assert encoding.type_ids == [0] * len(encoding)


def test_a_pair_has_two_types(tokenizer):
    encoding = tokenizer.encode("the sea", "the captain")
    assert encoding.tokens == ["[CLS]", "the", "sea", "[SEP]", "the", "cap", "##tain", "[SEP]"]
    assert encoding.type_ids == [0, 0, 0, 0, 1, 1, 1, 1]


def test_offsets_are_characters_of_the_text_given():
    text = "  Thé\u0301 \U0001f600 captain"
    encoding = WordPieceTokenizer([*VOCABULARY, "##e"]).encode(text)
    places = dict(zip(encoding.tokens, encoding.offsets, strict=True))
    assert places["[CLS]"] == places["[SEP]"] == (0, 0)
    assert [text[slice(*places[token])] for token in ("cap", "##tain")] == ["cap", "tain"]


def test_special_tokens_in_text_are_text_unless_asked_for(tokenizer):
    as_text = tokenizer.encode("the [MASK].", add_special_tokens=False)
    assert as_text.tokens == ["the", "[", "mask", "]", "."]
    as_query = tokenizer.encode("the [MASK].", special_tokens_in_text=True, add_special_tokens=False)
    assert as_query.tokens == ["the", "[MASK]", "."]


def test_special_ids_are_looked_up_in_the_vocabulary():
    tokenizer = WordPieceTokenizer(["a", "[MASK]", "[SEP]", "[UNK]", "b", "[PAD]", "[CLS]"])
    assert (tokenizer.pad_id, tokenizer.unk_id, tokenizer.cls_id) == (5, 3, 6)
    assert (tokenizer.sep_id, tokenizer.mask_id, tokenizer.special_ids) == (2, 1, (1, 2, 3, 5, 6))
    assert tokenizer.encode("a \u2603 [MASK]", special_tokens_in_text=True).ids == [6, 0, 3, 1, 2]


def test_decoding_joins_pieces_and_hides_special_tokens(tokenizer):
    ids = tokenizer.encode("the captain looked.").ids
    assert tokenizer.decode(ids) == "the captain looked."
    assert tokenizer.decode(ids, skip_special_tokens=False) == "[CLS] the captain looked. [SEP]"


def test_decoding_refuses_what_is_no_id(tokenizer):
    for i in (-1, len(tokenizer)):
        with pytest.raises(InputError, match=f"{i} is not an id"):
            tokenizer.decode([i])


def test_tokens_and_ids_are_two_sides(tokenizer):
    assert len(tokenizer) == len(VOCABULARY)
    assert [tokenizer.id_to_token(tokenizer.token_to_id(token)) for token in VOCABULARY] == VOCABULARY
    assert tokenizer.token_to_id("whale") is None


@pytest.mark.parametrize("max_length", range(4, 18))
@pytest.mark.parametrize("text, pair", [("the sea " * 4, "at"), ("the", "sea " * 9), ("sea " * 7, "the " * 7)])
def test_truncation_is_that_of_transformers(tmp_path, tokenizer, text, pair, max_length):
    transformers = pytest.importorskip("transformers")
    tokenizer.save(tmp_path)
    theirs = transformers.ElectraTokenizerFast.from_pretrained(tmp_path)
    for texts in ([text], [text, pair]):
        expected = theirs(*texts, max_length=max_length, truncation=True)
        found = tokenizer.encode(*texts, max_length=max_length)
        assert (found.ids, found.type_ids) == (expected["input_ids"], expected["token_type_ids"])


def test_a_length_without_room_for_text_is_refused(tokenizer):
    with pytest.raises(ConfigError, match="no room"):
        tokenizer.encode("the", max_length=2)


def test_text_that_is_not_unicode_is_refused(tokenizer):
    with pytest.raises(InputError, match="character 4"):
        tokenizer.encode("the \udcff")


def test_encoding_is_that_of_transformers(tmp_path, wild_texts, wild_vocabulary):
    transformers = pytest.importorskip("transformers")
    tokenizer = WordPieceTokenizer(wild_vocabulary, WordPieceSettings(lower_case=False))
    tokenizer.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    texts = wild_texts[:3000]
    pairs = list(zip(texts, reversed(texts), strict=True))
    for split in (False, True):
        expected = theirs(pairs, return_offsets_mapping=True, split_special_tokens=split)
        found = tokenizer.encode_batch(pairs, special_tokens_in_text=not split)
        assert [e.ids for e in found] == expected["input_ids"]
        assert [e.type_ids for e in found] == expected["token_type_ids"]
        assert [e.offsets for e in found] == expected["offset_mapping"]
    for encoding in found:
        assert tokenizer.decode(encoding.ids) == theirs.decode(encoding.ids, skip_special_tokens=True)


def test_the_korean_example_of_koelectra_gives_its_ids(shared_data):
    path = shared_data / "checkpoints/koelectra/vocab.txt"
    tokenizer = Tokenizer.from_pretrained(path, lower_case=False)
    encoding = tokenizer.encode("한국어 ELECTRA를 공유합니다.")
    assert encoding.ids == [2, 18429, 41, 6240, 15229, 6204, 20894, 5689, 12622, 10690, 18, 3]
    assert encoding.tokens[1:-1] == [
        "한국어",
        "E",
        "##L",
        "##EC",
        "##T",
        "##RA",
        "##를",
        "공유",
        "##합니다",
        ".",
    ]


def test_lower_casing_hangul_is_refused():
    with pytest.raises(InputError, match="every Korean word"):
        WordPieceTokenizer([*SPECIAL_TOKENS, "a", "##국어"])
    kept = WordPieceTokenizer([*SPECIAL_TOKENS, "한", "##국어"], WordPieceSettings(strip_accents=False))
    assert kept.encode("한국어", add_special_tokens=False).tokens == ["한", "##국어"]


def test_the_fingerprint_changes_with_vocabulary_and_settings_only():
    same = [WordPieceTokenizer(VOCABULARY), WordPieceTokenizer(VOCABULARY, WordPieceSettings(strip_accents=True))]
    others = [
        WordPieceTokenizer(VOCABULARY[::-1]),
        WordPieceTokenizer([*VOCABULARY, "whale"]),
        WordPieceTokenizer(VOCABULARY, WordPieceSettings(lower_case=False)),
        WordPieceTokenizer(VOCABULARY, WordPieceSettings(strip_accents=False)),
        WordPieceTokenizer(VOCABULARY, WordPieceSettings(split_cjk=False)),
    ]
    assert same[0].fingerprint == same[1].fingerprint
    assert len({t.fingerprint for t in [*same, *others]}) == 1 + len(others)
    assert len(same[0].fingerprint) == 64


def test_a_tokenizer_can_be_pickled(tokenizer):
    tokenizer.encode("the sea")
    again = pickle.loads(pickle.dumps(tokenizer))
    assert again.fingerprint == tokenizer.fingerprint
    assert again.encode("the sea") == tokenizer.encode("the sea")
