"""Disturb servers: Docker's own signals for their processes, rules in their network namespaces for their network.

The rules are put there by a helper: a container in the server's network namespace that may change that network and
nothing else. It waits until the fault's lease is over, takes the rules away and is gone. Should it be killed, the
kernel itself forgets the addresses that the rules match.
"""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from labctl.engine import clock, sidecar
from labctl.engine.client import explained
from labctl.engine.container_events import moment_of
from labctl.engine.sidecar import LABEL_FAULT
from labctl.faults import cleanup, nftables
from labctl.shared import lab_names
from labctl.shared.docker_api import DockerError, document_of
from labctl.shared.parallel import each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from labctl.engine.client import Client
    from labctl.engine.clock import HostClock
    from labctl.engine.docker_host import DockerHost
    from labctl.engine.labs import Lab, Server
    from labctl.shared.docker_api import Engine

LABEL_WORDS = lab_names.LABEL_PREFIX + "fault-words"
LABEL_TARGET = lab_names.LABEL_PREFIX + "fault-target"
LABEL_UNTIL = lab_names.LABEL_PREFIX + "fault-until"
LABEL_LIFE = lab_names.LABEL_FAULT_LIFE
AT_ONCE = 8
# Stopping a server, the longest request here, takes a little over five seconds.
CHANGE_SECONDS = 30.0
LAST_LINES = 2000
"""More than a server writes between the line of a fault and its end."""
NOTE = 'printf "%s\\n" "$0" > /proc/1/fd/2'
"""Writes a line ($0) into a server's log, on the stream that Consul leaves empty.

So it never shares a line with Consul, which writes a line and its end one after the other (mitchellh/cli, BasicUi), and
nothing that Consul writes is taken for it: who can write there can run programs in the container.
"""


@dataclass(frozen=True)
class ActiveFault:
    """A fault that a lab has now.

    Attributes:
        id: its name.
        words: what was asked for, as in `isolate consul2`.
        servers: whose network it changes, or who was taken away.
        until: when its lease is over, by this machine's clock; None where it has none.
    """

    id: str
    words: str
    servers: tuple[str, ...]
    until: datetime | None

    def seconds_left(self, now: datetime) -> float | None:
        """How long it still lasts, in seconds, not less than 0."""
        return None if self.until is None else round(max((self.until - now).total_seconds(), 0.0), 1)


def active(client: Client, lab: Lab) -> list[ActiveFault]:
    """The faults of the network that a lab has now, in the order in which they end.

    A helper stands for one only in the network that it was begun in: a server that was started again has another.
    Raises LabctlError, also where Docker does not say whether a fault lasts.
    """
    by_fault: dict[str, list[dict[str, str]]] = {}
    with explained(client.place):
        listed = client.containers(filters={"label": f"{lab_names.LABEL_LAB}={lab.name}"})
        states = {container["Id"]: container["State"] for container in listed}
        lives: dict[str, str] = {}
        for container in sidecar.with_fault(listed, lab):
            server = sidecar.server_of(container)
            if states.get(server) not in sidecar.WITH_NETWORK or container["State"] == "created":
                continue
            if server not in lives:
                lives[server] = sidecar.life_of(_engine_of(client.place), server)
            if container["Labels"].get(LABEL_LIFE, "") in {"", lives[server]}:
                by_fault.setdefault(container["Labels"][LABEL_FAULT], []).append(container["Labels"])
    if not by_fault:
        return []
    host = clock.of(client.place)
    faults = [
        ActiveFault(
            fault,
            labels[0].get(LABEL_WORDS, ""),
            tuple(sorted(label.get(LABEL_TARGET, "") for label in labels)),
            _moment(labels[0].get(LABEL_UNTIL, ""), host),
        )
        for fault, labels in by_fault.items()
    ]
    return sorted(faults, key=lambda each_fault: (each_fault.until or datetime.max.replace(tzinfo=UTC), each_fault.id))


def _moment(text: str, host: HostClock) -> datetime | None:
    moment = clock.moment_of(text)
    return None if moment is None else host.here(moment)


