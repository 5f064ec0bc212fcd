"""Which server a leader could not reach, from when to when, and whether it had to catch up afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from labctl.raft.numbers import number_of
from labctl.raft.records import Evidence
from labctl.raft.timers import seconds_between, seconds_of, without_majority

if TYPE_CHECKING:
    from datetime import datetime

    from labctl.raft.event import Event
    from labctl.raft.server_names import Names

LOST = frozenset({"peer_unreachable", "heartbeat_failed", "append_failed"})
BACK = "replication_pipelining"
BEHIND = "append_rejected"
REMOVED = "peer_removed"
MOST_RENAMED = 64
OutageEnd = Literal["reached", "removed", "leadership"]


@dataclass(slots=True)
class Outage:
    """A server that a leader could not reach.

    Attributes:
        server: who could not be reached.
        leader: whose log says so.
        term: in which the leader led.
        since: from when on: the time of the first line about it, or the earlier one that such a line counts from.
        until: until when; None while it lasts.
        ended_by: it was `reached` again, it was `removed` from the cluster, or the `leadership` ended; None while it
            lasts.
        behind: the first entry of the log that it was sent because it had missed it, or None.
        answered: when it answered since its leader last said so, though it was not in step yet.
        silent: how long it had been silent when the leader last said so, in seconds.
        evidence: the last line that says so.
    """

    server: str
    leader: str
    term: int | None
    since: datetime | None
    until: datetime | None = None
    ended_by: OutageEnd | None = None
    behind: int | None = None
    answered: datetime | None = field(default=None, compare=False)
    silent: float | None = None
    evidence: Evidence | None = field(default=None, compare=False)

    @property
    def seconds(self) -> float | None:
        """How long it lasted, in seconds."""
        return seconds_between(self.since, self.until)

    def complain(self, event: Event) -> None:
        """Take in another line that says so. Since Consul 0.5 `failed to contact` says how long it has been."""
        self.evidence, self.answered = Evidence(event.server, event.file, event.line_no), None
        silent = seconds_of(event.values.get("time")) if event.event == "peer_unreachable" else None
        if silent is None:
            return
        self.silent = silent
        if event.time is not None and silent < timedelta.max.total_seconds():
            since = _earlier(event.time, silent)
            self.since = since if self.since is None else min(self.since, since)


class OutageTracker:
    """What one leader says of its contact with the others, while it leads."""

    def __init__(self, leader: str, term: int | None) -> None:
        self._leader, self._term = leader, term
        self._open: dict[str, Outage] = {}

    def take(self, event: Event, names: Names) -> Outage | None:
        """Take in an event of the leader's. Returns the outage that it ends, if it does."""
        if event.peer is None:
            return None
        key = names.place(event.peer)
        outage = self._open.get(key) or self._under_another_name(key, names)
        if event.event in LOST:
            if outage is None:
                outage = self._open[key] = Outage(event.peer, self._leader, self._term, event.time)
            outage.complain(event)
        elif outage is None:
            return None
        elif event.event == BEHIND:
            entry = number_of(event.values.get("next"))
            outage.behind = outage.behind if entry is None else entry
            outage.answered = outage.answered or event.time
        elif event.event == BACK:
            return self._end(key, event.time, "reached", names)
        elif event.event == REMOVED:
            return self._end(key, event.time, "removed", names)
        return None

    def _under_another_name(self, key: str, names: Names) -> Outage | None:
        """The outage of a server of which lines say only by now that it is the same."""
        if not 0 < len(self._open) <= MOST_RENAMED:
            return None
        old = next((name_ for name_ in self._open if names.place(name_) == key), None)
        if old is None:
            return None
        self._open[key] = self._open.pop(old)
        return self._open[key]

    def _end(self, key: str, time: datetime | None, by: OutageEnd | None, names: Names) -> Outage:
        outage = self._open.pop(key)
        outage.server = names(outage.server) or outage.server
        outage.until, outage.ended_by = time, by
        if outage.answered is not None and by != "removed":
            outage.until, outage.ended_by = outage.answered, "reached"
        return outage

    def end(self, time: datetime | None, names: Names, *, leads: bool = False) -> list[Outage]:
        """End all that last: the leadership is over, or, where it still `leads`, its log."""
        by: OutageEnd | None = None if leads else "leadership"
        return [self._end(key, None if leads else time, by, names) for key in list(self._open)]

    def unreached(self, names: Names) -> list[tuple[str, Evidence]]:
        """The servers that the leader cannot reach just now, each once, with the last line that says so."""
        evidence: dict[str, Evidence] = {}
        for outage in self._open.values():
            if outage.evidence is not None and outage.answered is None:
                evidence.setdefault(names(outage.server) or outage.server, outage.evidence)
        return sorted(evidence.items())

    def without_majority(self, needed: int | None) -> float | None:
        """For how many seconds no majority had answered when the leader last said who is silent."""
        return without_majority([outage.silent for outage in self._open.values() if outage.silent is not None], needed)


def _earlier(time: datetime, seconds: float) -> datetime:
    try:
        return time - timedelta(seconds=seconds)
    except OverflowError:
        return time
