"""Does a workshop fit, where does each seat go, and which resource is the limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from labctl.errors import ExitCode, LabctlError
from labctl.workshop.model.capacity import Room, room_of
from labctl.workshop.model.capacity import obstacles as in_the_way
from labctl.workshop.model.placement import Placement, place

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from labctl.workshop.model.hosts import Fleet, HostLook


@dataclass(frozen=True)
class Plan:
    """Where each seat goes, how many each host holds, and what is in the way.

    Attributes:
        fleet: the survey that it was made from.
        rooms: for each host that can hold seats, how many, and which resource is the limit.
        placement: which seat goes where.
        obstacles: for labs that have a place, what is in their way there, as a sentence without its end.
    """

    fleet: Fleet
    rooms: Mapping[str, Room]
    placement: Placement
    obstacles: Mapping[str, str]

    def usable(self) -> list[HostLook]:
        """The Docker hosts that have seats and can be worked on."""
        return [
            look
            for look in self.fleet.looks
            if look.facts is not None and look.problem is None and self.placement.on(look.host.name)
        ]

    @property
    def fits(self) -> bool:
        """Whether every seat has a place where nothing is in its way, as far as the hosts answered."""
        return not (self.placement.unplaced or self.obstacles or self.unknown)

    @property
    def unknown(self) -> dict[str, str]:
        """The seats on a Docker host that does not answer, each with that host."""
        silent = set(self.fleet.silent())
        hosts = ((seat.lab, self.placement.hosts.get(seat.lab, "")) for seat in self.fleet.seats)
        return {lab: host for lab, host in hosts if host in silent}

    def staying(self) -> list[str]:
        """The labs that exist and stay where they are."""
        return [lab for lab, host in self.fleet.existing.items() if self.placement.hosts.get(lab, host) == host]


def make(fleet: Fleet, *, replaced: Sequence[str] = (), kept: Mapping[str, str] | None = None) -> Plan:
    """Plan a workshop. Seats that exist stay where they are, but for those on `replaced` hosts, which are given up.

    Those that are `kept` stay on their Docker hosts as if they existed.
    """
    workshop = fleet.workshop
    rooms = {
        look.host.name: room_of(workshop, look.facts, look.host.most)
        for look in fleet.looks
        if look.facts is not None and look.problem is None and look.host.name not in replaced
    }
    room = {host: places.seats for host, places in rooms.items()}
    placement = place(fleet.seats, room, {**(kept or {}), **fleet.existing}, replaced, fleet.before)
    by_lab = {seat.lab: seat for seat in fleet.seats}
    obstacles: dict[str, str] = {}
    for look in fleet.looks:
        if look.host.name in rooms and look.facts is not None:
            here = [by_lab[lab] for lab in placement.on(look.host.name)]
            obstacles |= in_the_way(workshop, look.facts, here)
    return Plan(fleet, rooms, placement, obstacles)


def lost(plan: Plan) -> dict[str, str]:
    """The seats on a host that can do nothing for them now, with the reason."""
    problems = {look.host.name: look.problem for look in plan.fleet.looks if look.problem is not None}
    return {
        lab: f"its Docker host {host} cannot be used: {problems[host]}"
        for lab, host in plan.placement.hosts.items()
        if host in problems
    }


def unplaced_words(plan: Plan, count: int) -> str:
    """How many seats have no place; a Docker host that does not answer may have room, or have them."""
    where = "have no place on the Docker hosts that answer" if plan.fleet.silent() else "fit nowhere"
    return f"{count} of {len(plan.fleet.seats)} seats {where}"


def room_for(plan: Plan) -> str:
    """What gives such seats a place."""
    silent = plan.fleet.silent()
    first = f"make {' and '.join(silent)} answer, " if silent else ""
    return f"{first}add a Docker host, or take fewer seats"


def refuse_unplaced(plan: Plan, wanted: Container[str] | None = None) -> None:
    """Raise LabctlError (refused) where a wanted lab has no place; all are wanted where none is named."""
    unplaced = [lab for lab in plan.placement.unplaced if wanted is None or lab in wanted]
    if not unplaced:
        return
    whole = "; ".join(
        f"{look.host.name}: {look.problem}"
        if look.problem
        else f"{look.host.name} holds {plan.rooms[look.host.name].seats}, for its {plan.rooms[look.host.name].binds}"
        for look in plan.fleet.looks
    )
    raise LabctlError(
        f"{unplaced_words(plan, len(unplaced))} ({whole}): {room_for(plan)}; `labctl workshop plan` shows it whole, "
        "and nothing was changed.",
        ExitCode.REFUSED,
    )
