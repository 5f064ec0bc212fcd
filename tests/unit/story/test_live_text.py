"""A story that goes on: each event as it comes, elections as they settle, what goes on below."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from labctl.raft.event import Event
from labctl.raft.records import Election
from labctl.story.live_text import LiveStoryText
from labctl.story.log_clock import LogClock
from labctl.story.source import events_of, is_pause
from tests.unit.story.test_log_printer import Screen, at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labctl.raft.collection import Record

BEGIN = datetime(2026, 1, 2, 3, 4, 5, 1000, tzinfo=UTC)


def event(second: float, name: str, peer: str | None = None, server: str = "consul1") -> Event:
    time = BEGIN + timedelta(seconds=second)
    return Event(time, server, name, None, None, peer, None, None, None, 1, "")


WON = Election("consul2", 3, "line", "heartbeat_timeout", BEGIN, end=BEGIN, outcome="won", votes=[], tally=2, needed=2)
STORY: list[Record] = [
    event(0, "leader_entered"),
    event(1, "peer_unreachable", "consul2"),
    event(3, "peer_unreachable", "consul2"),
    WON,
    event(5, "peer_unreachable", "consul2"),
    event(6, "follower_entered"),
]


def shown(out: io.StringIO) -> list[str]:
    story = LiveStoryText(out, ["consul1"], columns=80)
    story.write(STORY)
    return out.getvalue().splitlines()


def test_an_election_is_told_as_soon_as_it_is_settled_and_what_repeats_when_that_is_over() -> None:
    lines = shown(io.StringIO())
    cut = [line[11:] for line in lines if "│" in line]
    assert cut[:2] == ["consul1 │ is the leader", "consul1 │ cannot reach consul2"]
    assert cut[2] == "consul1 │ cannot reach consul2 (3 times in 4.0 s)"
    (told,) = [number for number, line in enumerate(lines) if line.startswith("• consul2 stood in term 3")]
    assert lines[told - 1].endswith("cannot reach consul2")
    assert "Elections" in lines


def test_on_a_terminal_what_goes_on_stands_below_and_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    out = Screen()
    shown(out)
    assert out.getvalue().count("(2 times in 2.0 s)") == 2
    assert [line for line in out.screen() if "2 times" in line] == []
    assert len([line for line in out.screen() if "3 times" in line]) == 1


@pytest.mark.parametrize("no_colour", ["1", ""])
def test_a_line_that_is_wider_than_the_terminal_goes_on_under_its_words(
    monkeypatch: pytest.MonkeyPatch, no_colour: str
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", no_colour)
    monkeypatch.setenv("COLUMNS", "50")
    out = Screen()
    refused = event(0, "vote_rejected_by_me", "consul2")._replace(values={"reason": "our last term is greater"})
    LiveStoryText(out, ["consul1"], columns=50).write([refused])
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in out.screen()]
    at = next(number for number, line in enumerate(plain) if "does not vote" in line)
    begin = plain[at].index("does not vote")
    assert plain[at + 1].startswith(" " * (begin + 2))
    assert max(map(len, plain)) <= 50
    assert " ".join(line.strip() for line in plain[at : at + 2]).endswith(
        "does not vote for consul2: its own log is newer"
    )


def test_what_goes_on_is_told_when_who_follows_is_interrupted() -> None:
    def interrupted() -> Iterator[Record]:
        yield from STORY[:3]
        raise KeyboardInterrupt

    out = io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        LiveStoryText(out, ["consul1"], columns=80).write(interrupted())
    assert out.getvalue().splitlines()[-1].endswith("cannot reach consul2 (2 times in 2.0 s)")


def test_the_clock_of_a_log_goes_on_from_its_last_stamp() -> None:
    passed = [10.0]
    clock = LogClock(lambda: passed[0])
    assert clock.now() is None
    clock.set(BEGIN)
    passed[0] = 12.5
    clock.set(None)
    assert clock.now() == BEGIN + timedelta(seconds=2.5)


def test_where_a_lab_says_nothing_time_passes_for_its_story_and_nothing_is_told() -> None:
    line = at(0, "consul1", "[INFO] raft: Node at 10.0.0.2:8300 [Follower] entering Follower state")
    first, *pauses = events_of([None, line, None, None], live=True, late=timedelta(0))
    assert [is_pause(first), *map(is_pause, pauses)] == [False, True, True]
    assert all(pause.time is not None and first.time is not None and pause.time >= first.time for pause in pauses)
