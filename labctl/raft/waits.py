"""How long servers waited for a leader or for a majority, as their logs show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.raft.durations import is_whole
from labctl.raft.timers import seconds_between

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from labctl.raft.event import Event
    from labctl.raft.server_state import ServerState

_AT_ONCE_SECONDS = 0.1
_ROUGHLY = 1.0
"""The possible error of a time between two stamps of whole seconds."""


class Waits:
    """The waits of a story.

    Args:
        reads_all: whether the logs of all who vote are read, as far as is known.
    """

    def __init__(self, reads_all: Callable[[], bool]) -> None:
        self._reads_all = reads_all
        self._shortest: float | None = None

    def by_the_timer(self, server: ServerState, now: datetime | None) -> float | None:
        """How long a timer ran, which is once to twice a time; None where its server stood still meanwhile.

        The timers of a cluster run for the same time, the heartbeat timers as the election timers; where somebody set
        them apart, what is longer than that is left open.
        """
        seconds, shortest = seconds_between(server.timer, now), self._shortest
        if seconds is None or now is None or not self.fits(seconds, now):
            return None
        self._shortest = seconds if shortest is None else min(seconds, shortest)
        return seconds

    def fits(self, seconds: float, now: datetime | None) -> bool:
        """Whether a timer can have run this long until a time, by the shortest that is known by now."""
        rough = 3 * _ROUGHLY if now is not None and is_whole(now) else _AT_ONCE_SECONDS
        return self._shortest is None or seconds <= 2 * self._shortest + rough

    def ran_through(self, server: ServerState, event: Event) -> bool:
        """Whether nothing restarted a heartbeat timer: no leader, and no vote, which a voter does not log."""
        if server.was_asked or not _heard_of_no_leader(event):
            return False
        # A request with a newer term is logged at level debug, since Consul 1.6; no vote happens without one.
        says = server.tells_requests and not {"last-leader", "last-leader-addr"}.isdisjoint(event.values)
        return says or self._reads_all()


def _heard_of_no_leader(event: Event) -> bool:
    """Whether a heartbeat timeout says that it had no leader: then nothing can have restarted the timer.

    Before Consul 0.7 the line does not say.
    """
    values = event.values
    return event.peer is None and ("last-leader" in values or "last-leader-addr" in values or '""' in event.line)
