"""A refusal names no term: it is told of a candidacy only where it can be of no other one."""

from __future__ import annotations

import pytest

from labctl.raft.collection import collect
from labctl.raft.reader import read_line
from labctl.raft.record_stream import records
from tests.unit.raft.lines import LEADS, MET, STARTS, told

AGAIN = "[WARN]  agent.server.raft: Election timeout reached, restarting election"
REFUSES = (
    "[WARN]  agent.server.raft: rejecting vote request since we have a leader: from=10.0.0.2:8300 leader=10.0.0.1:8300"
)
SHORTER = (
    "[WARN]  agent.server.raft: rejecting vote request since our last index is greater: candidate=10.0.0.2:8300 "
    "last-index=9 last-candidate-index=7"
)
PRE_REFUSES = REFUSES.replace("vote request", "pre-vote request")
TWICE = "[INFO]  agent.server.raft: duplicate requestVote for same term: term={}"
ASKS = "[DEBUG] agent.server.raft: asking for pre-vote: term={} from=10.0.0.3:8300 address=10.0.0.3:8300"


def stands(term: int, number: int = 2) -> str:
    node = f"Node at 10.0.0.{number}:8300 [Candidate]"
    return f'[INFO]  agent.server.raft: entering candidate state: node="{node}" term={term}'


def refusals(*lines: tuple[float, str, str]) -> list[tuple[int | None, list[str]]]:
    story = told(LEADS, *lines)
    return [
        (election.term, [no.server for no in election.refusals])
        for election in story.elections
        if election.candidate == "consul2"
    ]


TWO_CANDIDACIES = [(5.0, "consul2", stands(3)), (6.5, "consul2", AGAIN), (6.5, "consul2", stands(4))]


@pytest.mark.parametrize("answer", [REFUSES, SHORTER])
def test_a_late_refusal_may_be_to_the_candidacy_before(answer: str) -> None:
    assert refusals(*TWO_CANDIDACIES, (7.2, "consul3", answer)) == [(3, []), (4, [])]


@pytest.mark.parametrize("answer", [REFUSES, SHORTER])
def test_a_refusal_at_once_is_to_what_was_asked_just_now(answer: str) -> None:
    assert refusals(*TWO_CANDIDACIES, (6.505, "consul3", answer)) == [(3, []), (4, ["consul3"])]


OLDER = SHORTER.replace("index", "term")
OLDEST = "[WARN]  raft: Rejecting vote request from 10.0.0.2:8300 since our last term is greater (9, 7)"


@pytest.mark.parametrize("answer", [OLDER, OLDEST])
@pytest.mark.parametrize(("term", "refused"), [(8, []), (9, ["consul3"])])
def test_who_has_an_entry_of_a_newer_term_has_refused_no_candidate_of_an_older_one(
    answer: str, term: int, refused: list[str]
) -> None:
    # A clock that is wrong makes it look as if it did.
    assert refusals((6.5, "consul2", stands(term)), (6.505, "consul3", answer)) == [(term, refused)]


def test_a_late_refusal_is_to_this_candidacy_where_the_one_before_has_its_answer() -> None:
    first = (5.004, "consul3", REFUSES)
    told_of = refusals(TWO_CANDIDACIES[0], first, *TWO_CANDIDACIES[1:], (7.2, "consul3", REFUSES))
    assert told_of == [(3, ["consul3"]), (4, ["consul3"])]


def test_who_refused_as_often_as_it_was_asked_refused_each_time() -> None:
    late = [(7.2, "consul3", REFUSES), (7.3, "consul3", REFUSES)]
    assert refusals(*TWO_CANDIDACIES, *late) == [(3, ["consul3"]), (4, ["consul3"])]
    assert refusals(*TWO_CANDIDACIES, late[0], (7.3, "consul3", SHORTER)) == [(3, []), (4, [])], "which is which?"


def test_a_late_refusal_is_to_the_only_candidacy() -> None:
    assert refusals(TWO_CANDIDACIES[0], (6.2, "consul3", REFUSES)) == [(3, ["consul3"])]


def test_in_a_log_that_begins_later_the_candidacy_before_is_not_seen() -> None:
    assert refusals((6.5, "consul2", AGAIN), (6.5, "consul2", stands(4)), (7.2, "consul3", REFUSES)) == [(4, [])]


