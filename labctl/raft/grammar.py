"""The table of what servers of Consul, Nomad and Vault say about Raft, 2014 to today, and the event that each is.

A rule is the beginning of a message, without regard to case: the wording before Consul 1.7 has its values
inside the sentence, the wording since then has them behind it as `key=value`. New wording is a new row,
and a row says where its wording is written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeGuard

from labctl.raft.event import OTHER
from labctl.raft.log_line import REPEATED
from labctl.raft.numbers import number_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from labctl.raft.log_line import Envelope

Voice = Literal["raft", "consul", "vault", "serf", "memberlist", "autopilot", "agent", "labctl", "nobody"]
"""Which part of a server speaks: the same words from another part are not the same event."""


@dataclass(frozen=True)
class Rule:
    """One wording of one event.

    Attributes:
        event: the event's name.
        source: where the wording is written: project, version, file and line. It need not be the oldest place.
            Wordings that differ between generations have a place each, with `; ` between them.
        says: a regular expression for the message's beginning. Its first word is literal. A group `term` or
            `peer` is the event's; any other group is one of its values.
        voice: who says it.
        peer: the named values that may hold the peer, in order.
        term: False where the line's `term=` is not the term of the event.
    """

    event: str
    source: str
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
_FALLBACK = r"unable to get address for server id (?P<id>\S+), using fallback address (?P<peer>\S+?)(?:: |$)"
_LEADER = ("leader-address", "leader", "leader-id")
_LAST_LEADER = ("last-leader-addr", "last-leader", "last-leader-id")
_FROM = ("address", "from", "candidate")
_SERVER = ("name", "server", "address", "id")

RULES: tuple[Rule, ...] = (
    # Waiting.
    Rule(
        "follower_entered",
        "raft (Consul 0.5.2) raft.go:584; raft v1.0.0 raft.go:144",
        _NODE + r'Follower state(?: \(Leader: "(?P<peer>[^"]*)"\))?',
    ),
    Rule("follower_entered", "raft v1.1.2 raft.go:152", r"entering follower state", peer=_LEADER),
    Rule("no_known_peers", "raft v1.0.0 raft.go:191", r"no known peers, aborting election"),
    Rule("no_known_peers", "raft (Consul 0.5.2) raft.go:618", r"EnableSingleNode disabled, and no known peers"),
    Rule("election_suppressed", "raft v1.0.0 raft.go:197", r"not part of (?:a )?stable configuration"),
    Rule(
        "election_suppressed",
        "raft v1.3.9 raft.go:243",
        r"heartbeat timeout reached, not part of (?:a )?stable configuration",
    ),
    Rule(
        "config_initial",
        "raft v1.0.0 api.go:496; raft v1.1.2 api.go:556",
        r"initial configuration(?: \(index=(?P<index>\d+)\): (?P<servers>.*))?",
    ),
    Rule(
        "bootstrap_attempt",
        "consul v0.5.2 consul/serf.go:233",
        r"attempting bootstrap with nodes(?:: (?P<peers>.*))?",
        "consul",
    ),
    Rule(
        "bootstrap_attempt",
        "consul v1.0.0 agent/consul/server_serf.go:327; consul v1.7.0 agent/consul/server_serf.go:382",
        r"found expected number of peers, attempting bootstrap(?:: (?P<peers>.*))?",
        "consul",
    ),
    Rule(
        "bootstrap_attempt",
        "nomad v1.9.7 nomad/serf.go:228",
        r"found expected number of peers, attempting to bootstrap",
        "consul",
    ),
    Rule(
        "bootstrap_failed",
        "consul v1.0.0 agent/consul/server_serf.go:331; consul v1.7.0 agent/consul/server_serf.go:387",
        r"failed to bootstrap cluster(?:: (?P<error>.*))?",
        "consul",
    ),
    Rule(
        "bootstrap_skipped",
        "nomad v1.9.7 nomad/serf.go:191",
        r"disabling bootstrap mode because existing raft peers being reported",
        "consul",
        peer=("peer_name",),
    ),
    Rule(
        "config_recovered",
        "consul v1.0.0 agent/consul/server.go:563; nomad v1.9.7 nomad/server.go:1513",
        r"found peers\.json file, recovering raft configuration",
        "consul",
    ),
    Rule("config_recovered", "vault v1.18.5 physical/raft/raft.go:1237", r"raft recovery found new config"),
    Rule(
        "bootstrap_skipped",
        "consul v1.7.0 agent/consul/server_serf.go:348",
        r"existing raft peers reported by server",
        "consul",
        peer=("server",),
    ),
    Rule(
        "bootstrap_skipped",
        "consul v1.0.0 agent/consul/server_serf.go:298",
        r"existing raft peers reported by (?P<peer>[^\s,]+)",
        "consul",
    ),
    Rule(
        "bootstrap_skipped",
        "consul v1.0.0 agent/consul/server_serf.go:236",
        r"raft data found, disabling bootstrap mode",
        "consul",
    ),
    # Campaign.
    Rule(
        "heartbeat_timeout",
        "raft v1.0.0 raft.go:201",
        r'heartbeat timeout from "(?P<peer>[^"]*)" reached, starting election',
    ),
    Rule(
        "heartbeat_timeout",
        "raft (Consul 0.5.2) raft.go:622; raft v1.1.2 raft.go:214",
        r"heartbeat timeout reached, starting election",
        peer=_LAST_LEADER,
    ),
    Rule(
        "candidate_entered",
        "raft (Consul 0.5.2) raft.go:635; raft v1.0.0 raft.go:237",
        _NODE + r"Candidate state(?: in term (?P<term>\d+))?",
    ),
    Rule("candidate_entered", "raft v1.1.2 raft.go:250", r"entering candidate state"),
    Rule("votes_needed", "raft (Consul 0.5.2) raft.go:644", r"votes needed: (?P<needed>\d+)"),
    Rule("votes_needed", "raft v1.1.2 raft.go:268", r"votes$"),
    Rule("votes_needed", "raft v1.3.11 raft.go:302", r"calculated votes needed"),
    Rule("vote_self", "raft v1.3.11 raft.go:1858", r"voting for self", peer=("id",)),
    Rule("vote_requested", "raft v1.3.11 raft.go:1874", r"asking for vote", peer=_FROM),
    Rule(
        "vote_granted",
        "raft (Consul 0.5.2) raft.go:663; raft (Consul 0.6.4) raft.go:693; raft v1.0.0 raft.go:267",
        r"vote granted(?: from (?P<peer>.+?))?(?: in term (?P<term>\d+))?\. Tally: (?P<tally>\d+)",
    ),
    Rule("vote_granted", "raft v1.1.2 raft.go:287", r"vote granted$", peer=_FROM),
    Rule(
        "vote_rejected_by_me",
        "raft (Consul 0.5.2) raft.go:1321; raft (Consul 0.6.4) raft.go:1423; raft v1.1.2 raft.go:1418",
        r"rejecting vote(?: request)?(?: from (?P<peer>\S+))? since (?P<reason>[^:(]*[^:( ])"
        r"(?:: (?P<leader>\S+)| \((?P<ours>\d+), (?P<theirs>\d+)\))?",
        peer=("from", "candidate"),
    ),
    Rule(
        "vote_duplicate_term",
        "raft (Consul 0.5.2) raft.go:1353; raft v1.1.2 raft.go:1452",
        r"duplicate requestvote for same term(?:: (?P<term>\d+))?",
    ),
    Rule(
        "vote_duplicate_candidate",
        "raft (Consul 0.5.2) raft.go:1355; raft v1.1.2 raft.go:1454",
        r"duplicate requestvote from(?: candidate)?(?:: (?P<peer>\S+))?",
        peer=("candidate",),
    ),
    Rule("vote_rpc_failed", "raft (Consul 0.5.2) raft.go:1516", r"failed to make requestvote rpc to " + _WHO_ERROR),
    Rule("vote_rpc_failed", "raft v1.1.2 raft.go:1656", r"failed to make requestvote rpc$", peer=("target",)),
    Rule(
        "not_in_peer_set",
        "raft (Consul 0.5.2) raft.go:1527",
        r"remote peer " + _WHO + r" does not have local node (?P<node>\S+) as a peer",
    ),
    # Followers print it too (raft v1.7.3 raft.go:1666): it means "saw a higher term", not that leadership was lost.
    Rule(
        "newer_term_seen_on_vote",
        "raft v1.1.1 raft.go:1405; raft v1.1.2 raft.go:1432",
        r"lost leadership because received a requestvote with (?:a )?newer term",
    ),
    Rule("newer_term_fallback", "raft (Consul 0.5.2) raft.go:654", r"newer term discovered, fallback to follower"),
    Rule("election_timeout", "raft (Consul 0.5.2) raft.go:693", r"election timeout reached, restarting election"),
    Rule(
        "election_won",
        "raft (Consul 0.5.2) raft.go:668; raft v1.1.2 raft.go:292",
        r"election won(?:\. Tally: (?P<tally>\d+))?",
    ),
    # Pre-vote. A reply's term is the replier's own and may be behind the campaign's (raft v1.7.3 raft.go:329-360).
    Rule("prevote_self", "raft v1.7.3 raft.go:2108", r"pre-voting for self", peer=("id",)),
    Rule("prevote_requested", "raft v1.7.3 raft.go:2120", r"asking for pre-vote", peer=_FROM),
    Rule("prevote_received", "raft v1.7.3 raft.go:329", r"pre-vote received", peer=_FROM, term=False),
    Rule("prevote_granted", "raft v1.7.3 raft.go:341", r"pre-vote granted", peer=_FROM),
    Rule("prevote_denied_newer_term", "raft v1.7.3 raft.go:332", r"pre-vote denied: found newer term"),
    Rule("prevote_denied", "raft v1.7.3 raft.go:344", r"pre-vote denied", peer=_FROM, term=False),
    Rule("prevote_won", "raft v1.7.3 raft.go:349", r"pre-vote successful, starting election"),
    Rule("prevote_lost", "raft v1.7.3 raft.go:360", r"pre-vote campaign failed", term=False),
    Rule("prevote_unsupported", "raft v1.7.3 raft.go:2085", r"target does not support pre-vote rpc", peer=("target",)),
    Rule("prevote_unsupported", "raft v1.7.3 api.go:580", r"pre-vote is disabled because it is not supported"),
    Rule("prevote_request_seen", "raft v1.7.3 raft.go:1778", r"received a requestprevote with a newer term"),
    Rule(
        "prevote_rejected_by_me",
        "raft v1.7.3 raft.go:1758",
        r"rejecting pre-vote request since (?P<reason>[^:]*)",
        peer=("from", "candidate"),
    ),
    # Leading.
    Rule("leader_entered", "raft (Consul 0.5.2) raft.go:705", _NODE + r"Leader state"),
    Rule("leader_entered", "raft v1.1.2 raft.go:363", r"entering leader state"),
    # Before "lost" alone, which begins in the same words.
    Rule(
        "leadership_flapped",
        "nomad v1.9.7 nomad/leader.go:139; nomad v1.9.7 nomad/leader.go:146",
        r"cluster leadership (?P<what>lost and gained|gained and lost) leadership immediately",
        "consul",
    ),
    Rule(
        "barrier_failed",
        "consul v0.5.2 consul/leader.go:76; consul v1.7.0 agent/consul/leader.go:178",
        r"failed to wait for barrier(?:: (?P<error>.*))?",
        "consul",
    ),
    Rule("leadership_acquired", "consul v0.5.2 consul/leader.go:38", r"cluster leadership acquired", "consul"),
    Rule("new_leader_announced", "consul v0.5.2 consul/serf.go:125", r"new leader elected: (?P<peer>\S+)", "consul"),
    Rule(
        "new_leader_announced",
        "consul v1.7.0 agent/consul/server_serf.go:212",
        r"new leader elected$",
        "consul",
        peer=("payload",),
    ),
    Rule("peer_added", "raft (Consul 0.5.2) raft.go:1124", r"added peer (?P<peer>\S+), starting replication"),
    Rule("peer_added", "raft v1.1.2 raft.go:474", r"added peer, starting replication", peer=("peer",)),
    Rule("peer_updated", "raft v1.2.0 raft.go:501", r"updating peer", peer=("peer",)),
    Rule("peer_removed", "raft (Consul 0.5.2) raft.go:1135", r"removed peer (?P<peer>\S+), stopping replication"),
    Rule("peer_removed", "raft v1.1.2 raft.go:501", r"removed peer, stopping replication", peer=("peer",)),
    Rule("replication_pipelining", "raft (Consul 0.5.2) replication.go:332", r"pipelining replication to peer " + _WHO),
    Rule("replication_pipelining", "raft v1.1.2 replication.go:408", r"pipelining replication$", peer=("peer",)),
    Rule(
        "replication_stopped",
        "raft (Consul 0.5.2) replication.go:333",
        r"aborting pipeline replication to peer " + _WHO,
    ),
    Rule("replication_stopped", "raft v1.1.2 replication.go:409", r"aborting pipeline replication$", peer=("peer",)),
    Rule(
        "config_change",
        "raft (Consul 0.5.2) raft.go:1108",
        r"node (?P<node>\S+) updated peer set \((?P<command>\d+)\): (?P<servers>.*)",
    ),
    Rule(
        "config_change",
        "raft v1.0.0 raft.go:802",
        r"updating configuration with (?P<command>\S+) \((?P<id>[^,]*), (?P<peer>[^)]*)\) to (?P<servers>.*)",
        peer=("id",),  # who is removed or demoted has no address here
    ),
    Rule("config_change", "raft v1.1.2 raft.go:1018", r"updating configuration$", peer=("server-addr", "server-id")),
    Rule("singlenode_disabled", "raft (Consul 0.5.2) raft.go:774", r"disabling enablesinglenode"),
    # Trouble.
    Rule(
        "quorum_lost_stepdown", "raft (Consul 0.5.2) raft.go:969", r"failed to contact quorum of nodes, stepping down"
    ),
    Rule("peer_unreachable", "raft (Consul 0.5.2) raft.go:958", r"failed to contact (?P<peer>.+) in (?P<time>\S+)"),
    Rule("peer_unreachable", "raft v1.1.2 raft.go:880", r"failed to contact$", peer=("server-id",)),
    Rule(
        "append_failed",
        "raft (Consul 0.5.2) replication.go:158; raft (Consul 0.5.2) replication.go:382",
        r"failed to (?:pipeline )?appendentries to " + _WHO_ERROR,
    ),
    Rule(
        "append_failed",
        "raft v1.1.2 replication.go:218; raft v1.1.2 replication.go:470",
        r"failed to (?:pipeline appendentries|appendentries to)",
        peer=("peer",),
    ),
    Rule(
        "append_failed",
        "raft (Consul 0.5.2) replication.go:126",
        r"failed to start pipeline replication to " + _WHO_ERROR,
    ),
    Rule(
        "append_failed", "raft v1.1.2 replication.go:185", r"failed to start pipeline replication to$", peer=("peer",)
    ),
    Rule(
        "append_rejected",
        "raft (Consul 0.5.2) replication.go:185",
        r"appendentries to " + _WHO + r" rejected, sending older logs \(next: (?P<next>\d+)\)",
    ),
    Rule(
        "append_rejected",
        "raft v1.1.2 replication.go:248",
        r"appendentries rejected, sending older logs",
        peer=("peer",),
    ),
    Rule("heartbeat_failed", "raft (Consul 0.5.2) replication.go:304", r"failed to heartbeat to " + _WHO_ERROR),
    Rule("heartbeat_failed", "raft v1.1.2 replication.go:380", r"failed to heartbeat to$", peer=("peer",)),
    Rule("log_conflict", "raft (Consul 0.5.2) raft.go:1248", r"failed to get previous log"),
    Rule("log_conflict", "raft (Consul 0.5.2) raft.go:1256", r"previous log term mis-?match"),
    Rule("log_conflict", "raft (Consul 0.5.2) raft.go:1271", r"clearing log suffix"),
    Rule(
        "fallback_address",
        "raft v1.1.2 net_transport.go:322; raft v1.2.0 net_transport.go:322",
        r"unable to get address for (?:server|sever), using",
        peer=("fallback", "id"),
    ),
    Rule("fallback_address", "raft v1.1.1 net_transport.go:313", _FALLBACK),
    # Until Consul 1.2.2 this line of Raft's has no module at all.
    Rule("fallback_address", "raft v1.0.0 net_transport.go:262", _FALLBACK, "nobody"),
    Rule(
        "peer_newer_term",
        "raft v1.1.2 replication.go:581",
        r"peer has newer term, stopping replication",
        peer=("peer",),
    ),
    Rule(
        "peer_newer_term",
        "raft (Consul 0.5.2) replication.go:492",
        r"peer " + _WHO + r" has newer term, stopping replication",
    ),
    Rule("new_leader_stepdown", "raft (Consul 0.5.2) raft.go:835", r"new leader elected, stepping down"),
    Rule("leadership_lost", "consul v0.5.2 consul/leader.go:42", r"cluster leadership lost", "consul"),
    Rule("net_decode_failed", "raft (Consul 0.5.2) net_transport.go:372", r"failed to decode incoming command"),
    # Membership.
    Rule(
        "member_join", "serf v0.9.4 serf/serf.go:974", r"eventmemberjoin: (?P<peer>\S+)(?: (?P<address>\S+))?", "serf"
    ),
    Rule(
        "member_failed",
        "serf v0.9.4 serf/serf.go:1023",
        r"eventmemberfailed: (?P<peer>\S+)(?: (?P<address>\S+))?",
        "serf",
    ),
    Rule(
        "member_leave",
        "serf v0.9.4 serf/serf.go:1023; serf v0.9.4 serf/serf.go:1144",
        r"eventmemberleave(?: \(forced\))?: (?P<peer>\S+)(?: (?P<address>\S+))?",
        "serf",
    ),
    Rule(
        "server_added",
        "consul v0.5.2 consul/serf.go:154; consul v1.0.0 agent/consul/server_serf.go:210",
        r"adding (?:lan )?server (?P<peer>\S+)(?P<server> \(.*\))?",
        "consul",
    ),
    Rule(
        "server_added",
        "consul v1.7.0 agent/consul/server_serf.go:240",
        r"adding (?:lan )?server$",
        "consul",
        peer=("server",),
    ),
    Rule(
        "server_removed",
        "consul v0.5.2 consul/serf.go:249; consul v1.0.0 agent/consul/server_serf.go:346",
        r"removing (?:lan )?server (?P<peer>\S+)(?P<server> \(.*\))?",
        "consul",
    ),
    Rule(
        "server_removed",
        "consul v1.7.0 agent/consul/server_serf.go:402",
        r"removing (?:lan )?server$",
        "consul",
        peer=("server",),
    ),
    # A suspected server hears of it and denies it, as one does that was frozen for a while.
    Rule(
        "suspicion_denied",
        "memberlist v0.5.0 state.go:1194; memberlist v0.5.0 state.go:1281",
        r"refuting a (?P<what>suspect|dead) message \(from: (?P<peer>[^)]*)\)",
        "memberlist",
    ),
    Rule(
        "udp_lost",
        "memberlist v0.5.0 state.go:496",
        r"was able to connect to (?P<peer>\S+) (?:over tcp )?but (?:udp|other) probes failed",
        "memberlist",
    ),
    Rule(
        "ping_failed", "memberlist v0.5.0 state.go:471", r"failed fallback (?:tcp )?ping: (?P<error>.*)", "memberlist"
    ),
    Rule("suspect", "memberlist v0.2.2 state.go:494", r"suspect (?P<peer>\S+) has failed", "memberlist"),
    Rule("marked_failed", "memberlist v0.2.2 state.go:1211", r"marking (?P<peer>\S+) as failed", "memberlist"),
    Rule("leaving", "consul v0.5.2 consul/server.go:518", r"server starting leave", "consul"),
    Rule(
        "shutdown_began",
        "consul v0.5.2 consul/server.go:466; consul v1.7.0 agent/consul/server.go:818",
        r"shutting down server$",
        "consul",
    ),
    Rule("join", "consul v1.8.7 agent/agent.go:1441", r"\(LAN\) joining(?:: (?P<addresses>.*))?", "agent"),
    Rule("join", "consul v1.8.7 agent/agent.go:1444", r"\(LAN\) joined(?:: (?P<number_of_nodes>\d+))?", "agent"),
    Rule(
        "autopilot_promote",
        "raft-autopilot v0.1.6 reconcile.go:98; consul v1.8.7 agent/consul/autopilot/autopilot.go:338",
        r"promoting server(?: to voter)?$",
        "autopilot",
        peer=_SERVER,
    ),
    Rule(
        "autopilot_promote",
        "consul v1.4.5 agent/consul/autopilot/autopilot.go:314",
        r"promoting (?P<peer>.+) to voter",
        "autopilot",
    ),
    Rule("autopilot_demote", "raft-autopilot v0.1.6 reconcile.go:141", r"demoting server$", "autopilot", peer=_SERVER),
    Rule(
        "autopilot_remove",
        "consul v1.0.0 agent/consul/autopilot.go:123; consul v1.0.0 agent/consul/autopilot.go:134",
        r"attempting removal of (?P<why>failed|stale)(?: raft)? server ?: (?P<peer>\S+)",
        "autopilot",
    ),
    Rule(
        "autopilot_remove",
        "consul v1.4.5 agent/consul/autopilot/autopilot.go:215; consul v1.4.5 agent/consul/autopilot/autopilot.go:234",
        r'attempting removal of (?P<why>failed) server node "(?P<peer>[^"]*)"',
        "autopilot",
    ),
    Rule(
        "autopilot_remove",
        "consul v1.8.7 agent/consul/autopilot/autopilot.go:231; consul v1.8.7 agent/consul/autopilot/autopilot.go:270",
        r"attempting removal of (?P<why>failed|stale) server(?: node)?$",
        "autopilot",
        peer=_SERVER,
    ),
    Rule(
        "autopilot_remove",
        "consul v1.4.5 agent/consul/autopilot/autopilot.go:243",
        r"attempting removal of (?P<why>stale) (?P<peer>.+)",
        "autopilot",
    ),
    Rule(
        "autopilot_remove",
        "raft-autopilot v0.1.6 reconcile.go:254; vault v1.18.5 physical/raft/raft_autopilot.go:662",
        r"removing (?P<why>stale raft|dead) server from (?:raft )?configuration",
        "autopilot",
        peer=_SERVER,
    ),
    Rule(
        "autopilot_remove",
        "raft-autopilot v0.1.6 raft.go:89",
        r"removed server with (?P<why>duplicate) address",
        "autopilot",
        peer=_SERVER,
    ),
    Rule(
        "autopilot_spare",
        "raft-autopilot v0.1.6 reconcile.go:264; raft-autopilot v0.1.6 reconcile.go:279",
        r"will not remove server(?: node)? as (?P<why>.*)",
        "autopilot",
        peer=_SERVER,
    ),
    Rule(
        "autopilot_spare",
        "consul v1.0.0 agent/consul/autopilot.go:145",
        r"failed to remove dead servers: (?P<why>too many dead servers.*)",
        "autopilot",
    ),
    Rule(
        "join",
        "consul v1.8.7 agent/retry_join.go:229; consul v1.8.7 command/agent/agent.go:131",
        r"join (?:cluster )?completed",
        "agent",
    ),
    Rule("removed_self", "raft (Consul 0.5.2) raft.go:1151", r"removed ourself"),
    Rule("transfer_started", "raft v1.1.1 raft.go:553", r"starting leadership transfer", peer=("address", "id")),
    Rule("transfer_done_or_lost", "raft v1.7.3 raft.go:754", r"lost leadership during transfer"),
    Rule("transfer_done_or_lost", "raft v1.7.3 raft.go:731", r"leadership transfer (?P<error>timeout)"),
    Rule("transfer_done_or_lost", "raft v1.7.3 raft.go:742", r"failed to make timeoutnow rpc to " + _WHO_ERROR),
    Rule(
        "transfer_done_or_lost",
        "raft v1.7.3 raft.go:742; raft v1.7.3 raft.go:2193",
        r"cannot (?P<error>find (?:peer|replication state)|transfer leadership to itself)",
    ),
    Rule(
        "transfer_done_or_lost",
        "consul v1.7.0 agent/consul/leader.go:133; consul v1.7.0 agent/consul/leader.go:197",
        r"failed to (?P<error>transfer) leadership(?: attempt, will retry)?(?::|$)",
        "consul",
    ),
    Rule(
        "transfer_done_or_lost",
        "consul v1.7.0 agent/consul/leader.go:139",
        r"successfully transferred leadership",
        "consul",
    ),
    # Plumbing.
    Rule(
        "net_accept",
        "raft (Consul 0.5.2) net_transport.go:354",
        r"(?P<node>\S+) accepted connection from: (?P<peer>\S+)",
    ),
    Rule("net_accept", "raft v1.1.2 net_transport.go:511", r"accepted connection$", peer=("remote-address",)),
    # The entries of the log: who keeps them, and what becomes of them.
    Rule("snapshot", "raft (Consul 0.5.2) raft.go:1653", r"starting snapshot up to"),
    Rule(
        "snapshot_taken",
        "raft (Consul 0.5.2) raft.go:1689; raft v1.1.2 snapshot.go:205",
        r"snapshot (?:to (?P<index>\d+) complete|complete up to)",
    ),
    Rule("snapshot", "raft v1.3.11 api.go:668; raft v1.7.3 api.go:689", r"starting restore from snapshot"),
    Rule("snapshot", "raft (Consul 0.5.2) raft.go:1715", r"compacting logs"),
    Rule("snapshot", "raft v1.1.2 snapshot.go:232", r"no logs to truncate"),
    Rule(
        "snapshot_restored",
        "raft (Consul 0.5.2) raft.go:1749; raft v1.0.0 raft.go:788",
        r"restored (?P<whose>from|user) snapshot",
    ),
    Rule(
        "snapshot",
        "raft (Consul 0.5.2) raft.go:1445; raft v1.1.2 raft.go:980",
        r"copied (?:\d+ bytes )?to local snapshot",
    ),
    Rule("snapshot_installed", "raft (Consul 0.5.2) raft.go:1481", r"installed remote snapshot"),
    Rule("snapshot_sent", "raft v1.7.3 replication.go:341", r"installing snapshot on", peer=("peer",)),
    Rule("snapshot", "raft (Consul 0.5.2) replication.go:278", r"installsnapshot "),
    Rule("snapshot", "raft v1.7.3 replication.go:314", r"opening snapshot"),
    Rule("snapshot", "raft (Consul 0.5.2) file_snapshot.go:129", r"creating new snapshot"),
    Rule("snapshot", "raft (Consul 0.5.2) file_snapshot.go:324", r"reaping snapshot"),
    Rule("snapshot", "raft (Consul 0.5.2) file_snapshot.go:218", r"found temporary snapshot"),
    Rule(
        "snapshot",
        "raft v1.0.0 file_snapshot.go:259; raft v1.1.2 file_snapshot.go:267",
        r"snapshot version (?:for \S+ )?not supported",
    ),
    Rule("snapshot", "raft v1.0.0 raft.go:1255; raft v1.1.2 raft.go:1515", r"ignoring installsnapshot request"),
    # One call writes both.
    Rule("snapshot", "raft v1.3.9 progress.go:77", r"snapshot (?:restore|network transfer) progress"),
    Rule("snapshot", "raft v1.7.3 snapshot.go:272", r"removing all old logs from log store"),
    Rule(
        "snapshot_failed",
        "raft (Consul 0.5.2) raft.go:1597",
        r"failed to (?P<what>take|restore|install|list|open|send|finalize|create|copy|receive|get|reap|make|scan|move"
        r"|delete)(?: \w+)? snapshots?",
    ),
    Rule(
        "snapshot_failed",
        "raft (Consul 0.5.2) file_snapshot.go:266",
        r"failed to (?P<what>get) meta data to open snapshot",
    ),
    Rule("snapshot", "raft (Consul 0.5.2) raft.go:1478", r"failed to compact logs"),
    Rule("snapshot", "vault v1.18.5 physical/raft/fsm.go:948", r"installing snapshot to fsm"),
    Rule("snapshot", "vault v1.18.5 physical/raft/fsm.go:956", r"snapshot installed"),
    Rule(
        "log_write_failed",
        "raft (Consul 0.5.2) raft.go:1032",
        r"failed to (?P<what>commit) logs(?:: (?P<error>.*))?",
    ),
    Rule(
        "log_write_failed",
        "raft (Consul 0.5.2) raft.go:1280",
        r"failed to (?P<what>append) to logs(?:: (?P<error>.*))?",
    ),
    Rule("vote_write_failed", "raft (Consul 0.5.2) raft.go:1377", r"failed to persist vote(?:: (?P<error>.*))?"),
    Rule(
        "log_damaged",
        "vault v1.18.5 physical/raft/raft.go:821; vault v1.18.5 physical/raft/raft.go:826",
        r"verification checksum failed: (?P<where>in-flight|storage) corruption",
    ),
    Rule(
        "log_store",
        "consul v1.21.4 agent/consul/server.go:1048",
        r"(?P<store>boltdb) file raft\.db found, ignoring raft_logstore\.backend",
        "consul",
    ),
    Rule(
        "log_store",
        "nomad v1.9.7 nomad/server.go:1467",
        r"setting up raft (?P<store>bolt|wal) store",
        "consul",
    ),
    Rule(
        "log_store",
        "vault v1.18.5 physical/raft/raft.go:482",
        r"raft is configured to use raft-wal for storage but existing (?P<store>raft\.db) detected",
    ),
    # Vault around its Raft.
    Rule("active_entered", "vault v1.18.5 vault/ha.go:570", r"acquired lock, enabling active operation", "vault"),
    Rule("active_ready", "vault v1.18.5 vault/core.go:2824", r"post-unseal setup complete", "vault"),
    Rule("active_left", "vault v1.18.5 vault/ha.go:721", r"leadership lost, stopping active operation", "vault"),
    Rule("active_left", "vault v1.18.5 vault/ha.go:725", r"stepping down from active operation to standby", "vault"),
    Rule("standby_entered", "vault v1.18.5 vault/ha.go:439", r"entering standby mode", "vault"),
    Rule("unsealed", "vault v1.18.5 vault/core.go:2090", r"vault is unsealed$", "vault"),
    Rule("sealed", "vault v1.18.5 vault/core.go:2418", r"vault is sealed$", "vault"),
    Rule("join", "vault v1.18.5 vault/raft.go:947", r"attempting to join possible raft leader node", "vault"),
    Rule("join", "vault v1.18.5 vault/raft.go:1146", r"successfully joined the raft cluster", "vault"),
    # What labctl itself writes when it breaks something.
    Rule("fault_began", "labctl log_notes.py", r"fault began$", "labctl"),
    Rule("fault_ended", "labctl log_notes.py", r"fault ended$", "labctl"),
    Rule("fault_failed", "labctl log_notes.py", r"fault failed$", "labctl"),
    # What was done to a server's process, as Docker says.
    Rule("container_killed", "labctl story/container_acts.py", r"container killed$", "labctl"),
    Rule("container_stopped", "labctl story/container_acts.py", r"container stopped$", "labctl"),
    Rule("container_ended", "labctl story/container_acts.py", r"container ended$", "labctl"),
    Rule("container_paused", "labctl story/container_acts.py", r"container paused$", "labctl"),
    Rule("container_unpaused", "labctl story/container_acts.py", r"container unpaused$", "labctl"),
    Rule("container_started", "labctl story/container_acts.py", r"container started$", "labctl"),
    # What Raft says of things that are no events of an election: known, but without a name.
    Rule(OTHER, "raft (Consul 0.5.2) raft.go:1059", r"skipping application of old log"),
    Rule(OTHER, "raft (Consul 0.5.2) raft.go:1072", r"failed to get log"),
    Rule(OTHER, "raft (Consul 0.5.2) raft.go:1273", r"failed to clear log suffix"),
    Rule(OTHER, "raft v1.3.9 raft.go:1472", r"failed to append entry"),
    Rule(OTHER, "raft (Consul 0.5.2) raft.go:1623", r"failed to get last log index"),
    Rule(OTHER, "raft (Consul 0.5.2) raft.go:1342", r"failed to get last vote term"),
    Rule(OTHER, "raft (Consul 0.5.2) raft.go:1347", r"failed to get last vote candidate"),
    Rule(OTHER, "raft v1.7.3 raft.go:1192", r"failed to remove old logs"),
    Rule(OTHER, "raft v1.7.3 raft.go:1944", r"failed to reset logs"),
    Rule(OTHER, "raft (Consul 0.5.2) raft.go:1162", r"got unrecognized log type"),
    Rule(OTHER, "raft (Consul 0.5.2) raft.go:1181", r"got unexpected command"),
    Rule(OTHER, "raft (Consul 0.5.2) raft.go:1203", r"expected heartbeat, got"),
    Rule(OTHER, "raft (Consul 0.5.2) net_transport.go:351", r"failed to accept connection"),
    Rule(OTHER, "raft (Consul 0.5.2) net_transport.go:377", r"failed to flush response"),
    Rule(OTHER, "raft v1.1.1 net_transport.go:522", r"stream layer is closed"),
    Rule(OTHER, "raft (Consul 0.5.2) file_snapshot.go:155", r"failed to write metadata"),
    Rule(OTHER, "raft (Consul 0.5.2) file_snapshot.go:225", r"failed to read metadata"),
    Rule(OTHER, "raft (Consul 0.5.2) file_snapshot.go:163", r"failed to create state file"),
    Rule(OTHER, "raft (Consul 0.5.2) file_snapshot.go:274", r"failed to open state file"),
    Rule(OTHER, "raft (Consul 0.5.2) file_snapshot.go:284", r"failed to read state file"),
    Rule(OTHER, "raft (Consul 0.5.2) file_snapshot.go:300", r"state file seek failed"),
    Rule(OTHER, "raft (Consul 0.5.2) file_snapshot.go:292", r"crc checksum failed"),
    Rule(OTHER, "raft v1.0.0 file_snapshot.go:419", r"failed syncing parent directory"),
    Rule(OTHER, "raft v1.0.0 api.go:958", r"could not get configuration for stats"),
    Rule(OTHER, "raft v1.7.3 raft.go:694", r"leadership transfer in progress"),
    # The verifier of the log store says every minute that all is well.
    Rule(
        OTHER,
        "vault v1.18.5 physical/raft/raft.go:805; vault v1.18.5 physical/raft/raft.go:812",
        r"verification checksum (?:ok|skipped)",
    ),
    Rule(OTHER, "vault v1.18.5 physical/raft/raft.go:791", r"verification skipped range"),
    Rule(OTHER, "vault v1.18.5 physical/raft/raft.go:755", r"sent verification checkpoint"),
    Rule(OTHER, "vault v1.18.5 physical/raft/raft.go:753", r"error applying verification checkpoint"),
    Rule(OTHER, "consul v1.22.0-dev agent/consul/leader_log_verification.go:38", r"sending verification checkpoint"),
    Rule(OTHER, "raft-wal v0.4.1 wal.go:599", r"rotate error"),
    Rule(OTHER, "raft-wal v0.4.1 wal.go:879", r"failed to delete old segment"),
    Rule(OTHER, "raft-wal v0.4.1 wal.go:889", r"error closing old segment file"),
    # What Vault adds under Raft's name.
    Rule(OTHER, "vault v1.18.5 physical/raft/raft.go:1258", r"creating raft$"),
    Rule(OTHER, "vault v1.18.5 physical/raft/raft.go:1060", r"applying raft config"),
    Rule(OTHER, "vault v1.18.5 physical/raft/raft.go:1113", r"setting up raft cluster"),
    Rule(OTHER, "vault v1.18.5 physical/raft/raft.go:1120", r"raft already started, not setting up cluster"),
    Rule(OTHER, "vault v1.18.5 physical/raft/raft.go:1171", r"using larger timeouts for raft at startup"),
    Rule(
        OTHER,
        "vault v1.18.5 physical/raft/raft.go:1222; vault v1.18.5 physical/raft/raft.go:1248",
        r"raft recovery (?:initiated|deleted peers\.json)",
    ),
    Rule(OTHER, "vault v1.18.5 physical/raft/raft.go:1322", r"failed to reload raft config"),
    Rule(OTHER, "vault v1.18.5 physical/raft/raft.go:1324", r"reloaded raft config"),
    Rule(OTHER, "vault v1.18.5 physical/raft/raft.go:1332", r"failed to read raft configuration"),
    Rule(OTHER, "vault v1.18.5 physical/raft/raft.go:1353", r"triggering raft config reload"),
    Rule(OTHER, "vault v1.18.5 physical/raft/raft.go:1369", r"finished setting up raft cluster"),
    Rule(OTHER, "vault v1.18.5 physical/raft/raft.go:1458", r"removing server from raft"),
    Rule(OTHER, "vault v1.18.5 physical/raft/raft.go:1560", r"adding server to raft"),
    Rule(OTHER, "vault v1.18.5 physical/raft/raft.go:628", r"delaying before creating snapshot"),
    Rule(OTHER, "vault v1.18.5 physical/raft/fsm.go:277", r"time to open database"),
    Rule(OTHER, "vault v1.18.5 physical/raft/raft.go:513", r"the map_populate mmap flag has not been set"),
    Rule(OTHER, "vault v1.18.5 physical/raft/fsm.go:260", r"raft fsm db file has wider permissions than needed"),
    Rule(
        OTHER,
        "vault v1.18.5 physical/raft/snapshot.go:404; vault v1.18.5 physical/raft/snapshot.go:409",
        r"snapshot write: (?:failed to write transaction|writing keys)",
    ),
    Rule(
        OTHER,
        "vault v1.18.5 physical/raft/fsm.go:805; vault v1.18.5 physical/raft/fsm.go:942; "
        "vault v1.18.5 physical/raft/fsm.go:962",
        r"failed to (?:store data|close database file|open new database file)",
    ),
    Rule(OTHER, "vault v1.18.5 physical/raft/raft_autopilot.go:1016", r"starting autopilot"),
    Rule(OTHER, "vault v1.18.5 physical/raft/raft_autopilot.go:984", r"disabling autopilot"),
    Rule(OTHER, "vault v1.18.5 physical/raft/raft_autopilot.go:684", r"updated autopilot configuration"),
)

EVENTS: frozenset[str] = frozenset(rule.event for rule in RULES) - {OTHER}
"""Every name that a line's event can have, but `other`."""

