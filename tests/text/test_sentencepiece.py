"""SentencePiece against the engines that its settings name: transformers' two, and ALBERT's original code."""

import itertools
import json
import pickle
import random
import re
import shutil
import unicodedata

import numpy as np
import pytest

from electra_tf.errors import ConfigError, InputError
from electra_tf.text.sentencepiece import (
    BLANK,
    TOKENIZATIONS,
    SentencePieceSettings,
    SentencePieceTokenizer,
    has_capitals,
)
from electra_tf.text.tokenizer import Tokenizer


@pytest.fixture(scope="module", params=["ours", "albert_base_v1"])
def folder(request, spiece_folder, tmp_path_factory):
    """A folder with spiece.model and nothing else: of our training, and of Google's."""
    if request.param == "ours":
        return spiece_folder
    shared = request.getfixturevalue("shared_data")
    folder = tmp_path_factory.mktemp("google")
    shutil.copy(shared / "checkpoints/albert_base_v1/30k-clean.model", folder / "spiece.model")
    return folder


@pytest.fixture(scope="module")
def texts(english_lines):
    """Lines of books, numbers, code points in context, and strings of anything."""
    chosen = random.Random(1)
    alphabet = "abc XYZ 019,., ,\u00e9\u0301\u0130\u03a3\u03c3 \u00bd\ufb01 ''``\"()-"
    alphabet += "\u2013\u20ac\ud55c\uae00 \U0001f984\u0663,\u2028\x1c\t\n"
    wild = ["".join(chosen.choices(alphabet, k=chosen.randrange(1, 40))) for _ in range(800)]
    numbers = [f"{n:,} men, {n}, and 1,{n % 10},000,{n % 1000:03}, in {n},{n}," for n in range(0, 400_000, 797)]
    points = [f"a{chr(c)}b {chr(c)}" for c in range(1, 0x30000, 263) if not 0xD800 <= c <= 0xDFFF]
    return (
        english_lines[4000:4400] + wild + numbers + points + ["", " ", "``quoted''", "\u039f\u03a3 \u039f\u03a3\u039f"]
    )


SPECIAL = [
    "[MASK]",
    "a [MASK] b",
    "a[MASK]b [SEP]c",
    "[MASK],000,",
    "x  [MASK]  y [mask] <pad>",
    "[[MASK]] 1,000,[CLS]",
]


def content_of(folder):
    return (folder / "spiece.model").read_bytes()


def settings_of(tokenization):
    return [SentencePieceSettings(tokenization, *flags) for flags in ((True, True), (False, True), (True, False))]


def transformers_class(settings, folder):
    transformers = pytest.importorskip("transformers")
    fast = settings.tokenization == "transformers_fast"
    kind = transformers.AlbertTokenizerFast if fast else transformers.AlbertTokenizer
    return kind(
        vocab_file=str(folder / "spiece.model"),
        do_lower_case=settings.lower_case,
        keep_accents=not settings.strip_accents,
    )


def assert_same(ours, theirs, texts):
    different = [text for text, a, b in zip(texts, ours, theirs, strict=True) if list(a) != list(b)]
    assert not different, f"{len(different)} of {len(texts)} differ, the first {different[:3]!r}"


PAIRS = [("the men", "in 1,000"), ("", "a")]


def ours(tokenizer, texts, **kwargs):
    return [encoding.ids for encoding in tokenizer.encode_batch(texts, **kwargs)]


@pytest.mark.parametrize("settings", settings_of("transformers_slow") + settings_of("transformers_fast"), ids=str)
def test_ids_are_those_of_transformers(settings, folder, texts):
    tokenizer = SentencePieceTokenizer(content_of(folder), settings)
    theirs = transformers_class(settings, folder)
    assert_same(ours(tokenizer, texts), theirs(texts, split_special_tokens=True)["input_ids"], texts)
    assert_same(ours(tokenizer, SPECIAL, special_tokens_in_text=True), theirs(SPECIAL)["input_ids"], SPECIAL)
    pairs = list(zip(texts[:50], texts[50:100], strict=True))
    # The slow class cuts a pair one token at a time, and takes the other text first where both are as long.
    cut = {"truncation": "longest_first", "max_length": 24} if theirs.is_fast else {}
    both = theirs([a for a, _ in pairs], [b for _, b in pairs], **cut)
    assert_same(ours(tokenizer, pairs, max_length=24 if cut else None), both["input_ids"], pairs)


