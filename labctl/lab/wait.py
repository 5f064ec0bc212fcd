"""Wait until a lab is settled: ready, or not about to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.engine import status
from labctl.shared.waiting import CLOCK, Clock, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from labctl.engine.labs import Lab

LOOK_SECONDS = 0.25
SETTLE_SECONDS = 8.0
"""How long an election may take at the real pace, split votes included."""


def settled(lab: Lab, ask: Callable[[Lab], status.Status] = status.ask, clock: Clock = CLOCK) -> status.Status:
    """A lab's status once no election is under way; servers that do not answer are not waited for."""

    def is_over(now: status.Status) -> bool:
        return now.ready or any(view.problem for view in now.views)

    return wait_until(lambda: ask(lab), SETTLE_SECONDS * lab.raft_multiplier, LOOK_SECONDS, clock, enough=is_over)
