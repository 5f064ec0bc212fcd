"""Each server's view of its cluster, and whether that makes the lab ready.

One GET of /v1/agent/self returns a server's Raft state, the leader it names, its indexes and the voters it
knows (`Stats`, in every Consul from 0.5.2 on; the voters since 0.7.0, before that /v1/status/peers).
"""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from .durations import go_milliseconds
from .parallel import each
from .words import counted, listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

READY_KEY = "raft-labctl/ready"
# consul v1.8.7 agent/structs/acl.go, ACLModeLegacy.
_LEGACY_ACL = "2"
_MOST_DIGITS = 20
VOTER = re.compile(r"Suffrage:Voter ID:(\S{1,300}) Address:([^\s}]{1,300})")


class HttpApi(Protocol):
    """A client of a server's HTTP API (`consul_client`)."""

    def request(self, method: str, path: str, body: bytes | None = None, timeout: float = 2.0) -> Any:
        """Request a JSON document. Raises OSError or ValueError where there is no good answer."""


@dataclass(frozen=True)
class Member:
    """Where a server is: its name, its address in the lab, and its HTTP API; None while it does not run."""

    name: str
    address: str
    api: HttpApi | None


@dataclass(frozen=True)
class View:
    """One server's answer, or why there is none.

    `leader` and `voters` are addresses without the port; `voter_ids` has, for the address of each voter that is known
    by one, its node ID; indexes count log entries; `last_contact_ms` is the time since the leader was heard, in
    milliseconds (0 on the leader, None when never); `legacy_acl` is whether it still checks tokens as before Consul
    1.4, where it refuses to list or change them.
    """

    name: str
    address: str
    problem: str | None = None
    node_id: str = ""
    version: str = ""
    state: str = ""
    leader: str = ""
    term: int = 0
    applied_index: int = 0
    commit_index: int = 0
    last_contact_ms: float | None = None
    members: int = 0
    voters: frozenset[str] = field(default_factory=frozenset)
    voter_ids: Mapping[str, str] = field(default_factory=dict)
    legacy_acl: bool = False


def _number(text: Any) -> int:
    said = str(text)
    # Raft counts in 64 bits; a larger number is not to be believed.
    return int(said) if said.isascii() and said.isdecimal() and len(said) <= _MOST_DIGITS else 0


def _host(address: str) -> str:
    return address.rpartition(":")[0]


def view_from_self(member: Member, document: Any, peers: Any = None) -> View:
    """Make a view from the answer of /v1/agent/self and, before Consul 0.7.0, of /v1/status/peers."""
    stats = document.get("Stats") or {}
    raft = stats.get("raft") or {}
    configuration = raft.get("latest_configuration")
    voter_ids = {}
    if configuration is not None:
        pairs = VOTER.findall(configuration)
        voters = frozenset(_host(address) for _server, address in pairs)
        # Up to Raft protocol 2 a server's ID is its address, which adds nothing.
        voter_ids = {_host(address): node_id for node_id, address in pairs if node_id != address}
    else:
        voters = frozenset(_host(str(address)) for address in peers or ())
    config = document.get("Config") or {}
    state = str(raft.get("state", "")).lower()
    return View(
        name=member.name,
        address=member.address,
        node_id=str(config.get("NodeID", "")),
        version=str(config.get("Version", "")),
        state=state,
        leader=_host(str((stats.get("consul") or {}).get("leader_addr", ""))),
        term=_number(raft.get("term")),
        applied_index=_number(raft.get("applied_index")),
        commit_index=_number(raft.get("commit_index")),
        last_contact_ms=0.0 if state == "leader" else go_milliseconds(str(raft.get("last_contact", ""))),
        members=_number((stats.get("serf_lan") or {}).get("members")),
        voters=voters,
        voter_ids=voter_ids,
        legacy_acl=((document.get("Member") or {}).get("Tags") or {}).get("acls") == _LEGACY_ACL,
    )


def read_view(member: Member, timeout: float = 2.0) -> View:
    """Ask one server; never raises: a server that does not answer is a view with a `problem`."""
    if member.api is None:
        return View(member.name, member.address, problem="is not running")
    try:
        document = member.api.request("GET", "/v1/agent/self", timeout=timeout)
        raft = (document.get("Stats") or {}).get("raft") or {}
        peers = None
        if "latest_configuration" not in raft:
            peers = member.api.request("GET", "/v1/status/peers", timeout=timeout)
        return view_from_self(member, document, peers)
    except (OSError, ValueError) as error:
        return View(member.name, member.address, problem=f"does not answer ({error})")
    except (AttributeError, TypeError):
        # Whatever answers at the port, it must not end the look at the other servers.
        return View(member.name, member.address, problem="answered with something that is not an agent")


def read_views(members: list[Member], timeout: float = 2.0) -> list[View]:
    """Ask all servers at once, so that one that hangs costs `timeout` seconds and not that many times."""
    return each(lambda member: read_view(member, timeout), members, len(members))


def leader_of(views: list[View]) -> View | None:
    """The server that claims to lead and has the newest term; an isolated old leader has an older one."""
    leaders = [view for view in views if view.state == "leader" and view.problem is None]
    return max(leaders, key=lambda view: view.term, default=None)


