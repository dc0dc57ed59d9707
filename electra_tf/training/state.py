"""The state of a run: weights, both moments, the metric window, the step. Nothing else influences its future."""

import shutil
from pathlib import Path

import numpy as np

from electra_tf.checkpoints.run_checkpoints import (
    MOMENTS,
    VARIANCES,
    WEIGHTS,
    list_checkpoints,
    newest_intact,
    to_stderr,
    write_checkpoint,
)
from electra_tf.errors import CheckpointError, OutputError
from electra_tf.files import remove
from electra_tf.training.health import stop_not_finite
from electra_tf.training.kept_checkpoints import Kept
from electra_tf.training.loop import Trainer
from electra_tf.training.metrics import first_not_finite

WINDOW = "window/"


class State:
    """Saves and restores what `trainer` holds.

    Args:
        model_dir: the run directory.
        trainer: its variables are the state.
        facts: JSON values stored with every checkpoint (seed and what the bits depend on).
        kept: which checkpoints stay.
        writes: false in all but one process of a cluster.
    """

    def __init__(self, model_dir, trainer: Trainer, facts: dict, kept: Kept, writes=True):
        self.model_dir, self.facts, self.kept, self.writes = Path(model_dir), facts, kept, writes
        step = trainer.step
        self.step = step.finished
        self.variables = {}
        for prefix, group in ((WEIGHTS, step.weights), (MOMENTS, step.m), (VARIANCES, step.v)):
            self.variables |= {prefix + name: variable for name, variable in group.items()}
        self.variables |= {WINDOW + name: variable for name, variable in trainer.window.items()}
        self.bytes = sum(4 * int(np.prod(v.shape)) for v in self.variables.values())
        self.saved_step = None

    def check_space(self) -> None:
        """Raises `OutputError` unless two checkpoints fit on the disk: a new one is written before one is removed."""
        self.model_dir.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.model_dir).free
        if free < 2 * self.bytes:
            raise OutputError(
                f"{free / 1e9:.2f} GB are free",
                where=self.model_dir,
                expected=f"room for two checkpoints of {self.bytes / 1e9:.2f} GB",
                remedy="free some space, or choose another --model_dir",
            )

    def save(self) -> None:
        """Writes a checkpoint of the current step, if there is none, and removes those no longer kept.

        Raises: `TrainingError` where a value is not finite, so that every checkpoint is a good one; `OutputError` where
        the disk is full.
        """
        step = int(self.step.numpy())
        if self.saved_step == step or not self.writes:
            return
        tensors = {name: variable.numpy() for name, variable in self.variables.items()}
        if bad := first_not_finite(tensors):
            stop_not_finite(*bad, step, self.newest())
        write_checkpoint(self.model_dir, step, tensors, self.facts)
        self.saved_step = step
        self.kept.remove_others(self.model_dir, step)

    def newest(self) -> Path | None:
        """The folder of the checkpoint that was written or restored last, which is whole; in a process that writes none
        of the newest.
        """
        checkpoints = dict(list_checkpoints(self.model_dir))
        return checkpoints.get(self.saved_step if self.writes else max(checkpoints, default=None))

    def restore(self, say=to_stderr) -> dict | None:
        """Restores the newest intact checkpoint; returns its index, or None where there is none.

        Raises: `CheckpointError` when its names or shapes are not this model's, naming all of them.
        """
        for leftover in (self.model_dir / "checkpoints").glob("writing-step-*"):
            if self.writes:
                remove(leftover)
        newest = newest_intact(self.model_dir, say)
        if newest is None:
            return None
        index, tensors = newest
        problems = [f"missing     {name}" for name in sorted(self.variables.keys() - tensors.keys())]
        problems += [f"unexpected  {name}" for name in sorted(tensors.keys() - self.variables.keys())]
        problems += [
            f"shape       {name} is {list(tensors[name].shape)}, the model's {list(variable.shape)}"
            for name, variable in sorted(self.variables.items())
            if name in tensors and tuple(tensors[name].shape) != tuple(variable.shape)
        ]
        if problems:
            raise CheckpointError(
                "the checkpoint is of another model:\n    " + "\n    ".join(problems[:20]),
                where=self.model_dir,
                expected="the weights of the model that the recipe describes",
                remedy="resume with the recipe that the run was started with, or use another --model_dir",
            )
        for name, variable in self.variables.items():
            variable.assign(tensors[name])
        self.step.assign(index["step"])
        self.saved_step = index["step"]
        if self.writes and list_checkpoints(self.model_dir)[-1][0] == self.saved_step:
            self.kept.remove_others(self.model_dir, self.saved_step)  # a kill may have come between a save and this
        return index
