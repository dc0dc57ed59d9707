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
