"""The sentences for a learner."""

from __future__ import annotations

import pytest

from labctl.raft.event_sentences import phrase
from labctl.raft.reader import read_line

NAMES = {"10.0.0.3:8300": "consul2", "u2": "consul2"}


def said(words: str) -> str | None:
    event = read_line(f"2021-01-24T00:02:16.691Z [INFO]  {words}", server="consul1", line_no=1)
    assert event is not None
    return phrase(event._replace(peer=NAMES.get(event.peer or "", event.peer)))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("raft: no known peers, aborting election", "knows no peers: it waits"),
        ('raft: entering follower state: follower="x" leader=', "is a follower, and knows no leader"),
        ('raft: entering follower state: follower="x" leader=10.0.0.3:8300', "is a follower of consul2"),
        (
            'raft: entering follower state: follower="x" leader-address= leader-id=',
            "is a follower, and knows no leader",
        ),
        ('raft: Node at x [Follower] entering Follower state (Leader: "")', "is a follower, and knows no leader"),
        ("raft: Node at x [Follower] entering Follower state", "is a follower"),
        ("raft: Duplicate RequestVote from candidate: 10.0.0.3:8300", "votes for consul2 (again)"),
        ("raft: duplicate requestVote from: candidate=10.0.0.3:8300", "votes for consul2 (again)"),
        (
            "raft: heartbeat timeout reached, starting election: last-leader=",
            "has not heard from a leader in time",
        ),
        (
            "raft: heartbeat timeout reached, starting election: last-leader=u2",
            "has not heard from the leader consul2 in time",
        ),
        ('raft: entering candidate state: node="x" term=2', "becomes a candidate in term 2"),
        ("raft: Node at x [Candidate] entering Candidate state", "becomes a candidate"),
        ("raft: calculated votes needed: needed=2 term=2", "needs 2 votes to win in term 2"),
        ("raft: voting for self: term=2 id=u1", "votes for itself in term 2"),
        (
            "raft: asking for vote: term=2 from=u2 address=10.0.0.3:8300",
            "asks consul2 for its vote in term 2",
        ),
        ("raft: vote granted: from=u1 term=2 tally=1", "has the vote of u1: 1 vote in term 2"),
        ("raft: vote granted: from=u2 term=2 tally=2", "has the vote of consul2: 2 votes in term 2"),
        ("raft: Vote granted. Tally: 2", "has 2 votes"),
        ("raft: election won: term=2 tally=2", "won the election of term 2 with 2 votes"),
        ("raft: Election won. Tally: 2", "won the election with 2 votes"),
        ('raft: entering leader state: leader="x"', "is the leader"),
        ("agent.server: New leader elected: payload=consul3", "hears that consul3 is the leader"),
        ("agent.server: cluster leadership acquired", "leads the cluster"),
        ("raft: Election timeout reached, restarting election", "got no majority in time: it tries again"),
        (
            "raft: rejecting vote request since we have a leader: from=10.0.0.3:8300 leader=x",
            "does not vote for consul2: it has a leader, x",
        ),
        (
            "raft: Rejecting vote request from 10.0.0.3:8300 since we have a leader: 10.0.0.9:8300",
            "does not vote for consul2: it has a leader, 10.0.0.9:8300",
        ),
        (
            "raft: rejecting vote request since we have a leader: from=10.0.0.3:8300 leader=consul1",
            "does not vote for consul2: it is the leader itself",
        ),
        (
            "raft: rejecting pre-vote request since we have a leader: from=u2 leader-address= leader-id=",
            "would not vote for consul2: it has a leader",
        ),
        (
            "raft: Rejecting vote request from u2 since our last index is greater (9, 8)",
            "does not vote for consul2: its own log is longer",
        ),
        (
            "raft: rejecting pre-vote request since our last term is greater: candidate=u2",
            "would not vote for consul2: its own log is newer",
        ),
        ("raft: failed to contact: server-id=u2 time=1s", "cannot reach consul2"),
        (
            "raft: failed to contact quorum of nodes, stepping down",
            "cannot reach a majority: it gives up leadership",
        ),
        (
            "raft: pre-vote successful, starting election: term=2",
            "would be elected by a majority: it starts the election",
        ),
        ("agent.server.serf.lan: serf: EventMemberJoin: consul3 10.0.0.4", "sees consul3 join"),
        ("agent.server.serf.lan: serf: EventMemberJoin: consul1 10.0.0.2", "joins the gossip"),
        ("agent.server.serf.wan: serf: EventMemberJoin: consul3.ada 10.0.0.4", None),
        ("agent.server.memberlist.wan: memberlist: Suspect consul3.dc1 has failed, no acks received", None),
        (
            "agent.server.memberlist.lan: memberlist: Suspect consul3 has failed, no acks received",
            "suspects that consul3 has failed",
        ),
        (
            "agent.server.memberlist.lan: memberlist: Refuting a suspect message (from: consul3)",
            "hears that consul3 suspects it, and says that it is alive",
        ),
        (
            "memberlist: Refuting a dead message (from: consul3)",
            "hears that consul3 considers it failed, and says that it is alive",
        ),
        ("agent.server.memberlist.wan: memberlist: Refuting a suspect message (from: consul3.dc1)", None),
        (
            "agent.server.memberlist.lan: memberlist: Refuting a suspect message (from: consul1)",
            "hears that it is suspected, and says that it is alive",
        ),
        (
            "memberlist: Was able to connect to consul3 but other probes failed, network may be misconfigured",
            "reaches consul3 over TCP, but not over UDP",
        ),
        ("core: acquired lock, enabling active operation", "becomes the active server"),
        ("core: entering standby mode", "is on standby"),
        ("core: leadership lost, stopping active operation", "is no longer the active server"),
        ("core: vault is unsealed", "is unsealed"),
        ('labctl.fault: fault began: id=a servers=consul1 what="kill consul1"', "is about to be killed on purpose"),
        (
            'labctl.fault: fault began: id=a servers=consul1 what="pause consul1" seconds=5',
            "is about to be frozen on purpose, for 5 s",
        ),
        (
            'labctl.fault: fault began: id=a servers=consul1 what="loss 70 consul1"',
            "is disturbed on purpose: loss 70 consul1",
        ),
        ("labctl.fault: fault ended: id=a servers=consul1", "the fault is over"),
        ("raft: accepted connection: remote-address=10.0.0.4:1", None),
        ("raft: never heard of", None),
    ],
)
def test_an_event_is_said_in_plain_words(words: str, sentence: str | None) -> None:
    assert said(words) == sentence


def test_a_peer_without_a_name_is_called_as_the_line_calls_it() -> None:
    assert said("raft: failed to contact: server-id=u9 time=1s") == "cannot reach u9"
    assert (
        said("raft: Rejecting vote since our last index is greater")
        == "does not vote for another server: its own log is longer"
    )


def test_an_id_that_nobody_explained_is_no_name_of_a_voter() -> None:
    voter = "e92c4db4-c844-a78f-c167-6660e0e58baa"
    assert said(f"raft: vote granted: from={voter} term=2 tally=2") == "has 2 votes in term 2"
    assert said("raft: Vote granted. Tally: 2") == "has 2 votes"


def test_who_has_voted_already_is_said_to_be_asked_for_its_vote() -> None:
    event = read_line("2022-11-24T09:17:48.879Z [INFO]  raft: duplicate requestVote for same term: term=19", server="v",
                      line_no=1)  # fmt: skip
    assert event is not None
    assert phrase(event) == "is asked for its vote in term 19, and has already given it"
