"""The order of a register's values: known for certain, as every write named the value that it replaced."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labctl.experiments.chaos.history import Operation

NOWHERE = -1
"""The place of a register that is not there yet."""


@dataclass(frozen=True)
class Versions:
    """A register's values, from the first one to the one at the end.

    Attributes:
        order: the values.
        place: where each stands in the order, from 0.
        writers: the request that was to write a value, also of values that the register never had.
        stranger: a value that no client wrote; nothing is known of what was before it.
    """

    order: tuple[str, ...]
    place: dict[str, int]
    writers: dict[str, Operation]
    stranger: str | None = None

    def place_of(self, operation: Operation) -> int | None:
        """Where the value that a request wrote or read stands; None where it never was the register's."""
        return NOWHERE if operation.value is None else self.place.get(operation.value)

    def place_named(self, operation: Operation) -> int | None:
        """Where the value stands that a compare-and-set was to replace; None where it never was the register's."""
        if operation.before is None:
            # Before a stranger's value there may have been others, so it is not known when there was none.
            return NOWHERE if self.stranger is None else None
        return self.place.get(operation.before)

    def after(self, place: int) -> Operation | None:
        """The request that replaced the value at a place."""
        return self.writers[self.order[place + 1]] if place + 1 < len(self.order) else None


def versions(operations: Iterable[Operation], final: str | None) -> Versions:
    """Go back from the last value to the first, from each to the one that its writer replaced."""
    writers = {
        operation.value: operation
        for operation in operations
        if operation.kind == "cas" and operation.value is not None
    }
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


class PlaceBounds:
    """The bounds of a register's place in its order of values, and since when they are known.

    An answer that names a value shows that its place was reached: what a client read, in whatever mode, was committed.
    The answer "it is another value by now" shows that the value's place was left, if it was reached before the request.
    for. Nothing else is certain: with these bounds, the latest moments that they leave are an order of all requests
    unless one of them comes before its own question.
    """

    def __init__(self, operations: Iterable[Operation], versions: Versions) -> None:
        self._seen: list[Operation | None] = [None] * len(versions.order)
        told_no: dict[int, list[Operation]] = defaultdict(list)
        for operation in operations:
            place = versions.place_named(operation) if operation.outcome == "mismatch" else versions.place_of(operation)
            if place is None or operation.outcome not in {"done", "mismatch"}:
                continue
            if operation.outcome == "mismatch":
                told_no[place].append(operation)
            elif place != NOWHERE:
                self._seen[place] = _earlier(self._seen[place], operation)
        # A client that has seen a later value has seen the end of the earlier ones.
        for place in range(len(self._seen) - 2, -1, -1):
            self._seen[place] = _earlier(self._seen[place], self._seen[place + 1])
        self._left: dict[int, Operation] = {}
        # The last value was never replaced: an answer that says so is wrong, and shows nothing else.
        for place in range(NOWHERE, len(versions.order) - 1):
            known = [operation for operation in told_no[place] if self.since(place) < operation.begin]
            if known:
                self._left[place] = min(known, key=lambda operation: operation.end)

    def since(self, place: int) -> float:
        """When it was known that this place was reached, or a later one; infinity where it never was."""
        if place == NOWHERE:
            return -math.inf
        seen, left = self._seen[place] if place < len(self._seen) else None, self._left.get(place - 1)
        return min(math.inf if seen is None else seen.end, math.inf if left is None else left.end)

    def shown(self, place: int, before: float) -> list[Operation]:
        """The fewest answers before that time that show it."""
        shown: list[Operation] = []
        while place != NOWHERE:
            if (seen := self.seen(place, before)) is not None:
                return [seen, *shown]
            left = self._left.get(place - 1)
            if left is None:
                break
            shown, before, place = [left, *shown], left.begin, place - 1
        return shown

    def seen(self, place: int, before: float) -> Operation | None:
        """The first answer before that time that names the value of this place, or of a later one."""
        first = self._seen[place] if place < len(self._seen) else None
        return first if first is not None and first.end < before else None


def _earlier(first: Operation | None, second: Operation | None) -> Operation | None:
    if first is None or second is None:
        return second if first is None else first
    return first if first.end <= second.end else second
