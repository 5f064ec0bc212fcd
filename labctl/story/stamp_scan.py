"""Finds where the stamps of a log go back, in its bytes: every stamp is compared, and few lines are parsed."""

from __future__ import annotations

import itertools
import re
from datetime import datetime
from typing import TYPE_CHECKING

from labctl.raft.line_order import STEP

if TYPE_CHECKING:
    from collections.abc import Iterator

# The first characters are literal, so that the search is as fast as for a word.
_STAMP = re.compile(rb"20\d\d(?:-\d\d-\d\d[T ]|/\d\d/\d\d )\d\d:\d\d:\d\d")
MOST_STAMPS_OF_A_LINE = 3
MOST_FALLS = 16
"""Of one block, that are looked at more closely."""


def places(block: bytes) -> list[int]:
    """Where the lines begin that decide whether a block is in order: the first, the last, and around each fall."""
    stamps = _STAMP.findall(block)
    if not stamps:
        return [0] if block else []
    starts = {0, block.rfind(b"\n", 0, block.rfind(stamps[-1])) + 1}
    if not _are_in_order(stamps):
        for at in _falls(block):
            starts.add(block.rfind(b"\n", 0, at) + 1)
    return sorted(starts)


def _are_in_order(stamps: list[bytes]) -> bool:
    """Whether stamps only rise, also where each line has several, of clocks in several zones."""
    return any(
        all((column := stamps[first::of_a_line]) == sorted(column) for first in range(of_a_line))
        for of_a_line in range(1, MOST_STAMPS_OF_A_LINE + 1)
    )


def _falls(block: bytes) -> Iterator[int]:
    """The places of stamps before and behind each fall, among the first stamps of the lines and among the last."""
    firsts: list[tuple[int, bytes]] = []
    lasts: list[tuple[int, bytes]] = []
    end = -1
    for match in _STAMP.finditer(block):
        stamp = (match.start(), match[0].replace(b" ", b"T").replace(b"/", b"-"))
        if stamp[0] > end:
            firsts.append(stamp)
            lasts.append(stamp)
            end = block.find(b"\n", match.end())
            end = len(block) if end < 0 else end
        else:
            lasts[-1] = stamp
    for column in (firsts, lasts):
        count = 0
        for earlier, later in itertools.pairwise(column):
            if later[1] < earlier[1] and _is_far(earlier[1], later[1]):
                yield from (earlier[0], later[0])
                count += 1
                if count >= MOST_FALLS:
                    break


def _is_far(earlier: bytes, later: bytes) -> bool:
    try:
        return datetime.fromisoformat(earlier.decode()) - datetime.fromisoformat(later.decode()) >= STEP
    except ValueError:
        return False
