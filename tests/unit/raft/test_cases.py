"""Small logs of which a story is told that they support, line by line, and no more than that."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.raft.collection import Collection, collect
from labctl.raft.summary_sentences import of_election, of_leadership, of_pre_vote
from labctl.story.source import source

CASES = Path(__file__).parents[2] / "data" / "raft" / "cases"


def story_of(*names: str) -> Collection:
    return collect(source([str(CASES / f"{name}.log") for name in names]).records())


def elections(story: Collection) -> list[tuple[str, int | None, str]]:
    return [(election.candidate, election.term, election.outcome) for election in story.elections]


def leaderships(story: Collection) -> list[tuple[str, int | None, bool, str | None]]:
    return [
        (leadership.server, leadership.term, leadership.since_known, leadership.ended_by)
        for leadership in story.leaders
    ]


def test_who_enters_leader_state_has_won_also_where_that_line_is_missing() -> None:
    story = story_of("no-victory-line")
    assert [of_election(election) for election in story.elections] == [
        "no-victory-line stood in term 7; it won after 40 ms."
    ]
    assert leaderships(story) == [("no-victory-line", 7, True, None)]


@pytest.mark.parametrize("name", ["no-timeout-line", "no-timeout-line-after-follower"])
def test_nobody_is_said_to_have_handed_leadership_over(name: str) -> None:
    assert [election.cause for election in story_of(name).elections] == ["unknown"]


def test_who_asks_twice_in_one_term_has_stood_in_no_election() -> None:
    story = story_of("silent-pre-votes")
    assert story.elections == []
    told = [(asked.candidate, asked.term, asked.outcome, asked.inferred) for asked in story.pre_votes]
    assert told == [
        ("n1", 3, "lost", True), ("n2", 3, "lost", True), ("n1", 3, "undecided", False), ("n2", 3, "undecided", False),
    ]  # fmt: skip


def test_both_others_refused_so_it_lost() -> None:
    first, second = story_of("both-refuse").elections
    assert (first.outcome, second.outcome) == ("lost", "undecided")
    assert [(refusal.server, refusal.leader) for refusal in first.refusals] == [
        ("s1", "10.0.0.3:8300"),
        ("s3", "10.0.0.3:8300"),
    ]


def test_a_log_that_ends_leaves_an_election_undecided() -> None:
    story = story_of("log-ends")
    assert [of_election(election) for election in story.elections] == [
        (
            "log-ends became a candidate in term 253 because it had not heard from a leader in time; "
            "its log ends before that was decided."
        )
    ]


def test_a_log_that_ends_leaves_a_pre_vote_undecided() -> None:
    story = story_of("pre-vote-log-ends")
    assert story.elections == []
    (asked,) = story.pre_votes
    assert of_pre_vote(asked).endswith("; its log ends before that was decided.")


def test_whose_time_is_over_had_no_majority_and_why_is_not_said() -> None:
    assert elections(story_of("timed-out")) == [("timed-out", 6, "abandoned"), ("timed-out", 7, "undecided")]
    assert elections(story_of("other-candidate-in-term")) == [("other-candidate-in-term", 19, "abandoned")]


@pytest.mark.parametrize("name", ["not-split", "five-servers"])
def test_no_vote_is_split_where_there_is_a_leader(name: str) -> None:
    story = story_of(name)
    assert {election.outcome for election in story.elections} == {"undecided"}
    assert story.elections[0].refusals[0].leader == "172.24.0.3:8300"


def test_no_vote_is_split_with_one_who_comes_back_with_an_old_term() -> None:
    assert elections(story_of("old-term")) == [("n1", 3, "abandoned"), ("n1", 4, "won"), ("n3", 3, "lost")]


def test_a_vote_that_is_granted_again_is_no_refusal() -> None:
    (election,) = story_of("granted-twice-candidate", "granted-twice-voter").elections
    assert (election.outcome, election.refusals) == ("won", [])
    assert election.votes == ["granted-twice-voter"]


def test_a_term_is_not_counted_from_one_after_a_leadership() -> None:
    story = story_of("terms-before-0.7")
    assert [(election.term, election.outcome) for election in story.elections] == [(None, "undecided")]
    assert [of_leadership(leadership).partition(", ")[2] for leadership in story.leaders] == [
        "until it became a follower; no line says why."
    ]


def test_no_restart_is_told_that_no_line_shows() -> None:
    first, second = story_of("leader-twice").leaders
    assert (first.until, first.ended_by, second.ended_by, second.without_leader) == (None, "unknown", None, None)


def test_who_led_may_not_lead_any_more_where_others_follow_somebody_else() -> None:
    assert leaderships(story_of("leader-log-ends")) == [("leader-log-ends", None, True, None)]
    both = story_of("leader-log-ends", "others-follow")
    assert leaderships(both) == [("leader-log-ends", None, True, "silent")]


def test_a_leadership_may_be_older_than_the_log() -> None:
    story = story_of("older-leadership")
    (leadership,) = story.leaders
    assert (leadership.since, leadership.since_known, leadership.ended_by) == (None, False, "quorum_lost")
    assert [(outage.server[:8], outage.seconds) for outage in story.outages] == [
        ("575c8e14", 2.502),
        ("44b7d1e8", 2.601),
    ]
    assert [str(evidence) for evidence in leadership.evidence] == [
        f"{CASES / 'older-leadership.log'}:1", f"{CASES / 'older-leadership.log'}:3",
    ]  # fmt: skip


def test_who_gives_leadership_up_had_won_it() -> None:
    story = story_of("no-leader-line")
    assert elections(story) == [("no-leader-line", 5, "won")]
    assert leaderships(story) == [("no-leader-line", 5, False, "quorum_lost")]


def test_each_claim_names_its_lines() -> None:
    (election,) = story_of("no-victory-line").elections
    assert [evidence.line_no for evidence in election.evidence] == [1, 2]


@pytest.mark.parametrize("why", ["we have a leader: 10.0.0.3:8300", "our last term is greater (3, 2)"])
@pytest.mark.parametrize("first", ["knows no peers", "has a leader"])
def test_a_term_is_not_counted_from_one_where_somebody_stood_before(first: str, why: str, tmp_path: Path) -> None:
    form = "2026/11/23 04:41:{} [{}] raft: {}\n".format
    alone = form(44, "WARN", "EnableSingleNode disabled, and no known peers. Aborting election.")
    refuses = form(44, "WARN", f"Rejecting vote from 10.0.0.5:8300 since {why}")
    stands = form(50, "WARN", "Heartbeat timeout reached, starting election") + form(
        50, "INFO", "Node at 10.0.0.4:8300 [Candidate] entering Candidate state"
    )
    both = alone + refuses if first == "knows no peers" else refuses + alone
    for name, before in (("alone", alone), ("both", both)):
        (tmp_path / f"{name}.log").write_text(before + stands, encoding="utf-8")
    terms = [collect(source([str(tmp_path / f"{name}.log")]).records()).elections[0].term for name in ("alone", "both")]
    assert terms == [1, None]
