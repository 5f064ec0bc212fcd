"""Heal faults, and list them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.engine.clock import HostClock
from labctl.errors import ExitCode, LabctlError
from labctl.faults import nftables, processes
from labctl.faults.context import FaultRequest, note, own_lab
from labctl.faults.tools import TOOLS, Tools
from labctl.raft import log_notes
from labctl.results import HealResult
from labctl.shared.words import counted

if TYPE_CHECKING:
    from labctl.engine.client import Client
    from labctl.engine.labs import Lab, Server
    from labctl.faults.inject import ActiveFault
    from labctl.progress import Steps


def heal(fault: str | None, asked: FaultRequest, steps: Steps, tools: Tools = TOOLS) -> HealResult:
    """Lift one fault, or all. Raises LabctlError, also where there is no such fault or a rule cannot be removed.

    Servers run again, and if all faults are meant also those that stopped by themselves; rules are removed, and each
    server's network is checked.
    """
    if fault is not None and not nftables.is_id(fault):
        raise LabctlError(f"There is no fault {fault!a}: `labctl fault ls` lists those that there are.", ExitCode.USAGE)
    lab = own_lab(asked, tools)
    steps.begin("heal")
    # First: unreadable rules in a kernel must not keep servers down.
    away: list[Server] = []
    unknown: LabctlError | None = None
    try:
        away = processes.taken_away(lab, fault, tools)
    except LabctlError as error:
        unknown = error  # it may be a fault of the network
    healed = processes.bring_back(away, tools=tools)
    lifted = set() if fault in healed else _lift(lab, fault, tools)
    if fault is not None and not healed | lifted:
        if unknown is not None:
            raise unknown
        raise LabctlError(f"The lab {lab.name} has no fault {fault}: `labctl fault ls` lists those that it has.")
    started = sorted(server.name for server in away)
    steps.done(_healed_all(lab, lifted, started) if fault is None else _healed_one(fault, started))
    return _mended(lab, healed | lifted, started)


def _lift(lab: Lab, fault: str | None, tools: Tools) -> set[str]:
    """Take rules away. Returns the faults whose rules they were."""
    known = {active_fault.id for active_fault in tools.active(tools.connect(), lab)}
    # Looked up again: some servers may have started only now.
    by_server = tools.lift(tools.choose_lab(tools.connect(), lab.name, ""), fault)
    lifted = (known if fault is None else known & {fault}) | {
        fault_id for had in by_server.values() for fault_id in had
    }
    host = tools.clock(lab.place) if lifted else HostClock()
    for fault_id in sorted(lifted):
        disturbed = [name for name, had in by_server.items() if fault_id in had]
        note(lab, disturbed, log_notes.ended(host.now(), fault_id, disturbed), tools)
    return lifted


def _mended(lab: Lab, healed: set[str], started: list[str]) -> HealResult:
    return HealResult(lab.name, bool(healed or started), tuple(sorted(healed)), tuple(started))


def _healed_one(fault: str, started: list[str]) -> str:
    if started:
        return f"The fault {fault} is lifted: {_again(started)}."
    return f"The fault {fault} is lifted: none of its rules is left."


def _again(started: list[str]) -> str:
    return f"{', '.join(started)} {'runs' if len(started) == 1 else 'run'} again"


def _healed_all(lab: Lab, lifted: set[str], started: list[str]) -> str:
    if not lifted and not started:
        return f"The lab {lab.name} has no fault: nothing to heal."
    parts = [f"{counted(len(lifted), 'fault')} of the network lifted"] if lifted else []
    parts += [_again(started)] if started else []
    return f"{' and '.join(parts)}; every server's network is clean."


def ls(name: str | None, owner: str = "", tools: Tools = TOOLS) -> tuple[str, list[ActiveFault]]:
    """A lab's name, and the faults that it has now; of the labs without a name, that of `owner`."""
    client = tools.connect()
    lab = tools.choose_lab(client, name, owner)
    return lab.name, active(client, lab, tools)


def active(client: Client, lab: Lab, tools: Tools = TOOLS) -> list[ActiveFault]:
    """The faults that a lab has now: first the servers that were taken away, then those of the network."""
    return [*processes.active(lab, tools), *tools.active(client, lab)]
