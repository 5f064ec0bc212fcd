"""Lines that mean less, or something else, than they seem to: the traps of a timeline, one after the other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from labctl.raft import summary_sentences
from labctl.raft.event_sentences import phrase
from tests.unit.raft.logs import SCENARIOS, SERVERS, posted, recorded, told

if TYPE_CHECKING:
    from labctl.raft.collection import Collection
    from labctl.raft.event import Event

RECORDINGS = [*SCENARIOS, "split-vote"]
WITH_TERMS = [name for name in RECORDINGS if "0.5" not in name]
"""Consul 0.5 prints no terms, and its followers do not say that they see a newer one."""


def log(*lines: str) -> str:
    return "\n".join(lines)


def said(second: float, message: str, level: str = "INFO") -> str:
    return f"2021-01-24T00:00:{second:06.3f}Z [{level}] agent.server.raft: {message}"


def candidacy(second: float, term: int, server: int = 1) -> str:
    return said(second, f'entering candidate state: node="Node at 10.0.0.{server}:8300 [Candidate]" term={term}')


def leadership(second: float, server: int = 1) -> str:
    return said(second, f'entering leader state: leader="Node at 10.0.0.{server}:8300 [Leader]"')


def without(text: str, *words: str) -> str:
    """A log without the lines that contain one of some words."""
    return log(*(line for line in text.splitlines() if not any(word in line for word in words)))


def until(text: str, words: str) -> str:
    """A log's beginning, up to the first line that contains some words."""
    lines = text.splitlines()
    end = next(number for number, line in enumerate(lines, 1) if words in line)
    return log(*lines[:end])


def won(story: Collection) -> list[tuple[str, int | None, str, int]]:
    return [
        (election.candidate, election.term, election.cause, election.tally)
        for election in story.elections
        if election.outcome == "won"
    ]


def outcomes(story: Collection) -> list[tuple[str, int | None, str | None]]:
    return [(election.candidate, election.term, election.outcome) for election in story.elections]


def sentences(story: Collection) -> list[str]:
    return [*map(summary_sentences.of_election, story.elections), *map(summary_sentences.of_leadership, story.leaders)]


def led(story: Collection, event: Event) -> bool:
    """Whether the server that says something led then."""
    return any(
        leader.since <= event.time <= (leader.until or event.time)
        for leader in story.leaders
        if leader.server == event.server and leader.since is not None and event.time is not None
    )


def named(events: list[Event], *names: str) -> list[Event]:
    return [event for event in events if event.event in names]


# -- 1: a voter logs no granted vote, and a candidate logs its votes only for debugging -------------------------


@pytest.mark.parametrize("name", RECORDINGS)
def test_an_election_is_won_though_no_line_says_who_voted(name: str) -> None:
    logs = recorded(name)
    whole, _ = told(logs)
    brief, _ = told({server: without(text, "[DEBUG]", '"@level":"debug"') for server, text in logs.items()})
    assert [outcome[:2] + outcome[3:] for outcome in won(brief)] == [
        outcome[:2] + outcome[3:] for outcome in won(whole)
    ]
    # That a leader hands its leadership over, it says at level debug only.
    causes = [(of_brief[2], other[2]) for of_brief, other in zip(won(brief), won(whole), strict=True)]
    assert all(of_brief in {other, "unknown"} for of_brief, other in causes)
    # By stamps of whole seconds, only lines for debugging may show which of two candidacies was refused.
    not_known = {"abandoned"} if name == "consul-1.6" else set()
    if name != "consul-1.14-json":  # in which only lines for debugging say whose an address is, and so who refused
        assert all(
            (of_brief[:2], of_brief[2] in {other[2], *not_known}) == (other[:2], True)
            for of_brief, other in zip(outcomes(brief), outcomes(whole), strict=True)
        )
    assert [(leader.server, leader.term) for leader in brief.leaders] == [
        (leader.server, leader.term) for leader in whole.leaders
    ]
    for election in brief.elections:
        assert election.votes == []
        assert election.needed is None or election.pre_vote == "won", (
            "who has won its pre-vote says how many are needed"
        )
        said = summary_sentences.of_election(election)
        assert ("; it had 2 votes;" in said or "; it had the 2 votes it needed" in said) == (election.outcome == "won")


