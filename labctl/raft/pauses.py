"""Servers that stood still, as Docker or labctl says, or as is inferred.

A server was silent while others missed it; or it leads, and noticed far too late that nobody had answered it. A leader
looks at least once in each lease who answered, and warns of each server that did not before it gives up. Of one that
has been silent for more than three leases, Raft says that at level debug only (raft.go, checkLeaderLease). So a leader
that gives up without a warning had not looked for at least two leases: it stood still.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from labctl.raft.incident import Incident
from labctl.raft.log_notes import DOCKER
from labctl.raft.records import Evidence, evidence_of
from labctl.raft.timers import seconds_between, seconds_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from labctl.raft.event import Event
    from labctl.raft.records import Leadership

TOGETHER = timedelta(minutes=10)
"""Pauses of one server this close together are reported as one."""
JUST_NOW = timedelta(seconds=2)
"""A warning that is no older belongs to the moment in which a leader gives up; so does a pause that has just ended."""
AT_ONCE = timedelta(milliseconds=200)
"""What a leader says in the moment in which it looks who answered."""
SEEN_LEADING = timedelta(seconds=5)
"""A leader's log must go back so far to be known to have no warning."""
STOOD_STILL = 2 / 3
"""A leader that says so late who is silent had looked for the last time a lease after that one had answered, and three
leases and more have passed."""
LATE = "late"
"""The pause of a leader that is seen by how late it noticed that nobody had answered it."""
_ENDS = frozenset({"container_killed", "container_stopped", "container_ended", "config_initial", "container_started"})
OF_PAUSES = _ENDS | {
    *("container_paused", "container_unpaused", "fault_began", "fault_ended", "fault_failed"),
    *("silence", "peer_unreachable", "quorum_lost_stepdown", "leader_entered"),
}
"""The events that `Pauses` takes in."""


@dataclass(slots=True)
class _Frozen:
    """A server that is frozen."""

    since: datetime | None
    led: bool
    by: Literal["labctl", "docker"]
    evidence: list[Evidence]
    fault: str = ""
    is_announced: bool = False  # labctl was going to freeze it, and nobody says when that was done


@dataclass(slots=True)
class _Leader:
    """What a leader said of who does not answer."""

    since: datetime | None
    warned: datetime | None = None
    late: dict[str, tuple[datetime, float, Evidence]] = field(default_factory=dict)


