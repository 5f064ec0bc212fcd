"""The workshop's network, and each seat's /28 in it, by the seat's number."""

from __future__ import annotations

import zlib
from ipaddress import IPv4Network

from labctl.shared import subnets

SEAT_PREFIX = subnets.PREFIX
# Single labs have 10.213.0.0/16; workshops begin behind it, each with room for 256 seats.
_DEFAULTS = IPv4Network("10.216.0.0/13")
_DEFAULT_PREFIX = 20


def default(workshop: str) -> IPv4Network:
    """The /20 of a workshop that names none: it follows from the name, so that two workshops rarely meet."""
    blocks = 1 << (_DEFAULT_PREFIX - _DEFAULTS.prefixlen)
    number = zlib.crc32(workshop.encode()) % blocks
    return IPv4Network((int(_DEFAULTS.network_address) + (number << (32 - _DEFAULT_PREFIX)), _DEFAULT_PREFIX))


def parse(text: str) -> IPv4Network:
    """Read a workshop's network. Raises ValueError with a sentence without its end."""
    addresses = subnets.network_of(text)
    if addresses is None:
        raise ValueError("`network` is no IPv4 network such as 10.216.0.0/20")
    if str(addresses.network_address) != text.partition("/")[0]:
        raise ValueError(f"`network` is no IPv4 network: the one that it is inside of begins at {addresses}")
    if not subnets.is_private(addresses):
        raise ValueError(f"`network` is {addresses}, which is not private: take one in {subnets.PRIVATE}")
    if addresses.prefixlen > SEAT_PREFIX:
        raise ValueError(f"`network` is {addresses}, which is too small: each seat takes a /{SEAT_PREFIX}")
    return addresses


def seats_in(network: IPv4Network) -> int:
    """How many seats a network has room for."""
    return 1 << (SEAT_PREFIX - network.prefixlen)


def subnet_of(network: IPv4Network, number: int) -> IPv4Network:
    """The /28 of the seat with that number, which counts from 1. Raises ValueError where it is beyond the network."""
    if not 1 <= number <= seats_in(network):
        raise ValueError(f"{network} has no room for a seat with the number {number}")
    first = int(network.network_address) + (number - 1) * (1 << (32 - SEAT_PREFIX))
    return IPv4Network((first, SEAT_PREFIX))
