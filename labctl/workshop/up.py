"""`labctl workshop up`: make every seat's lab ready; a failed one stops no other, and its step and reason are shown."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from labctl.engine import client as engine
from labctl.engine import status
from labctl.errors import ExitCode, LabctlError
from labctl.lab.desired_state import differences
from labctl.runner import deadlines, inventory
from labctl.runner.playbook_run import PlaybookRun
from labctl.runner.run import finishing
from labctl.shared import consul_versions, lab_names, label_values
from labctl.shared.words import counted
from labctl.workshop import survey as fleets
from labctl.workshop.bring_up import bring_up
from labctl.workshop.hosts import labs_of
from labctl.workshop.model import expiry
from labctl.workshop.model import plan as plans
from labctl.workshop.model.file import LOCAL
from labctl.workshop.model.inventory import (
    DOCKER_HOSTS,
    IMAGE_HOSTS,
    InventorySettings,
    forks_for,
    hosts_of,
    image_host,
    inventory_of,
)
from labctl.workshop.model.outcome import Outcome, Result
from labctl.workshop.model.seats import chosen
from labctl.workshop.state_store import WorkshopState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from labctl.progress import Steps
    from labctl.workshop.model.file import Workshop
    from labctl.workshop.model.hosts import Fleet, HostLook
    from labctl.workshop.model.plan import Plan


@dataclass(frozen=True)
class WorkshopUpOptions:
    """The user's request, besides the file.

    Attributes:
        owner: the workshop's owner.
        seats: only these; all where none is named.
        retry_failed: only those that the last `up` left not ready.
        replace: seats on hosts that do not answer are recreated on the others.
        kept: the Docker hosts of labs that were just removed and are to be recreated there.
        labs: only these, for a caller that has already chosen the seats.
        keep: raises LabctlError once the workshop's lock is lost, so that nothing may be changed.
        now: the time here, in seconds since 1970.
        look: asks all Docker hosts.
    """

    owner: str
    seats: tuple[str, ...] = ()
    retry_failed: bool = False
    replace: bool = False
    kept: Mapping[str, str] = field(default_factory=dict)
    labs: tuple[str, ...] = ()
    keep: Callable[[], None] = lambda: None
    now: Callable[[], float] = time.time
    look: Callable[..., Fleet] = fleets.look


def up(workshop: Workshop, options: WorkshopUpOptions, steps: Steps) -> Result:
    """Bring the workshop up. Raises LabctlError where nothing was begun."""
    begun = time.monotonic()
    register = WorkshopState(workshop.name)
    with register.placing():
        plan, wanted = _plan(workshop, register, options, steps)
        _remember(plan, register)
    outcomes = _lost(plan, wanted, steps)
    if any(lab not in outcomes for lab in wanted):
        version = have_image(plan, steps)
        outcomes |= _ready_already(plan, version, [lab for lab in wanted if lab not in outcomes])
        means = InventorySettings(options.owner, register.seeds, version, end_of(plan, register), maker_of(plan))
        options.keep()
        outcomes |= _begin(plan, means, wanted, outcomes, steps)
        options.keep()
        outcomes |= _keep_end(plan, means, register, outcomes, steps, options)
    ordered = tuple(outcomes[lab] for lab in wanted)
    register.keep_failed({outcome.lab: None if outcome.ready else outcome.reason or "" for outcome in ordered})
    return Result(plan, ordered, dict(plan.placement.hosts), time.monotonic() - begun)


def _plan(
    workshop: Workshop, register: WorkshopState, options: WorkshopUpOptions, steps: Steps
) -> tuple[Plan, list[str]]:
    """Where each seat goes, and the wanted labs. Raises LabctlError where one of these has no place."""
    steps.begin(f"Docker hosts: looking at {counted(len(workshop.hosts), 'host')}")
    fleet = options.look(workshop, options.owner)
    plan = plans.make(fleet, replaced=fleet.silent() if options.replace else (), kept=options.kept)
    wanted = [seat.lab for seat in _wanted(plan, register, options)]
    plans.refuse_unplaced(plan, wanted)
    _refuse_over(plan, register)
    steps.done(_placed(plan, wanted))
    for lab in fleet.surplus():
        steps.note(f"{lab} is no longer in the file and stays: `labctl workshop down {lab}` removes it.")
    return plan, wanted


def _remember(plan: Plan, register: WorkshopState) -> None:
    """Store what must be known when a host is lost or a seat is rebuilt."""
    register.keep_numbers(plan.fleet.seats)
    register.keep_places(plan.placement.hosts)
    register.write_seeds(plan.fleet.seats, plan.staying(), plan.fleet.fingerprints)


def end_of(plan: Plan, register: WorkshopState) -> int | None:
    """When the workshop ends, in seconds since 1970: as its hosts have it, else as its file has it; None for never.

    0 where the end was removed and a host that was not reached then still has one.
    """
    kept, expires = plan.fleet.end(), plan.fleet.workshop.expires
    if register.never_ends():
        return None if kept is None else 0
    return kept or (expiry.end_of(expires, time.time()) if expires else None)


def _refuse_over(plan: Plan, register: WorkshopState) -> None:
    """Raise LabctlError (refused) where the Docker hosts are about to remove the new labs."""
    end = None if register.never_ends() else plan.fleet.end()
    if end is not None and end <= time.time():
        name = plan.fleet.workshop.name
        raise LabctlError(
            f"The workshop {name} came to its end at {lab_names.stamp(end)}, and its Docker hosts remove it now: run "
            "this again when `labctl workshop status` shows no seat, or give it a later end with `labctl workshop "
            "expire 8h`.",
            ExitCode.REFUSED,
        )


def _lost(plan: Plan, wanted: Sequence[str], steps: Steps) -> dict[str, Outcome]:
    """The seats for which nothing can be done now, because of their Docker host."""
    lost = {lab: reason for lab, reason in plans.lost(plan).items() if lab in wanted}
    for reason in dict.fromkeys(lost.values()):
        steps.lost([lab for lab, why in lost.items() if why == reason], reason)
    return {lab: Outcome(lab, step="lost", reason=reason) for lab, reason in lost.items()}


def _begin(
    plan: Plan, means: InventorySettings, wanted: Sequence[str], settled: Mapping[str, Outcome], steps: Steps
) -> dict[str, Outcome]:
    """Bring up the unsettled seats, and record the end on the hosts that do not have it."""
    workshop = plan.fleet.workshop
    own = inventory_of(workshop, plan.fleet.seats, plan.placement.hosts, means)
    without_end = _not_kept(plan.usable(), workshop.name, means)
    labs = [lab for lab in wanted if lab not in settled]
    forks = max(1, forks_for({lab: plan.placement.hosts[lab] for lab in labs}, workshop.hosts))
    outcomes, endless = bring_up(own, workshop, labs, forks, steps, without_end)
    ready = [lab for lab in wanted if lab not in outcomes or outcomes[lab].ready]
    return outcomes | _endless(plan, endless, ready, steps)


def _not_kept(looks: Iterable[HostLook], workshop: str, means: InventorySettings) -> list[str]:
    """The Docker hosts on which the end has yet to be recorded, or removed."""
    if means.end is None:
        return []
    return [host.host.name for host in looks if host.facts and not host.facts.keeps(workshop, means.owner, means.end)]


def _endless(plan: Plan, endless: Mapping[str, str], labs: Iterable[str], steps: Steps) -> dict[str, Outcome]:
    """The labs on Docker hosts without the end: they would stay for ever, and nobody would know."""
    outcomes = {}
    for lab in labs:
        where = plan.placement.hosts[lab]
        if where in endless:
            reason = f"the workshop's end could not be recorded on its Docker host {where}: {endless[where]}"
            outcomes[lab] = Outcome(lab, step="ending", reason=reason)
            steps.seat(lab, "failed", reason, at="ending")
    return outcomes


def _keep_end(  # noqa: PLR0913, PLR0917 - what is kept, and where it is told
    plan: Plan,
    means: InventorySettings,
    register: WorkshopState,
    outcomes: Mapping[str, Outcome],
    steps: Steps,
    options: WorkshopUpOptions,
) -> dict[str, Outcome]:
    """Check again, now that the last lab is made, whether the hosts still have the end, and record it where not.

    A host whose end came while the first lab was still being made found nothing to remove and forgot that end; and
    somebody may have moved it meanwhile. Returns the labs that will not stay, or would stay for ever.
    """
    made = [lab for lab, outcome in outcomes.items() if outcome.ready and outcome.changed]
    if not means.end or not made:
        return {}
    name, hosts = plan.fleet.workshop.name, {plan.placement.hosts[lab] for lab in made}
    again = options.look(plan.fleet.workshop, means.owner, refuse_two_places=False, by_name=True)
    if register.never_ends():
        return {}
    means = replace(means, end=again.end() or means.end)
    endless = {
        host.host.name: str(host.problem) for host in again.looks if host.host.name in hosts and host.facts is None
    }
    lacking = _not_kept([host for host in again.reached if host.host.name in hosts], name, means)
    if lacking:
        own = inventory_of(plan.fleet.workshop, plan.fleet.seats, plan.placement.hosts, means)
        endless |= bring_up(own, plan.fleet.workshop, (), 1, steps, lacking)[1]
    kept = _endless(plan, endless, made, steps)
    if means.end and means.end <= options.now():
        reason = (
            f"the workshop's end, {lab_names.stamp(means.end)}, came while it was made, so its Docker host removes it: "
            "give a later end with `labctl workshop expire 8h`, then run this again"
        )
        for lab in made:
            kept[lab] = Outcome(lab, step="ending", reason=reason)
            steps.seat(lab, "failed", reason, at="ending")
    return kept


def _ready_already(plan: Plan, version: str, labs: Sequence[str]) -> dict[str, Outcome]:
    """The labs that are ready and as the file wants them: nothing has to be done for them."""
    workshop = plan.fleet.workshop
    ports = {seat.lab: seat.http_port for seat in plan.fleet.seats}
    asked = [lab for _, lab in labs_of(plan.fleet) if lab.name in labs]
    outcomes = {}
    for now in status.ask_all(asked):
        lab, leader = now.lab, now.leader
        wanted = replace(workshop.spec, version=version, http_port=ports[lab.name])
        right = lab.spec.profile == wanted.profile and not differences(lab, wanted)
        if now.ready and leader is not None and right:
            outcomes[lab.name] = Outcome(
                lab.name, step="ready", leader=leader.name, term=leader.term, voters=len(leader.voters)
            )
    return outcomes


def _wanted(plan: Plan, register: WorkshopState, options: WorkshopUpOptions) -> Sequence[Any]:
    seats = chosen(plan.fleet.seats, options.seats)
    if options.labs:
        seats = [seat for seat in seats if seat.lab in options.labs]
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


def _placed(plan: Plan, wanted: Collection[str]) -> str:
    """Where the wanted seats go; where there is one Docker host, whether it can be used."""
    seats = counted(len(wanted), "seat")
    if len(plan.fleet.workshop.hosts) == 1:
        (host,) = plan.fleet.workshop.hosts
        usable = {look.host.name for look in plan.usable()}
        return f"The Docker host {host.name} {'is fit' if host.name in usable else 'cannot be used'} for {seats}"
    counts = {host.name: len(set(plan.placement.on(host.name)) & set(wanted)) for host in plan.fleet.workshop.hosts}
    return f"{seats}: {', '.join(f'{count} on {name}' for name, count in counts.items() if count)}"


def version_of(plan: Plan) -> str | None:
    """The version of Consul in an image on every host with seats: the one that the file wants, else the newest."""
    have = [set(_versions(look)) for look in plan.usable()]
    common = set.intersection(*have) if have else set()
    wanted = plan.fleet.workshop.spec.version
    if wanted:
        return wanted if wanted in common else None
    # A newer image on only one host is copied to the others, but its version is not given to existing seats.
    newest = max((version for versions in have for version in versions), key=consul_versions.order, default=None)
    return newest if newest in common else None


def maker_of(plan: Plan) -> str:
    """The Docker host that has the wanted image, else this machine if it can make one, else the first."""
    wanted = plan.fleet.workshop.spec.version
    having = [(look, version) for look in plan.usable() for version in _versions(look) if wanted in ("", version)]
    if having:
        return max(having, key=lambda pair: consul_versions.order(pair[1]))[0].host.name
    with contextlib.suppress(LabctlError):
        # It need not have the image yet; an engine that answers can make it, and has no better network than here.
        if any(host.local for host in plan.fleet.workshop.hosts) or engine.connect().version():
            return LOCAL
    usable = plan.usable()
    return usable[0].host.name if usable else LOCAL


def _versions(look: HostLook) -> list[str]:
    """The versions of Consul in the images of a host."""
    return list(look.facts.read["images"]) if look.facts else []


def have_image(plan: Plan, steps: Steps) -> str:
    """Make sure that every host with seats has the same image; returns its version. Raises LabctlError."""
    known = version_of(plan)
    if known:
        return known
    workshop, hosts = plan.fleet.workshop, [look.host.name for look in plan.usable()]
    steps.begin("Image: made once, and carried to the other Docker hosts")
    group = hosts_of(workshop)
    group["hosts"] = {name: group["hosts"][name] for name in hosts}
    own = {DOCKER_HOSTS: group, IMAGE_HOSTS: image_host(workshop, maker_of(plan))}
    where = inventory.of_workshop(workshop.name, own, f"{DOCKER_HOSTS},{IMAGE_HOSTS}")
    seconds = deadlines.IMAGE + deadlines.IMAGE_CARRIED * len(hosts)
    run = PlaybookRun("image.yml", where, record="workshop-image", seconds=seconds)
    version = ""
    with finishing(run, steps):
        for item in run.progress():
            facts = (item.result or {}).get("ansible_facts", {}) if item else {}
            # From a Docker host that may not be ours; an empty one is refused below.
            version = label_values.version(facts.get("consul_image_consul_version")) or version
    if not version:
        steps.fail()
        raise LabctlError(
            "Cannot use the image that was made: its Docker host does not say which Consul is in it. "
            "Look at it there with `docker image inspect`, and remove it."
        )
    steps.done(f"Image of Consul {version} on {counted(len(hosts), 'Docker host')}")
    return version
