"""Tokenizers are written and read in Hugging Face's formats, and bad files are named."""

import json

import pytest

from electra_tf.errors import InputError, OutputError
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.text.tokenizer_files import OtherTokenizerError
from electra_tf.text.wordpiece_tokenizer import SPECIAL_TOKENS, WordPieceSettings, WordPieceTokenizer

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


def test_a_bare_vocabulary_file_tells_its_settings_by_its_tokens_unless_they_are_said(tmp_path):
    path, lower = tmp_path / "words.txt", [*SPECIAL_TOKENS, "ete", "a", "中"]
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


def test_a_token_that_is_twice_in_a_new_vocabulary_is_named_with_both_ids():
    with pytest.raises(InputError, match="'ete' twice, as ids 6 and 13"):
        WordPieceTokenizer([*VOCABULARY, "ete"])


def test_bytes_that_are_not_utf8_are_located(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes("\n".join(SPECIAL_TOKENS).encode() + b"\nabc\n\xe9t\xe9\n")
    error = refused(path)
    assert "0xe9" in error.found and "line 7" in str(error.where)


def test_hangul_in_a_lower_casing_vocabulary_is_refused_with_the_remedy(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join([*SPECIAL_TOKENS, "한국"]), "utf-8")
    assert "lower_case" in refused(path, lower_case=True).remedy
    assert Tokenizer.from_pretrained(path).settings == WordPieceSettings(strip_accents=False)
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
        ({"model": content["model"] | {"vocab": {"[PAD]": 0, "a": 2}}}, "different vocabularies"),
    ]:
        (tmp_path / "tokenizer.json").write_text(json.dumps(content | change), "utf-8")
        assert found in refused(tmp_path).found


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("tokenizer_config.json", {"tokenizer_class": "BertJapaneseTokenizer"}, "a BertJapaneseTokenizer"),
        ("tokenizer_config.json", {"tokenizer_class": "ElectraSudachipyTokenizer"}, "ElectraSudachipyTokenizer"),
        ("tokenizer_config.json", {"tokenizer_class": ["BertTokenizer"]}, "BertTokenizer"),
        ("config.json", {"tokenizer_class": "BertJapaneseTokenizer"}, "a BertJapaneseTokenizer"),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["code.Own", None]}}, "code of its own"),
        ("tokenizer_config.json", {"auto_map": ["code.Own", None]}, "code of its own"),
        ("config.json", {"auto_map": {"AutoTokenizer": ["code.Own", None]}}, "code of its own"),
        ("tokenizer_config.json", {"word_tokenizer_type": "mecab"}, "word_tokenizer_type is 'mecab'"),
        ("tokenizer_config.json", {"subword_tokenizer_type": "character"}, "subword_tokenizer_type is 'character'"),
        ("tokenizer_config.json", {"do_basic_tokenize": False}, "do_basic_tokenize is False"),
        ("tokenizer_config.json", {"never_split": ["e-mail"]}, "never_split is ['e-mail']"),
        ("tokenizer_config.json", {"unk_token": "<unk>"}, "unk_token is '<unk>'"),
        ("tokenizer_config.json", {"cls_token": {"content": "<s>"}}, "cls_token is '<s>'"),
        ("special_tokens_map.json", {"mask_token": "<mask>"}, "mask_token is '<mask>'"),
    ],
)
def test_a_tokenizer_of_another_class_or_of_unusual_settings_is_refused(tmp_path, name, content, found):
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY), "utf-8")
    (tmp_path / name).write_text(json.dumps(content))
    error = refused(tmp_path)
    assert found in error.found and isinstance(error, OtherTokenizerError)
    with pytest.raises(OtherTokenizerError):
        Tokenizer.from_pretrained(tmp_path, lower_case=True)


def test_the_usual_classes_and_settings_are_read(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY), "utf-8")
    for name in ("BertTokenizer", "BertTokenizerFast", "ElectraTokenizerFast", "PreTrainedTokenizerFast", None):
        usual = {"tokenizer_class": name, "do_basic_tokenize": True, "never_split": None, "do_lower_case": False}
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(usual))
        (tmp_path / "config.json").write_text(json.dumps({"auto_map": {"AutoModel": "code.Model"}}))
        assert Tokenizer.from_pretrained(tmp_path).settings.lower_case is False


TWICE = [*SPECIAL_TOKENS, "a", "b", "", "a", "##b", "", "d", "a"]
TWICE_TEXT = "a b ab abb d aa [MASK]"


