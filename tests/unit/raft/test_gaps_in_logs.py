"""What stands behind a gap in a server's log is no part of the candidacy before it."""

from __future__ import annotations

import pytest

from labctl.raft.incident_sentences import of_incident
from labctl.raft.summary_sentences import of_election, of_leadership, of_pre_vote
from tests.unit.raft.logs import told
from tests.unit.raft.test_not_read import follows, gives_up, line, log, misses, stands, timed_out, wins

STOOD = [misses(12, 1), stands(12, 2, 5)]
WON = line(3500, "election won: tally=2")
LEADS = line(3500, 'entering leader state: leader="Node at 10.0.0.2:8300 [Leader]"')
BREAKS_OFF = (
    "s2 became a candidate in term 5 because it had not heard from a leader in time; its log has a gap before that was "
    "decided."
)


@pytest.mark.parametrize(
    "later",
    [[WON, LEADS], [LEADS], [timed_out(3500)], [follows(3500, 2)], wins(3500, 2, 9)[1:]],
    ids=["won", "leads", "timed out", "follows", "won another term"],
)
def test_a_candidacy_does_not_end_by_a_line_that_comes_an_hour_later(later: list[str]) -> None:
    story, _ = told({"s1": log(wins(0, 1, 2), gives_up(10, 1)), "s2": log(STOOD, later)})
    assert BREAKS_OFF in [of_election(election) for election in story.elections]
    assert not any("after 58 min" in of_election(election) for election in story.elections)
    assert not any("term 5" in of_leadership(leadership) for leadership in story.leaders)
    said = "\n".join(map(of_incident, story.incidents))
    assert "s2 stood once in term 5; the log does not show how that was decided." in said
    assert "nobody led" not in said
    assert "nobody leads" not in said


def test_a_term_has_one_winner_though_a_log_has_a_gap_after_another_candidate() -> None:
    logs = {"s1": log(wins(13, 1, 5)), "s2": log(STOOD, WON, LEADS)}
    won = [(election.candidate, election.term) for election in told(logs)[0].elections if election.outcome == "won"]
    assert won == [("s1", 5), ("s2", None)]


def test_a_candidacy_whose_term_a_late_line_names_goes_on() -> None:
    story, _ = told({"s2": log(STOOD, wins(100, 2, 5)[1:])})
    assert [(election.term, election.outcome) for election in story.elections] == [(5, "won")]


def test_terms_that_no_line_names_are_counted_no_more_behind_a_gap() -> None:
    form = "2018/03/05 {} [{}] raft: {}".format
    candidate = "Node at 10.0.0.1:8300 [Candidate] entering Candidate state"
    story, _ = told(
        {
            "s1": log(
                form("14:00:01", "WARN", "EnableSingleNode disabled, and no known peers. Aborting election."),
                form("14:00:09", "INFO", candidate),
                form("15:00:09", "WARN", "Election timeout reached, restarting election"),
                form("15:00:09", "INFO", candidate),
            )
        }
    )
    assert [election.term for election in story.elections] == [1, None]


def test_a_pre_vote_does_not_end_by_a_line_that_comes_an_hour_later() -> None:
    asks = line(12, "asking for pre-vote: term=5 from=s2 address=10.0.0.2:8300", "DEBUG")
    story, _ = told({"s2": log(STOOD, asks, timed_out(3500))})
    (asked,) = story.pre_votes
    assert of_pre_vote(asked).endswith(" in time; its log has a gap before that was decided.")
