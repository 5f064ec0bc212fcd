"""Run the labs' playbooks for many seats at once, and report each seat's step."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from labctl.errors import ExitCode
from labctl.lab.up import JOIN, START
from labctl.runner import inventory
from labctl.runner.deadlines import of_seats
from labctl.runner.playbook_run import PlaybookRun
from labctl.workshop.model.outcome import Outcome
from labctl.workshop.seat_locks import SeatLocks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labctl.errors import LabctlError
    from labctl.progress import Steps
    from labctl.runner.playbook_run import TaskEvent
    from labctl.workshop.model.file import Workshop

# The default deadline of a lab in the role consul_cluster.
READY_SECONDS = 120.0
# The modules of a seat, and the step that it is in while one runs.
_STEPS = {START: "starting", JOIN: "joining"}


def bring_up(  # noqa: PLR0913, PLR0917 - what is run, for whom, and where it is told
    own: dict[str, Any], workshop: Workshop, labs: Iterable[str], forks: int, steps: Steps, hosts: Iterable[str] = ()
) -> tuple[dict[str, Outcome], dict[str, str]]:
    """Start and join labs, `forks` at once, after the workshop's end was recorded on those Docker hosts.

    A lab that fails does not stop the others. Returns each seat's outcome, and the hosts where the end could not be
    recorded, with the reasons. Raises LabctlError where Ansible itself failed.
    """
    outcomes = {lab: Outcome(lab) for lab in labs}
    hosts = list(hosts)
    if not outcomes and not hosts:
        return {}, {}
    where = inventory.of_workshop(workshop.name, own, ",".join([*outcomes, *hosts]))
    locks = SeatLocks(workshop.hosts, outcomes)
    run = PlaybookRun(
        "up.yml",
        where,
        tags=("expiry", "start", "join"),
        forks=forks,
        record="workshop-up",
        seconds=of_seats(len(outcomes), READY_SECONDS),
        late=ExitCode.NOT_READY,
        lock=locks.mark,
    )
    with locks, steps.seats(workshop.name, outcomes):
        try:
            for item in run.progress():
                for held in locks.drain(lambda lab: outcomes[lab].step in _STEPS.values()):
                    steps.seat(held.lab, "held", held.who)
                if item is not None and item.host in outcomes:
                    _note(outcomes[item.host], item, steps)
            failures = run.finish_each()
        except BaseException:
            run.interrupt()
            raise
        for lab, outcome in outcomes.items():
            _conclude(outcome, failures.get(lab), steps)
    return outcomes, {host: failures[host].sentence for host in hosts if host in failures}


def _note(outcome: Outcome, item: TaskEvent, steps: Steps) -> None:
    step = _STEPS.get(item.module)
    if step is None:
        return
    if item.result is None:
        if item.text:
            # A task's header names no host, as ansible-runner gives it none.
            return
        outcome.begun = outcome.begun or item.at
        outcome.step = step
        steps.seat(outcome.lab, step)
        return
    outcome.changed = outcome.changed or item.changed
    outcome.seconds = time.time() - outcome.begun if outcome.begun else 0.0
    if item.failed is not None:
        outcome.reason = item.failed
        steps.seat(outcome.lab, "failed", item.failed, at=step)
    elif item.module == JOIN:
        cluster = item.result.get("cluster") or {}
        outcome.leader, outcome.term, outcome.voters = (cluster.get(key) for key in ("leader", "term", "voters"))
        outcome.step = "ready"
        steps.seat(outcome.lab, "ready", f"{outcome.leader} leads in term {outcome.term}", outcome.seconds)
    else:
        outcome.step = "started"
        steps.seat(outcome.lab, "started")


def _conclude(outcome: Outcome, failure: LabctlError | None, steps: Steps) -> None:
    if outcome.ready or outcome.reason is not None:
        return
    outcome.reason = failure.sentence if failure else "the playbook ended before this seat was ready"
    steps.seat(outcome.lab, "failed", outcome.reason, at=outcome.step)
