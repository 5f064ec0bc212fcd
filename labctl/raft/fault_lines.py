"""What labctl writes into a server's log when it breaks something: it then stands beside what Raft made of it.

The lines have the form of Consul's own, and the module `labctl.fault`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

MODULE = "labctl.fault"


def began(now: datetime, fault: str, words: str, servers: Iterable[str], seconds: float | None) -> str:
    """The line of a fault that begins; `seconds` is its lease."""
    lease = "" if seconds is None else f" seconds={seconds:g}"
    return _line(now, f'fault began: id={fault} servers={",".join(servers)} what="{words}"{lease}')


def ended(now: datetime, fault: str, servers: Iterable[str]) -> str:
    """The line of a fault that was healed before its lease was over."""
    return _line(now, f"fault ended: id={fault} servers={','.join(servers)}")


def _line(now: datetime, message: str) -> str:
    stamp = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{stamp} [WARN]  {MODULE}: {message}"
