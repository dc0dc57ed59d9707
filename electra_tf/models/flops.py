"""Floating-point operations of matrix products, from a configuration; an objective adds up its step's."""

from electra_tf.models.config import EncoderConfig


def encoder_flops(config: EncoderConfig, length: int, first_only: bool = False) -> float:
    """Multiply-adds times two of the encoder's matrix products, forward, a token; `first_only` as in `Encoder`."""
    hidden, inner = config.hidden_size, config.intermediate_size
    blocks = config.num_hidden_layers * config.inner_group_num
    keys, rest = 6 * hidden * hidden, 2 * hidden * hidden + 4 * hidden * inner + 4 * length * hidden
    project = 2 * config.embedding_size * hidden if config.embedding_size != hidden else 0
    return blocks * (keys + rest) - first_only * rest * (1 - 1 / length) + project


def masked_lm_head_flops(config: EncoderConfig, predicted: float) -> float:
    """The same of the masked-LM head at `predicted` positions."""
    return 2 * config.embedding_size * (config.hidden_size + config.vocab_size) * predicted
