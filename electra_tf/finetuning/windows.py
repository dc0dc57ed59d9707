"""Long texts in overlapping windows: where each begins and ends, and which of them answers for what they share."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


def windows_of(tokens: int, room: int, stride: int) -> list[tuple[int, int]]:
    """(first, end) of the windows of so many tokens, `stride` apart."""
    windows, first = [], 0
    while first < tokens:
        end = min(tokens, first + room)
        windows.append((first, end))
        if end == tokens:
            break
        first += min(end - first, stride)
    return windows


def owners(windows: Sequence[tuple[int, int]], tokens: int) -> list[int]:
    """For each token the window with the most around it, longer windows before shorter ones, then the first."""
    best, owner = np.full(tokens, -1.0), np.zeros(tokens, int)
    for number, (first, end) in enumerate(windows):
        place = np.arange(end - first)
        score = np.minimum(place, place[::-1]) + 0.01 * (end - first)
        better = np.flatnonzero(score > best[first:end])
        best[first + better], owner[first + better] = score[better], number
    return owner.tolist()


class UnitWindow(NamedTuple):
    """Units `first` to `end` (not included) of a sentence; it answers for those from `own_first` to `own_end`."""

    sentence: int
    first: int
    end: int
    own_first: int
    own_end: int

    @property
    def own(self) -> slice:
        """Of the window's units, those that it answers for."""
        return slice(self.own_first - self.first, self.own_end - self.first)


def windows_of_units(sentence: int, sizes: Sequence[int], room: int) -> list[UnitWindow]:
    """Windows of at most `room` pieces that overlap by half; a unit is answered for where it has most around it.

    Args:
        sentence: its number. sizes: pieces of each unit; of one that is longer than the room the rest is cut.
    """
    ends = np.concatenate([[0], np.cumsum(np.minimum(np.array(sizes, np.int64), room))])
    spans, first = [], 0
    while first < len(sizes):
        end = int(np.searchsorted(ends, ends[first] + room, "right")) - 1
        spans.append((first, end))
        if end == len(sizes):
            break
        first = min(end, max(first + 1, int(np.searchsorted(ends, ends[first] + room // 2))))
    around = np.full((len(spans), len(sizes)), -1)
    for place, (first, end) in enumerate(spans):
        before, behind = ends[first:end] - ends[first], ends[end] - ends[first + 1 : end + 1]
        # At the ends of the sentence there is nothing more to see.
        before = before if first else before + room
        behind = behind if end < len(sizes) else behind + room
        around[place, first:end] = np.minimum(before, behind)
    owner = around.argmax(0) if len(spans) else []
    owned = [np.flatnonzero(owner == place) for place in range(len(spans))]
    return [
        UnitWindow(sentence, first, end, int(own[0]), int(own[-1]) + 1)
        for (first, end), own in zip(spans, owned, strict=True)
        if len(own)
    ]