def test_a_refusal_is_known_from_the_voters_log_alone() -> None:
    logs = recorded("consul-1.15")
    alone, _ = told({"consul1": logs["consul1"]})
    both, _ = told({server: logs[server] for server in ("consul1", "consul3")})
    assert alone.elections[0].refusals == []
    assert "refused" not in summary_sentences.of_election(alone.elections[0])
    assert "; consul3 refused because it had a leader, " in summary_sentences.of_election(both.elections[0])


def test_a_voter_that_says_nothing_did_not_refuse() -> None:
    story, events = told(recorded("consul-1.15"))
    # It was cut off, and asked for votes of a term that the others had left.
    stale = [
        election
        for election in story.elections
        if (election.candidate, election.term) in {("consul2", 5), ("consul2", 6)}
    ]
    assert [election.refusals for election in stale] == [[], []]
    refused = {(event.server, event.term) for event in named(events, "vote_rejected_by_me", "vote_duplicate_term")}
    assert all((no.server, election.term) in refused for election in story.elections for no in election.refusals)


# -- 2: a follower says "lost leadership" too -------------------------------------------------------------------


@pytest.mark.parametrize("name", WITH_TERMS)
def test_a_follower_that_sees_a_newer_term_has_lost_no_leadership(name: str) -> None:
    logs = recorded(name)
    story, events = told(logs)
    by_followers = [event for event in events if "lost leadership because" in event.line and not led(story, event)]
    assert len(by_followers) > 2
    assert {event.event for event in by_followers} == {"newer_term_seen_on_vote"}
    assert {phrase(event) for event in by_followers} == {
        "is asked to vote in a newer term: it moves to that term",
    }
    lines = {event.line for event in by_followers}
    fewer, _ = told(
        {server: log(*(line for line in text.splitlines() if line not in lines)) for server, text in logs.items()}
    )
    assert fewer.leaders == story.leaders
    assert fewer.elections == story.elections


def test_what_a_follower_saw_does_not_end_the_reign_that_it_begins_later() -> None:
    story, _ = told(
        {
            "consul1": log(
                said(1, 'entering follower state: follower="Node at 10.0.0.1:8300 [Follower]" leader='),
                said(2, "lost leadership because received a requestVote with a newer term", "DEBUG"),
                said(7, "heartbeat timeout reached, starting election: last-leader=", "WARN"),
                candidacy(7, 3),
                said(8, "election won: tally=2"),
                leadership(8),
                "2021-01-24T00:00:09.500Z [INFO]  agent.server: cluster leadership lost",
            )
        }
    )
    assert [summary_sentences.of_leadership(leader) for leader in story.leaders] == [
        "consul1 led in term 3 for 1.5 s, until it became a follower; no line says why."
    ]


def test_a_leader_that_sees_a_newer_term_ends_its_reign_where_it_becomes_a_follower() -> None:
    story, events = told(
        {
            "consul1": log(
                candidacy(1, 2),
                said(1, "election won: tally=2"),
                leadership(1),
                said(3, "lost leadership because received a requestVote with a newer term", "DEBUG"),
                said(3.5, 'entering follower state: follower="Node at 10.0.0.1:8300 [Follower]" leader='),
            )
        }
    )
    assert sentences(story)[-1] == "consul1 led in term 2 for 2.5 s, until it learned of a newer term."
    assert [event.term for event in events[-2:]] == [2, 2]


# -- 3: a follower that stays one does not say who leads --------------------------------------------------------


