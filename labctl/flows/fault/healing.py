"""Mend what was broken, and list what is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from labctl.engine import client as engine
from labctl.engine import faults, labs
from labctl.errors import ExitCode, LabctlError
from labctl.faults import rules
from labctl.flows.fault.scene import Asked, note, own_lab
from labctl.raft import fault_lines

if TYPE_CHECKING:
    from labctl.engine.labs import Lab
    from labctl.show.steps import Steps


def heal(fault: str | None, asked: Asked, steps: Steps) -> dict[str, Any]:
    """Lift one fault, or all: take the rules away and look that they are gone, resume and start servers."""
    if fault is not None and not rules.is_id(fault):
        raise LabctlError(f"{fault!a} is the name of no fault: `labctl fault ls` lists them.", ExitCode.USAGE)
    lab = own_lab(asked)
    steps.begin("heal")
    known = {one.id for one in faults.active(engine.connect(), lab.name)}
    found = faults.heal(lab, fault)
    healed = (known if fault is None else known & {fault}) | {one for had in found.values() for one in had}
    if fault is not None and not healed:
        raise LabctlError(f"The lab {lab.name} has no fault {fault}: `labctl fault ls` lists those that it has.")
    for one in sorted(healed):
        disturbed = [name for name, had in found.items() if one in had]
        note(lab, disturbed, fault_lines.ended(datetime.now(UTC), one, disturbed))
    started = _back(lab) if fault is None else []
    steps.done(_healed(lab, healed, started))
    return _mended(lab, healed, started)


def _mended(lab: Lab, healed: set[str], started: list[str]) -> dict[str, Any]:
    """The JSON shape of `labctl fault heal`."""
    return {"lab": lab.name, "changed": bool(healed or started), "healed": sorted(healed), "started": started}


def _back(lab: Lab) -> list[str]:
    """Let every server run again."""
    paused = [one for one in lab.servers if one.state == "paused"]
    down = [one for one in lab.servers if one.state in {"exited", "dead", "created"}]
    if paused:
        faults.signal("unpause", paused)
    if down:
        faults.signal("start", down)
    return sorted(one.name for one in [*paused, *down])


def _healed(lab: Lab, healed: set[str], started: list[str]) -> str:
    if not healed and not started:
        return f"The lab {lab.name} has no fault: nothing to heal."
    parts = [f"{len(healed)} fault{'' if len(healed) == 1 else 's'} lifted"] if healed else []
    parts += [f"{', '.join(started)} started again"] if started else []
    return f"{' and '.join(parts)}; every server's network is clean."


def ls(name: str | None) -> tuple[str, list[faults.ActiveFault]]:
    """A lab's name, and the faults of the network that it has now."""
    client = engine.connect()
    lab = labs.choose_lab(client, name)
    return lab.name, faults.active(client, lab.name)
