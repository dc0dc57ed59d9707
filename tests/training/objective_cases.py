"""A small instance of every objective, and a batch for it: what the loop must be able to train."""

import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from electra_tf.pretraining.masking import Masking
from electra_tf.pretraining.run import OBJECTIVES
from electra_tf.pretraining.settings import Electra, MaskedLM

sys.path.append(str(Path(__file__).parents[1] / "pretraining"))
from vocabularies import numbered

ROWS, LENGTH, VOCABULARY, STEPS = 8, 24, 40, 20
SIZES = {
    "embedding_size": 8,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": LENGTH,
    "initializer_range": 0.2,
}
TWICE = {**SIZES, "num_hidden_layers": 2}  # the same layer
ALBERT = {**TWICE, "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
BEGINS = np.arange(VOCABULARY) % 3 != 0  # every third token goes on with a word
TOKENS = numbered(VOCABULARY, begins=BEGINS | (np.arange(VOCABULARY) < 5))
ELECTRA = Electra(discriminator=SIZES, generator_width=0.5)


def _electra(**changes):
    return Electra(**{"discriminator": SIZES, "generator_width": 0.5, **changes})


# By name: the settings of the objective, and its masks.
CASES = {
    "electra": (_electra(), Masking(mask_prob=0.3)),
    "gdes": (_electra(embedding_sharing="gdes"), Masking(mask_prob=0.3)),
    "alectra": (
        Electra("alectra_tiny", discriminator={**SIZES, "num_hidden_layers": 2}, generator_depth=0.5),
        Masking(),
    ),
    "alectra, layers shared": (
        Electra(
            "alectra_tiny",
            discriminator={**SIZES, "num_hidden_layers": 2},
            generator={"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2},
            share_projection=True,
            share_layers=True,
        ),
        Masking(),
    ),
    "alectra, layers of its own": (
        Electra("alectra_tiny", discriminator=TWICE, generator={"model_type": "electra"}, generator_depth=0.5),
        Masking(),
    ),
    "frozen": (_electra(embedding_sharing="none", freeze_generator=True), Masking()),
    "shared generator": (Electra(discriminator=SIZES, generator_kind="shared"), Masking(mask_prob=0.3)),
    "uniform": (Electra(discriminator=SIZES, generator_kind="uniform"), Masking(mask_prob=0.3)),
    "two towers": (_electra(generator_kind="two_towers"), Masking(mask_prob=0.3)),
    "electric": (_electra(generator_kind="two_towers", judged="electric"), Masking(mask_prob=0.3)),
    "falling": (_electra(first_temperature=2.0), Masking(mask_prob=0.3, last_mask_prob=0.1)),
    "as published": (_electra(), Masking(draw_with_replacement=True, count_special_tokens=True)),
    "masked LM": (MaskedLM(encoder=SIZES), Masking(unit="word")),
    "albert": (MaskedLM("albert_base_v2", ALBERT, order_weight=1.0), Masking(unit="ngram", random_token_prob=0.1)),
    "albert as published": (
        MaskedLM("albert_base_v2", ALBERT, order_weight=1.0),
        Masking(unit="ngram", one_by_one=True, across_separators=True, count_special_tokens=True),
    ),
}


def objective(name: str, seed: int = 0):
    """The objective of a case, with the initial weights of `seed`."""
    settings, masking = CASES[name]
    trained = next(trained for kind, trained, _ in OBJECTIVES.values() if isinstance(settings, kind))
    keras.utils.set_random_seed(seed)
    return trained(settings, masking, TOKENS, STEPS)


def batch(seed: int = 0) -> dict[str, tf.Tensor]:
    """Pairs of segments in rows of very different lengths, one row without a second segment."""
    random = np.random.default_rng(seed)
    ends = random.permutation(np.linspace(LENGTH, 6, ROWS).astype(int))
    ids = random.integers(5, VOCABULARY, (ROWS, LENGTH))
    place = np.arange(LENGTH)
    real = place < ends[:, None]
    parted = ends // 2
    segments = (place > parted[:, None]) & real
    segments[ROWS // 2] = False
    ids[:, 0], ids[~real] = TOKENS.cls, TOKENS.pad
    ids[np.arange(ROWS), ends - 1] = TOKENS.sep
    inner = np.arange(ROWS) != ROWS // 2
    ids[np.arange(ROWS)[inner], parted[inner]] = TOKENS.sep
    arrays = {"input_ids": ids, "input_mask": real, "segment_ids": segments}
    return {name: tf.constant(array.astype("int32")) for name, array in arrays.items()}
