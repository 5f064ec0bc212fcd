"""Logs of more than one cluster are recognised by their lists of servers and by their programs."""

from __future__ import annotations

import pytest

from labctl.raft.raft_groups import RaftGroups
from labctl.raft.reader import read_line

AT = "2024-01-08T11:42:00.000Z [INFO]  {}: {}"


def notes_of(*said: tuple[str, str]) -> list[str]:
    groups = RaftGroups()
    for number, (module, words) in enumerate(said, 1):
        event = read_line(AT.format(module, words), server="n1", line_no=number)
        assert event is not None
        groups.take(event)
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


@pytest.mark.parametrize("modules", [("agent.server.raft", "nomad.raft"), ("agent.server.raft", "storage.raft")])
def test_two_programs_have_a_leader_each(modules: tuple[str, str]) -> None:
    (note,) = notes_of(*((module, LEADS) for module in modules))
    assert "independently of each other" in note
    assert notes_of(*((modules[0], LEADS), ("agent.server.raft.snapshot", LEADS), ("raft", LEADS))) == []