def test_a_late_refusal_of_a_pre_vote_may_be_to_the_one_before() -> None:
    asked = [(5.0, "consul2", ASKS.format(3)), (6.5, "consul2", AGAIN), (6.5, "consul2", stands(3))]
    story = told(LEADS, (5.0, "consul2", stands(3)), *asked, (7.2, "consul3", PRE_REFUSES))
    assert [pre_vote.refusals for pre_vote in story.pre_votes] == [[], []]


def test_who_only_asked_beforehand_was_refused_no_vote() -> None:
    asked = [(5.0, "consul2", stands(3)), (5.0, "consul2", ASKS.format(3)), (5.7, "consul3", TWICE.format(3))]
    again = [(6.5, "consul2", AGAIN), (6.5, "consul2", stands(3)), (6.5, "consul2", ASKS.format(3))]
    assert told(LEADS, *asked, *again).elections == []


@pytest.mark.parametrize(
    ("leader", "outcome"), [("leader-address=10.0.0.1:8300 leader-id=a", "undecided"), ("leader=10.0.0.1:8300", "lost")]
)
def test_a_log_that_begins_with_a_candidacy_need_not_say_that_it_asked_for_votes(leader: str, outcome: str) -> None:
    # Raft 1.7 asks whether it would win first, and is silent at level info where it would not.
    follows = f'[INFO]  agent.server.raft: entering follower state: follower="Node at 10.0.0.2:8300" {leader}'
    lines = [(5.0, "consul2", AGAIN), (5.0, "consul2", stands(3)), (6.0, "consul2", follows)]
    assert [election.outcome for election in told(*lines).elections] == [outcome]
    # Who is handed the leadership does not ask first, whatever its version.
    handed = [(7.0, "consul3", stands(4, 3)), (7.0, "consul3", "[INFO]  agent.server.raft: election won: tally=2")]
    assert [election.outcome for election in told(*lines, *handed).elections] == [outcome, "won"]


def test_nobody_answers_before_he_is_asked() -> None:
    # consul3 has refused consul1, whose request came late, and not consul2.
    lines = [(3.0, "consul1", stands(3, 1)), (4.99, "consul3", TWICE.format(3)), (5.0, "consul2", stands(3))]
    story = told(*lines)
    assert [election.refusals for election in story.elections if election.candidate == "consul2"] == [[]]


def test_what_others_said_of_a_leader_does_not_show_how_long_it_led() -> None:
    # consul2 has not heard yet that consul1 leads no longer, and the log of consul1 begins only after that.
    story = told(
        (1.0, "consul2", REFUSES.replace("from=10.0.0.2", "from=10.0.0.3")),
        (9.0, "consul1", "[INFO]  agent.server.serf.lan: serf: EventMemberJoin: consul4 10.0.0.4"),
        (9.5, "consul3", "[INFO]  agent.server.raft: entering leader state"),
    )
    (led,) = [leadership for leadership in story.leaders if leadership.server == "consul1"]
    assert (led.until, led.ended_by) == (None, "unknown")


def test_who_gives_up_after_a_silence_is_not_the_last_who_led() -> None:
    reach = "[WARN]  agent.server.raft: failed to contact: server-id=10.0.0.1:8300 time={}"
    story = told(
        (5.0, "consul3", reach.format("510ms")),
        (6.0, "consul1", reach.replace("0.1:8300", "0.3:8300").format("3.6s")),
        (6.0, "consul1", "[WARN]  agent.server.raft: failed to contact quorum of nodes, stepping down"),
        (
            6.0,
            "consul1",
            '[INFO]  agent.server.raft: entering follower state: follower="Node at x" leader=',
        ),
        (6.5, "consul3", MET),
    )
    assert [(leadership.server, leadership.ended_by) for leadership in story.leaders] == [
        ("consul3", None),
        ("consul1", "quorum_lost"),
    ]
    assert not [incident for incident in story.incidents if incident.kind == "no_leader" and incident.lasts]


