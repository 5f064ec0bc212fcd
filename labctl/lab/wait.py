"""A lab that is to be measured: ready, or about to be."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from labctl.engine import status

if TYPE_CHECKING:
    from labctl.engine.labs import Lab

LOOK_SECONDS = 0.25
SETTLE_SECONDS = 8.0
"""So long an election may take at the real pace, split votes included."""


def settled(lab: Lab) -> status.Status:
    """A lab's status, when an election that is under way is over; servers that do not answer are not waited for."""
    until = time.monotonic() + SETTLE_SECONDS * lab.raft_multiplier
    while True:
        now = status.ask(lab)
        if now.ready or any(view.problem for view in now.views) or time.monotonic() > until:
            return now
        time.sleep(LOOK_SECONDS)
