"""Where a lab can be reached: its servers' addresses and ports, out of what `docker inspect` says."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labctl.shared import lab_names, label_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

RPC, GOSSIP, HTTP = 8300, 8301, 8500
ANYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not listened on


@dataclass(frozen=True)
class ServerAddress:
    """One address of a server that runs, and the ports that it listens on there."""

    server: str
    address: str
    ports: tuple[int, ...]


@dataclass(frozen=True)
class PublishedPort:
    """A port of the Docker host that leads into a server; `address` is empty where it is bound to all addresses."""

    server: str
    address: str
    port: int


@dataclass(frozen=True)
class Place:
    """A lab, as seen by a process that tries to reach it.

    Attributes:
        lab: its name.
        host: the Docker host that it lives on.
        own: the servers' addresses in the lab's own network.
        strange: their addresses in other networks, where they have no business.
        down: servers that do not run, so that nothing can be tried at them.
        gateways: the Docker host's addresses in the lab's networks.
        subnets: the lab's networks.
        published: what of it the Docker host publishes.
    """

    lab: str
    host: str
    own: tuple[ServerAddress, ...]
    strange: tuple[ServerAddress, ...]
    down: tuple[str, ...]
    gateways: tuple[str, ...]
    subnets: tuple[str, ...]
    published: tuple[PublishedPort, ...]

    @property
    def name(self) -> tuple[str, str]:
        """Its identity: two Docker hosts may have labs of the same name."""
        return self.host, self.lab

    @property
    def spots(self) -> tuple[ServerAddress, ...]:
        """Every address of a server that runs."""
        return self.own + self.strange

    def has(self, address: str) -> bool:
        """Whether an address lies in one of the lab's own networks."""
        return any(ipaddress.ip_address(address) in ipaddress.ip_network(subnet) for subnet in self.subnets)


def place_of(lab: str, host: str, documents: Iterable[dict[str, Any]]) -> Place:
    """The place of a lab whose containers `docker inspect` describes so."""
    network = lab_names.project_name(lab)
    own: list[ServerAddress] = []
    strange: list[ServerAddress] = []
    down: list[str] = []
    published: list[PublishedPort] = []
    gateways: dict[str, bool] = {}
    subnets: dict[str, bool] = {}
    # Docker lists the youngest first, and servers of a lab are made at once.
    for document in sorted(documents, key=lambda each_document: str(each_document.get("Name", ""))):
        server = label_values.server(label_values.labels_of(document).get(lab_names.LABEL_SERVER))
        if server is None:
            continue
        if (document.get("State") or {}).get("Status") != "running":
            down.append(server)
            continue
        bindings = list(_bindings(document))
        ports = tuple(sorted({RPC, GOSSIP, *(inside for inside, _, _ in bindings)} | _http(bindings)))
        published += [PublishedPort(server, address, port) for _, address, port in bindings]
        for name, settings in ((document.get("NetworkSettings") or {}).get("Networks") or {}).items():
            if not settings or not (address := settings.get("IPAddress")):
                continue
            (own if name == network else strange).append(ServerAddress(server, address, ports))
            if gateway := settings.get("Gateway"):
                gateways[gateway] = True
            if name == network:
                length = settings.get("IPPrefixLen") or 32
                subnets[str(ipaddress.ip_network(f"{address}/{length}", strict=False))] = True
    return Place(lab, host, tuple(own), tuple(strange), tuple(down), tuple(gateways), tuple(subnets), tuple(published))


def _http(bindings: list[tuple[int, str, int]]) -> set[int]:
    """The port of the HTTP API where none is published; what a lab publishes is its HTTP API."""
    return set() if bindings else {HTTP}


def _bindings(document: dict[str, Any]) -> Iterator[tuple[int, str, int]]:
    """PublishedPort TCP ports: the container's, the address on the host (empty for all), and the host's."""
    ports = (document.get("NetworkSettings") or {}).get("Ports") or {}
    for inside, bound in ports.items():
        number, _, protocol = inside.partition("/")
        for binding in (bound or []) if protocol in ("tcp", "") else []:
            if not binding.get("HostPort"):
                continue
            address = binding.get("HostIp") or ""
            yield int(number), "" if address in ANYWHERE else address, int(binding["HostPort"])


def host_addresses(said: str, without: Iterable[str]) -> tuple[str, ...]:
    """The addresses that `ip -o -4 addr` lists, except loopback and those in the subnets `without`.

    Raises ValueError where it lists none at all: every host has loopback.
    """
    left = [ipaddress.ip_network(subnet, strict=False) for subnet in without]
    addresses, told = [], False
    for line in said.splitlines():
        words = line.split()
        if "inet" not in words[:-1]:
            continue
        address = words[words.index("inet") + 1].partition("/")[0]
        number, told = ipaddress.ip_address(address), True
        if not number.is_loopback and not any(number in network for network in left):
            addresses.append(address)
    if not told:
        raise ValueError("it names no address")
    return tuple(dict.fromkeys(addresses))
