"""Logs of more than one cluster are recognised by their lists of servers and by their programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from labctl.raft.raft_groups import RaftGroups
from labctl.raft.reader import read_line

if TYPE_CHECKING:
    from labctl.raft.event import Event

AT = "2024-01-08T11:42:00.000Z [INFO]  {}: {}"


def events_of(*said: tuple[str, str]) -> list[Event]:
    read = (read_line(AT.format(*words), server="n1", line_no=number) for number, words in enumerate(said, 1))
    return [event for event in read if event is not None]


def notes_of(*said: tuple[str, str]) -> list[str]:
    groups = RaftGroups()
    assert all(groups.take(event) for event in events_of(*said))
    return list(groups.notes())


def servers(*names: str) -> tuple[str, str]:
    listed = " ".join(f"{{Suffrage:Voter ID:{name} Address:10.0.0.{name[1:]}:8300}}" for name in names)
    return "agent.server.raft", f'initial configuration: index=1 servers="[{listed}]"'


NONE = ("agent.server.raft", "initial configuration: index=0 servers=[]")
LEADS = 'entering leader state: leader="Node at 10.0.0.1:8300 [Leader]"'


@pytest.mark.parametrize(
    "lists",
    [
        [],
        [NONE, servers("u1", "u2", "u3")],
        [servers("u1", "u2", "u3"), servers("u2", "u3", "u4"), servers("u4", "u5")],
        [servers("u1"), servers("u5"), servers("u1", "u5")],
    ],
)
def test_lists_that_have_servers_in_common_are_of_one_cluster(lists: list[tuple[str, str]]) -> None:
    assert notes_of(*lists) == []


def test_lists_that_have_no_server_in_common_may_be_of_two_clusters() -> None:
    (note,) = notes_of(servers("u1", "u2", "u3"), servers("u5", "u6"))
    assert "2 groups of servers that have none in common (10.0.0.1:8300, 10.0.0.2:8300" in note


@pytest.mark.parametrize(
    ("modules", "programs"),
    [
        (("agent.server.raft", "nomad.raft"), ("Consul", "Nomad")),
        (("storage.raft", "agent.server.raft"), ("Vault", "Consul")),
    ],
)
def test_of_two_programs_the_first_one_is_told(modules: tuple[str, str], programs: tuple[str, str]) -> None:
    groups = RaftGroups()
    words = [(modules[0], LEADS), (modules[1], LEADS), (modules[0], LEADS), ("raft", LEADS), (modules[1], LEADS)]
    assert [groups.take(event) for event in events_of(*words)] == [True, False, True, True, False]
    (note,) = groups.notes()
    assert f"lines of {' and '.join(programs)}" in note
    assert f"only those of {programs[0]} are told" in note


def test_the_parts_of_one_program_are_one() -> None:
    modules = ("agent", "agent.server", "agent.server.raft", "agent.server.raft.snapshot", "consul", "raft")
    groups = RaftGroups()
    assert all(groups.take(event) for event in events_of(*((module, LEADS) for module in modules)))
    assert list(groups.notes()) == []
