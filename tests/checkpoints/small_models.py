"""Small models of every shape that the tables tell apart, with weights in which a swapped pair would show."""

import dataclasses

import numpy as np

from electra_tf.checkpoints.weight_names import joint_tensors
from electra_tf.models import EncoderConfig

_SMALL = {"vocab_size": 40, "intermediate_size": 24, "max_position_embeddings": 20, "num_attention_heads": 2}

CONFIGS = {
    "electra": EncoderConfig(embedding_size=8, hidden_size=12, num_hidden_layers=2, **_SMALL),
    "electra_of_one_width": EncoderConfig(hidden_size=8, num_hidden_layers=2, **_SMALL),
    "albert": EncoderConfig("albert", embedding_size=8, hidden_size=12, num_hidden_layers=3, **_SMALL),
    "albert_of_one_width": EncoderConfig("albert", hidden_size=8, num_hidden_layers=2, hidden_act="gelu_new", **_SMALL),
    "albert_with_groups": EncoderConfig(
        "albert",
        embedding_size=8,
        hidden_size=12,
        num_hidden_layers=4,
        num_hidden_groups=2,
        inner_group_num=2,
        **_SMALL,
    ),
}


def random_weights(discriminator, generator, sharing="none", seed=0):
    """Every weight of both towers under our names, biases and norms random too."""
    rng = np.random.default_rng(seed)
    table = joint_tensors(dataclasses.asdict(discriminator), dataclasses.asdict(generator), sharing)
    weights = {t.ours: rng.normal(0, 0.3, t.shape("ours")).astype("float32") for t in table}
    return {name: array + 1 if name.endswith("gamma") else array for name, array in weights.items()}
