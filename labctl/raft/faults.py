"""What was broken on purpose while the story went on, as labctl wrote it into the servers' logs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from labctl.raft.event import Event

UNSETTLED = 64
"""Faults that are kept open: one that so many others followed is over, whoever did not say so."""
LONGEST_SECONDS = 86_400.0


@dataclass(slots=True)
class Fault:
    """Something that was broken on purpose.

    Attributes:
        id: its name.
        what: as it was asked for, such as `isolate consul2`.
        servers: who was disturbed.
        since: when it began.
        until: when it ended; None where that is not known, as of a server that was killed.
        ended_by: its `lease` was over, or it was healed before (`heal`).
    """

    id: str
    what: str
    servers: list[str]
    since: datetime | None
    until: datetime | None = None
    ended_by: Literal["lease", "heal"] | None = None

    @property
    def seconds(self) -> float | None:
        """How long it lasted, in seconds."""
        return None if self.since is None or self.until is None else (self.until - self.since).total_seconds()

    def overlaps(self, begin: datetime | None, end: datetime | None) -> bool:
        """Whether it lasted at some time between two."""
        if self.since is None or begin is None or end is None:
            return False
        return self.since <= end and (self.until or self.since) >= begin


class Faults:
    """The faults of a story.

    Args:
        is_over: whether what ended at a time is left out of the story.

    Attributes:
        faults: those that are over, in the order in which they began.
    """

    def __init__(self, is_over: Callable[[datetime | None], bool]) -> None:
        self.faults: list[Fault] = []
        self._is_over = is_over
        self._open: dict[str, Fault] = {}

    def begin(self, event: Event) -> None:
        """A server's log says that a fault begins; it stands in the log of each server that it is for."""
        values = event.values
        name = values.get("id", "")
        fault = self._open.get(name)
        if fault is None:
            fault = self._open[name] = Fault(name, values.get("what", ""), [], event.time)
            lease = _seconds(values.get("seconds"))
            if lease is not None and event.time is not None:
                fault.until, fault.ended_by = _later(event.time, lease), "lease"
            if len(self._open) > UNSETTLED:
                self._settle(next(iter(self._open)))
        if event.server not in fault.servers:
            fault.servers.append(event.server)

    def end(self, event: Event) -> None:
        """A server's log says that a fault was healed."""
        fault = self._open.get(event.values.get("id", ""))
        if fault is None or event.time is None:
            return
        if fault.until is None or event.time < fault.until:
            fault.until, fault.ended_by = event.time, "heal"

    def finish(self) -> None:
        """The log has ended."""
        for name in list(self._open):
            self._settle(name)

    def take(self) -> list[Fault]:
        """Take out what will not change any more."""
        faults, self.faults = self.faults, []
        return faults

    def _settle(self, name: str) -> None:
        fault = self._open.pop(name)
        fault.servers.sort()
        if not self._is_over(fault.until or fault.since):
            self.faults.append(fault)


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and 0 < seconds <= LONGEST_SECONDS else None


def _later(time: datetime, seconds: float) -> datetime:
    try:
        return time + timedelta(seconds=seconds)
    except OverflowError:
        return time
