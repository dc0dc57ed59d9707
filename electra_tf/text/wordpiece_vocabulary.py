"""Training a WordPiece vocabulary: byte-pair merges over word counts, the same for the same text.

The algorithm is that of the `tokenizers` library's `WordPieceTrainer`, whose result changes from run to run.
Here all that is iterated over is sorted, so the vocabulary depends on the counts of words alone: not on the
order of the files, nor on hashing.

Words can be divided into morphemes before pairs are counted (`text/mecab.py`). The tokenizer that uses the
vocabulary knows no morphemes and finds `##` pieces wherever a word goes on; so only the first morpheme of a word is
learned as a beginning, and each other one as a continuation, `##` before it.
"""

import heapq
import itertools
import unicodedata
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

from tokenizers import models, pre_tokenizers

from electra_tf.errors import ConfigError, InputError
from electra_tf.text.lost_marks import share_joined, share_stripped
from electra_tf.text.vocabulary_report import Fit, VocabularyReport, count_characters, fit, report
from electra_tf.text.wordpiece import MAX_WORD_LENGTH, PREFIX, SPECIAL_TOKENS
from electra_tf.text.wordpiece_normalization import WordPieceSettings, normalizer

# The alphabet has so many characters, or more where these are not so much of the text.
ALPHABET_SIZE, ALPHABET_COVERAGE = 1000, 0.99999

Divide = Callable[[str], Iterable[int]]  # from a text to the places in it at which morphemes begin


def train_vocabulary(
    lines: Iterable[str],
    size: int,
    settings: WordPieceSettings | None = None,
    *,
    min_frequency: int = 2,
    alphabet_limit: int | None = None,
    unused: int = 0,
    divide: Divide | None = None,
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
        divide: finds morphemes, over whose borders no piece is learned, in what stands between two blanks.

    Raises: `InputError` for text without words; `ConfigError` for a size without room for the alphabet, and for
    text whose letters the settings take apart, as Korean.
    """
    settings = settings or WordPieceSettings()
    divided, lost = _count_divided(lines, settings, divide)
    words = _joined(divided)
    if not words:
        raise InputError("the corpus holds no words", where="--input", expected="text", remedy="name other input files")
    characters = count_characters(words)
    alphabet = _choose_alphabet(characters, alphabet_limit)
    head, tail = list(SPECIAL_TOKENS), [f"[unused{i}]" for i in range(unused)]
    usable = {parts: n for parts, n in divided.items() if alphabet.issuperset("".join(parts))}
    pieces = _learn(usable, alphabet, size - len(head) - len(tail), min_frequency)
    vocabulary = [*head, *pieces, *tail]
    found = measure_vocabulary(vocabulary, words)
    apart = sum(n for word, n in words.items() if len(unicodedata.normalize("NFC", word)) < len(word))
    sizes = {"size": len(vocabulary), "requested_size": size, "alphabet": len(alphabet)}
    return vocabulary, report(found, **sizes, **lost, decomposed=apart / found.words)


def count_words(lines: Iterable[str], settings: WordPieceSettings) -> Counter[str]:
    """How often each word stands in the text, as pre-tokenisation yields them.

    Raises: `ConfigError` for text whose letters the settings take apart.
    """
    return _joined(_count_divided(lines, settings, None)[0])


def measure_vocabulary(vocabulary: list[str], words: Mapping[str, int]) -> Fit:
    """What a vocabulary makes of counted words. The tokenizer is plain WordPiece, whatever it was learned from."""
    model = models.WordPiece(
        {token: i for i, token in enumerate(vocabulary)},
        unk_token="[UNK]",
        continuing_subword_prefix=PREFIX,
        max_input_chars_per_word=MAX_WORD_LENGTH,
    )
    alphabet = {token for token in vocabulary if len(token) == 1}
    return fit(words, lambda words: ([t.value for t in model.tokenize(word)] for word in words), "[UNK]", alphabet)


def _count_divided(lines, settings, divide) -> tuple[Counter[tuple[str, ...]], dict[str, float]]:
    """How often each word, as a tuple of its morphemes, stands in the text; and shares of those that lose something."""
    # Normalisation never crosses a space, so that each chunk between spaces needs it only once.
    chunks = Counter()
    for line in lines:
        chunks.update(line.split(" "))
    chunks.pop("", None)
    stripped = 0.0
    if settings.strips_accents:
        stripped = share_stripped(
            chunks,
            lambda character: unicodedata.category(character) == "Mn",
            form="NFD",
            keeps_hangul=False,
            meant=settings.strip_accents is True,
        )
    normalize = normalizer(settings).normalize_str
    pre_tokenize = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    divided = Counter()
    for chunk, n in chunks.items():
        text = normalize(chunk)
        borders = [] if divide is None else list(divide(text))
        for word, (begin, end) in pre_tokenize(text):
            if borders:
                ends = [begin, *(border for border in borders if begin < border < end), end]
                divided[tuple(text[i:j] for i, j in itertools.pairwise(ends))] += n
            else:
                divided[word,] += n
    return divided, {"stripped": stripped, "joined": share_joined(chunks)}


def _joined(divided):
    words = Counter()
    for parts, n in divided.items():
        words["".join(parts)] += n
    return words


def _choose_alphabet(characters, limit):
    by_frequency = sorted(characters, key=lambda c: (-characters[c], c))
    if limit is None:
        covered = list(itertools.accumulate(characters[c] for c in by_frequency))
        limit = max(ALPHABET_SIZE, 1 + bisect_left(covered, ALPHABET_COVERAGE * covered[-1]))
    return set(by_frequency[:limit])


def _learn(divided, alphabet, size, min_frequency):
    """The alphabet, and merges of the most frequent pairs until there are `size` pieces or no pairs left."""
    continuing = {PREFIX + character for parts in divided for character in "".join(parts)[1:]}
    pieces = sorted(alphabet) + sorted(continuing)
    if len(pieces) > size:
        raise ConfigError(
            f"the characters alone take {len(pieces)} entries, and there is room for {max(size, 0)}",
            where="size",
            expected="a size that holds every character",
            remedy=f"ask for at least {len(pieces) - size} entries more, or limit the alphabet",
        )
    ids = {piece: i for i, piece in enumerate(pieces)}
    items = sorted(_morphemes(divided).items())
    spelled = [[ids[first], *(ids[PREFIX + c] for c in rest)] for (first, rest), _ in items]
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


def _morphemes(divided):
    """How often each morpheme occurs, as its first character, with the prefix where a word goes on, and the rest."""
    morphemes = Counter()
    for parts, n in divided.items():
        if sum(map(len, parts)) <= MAX_WORD_LENGTH:
            for number, part in enumerate(parts):
                morphemes[PREFIX * (number > 0) + part[0], part[1:]] += n
    return morphemes


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
