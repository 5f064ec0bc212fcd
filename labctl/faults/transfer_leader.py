"""Let the leader hand its leadership over, where Consul can."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from labctl.errors import ExitCode, LabctlError
from labctl.faults import nftables, targets
from labctl.faults.context import FaultRequest, fault_result, look, note
from labctl.faults.tools import TOOLS, Tools
from labctl.raft import log_notes
from labctl.shared import consul_versions

if TYPE_CHECKING:
    from labctl.progress import Steps
    from labctl.results import FaultResult


def transfer(target: str, asked: FaultRequest, steps: Steps, tools: Tools = TOOLS) -> FaultResult:
    """Make the leader transfer its leadership, to a server or to any. Raises LabctlError.

    Args:
        target: one server or a role, or "" to let the leader choose.
        asked: the lab; a lease means nothing here.
        steps: where to say what happens.
        tools: with which it is done.
    """
    scene = look(asked, tools)
    lab, leader = scene.lab, scene.cluster.leader
    if not consul_versions.has(lab.spec.version, "transfer-leader"):
        raise LabctlError(
            f"Consul {lab.spec.version} cannot hand leadership over: that came with Consul 1.15. "
            "`labctl fault pause leader` makes the others elect, too.",
            ExitCode.REFUSED,
        )
    if not leader:
        raise LabctlError(f"The lab {lab.name} has no leader now: nobody can hand leadership over.")
    heir = _heir(target, scene.cluster)
    words = f"transfer-leader {heir}".rstrip()
    successor = heir or "a server of its choice"
    if asked.dry_run:
        steps.note(f"{words}: {leader} would hand its leadership over to {successor}.")
        return fault_result(scene, "", words, [leader], None)
    identity = next((view.node_id for view in tools.ask(lab).views if view.name == heir), None)
    asked.keep()
    steps.begin(words)
    fault, host = nftables.new_id(), tools.clock(lab.place)
    note(lab, [leader], log_notes.began(host.now(), fault, words, [leader], None), tools)
    try:
        tools.transfer(lab.server(leader), identity)
    except LabctlError:
        with contextlib.suppress(LabctlError):
            note(lab, [leader], log_notes.failed(host.now(), fault, [leader]), tools)
        raise
    steps.done(f"{leader} hands its leadership over to {successor}.")
    return fault_result(scene, "", words, [leader], None)


def _heir(target: str, cluster: targets.Cluster) -> str:
    """The server that is to lead, or "" to let the leader choose."""
    if not target:
        return ""
    names = targets.resolve(target, cluster)
    if len(names) > 1:
        raise LabctlError(
            f"Leadership goes to one server, and {target} means {len(names)}: name one of them.", ExitCode.USAGE
        )
    if names == [cluster.leader]:
        raise LabctlError(f"{cluster.leader} leads already.", ExitCode.USAGE)
    if names[0] not in cluster.running:
        raise LabctlError(f"{names[0]} cannot lead: it does not run.")
    return names[0]
