"""Who votes, from the lines alone: against a cluster that is changed at random and writes what Consul would."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from labctl.raft.grammar import EVENTS
from labctl.raft.membership import SAYS_WHO_VOTES, Member, Membership, majority, members_in
from labctl.raft.merge import merge
from labctl.raft.reader import read_line
from labctl.raft.server_names import Names
from labctl.raft.story import Story
from tests.unit.raft.logs import recorded

if TYPE_CHECKING:
    from collections.abc import Callable

    from labctl.raft.event import Event

NAMES = Names()
"""Each server is called as its ID is."""
SERVERS = ["u1", "u2", "u3", "u4", "u5"]
COMMANDS = ["AddVoter", "AddNonvoter", "DemoteVoter", "RemoveServer"]
NUMBERS = {"AddVoter": 0, "AddNonvoter": 1, "DemoteVoter": 2, "RemoveServer": 3}


for _number in range(1, 10):
    NAMES.add(f"u{_number}", f"10.0.0.{_number}")


def address_of(server: str) -> str:
    return f"10.0.0.{server[1]}:8300"


def listed(config: dict[str, str]) -> str:
    return (
        "["
        + " ".join(f"{{Suffrage:{role} ID:{voter} Address:{address_of(voter)}}}" for voter, role in config.items())
        + "]"
    )


def hclog(command: str, server: str, address: str, servers: str) -> str:
    said = f'command={command} server-id={server} server-addr={address} servers="{servers}"'
    return f"2024-01-08T11:42:00.000Z [INFO]  agent.server.raft: updating configuration: {said}"


def sentence(command: str, server: str, address: str, servers: str) -> str:
    command = command.replace("AddVoter", "AddStaging")
    return (
        f"    2018/01/08 11:42:00 [INFO] raft: Updating configuration with {command} ({server}, {address}) to {servers}"
    )


def as_json(command: str, server: str, address: str, servers: str) -> str:
    said = {"command": NUMBERS[command], "server-id": server, "server-addr": address, "servers": servers}
    front = {"@level": "info", "@message": "updating configuration", "@module": "agent.server.raft"}
    return json.dumps({**front, "@timestamp": "2024-01-08T11:42:00.000000Z", **said})


def event_of(line: str, server: str = "consul1") -> Event:
    event = read_line(line, server=server, line_no=1)
    assert event is not None
    return event


@dataclass
class Cluster:
    """A cluster that is told of changes as raft's configuration.go is, and what each change made of it."""

    config: dict[str, str] = field(default_factory=lambda: {"u1": "Voter", "u2": "Voter", "u3": "Voter"})
    past: list[dict[str, str]] = field(default_factory=list)

    def change(self, command: str, server: str) -> bool:
        after = dict(self.config)
        if command == "AddVoter":
            after[server] = "Voter"
        elif command == "AddNonvoter":
            after.setdefault(server, "Nonvoter")
        elif command == "DemoteVoter" and server in after:
            after[server] = "Nonvoter"
        elif command == "RemoveServer":
            after.pop(server, None)
        if "Voter" not in after.values():
            return False  # raft refuses it
        self.past.append(self.config)
        self.config = after
        return True

    def voters(self) -> set[str]:
        return {voter for voter, role in self.config.items() if role == "Voter"}


def initial(config: dict[str, str], index: int, server: str) -> Event:
    said = f'initial configuration: index={index} servers="{listed(config)}"'
    return event_of(f"2024-01-08T11:42:00.000Z [INFO]  agent.server.raft: {said}", server)


CHANGES = st.tuples(st.sampled_from(COMMANDS), st.sampled_from(SERVERS))
# A server that starts again with a list that is so many changes old.
RESTARTS = st.tuples(st.just("restart"), st.integers(0, 6))


