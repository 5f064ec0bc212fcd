"""The first write after a failover: through a server that knows a new leader, and through no other."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from labctl.engine import labs
from labctl.engine.kv import Indeterminate, NotApplied
from labctl.experiments.failover.write_probe import FirstWrite
from tests.unit import engine_stand_in as stand_in

if TYPE_CHECKING:
    from labctl.shared.consul_client import ConsulClient

LAB = labs.labs_from(stand_in.lab("ada"), "local")[0]
OLD, NEW, OTHER = LAB.servers
SECONDS = 20.0


class Servers:
    """Who is known as the leader, by port, and what was written."""

    def __init__(self) -> None:
        self.leaders = {server.http_port: OLD.address for server in LAB.servers}
        self.fails: dict[int | None, Exception] = {}
        self.written: list[tuple[int, str]] = []
        self.open = 0
        self.asked = threading.Event()
        servers = self

        class Store:
            def __init__(self, api: ConsulClient, datacenter: str, _: float) -> None:
                assert datacenter == "ada"
                self.port = api.port
                servers.open += 1

            def leader(self) -> str:
                servers.asked.set()
                if self.port in servers.fails:
                    raise servers.fails[self.port]
                return servers.leaders[self.port]

            def put(self, key: str, _: str) -> bool:
                if servers.leaders[self.port] == OTHER.address:
                    raise Indeterminate("too late")
                servers.written.append((self.port, key))
                return True

            def close(self) -> None:
                servers.open -= 1

        self.store: Any = Store


@pytest.fixture
def servers() -> Servers:
    return Servers()


def test_nothing_is_written_while_the_old_leader_is_known_or_nobody(servers: Servers) -> None:
    servers.leaders[NEW.http_port] = ""
    with FirstWrite(LAB, OLD, "k", servers.store) as first:
        assert servers.asked.wait(SECONDS)
        assert first.wait(0.1) is None
    assert servers.written == []
    assert servers.open == 0


def test_the_first_server_that_knows_a_new_leader_is_written_to(servers: Servers) -> None:
    servers.fails = {OTHER.http_port: NotApplied("down")}
    with FirstWrite(LAB, OLD, "k", servers.store) as first:
        servers.leaders[NEW.http_port] = NEW.address
        written = first.wait(SECONDS)
    assert written is not None
    assert written.through == NEW.name
    assert 0 <= written.unseen < SECONDS
    assert {port for port, _ in servers.written} == {NEW.http_port}
    assert servers.open == 0


def test_a_write_without_an_answer_is_none(servers: Servers) -> None:
    servers.leaders = dict.fromkeys(servers.leaders, OTHER.address)
    with FirstWrite(LAB, OLD, "k", servers.store) as first:
        assert servers.asked.wait(SECONDS)
        assert first.wait(0.1) is None


def test_the_old_leader_and_servers_without_a_port_are_not_asked(servers: Servers) -> None:
    servers.leaders[OLD.http_port] = NEW.address
    lab = replace(LAB, servers=(OLD, replace(NEW, http_port=None)))
    with FirstWrite(lab, OLD, "k", servers.store) as first:
        assert first.wait(0.1) is None
    assert servers.written == []
