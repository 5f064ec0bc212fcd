"""`labctl workshop verify`: which labs on which Docker hosts are to be proven apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.errors import LabctlError
from labctl.isolation.verify import Host, host_of
from labctl.workshop.hosts import labs_of
from labctl.workshop.model.seats import chosen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labctl.engine.client import Client
    from labctl.engine.labs import Lab
    from labctl.workshop.model.hosts import Fleet


def docker_hosts(fleet: Fleet, seats: Sequence[str]) -> list[Host]:
    """The Docker hosts with the labs of those seats, or of all. Raises LabctlError where none is there."""
    wanted = {seat.lab for seat in chosen(fleet.seats, seats)}
    labs: dict[int, tuple[Client, list[Lab]]] = {}
    for client, lab in labs_of(fleet):
        if lab.name in wanted:
            labs.setdefault(id(client), (client, []))[1].append(lab)
    if not labs:
        raise LabctlError("No seat is there to look at: `labctl workshop up` brings them up.")
    return [host_of(client, found) for client, found in labs.values()]
