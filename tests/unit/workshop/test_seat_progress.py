"""Many seats at once on a terminal and in a pipe."""

from __future__ import annotations

import pytest

from labctl.terminal.style import width
from labctl.workshop.seat_progress import PlainBoard, SilentBoard, TerminalBoard

LABS = [f"raft101-{number:02d}" for number in range(1, 31)]


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> TerminalBoard:
    monkeypatch.setenv("COLUMNS", "60")
    return TerminalBoard()


def test_each_step_is_a_row_with_the_seats_that_are_at_it(board: TerminalBoard) -> None:
    with board.of("raft101", LABS):
        board.step("raft101-01", "starting")
        board.step("raft101-02", "joining")
        board.ready("raft101-03", "consul1 leads in term 2", 4.2)
        board.failed("raft101-04", "starting", "its subnet is taken")
        lines = board.drawn().splitlines()
    assert lines[0].startswith("1 of 30 seats are ready")
    assert [line.split()[:2] for line in lines[1:]] == [
        ["waiting", "26"],
        ["starting", "1"],
        ["joining", "1"],
        ["ready", "1"],
        ["failed", "1"],
    ]
    assert lines[2].split()[2:] == ["01"]


def test_a_row_is_cut_at_the_edge_with_how_many_more(board: TerminalBoard) -> None:
    with board.of("raft101", LABS):
        (row,) = board.drawn().splitlines()[1:]
    assert width(row) <= 60
    shown = len(row.split(" and ")[0].split()) - 2
    assert row.endswith(f" and {30 - shown} more")


def test_a_failure_stays_above_the_table(board: TerminalBoard, capsys: pytest.CaptureFixture[str]) -> None:
    with board.of("raft101", LABS[:2]):
        board.failed("raft101-01", "starting", "its subnet is taken")
    assert "raft101-01 failed while starting: its subnet is taken" in capsys.readouterr().out


def test_a_pipe_gets_a_line_for_each_end(capsys: pytest.CaptureFixture[str]) -> None:
    board = PlainBoard()
    with board.of("raft101", LABS[:3]):
        board.step("raft101-01", "starting")
        board.ready("raft101-01", "consul1 leads in term 2", 4.2)
        board.failed("raft101-02", "joining", "no \x1b[31mleader")
        board.lost(["raft101-03", "raft101-04"], "the host is gone")
    out = capsys.readouterr().out
    assert [line[2:] for line in out.splitlines()] == [
        "raft101-01 is ready: consul1 leads in term 2  4.2s",
        r"raft101-02 failed while joining: no \x1b[31mleader",
        "raft101-03, raft101-04 are lost: the host is gone",
    ]


def test_json_gets_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    board = SilentBoard()
    with board.of("raft101", LABS):
        board.step("raft101-01", "starting")
        board.ready("raft101-01", "x", 1.0)
        board.failed("raft101-02", "joining", "x")
        board.lost(["raft101-03"], "x")
    assert capsys.readouterr().out == ""
