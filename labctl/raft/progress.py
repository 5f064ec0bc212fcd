"""How much of the logs of a story is read: whose, from when on, and how far by now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from labctl.raft.merge import MOST_SKEW

if TYPE_CHECKING:
    from collections.abc import Callable

    from labctl.raft.event import Event

# With one of these a server's log begins because its process does: it did nothing before.
_BEGINS = frozenset({"config_initial", "config_recovered", "log_store", "container_started"})
FETCHED_WITHIN = timedelta(seconds=5)
"""How far apart in time the logs of a cluster are usually fetched."""
_LONG_AGO, _FAR_OFF = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class Progress:
    """How much of the logs is read.

    Args:
        reads_all: whether the logs of all who vote are read, as far as is known.

    Attributes:
        is_over: whether all of them are read to their end.
    """

    def __init__(self, reads_all: Callable[[], bool]) -> None:
        self._reads_all = reads_all
        self._first: dict[str, datetime | None] = {}  # by server
        self._begins: dict[str, datetime | None] = {}
        self._ends: dict[str, datetime] = {}
        self._last: datetime | None = None
        self.is_over = False

    def take(self, event: Event) -> None:
        """Take in the next event of a server's log."""
        time, server = event.time, event.server
        if self._first.get(server) is None:
            self._first[server] = _LONG_AGO if event.event in _BEGINS else time
            self._begins[server] = time
        if time is not None:
            self._ends[server] = time
            if self._last is None or time > self._last:
                self._last = time

    @property
    def servers(self) -> list[str]:
        """Whose logs are read."""
        return list(self._first)

    def reaches(self, server: str, time: datetime) -> bool:
        """Whether a server's log is read up to a time: lines come in order, but for those of a clock that is behind."""
        if not self.is_over and self._last is not None and self._last - time >= MOST_SKEW:
            return True
        end = self._ends.get(server)
        return end is not None and end >= time

    def shows(self, server: str, since: datetime) -> bool:
        """Whether a server's log shows what it did from a time on."""
        first = self._first.get(server)
        return first is None or first <= since

    def begins_after(self, server: str, time: datetime) -> bool:
        """Whether a server's log has no line up to a time, whatever the server did before it was started again."""
        begin = self._begins.get(server)
        return begin is not None and begin > time

    def has(self, server: str, time: datetime) -> bool:
        """Whether a server's log is read, and begins before a time and ends after it."""
        begin, end = self._begins.get(server), self._ends.get(server)
        return begin is not None and end is not None and begin <= time <= end

    def shows_all(self, since: datetime, until: datetime, but: set[str]) -> bool:
        """Whether the logs of all who vote are read, and each of them from one time to another, but some."""
        return self._reads_all() and all(
            name in but or (self.shows(name, since) and self._may_show(name, until)) for name in self._first
        )

    def _may_show(self, server: str, time: datetime) -> bool:
        """Whether a server's log says what it did by a time, where the logs end at about the same moment.

        A silent server may simply be idle; but near their end, one log may have been fetched before the others.
        """
        if not self.is_over or self._last is None or self._last - time >= FETCHED_WITHIN:
            return True
        end = self._ends.get(server)
        return end is not None and end >= time
