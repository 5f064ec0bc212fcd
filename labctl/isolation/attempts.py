"""Which connections to try from inside a lab, and which of them must succeed so that the others mean something."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from labctl.isolation.targets import Place

Kind = Literal["server", "published", "engine", "control"]
ENGINE_PORTS = (2375, 2376)
ENGINE_NAME = "host.docker.internal"
METADATA = ("169.254.169.254", 80)
"""The address at which clouds give a machine its secrets."""
DECOY = "198.51.100.1"
"""An address that nobody has (RFC 5737): what answers there answers for everybody."""


@dataclass(frozen=True)
class Attempt:
    """One TCP connection.

    Attributes:
        kind: to a server of another lab, to a port that its Docker host publishes, to the engine or the cloud behind
            it, or the control: to a server of one's own lab, which must succeed.
        host: the Docker host that the target lives on.
        lab: the target; empty for an engine.
        server: the target's server; empty for an engine.
        address: an IPv4 address, or a name.
        port: of TCP.
    """

    kind: Kind
    host: str
    lab: str
    server: str
    address: str
    port: int

    @property
    def where(self) -> str:
        """In the prober's format."""
        return f"{self.address}:{self.port}"


@dataclass(frozen=True)
class Join:
    """One `consul join`: a server of a lab asks a server of another one."""

    server: str
    host: str
    lab: str
    target: str
    address: str


def controls(source: Place) -> list[Attempt]:
    """Connections that must succeed: from a lab's own network to every port of its own servers."""
    return [
        Attempt("control", source.host, source.lab, spot.server, spot.address, port)
        for spot in source.own
        for port in spot.ports
    ]


def crossings(source: Place, places: Sequence[Place], hosts: Mapping[str, Sequence[str]]) -> list[Attempt]:
    """Connections that must not succeed from `source`; `hosts` are each Docker host's addresses, without bridges."""
    others = [other for other in places if other.name != source.name]
    attempts = [attempt for other in others for attempt in _to_servers(source, other)]
    attempts += [attempt for other in others for attempt in _to_published(source, other, hosts)]
    attempts += _to_engines(source, hosts)
    # Two Docker hosts may use the same addresses: a connection to one's own lab crosses nothing.
    return list(dict.fromkeys(attempt for attempt in attempts if not _is_own(source, attempt)))


def _is_own(source: Place, attempt: Attempt) -> bool:
    return attempt.host != source.host and attempt.address != ENGINE_NAME and source.has(attempt.address)


def _to_servers(source: Place, other: Place) -> Iterator[Attempt]:
    mine = {spot.address for spot in source.spots} if other.host == source.host else set()
    for spot in other.spots:
        if spot.address not in mine:
            yield from (
                Attempt("server", other.host, other.lab, spot.server, spot.address, port) for port in spot.ports
            )


def _to_published(source: Place, other: Place, hosts: Mapping[str, Sequence[str]]) -> Iterator[Attempt]:
    near = (*source.gateways, *hosts[source.host]) if other.host == source.host else tuple(hosts[other.host])
    for port in other.published:
        own = [port.address] if port.address and not ipaddress.ip_address(port.address).is_loopback else []
        yield from (
            Attempt("published", other.host, other.lab, port.server, address, port.port)
            for address in dict.fromkeys([*near, *own])
            if ipaddress.ip_address(address).version == 4  # noqa: PLR2004 - the version of IP
        )


def _to_engines(source: Place, hosts: Mapping[str, Sequence[str]]) -> Iterator[Attempt]:
    for host, addresses in hosts.items():
        near = (*source.gateways, *addresses, ENGINE_NAME) if host == source.host else tuple(addresses)
        yield from (Attempt("engine", host, "", "", address, port) for address in near for port in ENGINE_PORTS)
    address, port = METADATA
    yield Attempt("engine", source.host, "", "", address, port)


def joins(source: Place, places: Sequence[Place], reached: set[tuple[str, str]]) -> list[Join]:
    """One join for each other lab, shared out over the servers of `source`, because a server joins one at a time.

    A lab of `reached` is left out: where the network lets a join through, it might merge two clusters.
    """
    servers = cycle(spot.server for spot in source.own)
    others = [place for place in places if place.name not in reached | {source.name} and place.own]
    if not source.own:
        return []
    return [
        Join(server, other.host, other.lab, other.own[0].server, other.own[0].address)
        for other, server in zip(others, servers, strict=False)
        if other.host == source.host or not source.has(other.own[0].address)
    ]
