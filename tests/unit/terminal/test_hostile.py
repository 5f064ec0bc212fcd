"""Names and words of others, wherever labctl shows them: they move no cursor, make no line, and turn no text around."""

from __future__ import annotations

import io
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import orjson
import pytest

from labctl.cli import tables
from labctl.engine.images import Image
from labctl.engine.labs import Server
from labctl.engine.logs import LogLine
from labctl.engine.members import Member
from labctl.engine.status import Status
from labctl.experiments.chaos import html_view
from labctl.experiments.chaos import text_view as chaos_view
from labctl.experiments.chaos.report import report_of
from labctl.experiments.chaos.schedule import Step
from labctl.faults.condition import condition_of
from labctl.faults.inject import ActiveFault
from labctl.isolation import text_view as isolation_view
from labctl.isolation.report import Report as Proven
from labctl.lab import next_steps
from labctl.progress import Steps
from labctl.raft.reader import read_line
from labctl.raft.record_stream import records
from labctl.results import ServerRole, UpResult
from labctl.setup.doctor import Finding
from labctl.shared.lab_spec import LabSpec
from labctl.story import json_view, mermaid_view, page_view
from labctl.story.log_printer import LogLines, RaftLines
from labctl.story.text_view import StoryText
from labctl.terminal.progress import PlainProgress, TerminalProgress
from labctl.terminal.style import Cell, table
from labctl.workshop import fault_tables
from labctl.workshop import tables as workshop_tables
from labctl.workshop.model.fault_result import SeatFault
from labctl.workshop.model.outcome import Removal
from tests.unit.cli.test_tables import LAB, view
from tests.unit.experiments.chaos.chaos_run import run
from tests.unit.isolation.test_report import GOOD
from tests.unit.stand_ins import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labctl.raft.collection import Record
    from tests.unit.stand_ins import StreamChange

EVIL = "x\x1b]0;pwn\x07\x1b[8m\x1b[2J\x9b2J\u202e\u200f\u2028\r\nforged [red]"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
OURS = re.compile(r"\x1b\[(?:0|1|2|31|32|33|36|38;5;[0-9]+)m")


def is_harmless(text: str) -> None:
    """Fail where a terminal would obey a part of the text that is not ours, or where it made a line of its own."""
    assert "forged" in text
    assert OBEYED.findall(OURS.sub("", text)) == []
    assert [line for line in text.splitlines() if line.startswith("forged")] == []


def status() -> Status:
    servers = tuple(replace(server, name=EVIL, state=EVIL, address=EVIL) for server in LAB.servers)
    lab = replace(
        LAB,
        name=EVIL,
        owner=EVIL,
        spec=LabSpec(pace=EVIL, profile=EVIL, version=EVIL),
        servers=servers,
        workshop=EVIL,
        host=EVIL,
    )
    return Status(lab, tuple(replace(view(number), name=EVIL, problem=EVIL) for number in range(3)))


FAULT = ActiveFault(EVIL, EVIL, (EVIL,), None)
SEAT = SeatFault(EVIL, EVIL, EVIL, (EVIL,), leader=EVIL, term=2, seconds=1.0)
FINDINGS = [Finding("engine", ok=False, found=EVIL, fix=EVIL)]
LINE = f"2021-01-24T00:00:01Z [ERROR] agent.server.raft: failed to heartbeat to: peer={EVIL!s} error={EVIL}"
REMOVED = Removal("w", {}, {EVIL: EVIL}, [EVIL], {EVIL: EVIL})
REPORT = report_of(run())


def proven() -> str:
    place = replace(GOOD.place, lab=EVIL, host=EVIL)
    return isolation_view.text(Proven((replace(GOOD, place=place, sockets=((EVIL, EVIL),)),), (), 1.0), 100, each=True)


def chaos() -> str:
    evil = replace(REPORT.checks[0], sentence=EVIL)
    return chaos_view.report_text(replace(REPORT, checks=(evil, *REPORT.checks[1:])), columns=80)


def story() -> Iterator[Record]:
    lines = LINE.split("\n")
    read = [read_line(line, server=EVIL, line_no=number) for number, line in enumerate(lines, 1)]
    return records(event for event in read if event is not None)


def story_text() -> str:
    out = Terminal() if sys.stdout.isatty() else io.StringIO()
    StoryText(out, [EVIL], lines=True, columns=120).write(story())
    return out.getvalue()


