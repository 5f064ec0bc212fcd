"""A server that stood still, and a disk that is slow or broken, in a paragraph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.raft.disks import SNAPSHOT, VOTE
from labctl.raft.durations import about, at_least, duration, elapsed, is_whole
from labctl.raft.lost_quorum_sentences import moment
from labctl.raft.pauses import LATE

if TYPE_CHECKING:
    from labctl.raft.incident import Incident

_INFERRED = "stopped, frozen or cut off (inferred)"


def of_pause(one: Incident) -> list[str]:
    """Tell that a server stood still."""
    said = _late(one) if one.what == LATE else _silent(one) if one.inferred else _frozen(one)
    return [f"{_when(one)}{said}"]


def _frozen(one: Incident) -> str:
    who, by = _who(one), " by labctl" if one.by == "labctl" else ""
    says = ", as Docker says" if one.by == "docker" else ""
    if one.lasts:
        return f"{who} was frozen{by}{says}, and the logs do not show that it went on."
    if one.count > 1:
        return f"{who} was frozen{by} {_often(one)}{says}."
    took = elapsed(one.since, one.until)
    return f"{who} was frozen{by}{f' for {took}' if took else ''}{says}."


def _silent(one: Incident) -> str:
    if one.count > 1:
        return f"{_who(one)} was silent {_often(one)}, while others missed it: {_INFERRED}."
    took = elapsed(one.since, one.until)
    return f"{_who(one)} was silent{f' for {at_least(took)}' if took else ''}, while others missed it: {_INFERRED}."


def _late(one: Incident) -> str:
    (server,) = one.servers
    why = "a leader that runs warns of each server that does not answer before it gives up, and this one did not."
    if one.count > 1:
        return f"{server}, which led, had stood still before it gave up, {_often(one)} (inferred): {why}"
    took = elapsed(one.since, one.until)
    lasted = f" for {at_least(took)}" if took else "; no line shows for how long"
    return f"{server}, which led, had stood still before it gave up{lasted} (inferred): {why}"


def of_slow_disk(one: Incident) -> list[str]:
    """Tell that a disk was slow."""
    took = _longest(one)
    often = f", {_often(one)}" if one.count > 1 else ""
    if one.what == SNAPSHOT:
        slow = "The snapshot is large, or the disk is slow (inferred)."
    else:
        slow = "The disk is slow, or the machine stood still (inferred)."
    what = {VOTE: f"needed {took} to write {VOTE}", SNAPSHOT: f"needed {took} for {SNAPSHOT}"}
    return [f"{_when(one)}{_who(one)} {what.get(one.what, '')}{often}.", slow]


def of_failed_writes(one: Incident) -> list[str]:
    """Tell that a disk could not be written to."""
    could_not, _, why = one.what.partition(": ")
    often = f" {_often(one)}" if one.count > 1 else ""
    return [
        f"{_when(one)}{_who(one)} could not {could_not}{often}{f': {why}' if why else ''}.",
        "Its disk is full or broken. A leader that cannot write gives up; who cannot write a vote does not vote.",
    ]


def _who(one: Incident) -> str:
    return f"{one.servers[0]}, which led," if one.led else one.servers[0]


def _when(one: Incident) -> str:
    time = one.since or one.until
    return f"{moment(time)}: " if time is not None else ""


def _often(one: Incident) -> str:
    """How often, within what time, and the longest of them: `3 times within 2 min 5 s, for 8.0 s at the longest`."""
    within = elapsed(one.since, one.until)
    often = f"{'twice' if one.count == 2 else f'{one.count} times'}{f' within {within}' if within else ''}"  # noqa: PLR2004
    return f"{often}, for {_longest(one)} at the longest" if one.longest and one.what not in {VOTE, SNAPSHOT} else often


def _longest(one: Incident) -> str:
    seconds = one.longest or 0.0
    return about(seconds) if one.since is not None and is_whole(one.since) else duration(seconds)
