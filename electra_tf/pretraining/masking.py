"""Which tokens are masked, and what stands in their place.

Axes: B rows, T tokens, P positions that may be masked.
"""

import math
from dataclasses import dataclass, fields
from typing import NamedTuple

import tensorflow as tf

from electra_tf.errors import ConfigError
from electra_tf.pretraining.mask_units import (
    LONGEST,
    Numbers,
    length_shares,
    one_by_one,
    run_starts,
    whole_units,
    word_starts,
)
from electra_tf.pretraining.tokens import Tokens
from electra_tf.settings import check_numbers
from electra_tf.text.sentencepiece import SentencePieceTokenizer
from electra_tf.training.randomness import seed_of, uniform

UNITS = ("token", "word", "ngram", "span")


@dataclass(frozen=True)
class Masking:
    """How tokens are masked; the defaults are ELECTRA's.

    Attributes:
        mask_prob: share of the maskable tokens that is masked. last_mask_prob: the share at the last step, to which it
            falls evenly; None: it stays. (30 to 15 % for faster learning: arXiv 2305.15096.)
        max_predictions: P, the most positions a row; None: as many as `mask_prob` needs.
        mask_token_prob, random_token_prob: shares of the masked positions that show [MASK] and any token; the rest
            keep theirs. 0.85 and 0 in ELECTRA; 1 and 0, or 0.8 and 0.1 (BERT, ALBERT), are usual too.
        unit: what is masked as a whole: a `token`, a `word`, an `ngram` of 1 to `longest` (3) words, the shorter the
            likelier (ALBERT: in proportion to 1 / n), or a `span` of up to `longest` (10) words with geometric lengths
            (SpanBERT, p = 0.2). None goes across a special token.
        favor_longer: the likelihoods of an n-gram's lengths the other way round.
        draw_with_replacement: compat: positions may repeat, so that 13.8 % instead of 15 % are masked; repeats count
            repeatedly in the loss, and differing samples at one position are averaged as integers (ELECTRA).
        by_coins: compat: a coin is thrown for each token, so that their number varies, and may be 0 (ALECTRA).
        count_special_tokens: compat: the number of masked positions counts [CLS] and [SEP] too (all of Google's).
        random_special_tokens: compat: a random token may be a special one (ALBERT).
        across_separators: compat: words and n-grams go across [SEP] (ALBERT).
        one_by_one: compat: n-grams are tried in turn at shuffled words and cut to what is left to mask, so that shorter
            ones are more frequent than said (ALBERT); slow.
        ascii_words: compat: with SentencePiece, a piece with anything but ASCII letters and punctuation is a word of
            its own, so that words are not masked as a whole in other scripts (ALBERT).
    """

    mask_prob: float = 0.15
    last_mask_prob: float | None = None
    max_predictions: int | None = None
    mask_token_prob: float = 0.85
    random_token_prob: float = 0.0
    unit: str = "token"
    longest: int | None = None
    favor_longer: bool = False
    draw_with_replacement: bool = False
    by_coins: bool = False
    count_special_tokens: bool = False
    random_special_tokens: bool = False
    across_separators: bool = False
    one_by_one: bool = False
    ascii_words: bool = False

    def __post_init__(self):
        check_numbers(self)
        for name in ("mask_prob", "last_mask_prob"):
            if getattr(self, name) is not None and not 0 < getattr(self, name) < 1:
                raise ConfigError(
                    f"{name} is {getattr(self, name)}", where="Masking", expected="a share between 0 and 1"
                )
        if self.mask_token_prob < 0 or self.random_token_prob < 0 or self.mask_token_prob + self.random_token_prob > 1:
            raise ConfigError(
                f"mask_token_prob {self.mask_token_prob} and random_token_prob {self.random_token_prob} are "
                "negative, or more than 1 together",
                where="Masking",
                expected="two shares of the masked positions",
            )
        if self.unit not in UNITS:
            raise ConfigError(f"unit is {self.unit!r}", where="Masking", expected=f"one of {', '.join(UNITS)}")
        if self.max_predictions is not None and self.max_predictions < 1:
            raise ConfigError(f"max_predictions is {self.max_predictions}", where="Masking", expected="at least 1")
        if self.longest is not None and (self.longest < 1 or self.unit not in LONGEST):
            raise ConfigError(
                f"longest is {self.longest} with the unit {self.unit!r}",
                where="Masking",
                expected=f"a number of words from 1 on, with one of {', '.join(LONGEST)}",
            )
        for name, units in (("favor_longer", ("ngram",)), ("one_by_one", UNITS[1:]), ("across_separators", UNITS[1:])):
            if getattr(self, name) and self.unit not in units:
                raise ConfigError(
                    f"{name} with the unit {self.unit!r}", where="Masking", expected=f"one of {', '.join(units)}"
                )
        for name in ("draw_with_replacement", "by_coins"):
            if getattr(self, name) and self.unit != "token":
                raise ConfigError(f"{name} with the unit {self.unit!r}", where="Masking", expected="the unit 'token'")
        if self.random_special_tokens and not self.random_token_prob:
            raise ConfigError(
                "random_special_tokens with random_token_prob 0", where="Masking", expected="a share of random tokens"
            )
        if self.draw_with_replacement and self.by_coins:
            raise ConfigError("draw_with_replacement with by_coins", where="Masking", expected="one of them")

    def predictions(self, length: int) -> int:
        """P: as the original computes it, 19 at length 128 and 15 %, and room for a last unit that passes the aim."""
        if self.max_predictions:
            if self.max_predictions > length:
                raise ConfigError(
                    f"max_predictions is {self.max_predictions}", where="Masking", expected=f"at most {length}, a row's"
                )
            return self.max_predictions
        share = max(self.mask_prob, self.last_mask_prob or 0)
        room = 0 if self.unit == "token" else 4 * len(length_shares(self))
        if self.by_coins:
            room = math.ceil(6 * math.sqrt(length * share * (1 - share)))  # six standard deviations
        return min(length, max(1, max_predictions(share, length) + room))

    def share(self, step, steps: int | None):
        """The share of tokens that is masked at a step, of `steps` in all."""
        if self.last_mask_prob is None:
            return self.mask_prob
        done = tf.minimum(tf.cast(step, tf.float32) / float(steps), 1.0)
        return self.mask_prob + (self.last_mask_prob - self.mask_prob) * done

    def in_words(self) -> str:
        shares = f"{self.mask_prob:.0%}"
        if self.last_mask_prob:
            shares += f" falling to {self.last_mask_prob:.0%}"
        return f"{shares} of the tokens" + ("" if self.unit == "token" else f", each {self.unit} as a whole")

    @property
    def follows_steps(self) -> bool:
        """Whether the share of a step depends on how many steps a run has."""
        return self.last_mask_prob is not None

    def advice(self, length: int) -> str | None:
        """A warning about a limit that masks less than was asked for, or None."""
        share = max(self.mask_prob, self.last_mask_prob or 0)
        most, wanted = self.predictions(length), round(share * (length - 2))  # without [CLS] and [SEP]
        if most >= wanted:
            return None
        remedy = f"max_predictions = {wanted}" if self.max_predictions is None else "a larger max_predictions, or none,"
        return (
            f"at most {most} of {length} tokens are masked, {most / length:.1%}, where a share of {share} is {wanted} "
            f"tokens; {remedy} masks as many as that"
        )

    def check_new(self, tokenizer) -> None:
        """Raises `ConfigError` for what a new run should not ask for, since it does nothing; one begun so goes on."""
        if self.by_coins and self.count_special_tokens:
            raise ConfigError(
                "count_special_tokens with by_coins",
                where="Masking",
                expected="nothing: where a coin is thrown for each token, their number is not computed",
                remedy="--gin_param 'Masking.count_special_tokens = False'",
            )
        if self.ascii_words and not isinstance(tokenizer, SentencePieceTokenizer):
            raise ConfigError(
                "ascii_words with a vocabulary of word pieces",
                where="Masking",
                expected="nothing: it is about SentencePiece's words",
                remedy="--gin_param 'Masking.ascii_words = False'",
            )

    def check(self, tokens: Tokens) -> None:
        """Raises `ConfigError` where the vocabulary cannot tell the unit."""
        if self.unit != "token" and tokens.begins.all():
            raise ConfigError(
                f"the vocabulary does not tell where words begin, and {self.unit}s are to be masked",
                where="Masking.unit",
                expected="tokens that begin with ## inside a word, or with ▁ at its beginning",
                remedy="mask tokens: --gin_param \"Masking.unit = 'token'\"",
            )


