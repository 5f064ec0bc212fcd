"""A story as text and as JSON; hostile lines stay text in both."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from labctl.raft.reader import read_line
from labctl.raft.record_stream import records
from labctl.story import json_view, log_files
from labctl.story.text_view import StoryText
from tests.unit.raft.logs import DEMO, SAMPLES

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = (
    '2021-01-24T00:00:01Z [ERROR] agent.server.raft: failed to heartbeat to: peer=\x1b]0;x\x07<script> error="\x1b[2J"'
)


def text_of(path: Path, *, columns: int = 120, lines: bool = False) -> list[str]:
    out = io.StringIO()
    StoryText(out, columns=columns, lines=lines).write(records(log_files.events(log_files.find([str(path)]))))
    return out.getvalue().splitlines()


def json_of(path: Path, **settings: Any) -> dict[str, Any]:
    out = io.StringIO()
    json_view.write_document(records(log_files.events(log_files.find([str(path)]))), out, **settings)
    document: dict[str, Any] = json.loads(out.getvalue())
    return document


def test_events_stand_in_columns_with_the_time_since_the_first() -> None:
    lines = text_of(DEMO, columns=140)
    assert lines[:3] == ["What happened", "  No time without a leader is seen in these logs.", ""]
    assert lines[3] == "2015-08-09 (UTC)"
    assert lines[4] == "01:29:04       +0 s consul1_1 │ is a follower"
    sentence = "consul1_1 stood in term 1 because it had not heard from a leader in time; it had the 2 votes it needed"
    assert lines[-4:] == [f"  {sentence}; it won after less than 1 s.", "", "Leaders", "  consul1_1 leads in term 1."]


def test_a_narrow_terminal_loses_the_time_of_day_and_wraps_the_sentences() -> None:
    lines = text_of(DEMO, columns=50)
    assert lines[4] == "      +0 s consul1_1 │ is a follower"
    assert max(map(len, lines[lines.index("Elections") :])) <= 50


def test_the_date_stands_where_the_day_changes_and_every_time_is_of_one_zone(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    stamps = ("2024-01-08T23:59:59.900+0800", "2024-01-08T16:00:00.100Z", "2024-01-09T00:00:01+0800")
    path.write_text("".join(f"{stamp} [INFO]  raft: election won: tally=2\n" for stamp in stamps), encoding="utf-8")
    lines = text_of(path)
    assert "  Not seen: who voted for whom; no line of these logs is of level debug." in lines
    begin = lines.index("2024-01-08 (+08:00)")
    assert [line[:19] for line in lines[begin : begin + 5]] == [
        "2024-01-08 (+08:00)", "23:59:59   +0.000 s", "2024-01-09 (+08:00)", "00:00:00   +0.200 s",
        "00:00:01       +1 s",
    ]  # fmt: skip


@pytest.mark.parametrize("seconds", [1, 1000, 3600, 90_000])
@pytest.mark.parametrize("columns", [80, 120])
def test_the_column_of_the_time_since_the_first_event_is_as_wide_as_the_latest_needs(
    tmp_path: Path, seconds: int, columns: int
) -> None:
    path = tmp_path / "a.log"
    stamps = (
        datetime(2024, 1, 8, 12, tzinfo=UTC),
        datetime(2024, 1, 8, 12, 0, 0, 500, UTC) + timedelta(seconds=seconds),
    )
    path.write_text(
        "".join(
            f"{stamp.isoformat(timespec='milliseconds')} [INFO]  raft: election won: tally=2\n" for stamp in stamps
        ),
        encoding="utf-8",
    )
    first, last = (line for line in text_of(path, columns=columns) if "│" in line)
    assert first.index("│") == last.index("│")
    assert first.split(" │")[0].split()[-3:-1] == ["+0.000", "s"]


def test_the_line_of_each_event_can_be_shown() -> None:
    lines = text_of(DEMO, lines=True)
    won = next(number for number, line in enumerate(lines) if "won the election" in line)
    assert lines[won + 1].endswith("[INFO] raft: Election won. Tally: 2")


def test_unknown_words_of_raft_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("2021-01-24T00:00:01Z [INFO] agent.server.raft: brand new\n", encoding="utf-8")
    assert text_of(path)[-2].startswith("1 line of Raft has a wording that labctl does not know, such as ")


@pytest.mark.parametrize("lines", [False, True])
def test_a_hostile_line_moves_no_cursor(lines: bool) -> None:
    out = io.StringIO()
    event = read_line(HOSTILE, server="consul\x1b[1m1", line_no=1)
    assert event is not None
    StoryText(out, columns=80, lines=lines).write([event])
    assert "\x1b" not in out.getvalue()
    assert "\x07" not in out.getvalue()


def test_json_has_every_event_with_its_line() -> None:
    document = json_of(DEMO)
    assert list(document) == [
        "incidents", "events", "elections", "pre_votes", "leaders", "outages", "faults", "timeouts", "servers",
        "unparsed", "unread", "notes",
    ]  # fmt: skip
    won = next(event for event in document["events"] if event["event"] == "election_won")
    line = DEMO.read_text(encoding="utf-8").splitlines()[won["line_no"] - 1]
    assert (won["line"], won["file"], won["term"], won["term_source"]) == (line, str(DEMO), 1, "inferred")
    assert [
        (election["candidate"], election["outcome"], election["seconds"]) for election in document["elections"]
    ] == [("consul1_1", "won", 0.0)]
    assert document["leaders"] == [
        {
            "server": "consul1_1",
            "term": 1,
            "term_source": "inferred",
            "from": "2015-08-09T01:31:32+00:00",
            "from_known": True,
            "to": None,
            "seconds": None,
            "seconds_bound": None,
            "ended_by": None,
            "without_leader": None,
            "without_leader_bound": None,
            "without_majority": None,
            "superseded": None,
            "silent_since": None,
            "to_inferred": False,
            "gave_up": None,
            "gave_up_by": None,
            "evidence": [{"server": "consul1_1", "file": str(DEMO), "line_no": number} for number in (10, 17)],
        }
    ]
    assert document["servers"] == ["consul1_1", "consul2_1", "consul3_1"]
    assert document["unparsed"] == 0


def test_what_goes_out_of_memory_on_the_way_is_in_the_document() -> None:
    log = SAMPLES / "consul-1.15"
    whole = json_of(log)
    assert json_of(log, in_memory=3) == whole
    assert len(whole["elections"]) > 5


def test_a_story_without_events_is_json_too(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"")
    assert json_of(tmp_path / "a.log") == {
        "incidents": [], "events": [], "elections": [], "pre_votes": [], "leaders": [], "outages": [], "faults": [],
        "timeouts": None, "servers": [], "unparsed": 0, "unread": None, "notes": [],
    }  # fmt: skip


def test_a_stream_is_one_document_a_line() -> None:
    out = io.StringIO()
    json_view.write_stream(records(log_files.events(log_files.find([str(DEMO)]))), out)
    events = [json.loads(line)["event"] for line in out.getvalue().splitlines()]
    assert events[0] == "follower_entered"
    assert "election_won" in events


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


LONG = (
    "2021-01-24T00:00:01Z [WARN]  agent.server.raft: rejecting vote request since we have a leader: "
    "from=a-server-with-a-very-long-name-of-its-own.example.com:8300 leader=another-server.example.com:8300"
)


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("no_colour", ["1", ""])
def test_on_a_terminal_a_long_event_goes_on_under_its_words(
    monkeypatch: pytest.MonkeyPatch, lines: bool, no_colour: str
) -> None:
    monkeypatch.setenv("NO_COLOR", no_colour)
    monkeypatch.setenv("TERM", "xterm")
    event = read_line(LONG, server="consul1", line_no=1)
    assert event is not None
    out = _Terminal()
    StoryText(out, columns=80, lines=lines).write([event])
    told = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in out.getvalue().splitlines()]
    assert max(map(len, told)) <= 80
    first = next(at for at, line in enumerate(told) if "│" in line)
    under = told[first].index("│") + 4
    assert told[first + 1][:under].isspace()
    assert told[first + 1][under] != " "


def test_what_is_piped_has_one_line_for_each_event() -> None:
    event = read_line(LONG, server="consul1", line_no=1)
    assert event is not None
    out = io.StringIO()
    StoryText(out, columns=80, every=True).write([event])
    assert len([line for line in out.getvalue().splitlines() if "leader" in line and "│" in line]) == 1