def original(model, text, lower_case):
    """What ALBERT's `preprocess_text` and `encode_pieces` do under Python 3, as measured: the blank stays."""
    text = unicodedata.normalize("NFKD", " ".join(text.strip().split()))
    text = "".join(character for character in text if not unicodedata.combining(character))
    pieces = []
    for piece in model.encode(text.lower() if lower_case else text, out_type=str):
        if len(piece) > 1 and piece[-1] == "," and piece[-2].isdigit():
            pieces += [*model.encode(piece[:-1].replace("\u2581", ""), out_type=str), ","]
        else:
            pieces.append(piece)
    return [model.piece_to_id(piece) for piece in pieces]


@pytest.mark.parametrize("lower_case", [True, False])
def test_ids_are_those_of_the_original_code_under_python_3(lower_case, folder, texts):
    import sentencepiece

    content = content_of(folder)
    tokenizer = SentencePieceTokenizer(content, SentencePieceSettings("google", lower_case))
    model = sentencepiece.SentencePieceProcessor(model_proto=content)
    expected = [original(model, text, lower_case) for text in texts]
    assert_same(ours(tokenizer, texts, add_special_tokens=False), expected, texts)


def test_the_three_differ_as_they_are_known_to(spiece_folder):
    """The figures of a number with a comma; quotes; a mark that only the fast one removes."""
    content = content_of(spiece_folder)
    slow, fast, google = (
        SentencePieceTokenizer(content, SentencePieceSettings(name))
        for name in ("transformers_slow", "transformers_fast", "google")
    )
    assert any(piece.endswith(("0,", "1,")) for piece in slow.vocabulary), "the model has no piece to take apart"
    differ = [n for n in range(3000) if slow.encode(f"in {n}, x").ids != google.encode(f"in {n}, x").ids]
    assert differ and all("\u2581" in google.encode(f"in {n}, x").tokens for n in differ)
    assert slow.encode("``a''").ids == slow.encode('"a"').ids != google.encode("``a''").ids
    assert slow.encode("a(b").tokens[2:4] == ["(", "b"]
    assert fast.encode("a(b").tokens[2:4] == ["(", "\u2581b"]


@pytest.mark.slow
@pytest.mark.parametrize("settings", [s for name in TOKENIZATIONS for s in settings_of(name)], ids=str)
def test_lines_of_a_corpus_have_the_ids_of_texts(settings, folder, texts):
    """Written special tokens among them, which stay text."""
    tokenizer = SentencePieceTokenizer(content_of(folder), settings)
    texts = texts + SPECIAL
    ids, splits = pickle.loads(pickle.dumps(tokenizer)).line_tokenizer()(texts)
    assert ids.dtype == np.int32 and splits.dtype == np.int64
    found = [ids[begin:end].tolist() for begin, end in itertools.pairwise(splits)]
    assert_same(found, ours(tokenizer, texts, add_special_tokens=False), texts)
    assert not set(ids) & (set(tokenizer.special_ids) - {tokenizer.unk_id})


@pytest.mark.parametrize("tokenization", TOKENIZATIONS)
def test_offsets_are_the_places_of_tokens(tokenization, spiece_folder, texts):
    tokenizer = SentencePieceTokenizer(content_of(spiece_folder), SentencePieceSettings(tokenization))
    text = "The  C\u00e1ptain paid 1,000, [MASK] " + ('"men"' if tokenization == "transformers_fast" else "``men''")
    encoding = tokenizer.encode(text, special_tokens_in_text=True)
    covered = "".join(text[begin:end] for begin, end in encoding.offsets)
    assert covered == "".join(text.split())
    place = encoding.offsets[encoding.ids.index(tokenizer.mask_id)]
    assert text[slice(*place)] == "[MASK]"
    for text in texts[:300]:
        encoding = tokenizer.encode(text, add_special_tokens=False)
        for token, (begin, end) in zip(encoding.tokens, encoding.offsets, strict=True):
            assert 0 <= begin <= end <= len(text)
            if text.isascii() and token.isascii() and token not in ("<unk>", '"'):
                assert text[begin:end].lower() == token


@pytest.mark.parametrize("tokenization", TOKENIZATIONS)
def test_a_saved_folder_is_the_same_tokenizer(tokenization, spiece_folder, texts, tmp_path):
    settings = SentencePieceSettings(tokenization, lower_case=False)
    tokenizer = SentencePieceTokenizer(content_of(spiece_folder), settings)
    tokenizer.save(tmp_path, max_length=64)
    again = Tokenizer.from_pretrained(tmp_path)
    assert (again.settings, again.fingerprint) == (settings, tokenizer.fingerprint)
    assert_same(ours(again, texts), ours(tokenizer, texts), texts)
    sizes = {json.loads((tmp_path / "tokenizer_config.json").read_text())["model_max_length"]}
    assert sizes == {64}


