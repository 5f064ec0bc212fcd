"""Whether a history can be put into an order at all, by trying all of them: slow, and simple enough to be believed.

This is what "linearizable" says, and nothing of how labctl decides it. Of each key there is one thing with one value.
Each request has its effect at one moment; one that was answered before another was asked comes before it. One that got
no answer may come at any time after it was asked, or never. At the end stands what was read at the end.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from labctl.experiments.chaos.history import Final, Operation


class State(NamedTuple):
    """A key: what it holds, every value that it ever held, and the newest index that anybody saw of one of them."""

    value: str | None = None
    past: tuple[str | None, ...] = (None,)
    newest: int = 0

    def written(self, value: str, index: int) -> State:
        """What it is after a write."""
        return State(value, (*self.past, value), max(self.newest, index))


def has_order(operations: Iterable[Operation], final: Final) -> bool:
    """Whether there is an order for every key: keys do not know of each other, so each may be looked at alone."""
    keys: dict[str, list[Operation]] = defaultdict(list)
    for one in operations:
        keys[one.key].append(one)
    ends = {**final.registers, **final.added}
    return all(_has_order(keys[key], ends.get(key)) for key in {*keys, *ends})


def _has_order(asked: Sequence[Operation], final: str | None) -> bool:
    indexes: dict[str, int] = {}
    for one in asked:
        numbered = one.kind == "read" and one.outcome == "done" and one.value is not None and one.log_index != 0
        if numbered and indexes.setdefault(str(one.value), one.log_index) != one.log_index:
            return False  # a value that has two places in the log was written twice
    # What had no effect for certain, and what was read without an answer, says nothing.
    left = frozenset(
        number
        for number, one in enumerate(asked)
        if not (one.kind == "read" and one.outcome != "done") and one.outcome != "refused"
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
        # Whatever is next was asked before anything else that is left was answered.
        first_answer = min((_end(asked[number]) for number in todo), default=math.inf)
        for number in todo:
            if asked[number].begin <= first_answer:
                open_ends += [(todo - {number}, after) for after in _effects(asked[number], state, indexes)]
    return False


def _end(one: Operation) -> float:
    return math.inf if one.outcome == "unanswered" else one.end


def _effects(one: Operation, state: State, indexes: dict[str, int]) -> Iterator[State]:
    """What a key may be after a request; nothing where the answer cannot be."""
    if one.kind == "read":
        if one.value == state.value or (one.mode != "consistent" and one.value in state.past):
            yield state
        return
    fits = one.kind == "add" or one.before == state.value
    if one.outcome == "mismatch":
        # A plain write that is told no did nothing; a compare-and-set is told so where it is another value.
        if one.kind == "add" or not fits:
            yield state
        return
    assert one.value is not None
    index = indexes.get(one.value, 0)
    if fits and not (index and index <= state.newest):
        yield state.written(one.value, index)
