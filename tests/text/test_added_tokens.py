"""Tokens added to a vocabulary have the ids that transformers gives them, and stay with the tokenizer."""

import json

import pytest

from electra_tf.errors import InputError
from electra_tf.text.tokenizer import Tokenizer
from electra_tf.text.wordpiece import SPECIAL_TOKENS

WORDS = "cat sat e ##1 c ##o ##v ##i ##d ##s [unused0] [ mask ] s"
VOCABULARY = [*SPECIAL_TOKENS, *WORDS.split()]
TEXTS = ["[E1] covid cat", "COVID Covids cat[E1]sat", "sars sarsy EU eu", "a [unused0]  c [MASK] <br> <BR>x", "[e1] é"]


@pytest.fixture(scope="module", params=["slow", "fast", "legacy", "tokenizer.json alone", "without tokenizer.json"])
def folder(request, tmp_path_factory):
    """As transformers writes it: its slow class, its fast one, and versions before added_tokens_decoder."""
    transformers = pytest.importorskip("transformers")
    path = tmp_path_factory.mktemp("added")
    (path / "v.txt").write_text("\n".join(VOCABULARY))
    tokenizer = transformers.ElectraTokenizer(str(path / "v.txt"))
    single, bare = ({"single_word": True}, {"normalized": False, "lstrip": True, "rstrip": True})
    if request.param == "legacy":
        single, bare = {}, {}  # they had no place for it
    tokenizer.add_tokens(["covid", "eu", transformers.AddedToken("sars", **single)])
    tokenizer.add_tokens([transformers.AddedToken("<br>", **bare)])
    tokenizer.add_special_tokens({"additional_special_tokens": ["[E1]", "[unused0]"]})
    tokenizer.save_pretrained(path / "saved")
    saved = path / "saved"
    if request.param in ("fast", "tokenizer.json alone", "without tokenizer.json"):
        transformers.AutoTokenizer.from_pretrained(saved).save_pretrained(saved)
    if request.param == "legacy":
        config = {"do_lower_case": True, "tokenizer_class": "ElectraTokenizer"}
        (saved / "tokenizer_config.json").write_text(json.dumps(config))
    elif request.param == "tokenizer.json alone":
        for name in ("vocab.txt", "added_tokens.json", "tokenizer_config.json", "special_tokens_map.json"):
            (saved / name).unlink()
        (saved / "tokenizer_config.json").write_text('{"tokenizer_class": "ElectraTokenizer"}')
    elif request.param == "without tokenizer.json":
        (saved / "tokenizer.json").unlink()
        (saved / "added_tokens.json").unlink()
    return saved


def test_ids_are_those_of_transformers_before_and_after_saving(folder, tmp_path):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    expected = theirs(TEXTS)["input_ids"]
    ours = Tokenizer.from_pretrained(folder)
    ours.save(tmp_path)
    again = Tokenizer.from_pretrained(tmp_path)
    assert expected[0] == [2, len(VOCABULARY) + 4, len(VOCABULARY), 5, 3]
    for tokenizer in (ours, again):
        assert [e.ids for e in tokenizer.encode_batch(TEXTS, special_tokens_in_text=True)] == expected
        assert len(tokenizer) == len(theirs) == len(VOCABULARY) + 5
        for skip in (True, False):
            found = [tokenizer.decode(ids, skip_special_tokens=skip) for ids in expected]
            assert found == [theirs.decode(ids, skip_special_tokens=skip) for ids in expected]
    assert (ours.added, ours.fingerprint) == (again.added, again.fingerprint)
    for cls in (transformers.AutoTokenizer, transformers.BertTokenizerFast):
        saved = cls.from_pretrained(tmp_path)
        assert saved(TEXTS)["input_ids"] == expected
        assert saved.added_tokens_decoder == theirs.added_tokens_decoder


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_they_are_found_in_lines_where_special_tokens_are_text(folder, engine):
    tokenizer, n = Tokenizer.from_pretrained(folder), len(VOCABULARY)
    ids, splits = tokenizer.line_tokenizer(engine)(["[E1] covid cat", "[MASK] eu"])
    left, mask, right = (VOCABULARY.index(token) for token in ("[", "mask", "]"))
    assert ids.tolist() == [n + 4, n, 5, left, mask, right, n + 1]
    assert splits.tolist() == [0, 3, 7]


def test_a_special_token_that_takes_blanks_with_it_is_read_so_and_lines_keep_the_fast_engine(tmp_path):
    transformers = pytest.importorskip("transformers")
    (tmp_path / "v.txt").write_text("\n".join(VOCABULARY))
    mask = transformers.AddedToken("[MASK]", lstrip=True, special=True)
    transformers.ElectraTokenizerFast(str(tmp_path / "v.txt"), mask_token=mask).save_pretrained(tmp_path / "m")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "m")("cat [MASK] s", return_offsets_mapping=True)
    assert theirs["offset_mapping"][2] == (3, 10)
    Tokenizer.from_pretrained(tmp_path / "m").save(tmp_path / "again")
    for folder in ("m", "again"):
        tokenizer = Tokenizer.from_pretrained(tmp_path / folder)
        found = tokenizer.encode("cat [MASK] s", special_tokens_in_text=True)
        assert (found.ids, found.offsets) == (theirs["input_ids"], theirs["offset_mapping"])
        assert tokenizer.line_tokenizer().engine == "fast"


def test_a_tokenizer_without_added_tokens_leaves_no_file_of_another(folder, tmp_path):
    Tokenizer.from_pretrained(folder).save(tmp_path)
    (tmp_path / "plain.txt").write_text("\n".join(VOCABULARY))
    Tokenizer.from_pretrained(tmp_path / "plain.txt").save(tmp_path)
    assert len(Tokenizer.from_pretrained(tmp_path)) == len(VOCABULARY)
    assert not (tmp_path / "added_tokens.json").exists()


@pytest.mark.parametrize(
    ("config", "id_"),
    [({"additional_special_tokens": ["[E9]"]}, 19), ({"bos_token": "[BOS]", "eos_token": "[SEP]"}, 19)],
)
def test_special_tokens_without_an_id_follow_the_vocabulary(config, id_, tmp_path):
    transformers = pytest.importorskip("transformers")
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY[:19]))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "ElectraTokenizer"} | config))
    text = "[E9] cat [BOS]"
    expected = transformers.AutoTokenizer.from_pretrained(tmp_path)(text)["input_ids"]
    assert id_ in expected
    assert Tokenizer.from_pretrained(tmp_path).encode(text).ids == expected


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("added_tokens.json", {"covid": 3}, "'covid' has the id 3"),
        ("added_tokens.json", {"covid": 25}, "'covid' has the id 25"),
        ("added_tokens.json", {"cat": 20}, "'cat' has the id 20"),
        ("added_tokens.json", {"covid": "20"}, "an added token is"),
        ("added_tokens.json", {"co\nvid": 20}, "end of a line"),
        ("special_tokens_map.json", {"additional_special_tokens": [3]}, "additional_special_tokens holds 3"),
        ("tokenizer_config.json", {"added_tokens_decoder": [1]}, "added_tokens_decoder holds"),
        ("tokenizer_config.json", {"added_tokens_decoder": {"x": {"content": "y"}}}, "an added token is"),
        ("tokenizer_config.json", {"added_tokens_decoder": {"20": {"content": None}}}, "an added token is"),
    ],
)
def test_what_cannot_be_is_refused(name, content, found, tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY))
    (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(InputError) as caught:
        Tokenizer.from_pretrained(tmp_path)
    assert found in caught.value.found and str(tmp_path) in str(caught.value.where)