def test_transformers_opens_a_saved_folder(spiece_folder, texts, tmp_path):
    """`AutoTokenizer` has the fast one's ids, `AlbertTokenizer` the slow one's, special tokens included."""
    transformers = pytest.importorskip("transformers")
    content = content_of(spiece_folder)
    for name, kind in (("fast", transformers.AutoTokenizer), ("slow", transformers.AlbertTokenizer)):
        tokenizer = SentencePieceTokenizer(content, SentencePieceSettings(f"transformers_{name}", strip_accents=False))
        tokenizer.save(tmp_path / name)
        theirs = kind.from_pretrained(tmp_path / name)
        assert_same(ours(tokenizer, texts), theirs(texts, split_special_tokens=True)["input_ids"], texts)
        assert_same(ours(tokenizer, SPECIAL, special_tokens_in_text=True), theirs(SPECIAL)["input_ids"], SPECIAL)
        assert_same([theirs.encode(*pair) for pair in PAIRS], ours(tokenizer, PAIRS), PAIRS)
        assert theirs.mask_token_id == tokenizer.mask_id and theirs.pad_token_id == tokenizer.pad_id


@pytest.mark.slow
@pytest.mark.parametrize("tokenization", ["transformers_slow", "google"])
def test_auto_tokenizer_comes_near_to_the_others(tokenization, folder, texts, tmp_path):
    """Its library cannot take pieces apart, so numbers with a comma may have other ids; all else has the same, but for
    a final sigma, which Google's code tells from others."""
    transformers = pytest.importorskip("transformers")
    tokenizer = SentencePieceTokenizer(content_of(folder), SentencePieceSettings(tokenization))
    tokenizer.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)(texts, split_special_tokens=True)["input_ids"]
    same = [text for text, a, b in zip(texts, ours(tokenizer, texts), theirs, strict=True) if a == b]
    assert len(same) > 0.7 * len(texts)
    for text in set(texts) - set(same):
        plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
        assert re.search(r"\d,|\u03a3", plain)


def test_a_folder_that_transformers_saved_is_read(spiece_folder, texts, tmp_path):
    """With the engine that saved it: the fast one writes tokenizer.json, the slow one does not."""
    transformers = pytest.importorskip("transformers")
    for name, kind in (("fast", transformers.AlbertTokenizerFast), ("slow", transformers.AlbertTokenizer)):
        theirs = kind(vocab_file=str(spiece_folder / "spiece.model"), do_lower_case=False)
        theirs.save_pretrained(tmp_path / name)
        tokenizer = Tokenizer.from_pretrained(tmp_path / name)
        assert tokenizer.settings == SentencePieceSettings(f"transformers_{name}", lower_case=False)
        assert_same(ours(tokenizer, texts), theirs(texts, split_special_tokens=True)["input_ids"], texts)
    (tmp_path / "fast/spiece.model").unlink()
    alone = Tokenizer.from_pretrained(tmp_path / "fast")
    assert ours(alone, texts[:50]) == ours(Tokenizer.from_pretrained(tmp_path / "fast"), texts[:50])
    with pytest.raises(ConfigError, match="needs SentencePiece's model"):
        Tokenizer.from_pretrained(tmp_path / "fast", tokenization="transformers_slow")


@pytest.mark.parametrize("tokenization", TOKENIZATIONS)
def test_decoding(tokenization, spiece_folder):
    tokenizer = SentencePieceTokenizer(content_of(spiece_folder), SentencePieceSettings(tokenization))
    ids = tokenizer.encode("the captain [MASK] said 1,000.", special_tokens_in_text=True).ids
    assert tokenizer.decode(ids).split() == ["the", "captain", "said", "1,000."]
    assert "[MASK]" in tokenizer.decode(ids, skip_special_tokens=False)


def test_settings_and_models_have_fingerprints_of_their_own(spiece_folder):
    content = content_of(spiece_folder)
    settings = [s for name in TOKENIZATIONS for s in settings_of(name)]
    assert len({SentencePieceTokenizer(content, each).fingerprint for each in settings}) == len(settings)


