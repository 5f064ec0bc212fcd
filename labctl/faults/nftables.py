"""The rules that a fault is, for one server's network namespace.

Each fault is a table of nftables of its own, so that several compose and heal one by one. The addresses stand in sets
whose elements the kernel itself forgets when the lease is over: nothing has to run to lift a fault. A delay has a
queue of the kernel's traffic control besides, one for a server; its table only says which packets go that way, so that
an empty queue is all that may be left.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from dataclasses import dataclass, field

PREFIX = "labctl_"
LEAST_PERCENT = 0.1
"""The smallest share of packets that can be set: one of a thousand."""
_ID = re.compile(r"[0-9a-f]{6}")
_TABLE = re.compile(rf"table inet {PREFIX}(?P<id>[0-9a-f]{{6}})\b")


def new_id() -> str:
    """A name for a fault: six hexadecimal digits."""
    return secrets.token_hex(3)


def is_id(text: str) -> bool:
    """Whether a text may be a fault's name."""
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True)
class Cut:
    """A change of a server's packets.

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
LATE = f"{QUEUE}:4"
"""The class of our queue whose packets leave late."""
# Sixty seconds late at three hundred packets a second: a delay must not become a loss.
_LATE_PACKETS = 20_000
# Packets outside the late class pass the queue untouched, and must not be slowed down by it.
_DELAY = f"""
set -e
tc qdisc add dev eth0 root handle {QUEUE}: htb
trap 'tc qdisc del dev eth0 root handle {QUEUE}:' EXIT
tc class add dev eth0 parent {QUEUE}: classid {LATE} htb rate 10gbit quantum 60000
tc qdisc add dev eth0 parent {LATE} $1
nft "$0"
trap - EXIT
"""


def apply(fault: str, change: Change, seconds: float) -> list[str]:
    """The command that puts a change into a network namespace, for as many seconds."""
    made = table(fault, change, seconds)
    return ["nft", made] if isinstance(change, Cut) else ["/bin/sh", "-c", _DELAY, made, delay_rule(change)]


def undo(fault: str, change: Change) -> str:
    """The command of a shell that takes a change away again."""
    queue = f"; tc qdisc del dev eth0 root handle {QUEUE}:" if isinstance(change, Delay) else ""
    return f"nft '{drop(fault)}'{queue}"


def delay_rule(delay: Delay) -> str:
    """The options of `tc` that have packets leave late."""
    jitter = f" {delay.jitter}ms" if delay.jitter else ""
    return f"netem delay {delay.milliseconds}ms{jitter} limit {_LATE_PACKETS}"


def table(fault: str, change: Change, seconds: float) -> str:
    """The table of a fault as `nft -f` reads it; it replaces an existing one.

    Args:
        fault: its name.
        change: what it does in this server.
        seconds: after how long the kernel forgets it.

    Raises:
        ValueError: an address is invalid, or a number makes no rule.
    """
    if not is_id(fault) or seconds <= 0:
        raise ValueError(f"no rule can be made of {fault!a}, {seconds} seconds")
    verdict = _verdict(change)
    name = f"{PREFIX}{fault}"
    parts = [f"table inet {name}", f"delete table inet {name}", f"table inet {name} {{"]
    incoming = change.incoming if isinstance(change, Cut) else frozenset()
    for hook, way, addresses in (("input", "saddr", incoming), ("output", "daddr", change.outgoing)):
        if not addresses:
            continue
        parts += [
            f"  set {hook}_peers {{",
            "    type ipv4_addr; flags timeout;",
            f"    elements = {{ {_elements(addresses, seconds)} }}",
            "  }",
            f"  chain {hook} {{",
            f"    type filter hook {hook} priority 0; policy accept;",
            f"    ip {way} @{hook}_peers {verdict}",
            "  }",
        ]
    return "\n".join([*parts, "}", ""])


def _elements(addresses: frozenset[str], seconds: float) -> str:
    checked = sorted(str(ipaddress.IPv4Address(address)) for address in addresses)
    return ", ".join(f"{element} timeout {max(round(seconds * 1000), 1)}ms" for element in checked)


def _verdict(change: Change) -> str:
    if isinstance(change, Delay):
        return f"meta priority set {LATE}"
    if change.kilobytes is not None:
        return f"limit rate over {change.kilobytes} kbytes/second drop"
    if not LEAST_PERCENT <= change.percent <= 100:  # noqa: PLR2004 - percent
        raise ValueError(f"no rule can be made of {change.percent} percent")
    if change.percent < 100:  # noqa: PLR2004 - percent
        return f"numgen random mod 1000 < {round(change.percent * 10)} drop"
    return "drop"


def drop(fault: str) -> str:
    """The command that removes the table of a fault."""
    if not is_id(fault):
        raise ValueError(f"{fault!a} is the name of no fault")
    return f"delete table inet {PREFIX}{fault}"


def faults_in(listing: str) -> set[str]:
    """The names of the faults in what `nft list tables` prints."""
    return {match["id"] for match in _TABLE.finditer(listing)}
