"""Settings that no run can have are refused before it begins, wherever they come from."""

import pytest

from electra_tf.cli.gin_files import configured
from electra_tf.errors import ConfigError
from electra_tf.pretraining.run import settings_of
from electra_tf.training.recipe import Recipe

IMPOSSIBLE = [
    "Recipe.eval_every = -1",
    "Recipe.eval_seed = -1",
    "Recipe.eval_examples = -5",
    "Recipe.milestone_every = -1",
    f"Recipe.eval_examples = {10**30}",
    f"Recipe.steps = {'9' * 400}",
    f"Recipe.steps = {2**63}",
    f"Schedule.warmup_steps = {'9' * 400}",
    "Schedule.peak = 1e999",
    "Schedule.power = 1e999",
    "AdamW.epsilon = 1e999",
    "AdamW.weight_decay = 1e999",
    "Masking.mask_prob = 1e999",
    "Masking.max_predictions = 129",
    "Electra.mlm_weight = 1e999",
    "Electra.disc_weight = -1.0",
    "Electra.temperature = 1e999",
    "Electra.generator_width = 1e999",
    "Electra.generator_depth = 1e999",
    "Electra.discriminator = {'vocab_size': 5}",
    "Electra.discriminator = {'type_vocab_size': 1}",
    "Electra.discriminator = {'layer_norm_eps': 'x'}",
    "Electra.discriminator = {'layer_norm_eps': None}",
    "Electra.discriminator = {'initializer_range': None}",
    "Electra.discriminator = {'hidden_dropout_prob': 'x'}",
    "Electra.discriminator = {1: 2}",
]


@pytest.mark.parametrize("param", IMPOSSIBLE, ids=lambda param: param[:40])
def test_a_setting_that_no_run_can_have_is_refused(param):
    """Each by its name; at the latest where data of 8,000 tokens and rows of 128 are known."""
    name = param.split(" = ")[0].split(".")[1]
    names = "encoder field 1|vocab_size|layer_norm_eps|initializer_range|hidden_dropout" if "{" in param else name
    with pytest.raises(ConfigError, match=names):
        (_, model, masking, *_), _ = configured(Recipe, settings_of, [], [param])
        model.towers(8000)
        masking.predictions(128)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), 2**53, -(2**53)])
def test_numbers_of_a_program_are_checked_too(value):
    with pytest.raises(ConfigError, match=r"a finite number|a number below"):
        Recipe(steps=value)
