"""Look at all Docker hosts of a workshop at once: what each has and which seats live there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from labctl.errors import ExitCode, LabctlError
from labctl.flows.play import play_each
from labctl.flows.workshop.register import Register
from labctl.portable import host_facts
from labctl.portable.docker_api import DockerError, Engine
from labctl.provision import inventory
from labctl.provision.run import PlaybookRun
from labctl.workshop import seats as seat_rules
from labctl.workshop.capacity import Facts, problem_of
from labctl.workshop.fleet import Fleet, HostLook
from labctl.workshop.inventory import DOCKER_HOSTS, hosts_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from labctl.show.steps import Steps
    from labctl.workshop.file import Host, Workshop

ASK_SECONDS = 15.0


def look(workshop: Workshop, owner: str, steps: Steps, *, refuse_two_places: bool = True) -> Fleet:
    """Ask every Docker host, in parallel.

    Raises LabctlError (refused) where the workshop is somebody else's, and where a seat lives twice.
    """
    facts, lost = _ask(workshop, steps)
    looks = []
    for host in workshop.hosts:
        found = facts.get(host.name)
        looks.append(HostLook(host, found, problem_of(found) if found else lost.get(host.name, "it told nothing")))
    existing: dict[str, str] = {}
    numbers: dict[str, int] = {}
    register = Register(workshop.name)
    for one in looks:
        for lab in one.facts.of_workshop(workshop.name) if one.facts else ():
            _refuse_foreign(workshop, lab, one.host, owner)
            if refuse_two_places:
                _refuse_two_places(lab["lab"], existing, one.host)
            existing[lab["lab"]] = one.host.name
            if lab.get("seat") and str(lab.get("number")).isdecimal():
                numbers[lab["seat"]] = int(lab["number"])
    # Nobody can say what lives on a host that tells nothing: its seats are lost, not free to be made again elsewhere.
    silent = {one.host.name for one in looks if one.facts is None}
    remembered = {lab: host for lab, host in register.places().items() if host in silent}
    existing = remembered | existing
    wanted = seat_rules.seats_of(workshop, register.numbers() | numbers)
    return Fleet(workshop, tuple(looks), tuple(wanted), existing)


def _refuse_foreign(workshop: Workshop, lab: Mapping[str, Any], host: Host, owner: str) -> None:
    other = lab.get("owner")
    if other != owner:
        raise LabctlError(
            f"The workshop {workshop.name} on the Docker host {host.name} belongs to {other}, not to {owner}, so "
            f"nothing was changed: give yours another name, or set LABCTL_OWNER={other} if that is you.",
            ExitCode.REFUSED,
        )


def _refuse_two_places(lab: str, existing: Mapping[str, str], host: Host) -> None:
    if lab in existing:
        raise LabctlError(
            f"The seat {lab} lives on two Docker hosts, {existing[lab]} and {host.name}, as after a host that was lost "
            f"came back: remove one of them, with `labctl workshop down --host {host.name} {lab}`.",
            ExitCode.REFUSED,
        )


def _ask(workshop: Workshop, steps: Steps) -> tuple[dict[str, Facts], dict[str, str]]:
    """The facts of each host that told them, and why the others did not."""
    facts: dict[str, Facts] = {}
    lost: dict[str, str] = {}
    for host in workshop.hosts:
        if host.local:
            facts[host.name] = Facts(host_facts.read(Engine(ASK_SECONDS), (DockerError,)))
    remote = [host for host in workshop.hosts if not host.local]
    if not remote:
        return facts, lost
    begun = time.time()
    own = {DOCKER_HOSTS: hosts_of(workshop)}
    limit = ",".join(host.name for host in remote)
    run = PlaybookRun("hosts.yml", inventory.of_workshop(workshop.name, own, limit), record="workshop-hosts")
    results, failures = play_each(run, steps)
    for item in results:
        if item.result and "facts" in item.result:
            read = item.result["facts"]
            # The answer was written between the run's begin and its arrival; a host is not blamed for the way.
            late, early = read["clock"] - item.at, read["clock"] - begun
            facts[item.host] = Facts(read, late if late > 0 else min(early, 0.0))
    lost |= {host: error.sentence for host, error in failures.items()}
    return facts, lost
