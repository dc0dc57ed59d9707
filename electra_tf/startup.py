"""What a training program does in its first lines, before TensorFlow is imported.

glibc's allocator is told to keep what is freed. By default it hands every large temporary back to the kernel and gets
zeroed pages anew, which costs up to a third of a step on a CPU. It reads its settings only when a program starts.
"""

import os
import sys

TUNABLES = (
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=34359738368:"
    "glibc.malloc.top_pad=268435456:glibc.malloc.arena_max=1"
)


def is_settled() -> bool:
    """Whether there is nothing to tell it: another platform, or settings or another allocator given already."""
    return sys.platform != "linux" or "GLIBC_TUNABLES" in os.environ or "LD_PRELOAD" in os.environ


def restart_with_tunables() -> None:
    """Starts this program again, with the settings in its environment. Only for the first lines of a program."""
    _open_streams()
    if not is_settled():
        os.environ["GLIBC_TUNABLES"] = TUNABLES
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _open_streams():
    """Leads standard streams that are closed to nowhere: else the next files to be opened would take their numbers, and
    get what is said.
    """
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(handle, True)
    os.close(handle)
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", closefd=False))


def leave_out_optional_imports() -> None:
    """Keeps TensorFlow and Keras from importing what they look for and no command uses: 0.2 GB, two seconds."""
    if _runs_on_jax():  # which training refuses in words, once Keras is there
        return
    for name in ("jax", "matplotlib", "scipy", "sklearn"):
        sys.modules.setdefault(name, None)


def _runs_on_jax():
    if "KERAS_BACKEND" in os.environ:
        return os.environ["KERAS_BACKEND"] == "jax"
    file = os.path.join(os.environ.get("KERAS_HOME", os.path.expanduser("~/.keras")), "keras.json")
    try:
        with open(file, encoding="utf-8") as opened:
            return '"jax"' in opened.read()
    except (OSError, ValueError):
        return False


def let_in(name: str) -> None:
    """Lets a module that was left out be imported after all, once TensorFlow and Keras are there."""
    if name in sys.modules and sys.modules[name] is None:
        del sys.modules[name]
