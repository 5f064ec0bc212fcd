"""The clients of a chaos run: they write and read through every server, and record every answer."""

from __future__ import annotations

import itertools
import logging
import secrets
import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labctl.engine.kv import Entry, Indeterminate, NotApplied
from labctl.errors import LabctlError
from labctl.experiments.chaos.history import MODES, Final, Operation
from labctl.experiments.chaos.timeline import WITH_AN_ANSWER
from labctl.experiments.tools import TOOLS, ExperimentTools
from labctl.shared.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from labctl.engine.client import Client as Docker
    from labctl.engine.kv import Store
    from labctl.engine.labs import Lab
    from labctl.experiments.chaos.history import Kind, Mode, Outcome
    from labctl.shared.consul_client import ConsulClient

PREFIX = "raft-labctl/chaos/"
TIMEOUT_SECONDS = 2.0
"""A request without an answer after this long counts as unanswered. Consul itself holds one for up to 7 s."""
REGISTERS = ("register/a", "register/b", "register/c")
HELD_SECONDS = 8.0
"""How long a server that knows no leader may hold a write: 7 s, and a pause of 7/16 s at most (agent/consul/rpc.go)."""
MOST_ADDED = 12_000
"""Keys that a run adds: a server keeps all of them in the memory that a lab gives it."""


@dataclass(frozen=True)
class Pauses:
    """How long clients pause or wait.

    Attributes:
        add: between two adds, at least.
        change: between two changes of a register.
        read: between two reads.
        back_off: after a refusal.
        look_up: between two look-ups of a server's port.
        create: at most until the registers exist, at the real pace: an election may be under way.
        held: for a write that a server holds back.
        remove: at most for an election while keys are removed.
    """

    add: float = 0.05
    change: float = 0.05
    read: float = 0.02
    back_off: float = 0.1
    look_up: float = 0.5
    create: float = 10.0
    held: float = HELD_SECONDS
    remove: float = 10.0


PAUSES = Pauses()


class Endpoints:
    """Where each server listens now; Docker may choose another port when it starts one again."""

    def __init__(self, docker: Docker, lab: Lab, find_lab: Callable[[Docker, str], Lab | None], look_up: float) -> None:
        self._docker, self._lab, self._find_lab, self._look_up = docker, lab, find_lab, look_up
        self._lock = threading.Lock()
        self._looked = 0.0
        self._apis = _apis_of(lab)

    def of(self, server: str) -> ConsulClient | None:
        """A server's HTTP API; None while it does not run."""
        return self._apis.get(server)

    def look_again(self) -> None:
        """Ask Docker, unless another client just did."""
        with self._lock:
            if time.monotonic() - self._looked < self._look_up:
                return
            try:
                lab = self._find_lab(self._docker, self._lab.name)
            except LabctlError:
                lab = None  # an engine that is busy now answers later
            if lab is not None:
                self._apis = _apis_of(lab)
            self._looked = time.monotonic()


def _apis_of(lab: Lab) -> dict[str, ConsulClient]:
    return {server.name: server.api for server in lab.servers if server.api is not None}


