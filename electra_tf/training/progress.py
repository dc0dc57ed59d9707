"""Metrics from sums, and where they go: metrics.jsonl, TensorBoard, the terminal."""

import json
import os
import sys
from pathlib import Path

import numpy as np

from electra_tf.conversion.run_directory import METRICS
from electra_tf.errors import OutputError


def binned_area_under_curve(positive, negative) -> float:
    """Area under the ROC curve from counts of both classes in bins of rising score; ties count half."""
    positive, negative = np.float64(positive), np.float64(negative)
    below = np.cumsum(negative) - negative
    pairs = positive.sum() * negative.sum()
    return float(np.sum(positive * (below + negative / 2)) / pairs) if pairs else 0.5


def training_metrics(window: dict, config) -> dict[str, float]:
    """Means over the steps of a window, from the sums that `electra.measure` and `Step.norms` report.

    Losses are means over masked positions and over real tokens; `disc_auc` is of the discriminator's logits in 200
    bins; `replaced` is the share of real tokens that are replaced.
    """
    sums = {name: float(value) for name, value in window.items() if np.ndim(value) == 0}
    steps = sums["steps"]
    negative, positive = np.split(window["disc_counts"], 2)
    mlm, disc = sums["mlm_loss"] / steps, sums["disc_loss"] / steps
    return {
        "loss": config.mlm_weight * mlm + config.disc_weight * disc,
        "mlm_loss": mlm,
        "disc_loss": disc,
        "mlm_accuracy": sums["mlm_hits"] / max(1.0, sums["masked"]),
        "sampled_accuracy": sums["sampled_hits"] / max(1.0, sums["masked"]),
        "disc_accuracy": sums["disc_hits"] / max(1.0, sums["tokens"]),
        "disc_auc": binned_area_under_curve(positive, negative),
        "replaced": sums["replaced"] / max(1.0, sums["tokens"]),
        "grad_norm": sums["grad_norm"] / steps,
        "generator_grad_norm": sums["generator_grad_norm"] / steps,
        "discriminator_grad_norm": sums["discriminator_grad_norm"] / steps,
    }


def cut_back(path: Path, step: int) -> None:
    """Removes the lines of `metrics.jsonl` that lie beyond `step`, and one that was cut off while written."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if not line.endswith("\n") or json.loads(line)["step"] > step:
            break
        kept.append(line)
    aside = path.with_name(f"{path.name}.new")
    with open(aside, "w", encoding="utf-8") as file:
        file.writelines(kept)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


class MetricsLog:
    """Appends to `metrics.jsonl`, and to TensorBoard's events. Wall-clock figures stand apart, under `wall`."""

    def __init__(self, model_dir: Path, writes: bool = True):
        self.path, self.events_dir, self.writes = model_dir / METRICS, model_dir / "events", writes
        self._writer = None

    def write(self, step: int, kind: str, metrics: dict, wall: dict) -> None:
        """One line: `kind` is `train` or `eval`."""
        if not self.writes:
            return
        import tensorflow as tf

        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, "kind": kind, **metrics, "wall": wall}) + "\n")
        except OSError as error:
            raise OutputError(
                f"the metrics cannot be written: {error.strerror}",
                where=self.path,
                remedy="free some space and start the same command again: it goes on from the last checkpoint",
            ) from error
        self._writer = self._writer or tf.summary.create_file_writer(str(self.events_dir))
        with self._writer.as_default(step=step):
            for name, value in {**metrics, **wall}.items():
                tf.summary.scalar(f"{kind}/{name}", value)
        self._writer.flush()


class Display:
    """A bar on a terminal, plain lines elsewhere, both on standard error."""

    def __init__(self, steps: int, first_step: int, stream=None):
        self.stream = stream or sys.stderr
        self.bar = None
        if self.stream.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=steps, initial=first_step, unit="step", file=self.stream, dynamic_ncols=True)
        self.steps = steps

    def say(self, text: str) -> None:
        """A line that stays."""
        if self.bar is not None:
            self.bar.write(text, file=self.stream)
        else:
            print(text, file=self.stream, flush=True)

    def advance(self, step: int) -> None:
        if self.bar is not None:
            self.bar.update(step - self.bar.n)

    def show(self, step: int, metrics: dict, wall: dict) -> None:
        """The state of training at a logged step."""
        text = (
            f"mlm {metrics['mlm_loss']:.3f}  disc {metrics['disc_loss']:.4f}  auc {metrics['disc_auc']:.3f}  "
            f"replaced {metrics['replaced']:.1%}  {wall['tokens_per_second']:,.0f} tokens/s"
        )
        if wall.get("peak_share"):
            text += f" ({wall['peak_share']:.0%} of peak)"
        if self.bar is not None:
            self.bar.set_postfix_str(text)
        else:
            self.say(f"step {step:,}/{self.steps:,}  {text}  {duration(wall['seconds_left'])} left")

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def duration(seconds: float) -> str:
    """Such as `2 h 05 min` or `48 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours / 24:.1f} days"
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
