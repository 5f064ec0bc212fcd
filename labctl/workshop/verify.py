"""`labctl workshop verify`: which labs on which Docker hosts to test for isolation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.errors import LabctlError
from labctl.isolation.verify import Host, host_of
from labctl.shared.words import counted
from labctl.workshop.hosts import labs_of
from labctl.workshop.model.seats import chosen

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from labctl.engine.client import Client
    from labctl.engine.labs import Lab
    from labctl.workshop.model.hosts import Fleet


def docker_hosts(fleet: Fleet, seats: Sequence[str]) -> list[Host]:
    """The Docker hosts with the labs of those seats, or of all.

    Raises LabctlError where none exists, or where one cannot be inspected: a proof without it would be none.
    """
    wanted = {seat.lab for seat in chosen(fleet.seats, seats)}
    _refuse_silent(fleet, wanted)
    labs: dict[int, tuple[Client, list[Lab]]] = {}
    for client, lab in labs_of(fleet):
        if lab.name in wanted:
            labs.setdefault(id(client), (client, []))[1].append(lab)
    if not labs:
        raise LabctlError("No seat is there to look at: `labctl workshop up` brings them up.")
    return [host_of(client, each_lab) for client, each_lab in labs.values()]


def _refuse_silent(fleet: Fleet, wanted: Collection[str]) -> None:
    problems = {look.host.name: look.problem for look in fleet.looks if look.facts is None}
    lost = {lab: host for lab, host in fleet.existing.items() if lab in wanted and host in problems}
    if not lost:
        return
    why = "; ".join(f"{host}: {str(problems[host]).rstrip('.')}" for host in sorted(set(lost.values())))
    raise LabctlError(
        f"Cannot prove that no seat reaches another: {counted(len(lost), 'seat')} of them "
        f"{'is' if len(lost) == 1 else 'are'} on Docker hosts that do not answer ({why}). Fix that, or name the seats "
        "on the other hosts."
    )
