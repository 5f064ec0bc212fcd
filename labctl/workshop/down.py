"""`labctl workshop down`: remove seats, and prove on every Docker host that nothing of them is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labctl.errors import ExitCode, LabctlError
from labctl.runner import deadlines, inventory
from labctl.runner.playbook_run import PlaybookRun
from labctl.runner.run import play_each
from labctl.workshop import survey as fleets
from labctl.workshop.model.inventory import DOCKER_HOSTS, LABS, connection_of, forks_for, refuse_same_names
from labctl.workshop.model.outcome import Removal
from labctl.workshop.model.seats import labs_of, meant
from labctl.workshop.seat_locks import SeatLocks
from labctl.workshop.state_store import WorkshopState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from labctl.progress import Steps
    from labctl.workshop.model.file import Workshop
    from labctl.workshop.model.hosts import Fleet, HostLook

PASSES = 3
"""How often to remove labs that are still there, or there again."""


def down(  # noqa: PLR0913 - what, whose, where, whether it comes back, and who agrees
    workshop: Workshop,
    owner: str,
    wanted: Sequence[str],
    host: str | None,
    steps: Steps,
    *,
    for_good: bool = True,
    agrees: Callable[[str], bool] = lambda _: True,
    keep: Callable[[], None] = lambda: None,
) -> Removal:
    """Remove the seats that are named, or all; with `host`, only there. Raises LabctlError.

    The workshop's end goes with the last lab of a Docker host; not where labs come back, so are not gone `for_good`.
    Such labs are not named by a user, so `wanted` has labs and nothing that could be a seat's name or number.

    `agrees` asks the user before unnamed seats are removed; True where they say yes, or were told not to be asked.
    `keep` raises LabctlError once the workshop's lock is lost, so that nothing may be removed.
    """
    steps.begin("Docker hosts: looking for seats")
    fleet = fleets.look(workshop, owner, refuse_two_places=host is None, by_name=True)
    labs = (
        chosen(fleet, wanted, host)
        if for_good
        else {lab: fleet.existing[lab] for lab in wanted if lab in fleet.existing}
    )
    silent = {look.host.name: look.problem or "" for look in fleet.looks if look.facts is None}
    lost = {
        lab: f"its Docker host {where} cannot be used: {silent[where]}"
        for lab, where in labs.items()
        if where in silent
    }
    # The places of named seats are known; whether labs of the whole workshop are left elsewhere is not.
    unseen = {} if wanted or host is not None else dict(silent)
    there = {lab: where for lab, where in labs.items() if lab not in lost}
    steps.done(f"{len(there)} {'seat is' if len(there) == 1 else 'seats are'} there")
    emptied = []
    if for_good and (there or not wanted):
        emptied = [name for name in _emptied(fleet, there) if host in (None, name)]
    if not there and not emptied:
        if for_good and not fleet.existing and not fleet.silent():
            WorkshopState(workshop.name).forget()
        return Removal(workshop.name, {}, lost, [], unseen)
    if there and not wanted and not agrees(_question(fleet, there)):
        raise LabctlError(f"The workshop {workshop.name} stays as it is: you did not say yes.", ExitCode.REFUSED)
    steps.begin(f"Removing {len(there)} {'seat' if len(there) == 1 else 'seats'}")
    removed: dict[str, list[str]] = {}
    failed: dict[str, str] = {}
    left, after, pending = there, fleet, emptied
    for _ in range(PASSES):
        # The end goes last, and only where nothing is left: labs that could not be removed keep it.
        ending = [name for name in pending if _is_empty(after, name)]
        if not left and not ending:
            break
        keep()
        before, said = failed, _remove(workshop, owner, left, ending, removed, steps)
        pending = [name for name in pending if name in said or name not in ending]
        # The module has looked until nothing of a lab was left; this look is from outside, at all hosts. Engines finish
        # the requests of a killed `up` even after the Ansible that sent them is gone.
        after = fleets.look(workshop, owner, refuse_two_places=False, by_name=True)
        left = _left(after, there, wanted, host)
        # `expire` does not wait for this command, so an end may be new.
        new = _emptied(after, left) if for_good and not wanted else []
        pending += [name for name in new if host in {None, name} and name not in pending]
        failed = {name: why for name, why in said.items() if name in left or name in pending}
        over = [name for name in pending if _is_empty(after, name) and name not in failed]
        # A failed removal may have met a busy engine, so it is tried again; it stops after the same error twice.
        if failed == before and not over and set(left) <= set(failed):
            break
    # A host that answered before and no longer does does not count as one on which nothing is left.
    unseen |= {
        look.host.name: look.problem or ""
        for look in after.looks
        if look.facts is None and (look.host.name in there.values() or (host is None and not wanted))
    }
    failed |= lost
    left = {lab: place for lab, place in left.items() if lab not in failed}
    if not failed and not left and not unseen:
        only_one = len(removed) == 1
        are, them = ("seat is", "it") if only_one else ("seats are", "them")
        steps.done(f"{len(removed)} {are} removed, nothing is left of {them}")
    else:
        steps.fail()
    if for_good and not after.existing and not after.silent():
        WorkshopState(workshop.name).forget()
    return Removal(workshop.name, removed, failed, sorted(left), unseen)


def _question(fleet: Fleet, there: Mapping[str, str]) -> str:
    """The question before everything is removed: that cannot be undone."""
    seats = "The only seat" if len(there) == 1 else f"All {len(there)} seats"
    where = ", ".join(name for name in (look.host.name for look in fleet.looks) if name in there.values())
    return f"{seats} of the workshop {fleet.workshop.name} on {where}, and all data, would be gone for good. Remove?"


def _remove(  # noqa: PLR0913, PLR0917 - what is removed, whose, and where it is told
    workshop: Workshop,
    owner: str,
    labs: Mapping[str, str],
    hosts: Sequence[str],
    removed: dict[str, list[str]],
    steps: Steps,
) -> dict[str, str]:
    """Remove labs, and the end of Docker hosts. Adds the parts to `removed`; returns the failures and their reasons."""
    own = _inventory(workshop, labs, owner)
    where = inventory.of_workshop(workshop.name, own, ",".join([*labs, *hosts]))
    forks, seconds = max(1, forks_for(labs, workshop.hosts)), deadlines.of_removal(len(labs))
    locks = SeatLocks((host for host in workshop.hosts if host.name in labs.values()), labs)
    run = PlaybookRun("down.yml", where, forks=forks, record="workshop-down", seconds=seconds, lock=locks.mark)
    with locks:
        seen, failures = play_each(run, steps, waits=False, meanwhile=lambda: _note_held(locks, steps))
    for item in seen:
        if item.result and "removed" in item.result:
            removed.setdefault(item.host, []).extend(item.result["removed"])
    return {name: error.sentence for name, error in failures.items()}


def _note_held(locks: SeatLocks, steps: Steps) -> None:
    """Report which labs wait for somebody else."""
    for held in locks.drain():
        steps.waits(f"{held.lab} waits for {held.who}")


def _left(fleet: Fleet, there: Mapping[str, str], wanted: Sequence[str], host: str | None) -> dict[str, str]:
    """The targets still on the Docker hosts; for a whole workshop, also labs there that are new since the last look."""
    places = [look.host.name for look in fleet.reached] if host is None else [host]
    still = {lab: place for place in places for lab in _on(fleet, place)}
    return {lab: place for lab, place in still.items() if not wanted or there.get(lab) == place}


def chosen(fleet: Fleet, wanted: Sequence[str], host: str | None) -> dict[str, str]:
    """The labs to remove, including those that the file no longer has, with their Docker hosts."""
    existing = dict(fleet.existing) if host is None else _on(fleet, host)
    if host is not None and host not in {look_host.host.name for look_host in fleet.looks}:
        raise LabctlError(
            f"The workshop {fleet.workshop.name} has no Docker host {host!a}: "
            f"it has {', '.join(look_host.host.name for look_host in fleet.looks)}.",
            ExitCode.USAGE,
        )
    if host in fleet.silent():
        problem = next(look.problem for look in fleet.looks if look.host.name == host)
        raise LabctlError(
            f"The Docker host {host} cannot be used, so nothing was removed there ({problem}): run it again when it "
            "answers."
        )
    if not wanted:
        return existing
    asked = set()
    for word in wanted:
        # A lab that is no longer in the file has a name, too, even one that is the number of another seat.
        there = [lab for lab in existing if word in {lab, lab.removeprefix(f"{fleet.workshop.name}-")}]
        lab = meant(word, {*labs_of(word, fleet.seats), *there})
        if lab is None:
            raise LabctlError(
                f"The workshop {fleet.workshop.name} has no seat {word!a}: `labctl workshop status` lists them.",
                ExitCode.USAGE,
            )
        asked.add(lab)
    return {lab: where for lab, where in existing.items() if lab in asked}


def _emptied(fleet: Fleet, there: Mapping[str, str]) -> list[str]:
    """The Docker hosts with an end of the workshop on which no lab of it will be left."""
    workshop = fleet.workshop.name
    return [
        look.host.name
        for look in fleet.reached
        if look.facts and look.facts.has_reaper(workshop, fleet.owner) and not some_lab_stays(look, workshop, there)
    ]


def _is_empty(fleet: Fleet, host: str) -> bool:
    """Whether a host reported that it has no lab of the workshop."""
    return any(look.host.name == host for look in fleet.reached) and not _on(fleet, host)


def _on(fleet: Fleet, host: str) -> dict[str, str]:
    """The labs of one host; a lab may also live on another one after that one was given up."""
    return {
        lab["lab"]: host
        for look in fleet.reached
        if look.host.name == host and look.facts is not None
        for lab in look.facts.of_workshop(fleet.workshop.name)
    }


def some_lab_stays(look: HostLook, workshop: str, there: Mapping[str, str]) -> bool:
    """Whether some lab of the workshop stays on that host; one that also lives elsewhere is not removed by that."""
    labs = look.facts.of_workshop(workshop) if look.facts else []
    return any(there.get(lab["lab"]) != look.host.name for lab in labs)


def _inventory(workshop: Workshop, there: Mapping[str, str], owner: str) -> dict[str, Any]:
    """The labs as Ansible hosts, each with only its Docker host's connection: the workshop's file may have changed."""
    refuse_same_names(workshop, there)
    hosts = {host.name: connection_of(host) for host in workshop.hosts}
    return {
        LABS: {
            "hosts": {lab: {**hosts[where], "consul_lab_name": lab} for lab, where in there.items()},
            "vars": {"consul_lab_owner": owner},
        },
        DOCKER_HOSTS: {
            "hosts": hosts,
            "vars": {"workshop_reaper_workshop": workshop.name, "workshop_reaper_owner": owner},
        },
    }
