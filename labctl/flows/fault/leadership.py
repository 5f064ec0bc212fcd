"""Let the leader hand its leadership over, where Consul can."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from labctl.engine import faults, status
from labctl.errors import ExitCode, LabctlError
from labctl.faults import rules, targets
from labctl.flows.fault.scene import Asked, broken, look, note
from labctl.raft import fault_lines

if TYPE_CHECKING:
    from labctl.show.steps import Steps

TRANSFER_SINCE = (1, 15, 0)


def transfer(target: str, asked: Asked, steps: Steps) -> dict[str, Any]:
    """Let the leader hand its leadership over, to a server or to whom it chooses. Raises LabctlError."""
    scene = look(asked)
    lab, leader = scene.lab, scene.cluster.leader
    if _version(lab.version) < TRANSFER_SINCE:
        raise LabctlError(
            f"Consul {lab.version} cannot hand leadership over: that came with Consul 1.15. "
            "`labctl fault pause leader` makes the others elect, too.",
            ExitCode.REFUSED,
        )
    (names,) = [targets.resolve(target, scene.cluster)] if target else [[]]
    if not leader:
        raise LabctlError(f"The lab {lab.name} has no leader now: nobody can hand leadership over.")
    if names == [leader]:
        raise LabctlError(f"{leader} leads already.", ExitCode.USAGE)
    identity = [view.node_id for view in status.ask(lab).views if view.name in names]
    words = f"transfer-leader {','.join(names)}".rstrip()
    steps.begin(words)
    if not asked.dry_run:
        note(lab, [leader], fault_lines.began(datetime.now(UTC), rules.new_id(), words, [leader], None))
        faults.transfer(lab.server(leader), identity[0] if identity else None)
    steps.done(f"{leader} hands its leadership over{f' to {names[0]}' if names else ''}.")
    return broken(scene, "", words, [leader], None)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"[0-9]+", text)[:3])
