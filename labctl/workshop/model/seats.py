"""The seats of a workshop, and what is derived from each one's name and number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from labctl.errors import ExitCode, LabctlError
from labctl.shared import label_values
from labctl.workshop.model import network

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Mapping
    from ipaddress import IPv4Network

    from labctl.workshop.model.file import Workshop

PORTS_PER_SEAT = 8
"""A lab has at most seven servers, each with one HTTP port."""


@dataclass(frozen=True)
class Seat:
    """One attendee's lab.

    Attributes:
        number: counts from 1; addresses and ports are derived from it.
        name: `07`, or a name that the file gives.
        lab: the lab's name, which is Consul's datacenter too; the seat's secrets are derived from it.
        subnet: the lab's own /28.
        http_port: of the first server on the Docker host's loopback; 0 where Docker chooses.
    """

    number: int
    name: str
    lab: str
    subnet: IPv4Network
    http_port: int


def seats_of(workshop: Workshop, known: Mapping[str, int], there: Container[str] = ()) -> list[Seat]:
    """The seats of a workshop, in the order of their numbers.

    Args:
        workshop: as its file describes it.
        known: numbers of names that were given before, here or to existing seats. A name keeps its number when
            others before it are taken out of the file, and a number is never given to another name.
        there: names of existing seats, even if the file no longer has them.

    Raises:
        LabctlError (usage): there are more names than the network has room for, including those of the past.
        LabctlError (refused): two seats have the same number, and so the same addresses, ports and card.
    """
    numbers = _numbers(workshop, known)
    _refuse_doubled(workshop, {name: number for name, number in known.items() if name in there} | numbers)
    room = min(network.seats_in(workshop.network), label_values.MOST_SEATS)
    beyond = [name for name, number in numbers.items() if number > room]
    if beyond:
        raise LabctlError(
            f"The workshop {workshop.name} has given {len(known)} names their numbers, and its network "
            f"{workshop.network} has room for {room}, so none is left for {beyond[0]}: give it a larger network.",
            ExitCode.USAGE,
        )
    return [seat(workshop, name, number) for name, number in sorted(numbers.items(), key=lambda item: item[1])]


def seat(workshop: Workshop, name: str, number: int) -> Seat:
    """The seat for a name and a number."""
    port = workshop.http_port and workshop.http_port + (number - 1) * PORTS_PER_SEAT
    return Seat(number, name, lab_of(workshop.name, name), network.subnet_of(workshop.network, number), port)


def lab_of(workshop: str, seat: str) -> str:
    """The lab of a seat."""
    return f"{workshop}-{seat}"


def doubled(numbers: Mapping[str, int]) -> tuple[str, str] | None:
    """Two names that have the same number, or None.

    A name that is just a number, such as 07, comes from a file without names, and takes no number from a name of
    the past.
    """
    names: dict[int, str] = {}
    for name, number in numbers.items():
        if name != numbered(number) and names.setdefault(number, name) != name:
            return names[number], name
    return None


def numbered(number: int) -> str:
    """The name of a seat in a file that gives only how many there are."""
    return f"{number:02d}"


def _refuse_doubled(workshop: Workshop, numbers: Mapping[str, int]) -> None:
    names: dict[int, str] = {}
    for name, number in numbers.items():
        other = names.setdefault(number, name)
        if other != name:
            raise LabctlError(
                f"The seats {other} and {name} of the workshop {workshop.name} have both the number {number}, and so "
                "the same addresses and ports: remove the lab of one of them with `labctl workshop down SEAT`, then "
                "run this again; that seat gets another number and needs a new card.",
                ExitCode.REFUSED,
            )


def _numbers(workshop: Workshop, known: Mapping[str, int]) -> dict[str, int]:
    if workshop.names is None:
        return {numbered(number): number for number in range(1, workshop.seats + 1)}
    taken = set(known.values())
    free = (number for number in range(1, len(workshop.names) + len(taken) + 1) if number not in taken)
    return {name: known[name] if name in known else next(free) for name in workshop.names}


def chosen(seats: Iterable[Seat], wanted: Iterable[str]) -> list[Seat]:
    """The seats that a user named, by name, lab or number; all where none is named. Raises LabctlError (usage)."""
    seats, wanted = list(seats), list(wanted)
    if not wanted:
        return seats
    asked = set()
    for word in wanted:
        lab = meant(word, labs_of(word, seats))
        if lab is None:
            have = f"{seats[0].name} to {seats[-1].name}" if len(seats) > 1 else seats[0].name
            raise LabctlError(f"The workshop has no seat {word!a}: its seats are {have}.", ExitCode.USAGE)
        asked.add(lab)
    return [each_seat for each_seat in seats if each_seat.lab in asked]


def labs_of(word: str, seats: Iterable[Seat]) -> list[str]:
    """The labs that a word can mean: a seat's name, its lab's or its number.

    A word that the file gives as a seat's name is no number of another: with names, nobody thinks of numbers.
    """
    seats = list(seats)
    named = [each_seat.lab for each_seat in seats if each_seat.name == word]
    labs = [*named, *(each_seat.lab for each_seat in seats if each_seat.lab == word)]
    if not named:
        labs += [each_seat.lab for each_seat in seats if str(each_seat.number) == word]
    return sorted(set(labs))


def meant(word: str, labs: Collection[str]) -> str | None:
    """The one lab that a word means; None where it means none. Raises LabctlError (usage) where it means several."""
    if len(labs) > 1:
        raise LabctlError(
            f"{word!a} can mean the labs {' and '.join(sorted(labs))}: name the one you mean by another of its names, "
            "which are the seat's name, the lab's and the seat's number.",
            ExitCode.USAGE,
        )
    return next(iter(labs), None)
