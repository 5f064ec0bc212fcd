"""Who is who: the addresses, IDs and member names that lines use for a server, learned from the lines themselves."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labctl.raft.event import Event

_SERVER = re.compile(
    r"\{(?:Suffrage:)?(?:\w{0,40} )?(?:ID:)?(?P<id>[^\s{}]{1,300}) (?:Address:)?(?P<address>[^\s{}]{1,300})\}"
)
"""A server in a list of them: `{Suffrage:Voter ID:a Address:b}`, or `{Voter a b}`. Both have a most length, as has all
that may be tried at each place of a long line."""
_LISTS = ("servers", "peer", "target", "server")
_ADDED = re.compile(r"(?P<name>[^\s()]{1,300}) \(Addr: (?:tcp/)?(?P<address>[^\s()]{1,300})\)")
"""A server that was added: `server-2 (Addr: tcp/10.0.0.2:8300) (DC: dc1)`."""
_BY_GOSSIP = frozenset({"member_join", "member_failed", "member_leave"})
_ABOUT_MEMBERS = _BY_GOSSIP | {"autopilot_promote"}
_ANY_PAIRS = (("address", "from"), ("address", "id"))
_PAIRS = {
    "follower_entered": (("leader-address", "leader-id"),),
    "heartbeat_timeout": (("last-leader-addr", "last-leader-id"),),
    "vote_rejected_by_me": (("leader", "leader-id"),),
    "prevote_rejected_by_me": (("leader", "leader-id"),),
    "config_change": (("server-addr", "server-id"),),
}
"""Which values of an event are an address and the ID of who has it."""
_NUMBER = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""The ID that Consul gives a server; others give it a name."""
_IS_HOST = re.compile(r"[0-9.]{7,15}|\[?[0-9a-fA-F:]{2,40}\]?", re.ASCII)
_OWN = frozenset({"vote_self", "prevote_self", "vote_granted"})
RAFT_PORT = 8300
"""Where Consul's servers speak Raft."""
RAFT_PORTS = frozenset({"8300", "4647", "8201"})
"""Of Consul, Nomad and Vault."""
AMBIGUOUS = ""
MOST_NAMES = 65_536
MOST_TEXTS = 256
"""How many lists are remembered, so that they need not be read again."""


def is_anywhere(address: str) -> bool:
    """Whether an address is that of any server, and so of none: `[::]:8300`."""
    return address.startswith(("[::]", "0.0.0.0", ":"))  # noqa: S104 - what a log says, nothing is bound


def host_of(address: str) -> str:
    """Return an address without its port: `10.0.0.2:8300` is at `10.0.0.2`."""
    host, colon, port = address.rpartition(":")
    return host if colon and port.isdecimal() else address


