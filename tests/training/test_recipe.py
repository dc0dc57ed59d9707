"""The recipe of a run: settings that cannot be meant refused, and which of them may change later."""

from dataclasses import fields

import pytest

from electra_tf.errors import ConfigError
from electra_tf.training.recipe import FREE, Recipe


@pytest.mark.parametrize(
    "settings",
    [
        {"steps": 0},
        {"batch_size": 0},
        {"keep": 0},
        {"precision": "float16"},
        {"compiler": "fast"},
        {"optimizer": "sgd"},
        {"seed": -1},
        {"seed": 1 << 32},
    ],
    ids=str,
)
def test_settings_that_cannot_be_meant_are_refused_when_they_are_made(settings):
    with pytest.raises(ConfigError, match=next(iter(settings)).replace("compiler", "compiler choice")):
        Recipe(**settings)


def test_a_batch_must_divide_over_devices_and_micro_batches():
    Recipe(batch_size=24, micro_batches=3).check_rows(4)
    with pytest.raises(ConfigError, match=r"24 rows does not divide[\s\S]*multiple of 15"):
        Recipe(batch_size=24, micro_batches=3).check_rows(5)


def test_only_what_changes_nothing_computed_is_free():
    free = {field.name for field in fields(Recipe) if field.metadata.get("free")}
    assert free == {"eval_every", "keep", "milestone_every", "eval_examples", "eval_seed"}
    assert {f"Recipe.{name}" for name in free} == FREE
