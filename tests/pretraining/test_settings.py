"""Settings of objectives: presets, the generator's sizes, and what cannot be meant refused."""

import io

import pytest

from electra_tf.errors import ConfigError
from electra_tf.models.presets import PRESETS
from electra_tf.optimizers import AdamW
from electra_tf.optimizers.schedules import Schedule
from electra_tf.pretraining.masking import Masking
from electra_tf.pretraining.run import pretrain
from electra_tf.pretraining.settings import Electra, MaskedLM
from electra_tf.training.recipe import Recipe


def test_a_preset_gives_both_towers_with_the_datas_vocabulary():
    towers = Electra("electra_small").towers(12345)
    assert towers["discriminator"] == PRESETS["electra_small"].encoder.replace(vocab_size=12345)
    assert towers["generator"] == PRESETS["electra_small"].generator.replace(vocab_size=12345)


def test_a_changed_discriminator_changes_its_generator_with_it():
    towers = Electra("electra_small", discriminator={"hidden_size": 512, "num_attention_heads": 8}).towers(100)
    assert (towers["generator"].hidden_size, towers["generator"].num_attention_heads) == (128, 2)


ELECTRIC = {"generator_kind": "two_towers", "judged": "electric"}


@pytest.mark.parametrize(
    "shares, hidden, layers",
    [
        ({"generator_width": 0.5}, 128, 12),
        ({"generator_depth": 0.5}, 64, 6),
        ({"generator": {"hidden_size": 32}}, 32, 12),
    ],
    ids=str,
)
def test_the_generators_size_is_set_by_width_by_depth_or_by_field(shares, hidden, layers):
    generator = Electra("electra_small", **shares).towers(100)["generator"]
    assert (generator.hidden_size, generator.num_hidden_layers) == (hidden, layers)


def test_without_sharing_the_generators_embeddings_are_as_wide_as_it_is_unless_said_otherwise():
    assert Electra(embedding_sharing="none").towers(100)["generator"].embedding_size == 64
    kept = Electra(embedding_sharing="none", generator={"embedding_size": 128}).towers(100)
    assert kept["generator"].embedding_size == 128
    wide = Electra(embedding_sharing="none", generator={"hidden_size": 128, "num_attention_heads": 2}).towers(100)
    assert wide["generator"].embedding_size == 128


def test_dropout_and_positions_of_the_discriminator_hold_for_the_generator():
    changes = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.2, "max_position_embeddings": 64}
    generator = Electra(discriminator=changes).towers(100)["generator"]
    assert {name: getattr(generator, name) for name in changes} == changes


def test_albert_presets_without_a_generator_get_one_of_a_quarter_of_the_width():
    generator = Electra("albert_base_v2").towers(100)["generator"]
    assert (generator.model_type, generator.hidden_size, generator.num_hidden_groups) == ("albert", 192, 1)


def test_both_towers_know_two_segments():
    for changes in ({"discriminator": {"type_vocab_size": 1}}, {"generator": {"type_vocab_size": 1}}):
        with pytest.raises(ConfigError, match="at least 2, for two segments"):
            Electra(embedding_sharing="none", **changes).towers(100)


def test_a_field_that_encoders_do_not_have_is_refused():
    with pytest.raises(ConfigError, match="hidden_sizes"):
        Electra(discriminator={"hidden_sizes": 3}).towers(100)


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"generator_kind": "small"}, "one of masked, shared, two_towers, uniform"),
        ({"judged": "right"}, "one of replaced, electric"),
        ({"judged": "electric"}, "generator_kind = 'two_towers'"),
        ({"generator_kind": "shared", "generator_width": 0.5}, "generator_width with the generator 'shared'"),
        ({"generator_kind": "uniform", "generator": {"hidden_size": 8}, "generator_steps": 3}, "leave them out"),
        ({"generator_kind": "two_towers", "embedding_sharing": "gdes"}, "generator_kind = 'masked'"),
        ({"wrap_around": True}, "'two_towers'"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"first_temperature": -1.0}, "first_temperature -1.0"),
        ({"generator_steps": -1}, "generator_steps is -1"),
        ({"embedding_sharing": "some"}, "one of all, word, none"),
        ({"generator_kind": "shared", "embedding_sharing": "some"}, "one of all, word, none"),
        ({"generator_kind": "uniform", "embedding_sharing": "none"}, "embedding_sharing with the generator 'uniform'"),
        ({"generator_kind": "uniform", "temperature": 2.0}, "temperature with the generator 'uniform'"),
        ({"generator_kind": "uniform", "first_temperature": 2.0}, "first_temperature with the generator 'uniform'"),
        ({"generator_kind": "shared", "share_layers": True}, "share_layers with the generator 'shared'"),
        ({"generator_width": 0.0}, "generator_width is 0.0"),
        ({"generator_depth": -0.5}, "generator_depth is -0.5"),
        ({"disc_weight": -50.0}, "disc_weight is -50.0"),
        ({"freeze_generator": True, "embedding_sharing": "none", "generator_steps": 9}, "leave generator_steps out"),
        ({"initial_weights": "orthogonal"}, "one of random, informed"),
        ({"vocabulary_multiple": 0}, "vocabulary_multiple is 0"),
    ],
    ids=str,
)
def test_settings_of_an_electra_that_cannot_be_meant_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        Electra(**settings)


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"order_weight": 1.0}, "an ELECTRA encoder"),
        ({"preset": "albert_base_v2", "order_weight": -1.0}, "order_weight is -1.0"),
        ({"initial_weights": "zero"}, "one of random, informed"),
        ({"preset": "albert_base_v2", "encoder": {"model_type": "electra"}, "order_weight": 1.0}, "'electra'"),
        ({"preset": "alberto"}, "there is no preset 'alberto'"),
    ],
    ids=str,
)
def test_settings_of_a_masked_lm_that_cannot_be_meant_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        MaskedLM(**settings).towers(100)