@example(
    steps=[("DemoteVoter", "u1"), *[("AddVoter", "u1")] * 3, ("restart", 4), ("restart", 3)], wording=hclog, begun=False
)
@given(
    st.lists(st.one_of(CHANGES, RESTARTS), max_size=40),
    st.sampled_from([hclog, sentence, as_json]),
    st.booleans(),
)
def test_the_voters_are_those_of_the_cluster_at_each_moment(
    steps: list[tuple[str, str | int]], wording: Callable[[str, str, str, str], str], begun: bool
) -> None:
    cluster, membership, index = Cluster(), Membership(NAMES), 1
    if begun:
        membership.feed(initial(cluster.config, index, "consul1"))
    # From which list on the log knows them, and whether a server has named an older one since the last change.
    known, first, doubtful = begun, 0, False
    for step, argument in steps:
        if isinstance(argument, int):
            if not known:
                continue  # nobody can know how old the first list of all is
            lag = min(argument, len(cluster.past))
            config = [*cluster.past, cluster.config][-1 - lag]
            membership.feed(initial(config, index - lag, "consul2"))
            doubtful = doubtful or len(cluster.past) - lag < first
        elif cluster.change(step, argument):
            first = first if known else len(cluster.past)
            index, known, doubtful = index + 1, True, False
            gone = step in {"RemoveServer", "DemoteVoter"}
            address = "" if gone else address_of(argument)
            membership.feed(event_of(wording(step, argument, address, listed(cluster.config))))
        if not known:
            assert (membership.voters, membership.needed) == (None, None)
            continue
        if doubtful and membership.voters is None:
            continue
        assert membership.voters is not None
        assert {member.id for member in membership.voters} == cluster.voters()
        assert membership.needed == majority(len(cluster.voters()))
        assert membership.nonvoters is not None
        assert {member.id for member in membership.nonvoters} == set(cluster.config) - cluster.voters()
        for server in SERVERS:
            role = {"Voter": "voter", "Nonvoter": "nonvoter"}.get(cluster.config.get(server, ""), "none")
            assert membership.role_of(server) == role
            assert membership.role_of(address_of(server)) == role


@given(st.lists(CHANGES, min_size=1, max_size=20))
def test_what_a_changed_server_was_is_said_with_the_change(changes: list[tuple[str, str]]) -> None:
    cluster, membership = Cluster(), Membership(NAMES)
    membership.feed(initial(cluster.config, 1, "consul1"))
    for command, server in changes:
        before = {"Voter": "voter", "Nonvoter": "nonvoter"}.get(cluster.config.get(server, ""), "none")
        if cluster.change(command, server):
            told = membership.feed(event_of(hclog(command, server, "", listed(cluster.config))))
            assert told.values["was"] == before


@given(st.lists(st.sampled_from(SERVERS), min_size=1, max_size=30))
def test_before_consul_0_7_the_list_of_peers_is_the_cluster(added: list[str]) -> None:
    membership = Membership(NAMES)
    peers: list[str] = []
    for voter in added:
        peers = [two for two in peers if two != voter] if voter in peers and len(peers) > 1 else sorted({*peers, voter})
        said = f"[DEBUG] raft: Node 10.0.0.1:8300 updated peer set (2): [{' '.join(map(address_of, peers))}]"
        membership.feed(event_of(f"2015/08/09 01:31:32 {said}"))
        assert membership.voters is not None
        assert {member.address for member in membership.voters} == set(map(address_of, peers))
        assert membership.needed == majority(len(peers))


@given(st.text(st.sampled_from("[]{} Suffrage:VoterNonvoterID:uAddress.10"), max_size=80), st.text(max_size=40))
def test_no_text_makes_it_raise_and_half_a_list_is_none(text: str, other: str) -> None:
    members_in(text)
    members_in(other)
    whole = listed({"u1": "Voter", "u2": "Nonvoter"})
    assert members_in(whole) is not None
    assert all(members_in(whole[:end]) is None for end in range(len(whole)))


def test_a_list_is_read_in_each_of_its_forms() -> None:
    member, two = Member("u1", "10.0.0.1:8300", votes=True), Member("u2", "10.0.0.2:8300", votes=False)
    assert members_in(listed({"u1": "Voter", "u2": "Nonvoter"})) == (member, two)
    assert members_in("[{Voter u1 10.0.0.1:8300} {Staging u2 10.0.0.2:8300}]") == (member, two)
    assert members_in("[10.0.0.1:8300]") == (Member("10.0.0.1:8300", "10.0.0.1:8300", votes=True),)
    assert members_in("[]") == ()
    assert members_in(None) is None


