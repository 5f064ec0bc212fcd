"""The networks that a Docker host has routes to: no lab may have one of them."""

from __future__ import annotations

import ipaddress

ROUTE_COLUMNS = 8


def routes(table: str) -> list[ipaddress.IPv4Network]:
    """The networks that the host reaches, from the text of /proc/net/route; the default route is left out."""
    found = []
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) < ROUTE_COLUMNS:
            continue
        destination, mask = (int.from_bytes(bytes.fromhex(columns[index]), "little") for index in (1, 7))
        if mask:
            found.append(ipaddress.IPv4Network((destination & mask, bin(mask).count("1"))))
    return found
