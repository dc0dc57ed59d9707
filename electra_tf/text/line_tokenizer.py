"""Many lines at once into ids: the fast engine where it is sure, the reference for the rest."""

from collections.abc import Sequence

import numpy as np

from electra_tf.errors import ConfigError
from electra_tf.text.fast_wordpiece import FastEngine
from electra_tf.text.rows import flatten, replace_rows
from electra_tf.text.safe_characters import safe_characters


class LineTokenizer:
    """See `Tokenizer.line_tokenizer`.

    Args:
        tokenizer: a `WordPieceTokenizer`.
        engine: "fast" (tensorflow-text behind a guard) or "reference" (the Rust library, without TensorFlow).
            Both give the ids of Hugging Face's fast tokenizers, for any input.

    It can be pickled: a process that receives one builds its TensorFlow part at its first call.
    """

    def __init__(self, tokenizer, engine: str = "fast"):
        if engine not in ("fast", "reference"):
            raise ConfigError(f"engine is {engine!r}", expected="'fast' or 'reference'")
        # tensorflow-text knows no tokens that are found before a text is divided into words.
        self.tokenizer, self.engine = tokenizer, "reference" if tokenizer.found_in_text else engine
        self._fast = None
        if self.engine == "fast":
            self._safe = safe_characters(tokenizer.settings, tokenizer.source)

    def __call__(self, lines: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        if self.engine == "reference" or not lines:
            return flatten(self._reference(lines))
        if self._fast is None:
            self._fast = FastEngine(self.tokenizer.vocabulary, self.tokenizer.settings, self._safe)
        ids, splits, rest = self._fast(lines)
        return replace_rows(ids, splits, rest, self._reference([lines[row] for row in rest]))

    def _reference(self, lines):
        encodings = self.tokenizer.text_tokenizer.encode_batch_fast(lines, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def __getstate__(self):
        return {**self.__dict__, "_fast": None}
