"""Tokenizers are written and read in Hugging Face's formats, and bad files are named."""

import json

import pytest

from electra_tf.errors import InputError, OutputError
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.text.wordpiece import SPECIAL_TOKENS, WordPieceSettings, WordPieceTokenizer

VOCABULARY = [*SPECIAL_TOKENS, "été", "ete", "Ete", "中", "##国", "国", "\u2028", "a"]
ALL_SETTINGS = [
    WordPieceSettings(lower, strip, split)
    for lower in (False, True)
    for strip in (None, False, True)
    for split in (False, True)
]
TEXT = "Été 中国 [MASK] \u2028 a"


def refused(path, **settings):
    with pytest.raises(InputError) as caught:
        Tokenizer.from_pretrained(path, **settings)
    assert str(path) in str(caught.value)
    return caught.value


@pytest.mark.parametrize("settings", ALL_SETTINGS, ids=str)
def test_what_is_saved_is_read_back_by_us_and_by_transformers(tmp_path, settings):
    transformers = pytest.importorskip("transformers")
    tokenizer = WordPieceTokenizer(VOCABULARY, settings)
    tokenizer.save(tmp_path)
    ours = Tokenizer.from_pretrained(tmp_path)
    assert (ours.vocabulary, ours.settings) == (VOCABULARY, settings)
    expected = tokenizer.encode(TEXT, special_tokens_in_text=True).ids
    for cls in (
        transformers.AutoTokenizer,
        transformers.ElectraTokenizerFast,
        transformers.BertTokenizerFast,
    ):
        assert cls.from_pretrained(tmp_path)(TEXT)["input_ids"] == expected


@pytest.mark.parametrize("settings", ALL_SETTINGS, ids=str)
def test_what_transformers_saves_is_read_alike(tmp_path, settings):
    transformers = pytest.importorskip("transformers")
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY), "utf-8")
    theirs = transformers.ElectraTokenizerFast(
        str(tmp_path / "vocab.txt"),
        do_lower_case=settings.lower_case,
        strip_accents=settings.strip_accents,
        tokenize_chinese_chars=settings.split_cjk,
    )
    theirs.save_pretrained(tmp_path / "saved")
    ours = Tokenizer.from_pretrained(tmp_path / "saved")
    assert (ours.vocabulary, ours.settings) == (VOCABULARY, settings)
    assert ours.encode(TEXT, special_tokens_in_text=True).ids == theirs(TEXT)["input_ids"]


@pytest.mark.parametrize("kept", ["vocab.txt", "tokenizer.json"])
def test_either_vocabulary_file_suffices(tmp_path, kept):
    WordPieceTokenizer(VOCABULARY, WordPieceSettings(lower_case=False)).save(tmp_path)
    ({"vocab.txt": tmp_path / "tokenizer.json", "tokenizer.json": tmp_path / "vocab.txt"}[kept]).unlink()
    tokenizer = Tokenizer.from_pretrained(tmp_path)
    assert (tokenizer.vocabulary, tokenizer.settings.lower_case) == (VOCABULARY, False)


def test_settings_come_from_tokenizer_json_where_there_is_no_other_file(tmp_path):
    settings = WordPieceSettings(lower_case=False, strip_accents=True, split_cjk=False)
    WordPieceTokenizer(VOCABULARY, settings).save(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    assert Tokenizer.from_pretrained(tmp_path).settings == settings


def test_settings_given_by_hand_overrule_the_folder(tmp_path):
    WordPieceTokenizer(VOCABULARY).save(tmp_path)
    settings = Tokenizer.from_pretrained(tmp_path, lower_case=False, strip_accents=True).settings
    assert settings == WordPieceSettings(lower_case=False, strip_accents=True)


def test_a_bare_vocabulary_file_is_lower_casing_unless_it_has_capitals_or_it_is_said(tmp_path):
    path, lower = tmp_path / "words.txt", [token for token in VOCABULARY if token.startswith("[") or token.islower()]
    path.write_text("\n".join(lower) + "\n\n", "utf-8")
    assert Tokenizer.from_pretrained(path).settings == WordPieceSettings()
    assert Tokenizer.from_pretrained(path).vocabulary == lower
    assert Tokenizer.from_pretrained(path, lower_case=False).settings == WordPieceSettings(lower_case=False)
    path.write_text("\n".join([*lower, "Ete"]), "utf-8")
    assert Tokenizer.from_pretrained(path).settings == WordPieceSettings(lower_case=False)
    assert Tokenizer.from_pretrained(path, lower_case=True).settings == WordPieceSettings()


def test_the_model_length_is_passed_on_to_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    WordPieceTokenizer(VOCABULARY).save(tmp_path, max_length=128)
    assert transformers.AutoTokenizer.from_pretrained(tmp_path).model_max_length == 128


def test_a_missing_path_is_named(tmp_path):
    assert "no such file" in refused(tmp_path / "nowhere").found


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    assert "no tokenizer" in refused(tmp_path).found


def test_an_empty_vocabulary_is_refused(tmp_path):
    (tmp_path / "vocab.txt").write_text("")
    assert "empty" in refused(tmp_path / "vocab.txt").found


@pytest.mark.parametrize("missing", SPECIAL_TOKENS)
def test_a_missing_special_token_is_named(tmp_path, missing):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(token for token in VOCABULARY if token != missing), "utf-8")
    assert f"lacks {missing}" in refused(path).found


def test_a_repeated_token_is_named_with_both_ids(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join([*VOCABULARY, "ete"]), "utf-8")
    assert "'ete' twice, as ids 6 and 13" in refused(path).found


def test_bytes_that_are_not_utf8_are_located(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes("\n".join(SPECIAL_TOKENS).encode() + b"\nabc\n\xe9t\xe9\n")
    error = refused(path)
    assert "0xe9" in error.found and "line 7" in str(error.where)


def test_hangul_in_a_lower_casing_vocabulary_is_refused_with_the_remedy(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join([*SPECIAL_TOKENS, "한국"]), "utf-8")
    assert "lower_case" in refused(path).remedy
    assert Tokenizer.from_pretrained(path, lower_case=False).encode("한국").tokens[1] == "한국"


def test_files_that_disagree_are_refused(tmp_path):
    WordPieceTokenizer(VOCABULARY).save(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY[::-1]), "utf-8")
    assert "different vocabularies" in refused(tmp_path).found


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_damaged_json_file_is_named(tmp_path, content):
    WordPieceTokenizer(VOCABULARY).save(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(content)
    assert "tokenizer_config.json" in str(refused(tmp_path).where)


def test_tokenizers_of_another_kind_are_refused(tmp_path):
    WordPieceTokenizer(VOCABULARY).save(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    for change, found in [
        ({"model": content["model"] | {"type": "BPE"}}, "model.type is 'BPE'"),
        ({"normalizer": None}, "normalizer.type is None"),
        ({"added_tokens": [{"id": 99, "content": "<new>"}]}, "<new>"),
        ({"model": content["model"] | {"vocab": {"[PAD]": 0, "a": 2}}}, "ids are not"),
    ]:
        (tmp_path / "tokenizer.json").write_text(json.dumps(content | change), "utf-8")
        assert found in refused(tmp_path).found


def test_a_folder_that_cannot_be_written_is_an_error_and_stays_as_it_was(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(OutputError, match="cannot write"):
        WordPieceTokenizer(VOCABULARY).save(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
