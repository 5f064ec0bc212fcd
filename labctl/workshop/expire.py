"""`labctl workshop extend` and `expire`: when the Docker hosts remove the workshop by themselves."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from labctl.errors import ExitCode, LabctlError
from labctl.results import ExpiryResult
from labctl.runner import inventory
from labctl.runner.deadlines import DOWN
from labctl.runner.playbook_run import PlaybookRun
from labctl.runner.run import play_each
from labctl.shared import lab_names
from labctl.workshop import survey as fleets
from labctl.workshop.model import expiry
from labctl.workshop.model.inventory import DOCKER_HOSTS, hosts_of
from labctl.workshop.state_store import WorkshopState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from labctl.progress import Steps
    from labctl.runner.playbook_run import TaskEvent
    from labctl.workshop.model.file import Workshop
    from labctl.workshop.model.hosts import Fleet

NEVER = "never"


def extend(
    workshop: Workshop, owner: str, duration: str, steps: Steps, *, keep: Callable[[], None] = lambda: None
) -> ExpiryResult:
    """Let the workshop end that much later. Raises LabctlError.

    `keep` raises it once somebody else holds the lock of the end.
    """
    more = expiry.seconds_of(duration)
    fleet = fleets.look(workshop, owner, by_name=True)
    end = fleet.end()
    if end is None:
        _refuse_silent(fleet, fleet.silent())
        raise LabctlError(
            f"The workshop {workshop.name} has no end that could be moved: "
            f"`labctl workshop expire {duration}` gives it one from now."
        )
    if end + more - time.time() > expiry.LONGEST_SECONDS:
        raise LabctlError(
            f"Cannot extend the workshop {workshop.name} by {duration}: it would end more than a year from now. Give a "
            "shorter time.",
            ExitCode.USAGE,
        )
    keep()
    return _write_down(fleet, owner, end + more, steps)


def expire(
    workshop: Workshop, owner: str, when: str, steps: Steps, *, keep: Callable[[], None] = lambda: None
) -> ExpiryResult:
    """Let the workshop end then, or never. Raises LabctlError.

    `keep` raises it once somebody else holds the lock of the end.
    """
    end = 0 if when == NEVER else expiry.end_of(when, time.time())
    fleet, register = fleets.look(workshop, owner, by_name=True), WorkshopState(workshop.name)
    keep()
    if not end:
        # First: where a host does not answer, the file's end must not come back to those that did.
        register.keep_never(never=True)
    told = _write_down(fleet, owner, end, steps)
    register.keep_never(never=not end)
    return told


def _refuse_silent(fleet: Fleet, silent: Sequence[str]) -> None:
    """Raise LabctlError where one of these Docker hosts did not answer: its labs are unknown."""
    problems = {look.host.name: str(look.problem).rstrip(".") for look in fleet.looks}
    if silent:
        why = "; ".join(f"{host}: {problems[host]}" for host in silent)
        raise LabctlError(
            f"Cannot tell when the workshop {fleet.workshop.name} ends: its Docker hosts do not answer ({why}). Fix "
            "that, then run the same command again."
        )


def _write_down(fleet: Fleet, owner: str, end: int, steps: Steps) -> ExpiryResult:
    """Record an end on every Docker host with seats. Raises LabctlError that names the hosts where that failed."""
    workshop = fleet.workshop
    places = set(fleet.existing.values())
    # A host without seats may still have an end, which would remove labs that come there later.
    hosts = [
        look.host.name
        for look in fleet.reached
        if look.host.name in places or (look.facts and look.facts.has_reaper(workshop.name, owner))
    ]
    silent = [host for host in fleet.silent() if host in places]
    if not places & set(hosts):
        _refuse_silent(fleet, silent)
        raise LabctlError(
            f"The workshop {workshop.name} has no seat on a Docker host that answers: `labctl workshop up` makes them."
        )
    steps.begin("The workshop's end")
    group = hosts_of(workshop)
    group["vars"] |= {
        "workshop_reaper_workshop": workshop.name,
        "workshop_reaper_owner": owner,
        "workshop_reaper_end": end,
    }
    for look in fleet.reached:
        # Any image will do, and a host with seats has one; it need not be the one that the file wants next.
        images = look.facts.read["images"] if look.facts else []
        version = workshop.spec.version if workshop.spec.version in images else next(iter(images), "")
        group["hosts"][look.host.name]["workshop_reaper_image"] = f"raft-labctl/consul:{version}"
    seen, failures = _play(workshop, group, hosts, steps)
    if end and _is_removed(workshop, owner):
        # A `down` beside this command may have looked for an end before there was one.
        group["vars"]["workshop_reaper_end"] = 0
        _, failures = _play(workshop, group, hosts, steps)
        steps.fail()
        if failures:
            why = "; ".join(f"{host}: {error.sentence.rstrip('.')}" for host, error in failures.items())
            raise LabctlError(
                f"The workshop {workshop.name} was removed meanwhile, and its end could not be taken back everywhere "
                f"({why}): `labctl workshop down` removes it when that is fixed."
            )
        raise LabctlError(
            f"The workshop {workshop.name} was removed meanwhile, so it has no end. `labctl workshop up` makes it "
            "again."
        )
    failed = {host: error.sentence for host, error in failures.items()} | dict.fromkeys(silent, "it does not answer")
    if failed:
        steps.fail()
        told = "; ".join(f"{host}: {why}" for host, why in failed.items())
        raise LabctlError(f"The end was not recorded everywhere ({told}): run it again when that is fixed.")
    text = f"ends in {expiry.left_in_words(end - time.time())}" if end else "has no end"
    steps.done(f"The workshop {workshop.name} {text}, on {', '.join(hosts)}")
    changed = any(item.changed for item in seen)
    return ExpiryResult(workshop.name, changed, lab_names.stamp(end) if end else None, tuple(hosts))


def _play(
    workshop: Workshop, group: dict[str, Any], hosts: Sequence[str], steps: Steps
) -> tuple[list[TaskEvent], dict[str, LabctlError]]:
    """Write the end down on Docker hosts."""
    where = inventory.of_workshop(workshop.name, {DOCKER_HOSTS: group}, ",".join(hosts))
    return play_each(PlaybookRun("expiry.yml", where, record="workshop-expiry", seconds=DOWN), steps)


def _is_removed(workshop: Workshop, owner: str) -> bool:
    """Whether all Docker hosts report that no seat is left."""
    fleet = fleets.look(workshop, owner, refuse_two_places=False, by_name=True)
    return not fleet.existing and not fleet.silent()
