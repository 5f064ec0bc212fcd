"""What happened to the containers of a lab's servers, as lines that a story reads beside the servers' own.

The lines have the form of Consul's own, and the module `labctl.docker`. No server writes them: they are made from
Docker's events when a story is told, and a bundle keeps them.
"""

from __future__ import annotations

import heapq
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from labctl.engine import container_events, logs
from labctl.engine.container_events import DockerEvent
from labctl.engine.logs import LogLine
from labctl.raft.log_notes import DOCKER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from labctl.engine.client import Client
    from labctl.engine.container_events import Life
    from labctl.engine.labs import Lab, Server

KILLED_CODE = 137
"""The exit code of a process that SIGKILL ended."""
SAME = timedelta(seconds=2)
"""The most by which Docker's event and its container's time of the same may differ."""
_KILL, _STOP, _TSTP, _CONT = 9, 19, 20, 18
# These end a process that does not catch them; Consul, which catches some, ends too, each in its own way.
_ENDING = frozenset({2, 3, 6, 15})
_SECOND = timedelta(seconds=1)
_DOWN = frozenset({"exited", "dead"})


def so_far(client: Client, lab: Lab) -> list[LogLine]:
    """The acts on a lab's servers until now, in order of time. Raises LabctlError."""
    return [act.line for act in acts_of(*container_events.so_far(client, lab))]


def read(client: Client, lab: Lab, servers: Sequence[Server], tail: int | None = None) -> Iterator[LogLine]:
    """All lines, as `logs.read` gives them, and the acts on their servers. Raises LabctlError."""
    yield from beside(logs.read(client, servers, tail), so_far(client, lab), servers, whole=tail is None)


def follow(client: Client, lab: Lab, servers: Sequence[Server], tail: int | None = None) -> Iterator[LogLine | None]:
    """The same, and then what comes, as `logs.follow` has it."""
    acts = so_far(client, lab)
    marks = {server.name: logs.Mark() for server in servers}
    known = {(act.server, act.taken) for act in acts}
    last: LogLine | None = None
    for line in beside(logs.read(client, servers, tail, marks=marks), acts, servers, whole=tail is None):
        last = line
        yield line
    begin = last.when if last is not None else None
    come = _come(client, lab, servers, begin, known)
    yield from logs.Follower(client, list(servers), tail=tail, marks=marks, acts=come).with_pauses()


def _come(
    client: Client, lab: Lab, servers: Sequence[Server], since: datetime | None, known: set[tuple[str, str]]
) -> Iterator[LogLine]:
    """The acts on servers from a time on, after the known ones, by server and time."""
    newest = max((taken for _, taken in known), default="")
    acts: dict[str, Acts] = {server.name: Acts(ended=server.state in _DOWN) for server in servers}
    for told in container_events.to_come(client, lab, since):
        act = acts[told.server].take(told) if told.server in acts else None
        if act is None or (act.line.server, act.line.taken) in known:
            continue
        # Events older than the requested time are new, too: the clock was set back.
        if act.line.taken > newest or (since is not None and told.time < since - _SECOND):
            yield act.line


def beside(
    lines: Iterable[LogLine], acts: Iterable[LogLine], servers: Iterable[Server], *, whole: bool = True
) -> Iterator[LogLine]:
    """Servers' lines and the acts on them, in order of time; with `whole`, also the acts before the first line."""
    names = {server.name for server in servers}
    begun = whole
    for line in heapq.merge(lines, (act for act in acts if act.server in names), key=lambda log_line: log_line.taken):
        begun = begun or not line.of_docker
        if begun:
            yield line


class Act(NamedTuple):
    """Something that happened to a server's container, and when."""

    server: str
    time: datetime
    message: str

    @property
    def line(self) -> LogLine:
        """The act as a line of a log."""
        time = self.time.astimezone(UTC).replace(tzinfo=None)
        text = f"{time.isoformat(timespec='milliseconds')}Z [INFO]  {DOCKER}: {self.message}"
        return LogLine(self.server, f"{time.isoformat(timespec='microseconds')}000Z", text, of_docker=True)


