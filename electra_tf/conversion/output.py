"""Output folders that appear whole or not at all: written aside, swapped in by a rename."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from electra_tf.errors import OutputError


@contextmanager
def whole_folder(folder, is_known: Callable[[str], bool], megabytes: float) -> Iterator[Path]:
    """A new folder to write into, which becomes `folder` when the body ends without an error.

    Args:
        folder: may exist if it holds nothing but files with names that are `is_known`; they are replaced.
        megabytes: about what will be written, for the error where there is no space.

    Raises: `OutputError` when the folder holds something else or cannot be written; it is then as it was.
    """
    folder = Path(folder).resolve()  # a link stays, and what it leads to is replaced
    try:
        _check(folder, is_known)
    except OSError as error:
        raise OutputError(f"the folder cannot be written: {error.strerror}", where=folder) from error
    aside, old = (folder.with_name(f".{folder.name}.{kind}{os.getpid()}") for kind in ("new", "old"))
    try:
        aside.mkdir(parents=True)
        yield aside
        if folder.exists():
            os.replace(folder, old)
        os.replace(aside, folder)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        if old.exists() and not folder.exists():
            os.replace(old, folder)
        raise OutputError(
            f"the folder cannot be written: {error.strerror or error}",
            where=folder,
            expected=f"{max(1, round(megabytes))} MB of free space there",
            remedy="choose a folder that can be written to, on a disk with space",
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def whole_file(path, megabytes: float) -> Iterator[Path]:
    """A new file to write, which becomes `path` when the body ends without an error. Raises: `OutputError`."""
    path = Path(path).resolve()
    aside = path.with_name(f".new{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        os.replace(aside, path)
    except OSError as error:
        raise OutputError(
            f"the file cannot be written: {error.strerror or error}",
            where=path,
            expected=f"{max(1, round(megabytes))} MB of free space there",
            remedy="choose a place that can be written to, on a disk with space",
        ) from error
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def write_text(path, text: str) -> None:
    """A text file that has reached the disk."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _check(folder, is_known):
    if not folder.exists():
        return
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else ["it is a file"]
    others = [name for name in names if not is_known(name)]
    if others:
        raise OutputError(
            f"the folder exists and holds something else: {', '.join(others)}",
            where=folder,
            expected="a new folder, or one with an exported model, which is replaced",
            remedy="name another folder",
        )
