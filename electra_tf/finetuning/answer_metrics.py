"""Exact matches and F1 of answers: SQuAD 1.1's, 2.0's and KorQuAD's definitions, in [0, 1]."""

import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_KOREAN_BLANKS = str.maketrans(dict.fromkeys("'\"《》<>〈〉()‘’", " "))


def normalised(text: str) -> str:
    """Small letters, without ASCII punctuation, then without articles, one blank between words (SQuAD)."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def normalised_korean(text: str) -> str:
    """Quotes and brackets become blanks; small letters, without ASCII punctuation (KorQuAD)."""
    return " ".join(text.translate(_KOREAN_BLANKS).lower().translate(_PUNCTUATION).split())


def exact_match(gold: str, said: str) -> float:
    return float(normalised(gold) == normalised(said))


def word_f1(gold: str, said: str) -> float:
    """Of the words they have in common; 0 where either has none (SQuAD 1.1)."""
    return _f1(normalised(gold).split(), normalised(said).split())


def character_f1(gold: str, said: str) -> float:
    """Of the characters they have in common, whatever their order (KorQuAD)."""
    gold, said = (list(normalised_korean(text).replace(" ", "")) for text in (gold, said))
    return _f1(gold, said)


def exact_match_korean(gold: str, said: str) -> float:
    return float(normalised_korean(gold) == normalised_korean(said))


def of_none(gold: str, said: str, exact=exact_match, f1=word_f1) -> float:
    """An F1 that is 1 where neither has any word (SQuAD 2.0)."""
    return f1(gold, said) or exact(gold, said)


def no_answer_scores(
    golds: Sequence[Sequence[str]],
    said: Sequence[str],
    no_answer: Sequence[float],
    threshold: float,
    exact=exact_match,
    f1=word_f1,
) -> dict[str, float]:
    """SQuAD 2.0: scores at a threshold, the best ones at any, and where these are.

    Args:
        golds: of each question, no text where it has no answer. said: the likeliest text. no_answer: how likely it is
            that there is none; where it exceeds the threshold, none is given.
        exact, f1: of a right text and a given one; where neither has a word, F1 is 1.
    """
    golds = [[gold for gold in texts if normalised(gold)] or [""] for texts in golds]
    has = np.array([texts != [""] for texts in golds])
    given = {
        "exact": np.array([max(exact(g, s) for g in texts) for texts, s in zip(golds, said, strict=True)]),
        "f1": np.array([max(of_none(g, s, exact, f1) for g in texts) for texts, s in zip(golds, said, strict=True)]),
    }
    odds, found = np.array(no_answer, float), {}
    for name, scores in given.items():
        at = np.where(odds > threshold, ~has, scores)
        found[name] = float(at.mean())
        found |= {
            f"{name}_{kind}": float(at[own].mean()) for kind, own in (("answer", has), ("none", ~has)) if own.any()
        }
        best, where = best_threshold(scores, ~has, odds)
        found |= {f"best_{name}": best, f"best_{name}_threshold": where}
    return found


def best_threshold(scores, without, odds) -> tuple[float, float]:
    """(the best mean score, the largest odds at which an answer is still given for it).

    Questions of equal odds are answered together, since no threshold tells them apart.
    """
    order = np.argsort(odds, kind="stable")
    odds, gains = odds[order], np.asarray(scores, float)[order] - np.asarray(without, float)[order]
    total = np.concatenate([[0.0], np.cumsum(gains)]) + float(np.sum(without))
    ends = np.concatenate([[True], np.append(odds[1:] > odds[:-1], True)]) if len(odds) else np.array([True])
    place = int(np.argmax(np.where(ends, total, -np.inf)))
    if place == 0:
        return float(total[0] / max(1, len(odds))), float(odds[0] - 1.0) if len(odds) else 0.0
    return float(total[place] / len(odds)), float(odds[place - 1])


def _f1(gold, said):
    common = sum((Counter(gold) & Counter(said)).values())
    return 2 * common / (len(gold) + len(said)) if common else 0.0
