"""Files and folders that appear whole or not at all: written aside, brought to the disk, put in place by a rename."""

import ctypes
import errno
import glob
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import google_crc32c

from electra_tf.errors import CheckpointError, ElectraTFError, OutputError
from electra_tf.locks import lock

_ASIDE = re.compile(r"\.(.+)\.[a-z0-9_]{8}\.new", re.DOTALL)  # of `own_folder`
# What file systems answer that cannot bring a folder to the disk, or cannot exchange two names.
_CANNOT_SYNC_FOLDERS = (errno.EINVAL, errno.ENOTSUP, errno.EACCES)
_CANNOT_EXCHANGE = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EPERM, errno.EXDEV)

# Of Linux, where the C library has it.
_RENAMEAT2, _AT_FDCWD, _RENAME_EXCHANGE = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None), -100, 2


@contextmanager
def replaced(path, aside: Path | None = None, *, synced: bool = True) -> Iterator[Path]:
    """A place to write a file or a folder at, which becomes `path` when the body ends without an error.

    Args:
        path: may exist, and stays as it was until the new one is whole. Folders above it are made.
        aside: the place, in the same folder, where nobody else writes; by default in a hidden folder of its own, that
            the next call for the same path removes, or takes an older `path` back from, if this process is killed.
        synced: whether the new one reaches the disk before it is put in place. Without, a machine that stops may leave
            an empty file: for what is verified when it is read.

    An `OSError` is passed on.
    """
    path = Path(path)
    _make_folder(path.parent)
    with own_folder(path, synced) if aside is None else nullcontext(aside) as aside:
        remove(aside)  # what a killed process left there
        try:
            yield aside
            put(aside, path, synced=synced)
        finally:
            remove(aside)


@contextmanager
def own_folder(path, tidies):
    """A hidden folder beside `path` for what is to become it, locked; yields the place in it."""
    if tidies:
        tidy(path.parent, glob.escape(path.name))
    while True:
        folder = Path(tempfile.mkdtemp(".new", f".{path.name}.", path.parent))
        with suppress(FileNotFoundError):  # taken for a dead process's before it was locked, and removed
            handle = os.open(folder, os.O_RDONLY)
            if lock(handle) is not False and folder.exists():
                break
            os.close(handle)
    try:
        yield folder / path.name
    finally:
        remove(folder)
        os.close(handle)


def tidy(folder: Path, names: str = "*") -> None:
    """Removes what killed processes have left in a folder when they replaced what is called so; what one moved away and
    could not replace any more comes back.
    """
    for left in folder.glob(f".{names}.*.new"):
        if not _is_aside(left):
            continue
        try:
            handle = os.open(left, os.O_RDONLY)
        except OSError:
            continue
        try:
            if lock(handle):
                path = folder / left.name[1:].rsplit(".", 2)[0]
                old = _old(left / path.name)
                if os.path.lexists(old) and not os.path.lexists(path):
                    os.replace(old, path)
                remove(left)
        finally:
            os.close(handle)


def _is_aside(folder):
    """Whether `own_folder` may have made it: anybody may call something so, and put other things there."""
    called = _ASIDE.fullmatch(folder.name)
    if not called or folder.is_symlink() or not folder.is_dir():
        return False
    with suppress(OSError):
        return {path.name for path in folder.iterdir()} <= {called[1], f"{called[1]}.old"}
    return False


def _old(aside):
    return aside.with_name(f"{aside.name}.old")


def put(aside: Path, path: Path, *, synced: bool = True) -> None:
    """Renames what was written at `aside` to `path`, where it takes the place of what is there. See `replaced`."""
    _as_before(aside, path)
    for part in (*aside.rglob("*"), aside) if synced else ():
        if not part.is_symlink():
            _sync(part)
    old = _old(aside)
    remove(old)
    if path.is_dir() and aside.is_dir():  # no rename takes the place of a folder that holds something
        if not _exchange(aside, path):
            _replace_folder(aside, path, old)
    else:
        os.replace(aside, path)
    if synced:
        _sync(path.parent)
    remove(aside)  # where they were exchanged, the old one
    remove(old)


def _as_before(aside, path):
    """What takes the place of a file or folder may be read and written by whom that might; by nobody else."""
    with suppress(OSError):
        before = path.stat()
        if stat.S_IFMT(before.st_mode) != stat.S_IFMT(aside.stat().st_mode):
            return
        for owner, group in ((-1, before.st_gid), (before.st_uid, -1)):
            with suppress(OSError):
                os.chown(aside, owner, group)
        now, mode = aside.stat(), stat.S_IMODE(before.st_mode)
        mode &= 0o7777 if now.st_gid == before.st_gid else 0o7707
        mode &= 0o7777 if (now.st_uid, now.st_gid) == (before.st_uid, before.st_gid) else 0o1777
        aside.chmod(mode)


def _exchange(one, other) -> bool:
    """Lets two names change places at one moment; false where that cannot be done."""
    if _RENAMEAT2 is None:
        return False
    if _RENAMEAT2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    if (number := ctypes.get_errno()) in _CANNOT_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(other))


