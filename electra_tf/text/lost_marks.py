"""What a tokenizer that removes accents would take from a text: in many scripts the marks are letters.

Words of Latin, Greek and Cyrillic stay readable without accents, but for Vietnamese. Thai or Hindi words become others,
Japanese `が` becomes `か`, and where nothing puts Hangul syllables together again, no Korean word is left.
"""

import functools
import unicodedata
from collections.abc import Callable, Mapping

from electra_tf.errors import ConfigError
from electra_tf.text.wordpiece_normalization import holds_hangul

ACCENTED_SCRIPTS = ("LATIN", "GREEK", "CYRILLIC")
VIETNAMESE = set("\u0309\u031b\u0323")  # hook, horn and dot below: with them go the tones that tell words apart
JOINERS = set("\u200c\u200d")  # the zero-width ones: parts of a Persian word stand apart, letters in India change
TOLERANCE = 0.01  # share of words that is taken for stray, not for the text's language


def share_stripped(
    words: Mapping[str, int], removed: Callable[[str], bool], *, form: str, keeps_hangul: bool, meant: bool
) -> float:
    """The share of words that lose a mark.

    Args:
        words: how often each word, as the text has it, occurs.
        removed: whether a character of decomposed text is removed.
        form: the decomposition, NFD or NFKD.
        keeps_hangul: whether decomposed syllables are put together again.
        meant: whether the removal was asked for, so that marks which are letters may go.

    Raises: `ConfigError` where more than 1 % of the words would lose letters, or words with more than 1 % of the
    characters: a Thai sentence is one word.
    """
    total, characters = max(1, sum(words.values())), max(1, characters_of(words))
    others = {word: n for word, n in words.items() if not word.isascii()}
    if not keeps_hangul and sum(n for word, n in others.items() if holds_hangul(word)) > TOLERANCE * total:
        raise ConfigError(
            "the text holds Korean, but this removal of accents takes Hangul syllables apart",
            where="the text of --input",
            expected="a cased tokenizer, or one that keeps accents",
            remedy="turn lower_case or strip_accents off (--nolower_case, --nostrip_accents)",
        )
    stripped, damaged = 0, {}
    for word, n in others.items():
        scripts = _scripts_of_removed(unicodedata.normalize(form, word), removed)
        stripped += n * bool(scripts)
        if scripts - set(ACCENTED_SCRIPTS):
            damaged[word] = n
    if not meant and max(sum(damaged.values()) / total, characters_of(damaged) / characters) > TOLERANCE:
        word = min(damaged, key=lambda word: (-damaged[word], word))
        left = "".join(c for c in unicodedata.normalize(form, word) if not removed(c))
        raise ConfigError(
            f"marks that are letters in this text's script would be removed: {word!r} would be {left!r}",
            where="the text of --input",
            expected="a tokenizer that keeps accents",
            remedy="keep them with --nostrip_accents, or ask for it by name with --strip_accents",
        )
    return stripped / total


def share_joined(words: Mapping[str, int]) -> float:
    """The share of words that lose a joiner, which BERT's tokenization takes from any text, whatever its settings."""
    joined = (n for word, n in words.items() if not JOINERS.isdisjoint(word) and any(map(str.isalpha, word)))
    return sum(joined) / max(1, sum(words.values()))


def characters_of(words: Mapping[str, int]) -> int:
    """How many characters counted words have."""
    return sum(n * len(word) for word, n in words.items())


def damaged_words(words: Mapping[str, int], normalized: Callable[[str], str]) -> dict[str, int]:
    """Of counted words those that lose a mark which is a letter, by a tokenizer's normalisation."""
    return {word: n for word, n in words.items() if not word.isascii() and _is_damaged(word, normalized)}


def _is_damaged(word, normalized):
    decomposed = unicodedata.normalize("NFD", word)
    scripts = _scripts_of_removed(decomposed, _is_mark)
    if not scripts - set(ACCENTED_SCRIPTS) and not VIETNAMESE.intersection(decomposed):
        return False
    left = unicodedata.normalize("NFD", normalized(word))
    return sum(map(_is_mark, left)) < sum(map(_is_mark, decomposed))


def _is_mark(character):
    return unicodedata.category(character).startswith("M")


def _scripts_of_removed(decomposed, removed):
    """Scripts of the letters that lose a mark. One that stands on no letter, as on an emoji, does not count."""
    scripts, letter = set(), None
    for character in decomposed:
        if character.isalpha():
            letter = character
        elif removed(character) and letter is not None:
            scripts.add(_script(letter))
        elif not unicodedata.category(character).startswith("M"):
            letter = None
    return scripts


@functools.cache
def _script(letter):
    """The first word of its Unicode name: LATIN, THAI, HIRAGANA."""
    return unicodedata.name(letter, "").split(" ")[0]
