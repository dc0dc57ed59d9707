"""`metrics.jsonl` of a run, read line by line, however it was damaged."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

METRICS = "metrics.jsonl"


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
