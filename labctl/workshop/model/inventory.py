"""The Ansible inventory of a workshop: an inventory host is a seat's lab, its connection is its Docker host.

It holds no secret: a seat's seed is a file on this machine, and the inventory has its path.
"""

from __future__ import annotations

import itertools
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labctl.errors import ExitCode, LabctlError
from labctl.shared.templates import Template
from labctl.workshop.model.file import LOCAL, Host

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping
    from pathlib import Path

    from labctl.workshop.model.file import Workshop
    from labctl.workshop.model.seats import Seat

LABS = "labs"
DOCKER_HOSTS = "docker_hosts"
IMAGE_HOSTS = "image_hosts"
"""The one host that has the image, or makes it for the others; it may be this machine, even without seats."""
# A host that does not answer must not hold up the others for minutes; an unknown host key is never prompted for.
_SSH = "-o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=10 "
_SSH += "-o ServerAliveInterval=4 -o ServerAliveCountMax=3"
# At most this many labs are worked on at once. Over SSH, sshd begins to refuse the eleventh connection that has not
# logged in (MaxStartups). A lab on this machine waits for its turn and its election in a sleeping process of 12 MB.
_FORKS_OVER_SSH = 10
_MOST_FORKS_HERE = 50
# The Python that runs Ansible has all that our modules need.
_THIS_PYTHON = Template("{{ ansible_playbook_python }}")


@dataclass(frozen=True)
class InventorySettings:
    """The settings of an inventory besides the file.

    Attributes:
        owner: the labs' owner.
        seeds: the folder with the seats' seeds.
        version: of Consul, where it is known already; None leaves it to each host's image.
        end: when the workshop ends, in seconds since 1970; None for never.
        maker: the Docker host that has the image or makes it; LOCAL also where no seat is on this machine.
    """

    owner: str
    seeds: Path
    version: str | None
    end: int | None = None
    maker: str = LOCAL


def inventory_of(
    workshop: Workshop, seats: Iterable[Seat], placed: Mapping[str, str], means: InventorySettings
) -> dict[str, Any]:
    """The inventory, as Ansible's YAML has it.

    Args:
        workshop: as its file describes it.
        seats: those that are in it.
        placed: each lab's Docker host, by name; a seat without one is left out.
        means: the owner and the place of the secrets.

    Raises:
        LabctlError (usage): a Docker host has the name of a lab.
    """
    seats = [seat for seat in seats if seat.lab in placed]
    refuse_same_names(workshop, (seat.lab for seat in seats))
    children: dict[str, Any] = {}
    for host in workshop.hosts:
        labs = {seat.lab: _lab(seat, means.seeds) for seat in seats if placed[seat.lab] == host.name}
        if labs:
            known = means.version or Template(f"{{{{ hostvars[{host.name!r}].consul_image_consul_version }}}}")
            children[_group(host.name, children)] = {
                "hosts": labs,
                "vars": {**connection_of(host), "consul_lab_version": known},
            }
    return {
        LABS: {"children": children, "vars": _settings(workshop, means.owner)},
        DOCKER_HOSTS: _ending(hosts_of(workshop), workshop, means),
        IMAGE_HOSTS: image_host(workshop, means.maker),
    }


def refuse_same_names(workshop: Workshop, labs: Iterable[str]) -> None:
    """Raise LabctlError (usage) where a Docker host has the name of a lab: to Ansible the two would be one."""
    if both := {host.name for host in workshop.hosts} & set(labs):
        raise LabctlError(
            f"{min(both)} is the name of a Docker host and of a lab: give the host another `name`.",
            ExitCode.USAGE,
        )


def forks_for(places: Mapping[str, str], hosts: Iterable[Host]) -> int:
    """How many labs Ansible works on at once, from where each is placed and the Docker hosts of the file."""
    local = {host.name for host in hosts if host.local}
    here = sum(where in local for where in places.values())
    return min(here, _MOST_FORKS_HERE) + _FORKS_OVER_SSH * len(set(places.values()) - local)


def image_host(workshop: Workshop, maker: str) -> dict[str, Any]:
    """The group of the one host that has the image, or makes it."""
    host = next((each_host for each_host in workshop.hosts if each_host.name == maker), Host(LOCAL, LOCAL))
    group = hosts_of(workshop)
    return {"hosts": {host.name: connection_of(host)}, "vars": group["vars"]}


def hosts_of(workshop: Workshop) -> dict[str, Any]:
    """The group of Docker hosts, each once, with the variables for making the image."""
    image = {"consul_image_source": workshop.image_source}
    if workshop.spec.version:
        image["consul_image_version"] = workshop.spec.version
    return {"hosts": {host.name: connection_of(host) for host in workshop.hosts}, "vars": image}


def _ending(group: dict[str, Any], workshop: Workshop, means: InventorySettings) -> dict[str, Any]:
    """The group of Docker hosts with the workshop's end; without an end, it is left out."""
    if means.end is None:
        return group
    end = {
        "workshop_reaper_workshop": workshop.name,
        "workshop_reaper_owner": means.owner,
        "workshop_reaper_end": means.end,
    }
    if means.version:
        end["workshop_reaper_image"] = f"raft-labctl/consul:{means.version}"
    return {**group, "vars": {**group["vars"], **end}}


def connection_of(host: Host) -> dict[str, Any]:
    """How Ansible reaches a Docker host."""
    if host.local:
        return {"ansible_connection": "local", "ansible_python_interpreter": _THIS_PYTHON}
    ssh = _SSH + (f" -o {_quoted(host.known_hosts)}" if host.known_hosts else "")
    given = {
        "ansible_host": host.address,
        "ansible_user": host.user,
        "ansible_port": host.port,
        "ansible_ssh_private_key_file": _escaped(host.key) if host.key else None,
        "ansible_ssh_common_args": ssh,
        "ansible_python_interpreter": "auto_silent",
        # There, in that user's home: labctl's own folder is one of this machine, and not that user's to make.
        "ansible_remote_tmp": "~/.ansible/tmp",
    }
    return {name: value for name, value in given.items() if value is not None}


def _settings(workshop: Workshop, owner: str) -> dict[str, Any]:
    return {
        "consul_lab_owner": owner,
        "consul_lab_workshop": workshop.name,
        # The version is the image's, and the port the seat's.
        **{name: value for name, value in workshop.spec.to_inventory().items() if name.startswith("consul_lab_")},
    }


def _lab(seat: Seat, seeds: Path) -> dict[str, Any]:
    return {
        "consul_lab_name": seat.lab,
        "consul_lab_seat": seat.name,
        "consul_lab_seat_number": seat.number,
        "consul_lab_subnet": str(seat.subnet),
        "consul_lab_http_port": seat.http_port,
        "consul_lab_seed_file": str(seeds / f"{seat.lab}.seed"),
    }


def _group(host: str, taken: Container[str]) -> str:
    """A Docker host's group, which Ansible wants to be a word: `a.b` and `a-b` must not become one."""
    first = f"on_{re.sub(r'[^a-z0-9]', '_', host.lower())}"
    names = (f"{first}_{number}" if number > 1 else first for number in itertools.count(1))
    return next(name for name in names if name not in taken)


def _quoted(path: Path) -> str:
    """The file of known hosts as one of SSH's arguments: Ansible splits them as a shell, ssh at blanks."""
    return shlex.quote(f'UserKnownHostsFile="{_escaped(path)}"')


def _escaped(path: Path) -> str:
    """A path in which ssh expands nothing."""
    return str(path).replace("%", "%%")
