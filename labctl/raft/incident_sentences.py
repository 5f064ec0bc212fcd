"""An incident in a paragraph: when, how long, why it began, who tried and why that failed, who won."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from labctl.raft.durations import at_least, at_most, duration, elapsed
from labctl.raft.incident import Tries
from labctl.raft.lost_quorum_sentences import moment, why_no_majority
from labctl.raft.pause_sentences import of_failed_writes, of_pause, of_slow_disk
from labctl.raft.records import ALREADY_VOTED, Election, PreVote
from labctl.raft.summary_sentences import NO_ANSWER, NO_ANSWER_WITHOUT_NETWORK, counted_votes, reason_of
from labctl.shared.words import listed, plural

if TYPE_CHECKING:
    from datetime import datetime

    from labctl.raft.collection import Conclusion
    from labctl.raft.incident import Advice, Incident

WHY = {
    "quorum_lost": "{leader} could not reach a majority{lost} and gave up.",
    "log_failed": "{leader} could not write to its log and gave up.",
    "newer_term": "{leader} gave way to a newer term{newer}.",
    "new_leader": "{leader} learned that another one was elected.",
    "transfer": "{leader} handed its leadership over.",
    "removed": "{leader} was removed from the cluster.",
    "left": "{leader} left the cluster.",
    "stopped": "{leader} was stopped.",
    "killed": "{leader} was killed.",
    "ended": "The process of {leader} ended.",
    "paused": "{leader} was frozen.",
    "restarted": "{leader} was started again; no line shows when it had stopped.",
    "silent": "The log of {leader} ends: it was stopped, frozen or cut off (inferred).",
    "unknown": "No line says why {leader} stopped leading.",
}
_ADVICE: dict[Advice, str] = {
    "hand over": "A leader that hands its leadership over before it is stopped leaves no such gap.",
    "split": "A split vote is a matter of chance, and each one costs an election timeout.",
}
_MOST_REFUSALS = 3
_FIRST_TERMS = {1, 2}
"""The first election of a cluster is in one of these: since Consul 0.7, its configuration takes the first term."""
_MOST_TERMS = 8


NOTHING_HAPPENED = "No time without a leader is seen in these logs."
LEADERS_UNKNOWN = "These logs do not show whether anybody led."


def of_no_incident(end: Conclusion) -> str:
    """What to say where there is no incident: where no line shows a leader, the loss of one cannot be seen."""
    if end.leaders_known == "seen":
        return _searches(end.searches) or NOTHING_HAPPENED
    if end.leaders_known == "unknown":
        return LEADERS_UNKNOWN
    wait = "waits, and knows" if len(end.waiting) == 1 else "wait, and know"
    return f"No leader is seen in these logs: {listed(end.waiting)} {wait} no other server yet."


def _searches(searches: tuple[Election | PreVote, ...]) -> str:
    """Who stood, where no line shows who led before; "" of the first election of a new cluster, won at once."""
    elections = [attempt for attempt in searches if isinstance(attempt, Election)]
    if not searches or (len(elections) == 1 and elections[0].outcome == "won" and elections[0].term in _FIRST_TERMS):
        return ""
    by = itertools.groupby(
        sorted(searches, key=lambda attempt: attempt.candidate), key=lambda attempt: attempt.candidate
    )
    said = [sentence for candidate, tried in by for sentence in _sought(candidate, list(tried))]
    return f"{'; '.join(said)}. No line shows for how long, if at all, nobody led."


def _sought(candidate: str, tried: list[Election | PreVote]) -> list[str]:
    stood = [attempt for attempt in tried if isinstance(attempt, Election)]
    asked = Tries(candidate)
    for attempt in tried:
        if isinstance(attempt, PreVote):
            asked.add(attempt)
    return [*([_asked(asked)] if asked.pre_votes else []), *([_search(candidate, stood)] if stood else [])]


def _search(candidate: str, stood: list[Election]) -> str:
    terms = [
        f"term {election.term}" if election.term is not None else "a term that no line names" for election in stood
    ]
    often = f" and again in {listed(terms[1:])}" if len(terms) > 1 else ""
    outcome = stood[-1].outcome
    if stood[-1].outcome == "undecided" and stood[-1].end is not None:
        return f"{candidate} became a candidate in {terms[0]}{often}; no line says whether it asked for votes"
    ends = "has a gap" if stood[-1].breaks_off else "ends"
    won = ", which it won" if outcome == "won" else f"; the log {ends} before that was decided"
    return f"{candidate} stood in {terms[0]}{often}{won if outcome in {'won', 'undecided'} else ', and did not win'}"


def of_incident(incident: Incident) -> str:
    """Describe an incident."""
    tell = {
        "no_leader": _no_leader,
        "two_leaders": _two_leaders,
        "flapping": _flapping,
        "split_votes": _split_votes,
        "disruptive_server": _disruptive,
        "pause": of_pause,
        "slow_disk": of_slow_disk,
        "failed_writes": of_failed_writes,
        "not_seen": _not_seen,
    }[incident.kind]
    return " ".join(part for part in tell(incident) if part)


def _no_leader(incident: Incident) -> list[str]:
    return [
        _span(incident),
        _why(incident),
        why_no_majority(incident),
        *_tried(incident),
        _winner(incident),
        _shorter(incident),
    ]


def _span(incident: Incident) -> str:
    if incident.lasts:
        if incident.since is None:
            return "Nobody is known to lead where the logs end; no line shows since when."
        return f"{moment(incident.since)}: nobody leads from here on, as far as the logs go."
    if incident.heard is not None:
        return _span_until_heard(incident, incident.heard)
    took = elapsed(incident.since, incident.until)
    if incident.since is not None and took is not None:
        unseen = f"no leader is seen for {took}; one of whom no line here tells may have led meanwhile"
        lasted = f"{at_least(took)} (inferred)" if incident.inferred else took
        nobody = f"nobody led for {at_most(took) if incident.is_announced else lasted}"
        return f"{moment(incident.since)}: {unseen if incident.may_be_led else nobody}."
    if incident.until is None:
        return _span_without_end(incident)
    return (
        f"{moment(incident.until)}: {incident.winner} became leader, after a time without one; no "
        "line shows how long that was."
    )


def _span_without_end(incident: Incident) -> str:
    """Of a time without a leader in logs of which no line says who leads."""
    if incident.may_be_led and incident.winner is None:
        return "No line shows whether there was a time without a leader."
    since = f"{moment(incident.since)}: nobody led; no line shows until when." if incident.since is not None else ""
    return since or "There was a time without a leader; no line shows when."


def _span_until_heard(incident: Incident, heard: datetime) -> str:
    """Of a time without a leader whose end no log shows: another server heard of the leader that came then."""
    took = elapsed(incident.since, heard)
    if incident.since is not None and took is not None:
        return (
            f"{moment(incident.since)}: nobody led for at most {took}; {incident.winner} led then, "
            "and no line shows since when."
        )
    return (
        f"{moment(heard)}: {incident.winner} leads by now, after a time without a leader; no line "
        "shows how long that was."
    )


def _why(incident: Incident) -> str:
    if incident.lasts and incident.may_be_led and not incident.servers:
        only = [tries.server for tries in incident.tries]
        return (
            f"Only {listed(only)} {'is' if len(only) == 1 else 'are'} seen to miss a leader; the others may have one."
        )
    if incident.ended_by is None or not incident.servers:
        return "No line shows who led before."
    lost = f" for {duration(incident.without_majority)}" if incident.without_majority is not None else ""
    # Where a line names the next leader only later, or a term is told by nobody, others may have led in between.
    is_last = not (incident.may_be_led or (incident.heard is not None and incident.since is None))
    leader = f"{incident.servers[0]}, {'the previous leader' if is_last else 'which led before'},"
    why = WHY[incident.ended_by].format(leader=leader, lost=lost, newer=_whose(incident.newer, incident.newer_from))
    if incident.winner is None and incident.may_be_led:
        return f"No line says whether {leader} stopped leading."
    if not incident.inferred:
        return why
    if incident.ended_by == "quorum_lost":
        went_on = f"when it went on, it could not reach a majority{lost} and gave up"
        return f"{leader} had stood still (inferred); {went_on}."
    # What that may have been, the paragraph about its silence says.
    silent = f"{leader} fell silent."
    return silent if incident.ended_by == "silent" else f"{silent} It was started again."


def _whose(newer: Election | None, by: str | None) -> str:
    if newer is None:
        return f", of which it learned from {by}" if by is not None else ""
    return f": that of {newer.candidate}" + (f", which stood in term {newer.term}" if newer.term is not None else "")


def _tried(incident: Incident) -> list[str]:
    """Who stood and did not win, and why not: repeats are counted, not repeated."""
    said = []
    for tries in incident.tries:
        if stood := sum(count for outcome, count in tries.elections.items() if outcome != "won"):
            said.append(f"{tries.server} stood {_times(stood)}{_terms(tries)}{_lost(tries, stood)}.")
        if tries.pre_votes:
            said.append(f"{_asked(tries)}.")
    if incident.left_out:
        said.append(f"{incident.left_out} more candidacies came to nothing, and are not counted here by server.")
    if incident.split_terms:
        terms = listed([str(term) for term in incident.split_terms])
        said.append(f"In {plural(len(incident.split_terms), 'term')} {terms} the votes were split.")
    return said


def _asked(tries: Tries) -> str:
    asked = f"{tries.server} asked {_times(tries.pre_votes)}{_within(tries)} whether it could win"
    return f"{asked}{_terms(tries, '')}{_unheard(tries)}"


def _lost(tries: Tries, stood: int) -> str:
    """That it did not win, as far as the log decides that."""
    undecided = tries.elections["undecided"]
    if undecided == stood:
        if tries.not_shown:
            return ", or only asked whether it could win; no line says which"
        return _undecided(tries, stood)
    if not undecided:
        return f" and did not win{_reasons(tries)}"
    # Of the last one, the log may show the end and not what it was.
    ends_undecided = tries.ends_undecided and not tries.not_shown
    return f": it did not win {_of_several(tries, stood, undecided, ends_undecided)}"


def _unheard(tries: Tries) -> str:
    """That no majority would have voted for it, as far as the log decides that."""
    undecided = tries.undecided_pre_votes
    if undecided == tries.pre_votes:
        return _undecided(tries, undecided)
    if not undecided:
        return f", and no majority said yes{_reasons(tries)}"
    several = _of_several(tries, tries.pre_votes, undecided, tries.ends_undecided_beforehand)
    return f": no majority said yes to {several}"


def _undecided(tries: Tries, count: int) -> str:
    if tries.breaks_off:
        return f"; the log does not show how {'that was' if count == 1 else 'they were'} decided"
    return f"; the log ends before {'that was' if count == 1 else 'any of that was'} decided"


def _of_several(tries: Tries, count: int, undecided: int, is_last: bool) -> str:
    """Which of them came to nothing, where the log does not decide all."""
    reasons = _reasons(tries).removeprefix(": ")
    why = f" ({reasons})" if reasons else ""
    failed = count - undecided
    if undecided == 1 and is_last:
        first, last = ("the first", "the second") if failed == 1 else (f"the first {failed}", "the last")
        return f"{first}{why}; the log ends before {last} was decided"
    were = "was" if undecided == 1 else "were"
    return f"{failed} of them{why}; the log does not show how {undecided} of them {were} decided"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _terms(tries: Tries, within: str = " in") -> str:
    if tries.terms is None:
        return ""
    first, last = tries.terms
    if first == last:
        return f"{within} term {first}"
    return f"{within} terms {first} {'and' if last == first + 1 else 'to'} {last}"


def _within(tries: Tries) -> str:
    took = elapsed(tries.since, tries.until) if tries.pre_votes > 1 else None
    return f" in {took}" if took else ""


def _reasons(tries: Tries) -> str:
    failed = sum(count for outcome, count in tries.elections.items() if outcome != "won") + tries.pre_votes
    if tries.cut_off >= failed:
        return f": {NO_ANSWER_WITHOUT_NETWORK if tries.no_network >= failed else NO_ANSWER}"
    # Of the others, that is not known.
    alone = [f"at least {_times(tries.cut_off)} {NO_ANSWER}"] if tries.cut_off else []
    # The candidate that it had voted for instead is named with the split votes.
    reasons = [(server, reason) for server, reason in tries.refused if reason and reason != ALREADY_VOTED]
    said = [f"{server} refused because {reason_of(reason)}" for server, reason in reasons[:_MOST_REFUSALS]]
    return f": {listed([*alone, *said])}" if alone or said else ""


def _winner(incident: Incident) -> str:
    if incident.winner is None or incident.heard is not None:
        return ""
    won = incident.won
    if won is None or won.candidate != incident.winner:
        term = f" in term {incident.term}" if incident.term is not None else ""
        return "" if incident.since is None else f"Then {incident.winner} became leader{term}."
    votes = f" with {counted_votes(won.tally, won.needed, more='where it needed')}" if won.tally else ""
    term = f"term {won.term}" if won.term is not None else "the election"
    took = elapsed(won.start, won.end)
    return f"{won.candidate} won {term}{votes}{f', {took} after it stood' if took else ''}."


def _shorter(incident: Incident) -> str:
    """What would have made it shorter, where that follows from what happened."""
    return "" if incident.advice is None else _ADVICE[incident.advice]


def _two_leaders(incident: Incident) -> list[str]:
    old, new = incident.servers[0], incident.servers[-1]
    when = f"{moment(incident.since)}: " if incident.since is not None else ""
    term = f" in term {incident.term}" if incident.term is not None else ""
    took = elapsed(incident.since, incident.until)
    until = f" for {took}" if took else ""
    return [
        f"{when}two servers each believed that they led{until}.",
        f"{new} was elected{term}, and {old} did not know it yet.",
        f"From then on, at the latest, {old} could commit nothing.",
    ]


def _split_votes(incident: Incident) -> list[str]:
    when = f"{moment(incident.since)}: " if incident.since is not None else ""
    took = elapsed(incident.since, incident.until)
    within = f" in {took}" if took else ""
    terms = listed([str(term) for term in incident.split_terms[:_MOST_TERMS]])
    more = f" and {len(incident.split_terms) - _MOST_TERMS} more" if len(incident.split_terms) > _MOST_TERMS else ""
    return [
        (
            f"{when}the votes were split {_times(incident.count)}{within}, in terms {terms}{more}, among "
            f"{listed(incident.servers)}."
        ),
        "Once is chance.",
        "If it keeps happening, the servers answer too slowly for their timers, or too many stand at once.",
    ]


def _flapping(incident: Incident) -> list[str]:
    when = f"{moment(incident.since)}: " if incident.since is not None else ""
    took = elapsed(incident.since, incident.until)
    within = f" within {took}" if took else ""
    led = "led each time" if len(incident.servers) == 1 else "led in turn"
    return [f"{when}the leader was lost {incident.count} times{within}; {listed(incident.servers)} {led}."]


def _disruptive(incident: Incident) -> list[str]:
    (tries,) = incident.tries
    when = f"{moment(incident.since)}: " if incident.since is not None else ""
    took = elapsed(incident.since, incident.until)
    within = f" in {took}" if took else ""
    failed = sum(tries.elections.values())
    stood = f"{tries.server} stood {_times(failed)}{within}{_terms(tries)}"
    return [
        f"{when}{stood} while another server led{_reasons(tries)}.",
        "A server that cannot hear its leader keeps standing, and its newer terms bring that leader down.",
    ]


def _not_seen(incident: Incident) -> list[str]:
    said = []
    if incident.servers:
        whose = (
            f"the log of {incident.servers[0]}"
            if len(incident.servers) == 1
            else f"the logs of {listed(incident.servers)}"
        )
        said.append(f"Not seen: {whose}, who {'votes' if len(incident.servers) == 1 else 'vote'} too.")
    not_seen = "Nor" if said else "Not seen:"
    if incident.no_elections:
        said.append(
            f"{not_seen} who stood for election, who won and who leads; no line of these logs is of level info."
        )
    elif incident.no_votes:
        said.append(f"{not_seen} who voted for whom; no line of these logs is of level debug.")
    return said
