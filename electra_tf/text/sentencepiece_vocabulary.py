"""Training a SentencePiece model as ALBERT's, the same bytes for the same text and settings.

The library's result depends on its number of threads, and its choice among too many lines on chance. So there is one
thread, and the lines are chosen here. Two lines of the original's run are not followed, since they lose something:
lines beyond 4,192 bytes are cut instead of left out, and no piece is learned that ends in a digit and a comma, since
ALBERT's tokenizer never gives one (it takes them apart). For a model without such pieces `transformers_slow` and
transformers' `AutoTokenizer` have the same ids, but where two orders of the same pieces are as probable.
"""

import functools
import io
import itertools
import random
import re
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from electra_tf.errors import ConfigError, InputError
from electra_tf.text.lost_marks import share_stripped
from electra_tf.text.sentencepiece import BLANK, SentencePieceSettings, SentencePieceTokenizer, prepare
from electra_tf.text.vocabulary_report import Fit, VocabularyReport, fit, report

# ALBERT's; `README.md` of google-research/albert.
SYMBOLS = ("(", ")", '"', "-", ".", "–", "£", "€")
COVERAGE = 0.99995
MAX_LINES = 10_000_000

_LONGEST = 1000  # characters of a line, at most 4 bytes each: the library leaves out what has more than 4,192
_BORDER = "\ue000"  # where no piece may reach over; removed by the library
_RESERVED = "\u2585"  # the library leaves out lines that hold it


def train_sentencepiece(
    lines: Iterable[str],
    size: int,
    settings: SentencePieceSettings | None = None,
    *,
    character_coverage: float = COVERAGE,
    symbols: Sequence[str] = SYMBOLS,
    max_lines: int = MAX_LINES,
    seed: int = 0,
    strips_letters: bool = False,
) -> tuple[SentencePieceTokenizer, VocabularyReport]:
    """Learns a unigram model of `size` pieces from lines of text.

    In order: <pad> <unk> [CLS] [SEP] [MASK], the symbols, pieces in falling probability.

    Args:
        lines: the text.
        size: pieces in all.
        settings: how the text is prepared, and how the tokenizer will do it.
        character_coverage: share of the text's characters that become pieces; the rarest are left out.
        symbols: what is always a piece of its own.
        max_lines: of more lines so many are learned from, each equally likely, chosen by `seed` alone. What is
            reported is measured on all.
        strips_letters: marks may be removed even where they are letters, as in Thai.

    Raises: `InputError` for text without words; `ConfigError` for a size that the text cannot fill or that has no room
    for its characters, for symbols that cannot be, and for text whose letters the settings take apart.
    """
    settings = settings or SentencePieceSettings()
    _check_symbols(symbols, settings)
    given = len(SentencePieceTokenizer.special_tokens) + len(symbols)
    if size <= given:
        raise _no_room("special tokens and symbols", given, size)
    words = Counter()
    chosen = _choose(_prepared(lines, settings, words), max_lines, seed)
    if not chosen:
        raise InputError("the corpus holds no words", where="--input", expected="text", remedy="name other input files")
    stripped = 0.0
    if settings.strip_accents:
        stripped = share_stripped(
            words,
            _removed(settings),
            form="NFKD",
            keeps_hangul=settings.tokenization != "transformers_fast",  # SentencePiece puts syllables together again
            meant=strips_letters,
        )
    model = _train(chosen, size, character_coverage, symbols)
    tokenizer = SentencePieceTokenizer(model, settings)
    found = measure_sentencepiece(tokenizer, words)
    alphabet = len(_alphabet(tokenizer))
    return tokenizer, report(found, size=len(tokenizer), requested_size=size, alphabet=alphabet, stripped=stripped)


def count_blank_separated(lines: Iterable[str]) -> Counter[str]:
    """How often each word, as it stands between blanks, occurs."""
    words = Counter()
    for line in lines:
        words.update(line.split())
    return words


def measure_sentencepiece(tokenizer: SentencePieceTokenizer, words: Mapping[str, int]) -> Fit:
    """What a model makes of counted words."""
    normalized = Counter()
    for word, n in words.items():
        for part in tokenizer.normalized(word).replace(BLANK, " ").split():
            normalized[part] += n
    encode = tokenizer.line_tokenizer()

    def rows(words):
        ids, splits = encode(words)
        ids = ids.tolist()
        return (ids[begin:end] for begin, end in itertools.pairwise(splits))

    return fit(normalized, rows, tokenizer.unk_id, _alphabet(tokenizer))


