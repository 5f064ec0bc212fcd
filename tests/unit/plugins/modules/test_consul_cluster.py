"""The module consul_cluster against servers that answer as Consul's HTTP API does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import consul_cluster

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.stand_ins import FakeCluster, FakeDocker, ModuleRun


def run(module_run: ModuleRun, cluster: FakeCluster, *, check: bool = False, **changed: Any) -> dict[str, Any]:
    arguments = {"name": "ada", "members": cluster.members(), "timeout": 20}
    return module_run(consul_cluster.main, check=check, **{**arguments, **changed})


def joined_by_hand(docker: FakeDocker) -> Callable[[], bool]:
    """Whether somebody has run the whole join."""
    return lambda: bool(docker.called("exec", "join"))


def writes(cluster: FakeCluster) -> list[tuple[str, str, str]]:
    return [request for request in cluster.requests if request[1] != "GET"]


def test_servers_are_joined_from_the_first_with_the_addresses_of_the_others(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    result = run(module_run, clusters(3, joined=joined_by_hand(docker)))
    assert docker.calls == [["exec", "labctl-ada-consul1", "consul", "join", "10.213.0.3", "10.213.0.4"]]
    assert (result["changed"], result["joined"]) == (True, True)
    assert result["command"] == "consul join 10.213.0.3 10.213.0.4"


def test_a_ready_cluster_is_reported_as_its_servers_see_it(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    result = run(module_run, clusters(3, leader=1, term=5))
    assert (result["changed"], result["joined"], result["command"]) == (False, True, "")
    cluster = result["cluster"]
    assert (cluster["leader"], cluster["term"], cluster["voters"]) == ("consul2", 5, 3)
    assert [one["role"] for one in cluster["servers"]] == ["follower", "leader", "follower"]
    assert set(cluster["seconds"]) == {"join", "election"}
    assert docker.calls == []


@pytest.mark.usefixtures("docker")
def test_ready_is_two_committed_writes_that_leave_no_key(
    clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    cluster = clusters(3)
    run(module_run, cluster)
    assert [request[1] for request in writes(cluster)] == ["PUT", "DELETE"]
    assert all(server.applied == 12 for server in cluster.servers)


@pytest.mark.usefixtures("docker")
@pytest.mark.parametrize("servers", [1, 5, 7])
def test_labs_of_other_sizes_become_ready(
    clusters: Callable[..., FakeCluster], module_run: ModuleRun, servers: int
) -> None:
    assert run(module_run, clusters(servers))["cluster"]["voters"] == servers


def test_a_join_that_reached_only_some_is_repeated(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    # `consul join A B` exits 0 when it reached only one of them.
    cluster = clusters(3, joined=lambda: len(docker.called("exec", "join")) > 1)
    assert run(module_run, cluster)["joined"] is True
    assert len(docker.called("exec", "join")) == 2


@pytest.mark.usefixtures("docker")
def test_a_lab_without_a_leader_is_not_ready_in_time_and_every_view_is_told(
    clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    cluster = clusters(3, leader=None)
    result = run(module_run, cluster, timeout=1)
    assert result["failure"] == "not_ready"
    assert "The lab ada was not ready after 1 seconds" in result["msg"]
    assert all(f"{one}: follower, term 2, leader none" in result["msg"] for one in ("consul1", "consul2", "consul3"))
    assert "Likely cause: no candidate has won an election yet" in result["msg"]
    assert writes(cluster) == []


@pytest.mark.usefixtures("docker")
def test_a_server_that_does_not_apply_the_write_is_not_ready(
    clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    cluster = clusters(3)
    cluster.servers[2].deaf = True
    result = run(module_run, cluster, timeout=1)
    assert result["failure"] == "not_ready"
    assert "consul3 did not apply a committed write" in result["msg"]


def test_a_stopped_server_is_told_at_once(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    cluster = clusters(3)
    members = cluster.members()
    members[1]["http_port"] = None
    result = run(module_run, cluster, members=members, timeout=3600)
    assert result["failure"] == "not_ready"
    assert "because consul2 is not running" in result["msg"]
    assert docker.calls == []


@pytest.mark.usefixtures("docker")
def test_a_server_that_does_not_answer_in_time_is_named(
    clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    cluster = clusters(3)
    cluster.servers[0].broken = True
    result = run(module_run, cluster, timeout=1)
    assert "consul1 does not answer (HTTP 500" in result["msg"]


def test_without_join_servers_that_wait_are_left_waiting(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    result = run(module_run, clusters(3, joined=lambda: False), join=False)
    assert (result["changed"], result["joined"], result["command"]) == (False, False, "")
    assert docker.calls == []


def test_check_mode_says_the_join_and_neither_joins_nor_writes(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    cluster = clusters(3, joined=lambda: False)
    result = run(module_run, cluster, check=True)
    assert (result["changed"], result["joined"]) == (True, False)
    assert result["command"] == "consul join 10.213.0.3 10.213.0.4"
    assert docker.calls == []
    assert writes(cluster) == []


@pytest.mark.usefixtures("docker")
def test_check_mode_of_a_joined_lab_changes_nothing(
    clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    result = run(module_run, clusters(3), check=True)
    assert (result["changed"], result["joined"], result["command"]) == (False, True, "")


@pytest.mark.usefixtures("docker")
def test_no_servers_are_no_lab(module_run: ModuleRun) -> None:
    result = module_run(consul_cluster.main, name="ada", members=[])
    assert result["msg"] == "There is no lab ada on this Docker host: `labctl up ada` starts it."
