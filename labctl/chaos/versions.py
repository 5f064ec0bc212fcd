"""The order in which a register had its values: known for certain, as every write replaced a value that it named."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labctl.chaos.history import Operation

NOWHERE = -1
"""The place of a register that is not there yet."""


@dataclass(frozen=True)
class Versions:
    """A register's values, from the first one to the one at the end.

    Attributes:
        order: the values.
        place: where each stands in the order, from 0.
        writers: the request that was to write a value, also of values that were never there.
        stranger: a value that no client wrote; what was before it is not known.
    """

    order: tuple[str, ...]
    place: dict[str, int]
    writers: dict[str, Operation]
    stranger: str | None = None

    def place_of(self, one: Operation) -> int | None:
        """Where the value that a request wrote or read stands; None where it never was the register's."""
        return NOWHERE if one.value is None else self.place.get(one.value)

    def after(self, value: str) -> Operation | None:
        """The request that replaced a value."""
        following = self.place[value] + 1
        return self.writers[self.order[following]] if following < len(self.order) else None


def versions(operations: Iterable[Operation], final: str | None) -> Versions:
    """Go back from the last value to the first, from each to the one that its writer replaced."""
    writers = {one.value: one for one in operations if one.kind == "cas" and one.value is not None}
    order: list[str] = []
    seen: set[str] = set()
    stranger = None
    value = final
    while value is not None:
        if value not in writers or value in seen:
            stranger = value
            break
        seen.add(value)
        order.append(value)
        value = writers[value].before
    order.reverse()
    return Versions(tuple(order), {value: place for place, value in enumerate(order)}, writers, stranger)


class Known:
    """What was known for certain of a register's place, and since when."""

    def __init__(self, operations: Iterable[Operation], found: Versions) -> None:
        self._first: list[Operation | None] = [None] * len(found.order)
        for one in operations:
            place = found.place_of(one)
            if place is None or place == NOWHERE or not is_certain(one):
                continue
            before = self._first[place]
            if before is None or one.end < before.end:
                self._first[place] = one
        # Whoever has seen a later value has seen that the earlier ones are over.
        for place in range(len(self._first) - 2, -1, -1):
            later, here = self._first[place + 1], self._first[place]
            if later is not None and (here is None or later.end < here.end):
                self._first[place] = later

    def at_least(self, place: int) -> Operation | None:
        """The first answer that showed this place, or a later one."""
        return self._first[place] if place < len(self._first) else None

    def since(self, place: int) -> float:
        """When it came, in seconds; infinity where it never did."""
        first = self.at_least(place)
        return math.inf if first is None else first.end


def is_certain(one: Operation) -> bool:
    """Whether its answer tells what the register was at some time between question and answer."""
    return one.outcome == "done" and (one.kind == "cas" or (one.kind == "read" and one.mode == "consistent"))
