"""What the objectives need to know of a vocabulary."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import tensorflow as tf

from electra_tf.text.sentencepiece import SentencePieceTokenizer

if TYPE_CHECKING:
    from electra_tf.text.tokenizer import Tokenizer

_PUNCTUATION = frozenset('!"#$%&()*+,-./:;?@[\\]^_`{|}~')  # without ' < = >, in the original


class Tokens(NamedTuple):
    """Ids of the special tokens, looked up in the vocabulary, and what begins a word.

    Attributes:
        pad, unk, cls, sep, mask: ids.
        size: number of tokens; tables may be longer, where they are padded.
        begins: bool [size], whether a token begins a word.
    """

    pad: int
    unk: int
    cls: int
    sep: int
    mask: int
    size: int
    begins: np.ndarray

    @classmethod
    def of(cls, tokenizer: "Tokenizer", ascii_words: bool = False) -> "Tokens":
        """Those of a tokenizer; `ascii_words`: see `Masking`."""
        ids = (getattr(tokenizer, f"{name}_id") for name in ("pad", "unk", "cls", "sep", "mask"))
        vocabulary = [tokenizer.id_to_token(number) for number in range(len(tokenizer))]
        # SentencePiece marks the tokens that begin a word, WordPiece those that do not.
        begins = _sentencepiece(ascii_words) if isinstance(tokenizer, SentencePieceTokenizer) else _wordpiece
        begins = np.array([begins(token) for token in vocabulary])
        begins[list(tokenizer.special_ids)] = True
        return cls(*ids, len(vocabulary), begins)

    def any(self, numbers, special: bool = False):
        """Int32 tokens drawn by uniform `numbers` of any shape, special ones only where asked for."""
        if special:
            return tf.cast(numbers * self.size, tf.int32)
        never = sorted({self.pad, self.unk, self.cls, self.sep, self.mask})
        drawn = tf.cast(numbers * (self.size - len(never)), tf.int32)
        for number in never:
            drawn += tf.cast(drawn >= number, tf.int32)
        return drawn


def _wordpiece(token):
    return not token.startswith("##")


def _sentencepiece(ascii_words):
    if ascii_words:
        return begins_in_albert
    return lambda token: token.startswith("▁") or not any(character.isalnum() for character in token)


def begins_in_albert(token: str) -> bool:
    """As `_is_start_piece_sp` of google-research/albert, create_pretraining_data.py: `...` and `-a` begin no word."""
    within = all(character in _PUNCTUATION or (character.isascii() and character.isalpha()) for character in token)
    return token.startswith(("▁", "<")) or token in _PUNCTUATION or not within
