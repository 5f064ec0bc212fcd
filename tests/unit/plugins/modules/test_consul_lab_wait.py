"""The module consul_lab_wait: servers that have not been joined wait for each other, and a watcher sees it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from plugins.modules import consul_lab_wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.stand_ins import FakeCluster, FakeDocker, ModuleRun

SAYS = "2026/11/30 00:00:56 [WARN]  raft: no known peers, aborting election\n"


def lab(docker: FakeDocker, cluster: FakeCluster, *, state: str = "running") -> list[str]:
    """A lab of that cluster's servers on the Docker host; returns its containers."""
    names = []
    for server in cluster.servers:
        name = f"labctl-ada-{server.name}"
        docker.put_container(
            name,
            labels={"raft-labctl.lab": "ada", "raft-labctl.owner": "ada", "raft-labctl.server": server.name},
            state=state,
        )
        inspected = docker.container(name)
        inspected["State"]["StartedAt"] = "2026-11-30T00:00:50.5Z"
        inspected["NetworkSettings"] = {
            "Networks": {"labctl-ada": {"IPAddress": server.address}},
            "Ports": {"8500/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(server.http_port)}]},
        }
        names.append(name)
    return names


def test_it_waits_until_each_server_has_written_that_it_knows_no_peers(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    containers = lab(docker, clusters(joined=lambda: False))
    for name in containers[:2]:
        docker.container(name)["Log"] = SAYS
    last = threading.Timer(0.6, docker.container(containers[2]).__setitem__, ("Log", "more\n" + SAYS))
    last.start()
    begun = time.monotonic()
    result = module_run(consul_lab_wait.main, name="ada", timeout=30)
    assert 0.6 <= time.monotonic() - begun < 10
    assert result["waiting"] == ["consul1", "consul2", "consul3"]
    assert result["changed"] is False


def test_after_its_time_it_goes_on_all_the_same(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    containers = lab(docker, clusters(joined=lambda: False))
    docker.container(containers[1])["Log"] = SAYS
    assert module_run(consul_lab_wait.main, name="ada", timeout=0.5)["waiting"] == ["consul2"]


@pytest.mark.parametrize("seconds", ["1e18", "inf", "nan", "-1", "86401"])
def test_nobody_waits_for_a_time_that_does_not_end(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun, seconds: str
) -> None:
    lab(docker, clusters(joined=lambda: False))
    result = module_run(consul_lab_wait.main, name="ada", timeout=seconds)
    assert result["failure"] == "usage"
    assert result["msg"] == f"Cannot wait for {float(seconds):g} seconds: set consul_cluster_wait to 0 to 86400."


def test_servers_that_know_each_other_wait_for_nobody(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    lab(docker, clusters())
    begun = time.monotonic()
    assert module_run(consul_lab_wait.main, name="ada", timeout=30)["waiting"] == []
    assert time.monotonic() - begun < 10


def test_servers_that_do_not_run_are_not_waited_for(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    lab(docker, clusters(joined=lambda: False), state="exited")
    begun = time.monotonic()
    assert module_run(consul_lab_wait.main, name="ada", timeout=30)["waiting"] == []
    assert time.monotonic() - begun < 10


def test_a_server_that_stops_meanwhile_is_not_waited_for(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    containers = lab(docker, clusters(joined=lambda: False))
    stopped = threading.Timer(0.3, docker.container(containers[1])["State"].__setitem__, ("Running", False))
    stopped.start()
    begun = time.monotonic()
    assert module_run(consul_lab_wait.main, name="ada", timeout=30)["waiting"] == []
    assert time.monotonic() - begun < 10


def test_a_lone_server_leads_and_is_not_waited_for(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    lab(docker, clusters(1))
    begun = time.monotonic()
    assert module_run(consul_lab_wait.main, name="ada", timeout=30)["waiting"] == []
    assert time.monotonic() - begun < 5


def test_an_engine_that_fails_is_no_failure_because_only_who_watches_needs_it(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    lab(docker, clusters(joined=lambda: False))
    docker.answer("inspect", err="Error response from daemon: no", code=1, times=99)
    result = module_run(consul_lab_wait.main, name="ada", timeout=30)
    assert (result["waiting"], result.get("failed")) == ([], None)


def test_a_check_waits_for_nothing(docker: FakeDocker, module_run: ModuleRun) -> None:
    assert module_run(consul_lab_wait.main, check=True, name="ada")["waiting"] == []
    assert docker.calls == []
