"""Why there was no majority, in words: who was lost, by what, and how many voters that left."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from labctl.raft.durations import zone_of
from labctl.shared.words import listed

if TYPE_CHECKING:
    from datetime import datetime

    from labctl.raft.incident import Incident
    from labctl.raft.lost_quorum import Gone, LostQuorum

_HOW = {"paused": "frozen"}


def moment(time: datetime) -> str:
    """Write when something was: `2026-11-23 23:45:08 UTC`."""
    return f"{time:%Y-%m-%d %H:%M:%S} {zone_of(time)}"


def why_no_majority(incident: Incident) -> str:
    """Say why there was no majority, as far as that is known; "" where it is not."""
    if incident.quorum is not None:
        return _lost(incident.quorum)
    if incident.ended_by == "quorum_lost" and incident.unreached:
        return f"It had no answer from {listed(incident.unreached)}."
    return ""


def _lost(quorum: LostQuorum) -> str:
    alike = itertools.groupby(quorum.gone, key=lambda loss: (loss.how, loss.by, loss.what, _clock(loss.since)))
    done = "; ".join(_done(list(gone)) for _, gone in alike)
    voters = f"{quorum.left} of {quorum.voters} voters"
    were = "was" if quorum.left == 1 else "were"
    cut_off = any(loss.how == "cut off" for loss in quorum.gone)
    left = f"it reached {voters}, itself included," if cut_off else f"{voters} {were} left"
    said = f"{done}, so {left} and {quorum.needed} are needed."
    return f"T{said[1:]}" if said.startswith("the ") else said


def _clock(time: datetime | None) -> str:
    return "" if time is None else f"{time:%H:%M:%S}"


def _done(gone: list[Gone]) -> str:
    """What was done to servers of which the same is known, and when."""
    first = gone[0]
    who = listed([loss.server for loss in gone])
    when = f" at {_clock(first.since)}" if first.since is not None else ""
    if first.how == "shut down":
        return f"{who} shut down{when}"
    if first.how == "cut off":
        return f"labctl cut it off from {who}{when} ({first.what})"
    were = "was" if len(gone) == 1 else "were"
    by = {"labctl": " by labctl", "docker": ", as Docker says"}.get(first.by, "")
    done = _HOW.get(first.how, first.how)
    if first.how == "ended":
        process = "process" if len(gone) == 1 else "processes"
        return f"the {process} of {who} ended{when}{by}"
    return f"{who} {were} {done}{by}{when}" if first.by == "labctl" else f"{who} {were} {done}{when}{by}"
