import keras
import pytest

from electra_tf.errors import ConfigError
from electra_tf.models import EncoderConfig, named_variables
from electra_tf.models.presets import generator_config
from electra_tf.pretraining.electra import Electra, ElectraConfig
from electra_tf.pretraining.embedding_sharing import build_towers

DISCRIMINATOR = EncoderConfig(
    vocab_size=30,
    embedding_size=8,
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=12,
)
GENERATOR = generator_config(DISCRIMINATOR, 0.5)
TABLES = ("word/embeddings", "position/embeddings", "token_type/embeddings", "norm/gamma", "norm/beta")


@pytest.mark.parametrize("sharing, shared", [("all", TABLES), ("word", TABLES[:1]), ("none", ())])
def test_the_towers_share_what_is_said_and_nothing_else(sharing, shared):
    towers = [named_variables(tower) for tower in build_towers(sharing, DISCRIMINATOR, GENERATOR)]
    ours, theirs = ({id(v): name for name, v in tower.items()} for tower in towers)
    assert {ours[key] for key in ours.keys() & theirs.keys()} == {f"embeddings/{name}" for name in shared}


def test_shared_weights_have_the_discriminators_name_and_stand_once():
    names = named_variables(Electra(ElectraConfig(DISCRIMINATOR, GENERATOR, "all")))
    assert "discriminator/embeddings/word/embeddings" in names
    assert not any(name.startswith("generator/embeddings") for name in names)
    assert not any(name.startswith("masked_lm/word") for name in names)


def test_every_weight_of_a_model_has_one_name():
    for sharing in ("all", "word", "none"):
        model = Electra(ElectraConfig(DISCRIMINATOR, GENERATOR, sharing))
        assert {id(v) for v in named_variables(model).values()} == {id(v) for v in model.trainable_variables}


def test_the_projections_are_never_shared():
    config = ElectraConfig(DISCRIMINATOR, DISCRIMINATOR, "all")
    assert {"discriminator/projection/kernel", "generator/projection/kernel"} <= named_variables(Electra(config)).keys()


@pytest.mark.parametrize(
    "sharing, field",
    [("all", "embedding_size"), ("all", "max_position_embeddings"), ("word", "embedding_size"), ("none", "vocab_size")],
)
def test_sizes_that_sharing_needs_alike_and_are_not_are_refused(sharing, field):
    other = GENERATOR.replace(**{field: getattr(GENERATOR, field) + 1})
    with pytest.raises(ConfigError, match=f"the generator's {field} is"):
        ElectraConfig(DISCRIMINATOR, other, sharing)


def test_an_unknown_way_of_sharing_is_answered_with_all():
    with pytest.raises(ConfigError, match=r"'some'[\s\S]*all, word, none"):
        ElectraConfig(DISCRIMINATOR, GENERATOR, "some")


def test_alberts_towers_share_their_embeddings_too():
    albert = DISCRIMINATOR.replace(model_type="albert", num_hidden_groups=1)
    generator = albert.replace(num_attention_heads=1)
    disc, gen = build_towers("all", albert, generator)
    assert disc.embeddings is gen.embeddings
    assert disc.transformer is not gen.transformer


def test_the_same_seed_gives_the_same_initial_weights():
    values = []
    for _ in range(2):
        keras.utils.set_random_seed(4)
        names = named_variables(Electra(ElectraConfig(DISCRIMINATOR, GENERATOR)))
        values.append({name: v.numpy().tobytes() for name, v in names.items()})
    assert values[0] == values[1]
