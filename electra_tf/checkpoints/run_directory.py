"""A run as one model: the weights of its chosen checkpoint, and what its directory says that they mean.

MODEL_DIR/
  run.json                       what is trained: all settings, towers, what they share, data; a checksum of all this
  metrics.jsonl                  training and held-out metrics, a JSON object a line
  tokenizer/                     the vocabulary and its settings
  checkpoints/step-00001000/     see `run_checkpoints`
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from electra_tf.checkpoints.metrics_jsonl import METRICS, read_metrics
from electra_tf.checkpoints.run_checkpoints import (
    AVERAGE,
    INDEX,
    MOMENTS,
    VARIANCES,
    WEIGHTS,
    best_steps,
    newest_intact,
    selected_checkpoint,
)
from electra_tf.checkpoints.run_json import OUTCOME, RUN, TOKENIZER, read_description
from electra_tf.checkpoints.sealed_json import read_sealed
from electra_tf.checkpoints.shared_tables import sum_of, sum_tables
from electra_tf.errors import CheckpointError
from electra_tf.models.config import EncoderConfig

CALIBRATION = "calibration.json"  # of a run of fine-tuning: by what its logits are divided


@dataclass
class Run:
    """A run as it stands in its newest intact checkpoint; both slots of the optimizer by the names of their weights.

    Tables of one tower that are differences from another's (`gdes`) come as sums, as of towers that share nothing; a
    difference's slots are those of its sum.

    Attributes:
        towers: encoders by the prefix of their weights. heads: of each tower, as the name tables call them.
        shared: what a tower has from another, prefix by prefix.
        run: the description in `run.json`, as of format 2.
    """

    step: int
    weights: dict[str, np.ndarray]
    slots_m: dict[str, np.ndarray]
    slots_v: dict[str, np.ndarray]
    towers: dict[str, EncoderConfig]
    heads: dict[str, tuple[str, ...]]
    shared: dict[str, str]
    tokenizer: Path
    run: dict = field(default_factory=dict)


def read_run(path) -> Run:
    """The run in `path` as its newest intact checkpoint has it, or the best one where it selects; `CheckpointError`
    where it is no run."""
    path = Path(path)
    run = read_description(path)
    _check_answers(path, run)
    newest = (run.get("select") and selected_checkpoint(path, run)) or newest_intact(path)
    if newest is None:
        raise CheckpointError(
            "the run has no checkpoint",
            where=path,
            expected="a run that has saved one",
            remedy="let it train for longer",
        )
    index, tensors = newest
    groups = [
        {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        for prefix in (WEIGHTS, MOMENTS, VARIANCES)
    ]
    return Run(
        step=index["step"],
        weights=sum_tables(groups[0]),
        slots_m=_by_sum(groups[1]),
        slots_v=_by_sum(groups[2]),
        towers={tower: EncoderConfig.from_dict(fields, path / RUN) for tower, fields in run["towers"].items()},
        heads={tower: tuple(heads) for tower, heads in run["heads"].items()},
        shared=run["shared"],
        tokenizer=path / TOKENIZER,
        run=run,
    )


def files_of_answers(model_dir) -> dict[str, str]:
    """The SHA-256 of each file that, beside a checkpoint, decides what a run of fine-tuning answers."""
    names = (CALIBRATION, f"{AVERAGE}.json", f"{AVERAGE}/{INDEX}")
    paths = {name: Path(model_dir) / name for name in names}
    return {name: hashlib.sha256(p.read_bytes()).hexdigest() for name, p in paths.items() if p.is_file()}


def lost_answers(model_dir, run: dict) -> dict[str, str]:
    """What became of the files that a finished run had, by their names: "was changed", or "is not there".

    Args:
        run: its description. One from before these were listed tells nothing.
    """
    listed, found = run.get(OUTCOME, {}).get("files", {}), files_of_answers(model_dir)
    return {
        name: "was changed" if name in found else "is not there"
        for name, digest in listed.items()
        if found.get(name) != digest
    }


def _check_answers(model_dir, run):
    if lost := lost_answers(model_dir, run):
        raise CheckpointError(
            "; ".join(f"{name}: it {how}" for name, how in lost.items()),
            where=", ".join(str(Path(model_dir) / name) for name in lost),
            expected="what was there when the run had ended, since it decides what the run answers",
            remedy="restore it from a copy; or remove what was changed, and type the command that trained the model "
            "once more: it trains no longer, and makes it again",
        )


def kept_scores(model_dir) -> dict[str, float]:
    """Of the dev rows, by the checkpoint or the average that a run of fine-tuning is read as; nothing without one.

    Raises: `CheckpointError` where `run.json` or `average.json` cannot be read, or was changed.
    """
    if outcome := read_description(model_dir).get(OUTCOME):
        return outcome["dev"]
    verdict = Path(model_dir) / f"{AVERAGE}.json"
    if (Path(model_dir) / AVERAGE).is_dir() and verdict.is_file():
        return read_sealed(verdict)["dev"]
    best = best_steps(model_dir, read_description(model_dir)["select"])
    lines = (line for line in read_metrics(Path(model_dir) / METRICS) if line["kind"] == "eval")
    return next((line for line in lines if line["step"] in best[:1]), {})


def _by_sum(slots):
    return {sum_of(name): array for name, array in slots.items()}
