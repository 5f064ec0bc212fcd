"""What was broken on purpose while the story went on, as labctl wrote it into the servers' logs."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from labctl.raft.lost_quorum import Gone
from labctl.raft.records import evidence_of
from labctl.raft.timers import seconds_between

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from labctl.raft.event import Event
    from labctl.raft.lost_quorum import By, How
    from labctl.raft.records import Evidence

UNSETTLED = 64
"""The most faults that are kept open: one with this many after it is over, even if no line said so."""
MOST_HALTS = 8
"""Of each server: answers that are older decide nothing any more."""
LONGEST_SECONDS = 86_400.0
_OF_PROCESSES = frozenset({"kill", "stop", "pause"})
# No server is in it once it was said.
_AT_ONCE = frozenset({"transfer-leader"})
# What Docker then does, and how soon: a server that does not stop in time is killed.
_ACTS = {"kill": {"killed", "ended"}, "stop": {"stopped", "killed", "ended"}, "pause": {"paused"}}
_EARLY, _LATE = timedelta(seconds=1), timedelta(seconds=30)

_HOW: dict[str, How] = {
    "container_killed": "killed",
    "container_stopped": "stopped",
    "container_paused": "paused",
    "shutdown_began": "shut down",
}
_DONE: dict[str, How] = {"kill": "killed", "stop": "stopped", "pause": "paused"}

EndedBy = Literal["lease", "heal", "restart"]


@dataclass(slots=True)
class Fault:
    """Something that was broken on purpose.

    Attributes:
        id: its name.
        what: as it was asked for, such as `isolate consul2`.
        servers: who was disturbed.
        since: when it began.
        until: when it ended in the last of them; None where that is not known, as of a server that was killed.
        ended_by: its `lease` was over, it was healed (`heal`), or the server was started again (`restart`), which ends
            a fault of its network too.
        lasts: its lease was not over yet where the log ends.
    """

    id: str
    what: str
    servers: list[str]
    since: datetime | None
    until: datetime | None = None
    ended_by: EndedBy | None = None
    lasts: bool = False

    @property
    def seconds(self) -> float | None:
        """How long it lasted, in seconds."""
        return seconds_between(self.since, self.until)

    def overlaps(self, begin: datetime | None, end: datetime | None) -> bool:
        """Whether it lasted at some time between two."""
        if self.since is None or begin is None or end is None:
            return False
        return self.since <= end and (self.lasts or (self.until or self.since) >= begin)


class _End(NamedTuple):
    """When and by what a fault ended in one server."""

    time: datetime
    by: EndedBy


@dataclass(slots=True)
class _Open:
    """A fault that may not be over.

    Attributes:
        fault: what will be told.
        lease: when its lease is over; None where it has none. What was done to a process does not end by itself then.
        ends: how it ended in each server in which it is over.
        evidence: the line that says so, of each server.
        is_done: Docker has said when it was done.
    """

    fault: Fault
    lease: datetime | None = None
    is_done: bool = False
    ends: dict[str, _End] = field(default_factory=dict)
    evidence: dict[str, Evidence] = field(default_factory=dict)

    @property
    def verb(self) -> str:
        return self.fault.what.partition(" ")[0]

    @property
    def lease_ends_it(self) -> bool:
        """The kernel keeps the lease of a fault of the network; that of a process is kept where labctl is."""
        return self.lease is not None and self.verb not in _OF_PROCESSES

    def end_of(self, server: str, reached: datetime | None) -> _End | None:
        """How it ended in a server, as far as the log goes; None where it did not."""
        end = self.ends.get(server)
        if self.lease_ends_it and self.lease is not None:
            if end is not None and end.time >= self.lease:
                return _End(self.lease, "lease")
            if end is None and reached is not None and reached >= self.lease:
                return _End(self.lease, "lease")
        return end

    def lasted_since(self, time: datetime) -> bool:
        """Whether it may have lasted at some time since then."""
        ends = [self.end_of(server, time) for server in self.fault.servers]
        return self.verb not in _AT_ONCE and any(end is None or end.time >= time for end in ends)

    def parts(self, sender: str, receiver: str, time: datetime) -> bool:
        """Whether it keeps what one server sends from another at a time."""
        if self.fault.since is None or time < self.fault.since:
            return False
        down = {sender, receiver} & set(self.fault.servers)
        cut = down if self.verb in _OF_PROCESSES else self._cut(sender, receiver)
        if not cut:
            return False
        ends = [self.end_of(name, time) for name in cut]
        return not any(end is not None and end.time <= time for end in ends)

    def _cut(self, sender: str, receiver: str) -> set[str]:
        """Which of two servers' networks are changed so that what one sends does not reach the other."""
        what = self.fault.what.partition(" ")[2]
        both = {sender, receiver}
        if self.verb == "isolate":
            return both & set(what.split(","))
        if self.verb == "partition":
            sides = [side for side in (set(part.strip().split(",")) for part in what.split("/")) if side & both]
            return both if len(sides) > 1 else set()
        if self.verb == "one-way":
            senders, _, receivers = what.partition(" ")
            return {receiver} if sender in senders.split(",") and receiver in receivers.split(",") else set()
        return set()

    def settle(self, reached: datetime | None) -> None:
        """Write down how it ended, as far as the log goes."""
        fault = self.fault
        fault.servers.sort()
        ends = [self.end_of(server, reached) for server in fault.servers]
        over = [end for end in ends if end is not None]
        if len(over) == len(ends):
            last = max(over, key=lambda end: end.time)
            fault.until, fault.ended_by = last
        else:
            fault.lasts = self.lease_ends_it


