"""`labctl workshop plan --fix`: bring Docker hosts to where they can hold seats, as far as the playbooks can."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.flows.deadlines import ENGINE
from labctl.flows.play import play_each
from labctl.flows.workshop import fleet as fleets
from labctl.flows.workshop.up import have_image
from labctl.provision import inventory
from labctl.provision.run import PlaybookRun
from labctl.workshop import plan as plans
from labctl.workshop.inventory import DOCKER_HOSTS, hosts_of

if TYPE_CHECKING:
    from labctl.show.steps import Steps
    from labctl.workshop.file import Workshop
    from labctl.workshop.plan import Plan


def prepare(workshop: Workshop, owner: str, steps: Steps) -> Plan:
    """Have an engine on every host that has none, and the image on all of them. Returns the plan as it is then.

    A host that cannot be mended is told, and stops no other. Raises LabctlError.
    """
    plan = plans.make(fleets.look(workshop, owner))
    broken = [look.host.name for look in plan.fleet.looks if look.problem is not None]
    if broken:
        steps.begin(f"Docker Engine and Compose on {', '.join(broken)}: installing and starting what is missing")
        where = inventory.of_workshop(workshop.name, {DOCKER_HOSTS: hosts_of(workshop)}, ",".join(broken))
        _, failures = play_each(PlaybookRun("engine.yml", where, record="workshop-engine", seconds=ENGINE), steps)
        for host, error in failures.items():
            steps.note(f"{host}: {error.sentence}")
        mended = [host for host in broken if host not in failures]
        steps.done(f"Docker Engine and Compose are on {', '.join(mended)}") if mended else steps.fail()
        plan = plans.make(fleets.look(workshop, owner))
    if plan.usable():
        have_image(plan, steps)
        plan = plans.make(fleets.look(workshop, owner))
    return plan
