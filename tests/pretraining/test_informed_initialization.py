"""Informed initial weights: heads that look at neighbours, biases at the frequencies of tokens, nothing else."""

import keras
import numpy as np
import pytest
from vocabularies import numbered

from electra_tf.errors import ConfigError
from electra_tf.models.encoder import named_variables
from electra_tf.pretraining.electra import ReplacedTokenDetection
from electra_tf.pretraining.informed_initialization import start_informed
from electra_tf.pretraining.masking import Masking
from electra_tf.pretraining.settings import Electra

TOKENS = 32
WIDER = {"hidden_size": 256, "num_hidden_layers": 1, "num_attention_heads": 4, "embedding_size": 128}
MODELS = {
    "electra_tiny": Electra("electra_tiny"),
    "alectra_tiny, shared layers": Electra("alectra_tiny"),
    "embeddings narrower than the discriminator": Electra("electra_tiny", discriminator=WIDER, generator_depth=1.0),
    "the word table shared alone": Electra("electra_tiny", embedding_sharing="word"),
    "nothing shared": Electra("electra_tiny", embedding_sharing="none"),
    "values shared without gradients": Electra("electra_tiny", embedding_sharing="gdes"),
    "one head in the generator": Electra("electra_tiny", generator={"num_attention_heads": 1}),
}
FREQUENCIES = np.random.default_rng(0).dirichlet(np.ones(500))


def built(model, informed=True):
    keras.utils.set_random_seed(0)
    parts = ReplacedTokenDetection(model, Masking(), numbered(len(FREQUENCIES)), steps=10).model
    if informed:
        start_informed((parts.discriminator, parts.generator), parts.masked_lm, FREQUENCIES)
    return parts


def attention_of_the_first_block(tower):
    """Probabilities [heads, T, T], averaged over random texts; computed here from the weights."""
    ids = np.random.default_rng(1).integers(5, len(FREQUENCIES), (8, TOKENS)).astype("int32")
    x = tower.embeddings(ids)
    x = np.asarray(x if tower.projection is None else tower.projection(x))
    dense, heads = tower.transformer.blocks[0].attention.qkv, tower.config.num_attention_heads
    qkv = (x @ np.asarray(dense.kernel) + np.asarray(dense.bias)).reshape(8, TOKENS, 3, heads, -1)
    scores = np.einsum("bqhd,bkhd->bhqk", qkv[:, :, 0], qkv[:, :, 1]) / np.sqrt(qkv.shape[-1])
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return (powers / powers.sum(-1, keepdims=True)).mean(0)


@pytest.mark.parametrize("name", MODELS)
def test_every_head_of_the_first_block_begins_at_a_neighbour(name):
    electra = built(MODELS[name])
    for tower in (electra.discriminator, electra.generator):
        attention = attention_of_the_first_block(tower)
        for number, offset in enumerate((-1, 1, -2, 2)[: len(attention)]):
            share = np.diagonal(attention[number], offset).mean()
            assert share > (0.35 if len(attention) == 1 else 0.7), (tower.name, number, offset)
        if len(attention) == 1:
            assert np.diagonal(attention[0], 1).mean() > 0.35


def test_without_it_no_neighbour_is_looked_at():
    for head in attention_of_the_first_block(built(MODELS["electra_tiny"], informed=False).generator):
        assert max(np.diagonal(head, offset).mean() for offset in (-2, -1, 1, 2)) < 0.06


def test_the_generator_begins_at_the_frequencies():
    bias = np.asarray(built(MODELS["electra_tiny"]).masked_lm.output_bias)
    np.testing.assert_allclose(np.exp(bias), FREQUENCIES, rtol=1e-5)


def test_nothing_else_changes():
    informed, random = (named_variables(built(MODELS["electra_tiny"], informed=value)) for value in (True, False))
    changed = {name for name, v in informed.items() if not np.array_equal(np.asarray(v), np.asarray(random[name]))}
    first = "transformer/block_0/attention/qkv/kernel"
    towers = {f"discriminator/{first}", f"generator/{first}", "generator/projection/kernel"}
    assert changed == towers | {"discriminator/embeddings/position/embeddings", "masked_lm/output_bias"}
    hidden = random[f"generator/{first}"].shape[0]
    values = [np.asarray(weights[f"generator/{first}"])[:, 2 * hidden :] for weights in (informed, random)]
    np.testing.assert_array_equal(*values)


def test_widths_that_the_heads_do_not_divide_are_refused():
    model = Electra("electra_tiny", discriminator={"embedding_size": 48})
    with pytest.raises(ConfigError, match=r"heads of 32 do not divide widths of 48, 64, 128"):
        built(model)
