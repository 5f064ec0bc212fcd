"""Whom a refusal met does not depend on clocks of which lines show that they differ."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from labctl.raft.clock_differences import AGREE, GOSSIP, SAME, UNKNOWN, Bounds, ClockDifferences
from labctl.raft.progress import Progress
from labctl.raft.reader import read_line
from labctl.raft.server_names import Names
from tests.unit.raft.lines import BEGIN, LEADS, MISSED, told

if TYPE_CHECKING:
    from collections.abc import Iterable

SERVERS = " ".join(f"{{Suffrage:Voter ID:10.0.0.{number}:8300 Address:10.0.0.{number}:8300}}" for number in (1, 2, 3))
KNOWS = f'[INFO]  agent.server.raft: initial configuration: index=1 servers="[{SERVERS}]"'
HEARS = "[INFO]  agent.server: New leader elected: payload=consul1"
AGAIN = "[WARN]  agent.server.raft: Election timeout reached, restarting election"
REFUSES = (
    "[WARN]  agent.server.raft: rejecting vote request since we have a leader: from=10.0.0.2:8300 leader=10.0.0.1:8300"
)
TWICE = "[INFO]  agent.server.raft: duplicate requestVote for same term: term={}"


def stands(term: int, number: int = 2) -> str:
    node = f"Node at 10.0.0.{number}:8300 [Candidate]"
    return f'[INFO]  agent.server.raft: entering candidate state: node="{node}" term={term}'


def votes_for_itself(term: int, number: int) -> str:
    return f"[DEBUG] agent.server.raft: vote granted: from=10.0.0.{number}:8300 term={term} tally=1"


def by_clocks(lines: Iterable[tuple[float, str, str]], ahead: dict[str, float]) -> list[tuple[str, int | None, str]]:
    """Who refused whom in which term, where servers' clocks are ahead by so much; as stamps have it."""
    begin = [(-1.0, f"consul{number}", KNOWS) for number in (1, 2, 3)]
    heard = [LEADS, (0.1, "consul2", HEARS), (0.2, "consul3", HEARS)]
    stamped = [(when + ahead.get(who, 0), who, line) for when, who, line in (*begin, *heard, *lines)]
    story = told(*sorted(stamped, key=lambda stamped_line: stamped_line[0]), complete=False)
    return [(no.server, election.term, election.candidate) for election in story.elections for no in election.refusals]


def test_a_refusal_of_a_clock_that_is_ahead_is_not_told_of_the_next_candidacy() -> None:
    # By its stamp, it comes at once after term 4 is asked for.
    lines = [(5.0, "consul2", stands(3)), (5.005, "consul3", REFUSES), (6.5, "consul2", AGAIN)]
    lines.append((6.5, "consul2", stands(4)))
    assert by_clocks(lines, {"consul3": 1.5}) == [("consul3", 3, "consul2")]


@pytest.mark.parametrize("ahead", [-1.5, -0.4, 0.0, 0.4, 1.5])
def test_who_has_voted_and_refuses_all_that_ask_refuses_each_of_them_by_any_clock(ahead: float) -> None:
    lines = [
        (5.0, "consul1", MISSED), (5.0, "consul1", stands(3, 1)), (5.0, "consul1", votes_for_itself(3, 1)),
        (5.3, "consul2", stands(3)), (5.301, "consul1", TWICE.format(3)),
        (5.7, "consul3", stands(3, 3)), (5.701, "consul1", TWICE.format(3)),
        (7.0, "consul1", AGAIN),
    ]  # fmt: skip
    assert sorted(by_clocks(lines, {"consul1": ahead})) == [("consul1", 3, "consul2"), ("consul1", 3, "consul3")]


def test_by_a_clock_that_is_behind_it_is_not_told_whom_of_two_a_refusal_met() -> None:
    # consul3 has heard of consul1 before that led. The request of consul3 is lost, and its stamp is the nearer one.
    lines = [
        (4.0, "consul1", stands(3, 1)), (4.0, "consul1", votes_for_itself(3, 1)),
        (5.0, "consul2", stands(3)), (5.001, "consul1", TWICE.format(3)), (6.4, "consul3", stands(3, 3)),
    ]  # fmt: skip
    assert ("consul1", 3, "consul3") not in by_clocks(lines, {"consul3": -1.4})


def test_whose_vote_is_not_known_may_have_voted_for_who_stood() -> None:
    # Its answer to consul2, a vote, was lost; whom it refuses later is consul3.
    lines = [(5.0, "consul2", stands(3)), (5.9, "consul3", stands(3, 3)), (5.901, "consul1", TWICE.format(3))]
    assert by_clocks(lines, {}) == [("consul1", 3, "consul3")]
    assert by_clocks(lines, {"consul3": 1.2}) == []


def test_an_answer_at_once_may_be_to_who_asked_by_another_clock() -> None:
    # consul1 has refused consul3, whose clock may be ahead by so much; the request of consul2 is lost.
    voted = [(4.0, "consul1", stands(3, 1)), (4.0, "consul1", votes_for_itself(3, 1))]
    lines = [*voted, (5.0, "consul2", stands(3)), (5.018, "consul3", stands(3, 3)), (5.02, "consul1", TWICE.format(3))]
    assert by_clocks(lines, {"consul3": 0.2}) == []


