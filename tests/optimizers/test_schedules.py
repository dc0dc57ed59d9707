"""Schedules of the learning rate: reference tables, those of others, settings that cannot be meant refused."""

import numpy as np
import pytest
import tensorflow as tf

from electra_tf.errors import ConfigError
from electra_tf.optimizers.schedules import Schedule


def rates(schedule, steps, of=1_000_000):
    return [float(schedule.rate(tf.constant(step, tf.int64), of)) for step in steps]


STEPS = (0, 1, 5000, 9999, 10000, 500000)


@pytest.mark.parametrize(
    "kind, expected",
    [
        ("product", [0, 4.999995e-8, 2.4875e-4, 4.949510e-4, 4.95e-4, 2.5e-4]),
        ("linear", [0, 5e-8, 2.5e-4, 4.9995e-4, 5e-4, 2.5252525e-4]),
    ],
)
def test_schedules_give_the_reference_table(kind, expected):
    assert np.allclose(rates(Schedule(kind, 5e-4, 10_000), STEPS), expected, rtol=1e-6)


def test_linear_gives_alectras_published_rates():
    schedule = Schedule("linear", 2e-3, 40_000)
    expected = [0, 1e-3, 1.99995e-3, 2e-3, 1.0869565e-3, 0]
    assert np.allclose(rates(schedule, (0, 20_000, 39_999, 40_000, 250_000, 500_000), 500_000), expected, rtol=1e-6)


def test_linear_is_hugging_faces():
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    theirs = transformers.get_linear_schedule_with_warmup(optimizer, 7, 40)
    expected = [0.1 * theirs.lr_lambdas[0](step) for step in range(45)]
    assert np.allclose(rates(Schedule("linear", 0.1, 7), range(45), 40), expected, atol=1e-8)


def test_product_is_googles_also_beyond_its_end_and_with_a_power():
    assert np.allclose(
        rates(Schedule("product", 1.0, 10), (0, 1, 9, 10, 11, 100, 200), 100),
        [0, 0.099, 0.819, 0.9, 0.89, 0, 0],
        atol=1e-7,
    )
    schedule = Schedule("product", 1.0, 10, power=0.5, end=0.2)
    assert np.allclose(
        rates(schedule, (5, 36, 100), 100), [(0.8 * 0.95**0.5 + 0.2) / 2, 0.8 * 0.8 + 0.2, 0.2], atol=1e-6
    )


def test_warmup_stable_decay_rises_stays_and_falls_by_one_minus_the_root():
    schedule = Schedule("warmup_stable_decay", 1.0, 10, end=0.1, decay_steps=16)
    expected = [0, 0.5, 1, 1, 1, 0.9 * 0.5 + 0.1, 0.1, 0.1]
    assert np.allclose(rates(schedule, (0, 5, 10, 50, 84, 88, 100, 120), 100), expected, atol=1e-6)


def test_the_decay_is_a_tenth_of_the_run_unless_given():
    schedule = Schedule("warmup_stable_decay", 1.0, 10)
    assert schedule.decay(1000) == 100
    assert rates(schedule, (900, 925, 1000), 1000) == pytest.approx([1.0, 0.5, 0.0], abs=1e-6)


@pytest.mark.parametrize("kind", ["product", "linear", "switch", "warmup_stable_decay"])
def test_without_warmup_the_first_rate_is_the_highest_and_no_rate_is_nan(kind):
    found = rates(Schedule(kind, 0.5, 0), range(12), 10)
    assert found[0] == 0.5
    assert np.isfinite(found).all()
    assert max(found) == 0.5


def test_only_a_stable_phase_can_be_extended_without_changing_what_was():
    schedule = Schedule("warmup_stable_decay", 1.0, 10, decay_steps=20)
    assert schedule.extensible(80, 100) and not schedule.extensible(81, 100)
    assert rates(schedule, range(80), 200) == rates(schedule, range(80), 100)
    assert not Schedule("product").extensible(0, 100)
    assert not Schedule("linear").extensible(0, 100)


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "cosine"},
        {"peak": 0.0},
        {"power": 0.0},
        {"warmup_steps": -1},
        {"end": -1e-5},
        {"kind": "linear", "decay_steps": 5},
        {"kind": "warmup_stable_decay", "decay_steps": -5},
        {"kind": "warmup_stable_decay", "power": 2.0},
    ],
    ids=str,
)
def test_settings_that_cannot_be_meant_are_refused(settings):
    with pytest.raises(ConfigError):
        Schedule(**settings)


def test_a_run_without_room_for_warmup_and_decay_is_refused():
    schedule = Schedule("warmup_stable_decay", warmup_steps=80, decay_steps=30)
    schedule.check(110)
    with pytest.raises(ConfigError, match="80 warm-up and 30 decay steps exceed 100 steps"):
        schedule.check(100)


def test_switch_is_alberts_a_warmup_that_ends_above_the_decay():
    """Up to near the peak, then at once onto a decay that was counted from the first step."""
    found = rates(Schedule("switch", 1.0, 10, power=2.0), (0, 5, 9, 10, 11, 50, 100, 120), 100)
    assert np.allclose(found, [0, 0.5, 0.9, 0.81, 0.89**2, 0.25, 0, 0], atol=1e-6)


def test_linear_with_a_power_is_nvidias():
    """(1 - (t - W) / (T - W)) ** 0.5 after the warm-up."""
    found = rates(Schedule("linear", 6e-3, 2000, power=0.5), (1000, 2000, 6000, 10_000), 10_000)
    assert np.allclose(found, [3e-3, 6e-3, 6e-3 * 0.5**0.5, 0], atol=1e-9)


def test_linear_can_end_above_0():
    found = rates(Schedule("linear", 1.0, 0, end=0.1), (0, 50, 100, 200), 100)
    assert np.allclose(found, [1.0, 0.55, 0.1, 0.1], atol=1e-6)
