"""A server that stood still, and a disk that is slow or broken, in a paragraph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.raft.disks import SNAPSHOT, VOTE
from labctl.raft.durations import about, at_least, at_most, duration, elapsed, is_whole
from labctl.raft.lost_quorum_sentences import moment
from labctl.raft.pauses import LATE

if TYPE_CHECKING:
    from labctl.raft.incident import Incident

_INFERRED = "stopped, frozen or cut off (inferred)"


def of_pause(incident: Incident) -> list[str]:
    """Describe a server that stood still."""
    said = _late(incident) if incident.what == LATE else _silent(incident) if incident.inferred else _frozen(incident)
    return [f"{_when(incident)}{said}"]


def _frozen(incident: Incident) -> str:
    who, by = _who(incident), " by labctl" if incident.by == "labctl" else ""
    says = ", as Docker says" if incident.by == "docker" else ""
    if incident.lasts:
        return f"{who} was frozen{by}{says}, and the logs do not show that it went on."
    if incident.count > 1:
        return f"{who} was frozen{by} {_often(incident)}{says}."
    took = elapsed(incident.since, incident.until)
    lasted = f" for {at_most(took) if incident.is_announced else took}" if took else ""
    return f"{who} was frozen{by}{lasted}{says}."


def _silent(incident: Incident) -> str:
    if incident.count > 1:
        return f"{_who(incident)} was silent {_often(incident)}, while others missed it: {_INFERRED}."
    took = elapsed(incident.since, incident.until)
    return (
        f"{_who(incident)} was silent{f' for {at_least(took)}' if took else ''}, while others missed it: {_INFERRED}."
    )


def _late(incident: Incident) -> str:
    (server,) = incident.servers
    why = "a leader that runs warns of each server that does not answer before it gives up, and this one did not."
    if incident.count > 1:
        return f"{server}, which led, had stood still before it gave up, {_often(incident)} (inferred): {why}"
    took = elapsed(incident.since, incident.until)
    lasted = f" for {at_least(took)}" if took else "; no line shows for how long"
    return f"{server}, which led, had stood still before it gave up{lasted} (inferred): {why}"


def of_slow_disk(incident: Incident) -> list[str]:
    """Describe a slow disk."""
    took = _longest(incident)
    often = f", {_often(incident)}" if incident.count > 1 else ""
    if incident.what == SNAPSHOT:
        slow = "The snapshot is large, or the disk is slow (inferred)."
    else:
        slow = "The disk is slow, or the machine stood still (inferred)."
    what = {VOTE: f"needed {took} to write {VOTE}", SNAPSHOT: f"needed {took} for {SNAPSHOT}"}
    return [f"{_when(incident)}{_who(incident)} {what.get(incident.what, '')}{often}.", slow]


def of_failed_writes(incident: Incident) -> list[str]:
    """Describe a disk that could not be written to."""
    could_not, _, why = incident.what.partition(": ")
    often = f" {_often(incident)}" if incident.count > 1 else ""
    return [
        f"{_when(incident)}{_who(incident)} could not {could_not}{often}{f': {why}' if why else ''}.",
        "Its disk is full or broken. A leader that cannot write gives up; who cannot write a vote does not vote.",
    ]


def _who(incident: Incident) -> str:
    return f"{incident.servers[0]}, which led," if incident.led else incident.servers[0]


def _when(incident: Incident) -> str:
    time = incident.since or incident.until
    return f"{moment(time)}: " if time is not None else ""


def _often(incident: Incident) -> str:
    """How often, within what time, and the longest of them: `3 times within 2 min 5 s, for 8.0 s at the longest`."""
    within = elapsed(incident.since, incident.until)
    often = f"{'twice' if incident.count == 2 else f'{incident.count} times'}{f' within {within}' if within else ''}"  # noqa: PLR2004
    return (
        f"{often}, for {_longest(incident)} at the longest"
        if incident.longest and incident.what not in {VOTE, SNAPSHOT}
        else often
    )


def _longest(incident: Incident) -> str:
    seconds = incident.longest or 0.0
    return about(seconds) if incident.since is not None and is_whole(incident.since) else duration(seconds)
