"""Lives of processes: `small_run.py` and other drivers, bounded in time, their logs shown where a test fails."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

HERE = Path(__file__).resolve().parent


class Life(NamedTuple):
    """A process that has ended. `status` is negative where a signal ended it."""

    status: int
    output: str
    log: str


def start(driver: str, *arguments, **environment) -> subprocess.Popen:
    command = [sys.executable, HERE / "with_cache.py", HERE / driver, *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # TensorFlow, imported by pytest, has set its own level.
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    return subprocess.Popen(command, env=environment, **pipes)


def end(process: subprocess.Popen, timeout: float) -> Life:
    """Waits; a process that takes longer is killed and fails the test. Logs are shown where a test fails."""
    try:
        output, log = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        output, log = process.communicate()
        pytest.fail(f"no end after {timeout} s:\n{output}\n{log}", pytrace=False)
    print(log[-3000:])
    return Life(process.returncode, output, log)


def run(driver: str, *arguments, timeout: float = 400) -> Life:
    return end(start(driver, *arguments), timeout)


def small_run(data: Path, model_dir: Path, *, timeout: float = 400, settings=None, **options) -> Life:
    """`small_run.py`, with changes to its settings."""
    options |= {"settings": json.dumps(settings or {})}
    flags = [f"--{name}={value}" for name, value in options.items()]
    return run("small_run.py", data, model_dir, *flags, timeout=timeout)


def outcome(model_dir: Path) -> dict:
    """All that must be equal in two runs: checkpoints, tokenizer, and the metrics but their wall-clock part."""
    files = [file for part in ("checkpoints", "tokenizer") for file in sorted((model_dir / part).rglob("*"))]
    lines = [json.loads(line) for line in (model_dir / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        del line["wall"]
    return {str(f.relative_to(model_dir)): f.read_bytes() for f in files if f.is_file()} | {"metrics": lines}
