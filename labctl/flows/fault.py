"""`labctl fault`: break something of a running lab on purpose, and mend it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from labctl.engine import client as engine
from labctl.engine import faults, status
from labctl.engine.labs import choose_lab
from labctl.errors import ExitCode, LabctlError
from labctl.faults import rules, targets
from labctl.faults.rules import Change, Cut, Delay
from labctl.flows.plan import refuse_foreign
from labctl.raft import fault_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from labctl.engine.labs import Lab
    from labctl.show.steps import Steps

LEASE_SECONDS = 60.0
"""How long a fault of the network lasts where nobody says."""
LONGEST_SECONDS = 86_400.0
LONGEST_DELAY = 60_000
TRANSFER_SINCE = (1, 15, 0)
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
class Asked:
    """What a fault is asked for.

    Attributes:
        lab: its name, or None for the only one there is.
        owner: who asks.
        seconds: the lease, or None for the default.
        dry_run: only say what would happen.
    """

    lab: str | None
    owner: str
    seconds: float | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class _Scene:
    """A lab as it is when a fault is planned."""

    lab: Lab
    cluster: targets.Cluster


def _scene(asked: Asked) -> _Scene:
    if asked.seconds is not None and not 0 < asked.seconds <= LONGEST_SECONDS:
        raise LabctlError(
            f"A fault lasts longer than nothing and at most a day: {asked.seconds:g} seconds is not that.",
            ExitCode.USAGE,
        )
    lab = choose_lab(engine.connect(), asked.lab)
    refuse_foreign(lab, asked.owner)
    now = status.ask(lab)
    leader = now.leader
    running = tuple(server.name for server in lab.running)
    servers = tuple(server.name for server in lab.servers)
    return _Scene(lab, targets.Cluster(lab.name, servers, running, leader.name if leader else ""))


def process(verb: str, target: str, asked: Asked, steps: Steps) -> dict[str, Any]:
    """Kill, stop, start, pause or resume servers. Raises LabctlError."""
    docker_verb, states, done = _PROCESS[verb]
    scene = _scene(asked)
    cluster = scene.cluster
    if verb in {"start", "resume"}:
        # Of those that can be started, `any` is any of them.
        cluster = replace(cluster, running=tuple(one.name for one in scene.lab.servers if one.state in states))
    if target in targets.ROLES and not cluster.running:
        raise LabctlError(f"No server of the lab {scene.lab.name} can be {done}: all of them run.")
    names = targets.resolve(target, cluster)
    servers = [scene.lab.server(name) for name in names]
    for one in servers:
        if one.state not in states:
            raise LabctlError(f"{one.name} cannot be {done}: it is {one.state} now.")
    rest = [name for name in scene.cluster.running if name not in names]
    rest += names if verb in {"start", "resume"} else []
    words = f"{verb} {','.join(names)}"
    steps.note(f"{words}: {targets.preview([rest], scene.cluster)}.")
    if asked.dry_run:
        return _broken(scene, "", words, names, None, changed=True)
    steps.begin(words)
    fault = rules.new_id()
    if verb in {"kill", "stop", "pause"}:
        _note(scene.lab, names, fault_lines.began(datetime.now(UTC), fault, words, names, asked.seconds))
    faults.signal(docker_verb, servers)
    lease = ""
    if asked.seconds is not None and verb in _BACK:
        _give_back(_BACK[verb], names, scene.lab, asked)
        lease = f" for {asked.seconds:g} s"
    steps.done(f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} {done}{lease}.")
    return _broken(scene, fault, words, names, asked.seconds, changed=True)


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


def isolate(target: str, asked: Asked, steps: Steps) -> dict[str, Any]:
    """Cut servers off from all others. Raises LabctlError."""
    scene = _scene(asked)
    names = targets.resolve(target, scene.cluster)
    rest = [name for name in scene.cluster.running if name not in names]
    alone = [[name] for name in names]
    return _cut(scene, f"isolate {','.join(names)}", [rest, *alone], _apart(scene, names), asked, steps)


def partition(words: Sequence[str], asked: Asked, steps: Steps) -> dict[str, Any]:
    """Cut the lab into sides that do not reach each other. Raises LabctlError."""
    scene = _scene(asked)
    sides = targets.sides(words, scene.cluster)
    cuts: dict[str, Cut] = {}
    for side in sides:
        others = _addresses(scene, [name for name in scene.cluster.servers if name not in side])
        cuts |= {name: Cut(incoming=others, outgoing=others) for name in side}
    text = f"partition {' / '.join(','.join(side) for side in sides)}"
    return _cut(scene, text, sides, cuts, asked, steps)


def one_way(source: str, target: str, asked: Asked, steps: Steps) -> dict[str, Any]:
    """Drop what one server sends to another; the other direction stays. Raises LabctlError."""
    scene = _scene(asked)
    senders, receivers = targets.resolve(source, scene.cluster), targets.resolve(target, scene.cluster)
    if both := set(senders) & set(receivers):
        raise LabctlError(f"{min(both)} cannot be cut off from itself: name two servers.", ExitCode.USAGE)
    cuts = {name: Cut(incoming=_addresses(scene, senders)) for name in receivers}
    text = f"one-way {','.join(senders)} {','.join(receivers)}"
    return _cut(scene, text, [scene.cluster.running], cuts, asked, steps)


def loss(percent: float, target: str, asked: Asked, steps: Steps) -> dict[str, Any]:
    """Drop some of the packets between servers and all others. Raises LabctlError."""
    if not 0 < percent <= 100:  # noqa: PLR2004 - percent
        raise LabctlError(f"{percent:g} percent cannot be lost: say more than 0 and at most 100.", ExitCode.USAGE)
    scene = _scene(asked)
    names = targets.resolve(target, scene.cluster)
    cuts = {name: replace(one, percent=percent) for name, one in _apart(scene, names).items()}
    return _cut(scene, f"loss {percent:g} {','.join(names)}", [scene.cluster.running], cuts, asked, steps)


def rate(kilobytes: int, target: str, asked: Asked, steps: Steps) -> dict[str, Any]:
    """Let only so many kilobytes in a second through, between servers and all others. Raises LabctlError."""
    if kilobytes <= 0:
        raise LabctlError(f"{kilobytes} kilobytes in a second is no rate: say 1 or more.", ExitCode.USAGE)
    scene = _scene(asked)
    names = targets.resolve(target, scene.cluster)
    cuts = {name: replace(one, kilobytes=kilobytes) for name, one in _apart(scene, names).items()}
    return _cut(scene, f"rate {kilobytes} {','.join(names)}", [scene.cluster.running], cuts, asked, steps)


def delay(milliseconds: int, target: str, jitter: int, asked: Asked, steps: Steps) -> dict[str, Any]:
    """Let what servers send to others leave late. Raises LabctlError, also where the kernel cannot."""
    if not 0 < milliseconds <= LONGEST_DELAY or not 0 <= jitter <= milliseconds:
        raise LabctlError(
            f"{milliseconds} ms, {jitter} ms more or less, is no delay: say 1 to {LONGEST_DELAY}, "
            "and a jitter of at most that.",
            ExitCode.USAGE,
        )
    scene = _scene(asked)
    names = targets.resolve(target, scene.cluster)
    late = {name: Delay(one.outgoing, milliseconds, jitter) for name, one in _apart(scene, names).items()}
    text = f"delay {milliseconds}{f' ±{jitter}' if jitter else ''} {','.join(names)}"
    return _cut(scene, text, [scene.cluster.running], late, asked, steps)


def transfer(target: str, asked: Asked, steps: Steps) -> dict[str, Any]:
    """Let the leader hand its leadership over, to a server or to whom it chooses. Raises LabctlError."""
    scene = _scene(asked)
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
        _note(lab, [leader], fault_lines.began(datetime.now(UTC), rules.new_id(), words, [leader], None))
        faults.transfer(lab.server(leader), identity[0] if identity else None)
    steps.done(f"{leader} hands its leadership over{f' to {names[0]}' if names else ''}.")
    return _broken(scene, "", words, [leader], None, changed=True)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"[0-9]+", text)[:3])


def heal(fault: str | None, asked: Asked, steps: Steps) -> dict[str, Any]:
    """Lift one fault, or all: take the rules away and look that they are gone, resume and start servers."""
    if fault is not None and not rules.is_id(fault):
        raise LabctlError(f"{fault!a} is the name of no fault: `labctl fault ls` lists them.", ExitCode.USAGE)
    client = engine.connect()
    lab = choose_lab(client, asked.lab)
    refuse_foreign(lab, asked.owner)
    steps.begin("heal")
    known = {one.id for one in faults.active(client, lab.name)}
    found = faults.heal(lab, fault)
    healed = (known if fault is None else known & {fault}) | {one for had in found.values() for one in had}
    if fault is not None and not healed:
        raise LabctlError(f"The lab {lab.name} has no fault {fault}: `labctl fault ls` lists those that it has.")
    for one in sorted(healed):
        disturbed = [name for name, had in found.items() if one in had]
        _note(lab, disturbed, fault_lines.ended(datetime.now(UTC), one, disturbed))
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
    lab = choose_lab(client, name)
    return lab.name, faults.active(client, lab.name)


def _cut(  # noqa: PLR0913, PLR0917 - what a fault of the network is
    scene: _Scene,
    words: str,
    reachable: Sequence[Sequence[str]],
    changes: Mapping[str, Change],
    asked: Asked,
    steps: Steps,
) -> dict[str, Any]:
    for name in changes:
        state = scene.lab.server(name).state
        if state != "running":
            raise LabctlError(f"The network of {name} cannot be changed: it is {state} now.")
    seconds = asked.seconds or LEASE_SECONDS
    steps.note(f"{words} for {seconds:g} s: {targets.preview(reachable, scene.cluster)}.")
    if asked.dry_run:
        return _broken(scene, "", words, list(changes), seconds, changed=True)
    steps.begin(words)
    fault = rules.new_id()
    faults.change(scene.lab, changes, fault, words, seconds)
    _note(scene.lab, list(changes), fault_lines.began(datetime.now(UTC), fault, words, list(changes), seconds))
    steps.done(f"{words}: fault {fault}, for {seconds:g} s (`labctl fault heal {fault}` ends it sooner).")
    return _broken(scene, fault, words, list(changes), seconds, changed=True)


def _apart(scene: _Scene, names: Sequence[str]) -> dict[str, Cut]:
    """For each of these servers, a cut between it and every other server of the lab."""
    found = {}
    for name in names:
        others = _addresses(scene, [one for one in scene.cluster.servers if one != name])
        found[name] = Cut(incoming=others, outgoing=others)
    return found


def _addresses(scene: _Scene, names: Sequence[str]) -> frozenset[str]:
    return frozenset(scene.lab.server(name).address for name in names)


def _note(lab: Lab, names: Sequence[str], line: str) -> None:
    """Write a line into the logs of those servers that run: there it stands beside what Raft made of it."""
    faults.note([one for one in lab.running if one.name in names], line)


def _broken(  # noqa: PLR0913 - the JSON shape
    scene: _Scene, fault: str, words: str, servers: list[str], seconds: float | None, *, changed: bool
) -> dict[str, Any]:
    return {
        "lab": scene.lab.name,
        "changed": changed,
        "fault": fault or None,
        "what": words,
        "servers": servers,
        "seconds": seconds,
    }
