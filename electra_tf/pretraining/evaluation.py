"""Evaluation on held-out examples under masks, samples and corruptions that never change, so that curves compare."""

import dataclasses

import numpy as np
import tensorflow as tf

from electra_tf.data.reader import DataSet
from electra_tf.pretraining import electra, masked_lm
from electra_tf.pretraining.masking import Masking, mask, scatter
from electra_tf.training.evaluation import DRAWN_AT_ONCE, batched, drawn_once
from electra_tf.training.metrics import area_under_curve
from electra_tf.training.randomness import seed_of, uniform


def _all_hidden(masking: Masking, as_early: bool) -> Masking:
    """Every judged position shows [MASK]: tokens that training leaves in view are predicted by copying them.

    Whatever the compat, no place is drawn twice, since it would not be defined which of two corruptions a token gets,
    and no coins are thrown, which may hide nothing at all of a few rows (but in early runs: `as_early`).
    """
    share = masking.last_mask_prob or masking.mask_prob
    never = dict.fromkeys(("random_special_tokens", "draw_with_replacement"), False)
    never |= {"by_coins": masking.by_coins and as_early}
    always = {"mask_prob": share, "last_mask_prob": None, "mask_token_prob": 1.0, "random_token_prob": 0.0}
    return dataclasses.replace(masking, **never, **always)


class DetectionEvaluation:
    """Held-out examples with everything random in them drawn once.

    Args:
        objective: what is evaluated.
        dataset: its split `held_out` is used.
        examples: at most so many of them. rows: of a call.
        seed: of masks, samples and corruptions; not the run's.
        eager: without a graph.
        drawn_at_once: rows whose random things are drawn together; None: those of a call, as early versions did.

    Two corruptions are judged by the discriminator: the generator's samples under fixed uniform numbers, and fixed
    tokens drawn from the held-out text's own frequencies, which stay the same however good the generator becomes.
    """

    def __init__(
        self,
        objective: electra.ReplacedTokenDetection,
        dataset: DataSet,
        examples: int,
        rows: int,
        seed: int,
        eager: bool = False,
        drawn_at_once: int | None = DRAWN_AT_ONCE,
    ):
        self.objective, tokens = objective, objective.tokens
        hidden = _all_hidden(objective.masking, as_early=not drawn_at_once)
        arrays = dataset.examples("held_out", limit=examples)
        ids, real = arrays["input_ids"], arrays["input_mask"]
        random = np.random.default_rng(seed)
        text = ids[(real == 1) & ~np.isin(ids, (tokens.cls, tokens.sep))]

        def draw(batch, number):
            masked = mask(batch, seed, number, hidden, tokens)
            numbers = uniform(masked.positions.shape, seed_of(seed, "sample", number))
            others = tf.constant(random.choice(text, masked.positions.shape), tf.int32)
            return masked, numbers, scatter(batch["input_ids"], masked.positions, others, masked.weights)

        batch_size = min(rows, len(ids))
        masked, *others = drawn_once(arrays, draw, drawn_at_once or batch_size)
        batches = batched((arrays, masked, *others), batch_size)
        self.batches = [(batch, electra.Draw(*drawn), corrupted) for batch, *drawn, corrupted in batches]
        self.rows = len(self.batches) * batch_size
        self.unigram_loss = _loss_of(dataset.frequencies, masked)
        self._run = self._batch if eager else tf.function(self._batch, autograph=False)

    def __call__(self) -> dict[str, float]:
        """Metrics of the whole set, deterministic floats.

        `mlm_loss` and `mlm_accuracy` are means over masked positions; `disc_loss` is one over real tokens; `disc_auc`
        and `fixed_disc_auc` are exact areas under the ROC curve for the two corruptions. `unigram_loss` is the loss at
        the same positions of a predictor that knows nothing but the tokens' frequencies in the training text.
        """
        sums, scores = np.zeros(4), {"disc_auc": [], "fixed_disc_auc": []}
        disc_sum = tokens = 0.0
        for batch, drawn, corrupted in self.batches:
            measured, live, labels, fixed = self._run(batch, drawn, corrupted)
            sums += [float(measured[name]) for name in ("loss at masks", "masked", "mlm_hits", "sampled_hits")]
            disc_sum += float(measured["disc_loss"])
            tokens += float(measured["tokens"])
            real = batch["input_mask"].numpy() == 1
            scores["disc_auc"].append((labels.numpy()[real], live.numpy()[real]))
            changed = (corrupted != batch["input_ids"]).numpy()
            scores["fixed_disc_auc"].append((changed[real], fixed.numpy()[real]))
        loss, masked, hits, sampled = sums
        return {
            "mlm_loss": loss / masked,
            "mlm_accuracy": hits / masked,
            "sampled_accuracy": sampled / masked,
            "disc_loss": disc_sum / tokens,
            **{n: area_under_curve(*map(np.concatenate, zip(*s, strict=True))) for n, s in scores.items()},
            "unigram_loss": self.unigram_loss,
        }

    def _batch(self, batch, drawn, corrupted):
        objective = self.objective
        one = electra.Totals(tf.ones([]), tf.ones([]))
        _, outputs = objective.loss(batch, drawn, one, training=False)
        measured = objective.measure(batch, drawn, outputs)
        measured["loss at masks"] = tf.reduce_sum(outputs.mlm_position_loss * drawn.masked.weights)
        hidden = objective.discriminator(corrupted, batch["input_mask"], batch["segment_ids"], training=False)
        return measured, outputs.disc_logits, outputs.labels, objective.replaced_token(hidden)


