"""The characters trusted to the fast engine."""

import itertools
import json

import pytest

from electra_tf.text import safe_characters
from electra_tf.text.wordpiece_tokenizer import WordPieceSettings

LOWER, CASED = WordPieceSettings(), WordPieceSettings(lower_case=False)


def is_safe(character, settings):
    ranges = safe_characters.safe_characters(settings)
    return any(first <= ord(character) <= last for first, last in ranges)


@pytest.mark.parametrize("settings", [LOWER, CASED], ids=["lower", "cased"])
def test_ordinary_text_is_safe(settings):
    for character in " aZ09.,!'-[]éÜяЖ中語한글กあア\u2019\u2014€😀":
        assert is_safe(character, settings)


@pytest.mark.parametrize("settings", [LOWER, CASED], ids=["lower", "cased"])
def test_characters_on_which_the_engines_differ_are_not_safe(settings):
    for character in "\x00\x1f\x7f\x85\ufffd\U0002b820\u2e52\ue000\U0010fffd\u0378":
        assert not is_safe(character, settings)
    for character in "ﬁ²ß…":
        assert is_safe(character, settings) == (settings is CASED)
    assert not is_safe("\u00ad", CASED)


def test_marks_that_the_reference_may_reorder_are_safe_only_where_it_does_not():
    for character in "\u302e\U0001d165\U0001d15e":
        assert is_safe(character, CASED) and not is_safe(character, LOWER)


def test_ranges_are_ascending_and_apart():
    ranges = safe_characters.safe_characters(CASED)
    assert all(first <= last for first, last in ranges)
    assert all(before[1] + 1 < after[0] for before, after in itertools.pairwise(ranges))


def test_what_is_stored_is_used_without_deriving(tmp_path):
    text = safe_characters.stored_form(CASED)
    (tmp_path / safe_characters.FILE_NAME).write_text(text)
    assert safe_characters.safe_characters(CASED, tmp_path) == safe_characters.derive(CASED)
    letters = safe_characters._written(json.loads(text)["key"], [(97, 122)])
    (tmp_path / safe_characters.FILE_NAME).write_text(letters)
    assert safe_characters.safe_characters(CASED, tmp_path) == ((97, 122),)


def test_what_was_stored_for_other_settings_or_versions_is_derived_again(tmp_path):
    key = json.loads(safe_characters.stored_form(CASED))["key"]
    assert set(key) >= {"lower_case", "strips_accents", "split_cjk", "tokenizers", "tensorflow_text"}
    for changed in key:
        text = safe_characters._written(key | {changed: "other"}, [(97, 122)])
        (tmp_path / safe_characters.FILE_NAME).write_text(text)
        assert safe_characters.safe_characters(CASED, tmp_path) == safe_characters.derive(CASED)


@pytest.mark.parametrize("damage", ["cut", "digit"])
def test_a_damaged_file_is_derived_again(tmp_path, damage):
    text = safe_characters.stored_form(CASED)
    damaged = {"cut": text[:-9], "digit": text.replace("[32,", "[31,")}[damage]
    assert damaged != text
    (tmp_path / safe_characters.FILE_NAME).write_text(damaged)
    assert safe_characters.safe_characters(CASED, tmp_path) == safe_characters.derive(CASED)
