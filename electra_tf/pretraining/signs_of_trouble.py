"""Signs that a pre-training run goes wrong, and the warning with advice that each gives rise to."""

import math

from electra_tf.training.metrics import Sign

_AT_CHANCE = (
    "warning at step {step}: the discriminator's AUC is {disc_auc:.3f}, no better than chance, long after the "
    "warm-up. Lower the learning rate, or lengthen the warm-up; if the generator is large, make it smaller."
)
_STRONG_GENERATOR = (
    "warning at step {step}: {sampled_accuracy:.0%} of the generator's samples are the original token, which leaves "
    "the discriminator little to find. Use a smaller generator, or a higher mask_prob; if the text repeats itself, "
    "remove duplicates."
)
_WEAK = (
    "warning at step {{step}}: the {who}'s loss {{{loss}:.2f}} is that of a uniform guess, long after the warm-up. "
    "Check that data and vocabulary belong together, and lower the learning rate."
)

AT_CHANCE = Sign(lambda metrics: metrics["disc_auc"] < 0.52, _AT_CHANCE)
STRONG_GENERATOR = Sign(lambda metrics: metrics["sampled_accuracy"] > 0.7, _STRONG_GENERATOR)


def weak(who: str, loss: str, vocabulary: int) -> Sign:
    """That a masked LM guesses evenly: `who` has it, `loss` is its name, `vocabulary` the number of tokens."""
    uniform = math.log(vocabulary)
    return Sign(lambda metrics: metrics[loss] > uniform - 0.1, _WEAK.format(who=who, loss=loss))