@pytest.mark.parametrize("ahead", [0.0, 0.3])
def test_who_answers_at_once_twice_has_the_same_clock(ahead: float) -> None:
    names, clocks = Names(), ClockDifferences(Names())
    for when, who, text in [
        (5.0, "consul2", stands(3)), (5.003, "consul3", REFUSES), (7.0, "consul2", stands(4)),
        (7.001, "consul3", REFUSES),
    ]:  # fmt: skip
        stamp = BEGIN + timedelta(seconds=when + (ahead if who == "consul3" else 0))
        event = read_line(f"{stamp.isoformat(timespec='milliseconds')} {text}", server=who, line_no=1)
        assert event is not None
        names.learn(event)
        clocks.take(event)
    assert clocks.between("consul2", "consul3") == (None if ahead else AGREE)


def test_who_answers_at_once_and_hears_late_of_a_leader_may_have_been_frozen() -> None:
    names = Names()
    clocks = ClockDifferences(names)
    for when, who, text in [
        (0.0, "consul1", LEADS[2]), (0.1, "consul2", HEARS), (1.5, "consul3", HEARS),
        (5.0, "consul2", stands(3)), (5.003, "consul3", REFUSES), (7.0, "consul2", stands(4)),
        (7.001, "consul3", REFUSES),
    ]:  # fmt: skip
        stamp = (BEGIN + timedelta(seconds=when)).isoformat(timespec="milliseconds")
        event = read_line(f"{stamp} {text}", server=who, line_no=1)
        assert event is not None
        names.learn(event)
        clocks.take(event)
    least, most = clocks.between("consul3", "consul2") or UNKNOWN
    assert least <= timedelta() <= most < UNKNOWN.most


# -- by how much -----------------------------------------------------------------------------------------------


def between(heard: dict[str, list[float]], server: str, other: str, *, whole: bool = False) -> Bounds | None:
    names, chance = Names(), random.Random(1)  # noqa: S311 - the order of lines
    lines = [(0.0, "consul1", LEADS[2]), *((when, who, HEARS) for who, times in heard.items() for when in times)]
    chance.shuffle(lines)
    clocks = ClockDifferences(names)
    for when, who, text in lines:
        stamp = BEGIN + timedelta(seconds=when)
        text_of = f"{stamp:%Y/%m/%d %H:%M:%S}" if whole else stamp.isoformat(timespec="milliseconds")
        event = read_line(f"{text_of.replace('+00:00', 'Z')} {text}", server=who, line_no=1)
        assert event is not None
        names.learn(event)
        clocks.take(event)
    return clocks.between(server, other)


def test_who_hears_of_a_leader_is_ahead_by_no_more_than_that_is_later() -> None:
    assert between({"consul2": [0.1]}, "consul2", "consul1") == Bounds(
        timedelta(seconds=0.1) - GOSSIP, timedelta(seconds=0.1)
    )
    assert between({"consul2": [1.2, 1.4]}, "consul2", "consul1") == Bounds(
        timedelta(seconds=0.7), timedelta(seconds=1.2)
    )
    least, most = between({"consul2": [1.2], "consul3": [-1.0]}, "consul2", "consul3") or SAME
    assert least <= timedelta(seconds=2.2) <= most


def test_who_hears_very_late_of_a_leader_may_have_been_frozen_and_its_clock_right() -> None:
    seconds = timedelta(seconds=3)
    assert between({"consul2": [3.0]}, "consul2", "consul1") == Bounds(UNKNOWN.least, seconds)
    assert between({"consul2": [1.9]}, "consul2", "consul1") == Bounds(
        timedelta(seconds=1.9) - GOSSIP, timedelta(seconds=1.9)
    )


def test_of_who_heard_of_no_leader_nothing_is_known() -> None:
    assert between({"consul2": [0.1]}, "consul3", "consul1") is None
    assert between({"consul2": [100.0]}, "consul2", "consul1") is None, "that is of another time"


def test_what_was_heard_before_a_leaders_log_begins_shows_no_clock() -> None:
    names, progress = Names(), Progress(lambda: True)
    clocks = ClockDifferences(names, progress)
    for when, who, text in [(0.0, "consul1", LEADS[2]), (-1.4, "consul2", HEARS)]:
        stamp = (BEGIN + timedelta(seconds=when)).isoformat(timespec="milliseconds")
        event = read_line(f"{stamp} {text}", server=who, line_no=1)
        assert event is not None
        names.learn(event)
        progress.take(event)
        clocks.take(event)
    assert clocks.between("consul2", "consul1") is None, "that may be an earlier victory"


def test_whole_seconds_show_only_that_clocks_differ_by_more() -> None:
    second = timedelta(seconds=1)
    assert between({"consul2": [0.2]}, "consul2", "consul1", whole=True) == Bounds(-second - GOSSIP, second)
    late = between({"consul2": [2.2]}, "consul2", "consul1", whole=True)
    assert late is not None
    assert late.least > timedelta()


def test_the_stamps_of_one_machine_are_of_one_clock() -> None:
    assert ClockDifferences(Names(), are_one=True).between("consul1", "consul2") == SAME


def test_lines_that_contradict_each_other_bound_nothing() -> None:
    names = Names()
    clocks = ClockDifferences(names)
    for when, who, text in [
        (0.0, "consul1", LEADS[2]), (0.1, "consul2", HEARS), (0.1, "consul3", HEARS), (9.0, "consul2", LEADS[2]),
        (9.1, "consul1", HEARS.replace("consul1", "consul2")), (10.9, "consul3", HEARS.replace("consul1", "consul2")),
    ]:  # fmt: skip
        event = read_line(
            f"{(BEGIN + timedelta(seconds=when)).isoformat(timespec='milliseconds')} {text}", server=who, line_no=1
        )
        assert event is not None
        names.learn(event)
        clocks.take(event)
    assert clocks.between("consul3", "consul1") == UNKNOWN
