"""The manifest of a data set: read as written, older ones too; damaged and foreign ones refused."""

import dataclasses
import json

import pytest

from electra_tf.data.examples import FEATURES
from electra_tf.data.manifest import FILE_NAME, check_vocabulary, read_manifest
from electra_tf.errors import DataError
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.text.wordpiece_tokenizer import SPECIAL_TOKENS, WordPieceTokenizer


def test_reading_undoes_writing(data, tmp_path):
    manifest = read_manifest(data)
    manifest.write(tmp_path)
    assert read_manifest(tmp_path) == manifest
    assert (tmp_path / FILE_NAME).read_bytes() == (data / FILE_NAME).read_bytes()


@pytest.mark.parametrize("what", ["missing", "empty", "file"])
def test_a_folder_without_a_manifest_is_no_data_set(tmp_path, what):
    path = tmp_path / "data"
    if what == "empty":
        path.mkdir()
    elif what == "file":
        path.touch()
    with pytest.raises(DataError, match=r"(?s)not a data set.*electra-tf data"):
        read_manifest(path)


@pytest.mark.parametrize("spoil", [lambda text: text[:-40], lambda _: "[]", lambda t: t.replace('"shards"', '"parts"')])
def test_a_damaged_manifest_is_an_error(data, spoil):
    path = data / FILE_NAME
    path.write_text(spoil(path.read_text()))
    with pytest.raises(DataError, match=rf"(?s)manifest is damaged.*{FILE_NAME}"):
        read_manifest(data)


def test_any_changed_digit_is_found(data):
    path = data / FILE_NAME
    text = path.read_text()
    digits = [at for at, character in enumerate(text) if character.isdigit()]
    for at in digits[:: len(digits) // 100]:
        changed = text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :]
        if json.loads(changed) == json.loads(text):  # a float's last digit, beyond its precision
            continue
        path.write_text(changed)
        with pytest.raises(DataError, match=r"damaged|format version"):
            read_manifest(data)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda it: it.update(length="32"), "length is '32'"),
        (lambda it: it.update(splits=[]), "AttributeError|no attribute"),
        (lambda it: it["tokenizer"].pop("mask_id"), "mask_id"),
        (lambda it: it["tokenizer"].update(mask_id=7.5), "mask_id is 7.5"),
        (lambda it: it["shards"].append(it["shards"][0]), r"lists the shard \S+ 2 times"),
        (lambda it: it["shards"][0].update(name="../other"), "'../other' is not in the folder"),
        (lambda it: it["shards"][0].update(examples=it["shards"][0]["examples"] + 1), "examples of train, and"),
    ],
    ids=["a word", "a list", "without a mask", "half an id", "a shard twice", "elsewhere", "more examples"],
)
def test_what_an_older_manifest_without_a_checksum_cannot_mean_is_an_error(data, change, words):
    path = data / FILE_NAME
    content = json.loads(path.read_text())
    del content["checksum"]
    path.write_text(json.dumps(content))
    read_manifest(data)
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"(?s)manifest is damaged.*({words})"):
        read_manifest(data)


def test_a_manifest_that_is_a_folder_is_an_error(tmp_path):
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("name", ["mask_id", "pad_id", "vocabulary_size"])
def test_ids_that_are_not_the_vocabularys_are_refused(data, vocab, name):
    manifest = read_manifest(data)
    other = dataclasses.replace(manifest, tokenizer={**manifest.tokenizer, name: 7})
    right = manifest.tokenizer[name]
    with pytest.raises(DataError, match=rf"(?s)says {name} 7.*{name} {right}, as in the vocabulary"):
        check_vocabulary(other, Tokenizer.from_pretrained(vocab))


def test_another_format_version_is_an_error_that_names_both(data):
    path = data / FILE_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 99, "new": True}))
    with pytest.raises(DataError, match=r"(?s)version 99.*version 1"):
        read_manifest(data)


def test_a_manifest_that_was_written_before_there_were_pairs_is_read(data):
    path = data / FILE_NAME
    content, manifest = json.loads(path.read_text()), read_manifest(data)
    del content["features"], content["packing"]["pairs"], content["checksum"]
    for split in content["splits"].values():
        del split["pairs"]
    path.write_text(json.dumps(content))
    older = read_manifest(data)
    assert older.features == manifest.features == dict.fromkeys(FEATURES, 64)
    assert not (older.pairs or older.stored_order or older.stored_masks)
    assert older.shards == manifest.shards


def test_a_vocabulary_that_does_not_match_the_data_is_refused(data, vocab):
    manifest = read_manifest(data)
    check_vocabulary(manifest, Tokenizer.from_pretrained(vocab))
    with pytest.raises(DataError, match=r"(?s)does not match the data: 6 tokens.*data folder"):
        check_vocabulary(manifest, WordPieceTokenizer([*SPECIAL_TOKENS, "a"]))


def test_the_same_tokens_with_other_settings_do_not_match(data, vocab):
    with pytest.raises(DataError, match="does not match"):
        check_vocabulary(read_manifest(data), Tokenizer.from_pretrained(vocab, lower_case=False))


def test_an_older_manifest_does_not_say_how_much_is_unknown(data):
    content = json.loads((data / FILE_NAME).read_text())
    for split in content["splits"].values():
        assert 0 <= split.pop("unknown_rate") < 0.2
    del content["checksum"]
    (data / FILE_NAME).write_text(json.dumps(content))
    assert read_manifest(data).splits["train"].unknown_rate is None
