"""What the loop relies on, of every objective alike."""

import functools
import os

import numpy as np
import pytest
import tensorflow as tf
from objective_cases import CASES, STEPS, batch, objective

from electra_tf.checkpoints.weight_names import model_tensors
from electra_tf.optimizers.adamw import AdamW
from electra_tf.optimizers.lamb import Lamb
from electra_tf.optimizers.schedules import Schedule
from electra_tf.training.metrics import metrics_of
from electra_tf.training.step import Step

SEED = [11, 22]
QUICK = ("electra", "alectra, layers shared", "electric", "falling", "albert")
LIKE_ELECTRA = ("gdes", "alectra", "shared generator", "uniform", "two towers", "electric", "frozen", "as published")
LIKE_ELECTRA += ("alectra, layers shared", "alectra, layers of its own")


@pytest.fixture(params=[name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CASES])
def case(request):
    return request.param


@functools.cache
def built(name):
    """Not to be changed."""
    return objective(name)


def rows_of(tensors, first, count):
    return tf.nest.map_structure(lambda x: x if x is None else x[first : first + count], tensors)


def tensors_of(drawn):
    return [tensor.numpy() for tensor in tf.nest.flatten(drawn) if tensor is not None]


def corruption_fixed(one, drawn):
    """The draw with its samples taken once, since a logit's rounding could change one."""
    if not hasattr(drawn, "corrupted"):
        return drawn
    _, outputs = one.loss(batch(), drawn, one.totals(batch(), drawn), training=False)
    return drawn._replace(corrupted=outputs.corrupted)


def test_losses_and_measures_of_parts_of_a_batch_add_up_to_those_of_the_whole(case):
    one, whole = built(case), batch()
    drawn = corruption_fixed(one, one.draw(whole, 0, 3))
    totals = one.totals(whole, drawn)
    loss, outputs = one.loss(whole, drawn, totals, training=False)
    parts, measured = [], []
    for first, count in ((0, 1), (1, 4), (5, 3)):
        some, taken = rows_of((whole, drawn), first, count)
        part, computed = one.loss(some, taken, totals, training=False)
        parts.append(float(part))
        measured.append(one.measure(some, taken, computed))
    assert sum(parts) == pytest.approx(float(loss), rel=2e-6)
    for name, value in one.measure(whole, drawn, outputs).items():
        np.testing.assert_allclose(sum(m[name].numpy() for m in measured), value, rtol=1e-5, atol=1e-5, err_msg=name)


def test_draws_are_functions_of_seed_and_step(case):
    one, whole = built(case), batch()
    first, again = (tensors_of(one.draw(whole, 5, step)) for step in (2, tf.constant(2, tf.int64)))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    for seed, step in ((5, 3), (6, 2)):
        other = tensors_of(one.draw(whole, seed, step))
        assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


# Those left to the slow tests draw as "electra" does.
@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in LIKE_ELECTRA else ()) for n in CASES])
def test_draws_have_the_row_first_and_are_the_same_in_a_graph_and_under_xla(name):
    one, whole = built(name), batch()
    drawn = tensors_of(one.draw(whole, 1, 4))
    assert {len(tensor) for tensor in drawn} == {len(whole["input_ids"])}
    for compiled in ({}, {"jit_compile": True}):
        function = tf.function(lambda step: one.draw(whole, 1, step), autograph=False, **compiled)
        for here, there in zip(drawn, tensors_of(function(tf.constant(4))), strict=True):
            np.testing.assert_array_equal(here, there)


def test_dropout_of_a_part_is_that_of_its_rows_in_the_whole(case):
    one, whole = built(case), batch()
    drawn = corruption_fixed(one, one.draw(whole, 0, 3))
    totals = one.totals(whole, drawn)

    def loss(first, count):
        some, taken = rows_of((whole, drawn), first, count)
        return float(one.loss(some, taken, totals, tf.constant([*SEED, first]), True)[0])

    assert loss(0, 3) + loss(3, 5) == pytest.approx(loss(0, 8), rel=2e-6)
    without = float(one.loss(whole, drawn, totals, training=False)[0])
    assert loss(0, 8) != pytest.approx(without, rel=1e-4)


