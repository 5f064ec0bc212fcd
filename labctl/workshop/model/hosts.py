"""The survey's results: the Docker hosts of a workshop and its seats."""

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
        looks: the result for each host, in the file's order.
        seats: the seats that the file wants.
        existing: the existing labs of the workshop with their Docker hosts, even of seats no longer in the file. For
            a host that does not answer, the labs that were placed there.
        before: where the labs were placed last time, even if they exist nowhere now.
        owner: the workshop's owner.
        fingerprints: of the existing labs' seeds, as far as their Docker hosts know them.
    """

    workshop: Workshop
    looks: tuple[HostLook, ...]
    seats: tuple[Seat, ...]
    existing: Mapping[str, str]
    before: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    @property
    def reached(self) -> list[HostLook]:
        """The hosts that answered."""
        return [look for look in self.looks if look.facts is not None]

    def surplus(self) -> list[str]:
        """Labs of the workshop that its file no longer has."""
        wanted = {seat.lab for seat in self.seats}
        return sorted(lab for lab in self.existing if lab not in wanted)

    def silent(self) -> list[str]:
        """The Docker hosts that did not answer."""
        return [look.host.name for look in self.looks if look.facts is None]

    def end(self) -> int | None:
        """When the workshop ends, in seconds since 1970, as its Docker hosts have it; None where none has an end."""
        name = self.workshop.name
        ends = [look.facts.end_of(name, self.owner) for look in self.looks if look.facts is not None]
        return max((end for end in ends if end is not None), default=None)
