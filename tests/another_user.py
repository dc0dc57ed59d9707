"""Commands as another user than the one who owns their files, each in a forked process of its own.

    python another_user.py

Reads lines of JSON: `arguments` of `electra-tf`; `closed`, files and folders that nobody may read meanwhile; `kept`,
folders that nobody may write into; `other`, whether another user runs it. Answers each by a line of its status and what
it said. Where this process is no superuser's, the user stays, for whom what is closed is closed, too.
"""

import gc
import importlib
import json
import os
import stat
import sys
import tempfile
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["HOME"] = "/proc/nowhere"  # where not even a superuser can write

from electra_tf.cli.main import main

NOBODY = 65534


@contextmanager
def allowed(path: str, mode: int):
    before = stat.S_IMODE(os.stat(path).st_mode)
    os.chmod(path, mode)
    try:
        yield
    finally:
        os.chmod(path, before)


def attempt(arguments, closed=(), kept=(), other=True) -> dict:
    reading, writing = os.pipe()
    with ExitStack() as held, tempfile.TemporaryFile("w+") as said:
        for path in closed:
            held.enter_context(allowed(path, 0))
        for path in kept:
            held.enter_context(allowed(path, 0o555))
        if not (child := os.fork()):
            status = 1
            try:
                if other and os.getuid() == 0:
                    os.setgroups([])
                    os.setgid(NOBODY)
                    os.setuid(NOBODY)
                with redirect_stdout(said), redirect_stderr(said):
                    main(arguments)
            except SystemExit as exit:
                status = exit.code or 0
            finally:
                said.flush()
                with suppress(BrokenPipeError):
                    os.write(writing, json.dumps(sorted(sys.modules)).encode())
                os._exit(status)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            modules = json.loads(pipe.read() or "[]")
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        return {"status": status, "said": said.read(), "modules": modules}


if __name__ == "__main__":
    for line in sys.stdin:
        job = json.loads(line)
        found = attempt(**job)
        for name in found.pop("modules") if not job.get("other", True) else ():
            with suppress(Exception):  # that other user may not be able to read what is not yet imported
                importlib.import_module(name)
        gc.freeze()
        print(json.dumps(found), flush=True)
