"""Evaluation on held-out examples under masks, samples and corruptions that never change, so that curves compare."""

import dataclasses

import numpy as np
import tensorflow as tf

from electra_tf.data.reader import DataSet
from electra_tf.pretraining import electra
from electra_tf.pretraining.masking import scatter


class Evaluation:
    """Held-out examples with everything random in them drawn once.

    Args:
        model, config: what is evaluated.
        dataset: its split `held_out` is used.
        examples: at most so many of them. batch_size: rows a call.
        seed: of masks, samples and corruptions; not the run's.
        eager: without a graph.

    Two corruptions are judged by the discriminator: the generator's samples under fixed uniform numbers, and fixed
    tokens drawn from the held-out text's own frequencies, which stay the same however good the generator becomes.
    """

    def __init__(
        self,
        model: electra.Electra,
        dataset: DataSet,
        special_ids: electra.SpecialIds,
        examples: int,
        batch_size: int,
        seed: int,
        eager: bool = False,
    ):
        self.model = model
        # Tokens that training leaves in view are predicted by copying them, which tells nothing.
        hidden = dataclasses.replace(model.config, mask_token_prob=1.0, random_token_prob=0.0)
        arrays = dataset.examples("held_out", limit=examples)
        count = len(arrays["input_ids"])
        self.batch_size = min(batch_size, count)
        ids, real = arrays["input_ids"], arrays["input_mask"]
        self.batches, judged = [], []
        random = np.random.default_rng(seed)
        text = ids[(real == 1) & ~np.isin(ids, (special_ids.cls, special_ids.sep))]
        for number in range(-(-count // self.batch_size)):
            rows = slice(number * self.batch_size, (number + 1) * self.batch_size)
            batch = {name: tf.constant(_padded(array[rows], self.batch_size)) for name, array in arrays.items()}
            drawn = electra.draw(batch, seed, number, hidden, special_ids)
            judged.append(drawn.masked.ids[drawn.masked.weights == 1])
            others = tf.constant(random.choice(text, drawn.masked.positions.shape), tf.int32)
            corrupted = scatter(batch["input_ids"], drawn.masked.positions, others, drawn.masked.weights)
            self.batches.append((batch, drawn, corrupted))
        self.unigram_loss = float(-np.log(dataset.frequencies)[np.concatenate(judged)].mean())
        self._run = self._batch if eager else tf.function(self._batch, autograph=False)

    def __call__(self) -> dict[str, float]:
        """Metrics of the whole set, deterministic floats.

        `mlm_loss` and `mlm_accuracy` are means over masked positions, which all show [MASK]; `disc_loss` is one over
        real tokens; `disc_auc` and `fixed_disc_auc` are exact areas under the ROC curve for the two corruptions.
        `unigram_loss` is the loss at the same positions of a predictor that knows nothing but the tokens' frequencies
        in the training text.
        """
        sums, scores = np.zeros(4), {"disc_auc": [], "fixed_disc_auc": []}
        disc_sum = tokens = 0.0
        for batch, drawn, corrupted in self.batches:
            measured, live, fixed, replaced = self._run(batch, drawn, corrupted)
            names = ("mlm_loss", "masked", "mlm_hits", "sampled_hits")
            sums += [float(measured[name]) for name in names]
            disc_sum += float(measured["disc_loss"])
            tokens += float(measured["tokens"])
            real = batch["input_mask"].numpy() == 1
            scores["disc_auc"].append((replaced.numpy()[real], live.numpy()[real]))
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
        one = electra.Normalisers(tf.ones([]), tf.ones([]))
        _, outputs = electra.electra_loss(self.model, batch, drawn, one, training=False)
        measured = electra.measure(batch, drawn, outputs)
        hidden = self.model.discriminator(corrupted, batch["input_mask"], batch["segment_ids"], training=False)
        return measured, outputs.disc_logits, self.model.replaced_token(hidden), outputs.replaced


def area_under_curve(labels, scores) -> float:
    """Exact area under the ROC curve; equal scores count half. 0.5 where a class is missing."""
    _, rank, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2
    labels = np.asarray(labels, bool)
    positive, negative = labels.sum(), (~labels).sum()
    if not positive or not negative:
        return 0.5
    return float((middle[rank][labels].sum() - positive * (positive + 1) / 2) / (positive * negative))


def _padded(rows, size):
    return np.pad(rows, [(0, size - len(rows)), (0, 0)]).astype(np.int32)
