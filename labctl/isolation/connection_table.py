"""Whether a server itself saw a connection: what stands in its kernel's tables of sockets, /proc/net/tcp and tcp6."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from labctl.isolation.attempts import Attempt

_LISTENS = "0A"
# proc(5): the number, the local and the remote address, the state. IPv4 is one word, IPv6 four, in the host's order.
_ROW = re.compile(
    r"^\s*\d+: [0-9A-F]{8,32}:(?P<local>[0-9A-F]{4}) (?P<remote>[0-9A-F]{8,32}):(?P<port>[0-9A-F]{4}) "
    r"(?P<state>[0-9A-F]{2})\b",
    re.MULTILINE,
)


class Connection(NamedTuple):
    """A connection of a server.

    Attributes:
        port: the server's own port.
        address: the other side's IPv4 address.
        source: the other side's port.
    """

    port: int
    address: str
    source: int


def connections(tables: str) -> frozenset[Connection]:
    """The connections in the tables, whatever their state; listening sockets are not connections."""
    return frozenset(
        Connection(int(row["local"], 16), _address(row["remote"]), int(row["port"], 16))
        for row in _ROW.finditer(tables)
        if row["state"] != _LISTENS
    )


def _address(words: str) -> str:
    """An IPv4 address, also one that is written as IPv6, out of little-endian words."""
    return ".".join(str(byte) for byte in reversed(bytes.fromhex(words[-8:])))


def saw(
    attempt: Attempt, source: int, before: Iterable[Connection], during: Iterable[Connection], own: Container[str]
) -> bool | None:
    """Whether a server saw a connection of ours; None where its tables do not show it.

    Args:
        attempt: what was tried.
        source: the port that it came from.
        before: the server's connections before it.
        during: those while it was held.
        own: the addresses of the lab's own servers.
    """
    new = [connection for connection in during if connection not in set(before)]
    if any(
        connection.source == source and (attempt.kind != "server" or connection.port == attempt.port)
        for connection in new
    ):
        return True
    if attempt.kind != "server" or any(
        connection.port == attempt.port and connection.address not in own for connection in new
    ):
        # Whatever hands it on may give it another port.
        return None
    return False
