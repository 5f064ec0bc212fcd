"""`labctl workshop status`: every seat at a glance, on every Docker host."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from labctl.engine import logs, status
from labctl.faults import heal
from labctl.faults.condition import condition_of
from labctl.shared.parallel import each
from labctl.story.source import events_of
from labctl.workshop.hosts import AT_ONCE, labs_of
from labctl.workshop.model import plan as plans
from labctl.workshop.model.outcome import SeatStatus

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from labctl.engine.client import Client
    from labctl.engine.labs import Lab
    from labctl.engine.status import Status
    from labctl.workshop.model.hosts import Fleet

# A leader logs a few lines a minute; an election further back than these is shown as unknown.
LAST_LINES = 4000
_WON = "election won"


def seat_statuses(fleet: Fleet) -> list[SeatStatus]:
    """Every seat of the file, and then the labs of the workshop that the file no longer has. Raises LabctlError."""
    plan = plans.make(fleet)
    lost = plans.lost(plan)
    labs = {lab.name: (client, lab) for client, lab in labs_of(fleet)}
    asked = status.ask_all([lab for _, lab in labs.values()])
    told = each(_look, [(client, now) for (client, _), now in zip(labs.values(), asked, strict=True)], AT_ONCE)
    seen = dict(zip(labs, told, strict=True))
    names = {seat.lab: seat.name for seat in fleet.seats}
    statuses = []
    for lab in [*names, *fleet.surplus()]:
        host = fleet.existing.get(lab)
        name = names.get(lab, lab.removeprefix(f"{fleet.workshop.name}-"))
        if lab in seen:
            statuses.append(replace(seen[lab], name=name, host=host))
        elif host is None:
            statuses.append(SeatStatus(lab, name, None, "it is not up yet: `labctl workshop up` brings it up"))
        else:
            statuses.append(SeatStatus(lab, name, host, lost.get(lab, "none of its servers is there")))
    return statuses


def _look(where: tuple[Client, Status]) -> SeatStatus:
    client, now = where
    lab, active = now.lab, heal.active(client, now.lab)
    condition = condition_of(now, active)
    leader = condition.leader
    return SeatStatus(
        lab=lab.name,
        name="",
        host=None,
        problem=condition.problem,
        leader=leader.name if leader else None,
        term=leader.term if leader else None,
        voters=len(leader.voters) if leader else 0,
        servers=lab.spec.servers,
        running=len(lab.running),
        faults=len(active),
        created=lab.created,
        election=_last_election(client, lab, now),
        writes=condition.writes,
        without=condition.without,
    )


def _last_election(client: Client, lab: Lab, now: Status) -> datetime | None:
    if now.leader is None:
        return None
    lines = logs.read(client, [lab.server(now.leader.name)], LAST_LINES)
    won = [event for event in events_of(_of_wins(lines)) if event.event == "election_won"]
    return won[-1].time if won else None


def _of_wins(lines: Iterable[logs.LogLine]) -> list[logs.LogLine]:
    """The lines that may be of a won election: reading all of them would take longer than asking the seat."""
    return [line for line in lines if _WON in line.text.lower()]
