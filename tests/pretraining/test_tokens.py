"""Which tokens begin a word, in WordPiece and in SentencePiece."""

import pytest

from electra_tf.data.builder import build_data
from electra_tf.errors import InputError
from electra_tf.finetuning.run import begins_at
from electra_tf.pretraining.run import pretrain
from electra_tf.pretraining.settings import Electra
from electra_tf.pretraining.tokens import Tokens, begins_in_albert
from electra_tf.text.sentencepiece_vocabulary import train_sentencepiece
from electra_tf.text.wordpiece_tokenizer import SPECIAL_TOKENS, WordPieceTokenizer
from electra_tf.training.recipe import Recipe


def beginning(tokenizer, **compat):
    begins = Tokens.of(tokenizer, **compat).begins
    return {tokenizer.id_to_token(number) for number in range(len(tokenizer)) if begins[number]}


@pytest.fixture(scope="module")
def sentencepiece():
    lines = ["it's a well-known -ab story ... 12 34, (see über)", "a known story; he's well ... über -ab", "99 or 12"]
    return train_sentencepiece(lines * 20, 40)[0]


def test_in_wordpiece_all_but_marked_tokens_begin_a_word():
    tokenizer = WordPieceTokenizer([*SPECIAL_TOKENS, "a", "##a", "#", "▁", ","])
    assert beginning(tokenizer) == {*SPECIAL_TOKENS, "a", "#", "▁", ","}


def test_in_sentencepiece_marked_tokens_and_punctuation_begin_a_word(sentencepiece):
    begins, vocabulary = beginning(sentencepiece), set(sentencepiece.vocabulary)
    special = {sentencepiece.id_to_token(number) for number in sentencepiece.special_ids}
    marked = {token for token in vocabulary if token.startswith("▁")}
    letters = {token for token in vocabulary - marked - special if any(c.isalnum() for c in token)}
    assert begins == vocabulary - letters
    assert {"(", ")", "-"} & vocabulary <= begins


@pytest.mark.parametrize(
    "token, begins",
    [("▁a", True), ("ab", False), (",", True), ("...", False), ("-a", False), ("'", True), ("'s", True), ("1", True)]
    + [("é", True), ("가", True), ("<unk>", True), ("=", True), ("£", True)],
)
def test_with_ascii_words_it_is_told_as_google_told_it(token, begins):
    """Source: google-research/albert, create_pretraining_data.py, `_is_start_piece_sp`."""
    assert begins_in_albert(token) == begins


def test_ascii_words_are_of_sentencepiece_alone(sentencepiece):
    letters = {token for token in sentencepiece.vocabulary if token.isascii() and token.isalpha()}
    assert letters and letters.isdisjoint(beginning(sentencepiece, ascii_words=True))
    wordpiece = WordPieceTokenizer([*SPECIAL_TOKENS, "a", "##é"])
    assert beginning(wordpiece, ascii_words=True) == {*SPECIAL_TOKENS, "a"}


def test_nothing_new_is_trained_with_a_token_that_is_twice(tmp_path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "sea", "ship", "the"]
    (tmp_path / "vocab.txt").write_text("".join(f"{word}\n" for word in words))
    (tmp_path / "a.txt").write_text("the sea the ship\n\nthe ship the sea\n" * 40)
    build_data(tmp_path / "a.txt", tmp_path / "vocab.txt", tmp_path / "data", length=8, held_out=0, processes=0)
    sizes = {"embedding_size": 4, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    with pytest.raises(InputError, match="'the' twice, as ids 5 and 8"):
        pretrain(tmp_path / "data", tmp_path / "run", Electra(discriminator=sizes), Recipe(steps=1, batch_size=2))
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match="'the' twice, as ids 5 and 8"):
        begins_at(None, "electra_tiny", tmp_path / "vocab.txt")
