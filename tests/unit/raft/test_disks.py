"""What a server's log shows of its disk, and what it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from labctl.raft.collection import collect
from labctl.raft.incident_sentences import of_incident
from labctl.raft.reader import read_line
from labctl.raft.record_stream import records
from tests.unit.raft.lines import LEADS, told

if TYPE_CHECKING:
    from labctl.raft.incident import Incident

STOOD = '[INFO]  agent.server.raft: entering candidate state: node="Node at 10.0.0.2:8300 [Candidate]" term=3'
NEEDS = "[DEBUG] agent.server.raft: votes: needed=2"
NEEDS_MODERN = "[DEBUG] agent.server.raft: calculated votes needed: needed=2 term=3"
ASKS_FIRST = "[DEBUG] agent.server.raft: pre-voting for self: term=3 id=10.0.0.2:8300"
WOULD_WIN = "[INFO]  agent.server.raft: pre-vote successful, starting election: term=3 tally=2 refused=0 votesNeeded=2"
FOR_SELF = "[DEBUG] agent.server.raft: voting for self: term=3 id=10.0.0.2:8300"
OWN_VOTE = "[DEBUG] agent.server.raft: vote granted: from=10.0.0.2:8300 term=3 tally=1"
OTHERS_VOTE = "[DEBUG] agent.server.raft: vote granted: from=10.0.0.3:8300 term=3 tally=2"
FOLLOWS = '[INFO]  agent.server.raft: entering follower state: follower="Node at 10.0.0.2:8300 [Follower]" leader='
BEGINS = "[INFO]  agent.server.raft: starting snapshot up to: index=16393"
TAKEN = "[INFO]  agent.server.raft: snapshot complete up to: index=16393"
FULL = '[ERROR] agent.server.raft: failed to commit logs: error="write /consul/raft/raft.db: no space left on device"'
NO_VOTE = '[ERROR] agent.server.raft: failed to persist vote: error="input/output error"'
DAMAGED = "[ERROR] agent.server.raft: verification checksum FAILED: storage corruption: rangeStart=1"
SLOW = "consul2 needed 1.3 s to write its new term and its vote."


def disks(*lines: tuple[float, str, str]) -> list[Incident]:
    return [incident for incident in told(LEADS, *lines).incidents if incident.kind in {"slow_disk", "failed_writes"}]


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([(5.001, STOOD), (6.301, NEEDS)], id="until it says how many votes it needs"),
        pytest.param([(5.001, STOOD), (6.301, NEEDS_MODERN)], id="in newer words"),
        pytest.param([(5.001, STOOD), (6.301, FOR_SELF)], id="until it votes for itself"),
        pytest.param([(5.001, STOOD), (6.301, OWN_VOTE)], id="until it has its own vote"),
        pytest.param([(4.0, STOOD), (4.1, ASKS_FIRST), (5.001, WOULD_WIN), (6.301, FOR_SELF)], id="after its pre-vote"),
    ],
)
def test_a_candidate_that_needs_long_to_write_its_vote_has_a_slow_disk(lines: list[tuple[float, str]]) -> None:
    (incident,) = disks(*((second, "consul2", line) for second, line in lines))
    assert (incident.kind, incident.inferred) == ("slow_disk", True)
    assert incident.longest == pytest.approx(1.3)
    assert of_incident(incident) == (
        f"2026-11-24 12:00:05 UTC: {SLOW} The disk is slow, or the machine stood still (inferred)."
    )


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([(5.001, STOOD), (5.02, NEEDS)], id="soon"),
        pytest.param([(5.001, STOOD), (9.0, OTHERS_VOTE)], id="it waited for others"),
        pytest.param([(5.001, STOOD), (5.1, ASKS_FIRST), (9.0, NEEDS_MODERN)], id="it asks first and writes nothing"),
        pytest.param([(5.001, STOOD), (5.9, FOLLOWS), (9.0, NEEDS)], id="it was something else meanwhile"),
        pytest.param([(5.001, STOOD), (5.1, "[INFO]  labctl.docker: container paused"),
                      (9.0, "[INFO]  labctl.docker: container unpaused"), (9.001, NEEDS)], id="it was frozen"),
        pytest.param([(5.001, BEGINS), (5.5, TAKEN)], id="a snapshot"),
        pytest.param([(99.0, TAKEN)], id="a snapshot whose beginning no line shows"),
    ],
)  # fmt: skip
def test_what_may_be_otherwise_is_no_slow_disk(lines: list[tuple[float, str]]) -> None:
    assert disks(*((second, "consul2", line) for second, line in lines)) == []


def test_stamps_of_whole_seconds_show_no_half_of_one() -> None:
    lines = "2015/08/09 01:31:3{} [INFO] raft: Node at 10.0.0.2:8300 [Candidate] entering Candidate state"
    assert told_in_2015(lines.format(2), "2015/08/09 01:31:33 [DEBUG] raft: Votes needed: 2") == []
    assert len(told_in_2015(lines.format(2), "2015/08/09 01:31:35 [DEBUG] raft: Votes needed: 2")) == 1


def told_in_2015(*lines: str) -> list[Incident]:
    events = (read_line(line, server="n1", line_no=number) for number, line in enumerate(lines, 1))
    story = collect(records(event for event in events if event is not None))
    return [incident for incident in story.incidents if incident.kind == "slow_disk"]


def test_a_snapshot_that_takes_long_is_large_or_its_disk_is_slow() -> None:
    (incident,) = disks((5.001, "consul1", BEGINS), (53.001, "consul1", TAKEN))
    assert of_incident(incident) == (
        "2026-11-24 12:00:05 UTC: consul1, which led, needed 48.0 s for a snapshot. "
        "The snapshot is large, or the disk is slow (inferred)."
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (FULL, "could not write its log: no space left on device."),
        (NO_VOTE, "could not write its vote: input/output error."),
        (DAMAGED, "could not keep its log."),
    ],
)
def test_a_disk_that_cannot_be_written_to_is_told_with_the_reason(line: str, said: str) -> None:
    (incident,) = disks((5.001, "consul2", line))
    assert (incident.kind, incident.inferred) == ("failed_writes", False)
    assert of_incident(incident).startswith(f"2026-11-24 12:00:05 UTC: consul2 {said} Its disk is full or broken.")


def test_what_is_said_again_and_again_is_told_once() -> None:
    (incident,) = disks(*((5.0 + second, "consul2", FULL) for second in range(28)))
    assert incident.count == 28
    assert "could not write its log 28 times within about 27 s: no space left on device." in of_incident(incident)


def test_any_number_of_reasons_is_told_and_few_are_held() -> None:
    lines = [(5.0 + number / 10, "consul2", FULL.replace("device", f"device {number}")) for number in range(300)]
    assert len(disks(*lines)) == 300
