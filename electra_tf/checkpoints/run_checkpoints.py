"""The checkpoints of a run: a folder each, whole or absent, verified when read; and which of them is gone on from.

MODEL_DIR/checkpoints/step-00001000/
  state.safetensors    every weight, both Adam slots, the metric window: a flat map of unique names
  index.json           step, seed, and the SHA-256 and size of the file beside it
"""

import hashlib
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from electra_tf.checkpoints.containers.safetensors import write_tensors
from electra_tf.checkpoints.metrics_jsonl import METRICS, read_metrics
from electra_tf.checkpoints.run_json import OUTCOME
from electra_tf.errors import CheckpointError, InputError, OutputError
from electra_tf.files import replaced

_NAME = re.compile(r"step-(\d{8,})")
_OTHERWISE = "take another checkpoint of the run, or copy this one again"
AVERAGE = "average"  # of a run of fine-tuning: the mean of its best checkpoints' weights, as a checkpoint
STATE, INDEX = "state.safetensors", "index.json"
WEIGHTS, MOMENTS, VARIANCES = "weights/", "adam_m/", "adam_v/"


def to_stderr(text: str) -> None:
    """What is said by default: standard output is for results."""
    print(text, file=sys.stderr)


def checkpoint_folder(model_dir, step: int) -> Path:
    return Path(model_dir) / "checkpoints" / f"step-{step:08d}"


def list_checkpoints(model_dir) -> list[tuple[int, Path]]:
    """(step, folder) of every finished checkpoint, oldest first; damaged ones included."""
    folder = Path(model_dir) / "checkpoints"
    if not folder.is_dir():
        return []
    found = [(_NAME.fullmatch(p.name), p) for p in folder.iterdir()]
    return sorted((int(match[1]), path) for match, path in found if match)


def write_checkpoint(model_dir, step: int, tensors: dict[str, np.ndarray], facts: dict) -> Path:
    """Writes one checkpoint aside and renames it into place; on failure nothing of it remains.

    Args:
        model_dir: the run.
        step: number of finished steps.
        tensors: flat map of names to arrays.
        facts: JSON values that belong to the state (seed, threads, compiler choice).

    Raises: `OutputError` when the disk is full or the folder cannot be written.
    """
    return write_state(checkpoint_folder(model_dir, step), step, tensors, facts)


def write_state(final: Path, step: int, tensors: dict[str, np.ndarray], facts: dict) -> Path:
    """As `write_checkpoint`, to a folder of any name."""
    try:
        with replaced(final, final.with_name(f"writing-{final.name}")) as aside:
            aside.mkdir()
            size, digest = write_tensors(aside / STATE, tensors)
            content = {"step": step, "files": {STATE: {"bytes": size, "sha256": digest}}, **facts}
            body = json.dumps(content, indent=1, sort_keys=True)
            with open(aside / INDEX, "wb") as file:
                file.write(f"{hashlib.sha256(body.encode()).hexdigest()}\n{body}".encode())
    except OSError as error:
        raise OutputError(
            f"the checkpoint of step {step} cannot be written: {error.strerror or error}",
            where=final,
            expected=f"about {sum(t.nbytes for t in tensors.values()) / 1e6:.0f} MB of free space there",
            remedy="free some space and start the same command again: it goes on from the checkpoint before",
        ) from error
    return final


def read_index(folder) -> dict:
    """The index of one checkpoint; `CheckpointError` when it is missing or damaged."""
    path = Path(folder) / INDEX
    try:
        digest, _, body = path.read_bytes().partition(b"\n")
    except OSError as error:
        raise _unreadable(error, path) or CheckpointError(
            f"the checkpoint has no readable index: {error.strerror}", where=path, remedy=_OTHERWISE
        ) from error
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise CheckpointError("the index does not match its own checksum", where=path, remedy=_OTHERWISE)
    try:
        index = json.loads(body)
        entry = index["files"][STATE]
        if type(index["step"]) is int and type(entry["bytes"]) is int and isinstance(entry["sha256"], str):
            return index
    except (ValueError, LookupError, TypeError, RecursionError):
        pass
    raise CheckpointError(
        f"the index does not say the step, and size and sha256 of {STATE}",
        where=path,
        expected="an index as training writes it",
        remedy=_OTHERWISE,
    )


