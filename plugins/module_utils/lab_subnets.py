"""Choose a lab's own /28 where nothing on the Docker host is in its way."""

from __future__ import annotations

import ipaddress
import zlib
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PREFIX = 28
# The bridge itself has the first address; servers follow it.
FIRST_SERVER = 2
_PRIVATE = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))


def parse(text: str) -> ipaddress.IPv4Network:
    """Read a subnet. Raises ValueError with the end of a sentence."""
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise ValueError(f"{text!a} is not an IPv4 subnet ({error})") from error
    # Not `is_private`, which also holds loopback, link-local and the networks for documentation.
    if not any(network.subnet_of(one) for one in _PRIVATE):
        raise ValueError(f"{text!a} is not a private subnet: take one in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16")
    if network.prefixlen > PREFIX:
        raise ValueError(f"{text!a} is too small for a lab: a /{PREFIX} is the least")
    return network


def candidates(lab: str, pool: ipaddress.IPv4Network) -> Iterator[ipaddress.IPv4Network]:
    """All /28 of the pool, beginning at a place that the lab's name decides.

    Two labs that start at the same moment so try different subnets first, and a lab that is built again
    usually gets the addresses that it had.
    """
    count = 1 << (PREFIX - pool.prefixlen)
    begin = zlib.crc32(lab.encode()) % count
    for offset in range(count):
        number = (begin + offset) % count
        first = int(pool.network_address) + number * (1 << (32 - PREFIX))
        yield ipaddress.IPv4Network((first, PREFIX))


def free(
    lab: str, pool: ipaddress.IPv4Network, taken: Iterable[ipaddress.IPv4Network], most: int
) -> list[ipaddress.IPv4Network]:
    """The first `most` subnets of the pool that overlap nothing that is taken."""
    busy = list(taken)
    usable = (one for one in candidates(lab, pool) if not any(one.overlaps(other) for other in busy))
    return list(islice(usable, most))


def addresses(subnet: ipaddress.IPv4Network, servers: int) -> list[str]:
    """The fixed addresses of the servers, in the order of their names."""
    return [str(subnet.network_address + FIRST_SERVER + number) for number in range(servers)]