@dataclass(slots=True)
class _Halt:
    """From when to when a server's process did not run; what was done to it, and the line that says so."""

    begin: datetime
    how: How
    by: By
    evidence: Evidence
    end: datetime | None = None

    def lasted_at(self, time: datetime) -> bool:
        return self.begin <= time and (self.end is None or time < self.end)


class Faults:
    """The faults of a story.

    Args:
        settled: takes those that are over, in the order in which they began.
    """

    def __init__(self, settled: Callable[[Fault], None]) -> None:
        self._settled = settled
        self._open: dict[str, _Open] = {}
        self._recent: deque[_Open] = deque(maxlen=UNSETTLED)
        self._halts: dict[str, deque[_Halt]] = {}

    def begin(self, event: Event) -> None:
        """A server's log says that a fault begins; it stands in the log of each server that it is for."""
        values = event.values
        name = values.get("id", "")
        fault = self._open.get(name)
        if fault is None:
            fault = self._open[name] = _Open(Fault(name, values.get("what", ""), [], event.time))
            self._recent.append(fault)
            lease = _seconds(values.get("seconds"))
            if lease is not None and event.time is not None:
                fault.lease = _later(event.time, lease)
            if len(self._open) > UNSETTLED:
                self._settle(next(iter(self._open)), event.time)
        if event.server not in fault.fault.servers:
            fault.fault.servers.append(event.server)
        fault.evidence.setdefault(event.server, evidence_of(event))

    def end(self, event: Event) -> None:
        """A server's log says that a fault was healed."""
        fault = self._open.get(event.values.get("id", ""))
        if fault is None or event.time is None:
            return
        if fault.verb not in _OF_PROCESSES:
            # Where it was started again before, nothing was left to be healed.
            fault.ends.setdefault(event.server, _End(event.time, "heal"))
            return
        by: EndedBy = "lease" if fault.lease is not None and event.time >= fault.lease else "heal"
        fault.ends[event.server] = _End(event.time, by)

    def fail(self, event: Event) -> None:
        """A server's log says that a fault that was to begin there did not."""
        fault = self._open.get(event.values.get("id", ""))
        if fault is None or event.server not in fault.fault.servers:
            return
        fault.fault.servers.remove(event.server)
        if not fault.fault.servers:
            del self._open[fault.fault.id]

    def verb_of(self, fault: str) -> str:
        """The verb of a fault, such as `pause`; "" if unknown."""
        open_fault = self._open.get(fault)
        return open_fault.verb if open_fault is not None else ""

    def done_by(self, event: Event, by: str) -> str | None:
        """The fault that a server is in of which an act of Docker's is: labctl asked for it, and its line says so."""
        if event.time is None:
            return None
        for fault in reversed(self._open.values()):
            since = fault.fault.since
            if event.server not in fault.fault.servers or event.server in fault.ends or since is None:
                continue
            if by in _ACTS.get(fault.verb, ()) and -_EARLY <= event.time - since <= _LATE:
                return fault.fault.id
        return None

    def are_apart(self, sender: str, receiver: str, time: datetime | None) -> bool:
        """Whether what a server sends cannot reach another one at a time, as far as is known."""
        if time is None:
            return False
        if any(fault.parts(sender, receiver, time) for fault in self._recent):
            return True
        return any(halt.lasted_at(time) for server in (sender, receiver) for halt in self._halts.get(server, ()))

    def explain(self, server: str, since: datetime) -> bool:
        """Whether what was done to a server's process, or to the network, at some time since then is known."""
        if any(halt.end is None or halt.end >= since for halt in self._halts.get(server, ())):
            return True
        return any(fault.lasted_since(since) for fault in self._recent)

    @property
    def are_known(self) -> bool:
        """Whether anything was done to any server, as far as is known."""
        return bool(self._recent or self._halts)

    def gone(self, server: str, time: datetime, reach: str | None) -> Gone | None:
        """What keeps a server from voting at a time: its process does not run, or it cannot be reached by another."""
        for halt in self._halts.get(server, ()):
            if halt.lasted_at(time):
                what = self._what(server, time) if halt.by == "labctl" else ""
                return Gone(server, halt.how, halt.begin, halt.by, what, halt.evidence)
        for fault in self._recent:
            evidence = fault.evidence.get(server) or next(iter(fault.evidence.values()), None)
            if evidence is None:
                continue
            if fault.verb in _OF_PROCESSES and fault.parts(server, server, time):
                return Gone(server, _DONE[fault.verb], fault.fault.since, "labctl", fault.fault.what, evidence)
            if reach is not None and (fault.parts(reach, server, time) or fault.parts(server, reach, time)):
                return Gone(server, "cut off", fault.fault.since, "labctl", fault.fault.what, evidence)
        return None

    def _what(self, server: str, time: datetime) -> str:
        """As which fault of a process a server was asked to be in at a time."""
        words = (
            fault.fault.what
            for fault in self._recent
            if fault.verb in _OF_PROCESSES and fault.parts(server, server, time)
        )
        return next(words, "")

    def halt(self, event: Event) -> None:
        """A server's process no longer runs, according to Docker."""
        halts = self._halts.setdefault(event.server, deque(maxlen=MOST_HALTS))
        self._begin_when_done(event)
        if event.time is not None and (not halts or halts[-1].end is not None):
            by: By = "itself" if event.event == "shutdown_began" else "labctl" if "fault" in event.values else "docker"
            how = _HOW.get(event.event) or _DONE.get(self.verb_of(event.values.get("fault", "")), "ended")
            halts.append(_Halt(event.time, how, by, evidence_of(event)))

    def _begin_when_done(self, event: Event) -> None:
        """The fault of a process began when Docker did it to the first server, and not when its line was written."""
        fault = self._open.get(event.values.get("fault", ""))
        if fault is not None and event.time is not None and not fault.is_done:
            fault.fault.since, fault.is_done = event.time, True

    def run(self, event: Event) -> None:
        """A server's process runs again."""
        halts = self._halts.get(event.server)
        if halts and halts[-1].end is None:
            halts[-1].end = event.time

    def restart(self, event: Event) -> None:
        """A server was started: it runs, and in a network of its own that no rule was put into."""
        if event.time is None:
            return
        for fault in self._open.values():
            if event.server in fault.fault.servers and fault.verb not in _AT_ONCE:
                fault.ends.setdefault(event.server, _End(event.time, "restart"))

    def finish(self, reached: Callable[[], datetime | None]) -> None:
        """The log has ended; `reached` says how far it goes, and is asked only where something may last."""
        if not self._open:
            return
        end = reached()
        for name in list(self._open):
            self._settle(name, end)

    def _settle(self, name: str, reached: datetime | None) -> None:
        fault = self._open.pop(name)
        fault.settle(reached)
        self._settled(fault.fault)


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
