"""What a vocabulary makes of a text: the figures by which vocabularies are compared."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from electra_tf.errors import InputError


@dataclass(frozen=True)
class Fit:
    """How a vocabulary fits a text.

    Attributes:
        words: words of the text, as the tokenizer tells them apart: WordPiece takes punctuation marks for words,
            SentencePiece what stands between blanks.
        distinct_words: different words.
        tokens_per_word: tokens divided by words, an unknown word of WordPiece counting as one token.
        unknown_rate: share of words that are [UNK], or hold an <unk>.
        alphabet_coverage: share of the text's characters that the vocabulary holds.
    """

    words: int
    distinct_words: int
    tokens_per_word: float
    unknown_rate: float
    alphabet_coverage: float


@dataclass(frozen=True)
class VocabularyReport:
    """A vocabulary, and what it makes of the text that it was learned from.

    Attributes:
        size: entries in the vocabulary.
        requested_size: entries asked for; more than `size` where the text gave no more.
        words, distinct_words, tokens_per_word, unknown_rate, alphabet_coverage: see `Fit`.
        alphabet: different characters in the vocabulary.
        stripped: share of words that lose an accent.
        joined: share of words that lose a joiner (U+200C, U+200D), as in Persian.
        decomposed: share of words with letters that the vocabulary holds taken apart, since the text is in NFD: to it
            the same words as they are usually written are others.
    """

    size: int
    requested_size: int
    words: int
    distinct_words: int
    tokens_per_word: float
    unknown_rate: float
    alphabet: int
    alphabet_coverage: float
    stripped: float
    joined: float
    decomposed: float


def fit(words: Mapping[str, int], encode: Callable[[list[str]], Iterable], unknown, alphabet: set[str]) -> Fit:
    """Measures a vocabulary on counted words.

    Args:
        words: how often each word occurs.
        encode: the tokens of each of several words.
        unknown: the token of what is unknown.
        alphabet: the characters that the vocabulary holds.

    Raises: `InputError` where there are no words.
    """
    if not words:
        raise InputError(
            "the text holds no words",
            where="--input and --measure",
            expected="text to measure on",
            remedy="name other files",
        )
    tokens = unknowns = 0
    for n, row in zip(words.values(), encode(list(words)), strict=True):
        tokens += n * len(row)
        unknowns += n * (unknown in row)
    total, characters = sum(words.values()), count_characters(words)
    return Fit(
        words=total,
        distinct_words=len(words),
        tokens_per_word=tokens / total,
        unknown_rate=unknowns / total,
        alphabet_coverage=sum(characters[c] for c in alphabet) / sum(characters.values()),
    )


def report(fit: Fit, *, joined: float = 0.0, decomposed: float = 0.0, **facts) -> VocabularyReport:
    return VocabularyReport(joined=joined, decomposed=decomposed, **facts, **vars(fit))


def count_characters(words: Mapping[str, int]) -> Counter[str]:
    """How often each character occurs."""
    characters = Counter()
    for word, n in words.items():
        for character in word:
            characters[character] += n
    return characters