@pytest.mark.parametrize("files", ["vocab.txt", "both", "tokenizer.json", "as transformers saves it"])
def test_of_tokens_that_are_twice_the_last_has_the_id(tmp_path, capsys, files):
    transformers = pytest.importorskip("transformers")
    (tmp_path / "vocab.txt").write_text("\n".join(TWICE) + "\n", "utf-8")
    theirs = transformers.ElectraTokenizerFast(str(tmp_path / "vocab.txt"))
    folder = tmp_path / "m"
    theirs.save_pretrained(folder)
    if files == "both":
        (folder / "vocab.txt").write_bytes((tmp_path / "vocab.txt").read_bytes())
    elif files == "tokenizer.json":
        (folder / "vocab.txt").unlink()
    elif files == "vocab.txt":
        folder = tmp_path / "vocab.txt"
    expected = theirs(TWICE_TEXT)["input_ids"]
    assert expected == [2, 12, 6, 12, 9, 12, 9, 9, 11, 1, 4, 3]
    ours = Tokenizer.from_pretrained(folder)
    assert len(ours) == len(TWICE)
    ours.save(tmp_path / "again")
    again = Tokenizer.from_pretrained(tmp_path / "again")
    for tokenizer in (ours, again):
        assert tokenizer.encode(TWICE_TEXT, special_tokens_in_text=True).ids == expected
        for engine in ("fast", "reference"):
            assert tokenizer.line_tokenizer(engine)(["ab a"])[0].tolist() == [12, 9, 12]
    assert transformers.AutoTokenizer.from_pretrained(tmp_path / "again")(TWICE_TEXT)["input_ids"] == expected
    if files in ("vocab.txt", "both"):
        assert (tmp_path / "again/vocab.txt").read_bytes() == (tmp_path / "vocab.txt").read_bytes()
    assert again.vocabulary == ours.vocabulary
    captured = capsys.readouterr()
    assert "twice" in captured.err and "OrderedVocab" not in captured.out


def test_a_mark_at_the_beginning_of_a_file_is_no_part_of_its_first_token(tmp_path):
    (tmp_path / "vocab.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(VOCABULARY).encode())
    (tmp_path / "tokenizer_config.json").write_bytes(b'\xef\xbb\xbf{"do_lower_case": false}')
    tokenizer = Tokenizer.from_pretrained(tmp_path)
    assert (tokenizer.vocabulary, tokenizer.settings.lower_case) == (VOCABULARY, False)


def test_one_file_of_a_folder_stands_for_the_folder(tmp_path):
    WordPieceTokenizer(VOCABULARY, WordPieceSettings(lower_case=True)).save(tmp_path)
    for name in ("vocab.txt", "tokenizer.json"):
        tokenizer = Tokenizer.from_pretrained(tmp_path / name)
        assert (tokenizer.vocabulary, tokenizer.settings.lower_case) == (VOCABULARY, True)
    (tmp_path / "tokenizer.json").rename(tmp_path / "mine.json")
    assert "JSON" in refused(tmp_path / "mine.json").found


@pytest.mark.parametrize("name", ["vocab.txt", "tokenizer.json", "tokenizer_config.json", "spiece.model"])
def test_a_pointer_of_git_lfs_is_told(tmp_path, name):
    if name == "tokenizer_config.json":
        WordPieceTokenizer(VOCABULARY).save(tmp_path)
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 54214\n")
    error = refused(tmp_path)
    assert "Git LFS" in error.found and name in str(error.where) and "git lfs pull" in error.remedy


@pytest.mark.parametrize("name", ["do_lower_case", "strip_accents", "tokenize_chinese_chars"])
@pytest.mark.parametrize("value", [None, "false", 0, []])
def test_a_setting_that_is_not_true_or_false_is_refused(tmp_path, name, value):
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY), "utf-8")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False, name: value}))
    if (name, value) == ("strip_accents", None):
        assert Tokenizer.from_pretrained(tmp_path).settings.strip_accents is None
    else:
        error = refused(tmp_path)
        assert error.found == f"{name} is {json.dumps(value)}" and "tokenizer_config.json" in str(error.where)


@pytest.mark.parametrize("token", ["\n", "a\nb", "a\r", "\r\n", "\ud800"])
def test_a_token_with_the_end_of_a_line_or_half_a_character_is_neither_written_nor_read(tmp_path, token):
    with pytest.raises(InputError, match=r"end of a line|half of a character"):
        WordPieceTokenizer([*VOCABULARY, token]).save(tmp_path)
    assert list(tmp_path.iterdir()) == []
    WordPieceTokenizer(VOCABULARY).save(tmp_path)
    (tmp_path / "vocab.txt").unlink()
    content = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    content["model"]["vocab"][token] = len(VOCABULARY)
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    assert repr(token) in refused(tmp_path).found


def test_an_empty_last_token_leaves_a_folder_that_opens(tmp_path):
    WordPieceTokenizer([*VOCABULARY, ""]).save(tmp_path)
    assert Tokenizer.from_pretrained(tmp_path).vocabulary == VOCABULARY