def test_followers_know_their_leader_by_consuls_announcement() -> None:
    _, events = told(recorded("split-vote"))
    heard = named(events, "new_leader_announced")
    assert [(event.server, phrase(event), event.term, event.term_source) for event in heard] == [
        ("consul3", None, 2, "inferred"),
        ("consul2", "hears that consul3 is the leader", 2, "inferred"),
        ("consul1", "hears that consul3 is the leader", 2, "inferred"),
        ("consul1", None, 4, "inferred"),
        ("consul2", "hears that consul1 is the leader", 4, "inferred"),
        ("consul3", "hears that consul1 is the leader", 4, "inferred"),
    ]
    # What it says next about the leader belongs to the leader's term.
    late = [event for event in named(events, "heartbeat_timeout") if event.peer == "consul3"]
    assert [(event.server, event.term) for event in late] == [("consul1", 2), ("consul2", 2)]


def test_an_announcement_that_is_repeated_or_late_begins_no_reign() -> None:
    logs = recorded("split-vote")
    (line,) = [line for line in logs["consul2"].splitlines() if "New leader elected: payload=consul3" in line]
    story, _ = told(logs)
    again, events = told({**logs, "consul2": log(logs["consul2"], line.replace("18:49:12", "18:49:19"))})
    assert (again.elections, again.leaders) == (story.elections, story.leaders)
    # Whom it names does not lead any more: the term is the one that the server is in.
    assert (events[-1].event, events[-1].peer, events[-1].term) == ("new_leader_announced", "consul3", 4)


# -- 4: a candidate before its pre-vote only proposes a term ----------------------------------------------------


def test_a_candidacy_whose_pre_vote_failed_is_no_split_vote() -> None:
    story, _ = told(recorded("consul-1.21"))
    failed = [pre_vote for pre_vote in story.pre_votes if pre_vote.outcome == "lost"]
    assert [(pre_vote.candidate, pre_vote.term) for pre_vote in failed] == [
        *[("consul3", 3), ("consul1", 3), ("consul3", 3)],
        *[("consul3", 5), ("consul2", 6), ("consul2", 6), ("consul2", 6)],
    ]
    assert not any(pre_vote.inferred for pre_vote in failed)
    for pre_vote in failed:
        assert summary_sentences.of_pre_vote(pre_vote).endswith(
            "; it did not win the pre-vote, so it asked for no vote."
        )
    assert not {(pre_vote.candidate, pre_vote.start) for pre_vote in failed} & {
        (election.candidate, election.start) for election in story.elections
    }
    assert not any("split" in sentence for sentence in sentences(story))


def test_a_candidate_that_won_its_pre_vote_has_no_rival_in_those_that_lost_theirs() -> None:
    # The winner of term 3 is not heard of.
    logs = recorded("consul-1.21")
    story, events = told(
        {
            "consul1": until(logs["consul1"], "campaign failed"),
            "consul2": until(logs["consul2"], "pre-vote successful"),
        }
    )
    assert outcomes(story) == [("consul2", 3, "undecided")]
    assert [(pre_vote.candidate, pre_vote.outcome) for pre_vote in story.pre_votes] == [
        ("consul1", "lost"),
        ("consul2", "won"),
    ]
    (start,) = named(events, "prevote_won")
    assert (start.server, phrase(start)) == ("consul2", "would be elected by a majority: it starts the election")


def test_a_pre_vote_that_nobody_answered_is_no_split_vote() -> None:
    logs = recorded("consul-1.21")
    unanswered = ("vote denied", "vote received: from=8d1b6c0e-0000-4000-8000-000000000002", "campaign failed")
    story, _ = told(
        {
            "consul1": without(until(logs["consul1"], "campaign failed"), *unanswered),
            "consul3": without(until(logs["consul3"], "Election timeout"), *unanswered),
        }
    )
    assert outcomes(story) == [("consul3", 2, "won")]
    assert [(pre_vote.candidate, pre_vote.outcome, pre_vote.inferred) for pre_vote in story.pre_votes[1:]] == [
        ("consul3", "lost", True),
        ("consul1", "undecided", False),
    ]
    assert not any("split" in sentence for sentence in sentences(story))


