"""The table of what Consul's servers say about Raft, 2014 to today, and the event that each saying is.

A rule is the beginning of a message, without regard to case: the wording before Consul 1.7 has its values
inside the sentence, the wording since then has them behind it as `key=value`. New wording is a new row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from labctl.raft.envelope import Envelope

Voice = Literal["raft", "consul", "serf", "memberlist", "autopilot", "agent", "nobody"]
"""Which part of a server speaks: the same words from another part are not the same event."""


@dataclass(frozen=True)
class Rule:
    """One wording of one event.

    Attributes:
        event: the event's name.
        says: a regular expression for the message's beginning. Its first word is literal. A group `term` or
            `peer` is the event's; any other group is one of its values.
        voice: who says it.
        peer: the named values that may hold the peer, in order.
        term: False where the line's `term=` is not the term of the event.
    """

    event: str
    says: str
    voice: Voice = "raft"
    peer: tuple[str, ...] = ()
    term: bool = True
    pattern: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", re.compile(self.says, re.IGNORECASE))


class Meaning(NamedTuple):
    """What a rule found in a line.

    Attributes:
        event: the event's name.
        term: the term that the line names, or None.
        peer: the other server, or None.
        values: what else the sentence names.
    """

    event: str
    term: int | None
    peer: str | None
    values: Mapping[str, str]


_NODE = r"node at (?P<node>.+?) \[(?:Follower|Candidate|Leader)\] entering "
_WHO = r"(?P<peer>\{[^}]*\}|\S+)"
# "Failed to heartbeat to 10.0.0.9:8300: dial tcp ...": the address ends at a colon that a blank follows.
_WHO_ERROR = r"(?P<peer>\{[^}]*\}|\S+?): (?P<error>.*)"
_LEADER = ("leader-address", "leader", "leader-id")
_LAST_LEADER = ("last-leader-addr", "last-leader", "last-leader-id")
_FROM = ("address", "from", "candidate")

RULES: tuple[Rule, ...] = (
    # Waiting.
    Rule("follower_entered", _NODE + r'Follower state(?: \(Leader: "(?P<peer>[^"]*)"\))?'),
    Rule("follower_entered", r"entering follower state", peer=_LEADER),
    Rule("no_known_peers", r"no known peers, aborting election"),
    Rule("no_known_peers", r"EnableSingleNode disabled, and no known peers"),
    Rule("election_suppressed", r"not part of (?:a )?stable configuration"),
    Rule("election_suppressed", r"heartbeat timeout reached, not part of (?:a )?stable configuration"),
    Rule("config_initial", r"initial configuration(?: \(index=(?P<index>\d+)\): (?P<servers>.*))?"),
    Rule("bootstrap_attempt", r"attempting bootstrap with nodes(?:: (?P<peers>.*))?", "consul"),
    Rule(
        "bootstrap_attempt",
        r"found expected number of peers, attempting bootstrap(?:: (?P<peers>.*))?",
        "consul",
    ),
    Rule("bootstrap_skipped", r"existing raft peers reported by server", "consul", peer=("server",)),
    Rule("bootstrap_skipped", r"existing raft peers reported by (?P<peer>[^\s,]+)", "consul"),
    Rule("bootstrap_skipped", r"raft data found, disabling bootstrap mode", "consul"),
    # Campaign.
    Rule("heartbeat_timeout", r'heartbeat timeout from "(?P<peer>[^"]*)" reached, starting election'),
    Rule("heartbeat_timeout", r"heartbeat timeout reached, starting election", peer=_LAST_LEADER),
    Rule("candidate_entered", _NODE + r"Candidate state(?: in term (?P<term>\d+))?"),
    Rule("candidate_entered", r"entering candidate state"),
    Rule("votes_needed", r"votes needed: (?P<needed>\d+)"),
    Rule("votes_needed", r"votes$"),
    Rule("votes_needed", r"calculated votes needed"),
    Rule("vote_self", r"voting for self", peer=("id",)),
    Rule("vote_requested", r"asking for vote", peer=_FROM),
    Rule(
        "vote_granted",
        r"vote granted(?: from (?P<peer>.+?))?(?: in term (?P<term>\d+))?\. Tally: (?P<tally>\d+)",
    ),
    Rule("vote_granted", r"vote granted$", peer=_FROM),
    Rule(
        "vote_rejected_by_me",
        r"rejecting vote(?: request)?(?: from (?P<peer>\S+))? since (?P<reason>[^:(]*[^:( ])"
        r"(?:: (?P<leader>\S+)| \((?P<ours>\d+), (?P<theirs>\d+)\))?",
        peer=("from", "candidate"),
    ),
    Rule("vote_duplicate_term", r"duplicate requestvote for same term(?:: (?P<term>\d+))?"),
    Rule(
        "vote_duplicate_candidate",
        r"duplicate requestvote from(?: candidate)?(?:: (?P<peer>\S+))?",
        peer=("candidate",),
    ),
    Rule("vote_rpc_failed", r"failed to make requestvote rpc to " + _WHO_ERROR),
    Rule("vote_rpc_failed", r"failed to make requestvote rpc$", peer=("target",)),
    Rule("not_in_peer_set", r"remote peer " + _WHO + r" does not have local node (?P<node>\S+) as a peer"),
    # Followers print it too (raft.go:1666): it means "saw a higher term", not that leadership was lost.
    Rule("newer_term_seen_on_vote", r"lost leadership because received a requestvote with (?:a )?newer term"),
    Rule("newer_term_fallback", r"newer term discovered, fallback to follower"),
    Rule("election_timeout", r"election timeout reached, restarting election"),
    Rule("election_won", r"election won(?:\. Tally: (?P<tally>\d+))?"),
    # Pre-vote. A reply's term is the replier's own and may be behind the campaign's (raft.go:329-360).
    Rule("prevote_self", r"pre-voting for self", peer=("id",)),
    Rule("prevote_requested", r"asking for pre-vote", peer=_FROM),
    Rule("prevote_received", r"pre-vote received", peer=_FROM, term=False),
    Rule("prevote_granted", r"pre-vote granted", peer=_FROM),
    Rule("prevote_denied_newer_term", r"pre-vote denied: found newer term"),
    Rule("prevote_denied", r"pre-vote denied", peer=_FROM, term=False),
    Rule("prevote_won", r"pre-vote successful, starting election"),
    Rule("prevote_lost", r"pre-vote campaign failed", term=False),
    Rule("prevote_unsupported", r"target does not support pre-vote rpc", peer=("target",)),
    Rule("prevote_unsupported", r"pre-vote is disabled because it is not supported"),
    Rule("prevote_request_seen", r"received a requestprevote with a newer term"),
    Rule(
        "prevote_rejected_by_me",
        r"rejecting pre-vote request since (?P<reason>[^:]*)",
        peer=("from", "candidate"),
    ),
    # Leading.
    Rule("leader_entered", _NODE + r"Leader state"),
    Rule("leader_entered", r"entering leader state"),
    Rule("leadership_acquired", r"cluster leadership acquired", "consul"),
    Rule("new_leader_announced", r"new leader elected: (?P<peer>\S+)", "consul"),
    Rule("new_leader_announced", r"new leader elected$", "consul", peer=("payload",)),
    Rule("peer_added", r"added peer (?P<peer>\S+), starting replication"),
    Rule("peer_added", r"added peer, starting replication", peer=("peer",)),
    Rule("peer_updated", r"updating peer", peer=("peer",)),
    Rule("peer_removed", r"removed peer (?P<peer>\S+), stopping replication"),
    Rule("peer_removed", r"removed peer, stopping replication", peer=("peer",)),
    Rule("replication_pipelining", r"pipelining replication to peer " + _WHO),
    Rule("replication_pipelining", r"pipelining replication$", peer=("peer",)),
    Rule("replication_stopped", r"aborting pipeline replication to peer " + _WHO),
    Rule("replication_stopped", r"aborting pipeline replication$", peer=("peer",)),
    Rule("config_change", r"node (?P<node>\S+) updated peer set \((?P<command>\d+)\): (?P<servers>.*)"),
    Rule(
        "config_change",
        r"updating configuration with (?P<command>\S+) \((?P<id>[^,]*), (?P<peer>[^)]*)\) to (?P<servers>.*)",
    ),
    Rule("config_change", r"updating configuration$", peer=("server-addr", "server-id")),
    Rule("singlenode_disabled", r"disabling enablesinglenode"),
    # Trouble.
    Rule("quorum_lost_stepdown", r"failed to contact quorum of nodes, stepping down"),
    Rule("peer_unreachable", r"failed to contact (?P<peer>.+) in (?P<time>\S+)"),
    Rule("peer_unreachable", r"failed to contact$", peer=("server-id",)),
    Rule("append_failed", r"failed to (?:pipeline )?appendentries to " + _WHO_ERROR),
    Rule("append_failed", r"failed to (?:pipeline appendentries|appendentries to)", peer=("peer",)),
    Rule("append_failed", r"failed to start pipeline replication to " + _WHO_ERROR),
    Rule("append_failed", r"failed to start pipeline replication to$", peer=("peer",)),
    Rule(
        "append_rejected",
        r"appendentries to " + _WHO + r" rejected, sending older logs \(next: (?P<next>\d+)\)",
    ),
    Rule("append_rejected", r"appendentries rejected, sending older logs", peer=("peer",)),
    Rule("heartbeat_failed", r"failed to heartbeat to " + _WHO_ERROR),
    Rule("heartbeat_failed", r"failed to heartbeat to$", peer=("peer",)),
    Rule("log_conflict", r"failed to get previous log"),
    Rule("log_conflict", r"previous log term mis-?match"),
    Rule("log_conflict", r"clearing log suffix"),
    Rule("fallback_address", r"unable to get address for (?:server|sever), using", peer=("fallback", "id")),
    *(
        # Until Consul 1.2.2 this line of Raft's has no module at all.
        Rule(
            "fallback_address",
            r"unable to get address for server id (?P<id>\S+), using fallback address (?P<peer>\S+?)(?:: |$)",
            voice,
        )
        for voice in ("raft", "nobody")
    ),
    Rule("peer_newer_term", r"peer has newer term, stopping replication", peer=("peer",)),
    Rule("peer_newer_term", r"peer " + _WHO + r" has newer term, stopping replication"),
    Rule("new_leader_stepdown", r"new leader elected, stepping down"),
    Rule("leadership_lost", r"cluster leadership lost", "consul"),
    Rule("net_decode_failed", r"failed to decode incoming command"),
    # Membership.
    Rule("member_join", r"eventmemberjoin: (?P<peer>\S+)(?: (?P<address>\S+))?", "serf"),
    Rule("member_failed", r"eventmemberfailed: (?P<peer>\S+)(?: (?P<address>\S+))?", "serf"),
    Rule("member_leave", r"eventmemberleave(?: \(forced\))?: (?P<peer>\S+)(?: (?P<address>\S+))?", "serf"),
    Rule("server_added", r"adding (?:lan )?server (?P<peer>\S+)(?P<server> \(.*\))?", "consul"),
    Rule("server_added", r"adding (?:lan )?server$", "consul", peer=("server",)),
    Rule("server_removed", r"removing (?:lan )?server (?P<peer>\S+)(?P<server> \(.*\))?", "consul"),
    Rule("server_removed", r"removing (?:lan )?server$", "consul", peer=("server",)),
    Rule("suspect", r"suspect (?P<peer>\S+) has failed", "memberlist"),
    Rule("marked_failed", r"marking (?P<peer>\S+) as failed", "memberlist"),
    Rule("leaving", r"server starting leave", "consul"),
    Rule("join", r"\(LAN\) joining(?:: (?P<addresses>.*))?", "agent"),
    Rule("join", r"\(LAN\) joined(?:: (?P<number_of_nodes>\d+))?", "agent"),
    Rule(
        "autopilot_remove",
        r"attempting removal of (?:failed|stale raft) server ?: (?P<peer>\S+)",
        "autopilot",
    ),
    Rule("autopilot_remove", r"attempting removal of ", "autopilot", peer=("name", "address", "id")),
    Rule("join", r"join (?:cluster )?completed", "agent"),
    Rule("removed_self", r"removed ourself"),
    Rule("transfer_started", r"starting leadership transfer", peer=("address", "id")),
    Rule("transfer_done_or_lost", r"lost leadership during transfer"),
    Rule("transfer_done_or_lost", r"successfully transferred leadership", "consul"),
    # Plumbing.
    Rule("net_accept", r"(?P<node>\S+) accepted connection from: (?P<peer>\S+)"),
    Rule("net_accept", r"accepted connection$", peer=("remote-address",)),
    Rule("snapshot", r"starting snapshot up to"),
    Rule("snapshot", r"snapshot (?:to \d+ complete|complete up to)"),
    Rule("snapshot", r"compacting logs"),
    Rule("snapshot", r"no logs to truncate"),
    Rule("snapshot", r"restored (?:from|user) snapshot"),
    Rule("snapshot", r"copied (?:\d+ bytes )?to local snapshot"),
    Rule("snapshot", r"installed remote snapshot"),
    Rule("snapshot", r"installing snapshot on", peer=("peer",)),
    Rule("snapshot", r"installsnapshot "),
    Rule("snapshot", r"opening snapshot"),
    Rule("snapshot", r"creating new snapshot"),
    Rule("snapshot", r"reaping snapshot"),
    Rule(
        "snapshot",
        r"failed to (?:take|restore|install|list|open|send|finalize|create|copy|receive)(?: \w+)? snapshots?",
    ),
)

EVENTS: frozenset[str] = frozenset(rule.event for rule in RULES)
"""Every name that a line's event can have, but `other`."""