def at(seconds: float, words: str, server: str = "consul1") -> Event:
    return event_of(f"2024-01-08T11:42:{seconds:06.3f}Z [INFO]  agent.server.raft: {words}", server)


THREE = {"u1": "Voter", "u2": "Voter", "u3": "Voter"}
TWO = {"u1": "Voter", "u2": "Voter"}


@pytest.mark.parametrize(("seconds", "needed"), [(12.0, None), (50.0, 2)])
def test_what_was_changed_just_before_the_majority_was_lost_is_unknown(seconds: float, needed: int | None) -> None:
    membership = Membership(NAMES)
    membership.feed(initial(THREE, 1, "consul1"))
    membership.feed(at(10, f'updating configuration: command=RemoveServer server-id=u3 servers="{listed(TWO)}"'))
    assert membership.needed == 2
    membership.feed(at(seconds, "failed to contact quorum of nodes, stepping down"))
    assert membership.needed == needed
    assert (membership.voters is None) == (needed is None)


def test_a_list_that_contradicts_what_was_said_is_unknown_until_the_next_change() -> None:
    membership = Membership(NAMES)
    change = "updating configuration: command=AddVoter server-id=u3 server-addr=a servers="
    membership.feed(at(1, f'{change}"{listed(THREE)}"'))
    other = {"u1": "Voter", "u7": "Voter"}
    membership.feed(initial(other, 90, "consul2"))
    assert membership.voters is None
    membership.feed(initial(THREE, 95, "consul3"))
    assert membership.voters is None
    membership.feed(at(2, f'{change}"{listed(THREE)}"'))
    assert membership.needed == 2


def test_the_newer_of_two_lists_counts() -> None:
    membership = Membership(NAMES)
    membership.feed(initial(TWO, 9, "consul1"))
    membership.feed(initial(THREE, 12, "consul2"))
    membership.feed(initial({"u1": "Voter"}, 5, "consul3"))
    assert membership.voters is not None
    assert len(membership.voters) == 3


def test_without_a_list_the_majority_is_that_of_the_candidate() -> None:
    membership = Membership(NAMES)
    membership.feed(at(1, "calculated votes needed: needed=3 term=2"))
    assert (membership.voters, membership.needed) == (None, 3)
    membership.feed(at(2, "pre-vote successful, starting election: term=2 tally=2 refused=0 votesNeeded=2"))
    assert membership.needed == 2
    membership.feed(initial(TWO, 9, "consul1"))
    # Five servers by now, and no line here says which.
    membership.feed(at(3, "calculated votes needed: needed=3 term=3", "u1"))
    assert (membership.voters, membership.needed) == (None, 3)


def test_a_victory_with_fewer_votes_than_a_majority_shows_that_the_list_is_old() -> None:
    membership = Membership(NAMES)
    found = "consul: Found expected number of peers, attempting bootstrap: 10.0.0.1:8300,10.0.0.2:8300,10.0.0.3:8300"
    for said in (found, "raft: Election won. Tally: 2"):
        membership.feed(event_of(f"2018/01/24 19:03:24 [INFO] {said}"))
    assert membership.needed == 2
    membership.feed(event_of("2018/01/24 19:03:24 [INFO] raft: Election won. Tally: 1"))
    assert membership.voters is None


