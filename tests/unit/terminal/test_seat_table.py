"""Many seats at once on a terminal and in a pipe."""

from __future__ import annotations

import pytest

from labctl.progress import Steps
from labctl.terminal.progress import PlainProgress, TerminalProgress
from labctl.terminal.style import width

LABS = [f"raft101-{number:02d}" for number in range(1, 31)]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> TerminalProgress:
    monkeypatch.setenv("COLUMNS", "60")
    return TerminalProgress()


def drawn(shown: TerminalProgress) -> list[str]:
    assert shown.table is not None
    return shown.table.drawn().splitlines()


def test_each_step_is_a_row_with_the_seats_that_are_at_it(shown: TerminalProgress) -> None:
    steps = Steps(shown)
    with steps.seats("raft101", LABS):
        steps.seat("raft101-01", "starting")
        steps.seat("raft101-02", "joining")
        steps.seat("raft101-03", "ready", "consul1 leads in term 2", 4.2)
        steps.seat("raft101-04", "failed", "its subnet is taken", at="starting")
        lines = drawn(shown)
    assert lines[0].startswith("1 of 30 seats are ready")
    assert [line.split()[:2] for line in lines[1:]] == [
        ["waiting", "26"],
        ["starting", "1"],
        ["joining", "1"],
        ["ready", "1"],
        ["failed", "1"],
    ]
    assert lines[2].split()[2:] == ["01"]


def test_a_row_is_cut_at_the_edge_with_how_many_more(shown: TerminalProgress) -> None:
    with Steps(shown).seats("raft101", LABS):
        (row,) = drawn(shown)[1:]
    assert width(row) <= 60
    written = len(row.split(" and ")[0].split()) - 2
    assert row.endswith(f" and {30 - written} more")


def test_a_failure_stays_above_the_table(shown: TerminalProgress, capsys: pytest.CaptureFixture[str]) -> None:
    steps = Steps(shown)
    with steps.seats("raft101", LABS[:2]):
        steps.seat("raft101-01", "failed", "its subnet is taken", at="starting")
    assert "raft101-01 failed while starting: its subnet is taken" in capsys.readouterr().out
    assert shown.table is None


def test_a_pipe_gets_a_line_for_each_end(capsys: pytest.CaptureFixture[str]) -> None:
    steps = Steps(PlainProgress())
    with steps.seats("raft101", LABS[:3]):
        steps.seat("raft101-01", "starting")
        steps.seat("raft101-01", "ready", "consul1 leads in term 2", 4.2)
        steps.seat("raft101-02", "failed", "no \x1b[31mleader", at="joining")
        steps.lost(["raft101-03", "raft101-04"], "the host is gone")
    out = capsys.readouterr().out
    assert [line[2:] for line in out.splitlines()] == [
        "raft101-01 is ready: consul1 leads in term 2  4.2s",
        r"raft101-02 failed while joining: no \x1b[31mleader",
        "raft101-03, raft101-04 are lost: the host is gone",
    ]


def test_json_gets_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    steps = Steps()
    with steps.seats("raft101", LABS):
        steps.seat("raft101-01", "starting")
        steps.seat("raft101-01", "ready", "x", 1.0)
        steps.seat("raft101-02", "failed", "x", at="joining")
        steps.lost(["raft101-03"], "x")
    assert capsys.readouterr().out == ""
