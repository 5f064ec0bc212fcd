"""`labctl workshop inventory`: an Ansible inventory that does the same as `labctl workshop up`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.runner import inventory
from labctl.terminal.style import harmless
from labctl.workshop import survey as fleets
from labctl.workshop.model import plan as plans
from labctl.workshop.model.inventory import InventorySettings, inventory_of
from labctl.workshop.state_store import WorkshopState
from labctl.workshop.up import end_of, maker_of, version_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from labctl.runner.inventory import Inventory
    from labctl.workshop.model.file import Workshop
    from labctl.workshop.model.hosts import Fleet

_HEAD = """\
# The workshop {name}, made from its file by `labctl workshop inventory`. An inventory host is a seat's lab, and its
# connection is the Docker host that the lab lives on. It holds no secret: a seat's seed is in a file of its own.
#
#   ansible-playbook -i THIS_FILE playbooks/up.yml                     every seat
#   ansible-playbook -i THIS_FILE playbooks/up.yml --limit {name}-07   one seat again
#   ansible-playbook -i THIS_FILE playbooks/down.yml                   remove them all
"""


def placed_inventory(workshop: Workshop, owner: str, look: Callable[..., Fleet] = fleets.look) -> Inventory:
    """The inventory, with every seat placed as `up` would. Raises LabctlError where one fits nowhere."""
    register = WorkshopState(workshop.name)
    with register.placing():
        fleet = look(workshop, owner)
        plan = plans.make(fleet)
        plans.refuse_unplaced(plan)
        register.keep_numbers(fleet.seats)
        register.write_seeds(fleet.seats, plan.staying(), fleet.fingerprints)
    means = InventorySettings(owner, register.seeds, version_of(plan), end_of(plan, register), maker_of(plan))
    own = inventory_of(fleet.workshop, fleet.seats, plan.placement.hosts, means)
    return inventory.of_workshop(workshop.name, own, "")


def as_text(made: Inventory) -> str:
    """An inventory as YAML, with a comment on how to use it."""
    text = made.text(unicode=True)
    # YAML can also hold characters that a terminal must not get.
    well = all(harmless(line) == line for line in text.split("\n"))
    return _HEAD.format(name=made.name) + (text if well else made.text(unicode=False))
