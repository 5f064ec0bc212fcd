"""Disks that are slow or broken, as far as a server's log shows it.

No version of Raft has words for a slow disk. But a candidate writes the new term and its own vote to disk between two
of its lines, with nothing else to do (raft.go, electSelf), and a snapshot has a line when it begins and one when it is
there. What takes long there is a disk, or a machine, that is slow: that is inferred. That it could not write, it says.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from labctl.raft.durations import is_whole
from labctl.raft.incident import Incident
from labctl.raft.records import evidence_of
from labctl.raft.timers import seconds_between

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from labctl.raft.event import Event
    from labctl.raft.incident import IncidentKind

SLOW_SECONDS, SLOW_WHOLE_SECONDS = 0.5, 2.0
"""A write of two small values that takes this long is slow; the latter where stamps have whole seconds. A disk takes
some milliseconds for it, a busy one some tens of them."""
LONG_SECONDS = 30.0
"""A snapshot that takes this long is slow."""
TOGETHER = timedelta(minutes=10)
"""Lines this close together are reported as one."""
_STOOD, _ASKS = "candidate_entered", frozenset({"votes_needed", "vote_self", "vote_requested", "vote_granted"})
_WILL_ASK = "prevote_won"
_SNAPSHOT, _TAKEN = "snapshot", "snapshot_taken"
_FAILED = {
    "log_write_failed": "its log",
    "vote_write_failed": "its vote",
}
OF_DISKS = _ASKS | {
    *(_STOOD, _WILL_ASK, _SNAPSHOT, _TAKEN, "log_damaged", *_FAILED),
    *("prevote_self", "prevote_requested", "follower_entered", "config_initial"),
}
"""The events that `Disks` takes in."""
VOTE, SNAPSHOT = "its new term and its vote", "a snapshot"
"""What takes long to be written."""
LONGEST_REASON = 80


class Disks:
    """Finds what is seen of disks in a story. Feed it events in their order with `feed`, then `finish`.

    Args:
        tell: takes each incident.
        leads: whether a server leads, as far as is known.
        is_explained: whether what was done to a server since a time is known: then it was not its disk.
    """

    def __init__(
        self,
        tell: Callable[[Incident], None],
        leads: Callable[[str], bool],
        is_explained: Callable[[str, datetime], bool],
    ) -> None:
        self._tell, self._leads, self._is_explained = tell, leads, is_explained
        self._writes: dict[str, Event] = {}
        self._snapshots: dict[str, Event] = {}
        self._runs: dict[tuple[str, IncidentKind, str], Incident] = {}

    def feed(self, event: Event) -> None:
        """Take in the next event of those in `OF_DISKS`."""
        kind, server = event.event, event.server
        if kind in {_STOOD, _WILL_ASK}:
            self._writes[server] = event
        elif kind in _FAILED:
            self._fail(event, f"write {_FAILED[kind]}")
        elif kind == "log_damaged":
            if event.values.get("where", "").lower() == "storage":
                self._fail(event, "keep its log")
        elif kind == _SNAPSHOT:
            if "starting snapshot" in event.line.lower():
                self._snapshots[server] = event
        elif kind == _TAKEN:
            self._took(self._snapshots.pop(server, None), event, SNAPSHOT, LONG_SECONDS)
        elif kind in _ASKS and (kind != "vote_granted" or event.peer in {server, None}):
            self._took(self._writes.pop(server, None), event, VOTE, SLOW_SECONDS)
        else:
            # It asks for pre-votes first and writes nothing yet, or it no longer stands.
            self._writes.pop(server, None)

    def finish(self) -> None:
        """The story has ended."""
        for run in self._runs.values():
            self._tell(run)
        self._runs.clear()

    def _took(self, begun: Event | None, done: Event, what: str, slow: float) -> None:
        if begun is None or begun.time is None or done.time is None:
            return
        seconds = seconds_between(begun.time, done.time)
        if is_whole(begun.time) or is_whole(done.time):
            slow = max(slow, SLOW_WHOLE_SECONDS)
        if seconds is None or seconds < slow or self._is_explained(done.server, begun.time):
            return
        incident = Incident(
            "slow_disk", begun.time, done.time, [done.server], inferred=True, led=self._leads(done.server), what=what,
            count=1, longest=seconds,
        )  # fmt: skip
        incident.prove([evidence_of(begun), evidence_of(done)])
        self._add(incident)

    def _fail(self, event: Event, what: str) -> None:
        why = event.values.get("error", "").rpartition(": ")[2].strip()[:LONGEST_REASON]
        what = f"{what}: {why}" if why else what
        incident = Incident(
            "failed_writes", event.time, event.time, [event.server], led=self._leads(event.server), what=what, count=1
        )
        incident.prove([evidence_of(event)])
        self._add(incident)

    def _add(self, new: Incident) -> None:
        key = (new.servers[0], new.kind, new.what)
        run = self._runs.get(key)
        if run is None or run.until is None or new.since is None or new.since - run.until > TOGETHER:
            if run is not None:
                self._tell(run)
            self._runs[key] = new
            if len(self._runs) > MOST_RUNS:
                self._tell(self._runs.pop(next(iter(self._runs))))
            return
        run.until, run.count, run.led = new.until, run.count + 1, run.led or new.led
        run.longest = max((time for time in (run.longest, new.longest) if time is not None), default=None)
        run.prove(new.evidence)


MOST_RUNS = 64
"""Errors have words of their own, so there may be any number of them."""
