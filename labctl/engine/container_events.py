"""What happened to the containers of a lab's servers, whoever caused it.

An engine keeps its last 256 events, of all containers together, and none over its own restart. Beyond
these, a container still has the times at which its process last started and ended, and how it ended.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from labctl.engine.client import explained
from labctl.shared import lab_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from labctl.engine.client import Client
    from labctl.engine.labs import Lab

DISTURBED = frozenset({"kill", "die", "oom", "start", "pause", "unpause"})
"""The events that concern a container's process."""
_ACTIONS = tuple(DISTURBED)
_MOST_DIGITS = 3


class DockerEvent(NamedTuple):
    """One event of Docker's about a container.

    Attributes:
        server: whose.
        time: when, by the Docker host's clock.
        action: one of `DISTURBED`.
        number: which signal was sent, or with which code the process ended; None where Docker does not say.
    """

    server: str
    time: datetime
    action: str
    number: int | None = None


class Life(NamedTuple):
    """A container's process: the current one, or the last one that ended.

    Attributes:
        server: whose.
        started: when it was started last; None where it never was.
        finished: when it ended last; None where it never did.
        code: with which exit code it ended; None while it runs.
        out_of_memory: whether it was ended for want of memory.
    """

    server: str
    started: datetime | None
    finished: datetime | None
    code: int | None
    out_of_memory: bool = False


def so_far(client: Client, lab: Lab) -> tuple[list[DockerEvent], list[Life]]:
    """The events of a lab's servers that the engine still has, oldest first, and what the containers show.

    Raises LabctlError.
    """
    servers = {server.id: server.name for server in lab.servers}
    with explained(client.place):
        told = client.events_so_far(filters=_filters(lab))
        states = client.inspected(servers)
    lives = [_life(servers[state["Id"]], state.get("State") or {}) for state in states if state.get("Id") in servers]
    return list(_of_servers(told, servers)), lives


def to_come(client: Client, lab: Lab, since: datetime | None) -> Iterator[DockerEvent]:
    """The events of a lab's servers from a time of the engine's clock on, without end; by default from now on.

    Raises LabctlError.
    """
    servers = {server.id: server.name for server in lab.servers}
    begin = since.timestamp() if since is not None else time.time()
    with explained(client.place):
        yield from _of_servers(client.events_to_come(filters=_filters(lab), since=begin), servers)


def _filters(lab: Lab) -> dict[str, list[str]]:
    label = f"{lab_names.LABEL_LAB}={lab.name}"
    return {"type": ["container"], "label": [label], "event": sorted(DISTURBED)}


def _of_servers(told: Iterable[Mapping[str, Any]], servers: Mapping[str, str]) -> Iterator[DockerEvent]:
    """The events that concern servers' processes, as far as they can be read."""
    for event in told:
        actor = event.get("Actor") if isinstance(event, dict) else None
        if not isinstance(actor, dict):
            continue
        server, time, action = servers.get(str(actor.get("ID"))), moment_of(event.get("timeNano")), event.get("Action")
        if server is None or action not in _ACTIONS or time is None:
            continue
        named = actor.get("Attributes")
        named = named if isinstance(named, dict) else {}
        number = _number(named.get("signal" if action == "kill" else "exitCode"))
        yield DockerEvent(server, time, str(action), number)


def moment_of(nanoseconds: object) -> datetime | None:
    """A moment as events have it, in nanoseconds since 1970; None if it is not one."""
    if type(nanoseconds) is not int:
        return None
    try:
        return datetime.fromtimestamp(nanoseconds / 1e9, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _life(server: str, state: Mapping[str, Any]) -> Life:
    started, finished = _moment(state.get("StartedAt")), _moment(state.get("FinishedAt"))
    runs = state.get("Running") is not False
    code = state.get("ExitCode")
    return Life(
        server, started, finished, None if runs or type(code) is not int else code, state.get("OOMKilled") is True
    )


def _moment(stamp: object) -> datetime | None:
    """A time of Docker's; a time that never was has the year 1."""
    try:
        moment = datetime.fromisoformat(str(stamp))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None and moment.year > 1 else None


def _number(text: object) -> int | None:
    return (
        int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None
    )
