"""How much of the logs of a story is read: whose, from when on, and how far by now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from labctl.raft.merge import MOST_SKEW

if TYPE_CHECKING:
    from collections.abc import Callable

    from labctl.raft.event import Event

# With one of these a server's log begins because its process does: it did nothing before.
_BEGINS = frozenset({"config_initial", "config_recovered", "log_store", "container_started"})
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
        self._ends: dict[str, datetime] = {}
        self._last: datetime | None = None
        self.is_over = False

    def take(self, event: Event) -> None:
        """Take in the next event of a server's log."""
        time, server = event.time, event.server
        if self._first.get(server) is None:
            self._first[server] = _LONG_AGO if event.event in _BEGINS else time
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

    def shows_all(self, since: datetime, but: set[str]) -> bool:
        """Whether the logs of all who vote are read, and each of them from a time on, but some."""
        return self._reads_all() and all(name in but or self.shows(name, since) for name in self._first)
