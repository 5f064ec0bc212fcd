"""Lines in, events out; several servers in one order; whole logs against what is known to have happened."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.raft.event import Event
from labctl.raft.event_sentences import phrase
from labctl.raft.grammar import EVENTS
from labctl.raft.log_line import clean
from labctl.raft.merge import merge
from labctl.raft.reader import is_raft, is_unparsed, read_line
from tests.unit.raft.logs import DEMO, POSTED, SAMPLES, SCENARIOS, SERVERS, leaders_of

if TYPE_CHECKING:
    from pathlib import Path


def read_file(path: Path, server: str) -> list[Event]:
    lines = path.read_text(encoding="utf-8").splitlines()
    generator = (read_line(line, server=server, line_no=no, file=path.name) for no, line in enumerate(lines, 1))
    return [event for event in generator if event is not None]


def read_run(name: str) -> list[Event]:
    return list(merge(read_file(SAMPLES / name / f"{server}.log", server) for server in SERVERS))


def at(second: float | None, server: str = "consul1", line_no: int = 1) -> Event:
    time = None if second is None else datetime(2021, 1, 24, tzinfo=UTC) + timedelta(seconds=second)
    return Event(time, server, "other", None, None, None, "info", "raft", None, line_no, "x")


def test_an_event_says_where_it_stood_and_keeps_its_line() -> None:
    line = '2021-01-24T00:02:20.214Z [INFO]  agent.server.raft: entering candidate state: node="x" term=3'
    assert read_line(line + "\n", server="consul1", line_no=12, file="consul1.log") == Event(
        time=datetime(2021, 1, 24, 0, 2, 20, 214000, UTC),
        server="consul1",
        event="candidate_entered",
        term=3,
        term_source="line",
        peer=None,
        level="info",
        module="agent.server.raft",
        file="consul1.log",
        line_no=12,
        line=line,
        values={"node": "x", "term": "3"},
    )


def test_both_generations_name_the_speaking_node_alike() -> None:
    old = read_line(
        "2021/01/24 00:00:00 [INFO] raft: Node at 10.0.0.2:8300 [Leader] entering Leader state",
        server="",
        line_no=1,
    )
    new = read_line(
        '2021-01-24T00:00:00Z [INFO]  raft: entering leader state: leader="Node at 10.0.0.2:8300 [Leader]"',
        server="",
        line_no=1,
    )
    assert old is not None
    assert new is not None
    assert old.values["node"] == new.values["node"] == "10.0.0.2:8300"


def test_a_line_that_nobody_claims_is_its_containers() -> None:
    event = read_line("consul2_1 | 2015/08/09 01:29:04 [INFO] raft: x", server="", line_no=1)
    assert event is not None
    assert event.server == "consul2_1"


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_run_of_every_generation_had_the_leaders_that_its_scenario_names(name: str) -> None:
    events = read_run(name)
    led = [event.server for event in events if event.event == "leader_entered"]
    expected = leaders_of(name)
    # The oldest scenario ends without saying who followed the first leader.
    leaders = [server for server, _ in itertools.groupby(led)]
    assert leaders[: len(expected)] == expected
    assert len(leaders) == len(expected) or "0.5.2" in name


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_line_that_raft_wrote_in_a_run_is_unknown(name: str) -> None:
    events = read_run(name)
    assert len(events) > 50
    assert {event.line for event in events if event.event == "other"} == set()
    assert all(is_raft(event) and event.event in EVENTS and event.time is not None for event in events)


@pytest.mark.parametrize("name", [name for name in SCENARIOS if "0.5" not in name])
def test_every_election_of_a_run_is_won_with_the_votes_it_needs_in_a_term_that_grows(name: str) -> None:
    won = []
    for server in SERVERS:
        term, needed, tally = 0, 0, 0
        for event in read_file(SAMPLES / name / f"{server}.log", server):
            if event.event == "candidate_entered":
                term, tally = event.term or 0, 0
            elif event.event == "votes_needed":
                needed = int(event.values["needed"])
            elif event.event == "vote_granted":
                assert event.term == term
                tally = int(event.values["tally"])
            elif event.event == "election_won":
                assert tally == needed == 2
                # Not every generation names the term in this line.
                assert event.term == (term if "term=" in event.line or '"term":' in event.line else None)
                won.append((event.time, term))
    terms = [term for _, term in sorted(won)]
    assert terms == sorted(set(terms))
    assert terms[0] == 2


def test_the_log_of_the_2015_demo_tells_its_election() -> None:
    path = DEMO
    told = [(event.server, event.event) for event in read_file(path, "")]
    assert told[3:6] == [(f"consul{number}_1", "no_known_peers") for number in (3, 1, 2)]
    campaign = [event for server, event in told if server == "consul1_1"][2:10]
    assert campaign == [
        *["heartbeat_timeout", "candidate_entered", "not_in_peer_set", "votes_needed"],
        *["vote_granted", "vote_granted", "election_won", "leader_entered"],
    ]


# How many events have a name, how many are about Raft, and how many lines name the term.
TOLD = {
    "do": (23, 23, 0), "15": (6, 6, 2), "17": (3, 2, 0), "18": (1, 0, 0), "21": (9, 8, 1), "23": (16, 16, 4),
    "24": (13, 10, 2), "26": (13, 10, 0), "35": (15, 10, 1), "39": (12, 10, 2), "44": (7, 6, 3), "48": (5, 5, 3),
    "50": (9, 9, 1),
}  # fmt: skip


@pytest.mark.parametrize("path", [DEMO, *POSTED], ids=lambda path: path.name[:2])
def test_what_people_posted_has_no_unknown_line_of_raft(path: Path) -> None:
    events = read_file(path, "somebody")
    named = sum(event.event != "other" for event in events)
    terms = sum(event.term is not None for event in events)
    assert (named, sum(map(is_raft, events)), terms) == TOLD[path.name[:2]]
    assert [event.line for event in events if is_raft(event) and event.event == "other"] == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("2021-01-24T00:00:00Z [INFO]  agent.server.raft: never heard of", True),
        ("2015/08/09 01:29:04 [INFO] raft-net: whatever", True),
        ("2021-01-24T00:00:00Z [INFO]  agent.server: cluster leadership acquired", True),
        ("2021-01-24T00:00:00Z [INFO]  agent.server: cluster leadership lost", True),
        ("2021-01-24T00:00:00Z [INFO]  agent.server: New leader elected: payload=consul1", True),
        (
            "2017/08/09 01:29:04 [WARN] Unable to get address for server id u2, using fallback address b: x",
            True,
        ),
        ("raft: Election timeout reached, restarting election", True),
        ("2021-01-24T00:00:00Z [INFO]  agent.server: Raft data found, disabling bootstrap mode", False),
        (
            "2021-01-24T00:00:00Z [DEBUG] agent.http: Request finished: url=/v1/operator/raft/configuration",
            False,
        ),
        ("2021-01-24T00:00:00Z [WARN]  something without a module", False),
        ("==> raft: not a line of a server", False),
        ("", False),
    ],
)
def test_is_raft_keeps_what_grep_raft_was_meant_for(line: str, expected: bool) -> None:
    assert is_raft(line) is expected


def test_merged_servers_are_in_one_order_of_time() -> None:
    first = [at(1, "consul1"), at(4, "consul1")]
    second = [at(2, "consul2"), at(3, "consul2"), at(9, "consul2")]
    assert list(merge([first, second])) == [first[0], second[0], second[1], first[1], second[2]]


def test_an_event_without_a_time_stays_with_its_own_server() -> None:
    first = [at(None, "consul1", 1), at(5, "consul1", 2), at(None, "consul1", 3), at(8, "consul1", 4)]
    second = [at(1, "consul2"), at(6, "consul2")]
    assert list(merge([first, second])) == [second[0], first[0], first[1], first[2], second[1], first[3]]


def test_at_the_same_time_the_earlier_stream_is_first() -> None:
    first, second = [at(1, "consul1"), at(1, "consul1", 2)], [at(1, "consul2")]
    assert list(merge([first, second])) == [*first, *second]
    assert list(merge([second, first])) == [*second, *first]


def test_a_server_whose_clock_went_back_keeps_its_own_order() -> None:
    first = [at(1, "consul1"), at(5, "consul1"), at(2, "consul1"), at(7, "consul1")]
    second = [at(3, "consul2"), at(6, "consul2")]
    assert list(merge([first, second])) == [first[0], second[0], first[1], first[2], second[1], first[3]]


def test_servers_that_never_say_the_time_come_one_after_the_other() -> None:
    first, second = [at(None, "consul1"), at(None, "consul1", 2)], [at(None, "consul2")]
    assert list(merge([first, second, []])) == [*first, *second]


@given(st.lists(st.lists(st.one_of(st.none(), st.integers(-(10**9), 10**9)), max_size=8), max_size=4))
def test_merging_loses_nothing_and_never_reorders_a_server(seconds: list[list[int | None]]) -> None:
    streams = [
        [at(second, f"consul{number}", line_no) for line_no, second in enumerate(stream)]
        for number, stream in enumerate(seconds)
    ]
    merged = list(merge(streams))
    assert len(merged) == sum(map(len, streams))
    for number, stream in enumerate(streams):
        assert [event for event in merged if event.server == f"consul{number}"] == stream


pieces = st.sampled_from(
    [
        *[
            "consul1_1 | ",
            "2021-01-24T00:02:16.691Z ",
            "2015/08/09 01:29:04 ",
            "Mar 02 00:19:51 h docker[3]: ",
        ],
        *["9999-12-31T23:59:59-23:59 ", "0001-01-01T00:00:00+23:59 ", "[INFO]  ", "[ERR] ", "    "],
        *["raft: ", "agent.server.raft: ", "agent.server: ", "serf: EventMemberJoin: ", "vote granted"],
        *[": from=", " term=", "99999999999999999999999", "2", '"', "{Voter u1 10.0.0.2:8300}", "{", "}"],
        *["Rejecting vote request from ", " since ", "entering candidate state: node=", "Node at "],
        *['{"@message":"election won","@module":"raft","term":', '"@timestamp":', "New leader elected: "],
        *["\x1b[31m", "\x1b]0;", "\x07", "\x00", "\r", "\udcff", "\u202e"],
        *[" [Leader] entering Leader state", "(", ")", "=", "\\"],
    ]
)
lines = st.one_of(
    st.text(st.characters(), max_size=200),
    st.lists(pieces, max_size=14).map("".join),
    st.binary(max_size=200).map(lambda data: data.decode("utf-8", "surrogateescape")),
)


@given(line=lines, server=st.sampled_from(["", "consul1"]))
def test_no_line_makes_the_reading_raise_or_say_something_unsafe(line: str, server: str) -> None:
    event = read_line(line, server=server, line_no=3)
    assert is_raft(line) == (event is not None and is_raft(event))
    assert clean(line).isprintable()
    if event is None:
        return
    assert event.event in EVENTS or event.event == "other"
    assert (event.term is None) == (event.term_source is None)
    assert event.term is None or event.term >= 0
    assert event.time is None or event.time.tzinfo is not None
    said = phrase(event)
    for text in (said, event.peer, event.module, *event.values.values()):
        assert text is None or text.isprintable()


@given(first=st.lists(lines, max_size=5), second=st.lists(lines, max_size=5))
def test_whatever_was_read_can_be_merged(first: list[str], second: list[str]) -> None:
    streams = [
        [event for line in stream if (event := read_line(line, server=server, line_no=1)) is not None]
        for server, stream in (("consul1", first), ("consul2", second))
    ]
    assert len(list(merge(streams))) == sum(map(len, streams))


@pytest.mark.parametrize(
    "piece", ['a="x ', "a=[ ", ': a="', "since ", " in ", "\x1b]", "\x1b[", "[1] ", '{"a":', "x" * 40 + " "]
)
@pytest.mark.parametrize(
    "start", ["", "2021-01-24T00:02:16.691Z [WARN]  agent.server.raft: failed to contact ", "raft: m: a="]
)
def test_a_very_long_line_is_read_and_kept_whole(start: str, piece: str) -> None:
    line = (start + piece * 200_000)[:200_000]
    event = read_line(line, server="consul1", line_no=1)
    assert event is None or event.line == line


@pytest.mark.parametrize(
    "words",
    [
        "agent.server.raft.logstore.verifier: verification checksum OK: elapsed=1ms leaderChecksum=0a readChecksum=0a",
        "agent.server.raft.logstore.verifier: sent verification checkpoint: index=9",
        "storage.raft.raft.logstore.verifier: verification checksum skipped as we don't have all logs in range",
        'storage.raft: creating Raft: config="&raft.Config{ProtocolVersion:3}"',
        "storage.raft: setting up raft cluster",
        "storage.raft.autopilot: no persisted state, using leader version: id=n1 version=1.18.5",
        "storage.raft.autopilot: reconciliation now disabled",
        "core.raft: creating new raft TLS config",
        "nomad.wal: error closing old segment file: err=EIO",
    ],
)
def test_what_others_say_under_the_name_of_raft_is_no_unknown_wording(words: str) -> None:
    event = read_line(f"2024-05-01T00:02:16.691Z [INFO]  {words}", server="n1", line_no=1)
    assert event is not None
    assert event.event == "other"
    assert not is_unparsed(event)


@pytest.mark.parametrize(
    "module", ["storage.raft", "nomad.raft", "raft", "consul.raft", "agent.server.raft", "core0.raft"]
)
def test_raft_is_raft_whoever_uses_it(module: str) -> None:
    event = read_line(
        f"2024-05-01T00:02:16.691Z [INFO]  {module}: election won: term=3 tally=2", server="n1", line_no=1
    )
    assert event is not None
    assert (event.event, event.term) == ("election_won", 3)
    unknown = read_line(f"2024-05-01T00:02:16.691Z [INFO]  {module}: never heard of", server="n1", line_no=1)
    assert unknown is not None
    assert is_unparsed(unknown)
