"""Candidacies that are nearly the same, one after the other, as one: how often, in which terms, for how long.

A server that is alone stands again and again, each time for the same reason and with the same outcome. A reader wants
to know that, and not each of them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from labctl.raft.records import Election, PreVote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from labctl.raft.collection import Record

FOLDED = 3
"""From this many on, they are one series."""
MOST_OPEN = 64
"""Candidacies that wait for those which are like them."""


@dataclass(slots=True)
class Series:
    """Candidacies of one server that are nearly the same, in following terms.

    Attributes:
        first: the first of them.
        last: the last of them.
        count: how many they are.
        waited: the shortest and the longest time that a timer ran before one of them, in seconds, where known.
    """

    first: Election | PreVote
    last: Election | PreVote
    count: int = 1
    waited: tuple[float, float] | None = None

    @property
    def kind(self) -> type[Election | PreVote]:
        """What they are."""
        return type(self.first)

    def is_continued_by(self, attempt: Election | PreVote) -> bool:
        """Whether one more is nearly the same as these."""
        return _likeness(self.last) == _likeness(attempt) and _follows(self.last, attempt)

    def add(self, attempt: Election | PreVote) -> None:
        """Take in one more."""
        self.last = attempt
        self.count += 1
        self.wait(attempt)

    def wait(self, attempt: Election | PreVote) -> None:
        """Take in how long a timer ran."""
        if attempt.waited is not None:
            least, most = self.waited or (attempt.waited, attempt.waited)
            self.waited = min(least, attempt.waited), max(most, attempt.waited)


def _likeness(attempt: Election | PreVote) -> tuple[object, ...]:
    """What must be the same of them."""
    refusals = [(no.server, no.reason, no.voted_for, no.leader) for no in attempt.refusals]
    won_before = attempt.pre_vote if isinstance(attempt, Election) else None
    return (
        type(attempt), attempt.outcome, attempt.cause, sorted(attempt.votes), attempt.tally, attempt.needed,
        sorted(map(str, refusals)),
        won_before, attempt.cut_off, attempt.no_network,
    )  # fmt: skip


def _follows(attempt: Election | PreVote, another: Election | PreVote) -> bool:
    """Whether another one is in the next term; asking beforehand moves no term."""
    if attempt.term is None or another.term is None:
        return attempt.term is another.term
    return another.term - attempt.term in ({1} if isinstance(attempt, Election) else {0, 1})


@dataclass(slots=True)
class _Run:
    """A series that may go on: while it is short, its candidacies are shown one by one in their places."""

    series: Series
    entries: list[_Entry] = field(default_factory=list)
    is_over: bool = False


@dataclass(slots=True)
class _Entry:
    """The record for one place; None where a series has taken it in."""

    told: Election | PreVote | Series | None
    run: _Run


class _Folder:
    """Folds the candidacies of one kind."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}
        self._entries: deque[_Entry] = deque()

    def take(self, attempt: Election | PreVote) -> Iterator[Election | PreVote | Series]:
        run = self._runs.get(attempt.candidate)
        if run is not None and run.series.is_continued_by(attempt):
            run.series.add(attempt)
            self._go_on(run, attempt)
        else:
            if run is not None:
                run.is_over = True
            self._begin(attempt)
        if attempt.outcome == "won":
            # What comes after it is another story.
            self._end_all()
        if len(self._entries) > MOST_OPEN:
            self._entries[0].run.is_over = True
            self._runs = {server: run for server, run in self._runs.items() if not run.is_over}
        return self._over()

    def _begin(self, attempt: Election | PreVote) -> None:
        run = self._runs[attempt.candidate] = _Run(Series(attempt, attempt))
        run.series.wait(attempt)
        self._entries.append(_Entry(attempt, run))
        run.entries.append(self._entries[-1])

    def _go_on(self, run: _Run, attempt: Election | PreVote) -> None:
        if run.series.count > FOLDED:
            return
        if run.series.count < FOLDED:
            self._entries.append(_Entry(attempt, run))
            run.entries.append(self._entries[-1])
            return
        first, *rest = run.entries
        first.told = run.series
        for entry in rest:
            entry.told = None

    def _end_all(self) -> None:
        for run in self._runs.values():
            run.is_over = True
        self._runs.clear()

    def _over(self) -> Iterator[Election | PreVote | Series]:
        while self._entries and self._entries[0].run.is_over:
            told = self._entries.popleft().told
            if told is not None:
                yield told

    def finish(self) -> Iterator[Election | PreVote | Series]:
        self._end_all()
        return self._over()


def folded(records: Iterable[Record]) -> Iterator[Record | Series]:
    """A story with its candidacies folded; all else is passed on at once."""
    elections, pre_votes = _Folder(), _Folder()
    for record in records:
        if isinstance(record, Election):
            yield from elections.take(record)
        elif isinstance(record, PreVote):
            yield from pre_votes.take(record)
        else:
            yield record
    yield from elections.finish()
    yield from pre_votes.finish()
