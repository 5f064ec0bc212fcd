"""The rules that a fault is, for one server's network namespace.

Each fault of nftables is a table of its own, so that several compose and heal one by one. The addresses stand in sets
whose elements the kernel itself forgets when the lease is over: nobody need be there to lift a fault. A delay is a
queue of the kernel's traffic control: there is one for a server, and its helper takes it away.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from dataclasses import dataclass, field

PREFIX = "labctl_"
_ID = re.compile(r"[0-9a-f]{6}")
_TABLE = re.compile(rf"table (?P<family>\w+) (?P<table>{PREFIX}(?P<id>[0-9a-f]{{6}}))\b")


def new_id() -> str:
    """A name for a fault: six hexadecimal digits."""
    return secrets.token_hex(3)


def is_id(text: str) -> bool:
    """Whether a text may be a fault's name."""
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True)
class Cut:
    """What happens to a server's packets.

    Attributes:
        incoming: addresses from which packets are touched.
        outgoing: addresses to which packets are touched.
        percent: how many of a hundred are dropped.
        kilobytes: instead, how many kilobytes of them go through in a second, in each direction.
    """

    incoming: frozenset[str] = field(default_factory=frozenset)
    outgoing: frozenset[str] = field(default_factory=frozenset)
    percent: float = 100.0
    kilobytes: int | None = None


@dataclass(frozen=True)
class Delay:
    """How late a server's packets leave.

    Attributes:
        outgoing: addresses to which they are late.
        milliseconds: how late.
        jitter: by how many milliseconds more or less, at random.
    """

    outgoing: frozenset[str]
    milliseconds: int
    jitter: int = 0


Change = Cut | Delay

NO_QUEUE = "qdisc kind is unknown"
"""What `tc` says where the kernel has no queue that can delay packets."""
QUEUE = "1ab"
"""The handle of our queue, in hexadecimal: by it a delay is known."""


def apply(fault: str, change: Change, seconds: float) -> list[str]:
    """The command that puts a change into a network namespace, for as many seconds."""
    if isinstance(change, Cut):
        return ["nft", table(fault, change, seconds)]
    return ["/bin/sh", "-c", _delay(change)]


def undo(fault: str, change: Change) -> str:
    """The command of a shell that takes a change away again."""
    return f"nft '{drop(fault)}'" if isinstance(change, Cut) else f"tc qdisc del dev eth0 root handle {QUEUE}:"


def _delay(delay: Delay) -> str:
    """Three queues as the kernel has them by itself, and a fourth one that is late, for the packets to the peers."""
    jitter = f" {delay.jitter}ms" if delay.jitter else ""
    lines = [
        "set -e",
        "undo() { tc qdisc del dev eth0 root; exit 1; }",
        f"tc qdisc add dev eth0 root handle {QUEUE}: prio bands 4 priomap 1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 1",
        f"tc qdisc add dev eth0 parent {QUEUE}:4 netem delay {delay.milliseconds}ms{jitter} || undo",
    ]
    lines += [
        f"tc filter add dev eth0 parent {QUEUE}: protocol ip prio 1 u32 match ip dst {ipaddress.IPv4Address(one)}/32"
        f" flowid {QUEUE}:4"
        for one in sorted(delay.outgoing)
    ]
    return "\n".join(lines)


def table(fault: str, cut: Cut, seconds: float) -> str:
    """The table of a fault as `nft -f` reads it; it replaces the one that is there.

    Args:
        fault: its name.
        cut: what it does in this server.
        seconds: after how long the kernel forgets it.

    Raises:
        ValueError: an address is none, or a number makes no rule.
    """
    if not is_id(fault) or not 0 < cut.percent <= 100 or seconds <= 0:  # noqa: PLR2004 - percent
        raise ValueError(f"no rule can be made of {fault!a}, {cut.percent} percent, {seconds} seconds")
    name = f"{PREFIX}{fault}"
    parts = [f"table inet {name}", f"delete table inet {name}", f"table inet {name} {{"]
    for hook, way, addresses in (("input", "saddr", cut.incoming), ("output", "daddr", cut.outgoing)):
        if not addresses:
            continue
        parts += [
            f"  set {hook}_peers {{",
            "    type ipv4_addr; flags timeout;",
            f"    elements = {{ {_elements(addresses, seconds)} }}",
            "  }",
            f"  chain {hook} {{",
            f"    type filter hook {hook} priority 0; policy accept;",
            f"    ip {way} @{hook}_peers {_verdict(cut)}",
            "  }",
        ]
    return "\n".join([*parts, "}", ""])


def _elements(addresses: frozenset[str], seconds: float) -> str:
    checked = sorted(str(ipaddress.IPv4Address(one)) for one in addresses)
    return ", ".join(f"{one} timeout {max(round(seconds * 1000), 1)}ms" for one in checked)


def _verdict(cut: Cut) -> str:
    if cut.kilobytes is not None:
        return f"limit rate over {cut.kilobytes} kbytes/second drop"
    if cut.percent < 100:  # noqa: PLR2004 - percent
        return f"numgen random mod 1000 < {max(round(cut.percent * 10), 1)} drop"
    return "drop"


def drop(fault: str) -> str:
    """What removes the table of a fault."""
    if not is_id(fault):
        raise ValueError(f"{fault!a} is the name of no fault")
    return f"delete table inet {PREFIX}{fault}"


def faults_in(listing: str) -> set[str]:
    """The names of the faults in what `nft list tables` prints."""
    return {found["id"] for found in _TABLE.finditer(listing)}
