"""The lines that labctl writes into a server's log for a fault, so that they stand beside Raft's own lines.

The lines have the form of Consul's own, and the module `labctl.fault`. They go to standard error, where Consul writes
nothing: what Consul writes holds words of others, and before hclog 1.0 also their line ends (the name of a service
that is registered over the HTTP API), so that a whole line of its log is no proof that it is ours.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

MODULE = "labctl.fault"
DOCKER = "labctl.docker"
"""The module of lines that no server wrote: what was done to its process, as Docker says."""
_NOTED = re.compile(
    rf"(\d{{4}}-\d\d-\d\dT\S{{1,30}}) \[WARN\]  {MODULE}: fault (began|ended|failed): id=([0-9a-f]+) servers=[\w,.-]*"
    r'(?: what="([^"\n]*)")?(?: seconds=([0-9.e+]+))?',
    re.ASCII,
)


class LoggedFault(NamedTuple):
    """A fault that a server's log reports.

    Attributes:
        fault: its name.
        words: what was asked for, such as `kill consul2`.
        until: when its lease is over; None where it has none.
    """

    fault: str
    words: str
    until: datetime | None = None

    @property
    def verb(self) -> str:
        """What was done, such as `kill`."""
        return self.words.partition(" ")[0]


def began(now: datetime, fault: str, words: str, servers: Iterable[str], seconds: float | None) -> str:
    """The line of a fault that begins; `seconds` is its lease."""
    lease = "" if seconds is None else f" seconds={seconds:g}"
    return _line(now, f'fault began: id={fault} servers={",".join(servers)} what="{words}"{lease}')


def ended(now: datetime, fault: str, servers: Iterable[str]) -> str:
    """The line of a fault that was healed before its lease was over."""
    return _line(now, f"fault ended: id={fault} servers={','.join(servers)}")


def failed(now: datetime, fault: str, servers: Iterable[str]) -> str:
    """The line of a fault that a line said would begin, and that did not."""
    return _line(now, f"fault failed: id={fault} servers={','.join(servers)}")


def last(text: str) -> LoggedFault | None:
    """The last fault in a server's standard error; None if there is none, or if it ended or failed.

    Only a whole line is one of ours.
    """
    for line in reversed(text.split("\n")):
        if match := _NOTED.fullmatch(line):
            return LoggedFault(match[3], match[4] or "", _until(match[1], match[5])) if match[2] == "began" else None
    return None


def _until(stamp: str, seconds: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(stamp) + timedelta(seconds=float(seconds or "x"))
    except (ValueError, OverflowError):
        return None


def _line(now: datetime, message: str) -> str:
    stamp = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{stamp} [WARN]  {MODULE}: {message}"