def test_what_is_measured_has_the_shapes_that_are_told_and_gives_every_metric(case):
    one, whole = built(case), batch()
    drawn = one.draw(whole, 0, 3)
    loss, outputs = one.loss(whole, drawn, one.totals(whole, drawn), training=False)
    sums = {name: value.numpy() for name, value in one.measure(whole, drawn, outputs).items()}
    assert {name: value.shape for name, value in sums.items()} == dict(one.readings.sums)
    metrics = metrics_of(one.readings.metrics, {"steps": 1.0, **sums})
    assert metrics["loss"] == pytest.approx(float(loss), rel=1e-5)
    assert one.readings.train_line.format(**metrics)
    assert all(np.isfinite(value) for value in metrics.values())


def test_every_weight_gets_a_gradient_and_a_group(case):
    """But one that is not trained."""
    one, whole = built(case), batch()
    drawn = one.draw(whole, 0, 3)
    with tf.GradientTape() as tape:
        loss, _ = one.loss(whole, drawn, one.totals(whole, drawn), training=False)
    gradients = tape.gradient(loss, dict(one.weights))
    missing = {name for name, gradient in gradients.items() if gradient is None}
    assert missing == {name for name in one.weights if not one.group(name).rate}
    assert all(one.group(name).norm for name in one.weights)


def test_weights_have_the_names_of_the_tables_and_what_is_shared_stands_once(case):
    """A difference of shared tables alone (`gdes`) has none: it is written as a sum."""
    one = built(case)
    told = {}
    for tower, config in one.towers.items():
        told |= {t.ours: t.shape("ours") for t in model_tensors(vars(config), tower, one.heads[tower])}
    told = {name: shape for name, shape in told.items() if not name.startswith(tuple(one.shared))}
    found = {name.replace("/delta", "/embeddings"): tuple(weight.shape) for name, weight in one.weights.items()}
    assert found == told


def _run(name, compiler, micro_batches=1, optimizer=None, steps=3, peak=1e-2):
    one = objective(name)
    if hasattr(one.draw(batch(), 0, 0), "corrupted"):
        draw, ids = one.draw, batch()["input_ids"]
        one.draw = lambda batch, seed, step: draw(batch, seed, step)._replace(corrupted=tf.roll(ids, 1, axis=0))
    step = Step(one, optimizer or AdamW(), Schedule(peak=peak, warmup_steps=1), STEPS, 7, compiler, micro_batches)
    run = step if compiler == "eager" else tf.function(step, autograph=False)
    sums = [run(batch()) for _ in range(steps)]
    return [float(s["grad_norm"]) for s in sums], {name: weight.numpy() for name, weight in step.weights.items()}


# One of each kind of objective; all of them with EVERY_OBJECTIVE in the environment.
COMPILED = [*CASES] if os.environ.get("EVERY_OBJECTIVE") else ["electra", "electric", "albert"]
WAYS = {"islands": ("islands", 1), "xla": ("xla", 1), "4 micro-batches": ("graph", 4)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "way"),
    [(name, way) for name in COMPILED for way in WAYS if way == "xla" or name == "albert"],
)
def test_islands_one_program_and_micro_batches_go_where_a_graph_goes(name, way):
    norms, weights = _run(name, "graph")
    others, theirs = _run(name, *WAYS[way])
    np.testing.assert_allclose(others, norms, rtol=1e-4)
    for weight, array in weights.items():
        if not weight.endswith("qkv/bias"):  # a third of it has no true gradient: Adam moves it by rounding noise
            np.testing.assert_allclose(theirs[weight], array, atol=1e-4, err_msg=weight)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["electra", "albert", "electric"])
def test_after_twenty_steps_islands_are_where_the_plain_form_is(name):
    """To 1e-6 of all weights together, dropout on; without the biases whose true gradient is nothing.

    At the rate of a real run: at 1e-2 a rounding doubles with each step, in the plain form by itself too.
    """
    plain, fast = (
        np.concatenate([w.ravel() for weight, w in found.items() if not weight.endswith("qkv/bias")])
        for found in (_run(name, compiler, steps=STEPS, peak=1e-3)[1] for compiler in ("graph", "islands"))
    )
    assert np.linalg.norm(fast - plain) < 1e-6 * np.linalg.norm(plain)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILED)
def test_lamb_trains_it_joined_or_not(name):
    """Vectors are updated joined; each table and kernel has ratios of its own."""
    norms, weights = _run(name, "graph", optimizer=Lamb())
    others, theirs = _run(name, "islands", optimizer=Lamb())
    np.testing.assert_allclose(others, norms, rtol=1e-4)
    for weight, array in weights.items():
        if not weight.endswith("qkv/bias"):
            np.testing.assert_allclose(theirs[weight], array, atol=1e-4, err_msg=weight)
