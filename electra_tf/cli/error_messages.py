"""How whatever ends a command is said in words, and which exit status it has: 2 after an error of the user's."""

import errno
import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

from electra_tf.cli.streams import let_go_of_stdout, settle_streams
from electra_tf.errors import ElectraTFError

# What TensorFlow raises in those that are left.
_OF_CLUSTERS = ("UnavailableError", "AbortedError", "CancelledError", "DeadlineExceededError")


@contextmanager
def in_words():
    """Within it, whatever ends a command is said in words, and decides the status."""
    settle_streams()
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output has seen enough, as `head` does
        let_go_of_stdout()
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except SystemExit:
        raise
    except BaseException as error:  # a panic of a library in Rust is no Exception
        sys.exit(_told(error))


def _told(error: BaseException) -> int:
    """Says what went wrong; returns the status."""
    if isinstance(error, ElectraTFError):
        found, status = error, 2
    elif isinstance(error, FileNotFoundError) and "temporary directory" in str(error):  # what Python says of full disks
        found = ElectraTFError(str(error.strerror), remedy="free some space, or set TMPDIR to a folder with some")
        status = 2
    elif isinstance(error, OSError):
        remedy = "check that it is there, that you may use it, and that its disk has room"
        found, status = ElectraTFError(str(error.strerror or error), where=_place(error), remedy=remedy), 2
    elif isinstance(error, MemoryError) or _is_of_memory(error):
        found = ElectraTFError(
            "there is not enough memory", remedy="take a smaller model, batch or length, or free some"
        )
        status = 2
    elif "TF_CONFIG" in os.environ and type(error).__name__ in _OF_CLUSTERS:
        found = ElectraTFError(
            f"another process of the cluster has ended, or cannot be reached: {_first_line(error)}",
            where="TF_CONFIG",
            expected="all of them, until the last step",
            remedy="see what each says; then start the same command on all machines again: it goes on",
        )
        status = 2
    else:
        reason = _first_line(error)
        kept = _keep_traceback(error)
        found = ElectraTFError(
            f"nobody foresaw this: {type(error).__name__}: {reason}",
            where=f"the traceback is in {kept}" if kept else None,
            remedy="report it, with that file; it is a fault of this program",
        )
        status = 1
    with suppress(OSError):  # the status tells it, where nobody can read it
        print(f"error: {found}", file=sys.stderr)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        let_go_of_stdout()
    return status


def _first_line(error):
    return (str(error).strip().splitlines() or [""])[0][:200]


def _is_of_memory(error):
    """Whether TensorFlow ran out of it, or Python when it loaded a library."""
    return type(error).__name__ == "ResourceExhaustedError" or (
        isinstance(error, ImportError) and "failed to map segment" in str(error)
    )


def _place(error: OSError):
    """The file or folder that an error is about."""
    if error.filename is not None:
        return error.filename
    try:
        os.getcwd()
    except OSError:
        return "the folder that this is typed in"
    return "standard output, or a temporary file" if error.errno == errno.ENOSPC else None  # other files are named


def _keep_traceback(error: BaseException) -> Path | None:
    """Writes the traceback of what nobody foresaw to a file for a report; None where none can be written."""
    import tempfile  # this and the next load for long, and most commands end well
    import traceback

    text = "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile("w", prefix="electra-tf-", suffix=".txt", delete=False) as file:
            file.write(f"{sys.argv}\n\n{text}")
    except OSError:
        print(text, file=sys.stderr)
        return None
    return Path(file.name)
