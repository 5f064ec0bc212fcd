"""Logs of three servers of one election, as people keep them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labctl.raft.collection import collect
from labctl.story import source as flow

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from labctl.raft.collection import Collection

AT = "2024-01-08T11:42:{} [{}]  agent.server.raft: {}"


def line(second: str, level: str, said: str) -> str:
    return AT.format(f"{second}Z", level, said)


def node(number: int, role: str) -> str:
    return f'"Node at 10.0.0.{number}:8300 [{role}]"'


ONE = [
    line("20.000", "INFO", f"entering follower state: follower={node(1, 'Follower')} leader-address= leader-id="),
    line("24.100", "WARN", "heartbeat timeout reached, starting election: last-leader-addr= last-leader-id="),
    line("24.101", "INFO", f"entering candidate state: node={node(1, 'Candidate')} term=7"),
    line("24.140", "INFO", "election won: term=7 tally=2"),
    line("24.141", "INFO", f"entering leader state: leader={node(1, 'Leader')}"),
    line("44.500", "WARN", "failed to contact quorum of nodes, stepping down"),
    line("44.502", "INFO", f"entering follower state: follower={node(1, 'Follower')} leader-address= leader-id="),
]
TWO = [
    line("20.003", "INFO", f"entering follower state: follower={node(2, 'Follower')} leader-address= leader-id="),
    line("50.100", "WARN", "heartbeat timeout reached, starting election: last-leader-addr= last-leader-id="),
    line("50.101", "INFO", f"entering candidate state: node={node(2, 'Candidate')} term=8"),
    line("50.140", "INFO", "election won: term=8 tally=2"),
    line("50.141", "INFO", f"entering leader state: leader={node(2, 'Leader')}"),
]
THREE = [
    line("20.006", "INFO", f"entering follower state: follower={node(3, 'Follower')} leader-address= leader-id="),
    line(
        "24.120",
        "WARN",
        "rejecting vote request since our last index is greater: candidate=10.0.0.1:8300 last-index=12 "
        "last-candidate-index=11",
    ),
]
LOGS = {"n1": ONE, "n2": TWO, "n3": THREE}


def text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def story(
    *names: object, called: Mapping[str, str] | None = None, zone: tzinfo | None = None, follow: bool = False
) -> tuple[Collection, list[str]]:
    """Read the story of the named logs. Returns it with its notes."""
    source = flow.source([str(name) for name in names], called=called, zone=zone, follow=follow)
    told = collect(source.records())
    return told, list(source.notes)


def essence(told: Collection) -> list[Any]:
    """The story without the files and the numbers of lines."""
    elections = [
        (election.candidate, election.term, election.outcome, election.start, election.end)
        for election in told.elections
    ]
    leaders = [
        (leadership.server, leadership.term, leadership.since, leadership.until, leadership.ended_by)
        for leadership in told.leaders
    ]
    events = [(event.time, event.server, event.event, event.term, event.peer) for event in told.events]
    return [events, elections, leaders]
