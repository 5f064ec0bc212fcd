"""Clocks that contradict each other are noted with the lines that say so; of those that may agree, nothing is."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from labctl.raft.clocks import Clocks
from labctl.raft.reader import read_line
from labctl.raft.server_names import Names
from labctl.story import log_files
from tests.unit.raft.logs import SCENARIOS
from tests.unit.story.election_logs import story, text

if TYPE_CHECKING:
    from pathlib import Path

    from labctl.raft.event import Event

N2 = (
    '11:00:00.000Z [INFO]  agent.server.raft: entering follower state: follower="Node at 10.0.0.2:8300 [Follower]"',
    (
        '11:00:09.000Z [INFO]  agent.server.raft: entering candidate state: node="Node at 10.0.0.2:8300 [Candidate]" '
        "term=2"
    ),
    "11:00:09.010Z [INFO]  agent.server.raft: election won: term=2 tally=2",
    '11:00:09.011Z [INFO]  agent.server.raft: entering leader state: leader="Node at 10.0.0.2:8300 [Leader]"',
)
N1 = (
    '{}:00.000Z [INFO]  agent.server.raft: entering follower state: follower="Node at 10.0.0.1:8300 [Follower]"',
    "{}:09.040Z [INFO]  agent.server: New leader elected: payload=n2",
)
STAYS = "2024-01-08T11:30:00.000Z [INFO]  agent.server.serf.lan: serf: EventMemberJoin: n3 10.0.0.3"


def lines(of: tuple[str, ...], time: str = "") -> list[str]:
    return [f"2024-01-08T{moment.format(time)}" for moment in of]


def notes_of(tmp_path: Path, n1: list[str], n2: list[str]) -> list[str]:
    (tmp_path / "n1.log").write_text(text(n1), encoding="utf-8")
    (tmp_path / "n2.log").write_text(text(n2), encoding="utf-8")
    _, notes = story(tmp_path)
    return [note.replace(f"{tmp_path}/", "") for note in notes]


def test_who_hears_of_a_leader_hours_before_it_leads_has_a_clock_that_is_behind(tmp_path: Path) -> None:
    assert notes_of(tmp_path, [*lines(N1, "08:49"), STAYS], lines(N2)) == [
        (
            "n1's clock is about 2 h 11 min behind n2's: n1 hears at n1.log:2 that n2 leads, and n2 says so itself at "
            "n2.log:4."
        )
    ]


def test_who_leads_by_its_log_only_later_has_a_clock_that_is_ahead(tmp_path: Path) -> None:
    before = "2024-01-08T08:00:00.000Z [INFO]  agent.server.raft: initial configuration: index=1 servers=[]"
    (note,) = notes_of(tmp_path, lines(N1, "08:49"), [before, *lines(N2)])
    assert note.startswith("n1's clock is about 2 h 11 min behind n2's: ")


@pytest.mark.parametrize("time", ["11:00", "10:59"])
def test_clocks_that_agree_or_may_are_not_noted(tmp_path: Path, time: str) -> None:
    # At 10:59 its log is over long before the other one's leads: it may have heard of an earlier leadership.
    assert notes_of(tmp_path, lines(N1, time), lines(N2)[1 if time == "10:59" else 0 :]) == []


def test_who_hears_of_a_leader_long_after_it_leads_may_have_been_away(tmp_path: Path) -> None:
    assert notes_of(tmp_path, lines(N1, "13:00"), lines(N2)) == []


def test_several_leaderships_that_are_heard_of_equally_late_are_no_accident(tmp_path: Path) -> None:
    again = [line.replace("T11:00", "T11:20").replace("term=2", "term=4") for line in lines(N2)]
    heard = [*lines(N1, "13:11"), *lines(N1, "13:31")[1:]]
    (note,) = notes_of(tmp_path, heard, [*lines(N2), *again])
    assert note.startswith("n2's clock is about 2 h 11 min behind n1's: n1 hears at n1.log:2 that n2 leads")


def wins(second: float, number: int, term: int) -> list[str]:
    node = f"Node at 10.0.0.{number}:8300"
    return [
        f"2024-01-08T11:00:{second:06.3f}Z [INFO]  agent.server.raft: {said}"
        for said in (
            f'entering candidate state: node="{node} [Candidate]" term={term}',
            f"election won: term={term} tally=2",
            f'entering leader state: leader="{node} [Leader]"',
        )
    ]


def test_an_older_term_that_is_won_after_a_newer_one_is_of_another_clock_or_cluster(tmp_path: Path) -> None:
    assert notes_of(tmp_path, wins(29, 1, 2), wins(9, 2, 4)) == [
        (
            "n1's clock is at least 20.0 s ahead of n2's, or they are of two clusters: n1 wins term 2 at n1.log:3, "
            "when n2 has won term 4 already, at n2.log:3."
        )
    ]


@pytest.mark.parametrize(("second", "term"), [(29, 5), (12, 2)])
def test_a_newer_term_that_is_won_later_or_an_older_one_just_then_is_not_noted(
    tmp_path: Path, second: float, term: int
) -> None:
    assert notes_of(tmp_path, wins(second, 1, term), wins(9, 2, 4)) == []


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("seconds", [0.0, -1.5, 1.5])
def test_the_clocks_of_real_labs_do_not_contradict_each_other(name: str, seconds: float) -> None:
    clocks, names = Clocks(), Names()
    events: list[Event] = []
    for number, recording in enumerate(log_files.sample(name)):
        by = timedelta(seconds=seconds * number)
        events += [
            event._replace(time=event.time + by if event.time else None)
            for event in log_files.events([recording], names=names)
        ]
    for event in events:
        names.learn(event)
        clocks.take(event)
    assert list(clocks.notes(names)) == []


def test_what_is_kept_is_bounded() -> None:
    clocks = Clocks()
    for number in range(20_000):
        line = f"2024-01-08T11:00:00.000Z [INFO]  agent.server: New leader elected: payload=n{number}"
        event = read_line(line, server=f"s{number % 1000}", line_no=number)
        assert event is not None
        clocks.take(event)
    assert list(clocks.notes(Names())) == []
    assert len(clocks.hears) <= 64 * 64
