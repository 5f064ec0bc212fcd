"""How many seats a Docker host holds, which resource is the limit, and its problems: from its facts. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

from labctl.shared import consul_versions, lab_names, label_values
from labctl.shared.constants import OLDEST_API

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from labctl.workshop.model.file import Workshop
    from labctl.workshop.model.seats import Seat

# A host whose clock is further away would end labs at another time than the file gives.
SKEW_SECONDS = 30.0
_MIB = 1 << 20
# Reserved for the machine itself.
_SPARE_MEMORY = 512 * _MIB
_SPARE_DISK = 2_000 * _MIB
# For a lab's server (docs/workshop.md, "Capacity", has the measurements): memory with Docker's processes for it and
# what a lesson adds, log and data of some days, and a share of a core near the upper end of its use at rest, chosen
# so that 45 seats of three servers fit on two cores, which was tried.
SERVER_MEMORY = 48 * _MIB
SERVER_DISK = 40 * _MIB
# Consul's log is a file of 64 MiB from its first entry on.
SERVER_DISK_WITH_WAL = 100 * _MIB
SERVER_CORE = {"real": 0.0142, "teach": 0.0125}


@dataclass(frozen=True)
class Facts:
    """A Docker host as `engine.host_facts` read it, and how far its clock is from ours, in seconds."""

    read: Mapping[str, Any]
    skew: float = 0.0

    @property
    def labs(self) -> list[dict[str, Any]]:
        """The labs that live on it."""
        return list(self.read["labs"])

    def end_of(self, workshop: str, owner: str) -> int | None:
        """When an owner's workshop ends on this host, in seconds since 1970; None where no container waits for it.

        The end of another owner's workshop with the same name does not count.
        """
        ends = [
            label_values.moment(reaper.get("expires"))
            for reaper in self._waiting(workshop)
            if reaper.get("owner") == owner
        ]
        return max((end for end in ends if end is not None), default=None)

    def keeps(self, workshop: str, owner: str, end: int) -> bool:
        """Whether the host keeps exactly that end for an owner's workshop; 0 is no end.

        An end that an older labctl recorded has to be recorded again: it removes other owners' labs, too.
        """
        if not end:
            return not self.has_reaper(workshop, owner)
        own = [reaper for reaper in self._waiting(workshop) if reaper.get("owner") == owner]
        return self.end_of(workshop, owner) == end and all(waiting.get("removes") for waiting in own)

    def has_reaper(self, workshop: str, owner: str) -> bool:
        """Whether the host has anything that ends an owner's workshop, or would have."""
        return any(reaper.get("reaper") == workshop and reaper.get("owner") == owner for reaper in self.read["reapers"])

    def threat_of(self, workshop: str, owner: str) -> str | None:
        """Another owner of a workshop of that name, whose end would remove this owner's labs too; else None."""
        others = [
            reaper for reaper in self._waiting(workshop) if reaper.get("owner") != owner and not reaper.get("removes")
        ]
        return min((str(other.get("owner", "")) for other in others), default=None)

    def _waiting(self, workshop: str) -> list[dict[str, Any]]:
        return [
            reaper
            for reaper in self.read["reapers"]
            if reaper.get("reaper") == workshop and reaper["state"] in lab_names.REAPER_WAITS
        ]

    def of_workshop(self, name: str) -> list[dict[str, Any]]:
        """The labs of one workshop."""
        return [lab for lab in self.labs if lab.get("workshop") == name]


@dataclass(frozen=True)
class Room:
    """How many seats a host holds in all, which resource is the limit, and how many servers others have there.

    A host is full when its processors have no headroom beyond what servers use at rest.
    """

    seats: int
    binds: str
    by: Mapping[str, int]
    other_servers: int = 0


