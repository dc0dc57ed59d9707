"""Signs of collapse are warned of, and a value that is not finite stops the run."""

import math

import pytest

from electra_tf.errors import TrainingError
from electra_tf.pretraining.metrics import detection_readings
from electra_tf.pretraining.settings import Electra
from electra_tf.training.health import Health, stop_not_finite

VOCABULARY = 8000
READINGS = detection_readings("mlm_loss", Electra(), VOCABULARY, learns=True)
GOOD = {"disc_auc": 0.8, "sampled_accuracy": 0.3, "mlm_loss": 4.0, "grad_norm": 1.0}
SIGNS = {
    "no better than chance": {"disc_auc": 0.5},
    "leaves the discriminator little to find": {"sampled_accuracy": 0.8},
    "that of a uniform guess": {"mlm_loss": math.log(VOCABULARY)},
}


def health_of(warmup_steps):
    return Health(warmup_steps, READINGS.signs)


def looks(health, *metrics, first=1000):
    """The warnings of each look, 100 steps apart."""
    return [health.look(first + 100 * i, GOOD | change) for i, change in enumerate(metrics)]


@pytest.mark.parametrize("words", SIGNS)
def test_a_sign_of_collapse_that_holds_gives_a_warning_with_advice(words):
    before, between, warned = looks(health_of(100), *[SIGNS[words]] * 3)
    assert (before, between) == ([], [])
    assert len(warned) == 1
    assert words in warned[0]
    assert "step 1200" in warned[0]
    assert any(advice in warned[0] for advice in ("Lower the learning rate", "smaller generator", "Check that data"))


@pytest.mark.parametrize("words", SIGNS)
def test_a_warning_is_given_once_until_its_cause_has_gone(words):
    bad = SIGNS[words]
    found = looks(health_of(100), *[bad] * 6, {}, *[bad] * 3)
    assert [len(warnings) for warnings in found] == [0, 0, 1, 0, 0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("words", SIGNS)
def test_a_sign_that_comes_and_goes_gives_none(words):
    assert not any(looks(health_of(100), *[SIGNS[words], SIGNS[words], {}] * 4))


@pytest.mark.parametrize("words", SIGNS)
def test_nothing_is_judged_before_five_times_the_warmup(words):
    health = health_of(1000)
    assert not any(looks(health, *[SIGNS[words]] * 40))
    assert [len(found) for found in looks(health, *[SIGNS[words]] * 3, first=5000)] == [0, 0, 1]


def test_a_gradient_far_above_the_usual_gives_a_warning_at_once():
    found = looks(health_of(0), *[{}] * 10, {"grad_norm": 150.0})
    assert not any(found[:-1])
    assert "over 100 times the usual 1" in found[-1][0]


def test_a_gradient_that_is_large_at_the_start_gives_none():
    assert not any(looks(health_of(0), {"grad_norm": 1000.0}, {}, {"grad_norm": 500.0}))


def test_a_healthy_run_gives_no_warning():
    assert not any(looks(health_of(0), *[{"grad_norm": 1 + 0.5 * (i % 3)} for i in range(100)]))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_stops_the_run_naming_it_and_the_last_good_checkpoint(value):
    with pytest.raises(TrainingError) as error:
        stop_not_finite("disc_loss", value, 17, "runs/x/checkpoints/step-00000010")
    assert f"disc_loss is {value} at step 17" in str(error.value)
    assert "step-00000010" in error.value.remedy