def test_who_may_have_stood_before_its_log_begins_may_have_been_refused() -> None:
    # consul3's log begins after term 3 was asked for: it may be whom consul1 refused.
    votes = "[DEBUG] agent.server.raft: vote granted: from=10.0.0.1:8300 term=3 tally=1"
    lines = [(5.0, "consul1", stands(3, 1)), (5.0, "consul1", votes), (5.2, "consul2", stands(3))]
    late = (5.9, "consul1", TWICE.format(3))
    third = (6.5, "consul3", "[INFO]  agent.server.raft: entering follower state: leader-address=")
    early = (1.0, "consul3", STARTS)
    assert told(LEADS, *lines, late, third).elections[-1].refusals == []
    assert told(LEADS, early, *lines, late).elections[-1].refusals == [], "its log may have been fetched first"
    (no,) = told(LEADS, early, *lines, late, third).elections[-1].refusals
    assert (no.server, no.voted_for) == ("consul1", "consul1")


def test_where_somebody_asks_beforehand_a_candidacy_is_no_election() -> None:
    # The line does not say who asked, and no other one says that consul2 asks beforehand.
    anybody = PRE_REFUSES.replace("from=10.0.0.2:8300", "from=")
    follows = '[INFO]  agent.server.raft: entering follower state: follower="Node at 10.0.0.2:8300 [Follower]" leader='
    story = told(LEADS, (5.0, "consul2", stands(3)), (5.01, "consul3", anybody), (5.1, "consul2", follows))
    assert story.elections == []
    assert [pre_vote.candidate for pre_vote in story.pre_votes] == ["consul2"]


@pytest.mark.parametrize(
    "before", [[], [(24, "consul1", "[WARN] raft: Rejecting vote request from 10.0.0.2:8300 since x")]]
)
def test_who_gives_up_in_the_second_in_which_another_leads_was_not_the_last(before: list[tuple[int, str, str]]) -> None:
    lines = [
        (24, "consul3", "[INFO] raft: Node at 10.0.0.3:8300 [Candidate] entering Candidate state in term 4"),
        (24, "consul3", "[INFO] raft: Election won. Tally: 2"),
        (24, "consul3", "[INFO] raft: Node at 10.0.0.3:8300 [Leader] entering Leader state"),
        *before,
        (24, "consul1", "[WARN] raft: Failed to contact quorum of nodes, stepping down"),
        (24, "consul1", '[INFO] raft: Node at 10.0.0.1:8300 [Follower] entering Follower state (Leader: "")'),
        (24, "consul1", "[INFO] consul: cluster leadership lost"),
    ]
    events = [read_line(f"    2024/03/05 14:00:{at} {text}", server=who, line_no=1) for at, who, text in lines]
    story = collect(records(event for event in events if event is not None))
    assert not [incident for incident in story.incidents if incident.kind == "no_leader" and incident.lasts]
    assert [(leadership.server, leadership.ended_by) for leadership in story.leaders] == [
        ("consul3", None),
        ("consul1", "quorum_lost"),
    ]


def test_what_was_answered_before_the_log_of_who_asked_begins_is_to_none_that_it_shows() -> None:
    # consul2 had stood before its log begins, and nothing is known of the clocks.
    lines = [(8.9, "consul3", REFUSES), (10.5, "consul2", stands(4)), (12.0, "consul2", AGAIN)]
    assert told(*lines, complete=False).elections[0].refusals == []
    late = [
        (10.5, "consul2", stands(4)),
        (12.0, "consul2", AGAIN),
        (12.0, "consul2", stands(5)),
        (13.4, "consul3", REFUSES),
    ]
    assert [election.refusals for election in told(*late, (13.5, "consul3", REFUSES), complete=False).elections] == [
        [],
        [],
    ]


@pytest.mark.parametrize("says", [SHORTER, TWICE.format(5)])
def test_who_refuses_for_another_reason_than_a_leader_does_not_lead(says: str) -> None:
    named = REFUSES.replace("0.1:8300", "0.3:8300")
    for lines in ([(1.0, "consul1", named), (1.1, "consul3", says)], [(1.0, "consul3", says), (1.1, "consul1", named)]):
        (led,) = told(*lines, (2.0, "consul3", says)).leaders
        assert (led.server, led.ended_by) == ("consul3", "unknown")


def test_a_wait_that_later_ones_show_to_be_too_long_is_not_told() -> None:
    # It was frozen while its first timer ran.
    lines = [(1.0, "consul2", stands(3)), (5.8, "consul2", AGAIN), (5.8, "consul2", stands(4))]
    lines += [(7.7, "consul2", AGAIN), (7.7, "consul2", stands(5))]
    assert [election.waited for election in told(*lines).elections] == [None, None, 1.9]
