"""An election and a leadership in one plain sentence each: what a learner would quote."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from labctl.raft.durations import about, duration, elapsed, is_whole

if TYPE_CHECKING:
    from labctl.raft.faults import Fault
    from labctl.raft.outage_tracker import Outage
    from labctl.raft.records import Election, Leadership, Refusal
    from labctl.raft.timers import Timers

_CAUSES = {
    "heartbeat_timeout": "it had heard no leader in time",
    "election_timeout": "it had got no majority in time",
    "transfer": "leadership was handed to it",
    "unknown": "",
}
_REASONS = {
    "already voted": "it had already voted in that term",
    "we have a leader": "it had a leader",
    "our last term is greater": "its own log was newer",
    "our last index is greater": "its own log was longer",
    "node is not a voter": "the candidate was no voter",
    "node is not in configuration": "the candidate was not in the cluster",
}
_ENDS = {
    "quorum_lost": "it could not reach a majority",
    "newer_term": "it learned of a newer term",
    "new_leader": "another leader was elected",
    "transfer": "it handed leadership over",
    "removed": "it was removed from the cluster",
    "left": "it left the cluster",
    "stopped": "it was stopped",
    "killed": "it was killed on purpose",
    "restarted": "it was started again",
    "silent": "its log just ends",
}
_FAULT_ENDS = {
    "lease": "its lease was over",
    "heal": "it was healed",
    "restart": "it was started again",
}


def listed(names: list[str]) -> str:
    """Write names as a sentence does: `a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def of_election(election: Election, timers: Timers | None = None) -> str:
    """Tell a campaign: who stood, who voted, who refused and why, what came of it.

    With `timers`, what was measured stands beside what was set.
    """
    term = f"in term {election.term}" if election.term is not None else "in a term that no line names"
    cause = _CAUSES[election.cause] + _waited(election, timers)
    parts = [f"{election.candidate} stood {term}{f' because {cause}' if cause else ''}"]
    if election.pre_vote == "lost":
        return f"{parts[0]}; it did not win the pre-vote, so it asked for no vote."
    parts.append(_votes(election))
    parts += [f"{one.server} refused because {_why(one)}" for one in election.refusals]
    took = elapsed(election.start, election.end) if election.outcome == "won" else None
    parts.append(_OUTCOMES[election.outcome or "abandoned"] + (f" after {took}" if took else ""))
    return "; ".join(part for part in parts if part) + "."


_OUTCOMES = {
    "won": "it won",
    "lost": "it lost",
    "split": "the vote was split and nobody won",
    "abandoned": "too few answered, and it came to nothing",
}


def _votes(election: Election) -> str:
    others = [one for one in election.votes if one != election.candidate]
    needed = f" of {election.needed} needed" if election.needed else ""
    if not election.tally:
        return ""
    count = f"it had {election.tally} vote{'' if election.tally == 1 else 's'}{needed}"
    return f"{count}, its own and {listed(others)}'s" if others and len(others) == election.tally - 1 else count


def _why(refusal: Refusal) -> str:
    if refusal.voted_for is not None:
        return f"it had already voted for {'itself' if refusal.voted_for == refusal.server else refusal.voted_for}"
    return _REASONS.get(refusal.reason, refusal.reason or "its log does not say why")


def _waited(election: Election, timers: Timers | None) -> str:
    if election.waited is None:
        return ""
    # The stamp of its beginning has whole seconds where that of its end has.
    whole = election.start is not None and is_whole(election.start)
    waited = about(election.waited) if whole else _precise(election.waited)
    least = {"heartbeat_timeout": timers.heartbeat, "election_timeout": timers.election} if timers else {}
    timeout = least.get(election.cause)
    return f" ({waited}{f', of {timeout:g} to {2 * timeout:g} s' if timeout else ''})"


def _precise(seconds: float) -> str:
    """A time that stands beside the one that was set: `1.34 s`."""
    return f"{seconds:.2f} s" if 1 <= seconds < 60 else duration(seconds)  # noqa: PLR2004 - a minute


def of_leadership(leadership: Leadership, timers: Timers | None = None) -> str:
    """Tell a leadership: who led in which term, after how long without a leader, for how long, and what ended it."""
    term = f" in term {leadership.term}" if leadership.term is not None else ""
    begun = (
        leadership.since
        and leadership.without_leader is not None
        and leadership.since - timedelta(seconds=leadership.without_leader)
    )
    vacant = elapsed(begun or None, leadership.since)
    after = f" after {vacant} without a leader" if vacant else ""
    if leadership.ended_by is None:
        return f"{leadership.server} leads{term}{after}."
    took = elapsed(leadership.since, leadership.until)
    lasted = f" for {took}" if took else ""
    lost = ""
    if leadership.without_majority is not None:
        lease = f"; its lease is {duration(timers.lease)}" if timers else ""
        lost = f" for {_precise(leadership.without_majority)}{lease}"
    until = f"until {_ENDS[leadership.ended_by]}{lost}"
    return f"{leadership.server} led{term}{lasted}{f',{after},' if after else ','} {until}."


def of_fault(fault: Fault) -> str:
    """Tell what was broken on purpose, and when it was over."""
    if fault.lasts:
        are = "is" if len(fault.servers) == 1 else "are"
        return f"{listed(fault.servers)} {are} disturbed on purpose, and still {are} where the log ends: {fault.what}."
    took = elapsed(fault.since, fault.until)
    disturbed = f"{listed(fault.servers)} {'was' if len(fault.servers) == 1 else 'were'} disturbed on purpose"
    if fault.ended_by is None or took is None:
        return f"{disturbed}: {fault.what}."
    return f"{disturbed} for {took}, until {_FAULT_ENDS[fault.ended_by]}: {fault.what}."


_OUTAGE_ENDS = {
    "reached": "{server} answered again",
    "removed": "{server} was removed from the cluster",
    "leadership": "{leader} led no longer",
}


def of_outage(outage: Outage) -> str:
    """Tell which server a leader could not reach, for how long, and whether it had missed anything."""
    term = f", the leader of term {outage.term}," if outage.term is not None else ""
    if outage.ended_by is None:
        return f"{outage.leader}{term} cannot reach {outage.server}."
    took = elapsed(outage.since, outage.until)
    lasted = f" for {took}" if took else ""
    end = _OUTAGE_ENDS[outage.ended_by].format(server=outage.server, leader=outage.leader)
    missed = "" if outage.behind is None else f"; then it was sent what it had missed, from entry {outage.behind} on"
    return f"{outage.leader}{term} could not reach {outage.server}{lasted}, until {end}{missed}."