class Acts:
    """Makes acts out of Docker's events of one container, in their order; one that does not run is not killed again.

    Args:
        ended: its process has ended before the first event.
    """

    def __init__(self, *, ended: bool = False) -> None:
        self.ended = ended
        self._runs = not ended
        self._asked: DockerEvent | None = None
        self._changed_since = False
        self._out_of_memory = False

    def take(self, told: DockerEvent) -> Act | None:
        """Take in the next event. Returns what it says was done."""
        if told.action == "start":
            # Nothing ended before: it was started for the first time.
            again, self._runs, self._asked, self.ended = self.ended, True, None, False
            return Act(told.server, told.time, "container started") if again else None
        if not self._runs:
            return None
        if told.action in {"pause", "unpause"}:
            return self._changed(told, f"container {told.action}d")
        if told.action == "oom":
            self._out_of_memory = True
            return None
        return self._signalled(told) if told.action == "kill" else self._died(told)

    def _signalled(self, told: DockerEvent) -> Act | None:
        if told.number == _KILL:
            self._end()
            return Act(told.server, told.time, f"container killed: signal={_KILL}")
        if told.number in {_STOP, _TSTP}:
            return self._changed(told, f"container paused: signal={told.number}")
        if told.number == _CONT:
            return self._changed(told, f"container unpaused: signal={_CONT}")
        if told.number in _ENDING and self._asked is None:
            # Whether this signal ends it is known when it ends.
            self._asked, self._changed_since = told, False
        return None

    def _changed(self, told: DockerEvent, message: str) -> Act:
        self._changed_since = True
        return Act(told.server, told.time, message)

    def _died(self, told: DockerEvent) -> Act:
        asked, starved, changed_since = self._asked, self._out_of_memory, self._changed_since
        self._end()
        code = "" if told.number is None else f" exit_code={told.number}"
        if starved:
            return Act(told.server, told.time, f"container killed: cause=memory{code}")
        if asked is not None:
            # It is stopping since the request; unless it was frozen or resumed after that.
            time = told.time if changed_since else asked.time
            return Act(told.server, time, f"container stopped: signal={asked.number}{code}")
        return _ended(told.server, told.time, told.number)

    def _end(self) -> None:
        self._runs, self._asked, self._out_of_memory, self.ended = False, None, False, True


def _ended(server: str, time: datetime, code: int | None) -> Act:
    """The act for an end without a known cause."""
    if code == KILLED_CODE:
        return Act(server, time, f"container killed: exit_code={code}")
    return Act(server, time, "container ended" + ("" if code is None else f": exit_code={code}"))


def acts_of(told: Iterable[DockerEvent], lives: Iterable[Life]) -> list[Act]:
    """The acts on servers, from Docker's events and, where these are lost, from the containers."""
    by_server: dict[str, list[DockerEvent]] = {}
    for told_ in told:
        by_server.setdefault(told_.server, []).append(told_)
    known = {life.server: life for life in lives}
    return sorted(
        (act for server in {*by_server, *known} for act in _acts_of(by_server.get(server, []), known.get(server))),
        key=lambda act: (act.time, act.server),
    )


def _acts_of(told: list[DockerEvent], life: Life | None) -> Iterator[Act]:
    told = sorted(told, key=lambda told_: told_.time)
    if life is not None:
        told = sorted([*told, *_untold(told, life)], key=lambda told_: told_.time)
    # Where the end of the previous life is forgotten, the first event is a start.
    acts = Acts(ended=bool(told) and told[0].action == "start" and life is not None and _was_before(life, told[0].time))
    for told_ in told:
        act = acts.take(told_)
        if act is not None:
            yield act


def _untold(told: list[DockerEvent], life: Life) -> Iterator[DockerEvent]:
    """The acts that a container shows and no event does."""
    if life.finished is None:
        return
    if not any(told_.action == "die" and abs(told_.time - life.finished) <= SAME for told_ in told):
        if life.out_of_memory:
            yield DockerEvent(life.server, life.finished - timedelta(microseconds=1), "oom")
        yield DockerEvent(life.server, life.finished, "die", life.code)
    started = life.started
    if started is None or started <= life.finished:
        return
    if not any(told_.action == "start" and abs(told_.time - started) <= SAME for told_ in told):
        yield DockerEvent(life.server, started, "start")


def _was_before(life: Life, start: datetime) -> bool:
    """Whether an earlier process is known to have ended before a start."""
    return life.finished is not None and life.finished <= start
