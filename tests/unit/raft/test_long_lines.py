"""Lines that were made to take long: a line's time grows as its length, and a number in it may have any length."""

from __future__ import annotations

import time

import pytest

from labctl.raft import grammar, log_notes
from labctl.raft.event_sentences import phrase
from labctl.raft.log_line import LONGEST
from labctl.raft.numbers import number_of
from labctl.raft.outage_tracker import Outage
from labctl.raft.reader import read_line
from labctl.raft.records import Election
from labctl.raft.story import Story
from labctl.shared import durations, server_status

SECONDS = 1.0
"""A tenth of it is enough on an idle machine; what is quadratic takes ten times as long."""
BEGINNINGS = [
    "raft: Initial configuration (index=1): ",
    'raft: failed to make requestVote RPC: target="{',
    'raft: pipelining replication: peer="{Voter ',
    "raft: pipelining replication to peer {",
    "raft: failed to heartbeat to {Voter ",
    "raft: Vote granted from ",
    "raft: Rejecting vote request from a since ",
    "raft: Node at ",
    "raft: updating configuration with a (",
    "raft: entering follower state: follower=",
    "serf: EventMemberJoin: ",
    "consul: adding server ",
    "labctl.fault: fault began: id=",
]
PUMPS = [
    "{",
    "{a",
    "a",
    "é",
    " a",
    "a ",
    "{a ",
    "1",
    "(",
    '"',
    '="',
    " a=",
    ' a="',
    ": ",
    "[",
    "[a",
    " [a]",
    "\x1b",
    "\x9b1",
]


def told(line: str) -> None:
    """Read a line as `labctl story` does."""
    story = Story()
    event = read_line(line, server="consul1", line_no=1)
    if event is not None:
        phrase(story.feed(event))


@pytest.mark.parametrize("pump", PUMPS)
def test_no_line_takes_long(pump: str) -> None:
    for beginning in BEGINNINGS:
        line = f"2024/01/01 00:00:00 [INFO] {beginning}"
        line += pump * ((LONGEST - len(line)) // len(pump))
        for end in ("", "}", '"'):
            begun = time.process_time()
            told(line + end)
            assert time.process_time() - begun < SECONDS, (beginning, pump, end)


@pytest.mark.parametrize("pump", PUMPS)
def test_no_text_of_a_server_takes_long(pump: str) -> None:
    text = pump * (LONGEST // len(pump))
    begun = time.process_time()
    log_notes.last(text)
    log_notes.last("2021-01-24T" * (LONGEST // 11))
    grammar.CONFIGURED_SERVER.fullmatch(f"{{{text}}}")
    durations.go_milliseconds(text)
    server_status.VOTER.findall(f"Suffrage:Voter ID:{text}")
    assert time.process_time() - begun < SECONDS


@pytest.mark.parametrize("text", ["", None, "-1", "1.5", "²", "٣", "1" * 19, "9" * 5000, " 1", "1_0"])
def test_what_is_no_number_of_a_real_cluster_is_none(text: str | None) -> None:
    assert number_of(text) is None


def test_a_number_fits_into_64_bits() -> None:
    assert number_of("9" * 18) == 10**18 - 1 < 2**63


@pytest.mark.parametrize(
    "line",
    [
        "raft: Node at 10.0.0.1:8300 [Candidate] entering Candidate state in term {}",
        "raft: Votes needed: {}",
        "raft: Vote granted from 10.0.0.2:8300. Tally: {}",
        "raft: Election won. Tally: {}",
        "raft: AppendEntries to 10.0.0.2:8300 rejected, sending older logs (next: {})",
        "raft: entering candidate state: node=a term={}",
        "raft: vote granted: from=a term=2 tally={}",
        "raft: appendEntries rejected, sending older logs: peer=a next={}",
    ],
)
@pytest.mark.parametrize("number", ["9" * 20, "9" * 5000])
def test_a_number_that_no_cluster_has_is_none(line: str, number: str) -> None:
    story = Story()
    leads = "2024/01/01 00:00:00 [INFO] raft: Node at 10.0.0.1:8300 [Leader] entering Leader state"
    lost = "2024/01/01 00:00:01 [WARN] raft: Failed to contact 10.0.0.2:8300 in 500ms"
    for number_of_line, text in enumerate([leads, lost, f"2024/01/01 00:00:02 [INFO] {line.format(number)}"], 1):
        event = read_line(text, server="consul1", line_no=number_of_line)
        assert event is not None
        event = story.feed(event)
        assert event.event != "other"
        assert event.term is None or event.term < 2**63
    story.finish()
    for record in story.drain():
        if isinstance(record, Election):
            assert (record.tally or 0) < 2**63
            assert (record.needed or 0) < 2**63
        elif isinstance(record, Outage):
            assert (record.behind or 0) < 2**63