def test_bad_input(spiece_folder, tmp_path):
    content = content_of(spiece_folder)
    for text in (b"", b"not a model", content[: len(content) // 3]):
        (tmp_path / "bad.model").write_bytes(text)
        with pytest.raises(InputError, match=r"SentencePiece|vocabulary"):
            Tokenizer.from_pretrained(tmp_path / "bad.model")
    with pytest.raises(ConfigError, match="there is no tokenization 'fast'"):
        Tokenizer.from_pretrained(spiece_folder, tokenization="fast")
    with pytest.raises(ConfigError, match="there is no setting 'split_cjk'"):
        Tokenizer.from_pretrained(spiece_folder, split_cjk=False)
    tokenizer = SentencePieceTokenizer(content, SentencePieceSettings("transformers_fast"))
    added = [*tokenizer.fast["added_tokens"], tokenizer.fast["added_tokens"][0] | {"id": 3000, "content": "[LAW]"}]
    with pytest.raises(InputError, match=r"added beside the vocabulary: \[LAW\]"):
        SentencePieceTokenizer(None, tokenizer.settings, fast=tokenizer.fast | {"added_tokens": added})
    (tmp_path / "json").mkdir()
    (tmp_path / "json/tokenizer.json").write_text('{"model": {"type": "Unigram", "vocab": 3}}')
    with pytest.raises(InputError, match=r"tokenizer\.json"):
        Tokenizer.from_pretrained(tmp_path / "json")


@pytest.mark.parametrize(
    "change",
    [
        {"model": "x"},
        {"model.vocab": [["<pad>", None]]},
        {"model.vocab": [["<pad>", float("nan")]]},
        {"model.vocab": [[{}, 0.0]]},
        {"model.unk_id": None},
        {"model.unk_id": 10**6},
        {"normalizer": [1]},
        {"normalizer.normalizers": 3},
        {"normalizer.normalizers": ["x"]},
        {"normalizer.normalizers": [{"type": []}]},
        {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAA"}},
        {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "=AAA"}},
        {"normalizer": {"type": "Precompiled", "precompiled_charsmap": 3}},
        {"added_tokens": "x"},
        {"added_tokens": [3]},
        {"added_tokens": [{"content": {}}]},
        {"post_processor": 3},
    ],
    ids=str,
)
def test_a_damaged_tokenizer_json_is_named(change, spiece_folder, tmp_path):
    """Two of these charsmaps make the library panic, which is no `Exception` in Python."""
    fast = SentencePieceTokenizer(content_of(spiece_folder), SentencePieceSettings("transformers_fast")).fast
    fast = fast | {"model": dict(fast["model"]), "normalizer": dict(fast["normalizer"])}
    for name, value in change.items():
        *above, last = name.split(".")
        (fast[above[0]] if above else fast)[last] = value
    (tmp_path / "tokenizer.json").write_text(json.dumps(fast))
    (tmp_path / "spiece.model").write_bytes(content_of(spiece_folder))
    with pytest.raises(InputError) as caught:
        Tokenizer.from_pretrained(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_one_flipped_character_of_the_charsmap_is_an_error_or_does_no_harm(spiece_folder):
    random_ = random.Random(3)
    tokenizer = SentencePieceTokenizer(content_of(spiece_folder), SentencePieceSettings("transformers_fast"))
    steps = tokenizer.fast["normalizer"]["normalizers"]
    (charsmap,) = (step["precompiled_charsmap"] for step in steps if step["type"] == "Precompiled")
    refused = 0
    for place in random_.sample(range(len(charsmap)), 12):
        flipped = charsmap[:place] + random_.choice("=!A") + charsmap[place + 1 :]
        changed = [s | {"precompiled_charsmap": flipped} if s["type"] == "Precompiled" else s for s in steps]
        fast = tokenizer.fast | {"normalizer": {"type": "Sequence", "normalizers": changed}}
        try:
            SentencePieceTokenizer(None, tokenizer.settings, fast=fast).encode("ａ é 中")
        except InputError:
            refused += 1
    assert 0 < refused <= 12


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("tokenizer_config.json", {"tokenizer_class": "XLNetTokenizer"}, "the tokenizer is a XLNetTokenizer"),
        ("config.json", {"tokenizer_class": "BertJapaneseTokenizer"}, "a BertJapaneseTokenizer"),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["own.Own", None]}}, "code of its own"),
        ("tokenizer_config.json", {"mask_token": "<mask>"}, "mask_token is '<mask>'"),
        ("tokenizer_config.json", {"do_lower_case": None}, "do_lower_case is null"),
        ("tokenizer_config.json", {"keep_accents": "false"}, 'keep_accents is "false"'),
        ("added_tokens.json", {"[LAW]": 3000}, r"added beside the vocabulary: \[LAW\]"),
        ("tokenizer_config.json", {"added_tokens_decoder": {"3000": {"content": "[LAW]"}}}, r"\[LAW\]"),
        ("special_tokens_map.json", {"additional_special_tokens": ["[LAW]"]}, r"\[LAW\]"),
    ],
)
def test_what_a_folder_says_beside_the_model_is_not_lost(name, content, error, spiece_folder, tmp_path):
    (tmp_path / "spiece.model").write_bytes(content_of(spiece_folder))
    Tokenizer.from_pretrained(tmp_path)
    (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(InputError, match=error):
        Tokenizer.from_pretrained(tmp_path)


@pytest.mark.slow
def test_every_code_point(folder):
    """The slow engine, each code point in context, against transformers' class; offsets stay within the text."""
    settings = SentencePieceSettings()
    tokenizer = SentencePieceTokenizer(content_of(folder), settings)
    texts = [f"a{chr(c)}b" for c in range(0, 0x30000, 17) if unicodedata.category(chr(c))[0] != "C"]
    theirs = transformers_class(settings, folder)
    assert_same(ours(tokenizer, texts), theirs(texts, split_special_tokens=True)["input_ids"], texts)


GROWING = {
    "a long replacement": {"type": "Replace", "pattern": {"String": "e"}, "content": "e" * 100_000},
    "one of an expression": {"type": "Replace", "pattern": {"Regex": "."}, "content": "ee"},
    "what is put before": {"type": "Prepend", "prepend": "e" * 100_000},
    "steps within a step": {"type": "Sequence", "normalizers": []},
}


@pytest.mark.parametrize("step", GROWING.values(), ids=GROWING)
def test_a_normalizer_that_makes_long_texts_of_short_ones_is_refused(step, spiece_folder, tmp_path):
    SentencePieceTokenizer.from_pretrained(spiece_folder / "spiece.model").save(tmp_path)
    fast = json.loads((tmp_path / "tokenizer.json").read_text())
    fast["normalizer"]["normalizers"].append(step)
    (tmp_path / "tokenizer.json").write_text(json.dumps(fast))
    (tmp_path / "tokenizer_config.json").unlink()
    with pytest.raises(InputError, match="makes a text longer"):
        SentencePieceTokenizer.from_pretrained(tmp_path)


def test_rows_are_not_filled_up_as_the_file_says(spiece_folder, tmp_path):
    SentencePieceTokenizer.from_pretrained(spiece_folder / "spiece.model").save(tmp_path)
    fast = json.loads((tmp_path / "tokenizer.json").read_text())
    filled = {"direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "<pad>"}
    fast["padding"] = {"strategy": {"Fixed": 10**12}, **filled}
    (tmp_path / "tokenizer.json").write_text(json.dumps(fast))
    (tmp_path / "tokenizer_config.json").unlink()
    assert len(SentencePieceTokenizer.from_pretrained(tmp_path).encode("the sea").ids) < 20


def test_a_model_file_is_opened_as_its_folder_says_or_as_its_pieces_do(spiece_folder, tmp_path, capsys):
    other = tmp_path / "other"
    Tokenizer.from_pretrained(spiece_folder).save(other)
    assert Tokenizer.from_pretrained(other / "spiece.model").settings == Tokenizer.from_pretrained(other).settings
    config = json.loads((other / "tokenizer_config.json").read_text("utf-8"))
    (other / "tokenizer_config.json").write_text(json.dumps(config | {"do_lower_case": False}), "utf-8")
    (other / "tokenizer.json").unlink()
    assert not Tokenizer.from_pretrained(other / "spiece.model").settings.lower_case
    small = Tokenizer.from_pretrained(spiece_folder)
    assert not has_capitals(small.vocabulary)
    assert has_capitals([*small.vocabulary, *(f"{BLANK}{piece.title()}" for piece in small.vocabulary[200:260])])
    shutil.copy(spiece_folder / "spiece.model", tmp_path / "alone.model")
    assert Tokenizer.from_pretrained(tmp_path / "alone.model").settings.lower_case
    assert "capitals" not in capsys.readouterr().err
    import electra_tf.text.sentencepiece as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "has_capitals", lambda pieces: True)
        assert not Tokenizer.from_pretrained(tmp_path / "alone.model").settings.lower_case
    assert "capitals stay as they are" in capsys.readouterr().err


def test_a_model_and_a_tokenizer_json_of_other_vocabularies_are_refused(spiece_folder, tmp_path):
    folder = tmp_path / "mixed"
    Tokenizer.from_pretrained(spiece_folder).save(folder)
    fast = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    fast["model"]["vocab"][-1][0] = "other"
    (folder / "tokenizer.json").write_text(json.dumps(fast), "utf-8")
    with pytest.raises(InputError, match="hold different vocabularies"):
        Tokenizer.from_pretrained(folder)