@dataclass(frozen=True)
class StoredMasks:
    """In the place of `Masking`, where the records hold their masks.

    Attributes:
        positions: P, of a row.
        instead_of: settings that do nothing then.
    """

    positions: int
    instead_of: Masking

    def predictions(self, length: int) -> int:
        return self.positions

    def advice(self, length: int) -> str | None:
        """A warning that names what was asked for in vain, or None."""
        asked = [f.name for f in fields(Masking) if getattr(self.instead_of, f.name) != f.default]
        return f"the records hold their masks; of Masking, these do nothing: {', '.join(asked)}" if asked else None

    def check_new(self, tokenizer) -> None:
        """`advice` tells what does nothing."""

    def check(self, tokens: Tokens) -> None:
        """Any vocabulary will do."""

    def in_words(self) -> str:
        return f"as stored in the records, up to {self.positions} tokens of an example"


class Masked(NamedTuple):
    """A batch with masked positions.

    Attributes:
        input_ids: int32 [B, T], what a masked LM sees.
        positions: int32 [B, P].
        ids: int32 [B, P], the original tokens there.
        weights: float32 [B, P], 1 for a position that counts; a row with fewer positions ends in zeros.
    """

    input_ids: tf.Tensor
    positions: tf.Tensor
    ids: tf.Tensor
    weights: tf.Tensor


