"""`labctl workshop reset`: rebuild one seat so that its card still fits, without disturbing any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.workshop import survey as fleets
from labctl.workshop.down import down
from labctl.workshop.model import plan as plans
from labctl.workshop.model.seats import chosen
from labctl.workshop.state_store import WorkshopState
from labctl.workshop.up import WorkshopUpOptions, up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from labctl.progress import Steps
    from labctl.workshop.model.file import Workshop
    from labctl.workshop.model.outcome import Removal, Result


def reset(
    workshop: Workshop,
    owner: str,
    seats: Sequence[str],
    steps: Steps,
    *,
    keep: Callable[[], None] = lambda: None,
) -> tuple[Removal, Result | None]:
    """Remove seats with their data and bring them up again: same name, addresses, token and key. Raises LabctlError.

    Each comes back on its own Docker host, whatever else has changed. Returns the outcome of the removal and of the
    `up`; a seat is not brought up unless it was removed, nor removed if it could not come up. `keep` raises
    LabctlError once the workshop's lock is lost.
    """
    fleet = fleets.look(workshop, owner)
    labs = [seat.lab for seat in chosen(fleet.seats, seats)]
    plans.refuse_unplaced(plans.make(fleet), labs)
    kept = {lab: host for lab, host in fleet.existing.items() if lab in labs}
    # As long as the seats are there, their fingerprints tell which seed each card was made from.
    WorkshopState(workshop.name).write_seeds(fleet.seats, fleet.existing, fleet.fingerprints)
    removed = down(workshop, owner, labs, None, steps, for_good=False, keep=keep)
    if not removed.proven:
        return removed, None
    return removed, up(workshop, WorkshopUpOptions(owner, labs=tuple(labs), kept=kept, keep=keep), steps)
