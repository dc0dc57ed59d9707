"""Metrics of a run: areas against scikit-learn's, and the file of metrics cut to its checkpoint."""

import json
import math

import numpy as np
import pytest

from electra_tf.checkpoints.metrics_jsonl import read_metrics
from electra_tf.errors import OutputError
from electra_tf.training.metrics import (
    Area,
    MetricsLog,
    Ratio,
    Total,
    area_under_curve,
    binned_area_under_curve,
    cut_back,
    first_not_finite,
    metrics_of,
)


def test_the_area_under_the_curve_from_counts_is_scikit_learns_for_binned_scores():
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    labels = random.random(5000) < 0.1
    bins = np.clip((random.normal(labels, 1.2) + 3) * 25, 0, 199).astype(int)
    counts = [np.bincount(bins[labels == kind], minlength=200) for kind in (True, False)]
    assert binned_area_under_curve(*counts) == pytest.approx(metrics.roc_auc_score(labels, bins), abs=1e-12)


@pytest.mark.parametrize(
    "positive, negative, expected",
    [([0, 0, 5], [5, 0, 0], 1.0), ([5, 0], [0, 5], 0.0), ([3, 3], [3, 3], 0.5), ([0, 0], [4, 4], 0.5)],
    ids=["separated", "the wrong way round", "alike", "one class"],
)
def test_the_area_under_the_curve_at_its_corners(positive, negative, expected):
    assert binned_area_under_curve(positive, negative) == expected


def line(step):
    return json.dumps({"step": step, "kind": "train", "loss": 1 / step}) + "\n"


def test_lines_beyond_the_checkpoint_and_half_a_line_are_cut_off(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(line(10) + line(20) + line(30) + '{"step": 4')
    cut_back(path, 20)
    assert path.read_text() == line(10) + line(20)
    assert [found["step"] for found in read_metrics(path)] == [10, 20]


def test_half_a_line_within_the_checkpoint_is_cut_off_too(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(line(10) + line(20)[:-5])
    cut_back(path, 20)
    assert path.read_text() == line(10)


def test_without_a_file_there_is_nothing_to_cut_and_nothing_to_read(tmp_path):
    cut_back(tmp_path / "metrics.jsonl", 20)
    assert read_metrics(tmp_path / "metrics.jsonl") == []
    assert not list(tmp_path.iterdir())


def test_metrics_are_written_with_wall_clock_figures_apart_and_to_tensorboard(tmp_path):
    import tensorflow as tf

    MetricsLog(tmp_path).write(5, "train", {"loss": 2.5}, {"tokens_per_second": 100.0})
    (found,) = read_metrics(tmp_path / "metrics.jsonl")
    assert found == {"step": 5, "kind": "train", "loss": 2.5, "wall": {"tokens_per_second": 100.0}}
    (events,) = (tmp_path / "events").iterdir()
    tags = {
        value.tag: (event.step, float(tf.make_ndarray(value.tensor)))
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in event.summary.value
    }
    assert tags == {"train/loss": (5, 2.5), "train/tokens_per_second": (5, 100.0)}


def test_workers_that_do_not_write_leave_no_file(tmp_path):
    MetricsLog(tmp_path, writes=False).write(5, "train", {"loss": 2.5}, {})
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told_of(tmp_path):
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(OutputError, match="No space left"):
        MetricsLog(tmp_path).write(5, "train", {"loss": 2.5}, {})


@pytest.mark.parametrize(
    "damage", ["\n", "\0\0\0\n", "[]\n", "{\n", '{"step": 10}\n', "9" * 5000 + "\n", "[" * 10**5 + "\n"]
)
def test_lines_that_say_nothing_are_left_out_and_said(tmp_path, damage):
    path, said = tmp_path / "metrics.jsonl", []
    path.write_text("\ufeff" + line(10) + damage + line(20))
    assert [found["step"] for found in read_metrics(path)] == [10, 20]
    cut_back(path, 20, said.append)
    assert path.read_text() == line(10) + line(20)
    assert said == ([f"warning: {path} is damaged; lines left out: 2"] if damage != "\n" else [])


def test_a_step_with_a_changed_digit_takes_no_other_line_with_it(tmp_path):
    path, said = tmp_path / "metrics.jsonl", []
    path.write_text(line(10) + line(920) + line(30) + line(40))
    cut_back(path, 30, said.append)
    assert path.read_text() == line(10) + line(30)
    assert said == [f"warning: {path} is damaged; lines left out: 2"]


def test_a_log_that_is_whole_is_left_as_it_is(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(line(10) + line(20))
    before = path.stat().st_ino
    cut_back(path, 20)
    assert path.stat().st_ino == before


def test_a_disk_that_takes_no_events_is_said_once_and_no_reason_to_stop(tmp_path):
    (tmp_path / "events").write_text("a file")
    said = []
    log = MetricsLog(tmp_path, say=said.append)
    for step in (5, 10):
        log.write(step, "train", {"loss": 2.5}, {})
    assert [found["step"] for found in read_metrics(tmp_path / "metrics.jsonl")] == [5, 10]
    assert len(said) == 1 and "training goes on without them" in said[0]


@pytest.mark.parametrize("ties", [False, True])
def test_the_area_under_the_curve_is_scikit_learns(ties):
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    labels = random.random(3000) < 0.15
    scores = random.normal(labels, 1.0)
    scores = np.round(scores) if ties else scores
    assert area_under_curve(labels, scores) == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-12)


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1]])
def test_of_one_class_alone_the_area_is_a_half(labels):
    assert area_under_curve(labels, [0.1, 0.2, 0.3]) == 0.5


def test_metrics_are_ratios_areas_and_totals_of_sums():
    rules = {
        "loss": Total({"a": 2.0, "b": 10.0}),
        "a": Ratio("a"),
        "b": Ratio("b"),
        "right": Ratio("hits", "tokens"),
        "auc": Area("counts"),
    }
    sums = {"steps": 4.0, "a": 8.0, "b": 2.0, "hits": 30.0, "tokens": 40.0, "counts": np.array([3, 1, 1, 3])}
    found = metrics_of(rules, sums)
    assert list(found) == list(rules)
    expected = {"loss": 2 * 2 + 10 * 0.5, "a": 2.0, "b": 0.5, "right": 0.75, "auc": 0.75}
    assert found == pytest.approx(expected)


def test_a_ratio_of_nothing_is_0():
    assert metrics_of({"right": Ratio("hits", "tokens")}, {"steps": 1.0, "hits": 0.0, "tokens": 0.0}) == {"right": 0.0}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_first_value_that_is_not_finite_is_named(bad):
    assert first_not_finite({"a": np.array(1.0), "b": np.array([0.0, 2.0])}) is None
    name, value = first_not_finite({"a": np.array(1.0), "b": np.array([0.0, bad]), "c": np.array(bad)})
    assert name == "b"
    assert value == bad or (math.isnan(value) and math.isnan(bad))
