"""`labctl measure failover`: take the leader away again and again, and time what the others do about it."""

from __future__ import annotations

import contextlib
import random
import re
import secrets
import signal
import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from labctl.engine import client as engine
from labctl.engine import clock, faults, logs, status
from labctl.engine.kv import Refused, Store, Unanswered
from labctl.engine.labs import choose_lab
from labctl.errors import ExitCode, LabctlError
from labctl.flows import fault
from labctl.flows.alone import alone_with
from labctl.flows.first_write import FirstWrite
from labctl.flows.plan import refuse_foreign
from labctl.flows.story import of_everything, of_lines
from labctl.raft.expected import FEWEST_SERVERS, expected
from labctl.raft.failover import Failover, Measurement, told
from labctl.raft.read import read_line
from labctl.raft.timers import timers_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from labctl.engine.client import Client
    from labctl.engine.labs import Lab, Server
    from labctl.flows.fault import Struck
    from labctl.raft.event import Event
    from labctl.raft.failover import By, Told
    from labctl.show.steps import Steps

MOST_TIMES = 500
PRE_VOTE_SINCE = (1, 20, 2)
MOST_DIFFERENCE = 0.05
"""How far the Docker host's clock may be off, in seconds."""
PREFIX = "raft-labctl/failover-"
# A request that a server still holds is looked at again within 7 s / 16 of there being a leader.
_HELD_SECONDS = 0.5
_LOOK_SECONDS = 0.1
_DOWN = {"exited", "created", "dead"}


@dataclass(frozen=True)
class Asked:
    """What is asked for.

    Attributes:
        lab: its name, or None for the only one there is.
        owner: who asks.
        times: how many failovers.
        by: what happens to the leader.
        output: the file that it will be written to, or None.
    """

    lab: str | None
    owner: str
    times: int
    by: By
    output: Path | None = None


@dataclass(frozen=True)
class Result:
    """What came of it.

    Attributes:
        measurement: with every failover that was measured to its end.
        ended: what ended it too early, or None.
    """

    measurement: Measurement
    ended: LabctlError | KeyboardInterrupt | None


