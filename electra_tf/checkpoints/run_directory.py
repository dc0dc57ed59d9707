"""The checkpoints of a run: a folder each, whole or absent, verified when read.

MODEL_DIR/
  run.json                       what is trained: all settings, towers, what they share, data; a checksum of all this
  metrics.jsonl                  training and held-out metrics, a JSON object a line
  tokenizer/                     the vocabulary and its settings
  checkpoints/step-00001000/
    state.safetensors            every weight, both Adam slots, the metric window: a flat map of unique names
    index.json                   step, seed, and the SHA-256 and size of the file beside it
"""

import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from electra_tf.checkpoints.containers.safetensors import write_tensors
from electra_tf.checkpoints.run_format_1 import from_format_1
from electra_tf.checkpoints.sealed_json import read_sealed
from electra_tf.errors import CheckpointError, OutputError
from electra_tf.files import replaced
from electra_tf.seals import SEAL, is_unbroken

if TYPE_CHECKING:
    from electra_tf.models.config import EncoderConfig

FORMAT_VERSION = 2
_OTHERWISE = "take another checkpoint of the run, or copy this one again"
CALIBRATION = "calibration.json"  # of a run of fine-tuning: by what its logits are divided
AVERAGE = "average"  # of a run of fine-tuning: the mean of its best checkpoints' weights, as a checkpoint
RUN, STATE, INDEX, METRICS, TOKENIZER = "run.json", "state.safetensors", "index.json", "metrics.jsonl", "tokenizer"
WEIGHTS, MOMENTS, VARIANCES = "weights/", "adam_m/", "adam_v/"


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
    towers: "dict[str, EncoderConfig]"
    heads: dict[str, tuple[str, ...]]
    shared: dict[str, str]
    tokenizer: Path
    run: dict = field(default_factory=dict)


def to_stderr(text: str) -> None:
    """What is said by default: standard output is for results."""
    print(text, file=sys.stderr)


def metric_lines(path: Path) -> Iterator[tuple[int, str, dict | None]]:
    """(number, text, what it says) of each line of a `metrics.jsonl` that is not empty; None where it says nothing.

    A power cut leaves zeros, a kill half a line, an editor a byte-order mark. An `OSError` is passed on.
    """
    for number, content in enumerate(path.read_bytes().split(b"\n") if path.exists() else (), 1):
        text, line = "", None
        with suppress(ValueError, RecursionError):
            text = content.decode().strip("\0\ufeff \t\r")
            line = json.loads(text)
        if content.strip():
            yield number, text, line if _is_metrics(line) else None


def _is_metrics(line):
    if not isinstance(line, dict) or type(line.get("step")) is not int or not isinstance(line.get("kind"), str):
        return False
    return all(type(value) in (int, float) for name, value in line.items() if name not in ("kind", "wall"))


def read_metrics(path: Path, say: Callable[[str], None] | None = None) -> list[dict]:
    """What the lines of a `metrics.jsonl` say; none where there is no file. A damaged log is no reason to stop: `say`
    is told what is left out.
    """
    try:
        lines = list(metric_lines(path))
    except OSError as error:
        if say:
            say(f"{path} cannot be read: {error.strerror}")
        return []
    lost = [number for number, _, line in lines if line is None]
    if lost and say:
        say(said_of_lost(path, lost))
    return [line for _, _, line in lines if line is not None]


def said_of_lost(path: Path, numbers: list[int]) -> str:
    some = ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")
    return f"warning: {path} is damaged; lines left out: {some}"


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
        raise CheckpointError(
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
        f"the index does not say the step, and size and sha256 of {STATE}", where=path, remedy=_OTHERWISE
    )


