"""Steps that tick off while a command works."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from labctl.progress import Note, Progress, ServerSaid, StepDone, StepFailed, Steps, StepStarted
from labctl.terminal.progress import PlainProgress, TerminalProgress, end_steps, steps_for
from tests.unit.stand_ins import Terminal

if TYPE_CHECKING:
    import pytest

    from tests.unit.stand_ins import StreamChange


def test_a_pipe_sees_a_line_for_each_step_that_has_ended(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Steps(PlainProgress())
    shown.begin("Starting")
    assert capsys.readouterr().out == ""
    shown.done("Started")
    assert re.fullmatch(r"✓ Started  \d\.\ds\n", capsys.readouterr().out)


def test_a_step_that_failed_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Steps(PlainProgress())
    shown.begin("Starting")
    shown.fail()
    shown.fail()
    assert capsys.readouterr().out == "✗ Starting\n"


def test_what_a_server_says_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    Steps(PlainProgress()).heard("consul1", "a\x1b[2J")
    assert capsys.readouterr().out == "  consul1 │ a\\x1b[2J\n"


def test_json_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    shown = steps_for(json=True)
    assert shown.silent
    shown.begin("a")
    shown.done("a")
    shown.fail()
    shown.note("a")
    shown.heard("a", "a")
    assert capsys.readouterr().out == ""


def test_the_spinner_is_for_terminals_only(standard_output: StreamChange, monkeypatch: pytest.MonkeyPatch) -> None:
    steps_for(json=False).begin("Waiting")
    monkeypatch.setenv("TERM", "xterm")
    standard_output(terminal := Terminal())
    shown = steps_for(json=False)
    shown.begin("Starting")
    end_steps(failed=True)
    assert "\x1b[?25l" in terminal.getvalue()
    assert "Starting" in terminal.getvalue()


def test_a_terminal_gets_the_same_lines_and_the_spinner_ends(standard_output: StreamChange) -> None:
    output = io.StringIO()
    standard_output(output)
    spinner = TerminalProgress()
    shown = Steps(spinner)
    shown.begin("Starting")
    shown.heard("consul1", "[WARN] hears [red]nobody[/red]")
    shown.begin("Joining")
    shown.note("a note")
    shown.done("Joined")
    shown.begin("Failing")
    shown.fail()
    text = output.getvalue()
    assert "[WARN] hears [red]nobody[/red]" in text
    assert text.index("a note") < text.index("Joined") < text.index("Failing")
    assert spinner.status is None


def test_each_thing_that_is_reported_is_a_record_of_its_own_kind_with_the_time_that_it_took() -> None:
    now = iter([10.0, 12.5, 20.0])
    seen: list[Progress] = []
    steps = Steps(seen.append, lambda: next(now))
    steps.begin("Starting", "consul_lab")
    steps.heard("consul1", "waits")
    steps.done("Started")
    steps.note("All is well")
    steps.begin("Joining")
    steps.fail()
    steps.fail()
    assert seen == [
        StepStarted("consul_lab", "Starting"),
        ServerSaid("consul1", "waits"),
        StepDone("consul_lab", "Started", 2.5),
        Note("All is well"),
        StepStarted("2", "Joining"),
        StepFailed("2", "Joining"),
    ]