_FIRST_WORD = re.compile(r"[\w()-]+", re.ASCII)
_SPEAKS = "Node at "
_SPEAKER = re.compile(rf"{_SPEAKS}(?P<node>.+) \[\w+\]")
_SPEAKERS = {"follower_entered": ("follower",), "candidate_entered": ("node",), "leader_entered": ("leader",)}
"""The value in which a server names itself."""
LONGEST_NAME = 300
"""Characters of an ID or an address: more than a host's name and a port have. What looks for two of them in a row must
not try every way to cut a line of 65 536 characters in two."""
CONFIGURED_SERVER = re.compile(
    rf"\{{(?:\w{{0,40}} )?(?P<id>[^\s{{}}]{{0,{LONGEST_NAME}}}) (?P<address>[^\s{{}}]{{1,{LONGEST_NAME}}})\}}"
)
_AUTOPILOTS_SERVER = re.compile(
    rf'Server \(ID: "?(?P<id>[^\s"]{{0,{LONGEST_NAME}}})"? Address: "?(?P<address>[^\s"]{{1,{LONGEST_NAME}}}?)"?\)'
)


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
    if module in _MODULES:
        return _MODULES[module]
    # The last part speaks: `storage.raft.autopilot` is autopilot, `agent.server.raft.snapshot` is Raft.
    return next((_PARTS[part] for part in reversed(module.split(".")) if part in _PARTS), None)