class ClientPool:
    """All clients of a run.

    Args:
        docker: the engine.
        lab: where.
        seconds: about how long they work; determines how often they add.
        clock: seconds since the run began.
        tools: how servers are reached.
        pauses: how long clients pause.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - as above
        self,
        docker: Docker,
        lab: Lab,
        seconds: float,
        clock: Callable[[], float],
        tools: ExperimentTools = TOOLS,
        pauses: Pauses = PAUSES,
    ) -> None:
        self.lab, self.clock, self.tools, self.pauses = lab, clock, tools, pauses
        self.prefix = f"{PREFIX}{secrets.token_hex(4)}/"
        self.endpoints = Endpoints(docker, lab, tools.find_lab, pauses.look_up)
        self.stopped = threading.Event()
        self.add_seconds = max(pauses.add, seconds * len(lab.servers) / MOST_ADDED)
        self._first: list[Operation] = []
        self._clients: list[_Client] = [
            kind(self, server.name, f"{word}{server.name.removeprefix('consul')}")
            for server in lab.servers
            for kind, word in ((_Adder, "adder"), (_Changer, "changer"), (_Reader, "reader"))
        ]

    def begin(self) -> None:
        """Make the registers, then let all clients go. Raises LabctlError where the lab takes no write."""
        # A killed run leaves its keys; while this run has the lab, they belong to nobody.
        self.clear(PREFIX)
        creator = _RegisterCreator(self, self.lab.servers[0].name, "creator")
        deadline = self.clock() + self.pauses.create * self.lab.raft_multiplier
        while not creator.is_done and self.clock() < deadline:
            creator.work()
        self._first = creator.operations
        if not creator.is_done:
            raise LabctlError(
                f"The lab {self.lab.name} is ready and took no write: `labctl status {self.lab.name}` says more."
            )
        for client in self._clients:
            client.start()

    def end(self) -> list[Operation]:
        """Let all clients finish their last request, and return every request in the order in which they began."""
        self.stopped.set()
        for client in self._clients:
            if client.ident is not None:
                client.join()
        operations = [*self._first, *(operation for client in self._clients for operation in client.operations)]
        return sorted(operations, key=lambda operation: (operation.begin, operation.end))

    @property
    def died(self) -> list[str]:
        """The clients that died, a sentence for each without its full stop."""
        return [client.died for client in self._clients if client.died]

    def store(self, server: str) -> Store | None:
        """A connection to a server; None while it does not run."""
        api = self.endpoints.of(server)
        return None if api is None else self.tools.store(api, self.lab.name, TIMEOUT_SECONDS)

    def last_look(self, deadline: float) -> Final | None:
        """Read every key in consistent mode, through any server that answers; None where none did in time.

        Args:
            deadline: by the run's clock.
        """
        values = self._all(deadline)
        if values is None:
            return None
        registers = {key: values.pop(key, None) for key in REGISTERS}
        return Final(values, registers)

    def _all(self, deadline: float) -> dict[str, str] | None:
        """The values of all keys of this run, as `last_look` reads them."""
        for server in itertools.cycle(self.lab.servers):
            if self.clock() > deadline:
                return None
            store = self.store(server.name)
            if store is None:
                self.endpoints.look_again()
                time.sleep(self.pauses.back_off)
                continue
            try:
                entries = store.all(self.prefix)
            except (NotApplied, Indeterminate):
                self.endpoints.look_again()
                time.sleep(self.pauses.back_off)
                continue
            finally:
                store.close()
            return {key.removeprefix(self.prefix): entry.value for key, entry in entries.items()}
        return None

    def remove(self, operations: Iterable[Operation], final: Final | None, settled: float | None) -> bool:
        """Remove what the run wrote, including late writes. Returns whether a majority has none of it left.

        Args:
            operations: what the clients asked; all of them have ended.
            final: the keys that existed after that.
            settled: when no request from while the lab was broken is still pending, by the run's clock;
                None where that is not known, so that waiting does not help.
        """
        until = self.clock()
        if settled is not None and (asked := _last_to_come(operations, final)) is not None:
            until = max(until, settled, asked + self.pauses.held)
        deadline = until + (0.0 if settled is None else self.pauses.remove)
        while True:
            # A write during this look is found by the next one.
            quiet = self.clock() >= until
            if self.clear() and self._all(self.clock() + TIMEOUT_SECONDS) == {} and quiet:
                return True
            if self.clock() >= deadline:
                return False
            time.sleep(self.pauses.look_up)

    def clear(self, prefix: str | None = None) -> bool:
        """Remove the keys of this run, or of all, through any server that answers. Returns whether one did."""
        for server in self.lab.servers:
            store = self.store(server.name)
            if store is None:
                continue
            try:
                store.delete(self.prefix if prefix is None else prefix)
            except (NotApplied, Indeterminate):
                continue
            finally:
                store.close()
            return True
        return False


def _last_to_come(operations: Iterable[Operation], final: Final | None) -> float | None:
    """When the last write was sent that would make a key and may still be pending; None if there is none.

    A `cas` that replaces something makes no key. What is there is done, and is not done again.
    """
    there = {*final.added, *(key for key, value in final.registers.items() if value is not None)} if final else set()
    return max(
        (
            operation.begin
            for operation in operations
            if operation.outcome == "unanswered"
            and operation.kind != "read"
            and operation.before is None
            and operation.key not in there
        ),
        default=None,
    )


class _Client(threading.Thread, ABC):
    """One client of one server: it sends one request at a time."""

    def __init__(self, pool: ClientPool, server: str, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.operations: list[Operation] = []
        self.died = ""
        self._pool, self._server = pool, server
        self._store: Store | None = None
        self._api: ConsulClient | None = None

    def run(self) -> None:
        """Work until the pool is stopped."""
        try:
            while not self._pool.stopped.is_set():
                self.work()
        except Exception as error:
            logging.getLogger(__name__).debug("where it came from", exc_info=True)
            self.died = (
                f"{self.name} ended by itself after {counted(len(self.operations), 'request')}, so it could not see "
                f"what came later ({type(error).__name__}: {error})"
            )
        finally:
            if self._store is not None:
                self._store.close()

    @abstractmethod
    def work(self) -> None:
        """Ask once, and wait a moment."""

    def _rest(self, seconds: float) -> None:
        self._pool.stopped.wait(seconds)

    def _ask(  # noqa: PLR0913 - what an operation is
        self,
        kind: Kind,
        key: str,
        request: Callable[[Store], bool | Entry | None],
        *,
        value: str | None = None,
        before: str | None = None,
        mode: Mode | None = None,
    ) -> Entry | bool | None:
        """Send a request and record its outcome; returns the answer, None if there is none."""
        begin = self._pool.clock()
        # An unforeseen error does not show either whether the request took effect.
        outcome: Outcome = "unanswered"
        answer: bool | Entry | None = None
        index = 0
        try:
            answer = request(self._connected())
            outcome = "mismatch" if answer is False else "done"
            if isinstance(answer, Entry):
                value, index = answer.value, answer.index
        except NotApplied:
            outcome = "refused"
        except Indeterminate:
            pass
        finally:
            end = self._pool.clock()
            self.operations.append(
                Operation(begin, end, self.name, self._server, kind, key, outcome, value, before, index, mode)
            )
        if outcome in {"refused", "unanswered"}:
            self._pool.endpoints.look_again()
            self._rest(self._pool.pauses.back_off)
        return answer

    def _connected(self) -> Store:
        api = self._pool.endpoints.of(self._server)
        if api is None:
            raise NotApplied(f"{self._server} does not run")
        if self._store is None or api != self._api:
            if self._store is not None:
                self._store.close()
            store = self._pool.tools.store(api, self._pool.lab.name, TIMEOUT_SECONDS)
            self._store, self._api = store, api
        return self._store

    def _read(self, key: str, mode: Mode) -> Entry | None:
        entry = self._ask("read", key, lambda store: store.get(self._pool.prefix + key, mode), mode=mode)
        return entry if isinstance(entry, Entry) else None

    def _replace(self, key: str, before: str | None, index: int, value: str) -> None:
        full = self._pool.prefix + key
        self._ask("cas", key, lambda store: store.put(full, value, cas=index), value=value, before=before)


class _RegisterCreator(_Client):
    """Creates the registers before any client reads them, and waits for an election that is under way."""

    @property
    def is_done(self) -> bool:
        """Whether every register exists, by a write of its own or by one that got no answer."""
        return {operation.key for operation in self.operations if operation.outcome in WITH_AN_ANSWER} == set(REGISTERS)

    def work(self) -> None:
        there = {operation.key for operation in self.operations if operation.outcome in WITH_AN_ANSWER}
        for key in REGISTERS:
            if key not in there:
                self._replace(key, None, 0, f"{self.name}:{len(self.operations)}")


class _Adder(_Client):
    """Writes a new key each time."""

    def work(self) -> None:
        value = f"{self.name}:{len(self.operations)}"
        key = f"set/{value}"
        self._ask("add", key, lambda store: store.put(self._pool.prefix + key, value), value=value)
        self._rest(self._pool.add_seconds)


class _Changer(_Client):
    """Reads a register and replaces what it read, in competition with the others."""

    def work(self) -> None:
        number = len(self.operations)
        key = REGISTERS[number // 2 % len(REGISTERS)]
        entry = self._read(key, "consistent")
        if entry is not None:
            self._replace(key, entry.value, entry.index, f"{self.name}:{number}")
        self._rest(self._pool.pauses.change)


class _Reader(_Client):
    """Reads the registers in each of the three modes."""

    def work(self) -> None:
        number = len(self.operations)
        self._read(REGISTERS[number // len(MODES) % len(REGISTERS)], MODES[number % len(MODES)])
        self._rest(self._pool.pauses.read)
