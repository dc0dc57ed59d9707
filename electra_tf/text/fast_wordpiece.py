"""WordPiece by tensorflow-text, ten times faster than the reference (`wordpiece.py`) and not always the same.

tensorflow-text's `FastBertTokenizer` differs from it on thousands of characters, on very long words, and on vocabulary
entries that no text can reach. So the fast engine answers only for lines made of characters on which both were seen to
agree (`safe_characters.py`), with a vocabulary whose unreachable entries are hidden; the reference does the rest
(`line_tokenizer.py`).
"""

from collections.abc import Sequence

import numpy as np
from tokenizers import normalizers, pre_tokenizers

from electra_tf.text.wordpiece import HIDDEN, MAX_WORD_LENGTH, PREFIX, hide_repeated


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
