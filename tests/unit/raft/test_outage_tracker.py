"""Which server a leader could not reach, from when to when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from labctl.raft import summary_sentences
from labctl.raft.collection import Collection, collect
from labctl.raft.reader import read_line
from labctl.raft.record_stream import records
from labctl.story import log_files

if TYPE_CHECKING:
    from labctl.raft.outage_tracker import Outage

LEADS = (
    "00.000Z [INFO]  agent.server.raft: election won: term=4 tally=2",
    '00.000Z [INFO]  agent.server.raft: entering leader state: leader="Node at 10.0.0.1:8300 [Leader]"',
)
HEARTBEAT = "03.000Z [ERROR] agent.server.raft: failed to heartbeat to: peer=10.0.0.3:8300 backoff time=10ms error=no"
CONTACT = "04.000Z [WARN]  agent.server.raft: failed to contact: server-id=u3 time=2.5s"
BEHIND = '09.000Z [WARN]  agent.server.raft: appendEntries rejected, sending older logs: peer="{Voter u3 10.0.0.3:8300}" next=12'  # noqa: E501
BACK = '09.500Z [INFO]  agent.server.raft: pipelining replication: peer="{Voter u3 10.0.0.3:8300}"'
KNOWN = '00.100Z [INFO]  agent.server.raft: pipelining replication: peer="{Voter u3 10.0.0.3:8300}"'
GIVES_UP = "05.000Z [WARN]  agent.server.raft: failed to contact quorum of nodes, stepping down"
REMOVED = "06.000Z [INFO]  agent.server.raft: removed peer, stopping replication: peer=u3 last-index=9"


def story_of(*lines: str) -> Collection:
    read = (
        read_line(f"2021-01-24T00:00:{line}", server="consul1", line_no=number) for number, line in enumerate(lines, 1)
    )
    return collect(records(event for event in read if event))


def shown(outage: Outage) -> tuple[str, str | None, str | None, str | None]:
    since, until = (None if time is None else f"{time:%S.%f}"[:6] for time in (outage.since, outage.until))
    return outage.server, since, until, outage.ended_by


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((HEARTBEAT, CONTACT, BACK), ("10.0.0.3:8300", "01.500", "09.500", "reached")),
        ((HEARTBEAT, GIVES_UP), ("10.0.0.3:8300", "03.000", "05.000", "leadership")),
        ((CONTACT, REMOVED), ("u3", "01.500", "06.000", "removed")),
        ((HEARTBEAT,), ("10.0.0.3:8300", "03.000", None, None)),
    ],
)
def test_an_outage_has_a_beginning_an_end_and_what_ended_it(
    lines: tuple[str, ...], expected: tuple[str | None, ...]
) -> None:
    (outage,) = story_of(*LEADS, KNOWN, *lines).outages
    assert shown(outage) == expected


def test_what_the_server_had_missed_is_part_of_it() -> None:
    (outage,) = story_of(*LEADS, KNOWN, HEARTBEAT, BEHIND, BACK).outages
    assert outage.behind == 12
    assert summary_sentences.of_outage(outage) == (
        "consul1, the leader of term 4, could not reach 10.0.0.3:8300 for about 6 s, until 10.0.0.3:8300 answered "
        "again; then it was sent what it had missed, from entry 12 on."
    )


def test_a_lease_that_ran_out_is_told_beside_the_one_that_was_set() -> None:
    story = story_of(*LEADS, CONTACT, CONTACT.replace("u3", "u2"), GIVES_UP)
    (leadership,) = story.leaders
    assert leadership.without_majority == 2.5
    ends = "until it could not reach a majority for 2.5 s"
    assert summary_sentences.of_leadership(leadership) == f"consul1 led in term 4 for about 5 s, {ends}."


@pytest.mark.parametrize("lines", [(HEARTBEAT, BACK), (*LEADS, BACK), (*LEADS, BEHIND), (*LEADS, REMOVED)])
def test_who_does_not_lead_or_lost_nobody_has_no_outage(lines: tuple[str, ...]) -> None:
    assert story_of(*lines).outages == []


def test_that_one_server_was_silent_does_not_show_since_when_there_was_no_majority() -> None:
    (leadership,) = story_of(*LEADS, CONTACT, GIVES_UP).leaders
    assert (leadership.ended_by, leadership.without_majority) == ("quorum_lost", None)


def test_who_answers_with_an_older_log_is_reached_though_it_is_not_in_step_yet() -> None:
    (outage,) = story_of(*LEADS, KNOWN, HEARTBEAT, BEHIND).outages
    assert shown(outage) == ("10.0.0.3:8300", "03.000", "09.000", "reached")


def test_of_an_outage_whose_end_no_line_shows_it_is_not_said_that_it_lasts() -> None:
    (outage,) = story_of(*LEADS, KNOWN, HEARTBEAT).outages
    assert summary_sentences.of_outage(outage) == (
        "consul1, the leader of term 4, could not reach 10.0.0.3:8300; no line shows that it has answered since."
    )


def test_who_is_cut_off_in_a_real_log_comes_back_and_catches_up() -> None:
    story = collect(records(log_files.events(log_files.sample("consul-1.21"))))
    told = [summary_sentences.of_outage(outage) for outage in story.outages]
    assert any(
        "could not reach consul3 for" in sentence and "until consul3 answered again" in sentence for sentence in told
    )
    assert {outage.ended_by for outage in story.outages} >= {"reached", "leadership"}
    assert all(outage.server in {"consul1", "consul2", "consul3"} for outage in story.outages)
