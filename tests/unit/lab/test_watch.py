"""What a learner sees of an election while it happens, and of its winner at the end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from labctl.engine import labs
from labctl.engine.labs import Server
from labctl.engine.logs import LogLine
from labctl.lab.watch import TOLD, ServerWatch
from labctl.raft.grammar import EVENTS
from tests.unit import engine_stand_in as stand_in

if TYPE_CHECKING:
    from labctl.progress import Steps

LAB = labs.labs_from(stand_in.lab("ada"), "local")[0]
SAID = (
    ("consul2", "[WARN]  agent.server.raft: no known peers, aborting election"),
    ("consul1", "[WARN]  agent.server.raft: heartbeat timeout reached, starting election: last-leader="),
    ("consul1", '[INFO]  agent.server.raft: entering candidate state: node="Node at 10.0.0.2:8300 [Candidate]" term=2'),
    ("consul1", "[DEBUG] agent.server.raft: votes: needed=2"),
    ("consul1", "[DEBUG] agent.server.raft: vote granted: from=u1 term=2 tally=1"),
    (
        "consul2",
        "[WARN]  agent.server.raft: rejecting vote request since we have a leader: from=10.0.0.2:8300 leader=x",
    ),
    ("consul1", "[DEBUG] agent.server.raft: vote granted: from=u3 term=2 tally=2"),
    ("consul1", "[INFO]  agent.server.raft: election won: tally=2"),
)


class FakeFollower:
    """Has all lines at once."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.lines = [
            LogLine(server, f"2021-01-24T00:00:0{number}.250Z", f"2021-01-24T00:00:0{number}.500Z {text}")
            for number, (server, text) in enumerate(SAID)
        ]

    def take(self, _: float) -> list[LogLine]:
        lines, self.lines = self.lines, []
        return lines

    def stop(self) -> None:
        """Nothing runs."""


class Silent(FakeFollower):
    """Has none."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()
        self.lines.clear()


class Heard:
    """Steps that record their reports."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def heard(self, server: str, text: str) -> None:
        self.lines.append(f"{server} {text}")

    def note(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def watched(heard: Steps) -> ServerWatch:
    return watching(heard)


def watching(
    heard: Steps | Heard, *identities: tuple[str, str], follow: type[FakeFollower] = FakeFollower
) -> ServerWatch:
    servers = [
        Server(f"consul{number}", f"c{number}", f"id{number}", "running", f"10.0.0.{number + 1}", 1)
        for number in (1, 2, 3)
    ]
    return ServerWatch(None, replace(LAB, servers=tuple(servers)), heard, 0.0, identities, follow)  # type: ignore[arg-type]


def test_who_was_asked_for_its_id_is_called_by_its_name_from_the_first_line_on(heard: Heard) -> None:
    watching(heard, ("consul3", "u3")).show()
    assert "consul1 has the vote of consul3: 2 votes in term 2" in heard.lines


def test_every_event_that_is_told_is_one_that_the_grammar_knows() -> None:
    assert set(EVENTS) >= TOLD


def test_an_election_is_told_as_it_happens_and_in_one_sentence_at_the_end(watched: ServerWatch, heard: Heard) -> None:
    watched.show()
    assert heard.lines == [
        "consul2 knows no peers: it waits",
        "consul1 has not heard from a leader in time",
        "consul1 becomes a candidate in term 2",
        "consul1 needs 2 votes to win in term 2",
        "consul1 has 1 vote in term 2: its own",
        "consul2 does not vote for consul1: it has a leader, x",
        "consul1 has the vote of u3: 2 votes in term 2",
        "consul1 won the election of term 2 with 2 votes",
    ]
    # What is settled is let go, but for what is told at the end.
    assert watched.story.settled == []
    heard.lines.clear()
    watched.end()
    (sentence,) = heard.lines
    assert sentence.startswith(
        "consul1 stood in term 2 because it had not heard from a leader in time; it had the 2 votes it needed"
    )
    assert sentence.endswith("; consul2 refused because it had a leader, x; it won after 5.0 s.")


def test_an_election_took_as_long_as_its_servers_stamps_say_whenever_docker_took_their_lines(heard: Heard) -> None:
    class Late(FakeFollower):
        """Docker takes in each line later than the one before."""

        def __init__(self, *_: Any, **__: Any) -> None:
            super().__init__()
            self.lines = [
                LogLine(server, f"2021-01-24T00:00:00.{2 * number:02}9Z", f"2021-01-24T00:00:00.{number:02}0Z {text}")
                for number, (server, text) in enumerate(SAID)
            ]

    watching(heard, follow=Late).end()
    assert heard.lines[-1].endswith("it won after 50 ms.")


def test_without_an_election_nothing_is_told_at_the_end(
    heard: Heard,
) -> None:
    watching(heard, follow=Silent).end()
    assert heard.lines == []