@pytest.mark.parametrize("last", ["campaign failed", "Election timeout"])
def test_a_server_is_not_in_a_term_that_it_only_proposed(last: str) -> None:
    snapshot = "2026-11-23T04:39:42.000Z [INFO]  agent.server.raft: starting snapshot up to: index=9"
    _, events = told({"consul3": log(until(recorded("consul-1.21")["consul3"], last), snapshot)})
    assert [event.term for event in named(events, "candidate_entered")] == [2, 3]
    assert (events[-1].event, events[-1].term, events[-1].term_source) == ("snapshot", 2, "inferred")


# -- 5: what a pre-vote was answered with is in the answering server's term -------------------------------------


def test_what_a_pre_vote_came_to_belongs_to_the_campaigns_term() -> None:
    story, events = told(recorded("consul-1.21"))
    assert story.elections[0].tally == 2
    answers = named(events, "prevote_received", "prevote_denied", "prevote_lost")
    behind = [event for event in answers if f" term={event.term} " not in event.line]
    assert [(event.server, event.event, event.term, event.line.partition(" term=")[2][:1]) for event in behind] == [
        *[("consul1", event, 3, "2") for event in ("prevote_received", "prevote_denied", "prevote_lost")],
        *[("consul3", event, 5, "4") for event in ("prevote_received", "prevote_denied")],
    ]
    assert {event.term_source for event in answers} == {"inferred"}
    assert [phrase(event) for event in behind[:3]] == [
        None,
        "would not get the vote of consul2",
        "would not be elected: it starts no election and waits",
    ]


def test_a_vote_in_a_pre_vote_is_no_vote() -> None:
    story, _ = told({"consul1": posted(48), "consul3": recorded("consul-1.21")["consul3"]})
    failed = [pre_vote for pre_vote in story.pre_votes if pre_vote.outcome == "lost"]
    assert [(pre_vote.candidate, pre_vote.term) for pre_vote in failed if pre_vote.candidate == "consul1"] == [
        ("consul1", 4)
    ]
    said = [summary_sentences.of_pre_vote(pre_vote).partition("; it did not win")[0] for pre_vote in failed]
    assert all("vote" not in sentence.replace("pre-vote", "") for sentence in said)


# -- 6: a split vote is two candidates of one term --------------------------------------------------------------


def test_a_split_vote_is_two_candidates_of_one_term_and_no_winner() -> None:
    def candidate(second: float, server: int) -> str:
        return log(
            candidacy(second, 3, server),
            said(second + 0.1, "duplicate requestVote for same term: term=3"),
            said(second + 2, "Election timeout reached, restarting election", "WARN"),
        )

    voters = " ".join(f"{{Suffrage:Voter ID:u{number} Address:10.0.0.{number}:8300}}" for number in (1, 2, 3))
    down = log(
        said(0.5, f'initial configuration: index=1 servers="[{voters}]"'),
        said(0.6, 'entering follower state: follower="Node at 10.0.0.3:8300 [Follower]" leader='),
        said(4.0, "snapshot complete up to: index=9"),
    )
    story, _ = told({"consul1": candidate(1, 1), "consul2": candidate(1.05, 2), "consul3": down})
    assert sentences(story) == [
        f"{one} stood in term 3; {other} refused because it had already voted for itself; "
        "the vote was split and nobody won."
        for one, other in (("consul1", "consul2"), ("consul2", "consul1"))
    ]


def test_a_real_split_vote_is_told_as_one() -> None:
    story, _ = told(recorded("split-vote"))
    assert outcomes(story) == [
        ("consul3", 2, "won"), ("consul1", 3, "split"), ("consul2", 3, "split"), ("consul1", 4, "won"),
    ]  # fmt: skip
    for number, other in ((1, "consul2"), (2, "consul1")):
        assert summary_sentences.of_election(story.elections[number]).endswith(
            f"; it had 1 of the 2 votes it needed; {other} refused because it had already voted for itself; "
            "the vote was split and nobody won."
        )
    assert "because it had got no majority in time" in summary_sentences.of_election(story.elections[3])