def verify_checkpoint(folder) -> dict:
    """The index of one checkpoint of which every byte was verified; `CheckpointError` says what is damaged."""
    index, path = read_index(folder), Path(folder) / STATE
    expected = index["files"][STATE]
    try:
        if (size := path.stat().st_size) != expected["bytes"]:
            raise CheckpointError(
                f"the file has {size} bytes", where=path, expected=f"{expected['bytes']}", remedy=_OTHERWISE
            )
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(
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
        raise CheckpointError(f"the file is no safetensors file: {error}", where=path, remedy=_OTHERWISE) from error


def newest_intact(model_dir, say: Callable[[str], None] = to_stderr) -> tuple[dict, dict[str, np.ndarray]] | None:
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


def kept_scores(model_dir) -> dict[str, float]:
    """Of the dev rows, by the checkpoint or the average that a run of fine-tuning is read as; nothing without one.

    Raises: `CheckpointError` where `run.json` or `average.json` cannot be read, or was changed.
    """
    verdict = Path(model_dir) / f"{AVERAGE}.json"
    if (Path(model_dir) / AVERAGE).is_dir() and verdict.is_file():
        return read_sealed(verdict)["dev"]
    best = best_steps(model_dir, read_description(model_dir)["select"])
    lines = (line for line in read_metrics(Path(model_dir) / METRICS) if line["kind"] == "eval")
    return next((line for line in lines if line["step"] in best[:1]), {})


def _selected(model_dir, metric):
    """The best checkpoint by a metric, or the average of some; where it is damaged, the newest intact one is used, and
    that is said.
    """
    try:
        if (model_dir / AVERAGE).is_dir():
            return read_checkpoint(model_dir / AVERAGE)
        best = best_steps(model_dir, metric, say=to_stderr)
        return read_checkpoint(checkpoint_folder(model_dir, best[0])) if best else None
    except CheckpointError as error:
        to_stderr(f"damaged checkpoint, the newest is used:\n{error}")
        return None


def read_description(model_dir) -> dict:
    """What `run.json` says, as of format 2: `settings` by class, `towers`, `heads`, `shared`, `data`, ...

    Raises: `CheckpointError` where it cannot be read, or is of a later format.
    """
    path = Path(model_dir) / RUN
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        version = description["format_version"]
        if version == 1:
            return from_format_1(description)
        if version == FORMAT_VERSION and is_unbroken(description):
            _check_tokenizer(path.parent, description.get("tokenizer", {}))
            return {name: value for name, value in description.items() if name != SEAL}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"the description of the run cannot be read: {error!r}",
            where=path,
            remedy="restore the file from a copy, or start anew in another --model_dir",
        ) from error
    if version == FORMAT_VERSION:
        raise CheckpointError(
            "the description of the run does not match its own checksum: it was changed",
            where=path,
            expected="the file as it was written, since it says what the weights mean",
            remedy="restore the file from a copy, or start anew in another --model_dir",
        )
    raise CheckpointError(
        f"the run is of format {version}",
        where=path,
        expected=f"format 1 or {FORMAT_VERSION}",
        remedy="go on with it by the release that began it",
    )


def tokenizer_checksums(model_dir) -> dict[str, str]:
    """The SHA-256 of each file of a run's tokenizer, which says what the rows of the embeddings mean."""
    files = sorted(path for path in (Path(model_dir) / TOKENIZER).iterdir() if path.is_file())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _check_tokenizer(model_dir, expected):
    found = tokenizer_checksums(model_dir) if (model_dir / TOKENIZER).is_dir() else {}
    if changed := [name for name, digest in expected.items() if found.get(name, digest) != digest]:
        raise CheckpointError(
            f"the tokenizer of the run was changed: {', '.join(changed)}",
            where=model_dir / TOKENIZER,
            expected="the files as they were written, since they say what the weights mean",
            remedy="restore them from a copy, or from the data set's vocab folder",
        )


def read_run(path) -> Run:
    """The run in `path` as its newest intact checkpoint has it, or the best one where it selects; `CheckpointError`
    where it is no run."""
    from electra_tf.models.config import EncoderConfig

    path = Path(path)
    run = read_description(path)
    newest = (run.get("select") and _selected(path, run["select"])) or newest_intact(path)
    if newest is None:
        raise CheckpointError("the run has no checkpoint", where=path, remedy="let it train for longer")
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
        towers={tower: EncoderConfig.from_dict(fields) for tower, fields in run["towers"].items()},
        heads={tower: tuple(heads) for tower, heads in run["heads"].items()},
        shared=run["shared"],
        tokenizer=path / TOKENIZER,
        run=run,
    )


def sum_tables(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights with the tables that the discriminator computes with in the place of differences; others unchanged."""
    return {
        sum_of(name): weights[base_of(name)] + array if name.endswith("/delta") else array
        for name, array in weights.items()
    }


def split_tables(weights: dict[str, np.ndarray], names) -> dict[str, np.ndarray]:
    """The inverse: weights under `names`, of which those that end in `/delta` are differences."""
    return {
        name: weights[sum_of(name)] - weights[base_of(name)] if name.endswith("/delta") else weights[name]
        for name in names
    }


def sum_of(delta: str) -> str:
    """The name of the table of which `delta` is a part; other names as they are."""
    return f"{delta.removesuffix('/delta')}/embeddings" if delta.endswith("/delta") else delta


def base_of(delta: str) -> str:
    """The name of the table that `delta` is a difference from."""
    return sum_of(delta).replace("discriminator/", "generator/", 1)


def with_copies(weights: dict[str, np.ndarray], shared: dict[str, str]) -> dict[str, np.ndarray]:
    """Weights, and what a tower has from another under its own names, too."""
    found = dict(weights)
    for own, other in shared.items():
        copies = {own + name.removeprefix(other): array for name, array in weights.items() if name.startswith(other)}
        found = copies | found
    return found


def _by_sum(slots):
    return {sum_of(name): array for name, array in slots.items()}
