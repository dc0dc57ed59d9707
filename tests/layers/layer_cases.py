"""One small instance of every layer and model, with inputs. What all of them must do is tested over this table."""

from typing import NamedTuple

import numpy as np

from electra_tf.layers.attention import SelfAttention
from electra_tf.layers.dense import Dense, LayerNorm
from electra_tf.layers.dropout import Dropout
from electra_tf.layers.embeddings import Embeddings, Table
from electra_tf.layers.feed_forward import FeedForward
from electra_tf.layers.heads import MaskedLMHead, Pooler, ReplacedTokenHead
from electra_tf.layers.transformer import Block, Transformer
from electra_tf.models import Encoder, EncoderConfig, MaskedLanguageModel, ReplacedTokenDetector

BATCH, TOKENS, HIDDEN, EMBEDDING, VOCABULARY = 3, 7, 16, 8, 50

_rng = np.random.default_rng(0)
HIDDEN_STATES = _rng.normal(size=(BATCH, TOKENS, HIDDEN)).astype("float32")
IDS = _rng.integers(0, VOCABULARY, (BATCH, TOKENS)).astype("int32")
TYPES = _rng.integers(0, 2, (BATCH, TOKENS)).astype("int32")
POSITIONS = _rng.integers(0, 9, (BATCH, TOKENS)).astype("int32")
MASK = (np.arange(TOKENS) < np.array([[7], [5], [2]])).astype("int32")
PAIRWISE = np.maximum(MASK[:, :, None] * MASK[:, None, :], np.eye(TOKENS, dtype="int32"))

ELECTRA = EncoderConfig(
    vocab_size=VOCABULARY,
    embedding_size=EMBEDDING,
    hidden_size=HIDDEN,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=9,
)
ALBERT = ELECTRA.replace(model_type="albert", num_hidden_groups=1, inner_group_num=2, hidden_act="gelu_new")
_BLOCK = {"hidden_size": HIDDEN, "num_heads": 4, "intermediate_size": 24, "activation": "relu"}


class Case(NamedTuple):
    """`make(**keywords)` gives the layer; `inputs` are its positional arguments."""

    make: object
    inputs: tuple


CASES = {
    "Dense": Case(lambda **k: Dense(HIDDEN, 6, "gelu", **k), (HIDDEN_STATES,)),
    "LayerNorm": Case(lambda **k: LayerNorm(HIDDEN, 1e-6, **k), (HIDDEN_STATES,)),
    "Dropout": Case(lambda **k: Dropout(0.3, **k), (HIDDEN_STATES,)),
    "Table": Case(lambda **k: Table(VOCABULARY, EMBEDDING, **k), (IDS,)),
    "Embeddings": Case(lambda **k: Embeddings(VOCABULARY, EMBEDDING, 9, dropout=0.2, **k), (IDS, TYPES, POSITIONS)),
    "SelfAttention": Case(lambda **k: SelfAttention(HIDDEN, 4, 0.2, 0.3, **k), (HIDDEN_STATES, MASK)),
    "SelfAttention, pairwise mask": Case(lambda **k: SelfAttention(HIDDEN, 2, **k), (HIDDEN_STATES, PAIRWISE)),
    "FeedForward": Case(lambda **k: FeedForward(HIDDEN, 24, "gelu_new", **k), (HIDDEN_STATES,)),
    "Block": Case(lambda **k: Block(**_BLOCK, dropout=0.2, **k), (HIDDEN_STATES, MASK)),
    "Transformer": Case(lambda **k: Transformer(2, _BLOCK, 1, 2, **k), (HIDDEN_STATES, MASK)),
    "MaskedLMHead": Case(
        lambda **k: MaskedLMHead(HIDDEN, EMBEDDING, Table(VOCABULARY, EMBEDDING, name="word"), **k), (HIDDEN_STATES,)
    ),
    "ReplacedTokenHead": Case(lambda **k: ReplacedTokenHead(HIDDEN, "relu", **k), (HIDDEN_STATES,)),
    "Pooler": Case(lambda **k: Pooler(HIDDEN, **k), (HIDDEN_STATES,)),
    "Encoder, ELECTRA": Case(lambda **k: Encoder(ELECTRA, **k), (IDS, MASK, TYPES)),
    "Encoder, ALBERT": Case(lambda **k: Encoder(ALBERT, **k), (IDS, PAIRWISE, TYPES, POSITIONS)),
    "MaskedLanguageModel": Case(lambda **k: MaskedLanguageModel(ELECTRA, **k), (IDS, MASK, TYPES)),
    "ReplacedTokenDetector": Case(lambda **k: ReplacedTokenDetector(ALBERT, **k), (IDS, MASK, TYPES)),
}


def filled(layer):
    """The layer with every weight set to numbers that depend on its place alone."""
    for number, weight in enumerate(layer.trainable_variables):
        mean = 1 if weight.name == "gamma" else 0
        weight.assign(np.random.default_rng(number).normal(mean, 0.3, weight.shape))
    return layer
