"""Measured failovers in sentences, and the phases by the names that a learner reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.raft.failover import PHASES
from labctl.raft.quantiles import distribution_of
from labctl.shared.words import plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from labctl.raft.failover import Measurement, Phase

NAMES: Mapping[Phase, str] = {
    "detection": "detection",
    "election": "election",
    "leaderless": "no leader",
    "first_write": "first write",
}
MEANINGS: Mapping[Phase, str] = {
    "detection": "until a server gives the leader up",
    "election": "from then to the new leader",
    "leaderless": "both: until there is a new leader",
    "first_write": "until a write is acknowledged",
}
_DONE = {"kill": "killed", "pause": "paused"}


def title(measurement: Measurement) -> str:
    """What was measured."""
    times = len(measurement.failovers)
    asked = "" if times == measurement.times else f" of {measurement.times}"
    return (
        f"The leader of the lab {measurement.lab} was {_DONE[measurement.by]} {times}{asked} "
        f"{plural(measurement.times, 'time')}"
    )


def subtitle(measurement: Measurement) -> str:
    """The lab, and its servers' settings."""
    least = measurement.timers.heartbeat
    return (
        f"{measurement.servers} servers at pace {measurement.pace}, Consul {measurement.version}: a server gives up a "
        f"leader that it has not heard for {least:g} s, when its timer of {least:g} to {2 * least:g} s is over"
    )


def sentences(measurement: Measurement) -> list[str]:
    """What it means."""
    leaderless = measurement.measured("leaderless")
    after = distribution_of(
        [failover.seconds("first_write") - failover.seconds("leaderless") for failover in measurement.failovers]
    )
    if leaderless is None or after is None:
        return []
    usual = sum(map(measurement.usual, PHASES))
    whole = len(measurement.failovers) * len(PHASES)
    uncertain = max(failover.uncertain for failover in measurement.failovers)
    unseen = max(failover.unseen for failover in measurement.failovers)
    times = f"median {leaderless.p50:.2f} s, longest {leaderless.maximum:.2f} s"
    return [
        f"Time without a leader: {times}; the first write came {after.p50:.2f} s later (median).",
        _why(measurement),
        f"Of {whole} times, {usual} are where 90 in 100 should be: between the predicted p5 and p95.",
        f"The moment of the {measurement.by} is known to {uncertain:.2f} s, that of the first write to {unseen:.2f} s.",
    ]


def _why(measurement: Measurement) -> str:
    stood = f"{measurement.campaigns:.1f} campaigns for each leader ({measurement.expected.campaigns:.1f} predicted)"
    first = "Who gives the leader up first cannot win yet, because the others still believe in it"
    if measurement.expected.pre_vote:
        return f"{first}. With pre-vote that costs no vote: the server that makes the majority complete wins: {stood}."
    return (
        f"{first}; and by the time that a majority has given it up, each of them has voted for itself in that term. "
        f"So an election timer has to run out too: {stood}."
    )
