"""The engines of a workshop's Docker hosts, for commands that look at seats or disturb them without Ansible."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.engine import client as engine
from labctl.engine.labs import list_labs
from labctl.engine.ssh_command import Address
from labctl.shared.parallel import each

if TYPE_CHECKING:
    from labctl.engine.client import Client
    from labctl.engine.labs import Lab
    from labctl.errors import LabctlError
    from labctl.workshop.model.file import Host
    from labctl.workshop.model.hosts import Fleet

# A look at a seat mostly waits for its servers.
AT_ONCE = 8


given_up: dict[Host, LabctlError] = {}


def give_up(host: Host, error: LabctlError) -> None:
    """Treat a Docker host as one that does not answer, until `forget_given_up`, so that nothing is done there."""
    given_up[host] = error


def forget_given_up() -> None:
    """Ask every Docker host again."""
    given_up.clear()


def labs_of(fleet: Fleet) -> list[tuple[Client, Lab]]:
    """The labs of the workshop on every Docker host that answers, with its engine. Raises LabctlError."""
    by_host = each(lambda look: _labs_on(look.host, fleet), fleet.reached, AT_ONCE)
    return [pair for here in by_host for pair in here]


def client_of(host: Host) -> Client:
    """The engine of a Docker host. Raises LabctlError where it is not reached, or where it was given up."""
    if host in given_up:
        raise given_up[host]
    if host.local:
        return engine.connect()
    where = Address(host.address, host.user, host.port, host.key, host.known_hosts)
    return engine.connect_to(where, host.name)


def _labs_on(host: Host, fleet: Fleet) -> list[tuple[Client, Lab]]:
    """The labs of that workshop of that owner: somebody else may have made one of that name since the look."""
    client, ours = client_of(host), (fleet.workshop.name, fleet.owner)
    return [(client, lab) for lab in list_labs(client) if (lab.workshop, lab.owner) == ours]
