"""Failovers that were measured: what the servers' logs show of each, and how their times are spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from labctl.raft.quantiles import Distribution, distribution_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from labctl.raft.event import Event
    from labctl.raft.prediction import Expected, Outlook
    from labctl.raft.timers import Timers

By = Literal["kill", "pause"]
BY: tuple[By, ...] = get_args(By)
Phase = Literal["detection", "election", "leaderless", "first_write"]
PHASES: tuple[Phase, ...] = get_args(Phase)


@dataclass(frozen=True)
class FailoverTimeline:
    """A failover in the logs of the surviving servers.

    Attributes:
        detected: when the first of them heard no leader in time.
        detected_by: which one that was.
        elected: when there was a new leader.
        leader: who that is.
        term: which it leads.
        stood: the term of each campaign, in the order in which they began; None where no line has it.
    """

    detected: datetime
    detected_by: str
    elected: datetime
    leader: str
    term: int | None
    stood: tuple[int | None, ...]


def timeline_of(events: Iterable[Event], since: datetime) -> FailoverTimeline | None:
    """Find a failover in the survivors' events, from a time on; None where it is not over yet."""
    detected: Event | None = None
    stood: list[int | None] = []
    for event in events:
        if event.time is None or event.time < since:
            continue
        if event.event == "heartbeat_timeout" and detected is None:
            detected = event
        elif event.event == "candidate_entered":
            stood.append(event.term)
        elif event.event == "leader_entered" and detected is not None and detected.time is not None:
            return FailoverTimeline(detected.time, detected.server, event.time, event.server, event.term, tuple(stood))
    return None


@dataclass(frozen=True)
class Failover:
    """One failover that was measured.

    Attributes:
        old_leader: who was lost.
        lost: when, by the Docker host's clock: not later than this.
        uncertain: how much earlier that may have been, in seconds: when labctl began to ask for it.
        told: the timeline from the logs.
        written: when the first write was acknowledged.
        through: by which server.
        unseen: how much earlier that may have been possible, in seconds: when that server last knew no new leader.
    """

    old_leader: str
    lost: datetime
    uncertain: float
    told: FailoverTimeline
    written: datetime
    through: str
    unseen: float

    def seconds(self, phase: Phase) -> float:
        """How long a phase took, in seconds."""
        begin = self.told.detected if phase == "election" else self.lost
        end = {"detection": self.told.detected, "first_write": self.written}.get(phase, self.told.elected)
        return (end - begin).total_seconds()

    @property
    def lost_terms(self) -> int:
        """Terms with candidates and without a winner."""
        return len({term for term in self.told.stood if term is not None} - {self.told.term})


@dataclass(frozen=True)
class Measurement:
    """All failovers of a lab that were measured.

    Attributes:
        lab: its name.
        servers: how many it has.
        pace: `real` or `teach`.
        version: of Consul.
        by: what happened to the leader.
        times: how many failovers were asked for.
        timers: what the servers' timers are set to.
        expected: what those predict.
        failovers: those that were measured, in their order.
    """

    lab: str
    servers: int
    pace: str
    version: str
    by: By
    times: int
    timers: Timers
    expected: Expected
    failovers: tuple[Failover, ...]

    def seconds(self, phase: Phase) -> list[float]:
        """How long a phase took each time, in seconds."""
        return [failover.seconds(phase) for failover in self.failovers]

    def measured(self, phase: Phase) -> Distribution | None:
        """How the times of a phase are spread."""
        return distribution_of(self.seconds(phase))

    def predicted(self, phase: Phase) -> Outlook:
        """What is predicted of a phase. Of the first write, that it comes with the new leader."""
        outlooks = {"detection": self.expected.detection, "election": self.expected.election}
        return outlooks.get(phase, self.expected.leaderless)

    def usual(self, phase: Phase) -> int:
        """How many times a phase took as long as ninety in a hundred should."""
        return sum(map(self.predicted(phase).spread.usual, self.seconds(phase)))

    @property
    def campaigns(self) -> float | None:
        """The number of campaigns, on average."""
        stood = [len(failover.told.stood) for failover in self.failovers]
        return sum(stood) / len(stood) if stood else None
