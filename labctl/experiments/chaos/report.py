"""The result of a chaos run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from labctl.experiments.chaos.checkers.cas_checker import check_cas, check_reads
from labctl.experiments.chaos.checkers.read_staleness import Staleness, freshness
from labctl.experiments.chaos.checkers.result import CHECKS, Check, Verdict, worst
from labctl.experiments.chaos.checkers.set_checker import check_added
from labctl.experiments.chaos.timeline import Slice, timeline

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from labctl.experiments.chaos.history import Final, Operation
    from labctl.experiments.chaos.schedule import Step


@dataclass(frozen=True)
class Disturbance:
    """The outcome of a step of the schedule.

    Attributes:
        step: as it was planned.
        fault: its name in the servers' logs; "" where it did not happen.
        what: what was done, with the servers that the role meant then.
        servers: the servers that were disturbed.
        begin: in seconds since the run began.
        end: likewise.
        skipped: why it did not happen, or "".
    """

    step: Step
    fault: str
    what: str
    servers: tuple[str, ...]
    begin: float
    end: float
    skipped: str = ""


@dataclass(frozen=True)
class LeadershipSpan:
    """Who led, in seconds since the run began."""

    server: str
    term: int | None
    begin: float
    end: float


@dataclass(frozen=True)
class Run:
    """The course of a run.

    Attributes:
        lab: its name.
        version: of Consul.
        servers: the lab's.
        seed: gives the same schedule again.
        asked_seconds: how long the run was to be.
        mix: of which faults.
        began: when.
        seconds: how long clients asked: until the lab was ready again.
        disturbances: what was broken, in the order in which it began.
        operations: every request, in the order in which they began.
        final: the keys at the end, or None.
        leaderships: who led when.
        leaders_unknown: why it is not known who led, or "".
        ready_after: how many seconds after healing began the lab was ready; None where it was not in time.
        interrupted: whether a user ended it early.
        died: clients that died, a sentence for each.
        problems: what went wrong when the run ended, a sentence for each.
    """

    lab: str
    version: str
    servers: tuple[str, ...]
    seed: int
    asked_seconds: float
    mix: tuple[str, ...]
    began: datetime
    seconds: float
    disturbances: tuple[Disturbance, ...]
    operations: tuple[Operation, ...]
    final: Final | None
    leaderships: tuple[LeadershipSpan, ...] = ()
    ready_after: float | None = None
    interrupted: bool = False
    leaders_unknown: str = ""
    died: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """A run and its verdicts."""

    run: Run
    checks: tuple[Check, ...]
    reads: tuple[Staleness, ...]
    slices: tuple[Slice, ...] = field(default=())

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all checks."""
        return worst(self.checks)


def checks_of(operations: Sequence[Operation], final: Final | None) -> list[Check]:
    """Check every promise; where nothing could be read at the end, the verdicts are unknown."""
    if final is None:
        return [Check(name, "unknown", "the keys at the end could not be read") for name in CHECKS]
    return [check_added(operations, final), check_cas(operations, final), check_reads(operations, final)]


def _doubted(check: Check, died: Sequence[str]) -> Check:
    """A check of an incomplete history: its violations hold, but a clean result means unknown."""
    return replace(check, verdict="unknown", sentence=died[0]) if died and check.verdict == "valid" else check


def report_of(run: Run) -> Report:
    """Check a run."""
    checks = tuple(_doubted(check, run.died) for check in checks_of(run.operations, run.final))
    reads = tuple(freshness(run.operations, run.final))
    return Report(run, checks, reads, tuple(timeline(run.operations, run.seconds, run.servers)))
