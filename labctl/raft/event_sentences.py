"""What an event means, as a short sentence whose subject is the server: "won the election of term 2"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from labctl.raft.cluster_sentences import SENTENCES
from labctl.raft.durations import duration
from labctl.raft.event import ASKS_FIRST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from labctl.raft.event import Event

_PLAIN: Mapping[str, str] = {
    "fault_failed": "could not be disturbed: it goes on",
    "config_recovered": "takes its servers from the file peers.json",
    "no_known_peers": "knows no peers: it waits",
    "election_suppressed": "is not a voter of the cluster: it starts no election",
    "bootstrap_attempt": "found as many servers as it expects: it forms the cluster with them",
    "bootstrap_skipped": "is already part of a cluster: it does not start a new one",
    "newer_term_seen_on_vote": "is asked to vote in a newer term: it moves to that term",
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
    "shutdown_began": "shuts down",
    "removed_self": "removed itself from the cluster",
    "transfer_started": "hands leadership over",
    "snapshot_installed": "has taken over the leader's snapshot in place of its own log",
    "active_entered": "becomes the active server",
    "active_ready": "is ready: it serves requests",
    "active_left": "is no longer the active server",
    "standby_entered": "is on standby",
    "unsealed": "is unsealed",
    "sealed": "is sealed: it serves nothing",
}


_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""An ID that nobody has explained yet says nothing to a learner."""


def phrase(event: Event) -> str | None:
    """Say what an event means, for a learner: a sentence without its subject and its full stop.

    None where the event needs no words. The peer is called as the event calls it; a story knows it by name.
    """
    said = _SENTENCES.get(event.event)
    return said(event) if said else _PLAIN.get(event.event)


def _peer(event: Event) -> str:
    return event.peer or "another server"


def _in_term(event: Event) -> str:
    return "" if event.term is None else f" in term {event.term}"


def _of_term(event: Event) -> str:
    return "" if event.term is None else f" of term {event.term}"


def _votes(count: str | None) -> str:
    return "1 vote" if count == "1" else f"{count or 'some'} votes"


def _follower(event: Event) -> str:
    if event.peer:
        return f"is a follower of {_peer(event)}"
    # Before Consul 0.7 the line names no leader, known or not.
    values = event.values
    says = "leader" in values or "leader-address" in values or '(leader: ""' in event.line.lower()
    return "is a follower, and knows no leader" if says else "is a follower"


def _heartbeat_timeout(event: Event) -> str:
    whom = f"the leader {_peer(event)}" if event.peer else "a leader"
    return f"has not heard from {whom} in time"


def _votes_needed(event: Event) -> str:
    return f"needs {_votes(event.values.get('needed'))} to win{_in_term(event)}"


def _vote_granted(event: Event) -> str:
    tally = f"{_votes(event.values.get('tally'))}{_in_term(event)}"
    if not event.peer or _ID.fullmatch(event.peer):
        return f"has {tally}"
    return f"has {tally}: its own" if event.peer == event.server else f"has the vote of {event.peer}: {tally}"


def _duplicate(event: Event) -> str:
    voted_for = event.values.get("voted_for")
    if not voted_for:
        return f"is asked for its vote{_in_term(event)}, and has already given it"
    whom = "itself" if voted_for == event.server else voted_for
    if not event.peer:
        return f"is asked for its vote{_in_term(event)}, and has already voted for {whom}"
    return f"does not vote for {event.peer}: it has already voted for {whom}{_in_term(event)}"


def _election_won(event: Event) -> str:
    tally = event.values.get("tally")
    return f"won the election{_of_term(event)}" + (f" with {_votes(tally)}" if tally else "")


def _rejected(words: str) -> Callable[[Event], str]:
    def said(event: Event) -> str:
        reason = event.values.get("reason", "")
        why = next((words for mark, words in _REASONS.items() if mark in reason), "")
        leader = _leader_in(event) if "have a leader" in reason else ""
        why = ": it is the leader itself" if leader == event.server else f"{why}, {leader}" if leader else why
        return f"{words} {_peer(event)}{why}"

    return said


def _leader_in(event: Event) -> str:
    values = event.values
    leader = values.get("leader_name") or values.get("leader") or values.get("leader-id", "")
    return "" if _ID.fullmatch(leader) else leader


_REASONS: Mapping[str, str] = {
    "have a leader": ": it has a leader",
    "last term is greater": ": its own log is newer",
    "last index is greater": ": its own log is longer",
    "not a voter": ": that server is not a voter",
    "not in configuration": ": that server is not in the cluster",
}


def _transfer(event: Event) -> str:
    return "could not hand leadership over" if "error" in event.values else "has handed leadership over"


