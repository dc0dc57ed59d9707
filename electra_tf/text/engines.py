"""The two WordPiece engines: the reference in Rust, and tensorflow-text's, ten times faster and not always the same.

The reference semantics are those of Hugging Face's fast tokenizers. tensorflow-text's `FastBertTokenizer`
differs from them on thousands of characters, on very long words, and on vocabulary entries that no text can
reach. So the fast engine answers only for lines made of characters on which both were seen to agree
(`safe_characters.py`), with a vocabulary whose unreachable entries are hidden; the reference does the rest
(`line_tokenizer.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from electra_tf.text.added_tokens import AddedToken

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PREFIX = "##"
HIDDEN = "\U0010fffd"  # a private-use character: the normalisation removes them from a text
MAX_WORD_LENGTH = 100  # the reference turns a word of more characters into [UNK]


@dataclass(frozen=True)
class WordPieceSettings:
    """How text is normalised before it is looked up.

    Attributes:
        lower_case: capitals are lowered.
        strip_accents: accents are removed; None follows `lower_case`, as in Hugging Face's tokenizers.
        split_cjk: Chinese characters are words each.
    """

    lower_case: bool = True
    strip_accents: bool | None = None
    split_cjk: bool = True

    @property
    def strips_accents(self) -> bool:
        """Whether accents are removed, None resolved."""
        return self.lower_case if self.strip_accents is None else self.strip_accents


def holds_hangul(text: str) -> bool:
    """Whether a Hangul syllable block (U+AC00 to U+D7A3) is in the text."""
    return any("\uac00" <= character <= "\ud7a3" for character in text)


def reference_tokenizer(vocabulary: Sequence[str], settings, added: Sequence[AddedToken] = ()):
    """The Rust tokenizer. `added` tokens, in the order of their ids, are found in a text; special ones not there are
    split as text."""
    ids = {token: i for i, token in enumerate(hide_repeated(vocabulary))}
    model = models.WordPiece(
        vocab=ids,
        unk_token="[UNK]",
        continuing_subword_prefix=PREFIX,
        max_input_chars_per_word=MAX_WORD_LENGTH,
    )
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = normalizer(settings)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=PREFIX)
    if "[CLS]" in ids and "[SEP]" in ids:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS]:0 $A:0 [SEP]:0",
            pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
            special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
        )
    for token in added:
        flags = {name: value for name, value in vars(token).items() if name not in ("id", "content", "special")}
        add = tokenizer.add_special_tokens if token.special else tokenizer.add_tokens
        add([tokenizers.AddedToken(token.content, **flags, special=token.special)])
    return tokenizer


def hide_repeated(vocabulary: Sequence[str]) -> list[str]:
    """The last of equal tokens has the id, as in transformers; in place of others stands what no text can hold."""
    last = {token: i for i, token in enumerate(vocabulary)}
    return [token if last[token] == i else f"{HIDDEN}{i}" for i, token in enumerate(vocabulary)]


def normalizer(settings) -> normalizers.BertNormalizer:
    return normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=settings.split_cjk,
        strip_accents=settings.strip_accents,
        lowercase=settings.lower_case,
    )


class FastEngine:
    """tensorflow-text's tokenizer, and the rows of a call that must not be taken from it.

    Args:
        vocabulary, settings: as a `Tokenizer` has them.
        safe: inclusive ranges of code points; lines with any other character are left to the reference.
    """

    def __init__(self, vocabulary: Sequence[str], settings, safe: Sequence[tuple[int, int]]):
        from tensorflow_text.python.ops.fast_bert_normalizer import FastBertNormalizer
        from tensorflow_text.python.ops.fast_wordpiece_tokenizer import FastWordpieceTokenizer

        strip = settings.strips_accents
        # Its lower-casing always strips accents. Without stripping, ASCII is lowered beforehand, and other
        # capitals are not safe.
        self._lower_ascii = settings.lower_case and not strip
        self._normalizer = FastBertNormalizer(lower_case_nfd_strip_accents=settings.lower_case and strip)
        vocabulary = hide_repeated(vocabulary)
        visible = _hide_unreachable(vocabulary)
        self._unk = vocabulary.index("[UNK]")
        self._wordpiece = FastWordpieceTokenizer(
            visible,
            suffix_indicator=PREFIX,
            max_bytes_per_word=MAX_WORD_LENGTH,
            token_out_type=np.int32,
            unknown_token=visible[self._unk],
        )
        self._safe = "[" + "".join(rf"\x{{{first:X}}}-\x{{{last:X}}}" for first, last in safe) + "]*"

    def __call__(self, lines: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns ids, row splits, and the rows that are the reference's to do."""
        import tensorflow as tf

        lines = tf.constant(lines)
        safe = tf.strings.regex_full_match(lines, self._safe)
        ids, splits, normalized = self.tokenize(tf.where(safe, lines, ""))
        # A word of more bytes than MAX_WORD_LENGTH comes back as [UNK], though it may have fewer characters.
        # So only a row with an [UNK] and a long run without a space is doubtful.
        unknown = np.unique(np.searchsorted(splits, np.flatnonzero(ids == self._unk), side="right") - 1)
        texts = tf.gather(normalized, unknown).numpy()
        longest = [max(map(len, text.split(b" "))) for text in texts]
        doubtful = unknown[np.array(longest, np.int64) > MAX_WORD_LENGTH]
        return ids, splits, np.union1d(np.flatnonzero(~safe.numpy()), doubtful)

    def tokenize(self, lines) -> tuple:
        """tensorflow-text's own answer to a string tensor, unguarded: ids, row splits, normalised lines."""
        import tensorflow as tf

        if self._lower_ascii:
            lines = tf.strings.lower(lines)
        normalized = self._normalizer.normalize(lines)
        rows = self._wordpiece.tokenize(normalized)
        return rows.values.numpy(), rows.row_splits.numpy(), normalized


def _hide_unreachable(vocabulary):
    """Replaces entries that no word can hold: `[MASK]`, `##.`, `e-mail`, or more than a word may be.

    tensorflow-text would match some of them, and refuses others. What stands in for them holds a private-use
    character, which no safe line contains.
    """
    clean = normalizers.BertNormalizer(strip_accents=False, lowercase=False).normalize_str
    split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str

    def reachable(token):
        text = "a" + token.removeprefix(PREFIX) + "b" if token.startswith(PREFIX) else token
        words = [word for word, _ in split(clean(text))]
        return words == [text] and len(token.encode()) <= MAX_WORD_LENGTH

    return [token if reachable(token) else f"{HIDDEN}{i}" for i, token in enumerate(vocabulary)]
