"""The networks that a Docker host has routes to, and which of them are in the way of a lab's subnet.

A lab's bridge is a route of its own, and the most specific one wins. So a route that is wider than the lab's subnet,
such as a VPN's to 10.0.0.0/8, stays valid for all other addresses; one that is as narrow, or narrower, would
win over the lab's or take a part of it.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ROUTE_COLUMNS = 8


def routes(table: str) -> list[ipaddress.IPv4Network]:
    """The networks that the host reaches, from the text of /proc/net/route; the default route is left out."""
    networks = []
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) < ROUTE_COLUMNS:
            continue
        destination, mask = (int.from_bytes(bytes.fromhex(columns[index]), "little") for index in (1, 7))
        if mask:
            networks.append(ipaddress.IPv4Network((destination & mask, bin(mask).count("1"))))
    return networks


def is_in_the_way(route: ipaddress.IPv4Network, subnet: ipaddress.IPv4Network) -> bool:
    """Whether a lab cannot have a subnet because of a route."""
    return route.prefixlen >= subnet.prefixlen and route.overlaps(subnet)


def around(table: Iterable[ipaddress.IPv4Network], subnet: ipaddress.IPv4Network) -> ipaddress.IPv4Network | None:
    """The narrowest of the routes that are wider than a subnet and lead to it; None if there is none."""
    wider = [route for route in table if route.prefixlen < subnet.prefixlen and subnet.subnet_of(route)]
    return max(wider, key=lambda route: route.prefixlen, default=None)
