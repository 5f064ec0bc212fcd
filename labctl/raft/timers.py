"""Raft's timers: what Consul sets them to, and what a log shows of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from labctl.shared.durations import go_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

MULTIPLIERS = range(1, 11)
"""The range of `raft_multiplier` in Consul (agent/config/builder.go)."""


@dataclass(frozen=True)
class Timers:
    """The timeouts that servers are configured with, in seconds (raft config.go, DefaultConfig).

    Attributes:
        heartbeat: a follower that hears no leader stands after a random time from this to twice this.
        election: a candidate without a majority stands again after a random time from this to twice this.
        lease: a leader that reaches no majority for this long gives up.
    """

    heartbeat: float
    election: float
    lease: float


def timers_of(multiplier: int) -> Timers:
    """The timers of a Consul with that `raft_multiplier`; it is 1 before Consul 0.7, which has no such setting."""
    return Timers(1.0 * multiplier, 1.0 * multiplier, 0.5 * multiplier)


def seconds_between(begin: datetime | None, end: datetime | None) -> float | None:
    """The time from one stamp to another; None where one is missing, or where a clock went back."""
    if begin is None or end is None or end < begin:
        return None
    return (end - begin).total_seconds()


def seconds_of(duration: str | None) -> float | None:
    """Read a duration as Go writes it (`500.76ms`, `1m2.5s`), or as its JSON has it, in nanoseconds.

    None also where Go cannot have written it, because it is longer than any that Go knows.
    """
    if not duration:
        return None
    if duration.isdecimal() and duration.isascii():
        return int(duration[:18]) * 1e-9
    return go_seconds(duration)


def without_majority(silences: Iterable[float], needed: int | None) -> float | None:
    """How long a leader had not reached a majority, from how long it had not reached each server that was silent.

    Args:
        silences: in seconds, of each silent server.
        needed: the votes that are a majority; where nobody knows, all that are silent count. Of a single one that is
            silent, there is a majority without it, unless it is one of two.
    """
    longest = sorted(silences, reverse=True)
    # Of n = 2 * needed - 1 servers, the majority is gone when the n - needed + 1 = needed-th of them falls silent.
    at = max(len(longest) - 1, 1) if needed is None else needed - 1
    return longest[at] if 0 <= at < len(longest) else None
