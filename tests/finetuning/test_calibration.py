"""Temperature against scipy's search for it; what it is for."""

import numpy as np
import pytest

from electra_tf.finetuning.calibration import calibration_of, fit_temperature
from electra_tf.finetuning.metrics import calibration_error
from electra_tf.finetuning.task import probabilities


def drawn(seed, sharpness, rows=2000, classes=4):
    """Logits, and labels drawn by the probabilities of the same logits divided by `sharpness`."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(rows, classes)) * 2
    shares = probabilities(logits)
    labels = np.array([random.choice(classes, p=row) for row in shares])
    return (logits * sharpness).astype("float32"), labels


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 2.5])
def test_the_temperature_is_the_one_that_scipy_finds(sharpness):
    optimize = pytest.importorskip("scipy.optimize")
    logits, labels = drawn(1, sharpness)

    def loss(temperature):
        shares = np.log(probabilities(logits / temperature))
        right, rest = (len(labels) + 1) / (len(labels) + 2), 1 / (len(labels) + 2) / (shares.shape[1] - 1)
        targets = np.full(shares.shape, rest)
        targets[np.arange(len(labels)), labels] = right
        return -(targets * shares).sum(-1).mean()

    found = optimize.minimize_scalar(loss, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-8}).x
    assert fit_temperature(logits, labels) == pytest.approx(found, rel=1e-4)
    assert found == pytest.approx(sharpness, rel=0.15)


def test_too_sure_a_model_is_less_sure_then_and_right_as_often():
    logits, labels = drawn(2, 3.0)
    found = calibration_of(logits, labels)
    assert found["before"] == calibration_error(probabilities(logits), labels)
    assert found["after"] < found["before"] / 3
    divided = logits / found["temperature"]
    np.testing.assert_array_equal(divided.argmax(-1), logits.argmax(-1))


@pytest.mark.parametrize("rows", [6, 30, 300])
def test_where_all_is_right_an_answer_is_as_sure_as_its_number_of_witnesses_allows(rows):
    """Laplace's rule of succession: (n + 1) / (n + 2), worked by hand."""
    logits = np.eye(3, dtype="float32")[[0, 1, 2] * (rows // 3)]
    shares = probabilities(logits / fit_temperature(logits, logits.argmax(-1)))
    assert shares.max() == pytest.approx((rows + 1) / (rows + 2), rel=1e-6)


def test_the_temperature_has_limits():
    logits = np.eye(2, dtype="float32")[[0, 1] * 20] * 1e-6
    assert fit_temperature(logits, logits.argmax(-1)) == pytest.approx(0.05)
    assert fit_temperature(logits * 1e8, 1 - logits.argmax(-1)) == pytest.approx(20)
