"""What a lab's servers say now."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from labctl.engine import labs, status
from tests.unit import engine_stand_in as stand_in
from tests.unit.slow_servers import SlowServer, short_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.stand_ins import FakeCluster


def lab_of(cluster: FakeCluster) -> labs.Lab:
    parts = [stand_in.container("ada", fake_server.name, port=fake_server.http_port) for fake_server in cluster.servers]
    return labs.labs_from(parts, "local")[0]


def test_a_ready_lab(clusters: Callable[..., FakeCluster]) -> None:
    now = status.ask(lab_of(clusters(3, leader=1)))
    assert now.ready
    assert now.joined
    assert now.leader is not None
    assert now.leader.name == "consul2"
    assert [(server.name, view.state) for server, view in now.pairs()] == [
        ("consul1", "follower"),
        ("consul2", "leader"),
        ("consul3", "follower"),
    ]


def test_a_lab_that_waits_to_be_joined_is_not_ready(clusters: Callable[..., FakeCluster]) -> None:
    now = status.ask(lab_of(clusters(3, joined=lambda: False)))
    assert (now.ready, now.joined, now.leader) == (False, False, None)


def test_a_lab_whose_server_is_gone_is_not_ready(clusters: Callable[..., FakeCluster]) -> None:
    lab = lab_of(clusters(3))
    now = status.ask(replace(lab, servers=lab.servers[:2]))
    assert now.problem == "consul3 is gone"
    assert status.ask(replace(lab, servers=lab.servers[:1])).problem == "consul2, consul3 are gone"


def test_labs_that_do_not_answer_cost_what_one_of_them_does() -> None:
    with short_folder() as folder:
        server = SlowServer(folder)
        try:
            parts = [
                stand_in.container(f"lab{number}", f"consul{place}", port=server.port)
                for number in range(45)
                for place in (1, 2, 3)
            ]
            labs_found = labs.labs_from(parts, "local")
            begun = time.monotonic()
            told = status.ask_all(labs_found)
            assert time.monotonic() - begun < 3 * status.ASK_SECONDS
        finally:
            server.close()
    assert [status_.lab.name for status_ in told] == [lab.name for lab in labs_found]
    assert all(view.problem for status_ in told for view in status_.views)
    assert not any(status_.ready for status_ in told)


def test_many_labs_are_told_in_their_order(clusters: Callable[..., FakeCluster]) -> None:
    first, second = lab_of(clusters(3, leader=1)), replace(lab_of(clusters(3, leader=0)), name="bob")
    assert status.ask_all([]) == []
    told = status.ask_all([second, first])
    assert [(status_.lab.name, status_.leader.name if status_.leader else None) for status_ in told] == [
        ("bob", "consul1"),
        ("ada", "consul2"),
    ]
