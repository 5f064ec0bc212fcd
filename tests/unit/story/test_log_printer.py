"""Log lines as `labctl logs` prints them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labctl.engine.labs import Server
from labctl.engine.logs import LogLine
from labctl.raft import log_notes
from labctl.story import log_printer
from labctl.story.log_clock import LogClock
from labctl.terminal import style
from tests.unit.stand_ins import Terminal

if TYPE_CHECKING:
    from tests.unit.stand_ins import StreamChange


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
    printer.finish()
    return capsys.readouterr().out.splitlines()


def test_a_line_stands_behind_its_servers_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert written(capsys, OTHER) == [f"consul1   │ {OTHER}"]
    assert written(capsys, OTHER, prefix=False) == [OTHER]


def test_only_raft_is_the_old_grep_raft(capsys: pytest.CaptureFixture[str]) -> None:
    assert written(capsys, OTHER, RAFT, raft=True, prefix=False) == [RAFT]


LEAD = '2026/01/02 03:04:05 [WARN]  raft: Heartbeat timeout from "10.0.0.3:8300" reached, starting election'
ACCEPTED = "2026/01/02 03:04:05 [DEBUG] raft-net: 10.0.0.2:8300 accepted connection from: 10.0.0.3:40000"
STRANGE = "2026/01/02 03:04:05 [DEBUG] raft: does something that no version before it did: " + 80 * "x"
UNREACHABLE = "2026/01/02 03:04:05 [WARN] raft: Failed to contact 10.0.0.3:8300 in 500ms"


def test_raft_is_told_in_words_with_the_names_of_the_servers_and_of_lines_only_those_that_nobody_knows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert written(capsys, LEAD, ACCEPTED, STRANGE, OTHER, raft=True) == [
        "03:04:05.000 consul1   │ has not heard from the leader elsewhere in time",
        f"03:04:05.000 consul1   │ {STRANGE.partition(' ')[2].partition(' ')[2]}",
    ]


def test_with_lines_each_line_stands_under_what_it_means(capsys: pytest.CaptureFixture[str]) -> None:
    printer = log_printer.RaftLines(SERVERS, as_json=False, prefix=True, lines=True)
    for text in (LEAD, ACCEPTED, UNREACHABLE, UNREACHABLE):
        printer.write(LogLine("consul1", "2026-01-02T03:04:05.000000000Z", text))
    printer.finish()
    front = "03:04:05.000 consul1   │ "
    assert capsys.readouterr().out.splitlines() == [
        f"{front}has not heard from the leader elsewhere in time",
        f"{front}{LEAD}",
        f"{front}{ACCEPTED}",
        f"{front}cannot reach elsewhere",
        f"{front}{UNREACHABLE}",
        f"{front}cannot reach elsewhere",
        f"{front}{UNREACHABLE}",
    ]


def test_what_labctl_broke_is_shown_beside_what_raft_made_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    line = log_notes.began(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "ab12cd", "kill consul1", ["consul1"], None)
    assert written(capsys, line, raft=True) == ["03:04:05.000 consul1   │ is about to be killed on purpose"]
    assert written(capsys, line, raft=True, prefix=False) == [line]
    (document,) = written(capsys, line, raft=True, as_json=True)
    assert json.loads(document)["event"] == "fault_began"


def at(second: int, server: str, text: str) -> LogLine:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) + timedelta(seconds=second)
    return LogLine(server, moment.strftime("%Y-%m-%dT%H:%M:%S.%f000Z"), f"{moment:%Y/%m/%d %H:%M:%S} {text}")


def test_what_repeats_is_told_once_and_then_how_often(capsys: pytest.CaptureFixture[str]) -> None:
    printer = log_printer.RaftLines(SERVERS, as_json=False, prefix=True)
    for second in range(0, 143, 2):
        printer.write(at(second, "consul1", "[WARN] raft: Failed to contact 10.0.0.3:8300 in 500ms"))
    printer.write(at(144, "consul1", "[INFO] raft: Node at 10.0.0.2:8300 [Follower] entering Follower state"))
    printer.finish()
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "03:04:05.000 consul1   │ cannot reach elsewhere",
        "03:05:07.000 consul1   │ cannot reach elsewhere (32 times in about 1 min 2 s)",
        "03:06:27.000 consul1   │ cannot reach elsewhere (72 times in about 2 min 22 s)",
        "03:06:29.000 consul1   │ is a follower",
    ]


class Screen(Terminal):
    """A terminal of 60 columns, and what stands on it at last."""

    def screen(self) -> list[str]:
        rows = [""]
        for part in re.split(r"(\n|\x1b\[[0-9]+A|\x1b\[J)", self.getvalue()):
            if part == "\n":
                rows.append("")
            elif part.endswith("A") and part.startswith("\x1b["):
                rows = [*rows[: -int(part[2:-1]) - 1], ""]
            elif part != "\x1b[J":
                rows[-1] += part
        return rows[:-1]


def on_a_terminal(standard_output: StreamChange, monkeypatch: pytest.MonkeyPatch) -> Screen:
    screen = Screen()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    standard_output(screen)
    return screen


def test_on_a_terminal_what_goes_on_is_rewritten_below(
    standard_output: StreamChange, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = on_a_terminal(standard_output, monkeypatch)
    printer = log_printer.RaftLines(SERVERS, as_json=False, prefix=True)
    unreachable = "[WARN] raft: Failed to contact 10.0.0.3:8300 in 500ms"
    for second in range(0, 21, 10):
        printer.write(at(second, "consul1", unreachable))
    assert terminal.screen() == [
        "03:04:05.000 consul1   │ cannot reach elsewhere",
        "03:04:25.000 consul1   │ cannot reach elsewhere (3 times ...",
    ]
    printer.write(at(21, "elsewhere", "[INFO] raft: Node at 10.0.0.3:8300 [Follower] entering Follower state"))
    printer.write(at(22, "consul1", unreachable))
    assert terminal.screen() == [
        "03:04:05.000 consul1   │ cannot reach elsewhere",
        "03:04:26.000 elsewhere │ is a follower",
        "03:04:27.000 consul1   │ cannot reach elsewhere (4 times ...",
    ]
    printer.finish()
    assert terminal.screen()[2:] == [
        "03:04:27.000 consul1   │ cannot reach elsewhere (4 times in",
        "                           about 22 s)",
    ]


def test_no_line_is_wider_than_the_terminal(standard_output: StreamChange, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(standard_output, monkeypatch)
    printer = log_printer.RaftLines(SERVERS, as_json=False, prefix=True)
    for path in sorted(Path("tests/data/raft/samples").glob("**/*.log"))[:12]:
        for number, text in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines()[:400]):
            printer.write(LogLine("consul1", f"2026-01-02T03:04:{number % 60:02}.000000000Z", text))
    printer.finish()
    assert max(map(style.width, terminal.screen())) <= 60
    assert len(terminal.screen()) > 30


CAMPAIGN = [
    '[WARN] raft: Heartbeat timeout from "" reached, starting election',
    "[INFO] raft: Node at 10.0.0.2:8300 [Candidate] entering Candidate state in term 2",
    "[DEBUG] raft: Votes needed: 2",
    "[DEBUG] raft: Vote granted from a in term 2. Tally: 1",
    "[DEBUG] raft: Vote granted from b in term 2. Tally: 2",
    "[INFO] raft: Election won. Tally: 2",
    "[INFO] raft: Node at 10.0.0.2:8300 [Leader] entering Leader state",
]


def test_an_election_is_told_in_a_sentence_when_it_is_over_and_not_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    printer = log_printer.RaftLines(SERVERS, as_json=False, prefix=True)
    for text in CAMPAIGN:
        printer.write(at(0, "consul1", text))
    printer.write(at(60, "consul1", "[DEBUG] raft-net: 10.0.0.2:8300 accepted connection from: 10.0.0.3:40000"))
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("• consul1 stood in term 2 because it had not heard from a leader in time")
    assert "it won" in last
    printer.finish()
    assert "stood" not in capsys.readouterr().out


def test_an_election_is_told_while_the_servers_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    printer = log_printer.RaftLines(SERVERS, as_json=False, prefix=True)
    passed = [100.0]
    printer.clock = LogClock(lambda: passed[0])
    for text in CAMPAIGN:
        printer.write(at(0, "consul1", text))
    printer.wait()
    assert "stood" not in capsys.readouterr().out
    passed[0] += 6
    printer.wait()
    assert capsys.readouterr().out.startswith("• consul1 stood in term 2")


def test_a_log_without_end_is_not_remembered(capsys: pytest.CaptureFixture[str]) -> None:
    printer = log_printer.RaftLines(SERVERS, as_json=False, prefix=True, lines=True)
    for number in range(3000):
        text = f"[INFO]  raft: Node at 10.0.0.2:8300 [Candidate] entering Candidate state in term {number}"
        printer.write(LogLine("consul1", "2026-01-02T03:04:05.000000000Z", f"2026/01/02 03:04:05 {text}"))
    assert len(printer.story.settled) < 100
    assert capsys.readouterr().out.count("becomes a candidate") == 3000


def test_json_of_raft_says_what_a_line_means(capsys: pytest.CaptureFixture[str]) -> None:
    stands = "2026/01/02 03:04:05 [INFO]  raft: Node at 10.0.0.2:8300 [Candidate] entering Candidate state in term 4"
    won = "2026/01/02 03:04:05 [INFO]  raft: Election won. Tally: 2"
    documents = [json.loads(line) for line in written(capsys, stands, won, OTHER, raft=True, as_json=True)]
    assert [(document["event"], document["term"], document["words"]) for document in documents] == [
        ("candidate_entered", 4, "becomes a candidate in term 4"),
        ("election_won", 4, "won the election of term 4 with 2 votes"),
    ]
    assert [document["line"] for document in documents] == [stands, won]


def test_json_is_one_document_for_each_line_with_the_line_as_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = written(capsys, "a\x1b[2J", as_json=True)
    assert json.loads(line) == {"time": "2026-01-02T03:04:05.000000000Z", "server": "consul1", "line": "a\x1b[2J"}


def test_the_time_in_json_is_that_by_which_lines_are_ordered() -> None:
    line = LogLine("consul1", "2026-01-02T03:04:05.900000000Z", "x", written=datetime(2026, 1, 2, 3, 4, 5, 893000, UTC))
    assert log_printer.line_row(line)["time"] == "2026-01-02T03:04:05.893000Z"
    assert log_printer.line_row(replace(line, written=None))["time"] == line.taken


def test_a_line_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    assert written(capsys, "a\x1b[2J\rb", prefix=False) == [r"a\x1b[2J\x0db"]


@pytest.mark.parametrize(("level", "colour"), [("WARN", "33"), ("ERR", "31"), ("ERROR", "31")])
def test_levels_that_alarm_stand_out_on_a_terminal(
    standard_output: StreamChange, monkeypatch: pytest.MonkeyPatch, level: str, colour: str
) -> None:
    terminal = on_a_terminal(standard_output, monkeypatch)
    monkeypatch.delenv("NO_COLOR")
    printer = log_printer.LogLines(SERVERS, as_json=False, prefix=False)
    printer.write(LogLine("consul1", "2026-01-02T03:04:05.000000000Z", f"12:00 [{level}] raft: x"))
    (line,) = terminal.getvalue().splitlines()
    assert line == f"12:00 \x1b[{colour}m[{level}]\x1b[0m raft: x"


def test_without_a_terminal_there_is_no_colour(capsys: pytest.CaptureFixture[str]) -> None:
    assert "\x1b" not in "".join(written(capsys, "12:00 [ERR] raft: x"))
