from dataclasses import asdict, fields

import pytest

from electra_tf.errors import ConfigError
from electra_tf.models.presets import PRESETS
from electra_tf.training.recipe import Model, Recipe, differences


def test_a_preset_gives_both_towers_with_the_datas_vocabulary():
    config = Model("electra_small").electra_config(12345)
    assert config.discriminator == PRESETS["electra_small"].encoder.replace(vocab_size=12345)
    assert config.generator == PRESETS["electra_small"].generator.replace(vocab_size=12345)


def test_a_changed_discriminator_changes_its_generator_with_it():
    config = Model("electra_small", discriminator={"hidden_size": 512, "num_attention_heads": 8}).electra_config(100)
    assert (config.generator.hidden_size, config.generator.num_attention_heads) == (128, 2)


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
    generator = Model("electra_small", **shares).electra_config(100).generator
    assert (generator.hidden_size, generator.num_hidden_layers) == (hidden, layers)


def test_without_sharing_the_generators_embeddings_are_as_wide_as_it_is_unless_said_otherwise():
    assert Model(embedding_sharing="none").electra_config(100).generator.embedding_size == 64
    kept = Model(embedding_sharing="none", generator={"embedding_size": 128}).electra_config(100)
    assert kept.generator.embedding_size == 128


def test_dropout_and_positions_of_the_discriminator_hold_for_the_generator():
    changes = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.2, "max_position_embeddings": 64}
    generator = Model(discriminator=changes).electra_config(100).generator
    assert {name: getattr(generator, name) for name in changes} == changes


def test_albert_presets_without_a_generator_get_one_of_a_quarter_of_the_width():
    generator = Model("albert_base_v2").electra_config(100).generator
    assert (generator.model_type, generator.hidden_size, generator.num_hidden_groups) == ("albert", 192, 1)


def test_a_field_that_encoders_do_not_have_is_refused():
    with pytest.raises(ConfigError, match="hidden_sizes"):
        Model(discriminator={"hidden_sizes": 3}).electra_config(100)


def test_settings_of_the_method_and_of_compat_arrive():
    config = Model(mask_prob=0.25, temperature=0.5, draw_with_replacement=True).electra_config(100)
    assert (config.mask_prob, config.temperature) == (0.25, 0.5)
    assert asdict(config.compat) == {
        "draw_with_replacement": True,
        "count_special_tokens": False,
        "normalise_per_replica": False,
    }


def test_settings_of_optimizer_and_schedule_arrive():
    recipe = Recipe(steps=50, learning_rate=0.1, schedule="linear", warmup_steps=5, beta_2=0.98, bias_correction=True)
    rule, schedule = recipe.optimizer(), recipe.learning_rates()
    assert (rule.beta_2, rule.bias_correction, rule.clip_norm) == (0.98, True, 1.0)
    assert (schedule.kind, schedule.peak, schedule.steps, schedule.warmup_steps) == ("linear", 0.1, 50, 5)


@pytest.mark.parametrize(
    "settings",
    [
        {"steps": 0},
        {"batch_size": 0},
        {"keep": 0},
        {"precision": "float16"},
        {"compiler": "fast"},
        {"seed": -1},
        {"seed": 1 << 32},
        {"learning_rate": 0.0},
        {"schedule": "cosine"},
        {"beta_1": 1.5},
    ],
    ids=str,
)
def test_settings_that_cannot_be_meant_are_refused_when_they_are_made(settings):
    with pytest.raises(ConfigError):
        Recipe(**settings)


def test_a_batch_must_divide_over_devices_and_micro_batches():
    Recipe(batch_size=24, micro_batches=3).check_rows(4)
    with pytest.raises(ConfigError, match=r"24 rows does not divide[\s\S]*multiple of 15"):
        Recipe(batch_size=24, micro_batches=3).check_rows(5)


def test_only_what_changes_nothing_computed_is_free():
    free = {field.name for field in fields(Recipe) if field.metadata.get("free")}
    assert free == {"eval_every", "keep", "milestone_every", "eval_examples", "eval_seed"}


def test_differences_are_those_of_the_trajectory():
    before, now = asdict(Recipe()), asdict(Recipe(keep=3, batch_size=64, learning_rate=1e-4))
    assert differences(before, now) == {"batch_size": (128, 64), "learning_rate": (5e-4, 1e-4)}
