"""Measured failovers as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labctl.raft.failover import PHASES
from labctl.raft.quantiles import LEAST
from labctl.story.timers_json import timeouts_row

if TYPE_CHECKING:
    from labctl.raft.failover import Failover, Measurement, Phase
    from labctl.raft.quantiles import Distribution

_DIGITS = 4


def measurement_document(measurement: Measurement) -> dict[str, Any]:
    """The JSON shape of `measure failover`."""
    return {
        "lab": measurement.lab,
        "servers": measurement.servers,
        "pace": measurement.pace,
        "version": measurement.version,
        "by": measurement.by,
        "times": measurement.times,
        "timeouts": timeouts_row(measurement.timers),
        "pre_vote": measurement.expected.pre_vote,
        "phases": [phase_row(measurement, phase) for phase in PHASES],
        "campaigns": {"measured": measurement.campaigns, "predicted": measurement.expected.campaigns},
        "rounds": [round_row(number, failover) for number, failover in enumerate(measurement.failovers, 1)],
    }


def phase_row(measurement: Measurement, phase: Phase) -> dict[str, Any]:
    """One phase: what was measured beside what was predicted."""
    return {
        "phase": phase,
        "measured": _measured(measurement.measured(phase), len(measurement.failovers)),
        "predicted": distribution_row(measurement.predicted(phase).spread),
        "usual": measurement.usual(phase),
    }


def round_row(number: int, failover: Failover) -> dict[str, Any]:
    """One failover."""
    return {
        "round": number,
        "old_leader": failover.old_leader,
        "new_leader": failover.told.leader,
        "term": failover.told.term,
        "lost": failover.lost.isoformat(),
        "uncertain": round(failover.uncertain, _DIGITS),
        "detected_by": failover.told.detected_by,
        "detection": round(failover.seconds("detection"), _DIGITS),
        "election": round(failover.seconds("election"), _DIGITS),
        "leaderless": round(failover.seconds("leaderless"), _DIGITS),
        "first_write": round(failover.seconds("first_write"), _DIGITS),
        "through": failover.through,
        "unseen": round(failover.unseen, _DIGITS),
        "stood": list(failover.told.stood),
        "lost_terms": failover.lost_terms,
    }


def _measured(spread: Distribution | None, rounds: int) -> dict[str, float | None] | None:
    """How measured times are spread; with few times there is no p5 and no p95."""
    row = distribution_row(spread)
    return row if row is None or rounds >= LEAST else {**row, "p5": None, "p95": None}


def distribution_row(spread: Distribution | None) -> dict[str, float | None] | None:
    """How times are spread, in seconds."""
    if spread is None:
        return None
    return {
        "minimum": round(spread.minimum, _DIGITS),
        "p5": round(spread.p5, _DIGITS),
        "p50": round(spread.p50, _DIGITS),
        "p95": round(spread.p95, _DIGITS),
        "maximum": round(spread.maximum, _DIGITS),
    }
