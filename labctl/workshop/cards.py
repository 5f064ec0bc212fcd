"""`labctl workshop cards`: the attendees' cards, with the secrets that their seats really have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from labctl.errors import LabctlError
from labctl.workshop import survey as fleets
from labctl.workshop.model import plan as plans
from labctl.workshop.model.cards import Card, card_of, way_to
from labctl.workshop.model.seats import chosen
from labctl.workshop.state_store import WorkshopState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from labctl.workshop.model.file import Workshop
    from labctl.workshop.model.hosts import Fleet
    from labctl.workshop.model.seats import Seat


@dataclass(frozen=True)
class CardRequest:
    """The user's request, besides the file.

    Attributes:
        owner: the workshop's owner.
        seats: only these; all where none is named.
        login: the attendees' login on the Docker hosts; None for the usual one.
        address: where attendees find this machine with SSH; None where they sit at it.
    """

    owner: str
    seats: tuple[str, ...] = ()
    login: str | None = None
    address: str | None = None


@dataclass(frozen=True)
class Cards:
    """The cards in the order of the seats' numbers; `unsettled` are the seats that `up` may yet place elsewhere."""

    cards: tuple[Card, ...]
    unsettled: tuple[str, ...]


def cards_of(workshop: Workshop, wish: CardRequest, look: Callable[..., Fleet] = fleets.look) -> Cards:
    """The cards of the seats that are named, or of all.

    Raises:
        LabctlError: a seat fits nowhere, or its secret is not known here.
    """
    ways = {host.name: way_to(host, wish.login, wish.address) for host in workshop.hosts}
    register = WorkshopState(workshop.name)
    with register.placing():
        fleet = look(workshop, wish.owner)
        seats = chosen(fleet.seats, wish.seats)
        plan = plans.make(fleet)
        if any(seat.lab in plan.placement.unplaced for seat in seats):
            plans.refuse_unplaced(plan)
        if fleet.fingerprints:
            register.note_unknown_secrets(fleet.fingerprints)
        _refuse_unknown_secrets(register, fleet, seats)
        register.keep_numbers(fleet.seats)
        seeds = {seat.lab: register.seed(seat.lab, fleet.fingerprints.get(seat.lab)) for seat in seats}
    places = plan.placement.hosts
    made = (card_of(workshop, seat, ways[places[seat.lab]], seeds[seat.lab]) for seat in seats)
    new = (seat.name for seat in seats if seat.lab not in fleet.existing and len(workshop.hosts) > 1)
    return Cards(tuple(made), tuple(new))


def _refuse_unknown_secrets(register: WorkshopState, fleet: Fleet, seats: Sequence[Seat]) -> None:
    """Refuse to print made-up secrets, and to make a secret that another machine may have."""
    strangers = register.seats_with_unknown_secret(fleet.existing, fleet.fingerprints)
    wanted = {seat.lab for seat in seats}
    if not strangers or (register.has_secret() and not wanted & set(strangers)):
        return
    example = next((lab for lab in strangers if lab in wanted), strangers[0])
    raise LabctlError(
        f"The secret of {len(strangers)} {'seat' if len(strangers) == 1 else 'seats'} of the workshop "
        f"{register.workshop}, such as {example}, is not on this machine, so no true card can be made: put your copy "
        f"back with `labctl workshop secret --input FILE`, or as {register.secret_file}; where there is no copy, "
        "`labctl workshop reset SEAT` gives a seat a new card."
    )
