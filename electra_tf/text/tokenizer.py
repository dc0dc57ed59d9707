"""The one face of tokenization: text to ids and back, with Hugging Face's ids and file formats."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from electra_tf.errors import ConfigError, InputError
from electra_tf.text.tokenizer_files import read_tokenizer, write_tokenizer
from electra_tf.text.wordpiece import reference_tokenizer

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True)
class TokenizerSettings:
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


@dataclass(frozen=True)
class Encoding:
    """A text, or a pair of texts, as a model takes it.

    Attributes:
        ids: vocabulary ids.
        type_ids: 0 for the first text and its special tokens, 1 for the second.
        tokens: the vocabulary's tokens of `ids`.
        offsets: each token's place in its text, in characters, end exclusive; (0, 0) for [CLS] and [SEP].
    """

    ids: list[int]
    type_ids: list[int]
    tokens: list[str]
    offsets: list[tuple[int, int]]

    def __len__(self) -> int:
        return len(self.ids)


class Tokenizer:
    """A WordPiece tokenizer whose ids are those of Hugging Face's fast tokenizers.

    Args:
        vocabulary: the tokens; a token's id is its place. [PAD] [UNK] [CLS] [SEP] [MASK] must be among them,
            anywhere.
        settings: normalisation.
        source: the file or folder it was read from, if any.

    Raises: `InputError` for a vocabulary that is empty, has duplicates, lacks a special token, or holds
    Hangul syllables where the settings take syllables apart.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        settings: TokenizerSettings | None = None,
        *,
        source: Path | None = None,
    ):
        self.vocabulary = list(vocabulary)
        self.settings = settings or TokenizerSettings()
        self.source = source
        self._ids = {token: i for i, token in enumerate(self.vocabulary)}
        self._check()
        self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = map(self._ids.get, SPECIAL_TOKENS)
        self.special_ids = tuple(sorted(map(self._ids.get, SPECIAL_TOKENS)))

    @classmethod
    def from_pretrained(cls, path: str | Path, **settings) -> "Tokenizer":
        """Opens a folder made by `electra-tf vocab` or Hugging Face's libraries, or a bare vocabulary file.

        Args:
            path: the folder or file.
            **settings: fields of `TokenizerSettings`, overruling what the folder says. A bare file says
                nothing, and is taken to be lower-casing.

        Raises: `InputError`, naming the file.
        """
        path = Path(path)
        vocabulary, found = read_tokenizer(path)
        return cls(vocabulary, TokenizerSettings(**(found | settings)), source=path)

    def save(self, folder: str | Path, *, max_length: int | None = None) -> None:
        """Writes vocab.txt, tokenizer.json, tokenizer_config.json and special_tokens_map.json.

        transformers' `AutoTokenizer.from_pretrained(folder)` gives the same ids. `max_length`, the model's
        number of positions, is where transformers warns and truncates.

        Raises: `OutputError` where the folder cannot be written.
        """
        write_tokenizer(Path(folder), self, max_length)

    def encode(
        self,
        text: str,
        pair: str | None = None,
        *,
        max_length: int | None = None,
        special_tokens_in_text: bool = False,
        add_special_tokens: bool = True,
    ) -> Encoding:
        """`[CLS] text [SEP]`, or `[CLS] text [SEP] pair [SEP]`.

        Args:
            text, pair: any Unicode text.
            max_length: length including special tokens; the longer text is cut first, at its end.
            special_tokens_in_text: False takes a `[MASK]` written in a text as text, as training data must;
                True makes it the special id, as in a query.
            add_special_tokens: False leaves out [CLS] and [SEP].

        Raises: `InputError` for text that is not Unicode, `ConfigError` for a `max_length` without room.
        """
        return self.encode_batch(
            [text if pair is None else (text, pair)],
            max_length=max_length,
            special_tokens_in_text=special_tokens_in_text,
            add_special_tokens=add_special_tokens,
        )[0]

    def encode_batch(
        self,
        texts: Sequence[str | tuple[str, str]],
        *,
        max_length: int | None = None,
        special_tokens_in_text: bool = False,
        add_special_tokens: bool = True,
    ) -> list[Encoding]:
        """Encodes texts and pairs of texts, each as `encode` does."""
        engine = self.query_tokenizer if special_tokens_in_text else self.text_tokenizer
        texts = [(text,) if isinstance(text, str) else tuple(text) for text in texts]
        parts = [part for text in texts for part in text]
        for part in parts:
            _check_unicode(part)
        encoded = iter(engine.encode_batch(parts, add_special_tokens=False))
        return [self._assemble([next(encoded) for _ in text], max_length, add_special_tokens) for text in texts]

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """The text of ids: pieces joined, blanks before punctuation removed."""
        ids = [int(i) for i in ids]
        for i in ids:
            if not 0 <= i < len(self):
                raise InputError(f"{i} is not an id", expected=f"ids from 0 to {len(self) - 1}")
        hidden = self.special_ids if skip_special_tokens else ()
        return self.text_tokenizer.decode([i for i in ids if i not in hidden], skip_special_tokens=False)

    def __len__(self) -> int:
        """Number of tokens in the vocabulary."""
        return len(self.vocabulary)

    def token_to_id(self, token: str) -> int | None:
        return self._ids.get(token)

    def id_to_token(self, i: int) -> str:
        return self.vocabulary[i]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of all that shapes the ids: vocabulary and settings."""
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

    def __reduce__(self):
        return partial(Tokenizer, source=self.source), (self.vocabulary, self.settings)

    def _assemble(self, parts, max_length, add_special_tokens):
        added = len(parts) + 1 if add_special_tokens else 0
        lengths = [len(part) for part in parts]
        if max_length is not None:
            if max_length <= added:
                raise ConfigError(
                    f"a length of {max_length} leaves no room for text",
                    expected=f"more than the {added} special tokens",
                )
            lengths = _truncate(lengths, max_length - added)
        result = Encoding([], [], [], [])

        def append(ids, type_id, offsets):
            result.ids.extend(ids)
            result.type_ids.extend([type_id] * len(ids))
            result.tokens.extend(self.vocabulary[i] for i in ids)
            result.offsets.extend(offsets)

        if add_special_tokens:
            append([self.cls_id], 0, [(0, 0)])
        for type_id, (part, length) in enumerate(zip(parts, lengths, strict=True)):
            append(part.ids[:length], type_id, part.offsets[:length])
            if add_special_tokens:
                append([self.sep_id], type_id, [(0, 0)])
        return result

    def _check(self):
        if not self.vocabulary:
            raise InputError("the vocabulary is empty", where=self.source, remedy="make one with `electra-tf vocab`")
        if len(self._ids) < len(self.vocabulary):
            repeated = next(token for i, token in enumerate(self.vocabulary) if self._ids[token] != i)
            first = self.vocabulary.index(repeated)
            raise InputError(
                f"the vocabulary holds {repeated!r} twice, as ids {first} and {self._ids[repeated]}",
                where=self.source,
                expected="each token once",
                remedy="restore the file the model was trained with",
            )
        missing = [token for token in SPECIAL_TOKENS if token not in self._ids]
        if missing:
            raise InputError(
                f"the vocabulary lacks {' '.join(missing)}",
                where=self.source,
                expected=f"the special tokens {' '.join(SPECIAL_TOKENS)}",
                remedy="use the vocabulary of an ELECTRA model, or make one with `electra-tf vocab`",
            )
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


def holds_hangul(text: str) -> bool:
    """Whether a Hangul syllable block (U+AC00 to U+D7A3) is in the text."""
    return any("\uac00" <= character <= "\ud7a3" for character in text)


def _truncate(lengths, room):
    """Lengths that fit into `room`, the longest text cut first, as Hugging Face's `longest_first` does."""
    if sum(lengths) <= room:
        return lengths
    if len(lengths) == 1:
        return [room]
    shorter = min(*lengths, room // 2)
    return [shorter, room - shorter] if lengths[0] <= lengths[1] else [room - shorter, shorter]


def _check_unicode(text):
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"the text is not Unicode: character {error.start} is half of a surrogate pair",
            expected="text that was decoded from UTF-8",
            remedy="check the encoding of where the text comes from",
        ) from error
