"""What servers say again and again, folded: nothing is lost, nothing is counted twice."""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from labctl.raft.event import ASKS_FIRST, Event
from labctl.raft.event_sentences import phrase
from labctl.story.repeats import CAMPAIGN, LONGEST_REPORT, MOST_HELD, MOST_RUNS, QUIET, STILL, Repeats, in_order

if TYPE_CHECKING:
    from collections.abc import Iterator

BEGIN = datetime(2026, 1, 2, 3, 4, 5, 1, tzinfo=UTC)
SERVERS = ("consul1", "consul2", "consul3")


def said(second: float, event: str, peer: str | None = "consul3", server: str = "consul1") -> Event:
    time = BEGIN + timedelta(seconds=second)
    return Event(time, server, event, None, None, peer, None, None, None, 1, f"{second} {event}")


def texts(*events: Event, reports: bool = True) -> list[str | None]:
    return [told.sentence for told in Repeats(reports=reports).folded(events)]


def test_who_becomes_a_candidate_of_the_same_term_again_does_the_same() -> None:
    """Only its later lines show that it asked for pre-votes, so that the words are others."""
    rounds = [
        event._replace(term=3, values={"term": "3"} | ({ASKS_FIRST: "1"} if second > 2 else {}))
        for second in range(6)
        for event in (said(second, "candidate_entered", None),)
    ]
    *_, last = [told.sentence for told in in_order(rounds)]
    assert last is not None
    assert last.endswith("(5 times in 4.0 s)")


def test_a_pre_vote_that_is_refused_again_and_again_is_told_once() -> None:
    no = said(0, "prevote_rejected_by_me", "consul2")._replace(
        values={"reason": "we have a leader", "leader": "consul1"}
    )
    again = [no._replace(time=BEGIN + timedelta(seconds=second)) for second in range(28)]
    (told,) = in_order(again)
    assert told.sentence is not None
    assert told.sentence.endswith("(28 times in 27.0 s)")


def test_what_goes_on_while_a_clock_is_set_back_took_no_negative_time() -> None:
    told = texts(*(said(second, "heartbeat_failed") for second in (900, 901, 1, 2, 3)))
    words = told[0]
    assert told == [words, f"{words} (2 times in 1.0 s)", words, f"{words} (3 times in 2.0 s)"]


events = some.lists(
    some.builds(
        lambda event, server, peer, wait: (event, server, peer, wait),
        some.sampled_from(
            [*sorted(STILL | CAMPAIGN), "follower_entered", "leader_entered", "member_join", "election_won"]
        ),
        some.sampled_from(SERVERS),
        some.sampled_from(SERVERS),
        some.floats(0, 100),
    ),
    max_size=200,
)


NAME_NO_PEER = {"no_known_peers", "election_suppressed"}
"""Their words are the same for every peer, so lines with several of them would be one repetition."""


def stream(drawn: list[tuple[str, str, str, float]]) -> list[Event]:
    second, lines_so_far = 0.0, []
    for event, server, peer, wait in drawn:
        second += wait
        lines_so_far.append(said(second, event, None if event in NAME_NO_PEER else peer, server))
    return lines_so_far


@example(drawn=[("no_known_peers", "consul1", peer, 0.0) for peer in ("consul1", "consul1", "consul2")], reports=False)
@given(events, some.booleans())
def test_the_folded_stream_tells_the_same_and_as_often(drawn: list[tuple[str, str, str, float]], reports: bool) -> None:
    told = list(Repeats(reports=reports).folded(stream(drawn)))
    counted: Counter[tuple[str, str, str | None]] = Counter()
    for told_ in told:
        counted[told_.event.server, told_.event.event, told_.event.peer] += told_.more
        assert told_.times >= told_.more >= 1
    assert counted == Counter((event.server, event.event, event.peer) for event in stream(drawn))


@given(events)
def test_what_is_no_repeat_is_told_at_once_and_in_order(drawn: list[tuple[str, str, str, float]]) -> None:
    repeats = Repeats()
    for event in stream(drawn):
        at_once = list(repeats.take(event))
        if event.event not in STILL | CAMPAIGN:
            assert at_once[-1].event == event
    whole = [told_.event for told_ in Repeats().folded(stream(drawn)) if told_.event.event not in STILL | CAMPAIGN]
    assert whole == [event for event in stream(drawn) if event.event not in STILL | CAMPAIGN]


@given(events)
def test_what_goes_on_is_what_finish_tells(drawn: list[tuple[str, str, str, float]]) -> None:
    repeats = Repeats(reports=False)
    for event in stream(drawn):
        list(repeats.take(event))
    going_on = [(told_.event, told_.times) for told_ in repeats.going_on()]
    assert going_on == [(told_.event, told_.times) for told_ in repeats.finish()]
    assert repeats.going_on() == []


def test_a_repeat_is_told_once_and_then_how_often_and_for_how_long() -> None:
    again = [said(second, "peer_unreachable") for second in range(0, 50, 2)]
    assert texts(*again) == ["cannot reach consul3", "cannot reach consul3 (25 times in 48.0 s)"]


def test_while_it_goes_on_it_is_told_at_ever_longer_times_and_no_longer_than_that() -> None:
    again = [said(second, "peer_unreachable") for second in range(0, 4 * 3600, 5)]
    told = list(Repeats().folded(again))
    when = [told_.event.time or BEGIN for told_ in told]
    waits = [(after - before).total_seconds() for before, after in itertools.pairwise(when)]
    assert waits[:3] == [65, 125, 245]
    assert max(waits) <= LONGEST_REPORT.total_seconds() + 5
    assert len(told) < 25


