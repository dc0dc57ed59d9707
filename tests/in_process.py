"""A command as `electra-tf` runs it, within the process of a test."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple
from unittest import mock

from absl import flags

from electra_tf.cli.main import main


class Done(NamedTuple):
    """A finished command."""

    returncode: int
    stdout: str
    stderr: str


def run_command(*arguments, given: str | bytes | None = None) -> Done:
    """Runs it; stdout is no terminal. `given`: its standard input."""
    before, out, err, status = set(flags.FLAGS), io.StringIO(), io.StringIO(), 0
    stdin = (
        sys.stdin
        if given is None
        else io.TextIOWrapper(io.BytesIO(given if isinstance(given, bytes) else given.encode()))
    )
    try:
        with redirect_stdout(out), redirect_stderr(err), mock.patch.object(sys, "stdin", stdin):
            main([str(argument) for argument in arguments])
    except SystemExit as exit:
        status = exit.code
    finally:
        for name in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, name)
    return Done(status, out.getvalue(), err.getvalue())
