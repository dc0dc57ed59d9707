"""What the dataclasses of settings have in common."""

import dataclasses
import os
from math import isfinite

from electra_tf.errors import ConfigError

_LARGEST = 2**53  # what a float64, as JSON's readers have, still counts one by one


def check_numbers(settings) -> None:
    """Raises `ConfigError` where a field of a dataclass is not finite, or a count larger than any of this world."""
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, float) and not isfinite(value):
            found, expected = value, "a finite number"
        elif isinstance(value, int) and abs(value) >= _LARGEST:
            found, expected = f"a number of {len(str(abs(value)))} digits", "a number below 2^53"
        else:
            continue
        raise ConfigError(f"{field.name} is {found}", where=type(settings).__name__, expected=expected)


def check_parallel(count: int, what: str) -> None:
    """Raises `ConfigError` for more threads, processes or devices of a CPU than any use of this machine: a system may
    end a process that starts thousands.
    """
    most = max(64, 4 * (os.cpu_count() or 1))
    if not 0 <= count <= most:
        raise ConfigError(
            f"{count} {what} were asked for",
            where=f"--{what}",
            expected=f"{most} at most on this machine, which has {os.cpu_count()} cores",
            remedy=f"leave --{what} out",
        )