def room_of(workshop: Workshop, facts: Facts, most: int | None) -> Room:
    """How many seats of the workshop fit on a host, including those that exist.

    Labs of others take their share; memory and disk in use by seats of this workshop count as free, because the
    existing seats are counted too.
    """
    read, servers = facts.read, workshop.spec.servers
    ours = facts.of_workshop(workshop.name)
    others = [lab for lab in facts.labs if lab.get("workshop") != workshop.name]
    our_servers = sum(label_values.size(lab.get("servers")) or 0 for lab in ours)
    other_servers = sum(label_values.size(lab.get("servers")) or 0 for lab in others)
    cpu = read["cores"] / SERVER_CORE[workshop.spec.pace] - other_servers
    by = {"cores": cpu // servers}
    if read["memory"]["free"] is not None:
        memory = read["memory"]["free"] + our_servers * SERVER_MEMORY - _SPARE_MEMORY
        by["memory"] = memory // (SERVER_MEMORY * servers)
    if read["disk_free"] is not None:
        in_use = sum(
            (label_values.size(lab.get("servers")) or 0) * server_disk(lab.get("consul-version")) for lab in ours
        )
        disk = read["disk_free"] + in_use - _SPARE_DISK
        version = workshop.spec.version or next(iter(read["images"]), None)
        by["disk"] = disk // (server_disk(version) * servers)
    if most is not None:
        by["the file's limit"] = most
    by = {what: max(0, int(seats)) for what, seats in by.items()}
    binds = min(by, key=lambda what: by[what])
    return Room(by[binds], binds, by, other_servers)


def server_disk(version: str | None) -> int:
    """How much disk a server of that version of Consul takes; for an unknown version, the most."""
    return SERVER_DISK_WITH_WAL if consul_versions.has(version, "log of 64 MiB", unknown=True) else SERVER_DISK


def at_rest(workshop: Workshop, cores: int, seats: int, room: Room) -> float:
    """The share of a host's processors that this many seats, and others' labs there, take while nothing happens."""
    return (seats * workshop.spec.servers + room.other_servers) * SERVER_CORE[workshop.spec.pace] / cores


def problem_of(facts: Facts) -> str | None:
    """Why a host can hold no seat at all, as a sentence without its end; None where it can."""
    read = facts.read
    if tuple(int(part) for part in re.findall(r"[0-9]+", str(read["api"]))) < OLDEST_API:
        return f"its Docker Engine {read['engine']} is too old: install 19.03 or newer"
    if not read["compose"]:
        return "it has no Docker Compose v2"
    if read["disk_free"] is not None and read["disk_free"] < _SPARE_DISK:
        free = read["disk_free"] / 1e9
        return f"its disk is full: {free:.1f} GB are free at {read['disk_root']}, and {_SPARE_DISK / 1e9:.1f} must be"
    if read.get("clock", 0.0) is None:
        return "it does not tell what time it is: see that `date +%s` prints it there, and nothing else is printed"
    if abs(facts.skew) > SKEW_SECONDS:
        way = "ahead of" if facts.skew > 0 else "behind"
        return f"its clock is {abs(facts.skew):.0f} seconds {way} this machine's: set both by NTP"
    return None


def obstacles(workshop: Workshop, facts: Facts, seats: Iterable[Seat]) -> dict[str, str]:
    """The obstacles on a host to new seats there: for each lab, a sentence without its end."""
    existing = {lab["lab"] for lab in facts.of_workshop(workshop.name)}
    networks = [
        (f"the Docker network {network['name']}", IPv4Network(subnet, strict=False))
        for network in facts.read["networks"]
        for subnet in network["subnets"]
        if network["lab"] not in existing
    ]
    networks += [("a route of the host", route) for route in _routes(facts) if not _is_around(workshop, route)]
    ports = set(facts.read["ports"])
    reasons = {}
    for seat in seats:
        if seat.lab in existing:
            continue
        taken = next((listed for listed in networks if seat.subnet.overlaps(listed[1])), None)
        if taken:
            other = "" if taken[0].startswith("the Docker") else ": change `network` in the file"
            reasons[seat.lab] = f"its subnet {seat.subnet} is taken by {taken[0]} ({taken[1]}){other}"
        wanted = set(range(seat.http_port, seat.http_port + workshop.spec.servers)) if seat.http_port else set()
        if wanted & ports and seat.lab not in reasons:
            reasons[seat.lab] = f"its HTTP port {min(wanted & ports)} is taken: change `http_port` in the file"
    return reasons


def route_around(workshop: Workshop, facts: Facts) -> IPv4Network | None:
    """The narrowest route of a host that is wider than the workshop's network and leads to it, such as a VPN's.

    It is in nobody's way: a seat's bridge is more specific, and wins.
    """
    around = [route for route in _routes(facts) if _is_around(workshop, route)]
    return max(around, key=lambda route: route.prefixlen, default=None)


def _routes(facts: Facts) -> list[IPv4Network]:
    """The routes of a host but those of its Docker networks, those of this workshop included."""
    known = {str(subnet) for network in facts.read["networks"] for subnet in network["subnets"]}
    return [IPv4Network(route) for route in facts.read["routes"] if route not in known]


def _is_around(workshop: Workshop, route: IPv4Network) -> bool:
    return route.prefixlen < workshop.network.prefixlen and workshop.network.subnet_of(route)