class Pauses:
    """Finds the pauses of a story. Feed it events in their order with `feed`, then `finish`.

    Args:
        tell: takes each incident.
        leads: whether a server leads, as far as is known.
    """

    def __init__(self, tell: Callable[[Incident], None], leads: Callable[[str], bool]) -> None:
        self._tell, self._leads = tell, leads
        self._frozen: dict[str, _Frozen] = {}
        self._leaders: dict[str, _Leader] = {}
        self._runs: dict[str, Incident] = {}
        self._gave_up_late: dict[str, datetime] = {}

    def stood_still(self, leadership: Leadership) -> bool:
        """Whether a leader that gave up had stood still until then: it could commit nothing for longer than that."""
        return leadership.until is not None and self._gave_up_late.get(leadership.server) == leadership.until

    def feed(self, event: Event) -> None:
        """Take in the next event of those in `OF_PAUSES`."""
        kind, server = event.event, event.server
        if kind == "peer_unreachable":
            self._miss(event)
        elif kind == "leader_entered":
            self._leaders[server] = _Leader(event.time)
        elif kind == "quorum_lost_stepdown":
            self._give_up(event)
        elif kind == "silence":
            self._be_silent(event)
        else:
            self._act(event)

    def finish(self) -> None:
        """The story has ended."""
        for server, pause in self._frozen.items():
            self._found(server, pause, None)
        for run in self._runs.values():
            self._tell(run)
        self._runs.clear()

    def _is_of(self, server: str, event: Event) -> bool:
        """Whether a fault that ended, or did not begin, is the one that a server is frozen by."""
        pause = self._frozen.get(server)
        return pause is not None and pause.fault == event.values.get("id", "")

    def _act(self, event: Event) -> None:
        """Take in an act on a server."""
        kind, server = event.event, event.server
        if kind == "container_paused":
            self._freeze(event, "labctl" if "fault" in event.values else "docker")
        elif kind == "fault_began":
            if event.values.get("what", "").startswith("pause "):
                self._freeze(event, "labctl")
        elif kind == "fault_failed":
            if self._is_of(server, event):
                del self._frozen[server]
        elif kind != "fault_ended" or self._is_of(server, event):
            self._go_on(event)

    # -- what is known ---------------------------------------------------------------------------------------

    def _freeze(self, event: Event, by: Literal["labctl", "docker"]) -> None:
        pause = self._frozen.get(event.server)
        if pause is None:
            fault = event.values.get("id") or event.values.get("fault", "")
            self._frozen[event.server] = _Frozen(
                event.time, self._leads(event.server), by, [evidence_of(event)], fault, event.module != DOCKER
            )
        elif event.module == DOCKER:
            # labctl writes its line before it does it, Docker says when it was.
            pause.since, pause.is_announced = event.time, False
            pause.evidence.append(evidence_of(event))

    def _go_on(self, event: Event) -> None:
        pause = self._frozen.pop(event.server, None)
        if pause is not None:
            pause.evidence.append(evidence_of(event))
            self._found(event.server, pause, event.time)

    def _found(self, server: str, pause: _Frozen, until: datetime | None) -> None:
        incident = Incident("pause", pause.since, until, [server], lasts=until is None, led=pause.led, by=pause.by)
        incident.is_announced = pause.is_announced
        incident.prove(pause.evidence)
        self._add(incident)

    # -- what is inferred ------------------------------------------------------------------------------------

    def _be_silent(self, event: Event) -> None:
        seconds = float(event.values["seconds"])
        if event.time is None:
            return
        since = event.time - timedelta(seconds=seconds)
        incident = Incident("pause", since, event.time, [event.server], inferred=True, led="led" in event.values)
        missed_in = event.values
        if "missed_by" in missed_in:
            line = Evidence(missed_in["missed_by"], missed_in["missed_file"] or None, int(missed_in["missed_line"]))
            incident.prove([line])
        incident.prove([evidence_of(event)])
        self._add(incident)

    def _miss(self, event: Event) -> None:
        leader = self._leaders.get(event.server)
        if leader is None or event.time is None:
            return
        if event.level != "debug":
            leader.warned = event.time
        elif (seconds := seconds_of(event.values.get("time"))) is not None:
            leader.late[event.peer or ""] = (event.time, seconds, evidence_of(event))

    def _give_up(self, event: Event) -> None:
        leader = self._leaders.pop(event.server, None)
        if leader is None or event.time is None or leader.since is None or event.level is None:
            return
        if event.time - leader.since < SEEN_LEADING or event.server in self._frozen:
            return
        if leader.warned is not None and event.time - leader.warned <= JUST_NOW:
            return
        run = self._runs.get(event.server)
        if run is not None and run.until is not None and event.time - run.until <= JUST_NOW:
            return  # that it stood still is reported already
        self._gave_up_late[event.server] = event.time
        late = [(seconds, line) for time, seconds, line in leader.late.values() if event.time - time <= AT_ONCE]
        since = event.time - timedelta(seconds=min(seconds for seconds, _ in late) * STOOD_STILL) if late else None
        incident = Incident("pause", since, event.time, [event.server], inferred=True, led=True, what=LATE)
        incident.prove([line for _, line in late])
        incident.prove([evidence_of(event)])
        self._add(incident)

    # -- what belongs together -------------------------------------------------------------------------------

    def _add(self, new: Incident) -> None:
        new.count, new.longest = 1, seconds_between(new.since, new.until)
        (server,) = new.servers
        run, begin = self._runs.get(server), new.since or new.until
        if run is None:
            self._runs[server] = new
            return
        is_like = (run.inferred, run.by, run.what) == (new.inferred, new.by, new.what) and not new.lasts
        if not is_like or run.until is None or begin is None or begin - run.until > TOGETHER:
            self._tell(run)
            self._runs[server] = new
            return
        run.until, run.count, run.led = new.until, run.count + 1, run.led or new.led
        run.longest = max((time for time in (run.longest, new.longest) if time is not None), default=None)
        run.prove(new.evidence)