def _replace_folder(aside, path, old):
    try:
        os.replace(path, old)
        os.replace(aside, path)
    except BaseException:
        if os.path.lexists(old) and not os.path.lexists(path):
            os.replace(old, path)
        raise


def _make_folder(folder):
    """Makes a folder and those above it; their names reach the disk."""
    if folder.is_dir():
        return
    if folder != folder.parent:
        _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent)


def write_whole(path, content: str | bytes) -> None:
    """Writes a file, text in UTF-8, making its folder where needed. Raises: `OutputError`."""
    content = content.encode() if isinstance(content, str) else content
    with told("file", path, len(content) / 1e6), replaced(path) as aside:
        aside.write_bytes(content)


@contextmanager
def whole_file(path, megabytes: float) -> Iterator[Path]:
    """As `replaced`, for a file of about so many megabytes. Raises: `OutputError`."""
    path = Path(path).resolve()  # a link stays, and what it leads to is replaced
    with told("file", path, megabytes), replaced(path) as aside:
        yield aside


@contextmanager
def whole_folder(folder, is_known: Callable[[str], bool], megabytes: float) -> Iterator[Path]:
    """As `replaced`, for a new folder, which is there to be written into.

    Args:
        folder: may exist if it holds nothing but files with names that are `is_known`; they are replaced.
        megabytes: about what will be written, for the error where there is no space.

    Raises: `OutputError` when the folder holds something else or cannot be written; it is then as it was.
    """
    folder = Path(folder).resolve()
    check_is_elsewhere(folder)
    with told("folder", folder, megabytes):
        _check_replaceable(folder, is_known)
        with replaced(folder) as aside:
            aside.mkdir()
            yield aside


@contextmanager
def told(kind: str, path, megabytes: float) -> Iterator[None]:
    """Within it an `OSError` becomes an `OutputError` over a `file` or `folder` of about so many megabytes."""
    try:
        yield
    except (OSError, OutputError) as error:
        if isinstance(error, OutputError):  # of a file in a folder aside; its user knows the folder by its name
            error = error.__cause__
        if not isinstance(error, OSError):
            raise
        expected = f"{max(1, round(megabytes))} MB of free space there"
        remedy = "choose a place that can be written to, on a disk with space"
        if error.errno == errno.ENAMETOOLONG:  # longer still are the names beside it
            expected, remedy = "a name of at most 230 bytes", "choose a shorter one"
        raise OutputError(
            f"the {kind} cannot be written: {error.strerror or error}", where=path, expected=expected, remedy=remedy
        ) from error


def check_is_elsewhere(folder) -> None:
    """Raises: `OutputError` for the working directory or one above it. A new folder takes the place of an old one as a
    whole: a shell that stands in the old one would see nothing any more.
    """
    try:
        here = Path.cwd()
    except OSError:  # it was removed
        return
    if folder.resolve() in (here, *here.parents):
        raise OutputError(
            "the output is the folder that you are in, or above it",
            where=folder,
            expected="another folder, since a new one takes its place as a whole",
            remedy="name a folder in it, or type the command from the folder above",
        )


def _check_replaceable(folder, is_known):
    if not folder.exists():
        return
    tidy(folder)
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else ["it is a file"]
    others = [name for name in names if not is_known(name)]
    if others:
        raise OutputError(
            f"the folder exists and holds something else: {', '.join(others)}",
            where=folder,
            expected="a new folder, or one with an exported model, which is replaced",
            remedy="name another folder",
        )


def snapshots_of(folder: str | Path) -> list[Path]:
    """Of a model's folder in the hub's cache, `models--OWNER--NAME`, the folders of its revisions, the newest last."""
    folder = Path(folder)
    within = folder if folder.name == "snapshots" else folder / "snapshots"
    if not within.absolute().parent.name.startswith("models--") or not within.is_dir():
        return []
    revisions = [path for path in within.iterdir() if path.is_dir()]
    return sorted(revisions, key=lambda path: (path.stat().st_mtime, path.name))


def check_no_pointer(begins: bytes, file: Path, error: type[ElectraTFError]) -> None:
    """Raises `error` for a file that begins so: it only says where Git LFS keeps the real one."""
    if begins.startswith(b"version https://git-lfs"):
        raise error(
            "the file is a pointer of Git LFS, not what it points to",
            where=file,
            expected="the file itself",
            remedy="run `git lfs pull` in the repository that it is in, or download the file",
        )


def check_fetched(file: Path) -> None:
    """Raises: `CheckpointError` for a file of a checkpoint that cannot be read, or is a pointer of Git LFS."""
    try:
        with open(file, "rb") as opened:
            begins = opened.read(24)
    except OSError as error:
        raise CheckpointError(
            f"the file cannot be read: {error.strerror}", where=file, remedy="check that you may read it, and the disk"
        ) from error
    check_no_pointer(begins, file, CheckpointError)


def masked_checksum(data) -> int:
    """CRC-32C of bytes, rotated and shifted, as TensorFlow's files have it."""
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _sync(path):
    is_folder = path.is_dir()
    try:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if not (is_folder and error.errno in _CANNOT_SYNC_FOLDERS):
            raise


def remove(path: Path) -> None:
    """Removes a file, a folder with all that is in it, or a link but not what it leads to; as far as it can be."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
