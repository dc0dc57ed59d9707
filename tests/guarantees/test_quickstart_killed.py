"""`quickstart` that dies before any file operation of its processes goes on by the same command, and ends as if not."""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

DRIVER = Path(__file__).resolve().parents[1] / "quickstart_operations.py"
SEED = int(os.environ.get("KILL_SEED", random.SystemRandom().randrange(10**6)))  # the same again: KILL_SEED=...
SECONDS, EVERY = 25, "EVERY_OPERATION" in os.environ  # of a test, and whether it may take longer
ENDS = 1  # a model that small has none of the figures that are expected
KILLED = (-9, 128 + 9)  # itself, or a command of its
OUTPUTS = ("vocab", "data", "hf", "curves.png", "books/train.tsv", "books/dev.tsv", "books/test.tsv")
OUTPUTS += tuple(f"{run}/{name}" for run in ("pretrained", "scratch") for name in ("results.json", "results.tsv"))


class Quickstart:
    """The driver, started; a call of it is one try."""

    def __init__(self, text, output):
        self.output = output
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([sys.executable, DRIVER, text], **pipes)

    def __call__(self, dies=0, alone=False):
        job = {"output": str(self.output), "dies": dies, "alone": alone}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def held(path: Path) -> dict:
    """What is in a file or folder, hidden files too, but for what tells the time."""
    files = [path] if path.is_file() else [file for file in sorted(path.rglob("*")) if file.is_file()]
    files = [file for file in files if file.suffix != ".log" and file.parent.name != "events"]
    return {str(file.relative_to(path.parent)): _content(file) for file in files}


def _content(file):
    if file.name != "metrics.jsonl":
        return hashlib.sha256(file.read_bytes()).hexdigest()
    return [{**json.loads(line), "wall": None} for line in file.read_text().splitlines()]


def names(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.parent.name != "events"}


@pytest.fixture(scope="module")
def text(quick_text, tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(quick_text.read_text("utf-8")[:60_000], "utf-8")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("place", ["nothing", "a finished one"])
def test_quickstart_killed_at_some_operations(text, tmp_path, place):
    root = tmp_path / "here"
    output, kept = root / "quickstart", tmp_path / "kept/quickstart"
    run = Quickstart(text, output)
    root.mkdir()
    whole = run()
    assert whole["status"] == ENDS, whole["said"]
    if place == "a finished one":
        shutil.copytree(output, kept)
        whole = run()
        assert whole["status"] == ENDS, whole["said"]
        assert held(output) == held(kept)
    after, there, count = held(output), names(root), whole["operations"]
    final = {name: held(output / name) for name in OUTPUTS}

    chance, began, done = random.Random(SEED), time.monotonic(), 0
    for number in chance.sample(range(1, count + 1), count):
        if not EVERY and time.monotonic() > began + SECONDS:
            break
        done += 1
        shutil.rmtree(root)
        shutil.copytree(kept, output) if kept.exists() else root.mkdir()
        alone = chance.random() < 0.5
        where = f"before operation {number} of {count}, {'alone' if alone else 'all'}, KILL_SEED={SEED}"
        killed = run(number, alone)
        assert killed["status"] in KILLED, (where, killed["said"])
        for name in OUTPUTS:
            found = held(output / name)
            assert found == final[name] or (not found and not kept.exists()), (where, name)
        again = run()
        assert again["status"] == ENDS, (where, again["said"])
        assert held(output) == after, where
        assert names(root) == there, where
    run.process.stdin.close()
    assert run.process.wait() == 0
    print(f"{count} operations, killed at {done} by KILL_SEED={SEED}")