def _fault_began(event: Event) -> str:
    seconds = event.values.get("seconds")
    what = event.values.get("what", "")
    done = _BROKEN.get(what.partition(" ")[0], f"is disturbed on purpose: {what}")
    return f"{done}{f', for {seconds} s' if seconds else ''}"


def _killed(event: Event) -> str:
    return "is killed: it used more memory than it is allowed" if event.values.get("cause") == "memory" else "is killed"


def _ended(event: Event) -> str:
    code = event.values.get("exit_code")
    return f"ends{f', with exit code {code}' if code else ''}"


def _silence(event: Event) -> str:
    took = duration(float(event.values["seconds"]))
    return f"had been silent for at least {took}: stopped, frozen or cut off (inferred)"


# The line of a fault stands there before a process is touched; Docker says when that was.
_BROKEN: Mapping[str, str] = {
    "kill": "is about to be killed on purpose",
    "stop": "is about to be stopped on purpose",
    "pause": "is about to be frozen on purpose",
    "isolate": "is cut off from the other servers on purpose",
}


def _denied(event: Event) -> str | None:
    if event.peer == event.server:
        # The news is from before its restart, and names itself.
        return "hears that it is suspected, and says that it is alive"
    taken = "considers it failed" if event.values.get("what", "").lower() == "dead" else "suspects it"
    return _member(f"hears that {{0}} {taken}, and says that it is alive")(event)


def _member(words: str, of_itself: str = "") -> Callable[[Event], str | None]:
    """Serf reports every member twice, in the LAN pool and in the WAN pool, and its own server like the others."""

    def said(event: Event) -> str | None:
        if (event.module or "").endswith(".wan"):
            return None
        return of_itself if of_itself and event.peer == event.server else words.format(_peer(event))

    return said


def _to(words: str) -> Callable[[Event], str]:
    return lambda event: words.format(peer=_peer(event), in_term=_in_term(event))


def _candidate(event: Event) -> str:
    # Until its pre-vote is won, it stands in no election; a server that asks for none is a candidate just the same.
    if ASKS_FIRST in event.values:
        return f"asks whether it could win term {event.term}" if event.term is not None else "asks whether it could win"
    return f"becomes a candidate{_in_term(event)}"


def _announced(event: Event) -> str | None:
    # The leader hears its own announcement too.
    return None if _peer(event) == event.server else f"hears that {_peer(event)} is the leader"


def _prevote_granted(event: Event) -> str | None:
    # Its own vote is reported already.
    return None if _peer(event) == event.server else f"would get the vote of {_peer(event)}"


_SENTENCES: Mapping[str, Callable[[Event], str | None]] = {
    "follower_entered": _follower,
    "heartbeat_timeout": _heartbeat_timeout,
    "candidate_entered": _candidate,
    "votes_needed": _votes_needed,
    "vote_self": _to("votes for itself{in_term}"),
    "vote_requested": _to("asks {peer} for its vote{in_term}"),
    "vote_granted": _vote_granted,
    "vote_rejected_by_me": _rejected("does not vote for"),
    "vote_duplicate_term": _duplicate,
    "vote_duplicate_candidate": _to("votes for {peer} (again)"),
    "vote_rpc_failed": _to("cannot ask {peer} for its vote"),
    "election_won": _election_won,
    "prevote_requested": _to("asks {peer} whether it would vote for it{in_term}"),
    "prevote_granted": _prevote_granted,
    "prevote_denied": _to("would not get the vote of {peer}"),
    "prevote_rejected_by_me": _rejected("would not vote for"),
    "transfer_done_or_lost": _transfer,
    "leader_entered": _to("is the leader"),
    "new_leader_announced": _announced,
    "peer_added": _to("starts replicating its log to {peer}"),
    "peer_removed": _to("stops replicating its log to {peer}"),
    "peer_unreachable": _to("cannot reach {peer}"),
    "heartbeat_failed": _to("cannot send a heartbeat to {peer}"),
    "append_rejected": _to("finds {peer} behind: it sends older entries"),
    "peer_newer_term": _to("learns of a newer term from {peer}"),
    "fault_began": _fault_began,
    "fault_ended": lambda event: None if "back" in event.values else "the fault is over",
    "silence": _silence,
    "container_killed": _killed,
    "container_stopped": lambda _: "is stopped",
    "container_ended": _ended,
    "container_paused": lambda _: "is frozen",
    "container_unpaused": lambda _: "goes on",
    "container_started": lambda _: "is started",
    "member_join": _member("sees {0} join", "joins the gossip"),
    "member_failed": _member("sees {0} fail"),
    "member_leave": _member("sees {0} leave"),
    "suspect": _member("suspects that {0} has failed"),
    "marked_failed": _member("considers {0} failed"),
    "suspicion_denied": _denied,
    "udp_lost": _member("reaches {0} over TCP, but not over UDP"),
    **SENTENCES,
}