def _alphabet(tokenizer):
    return {piece for piece in tokenizer.vocabulary if len(piece) == 1} - {BLANK}


def _check_symbols(symbols, settings):
    special = SentencePieceTokenizer.special_tokens
    for number, symbol in enumerate(symbols):
        if symbol in special or symbol in symbols[:number]:
            raise ConfigError(
                f"the symbol {symbol} is there already",
                where="symbols",
                expected=f"each once, and none of {' '.join(special)}",
            )
        if symbol.split() != [symbol] or _preparation(settings)(symbol) != symbol:
            raise ConfigError(
                f"the symbol {symbol!r} is never in a text as it is prepared",
                where="symbols",
                expected="symbols without blanks, and without what is lowered, decomposed or removed",
            )


def _removed(settings):
    """Whether a mark is removed. transformers' fast tokenizer removes vowel signs as well."""
    if settings.tokenization == "transformers_fast":
        return lambda character: unicodedata.category(character).startswith("M")
    return unicodedata.combining


def _preparation(settings):
    """A function from a word to what SentencePiece is given."""
    if settings.tokenization != "transformers_fast":
        return lambda word: prepare(word, settings)
    slow, removed = replace(settings, tokenization="transformers_slow"), _removed(settings)
    if not settings.strip_accents:
        return lambda word: prepare(word, slow)
    return lambda word: "".join(c for c in prepare(word, slow) if not removed(c))


def _prepared(lines, settings, words: Counter) -> Iterator[str]:
    """What the model is learned from; counts the words on the way, as they stand in the text."""
    preparation = _preparation(settings)

    @functools.cache
    def prepared(word):
        text = preparation(word).replace(_RESERVED, " ")
        return re.sub(r"(?<=\d)(?=[,，])", _BORDER, text)

    for line in lines:
        found = line.split()
        words.update(found)
        text = " ".join(map(prepared, found))
        if text and not text.isspace():
            yield from [text] if len(text) <= _LONGEST else textwrap.wrap(text, _LONGEST, break_on_hyphens=False)


def _choose(lines: Iterator[str], most: int, seed: int) -> list[str]:
    """All lines, or `most` of them, each equally likely (reservoir sampling).

    `random()` of a seeded generator is the one function whose numbers Python promises to keep.
    """
    chosen, chance = [], random.Random(seed)
    for number, line in enumerate(lines):
        if number < most:
            chosen.append(line)
        else:
            place = int(chance.random() * (number + 1))
            if place < most:
                chosen[place] = line
    return chosen


def _train(lines, size, character_coverage, symbols):
    import sentencepiece

    content = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=content,
            model_type="unigram",
            vocab_size=size,
            character_coverage=character_coverage,
            pad_id=0,
            unk_id=1,
            bos_id=-1,
            eos_id=-1,
            pad_piece="<pad>",
            unk_piece="<unk>",
            control_symbols=["[CLS]", "[SEP]", "[MASK]"],
            user_defined_symbols=list(symbols),
            pretokenization_delimiter=_BORDER,
            train_extremely_large_corpus=sum(map(len, lines)) > 2**30,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise _in_words(str(error), size) from error
    return content.getvalue()


def _in_words(message, size):
    most = re.search(r"size too high .*<= (\d+)", message)
    if most:
        return ConfigError(
            f"the text gives {int(most[1]):,} pieces at most, and {size:,} are asked for",
            where="size",
            expected="a size that the text can fill",
            remedy=f"more text, or a size of at most {most[1]}",
        )
    fewest = re.search(r"smaller than required_chars\. \d+ vs (\d+)", message)
    if fewest:
        return _no_room("special tokens, symbols and characters", int(fewest[1]), size)
    return ConfigError(
        "SentencePiece cannot learn this model", where=message, remedy="a larger size, other symbols, or other text"
    )


def _no_room(what, taken, size):
    return ConfigError(
        f"{what} alone take {taken:,} pieces, and {size:,} are asked for",
        where="size",
        expected="a size that holds them, and pieces of the text",
        remedy=f"a size of more than {taken}, fewer symbols, or a lower character coverage",
    )
