"""The members of a lab as one server's gossip sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from labctl.engine import labs, members
from labctl.errors import LabctlError
from tests.unit import engine_stand_in as stand_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.stand_ins import FakeCluster

ENTRY = {
    "Name": "consul2",
    "Addr": "10.213.0.3",
    "Port": 8301,
    "Status": 1,
    "Tags": {"role": "consul", "build": "1.8.7:1a2b", "dc": "ada"},
}


def lab_of(cluster: FakeCluster) -> labs.Lab:
    parts = [stand_in.container("ada", fake_server.name, port=fake_server.http_port) for fake_server in cluster.servers]
    return labs.labs_from(parts, "local")[0]


def test_a_member_is_read() -> None:
    assert members.seen_from(ENTRY).row() == {
        "name": "consul2",
        "address": "10.213.0.3:8301",
        "state": "alive",
        "type": "server",
        "build": "1.8.7",
        "datacenter": "ada",
    }


@pytest.mark.parametrize(
    ("status", "state"),
    [(0, "none"), (2, "leaving"), (3, "left"), (4, "failed"), (9, "none"), (None, "none")],
)
def test_serfs_states_have_names(status: int | None, state: str) -> None:
    assert members.seen_from({**ENTRY, "Status": status}).state == state


def test_a_member_without_tags_is_a_client() -> None:
    assert members.seen_from({"Name": "x"}).kind == "client"


def test_the_first_server_that_answers_is_asked(clusters: Callable[..., FakeCluster]) -> None:
    cluster = clusters(3)

    def answer(number: int, _method: str, path: str) -> tuple[int, Any]:
        assert path == "/v1/agent/members"
        return (200, [{**ENTRY, "Name": "consul3"}, ENTRY]) if number else (500, "hangs")

    cluster.answer = answer  # type: ignore[assignment,method-assign]
    assert [member.name for member in members.read(lab_of(cluster))] == ["consul2", "consul3"]
    assert [request[0] for request in cluster.requests] == ["consul1", "consul2"]


def test_a_lab_in_which_nobody_answers_is_told(clusters: Callable[..., FakeCluster]) -> None:
    cluster = clusters(1)
    cluster.servers[0].broken = True
    with pytest.raises(LabctlError, match=r"No server of the lab ada answers .*HTTP 500.*`labctl status ada`"):
        members.read(lab_of(cluster))


@pytest.mark.parametrize("said", [{"Name": "consul1"}, ["consul1"], [None], 7, "consul1", [{**ENTRY, "Tags": ["dc"]}]])
def test_what_is_no_list_of_members_is_asked_of_the_next_server(
    clusters: Callable[..., FakeCluster], said: Any
) -> None:
    cluster = clusters(3)
    cluster.answer = lambda number, *_: (200, [ENTRY] if number else said)  # type: ignore[method-assign]
    assert [member.name for member in members.read(lab_of(cluster))] == ["consul2"]
    cluster.answer = lambda *_: (200, said)  # type: ignore[method-assign]
    with pytest.raises(LabctlError, match="consul3: answered with something that is no list of members"):
        members.read(lab_of(cluster))
