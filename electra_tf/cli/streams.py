"""The streams of a command: whatever they can show, and wherever they lead."""

import contextlib
import os
import sys


def settle_streams() -> None:
    """Has both streams write out what they cannot encode, and be there where the shell has closed them."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115 - it is the process's from now on
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - it is the process's from now on
        elif hasattr(stream := getattr(sys, name), "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def let_go_of_stdout() -> None:
    """After its reader has gone: what is left to write goes nowhere, and Python does not complain of it at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
