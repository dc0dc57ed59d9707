import io
import json

import numpy as np
import pytest

from electra_tf.conversion.run_directory import read_metrics
from electra_tf.errors import OutputError
from electra_tf.training.progress import (
    Display,
    MetricsLog,
    binned_area_under_curve,
    cut_back,
    duration,
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


def test_where_there_is_no_terminal_progress_is_plain_lines():
    stream = io.StringIO()
    display = Display(100, 0, stream)
    metrics = {"mlm_loss": 4.5, "disc_loss": 0.25, "disc_auc": 0.75, "replaced": 0.1}
    wall = {"tokens_per_second": 12345.0, "seconds_left": 4000, "peak_share": 0.5}
    display.advance(50)
    display.show(50, metrics, wall)
    display.close()
    text = stream.getvalue()
    assert text.count("\n") == 1
    for words in ("step 50/100", "mlm 4.500", "disc 0.2500", "auc 0.750", "replaced 10.0%", "12,345 tokens/s",
                  "50% of peak", "1 h 06 min left"):  # fmt: skip
        assert words in text


def test_on_a_terminal_progress_is_a_bar():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    display = Display(100, 0, stream)
    display.advance(100)
    display.say("a line that stays")
    display.close()
    assert "100/100" in stream.getvalue()
    assert "a line that stays" in stream.getvalue()


@pytest.mark.parametrize(
    "seconds, text",
    [(0.4, "0 s"), (59.6, "1 min 00 s"), (125, "2 min 05 s"), (7500, "2 h 05 min"), (260_000, "3.0 days")],
)
def test_durations_are_told_as_people_tell_them(seconds, text):
    assert duration(seconds) == text
