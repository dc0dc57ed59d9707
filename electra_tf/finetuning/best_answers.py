"""The best answers to a question: from what a model says of the windows of a context to texts, the likeliest first.

In each window a beam search looks at the likeliest starts, and at the likeliest ends of each; what may be an answer is
a candidate; the candidates of all windows together give the n-best list, and how much likelier no answer is.

Axes: K of the likeliest starts, J of the likeliest ends.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from electra_tf.finetuning.question_files import Question
from electra_tf.finetuning.task import probabilities

_KEPT = 20  # answers to a question


class Window(NamedTuple):
    """Tokens `first` to `end` (not included) of a question's context, from position `at` of the row on.

    `offsets` are the characters of each of them; `is_best`, whether no other window has more around it; `is_unknown`,
    whether it is [UNK].
    """

    question: int
    at: int
    first: int
    end: int
    offsets: list[tuple[int, int]]
    is_best: list[bool]
    is_unknown: list[bool]


class Beam(NamedTuple):
    """Of a window: its K likeliest starts and their scores, for each the J likeliest ends [K, J] and their scores, and
    how likely it says that there is no answer. `log_total` makes a score the logarithm of a probability.
    """

    starts: np.ndarray
    start_scores: np.ndarray
    ends: np.ndarray
    end_scores: np.ndarray
    no_answer: float
    log_total: float = 0.0


class Candidate(NamedTuple):
    """A part of a context that may be the answer; characters `start` to `end`, not included.

    `has_unknown`: whether one of its tokens is [UNK]. `probability`: among all that may be said of its window.
    """

    score: float
    start: int
    end: int
    has_unknown: bool
    start_score: float
    end_score: float
    probability: float


class Found(NamedTuple):
    """What is said of a question: the likeliest answers, best first and each text once; their shares among each other
    (Google's probabilities); their probabilities (those of transformers' pipeline); and by how much no answer is
    likelier than the best (or its logit, where the model tells it apart).
    """

    texts: list[str]
    shares: list[float]
    probabilities: list[float]
    starts: list[int]
    no_answer: float


def best_answers(
    beams: Sequence[Beam],
    windows: Sequence[Window],
    questions: Sequence[Question],
    longest: int,
    *,
    tells_apart: bool,
    normalised: Callable[[str], str] | None = None,
) -> list[Found]:
    """Of every question, from what is likeliest in each of its windows.

    Args:
        longest: tokens of an answer at most.
        tells_apart: whether the model has a logit of its own for questions without an answer.
        normalised: where answers are cut out as `whole_words` does; else they are parts of the context as it is.
    """
    found = [[] for _ in questions]
    nothing = [np.inf] * len(questions)
    for window, beam in zip(windows, beams, strict=True):
        found[window.question] += candidates(window, beam, longest)
        nothing[window.question] = min(nothing[window.question], beam.no_answer)
    return [
        _best(question.context, here, none, tells_apart, normalised)
        for question, here, none in zip(questions, found, nothing, strict=True)
    ]


def beam_of(output, window: Window, width: int) -> Beam:
    """The `width` likeliest starts and ends in a window's text, from what the model gives for the row."""
    start, end, starts, no_answer = output
    if no_answer is None:
        no_answer = start[0] + end[0]
    if starts is None:
        tokens = window.at + len(window.offsets) + 1  # those of the question, too, as in the originals
        start, end = start[:tokens], end[:tokens]
        starts, ends = _largest(start, width), _largest(end, width)
        count, allowed = (len(starts), 1), [0, *range(window.at, tokens - 1)]
        total = float(sum(np.logaddexp.reduce(np.float64(scores[allowed])) for scores in (start, end)))
        ends, end = np.tile(ends, count), np.tile(end[ends], count)
        return Beam(starts, start[starts], ends, end, float(no_answer), total)
    start, end = log_softmax(start), log_softmax(end)
    ends = np.stack([_largest(given, width) for given in end])
    return Beam(starts, start[starts], ends, np.take_along_axis(end, ends, -1), float(no_answer))


def candidates(window: Window, beam: Beam, longest: int) -> list[Candidate]:
    """Answers within a window: from a token that no other window shows better, to one that is not before it."""
    starts, ends, tokens = np.int64(beam.starts) - window.at, np.int64(beam.ends) - window.at, len(window.offsets)
    inside = (starts >= 0) & (starts < tokens)
    inside &= np.array(window.is_best)[np.clip(starts, 0, tokens - 1)]
    longer = ends - starts[:, None]
    fits = inside[:, None] & (longer >= 0) & (longer < longest) & (ends < tokens)
    found = []
    for rank, place in zip(*np.nonzero(fits), strict=True):
        a, b = starts[rank], ends[rank, place]
        scores = float(beam.start_scores[rank]), float(beam.end_scores[rank][place])
        characters = window.offsets[a][0], window.offsets[b][1]
        found.append(
            Candidate(
                sum(scores),
                *characters,
                any(window.is_unknown[a : b + 1]),
                *scores,
                np.exp(sum(scores) - beam.log_total),
            )
        )
    return found


def _best(context, found, nothing, tells_apart, normalised):
    """The n-best list of a question, each text once."""
    texts, scores, starts, likely = [], [], [], []
    for one in sorted(found, key=lambda candidate: -candidate.score):
        text = whole_words(context, one, normalised) if normalised else context[one.start : one.end].strip()
        if text and text not in texts:
            texts.append(text)
            scores.append(one.score)
            starts.append(one.start)
            likely.append(float(one.probability))
        if len(texts) == _KEPT:
            break
    if not texts:
        nothing = nothing if tells_apart else np.inf
        return Found(["empty" if normalised else ""], [1.0], [1.0], [0], float(nothing))
    if not tells_apart:
        nothing -= scores[0]
    return Found(texts, list(probabilities(np.array(scores))), likely, starts, float(nothing))


def whole_words(context: str, answer: Candidate, normalised) -> str:
    """As Google's ELECTRA (and KoELECTRA) cuts an answer out: one blank between its words; and all of the words where
    their characters are not one to one with those of the vocabulary, or one of them is unknown.
    """
    words = [word.span() for word in re.finditer(r"[^ \t\r\n\u202f]+", context)]
    inside = [(first, end) for first, end in words if end > answer.start and first < answer.end]
    text = " ".join(context[first:end] for first, end in inside)
    if answer.has_unknown or len("".join(normalised(text).split())) != len(text.replace(" ", "")):
        return text
    cut = [(max(first, answer.start), min(end, answer.end)) for first, end in inside]
    return " ".join(context[first:end] for first, end in cut)


def _largest(scores, count):
    """Places of the largest, the first of equal ones first."""
    return np.argsort(-scores, kind="stable")[:count]


def log_softmax(x: np.ndarray) -> np.ndarray:
    """Over the last axis, float64."""
    x = np.float64(x) - np.max(x, -1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))
