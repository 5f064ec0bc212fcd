"""The story of whole logs: who stood, who won, in which term, what ended a leadership; and each generation's traps."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.raft.collection import Collection, collect
from labctl.raft.event import Event
from labctl.raft.event_sentences import phrase
from labctl.raft.grammar import voice_of
from labctl.raft.incident import Incident
from labctl.raft.leadership_tracker import UNSETTLED
from labctl.raft.merge import merge
from labctl.raft.reader import read_line
from labctl.raft.record_stream import MOST_INCIDENTS, records
from labctl.raft.records import Leadership
from labctl.raft.story import TRANSFER_SECONDS, Story
from tests.unit.raft.logs import DEMO, SAMPLES, SCENARIOS, SERVERS, WORDINGS, leaders_of

if TYPE_CHECKING:
    from collections.abc import Iterator

C = "2021-01-24T00:00:{:06.3f}Z [{}] agent.server.raft: {}"


def events_of(text: str, server: str = "consul1") -> list[Event]:
    read = (read_line(line, server=server, line_no=number) for number, line in enumerate(text.splitlines(), 1))
    return [event for event in read if event is not None]


def story_of(*logs: str) -> tuple[Collection, list[Event]]:
    """The story of logs of consul1, consul2, and so on."""
    whole = collect(records(merge([events_of(text, f"consul{number}") for number, text in enumerate(logs, 1)])))
    return whole, whole.events


def recorded(name: str) -> Collection:
    return story_of(*((SAMPLES / name / f"{server}.log").read_text(encoding="utf-8") for server in SERVERS))[0]


def said(second: float, message: str, level: str = "INFO") -> str:
    return C.format(second, level, message)


def log(*lines: str) -> str:
    return "\n".join(lines)


def outcomes(story: Collection) -> list[tuple[str, int | None, str | None]]:
    return [(election.candidate, election.term, election.outcome) for election in story.elections]


# -- whole clusters ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_leaders_are_those_of_the_scenario(name: str) -> None:
    story = recorded(name)
    assert [server for server, _ in itertools.groupby(leadership.server for leadership in story.leaders)] == leaders_of(
        name
    )
    assert story.unparsed == 0
    assert story.servers == SERVERS


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_reign_follows_an_election_that_was_won_in_its_term(name: str) -> None:
    story = recorded(name)
    won = [(election.candidate, election.term) for election in story.elections if election.outcome == "won"]
    assert won == [(leadership.server, leadership.term) for leadership in story.leaders]
    assert len({term for _, term in won}) == len(won)
    for election in story.elections:
        assert election.outcome is not None
        assert election.outcome != "won" or (election.needed is not None and election.tally >= election.needed)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_order_in_which_logs_are_given_changes_nothing(name: str) -> None:
    logs = {server: (SAMPLES / name / f"{server}.log").read_text(encoding="utf-8") for server in SERVERS}
    tales = []
    for order in itertools.permutations(SERVERS):
        streams = {server: events_of(logs[server], server) for server in order}
        story = collect(records(merge(streams[name] for name in sorted(streams))))
        told = [(event.server, event.line_no, event.term) for event in story.events]
        tales.append((told, outcomes(story)))
    assert all(tale == tales[0] for tale in tales)


def test_the_2015_demo_is_told_with_its_term() -> None:
    story = collect(records(events_of(DEMO.read_text(encoding="utf-8"), "")))
    (election,) = story.elections
    assert (election.candidate, election.term, election.term_source) == ("consul1_1", 1, "inferred")
    assert (election.outcome, election.tally, election.needed) == ("won", 2, 2)
    assert story.leaders == [Leadership("consul1_1", 1, election.end, term_source="inferred")]


# -- terms ------------------------------------------------------------------------------------------------------


def test_a_term_is_carried_to_the_lines_that_do_not_print_it() -> None:
    _, told = story_of(
        log(
            said(1, 'entering candidate state: node="Node at 10.0.0.1:8300 [Candidate]" term=7'),
            said(1, "votes: needed=2", "DEBUG"),
            said(2, "election won: tally=2"),
            said(2, 'entering leader state: leader="Node at 10.0.0.1:8300 [Leader]"'),
        )
    )
    assert [(event.term, event.term_source) for event in told] == [(7, "line"), *[(7, "inferred")] * 3]


def test_without_any_line_that_says_one_there_is_no_term() -> None:
    text = "2015/08/09 01:29:04 [INFO] raft: Node at 10.0.0.1:8300 [Candidate] entering Candidate state"
    story, told = story_of(text)
    assert (told[0].term, told[0].term_source) == (None, None)
    assert story.elections[0].term is None


def test_in_the_oldest_generation_a_server_that_had_a_leader_did_not_learn_the_candidates_term() -> None:
    story = recorded("consul-0.5")
    assert [(election.candidate, election.term) for election in story.elections][:5] == [
        ("consul1", 1), ("consul3", 2), ("consul3", 3), ("consul2", 2), ("consul3", 4),
    ]  # fmt: skip


def test_a_follower_learns_the_term_of_a_leader_that_is_announced() -> None:
    leader = log(
        said(1, 'entering candidate state: node="Node at 10.0.0.1:8300 [Candidate]" term=4'),
        said(1, "election won: tally=2"),
        said(1, 'entering leader state: leader="Node at 10.0.0.1:8300 [Leader]"'),
    )
    follower = log(
        "2021-01-24T00:00:00.500Z [INFO]  agent.server.serf.lan: serf: EventMemberJoin: node-a 10.0.0.1",
        "2021-01-24T00:00:01.500Z [INFO]  agent.server: New leader elected: payload=node-a",
    )
    _, told = story_of(leader, follower)
    assert (told[-1].peer, told[-1].term, told[-1].term_source) == ("consul1", 4, "inferred")


# -- transfers, refusals, and who is who ------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "ended"), [(0.1, "transfer"), (TRANSFER_SECONDS + 1, "newer_term")])
def test_a_transfer_that_came_to_nothing_does_not_end_a_later_leadership(seconds: float, ended: str) -> None:
    story, _ = story_of(
        log(
            said(1, "election won: term=2 tally=2"),
            said(1, 'entering leader state: leader="Node at 10.0.0.1:8300 [Leader]"'),
            said(2, "starting leadership transfer: id=x address=y", "DEBUG"),
            said(2 + seconds, "lost leadership because received a requestVote with a newer term", "DEBUG"),
            said(2 + seconds, 'entering follower state: follower="Node at 10.0.0.1:8300 [Follower]" leader='),
        )
    )
    assert [leadership.ended_by for leadership in story.leaders] == [ended]


def test_a_refusal_is_told_with_its_reason_and_the_candidates_term() -> None:
    candidate = said(1, 'entering candidate state: node="Node at 10.0.0.1:8300 [Candidate]" term=5')
    text = "rejecting vote request since our last index is greater: candidate=10.0.0.1:8300 last-index=9 "
    story, told = story_of(candidate, said(1.1, text + "last-candidate-index=7", "WARN"))
    (refusal,) = story.elections[0].refusals
    assert (refusal.server, refusal.reason) == ("consul2", "our last index is greater")
    assert (told[-1].peer, told[-1].term, told[-1].term_source) == ("consul1", 5, "inferred")


def test_a_voter_without_a_name_keeps_its_id() -> None:
    story, _ = story_of(
        log(
            said(1, 'entering candidate state: node="Node at 10.0.0.1:8300 [Candidate]" term=2'),
            said(1, "vote granted: from=aaaa term=2 tally=1", "DEBUG"),
            said(1, "vote granted: from=bbbb term=2 tally=2", "DEBUG"),
        )
    )
    assert story.elections[0].votes == ["consul1", "bbbb"]


def test_servers_of_one_machine_are_told_apart_by_their_ports() -> None:
    _, told = story_of(
        log(
            said(1, 'entering follower state: follower="Node at 127.0.0.1:8000 [Follower]" leader='),
            said(2, "asking for vote: term=2 from=u2 address=127.0.0.1:8001", "DEBUG"),
        )
    )
    assert told[-1].peer == "127.0.0.1:8001"


# -- ends -------------------------------------------------------------------------------------------------------


def test_a_leader_that_starts_again_was_restarted() -> None:
    story, _ = story_of(
        log(
            said(1, "election won: term=2 tally=2"),
            said(1, 'entering leader state: leader="Node at 10.0.0.1:8300 [Leader]"'),
            said(9, "initial configuration: index=1 servers=[]"),
        )
    )
    assert [(leadership.term, leadership.ended_by) for leadership in story.leaders] == [(2, "restarted")]


def test_a_leader_whose_log_ends_is_silent_only_where_another_leads_after_it() -> None:
    lead = [
        said(1, "election won: term=2 tally=2"),
        said(1, 'entering leader state: leader="Node at 10.0.0.1:8300 [Leader]"'),
    ]
    alone, _ = story_of(log(*lead))
    assert [leadership.ended_by for leadership in alone.leaders] == [None]
    other = [line.replace("00:00:01", "00:00:05").replace("term=2", "term=3") for line in lead]
    both, _ = story_of(log(*lead), log(*other))
    assert [leadership.ended_by for leadership in both.leaders] == ["silent", None]


def test_consul_that_loses_leadership_without_another_word_does_not_say_why() -> None:
    story, _ = story_of(
        log(
            said(1, "election won: term=2 tally=2"),
            said(1, 'entering leader state: leader="Node at 10.0.0.1:8300 [Leader]"'),
            "2021-01-24T00:00:05.000Z [INFO]  agent.server: cluster leadership lost",
        )
    )
    (leadership,) = story.leaders
    assert (leadership.ended_by, leadership.until) == ("unknown", datetime(2021, 1, 24, 0, 0, 5, tzinfo=UTC))


@pytest.mark.parametrize(("passed", "led"), [(0.0, True), (0.9, True), (5.0, False)])
def test_a_log_that_begins_with_the_end_of_a_leadership_shows_that_its_server_led(passed: float, led: bool) -> None:
    follows = said(1, 'entering follower state: follower="Node at 10.0.0.1:8300 [Follower]" leader-address=')
    lost = f"2021-01-24T00:00:{1 + passed:06.3f}Z [INFO] agent.server: cluster leadership lost"
    story, _ = story_of(log(follows, lost))
    assert [leadership.server for leadership in story.leaders] == ["consul1"] * led
    start = said(0, "initial configuration: index=1 servers=[]")
    assert story_of(log(start, follows, lost))[0].leaders == []


def test_an_election_that_is_open_at_the_end_is_undecided() -> None:
    story, _ = story_of(said(1, 'entering candidate state: node="Node at 10.0.0.1:8300 [Candidate]" term=2'))
    assert outcomes(story) == [("consul1", 2, "undecided")]


def test_a_majority_that_refuses_is_a_lost_election() -> None:
    stands = said(1, 'entering candidate state: node="Node at 10.0.0.1:8300 [Candidate]" term=2')
    refuses = "rejecting vote request since our last term is greater: candidate=10.0.0.1:8300 last-term=2"
    story, _ = story_of(stands, said(1, refuses, "WARN"), log(said(1, refuses, "WARN"), said(2, refuses, "WARN")))
    (election,) = story.elections
    assert (election.outcome, len(election.refusals)) == ("lost", 2)


# -- as a stream ------------------------------------------------------------------------------------------------


def test_a_long_story_keeps_few_elections_open() -> None:
    story = Story()
    for term in range(1, 4 * UNSETTLED):
        line = said(term % 60, f'entering candidate state: node="Node at 10.0.0.1:8300 [Candidate]" term={term}')
        for event in events_of(line):
            story.feed(event)
    assert len(story.drain()) >= 3 * UNSETTLED - 1


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_is_settled_is_told_behind_the_event_that_settled_it(name: str) -> None:
    streams = [events_of((SAMPLES / name / f"{server}.log").read_text(encoding="utf-8"), server) for server in SERVERS]
    newest = None
    for record in records(merge(streams)):
        if isinstance(record, Event):
            newest = record.time
        elif isinstance(record, Leadership) and record.until is not None:
            assert newest is not None
            assert record.until <= newest


def test_of_very_many_incidents_few_are_held() -> None:
    def cycles() -> Iterator[Event]:
        for number in range(3 * MOST_INCIDENTS):
            minute, second = divmod(number * 3, 60)
            stamp = f"2021-01-24T{minute // 60:02}:{minute % 60:02}:{second:02}"
            for part, message in enumerate((
                "failed to contact quorum of nodes, stepping down",
                f'entering candidate state: node="Node at 10.0.0.1:8300 [Candidate]" term={number + 2}',
                "election won: tally=2",
                'entering leader state: leader="Node at 10.0.0.1:8300 [Leader]"',
            )):  # fmt: skip
                yield from events_of(f"{stamp}.{part}00Z [INFO]  agent.server.raft: {message}")

    held, told = 0, 0
    for record in records(cycles()):
        if isinstance(record, Event):
            held += record.event == "quorum_lost_stepdown"
        elif isinstance(record, Incident) and record.kind == "no_leader":
            told += 1
        assert held - told <= 2 * MOST_INCIDENTS
    assert told == 3 * MOST_INCIDENTS


def test_a_reign_that_very_many_followed_is_over_and_few_are_kept() -> None:
    lead = [
        said(1, "election won: term=2 tally=2"),
        said(1, 'entering leader state: leader="Node at 10.0.0.1:8300 [Leader]"'),
    ]
    story = Story()
    for event in events_of(log(*lead), "consul9"):
        story.feed(event)
    taken: list[Leadership] = []
    for number in range(3 * UNSETTLED):
        for event in events_of(log(*lead).replace("term=2", f"term={number + 3}"), f"consul{number % 2}"):
            story.feed(event)
        taken += [leadership for leadership in story.drain() if isinstance(leadership, Leadership)]
        assert number + 1 - len(taken) <= UNSETTLED + 1
    assert taken[0].ended_by == "silent"
    story.finish()
    assert (
        len([*taken, *(leadership for leadership in story.drain() if isinstance(leadership, Leadership))])
        == 3 * UNSETTLED + 1
    )


def test_from_a_time_on_what_was_over_is_left_out() -> None:
    whole = recorded("consul-1.15")
    streams = [
        events_of((SAMPLES / "consul-1.15" / f"{server}.log").read_text(encoding="utf-8"), server) for server in SERVERS
    ]
    begin = whole.leaders[1].since
    assert begin is not None
    story = collect(records(merge(streams), since=begin))
    assert story.leaders == [
        leadership for leadership in whole.leaders if leadership.until is None or leadership.until >= begin
    ]
    assert story.elections == [
        election for election in whole.elections if election.end is None or election.end >= begin
    ]
    assert 0 < len(story.elections) < len(whole.elections)


def test_what_raft_says_in_unknown_words_is_counted() -> None:
    story, told = story_of(log(said(1, "something new"), "2021-01-24T00:00:01Z [INFO]  agent: something else"))
    assert story.unparsed == 1
    assert [event.event for event in told] == ["other", "other"]
    assert [voice_of(event.module) for event in told] == ["raft", "agent"]


@given(st.lists(st.tuples(st.sampled_from(WORDINGS), st.sampled_from(SERVERS), st.integers(0, 3)), max_size=40))
def test_any_order_of_any_lines_has_a_story(lines: list[tuple[str, str, int]]) -> None:
    story, second = Story(), 0
    for wording, server, step in lines:
        second += step
        event = read_line(
            f"2021-01-24T00:{second // 60:02}:{second % 60:02}Z [INFO] {wording}", server=server, line_no=1
        )
        if event is not None:
            told = story.feed(event)
            assert (told.event, told.line, told.server) == (event.event, event.line, event.server)
            assert (told.term_source is None) == (told.term is None)
    story.finish()
    for leadership in story.drain():
        if isinstance(leadership, Leadership) and leadership.ended_by not in {"silent", "restarted", "unknown"}:
            assert (leadership.ended_by is None) == (leadership.until is None)


def test_what_raft_says_of_other_things_is_known_and_has_no_name() -> None:
    story, (told,) = story_of(said(1, "failed to get log: error=x", "ERROR"))
    assert (story.unparsed, told.event) == (0, "other")


def test_a_transfer_that_failed_ends_no_leadership() -> None:
    lead = (
        said(1, "election won: term=2 tally=2"),
        said(1, 'entering leader state: leader="Node at 10.0.0.1:8300 [Leader]"'),
        said(2, "starting leadership transfer: id=u2 address=10.0.0.2:8300", "DEBUG"),
    )
    lost = said(9, "failed to contact quorum of nodes, stepping down", "WARN")
    failed, told = story_of(log(*lead, said(3, "leadership transfer timeout", "DEBUG"), lost))
    assert [leadership.ended_by for leadership in failed.leaders] == ["quorum_lost"]
    assert phrase(told[3]) == "could not hand leadership over"
    refollowed = said(9, 'entering follower state: follower="x" leader=')
    failed, _ = story_of(log(*lead, said(3, "leadership transfer timeout", "DEBUG"), refollowed))
    assert [leadership.ended_by for leadership in failed.leaders] == ["unknown"]


FAILS_TO_HAND_OVER = (
    "agent.server.raft: leadership transfer timeout",
    "agent.server.raft: failed to make TimeoutNow RPC to 10.0.0.2:8300: i/o timeout",
    'agent.server: failed to transfer leadership attempt, will retry: attempt=0 retry_limit=3 error="cannot find peer"',
    'agent.server: failed to transfer leadership: error="failed to transfer leadership in 3 attempts"',
)


@pytest.mark.parametrize("fails", [*FAILS_TO_HAND_OVER, ""])
def test_a_leader_lost_after_a_transfer_that_failed_or_that_took_too_long_handed_nothing_over(fails: str) -> None:
    lead = (
        said(1, "election won: term=2 tally=2"),
        said(1, 'entering leader state: leader="Node at 10.0.0.1:8300 [Leader]"'),
        said(2, "starting leadership transfer: id=u2 address=10.0.0.2:8300", "DEBUG"),
    )
    follows = 'entering follower state: follower="Node at 10.0.0.1:8300 [Follower]" leader='
    failed = [f"2021-01-24T00:00:03.000Z [ERROR] {fails}"] if fails else []
    stands = said(8, 'entering candidate state: node="Node at 10.0.0.2:8300 [Candidate]" term=3')
    story, told = story_of(log(*lead, *failed, said(20, follows)), stands if fails else "")
    assert [leadership.ended_by for leadership in story.leaders] == ["newer_term" if fails else "unknown"]
    assert [election.cause for election in story.elections if election.candidate == "consul2"] == ["unknown"] * bool(
        fails
    )
    assert not fails or phrase(told[3]) == "could not hand leadership over"


FIRST = (
    'entering follower state: follower="Node at 10.0.0.{}:8300 [Follower]" leader-address= leader-id=',
    "heartbeat timeout reached, starting election: last-leader-addr= last-leader-id=",
    'entering candidate state: node="Node at 10.0.0.{}:8300 [Candidate]" term={}',
    "election won: term={} tally=2",
    'entering leader state: leader="Node at 10.0.0.{}:8300 [Leader]"',
)


@pytest.mark.parametrize(
    ("without", "ended"), [("", "transfer"), ("timeout lines", "newer_term"), ("its log before", "newer_term")]
)
def test_at_level_info_who_stands_at_once_while_somebody_leads_was_told_to(without: str, ended: str) -> None:
    old = log(
        said(1, FIRST[2].format(1, 2)), said(1, FIRST[3].format(2)), said(1, FIRST[4].format(1)),
        said(9.002, FIRST[0].format(1)),
    )  # fmt: skip
    before = [said(0, FIRST[0].format(2)), said(0.5, FIRST[1], "WARN"), said(0.5, FIRST[2].format(2, 2))]
    before.append(said(1.1, FIRST[0].format(2)))
    if without == "timeout lines":
        del before[1]
    stands = [said(9, FIRST[2].format(2, 3)), said(9.004, FIRST[3].format(3)), said(9.004, FIRST[4].format(2))]
    story, _ = story_of(old, log(*([] if without == "its log before" else before), *stands))
    assert [leadership.ended_by for leadership in story.leaders] == [ended, None]
    cause = story.elections[-1].cause
    assert cause == ("transfer" if ended == "transfer" else "unknown")
    assert any(incident.is_loss for incident in story.incidents) == (ended != "transfer")


def test_an_election_timer_runs_no_longer_than_twice_its_shortest_time() -> None:
    # Before term 4 its server stood still.
    candidate = 'entering candidate state: node="Node at 10.0.0.1:8300 [Candidate]" term={}'
    again = "Election timeout reached, restarting election"
    lines = [said(1, candidate.format(2))]
    for second, term in ((2.2, 3), (8.5, 4), (10.4, 5)):
        lines += [said(second, again, "WARN"), said(second, candidate.format(term))]
    story, _ = story_of(log(*lines))
    assert [election.waited and round(election.waited, 3) for election in story.elections] == [None, 1.2, None, 1.9]


def test_a_heartbeat_timer_runs_no_longer_than_twice_the_shortest_of_its_cluster() -> None:
    candidate = 'entering candidate state: node="Node at 10.0.0.{}:8300 [Candidate]" term={}'
    again = "Election timeout reached, restarting election"
    again_ = log(said(1, candidate.format(1, 2)), said(2.2, again, "WARN"), said(2.2, candidate.format(1, 3)))
    follower = said(20, 'entering follower state: follower="Node at 10.0.0.2:8300 [Follower]" leader-address=')
    debug = said(20.1, "votes: needed=2", "DEBUG")
    missed = said(27.7, "heartbeat timeout reached, starting election: last-leader-addr= last-leader-id=", "WARN")
    two = log(follower, debug, missed, said(27.7, candidate.format(2, 4)))
    assert [
        round(election.waited, 3) for election in story_of("", two)[0].elections if election.waited is not None
    ] == [7.7]
    assert story_of(again_, two)[0].elections[-1].waited is None
