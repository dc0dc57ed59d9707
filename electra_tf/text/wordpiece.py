"""WordPiece, twice: the reference engine in Rust, and a ten times faster one that gives the same ids.

The reference semantics are those of Hugging Face's fast tokenizers. tensorflow-text's `FastBertTokenizer`
differs from them on thousands of characters, on very long words, and on vocabulary entries that no text can
reach. So the fast engine answers only for lines made of characters on which both were seen to agree
(`safe_characters.py`), with a vocabulary whose unreachable entries are hidden; the reference does the rest.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from electra_tf.errors import InputError
from electra_tf.text.tokenizer import Tokenizer, flatten
from electra_tf.text.tokenizer_files import read_tokenizer, write_tokenizer

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PREFIX = "##"
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


class WordPieceTokenizer(Tokenizer):
    """A WordPiece tokenizer whose ids are those of Hugging Face's fast tokenizers.

    Args:
        vocabulary: the tokens, [PAD] [UNK] [CLS] [SEP] [MASK] among them, anywhere.
        settings: normalisation.
        source: the file or folder it was read from, if any.

    Raises: `InputError` as `Tokenizer`, and for Hangul syllables where the settings take syllables apart.
    """

    Settings = WordPieceSettings
    special_tokens = SPECIAL_TOKENS

    def __init__(
        self, vocabulary: Sequence[str], settings: WordPieceSettings | None = None, *, source: Path | None = None
    ):
        super().__init__(vocabulary, settings or WordPieceSettings(), source)
        if self.settings.lower_case and self.settings.strips_accents:
            hangul = next((token for token in self.vocabulary if holds_hangul(token)), None)
            if hangul is not None:
                raise InputError(
                    f"the vocabulary holds Hangul ({hangul!r}), but lower-casing with accent stripping takes"
                    " syllables apart: every Korean word would be [UNK]",
                    where=self.source,
                    expected="lower_case or strip_accents off",
                    remedy="set lower_case to false (as KoELECTRA does), or strip_accents to false",
                )

    @classmethod
    def open(cls, path: Path, settings: dict) -> "WordPieceTokenizer":
        """See `Tokenizer.from_pretrained`."""
        vocabulary, found = read_tokenizer(path)
        return cls(vocabulary, WordPieceSettings(**(found | settings)), source=path)

    def save(self, folder: str | Path, *, max_length: int | None = None) -> None:
        """Writes vocab.txt, tokenizer.json, tokenizer_config.json and special_tokens_map.json.

        transformers' `AutoTokenizer.from_pretrained(folder)` gives the same ids. Otherwise as `Tokenizer.save`.
        """
        write_tokenizer(Path(folder), self, max_length)

    def line_tokenizer(self, engine: str = "fast") -> "LineTokenizer":
        return LineTokenizer(self, engine)

    @cached_property
    def fingerprint(self) -> str:
        settings = [self.settings.lower_case, self.settings.strips_accents, self.settings.split_cjk]
        return hashlib.sha256(json.dumps([self.vocabulary, settings]).encode()).hexdigest()

    @cached_property
    def text_tokenizer(self):
        """The Rust tokenizer for which everything in a text is text."""
        return reference_tokenizer(self.vocabulary, self.settings)

    @cached_property
    def query_tokenizer(self):
        """The Rust tokenizer for which special tokens in a text are special."""
        return reference_tokenizer(self.vocabulary, self.settings, SPECIAL_TOKENS)

    def _encode(self, texts, special_tokens_in_text):
        engine = self.query_tokenizer if special_tokens_in_text else self.text_tokenizer
        return engine.encode_batch(texts, add_special_tokens=False)

    def _decode(self, ids):
        return self.text_tokenizer.decode(ids, skip_special_tokens=False)

    def __reduce__(self):
        return partial(WordPieceTokenizer, source=self.source), (self.vocabulary, self.settings)


def holds_hangul(text: str) -> bool:
    """Whether a Hangul syllable block (U+AC00 to U+D7A3) is in the text."""
    return any("\uac00" <= character <= "\ud7a3" for character in text)


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
            raise ValueError(f"engine is 'fast' or 'reference', not {engine!r}")
        self.tokenizer, self.engine = tokenizer, engine
        self._fast = None
        if engine == "fast":
            from electra_tf.text.safe_characters import safe_characters

            self._safe = safe_characters(tokenizer.settings, tokenizer.source)

    def __call__(self, lines: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        if self.engine == "reference" or not lines:
            return flatten(self._reference(lines))
        if self._fast is None:
            self._fast = FastEngine(self.tokenizer.vocabulary, self.tokenizer.settings, self._safe)
        ids, splits, rest = self._fast(lines)
        return _replace_rows(ids, splits, rest, self._reference([lines[row] for row in rest]))

    def _reference(self, lines):
        encodings = self.tokenizer.text_tokenizer.encode_batch_fast(lines, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def __getstate__(self):
        return {**self.__dict__, "_fast": None}


def reference_tokenizer(vocabulary: Sequence[str], settings, special_tokens: Sequence[str] = ()):
    """The Rust tokenizer. `special_tokens` become ids where a text holds them; others are split as text."""
    ids = {token: i for i, token in enumerate(vocabulary)}
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
    tokenizer.add_special_tokens(list(special_tokens))
    return tokenizer


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
        visible = _hide_unreachable(vocabulary)
        self._unk = list(vocabulary).index("[UNK]")
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

    return [token if reachable(token) else f"\U0010fffd{i}" for i, token in enumerate(vocabulary)]


def _replace_rows(ids, splits, rows, replacements):
    """Ids and row splits with the rows `rows` (ascending) replaced by other ids."""
    if not len(rows):
        return ids, splits
    pieces, done = [], 0
    for row, replacement in zip(rows, replacements, strict=True):
        pieces += [ids[done : splits[row]], np.asarray(replacement, np.int32)]
        done = splits[row + 1]
    lengths = np.diff(splits)
    lengths[rows] = [len(replacement) for replacement in replacements]
    return np.concatenate([*pieces, ids[done:]]), np.concatenate([[0], np.cumsum(lengths)])
