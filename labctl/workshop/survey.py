"""Survey all Docker hosts of a workshop at once: what each has and which seats live there."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from labctl.engine import host_survey
from labctl.errors import ExitCode, LabctlError
from labctl.shared import label_values
from labctl.shared.parallel import each
from labctl.workshop.hosts import AT_ONCE, client_of
from labctl.workshop.model import seats as seat_rules
from labctl.workshop.model.capacity import Facts, problem_of
from labctl.workshop.model.hosts import Fleet, HostLook
from labctl.workshop.state_store import WorkshopState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from labctl.workshop.model.file import Host, Workshop


Ask = Callable[["Host"], "tuple[Facts | None, str | None]"]
"""Gives a Docker host's facts, or why there are none."""


@dataclass(frozen=True)
class Survey:
    """How the Docker hosts of a workshop are asked."""

    ask: Ask | None = None

    def look(self, workshop: Workshop, owner: str) -> Fleet:
        """Ask every Docker host, as `look` does."""
        return look(workshop, owner, ask=self.ask)


SURVEY = Survey()


def look(
    workshop: Workshop,
    owner: str,
    *,
    refuse_two_places: bool = True,
    by_name: bool = False,
    ask: Ask | None = None,
) -> Fleet:
    """Ask every Docker host, in parallel.

    `by_name` is for commands that only use the labs' names, to remove them or move their end. They need no numbers:
    where these are unknown, the fleet has no seats, and its labs can still be removed.

    Raises LabctlError (refused) where the workshop is somebody else's, and where a seat lives twice.
    """
    looks = [
        HostLook(host, facts, problem_of(facts) if facts else problem)
        for host, (facts, problem) in zip(workshop.hosts, each(ask or ask_host, workshop.hosts, AT_ONCE), strict=True)
    ]
    existing: dict[str, str] = {}
    fingerprints: dict[str, str] = {}
    numbers: dict[str, int] = {}
    register = WorkshopState(workshop.name)
    for look_host in looks:
        if not by_name:
            _refuse_threat(workshop, look_host, owner)
        for lab in look_host.facts.of_workshop(workshop.name) if look_host.facts else ():
            _refuse_foreign(workshop, lab, look_host.host, owner)
            if refuse_two_places:
                _refuse_two_places(lab["lab"], existing, look_host.host)
            existing[lab["lab"]] = look_host.host.name
            if lab.get("seed"):
                fingerprints[lab["lab"]] = lab["seed"]
            number = label_values.seat_number(lab.get("number"))
            if number is not None and lab["lab"] == seat_rules.lab_of(workshop.name, lab.get("seat", "")):
                numbers[lab["seat"]] = number
    # The labs on a host that does not answer are unknown: its seats are lost, not free to be made again elsewhere.
    silent = {look_host.host.name for look_host in looks if look_host.facts is None}
    places = register.places()
    remembered = {lab: host for lab, host in places.items() if host in silent}
    existing = remembered | existing
    there = {*numbers, *(lab.removeprefix(f"{workshop.name}-") for lab in existing)}
    try:
        wanted = seat_rules.seats_of(workshop, _numbers(register.numbers(), numbers), there)
    except LabctlError:
        if not by_name:
            raise
        wanted = []
    workshop = _of_one_version(workshop, looks)
    return Fleet(workshop, tuple(looks), tuple(wanted), existing, places, owner, fingerprints)


def _numbers(kept: Mapping[str, int], labelled: Mapping[str, int]) -> dict[str, int]:
    """The numbers of seats' names, as the labs there have them.

    Except for one that is known to belong to another name, if the owner of the lab's own number is known. If not, two
    seats get one number, and the code that makes the seats refuses that.
    """
    numbers = dict(kept)
    for name, number in sorted(labelled.items()):
        if name not in kept or number not in numbers.values():
            numbers[name] = number
    return numbers


def _of_one_version(workshop: Workshop, looks: Iterable[HostLook]) -> Workshop:
    """The workshop with the version that its seats have, where its file leaves that open.

    A newer image on a host must not cause every seat to be rebuilt in the middle of a lesson.
    """
    labs = [lab for host in looks if host.facts for lab in host.facts.of_workshop(workshop.name)]
    versions = Counter(lab["consul-version"] for lab in labs if lab.get("consul-version"))
    if workshop.spec.version or not versions:
        return workshop
    return replace(workshop, spec=replace(workshop.spec, version=versions.most_common(1)[0][0]))


def _refuse_foreign(workshop: Workshop, lab: Mapping[str, Any], host: Host, owner: str) -> None:
    other = lab.get("owner")
    if other != owner:
        raise LabctlError(
            f"The workshop {workshop.name} on the Docker host {host.name} belongs to {other}, not to {owner}, so "
            f"nothing was changed: give yours another name, or set LABCTL_OWNER={other} if that is you.",
            ExitCode.REFUSED,
        )


def _refuse_threat(workshop: Workshop, host: HostLook, owner: str) -> None:
    other = host.facts.threat_of(workshop.name, owner) if host.facts else None
    if other is not None:
        raise LabctlError(
            f"{other} has a workshop {workshop.name} on the Docker host {host.host.name}, too; its end, which an older "
            f"labctl wrote down, would remove the labs of {owner} with it, so nothing was changed: give yours another "
            f"name, or let {other} run `labctl workshop up` with this version of labctl.",
            ExitCode.REFUSED,
        )


def _refuse_two_places(lab: str, existing: Mapping[str, str], host: Host) -> None:
    if lab in existing:
        raise LabctlError(
            f"The seat {lab} lives on two Docker hosts, {existing[lab]} and {host.name}, as after a host that was lost "
            f"came back: remove one of them, with `labctl workshop down --host {host.name} {lab}`.",
            ExitCode.REFUSED,
        )


def ask_host(host: Host) -> tuple[Facts | None, str | None]:
    """A Docker host's facts, or why there are none."""
    begun = time.time()
    try:
        read = host_survey.read(client_of(host))
    except LabctlError as error:
        return None, error.sentence.rstrip(".")
    if read["clock"] is None:
        return Facts(read), None
    # The clock was read in between, in whole seconds: do not blame a host for latency or rounding.
    late, early = read["clock"] - time.time(), read["clock"] + 1 - begun
    return Facts(read, late if late > 0 else min(early, 0.0)), None