def _unreadable(error, path) -> InputError | None:
    """What may not be read may be whole, so that no older checkpoint takes its place."""
    if isinstance(error, PermissionError):
        return InputError(
            f"the checkpoint cannot be read: {error.strerror}", where=path, remedy="see that you may read it"
        )
    return None


def verify_checkpoint(folder) -> dict:
    """The index of one checkpoint of which every byte was verified; `CheckpointError` says what is damaged,
    `InputError` what this user may not read."""
    index, path = read_index(folder), Path(folder) / STATE
    expected = index["files"][STATE]
    called = _NAME.fullmatch(Path(folder).name)
    if called and int(called[1]) != index["step"]:
        raise CheckpointError(
            f"the checkpoint is of step {index['step']}", where=folder, expected="what it is called", remedy=_OTHERWISE
        )
    try:
        if (size := path.stat().st_size) != expected["bytes"]:
            raise CheckpointError(
                f"the file has {size} bytes", where=path, expected=f"{expected['bytes']}", remedy=_OTHERWISE
            )
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(error, path) or CheckpointError(
            f"the checkpoint misses a file: {error.strerror}", where=path, remedy=_OTHERWISE
        ) from error
    if digest != expected["sha256"]:
        raise CheckpointError("the file does not match its checksum: it is damaged", where=path, remedy=_OTHERWISE)
    return index


def read_checkpoint(folder) -> tuple[dict, dict[str, np.ndarray]]:
    """(index, tensors) of one checkpoint; raises as `verify_checkpoint`."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    index, path = verify_checkpoint(folder), Path(folder) / STATE
    try:
        return index, load_file(path)
    except (SafetensorError, OSError, ValueError, LookupError, TypeError) as error:
        raise CheckpointError(
            f"the file is no safetensors file: {error}",
            where=path,
            expected="the tensors of the state",
            remedy=_OTHERWISE,
        ) from error


def newest_intact(model_dir, say: Callable[[str], None] = to_stderr) -> tuple[dict, dict[str, np.ndarray]] | None:
    """The newest checkpoint that passes its checksums, or None where there is none at all.

    Each damaged one is said. Raises `CheckpointError` when checkpoints exist and all are damaged, `InputError` where
    one may not be read.
    """
    checkpoints = list_checkpoints(model_dir)
    for _, folder in reversed(checkpoints):
        try:
            return read_checkpoint(folder)
        except CheckpointError as error:
            say(f"damaged checkpoint, the one before is used:\n{error}")
    if checkpoints:
        raise CheckpointError(
            f"all {len(checkpoints)} checkpoints are damaged",
            where=Path(model_dir) / "checkpoints",
            remedy="restore the folder from a copy, or start anew in another --model_dir",
        )
    return None


def best_steps(model_dir, metric: str, count: int = 1, say: Callable[[str], None] | None = None) -> list[int]:
    """Steps of the checkpoints whose evaluations were best by a metric, the best first, of equals the earlier; `say` as
    of `read_metrics`."""
    steps = {step for step, _ in list_checkpoints(model_dir)}
    lines = [
        line
        for line in read_metrics(Path(model_dir) / METRICS, say)
        if line["kind"] == "eval" and line["step"] in steps and metric in line
    ]
    return [line["step"] for line in sorted(lines, key=lambda line: (-line[metric], line["step"]))[:count]]


def selected_checkpoint(model_dir, run):
    """The best checkpoint by the run's metric, or the average of some; where it is damaged, or the log does not tell,
    the newest intact one is used, and that is said.
    """
    try:
        if (model_dir / AVERAGE).is_dir():
            return read_checkpoint(model_dir / AVERAGE)
        if OUTCOME in run:
            return read_checkpoint(checkpoint_folder(model_dir, run[OUTCOME]["step"]))
        best = best_steps(model_dir, run["select"], say=to_stderr)
        if best:
            return read_checkpoint(checkpoint_folder(model_dir, best[0]))
        to_stderr(f"warning: {model_dir / METRICS} does not tell which checkpoint is the best, and the newest is used")
        return None
    except CheckpointError as error:
        to_stderr(f"damaged checkpoint, the newest is used:\n{error}")
        return None
