"""What becomes of the cluster and of its log, as a learner reads it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.raft.cluster_sentences import SENTENCES
from labctl.raft.event import Event
from labctl.raft.event_sentences import phrase
from labctl.raft.grammar import EVENTS
from labctl.raft.membership import Membership
from labctl.raft.reader import read_line
from labctl.raft.server_names import Names
from labctl.raft.story import Story

A = "{Suffrage:Voter ID:u1 Address:10.0.0.2:8300}"
B = "{Suffrage:Voter ID:u2 Address:10.0.0.3:8300}"
C = "{Suffrage:Nonvoter ID:u3 Address:10.0.0.4:8300}"
D = "{Suffrage:Voter ID:u3 Address:10.0.0.4:8300}"


def said(words: str) -> str | None:
    event = read_line(f"2021-01-24T00:02:16.691Z [INFO]  {words}", server="consul1", line_no=1)
    assert event is not None
    return phrase(event)


def change(command: str, server: str, address: str, *servers: str) -> str:
    listed = f'servers="[{" ".join(servers)}]"'
    return f"raft: updating configuration: command={command} server-id={server} server-addr={address} {listed}"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (change("AddNonvoter", "u3", "10.0.0.4:8300", A, B, C), "adds 10.0.0.4:8300 as a non-voter"),
        (change("AddVoter", "u3", "10.0.0.4:8300", A, B, D), "has 10.0.0.4:8300 as a voter: a majority is 2 of 3 now"),
        (
            change("AddStaging", "u3", "10.0.0.4:8300", A, B, D),
            "has 10.0.0.4:8300 as a voter: a majority is 2 of 3 now",
        ),
        (change("DemoteVoter", "u3", "", A, B, C), "makes u3 a non-voter: a majority is 2 of 2 now"),
        (change("RemoveServer", "u3", "", A, B), "removes u3: a majority is 2 of 2 now"),
        (change("RemoveServer", "u3", "", A), "removes u3: a majority is 1 of 1 now"),
        # Who votes keeps its vote: only its address is noted (raft configuration.go, AddNonvoter).
        (change("AddNonvoter", "u2", "10.0.0.3:8300", A, B), "adds 10.0.0.3:8300 again: it is a member already"),
        # A list that is cut off says nothing about a majority.
        (change("RemoveServer", "u3", "", A, B)[:-20], "removes u3"),
        # JSON has the command as a number.
        (change("3", "u3", "", A, B), "removes u3: a majority is 2 of 2 now"),
        (change("9", "u3", "", A, B), "changes who is in the cluster: a majority is 2 of 2 now"),
        (
            f"raft: Updating configuration with AddStaging (u2, 10.0.0.3:8300) to [{A} {B}]",
            "has 10.0.0.3:8300 as a voter: a majority is 2 of 2 now",
        ),
        (f"raft: Updating configuration with RemoveServer (u2, ) to [{A}]", "removes u2: a majority is 1 of 1 now"),
        (
            "raft: Node 10.0.0.2:8300 updated peer set (2): [10.0.0.2:8300 10.0.0.3:8300 10.0.0.4:8300]",
            "lists 3 servers now: a majority is 2 of 3",
        ),
        ("raft: initial configuration: index=0 servers=[]", None),
        (
            f'raft: initial configuration: index=7 servers="[{A} {B} {D}]"',
            "knows 3 servers when it starts: a majority is 2 of 3",
        ),
        (
            f'raft: initial configuration: index=7 servers="[{A} {C}]"',
            "knows 1 voter and 1 non-voter when it starts: a majority is 1 of 1",
        ),
        (
            "agent.server.autopilot: Promoting server: id=u2 address=10.0.0.3:8300 name=consul2",
            "is about to make consul2 a voter",
        ),
        (
            "agent.server.autopilot: Attempting removal of failed server node: id=u2 name=consul2 address=a",
            "removes the failed server consul2 from the cluster",
        ),
        (
            "agent.server.autopilot: removing stale raft server from configuration: id=u2",
            "removes u2 from the cluster: gossip does not know it",
        ),
        (
            "agent.server.autopilot: removed server with duplicate address: address=10.0.0.3:8300",
            "has removed an older server that had the address 10.0.0.3:8300",
        ),
        (
            "agent.server.autopilot: will not remove server as removal of a majority of servers is not safe: id=u2",
            "does not remove the failed server u2: too few voters would be left",
        ),
        (
            "autopilot: Failed to remove dead servers: too many dead servers: 2/3",
            "does not remove the failed servers: too few voters would be left",
        ),
        (
            'raft: failed to commit logs: error="write raft.db: no space left on device"',
            "cannot write to its log, and gives up leadership: no space left on device",
        ),
        ("raft: Failed to append to logs: EIO", "cannot write to its log: EIO"),
        ("raft: failed to persist vote: error=EIO", "cannot record its vote, so it does not vote: EIO"),
        ("raft: Installed remote snapshot", "has taken over the leader's snapshot in place of its own log"),
        (
            "raft: restored user snapshot: index=9",
            "has replaced the cluster's data with a snapshot that a user restored",
        ),
        ("raft: restored from snapshot: id=2-9-1", "has restored its data from a snapshot"),
        ("raft: snapshot complete up to: index=9", "has taken a snapshot, up to entry 9"),
        ("raft: Failed to take snapshot: disk is full", "cannot take a snapshot"),
        (
            "raft.logstore.verifier: verification checksum FAILED: storage corruption: rangeStart=1",
            "finds that its disk has damaged its log",
        ),
        ("nomad: setting up raft WAL store: segment_size=1", "keeps its log in a write-ahead log"),
        (
            "agent.server: BoltDB file raft.db found, IGNORING raft_logstore.backend which is set to 'wal'",
            "keeps its log in BoltDB, whose file is there, and not in the write-ahead log that is set",
        ),
        (
            "nomad: cluster leadership gained and lost leadership immediately.  Could indicate network issues.",
            "gained and lost leadership at once: its network, memory or CPU may be too slow",
        ),
        ("consul: failed to wait for barrier: EOF", "could not commit its first entry as leader: EOF"),
    ],
)
def test_it_is_said_in_plain_words(words: str, sentence: str | None) -> None:
    assert said(words) == sentence


def test_each_sentence_is_of_an_event() -> None:
    assert set(SENTENCES) <= EVENTS


def told(*lines: str) -> list[str | None]:
    story = Story()
    read = [
        read_line(f"2021-01-24T00:02:{10 + number}.691Z [INFO]  {words}", server="consul1", line_no=number)
        for number, words in enumerate(lines)
    ]
    return [phrase(story.feed(event)) for event in read if event is not None]


def test_what_a_server_was_before_is_told_where_it_is_known() -> None:
    first = f'raft: initial configuration: index=1 servers="[{A} {B}]"'
    assert told(
        first,
        change("AddVoter", "u3", "10.0.0.4:8300", A, B, D),
        change("DemoteVoter", "u3", "", A, B, C),
        change("AddNonvoter", "u3", "10.0.0.4:8300", A, B, C),
        change("AddVoter", "u3", "10.0.0.4:8300", A, B, D),
        change("AddVoter", "u3", "10.0.0.4:8300", A, B, D),
        change("DemoteVoter", "u3", "", A, B, C),
        change("RemoveServer", "u3", "", A, B),
    )[1:] == [
        "adds 10.0.0.4:8300 as a voter: a majority is 2 of 3 now",
        "makes u3 a non-voter: a majority is 2 of 2 now",
        "adds 10.0.0.4:8300 again: it is a member already",
        "makes 10.0.0.4:8300 a voter: a majority is 2 of 3 now",
        "adds 10.0.0.4:8300 again: it is a member already",
        "makes u3 a non-voter: a majority is 2 of 2 now",
        "removes u3, a non-voter",
    ]


HOSTILE = st.one_of(
    st.text(max_size=30), st.sampled_from(["{}", "{0}", "[{", "]", "voter", "remove", "0", "3", "user", "{peer}", ": "])
)


@given(
    st.sampled_from(sorted(EVENTS)),
    st.one_of(st.none(), HOSTILE),
    st.dictionaries(
        st.sampled_from(
            ["servers", "command", "was", "server-id", "server-addr", "node", "what", "why", "error", "store", "where"]
        ),
        HOSTILE,
    ),
)
def test_no_text_of_others_makes_a_sentence_fail_or_long(name: str, peer: str | None, values: dict[str, str]) -> None:
    event = Event(None, "consul1", name, None, None, peer, None, "raft", None, 1, "", values)
    said = phrase(event)
    assert said is None or 0 < len(said) < 400
    for membership in (Membership(Names()), Story().membership):
        for told in (event, event._replace(values={}), event):
            membership.feed(told)
            assert membership.needed is None or membership.needed > 0
            assert membership.voters is None or membership.voters
