"""What was found on the Docker hosts of a workshop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from labctl.workshop.model.capacity import Facts
    from labctl.workshop.model.file import Host, Workshop
    from labctl.workshop.model.seats import Seat


@dataclass(frozen=True)
class HostLook:
    """One Docker host: its facts, or why there are none. `problem` is also set where it can hold no seat."""

    host: Host
    facts: Facts | None
    problem: str | None


@dataclass(frozen=True)
class Fleet:
    """All Docker hosts of a workshop, and its seats.

    Attributes:
        workshop: as its file describes it.
        looks: what was found on each host, in the file's order.
        seats: the seats that the file wants.
        existing: the labs of the workshop that are somewhere, with their Docker host, seats that the file no longer
            has included. For a host that does not answer, those that were placed there.
        before: where the labs were placed the last time, also those that are nowhere now.
        owner: whose the workshop is.
    """

    workshop: Workshop
    looks: tuple[HostLook, ...]
    seats: tuple[Seat, ...]
    existing: Mapping[str, str]
    before: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""

    @property
    def reached(self) -> list[HostLook]:
        """The hosts that told their facts."""
        return [look for look in self.looks if look.facts is not None]

    def surplus(self) -> list[str]:
        """Labs of the workshop that its file no longer has."""
        wanted = {seat.lab for seat in self.seats}
        return sorted(lab for lab in self.existing if lab not in wanted)

    def silent(self) -> list[str]:
        """The Docker hosts that told nothing."""
        return [look.host.name for look in self.looks if look.facts is None]

    def end(self) -> int | None:
        """When the workshop ends, in seconds since 1970: what the Docker hosts wait for; None where none does."""
        name = self.workshop.name
        ends = [look.facts.end_of(name, self.owner) for look in self.looks if look.facts is not None]
        return max((end for end in ends if end is not None), default=None)
