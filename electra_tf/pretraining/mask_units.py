"""Words, n-grams and spans that are masked as a whole, chosen on the device.

Axes: B rows, T tokens, P positions that may be masked. A run is a stretch of maskable tokens between special ones.
"""

from typing import NamedTuple

import tensorflow as tf

LONGEST = {"ngram": 3, "span": 10}  # words
_SPAN = 0.2  # SpanBERT's geometric distribution


def length_shares(masking) -> list[float]:
    """The likelihood of each length of a unit, in words, from 1 on."""
    if masking.unit == "word":
        return [1.0]
    lengths = range(1, (masking.longest or LONGEST[masking.unit]) + 1)
    shares = [1 / n if masking.unit == "ngram" else (1 - _SPAN) ** (n - 1) for n in lengths]
    shares = shares[::-1] if masking.favor_longer else shares
    return [share / sum(shares) for share in shares]


class Numbers(NamedTuple):
    """What is drawn for units, uniform in [0, 1): their order [B, T], their lengths [B, T], a place to begin [B]."""

    order: tf.Tensor
    lengths: tf.Tensor
    begin: tf.Tensor


def run_starts(candidates, across_separators: bool = False):
    """Bool [B, T]: which maskable tokens begin a run; the row is a single one if words go across separators."""
    if across_separators:
        return candidates & (tf.cumsum(tf.cast(candidates, tf.int32), axis=1) == 1)
    return candidates & ~_shifted(candidates, 1, False)


def word_starts(ids, candidates, opens, tokens):
    """Bool [B, T]: which maskable tokens begin a word; what `opens` a run does, whatever it is."""
    begins = tf.gather(tf.constant(tokens.begins), tf.minimum(ids, tokens.size - 1))
    return candidates & (begins | opens)


def whole_units(candidates, opens, starts, numbers: Numbers, count, limit: int, shares: list[float]):
    """Positions and their number, of units as likely to be masked as asked for, whatever their size.

    Args:
        candidates, opens, starts: bool [B, T], maskable tokens, those that begin a run and those that begin a word.
            A word of more than P tokens is parted after every P.
        numbers: the draw.
        count: float32 [B], how many tokens to mask on average. limit: P.
        shares: see `length_shares`.

    Returns: positions int32 [B, P] and how many of them count, float32 [B].
    """
    rank = tf.cumsum(tf.cast(candidates, tf.int32), axis=1)
    inside = rank - _running_max(tf.where(starts, rank, 0))
    starts = candidates & (starts | (inside % limit == 0))
    return chosen_units(candidates, units(opens, starts, numbers.lengths, shares), numbers, count, limit)


def units(opens, starts, lengths, shares: list[float]):
    """Int32 [B, T]: the number of each maskable token's unit; numbers rise in the row, some are left out.

    Every run is cut from its beginning into units, each of a length drawn anew, but for the run's last one, which ends
    with it. So a unit that begins at least as many words before the end of its run as the longest has, has each length
    as often as its share says. (Of units drawn at a place in the middle of a text long ones would be found more often.)
    """
    word = tf.maximum(tf.cumsum(tf.cast(starts, tf.int32), axis=1) - 1, 0)
    if len(shares) == 1:
        return word
    sizes = 1 + _first_beyond(shares, lengths)
    ends = tf.cumsum(sizes, axis=1)
    first = _running_max(tf.where(opens, word, 0))  # a run's units have the numbers of its words, from its first one on
    before = tf.gather(ends - sizes, first, batch_dims=1)
    return tf.searchsorted(ends, before + word - first, side="right")


def chosen_units(candidates, unit, numbers: Numbers, count, limit: int):
    """Positions and their number, of the units that begin within a window of `count` tokens.

    The units are shuffled and laid in a circle, and the window begins at any of their tokens. So each unit, large or
    small, is chosen with the likelihood count / maskable tokens, and `count` tokens are masked on average: more where
    the window's last unit passes its end, fewer where it begins within a unit, none where it lies in one. (If units
    were taken until there are enough, large ones would be taken more often, and always one at least.)
    Past P, which has room for all but very long last units, the window's last ones are left out.
    """
    length = candidates.shape[1]
    place = tf.range(length)[None, :]
    total = tf.reduce_sum(tf.cast(candidates, tf.int32), axis=1, keepdims=True)
    score = tf.where(candidates, tf.gather(numbers.order, unit, batch_dims=1), 2.0)
    order = tf.argsort(score, axis=1, stable=True)
    begin = _begin_of_group(tf.gather(tf.where(candidates, unit, -1), order, batch_dims=1))
    window = tf.cast(numbers.begin[:, None] * tf.cast(total, tf.float32), tf.int32)
    after = tf.where(place < total, (begin - window) % tf.maximum(total, 1), length)  # tokens from the window's to its
    turned = tf.argsort(after, axis=1, stable=True)
    order, after = (tf.gather(x, turned, batch_dims=1) for x in (order, after))

    number = tf.reduce_sum(tf.cast(tf.cast(after, tf.float32) < count[:, None], tf.int32), axis=1)
    begin = _begin_of_group(after)
    whole = tf.reduce_max(tf.where(begin <= limit, begin, 0), axis=1)  # tokens of the first units that P has room for
    return order[:, :limit], tf.cast(tf.where(number > limit, whole, number), tf.float32)


