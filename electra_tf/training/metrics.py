"""What a run measures: sums on the devices, metrics made of them on the host, and the file they are kept in."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from electra_tf.checkpoints.metrics_jsonl import METRICS, metric_lines, said_of_lost
from electra_tf.errors import OutputError
from electra_tf.files import replaced

AUC_BINS = 200


class Ratio(NamedTuple):
    """A metric: one sum divided by another, or by 1 where that is less; per `steps` it is a mean over steps."""

    of: str
    per: str = "steps"


class Area(NamedTuple):
    """A metric: area under the ROC curve of counts in bins of rising score, those of the negatives first."""

    of: str


class Total(NamedTuple):
    """A metric: others multiplied and added up."""

    parts: Mapping[str, float]


class Sign(NamedTuple):
    """A sign of trouble; its warning is said once so many logged steps in a row show it, until it has gone."""

    seen: Callable[[Mapping[str, float]], bool]
    warning: str
    patience: int = 3


@dataclass(frozen=True)
class Readings:
    """What is measured, what it is called, how a line shows it, when it is bad, which curves are drawn.

    Attributes:
        sums: names and shapes of what an objective's `measure` returns.
        metrics: how each metric follows from them, in the order they are written; a `Total` after its parts.
        train_line, eval_line: format strings over the metrics.
        signs: of trouble; their warnings are format strings over the metrics and `step`.
        curves: (title, metrics drawn in one panel), the first of training and held-out text, the others of held-out.
    """

    sums: Mapping[str, tuple[int, ...]]
    metrics: Mapping[str, Ratio | Area | Total]
    train_line: str
    eval_line: str
    signs: tuple[Sign, ...] = ()
    curves: tuple[tuple[str, tuple[str, ...]], ...] = field(default=())


def metrics_of(rules: Mapping[str, Ratio | Area | Total], sums: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Metrics from sums of one or more steps, `steps` among them."""
    found = {}
    for name, rule in rules.items():
        if isinstance(rule, Ratio):
            found[name] = float(sums[rule.of]) / max(1.0, float(sums[rule.per]))
        elif isinstance(rule, Area):
            negative, positive = np.split(sums[rule.of], 2)
            found[name] = binned_area_under_curve(positive, negative)
    for name, rule in rules.items():
        if isinstance(rule, Total):
            found[name] = sum(weight * found[part] for part, weight in rule.parts.items())
    return {name: found[name] for name in rules}


def binned_area_under_curve(positive, negative) -> float:
    """Area under the ROC curve from counts of both classes in bins of rising score; ties count half."""
    positive, negative = np.float64(positive), np.float64(negative)
    below = np.cumsum(negative) - negative
    pairs = positive.sum() * negative.sum()
    return float(np.sum(positive * (below + negative / 2)) / pairs) if pairs else 0.5


def area_under_curve(labels, scores) -> float:
    """Exact area under the ROC curve; equal scores count half. 0.5 where a class is missing."""
    _, rank, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2
    labels = np.asarray(labels, bool)
    positive, negative = labels.sum(), (~labels).sum()
    if not positive or not negative:
        return 0.5
    return float((middle[rank][labels].sum() - positive * (positive + 1) / 2) / (positive * negative))


def first_not_finite(sums: Mapping[str, np.ndarray]) -> tuple[str, float] | None:
    """(name, value) of the first value that is not finite."""
    for name, value in sums.items():
        if not np.isfinite(value).all():
            return name, float(np.ravel(value)[~np.isfinite(np.ravel(value))][0])
    return None


def cut_back(path: Path, step: int, say: Callable[[str], None] = print) -> None:
    """Removes the lines of `metrics.jsonl` that lie beyond `step`, and those that cannot be read, which are said."""
    try:
        lines = list(metric_lines(path))
    except OSError as error:
        say(f"warning: {path} cannot be read: {error.strerror}")
        return
    kept = [(number, text) for number, text, line in lines if line is not None and line["step"] <= step]
    last = kept[-1][0] if kept else 0
    # A step beyond, before one within, is another's, with a digit changed.
    lost = [number for number, _, line in lines if line is None or (line["step"] > step and number < last)]
    if lost:
        say(said_of_lost(path, lost))
    content = "".join(f"{text}\n" for _, text in kept).encode()
    if path.exists() and path.read_bytes() != content:
        with replaced(path) as aside:
            aside.write_bytes(content)


class MetricsLog:
    """Appends to `metrics.jsonl`, and to TensorBoard's events. Wall-clock figures stand apart, under `wall`.

    Args:
        model_dir: the run directory. writes: false in all but one process of a cluster.
        say: is told, once, if there can be no events: nothing depends on them.
    """

    def __init__(self, model_dir: Path, writes: bool = True, say: Callable[[str], None] = print):
        self.path, self.events_dir, self.writes, self.say = model_dir / METRICS, model_dir / "events", writes, say
        self._writer, self._has_events = None, True

    def write(self, step: int, kind: str, metrics: dict, wall: dict) -> None:
        """One line: `kind` is `train` or `eval`. Raises: `OutputError`."""
        if not self.writes:
            return
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, "kind": kind, **metrics, "wall": wall}) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(
                f"the metrics cannot be written: {error.strerror}",
                where=self.path,
                remedy="free some space, or see that a file can be written there, and start the same command again: it "
                "goes on from the last checkpoint",
            ) from error
        if self._has_events:
            self._write_events(step, {f"{kind}/{name}": value for name, value in {**metrics, **wall}.items()})

    def _write_events(self, step, values):
        import tensorflow as tf

        try:
            self._writer = self._writer or tf.summary.create_file_writer(str(self.events_dir))
            with self._writer.as_default(step=step):
                for name, value in values.items():
                    tf.summary.scalar(name, value)
            self._writer.flush()
        except (tf.errors.OpError, OSError) as error:
            self._has_events = False
            reason = (str(error).splitlines() or [type(error).__name__])[0].rpartition("}} ")[2]
            self.say(f"warning: TensorBoard's events end here, and training goes on without them: {reason}")
