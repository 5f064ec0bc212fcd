"""`labctl workshop plan --fix`: prepare Docker hosts for seats, as far as the playbooks can."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.runner import inventory
from labctl.runner.deadlines import ENGINE
from labctl.runner.playbook_run import PlaybookRun
from labctl.runner.run import play_each
from labctl.workshop import survey as fleets
from labctl.workshop.model import plan as plans
from labctl.workshop.model.inventory import DOCKER_HOSTS, hosts_of
from labctl.workshop.up import have_image

if TYPE_CHECKING:
    from labctl.progress import Steps
    from labctl.workshop.model.file import Workshop
    from labctl.workshop.model.plan import Plan


def prepare(workshop: Workshop, owner: str, steps: Steps) -> Plan:
    """Install an engine on every host without one, and bring the image to all of them. Returns the plan after that.

    A host that cannot be prepared is named, and does not stop the others. Raises LabctlError.
    """
    plan = plans.make(fleets.look(workshop, owner))
    broken = [look.host.name for look in plan.fleet.looks if look.problem is not None]
    if broken:
        steps.begin(f"Docker Engine and Compose on {', '.join(broken)}: installing and starting what is missing")
        where = inventory.of_workshop(workshop.name, {DOCKER_HOSTS: hosts_of(workshop)}, ",".join(broken))
        _, failures = play_each(PlaybookRun("engine.yml", where, record="workshop-engine", seconds=ENGINE), steps)
        for host, error in failures.items():
            steps.note(f"{host}: {error.sentence}")
        fixed = [host for host in broken if host not in failures]
        steps.done(f"Docker Engine and Compose are on {', '.join(fixed)}") if fixed else steps.fail()
        plan = plans.make(fleets.look(workshop, owner))
    if plan.usable():
        have_image(plan, steps)
        plan = plans.make(fleets.look(workshop, owner))
    return plan
