"""Who led, one after the other, and whom each leader could not reach."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from labctl.raft.outage_tracker import OutageTracker
from labctl.raft.records import Leadership
from labctl.raft.timers import seconds_between

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from labctl.raft.event import Event
    from labctl.raft.outage_tracker import Outage
    from labctl.raft.records import EndedBy
    from labctl.raft.server_names import Names

UNSETTLED = 64
"""LeadershipTracker that are kept open: one that so many others followed is over, whatever its server does not say."""


class OpenLeadership:
    """A leadership that goes on, and the contact of its leader with the others."""

    def __init__(self, number: int, leadership: Leadership) -> None:
        self.number = number
        self.leadership = leadership
        self.contact = OutageTracker(leadership.server, leadership.term)


class LeadershipTracker:
    """The leaderships of a story.

    Args:
        names: who is who.
        is_over: whether what ended at a time is left out of the story.
        last: when a server last said something.
        settled: takes leaderships in the order in which they began, and outages in that in which they ended.
    """

    def __init__(
        self,
        names: Names,
        is_over: Callable[[datetime | None], bool],
        last: Callable[[str], datetime | None],
        settled: Callable[[Leadership | Outage], None],
    ) -> None:
        self._settled = settled
        self._waiting: deque[Leadership] = deque()
        self._names, self._is_over, self._last = names, is_over, last
        self._open: dict[str, OpenLeadership] = {}
        self._begun = 0
        self._newest = ""
        self._newest_of_another = 0
        self._vacant: datetime | None = None

    def of(self, server: str) -> Leadership | None:
        """The leadership of a server that leads."""
        one = self._open.get(server)
        return one.leadership if one else None

    def begin(self, server: str, term: int | None, time: datetime | None) -> None:
        """A server leads. It must not have led until now."""
        leadership = Leadership(server, term, time)
        newest = self._open.get(self._newest)
        if newest is None or newest.number < self._begun:
            leadership.without_leader = seconds_between(self._vacant, time)
        if self._newest != server:
            self._newest_of_another = self._begun
        self._begun += 1
        self._newest = server
        self._open[server] = OpenLeadership(self._begun, leadership)
        self._waiting.append(leadership)
        oldest = next(iter(self._open))
        if self._begun - self._open[oldest].number > UNSETTLED:
            self.end(oldest, self._last(oldest), "silent")

    def end(self, server: str, time: datetime | None, by: EndedBy, *, needed: int | None = None) -> None:
        """A server leads no longer, if it did. `needed` are the votes of a majority, where it lost contact with one."""
        one = self._open.pop(server, None)
        if one is None:
            return
        one.leadership.until, one.leadership.ended_by = time, by
        if by == "quorum_lost":
            one.leadership.without_majority = one.contact.without_majority(needed)
        if one.number == self._begun:
            # When a leader fell silent, nobody knows: its last line may be hours older.
            self._vacant = time if by != "silent" else None
        self._tell_outages(one.contact.end(time, self._names))
        self._tell_ended()

    def reach(self, event: Event) -> None:
        """Take in what a server says of its contact with another; it counts while it leads."""
        one = self._open.get(event.server)
        outage = one.contact.take(event, self._names) if one else None
        if outage is not None:
            self._tell_outages([outage])

    def _tell_outages(self, outages: list[Outage]) -> None:
        for one in outages:
            if not self._is_over(one.until):
                self._settled(one)

    def _tell_ended(self) -> None:
        """Tell what has ended, but nothing before what began earlier and goes on."""
        while self._waiting and self._waiting[0].ended_by is not None:
            one = self._waiting.popleft()
            if not self._is_over(one.until):
                self._settled(one)

    def finish(self) -> None:
        """The log has ended: who still leads is the last one; a leader before it fell silent."""
        for server, one in list(self._open.items()):
            newest = self._newest_of_another if server == self._newest else self._begun
            if newest > one.number:
                self.end(server, self._last(server), "silent")
            else:
                self._tell_outages(one.contact.end(None, self._names, leads=True))
        self._open.clear()
        for leadership in self._waiting:
            if leadership.ended_by is None or not self._is_over(leadership.until):
                self._settled(leadership)
        self._waiting.clear()