_MODULES: Mapping[str, Voice] = {
    "consul": "consul",
    "agent.server": "consul",
    "agent.client": "consul",
    "nomad": "consul",
    "core": "vault",
    "core.raft": "vault",
    "snapshot": "raft",
    "agent.server.snapshot": "raft",
    "agent": "agent",
    "labctl.fault": "labctl",
    "labctl.docker": "labctl",
}
_PARTS: Mapping[str, Voice] = {
    "raft": "raft",
    "raft-net": "raft",
    "wal": "raft",
    "serf": "serf",
    "memberlist": "memberlist",
    "autopilot": "autopilot",
}


def meaning_of(envelope: Envelope) -> Meaning | None:
    """Return what the first rule that knows the line's wording makes of it; None where none does."""
    voice = voice_of(envelope.module)
    if voice is None:
        return None
    message = envelope.message
    match = rule_of(voice, message) if len(message) < REPEATED else rule_of.__wrapped__(voice, message)
    return None if match is None else _read(*match, envelope.values)


@lru_cache(maxsize=1024)
def rule_of(voice: Voice, message: str) -> tuple[Rule, Meaning] | None:
    """The first rule that knows a message, and what the message itself names. Since Consul 1.7 messages repeat."""
    for rule in _candidates(voice, message):
        match = rule.pattern.match(message)
        if match is not None:
            named = {name: value.strip() for name, value in match.groupdict().items() if value is not None}
            term, peer = number_of(named.pop("term", None)), named.pop("peer", None)
            if peer == "":
                peer = next((named[name] for name in rule.peer if named.get(name)), None)
            if not _names_one(peer):
                return rule, Meaning(rule.event, term, None, named)
            if CONFIGURED_SERVER.fullmatch(peer):
                named["peer"] = peer  # it says which address has which ID
            return rule, Meaning(rule.event, term, _named_peer(peer), named)
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
        term = number_of(values.get("term"))
    for name in () if peer else rule.peer:
        value = values.get(name)
        if _names_one(value):
            peer = _named_peer(value)
            break
    for name in _SPEAKERS.get(event, ()):
        if (value := values.get(name)) is not None:
            speaker = _SPEAKER.fullmatch(value)
            if speaker is not None:
                named = {**named, "node": speaker["node"]}
            elif value and (value.startswith(_SPEAKS) or _SPEAKS.startswith(value)):
                named = {**named, "node": ""}  # what is cut off names no server
    return Meaning(event, term, peer, named)


def _names_one(peer: str | None) -> TypeGuard[str]:
    return bool(peer) and peer != "<nil>"


def _named_peer(named: str) -> str:
    return _peer(named) if len(named) < REPEATED else _peer.__wrapped__(named)


@lru_cache(maxsize=1024)
def _peer(named: str) -> str:
    """Return the address of `{Voter ID ADDRESS}` or autopilot's server, the name of `NAME (Addr: ...)`, or the text."""
    configured = CONFIGURED_SERVER.fullmatch(named) or _AUTOPILOTS_SERVER.fullmatch(named)
    if configured is not None:
        return configured["address"]
    return named.split(" (", 1)[0]