def save(text: str, path: Path) -> None:
    """Write to a file. Raises LabctlError."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LabctlError(f"{path} could not be written: {error.strerror}.") from error


def failover(asked: Asked, steps: Steps) -> Result:
    """Measure failovers, one after the other. The lab is then as it was before, but for its leader and its term.

    Raises:
        LabctlError: before the first failover. What ends it later is in the result.
    """
    if not 1 <= asked.times <= MOST_TIMES:
        raise LabctlError(f"{asked.times} failovers cannot be measured: say 1 to {MOST_TIMES}.", ExitCode.USAGE)
    # A quarter of an hour later it would be a pity.
    if asked.output is not None and not asked.output.absolute().parent.is_dir():
        raise LabctlError(f"{asked.output} cannot be written: there is no such folder.", ExitCode.USAGE)
    client = engine.connect()
    lab = choose_lab(client, asked.lab)
    refuse_foreign(lab, asked.owner)
    with alone_with(lab.name):
        _refuse_unfit(lab)
        _refuse_other_clock()
        return _Run(client, lab, asked, steps).result()


def _refuse_unfit(lab: Lab) -> None:
    if lab.size < FEWEST_SERVERS:
        raise LabctlError(
            f"The lab {lab.name} has {lab.size} server{'' if lab.size == 1 else 's'}, so nobody can follow its leader: "
            f"`labctl up {lab.name} --servers 3` makes it larger.",
            ExitCode.REFUSED,
        )
    problem = status.ask(lab).problem
    if problem:
        raise LabctlError(
            f"The lab {lab.name} is not ready because {problem}, and a failover is measured from a lab that is: "
            f"`labctl fault heal --lab {lab.name}` mends what was broken on purpose, `labctl start {lab.name}` starts "
            "what is stopped.",
            ExitCode.NOT_READY,
        )


def _refuse_other_clock() -> None:
    """Refuse a Docker host with a clock of its own: it stamps the logs, and labctl stamps the write."""
    host = engine.host_name()
    if host != "local":
        raise LabctlError(
            f"The Docker host is {host}, whose clock stamps the logs while this machine's stamps the writes: "
            "run `labctl measure failover` on the Docker host itself.",
            ExitCode.REFUSED,
        )
    found = clock.difference()
    if found is not None and found.certain > MOST_DIFFERENCE:
        raise LabctlError(
            f"The Docker host's clock is {found.seconds:+.2f} s off this machine's (a virtual machine?), which is more "
            "than what is to be measured can bear: set it, or run this on the Docker host itself.",
            ExitCode.REFUSED,
        )


def has_pre_vote(version: str) -> bool:
    """Whether servers of that version ask beforehand who would vote for them."""
    return tuple(int(part) for part in re.findall(r"[0-9]+", version)[:3]) >= PRE_VOTE_SINCE


class _Run:
    """A measurement that goes on."""

    def __init__(self, client: Client, lab: Lab, asked: Asked, steps: Steps) -> None:
        self._client, self._lab, self._asked, self._steps = client, lab, asked, steps
        self._timers = timers_of(lab.raft_multiplier)
        self._prefix = f"{PREFIX}{secrets.token_hex(4)}/"
        self._limit = 30.0 + 10.0 * self._timers.heartbeat
        self._done: list[Failover] = []

    def result(self) -> Result:
        ended: LabctlError | KeyboardInterrupt | None = None
        try:
            try:
                for number in range(1, self._asked.times + 1):
                    self._steps.begin(f"failover {number} of {self._asked.times}")
                    self._done.append(self._failover(number))
                    self._steps.done(_told_in_words(number, self._asked, self._done[-1]))
            finally:
                self._remove_keys()
        except (LabctlError, KeyboardInterrupt) as error:
            self._steps.fail()
            ended = error
        return Result(self._measurement(), ended)

    def _measurement(self) -> Measurement:
        lab = self._lab
        return Measurement(
            lab.name,
            lab.size,
            lab.pace,
            lab.version,
            self._asked.by,
            self._asked.times,
            self._timers,
            expected(self._timers, lab.size, pre_vote=has_pre_vote(lab.version)),
            tuple(self._done),
        )

    # -- one failover ----------------------------------------------------------------------------------------

    def _failover(self, number: int) -> Failover:
        self._ready()
        # Timers that one election started together know of each other; after a while at random they do not.
        time.sleep(self._timers.heartbeat * random.uniform(1.0, 3.0))  # noqa: S311 - no secret
        lab, leader = self._ready()
        with FirstWrite(lab, leader, f"{self._prefix}{number}") as first:
            try:
                struck = fault.strike(self._asked.by, [leader.name], lab)
                written = first.wait(self._limit)
                if written is None:
                    raise self._too_late(f"no write after {self._asked.by}ing {leader.name}")
                lost = faults.done_by(leader, self._asked.by, struck.begin, struck.end) or struck.end
                story = self._story(lab, leader, struck)
            finally:
                self._bring_back(leader)
        self._ready()
        uncertain = (lost - struck.begin).total_seconds()
        return Failover(leader.name, lost, uncertain, story, written.time, written.through, written.unseen)

    def _ready(self) -> tuple[Lab, Server]:
        """Wait until every server follows one leader; the lab as it is then, with its ports, and the leader."""
        ends = time.monotonic() + self._limit
        while True:
            lab = choose_lab(self._client, self._lab.name)
            now = status.ask(lab)
            if now.ready and now.leader is not None:
                return lab, lab.server(now.leader.name)
            if time.monotonic() >= ends:
                raise self._too_late(f"not all servers followed one leader, because {now.problem}")
            time.sleep(_LOOK_SECONDS)

    def _story(self, lab: Lab, leader: Server, struck: Struck) -> Told:
        """What the others' logs tell; Docker has the last lines a moment after they were written."""
        others = [one for one in lab.servers if one.name != leader.name]
        ends = time.monotonic() + self._limit
        since = struck.begin - timedelta(seconds=1)
        while True:
            lines = logs.read(self._client, others, since=since.timestamp())
            _, events = of_everything(of_lines(replace(lab, servers=tuple(others)), lines))
            found = told(sorted(map(_at_its_own_time, events), key=_when), struck.begin)
            if found is not None:
                return found
            if time.monotonic() >= ends:
                raise self._too_late("the servers' logs tell of no new leader")
            time.sleep(_LOOK_SECONDS)

    def _too_late(self, what: str) -> LabctlError:
        return LabctlError(
            f"In the lab {self._lab.name} {what}, within {self._limit:.0f} seconds: "
            f"`labctl story {self._lab.name} --since 5m` shows what happened.",
            ExitCode.NOT_READY,
        )

    # -- what must happen whatever happens -------------------------------------------------------------------

    def _bring_back(self, leader: Server) -> None:
        """Let the old leader run again. What was asked of Docker may still come true: it is looked at twice."""
        with _undisturbed():
            for _ in range(2):
                lab = choose_lab(self._client, self._lab.name)
                state = lab.server(leader.name).state
                if state == "paused":
                    fault.strike("resume", [leader.name], lab)
                    return
                if state in _DOWN:
                    fault.strike("start", [leader.name], lab)
                    return
                time.sleep(_LOOK_SECONDS)

    def _remove_keys(self) -> None:
        """Remove what was written, also what a server held and wrote late."""
        ends = time.monotonic() + self._limit
        while True:
            lab = choose_lab(self._client, self._lab.name)
            if any(self._is_removed_through(one) for one in lab.running):
                return
            if time.monotonic() >= ends:
                self._steps.note(f"Keys under {self._prefix} are left in the lab {lab.name}: no server removed them.")
                return
            time.sleep(_LOOK_SECONDS)

    def _is_removed_through(self, server: Server) -> bool:
        if server.http_port is None:
            return False
        store = Store(server.http_port, self._lab.name, 2.0)
        try:
            store.delete(self._prefix)
            time.sleep(_HELD_SECONDS)
            return not store.all(self._prefix)
        except (Refused, Unanswered):
            return False
        finally:
            store.close()


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Let Ctrl-C wait: somebody who presses it twice still wants the lab back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _at_its_own_time(event: Event) -> Event:
    """An event at the time that its server wrote: on a busy machine, Docker takes a line in up to 0.1 s later.

    All servers have the Docker host's clock. Before Consul 1.7 they write whole seconds: then Docker's time is better.
    """
    own = read_line(event.line, server=event.server, line_no=event.line_no)
    return event if own is None or own.time is None or not own.time.microsecond else event._replace(time=own.time)


def _when(event: Event) -> datetime:
    return event.time or datetime.min.replace(tzinfo=UTC)


def _told_in_words(number: int, asked: Asked, one: Failover) -> str:
    done = {"kill": "killed", "pause": "paused"}[asked.by]
    return (
        f"{number} of {asked.times}: {one.old_leader} {done}, noticed after {one.seconds('detection'):.2f} s, "
        f"{one.told.leader} leads after {one.seconds('leaderless'):.2f} s, written after "
        f"{one.seconds('first_write'):.2f} s"
    )