def test_a_candidate_that_is_asked_for_a_second_vote_stands_in_that_term() -> None:
    story, _ = told({"rqlite": posted(50)})
    (election,) = story.elections
    assert (election.term, election.term_source, election.outcome) == (2, "inferred", "lost")
    assert summary_sentences.of_election(election) == (
        "rqlite stood in term 2 because it had not heard from a leader in time; "
        "it had 1 of the 2 votes it needed; it lost."
    )


# -- 7: a vote request may fail long after its election ---------------------------------------------------------


@pytest.mark.parametrize(("number", "seconds"), [(35, 2.224), (50, 1)])
def test_a_vote_request_that_fails_late_changes_nothing(number: int, seconds: float) -> None:
    late = ("make requestVote RPC", "make RequestVote RPC")
    story, events = told({"consul1": posted(number)})
    before, _ = told({"consul1": without(posted(number), *late)})
    (failure,) = named(events, "vote_rpc_failed")
    (election,) = story.elections
    assert failure.time is not None
    assert election.end is not None
    assert (failure.time - election.end).total_seconds() > 5
    assert (election.seconds, election.outcome, election.refusals) == (seconds, "lost", [])
    assert (story.elections, story.leaders) == (before.elections, before.leaders)
    assert (failure.term, failure.term_source) == (election.term, "inferred")
    assert phrase(failure) == f"cannot ask {failure.peer} for its vote"


@pytest.mark.parametrize("term", ["", " term=2"])
def test_a_vote_request_of_an_older_term_fails_late_and_its_server_still_leads(term: str) -> None:
    logs = log(
        candidacy(1, 2),
        said(2, "Election timeout reached, restarting election", "WARN"),
        candidacy(2, 3),
        said(2, "election won: tally=2"),
        leadership(2),
    )
    late = 'failed to make requestVote RPC: target="{Voter u 10.0.0.9:8300}" error="i/o timeout"'
    story, events = told({"consul1": log(logs, said(11, late + term, "ERROR"), said(12, "compacting logs: from=1"))})
    assert outcomes(story) == [("consul1", 2, "abandoned"), ("consul1", 3, "won")]
    assert [summary_sentences.of_leadership(leader) for leader in story.leaders] == ["consul1 leads in term 3."]
    assert events[-2].event == "vote_rpc_failed"
    assert events[-1].term == 3


# -- 8: a candidate without a timeout was handed the leadership -------------------------------------------------


@pytest.mark.parametrize("name", [name for name in SCENARIOS if "0.5" not in name])
def test_a_candidate_without_a_timeout_was_handed_the_leadership(name: str) -> None:
    story, _ = told(recorded(name))
    (election,) = [election_ for election_ in story.elections if election_.cause == "transfer"]
    assert (election.outcome, election.pre_vote) == ("won", None)
    assert (
        f" stood in term {election.term} because leadership was handed to it; it had the 2 votes it needed"
        in summary_sentences.of_election(election)
    )
    (before,) = [leader for leader in story.leaders if leader.ended_by == "transfer"]
    assert summary_sentences.of_leadership(before).endswith(", until it handed leadership over.")
    assert story.leaders[story.leaders.index(before) + 1].term == election.term


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_ended_each_leadership_is_known_at_level_info_too(name: str) -> None:
    whole = recorded(name)
    brief = {
        server: "".join(line for line in text.splitlines(keepends=True) if not re.search(r"\[DEBUG\]|:\"debug\"", line))
        for server, text in whole.items()
    }
    assert brief != whole or "0.5" in name
    ends = [[(led.server, led.term, led.ended_by) for led in told(logs)[0].leaders] for logs in (whole, brief)]
    assert ends[0] == ends[1]


