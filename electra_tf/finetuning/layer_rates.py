"""Layer-wise learning rates: the head's, by the size of the model, and how much less each layer below it has."""

import math
import re

from electra_tf.models.config import EncoderConfig

# By parameters of the encoder, at most: the learning rate and the layer decay. Sources: ELECTRA's appendix, AutoGluon.
_BY_SIZE = ((5e6, 3e-4, 0.9), (30e6, 3e-4, 0.8), (200e6, 1e-4, 0.8), (math.inf, 5e-5, 0.9))
_ALBERT_RATE = 2e-5  # of base size and larger, with shared layers


def rate_of(name: str, config: EncoderConfig, layer_decay: float, decay_gap: bool = False) -> float:
    """What the learning rate of the weight called `name` is of the schedule's.

    The head has the schedule's rate, the top layer `layer_decay` of it, the one below that of the top one; embeddings
    are below the lowest layer.

    Args:
        decay_gap: the top layer already has `layer_decay` squared of the head's rate, as in Google's ELECTRA.
    """
    layers = config.num_hidden_groups * config.inner_group_num
    block = re.match(r"encoder/transformer/block_(\d+)/", name)
    above = layers - int(block[1]) if block else layers + 1 if name.startswith("encoder/") else 0
    return layer_decay ** (above + (decay_gap and above > 0))


def usual_rates(config: EncoderConfig) -> tuple[float, float]:
    """(peak, layer decay) where nothing else is said, by the size of the encoder."""
    layers, h, i = config.num_hidden_groups * config.inner_group_num, config.hidden_size, config.intermediate_size
    size = config.vocab_size * config.embedding_size + layers * (4 * h * h + 2 * h * i)
    peak, decay = next((peak, decay) for most, peak, decay in _BY_SIZE if size <= most)
    if config.model_type == "albert":
        peak, decay = (peak if size <= _BY_SIZE[0][0] else _ALBERT_RATE), 1.0
    return peak, decay