def change(  # noqa: PLR0913, PLR0917 - what a fault of the network is
    lab: Lab, changes: Mapping[str, nftables.Change], fault: str, words: str, seconds: float, host: HostClock
) -> None:
    """Put a fault into the network of each of these servers, into all of them or into none. Raises LabctlError."""
    ends, until = time.monotonic() + seconds, host.now() + timedelta(seconds=seconds)
    engine = _engine_of(lab.place)

    def apply(name: str) -> None:
        life = sidecar.life_of(engine, lab.server(name).id)
        labels = {
            LABEL_FAULT: fault,
            LABEL_WORDS: words,
            LABEL_TARGET: name,
            LABEL_UNTIL: until.isoformat(),
            LABEL_LIFE: life,
        }
        script = f"sleep {seconds:.3f}; {nftables.undo(fault, changes[name])}"
        with sidecar.started(engine, lab, lab.server(name), script, labels) as helper:
            # From here on: what the helper waited for to be made does not count.
            left = max(ends - time.monotonic(), 0.001)
            try:
                engine.execute(helper, nftables.apply(fault, changes[name], left), doing=f"disturbing {name}")
            except DockerError as error:
                raise _explained(error, name) from error
            if sidecar.life_of(engine, lab.server(name).id) != life:
                raise DockerError(f"{name} was started again while it was being disturbed: try that again.")

    with explained(lab.place):
        try:
            each(apply, changes, AT_ONCE)
        except BaseException:
            with contextlib.suppress(DockerError):
                _clean(engine, lab, [lab.server(name) for name in changes], fault)
            raise


def _explained(error: DockerError, name: str) -> DockerError:
    """Say in one sentence why the kernel took no rule."""
    said = error.said.lower()
    if "file exists" in said or "exclusivity flag" in said:
        return DockerError(f"{name} has a delay already: heal that one first.", said=error.said)
    if nftables.NO_QUEUE in said:
        return DockerError(
            "The Docker host's kernel cannot delay packets: load the modules (`sudo modprobe -a sch_htb sch_netem`), "
            "or take `labctl fault loss` or `labctl fault rate`, which need nftables alone.",
            said=error.said,
        )
    if "not permitted" in said or "not supported" in said or "could not process rule" in said:
        return DockerError(
            f"The network of {name} took no rule: the Docker host's kernel has no nftables, or lets no container "
            "use them, so only kill, stop and pause are left.",
            said=error.said,
        )
    return error


def heal(lab: Lab, fault: str | None = None) -> dict[str, set[str]]:
    """Take one fault, or all of them, out of the network of every server that has one, and look that they are gone.

    Returns:
        Which faults each server had.

    Raises:
        LabctlError: a rule is still there, or Docker failed.
    """
    with explained(lab.place):
        there = [server for server in lab.servers if server.state in {"running", "paused"}]
        return _clean(_engine_of(lab.place), lab, there, fault)


def _clean(engine: Engine, lab: Lab, servers: Sequence[Server], fault: str | None) -> dict[str, set[str]]:
    by_server: dict[str, set[str]] = {}
    names = [server.name for server in servers]
    # Listed first, so that a fault that is begun meanwhile keeps its helper.
    waiting = [
        container for container in sidecar.of_faults(engine, lab) if fault in {None, container["Labels"][LABEL_FAULT]}
    ]

    def clean(name: str) -> None:
        with sidecar.started(engine, lab, lab.server(name), "sleep 60", {}) as helper:
            said = engine.execute(helper, cleanup.words(fault), doing=f"healing {name}")
            sidecar.remove(engine, helper)
        seen = cleanup.read(said, fault)
        if seen.delayed:
            raise DockerError(f"{name} still has a delay: `labctl fault heal` again.")
        if seen.left:
            raise DockerError(f"{name} still has rules of the fault {min(seen.left)}: `labctl fault heal` again.")
        by_server[name] = set(seen.had)

    try:
        each(clean, names, AT_ONCE)
    finally:
        # Where cleaning failed, the helper that waits for the fault's end may still do it.
        done = [
            container["Id"]
            for container in waiting
            if container["Labels"].get(LABEL_TARGET) not in set(names) - set(by_server)
        ]
        each(lambda helper: sidecar.remove(engine, helper), done, AT_ONCE)
    return by_server