_FIRST_WORD = re.compile(r"[\w()-]+", re.ASCII)
_SPEAKER = re.compile(r"Node at (?P<node>.+) \[\w+\]")
_SPEAKERS = {"follower_entered": ("follower",), "candidate_entered": ("node",), "leader_entered": ("leader",)}
"""The value in which a server names itself."""
_TERM = re.compile(r"[0-9]{1,20}")
_CONFIGURED_SERVER = re.compile(r"\{\w* ?(?P<id>\S*) (?P<address>\S+)\}")


def _first_word(rule: Rule) -> str:
    """Return the literal word that a rule begins with, or "" where it begins with a value."""
    literal = re.match(r"(?:[\w-]|\\[()])+", rule.says)
    return literal[0].replace("\\", "").lower() if literal else ""


def _by_first_word() -> dict[tuple[Voice, str], tuple[Rule, ...]]:
    table: dict[tuple[Voice, str], tuple[Rule, ...]] = {}
    for rule in RULES:
        place = (rule.voice, _first_word(rule))
        table[place] = (*table.get(place, ()), rule)
    return table


_BY_FIRST_WORD = _by_first_word()


@lru_cache(maxsize=256)
def voice_of(module: str | None) -> Voice | None:
    """Return the part of a server that a module stands for; None for one that says nothing of ours."""
    if module is None:
        return "nobody"
    if module in {"consul", "agent.server"}:
        return "consul"
    if module in {"snapshot", "agent.server.snapshot"}:
        return "raft"
    parts = module.split(".")
    if "raft" in parts or "raft-net" in parts:
        return "raft"
    for voice in _PARTS:
        if voice in parts:
            return voice
    return "agent" if module == "agent" else None


