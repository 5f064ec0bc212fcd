"""Leaders that the lines of others name, whose own logs need not be there.

Who follows a leader says so when it does. A refusal names the leader that a server has, a heartbeat timeout the one
that it had: neither shows that this one leads, as its last heartbeat may be as old as the longest timer. So such a
line tells of a newer leader only where its server had none at some time since the one before was lost, or runs and has
long had the time to miss it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from labctl.raft.clock_differences import MOST_APART

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from labctl.raft.event import Event
    from labctl.raft.records import Leadership

STALE = timedelta(seconds=30)
"""How old the last heartbeat of a leader may be that a running server names: thrice the longest timeout of Consul."""
IN_DOUBT = timedelta(seconds=1)
"""Who stands this shortly before its voter names a leader may do so for want of that one."""
MOST_NAMED = 64
"""Leaders that are kept between two whose own lines tell of them."""
JOINS = timedelta(seconds=10)
"""How long a server that is started may hear by gossip of who led before."""
_MISSES = "heartbeat_timeout"
_FOLLOWS, _GOSSIP = "follower_entered", "new_leader_announced"
_FRESH = frozenset({_FOLLOWS, _GOSSIP})


class Naming(NamedTuple):
    """A line that names a leader.

    Attributes:
        leader: whom.
        event: the line.
        time: its time.
        after: the leader led at some time from then until that of the line; None where that is not known.
        had_none: when its server had no leader last.
    """

    leader: str
    event: Event
    time: datetime
    after: datetime | None
    had_none: datetime | None

    @property
    def is_missed(self) -> bool:
        """Whether the leader is named because it is gone."""
        return self.event.event == _MISSES

    @property
    def is_by_gossip(self) -> bool:
        """Whether it is gossip, which somebody may hear late."""
        return self.event.event == _GOSSIP

    @property
    def is_fresh(self) -> bool:
        """Whether the line is written when the server hears of that leader."""
        return self.event.event in _FRESH


class Followers:
    """Since when servers have the leaders that they name."""

    def __init__(self) -> None:
        self._had_none: dict[str, datetime] = {}
        self._started: dict[str, datetime] = {}

    def start(self, event: Event) -> None:
        """A server is started."""
        if event.time is not None:
            self._started[event.server] = event.time

    def have_none(self, event: Event) -> None:
        """A server has no leader now, or is one itself."""
        if event.time is not None:
            self._had_none[event.server] = event.time

    def name(self, event: Event, leader: str | None, *, runs: bool) -> Naming | None:
        """A line names a leader; `runs`: nothing shows that its server had stood still, or was cut off."""
        time, had_none = event.time, self._had_none.get(event.server)
        if not leader or time is None:
            return None
        if event.event == _FOLLOWS:
            return Naming(leader, event, time, time, had_none)
        if event.event == _GOSSIP:
            # Who joins hears by gossip what it had missed, however old that is.
            start = self._started.get(event.server)
            return Naming(leader, event, time, time if start is None or time - start > JOINS else None, None)
        known = [moment for moment in (had_none, time - STALE if runs else None) if moment is not None]
        return Naming(leader, event, time, max(known, default=None), had_none)


class NamedLeaders:
    """The leaders that lines have named since somebody began to lead by a line of its own.

    Args:
        place: one name for a server that lines call by several.
    """

    def __init__(self, place: Callable[[str], str]) -> None:
        self._place = place
        self._named: dict[str, tuple[Naming, Naming]] = {}  # the first and the last line that names one

    def add(self, naming: Naming) -> None:
        """Take in one more line."""
        first, _ = self._named.pop(naming.leader, (naming, naming))
        if len(self._named) < MOST_NAMED:
            self._named[naming.leader] = first, naming

    def since(self, before: Leadership | None, until: datetime | None = None) -> list[Naming]:
        """The lines that show a leader after a leadership and until a time, in their order."""
        if before is None:
            return []
        return sorted(
            (
                naming
                for both in self._named.values()
                for naming in (both if both[0] is not both[1] else both[:1])
                if (until is None or naming.time < until) and self._is_newer(naming, before)
            ),
            key=lambda naming: naming.time,
        )

    def _is_newer(self, naming: Naming, before: Leadership) -> bool:
        if self._place(naming.leader) == self._place(before.server):
            # Most of those who name it had it until then; it leads again only if one had none in between.
            after = naming.time if naming.event.event == _FOLLOWS else naming.had_none
            return before.until is not None and after is not None and after - before.until > MOST_APART
        lost = before.until or before.since or self._first_of(before.server)
        return lost is not None and naming.after is not None and naming.after >= lost

    def _first_of(self, leader: str) -> datetime | None:
        place = self._place(leader)
        named = (first for first, _ in self._named.values() if self._place(first.leader) == place)
        return min((naming.time for naming in named), default=None)
