"""Failovers as they could have been measured."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from labctl.raft.failover import Failover, FailoverTimeline, Measurement
from labctl.raft.prediction import expected
from labctl.raft.timers import timers_of

BEGIN = datetime(2026, 11, 23, 12, 0, 0, 500_000, UTC)


def failover(detection: float, leaderless: float, first_write: float) -> Failover:
    """A failover of those times, in seconds since the leader was lost."""
    detected, elected, written = (
        BEGIN + timedelta(seconds=seconds) for seconds in (detection, leaderless, first_write)
    )
    told = FailoverTimeline(detected, "consul2", elected, "consul3", 8, (7, 7, 8))
    return Failover("consul1", BEGIN, 0.02, told, written, "consul3", 0.03)


def measurement(*failovers: Failover, pre_vote: bool = False, times: int | None = None) -> Measurement:
    """A measurement of a lab of three servers at pace `real`."""
    timers = timers_of(1)
    said = expected(timers, 3, pre_vote=pre_vote)
    asked = len(failovers) if times is None else times
    return Measurement("ada", 3, "real", "1.8.7", "kill", asked, timers, said, failovers)