MAKERS: dict[str, Callable[[], str]] = {
    "ls": lambda: tables.ls_table([status()]),
    "status": lambda: tables.status_text(status(), condition_of(status(), [FAULT]), [FAULT], "me"),
    "status, narrow": lambda: tables.status_text(status(), condition_of(status(), [FAULT]), [FAULT], "me", 40),
    "members": lambda: tables.members_table([Member(EVIL, EVIL, EVIL, EVIL, EVIL, EVIL)]),
    "images": lambda: tables.images_table([Image(EVIL, EVIL, EVIL, EVIL, 1, EVIL)]),
    "doctor": lambda: tables.doctor_text(FINDINGS),
    "up": lambda: next_steps.next_steps(
        UpResult(EVIL, True, (ServerRole(EVIL, EVIL, EVIL),) * 3, EVIL, 2, 3, {"total": 1.0})
    ),
    "workshop fault": lambda: fault_tables.board([SEAT, replace(SEAT, problem=EVIL)]),
    "workshop fault start": lambda: fault_tables.brought_back([replace(SEAT, problem=EVIL)]),
    "workshop down": lambda: workshop_tables.removed_text(REMOVED),
    "verify": proven,
    "chaos": chaos,
    "chaos --dry-run": lambda: chaos_view.schedule_text([Step(1.0, 1.0, "kill", (EVIL,))], 1),
    "story": story_text,
}  # fmt: skip


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("name", MAKERS)
def test_no_view_lets_words_of_others_do_anything(
    name: str, colour: bool, standard_output: StreamChange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    standard_output(Terminal() if colour else io.StringIO())
    is_harmless(MAKERS[name]())


@pytest.mark.parametrize("make", [page_view.svg, page_view.html, mermaid_view.mermaid])
def test_no_picture_holds_what_turns_text_around_or_moves_a_cursor(make: Callable[..., str]) -> None:
    made = make(story())
    assert OBEYED.findall(made) == []
    # An entity would bring the same character back in a browser.
    assert not re.search(r"#(?:8238|8207|27|x1b);", made)


def test_a_picture_of_chaos_neither() -> None:
    made = html_view.html(replace(REPORT, checks=(replace(REPORT.checks[0], sentence=EVIL),)))
    assert OBEYED.findall(made) == []
    assert "forged" in made


def test_a_word_of_mermaid_is_a_name_like_any_other() -> None:
    line = "2021-01-24T00:00:01Z [INFO] agent.server.raft: entering candidate state: node=end term=2"
    read = read_line(line, server="end", line_no=1)
    assert read is not None
    made = mermaid_view.mermaid(records([read]))
    assert "participant s1 as #101;nd" in made
    assert not re.search(r"\bend\b", made)
    assert mermaid_view.mermaid_label("the end, ended") == "the #101;nd, ended"


def test_json_holds_no_character_that_a_terminal_obeys_and_loses_none() -> None:

    out = io.StringIO()
    line = "2021-01-24T00:00:01Z [ERROR] raft: failed to heartbeat to: peer=\x9b2J\u202e\x7f error=\U0001f600é"
    read = read_line(line, server="consul1\x85\u200e", line_no=1)
    assert read is not None
    json_view.write_document(records([read]), out)
    assert OBEYED.findall(out.getvalue().replace("\n", "")) == []
    event = orjson.loads(out.getvalue())["events"][0]
    assert (event["server"], event["line"]) == ("consul1\x85\u200e", line)
    assert "\U0001f600é" in out.getvalue()


def test_a_foreign_colour_is_none_of_ours(standard_output: StreamChange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    standard_output(Terminal())
    text = table(["owner", "state"], [["\x1b[31mred", Cell("\x1b[8mready", "green")]])
    assert text.splitlines()[1] == "\\x1b[31mred  \x1b[32m\\x1b[8mready\x1b[0m"


def test_steps_are_harmless_on_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    steps = Steps(PlainProgress())
    steps.begin(EVIL)
    steps.fail()
    steps.begin(EVIL)
    steps.done(EVIL)
    steps.note(EVIL)
    steps.heard(EVIL, EVIL)
    text = capsys.readouterr().out
    is_harmless(text)
    assert len(text.splitlines()) == 4


def test_steps_are_harmless_on_a_terminal_and_markup_in_a_title_is_text(
    standard_output: StreamChange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    output = io.StringIO()
    standard_output(output)
    spinner = TerminalProgress()
    steps = Steps(spinner)
    steps.begin(f"[red]{EVIL}[/red]")
    steps.note(EVIL)
    steps.heard("consul1", EVIL)
    assert spinner.status is not None
    (shown,) = (str(renderable) for renderable in [spinner.status.status])
    steps.done(EVIL)
    assert shown.startswith("[red]x\\x1b]0;pwn")
    is_harmless(shown)
    text = output.getvalue()
    assert "[red]" in text
    # What is left moves the cursor for the spinner: nothing of it is what was said.
    assert not re.search("\x1b\\]0|\x1b\\[8m|\x9b|\u202e", text)


@pytest.mark.parametrize("kind", [PlainProgress, TerminalProgress])
def test_what_is_told_of_seats_is_harmless(kind: type[PlainProgress], capsys: pytest.CaptureFixture[str]) -> None:
    shown = kind()
    steps = Steps(shown)
    with steps.seats("w", [EVIL]):
        steps.seat(EVIL, "starting")
        if isinstance(shown, TerminalProgress):
            assert shown.table is not None
            is_harmless(shown.table.drawn())
        steps.seat(EVIL, "held", EVIL)
        steps.seat(EVIL, "failed", EVIL, at=EVIL)
        steps.seat(EVIL, "ready", EVIL, 1.0)
        steps.lost([EVIL], EVIL)
    is_harmless(capsys.readouterr().out)


@pytest.mark.parametrize("kind", [LogLines, RaftLines])
def test_log_lines_are_harmless(kind: type[LogLines], capsys: pytest.CaptureFixture[str]) -> None:
    server = Server(EVIL, "c1", "id1", "running", "10.0.0.2", 1)
    kind([server], as_json=False, prefix=True).write(LogLine(EVIL, "2026-01-02T03:04:05.000000000Z", LINE))
    is_harmless(capsys.readouterr().out)