def max_predictions(mask_prob: float, length: int) -> int:
    """P, as the original computes it: 19 at length 128 and 15 %."""
    return int((mask_prob + 0.005) * length)


def maskable(batch, tokens: Tokens):
    """Bool [B, T]: real tokens but [CLS], [SEP] and [MASK]."""
    never = tf.constant([tokens.cls, tokens.sep, tokens.mask])
    return tf.reduce_all(batch["input_ids"][:, :, None] != never, -1) & (batch["input_mask"] == 1)


def mask(batch, run_seed: int, step, masking: Masking, tokens: Tokens, steps: int | None = None) -> Masked:
    """Chooses positions without replacement: `round(mask_prob * maskable tokens)`, at least 1 and at most P.

    Of larger units than tokens so many are masked on average, and never more than P; see `mask_units.chosen_units`. By
    coins their number varies, too.

    Args:
        batch: `input_ids` and `input_mask`, int32 [B, T]; B is the global batch.
        run_seed, step: what the draw is a function of. steps: of the run, where the share falls.
        masking, tokens: settings, and the vocabulary's special tokens.
    """
    ids = batch["input_ids"]
    rows, length = ids.shape
    limit, candidates = masking.predictions(length), maskable(batch, tokens)
    counted = batch["input_mask"] if masking.count_special_tokens else tf.cast(candidates, tf.int32)
    wanted = tf.round(masking.share(step, steps) * tf.cast(tf.reduce_sum(counted, -1), tf.float32))
    available = tf.reduce_sum(tf.cast(candidates, tf.float32), -1)
    count = tf.minimum(tf.clip_by_value(wanted, 1, limit), available)

    scores = uniform([rows, length], seed_of(run_seed, "positions", step))
    if masking.unit == "token":
        _, positions = tf.math.top_k(tf.where(candidates, scores, -1.0), limit)
        if masking.by_coins:
            heads = candidates & (scores >= 1.0 - masking.share(step, steps))
            count = tf.minimum(tf.reduce_sum(tf.cast(heads, tf.float32), -1), limit)
    else:
        opens = run_starts(candidates, masking.across_separators)
        starts = word_starts(ids, candidates, opens, tokens)
        lengths = uniform([rows, length], seed_of(run_seed, "lengths", step))
        numbers = Numbers(scores, lengths, uniform([rows], seed_of(run_seed, "window", step)))
        choose = one_by_one if masking.one_by_one else whole_units
        positions, count = choose(candidates, opens, starts, numbers, count, limit, length_shares(masking))
    if masking.draw_with_replacement:
        order = tf.argsort(tf.where(candidates, 0, 1), stable=True)
        drawn = uniform([rows, limit], seed_of(run_seed, "repeated positions", step)) * available[:, None]
        positions = tf.gather(order, tf.cast(drawn, tf.int32), batch_dims=1)
    weights = tf.cast(tf.range(limit, dtype=tf.float32)[None, :] < count[:, None], tf.float32)
    original = tf.gather(ids, positions, batch_dims=1)

    # 85 % of the chosen positions show [MASK] and 15 % keep their token in the original.
    choice = uniform([rows, limit], seed_of(run_seed, "replacement", step))
    at_random = (choice >= masking.mask_token_prob) & (choice < masking.mask_token_prob + masking.random_token_prob)
    any_token = tokens.any(
        uniform([rows, limit], seed_of(run_seed, "random token", step)), special=masking.random_special_tokens
    )
    shown = tf.where(at_random, any_token, tokens.mask)
    changed = weights * tf.cast((choice < masking.mask_token_prob) | at_random, tf.float32)
    masked = scatter(ids, positions, shown, changed, masking.draw_with_replacement)
    return Masked(masked, positions, original, weights)


def scatter(ids, positions, values, weights, average_repeated=False):
    """`ids` [B, T] with `values` [B, P] written at `positions` wherever `weights` is 1.

    Positions that count must be distinct, unless `average_repeated`: then several values of one position become
    the floor of their mean and position 0 is never written, as in the original.
    """
    if average_repeated:
        here = (positions[:, :, None] == tf.range(ids.shape[1])) & (weights[:, :, None] > 0)
        here = tf.cast(here & (positions[:, :, None] > 0), tf.int32)
        count = tf.reduce_sum(here, axis=1)
        total = tf.reduce_sum(here * values[:, :, None], axis=1)
        return tf.where(count > 0, total // tf.maximum(count, 1), ids)
    values = tf.where(weights > 0, values, tf.gather(ids, positions, batch_dims=1))
    rows = tf.broadcast_to(tf.range(tf.shape(ids)[0])[:, None], tf.shape(positions))
    return tf.tensor_scatter_nd_update(ids, tf.stack([rows, positions], -1), values)
