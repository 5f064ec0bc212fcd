"""Events that come a moment too late are put where they belong, in little memory and without waiting for long."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime, timedelta

    from labctl.raft.event import Event

MOST = 4096
"""Events that wait, at most."""


def in_window(events: Iterable[Event | None], late: timedelta) -> Iterator[Event]:
    """Put events in order of time that come up to `late`; a None releases all that wait.

    A server's own order stays, and so does that of events of the same time. An event without a time stays behind its
    predecessor of the same server.
    """
    waiting: list[tuple[datetime, int, Event]] = []
    latest: dict[str, datetime] = {}
    newest: datetime | None = None
    for number, event in enumerate(events):
        if event is None:
            while waiting:
                yield heapq.heappop(waiting)[2]
            latest.clear()
            continue
        before = latest.get(event.server)
        time = event.time if before is None or (event.time is not None and event.time > before) else before
        if time is None:
            yield event
            continue
        latest[event.server] = time
        newest = time if newest is None or time > newest else newest
        heapq.heappush(waiting, (time, number, event))
        while len(waiting) > MOST or newest - waiting[0][0] > late:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]
