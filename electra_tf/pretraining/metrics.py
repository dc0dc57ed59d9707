"""What the pre-training objectives measure, what it is called, and how a line and a picture show it."""

import tensorflow as tf

from electra_tf.pretraining import signs_of_trouble
from electra_tf.training.metrics import AUC_BINS, Area, Ratio, Readings, Total


def hits(said, right, weights):
    """Float32 scalar: the weights of those that are equal, added up."""
    return tf.reduce_sum(tf.cast(said == right, tf.float32) * weights)


def binned(logits, labels, weights):
    """Float32 [2 * AUC_BINS]: weights by the bin of the logit's probability, those with the label 0 first."""
    bins = tf.cast(tf.sigmoid(logits) * AUC_BINS, tf.int32)
    bins = tf.minimum(bins, AUC_BINS - 1) + AUC_BINS * labels
    return tf.math.unsorted_segment_sum(tf.reshape(weights, [-1]), tf.reshape(bins, [-1]), 2 * AUC_BINS)


def detection_readings(learned: str, settings, vocabulary: int, learns: bool) -> Readings:
    """Of a generator and a discriminator.

    Args:
        learned: the name of the generator's loss. settings: an `Electra`, for the weights of the losses.
        vocabulary: the loss of a uniform guess is the logarithm of its size.
        learns: whether the generator has weights.
    """
    name = learned.removesuffix("_loss")
    signs = (signs_of_trouble.AT_CHANCE, signs_of_trouble.STRONG_GENERATOR)
    if learns:
        signs = (*signs, signs_of_trouble.weak("generator", learned, vocabulary))
    weights = {} if settings.freeze_generator else {learned: settings.mlm_weight}
    # Of two towers the loss at all tokens is learned, and that at masked ones is held out.
    of_all = () if learned == "mlm_loss" else (("Generator: loss at all tokens (nats)", (learned,)),)
    sums = dict.fromkeys((learned, "disc_loss", "masked", "tokens", "mlm_hits", "sampled_hits", "replaced"), ())
    return Readings(
        sums={**sums, "disc_hits": (), "disc_counts": (2 * AUC_BINS,)},
        metrics={
            "loss": Total({**weights, "disc_loss": settings.disc_weight}),
            learned: Ratio(learned),
            "disc_loss": Ratio("disc_loss"),
            "mlm_accuracy": Ratio("mlm_hits", "masked"),
            "sampled_accuracy": Ratio("sampled_hits", "masked"),
            "disc_accuracy": Ratio("disc_hits", "tokens"),
            "disc_auc": Area("disc_counts"),
            "replaced": Ratio("replaced", "tokens"),
        },
        train_line=f"{name} {{{learned}:.3f}}  disc {{disc_loss:.4f}}  auc {{disc_auc:.3f}}  replaced {{replaced:.1%}}",
        eval_line="mlm {mlm_loss:.3f} (unigram {unigram_loss:.3f})  disc {disc_loss:.4f}  auc {disc_auc:.3f}  "
        "on fixed corruptions {fixed_disc_auc:.3f}",
        signs=signs,
        curves=(
            *of_all,
            ("Generator: masked-LM loss (nats)", ("mlm_loss", "unigram_loss")),
            ("Discriminator: loss (nats a token)", ("disc_loss",)),
            ("Discriminator: area under the ROC curve", ("disc_auc", "fixed_disc_auc")),
        ),
    )


def masked_lm_readings(order_weight: float, vocabulary: int) -> Readings:
    """Of a masked LM, with sentence order where its weight is not 0."""
    sums, weights = {"mlm_loss": (), "masked": (), "mlm_hits": ()}, {"mlm_loss": 1.0}
    metrics = {"mlm_loss": Ratio("mlm_loss"), "mlm_accuracy": Ratio("mlm_hits", "masked")}
    line, eval_line = "mlm {mlm_loss:.3f}", "mlm {mlm_loss:.3f} (unigram {unigram_loss:.3f})"
    curves = (
        ("Masked tokens: loss (nats)", ("mlm_loss", "unigram_loss")),
        ("Masked tokens: accuracy", ("mlm_accuracy",)),
    )
    if order_weight:
        sums |= {"order_loss": (), "pairs": (), "order_hits": ()}
        weights["order_loss"] = order_weight
        metrics |= {"order_loss": Ratio("order_loss"), "order_accuracy": Ratio("order_hits", "pairs")}
        line += "  order {order_loss:.3f} ({order_accuracy:.1%} right)"
        eval_line += "  order {order_loss:.3f} ({order_accuracy:.1%} right)"
        curves = (*curves, ("Sentence order: accuracy", ("order_accuracy",)))
    return Readings(
        sums=sums,
        metrics={"loss": Total(weights), **metrics},
        train_line=line,
        eval_line=eval_line,
        signs=(signs_of_trouble.weak("masked LM", "mlm_loss", vocabulary),),
        curves=curves,
    )
