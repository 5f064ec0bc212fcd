"""`labctl workshop up`: every seat's lab ready; one that fails stops no other, and is told with its step and reason."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labctl.engine.images import version_key
from labctl.errors import LabctlError
from labctl.flows.play import to_the_end
from labctl.flows.workshop import fleet as fleets
from labctl.flows.workshop.register import Register
from labctl.flows.workshop.seats import bring_up
from labctl.portable import image_marks
from labctl.provision import inventory
from labctl.provision.run import PlaybookRun
from labctl.workshop import plan as plans
from labctl.workshop.inventory import DOCKER_HOSTS, Means, hosts_of, inventory_of
from labctl.workshop.outcome import Outcome, Result
from labctl.workshop.seats import chosen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labctl.show.board import Board
    from labctl.show.steps import Steps
    from labctl.workshop.file import Workshop
    from labctl.workshop.fleet import Fleet
    from labctl.workshop.plan import Plan


@dataclass(frozen=True)
class UpOptions:
    """What the user asked for besides the file.

    Attributes:
        owner: whose the workshop is.
        seats: only these; all where none is named.
        retry_failed: only those that the last `up` left not ready.
        replace: seats on hosts that do not answer are made anew on the others.
    """

    owner: str
    seats: tuple[str, ...] = ()
    retry_failed: bool = False
    replace: bool = False


def up(workshop: Workshop, options: UpOptions, steps: Steps, board: Board) -> Result:
    """Bring the workshop up. Raises LabctlError where nothing was begun."""
    begun = time.monotonic()
    register = Register(workshop.name)
    steps.begin(f"Docker hosts: looking at {_count(len(workshop.hosts), 'host')}")
    fleet = fleets.look(workshop, options.owner, steps)
    plan = plans.make(fleet, replaced=fleet.silent() if options.replace else ())
    plans.refuse_what_does_not_fit(plan)
    wanted = [seat.lab for seat in _wanted(fleet, register, options)]
    steps.done(_placed(plan))
    for lab in fleet.surplus():
        steps.note(f"{lab} is no longer in the file and stays: `labctl workshop down {lab}` removes it.")
    lost = {lab: reason for lab, reason in plans.lost(plan).items() if lab in wanted}
    version = _image(plan, options.owner, steps)
    register.keep_numbers(fleet.seats)
    register.keep_places(plan.placement.hosts)
    register.write_seeds(fleet.seats)
    means = Means(options.owner, register.seeds, version)
    own = inventory_of(workshop, fleet.seats, plan.placement.hosts, means)
    outcomes = {lab: Outcome(lab, step="lost", reason=reason) for lab, reason in lost.items()}
    for lab, reason in lost.items():
        board.failed(lab, "lost", reason)
    outcomes |= bring_up(own, workshop.name, [lab for lab in wanted if lab not in lost], board)
    ordered = tuple(outcomes[lab] for lab in wanted)
    kept = register.failed()
    register.keep_failed(
        {lab: kept[lab] for lab in kept if lab not in outcomes}
        | {one.lab: one.reason or "" for one in ordered if not one.ready}
    )
    return Result(plan, ordered, dict(plan.placement.hosts), time.monotonic() - begun)


def _wanted(fleet: Fleet, register: Register, options: UpOptions) -> Sequence[Any]:
    seats = chosen(fleet.seats, options.seats)
    if not options.retry_failed:
        return seats
    failed = register.failed()
    again = [seat for seat in seats if seat.lab in failed]
    if not again:
        raise LabctlError(
            "The last `labctl workshop up` left no seat behind, so there is nothing to try again: "
            "`labctl workshop status` shows how they are now."
        )
    return again


def _placed(plan: Plan) -> str:
    hosts = [f"{len(plan.placement.on(host.name))} on {host.name}" for host in plan.fleet.workshop.hosts]
    return f"{_count(len(plan.fleet.seats), 'seat')}: {', '.join(hosts)}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def version_of(plan: Plan) -> str | None:
    """The version of Consul that every host with seats has an image of: what the file wants, else the newest."""
    hosts = [look for look in plan.fleet.reached if plan.placement.on(look.host.name)]
    have = [set(_versions(look.facts.read["images"])) for look in hosts if look.facts is not None]
    common = set.intersection(*have) if have else set()
    wanted = plan.fleet.workshop.consul_version
    if wanted is not None:
        return wanted if wanted in common else None
    # A newer image on one host only is a reason to carry it, not to give its seats another version.
    newest = max((version for one in have for version in one), key=version_key, default=None)
    return newest if newest in common else None


def _versions(images: Sequence[dict[str, Any]]) -> list[str]:
    return [one["labels"][image_marks.VERSION] for one in images if image_marks.is_finished(one["labels"])]


def _image(plan: Plan, owner: str, steps: Steps) -> str:
    """Have the same image on every host that has seats; returns its version of Consul. Raises LabctlError."""
    del owner
    found = version_of(plan)
    if found:
        return found
    workshop = plan.fleet.workshop
    hosts = [look for look in plan.fleet.reached if plan.placement.on(look.host.name) and look.problem is None]
    # The first one makes it, so one that has some image already goes first.
    hosts.sort(key=lambda look: not _versions(look.facts.read["images"]) if look.facts else True)
    steps.begin("Image: made once, and carried to the other Docker hosts")
    group = hosts_of(workshop)
    group["hosts"] = {look.host.name: group["hosts"][look.host.name] for look in hosts}
    where = inventory.of_workshop(workshop.name, {DOCKER_HOSTS: group}, DOCKER_HOSTS)
    run = PlaybookRun("image.yml", where, record="workshop-image")
    version = ""
    with to_the_end(run, steps):
        for item in run.progress():
            facts = (item.result or {}).get("ansible_facts", {}) if item else {}
            version = facts.get("consul_image_consul_version") or version
    steps.done(f"Image of Consul {version} on {_count(len(hosts), 'Docker host')}")
    return version