@pytest.mark.parametrize(
    "news",
    [
        said(9, "follower_entered", None),
        said(9, "leader_entered", None),
        said(9, "candidate_entered", None),
        said(9, "config_initial", None),
        said(9, "replication_pipelining"),
        said(9, "member_join"),
        said(9 + QUIET.total_seconds(), "election_won", None, "consul2"),
    ],
)
def test_a_repeat_is_over_when_its_server_or_its_peer_is_another_or_after_a_while(news: Event) -> None:
    told = list(Repeats().folded([said(0, "peer_unreachable"), said(4, "peer_unreachable"), news]))
    assert [told_.event for told_ in told] == [said(0, "peer_unreachable"), said(4, "peer_unreachable"), news]
    assert [told_.times for told_ in told] == [1, 2, 1]


def test_news_of_another_server_end_nothing() -> None:
    again = [said(0, "peer_unreachable"), said(1, "leader_entered", None, "consul2"), said(2, "peer_unreachable")]
    assert texts(*again) == ["cannot reach consul3", "is the leader", "cannot reach consul3 (2 times in 2.0 s)"]


def test_what_happens_anew_each_time_is_not_folded() -> None:
    again = [said(second, "bootstrap_attempt", None) for second in range(3)]
    assert texts(*again) == 3 * ["found as many servers as it expects: it forms the cluster with them"]


def candidacy(second: float, term: int, server: str = "consul1") -> list[Event]:
    names = ("election_timeout", "candidate_entered", "votes_needed")
    return [said(second, name, None, server)._replace(term=term) for name in names]


def test_who_stands_again_and_again_alone_is_told_twice_and_then_how_often() -> None:
    lonely = [event for term in range(3, 12) for event in candidacy(7 * term, term)]
    suspects = said(40, "suspect")
    told = texts(*lonely[:12], suspects, *lonely[12:], said(99, "follower_entered", None))
    assert told == [
        "got no majority in time: it tries again",
        "becomes a candidate in term 3",
        "needs some votes to win in term 3",
        "got no majority in time: it tries again",
        "becomes a candidate in term 4",
        "needs some votes to win in term 4",
        "got no majority in time: it tries again",
        "suspects that consul3 has failed",
        "becomes a candidate in term 11 (the last of 8 times in 49.0 s)",
        "needs some votes to win in term 11 (the last of 8 times in 49.0 s)",
        "got no majority in time: it tries again (7 times in 42.0 s)",
        phrase(said(99, "follower_entered", None)),
    ]


def test_who_stands_beside_another_one_is_told_each_time() -> None:
    both = [
        event
        for term in range(3, 12)
        for server in ("consul1", "consul2")
        for event in candidacy(7 * term, term, server)
    ]
    assert texts(*both) == [phrase(event) for event in both]
    refused = [
        event
        for term in range(3, 12)
        for event in [*candidacy(7 * term, term), said(7 * term, "vote_rejected_by_me", "consul1", "consul2")]
    ]
    assert texts(*refused) == [phrase(event) for event in refused]


def test_where_lines_have_no_time_it_is_told_how_often() -> None:
    again = [said(0, "peer_unreachable")._replace(time=None)] * 3
    assert texts(*again) == ["cannot reach consul3", "cannot reach consul3 (3 times)"]


def test_what_is_remembered_is_bounded() -> None:
    repeats = Repeats()
    for number in range(3 * MOST_RUNS):
        list(repeats.take(said(0, "peer_unreachable", f"peer{number}")))
    assert len(repeats.runs) == MOST_RUNS


# -- a story that has an end ------------------------------------------------------------------------------------


def test_in_a_story_that_is_over_what_is_said_again_stands_where_it_was_said_first() -> None:
    again = [said(15, "peer_unreachable"), said(16, "leader_entered", None, "consul2"), said(17, "peer_unreachable")]
    told = list(in_order(again))
    assert [told_.sentence for told_ in told] == ["cannot reach consul3 (2 times in 2.0 s)", "is the leader"]
    assert [told_.event for told_ in told] == again[:2]


def test_candidacies_in_vain_stand_where_the_first_of_them_was() -> None:
    lonely = [event for term in range(3, 12) for event in candidacy(7 * term, term)]
    told = [told_.sentence for told_ in in_order([*lonely, said(99, "follower_entered", None)])]
    assert told[4:] == [
        "becomes a candidate in term 4 (the first of 8 times in 49.0 s, the last in term 11)",
        "needs some votes to win in term 4 (the first of 8 times in 49.0 s, the last in term 11)",
        "got no majority in time: it tries again (7 times in 42.0 s)",
        phrase(said(99, "follower_entered", None)),
    ]


@given(events)
def test_no_time_goes_backwards_and_nothing_is_lost(drawn: list[tuple[str, str, str, float]]) -> None:
    told = list(in_order(stream(drawn)))
    assert [told_.event.time or BEGIN for told_ in told] == sorted(told_.event.time or BEGIN for told_ in told)
    # The words of some events name no peer.
    counted: Counter[tuple[str, str]] = Counter()
    for told_ in told:
        counted[told_.event.server, told_.event.event] += told_.more
        assert told_.times == told_.more
    assert counted == Counter((event.server, event.event) for event in stream(drawn))


def test_what_is_held_back_is_bounded() -> None:
    taken = 0

    def endless() -> Iterator[Event]:
        nonlocal taken
        yield said(0, "peer_unreachable")
        yield said(0.001, "peer_unreachable")
        for taken in range(2, 3 * MOST_HELD):
            yield said(0.001 * taken, "bootstrap_attempt", None, "consul2")

    first = next(in_order(endless()))
    assert first.times == 2
    assert taken <= MOST_HELD + 3