def test_a_masked_lms_encoder_is_called_a_generator_as_every_one_with_that_head():
    assert MaskedLM("albert_base_v2", {"hidden_dropout_prob": 0.1}).towers(77) == {
        "generator": PRESETS["albert_base_v2"].encoder.replace(vocab_size=77, hidden_dropout_prob=0.1)
    }


@pytest.mark.parametrize(
    "kind, towers",
    [
        ("masked", ["discriminator", "generator"]),
        ("shared", ["discriminator"]),
        ("uniform", ["discriminator"]),
        ("two_towers", ["discriminator", "generator_ltr", "generator_rtl"]),
    ],
)
def test_each_kind_of_generator_has_its_towers(kind, towers):
    assert list(Electra(generator_kind=kind).towers(100)) == towers


def test_a_vocabulary_is_padded_to_a_multiple_in_every_tower():
    towers = Electra(vocabulary_multiple=64).towers(1000)
    assert {config.vocab_size for config in towers.values()} == {1024}


def test_a_falling_temperature_begins_where_it_is_said_and_ends_at_the_other():
    settings = Electra(temperature=1.0, first_temperature=2.0)
    found = [float(settings.temperature_at(step, 1000)) for step in (0, 100, 1000)]
    assert found == pytest.approx([2.0, 1 + 1 / 2.718281828, 1 + 4.54e-5], abs=1e-5)
    assert Electra().temperature_at(0, 1000) is None


def test_a_generator_as_large_as_its_discriminator_gets_a_warning_that_says_why():
    assert Electra().advice(100) is None
    assert "as large as the discriminator" in Electra("electra_small_plus_plus").advice(100)
    assert "electra-small-generator" in Electra(generator_width=1.0).advice(100)
    assert Electra(generator_width=1.0, generator_depth=0.5).advice(100) is None


@pytest.mark.parametrize(
    "settings, words",
    [
        ({**ELECTRIC, "temperature": 2.0}, "temperature with judged = 'electric'"),
        ({**ELECTRIC, "first_temperature": 2.0, "disallow_correct": True}, "leave them out"),
        ({**ELECTRIC, "vocabulary_multiple": 8}, "noise that is drawn from the generator as it is"),
        ({"mlm_weight": 0.0, "disc_weight": 0.0}, "a loss to learn from"),
        ({"freeze_generator": True, "embedding_sharing": "none", "disc_weight": 0.0}, "a loss to learn from"),
        ({"generator_kind": "uniform", "disc_weight": 0.0}, "a loss to learn from"),
        ({"freeze_generator": True, "embedding_sharing": "none", "mlm_weight": 2.0}, "a frozen generator has no loss"),
    ],
    ids=str,
)
def test_what_no_new_run_should_have_is_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        Electra(**settings).check_new(Masking())


@pytest.mark.parametrize("kind", ["two_towers", "uniform"])
def test_how_masks_look_is_not_asked_where_nobody_sees_them(kind):
    settings = Electra(generator_kind=kind)
    for masking, words in (
        ({"mask_token_prob": 1.0}, "mask_token_prob with the generator"),
        ({"random_token_prob": 0.1, "random_special_tokens": True}, "random_token_prob, random_special_tokens with"),
    ):
        with pytest.raises(ConfigError, match=words):
            settings.check_new(Masking(**masking))
    settings.check_new(Masking(mask_prob=0.3, unit="word", count_special_tokens=True))
    assert settings.idle == ("Masking.mask_token_prob", "Masking.random_token_prob", "Masking.random_special_tokens")
    assert Electra().idle == ()


def test_masking_that_does_nothing_is_refused_in_a_new_run(quick_data, tmp_path):
    for masking, words in (
        (Masking(ascii_words=True), "ascii_words with a vocabulary of word pieces"),
        (Masking(by_coins=True, count_special_tokens=True), "count_special_tokens with by_coins"),
    ):
        with pytest.raises(ConfigError, match=words):
            pretrain(quick_data, tmp_path / "run", Electra("electra_tiny"), masking=masking, stream=io.StringIO())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "settings, optimizer, words",
    [
        (MaskedLM("electra_tiny"), AdamW(clip_apart=True), r"one part of weights \(encoder\)"),
        (Electra("electra_tiny"), AdamW(clip_apart=True, clip_norm=None), "clip_apart with clip_norm = None"),
    ],
    ids=["one part", "no clipping"],
)
def test_clipping_apart_what_is_not_clipped_or_is_one_part_is_refused(settings, optimizer, words, quick_data, tmp_path):
    recipe = Recipe(steps=2, batch_size=8, compiler="eager")
    schedule = Schedule(warmup_steps=0)
    with pytest.raises(ConfigError, match=words):
        pretrain(quick_data, tmp_path / "run", settings, recipe, optimizer=optimizer, schedule=schedule)
    assert not (tmp_path / "run/run.json").exists()


def test_what_no_new_run_should_have_is_refused_before_anything_is_written(quick_data, tmp_path):
    settings = Electra("electra_tiny", generator_kind="two_towers", judged="electric", temperature=2.0)
    with pytest.raises(ConfigError, match="temperature with judged = 'electric'"):
        pretrain(quick_data, tmp_path / "run", settings, Recipe(steps=2, batch_size=8), stream=io.StringIO())
    assert not (tmp_path / "run").exists()
