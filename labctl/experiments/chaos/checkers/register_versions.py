"""The order of a register's values: known for certain, as every write named the value that it replaced."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
    Nothing else is certain: with these bounds, the latest moments that they leave are an order of all requests unless
    one of them comes before its own question.

    Of what a leader has applied, which is what it answers from, only a leader's own answers tell: a follower that has
    heard that an entry is committed may apply it some milliseconds before the leader itself does. So a read in mode
    `stale` binds those who write, who are given an order by the log, and nobody who reads.
    """

    def __init__(self, operations: Sequence[Operation], versions: Versions) -> None:
        named = [(versions.place_of(operation), operation) for operation in operations if operation.outcome == "done"]
        self._committed = _first_answers(named, len(versions.order))
        self._applied = _first_answers(
            [(place, operation) for place, operation in named if operation.mode in {None, "consistent"}],
            len(versions.order),
        )
        told_no: dict[int, list[Operation]] = defaultdict(list)
        for operation in operations:
            place = versions.place_named(operation) if operation.outcome == "mismatch" else None
            if place is not None:
                told_no[place].append(operation)
        self._left: dict[int, Operation] = {}
        # The last value was never replaced: an answer that says so is wrong, and shows nothing else.
        for place in range(NOWHERE, len(versions.order) - 1):
            known = [operation for operation in told_no[place] if self.committed(place) < operation.begin]
            if known:
                self._left[place] = min(known, key=lambda operation: operation.end)

    def committed(self, place: int) -> float:
        """When it was known that this place, or a later one, was in the log for good; infinity where it never was."""
        return self._since(self._committed, place)

    def applied(self, place: int) -> float:
        """When it was known that a leader answers from this place, or a later one; infinity where it never was."""
        return self._since(self._applied, place)

    def _since(self, answers: Sequence[Operation | None], place: int) -> float:
        if place == NOWHERE:
            return -math.inf
        seen, left = _at(answers, place), self._left.get(place - 1)
        return min(math.inf if seen is None else seen.end, math.inf if left is None else left.end)

    def shown_committed(self, place: int, before: float) -> list[Operation]:
        """The fewest answers before that time that show it."""
        if (seen := self.seen(place, before)) is not None:
            return [seen]
        return self._shown_left(place, before)

    def shown_applied(self, place: int, before: float) -> list[Operation]:
        """The fewest answers before that time that show it."""
        if (seen := _before(_at(self._applied, place), before)) is not None:
            return [seen]
        return self._shown_left(place, before)

    def _shown_left(self, place: int, before: float) -> list[Operation]:
        """The answer before that time that the place before this one was left, with what shows it to be one."""
        shown: list[Operation] = []
        while (left := _before(self._left.get(place - 1), before)) is not None:
            shown, before, place = [left, *shown], left.begin, place - 1
            if (seen := self.seen(place, before)) is not None:
                return [seen, *shown]
        return shown

    def seen(self, place: int, before: float) -> Operation | None:
        """The first answer before that time that names the value of this place, or of a later one."""
        return _before(_at(self._committed, place), before)


def _first_answers(named: Iterable[tuple[int | None, Operation]], count: int) -> list[Operation | None]:
    """The answer that first named each place, or a later one: who has seen that has seen the end of the earlier."""
    first: list[Operation | None] = [None] * count
    for place, operation in named:
        if place is not None and place != NOWHERE:
            first[place] = _earlier(first[place], operation)
    for place in range(count - 2, -1, -1):
        first[place] = _earlier(first[place], first[place + 1])
    return first


def _at(answers: Sequence[Operation | None], place: int) -> Operation | None:
    return answers[place] if 0 <= place < len(answers) else None


def _before(answer: Operation | None, time: float) -> Operation | None:
    return answer if answer is not None and answer.end < time else None


def _earlier(first: Operation | None, second: Operation | None) -> Operation | None:
    if first is None or second is None:
        return second if first is None else first
    return first if first.end <= second.end else second
