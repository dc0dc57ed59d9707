import json

import pytest

from electra_tf.data.manifest import FILE_NAME, check_vocabulary, read_manifest
from electra_tf.errors import DataError
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.text.wordpiece import SPECIAL_TOKENS, WordPieceTokenizer


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


def test_another_format_version_is_an_error_that_names_both(data):
    path = data / FILE_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 99, "new": True}))
    with pytest.raises(DataError, match=r"(?s)version 99.*version 1"):
        read_manifest(data)


def test_a_vocabulary_that_does_not_match_the_data_is_refused(data, vocab):
    manifest = read_manifest(data)
    check_vocabulary(manifest, Tokenizer.from_pretrained(vocab))
    with pytest.raises(DataError, match=r"(?s)does not match the data: 6 tokens.*data folder"):
        check_vocabulary(manifest, WordPieceTokenizer([*SPECIAL_TOKENS, "a"]))


def test_the_same_tokens_with_other_settings_do_not_match(data, vocab):
    with pytest.raises(DataError, match="does not match"):
        check_vocabulary(read_manifest(data), Tokenizer.from_pretrained(vocab, lower_case=False))