def _engine_of(place: DockerHost) -> Engine:
    return place.engine(CHANGE_SECONDS)


def signal(verb: str, servers: Iterable[Server]) -> None:
    """Do `kill`, `stop`, `start`, `pause` or `unpause` to servers' processes, all at once. Raises LabctlError.

    A server that runs already when it should start or go on is no failure.
    """
    query: dict[str, dict[str, Any]] = {"kill": {"signal": "KILL"}, "stop": {"t": 5}}
    doing = {"kill": "killing", "stop": "stopping", "start": "starting", "pause": "pausing", "unpause": "resuming"}

    def send(server: Server) -> None:
        try:
            _engine_of(server.place).change(verb, [server.id], doing=f"{doing[verb]} servers", **query.get(verb, {}))
        except DockerError as error:
            # Two may heal at the same time. Of a server that was started already, Docker says nothing.
            if verb != "unpause" or "is not paused" not in error.said.lower():
                raise

    _each_server(send, servers)


def done_by(server: Server, verb: str, begin: datetime, end: datetime) -> datetime | None:
    """When, between two times of its host's clock, Docker had done a verb to a server; None where no event says so.

    `signal` returns a tenth of a second or more later: Docker waits for the process to be gone. Raises LabctlError.
    """
    wanted = json.dumps({"container": [server.id], "event": [verb]})
    query = {"since": _since_1970(begin), "until": _since_1970(end), "filters": wanted}
    doing = f"asking when {server.name} was disturbed"
    with explained(server.place):
        said = _engine_of(server.place).ask("GET", "/events", query, doing=doing)
        stamps = [document_of(line, doing).get("timeNano") for line in said.splitlines() if line.strip()]
    times = [moment for moment in map(moment_of, stamps) if moment is not None]
    return min((time_ for time_ in times if begin <= time_ <= end), default=None)


def _since_1970(moment: datetime) -> str:
    return f"{moment.timestamp():.6f}"


def transfer(leader: Server, identity: str | None) -> None:
    """Make the leader transfer its leadership, to the server with that ID or to any. Raises LabctlError."""
    words = ["consul", "operator", "raft", "transfer-leader", *([f"-id={identity}"] if identity else [])]
    with explained(leader.place):
        _engine_of(leader.place).execute(leader.id, words, doing=f"asking {leader.name} to hand its leadership over")


def states_of(servers: Sequence[Server]) -> dict[str, str]:
    """Docker's word for how each server is now; one that is gone is left out. Raises LabctlError."""
    states_by_id: dict[str, str] = {}
    for place in {id(server.place): server.place for server in servers}.values():
        with explained(place):
            ids = [server.id for server in servers if server.place is place]
            states = _engine_of(place).inspected(ids, doing="looking at servers")
        states_by_id |= {str(state["Id"]): str(state["State"]["Status"]) for state in states}
    return {server.name: states_by_id[server.id] for server in servers if server.id in states_by_id}


def note(servers: Iterable[Server], line: str) -> None:
    """Write a line into servers' logs, where their own lines are. Raises LabctlError."""

    def write(server: Server) -> None:
        words = ["/bin/sh", "-c", NOTE, line]
        _engine_of(server.place).execute(server.id, words, doing=f"noting a fault in the log of {server.name}")

    _each_server(write, servers)


def last_words(server: Server) -> str:
    """What `note` wrote at the end of a server's log, in the life that it has or had last. Raises LabctlError."""
    engine, doing = _engine_of(server.place), f"reading the log of {server.name}"
    with explained(server.place):
        state = engine.get(f"/containers/{server.id}/json", doing=doing)["State"]
        began = datetime.fromisoformat(state["StartedAt"])
        # One that was never started has a date of the year 1.
        since = began.timestamp() if began.year > 1 else 0.0
        return engine.log(server.id, "stderr", lines=LAST_LINES, since=since, doing=doing)


def _each_server(work: Callable[[Server], None], servers: Iterable[Server]) -> None:
    """Do the same to all of them at once. Raises LabctlError."""
    by_id = {server.id: server for server in servers}

    def told(key: str) -> None:
        with explained(by_id[key].place):
            work(by_id[key])

    each(told, by_id, AT_ONCE)