@pytest.mark.parametrize(
    "change",
    [
        {"model": "x"},
        {"model": {}},
        {"model.vocab": None},
        {"model.vocab": [["[PAD]", 0]]},
        {"model.vocab": {"[PAD]": -1}},
        {"model.vocab": {"[PAD]": True}},
        {"model.vocab": {"[PAD]": 1.0}},
        {"model.vocab": {"[PAD]": 10**12}},
        {"model.vocab": {"[PAD]": 0, "[UNK]": 0}},
        {"normalizer": ["x"]},
        {"normalizer.lowercase": None},
        {"pre_tokenizer": 3},
        {"added_tokens": "x"},
        {"added_tokens": [3]},
        {"added_tokens": [{"id": "0", "content": "[PAD]"}]},
        {"added_tokens": [{"id": 0, "content": "[PAD]", "special": "yes"}]},
    ],
    ids=str,
)
def test_a_damaged_tokenizer_json_is_named(tmp_path, change):
    WordPieceTokenizer(VOCABULARY).save(tmp_path)
    (tmp_path / "vocab.txt").unlink()
    (tmp_path / "tokenizer_config.json").unlink()
    content = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    for name, value in change.items():
        *above, last = name.split(".")
        (content[above[0]] if above else content)[last] = value
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    refused(tmp_path)


@pytest.mark.parametrize("text", ['{"a": ' + "1" * 5000 + "}", '{"a": ' + "[" * 100_000, "\x00", ""])
@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "added_tokens.json", "config.json"])
def test_json_that_python_cannot_read_is_named(tmp_path, name, text):
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY), "utf-8")
    (tmp_path / name).write_text(text)
    assert name in str(refused(tmp_path).where)


def test_a_folder_that_cannot_be_written_is_an_error_and_stays_as_it_was(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(OutputError, match="the file cannot be written"):
        WordPieceTokenizer(VOCABULARY).save(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


CASED, LOWERS = {"lowercase": False, "strip_accents": None}, {"lowercase": True, "strip_accents": None}


@pytest.mark.parametrize("normalizer", [CASED, LOWERS], ids=["cased", "lowers"])
@pytest.mark.parametrize("kind", ["ElectraTokenizer", "BertTokenizerFast", "PreTrainedTokenizerFast", None])
@pytest.mark.parametrize(
    "said", [{}, {"do_lower_case": True}, {"do_lower_case": False}, {"strip_accents": True}], ids=str
)
def test_what_two_files_say_of_casing_is_read_as_transformers_reads_it(tmp_path, normalizer, kind, said):
    """A class of BERT's kind overrules tokenizer.json, also by its defaults; a generic one takes it as it is."""
    transformers = pytest.importorskip("transformers")
    tokens = [*SPECIAL_TOKENS, "cafe", "café", "Cafe", "Café", "THE", "the", "cat"]
    WordPieceTokenizer(tokens, WordPieceSettings(lower_case=False)).save(tmp_path)
    fast = json.loads((tmp_path / "tokenizer.json").read_text())
    fast["normalizer"] |= normalizer
    (tmp_path / "tokenizer.json").write_text(json.dumps(fast))
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    config = {**names, "mask_token": "[MASK]", **({"tokenizer_class": kind} if kind else {}), **said}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "electra"}))
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    text = "Café THE cat"
    assert Tokenizer.from_pretrained(tmp_path).encode(text).ids == theirs(text)["input_ids"]


def test_both_ids_of_a_token_that_is_there_twice_are_its_text(tmp_path):
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token in [*SPECIAL_TOKENS, "a", "b", "a"]))
    tokenizer = Tokenizer.from_pretrained(tmp_path / "vocab.txt")
    assert tokenizer.decode([5, 6, 7]) == "a b a"


def test_a_tokenizer_json_of_the_first_versions_has_no_type(tmp_path):
    transformers = pytest.importorskip("transformers")
    WordPieceTokenizer(VOCABULARY).save(tmp_path)
    fast = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    assert fast["model"].pop("type") == "WordPiece"
    (tmp_path / "tokenizer.json").write_text(json.dumps(fast), "utf-8")
    ours = Tokenizer.from_pretrained(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert ours.encode(TEXT, special_tokens_in_text=True).ids == theirs(TEXT)["input_ids"]


def test_a_tokenizer_json_that_puts_special_tokens_otherwise_is_refused(tmp_path, capsys):
    """One that puts none, as `tokenizers` saves what it has just trained, is opened, and that is said."""
    tokenizer = WordPieceTokenizer(VOCABULARY)
    tokenizer.save(tmp_path)
    fast = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    other = {"type": "RobertaProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}
    (tmp_path / "tokenizer.json").write_text(json.dumps(fast | {"post_processor": other}), "utf-8")
    assert "post_processor.type is 'RobertaProcessing'" in str(refused(tmp_path))
    (tmp_path / "tokenizer.json").write_text(json.dumps(fast | {"post_processor": None}), "utf-8")
    assert "puts no [CLS]" not in capsys.readouterr().err
    assert Tokenizer.from_pretrained(tmp_path).encode("a").ids == tokenizer.encode("a").ids
    assert "puts no [CLS] and [SEP] around a text; here they are put" in capsys.readouterr().err
