"""What this machine's processor can do."""

from functools import cache
from pathlib import Path


@cache
def features() -> frozenset[str]:
    """The names of its extensions, as Linux calls them (`avx2`, `avx512f`, ...); none where that cannot be told."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    named = (line.partition(":")[2] for line in lines if line.lower().startswith(("flags", "features")))
    return frozenset(next(named, "").split())


def kind() -> str:
    """The widest of the extensions that change what products compute in their last bits."""
    return next((name for name in ("avx512f", "avx2", "asimd") if name in features()), "unknown")
