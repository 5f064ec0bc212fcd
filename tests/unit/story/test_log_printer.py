"""Log lines as `labctl logs` prints them."""

from __future__ import annotations

import json

import pytest

from labctl.engine.labs import Server
from labctl.engine.logs import LogLine
from labctl.story import log_printer

SERVERS = [
    Server("consul1", "c1", "id1", "running", "10.0.0.2", 1),
    Server("elsewhere", "c2", "id2", "running", "10.0.0.3", 1),
]
RAFT = "2026/01/02 03:04:05 [INFO]  raft: Node at 10.0.0.2:8300 [Follower] entering Follower state"
OTHER = "2026/01/02 03:04:05 [INFO] serf: EventMemberJoin: consul2 10.213.0.3"


def written(
    capsys: pytest.CaptureFixture[str], *lines: str, raft: bool = False, as_json: bool = False, prefix: bool = True
) -> list[str]:
    kind = log_printer.RaftLines if raft else log_printer.LogLines
    printer = kind(SERVERS, as_json=as_json, prefix=prefix)
    for line in lines:
        printer.write(LogLine("consul1", "2026-01-02T03:04:05.000000000Z", line))
    return capsys.readouterr().out.splitlines()


def test_a_line_stands_behind_its_servers_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert written(capsys, OTHER) == [f"consul1   │ {OTHER}"]
    assert written(capsys, OTHER, prefix=False) == [OTHER]


def test_only_raft_is_the_old_grep_raft(capsys: pytest.CaptureFixture[str]) -> None:
    assert written(capsys, OTHER, RAFT, raft=True, prefix=False) == [RAFT]


def test_under_a_line_of_raft_stands_what_it_means_with_the_names_of_the_servers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lead = '2026/01/02 03:04:05 [WARN]  raft: Heartbeat timeout from "10.0.0.3:8300" reached, starting election'
    accepted = "2026/01/02 03:04:05 [DEBUG] raft-net: 10.0.0.2:8300 accepted connection from: 10.0.0.3:40000"
    assert written(capsys, lead, accepted, raft=True) == [
        f"consul1   │ {lead}",
        "consul1   │   → has not heard from the leader elsewhere in time",
        f"consul1   │ {accepted}",
    ]


def test_a_log_without_end_is_not_remembered(capsys: pytest.CaptureFixture[str]) -> None:
    printer = log_printer.RaftLines(SERVERS, as_json=False, prefix=True)
    for number in range(3000):
        text = f"[INFO]  raft: Node at 10.0.0.2:8300 [Candidate] entering Candidate state in term {number}"
        printer.write(LogLine("consul1", "2026-01-02T03:04:05.000000000Z", f"2026/01/02 03:04:05 {text}"))
    assert len(printer._story.settled) < 100
    assert capsys.readouterr().out.count("stands for election") == 3000


def test_json_of_raft_says_what_a_line_means(capsys: pytest.CaptureFixture[str]) -> None:
    stands = "2026/01/02 03:04:05 [INFO]  raft: Node at 10.0.0.2:8300 [Candidate] entering Candidate state in term 4"
    won = "2026/01/02 03:04:05 [INFO]  raft: Election won. Tally: 2"
    documents = [json.loads(line) for line in written(capsys, stands, won, OTHER, raft=True, as_json=True)]
    assert [(one["event"], one["term"], one["words"]) for one in documents] == [
        ("candidate_entered", 4, "stands for election in term 4"),
        ("election_won", 4, "won the election of term 4 with 2 votes"),
    ]
    assert [one["line"] for one in documents] == [stands, won]


def test_json_is_one_document_for_each_line_with_the_line_as_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = written(capsys, "a\x1b[2J", as_json=True)
    assert json.loads(line) == {"time": "2026-01-02T03:04:05.000000000Z", "server": "consul1", "line": "a\x1b[2J"}


def test_a_line_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    assert written(capsys, "a\x1b[2J\rb", prefix=False) == [r"a\x1b[2J\x0db"]


@pytest.mark.parametrize(("level", "colour"), [("WARN", "33"), ("ERR", "31"), ("ERROR", "31")])
def test_levels_that_alarm_stand_out_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, level: str, colour: str
) -> None:
    monkeypatch.setattr(log_printer, "coloured", lambda: True)
    (line,) = written(capsys, f"12:00 [{level}] raft: x", prefix=False)
    assert line == f"12:00 \x1b[{colour}m[{level}]\x1b[0m raft: x"


def test_without_a_terminal_there_is_no_colour(capsys: pytest.CaptureFixture[str]) -> None:
    assert "\x1b" not in "".join(written(capsys, "12:00 [ERR] raft: x"))
