"""Log lines as `labctl logs` prints them."""

from __future__ import annotations

import json

import pytest

from labctl.engine.logs import LogLine
from labctl.show import loglines

RAFT = "2026/01/02 03:04:05 [INFO]  raft: Node at 10.0.0.2:8300 [Follower] entering Follower state"
OTHER = "2026/01/02 03:04:05 [INFO] serf: EventMemberJoin: consul2 10.213.0.3"


def written(
    capsys: pytest.CaptureFixture[str], *lines: str, raft: bool = False, as_json: bool = False, prefix: bool = True
) -> list[str]:
    write = loglines.printer(servers=["consul1", "elsewhere"], raft=raft, as_json=as_json, prefix=prefix)
    for line in lines:
        write(LogLine("consul1", "2026-01-02T03:04:05.000000000Z", line))
    return capsys.readouterr().out.splitlines()


def test_a_line_stands_behind_its_servers_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert written(capsys, OTHER) == [f"consul1   │ {OTHER}"]
    assert written(capsys, OTHER, prefix=False) == [OTHER]


def test_only_raft_is_the_old_grep_raft(capsys: pytest.CaptureFixture[str]) -> None:
    assert written(capsys, OTHER, RAFT, raft=True, prefix=False) == [RAFT]


def test_json_is_one_document_for_each_line_with_the_line_as_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = written(capsys, "a\x1b[2J", as_json=True)
    assert json.loads(line) == {"time": "2026-01-02T03:04:05.000000000Z", "server": "consul1", "line": "a\x1b[2J"}


def test_a_line_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    assert written(capsys, "a\x1b[2J\rb", prefix=False) == [r"a\x1b[2J\x0db"]


@pytest.mark.parametrize(("level", "colour"), [("WARN", "33"), ("ERR", "31"), ("ERROR", "31")])
def test_levels_that_alarm_stand_out_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, level: str, colour: str
) -> None:
    monkeypatch.setattr(loglines, "coloured", lambda: True)
    (line,) = written(capsys, f"12:00 [{level}] raft: x", prefix=False)
    assert line == f"12:00 \x1b[{colour}m[{level}]\x1b[0m raft: x"


def test_without_a_terminal_there_is_no_colour(capsys: pytest.CaptureFixture[str]) -> None:
    assert "\x1b" not in "".join(written(capsys, "12:00 [ERR] raft: x"))
