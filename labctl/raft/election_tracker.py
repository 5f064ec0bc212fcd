"""Who stood for election, and what each campaign came to once it is known what its rivals came to."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from labctl.raft.records import Election
    from labctl.raft.server_names import Names

UNSETTLED = 64
"""ElectionTracker that are kept open until it is known what their rivals came to."""


class ElectionTracker:
    """The campaigns of a story.

    Args:
        names: who is who.
        is_over: whether what ended at a time is left out of the story.
        settled: takes those that are settled, in the order in which they began.
    """

    def __init__(
        self, names: Names, is_over: Callable[[datetime | None], bool], settled: Callable[[Election], None]
    ) -> None:
        self._names, self._is_over, self._tell = names, is_over, settled
        self._open: deque[Election] = deque()
        self._settled: deque[Election] = deque(maxlen=UNSETTLED)

    def begin(self, election: Election) -> None:
        """A server stands."""
        self._open.append(election)
        if len(self._open) > UNSETTLED:
            self._settle_oldest()

    def of_others(self, server: str) -> Iterator[Election]:
        """The open campaigns of the other servers."""
        return (one for one in self._open if one.candidate != server)

    def asking(self, server: str, term: int | None) -> list[Election]:
        """Who may ask a server for its vote of a term: who stands in it just now, and does not have that vote."""
        standing = (one for one in self._open if one.term == term and one.end is None)
        return [one for one in standing if not one.has_vote_of(server)]

    def voted_for(self, server: str, term: int | None) -> str | None:
        """Whom a server has voted for in a term, where that is known."""
        found = [one.candidate for one in self._open if one.term == term and one.has_vote_of(server)]
        return found[0] if len(found) == 1 else None

    def newest_term(self) -> int:
        """The newest term for which somebody asks for votes in earnest just now, or 0."""
        terms = (one.term for one in self._open if one.end is None and one.pre_vote != "lost")
        return max((term for term in terms if term is not None), default=0)

    def finish(self) -> None:
        """The log has ended: nothing more will be known."""
        while self._open:
            self._settle_oldest()

    def _settle_oldest(self) -> None:
        election = self._open.popleft()
        if election.outcome is None or election.refusals:
            rivals = [one for one in (*self._settled, *self._open) if _are_rivals(one, election)]
            election.settle([one for one in rivals if one.pre_vote != "lost"])
        # A voter whose ID nobody had explained when it voted may have a name by now.
        election.votes = [self._names(one) or one for one in election.votes]
        self._settled.append(election)
        if not self._is_over(election.end):
            self._tell(election)


def _are_rivals(one: Election, other: Election) -> bool:
    return one.term is not None and one.term == other.term and one.candidate != other.candidate