def test_who_is_no_voter_any_more_counts_with_an_old_list() -> None:
    names = Names()
    for number in range(1, 6):
        names.add(f"consul{number}", f"10.0.0.{number}")
    membership = Membership(names)
    five = dict.fromkeys(SERVERS, "Voter")
    membership.feed(initial(five, 1, "consul1"))
    two = {"u1": "Voter", "u2": "Voter", "u3": "Nonvoter"}
    membership.feed(at(10, f'updating configuration: command=RemoveServer server-id=u4 servers="{listed(two)}"'))
    for removed in ("consul3", "consul4", "consul5"):
        membership.feed(at(11, "calculated votes needed: needed=3 term=9", removed))
        assert membership.needed == 2
    assert [membership.role_of(f"consul{number}") for number in (1, 3, 5)] == ["voter", "nonvoter", "none"]
    membership.feed(at(12, "calculated votes needed: needed=3 term=9", "consul2"))
    assert (membership.voters, membership.needed) == (None, 3)
    # Whom nobody has named may be any of them.
    assert Membership(Names()).role_of("consul1") is None
    strange = Membership(Names())
    strange.feed(initial(two, 1, "consul1"))
    assert strange.role_of("consul9") is None


def test_servers_that_find_each_other_are_the_cluster_unless_that_fails() -> None:
    line_start = (
        "2024-01-08T11:42:00Z [INFO]  agent.server: Found expected number of peers, attempting bootstrap: peers="
    )
    membership = Membership(NAMES)
    membership.feed(event_of(f"{line_start}10.0.0.1:8300,10.0.0.2:8300,10.0.0.3:8300"))
    assert membership.needed == 2
    # The same servers with their IDs are no other list.
    membership.feed(initial(THREE, 1, "consul2"))
    assert membership.role_of("u3") == "voter"
    failed = Membership(NAMES)
    failed.feed(event_of(f"{line_start}10.0.0.1:8300,10.0.0.2:8300"))
    failed.feed(event_of("2024-01-08T11:42:00Z [ERROR] agent.server: Failed to bootstrap cluster: error=x"))
    assert failed.needed is None
    recovered = Membership(NAMES)
    recovered.feed(initial(THREE, 1, "consul1"))
    recovered.feed(
        event_of("2018/01/08 11:42:00 [INFO] consul: found peers.json file, recovering Raft configuration...")
    )
    assert recovered.needed is None
    recovered.feed(initial(TWO, 4, "consul1"))
    assert recovered.voters is not None


def test_a_change_without_its_list_is_unknown() -> None:
    membership = Membership(NAMES)
    membership.feed(initial(THREE, 1, "consul1"))
    membership.feed(at(1, f'updating configuration: command=AddVoter server-id=u4 servers="{listed(THREE)[:-9]}'))
    assert (membership.voters, membership.needed, membership.role_of("u1")) == (None, None, None)


def test_it_is_told_all_that_it_takes_in() -> None:
    assert set(Membership(NAMES).acts) == SAYS_WHO_VOTES
    assert SAYS_WHO_VOTES < EVENTS


def merged(name: str) -> list[Event]:
    streams = []
    for server, text in recorded(name).items():
        read = (read_line(line, server=server, line_no=number) for number, line in enumerate(text.splitlines(), 1))
        streams.append([event for event in read if event is not None])
    return list(merge(streams))


@pytest.mark.parametrize("name", ["consul-1.6", "consul-1.8", "consul-1.14-json", "consul-1.15", "consul-1.21"])
def test_the_quorum_of_a_real_log_follows_its_changes(name: str) -> None:
    story, needed = Story(), []
    for event in merged(name):
        if story.feed(event).event == "config_change":
            voters = story.membership.voters
            needed.append((None if voters is None else len(voters), story.membership.needed))
    # One of three was removed and added again.
    assert needed == [(2, 2), (3, 2)]


def said_of(events: list[Event]) -> list[tuple[set[str] | None, int | None]]:
    story, said = Story(), []
    for event in events:
        story.feed(event)
        voters = story.membership.voters
        said.append((None if voters is None else {member.address for member in voters}, story.membership.needed))
    return said


@pytest.mark.parametrize("name", ["consul-0.5", "consul-1.6", "consul-1.14-json", "consul-1.21", "lost-quorum"])
def test_a_log_without_its_beginning_says_nothing_else_than_the_whole(name: str) -> None:
    events = merged(name)
    whole = said_of(events)
    for cut in range(0, len(events), 23):
        for (voters, needed), (all_voters, all_needed) in zip(said_of(events[cut:]), whole[cut:], strict=True):
            assert voters is None or voters == all_voters
            assert needed is None or needed == all_needed