_PARTS: tuple[Voice, ...] = ("serf", "memberlist", "autopilot")


def meaning_of(envelope: Envelope) -> Meaning | None:
    """Return what the first rule that knows the line's wording makes of it; None where none does."""
    voice = voice_of(envelope.module)
    if voice is None:
        return None
    found = _rule_of(voice, envelope.message)
    return None if found is None else _read(*found, envelope.values)


@lru_cache(maxsize=1024)
def _rule_of(voice: Voice, message: str) -> tuple[Rule, Meaning] | None:
    """The first rule that knows a message, and what the message itself names. Since Consul 1.7 messages repeat."""
    for rule in _candidates(voice, message):
        found = rule.pattern.match(message)
        if found is not None:
            named = {name: value.strip() for name, value in found.groupdict().items() if value is not None}
            term, peer = _term(named.pop("term", None)), named.pop("peer", None)
            if not _names_one(peer):
                return rule, Meaning(rule.event, term, None, named)
            if _CONFIGURED_SERVER.fullmatch(peer):
                named["peer"] = peer  # it says which address has which ID
            return rule, Meaning(rule.event, term, _peer(peer), named)
    return None


def _candidates(voice: Voice, message: str) -> Iterator[Rule]:
    word = _FIRST_WORD.match(message)
    if word is not None:
        yield from _BY_FIRST_WORD.get((voice, word[0].lower()), ())
    yield from _BY_FIRST_WORD.get((voice, ""), ())


def _read(rule: Rule, said: Meaning, values: Mapping[str, str]) -> Meaning:
    """Complete what the message says by the values that stand behind it."""
    if not values:
        return said
    event, term, peer, named = said
    if term is None and rule.term:
        term = _term(values.get("term"))
    for name in () if peer else rule.peer:
        value = values.get(name)
        if _names_one(value):
            peer = _peer(value)
            break
    for name in _SPEAKERS.get(event, ()):
        speaker = _SPEAKER.fullmatch(values.get(name, ""))
        if speaker is not None:
            named = {**named, "node": speaker["node"]}
    return Meaning(event, term, peer, named)


def _term(text: str | None) -> int | None:
    return int(text) if text is not None and _TERM.fullmatch(text) else None


def _names_one(peer: str | None) -> TypeGuard[str]:
    return bool(peer) and peer != "<nil>"


@lru_cache(maxsize=1024)
def _peer(named: str) -> str:
    """Return the address of `{Voter ID ADDRESS}`, the name of `NAME (Addr: ...)`, or the text itself."""
    configured = _CONFIGURED_SERVER.fullmatch(named)
    if configured is not None:
        return configured["address"]
    return named.split(" (", 1)[0]
