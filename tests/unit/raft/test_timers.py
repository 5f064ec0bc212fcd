"""Raft's timers: what was set, and what a log shows of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from labctl.raft import summary_sentences
from labctl.raft.collection import Collection, collect
from labctl.raft.merge import merge
from labctl.raft.reader import read_line
from labctl.raft.record_stream import records
from labctl.raft.records import Election
from labctl.raft.timers import Timers, seconds_of, timers_of, without_majority
from labctl.story import log_files
from tests.unit.raft.logs import SCENARIOS

if TYPE_CHECKING:
    from labctl.raft.records import PreVote

TIMERS = timers_of(log_files.MULTIPLIER)


def test_consuls_multiplier_stretches_rafts_own_timers() -> None:
    assert timers_of(5) == Timers(heartbeat=5, election=5, lease=2.5)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500.5ms", 0.5005),
        ("1.36s", 1.36),
        ("1m2.5s", 62.5),
        ("2h0m1s", 7201),
        ("13.2µs", 1.32e-5),
        ("500917921", 0.500917921),
        ("0s", 0),
        *((text, None) for text in ("", None, "soon", "5", "1.2.3s", "-1s", "5s ", "9" * 400 + "s", "٣s")),
    ],
)
def test_a_duration_is_read_as_go_writes_it(text: str | None, seconds: float | None) -> None:
    expected = 5e-9 if text == "5" else seconds  # JSON has nanoseconds
    assert seconds_of(text) == (expected if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("silences", "needed", "expected"),
    [
        ([0.5, 2.0], 2, 0.5),
        ([0.5], 2, None),
        ([3.0, 1.0, 2.0, 0.1], 3, 1.0),
        ([3.0, 1.0], None, 1.0),
        ([0.5], None, None),
        ([], None, None),
    ],
)
def test_the_majority_is_gone_when_as_many_are_silent_as_were_needed(
    silences: list[float], needed: int | None, expected: float | None
) -> None:
    assert without_majority(silences, needed) == expected


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_was_measured_in_real_logs_is_what_raft_promises(name: str) -> None:
    story = collect(records(log_files.events(log_files.sample(name))))
    whole = 1.0 if story.elections[0].start and not story.elections[0].start.microsecond else 0.05
    stood: list[Election | PreVote] = [*story.elections]
    stood += [pre_vote for pre_vote in story.pre_votes if pre_vote.outcome != "won"]
    retried = [attempt.waited for attempt in stood if attempt.cause == "election_timeout"]
    assert len(retried) >= 3
    for waited in retried:
        assert waited is not None
        assert TIMERS.election - whole <= waited <= 2 * TIMERS.election + whole
    for attempt in stood:
        # A vote that was given in between restarts the timer of a follower.
        if attempt.cause == "heartbeat_timeout" and attempt.waited is not None:
            assert TIMERS.heartbeat - whole <= attempt.waited <= 3 * TIMERS.heartbeat + whole
        assert attempt.cause != "transfer" or attempt.waited is None
    lost = [leadership.without_majority for leadership in story.leaders if leadership.ended_by == "quorum_lost"]
    assert lost
    assert all(seconds is not None and TIMERS.lease <= seconds < TIMERS.lease + 0.2 for seconds in lost)


def story_of(*lines: str) -> Collection:
    read = (
        read_line(f"2021-01-24T00:00:{line}", server="consul1", line_no=number) for number, line in enumerate(lines, 1)
    )
    return collect(records(merge([[event for event in read if event]])))


FOLLOWS = "01.000Z [INFO]  agent.server.raft: entering follower state: follower=x leader="
GIVES_UP = "02.500Z [WARN]  agent.server.raft: heartbeat timeout reached, starting election: last-leader="
STANDS = "02.500Z [INFO]  agent.server.raft: entering candidate state: node=x term=2"


IN_DEBUG = "00.900Z [DEBUG] agent.server.raft: votes: needed=2"
"""A log that would also say that its server was asked to vote in a newer term."""
ASKED = "01.900Z [DEBUG] agent.server.raft: lost leadership because received a requestVote with a newer term"


def test_a_follower_without_a_leader_shows_how_long_its_timer_ran() -> None:
    assert [election.waited for election in story_of(IN_DEBUG, FOLLOWS, GIVES_UP, STANDS).elections] == [1.5]


def at_two_servers(*others: str, complete: bool = True) -> list[float | None]:
    """How long `consul1` waited, by logs of level info, of which the other is of the server that may have asked it."""
    whole = {"consul1": (FOLLOWS, GIVES_UP, STANDS), "consul2": others}
    streams = [
        [event for line in lines if (event := read_line(f"2021-01-24T00:00:{line}", server=name, line_no=1))]
        for name, lines in whole.items()
    ]
    told = collect(records(merge(streams), complete=complete))
    return [election.waited for election in told.elections if election.candidate == "consul1"]


def test_a_vote_that_no_line_shows_may_have_started_the_timer_anew() -> None:
    quiet = FOLLOWS.replace("01.000", "00.500")
    stands = STANDS.replace("02.500", "01.900")
    assert at_two_servers(quiet) == [1.5]
    assert at_two_servers(quiet, complete=False) == [None], "a server whose log is not read may have asked"
    assert at_two_servers(quiet, stands) == [None], "it may have voted for that candidate"
    assert at_two_servers(stands.replace("01.900", "00.900")) == [None], "which may have asked it afterwards too"


@pytest.mark.parametrize(
    "lines",
    [
        (GIVES_UP, STANDS),
        (FOLLOWS, GIVES_UP, STANDS),
        (IN_DEBUG, FOLLOWS, ASKED, GIVES_UP, STANDS),
        (IN_DEBUG, FOLLOWS + "10.0.0.9:8300", GIVES_UP, STANDS),
        (FOLLOWS, GIVES_UP + "10.0.0.9:8300", STANDS),
        (FOLLOWS, "01.200Z [WARN]  agent.server.raft: no known peers, aborting election", GIVES_UP, STANDS),
        (FOLLOWS, STANDS),
        (FOLLOWS.replace("01.000", "03.000"), GIVES_UP, STANDS),
        ("01.000Z [INFO] raft: Node at x [Follower] entering Follower state",
         "02.500Z [WARN] raft: Heartbeat timeout reached, starting election", STANDS),
    ],
    ids=[
        *("not begun", "level info", "was asked", "had a leader before", "had a leader", "ran several times"),
        *("no timeout", "a clock went back", "Consul before 0.7"),
    ],
)  # fmt: skip
def test_a_timer_whose_beginning_no_line_shows_is_not_measured(lines: tuple[str, ...]) -> None:
    assert [election.waited for election in story_of(*lines).elections] == [None]


def test_no_timer_that_ran_for_longer_than_it_can_is_held_against_what_was_set() -> None:
    begun = datetime(2021, 1, 24, 0, 0, 1, 500, tzinfo=UTC)

    def said(waited: float) -> str:
        election = Election("consul1", 3, "line", "election_timeout", begun, waited=waited)
        return summary_sentences.of_election(election, timers_of(1))

    assert "in time (1.80 s, of 1 to 2 s)" in said(1.8)
    assert "in time (4.93 s)" in said(4.93), "it stood still meanwhile"
