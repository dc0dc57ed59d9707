"""The checksum that a JSON object carries of itself, so that one changed digit of what gives data a meaning is seen."""

import hashlib
import json

SEAL = "checksum"


def sealed(content: dict) -> dict:
    """JSON values, with the checksum of all others under `checksum`."""
    return {**content, SEAL: _checksum(content)}


def is_unbroken(content: dict) -> bool:
    """Whether what was read is what was sealed; what was written before there were seals has none, and passes."""
    return SEAL not in content or content[SEAL] == _checksum(content)


def _checksum(content):
    rest = {name: value for name, value in content.items() if name != SEAL}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
