"""Choose a free /28 for a lab on the Docker host."""

from __future__ import annotations

import ipaddress
import zlib
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PREFIX = 28
# How many subnets behind a VPN are compared for the widest route: all of the default pool.
RANKED = 4096
# The bridge itself has the first address; servers follow it.
FIRST_SERVER = 2
PRIVATE = "10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"
_SHOWN = 40
_PRIVATE = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))


def parse(text: str) -> ipaddress.IPv4Network:
    """Read a subnet. Raises ValueError with the end of a sentence."""
    shown = ascii(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
    network = network_of(text)
    if network is None:
        raise ValueError(f"{shown} is not an IPv4 subnet such as 10.213.7.0/28")
    if str(network.network_address) != text.partition("/")[0]:
        raise ValueError(f"{shown} is inside of a subnet, which begins at {network}")
    # Not `is_private`, which also holds loopback, link-local and the networks for documentation.
    if not is_private(network):
        raise ValueError(f"{shown} is not a private subnet: take one in {PRIVATE}")
    if network.prefixlen > PREFIX:
        raise ValueError(f"{shown} is too small for a lab: a /{PREFIX} is the least")
    return network


def network_of(text: str) -> ipaddress.IPv4Network | None:
    """The IPv4 network that an address and its prefix are in; None for any other text, of whatever length."""
    try:
        return ipaddress.IPv4Network(text, strict=False) if len(text) <= _SHOWN else None
    except ValueError:
        return None


def is_private(network: ipaddress.IPv4Network) -> bool:
    """Whether all of a network is in what everybody may use without asking (RFC 1918)."""
    return any(network.subnet_of(block) for block in _PRIVATE)


def candidates(lab: str, pool: ipaddress.IPv4Network) -> Iterator[ipaddress.IPv4Network]:
    """All /28 of the pool, beginning at a place that the lab's name decides.

    Two labs that start at the same moment thus try different subnets first, and a lab that is rebuilt
    usually gets its old addresses.
    """
    count = 1 << (PREFIX - pool.prefixlen)
    begin = zlib.crc32(lab.encode()) % count
    for offset in range(count):
        number = (begin + offset) % count
        first = int(pool.network_address) + number * (1 << (32 - PREFIX))
        yield ipaddress.IPv4Network((first, PREFIX))


def free(
    lab: str,
    pool: ipaddress.IPv4Network,
    taken: Iterable[ipaddress.IPv4Network],
    most: int,
    routes: Iterable[ipaddress.IPv4Network] = (),
) -> list[ipaddress.IPv4Network]:
    """The first `most` subnets of the pool that overlap no taken subnet, and no route of the host.

    Where a route covers everything, as with a VPN, subnets that only wider routes lead to; the widest first.
    """
    table = list(routes)
    busy = [*taken, *(route for route in table if route.prefixlen >= PREFIX)]
    wider = [route for route in table if route.prefixlen < PREFIX and route.overlaps(pool)]
    # 0.0.0.0/1 and 128.0.0.0/1, as OpenVPN sets them, cover everything together.
    if not any(pool.subnet_of(whole) for whole in ipaddress.collapse_addresses(wider)):
        subnets = list(islice(_clear(lab, pool, [*busy, *wider]), most))
        if subnets:
            return subnets

    def narrowest(subnet: ipaddress.IPv4Network) -> int:
        return max((route.prefixlen for route in wider if subnet.subnet_of(route)), default=0)

    return sorted(islice(_clear(lab, pool, busy), RANKED), key=narrowest)[:most]


def _clear(
    lab: str, pool: ipaddress.IPv4Network, busy: Iterable[ipaddress.IPv4Network]
) -> Iterator[ipaddress.IPv4Network]:
    # As numbers: a large pool has very many candidates.
    taken = [
        (int(network.network_address), int(network.broadcast_address)) for network in ipaddress.collapse_addresses(busy)
    ]
    for network in candidates(lab, pool):
        first = int(network.network_address)
        last = first + (1 << (32 - PREFIX)) - 1
        if not any(begin <= last and first <= end for begin, end in taken):
            yield network


def addresses(subnet: ipaddress.IPv4Network, servers: int) -> list[str]:
    """The fixed addresses of the servers, in the order of their names."""
    return [str(subnet.network_address + FIRST_SERVER + number) for number in range(servers)]