class Names:
    """What is known about who is who. What two servers claim at the same time names neither.

    A server has a name, an ID, and an address that may be another one after a restart: old ones stay its own until
    somebody else has them.

    Attributes:
        partly_read: servers of which only the lines that name themselves are read: that there are no more
            of them says nothing.
    """

    def __init__(self) -> None:
        self.partly_read: set[str] = set()
        self._servers: dict[str, str | None] = {}
        self._own: dict[str, str] = {}
        self._likely: dict[str, str] = {}
        self._address: dict[str, str] = {}
        self._id: dict[str, str] = {}
        self._member: dict[str, str] = {}
        self._place: dict[str, str] = {}
        self._gone: set[str] = set()
        self._read: set[str] = set()
        self._known: dict[str, tuple[str | None, str, str]] = {}

    def add(self, server: str, address: str) -> None:
        """Take in where a server is, without a port."""
        self._is(server, server)
        self._is(address, server)
        self._is(f"{address}:{RAFT_PORT}", server)

    def identify(self, server: str, identity: str) -> None:
        """Take in a server's own ID from another source than the lines."""
        self._is(identity, server)

    def learn(self, event: Event) -> None:
        """Take in what an event says about its own server, and about which address has which ID and which name."""
        server, peer, values = event.server, event.peer, event.values
        if server and self._servers.get(server) != server:
            self._is(server, server)
        if server and peer and event.event in _OWN:
            self._learn_its_own(event, peer)
        if not values:
            return
        if server and (node := values.get("node")) and self._own.get(server) != node:
            self._speaks_of_itself(server, node)
        for name in _LISTS:
            # The same lists and peers are named again and again.
            if (text := values.get(name)) and text not in self._read:
                self._learn_servers(f"{peer} {text}" if peer and text.startswith("(Addr: ") else text)
        for where, who in _PAIRS.get(event.event, _ANY_PAIRS):
            if (address := values.get(where)) and (identity := values.get(who)):
                self._has(identity, address)
        if peer and event.event in _ABOUT_MEMBERS:
            self._learn_member(event, peer)

    def _speaks_of_itself(self, server: str, node: str) -> None:
        if not is_anywhere(node) and len(self._own) < MOST_NAMES:
            self._own[server] = node
            self._is(node, server)
            self._is(host_of(node), server)

    def _learn_its_own(self, event: Event, peer: str) -> None:
        if event.event != "vote_granted":
            self._is(peer, event.server)
        elif event.values.get("tally") == "1" and peer not in self._likely:
            # A candidate's own vote needs no network and is counted first; before raft 1.3.11 no line says more.
            self._likely[peer] = event.server
            self._known.clear()

    def _learn_servers(self, text: str) -> None:
        if len(self._read) >= MOST_TEXTS:
            self._read.clear()
        self._read.add(text)
        for match in _SERVER.finditer(text):
            self._has(match["id"], match["address"])
        if added := _ADDED.match(text):
            self._is_called(added["address"], added["name"])

    def _learn_member(self, event: Event, peer: str) -> None:
        values = event.values
        if event.event in _BY_GOSSIP and not (event.module or "").endswith(".wan"):
            if address := values.get("address"):
                self._is_called(address, peer)
            (self._gone.discard if event.event == "member_join" else self._gone.add)(peer)
        elif event.event == "autopilot_promote" and (name := values.get("name")):
            for named_by in (values.get("id"), values.get("address")):
                if named_by:
                    self._is_called(named_by, name)

    def _is(self, name: str, server: str) -> None:
        known = self._servers.get(name, server)
        if known is not None and known != server and self._own.get(known, name) not in (name, *_at(name)):
            known = server  # it has gone elsewhere since
        self._set(self._servers, name, server if known == server else None)

    def _has(self, identity: str, address: str) -> None:
        """An ID has an address, from now on."""
        if identity and address and identity != address and not is_anywhere(address):
            self._set(self._address, identity, address)
            self._set(self._id, address, identity)

    def _is_called(self, place: str, name: str) -> None:
        """What is at a place, or has an ID, is a member of that name, from now on."""
        known = self._member.get(place)
        # In the pool of all datacenters a member's name ends with that of its own.
        if place == name or is_anywhere(place) or (known and name.startswith(f"{known}.")):
            return
        if known is None or known in self._gone or self._place.get(known) != place or known.startswith(f"{name}."):
            self._set(self._member, place, name)
        elif known != name:
            self._set(self._member, place, AMBIGUOUS)
        if host_of(place) != place or name not in self._place or _IS_HOST.fullmatch(place):
            self._set(self._place, name, place)

    def _set(self, names: dict[str, Any], name: str, value: str | None) -> None:
        if (name not in names or names[name] != value) and (name in names or len(names) < MOST_NAMES):
            names[name] = value
            self._known.clear()

    def _aliases(self, peer: str) -> Iterator[str]:
        """What else a server is called that lines call so."""
        yield peer
        identity = self._id.get(peer, peer)
        address = self._address.get(identity)
        yield from (name for name in (identity, address) if name)
        for name_ in (peer, identity, address):
            if name_ and (member := self._called(name_)):
                yield member
                if place := self._place.get(member):
                    yield place
        if place := self._place.get(peer):
            yield place
            yield self._id.get(place, place)

    def _called(self, place: str) -> str | None:
        """The member at an address, or of an ID. Gossip says only the machine, where Raft has the usual port."""
        host = host_of(place)
        member = self._member.get(place)
        if member is None and place.removeprefix(f"{host}:") in RAFT_PORTS:
            member = self._member.get(host)
        return member or None

    def server(self, peer: str | None) -> str | None:
        """Return the server that a line means, or None where nobody has said yet who that is."""
        return (self._known.get(peer) or self._find(peer))[0] if peer else None

    def tells_its_address(self, server: str) -> bool:
        """Whether a server's own lines say where it is."""
        return server in self._own

    def place(self, peer: str) -> str:
        """Return one name for a server that lines call by its ID here and by its address there."""
        return (self._known.get(peer) or self._find(peer))[1]

    def __call__(self, peer: str | None) -> str | None:
        """Return the server's name where it is known, else its name among the members, else what the line says."""
        return (self._known.get(peer) or self._find(peer))[2] if peer else peer

    def _find(self, peer: str) -> tuple[str | None, str, str]:
        """Find the server, its place, and how to name it; that is cached until something new is known."""
        likely = next((server for aliase in self._aliases(peer) if (server := self._servers.get(aliase))), None)
        likely = likely or next(
            (server for aliase in self._aliases(peer) if (server := self._likely.get(aliase))), None
        )
        named = next((name for aliase in self._aliases(peer) if (name := self._called(aliase))), None)
        place = likely or named or self._id.get(peer, peer)
        if likely or place not in (peer, self._id.get(peer)):
            told = place
        else:
            # A number says less to a reader than an address.
            told = self._address.get(peer, peer) if _NUMBER.fullmatch(peer) else peer
        if len(self._known) >= MOST_TEXTS:
            self._known.clear()
        known = self._known[peer] = (likely, place, told)
        return known


def _at(host: str) -> tuple[str, ...]:
    return tuple(f"{host}:{port}" for port in RAFT_PORTS)
