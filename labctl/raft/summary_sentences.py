"""An election and a leadership in one plain sentence each: what a learner would quote."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from labctl.raft.durations import about, at_least, at_most, duration, elapsed, is_whole
from labctl.raft.records import HAS_LEADER, IS_LEADER, Election
from labctl.shared.words import counted, listed

if TYPE_CHECKING:
    from labctl.raft.faults import Fault
    from labctl.raft.outage_tracker import Outage
    from labctl.raft.records import Leadership, PreVote, Refusal
    from labctl.raft.series import Series
    from labctl.raft.timers import Timers

_CAUSES = {
    "heartbeat_timeout": "it had not heard from a leader in time",
    "election_timeout": "it had got no majority in time",
    "transfer": "leadership was handed to it",
    "unknown": "",
}
_REASONS = {
    "already voted": "it had already voted in that term",
    HAS_LEADER: "it had a leader",
    IS_LEADER: "it was the leader",
    "our last term is greater": "its own log was newer",
    "our last index is greater": "its own log was longer",
    "node is not a voter": "the candidate was not a voter",
    "node is not in configuration": "the candidate was not in the cluster",
}
ENDS = {
    "quorum_lost": "it could not reach a majority",
    "log_failed": "it could not write to its log",
    "newer_term": "it learned of a newer term",
    "new_leader": "another leader was elected",
    "transfer": "it handed leadership over",
    "removed": "it was removed from the cluster",
    "left": "it left the cluster",
    "stopped": "it was stopped",
    "killed": "it was killed",
    "ended": "its process ended",
    "paused": "it was frozen",
    "restarted": "it stopped, some time before it was started again",
    "silent": "its log ends",
    "unknown": "a time that no line shows",
}
NO_ANSWER = "nobody could answer it"
NO_ANSWER_WITHOUT_NETWORK = f"{NO_ANSWER}, as the network was unreachable"
_FAULT_ENDS = {
    "lease": "its time was up",
    "heal": "{they} healed",
    "restart": "{they} started again",
}


def of_election(election: Election, timers: Timers | None = None) -> str:
    """Describe an election: who stood, who voted, who refused and why, and its outcome.

    With `timers`, what was measured stands beside what was set.
    """
    cause = _CAUSES[election.cause] + _waited(election, timers)
    # Where its log ends at once, it may have asked for pre-votes only so far.
    is_open = election.outcome == "undecided" and not (election.tally or election.refusals or election.pre_vote)
    did = "became a candidate" if is_open else "stood"
    parts = [f"{election.candidate} {did} {_in_term(election.term)}{f' because {cause}' if cause else ''}"]
    parts.append(_votes(election))
    parts += [f"{refusal.server} refused{_why(refusal)}" for refusal in election.refusals]
    parts += _outcome(election)
    return "; ".join(part for part in parts if part) + "."


def of_pre_vote(pre_vote: PreVote, timers: Timers | None = None) -> str:
    """Describe a round of pre-votes: who asked whether it could win, who said yes or no, and its outcome."""
    cause = _CAUSES[pre_vote.cause] + _waited(pre_vote, timers)
    term = f"term {pre_vote.term}" if pre_vote.term is not None else "the next term"
    parts = [f"{pre_vote.candidate} asked whether it could win {term}{f' because {cause}' if cause else ''}"]
    parts.append(_votes(pre_vote, "pre-vote"))
    parts += [f"{refusal.server} said no{_why(refusal)}" for refusal in pre_vote.refusals]
    parts.append(_pre_vote_outcome(pre_vote))
    return "; ".join(part for part in parts if part) + "."


def of_series(series: Series, timers: Timers | None = None) -> str:
    """Describe several candidacies of a server, one after the other, that are nearly the same."""
    candidacy = series.first
    cause = _CAUSES[candidacy.cause] + (
        _waited_often(series.waited, candidacy, timers) if series.waited is not None else ""
    )
    took = elapsed(candidacy.start, series.last.end or series.last.start)
    often = f"{series.count} times{f' in {took}' if took else ''}"
    if isinstance(candidacy, Election):
        began = f"{candidacy.candidate} stood {often}, {_in_terms(candidacy.term, series.last.term)}"
        refusals = (f"{no.server} refused{_why(no)}" for no in candidacy.refusals)
        parts = [_votes(candidacy), *refusals, *_outcome(candidacy)]
    else:
        term = _in_terms(candidacy.term, series.last.term).removeprefix("in ")
        began = f"{candidacy.candidate} asked {often} whether it could win {term}"
        refusals = (f"{no.server} said no{_why(no)}" for no in candidacy.refusals)
        parts = [_votes(candidacy, "pre-vote"), *refusals, _pre_vote_outcome(candidacy)]
    each_time = "; ".join(part for part in parts if part)
    return f"{began}{f', because {cause}' if cause else ''}; each time {each_time}."


def _in_terms(first: int | None, last: int | None) -> str:
    if first is None or last is None or first == last:
        return _in_term(first)
    return f"in terms {first} to {last}"


_OUTCOMES = {
    "won": "it won",
    "lost": "it lost",
    "split": "the vote was split and nobody won",
    "abandoned": "it had no majority when its time was over",
    "undecided": "its log ends before that was decided",
}
_BREAKS_OFF = "its log has a gap before that was decided"


def _in_term(term: int | None) -> str:
    return f"in term {term}" if term is not None else "in a term that no line names"


def _outcome(election: Election) -> list[str]:
    if election.outcome == "undecided" and election.breaks_off:
        return [_BREAKS_OFF]
    took = elapsed(election.start, election.end) if election.outcome == "won" else None
    said = _OUTCOMES[election.outcome] + (f" after {took}" if took else "")
    if election.outcome == "undecided" and election.end is not None:
        return ["no line says whether it asked for votes, or only whether it could win them"]
    return [_no_answer(election), said] if election.cut_off else [said]


def _no_answer(attempt: Election | PreVote) -> str:
    return NO_ANSWER_WITHOUT_NETWORK if attempt.no_network else NO_ANSWER


def _pre_vote_outcome(pre_vote: PreVote) -> str:
    if pre_vote.outcome == "won":
        return "so it stood" if pre_vote.tally else "it could, so it stood"
    if pre_vote.outcome == "undecided":
        return _BREAKS_OFF if pre_vote.breaks_off else _OUTCOMES["undecided"]
    cut_off = f"{_no_answer(pre_vote)}; " if pre_vote.cut_off else ""
    return f"{cut_off}it did not win the pre-vote, so it asked for no vote"


def counted_votes(tally: int, needed: int | None, vote: str = "vote", *, more: str = "and needed") -> str:
    """Count votes beside those that were needed: `1 of the 2 votes it needed`."""
    if not needed or tally > needed:
        return f"{counted(tally, vote)}{f' {more} {needed}' if needed else ''}"
    of_them = "the" if tally == needed else f"{tally} of the"
    return f"{of_them} {f'one {vote}' if needed == 1 else counted(needed, vote)} it needed"


def _votes(attempt: Election | PreVote, vote: str = "vote") -> str:
    others = [voter for voter in attempt.votes if voter != attempt.candidate]
    if not attempt.tally:
        return ""
    count = f"it had {counted_votes(attempt.tally, attempt.needed, vote)}"
    return f"{count}, its own and {listed(others)}'s" if others and len(others) == attempt.tally - 1 else count


def _why(refusal: Refusal) -> str:
    if refusal.voted_for is not None:
        whom = "itself" if refusal.voted_for == refusal.server else refusal.voted_for
        return f" because it had already voted for {whom}"
    if refusal.leader is not None and refusal.leader == refusal.server:
        return " because it was the leader"
    if refusal.leader is not None:
        return f" because it had a leader, {refusal.leader}"
    why = reason_of(refusal.reason)
    return f" because {why}" if why else ""


def reason_of(reason: str) -> str:
    """The reason of a refusal in plain words; as Raft has it where it is an unknown one."""
    return _REASONS.get(reason, reason)


def _waited(attempt: Election | PreVote, timers: Timers | None) -> str:
    return "" if attempt.waited is None else _waited_often((attempt.waited, attempt.waited), attempt, timers)


def _waited_often(waited: tuple[float, float], attempt: Election | PreVote, timers: Timers | None) -> str:
    """How long the timers ran before candidacies like this one, at least and at most, beside what is set."""
    # The stamp of its beginning has whole seconds where that of its end has.
    whole = attempt.start is not None and (is_whole(attempt.start) or not attempt.start.microsecond)
    least_said, most_said = (about(seconds) if whole else _precise(seconds) for seconds in waited)
    if least_said != most_said:
        # A unit stands once where it is the same.
        one_unit = least_said.endswith(" s") and most_said.endswith(" s") and not whole
        most_said = f"{least_said.removesuffix(' s') if one_unit else least_said} to {most_said}"
    least = {"heartbeat_timeout": timers.heartbeat, "election_timeout": timers.election} if timers else {}
    timeout = least.get(attempt.cause)
    # No timer runs for longer than three times what is set: that server stood still, or was set to something else.
    fits = timeout is not None and waited[1] <= 3 * timeout + 1
    return f" ({most_said}{f', of {timeout:g} to {2 * timeout:g} s' if timeout is not None and fits else ''})"


def _precise(seconds: float) -> str:
    """A time that stands beside the one that was set: `1.34 s`."""
    return f"{seconds:.2f} s" if 1 <= seconds < 60 else duration(seconds)  # noqa: PLR2004 - a minute


def of_leadership(leadership: Leadership, timers: Timers | None = None) -> str:
    """Describe a leadership: its leader and term, the time without a leader before it, its length, and its end."""
    term = f" in term {leadership.term}" if leadership.term is not None else ""
    begun = (
        leadership.since
        and leadership.without_leader is not None
        and leadership.since - timedelta(seconds=leadership.without_leader)
    )
    vacant = elapsed(begun or None, leadership.since)
    bound = {"at_least": at_least, "at_most": at_most}.get(leadership.without_leader_bound or "", str)
    after = f" after {bound(vacant)} without a leader" if vacant else ""
    before = "" if leadership.since_known else ", since a time that no line shows"
    if leadership.ended_by is None:
        return f"{leadership.server} leads{term}{after}{before}."
    if leadership.since is None and leadership.until is None:
        return f"{leadership.server} led{term}; no line shows since when, or until when."
    # Where only the latest possible end is known, the length is a bound.
    took = (
        elapsed(leadership.since, leadership.until)
        if leadership.since != leadership.until or not leadership.is_end_inferred
        else None
    )
    bound = {"at_least": at_least, "at_most": at_most}.get(leadership.bound or "", str)
    lasted = f" for {bound(took)}" if took else ""
    if leadership.silent_since is not None and (most := elapsed(leadership.since, leadership.silent_since)):
        lasted = f"{lasted} and at most {most}" if took else f" for at most {most}"
    lost = ""
    if leadership.without_majority is not None:
        lease = f"; its lease is {duration(timers.lease)}" if timers else ""
        lost = f" for {duration(leadership.without_majority)}{lease}"
    comma = f",{after}," if after else ","
    late = elapsed(leadership.superseded, leadership.until) if leadership.superseded is not None else None
    newer = (
        f"; {late} before that, another leader had been elected, and it could no longer commit anything" if late else ""
    )
    end = (
        "it became a follower; no line says why"
        if leadership.until and leadership.ended_by == "unknown"
        else ENDS[leadership.ended_by]
    )
    if leadership.ended_by == "newer_term" and leadership.newer_from is not None:
        end = f"{end} from {leadership.newer_from}"
    missed = ""
    if leadership.silent_since is not None:
        missed = ": stopped, frozen or cut off (inferred)"
        end = "it fell silent" if leadership.ended_by == "silent" else f"{end}, and had been silent before"
    return f"{leadership.server} led{term}{before}{lasted}{comma} until {end}{lost}{newer}{missed}."


def of_fault(fault: Fault) -> str:
    """Describe the faults that were injected, and when they were over."""
    if fault.lasts:
        are = "is" if len(fault.servers) == 1 else "are"
        return f"{listed(fault.servers)} {are} disturbed on purpose, and still {are} where the log ends: {fault.what}."
    took = elapsed(fault.since, fault.until)
    disturbed = f"{listed(fault.servers)} {'was' if len(fault.servers) == 1 else 'were'} disturbed on purpose"
    if fault.ended_by is None or took is None:
        return f"{disturbed}: {fault.what}."
    end = _FAULT_ENDS[fault.ended_by].format(they="it was" if len(fault.servers) == 1 else "they were")
    return f"{disturbed} for {took}, until {end}: {fault.what}."


_OUTAGE_ENDS = {
    "reached": "{server} answered again",
    "removed": "{server} was removed from the cluster",
    "leadership": "{leader} stopped leading",
}


def of_outage(outage: Outage) -> str:
    """Describe which server a leader could not reach, for how long, and whether it had missed anything."""
    term = f", the leader of term {outage.term}," if outage.term is not None else ""
    if outage.ended_by is None:
        return f"{outage.leader}{term} could not reach {outage.server}; no line shows that it has answered since."
    took = elapsed(outage.since, outage.until)
    lasted = f" for {took}" if took else ""
    end = _OUTAGE_ENDS[outage.ended_by].format(server=outage.server, leader=outage.leader)
    missed = "" if outage.behind is None else f"; then it was sent what it had missed, from entry {outage.behind} on"
    return f"{outage.leader}{term} could not reach {outage.server}{lasted}, until {end}{missed}."
