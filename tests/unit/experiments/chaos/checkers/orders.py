"""Whether a history can be put into an order at all, by trying all of them: slow, and simple enough to be believed.

This is what "linearizable" says of a store with a log, and nothing of how labctl decides it. Of each key there is one
thing with one value. Each write enters the log at one moment, which decides what it does and what it is answered, and
is applied by the leader at a later one, in the log's order; a read in mode `consistent` tells what is applied, another
one may tell whatever the log has or had. Both moments lie between question and answer. A write that got no answer may
come at any time after it was asked, or never. At the end stands what was read at the end.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from labctl.experiments.chaos.history import Final, Operation


class State(NamedTuple):
    """A key: what the log has last, every value that it ever had, and the newest index that anybody saw of one of them.

    Attributes:
        applied: what the leader has applied.
        waiting: the requests that are in the log and not applied, each with the value that was there after it.
    """

    value: str | None = None
    past: tuple[str | None, ...] = (None,)
    newest: int = 0
    applied: str | None = None
    waiting: tuple[tuple[int, str | None], ...] = ()

    def written(self, number: int, value: str, index: int) -> State:
        """What it is after a write has entered the log."""
        return self._replace(
            value=value,
            past=(*self.past, value),
            newest=max(self.newest, index),
            waiting=(*self.waiting, (number, value)),
        )

    def refused(self, number: int) -> State:
        """What it is after a compare-and-set has entered the log that names another value."""
        return self._replace(waiting=(*self.waiting, (number, self.value)))

    def next_applied(self) -> State:
        """What it is after the leader has applied the next request."""
        return self._replace(applied=self.waiting[0][1], waiting=self.waiting[1:])


def has_order(operations: Iterable[Operation], final: Final) -> bool:
    """Whether there is an order for every key: keys do not know of each other, so each may be looked at alone."""
    keys: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        keys[operation.key].append(operation)
    ends = {**final.registers, **final.added}
    return all(_has_order(keys[key], ends.get(key)) for key in {*keys, *ends})


def _has_order(asked: Sequence[Operation], final: str | None) -> bool:
    indexes: dict[str, int] = {}
    for operation in asked:
        numbered = (
            operation.kind == "read"
            and operation.outcome == "done"
            and operation.value is not None
            and operation.log_index != 0
        )
        if numbered and indexes.setdefault(str(operation.value), operation.log_index) != operation.log_index:
            return False  # a value that has two places in the log was written twice
    # Requests that certainly had no effect, and reads without an answer, prove nothing.
    left = frozenset(
        number
        for number, operation in enumerate(asked)
        if not (operation.kind == "read" and operation.outcome != "done") and operation.outcome != "refused"
    )
    tried: set[tuple[frozenset[int], State]] = set()
    open_ends = [(left, State())]
    while open_ends:
        here = open_ends.pop()
        if here in tried:
            continue
        tried.add(here)
        todo, state = here
        if state.value == final and all(asked[number].outcome == "unanswered" for number in todo):
            return True
        if state.waiting:
            open_ends.append((todo, state.next_applied()))
        # Whatever is next was asked before anything else that is left was answered.
        unfinished = (*todo, *(number for number, _ in state.waiting))
        first_answer = min((_end(asked[number]) for number in unfinished), default=math.inf)
        for number in todo:
            if asked[number].begin <= first_answer:
                open_ends += [(todo - {number}, after) for after in _effects(number, asked[number], state, indexes)]
    return False


def _end(operation: Operation) -> float:
    return math.inf if operation.outcome == "unanswered" else operation.end


def _effects(number: int, operation: Operation, state: State, indexes: dict[str, int]) -> Iterator[State]:
    """What a key may be after a request; nothing where the answer cannot be."""
    if operation.kind == "read":
        if operation.value == state.applied or (operation.mode != "consistent" and operation.value in state.past):
            yield state
        return
    fits = operation.kind == "add" or operation.before == state.value
    if operation.outcome == "mismatch":
        # A refused plain write did nothing; a compare-and-set is refused where the value is another.
        if operation.kind == "add" or not fits:
            yield state.refused(number)
        return
    assert operation.value is not None
    index = indexes.get(operation.value, 0)
    if fits and not (index and index <= state.newest):
        yield state.written(number, operation.value, index)
