"""Which servers still reach each other, by the words of the faults that a lab has."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def reaching(servers: Sequence[str], faults: Iterable[str]) -> list[list[str]]:
    """Part servers into groups that reach each other.

    Args:
        servers: those that are there.
        faults: what was asked for, such as `isolate consul2`; only what cuts servers off from each other counts.
    """
    groups = [list(servers)]
    for words in faults:
        for side in _sides(words):
            groups = [part for group in groups for part in _parted(group, side)]
    return groups


def _sides(words: str) -> list[set[str]]:
    verb, _, rest = words.partition(" ")
    if verb == "isolate":
        return [{name} for name in rest.split(",")]
    if verb == "partition":
        return [set(side.strip().split(",")) for side in rest.split("/")]
    return []


def _parted(group: list[str], side: set[str]) -> list[list[str]]:
    inside, outside = [name for name in group if name in side], [name for name in group if name not in side]
    return [part for part in (inside, outside) if part]
