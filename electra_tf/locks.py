"""Locks between processes; a lock ends with the process that holds it, however that ends."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# What file systems answer that know no locks. (Those of a network lock only what is open for writing.)
_KNOW_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL, errno.EBADF)


def lock(handle: int) -> bool | None:
    """Locks an open file or folder until it is closed: whether it is this one's now; None: there are no locks here."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _KNOW_NO_LOCKS:
            raise
        return None
    return True


@contextmanager
def locked_folder(folder: Path) -> Iterator[bool | None]:
    """Makes a folder where there is none, and holds its lock, the file `lock` in it. Yields what `lock` returned.

    The file is gone afterwards, and so is a new folder that is empty; a file that a killed process has left binds
    nobody. An `OSError` is passed on.
    """
    path = Path(folder) / "lock"
    is_new = not path.parent.exists()
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except FileNotFoundError:
            continue  # its holder has just removed the folder
        held = lock(handle)
        if held is not True or _is_there(handle, path):
            break
        os.close(handle)  # its holder has just removed it
    try:
        yield held
    finally:
        # Not removed, and made anew by another process; and empty, as we make it.
        if held and _is_there(handle, path) and not os.fstat(handle).st_size:
            path.unlink(missing_ok=True)
            if is_new:  # and nothing came of it
                with suppress(OSError):
                    path.parent.rmdir()
        os.close(handle)


def _is_there(handle, path):
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False