def test_a_log_that_begins_with_a_candidacy_does_not_say_why() -> None:
    _, _, cut = recorded("split-vote")["consul1"].partition("heartbeat timeout reached, starting election")
    story, _ = told({"consul1": cut.partition("\n")[2]})
    assert story.elections[0].cause == "unknown"
    assert summary_sentences.of_election(story.elections[0]).startswith(
        "consul1 stood in term 3; it had 1 of the 2 votes it needed; "
    )


# -- 9: one vote may be a majority ------------------------------------------------------------------------------


def test_one_vote_is_enough_where_the_others_are_no_voters() -> None:
    story, events = told({"consul4": posted(21)})
    assert len(named(events, "bootstrap_attempt")[0].values["peers"].split(",")) == 5
    assert outcomes(story) == [("consul4", 8, "won")]
    assert sentences(story) == [
        (
            "consul4 stood in term 8 because it had not heard from a leader in time; it had 1 vote; "
            "it won after less than 1 s."
        ),
        "consul4 leads in term 8.",
    ]
    (victory,) = named(events, "election_won")
    assert phrase(victory) == "won the election of term 8 with 1 vote"


# -- 10: stamps of whole seconds --------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [SERVERS, SERVERS[::-1]])
def test_within_a_second_a_cause_is_told_before_its_effect(order: list[str]) -> None:
    logs = recorded("consul-1.6")
    assert list(logs) == SERVERS
    story, events = told({server: logs[server] for server in order})
    places = {id(event): place for place, event in enumerate(events)}

    def place(server: str, event: str, words: str) -> int:
        return next(
            places[id(event_)] for event_ in named(events, event) if event_.server == server and words in event_.line
        )

    stood_at = {(event.server, event.time) for event in named(events, "candidate_entered")}
    asking = 0
    for candidate, term, _, _ in won(story):
        stood = place(candidate, "candidate_entered", f"in term {term}")
        asked = [
            places[id(event_)]
            for event_ in named(events, "newer_term_seen_on_vote")
            # A voter that stood in the same second has voted for itself before.
            if event_.time == events[stood].time and (event_.server, event_.time) not in stood_at
        ]
        counted = place(candidate, "vote_granted", f"in term {term}. Tally: 2")
        victory = next(places[id(event_)] for event_ in named(events, "election_won") if event_.term == term)
        assert all(stood < place < counted for place in asked)
        assert stood < counted < victory
        assert events[victory].server == candidate
        asking += len(asked)
    assert asking > 4
    assert [(leader.server, leader.term) for leader in story.leaders] == [
        ("consul1", 2), ("consul3", 4), ("consul3", 7), ("consul1", 8), ("consul3", 9),
    ]  # fmt: skip


def test_a_refusal_of_the_same_second_is_told_after_the_candidacy() -> None:
    logs = recorded("consul-0.5")
    story, events = told(logs, complete=True)
    (first, *_) = named(events, "vote_rejected_by_me")
    stood = next(event for event in named(events, "candidate_entered") if event.server == "consul3")
    assert stood.time == first.time
    assert events.index(stood) < events.index(first)
    assert (phrase(first), first.term) == ("does not vote for consul3: it has a leader, consul1", stood.term)
    election = next(election_ for election_ in story.elections if election_.candidate == "consul3")
    assert [(refusal.server, refusal.reason) for refusal in election.refusals] == [("consul2", "we have a leader")]


@pytest.mark.parametrize("name", ["consul-0.5", "consul-1.6"])
def test_no_duration_is_told_finer_than_whole_seconds(name: str) -> None:
    story, _ = told(recorded(name))
    assert "consul3 led in term 4 for about " in " ".join(sentences(story))
    # How long it could not reach a majority stands in a line, in milliseconds.
    finest = [re.sub(r" for [0-9.]+ m?s\.$", "", sentence) for sentence in sentences(story)]
    assert not any(" ms" in sentence or "." in sentence[:-1] for sentence in finest)