class MaskedLMEvaluation:
    """As `DetectionEvaluation`, of a masked LM: masks and swaps are drawn once, or are those of the records."""

    def __init__(
        self,
        objective: masked_lm.MaskedLanguageModelling,
        dataset: DataSet,
        examples: int,
        rows: int,
        seed: int,
        eager: bool = False,
        drawn_at_once: int | None = DRAWN_AT_ONCE,
    ):
        self.objective = objective
        arrays = dataset.examples("held_out", limit=examples)
        hidden = None if dataset.manifest.stored_masks else _all_hidden(objective.masking, as_early=not drawn_at_once)
        batch_size = min(rows, len(arrays["input_ids"]))
        draw = lambda batch, number: objective.draw(batch, seed, number, hidden)  # noqa: E731
        drawn = drawn_once(arrays, draw, drawn_at_once or batch_size)
        self.batches = list(batched((arrays, drawn), batch_size))
        self.rows = len(self.batches) * batch_size
        self.unigram_loss = _loss_of(dataset.frequencies, drawn.masked)
        self._run = self._batch if eager else tf.function(self._batch, autograph=False)

    def __call__(self) -> dict[str, float]:
        """Metrics of the whole set, deterministic floats: means over masked positions, and over rows of two parts."""
        sums = {}
        for batch, drawn in self.batches:
            for name, value in self._run(batch, drawn).items():
                sums[name] = sums.get(name, 0.0) + float(value)
        found = {"mlm_loss": sums["mlm_loss"] / sums["masked"], "mlm_accuracy": sums["mlm_hits"] / sums["masked"]}
        if "pairs" in sums:
            pairs = max(1.0, sums["pairs"])
            found |= {"order_loss": sums["order_loss"] / pairs, "order_accuracy": sums["order_hits"] / pairs}
        return {**found, "unigram_loss": self.unigram_loss}

    def _batch(self, batch, drawn):
        one = masked_lm.Totals(tf.ones([]), tf.ones([]))
        _, outputs = self.objective.loss(batch, drawn, one, training=False)
        return self.objective.measure(batch, drawn, outputs)


def _loss_of(frequencies, masked) -> float:
    """The mean loss at the masked tokens of a predictor that knows their frequencies alone."""
    return float(-np.log(frequencies)[masked.ids[masked.weights == 1]].mean())
