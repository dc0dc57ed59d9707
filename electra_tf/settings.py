"""What the dataclasses of settings have in common."""

import dataclasses
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
