"""Who is who: the addresses, IDs and member names that lines use for a server, learned from the lines themselves."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labctl.raft.event import Event

_SERVER = re.compile(
    r"\{(?:Suffrage:)?(?:\w{0,40} )?(?:ID:)?(?P<id>[^\s{}]{1,300}) (?:Address:)?(?P<address>[^\s{}]{1,300})\}"
)
"""A server in a list of them: `{Suffrage:Voter ID:a Address:b}`, or `{Voter a b}`. Both have a most length, as has all
that may be tried at each place of a long line."""
_LISTS = ("servers", "peer", "target")
_OWN = frozenset({"vote_self", "prevote_self", "vote_granted"})
RAFT_PORT = 8300
"""Where Consul's servers speak Raft."""
MOST_TEXTS = 256
"""How many lists are remembered, so that they need not be read again."""


def host_of(address: str) -> str:
    """Return an address without its port: `10.0.0.2:8300` is at `10.0.0.2`."""
    host, colon, port = address.rpartition(":")
    return host if colon and port.isdecimal() else address


class Names:
    """What is known about who is who. Only grows; what two servers claim names neither."""

    def __init__(self) -> None:
        self._servers: dict[str, str | None] = {}
        self._likely: dict[str, str] = {}
        self._same: dict[str, str] = {}
        self._read: set[str] = set()

    def add(self, server: str, address: str) -> None:
        """Take in where a server is, without a port."""
        self._is(server, server)
        self._is(address, server)
        self._is(f"{address}:{RAFT_PORT}", server)

    def identify(self, server: str, identity: str) -> None:
        """Take in a server's own ID, where somebody else than the lines says it."""
        self._is(identity, server)

    def learn(self, event: Event) -> None:
        """Take in what an event says about its own server, and about which address has which ID."""
        server, peer, values = event.server, event.peer, event.values
        if server and self._servers.get(server) != server:
            self._is(server, server)
        if server and peer and event.event in _OWN:
            self._learn_its_own(event, peer)
        if not values:
            return
        if server and (node := values.get("node")):
            self._is(node, server)
            self._is(host_of(node), server)
        for name in _LISTS:
            # The same lists and peers are named again and again.
            if (text := values.get(name)) and text not in self._read:
                self._learn_servers(text)
        address = values.get("address")
        if address and (identity := values.get("from")):
            self._are_the_same(identity, address)
        if address and peer and event.event == "member_join":
            self._are_the_same(peer, address)

    def _learn_its_own(self, event: Event, peer: str) -> None:
        if event.event != "vote_granted":
            self._is(peer, event.server)
        elif event.values.get("tally") == "1":
            # A candidate's own vote needs no network and is counted first; before raft 1.3.11 no line says more.
            self._likely.setdefault(peer, event.server)

    def _learn_servers(self, text: str) -> None:
        if len(self._read) >= MOST_TEXTS:
            self._read.clear()
        self._read.add(text)
        for found in _SERVER.finditer(text):
            self._are_the_same(found["id"], found["address"])

    def _is(self, name: str, server: str) -> None:
        known = self._servers.setdefault(name, server)
        if known != server:
            self._servers[name] = None

    def _are_the_same(self, name: str, address: str) -> None:
        if name and address and name != address:
            self._same[name] = address

    def server(self, peer: str | None) -> str | None:
        """Return the server that a line means, or None where nobody has said yet who that is."""
        if not peer:
            return None
        # A host without a port is looked up as one; with another port it may be another server of the same machine.
        address = self._same.get(peer, "")
        return self._servers.get(peer) or self._servers.get(address) or self._likely.get(peer)

    def place(self, peer: str) -> str:
        """Return one name for a server that lines call by its ID here and by its address there."""
        return self.server(peer) or self._same.get(peer, peer)

    def __call__(self, peer: str | None) -> str | None:
        """Return the server's name where it is known, else what the line says."""
        return self.server(peer) or peer
