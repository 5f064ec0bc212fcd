"""One server under its ID, its name and each of its addresses; never two servers under one."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from labctl.raft.collection import Collection, collect
from labctl.raft.reader import read_line
from labctl.raft.record_stream import records
from labctl.raft.server_names import Names
from labctl.raft.speakers import own_address

if TYPE_CHECKING:
    from labctl.raft.event import Event

AT = "2024-01-08T11:42:24.{:03}Z [INFO]  {}"
ID = "575c8e14-e841-7b67-7e72-8679b0632aae"


def events(server: str, *lines: str) -> list[Event]:
    read = (read_line(AT.format(number, line), server=server, line_no=number) for number, line in enumerate(lines, 1))
    return [event for event in read if event is not None]


def names_of(*of: Event) -> Names:
    names = Names()
    for event in of:
        names.learn(event)
    return names


def told(*of: Event) -> Collection:
    return collect(records(iter(of)))


LISTED = 'agent.server.raft: pipelining replication: peer="{{Voter {} {}}}"'
WAYS = {
    "a list": LISTED.format(ID, "10.0.0.2:8300"),
    "a vote": f"agent.server.raft: asking for vote: term=3 from={ID} address=10.0.0.2:8300",
    "its leader": f"agent.server.raft: entering follower state: follower=x leader-address=10.0.0.2:8300 leader-id={ID}",
    "the last leader": (
        "agent.server.raft: heartbeat timeout reached, starting election: last-leader-addr=10.0.0.2:8300 "
        f"last-leader-id={ID}"
    ),
    "a change": (
        "agent.server.raft: updating configuration: command=AddVoter "
        f'server-id={ID} server-addr=10.0.0.2:8300 servers="[]"'
    ),
}
CALLED = {
    "gossip": "agent.server.serf.lan: serf: EventMemberJoin: server-2 10.0.0.2",
    "gossip that it failed": "agent.server.serf.lan: serf: EventMemberFailed: server-2 10.0.0.2",
    "gossip that it left": "agent.server.serf.lan: serf: EventMemberLeave: server-2 10.0.0.2",
    "consul": 'agent.server: Adding LAN server: server="server-2 (Addr: tcp/10.0.0.2:8300) (DC: dc1)"',
    "consul before 1.7": "consul: Adding LAN server server-2 (Addr: tcp/10.0.0.2:8300) (DC: dc1)",
    "autopilot": f"agent.server.autopilot: Promoting server: id={ID} address=10.0.0.2:8300 name=server-2",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("call", CALLED)
@pytest.mark.parametrize("back", [False, True])
def test_a_server_without_a_log_is_called_by_its_name_whatever_a_line_calls_it(way: str, call: str, back: bool) -> None:
    lines = [WAYS[way], CALLED[call]]
    names = names_of(*events("server-1", *(lines[::-1] if back else lines)))
    assert {names(ID), names("10.0.0.2:8300"), names("server-2")} == {"server-2"}
    assert {names.place(ID), names.place("10.0.0.2:8300")} == {"server-2"}
    assert names.server(ID) is None


@pytest.mark.parametrize("call", CALLED)
def test_a_server_whose_log_has_another_name_is_one_server(call: str) -> None:
    own = events("n2", 'agent.server.raft: entering follower state: follower="Node at 10.0.0.2:8300 [Follower]"')
    names = names_of(*own, *events("n1", WAYS["a list"], CALLED[call]))
    assert {names(name) for name in (ID, "10.0.0.2:8300", "10.0.0.2", "server-2", "n2")} == {"n2"}


STORE = (
    'raft: entering leader state: leader="Node at [::]:8400 [Leader]"',
    "raft: failed to contact: server-id=store-2 time=500ms",
    'raft: pipelining replication: peer="{Voter store-2 store-2.svc:8400}"',
)


def test_a_server_that_answers_under_its_address_is_no_longer_out_of_reach_under_its_id() -> None:
    other = events("store-2", 'raft: entering follower state: follower="Node at [::]:8400 [Follower]" leader=')
    for order in itertools.permutations([*events("store-0", *STORE)[:1], *other]):
        (outage,) = told(*order, *events("store-0", *STORE)[1:]).outages
        assert (outage.server, outage.ended_by) == ("store-2", "reached")


def test_who_is_known_by_its_own_vote_is_out_of_reach_once_under_its_id_and_its_address() -> None:
    vote = events("n2", f"agent.server.raft: vote granted: from={ID} term=3 tally=1")
    leader = events(
        "n1",
        'agent.server.raft: entering leader state: leader="Node at 10.0.0.1:8300 [Leader]"',
        LISTED.format(ID, "10.0.0.2:8300"),
        f"agent.server.raft: failed to contact: server-id={ID} time=500ms",
        "agent.server.raft: failed to heartbeat to: peer=10.0.0.2:8300 error=EOF",
    )
    assert [outage.server for outage in told(*vote, *leader).outages] == ["n2"]
    assert names_of(*vote, *leader)("10.0.0.2:8300") == "n2"


def test_a_line_that_is_cut_off_within_a_servers_name_names_none() -> None:
    wrapped, whole = events(
        "",
        'agent.server.raft: entering candidate state: node="Node at',
        'agent.server.raft: entering candidate state: node="Node at 10.0.0.2:8300 [Candidate]" term=4',
    )
    assert own_address(wrapped) is None
    assert own_address(whole) == "10.0.0.2:8300"
    named = [event._replace(server="n2") for event in (wrapped, whole)]
    assert names_of(*named)("Node at") == "Node at"
    # Its term is cut off, too: it is not counted.
    assert [election.term for election in told(*named).elections] == [None, 4]


def test_the_old_address_of_a_server_is_no_outage_of_its_own() -> None:
    story = told(
        *events(
            "n1",
            "agent.server.raft: entering leader state: leader=x",
            "agent.server.raft: failed to heartbeat to: peer=10.0.0.2:8300 error=timeout",
            f"agent.server.raft: updating configuration: command=AddVoter server-id={ID} server-addr=10.0.0.2:8300",
            f"agent.server.raft: updating configuration: command=AddVoter server-id={ID} server-addr=10.0.0.7:8300",
            f"agent.server.raft: failed to contact: server-id={ID} time=2.5s",
            "agent.server.raft: failed to heartbeat to: peer=10.0.0.7:8300 error=timeout",
            LISTED.format(ID, "10.0.0.7:8300"),
        )
    )
    assert [(outage.ended_by) for outage in story.outages] == ["reached"]


def test_who_failed_is_the_leader_that_is_not_heard_any_more() -> None:
    story = told(
        *events(
            "n1",
            "agent.server.serf.lan: serf: EventMemberFailed: consul-server-0 10.40.9.116",
            "agent.server.raft: heartbeat timeout reached, starting election: last-leader=10.40.9.116:8300",
        )
    )
    assert story.events[1].peer == "consul-server-0"


SPEAKS = 'agent.server.raft: entering follower state: follower="Node at {} [Follower]"'


def test_an_address_that_two_servers_claim_at_once_is_of_neither() -> None:
    names = names_of(*events("n1", SPEAKS.format("10.0.0.1:8300")), *events("n2", SPEAKS.format("10.0.0.1:8300")))
    assert names("10.0.0.1:8300") == "10.0.0.1:8300"


def test_an_address_that_another_server_has_by_now_is_of_that_one() -> None:
    names = names_of(
        *events("n1", SPEAKS.format("10.0.0.1:8300"), SPEAKS.format("10.0.0.5:8300")),
        *events("n2", SPEAKS.format("10.0.0.1:8300")),
    )
    assert (names("10.0.0.1:8300"), names("10.0.0.5:8300")) == ("n2", "n1")


def test_two_members_of_one_machine_are_told_apart_by_their_ports_or_not_at_all() -> None:
    gossip = "agent.server.serf.lan: serf: EventMemberJoin: {} 127.0.0.1"
    names = names_of(*events("n1", gossip.format("a"), gossip.format("b")))
    assert names("127.0.0.1:8300") == "127.0.0.1:8300"
    added = 'agent.server: Adding LAN server: server="{} (Addr: tcp/127.0.0.1:{}) (DC: dc1)"'
    names = names_of(
        *events("n1", gossip.format("a"), gossip.format("b"), added.format("a", 8300), added.format("b", 9300))
    )
    assert (names("127.0.0.1:8300"), names("127.0.0.1:9300")) == ("a", "b")


@pytest.mark.parametrize("module", ["agent.server.serf.wan: serf", "serf"])
def test_the_pool_of_all_datacenters_gives_no_second_name(module: str) -> None:
    lan = "agent.server.serf.lan: serf: EventMemberJoin: server-2 10.0.0.2"
    wan = f"{module}: EventMemberJoin: server-2.dc1 10.0.0.2"
    for lines in ((lan, wan), (wan, lan)):
        assert names_of(*events("n1", *lines))("10.0.0.2:8300") == "server-2"


def test_an_address_of_nobody_is_no_name() -> None:
    names = names_of(*events("n1", SPEAKS.format("[::]:8400")), *events("n2", LISTED.format(ID, "[::]:8400")))
    assert names("[::]:8400") == "[::]:8400"
    assert names(ID) == ID


@pytest.mark.parametrize("said", ["agent.client: New leader elected: payload=server-3", CALLED["gossip"]])
def test_a_client_is_no_server(said: str) -> None:
    story = told(*events("client", said.replace("agent.server", "agent.client")))
    assert len(story.events) == 1
    assert story.servers == []


def test_names_are_bounded_whatever_a_log_says() -> None:
    names = Names()
    many = (
        f"agent.server.serf.lan: serf: EventMemberJoin: m{number} 10.{number // 250}.0.{number % 250}"
        for number in range(500)
    )
    for event in events("n1", *many):
        names.learn(event)
        names(event.peer)
    assert names("10.1.0.7:8300") == "m257"


def test_a_server_without_a_name_is_called_by_its_address_and_not_by_a_number() -> None:
    names = names_of(*events("n1", LISTED.format(ID, "10.0.0.7:8300"), LISTED.format("vault-2", "10.0.0.8:8201")))
    assert [names(name) for name in (ID, "10.0.0.7:8300", "vault-2")] == ["10.0.0.7:8300", "10.0.0.7:8300", "vault-2"]


def test_a_leader_before_the_log_is_called_by_its_name() -> None:
    said = (
        "agent.server.serf.lan: serf: EventMemberFailed: consul-server-0 10.40.9.116",
        "agent.server.raft: heartbeat timeout reached, starting election: last-leader=10.40.9.116:8300",
    )
    assert [leadership.server for leadership in told(*events("n1", *said)).leaders] == ["consul-server-0"]
