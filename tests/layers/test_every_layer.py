"""What every layer and model must do: be rebuilt from its config, be saved, run in mixed precision, on any backend."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from layer_cases import CASES, filled
from on_backend import results

import electra_tf

HERE = Path(__file__).resolve().parent
QUICK = ("Encoder, ELECTRA", "ReplacedTokenDetector")  # which hold the others
every_case = pytest.mark.parametrize("name", CASES)


@every_case
def test_a_layer_is_rebuilt_from_its_config(name):
    layer = CASES[name].make()
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert [w.shape for w in again.weights] == [w.shape for w in layer.weights]
    assert np.array_equal(filled(again)(*CASES[name].inputs), filled(layer)(*CASES[name].inputs))


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in CASES])
def test_a_model_that_holds_it_is_saved_and_loaded(name, tmp_path):
    layer, arrays = filled(CASES[name].make()), CASES[name].inputs
    inputs = [keras.Input(array.shape[1:], dtype=array.dtype) for array in arrays]
    model = keras.Model(inputs, layer(*inputs))
    model.save(tmp_path / "model.keras")
    loaded = electra_tf.load_model(tmp_path / "model.keras")
    assert np.array_equal(loaded(list(arrays)), model(list(arrays)))


@every_case
def test_mixed_precision_keeps_float32_weights_and_nearly_the_same_numbers(name):
    case = CASES[name]
    mixed, full = filled(case.make(dtype="mixed_bfloat16")), filled(case.make())
    assert {w.dtype for w in mixed.trainable_variables} <= {"float32"}
    got, expected = mixed(*case.inputs), np.asarray(full(*case.inputs))
    scores = name.startswith(("MaskedL", "Replaced"))
    assert keras.backend.standardize_dtype(got.dtype) == ("float32" if scores else "bfloat16")
    assert np.abs(np.asarray(got, "float32") - expected).max() < 0.05 * max(1, np.abs(expected).max())


@pytest.fixture(scope="module", autouse=True)
def processes(tmp_path_factory):
    """A process for each other backend: (process, file it writes), started before this module's first test."""
    started = {}
    for name in ("jax", "torch"):
        path = tmp_path_factory.mktemp(name) / "results.npz"
        environment = {**os.environ, "KERAS_BACKEND": name, "PYTHONPATH": f"{HERE.parents[1]}:{HERE}"}
        command = [sys.executable, HERE / "on_backend.py", path]
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        started[name] = process, path
    yield started
    for process, _ in started.values():
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.fixture(scope="module")
def here():
    return results()


@pytest.mark.parametrize("backend", [pytest.param("jax", marks=pytest.mark.slow), "torch"])
def test_other_backends_compute_the_same_to_1e_5_and_load_no_tensorflow(here, processes, backend):
    pytest.importorskip(backend)
    process, path = processes[backend]
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    with np.load(path) as file:
        elsewhere = dict(file)
    assert not elsewhere.pop("tensorflow_is_loaded")
    assert elsewhere.keys() == here.keys()
    bits = {name: (elsewhere.pop(name), here[name]) for name in ("bits", "dropped")}
    for name, (theirs, ours) in bits.items():
        assert np.array_equal(theirs, ours), name
    for name, theirs in elsewhere.items():
        assert np.abs(theirs - here[name]).max() < 1e-5, name
