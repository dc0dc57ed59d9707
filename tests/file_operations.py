"""Commands, each in a forked process of its own, that die just before their Nth operation that changes files.

    python file_operations.py IMPORTS

Reads lines of JSON: `under`, the folder whose operations count; `dies`, N, or 0 for never; `exchanges`, whether two
names can change places at one moment; `arguments` of `electra-tf`. Answers each by a line of its status, how many
operations there were, and what it said. What IMPORTS (separated by commas) names is imported once, before.
"""

import gc
import importlib
import json
import os
import signal
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from electra_tf import files
from electra_tf.cli.main import main

_CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Counter:
    """Counts the operations below a folder, and kills this process before one of them."""

    def __init__(self, under: str, dies: int):
        self.under, self.dies, self.count = under, dies, 0

    def add(self, path, folder_handle: int = -1) -> None:
        if isinstance(path, int):
            path = os.readlink(f"/proc/self/fd/{path}")
        elif folder_handle not in (-1, None):  # as shutil.rmtree has it
            path = os.path.join(os.readlink(f"/proc/self/fd/{folder_handle}"), os.fsdecode(path))
        if os.path.abspath(os.fsdecode(path)).startswith(self.under):
            self.step()

    def step(self) -> None:
        self.count += 1
        if self.count == self.dies:
            os.kill(os.getpid(), signal.SIGKILL)

    def hear(self, event, arguments) -> None:
        if event == "open" and arguments[2] & _WRITES:
            self.add(arguments[0])
        elif event in ("os.remove", "os.rmdir"):
            self.add(*arguments)
        elif event == "os.mkdir":
            self.add(arguments[0], arguments[2])
        elif event in _CHANGES:
            self.add(arguments[0])


def watch(counter: Counter, exchanges: bool = True) -> None:
    """From now on this process' operations are counted. The audit does not hear of the C library's."""
    sys.addaudithook(counter.hear)
    sync, exchange = os.fsync, files._RENAMEAT2

    def counted_sync(handle):
        counter.add(handle)
        sync(handle)

    def counted_exchange(at, one, *others):
        counter.add(one)
        return exchange(at, one, *others)

    os.fsync, files._RENAMEAT2 = counted_sync, counted_exchange if exchanges and exchange else None


def attempt(under: str, dies: int, exchanges: bool, arguments: list[str]) -> dict:
    reading, writing = os.pipe()
    with tempfile.TemporaryFile("w+") as said:
        if not (child := os.fork()):
            status, counter = 1, Counter(under, dies)
            watch(counter, exchanges)
            try:
                with redirect_stdout(said), redirect_stderr(said):
                    main(arguments)
            except SystemExit as exit:
                status = exit.code
            finally:
                said.flush()
                os.write(writing, str(counter.count).encode())
                os._exit(status)
        os.close(writing)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with os.fdopen(reading) as pipe:
            count = pipe.read()
        said.seek(0)
        return {"status": status, "operations": int(count or 0), "said": said.read()}


if __name__ == "__main__":
    for name in filter(None, sys.argv[1].split(",")):
        importlib.import_module(name)
    gc.freeze()
    for line in sys.stdin:
        print(json.dumps(attempt(**json.loads(line))), flush=True)
