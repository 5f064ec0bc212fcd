"""What each server says of its cluster, and whether that makes the lab ready."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.shared import durations, server_status
from labctl.shared.consul_client import ConsulClient
from labctl.shared.server_status import Member, View

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.stand_ins import FakeCluster

ADDRESSES = ("10.213.0.2", "10.213.0.3", "10.213.0.4")


def ready_views() -> list[View]:
    """Three servers, of which consul1 leads in term 2."""
    return [
        View(
            f"consul{number + 1}",
            address,
            state="leader" if number == 0 else "follower",
            leader=ADDRESSES[0],
            term=2,
            applied_index=10,
            members=3,
            voters=frozenset(ADDRESSES),
        )
        for number, address in enumerate(ADDRESSES)
    ]


def members_of(cluster: FakeCluster) -> list[Member]:
    return [
        Member(fake_server.name, fake_server.address, ConsulClient(fake_server.http_port))
        for fake_server in cluster.servers
    ]


# -- durations -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("31.4ms", 31.4),
        ("1m2.5s", 62_500),
        ("2h3m", 7_380_000),
        ("15µs", 0.015),
        ("15us", 0.015),
        ("20ns", 0.00002),
        (".5s", 500),
    ],
)
def test_a_duration_of_go_is_read_in_milliseconds(text: str, milliseconds: float) -> None:
    assert durations.go_milliseconds(text) == pytest.approx(milliseconds)


NONE = ["never", "", "5", "s", ".s", "1.2.3s", "5s later", "-5ms", "٣s", "5S", "9" * 18 + "h", "2562048h"]


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_duration_is_none(text: str) -> None:
    assert durations.go_milliseconds(text) is None


@given(st.text("0123456789.hmsnuµ", max_size=12))
def test_no_text_makes_the_reading_of_a_duration_fail(text: str) -> None:
    milliseconds = durations.go_milliseconds(text)
    assert milliseconds is None or milliseconds >= 0


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_hours_minutes_and_seconds_add_up(hours: int, minutes: int, seconds: int, thousandths: int) -> None:
    expected = ((hours * 60 + minutes) * 60 + seconds) * 1000 + thousandths
    text = f"{hours}h{minutes}m{seconds}.{thousandths:03d}s"
    assert durations.go_milliseconds(text) == pytest.approx(expected)


# -- one server ----------------------------------------------------------------------------------------------


def test_a_view_is_read_from_a_servers_own_words(clusters: Callable[..., FakeCluster]) -> None:
    cluster = clusters(3, leader=1, term=7)
    first, second, _ = server_status.read_views(members_of(cluster))
    assert first == View(
        name="consul1",
        address="10.213.0.2",
        node_id="node-1",
        version="1.8.7",
        state="follower",
        leader="10.213.0.3",
        term=7,
        applied_index=10,
        commit_index=10,
        last_contact_ms=12.5,
        members=3,
        voters=frozenset(ADDRESSES),
        voter_ids={address: f"node-{number + 1}" for number, address in enumerate(ADDRESSES)},
    )
    assert second.state == "leader"
    assert second.last_contact_ms == 0


def test_before_consul_0_7_the_voters_are_the_peers(clusters: Callable[..., FakeCluster]) -> None:
    views = server_status.read_views(members_of(clusters(3, old=True)))
    assert [view.voters for view in views] == [frozenset(ADDRESSES)] * 3


def test_servers_that_do_not_vote_yet_are_no_voters() -> None:
    words = "[{Suffrage:Voter ID:a Address:10.213.0.2:8300} {Suffrage:Nonvoter ID:b Address:10.213.0.3:8300}]"
    document = {"Stats": {"raft": {"latest_configuration": words}}}
    assert server_status.view_from_self(Member("c", "", ConsulClient(1)), document).voters == {"10.213.0.2"}


@pytest.mark.parametrize(("tags", "legacy"), [({"acls": "2"}, True), ({"acls": "1"}, False), ({}, False)])
def test_the_mode_of_access_control_is_read_from_the_servers_tags(tags: dict[str, str], legacy: bool) -> None:
    document = {"Member": {"Tags": tags}, "Stats": {}}
    assert server_status.view_from_self(Member("consul1", "", ConsulClient(1)), document, []).legacy_acl is legacy


def test_up_to_raft_protocol_2_a_voter_is_known_by_its_address_alone() -> None:
    words = "[{Suffrage:Voter ID:10.213.0.2:8300 Address:10.213.0.2:8300}]"
    document = {"Config": {"NodeID": "one"}, "Stats": {"raft": {"latest_configuration": words}}}
    view = server_status.view_from_self(Member("consul1", "10.213.0.2", ConsulClient(1)), document)
    assert view.voters == {"10.213.0.2"}
    assert view.voter_ids == {}


@pytest.mark.parametrize("document", [{}, {"Stats": None, "Config": None}, {"Stats": {"raft": {"term": "²"}}}])
def test_an_agent_that_says_little_gives_an_empty_view(document: object) -> None:
    view = server_status.view_from_self(Member("consul1", "10.213.0.2", ConsulClient(1)), document)
    assert (view.term, view.leader, view.voters, view.last_contact_ms) == (0, "", frozenset(), None)


def test_a_server_that_does_not_run_is_not_asked() -> None:
    assert server_status.read_view(Member("consul1", "10.213.0.2", None)).problem == "is not running"


def test_a_server_that_answers_with_an_error_is_a_view_with_its_words(clusters: Callable[..., FakeCluster]) -> None:
    cluster = clusters(1)
    cluster.servers[0].broken = True
    problem = server_status.read_view(members_of(cluster)[0]).problem
    assert problem == 'does not answer (HTTP 500: "No cluster leader")'


def test_a_port_that_nobody_has_is_a_view_with_a_problem(clusters: Callable[..., FakeCluster]) -> None:
    cluster = clusters(1)
    cluster.close()
    assert "does not answer" in str(server_status.read_view(members_of(cluster)[0]).problem)


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 200 OK\r\n\r\nnot json", b"SSH-2.0-OpenSSH\r\n", b"", b"HTTP/1.1 200 OK\r\n\r\n[]"]
)
def test_a_port_that_somebody_else_has_is_a_view_with_a_problem(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        view = server_status.read_view(Member("consul1", "10.213.0.2", ConsulClient(int(server.getsockname()[1]))))
        thread.join()
    assert view.problem is not None


def test_servers_that_hang_cost_one_timeout_and_not_one_each() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=8) as server:
        port = int(server.getsockname()[1])
        begun = time.monotonic()
        views = server_status.read_views(
            [Member(f"consul{number}", "", ConsulClient(port)) for number in range(5)], timeout=0.2
        )
        assert time.monotonic() - begun < 0.6
    assert all(view.problem for view in views)


def test_no_servers_give_no_views() -> None:
    assert server_status.read_views([]) == []


# -- all servers ---------------------------------------------------------------------------------------------


def test_servers_that_agree_are_one_cluster() -> None:
    assert server_status.disagreement(ready_views()) is None


@pytest.mark.parametrize(
    ("which", "change", "says"),
    [
        (1, {"problem": "is not running"}, "consul2 is not running"),
        (2, {"leader": ""}, "consul3 knows no leader"),
        (2, {"leader": ADDRESSES[1]}, "different leaders"),
        (1, {"voters": frozenset(ADDRESSES[:2])}, "for consul2, consul3 is not yet a voter"),
        (1, {"voters": frozenset({*ADDRESSES, "10.213.0.9"})}, "consul2 counts 4 voters"),
        (1, {"legacy_acl": True}, "consul2 has not yet left the legacy mode of access control"),
        (0, {"state": "follower"}, "does not lead yet"),
        (0, {"state": "candidate"}, "does not lead yet"),
    ],
)
def test_one_server_that_differs_is_a_disagreement(which: int, change: dict[str, object], says: str) -> None:
    views = ready_views()
    views[which] = replace(views[which], **change)  # type: ignore[arg-type]
    assert says in str(server_status.disagreement(views))


def test_a_server_that_lost_its_data_has_no_vote_until_the_leader_knows_it_anew() -> None:
    known = {address: f"node-{number}" for number, address in enumerate(ADDRESSES)}
    views = [replace(view, node_id=known[view.address], voter_ids=known) for view in ready_views()]
    assert server_status.disagreement(views) is None
    views[2] = replace(views[2], node_id="another")
    assert "for consul1, the vote of consul3 still belongs to a server that is gone" in str(
        server_status.disagreement(views)
    )


def test_servers_that_are_silent_for_the_same_reason_are_told_together() -> None:
    first, second, third = ready_views()
    down = [replace(view, problem="is not running") for view in (first, third)]
    assert server_status.disagreement([down[0], second, down[1]]) == "consul1 and consul3 are not running"
    hung = [replace(view, problem="does not answer (timed out)") for view in (second, third)]
    assert server_status.disagreement([down[0], *hung]) == (
        "consul1 is not running; consul2 and consul3 do not answer (timed out)"
    )
    odd = [replace(view, problem="answered with something that is not an agent") for view in (first, second)]
    assert str(server_status.disagreement([*odd, third])).startswith("consul1 and consul2 answered with")


def test_two_servers_without_a_leader_are_both_named() -> None:
    views = [replace(view, leader="") if view.name != "consul1" else view for view in ready_views()]
    assert server_status.disagreement(views) == "consul2 and consul3 know no leader"


def test_a_leader_of_another_cluster_is_a_disagreement() -> None:
    views = [replace(view, leader="10.9.9.9") for view in ready_views()]
    assert "10.9.9.9 is not a server of this lab" in str(server_status.disagreement(views))


def two_without_consul1(**change: object) -> tuple[list[View], list[Member]]:
    """What consul2 and consul3 say while consul1 is stopped; unless changed, consul2 leads in term 3."""
    others = [replace(view, leader=ADDRESSES[1], term=3) for view in ready_views()[1:]]
    others[0] = replace(others[0], state="leader")
    others = [replace(view, **change) for view in others]  # type: ignore[arg-type]
    return others, [Member("consul1", ADDRESSES[0], None)]


def test_servers_agree_without_one_that_is_stopped_on_purpose_and_still_votes() -> None:
    others, stopped = two_without_consul1()
    assert server_status.disagreement(others, stopped) is None
    assert "consul2 counts 3 voters where the lab has 2 servers" in str(server_status.disagreement(others))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"leader": ADDRESSES[0]}, "consul2 and consul3 still name consul1, which is stopped, as leader"),
        ({"leader": "10.9.9.9"}, "10.9.9.9 is not a server of this lab"),
        ({"leader": ""}, "consul2 and consul3 know no leader"),
        ({"voters": frozenset(ADDRESSES[1:])}, "for consul2, consul1 is not yet a voter"),
        ({"state": "follower"}, "does not lead yet"),
    ],
)
def test_without_a_stopped_server_the_others_may_still_disagree(change: dict[str, object], says: str) -> None:
    assert says in str(server_status.disagreement(*two_without_consul1(**change)))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"problem": "hangs"}, "0 of 3 servers answer and a quorum needs 2"),
        ({"leader": ADDRESSES[0]}, "followers wait for their heartbeat timeout"),
        ({"leader": ""}, "no candidate has won"),
        ({}, "still settling"),
    ],
)
def test_a_server_that_is_stopped_on_purpose_is_not_the_likely_cause(change: dict[str, object], says: str) -> None:
    assert says in server_status.likely_cause(*two_without_consul1(**change))


def test_of_two_leaders_the_newer_term_counts() -> None:
    old, *others = ready_views()
    new = replace(others[0], state="leader", term=3)
    assert server_status.leader_of([old, new, others[1]]) == new


def test_a_leader_that_does_not_answer_does_not_count() -> None:
    first, *others = ready_views()
    assert server_status.leader_of([replace(first, problem="hangs"), *others]) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"problem": "hangs"}, "0 of 3 servers answer and a quorum needs 2"),
        ({"members": 1}, "`labctl join`"),
        ({"leader": ""}, "no candidate has won"),
        ({}, "still settling"),
    ],
)
def test_the_likely_cause_says_what_to_do(change: dict[str, object], says: str) -> None:
    views = [replace(view, **change) for view in ready_views()]  # type: ignore[arg-type]
    assert says in server_status.likely_cause(views)


def test_one_silent_server_of_three_is_the_likely_cause() -> None:
    first, *others = ready_views()
    assert "a server does not answer" in server_status.likely_cause([replace(first, problem="hangs"), *others])


def test_a_view_is_described_with_what_matters() -> None:
    assert server_status.describe(ready_views()[1]) == (
        "consul2: follower, term 2, leader 10.213.0.2, 3 voters, 3 members, applied 10"
    )
    assert server_status.describe(View("consul3", "", problem="is not running")) == "consul3 is not running"


# -- a committed write ---------------------------------------------------------------------------------------


def leader_of(cluster: FakeCluster) -> View:
    leader = server_status.leader_of(server_status.read_views(members_of(cluster)))
    assert leader is not None
    return leader


def test_a_write_goes_through_the_leader_and_reaches_every_server(clusters: Callable[..., FakeCluster]) -> None:
    cluster = clusters(3, leader=2)
    assert server_status.write_is_applied(members_of(cluster), leader_of(cluster), "PUT", 1.0) is None
    writes = [request for request in cluster.requests if request[1] != "GET"]
    assert writes == [("consul3", "PUT", "/v1/kv/raft-labctl/ready")]


def test_a_server_that_does_not_apply_the_write_is_named(clusters: Callable[..., FakeCluster]) -> None:
    cluster = clusters(3)
    cluster.servers[1].deaf = True
    why = server_status.write_is_applied(members_of(cluster), leader_of(cluster), "PUT", 0.1)
    assert why == "consul2 did not apply a committed write"


def test_a_write_that_is_refused_is_said(clusters: Callable[..., FakeCluster]) -> None:
    cluster = clusters(3)
    leader = leader_of(cluster)
    cluster.servers[0].broken = True
    why = server_status.write_is_applied(members_of(cluster), leader, "PUT", 0.1)
    assert "a write through consul1 was not committed (HTTP 500" in str(why)


def test_a_leader_out_of_reach_gets_no_write(clusters: Callable[..., FakeCluster]) -> None:
    cluster = clusters(3)
    others = members_of(cluster)[1:]
    assert "10.213.0.2 is not reachable" in str(server_status.write_is_applied(others, leader_of(cluster), "PUT", 0.1))
