"""Flops of encoders and heads are those of their products, counted by hand."""

from electra_tf.models import EncoderConfig
from electra_tf.models.flops import encoder_flops, masked_lm_head_flops
from electra_tf.models.presets import PRESETS

SMALL = PRESETS["electra_small"]


def test_an_encoders_flops_are_those_of_its_products():
    """One layer, 4 tokens: q, k, v, output 4 x 8 x 8; scores and context 2 x 4 x 8; feed-forward 2 x 8 x 16; twice."""
    config = EncoderConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=16)
    assert encoder_flops(config, 4) == 2 * (4 * 64 + 2 * 4 * 8 + 2 * 128)
    assert encoder_flops(config.replace(embedding_size=4), 4) == encoder_flops(config, 4) + 2 * 4 * 8


def test_shared_layers_cost_what_own_layers_cost():
    albert = SMALL.encoder.replace(model_type="albert", num_hidden_groups=1)
    assert encoder_flops(albert, 128) == encoder_flops(SMALL.encoder, 128)


def test_a_masked_lm_heads_flops_are_those_of_two_products():
    config = EncoderConfig(vocab_size=100, embedding_size=8, hidden_size=16, num_attention_heads=1)
    assert masked_lm_head_flops(config, 5) == 2 * 5 * (16 * 8 + 8 * 100)
