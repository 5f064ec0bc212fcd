"""The last lines of `labctl up`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from labctl.lab.next_steps import next_steps
from labctl.results import ServerRole, UpResult
from tests.unit.stand_ins import Terminal

if TYPE_CHECKING:
    from tests.unit.stand_ins import StreamChange


SERVERS = tuple(ServerRole(f"consul{number}", "10.213.0.2", "follower") for number in (1, 2, 3))
RESULT = UpResult("ada", True, SERVERS, "consul2", 2, 3, {"total": 6.04})


def test_a_ready_lab_is_told_with_what_to_try() -> None:
    text = next_steps(RESULT)
    assert "The lab ada is ready in 6.0s." in text
    assert "labctl stop ada --server consul2 " in text
    assert "labctl exec --lab ada consul2 -- consul operator raft list-peers" in text
    assert "labctl down ada" in text


def test_a_lab_of_one_server_cannot_elect_another_leader() -> None:
    assert "labctl stop" not in next_steps(replace(RESULT, servers=SERVERS[1:2]))


def test_a_lab_that_waits_is_told_with_the_join() -> None:
    text = next_steps(replace(RESULT, leader=None))
    assert "run, not joined by this `up`" in text
    assert "labctl join ada" in text
    assert "labctl stop" not in text


def a_terminal(columns: int, standard_output: StreamChange, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let standard output be a terminal that shows no colours."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", f"{columns}")
    standard_output(Terminal())


@pytest.mark.parametrize("columns", [60, 80, 100, 200])
def test_no_line_of_what_now_is_wider_than_the_terminal(
    columns: int, standard_output: StreamChange, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_terminal(columns, standard_output, monkeypatch)
    lines = next_steps(replace(RESULT, lab="raft-101")).splitlines()
    longest = len("  labctl exec --lab raft-101 consul2 -- consul operator raft list-peers")
    assert max(map(len, lines)) <= max(columns, longest)
    assert lines[-1].endswith("remove the lab")


def test_a_command_that_is_long_has_its_words_in_the_next_line(
    standard_output: StreamChange, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_terminal(80, standard_output, monkeypatch)
    lines = next_steps(RESULT).splitlines()
    at = lines.index("  labctl exec --lab ada consul2 -- consul operator raft list-peers")
    assert lines[at + 1].strip() == "ask Consul itself"
