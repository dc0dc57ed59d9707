"""The checkpoints of a run: a folder each, whole or absent, verified when read.

MODEL_DIR/
  run.json                       what is trained: both configurations, sharing, recipe, data, step count
  metrics.jsonl                  training and held-out metrics, a JSON object a line
  tokenizer/                     the vocabulary and its settings
  checkpoints/step-00001000/
    state.safetensors            every weight, both Adam slots, the metric window: a flat map of unique names
    index.json                   step, seed, and the SHA-256 and size of the file beside it
"""

import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from electra_tf.conversion.safetensors import write_tensors
from electra_tf.errors import CheckpointError, OutputError

if TYPE_CHECKING:
    from electra_tf.models.config import EncoderConfig

RUN, STATE, INDEX, METRICS = "run.json", "state.safetensors", "index.json", "metrics.jsonl"
WEIGHTS, MOMENTS, VARIANCES = "weights/", "adam_m/", "adam_v/"


@dataclass
class Run:
    """A run as it stands in its newest intact checkpoint; both slots of Adam by the names of their weights.

    Tables of a discriminator that are differences from the generator's (`gdes`) come as sums, as of towers that share
    nothing; a difference's slots are those of its sum.
    """

    step: int
    weights: dict[str, np.ndarray]
    slots_m: dict[str, np.ndarray]
    slots_v: dict[str, np.ndarray]
    discriminator: "EncoderConfig"
    generator: "EncoderConfig"
    sharing: str
    tokenizer: Path
    run: dict = field(default_factory=dict)


def read_metrics(path: Path) -> list[dict]:
    """Every line of a `metrics.jsonl`; none where there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def checkpoint_folder(model_dir, step: int) -> Path:
    return Path(model_dir) / "checkpoints" / f"step-{step:08d}"


def list_checkpoints(model_dir) -> list[tuple[int, Path]]:
    """(step, folder) of every finished checkpoint, oldest first; damaged ones included."""
    folder = Path(model_dir) / "checkpoints"
    if not folder.is_dir():
        return []
    found = [(re.fullmatch(r"step-(\d{8,})", p.name), p) for p in folder.iterdir()]
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
    final = checkpoint_folder(model_dir, step)
    aside = final.with_name(f"writing-{final.name}")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        size, digest = write_tensors(aside / STATE, tensors)
        content = {"step": step, "files": {STATE: {"bytes": size, "sha256": digest}}, **facts}
        body = json.dumps(content, indent=1, sort_keys=True)
        _write(aside / INDEX, f"{hashlib.sha256(body.encode()).hexdigest()}\n{body}".encode())
        if final.exists():
            shutil.rmtree(final)
        os.replace(aside, final)
        _sync_folder(final.parent)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise OutputError(
            f"the checkpoint of step {step} cannot be written: {error.strerror or error}",
            where=final,
            expected=f"about {sum(t.nbytes for t in tensors.values()) / 1e6:.0f} MB of free space there",
            remedy="free some space and start the same command again: it goes on from the checkpoint before",
        ) from error
    return final


def _write(path, content):
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder):
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_index(folder) -> dict:
    """The index of one checkpoint; `CheckpointError` when it is missing or damaged."""
    path = Path(folder) / INDEX
    try:
        digest, _, body = path.read_bytes().partition(b"\n")
    except OSError as error:
        raise CheckpointError(f"the checkpoint has no readable index: {error.strerror}", where=path) from error
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise CheckpointError("the index does not match its own checksum", where=path)
    return json.loads(body)


def read_checkpoint(folder) -> tuple[dict, dict[str, np.ndarray]]:
    """(index, tensors) of one checkpoint, every byte verified; `CheckpointError` says what is damaged."""
    from safetensors.numpy import load

    index = read_index(folder)
    for name, expected in index["files"].items():
        path = Path(folder) / name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise CheckpointError(f"the checkpoint misses a file: {error.strerror}", where=path) from error
        if len(data) != expected["bytes"]:
            raise CheckpointError(f"the file has {len(data)} bytes", where=path, expected=f"{expected['bytes']}")
        if hashlib.sha256(data).hexdigest() != expected["sha256"]:
            raise CheckpointError("the file does not match its checksum: it is damaged", where=path)
    return index, load(data)


def newest_intact(model_dir, say=print) -> tuple[dict, dict[str, np.ndarray]] | None:
    """The newest checkpoint that passes its checksums, or None where there is none at all.

    Each damaged one is said. Raises `CheckpointError` when checkpoints exist and all are damaged.
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


def read_run(path) -> Run:
    """The newest intact checkpoint of the run in `path`; `CheckpointError` where it is no run."""
    from electra_tf.models.config import EncoderConfig

    path = Path(path)
    try:
        run = json.loads((path / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError("this is not a run directory: run.json cannot be read", where=path) from error
    newest = newest_intact(path)
    if newest is None:
        raise CheckpointError("the run has no checkpoint", where=path, remedy="let it train for longer")
    index, tensors = newest
    groups = [
        {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        for prefix in (WEIGHTS, MOMENTS, VARIANCES)
    ]
    model = run["model"]
    return Run(
        step=index["step"],
        weights=sum_tables(groups[0]),
        slots_m=_by_sum(groups[1]),
        slots_v=_by_sum(groups[2]),
        discriminator=EncoderConfig.from_dict(model["discriminator"]),
        generator=EncoderConfig.from_dict(model["generator"]),
        sharing=model["embedding_sharing"] if model["embedding_sharing"] != "gdes" else "none",
        tokenizer=path / "tokenizer",
        run=run,
    )


def sum_tables(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights with the tables that the discriminator computes with in the place of differences; others unchanged."""
    return {
        sum_of(name): weights[_base_of(name)] + array if name.endswith("/delta") else array
        for name, array in weights.items()
    }


def split_tables(weights: dict[str, np.ndarray], names) -> dict[str, np.ndarray]:
    """The inverse: weights under `names`, of which those that end in `/delta` are differences."""
    return {
        name: weights[sum_of(name)] - weights[_base_of(name)] if name.endswith("/delta") else weights[name]
        for name in names
    }


def sum_of(delta: str) -> str:
    """The name of the table of which `delta` is a part; other names as they are."""
    return f"{delta.removesuffix('/delta')}/embeddings" if delta.endswith("/delta") else delta


def _base_of(delta):
    return sum_of(delta).replace("discriminator/", "generator/", 1)


def _by_sum(slots):
    return {sum_of(name): array for name, array in slots.items()}
