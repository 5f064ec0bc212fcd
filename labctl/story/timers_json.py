"""The timeouts of a lab's servers as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labctl.raft.timers import Timers


def timeouts_row(timers: Timers | None) -> dict[str, float] | None:
    """The servers' timeouts, in seconds; None where they are unknown."""
    if timers is None:
        return None
    return {"heartbeat": timers.heartbeat, "election": timers.election, "lease": timers.lease}
