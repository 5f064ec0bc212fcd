"""The first write that is acknowledged after the leader was lost, through whichever server.

A server without a leader holds a write for up to seven seconds and looks for a leader now and then, at random, up to
0.44 s apart (Consul 1.8 agent/consul/rpc.go, `forward`; 7 s / 16). So writes that just wait would measure that look,
and hundreds of them would fill a server. Here each server is asked for its leader, which it answers at once and
by itself, and gets a write as soon as it names a new one.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from labctl.engine.kv import Indeterminate, NotApplied, Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from labctl.engine.labs import Lab, Server
    from labctl.shared.consul_client import ConsulClient

ASK_SECONDS = 0.02
"""How often each server is asked."""
TIMEOUT_SECONDS = 0.2
"""After this long without an answer, a server is asked again."""


@dataclass(frozen=True)
class AcknowledgedWrite:
    """A write that was acknowledged.

    Attributes:
        time: when, by this machine's clock.
        through: by which server.
        unseen: how many seconds before, that server was asked and knew no new leader.
    """

    time: datetime
    through: str
    unseen: float


class FirstWrite:
    """Asks servers until one acknowledges a write.

    Args:
        lab: where.
        leader: who is going to be lost.
        key: what to write.
        store: how a server's keys are reached.
    """

    def __init__(
        self, lab: Lab, leader: Server, key: str, store: Callable[[ConsulClient, str, float], Store] = Store
    ) -> None:
        self._lab, self._leader, self._key, self._store = lab, leader, key, store
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._written: AcknowledgedWrite | None = None
        others = [server for server in lab.running if server.name != leader.name]
        self._threads = [threading.Thread(target=self._ask, args=(server,), daemon=True) for server in others]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wait(self, seconds: float) -> AcknowledgedWrite | None:
        """The first write; None where there was none in that time."""
        self._over.wait(seconds)
        return self._written

    def _ask(self, server: Server) -> None:
        if server.api is None:
            return
        store = self._store(server.api, self._lab.name, TIMEOUT_SECONDS)
        unseen = datetime.now(UTC)
        while not self._over.is_set():
            asked = datetime.now(UTC)
            if self._knows_a_new_leader(store):
                self._write(store, server, unseen)
            else:
                unseen = asked
            self._over.wait(max(ASK_SECONDS - (datetime.now(UTC) - asked).total_seconds(), 0.0))
        store.close()

    def _knows_a_new_leader(self, store: Store) -> bool:
        try:
            return store.leader() not in {"", self._leader.address}
        except (NotApplied, Indeterminate):
            return False

    def _write(self, store: Store, server: Server, unseen: datetime) -> None:
        try:
            if not store.put(self._key, server.name):
                return
        except (NotApplied, Indeterminate):
            return
        now = datetime.now(UTC)
        with self._lock:
            if self._written is None:
                self._written = AcknowledgedWrite(now, server.name, (now - unseen).total_seconds())
        self._over.set()
