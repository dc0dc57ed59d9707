"""XLA programs kept from one run to the next: what was compiled before is loaded.

TensorFlow can keep them in a folder, and believes what it finds there. So each process has a folder of its own, which
begins with the programs kept so far, once their checksums are seen to be right; what it adds is kept when it is whole.
A program is found again by all that it computes, which TensorFlow compares. It is machine code: every release of
TensorFlow, kind of processor and number of threads has a cache of its own, in which nobody else may write.
"""

import atexit
import hashlib
import importlib.metadata
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from electra_tf import processor
from electra_tf.errors import OutputError
from electra_tf.files import own_folder

CACHE = "ELECTRA_TF_COMPILATION_CACHE"  # the environment's name of the folder; empty: nothing is kept
MOST_BYTES = 1 << 27  # of one cache; the oldest programs go first
_LEAST_ROOM = 1 << 30  # bytes free on the disk, so that a full one never stops a run for the sake of its cache
_FLAG, _ON_CPUS = "--tf_xla_persistent_cache_directory=", "--tf_xla_persistent_cache_device_types=CPU"
_AT_WORK = "at_work"
_OURS = re.compile(f' ?{_FLAG}"[^"]*/{_AT_WORK}" {_ON_CPUS}')
_KEPT = re.compile(r"([0-9a-f]{64})-(\w+\.pb)")


class _Cache:
    """The programs kept in `folder`, and those of this process, in `own`."""

    def __init__(self, folder: Path, own: Path):
        self.folder, self.own = folder, own
        own.mkdir()
        self._known = set()
        for path in self._kept():
            digest, name = _KEPT.fullmatch(path.name).groups()
            if hashlib.sha256(path.read_bytes()).hexdigest() != digest:  # damaged
                path.unlink(missing_ok=True)
            elif name not in self._known:
                try:
                    os.link(path, own / name)
                except OSError:  # the file system has no links
                    shutil.copyfile(path, own / name)
                self._known.add(name)

    def keep(self) -> None:
        """Keeps what was compiled since; as far as it can be written."""
        with suppress(OSError):
            new = [path for path in self.own.glob("*.pb") if path.name not in self._known]
            for path in new:
                content = path.read_bytes()
                name = f"{hashlib.sha256(content).hexdigest()}-{path.name}"
                aside = self.own / f"{name}.aside"
                aside.write_bytes(content)
                os.replace(aside, self.folder / name)
                self._known.add(path.name)
            if new:
                self._limit()

    def forget(self) -> None:
        """Keeps none of the programs that this process was given."""
        for path in self._kept():
            if _KEPT.fullmatch(path.name)[2] in self._known:
                path.unlink(missing_ok=True)

    def _kept(self):
        found = (path for path in self.folder.iterdir() if _KEPT.fullmatch(path.name))
        return [path for path in found if _is_ours(path, stat.S_ISREG)]

    def _limit(self):
        size = 0
        for path in sorted(self._kept(), key=lambda path: path.stat().st_mtime, reverse=True):
            size += path.stat().st_size
            if size > MOST_BYTES:
                path.unlink(missing_ok=True)


_cache: _Cache | None = None


def use_cache(threads: int | None = None) -> None:
    """Has this process load and keep what it compiles for a CPU. Only before TensorFlow is imported, which reads then
    where programs are; where no folder can be used nothing is kept.

    Args:
        threads: of an operation; None: one a core.
    """
    global _cache
    flags = _OURS.sub("", os.environ.get("TF_XLA_FLAGS", "")).strip()  # of the process that started this one
    is_usable = _FLAG not in flags and (not flags or flags.startswith("-"))  # else it names a file
    if sys.platform == "linux" and "tensorflow" not in sys.modules and _cache is None and is_usable:
        with ExitStack() as stack, suppress(OSError, RuntimeError, importlib.metadata.PackageNotFoundError):
            folder = _folder(f"{threads} {flags} {os.environ.get('XLA_FLAGS')}")
            if folder is not None and shutil.disk_usage(folder).free > _LEAST_ROOM:
                _cache = _Cache(folder, stack.enter_context(own_folder(folder / _AT_WORK, tidies=True)))
                atexit.register(stack.pop_all().close)
                atexit.register(_cache.keep)
                flags = f'{flags} {_FLAG}"{_cache.own}" {_ON_CPUS}'.strip()
    os.environ["TF_XLA_FLAGS"] = flags


def keep_programs() -> None:
    """Keeps what was compiled up to now, for a run that may be killed."""
    if _cache is not None:
        _cache.keep()


@contextmanager
def explained() -> Iterator[None]:
    """Within it, after an error of TensorFlow's, nothing that was loaded is kept: it may be the cause, and the next
    start makes it anew. Raises: `OutputError` where one could not be written.
    """
    try:
        yield
    except Exception as error:  # of TensorFlow's classes, which only a program that has imported it can name
        if _cache is None or type(error).__module__ != "tensorflow.python.framework.errors_impl":
            raise
        with suppress(OSError):
            _cache.forget()
        if str(_cache.own.parent) not in str(error):
            raise
        raise OutputError(
            f"the compilation cache cannot be written: {str(error).splitlines()[0][:200]}",
            where=_cache.folder,
            expected="room for what is compiled",
            remedy=f"free some space and start again; or keep nothing, with {CACHE}= before the command",
        ) from error


def _is_ours(path, is_kind):
    status = path.lstat()
    return status.st_uid == os.geteuid() and is_kind(status.st_mode)


def _folder(settings):
    """The cache of such a machine and such settings, made where it is not there; None where there can be none."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    caches = os.environ.get(CACHE, Path(home) / "electra_tf" / "programs")
    if caches == "" or {'"', "\\"} & {*str(caches)} or not processor.features():  # flags can hold neither of both
        return None
    release = importlib.metadata.version("tensorflow")
    machine = f"{sorted(processor.features())} {len(os.sched_getaffinity(0))} {settings}"
    machine = hashlib.sha256(machine.encode()).hexdigest()[:16]
    folder = Path(caches).absolute() / f"tensorflow-{release}-{machine}"
    folder.mkdir(parents=True, exist_ok=True)
    if not _is_ours(folder, stat.S_ISDIR):
        return None
    folder.chmod(0o700)
    return folder
