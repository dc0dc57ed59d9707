"""The one exception family of the project: errors written for the person who caused them."""

import json
import math
import unicodedata

_LONGEST = 4000  # characters of a part of an error: what it shows of a file may be of any length


class ElectraTFError(Exception):
    """Something the user can put right.

    Args:
        found: what was found, one sentence.
        where: the file, line, record, tensor or option concerned.
        expected: what was expected instead.
        remedy: what to do about it.

    The commands print it without a traceback and exit with status 2.
    """

    def __init__(self, found: str, *, where=None, expected: str | None = None, remedy: str | None = None):
        self.found, self.where, self.expected, self.remedy = found, where, expected, remedy
        found, where, expected, remedy = (part and _shortened(str(part)) for part in (found, where, expected, remedy))
        lines = [found]
        if where is not None:
            lines.append(f"  where:      {where}")
        if expected is not None:
            lines.append(f"  expected:   {expected}")
        if remedy is not None:
            lines.append(f"  what to do: {remedy}")
        super().__init__(shown("\n".join(lines)))


class ConfigError(ElectraTFError):
    """A configuration that cannot be meant: sizes that do not divide, unknown names, contradictions."""


class InputError(ElectraTFError):
    """An input file that is missing, empty, unreadable or not what it should be."""


class DataError(ElectraTFError):
    """A data set that is damaged, incomplete, or not made for this model."""


class CheckpointError(ElectraTFError):
    """A checkpoint that is damaged, incomplete, or of another model."""


class OutputError(ElectraTFError):
    """An output that cannot be written: no permission, no space, or something else already there."""


class TrainingError(ElectraTFError):
    """A run that cannot go on: non-finite values, or a resume with other data or another recipe."""


class DependencyError(ElectraTFError):
    """An optional package that this feature needs is not installed."""


_TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def shown(text: str) -> str:
    """`text` with control characters, and marks that turn the direction of what follows, written out.

    So that a terminal shows what is in a stranger's file, and does not obey it. Lines and tabs stay.
    """
    return "".join(c if _is_plain(c) else c.encode("unicode_escape").decode() for c in text)


def as_json(value) -> str:
    """JSON on a line, in which the same characters are escaped."""
    text = json.dumps(_of_numbers(value), ensure_ascii=False)
    return "".join(c if _is_plain(c) else f"\\u{ord(c):04x}" for c in text)


def _of_numbers(value):
    """What JSON has no number for (NaN, infinity) as null."""
    if isinstance(value, dict):
        return {name: _of_numbers(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_of_numbers(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _shortened(text):
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text):,} characters)"


def _is_plain(character):
    if character in "\n\t" or character.isprintable():
        return True
    if unicodedata.category(character) in ("Cc", "Cs"):
        return False
    return unicodedata.bidirectional(character) not in _TURNS