def disagreement(views: list[View], stopped: Sequence[Member] = ()) -> str | None:  # noqa: PLR0911 - one per reason
    """Say why these servers are not one cluster with one leader; None where they are.

    They are when every server answers, names the same leader among them, and knows every server as a voter. Those that
    are `stopped` on purpose are not asked, cannot lead, and still vote: a majority is one of all. A server that lost
    its data comes back with another node ID; the leader goes on sending entries to its address, and until it notices,
    the vote there still belongs to the one that is gone. From Consul 1.4 to 1.10, a server with access control begins
    in a legacy mode, and leaves it some time after it has seen the leader do so.
    """
    silent = [view for view in views if view.problem]
    if silent:
        return _silent(silent)
    undecided = [view.name for view in views if not view.leader]
    if undecided:
        return f"{listed(undecided)} know{_s(undecided)} no leader"
    named = {view.leader for view in views}
    if len(named) > 1:
        return "the servers name different leaders: " + ", ".join(f"{v.name} names {v.leader}" for v in views)
    past = [member.name for member in stopped if member.address in named]
    if past:
        names = [view.name for view in views]
        return f"{listed(names)} still name{_s(names)} {past[0]}, which is stopped, as leader"
    if not named <= {view.address for view in views}:
        return f"the leader {named.pop()} is not a server of this lab"
    everybody: list[View | Member] = [*views, *stopped]
    for view in views:
        why = _uncounted(view, views, everybody)
        if why:
            return why
    if leader_of(views) is None:
        return "the server that all name as leader does not lead yet"
    legacy = [view.name for view in views if view.legacy_acl]
    if legacy:
        return (
            f"{listed(legacy)} {'has' if len(legacy) == 1 else 'have'} not yet left the legacy mode of access control"
        )
    return None


def _silent(views: list[View]) -> str:
    """Why servers gave no answer, each reason once: `consul1 and consul2 are not running`."""
    names: dict[str, list[str]] = {}
    for view in views:
        names.setdefault(view.problem or "", []).append(view.name)
    return "; ".join(f"{listed(of)} {_plural_of(why) if len(of) > 1 else why}" for why, of in names.items())


def _plural_of(predicate: str) -> str:
    """What is said of one server, said of several."""
    verb, blank, rest = predicate.partition(" ")
    return {"is": "are", "does": "do"}.get(verb, verb) + blank + rest


def _uncounted(view: View, views: list[View], everybody: Sequence[View | Member]) -> str | None:
    """Which of the servers have no vote of their own for one of them, as a sentence without its end."""
    missing = [other.name for other in everybody if other.address not in view.voters]
    if missing:
        return f"for {view.name}, {listed(missing)} {'is' if len(missing) == 1 else 'are'} not yet a voter"
    replaced = [other.name for other in views if _votes_for_another(view, other)]
    if replaced:
        return f"for {view.name}, the vote of {listed(replaced)} still belongs to a server that is gone"
    if len(view.voters) != len(everybody):
        return f"{view.name} counts {counted(len(view.voters), 'voter')} where the lab has {len(everybody)} servers"
    return None


def _votes_for_another(view: View, other: View) -> bool:
    """Whether one server knows another's address as a voter with a node ID that is not that server's."""
    return bool(other.node_id) and view.voter_ids.get(other.address, other.node_id) != other.node_id


def _s(things: Sequence[object]) -> str:
    return "s" if len(things) == 1 else ""


def describe(view: View) -> str:
    """One server's view in a few words, for the message of a lab that is not ready."""
    if view.problem:
        return f"{view.name} {view.problem}"
    return (
        f"{view.name}: {view.state or 'no Raft state'}, term {view.term}, leader {view.leader or 'none'}, "
        f"{counted(len(view.voters), 'voter')}, {counted(view.members, 'member')}, applied {view.applied_index}"
    )


def likely_cause(views: list[View], stopped: Sequence[Member] = ()) -> str:
    """Guess, from the servers' views, why they are not ready, and what to do about it."""
    size = len(views) + len(stopped)
    alive = [view for view in views if view.problem is None]
    quorum = size // 2 + 1
    if len(alive) < quorum:
        return f"{len(alive)} of {size} servers answer and a quorum needs {quorum}: `labctl start` starts the others"
    if any(view.members < size for view in alive):
        return "the servers do not know each other: `labctl join` joins them"
    if len(alive) < len(views):
        return "a server does not answer: `labctl logs` shows why, `labctl restart` starts it again"
    if {view.leader for view in alive} & {member.address for member in stopped}:
        return "followers wait for their heartbeat timeout before they miss a leader: give them more time"
    if not any(view.leader for view in alive):
        return "no candidate has won an election yet: give it more time with --timeout, or look at `labctl logs --raft`"
    return "the cluster is still settling: give it more time with --timeout"


def write_is_applied(members: list[Member], leader: View, method: str, timeout: float) -> str | None:
    """Commit one write (`PUT` or `DELETE` of a key of ours) and wait until every server applied it.

    Returns why not, or None. `PUT` and then `DELETE` are two writes and leave no key behind. The leader answers when it
    has applied the write; a server that has applied as many entries by then has applied the write too.
    """
    ends = time.monotonic() + timeout
    first = next((member for member in members if member.address == leader.address), None)
    if first is None or first.api is None:
        return f"the leader {leader.address} is not reachable"
    body = b"ready" if method == "PUT" else None
    try:
        first.api.request(method, f"/v1/kv/{READY_KEY}", body, timeout=max(timeout, 0.1))
    except (OSError, ValueError) as error:
        return f"a write through {leader.name} was not committed ({error})"
    now = read_view(first)
    if now.problem:
        return f"{now.name} {now.problem}"
    behind = [member for member in members if member is not first]
    while behind:
        views = dict(zip(behind, read_views(behind)))
        behind = [member for member in behind if views[member].applied_index < now.applied_index]
        if behind and time.monotonic() >= ends:
            return f"{listed([member.name for member in behind])} did not apply a committed write"
        if behind:
            with contextlib.suppress(InterruptedError):
                time.sleep(0.02)
    return None
