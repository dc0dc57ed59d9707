"""Training a WordPiece vocabulary: byte-pair merges over word counts, the same for the same text.

The algorithm is that of the `tokenizers` library's `WordPieceTrainer`, whose result changes from run to run.
Here all that is iterated over is sorted, so the vocabulary depends on the counts of words alone: not on the
order of the files, nor on hashing.
"""

import heapq
import itertools
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tokenizers import models, pre_tokenizers

from electra_tf.errors import ConfigError, InputError
from electra_tf.text.wordpiece import (
    MAX_WORD_LENGTH,
    PREFIX,
    SPECIAL_TOKENS,
    WordPieceSettings,
    holds_hangul,
    normalizer,
)

# The alphabet has so many characters, or more where these are not so much of the text.
ALPHABET_SIZE, ALPHABET_COVERAGE = 1000, 0.99999
HANGUL_TOLERANCE = 0.01  # share of words with Hangul that is taken for stray, not for Korean text


@dataclass(frozen=True)
class VocabularyReport:
    """What a vocabulary makes of a text.

    Attributes:
        size: entries in the vocabulary.
        requested_size: entries asked for; more than `size` where the text gave no more.
        words: words of the text, punctuation marks among them.
        distinct_words: different words.
        tokens_per_word: tokens divided by words, an unknown word counting as one token.
        unknown_rate: share of words that are [UNK].
        alphabet: different characters in the vocabulary.
        alphabet_coverage: share of the text's characters that are in the alphabet.
    """

    size: int
    requested_size: int
    words: int
    distinct_words: int
    tokens_per_word: float
    unknown_rate: float
    alphabet: int
    alphabet_coverage: float


def train_vocabulary(
    lines: Iterable[str],
    size: int,
    settings: WordPieceSettings | None = None,
    *,
    min_frequency: int = 2,
    alphabet_limit: int | None = None,
    unused: int = 0,
) -> tuple[list[str], VocabularyReport]:
    """Learns a vocabulary of at most `size` entries from lines of text.

    In order: special tokens, characters, characters within words, merges as learned, [unused0] and so on.

    Args:
        lines: the text.
        size: entries in all.
        settings: the normalisation that the tokenizer will have.
        min_frequency: pairs seen less often are not merged.
        alphabet_limit: at most so many characters, the most frequent; by default 1000, or as many as cover
            99.999 % of the text.
        unused: how many [unusedN] entries to reserve.

    Raises: `InputError` for text without words; `ConfigError` for a size without room for the alphabet, and
    for Korean text under settings that take Hangul apart.
    """
    settings = settings or WordPieceSettings()
    words = count_words(lines, settings)
    if not words:
        raise InputError("the corpus holds no words", expected="text", remedy="name other input files")
    characters = _count_characters(words)
    alphabet = _choose_alphabet(characters, alphabet_limit)
    head, tail = list(SPECIAL_TOKENS), [f"[unused{i}]" for i in range(unused)]
    words_in_alphabet = {word: n for word, n in words.items() if alphabet.issuperset(word)}
    pieces = _learn(words_in_alphabet, alphabet, size - len(head) - len(tail), min_frequency)
    vocabulary = [*head, *pieces, *tail]
    return vocabulary, _report(vocabulary, size, words, characters, alphabet)


def count_words(lines: Iterable[str], settings: WordPieceSettings) -> Counter[str]:
    """How often each word stands in the text, as pre-tokenisation yields them.

    Raises: `ConfigError` for text with Hangul under settings that take syllables apart.
    """
    # Normalisation never crosses a space, so that each chunk between spaces needs it only once.
    chunks = Counter()
    for line in lines:
        chunks.update(line.split(" "))
    if settings.lower_case and settings.strips_accents:
        _refuse_hangul(chunks)
    normalize = normalizer(settings).normalize_str
    pre_tokenize = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    words = Counter()
    for chunk, n in chunks.items():
        for word, _ in pre_tokenize(normalize(chunk)):
            words[word] += n
    return words


def measure_vocabulary(vocabulary: list[str], words: Mapping[str, int]) -> tuple[float, float]:
    """Tokens per word and unknown rate of a vocabulary on counted words."""
    model = models.WordPiece(
        {token: i for i, token in enumerate(vocabulary)},
        unk_token="[UNK]",
        continuing_subword_prefix=PREFIX,
        max_input_chars_per_word=MAX_WORD_LENGTH,
    )
    unk, tokens, unknown = vocabulary.index("[UNK]"), 0, 0
    for word, n in words.items():
        pieces = model.tokenize(word)
        tokens += n * len(pieces)
        unknown += n * (pieces[0].id == unk)
    total = sum(words.values())
    return tokens / total, unknown / total


