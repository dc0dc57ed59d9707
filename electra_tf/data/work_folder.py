"""The folder beside the output in which a data set is made before it is put in place, whole."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from electra_tf.errors import OutputError
from electra_tf.locks import locked_folder


def work_name(output: Path) -> Path:
    return output.with_name(output.name + ".building")


def clear_finished(output: Path) -> None:
    """Removes the work folder of a build that was killed when its output was there already, before it could itself."""
    work = work_name(output)
    if _holds_something(output) and work.is_dir():
        with locked_folder(work) as mine:
            if mine is not False:
                shutil.rmtree(work)


@contextmanager
def work_folder(output: Path, *, room: str) -> Iterator[Path]:
    """The folder beside the output, locked.

    Args:
        room: what the disk must have room for, in words.

    Raises: `OutputError` for an output that exists or is being made, and for every `OSError` of the body.
    """
    try:
        with _locked(output) as work:
            yield work
    except OSError as error:
        raise OutputError(
            f"cannot write: {error.strerror or error}",
            where=error.filename or output,
            remedy=f"choose an --output that can be written to, on a disk with room for {room}",
        ) from error


@contextmanager
def _locked(output):
    clear_finished(output)
    _check_free(output)
    work = work_name(output)
    with locked_folder(work) as mine:
        if mine is False:
            raise OutputError("another build is writing this output", where=output, remedy="wait for it, or stop it")
        try:
            _check_free(output)  # another build may have ended just now
            yield work
        finally:
            if not any(work.rglob("*.json")):  # nothing, or nothing yet, that a later build could use
                shutil.rmtree(work, ignore_errors=True)


def _holds_something(output):
    return output.exists() and not (output.is_dir() and not any(output.iterdir()))


def _check_free(output):
    if _holds_something(output):
        raise OutputError(
            "the output already exists",
            where=output,
            expected="a folder that does not exist or is empty",
            remedy="choose another --output, or remove what is there",
        )
