"""What generator and discriminator share, under which names, and sizes that sharing forbids."""

import keras
import pytest

from electra_tf.errors import ConfigError
from electra_tf.models import EncoderConfig, named_variables
from electra_tf.models.generator_size import generator_config
from electra_tf.pretraining.joint_model import Parts
from electra_tf.pretraining.sharing import Sharing, build_towers

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


def towers_of(sharing="all", generator=GENERATOR, discriminator=DISCRIMINATOR):
    sharing = Sharing(sharing) if isinstance(sharing, str) else sharing
    return build_towers(sharing, {"discriminator": discriminator, "generator": generator})


@pytest.mark.parametrize("sharing, shared", [("all", TABLES), ("word", TABLES[:1]), ("none", ())])
def test_the_towers_share_what_is_said_and_nothing_else(sharing, shared):
    towers = [named_variables(tower) for tower in towers_of(sharing).values()]
    ours, theirs = ({id(v): name for name, v in tower.items()} for tower in towers)
    assert {ours[key] for key in ours.keys() & theirs.keys()} == {f"embeddings/{name}" for name in shared}


def test_shared_weights_have_the_discriminators_name_and_stand_once():
    names = named_variables(Parts(towers_of()))
    assert "discriminator/embeddings/word/embeddings" in names
    assert not any(name.startswith("generator/embeddings") for name in names)


def test_every_weight_of_a_model_has_one_name():
    for sharing in ("all", "word", "none"):
        model = Parts(towers_of(sharing))
        assert {id(v) for v in named_variables(model).values()} == {id(v) for v in model.trainable_variables}


def test_projections_are_shared_only_where_it_is_asked_for():
    names = named_variables(Parts(towers_of(generator=DISCRIMINATOR))).keys()
    assert {"discriminator/projection/kernel", "generator/projection/kernel"} <= names
    names = named_variables(Parts(towers_of(Sharing(projection=True), DISCRIMINATOR))).keys()
    assert not any(name.startswith("generator/projection") for name in names)


@pytest.mark.parametrize("embeddings", ["all", "none", "gdes"])
def test_a_shallower_albert_generator_has_the_discriminators_layers_where_it_is_asked_for(embeddings):
    albert = DISCRIMINATOR.replace(model_type="albert", num_hidden_groups=1, num_hidden_layers=3)
    disc, gen = towers_of(Sharing(embeddings, layers=True), albert.replace(num_hidden_layers=1), albert).values()
    assert disc.transformer.blocks == gen.transformer.blocks
    assert (len(disc.transformer.depths()), len(gen.transformer.depths())) == (3, 1)


@pytest.mark.parametrize(
    "sharing, field",
    [("all", "embedding_size"), ("all", "max_position_embeddings"), ("word", "embedding_size"), ("none", "vocab_size")],
)
def test_sizes_that_sharing_needs_alike_and_are_not_are_refused(sharing, field):
    other = GENERATOR.replace(**{field: getattr(GENERATOR, field) + 1})
    with pytest.raises(ConfigError, match=f"the generator's {field} is"):
        Sharing(sharing).check(DISCRIMINATOR, other)


@pytest.mark.parametrize(
    "sharing, other, words",
    [
        (Sharing(projection=True), {"hidden_size": 8}, "hidden_size is 8.*share_projection"),
        (Sharing(layers=True), {"num_attention_heads": 4}, "num_attention_heads is 4.*share_layers"),
        (Sharing(layers=True), {"num_hidden_layers": 2}, "num_hidden_layers is 2.*share_layers"),
    ],
    ids=str,
)
def test_layers_that_differ_in_the_towers_are_not_shared(sharing, other, words):
    with pytest.raises(ConfigError, match=f"(?s){words}"):
        sharing.check(DISCRIMINATOR, DISCRIMINATOR.replace(**other))


def test_a_projection_that_is_not_there_is_not_shared():
    wide = DISCRIMINATOR.replace(embedding_size=16)
    with pytest.raises(ConfigError, match="there is no projection"):
        Sharing(projection=True).check(wide, wide)


def test_alberts_towers_share_their_embeddings_too():
    albert = DISCRIMINATOR.replace(model_type="albert", num_hidden_groups=1)
    generator = albert.replace(num_attention_heads=1)
    disc, gen = towers_of("all", generator, albert).values()
    assert disc.embeddings is gen.embeddings
    assert disc.transformer is not gen.transformer


def test_the_same_seed_gives_the_same_initial_weights():
    values = []
    for _ in range(2):
        keras.utils.set_random_seed(4)
        names = named_variables(Parts(towers_of()))
        values.append({name: v.numpy().tobytes() for name, v in names.items()})
    assert values[0] == values[1]


WHOLE = Sharing(projection=True, layers=True)


@pytest.mark.parametrize("sharing", ["all", "word", "none", "gdes", WHOLE], ids=str)
def test_the_prefixes_that_are_shared_are_those_whose_weights_are_one(sharing):
    towers = towers_of(sharing, DISCRIMINATOR if sharing == WHOLE else GENERATOR)
    ours, theirs = ({v: k for k, v in ((n, id(v)) for n, v in named_variables(t).items())} for t in towers.values())
    one = {f"generator/{theirs[key]}" for key in ours.keys() & theirs.keys()}
    prefixes = (Sharing(sharing) if isinstance(sharing, str) else sharing).prefixes(dict.fromkeys(towers))
    names = {f"generator/{name}" for name in theirs.values()}
    assert {name for name in names if name.startswith(tuple(prefixes))} == (one if sharing != "gdes" else set())
