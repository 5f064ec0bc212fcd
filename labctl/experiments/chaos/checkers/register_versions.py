"""The order of a register's values: known for certain, as every write named the value that it replaced."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

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
    The answer "it is another value by now" is one of the leader's: it comes behind all that had been committed when it
    was asked for, and if the value that it is about was the last of that, it shows that this one was replaced. Nothing
    else is certain: with these bounds, the latest moments that they leave are an order of all requests unless one of
    them comes before its own question.

    Of what a leader has applied, which is what it answers from, only a leader's own answers tell: a follower that has
    heard that an entry is committed may apply it some milliseconds before the leader itself does. So a read in mode
    `stale` binds those who write, who are given an order by the log, and nobody who reads.
    """

    def __init__(self, operations: Sequence[Operation], versions: Versions) -> None:
        count = len(versions.order)
        named = [
            (place, operation)
            for operation in operations
            if operation.outcome == "done" and (place := versions.place_of(operation)) is not None
        ]
        self._named = _first_answers(named, count)
        # What shows the place that such an answer builds upon.
        self._shown_before: dict[Operation, int] = {}
        told_no = list(self._told_no(named, operations, versions))
        self._committed = _first_answers([*named, *told_no], count)
        by_leader = [(place, operation) for place, operation in named if operation.mode in {None, "consistent"}]
        self._applied = _first_answers([*by_leader, *told_no], count)

    def _told_no(
        self, named: Iterable[tuple[int, Operation]], operations: Iterable[Operation], versions: Versions
    ) -> Iterator[tuple[int, Operation]]:
        """The place that each answer "it is another value by now" shows to be reached."""
        refused = [operation for operation in operations if operation.outcome == "mismatch"]
        # What is answered when another is asked may come after it, so those that are asked come first.
        asked, named_then, answered = range(3)
        moments = [(operation.begin, asked, number) for number, operation in enumerate(refused)]
        moments += [(operation.end, named_then, place) for place, operation in named]
        moments += [(operation.end, answered, number) for number, operation in enumerate(refused)]
        top, tops = NOWHERE, {}
        for _, kind, number in sorted(moments):
            if kind == asked:
                tops[number] = top
                continue
            if kind == named_then:
                top = max(top, number)
                continue
            operation, reached = refused[number], tops[number]
            self._shown_before[operation] = reached
            # The last value was never replaced: an answer that says so is wrong, and shows nothing else.
            if versions.place_named(operation) == reached and reached + 1 < len(versions.order):
                reached += 1
            top = max(top, reached)
            yield reached, operation

    def committed(self, place: int) -> float:
        """When it was known that this place, or a later one, was in the log for good; infinity where it never was."""
        return _since(self._committed, place)

    def applied(self, place: int) -> float:
        """When it was known that a leader answers from this place, or a later one; infinity where it never was."""
        return _since(self._applied, place)

    def shown_committed(self, place: int, before: float) -> list[Operation]:
        """The fewest answers before that time that show it."""
        shown: list[Operation] = []
        while (answer := _before(_at(self._committed, place), before)) is not None:
            shown.insert(0, answer)
            if answer not in self._shown_before:
                break
            before, place = answer.begin, self._shown_before[answer]
        return shown

    def shown_applied(self, place: int, before: float) -> list[Operation]:
        """The fewest answers before that time that show it."""
        answer = _before(_at(self._applied, place), before)
        if answer is None or answer not in self._shown_before:
            return [] if answer is None else [answer]
        # It names no place itself, and need not build upon more than what is to be shown.
        return [*self.shown_committed(min(place, self._shown_before[answer]), answer.begin), answer]

    def seen(self, place: int, before: float) -> Operation | None:
        """The first answer before that time that names the value of this place, or of a later one."""
        return _before(_at(self._named, place), before)


def _first_answers(named: Iterable[tuple[int, Operation]], count: int) -> list[Operation | None]:
    """The answer that first shows each place, or a later one: who has seen that has seen the end of the earlier."""
    first: list[Operation | None] = [None] * count
    for place, operation in named:
        if place != NOWHERE:
            first[place] = _earlier(first[place], operation)
    for place in range(count - 2, -1, -1):
        first[place] = _earlier(first[place], first[place + 1])
    return first


def _since(answers: Sequence[Operation | None], place: int) -> float:
    if place == NOWHERE:
        return -math.inf
    answer = _at(answers, place)
    return math.inf if answer is None else answer.end


def _at(answers: Sequence[Operation | None], place: int) -> Operation | None:
    return answers[place] if 0 <= place < len(answers) else None


def _before(answer: Operation | None, time: float) -> Operation | None:
    return answer if answer is not None and answer.end < time else None


def _earlier(first: Operation | None, second: Operation | None) -> Operation | None:
    if first is None or second is None:
        return second if first is None else first
    return first if first.end <= second.end else second
