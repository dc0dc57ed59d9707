"""What the making of a data set tells while it goes on."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """What the builder tells while it works.

    Attributes:
        stage: "start" (once, when the workers are ready), "units", "shards"; or "warning". After the start "there"
            alone, where the data set is there already.
        name: the unit or shard just finished; or the warning.
        kept: it was found finished by an earlier build.
        done, total: bytes of input files read, or shards written.
        text_bytes: text worked through by this build, decompressed.
        seconds: since the build began.
    """

    stage: str
    name: str
    kept: bool
    done: int
    total: int
    text_bytes: int
    seconds: float


class Reporter:
    """Calls `progress`, if there is one."""

    def __init__(self, progress: Callable[[Progress], None] | None, began: float, input_bytes: int):
        self.progress, self.began, self.input_bytes = progress, began, input_bytes
        self.text_bytes = 0

    def __call__(self, stage, name="", *, kept=False, done=0, total=None, text_bytes=0):
        self.text_bytes += text_bytes
        if self.progress:
            seconds = time.monotonic() - self.began
            total = self.input_bytes if total is None else total
            self.progress(Progress(stage, name, kept, done, total, self.text_bytes, seconds))
