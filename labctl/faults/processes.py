"""Kill, stop and pause servers, and let them run again."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import labctl
from labctl.engine import clock
from labctl.engine.clock import HostClock
from labctl.errors import LabctlError
from labctl.faults import nftables, targets
from labctl.faults.context import FaultRequest, fault_result, look
from labctl.faults.forecast import Outlook
from labctl.faults.inject import ActiveFault
from labctl.faults.process_verbs import BACK_FROM, PROCESS_VERBS, TAKES_AWAY
from labctl.faults.tools import TOOLS, Tools
from labctl.raft import log_notes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from labctl.engine.labs import Lab, Server
    from labctl.progress import Steps
    from labctl.results import FaultResult

# This very labctl, however it was installed: -P leaves the current folder out of where Python looks for code.
FOUND_HERE = str(Path(labctl.__file__).resolve().parent.parent)
START = "import sys; sys.path.append(sys.argv.pop(1)); from labctl.__main__ import main; main()"
THIS_LABCTL = (sys.executable, "-P", "-c", START, FOUND_HERE)
# An engine that is busy, or restarts, has this long until a heal that failed is tried again.
HEAL_AGAIN_SECONDS = 10.0
# Only what failed is tried again: what is refused, or wrong, stays so.
_HEAL_LATER = (
    'sleep "$0"; again=$1; shift; '
    'for n in 1 2 3; do "$@"; code=$?; [ $code = 1 ] && [ $n != 3 ] || break; sleep "$again"; done; exit $code'
)


@dataclass(frozen=True)
class FaultApplied:
    """What was done to servers, and between which times it happened, by the Docker host's clock.

    `fault` is its name, or "" where they came back.
    """

    fault: str
    begin: datetime
    end: datetime


def process(verb: str, target: str, asked: FaultRequest, steps: Steps, tools: Tools = TOOLS) -> FaultResult:
    """Kill, stop, start, pause or resume servers. Raises LabctlError.

    Args:
        verb: one of these words.
        target: servers or a role.
        asked: the lab; its lease is for what takes servers away, and means nothing for `start` and `resume`.
        steps: where to say what happens.
        tools: with which it is done.
    """
    states, done = PROCESS_VERBS[verb].states, PROCESS_VERBS[verb].done
    scene = look(asked, tools)
    brings_back = verb not in TAKES_AWAY
    cluster = scene.cluster
    if brings_back:
        # Of those that can be started, `any` is any of them.
        cluster = replace(cluster, running=tuple(server.name for server in scene.lab.servers if server.state in states))
        if target in targets.ROLES and not cluster.running:
            raise LabctlError(f"No server of the lab {scene.lab.name} can be {done}: none is {_waiting(verb)}.")
    names = targets.resolve(target, cluster)
    for server in map(scene.lab.server, names):
        if server.state not in states:
            raise LabctlError(f"{server.name} cannot be {done}: it is {server.state} now.")
    rest = [name for name in scene.cluster.running if name not in names]
    words = f"{verb} {','.join(names)}"
    seconds = None if brings_back else asked.seconds
    outlook = Outlook(scene, verb, seconds)
    forecast = outlook.of_return(names) if brings_back else outlook.of_groups([rest])
    steps.note(f"{words}: {forecast.sentence}.")
    if asked.dry_run:
        return fault_result(scene, "", words, names, seconds, forecast=forecast)
    asked.keep()
    steps.begin(words)
    fault = apply_fault(verb, names, scene.lab, seconds, tools=tools).fault
    lease = ""
    if seconds is not None:
        heal_later(fault, seconds, scene.lab, asked, tools.start_process)
        lease = f" for {seconds:g} s"
    steps.done(f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} {done}{lease}.")
    if brings_back and forecast.leader == "none":
        steps.note(
            f"Nobody leads yet: `labctl status {scene.lab.name}` says when, and `labctl start {scene.lab.name}` waits."
        )
    return fault_result(scene, fault, words, names, seconds, forecast=forecast)


def apply_fault(  # noqa: PLR0913 - what is done to whom, and with what
    verb: str,
    names: Sequence[str],
    lab: Lab,
    seconds: float | None = None,
    host: HostClock | None = None,
    *,
    tools: Tools = TOOLS,
) -> FaultApplied:
    """Apply a verb to servers, and note it in their logs. Raises LabctlError.

    Args:
        verb: as of `process`; what it brings back must be paused or down.
        names: the servers.
        lab: as it is now.
        seconds: the lease that stands in the log; nothing here ends it.
        host: the Docker host's clock where it is known already; else it is asked.
        tools: with which it is done.
    """
    servers = [lab.server(name) for name in names]
    host = tools.clock(lab.place) if host is None else host
    slack = timedelta(seconds=host.uncertain)
    if verb not in TAKES_AWAY:
        begin = host.now() - slack
        bring_back(servers, host, tools)
        return FaultApplied("", begin, host.now() + slack)
    fault = nftables.new_id()
    try:
        line = log_notes.began(host.now(), fault, f"{verb} {','.join(names)}", names, seconds)
        _note_first(servers, line, tools)
        begin = host.now() - slack
        tools.signal(PROCESS_VERBS[verb].docker, servers)
    except BaseException:
        _note_failure(servers, fault, host, tools)
        raise
    return FaultApplied(fault, begin, host.now() + slack)


def _note_failure(servers: Sequence[Server], fault: str, host: HostClock, tools: Tools) -> None:
    """Let the logs of those that run on say so: else whatever ends them later would be this fault.

    Where Docker does not say who runs on, nothing is known, and nothing is written.
    """
    with contextlib.suppress(LabctlError):
        states = tools.states_of(servers)
        on = [replace(server, state=states[server.name]) for server in servers if states.get(server.name) == "running"]
        if on:
            tools.note(on, log_notes.failed(host.now(), fault, [server.name for server in on]))


def _waiting(verb: str) -> str:
    return "paused" if verb == "resume" else "down"


def _note_first(servers: Sequence[Server], line: str, tools: Tools) -> None:
    """Write the line of a fault while that is possible: nothing can write into the log of a frozen server."""
    if frozen := [server for server in servers if server.state == "paused"]:
        tools.signal(PROCESS_VERBS["resume"].docker, frozen)
    tools.note(servers, line)


def taken_away(lab: Lab, fault: str | None, tools: Tools = TOOLS) -> list[Server]:
    """The servers that do not run: all of them, or those that this fault took away and nobody brought back since.

    Raises LabctlError where one is meant, and a log that may show it cannot be read.
    """
    down = [each_server for each_server in lab.servers if each_server.state in BACK_FROM]
    if fault is None:
        return down
    faulted, unread = _in_faults(down, tools)
    away = [each_server for each_server, noted in faulted if noted.fault == fault]
    if unread and not away:
        (server, error), *_ = unread
        raise LabctlError(
            f"Cannot tell whether {server.name} is down because of the fault {fault}: {error.sentence.rstrip('.')}. "
            f"`labctl fault heal --lab {lab.name}` lets every server run again."
        )
    return away


def active(lab: Lab, tools: Tools = TOOLS) -> list[ActiveFault]:
    """The faults that took servers away which are still away.

    One without a name is of a server that is down and whose log cannot be read, so its fault is unknown.
    """
    by_fault: dict[str, tuple[log_notes.LoggedFault, list[str]]] = {}
    known, unread = _in_faults([server for server in lab.servers if server.state in BACK_FROM], tools)
    for server, noted in known:
        by_fault.setdefault(noted.fault, (noted, []))[1].append(server.name)
    # Anyone who runs programs in a server may write such a line.
    ends = {name: clock.shown_by_clocks(noted.until) for name, (noted, _) in by_fault.items()}
    host = tools.clock(lab.place) if any(ends.values()) else HostClock()
    return [
        *(
            ActiveFault(name, noted.words, tuple(servers), None if (end := ends[name]) is None else host.here(end))
            for name, (noted, servers) in by_fault.items()
        ),
        *(ActiveFault("", f"unknown: {error.sentence}", (server.name,), None) for server, error in unread),
    ]


def _in_faults(
    down: Sequence[Server], tools: Tools
) -> tuple[list[tuple[Server, log_notes.LoggedFault]], list[tuple[Server, LabctlError]]]:
    """Which fault each of these servers is in, and of which of them that cannot be read."""
    faulted, unread = [], []
    for server in down:
        try:
            noted = log_notes.last(tools.last_words(server))
        except LabctlError as error:
            unread.append((server, error))
            continue
        if noted is not None and noted.verb in TAKES_AWAY and PROCESS_VERBS[noted.verb].leaves == server.state:
            faulted.append((server, noted))
    return faulted, unread


def bring_back(servers: Sequence[Server], host: HostClock | None = None, tools: Tools = TOOLS) -> set[str]:
    """Resume and start servers, and write into their logs which faults end. Returns the faults.

    `host` is the Docker host's clock where it is known already.
    """
    ended: dict[str, list[Server]] = {}
    for server in servers:
        # Asked before: a server that starts begins a new life, whose log has no fault.
        if (noted := _noted(server, tools)) and noted.verb in TAKES_AWAY:
            ended.setdefault(noted.fault, []).append(server)
    for verb in ("resume", "start"):
        if those := [server for server in servers if BACK_FROM[server.state] == verb]:
            tools.signal(PROCESS_VERBS[verb].docker, those)
    # They are back, also where that cannot be written into a log.
    with contextlib.suppress(LabctlError):
        if ended and host is None:
            host = tools.clock(servers[0].place)
    for fault, of in ended.items():
        with contextlib.suppress(LabctlError):
            now = (host or HostClock()).now()
            tools.note(of, log_notes.ended(now, fault, [server.name for server in of]))
    return set(ended)


def _noted(server: Server, tools: Tools) -> log_notes.LoggedFault | None:
    # Where a log cannot be read, its server must come back all the same.
    with contextlib.suppress(LabctlError):
        return log_notes.last(tools.last_words(server))
    return None


def from_anywhere(environment: Mapping[str, str]) -> dict[str, str]:
    """The same environment for a process in another folder: what the docker command would look for in this one."""
    variables = dict(environment)
    for name in ("DOCKER_CONFIG", "DOCKER_CERT_PATH"):
        if variables.get(name):
            variables[name] = os.path.abspath(variables[name])  # noqa: PTH100 - links stay as they are
    host, socket, path = variables.get("DOCKER_HOST", "").partition("unix://")
    if socket and not host and path:
        variables["DOCKER_HOST"] = f"unix://{os.path.abspath(path)}"  # noqa: PTH100
    # An empty or a relative entry would be looked for in the other folder.
    if path := variables.pop("PYTHONPATH", ""):
        variables["PYTHONPATH"] = os.pathsep.join(folder for folder in path.split(os.pathsep) if os.path.isabs(folder))  # noqa: PTH117
    return variables


def heal_later(  # noqa: PLR0913, PLR0917 - a lease, and by what it is ended
    fault: str,
    seconds: float,
    lab: Lab,
    asked: FaultRequest,
    start: Callable[..., object] = subprocess.Popen,
    this_labctl: Sequence[str] = THIS_LABCTL,
    *,
    again: float = HEAL_AGAIN_SECONDS,
) -> None:
    """Heal a fault when its lease is over, in a separate process without a terminal.

    Only Docker can start a container, and nothing in a lab may talk to Docker. Where it fails, as with an engine that
    is busy, it is retried after `again` seconds, at most twice.
    """
    heal = [*this_labctl, "fault", "heal", fault, "--lab", lab.name]
    start(
        ["/bin/sh", "-c", _HEAL_LATER, f"{seconds}", f"{again}", *heal],
        env={**from_anywhere(os.environ), "LABCTL_OWNER": asked.owner},
        # It keeps no folder busy, and loads no code from the user's current folder.
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
