"""Where each seat goes. Placed seats stay where they are; new seats go where there is most room."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from labctl.workshop.model.seats import Seat


@dataclass(frozen=True)
class Placement:
    """`hosts` maps each lab that has a place to its Docker host; `unplaced` are the labs that fit nowhere."""

    hosts: Mapping[str, str]
    unplaced: tuple[str, ...]

    def on(self, host: str) -> list[str]:
        """The labs of a Docker host."""
        return [lab for lab, where in self.hosts.items() if where == host]


def place(
    seats: Iterable[Seat],
    room: Mapping[str, int],
    existing: Mapping[str, str],
    gone: Sequence[str] = (),
    before: Mapping[str, str] | None = None,
) -> Placement:
    """Give each seat a Docker host.

    Args:
        seats: the seats to place, in the order in which they choose.
        room: for each Docker host, how many seats of this workshop it can hold, including those that exist there.
        existing: the existing labs with their Docker hosts. They stay even where there is less room now than they
            take, or none: a running lab is not moved.
        gone: Docker hosts that were given up. Their seats are placed again.
        before: where labs that exist nowhere now were last placed. They go there again where there is room: a
            seat keeps its card, and somebody may be making it there at this moment.
    """
    seats, before = list(seats), before or {}
    placed = {seat.lab: existing[seat.lab] for seat in seats if seat.lab in existing and existing[seat.lab] not in gone}
    taken = Counter(placed.values())
    for seat in seats:
        host = before.get(seat.lab, "")
        if seat.lab not in placed and taken[host] < room.get(host, 0):
            placed[seat.lab] = host
            taken[host] += 1
    unplaced = []
    for seat in seats:
        if seat.lab in placed:
            continue
        # By the share that would be taken, so that large and small hosts fill alike; then by the file's order.
        free = [host for host, size in room.items() if taken[host] < size]
        if not free:
            unplaced.append(seat.lab)
            continue
        best = min(free, key=lambda host: (taken[host] + 1) / room[host])
        placed[seat.lab] = best
        taken[best] += 1
    return Placement({seat.lab: placed[seat.lab] for seat in seats if seat.lab in placed}, tuple(unplaced))
