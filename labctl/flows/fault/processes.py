"""Kill, stop and pause servers, and let them run again."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from labctl.engine import faults
from labctl.errors import LabctlError
from labctl.faults import rules, targets
from labctl.flows.fault.scene import Asked, broken, look, note
from labctl.raft import fault_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labctl.engine.labs import Lab
    from labctl.show.steps import Steps

# Which of Docker's verbs, and in which state (Docker's word) a server must be.
_PROCESS = {
    "kill": ("kill", {"running", "paused"}, "killed"),
    "stop": ("stop", {"running", "paused"}, "stopped"),
    "start": ("start", {"exited", "created", "dead"}, "started"),
    "pause": ("pause", {"running"}, "paused"),
    "resume": ("unpause", {"paused"}, "resumed"),
}

_BACK = {"kill": "start", "stop": "start", "pause": "resume"}


@dataclass(frozen=True)
class Struck:
    """What was done to servers: the fault's name, and between which times it happened, by this machine's clock."""

    fault: str
    begin: datetime
    end: datetime


def process(verb: str, target: str, asked: Asked, steps: Steps) -> dict[str, Any]:
    """Kill, stop, start, pause or resume servers. Raises LabctlError."""
    _, states, done = _PROCESS[verb]
    scene = look(asked)
    cluster = scene.cluster
    if verb in {"start", "resume"}:
        # Of those that can be started, `any` is any of them.
        cluster = replace(cluster, running=tuple(one.name for one in scene.lab.servers if one.state in states))
    if target in targets.ROLES and not cluster.running:
        raise LabctlError(f"No server of the lab {scene.lab.name} can be {done}: all of them run.")
    names = targets.resolve(target, cluster)
    for one in map(scene.lab.server, names):
        if one.state not in states:
            raise LabctlError(f"{one.name} cannot be {done}: it is {one.state} now.")
    rest = [name for name in scene.cluster.running if name not in names]
    rest += names if verb in {"start", "resume"} else []
    words = f"{verb} {','.join(names)}"
    steps.note(f"{words}: {targets.preview([rest], scene.cluster)}.")
    if asked.dry_run:
        return broken(scene, "", words, names, None)
    steps.begin(words)
    fault = strike(verb, names, scene.lab, asked.seconds).fault
    lease = ""
    if asked.seconds is not None and verb in _BACK:
        _give_back(_BACK[verb], names, scene.lab, asked)
        lease = f" for {asked.seconds:g} s"
    steps.done(f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} {done}{lease}.")
    return broken(scene, fault, words, names, asked.seconds)


def strike(verb: str, names: Sequence[str], lab: Lab, seconds: float | None = None) -> Struck:
    """Do to servers what a verb says, whatever state they are in, and let their logs say so. Raises LabctlError."""
    docker_verb, _, _ = _PROCESS[verb]
    fault = rules.new_id()
    if verb in _BACK:
        words = f"{verb} {','.join(names)}"
        note(lab, names, fault_lines.began(datetime.now(UTC), fault, words, names, seconds))
    begin = datetime.now(UTC)
    faults.signal(docker_verb, [lab.server(name) for name in names])
    return Struck(fault, begin, datetime.now(UTC))


def _give_back(verb: str, names: Sequence[str], lab: Lab, asked: Asked) -> None:
    """Start or resume servers when a lease is over: by a process of its own, which ends with no terminal.

    Only Docker can start a container, and nothing in a lab may talk to Docker.
    """
    back = [sys.executable, "-m", "labctl", "fault", verb, ",".join(names), "--lab", lab.name]
    subprocess.Popen(
        ["/bin/sh", "-c", 'sleep "$0"; exec "$@"', f"{asked.seconds}", *back],
        env={**os.environ, "LABCTL_OWNER": asked.owner},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