def _refuse_hangul(chunks):
    hangul = sum(n for chunk, n in chunks.items() if holds_hangul(chunk))
    if hangul > HANGUL_TOLERANCE * sum(chunks.values()):
        raise ConfigError(
            "the text holds Korean, but lower-casing with accent stripping takes Hangul syllables apart",
            expected="a cased tokenizer, or one that keeps accents",
            remedy="turn lower_case or strip_accents off (--nolower_case, --nostrip_accents)",
        )


def _count_characters(words):
    characters = Counter()
    for word, n in words.items():
        for character in word:
            characters[character] += n
    return characters


def _choose_alphabet(characters, limit):
    by_frequency = sorted(characters, key=lambda c: (-characters[c], c))
    if limit is None:
        covered = list(itertools.accumulate(characters[c] for c in by_frequency))
        limit = max(ALPHABET_SIZE, 1 + bisect_left(covered, ALPHABET_COVERAGE * covered[-1]))
    return set(by_frequency[:limit])


def _learn(words, alphabet, size, min_frequency):
    """The alphabet, and merges of the most frequent pairs until there are `size` pieces or no pairs left."""
    continuing = {PREFIX + character for word in words for character in word[1:]}
    pieces = sorted(alphabet) + sorted(continuing)
    if len(pieces) > size:
        raise ConfigError(
            f"the characters alone take {len(pieces)} entries, and there is room for {max(size, 0)}",
            where="size",
            remedy=f"ask for at least {len(pieces) - size} entries more, or limit the alphabet",
        )
    ids = {piece: i for i, piece in enumerate(pieces)}
    items = sorted((word, n) for word, n in words.items() if len(word) <= MAX_WORD_LENGTH)
    spelled = [[ids[word[0]], *(ids[PREFIX + c] for c in word[1:])] for word, _ in items]
    pairs = _Pairs(spelled, [n for _, n in items])
    for first, second in pairs.most_frequent(min_frequency):
        if len(pieces) == size:
            break
        merged = pieces[first] + pieces[second].removeprefix(PREFIX)
        # Two pairs may spell the same piece.
        if merged not in ids:
            ids[merged] = len(pieces)
            pieces.append(merged)
        pairs.merge(first, second, ids[merged])
    return pieces


class _Pairs:
    """Counts of neighbouring pieces, kept up to date while pairs are merged.

    Args:
        words: each word as a list of piece ids.
        counts: how often each word occurs.
    """

    def __init__(self, words: list[list[int]], counts: list[int]):
        self._words, self._word_counts = words, counts
        self._counts: dict[tuple[int, int], int] = defaultdict(int)
        # Words in which a pair stood at some time: not all still have it.
        self._places: dict[tuple[int, int], list[int]] = defaultdict(list)
        for place, (word, n) in enumerate(zip(words, counts, strict=True)):
            for pair in itertools.pairwise(word):
                self._counts[pair] += n
                self._places[pair].append(place)
        self._heap = [(-n, pair) for pair, n in self._counts.items()]
        heapq.heapify(self._heap)

    def most_frequent(self, min_frequency: int) -> Iterator[tuple[int, int]]:
        """Pairs in falling frequency as it stands when each is asked for; ties by ids."""
        while self._heap:
            n, pair = heapq.heappop(self._heap)
            now = self._counts.get(pair, 0)
            if now < min_frequency:
                continue
            if now == -n:
                yield pair
            elif now < -n:
                heapq.heappush(self._heap, (-now, pair))

    def merge(self, first: int, second: int, merged: int) -> None:
        """Replaces the pair by one piece wherever it stands, from the left."""
        counts, grown = self._counts, set()

        def change(pair, n, place):
            counts[pair] += n
            if n > 0:
                grown.add(pair)
                self._places[pair].append(place)

        for place in self._places.pop((first, second)):
            word, n = self._words[place], self._word_counts[place]
            i = 0
            while i < len(word) - 1:
                if word[i] == first and word[i + 1] == second:
                    if i > 0:
                        change((word[i - 1], first), -n, place)
                        change((word[i - 1], merged), n, place)
                    if i + 2 < len(word):
                        change((second, word[i + 2]), -n, place)
                        change((merged, word[i + 2]), n, place)
                    word[i : i + 2] = [merged]
                i += 1
        del counts[first, second]
        for pair in grown:
            heapq.heappush(self._heap, (-counts[pair], pair))


def _report(vocabulary, requested_size, words, characters, alphabet):
    tokens_per_word, unknown_rate = measure_vocabulary(vocabulary, words)
    return VocabularyReport(
        size=len(vocabulary),
        requested_size=requested_size,
        words=sum(words.values()),
        distinct_words=len(words),
        tokens_per_word=tokens_per_word,
        unknown_rate=unknown_rate,
        alphabet=len(alphabet),
        alphabet_coverage=sum(characters[c] for c in alphabet) / sum(characters.values()),
    )
