"""The one face of tokenization: text to ids and back, with Hugging Face's ids and file formats."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from electra_tf.errors import ConfigError, InputError


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


class Tokenizer(ABC):
    """Text to ids and back: a `WordPieceTokenizer` or a `SentencePieceTokenizer`, opened by `from_pretrained`.

    Args:
        vocabulary: the tokens; a token's id is its place. The special tokens must be among them, anywhere.
        settings: normalisation, a dataclass.
        source: the file or folder it was read from, if any.

    Attributes:
        special_tokens: what stands for padding, the unknown, the beginning, the end and a mask, in this order.
        pad_id, unk_id, cls_id, sep_id, mask_id: their ids.
        fingerprint: SHA-256, in hexadecimal, of all that shapes the ids: vocabulary and settings.

    Raises: `InputError` for a vocabulary that is empty or lacks a special token, and for a new one with a token twice.
    """

    Settings: type
    special_tokens: tuple[str, ...]
    may_repeat = False  # whether a file may hold a token twice; the last is then meant, as in transformers
    fingerprint: str

    def __init__(self, vocabulary: Sequence[str], settings, source: Path | None = None):
        self.vocabulary = list(vocabulary)
        self.settings = settings
        self.source = source
        self._ids = {token: i for i, token in enumerate(self.vocabulary)}
        self._check()
        self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = map(self._ids.get, self.special_tokens)
        self.special_ids = tuple(sorted(map(self._ids.get, self.special_tokens)))

    @staticmethod
    def from_pretrained(path: str | Path, **settings) -> "Tokenizer":
        """Opens a tokenizer's folder or file; see `load.open_tokenizer`, of which this is another name."""
        from electra_tf.text.load_tokenizer import open_tokenizer

        return open_tokenizer(path, **settings)

    @abstractmethod
    def save(self, folder: str | Path, *, max_length: int | None = None) -> None:
        """Writes the files from which transformers makes the same tokenizer.

        `max_length`, the model's number of positions, is where transformers warns and truncates.

        Raises: `OutputError` where the folder cannot be written.
        """

    @abstractmethod
    def line_tokenizer(self, engine: str = "fast") -> Callable:
        """What turns many lines at once into ids, no special tokens added, special tokens in the text being text.

        Called with a list of lines, it gives int32 ids `[tokens]` and int64 splits `[lines + 1]`: line i is
        `ids[splits[i]:splits[i+1]]`.

        Args:
            engine: "fast", or "reference", which does without TensorFlow. Both give the same ids for any input.
        """

    @abstractmethod
    def normalized(self, text: str) -> str:
        """The text as its pieces are looked for: cleaned, lower-cased or stripped of marks as the settings say."""

    @abstractmethod
    def _encode(self, texts: list[str], special_tokens_in_text: bool) -> Sequence:
        """Objects with `ids` and `offsets`, one for each text."""

    @abstractmethod
    def _decode(self, ids: list[int]) -> str:
        """The text of ids within the vocabulary."""

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
        first_keeps_odd: bool = False,
    ) -> list[Encoding]:
        """Encodes texts and pairs of texts, each as `encode` does.

        `first_keeps_odd`: where both texts of a pair are cut and an odd number of tokens is left, the first has one
        more, as in Google's code; in transformers' it is the second where that was the longer one.
        """
        texts = [(text,) if isinstance(text, str) else tuple(text) for text in texts]
        parts = [part for text in texts for part in text]
        for part in parts:
            _check_unicode(part)
        encoded = iter(self._encode(parts, special_tokens_in_text))
        cut = _truncate_as_google if first_keeps_odd else _truncate
        return [self._assemble([next(encoded) for _ in text], max_length, add_special_tokens, cut) for text in texts]

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        """The text of ids: pieces joined, blanks before punctuation removed."""
        ids = [int(i) for i in ids]
        for i in ids:
            if not 0 <= i < len(self):
                raise InputError(
                    f"{i} is not an id",
                    where=self.source,
                    expected=f"ids from 0 to {len(self) - 1}",
                    remedy="give ids that this tokenizer made",
                )
        hidden = self.special_ids if skip_special_tokens else ()
        return self._decode([i for i in ids if i not in hidden])

    def __len__(self) -> int:
        """Number of tokens in the vocabulary."""
        return len(self.vocabulary)

    def check_fits(self, rows: int) -> None:
        """Raises: `ConfigError` where a model with so many rows of embeddings cannot have been trained with it."""
        if len(self) > rows:
            raise ConfigError(
                f"the vocabulary has {len(self):,} tokens, the model {rows:,}",
                where=self.source,
                expected="the vocabulary that the model was trained with",
                remedy="take the one that lies with the model's weights",
            )

    def repeated(self) -> list[int]:
        """Ids that no text gets, since their tokens are there again behind them."""
        return [i for i, token in enumerate(self.vocabulary) if self._ids[token] != i]

    def check_distinct(
        self, remedy: str = "make a vocabulary of each token once, and what was built with this one again"
    ) -> None:
        """Raises: `InputError` where a token is there twice, which no new model should be trained with."""
        if repeated := self.repeated():
            first, last = repeated[0], self._ids[self.vocabulary[repeated[0]]]
            raise InputError(
                f"the vocabulary holds {self.vocabulary[first]!r} twice, as ids {first} and {last}",
                where=self.source,
                expected="each token once",
                remedy=remedy,
            )

    def token_to_id(self, token: str) -> int | None:
        return self._ids.get(token)

    def id_to_token(self, i: int) -> str:
        return self.vocabulary[i]

    def _assemble(self, parts, max_length, add_special_tokens, cut):
        added = len(parts) + 1 if add_special_tokens else 0
        lengths = [len(part) for part in parts]
        if max_length is not None:
            if max_length <= added:
                raise ConfigError(
                    f"a length of {max_length} leaves no room for text",
                    where="max_length",
                    expected=f"more than the {added} special tokens",
                )
            lengths = cut(lengths, max_length - added)
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
            raise InputError(
                "the vocabulary is empty",
                where=self.source,
                expected="a token on each line",
                remedy="make one with `electra-tf vocab`",
            )
        # A model that was trained with such a vocabulary, as some published ones, needs it as it is.
        if self.source is None or not self.may_repeat:
            self.check_distinct("restore the file the model was trained with")
        missing = [token for token in self.special_tokens if token not in self._ids]
        if missing:
            raise InputError(
                f"the vocabulary lacks {' '.join(missing)}",
                where=self.source,
                expected=f"the special tokens {' '.join(self.special_tokens)}",
                remedy="use the vocabulary of an ELECTRA model, or make one with `electra-tf vocab`",
            )


def _truncate(lengths, room):
    """Lengths that fit into `room`, the longest text cut first, as Hugging Face's `longest_first` does."""
    if sum(lengths) <= room:
        return lengths
    if len(lengths) == 1:
        return [room]
    shorter = min(*lengths, room // 2)
    return [shorter, room - shorter] if lengths[0] <= lengths[1] else [room - shorter, shorter]


def _truncate_as_google(lengths, room):
    """The same, token by token from the longer one, from the second where they are alike."""
    if len(lengths) == 1:
        return [min(lengths[0], room)]
    first, second = lengths
    second = min(second, max(room - first, room // 2))
    return [min(first, room - second), second]


def _check_unicode(text):
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"the text is not Unicode: character {error.start} is half of a surrogate pair",
            where=repr(text[max(0, error.start - 20) : error.start + 20]),
            expected="text that was decoded from UTF-8",
            remedy="convert it to UTF-8, by iconv for instance; in a terminal, set LC_ALL=C.UTF-8",
        ) from error
