"""Who votes, and how many votes are a majority: what the lines say of the cluster's servers, moment by moment.

A leader writes the whole list of servers whenever it changes it, and each server writes the list that it finds in its
own log when it starts. Followers write nothing when the list changes. So the list is what was said last, and it is
unknown again where lines contradict each other or may be undone.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Literal, NamedTuple

from labctl.raft.numbers import number_of
from labctl.raft.timers import seconds_between

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from labctl.raft.event import Event
    from labctl.raft.server_names import Names

Role = Literal["voter", "nonvoter", "none"]
Command = Literal["vote", "follow", "demote", "remove", "peers"]

_LISTED = re.compile(
    r"\{(?:Suffrage:)?(?P<suffrage>Voter|Nonvoter|Staging) (?:ID:)?(?P<id>[^\s{}]{0,300})"
    r" (?:Address:)?(?P<address>[^\s{}]{0,300})\} ?"
)
# By name, and by number in JSON. Until raft 1.3.4 a voter is added by `AddStaging`, which never staged anything.
_COMMANDS: dict[str, Command] = {
    **dict.fromkeys(("addstaging", "addvoter", "promote", "0", "4"), "vote"),
    **dict.fromkeys(("addnonvoter", "1"), "follow"),
    **dict.fromkeys(("demotevoter", "2"), "demote"),
    **dict.fromkeys(("removeserver", "3"), "remove"),
}
_REMEMBERED = 64
"""Lists that are remembered, so that one from a server that was away is known to be old."""
SAYS_WHO_VOTES = frozenset(
    {
        *("config_change", "config_initial", "config_recovered", "bootstrap_attempt", "bootstrap_failed"),
        *("votes_needed", "prevote_won", "prevote_lost", "election_won", "quorum_lost_stepdown"),
    }
)
"""The events that `Membership` takes in; a log has many others."""
UNCOMMITTED_SECONDS = 30.0
"""How long before it loses its majority a leader's change may have been made and never been agreed on. Raft allows only
one such change at a time, and one takes milliseconds where a majority answers."""


class Member(NamedTuple):
    """A server of the cluster, as a list has it. Before Consul 0.7 its address is its ID."""

    id: str
    address: str
    votes: bool


def majority(voters: int) -> int:
    """How many votes are a majority."""
    return voters // 2 + 1


def members_in(text: str | None) -> tuple[Member, ...] | None:
    """Read a list of servers: `[{Suffrage:Voter ID:a Address:b}]`, `[{Voter a b}]`, or `[b c]` before Consul 0.7.

    None where the text is no whole list: half of one says nothing about a majority.
    """
    if text is None or not (text.startswith("[") and text.endswith("]")):
        return None
    inner = text[1:-1].strip()
    if "{" not in inner:
        voters = tuple(Member(address, address, votes=True) for address in inner.split())
        return voters if all(len(member.id) <= 300 for member in voters) else None  # noqa: PLR2004 - as in a list with IDs
    members, at = [], 0
    while at < len(inner):
        listed = _LISTED.match(inner, at)
        if listed is None:
            return None
        members.append(Member(listed["id"], listed["address"], votes=listed["suffrage"] == "Voter"))
        at = listed.end()
    return tuple(members)


def voters_in(members: tuple[Member, ...] | None) -> int | None:
    """How many of the servers vote; None if that is unknown. Every cluster has a voter."""
    return None if members is None else sum(member.votes for member in members) or None


def command_of(event: Event) -> Command | None:
    """What a change does; None where the line does not say. `peers` is the new list of a server before Consul 0.7."""
    if event.values.get("node") and "server-id" not in event.values:
        return "peers"
    return _COMMANDS.get(event.values.get("command", "").lower())


def changed_in(event: Event, members: tuple[Member, ...] | None) -> Role | None:
    """What the server that a change is about is in a list; None where the list is unknown."""
    if members is None:
        return None
    values = event.values
    changed_id = values.get("server-id") or values.get("id")
    address = values.get("server-addr") or event.peer
    for member in members:
        if changed_id == member.id if changed_id else address == member.address:
            return "voter" if member.votes else "nonvoter"
    return "none"


class Membership:
    """The servers of a cluster. Feed it events in their order with `feed`.

    Args:
        names: who is who.

    Attributes:
        members: the servers of the cluster; None where the log does not say.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self.members: tuple[Member, ...] | None = None
        self._unsure = False  # lines contradicted each other: only a change says who is right
        self._said_by = ""
        self._index: int | None = None  # of the list that a server began with, where it still holds
        self._is_of_change = False  # the list came about by a change, of which no line says the index
        self._seen: deque[frozenset[tuple[str, bool]]] = deque(maxlen=_REMEMBERED)
        self._changed: datetime | None = None
        self._counted: int | None = None  # the majority that a candidate counted with
        self.acts: dict[str, Callable[[Event], Event]] = {
            "config_change": self._change,
            "config_initial": self._begin,
            "config_recovered": self._forget,
            "bootstrap_attempt": self._bootstrap,
            "bootstrap_failed": self._fail,
            "votes_needed": self._count,
            "prevote_won": self._count,
            "prevote_lost": self._count,
            "election_won": self._win,
            "quorum_lost_stepdown": self._lose,
        }

    @property
    def voters(self) -> tuple[Member, ...] | None:
        """Who votes; None where the log does not say."""
        return None if self.members is None else tuple(member for member in self.members if member.votes)

    @property
    def nonvoters(self) -> tuple[Member, ...] | None:
        """Who gets the log without a vote; None where the log does not say."""
        return None if self.members is None else tuple(member for member in self.members if not member.votes)

    @property
    def needed(self) -> int | None:
        """How many votes are a majority: of the voters, or as a candidate counted last; None where neither is known."""
        voters = voters_in(self.members)
        return self._counted if voters is None else majority(voters)

    def role_of(self, server: str) -> Role | None:
        """What a server is in the cluster; None where the log does not say."""
        if self.members is None:
            return None
        strangers = False
        for member in self.members:
            called = self._names.server(member.id) or self._names.server(member.address)
            if server in (member.id, member.address, called):
                return "voter" if member.votes else "nonvoter"
            strangers = strangers or called is None
        # It may be one of those whose name nobody has said.
        return None if strangers else "none"

    def feed(self, event: Event) -> Event:
        """Take in the next event. A change is returned with `was`: what its server had been before, where known."""
        act = self.acts.get(event.event)
        return event if act is None else act(event)

    def _set(self, members: tuple[Member, ...], event: Event, index: int | None = None) -> None:
        self.members, self._said_by, self._index, self._unsure = members, event.server, index, False
        self._is_of_change = False
        self._seen.append(_key(members))

    def _doubt(self) -> None:
        self.members, self._unsure = None, True

    def _change(self, event: Event) -> Event:
        was = changed_in(event, self.members)
        members = members_in(event.values.get("servers"))
        if members is None or not voters_in(members):
            self._doubt()
        else:
            self._set(members, event)
            self._changed, self._is_of_change = event.time, True
        if was is None or command_of(event) == "peers":
            return event
        return event._replace(values={**event.values, "was": was})

    def _begin(self, event: Event) -> Event:
        """A server starts with the list in its own log, which is old where it had been away."""
        members = members_in(event.values.get("servers"))
        if self._unsure or members is None or not voters_in(members):
            return event
        index = number_of(event.values.get("index"))
        is_known = self.members is not None and _key(members) == _key(self.members)
        if is_known and self._is_of_change:
            return event  # or it is an older list of the same servers, whose index says nothing about this one's
        if self.members is None or is_known:
            known = self._index if self.members is not None else None
            self._set(members, event, index if known is None else max(known, index or 0))
        elif self._index is not None and index is not None and index != self._index:
            if index > self._index:
                self._set(members, event, index)
        elif event.server == self._said_by and event.server:
            self._set(members, event, index)
        elif _key(members) not in self._seen:
            self._doubt()
        return event

    def _bootstrap(self, event: Event) -> Event:
        """Servers that found each other become the cluster, unless they are part of one."""
        peers = event.values.get("peers", "").strip("[]").replace(",", " ").split()
        if self.members is None and not self._unsure and peers:
            self._set(tuple(Member(peer, peer, votes=True) for peer in peers), event)
        return event

    def _fail(self, event: Event) -> Event:
        if event.server == self._said_by:
            self._doubt()
        return event

    def _forget(self, event: Event) -> Event:
        """Somebody wrote the servers by hand; the list with which the server begins comes next."""
        self.members, self._unsure, self._counted = None, False, None
        return event

    def _count(self, event: Event) -> Event:
        counted = number_of(event.values.get("needed") or event.values.get("votesNeeded"))
        if counted is None or self.role_of(event.server) in {"nonvoter", "none"}:
            return event  # who was removed does not know it, and counts with an old list
        self._counted = counted
        if self.members is not None and counted != self.needed:
            # Its log has another list: one that no line here has, or one that is old. Neither is known.
            self._doubt()
        return event

    def _win(self, event: Event) -> Event:
        """Fewer votes than a majority of the list has were enough: the winner has another one."""
        tally = number_of(event.values.get("tally"))
        if tally is not None and self.members is not None and tally < (self.needed or 0):
            self._doubt()
        return event

    def _lose(self, event: Event) -> Event:
        """What a leader changed just before it lost its majority may never have been agreed on."""
        since = seconds_between(self._changed, event.time)
        if event.server == self._said_by and since is not None and since < UNCOMMITTED_SECONDS:
            self._doubt()
        return event


def _key(members: tuple[Member, ...]) -> frozenset[tuple[str, bool]]:
    """What two lists have in common that name the same servers: the line of a bootstrap has no IDs."""
    return frozenset((member.address or member.id, member.votes) for member in members)
