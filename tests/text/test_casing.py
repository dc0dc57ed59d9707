"""A vocabulary that comes without settings tells them by its tokens."""

import json
import string

import pytest

from electra_tf.errors import InputError
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.text.wordpiece import SPECIAL_TOKENS
from electra_tf.text.wordpiece_tokenizer import WordPieceSettings

LOWER, UPPER = string.ascii_lowercase, string.ascii_uppercase
SMALL = [f"{a}{b}{c}" for a in LOWER for b in LOWER[:8] for c in LOWER[:5]]  # 1040 words
HANGUL = [chr(c) for c in range(0xAC00, 0xAC00 + 500)]
CHINESE = [chr(c) for c in range(0x4E00, 0x4E00 + 800)]
UNCASED, CASED = WordPieceSettings(), WordPieceSettings(lower_case=False)
ACCENTS_KEPT = WordPieceSettings(lower_case=True, strip_accents=False)
TOLD = {
    "Google's Chinese, with capitals in <S> and <T> alone": (["<S>", "<T>", *CHINESE, *LOWER, *SMALL[:200]], UNCASED),
    "capitals in names of special tokens": (["[unused0]", "[E1]", "@USER", "<URL>", *LOWER, *SMALL], UNCASED),
    "uncased English": ([*LOWER, *SMALL, "##ly"], UNCASED),
    "cased English": ([*LOWER, *UPPER, *SMALL[:300], *map(str.title, SMALL[300:500])], CASED),
    "cased, with no capitals but letters by themselves": ([*LOWER, *UPPER, *SMALL, *CHINESE], CASED),
    "cased, with capitals within words": ([*LOWER, *SMALL, *("##" + letter for letter in UPPER)], CASED),
    "cased Korean": ([*HANGUL, *LOWER, *UPPER, "##요"], CASED),
    "Korean without a capital": ([*HANGUL, *LOWER], ACCENTS_KEPT),
    "lower-cased German that keeps accents": ([*LOWER, *SMALL, *"äöüß", "##ä", "für", "schön"], ACCENTS_KEPT),
    "Japanese with voiced kana": ([*"かがきぎくぐけげはばぱ", *CHINESE[:20]], ACCENTS_KEPT),
    "Cyrillic": ([*"абвгдеж", "мир", "##ы"], UNCASED),
    "no letters with case": (CHINESE, UNCASED),
}


@pytest.mark.parametrize(("tokens", "settings"), TOLD.values(), ids=TOLD)
def test_settings_are_those_that_leave_tokens_as_they_are(tokens, settings, tmp_path, capsys):
    """As a file, and in a folder without tokenizer_config.json."""
    (tmp_path / "vocab.txt").write_text("\n".join(dict.fromkeys([*SPECIAL_TOKENS, *tokens])), "utf-8")
    for path in (tmp_path / "vocab.txt", tmp_path):
        assert Tokenizer.from_pretrained(path).settings == settings
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("stray", "what"), [("Covid", "capitals are lowered"), ("café", "accents are removed")])
def test_a_stray_token_decides_nothing_and_is_told(stray, what, tmp_path, capsys):
    (tmp_path / "vocab.txt").write_text("\n".join([*SPECIAL_TOKENS, *LOWER, *SMALL, *CHINESE, stray]), "utf-8")
    assert Tokenizer.from_pretrained(tmp_path / "vocab.txt").settings == UNCASED
    told = capsys.readouterr().err
    assert what in told and repr(stray) in told


@pytest.mark.parametrize("some", [SMALL[:30], ["é" + word for word in SMALL[:30]]])
def test_what_stays_open_is_refused_and_the_remedy_works(some, tmp_path):
    tokens = [*LOWER, *SMALL, *CHINESE, *(word.title() if word.isascii() else word for word in some)]
    (tmp_path / "vocab.txt").write_text("\n".join([*SPECIAL_TOKENS, *tokens]), "utf-8")
    for path in (tmp_path / "vocab.txt", tmp_path):
        with pytest.raises(InputError, match="to tell its casing") as caught:
            Tokenizer.from_pretrained(path)
    said = caught.value.remedy.split("write ")[1].split("}")[0] + "}"
    assert Tokenizer.from_pretrained(tmp_path, lower_case=True).settings == UNCASED
    (tmp_path / "tokenizer_config.json").write_text(said)
    settings = Tokenizer.from_pretrained(tmp_path).settings
    assert settings.lower_case == json.loads(said)["do_lower_case"]
    assert Tokenizer.from_pretrained(tmp_path / "vocab.txt").settings == settings


def test_published_vocabularies_tell_their_settings(shared_data, capsys):
    for name, settings in {"bert_base_uncased": UNCASED, "koelectra": CASED}.items():
        assert Tokenizer.from_pretrained(shared_data / "checkpoints" / name / "vocab.txt").settings == settings
    assert capsys.readouterr().err == ""
