"""The events of several servers in one order: every cause before its effect, whatever the clocks say."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest

from labctl.raft.collection import collect
from labctl.raft.event import Event
from labctl.raft.merge import MOST_SKEW, merge
from labctl.raft.record_stream import records
from labctl.raft.server_names import Names
from labctl.story import log_files
from tests.unit.raft.logs import SCENARIOS, SERVERS

LOST = {"abandoned": "lost"}


def streams_of(name: str) -> dict[str, list[Event]]:
    return {recording.server: list(log_files.events([recording])) for recording in log_files.sample(name)}


def shifted(events: list[Event], seconds: float) -> list[Event]:
    by = timedelta(seconds=seconds)
    return [event._replace(time=event.time + by if event.time else None) for event in events]


def told(streams: dict[str, list[Event]]) -> tuple[list[Any], list[Event]]:
    # Who is who is known from the beginnings of the logs before they are told.
    names = Names()
    for event in itertools.chain.from_iterable(streams.values()):
        names.learn(event)
    story = collect(records(merge(streams.values(), names), names=names))
    events = story.events
    # Whom exactly a refusal met may stay unclear where clocks differ, and so why an election was not won.
    elections = sorted((election.candidate, election.term, election.outcome == "won") for election in story.elections)
    return elections, events


@pytest.mark.parametrize("seconds", [-1.5, -0.4, -0.05, 0.05, 0.4, 1.5])
@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in {"consul-0.5", "consul-1.6"}])
def test_a_wrong_clock_changes_nothing_about_who_stood_and_who_won(name: str, server: str, seconds: float) -> None:
    streams = streams_of(name)
    right, _ = told(streams)
    streams[server] = shifted(streams[server], seconds)
    assert told(streams)[0] == right


@pytest.mark.parametrize("order", [SERVERS, SERVERS[::-1], [SERVERS[1], SERVERS[2], SERVERS[0]]])
def test_within_a_second_who_votes_has_been_asked_before(order: list[str]) -> None:
    streams = streams_of("consul-1.6")
    _, events = told({server: streams[server] for server in order})
    asked = next(at for at, event in enumerate(events) if event.server == "consul2" and event.line_no == 11)
    counted = next(at for at, event in enumerate(events) if "in term 4. Tally: 2" in event.line)
    assert asked < counted


def said(second: float, server: str, event: str, peer: str | None = None, **values: str) -> Event:
    (start,) = [event.time for event in streams_of("2015")["docker-compose"][:1]]
    assert start is not None
    time = start + timedelta(seconds=second)
    return Event(time, server, event, None, None, peer, "info", "raft", None, 1, "x", values)


def test_a_server_whose_clock_is_behind_is_moved_and_stays_so() -> None:
    first = [
        said(1.0, "consul1", "candidate_entered", node="10.0.0.1:8300"),
        said(3.0, "consul1", "election_timeout"),
        said(3.1, "consul1", "candidate_entered", node="10.0.0.1:8300"),
    ]
    second = [
        said(0.5, "consul2", "vote_rejected_by_me", "10.0.0.1:8300"),
        said(2.8, "consul2", "net_accept"),
        said(2.9, "consul2", "follower_entered"),
    ]
    assert [event.event for event in merge([first, second])] == [
        "candidate_entered", "vote_rejected_by_me", "election_timeout", "candidate_entered", "net_accept",
        "follower_entered",
    ]  # fmt: skip


def test_a_cause_that_is_too_far_away_is_none() -> None:
    far = MOST_SKEW.total_seconds() + 1
    first = [said(far + 0.5, "consul1", "candidate_entered", node="10.0.0.1:8300")]
    second = [said(0.5, "consul2", "vote_rejected_by_me", "10.0.0.1:8300"), said(far, "consul2", "net_accept")]
    assert [event.server for event in merge([first, second])] == ["consul2", "consul2", "consul1"]


def test_who_hears_of_a_leader_hears_of_it_after_it_leads() -> None:
    leading = [said(2.0, "consul1", "leader_entered")]
    second = [said(1.0, "consul2", "net_accept"), said(1.9, "consul2", "new_leader_announced", "consul1")]
    first = [said(0.0, "consul1", "net_accept"), *leading]
    assert [event.event for event in merge([first, second])][-2:] == ["leader_entered", "new_leader_announced"]


def test_a_server_is_moved_by_no_more_than_that_in_all() -> None:
    # 1.5 s for the first leader; the second one would take it to 3 s.
    known = [said(0.0, name, "net_accept") for name in ("consul1", "consul2", "consul3")]
    first = [known[0], said(2.5, "consul1", "leader_entered")]
    hears = [
        said(1.0 + 9 * at, "consul2", "new_leader_announced", name) for at, name in enumerate(("consul1", "consul3"))
    ]
    three = [known[2], said(13.0, "consul3", "leader_entered")]
    order = [(event.server, event.event) for event in merge([first, [known[1], *hears], three])]
    assert order[3:] == [
        ("consul1", "leader_entered"), ("consul2", "new_leader_announced"), ("consul2", "new_leader_announced"),
        ("consul3", "leader_entered"),
    ]  # fmt: skip
