"""`labctl workshop reset`: one seat made anew, as its card has it, while nobody else notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.flows.workshop.down import down
from labctl.flows.workshop.up import UpOptions, up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labctl.show.board import Board
    from labctl.show.steps import Steps
    from labctl.workshop.file import Workshop
    from labctl.workshop.outcome import Removed, Result


def reset(
    workshop: Workshop, owner: str, seats: Sequence[str], steps: Steps, board: Board
) -> tuple[Removed, Result | None]:
    """Remove seats with their data and bring them up again: same name, addresses, token and key. Raises LabctlError.

    Returns what was removed and what came up; nothing comes up where something could not be removed.
    """
    removed = down(workshop, owner, seats, None, steps)
    if not removed.proven:
        return removed, None
    return removed, up(workshop, UpOptions(owner, tuple(seats)), steps, board)
