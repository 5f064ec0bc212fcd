"""How much of the logs of a story is read: whose, from when on, and how far by now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from labctl.raft.merge import MOST_SKEW

if TYPE_CHECKING:
    from collections.abc import Callable

    from labctl.raft.event import Event

# With one of these a server's log begins because its process does: it did nothing before.
_BEGINS = frozenset({"config_initial", "config_recovered", "log_store", "container_started"})
_LONG_AGO, _FAR_OFF = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class _Log(NamedTuple):
    first: datetime | None
    last: datetime | None


class Progress:
    """How much of the logs is read.

    Args:
        reads_all: whether the logs of all who vote are read, as far as is known.

    Attributes:
        is_over: whether all of them are read to their end.
    """

    def __init__(self, reads_all: Callable[[], bool]) -> None:
        self._reads_all = reads_all
        self._logs: dict[str, _Log] = {}
        self._last: datetime | None = None
        self.is_over = False

    def take(self, event: Event) -> None:
        """Take in the next event of a server's log."""
        time, known = event.time, self._logs.get(event.server)
        if known is None:
            self._logs[event.server] = _Log(_LONG_AGO if event.event in _BEGINS else time, time)
        elif time is not None and time != known.last:
            self._logs[event.server] = _Log(known.first or time, time)
        if time is not None and (self._last is None or time > self._last):
            self._last = time

    @property
    def servers(self) -> list[str]:
        """Whose logs are read."""
        return list(self._logs)

    def reaches(self, server: str, time: datetime) -> bool:
        """Whether a server's log is read up to a time: lines come in order, but for those of a clock that is behind."""
        if not self.is_over and self._last is not None and self._last - time >= MOST_SKEW:
            return True
        log = self._logs.get(server)
        return log is not None and log.last is not None and log.last >= time

    def shows(self, server: str, since: datetime) -> bool:
        """Whether a server's log shows what it did from a time on."""
        log = self._logs.get(server)
        return log is None or log.first is None or log.first <= since

    def shows_all(self, since: datetime, but: set[str]) -> bool:
        """Whether the logs of all who vote are read, and each of them from a time on, but some."""
        return self._reads_all() and all(name in but or self.shows(name, since) for name in self._logs)
