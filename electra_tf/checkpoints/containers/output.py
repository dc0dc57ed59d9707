"""Where results go: a folder that lists what was written into it, or a file that carries its own hash, so that nothing
of others is lost.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from electra_tf.errors import OutputError
from electra_tf.files import check_is_elsewhere, remove, tidy, told, whole_file, whole_folder

LIST = ".electra_tf.json"  # names and SHA-256 of what was written
CARD = "README.md"
# The SHA-256 of a file as it was written here, beside its contents: it goes where a rename takes the file, and not into
# a person's copy of it.
MARK = "user.electra_tf.sha256"


@dataclass(frozen=True)
class Output(os.PathLike):
    """A folder or file to write, and what may become of the one that is there.

    Attributes:
        overwrite: whether files of a model's names, that were not written here, are replaced. All others stay, and so
            does a README.md. Of a single file, whether it is replaced.
        instead_of: the folder or file whose place it will take, where that is another.
    """

    path: Path
    overwrite: bool = False
    instead_of: Path | None = None

    def __fspath__(self):
        return os.fspath(self.path)

    def __str__(self):
        return str(self.path)


@contextmanager
def output_folder(
    place, is_known: Callable[[str], bool], megabytes: float, *, is_listed: bool = True
) -> Iterator[Path]:
    """As `files.whole_folder`, for a folder that a person may have put something into.

    Args:
        place: a path, or an `Output`.
        is_known: whether a file of this name is a model's.
        megabytes: as there.
        is_listed: whether the folder lists its files; else those with known names are taken for what was written.

    Raises: `OutputError` where the folder holds what was not written here, or was changed since, and `place` does not
    say that it may be replaced.
    """
    place = place if isinstance(place, Output) else Output(Path(place))
    folder = Path(place).resolve()
    check_is_elsewhere(folder)
    old = folder if place.instead_of is None else place.instead_of.resolve()
    with told("folder", old, megabytes):
        others = foreign(old, None if is_listed else is_known)
    if others and not place.overwrite:
        raise OutputError(
            f"the folder holds what was not written here, or was changed since: {', '.join(others[:5])}"
            + (", ..." if len(others) > 5 else ""),
            where=old,
            expected="a new folder, or one as it was written here, which is replaced",
            remedy=f"name another folder, or add --overwrite: only files of a model's names are replaced, no {CARD}",
        )
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    with whole_folder(folder, there.__contains__, megabytes) as aside:
        yield aside
        if is_listed:
            digests = {path.name: _digest(path) for path in sorted(aside.iterdir()) if path.name != LIST}
        for name in others:
            if name == CARD or not is_known(name) or not (_is_plain(old / name) or (old / name).is_symlink()):
                _keep(old / name, aside / name)
                if is_listed and name == CARD:
                    digests.pop(name, None)
        if is_listed:
            (aside / LIST).write_text(json.dumps({"files": digests}, indent=1) + "\n", "utf-8")


@contextmanager
def output_file(place, megabytes: float) -> Iterator[Path]:
    """As `files.whole_file`, for a file where a person may have put one.

    Args:
        place: a path, or an `Output`. megabytes: as there.

    Raises: `OutputError` where there is a file that was not written here, or was changed since, and `place` does not
        say that it may be replaced; or something that is no file. On a file system without extended attributes every
        file that is there counts as such; an empty one never does.
    """
    place = place if isinstance(place, Output) else Output(Path(place))
    old = Path(place.instead_of or place.path).resolve()
    with told("file", old, megabytes):
        is_foreign = old.exists() and not _is_ours(old)
    if old.exists() and not old.is_file():
        raise OutputError(
            "there is something of this name that is no file",
            where=old,
            expected="a file that can be replaced, or nothing",
            remedy="name another file as the output",
        )
    if is_foreign and not place.overwrite:
        raise OutputError(
            "the file was not written here, or was changed since",
            where=old,
            expected="a new file, or one as it was written here, which is replaced",
            remedy="name another file, or add --overwrite",
        )
    with whole_file(place, megabytes) as aside:
        yield aside
        with suppress(OSError, AttributeError):  # not every file system, or platform, has a place for it
            os.setxattr(aside, MARK, _digest(aside).encode())


def _is_ours(path):
    if not path.is_file() or path.stat().st_size == 0:  # an empty one holds nothing that could be lost
        return path.is_file()
    try:
        return os.getxattr(path, MARK).decode() == _digest(path)
    except (OSError, AttributeError):
        return False


def foreign(folder: Path, is_known: Callable[[str], bool] | None = None) -> list[str]:
    """Names in a folder that are not as they were written here: by its list; with `is_known`, by their names alone."""
    if not folder.is_dir():
        return []
    tidy(folder)
    names = sorted(path.name for path in folder.iterdir() if path.name != LIST)
    if is_known is not None:
        return [name for name in names if not is_known(name)]
    try:
        listed = dict(json.loads((folder / LIST).read_text("utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # none, or damaged: then nothing is ours
        listed = {}
    return [n for n in names if not (n in listed and _is_plain(folder / n) and listed[n] == _digest(folder / n))]


def _is_plain(path):
    return path.is_file() and not path.is_symlink()


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _keep(path, new):
    """Brings what someone else has put into the old folder into the new one."""
    if new.exists() and path.name != CARD:
        raise OutputError(
            f"{path.name} is to be written, and something else is called so",
            where=path,
            expected="a file, or nothing",
            remedy="move it away, or name another folder",
        )
    remove(new)
    if path.is_dir() and not path.is_symlink():
        shutil.copytree(path, new, symlinks=True, copy_function=_link)
    else:
        _link(path, new)


def _link(path, new):
    try:
        os.link(path, new, follow_symlinks=False)
    except OSError:  # a file system without, or a folder of another one
        shutil.copy2(path, new, follow_symlinks=False)
