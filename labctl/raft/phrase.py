"""What an event means, as a short sentence whose subject is the server: "won the election of term 2"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labctl.raft.event import Event

_NOBODY: Mapping[str, str] = MappingProxyType({})

Names = Callable[[str | None], str]

_PLAIN: Mapping[str, str] = {
    "no_known_peers": "knows no peers yet: it waits",
    "election_suppressed": "is not a voter of the cluster: it starts no election",
    "bootstrap_attempt": "found as many servers as it expects: it makes them the cluster",
    "bootstrap_skipped": "is part of a cluster already: it does not start a new one",
    "vote_duplicate_term": "has given its vote of this term already",
    "newer_term_seen_on_vote": "is asked to vote in a newer term: it follows that term",
    "newer_term_fallback": "learns of a newer term: it goes back to being a follower",
    "election_timeout": "got no majority in time: it tries again",
    "prevote_self": "would vote for itself",
    "prevote_denied_newer_term": "learns of a newer term: it goes back to being a follower",
    "prevote_won": "would be elected by a majority: it starts the election",
    "prevote_lost": "would not be elected: it starts no election and waits",
    "leadership_acquired": "leads the cluster",
    "leadership_lost": "no longer leads the cluster",
    "quorum_lost_stepdown": "cannot reach a majority: it gives up leadership",
    "new_leader_stepdown": "learns of another leader: it gives up leadership",
    "leaving": "leaves the cluster",
    "removed_self": "removed itself from the cluster",
    "transfer_started": "hands leadership over",
    "transfer_done_or_lost": "has handed leadership over",
}


def phrase(event: Event, names: Mapping[str, str] = _NOBODY) -> str | None:
    """Say what an event means, for a learner.

    Args:
        event: the event.
        names: the servers' names by address and by ID, so that a peer is called by its name.

    Returns:
        A sentence without its subject and its full stop, or None where the event needs no words.
    """

    def named(peer: str | None) -> str:
        return "another server" if not peer else names.get(peer, peer)

    said = _SENTENCES.get(event.event)
    return said(event, named) if said else _PLAIN.get(event.event)


def _in_term(event: Event) -> str:
    return "" if event.term is None else f" in term {event.term}"


def _of_term(event: Event) -> str:
    return "" if event.term is None else f" of term {event.term}"


def _votes(count: str | None) -> str:
    return "1 vote" if count == "1" else f"{count or 'some'} votes"


def _follower(event: Event, named: Names) -> str:
    return f"is a follower of {named(event.peer)}" if event.peer else "is a follower, and knows no leader"


def _heartbeat_timeout(event: Event, named: Names) -> str:
    whom = f"the leader {named(event.peer)}" if event.peer else "a leader"
    return f"has not heard from {whom} in time"


def _votes_needed(event: Event, _: Names) -> str:
    return f"needs {_votes(event.values.get('needed'))} to win{_in_term(event)}"


def _vote_granted(event: Event, _: Names) -> str:
    return f"has {_votes(event.values.get('tally'))}{_in_term(event)}"


def _election_won(event: Event, _: Names) -> str:
    tally = event.values.get("tally")
    return f"won the election{_of_term(event)}" + (f" with {_votes(tally)}" if tally else "")


def _rejected(words: str) -> Callable[[Event, Names], str]:
    def said(event: Event, named: Names) -> str:
        reason = event.values.get("reason", "")
        why = next((words for mark, words in _REASONS.items() if mark in reason), "")
        return f"{words} {named(event.peer)}{why}"

    return said


_REASONS: Mapping[str, str] = {
    "have a leader": ": it has a leader",
    "last term is greater": ": its own log is newer",
    "last index is greater": ": its own log is longer",
    "not a voter": ": that server is not a voter",
    "not in configuration": ": that server is not in the cluster",
}


def _member(words: str) -> Callable[[Event, Names], str | None]:
    """Serf tells of every member twice, once in the pool of this datacenter and once in the wide one."""

    def said(event: Event, named: Names) -> str | None:
        return None if (event.module or "").endswith(".wan") else words.format(named(event.peer))

    return said


def _to(words: str) -> Callable[[Event, Names], str]:
    return lambda event, named: words.format(peer=named(event.peer), in_term=_in_term(event))


def _announced(event: Event, named: Names) -> str | None:
    # The leader hears its own announcement too.
    return None if named(event.peer) == event.server else f"hears that {named(event.peer)} is the leader"


def _prevote_granted(event: Event, named: Names) -> str | None:
    # Its own vote is told already.
    return None if named(event.peer) == event.server else f"would get the vote of {named(event.peer)}"


_SENTENCES: Mapping[str, Callable[[Event, Names], str | None]] = {
    "follower_entered": _follower,
    "heartbeat_timeout": _heartbeat_timeout,
    "candidate_entered": _to("stands for election{in_term}"),
    "votes_needed": _votes_needed,
    "vote_self": _to("votes for itself{in_term}"),
    "vote_requested": _to("asks {peer} for its vote{in_term}"),
    "vote_granted": _vote_granted,
    "vote_rejected_by_me": _rejected("does not vote for"),
    "vote_rpc_failed": _to("cannot ask {peer} for its vote"),
    "election_won": _election_won,
    "prevote_requested": _to("asks {peer} whether it would vote for it{in_term}"),
    "prevote_granted": _prevote_granted,
    "prevote_denied": _to("would not get the vote of {peer}"),
    "prevote_rejected_by_me": _rejected("would not vote for"),
    "leader_entered": _to("is the leader"),
    "new_leader_announced": _announced,
    "peer_added": _to("starts replicating its log to {peer}"),
    "peer_removed": _to("stops replicating its log to {peer}"),
    "peer_unreachable": _to("cannot reach {peer}"),
    "heartbeat_failed": _to("cannot send a heartbeat to {peer}"),
    "append_rejected": _to("finds {peer} behind: it sends older entries"),
    "peer_newer_term": _to("learns of a newer term from {peer}"),
    "member_join": _member("sees {0} join"),
    "member_failed": _member("sees {0} fail"),
    "member_leave": _member("sees {0} leave"),
    "suspect": _to("suspects that {peer} has failed"),
    "marked_failed": _to("takes {peer} for failed"),
    "autopilot_remove": _to("removes the failed server {peer} from the cluster"),
}