def one_by_one(candidates, opens, starts, numbers: Numbers, count, limit: int, shares: list[float]):
    """As `whole_units`, in the way of Google's ALBERT; `count` is not passed, and reached wherever words allow."""
    rank = tf.cumsum(tf.cast(candidates, tf.int32), axis=1) - 1  # a token's number among the maskable ones
    gram = accepted_grams(candidates, opens, starts, rank, numbers, count, shares)
    chosen = candidates & (tf.gather(gram, tf.maximum(rank, 0), batch_dims=1) > 0)
    order = tf.argsort(tf.where(chosen, 0, 1), axis=1, stable=True)
    return order[:, :limit], tf.cast(tf.reduce_sum(tf.cast(chosen, tf.int32), axis=1), tf.float32)


def accepted_grams(candidates, opens, starts, rank, numbers: Numbers, count, shares: list[float]):
    """Int32 [B, T]: which n-gram the maskable token of each number is masked with, from 1 on; 0: with none.

    At one word after another, in random order, an n-gram is tried. One that is too long for what is left to mask is
    made shorter, one that meets a masked word is left out; beyond the last word of a run there is none.
    Source: google-research/albert, create_pretraining_data.py, `create_masked_lm_predictions`.
    """
    rows, length = candidates.shape
    words = tf.reduce_sum(tf.cast(starts, tf.int32), axis=1)
    total = tf.reduce_sum(tf.cast(candidates, tf.int32), axis=1)
    place = tf.range(length)[None, :]
    first = tf.gather(rank, tf.argsort(tf.where(starts, 0, 1), axis=1, stable=True), batch_dims=1)
    first = tf.where(place < words[:, None], first, total[:, None])  # of each word; those after the last are empty
    first = tf.concat([first, tf.repeat(total[:, None], len(shares), 1)], 1)
    run = tf.where(candidates, tf.cumsum(tf.cast(opens, tf.int32), axis=1), length)
    run = tf.sort(run, axis=1)  # of the maskable tokens by their rank
    turn = tf.argsort(tf.where(place < words[:, None], numbers.order, 2.0), axis=1, stable=True)
    sizes = 1 + _first_beyond(shares, numbers.lengths)
    words_long = tf.range(1, len(shares) + 1)[None, :]

    def left(gram):
        return tf.cast(count, tf.int32) - tf.reduce_sum(tf.cast(gram > 0, tf.int32), axis=1)

    def try_one(number, gram):
        word = turn[:, number]
        begin = tf.gather(first, word, batch_dims=1)[:, None]
        own = tf.gather(run, tf.minimum(begin, length - 1), batch_dims=1)
        end = tf.reduce_sum(tf.cast((run <= own) & (place < total[:, None]), tf.int32), axis=1, keepdims=True)
        ends = tf.minimum(tf.gather(first, word[:, None] + words_long, batch_dims=1), end)
        fits = (words_long <= sizes[:, number, None]) & (ends - begin <= left(gram)[:, None])
        here = (place >= begin) & (place < tf.reduce_max(tf.where(fits, ends, 0), axis=1, keepdims=True))
        free = (number < words) & ~tf.reduce_any(here & (gram > 0), axis=1)
        return number + 1, tf.where(here & free[:, None], number + 1, gram)

    def unfinished(number, gram):
        return (number < length) & tf.reduce_any((left(gram) > 0) & (number < words))

    return tf.while_loop(unfinished, try_one, (tf.constant(0), tf.zeros([rows, length], tf.int32)))[1]


def _first_beyond(shares, numbers):
    """Int32: how many of the cumulated shares do not exceed each number."""
    below = tf.zeros_like(numbers, tf.int32)
    for k in range(1, len(shares)):
        below += tf.cast(numbers >= sum(shares[:k]), tf.int32)
    return below


def _shifted(x, by: int, fill):
    """`x` [B, T] moved to the right, `fill` at the left."""
    return tf.concat([tf.fill([x.shape[0], by], tf.cast(fill, x.dtype)), x[:, :-by]], axis=1)


def _running_max(x):
    """The largest of int32 [B, T] so far, from the left."""
    by = 1
    while by < x.shape[1]:
        x = tf.maximum(x, _shifted(x, by, x.dtype.min))
        by *= 2
    return x


def _begin_of_group(x):
    """For each element of int32 [B, T] the place of the first of the equal ones around it."""
    place = tf.broadcast_to(tf.range(x.shape[1])[None, :], x.shape)
    return _running_max(tf.where(x != _shifted(x, 1, -2), place, 0))
