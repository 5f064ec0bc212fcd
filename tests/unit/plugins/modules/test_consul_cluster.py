"""The module consul_cluster against servers that answer as Consul's HTTP API does."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from plugins.module_utils.cluster_join import ClusterTools
from plugins.module_utils.shared import docker_api, lock_holder
from plugins.module_utils.shared.docker_api import moment
from plugins.module_utils.shared.waiting import Clock
from plugins.modules import consul_cluster
from tests.unit.stand_ins import FINISHED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.stand_ins import FakeCluster, FakeDocker, ModuleRun

# Far less than any time that a lab is waited for, and enough on a busy machine.
LONG_SECONDS = 20
HURRY = 5


# Whole seconds of a timeout are over sooner; the wall's clock stays what it is.
QUICK = Clock(now=lambda: time.monotonic() * HURRY, sleep=lambda seconds: time.sleep(seconds / HURRY))
EYES = ClusterTools(clock=QUICK)


def run(
    module_run: ModuleRun, cluster: FakeCluster, *, check: bool = False, eyes: ClusterTools = EYES, **changed: Any
) -> dict[str, Any]:
    arguments = {"name": "ada", "members": cluster.members(), "timeout": 20}
    return module_run(partial(consul_cluster.main, eyes), check=check, **{**arguments, **changed})


def joined_by_hand(docker: FakeDocker) -> Callable[[], bool]:
    """Whether somebody has run the whole join."""
    return lambda: bool(docker.called("exec", "join"))


def put_containers(docker: FakeDocker, cluster: FakeCluster) -> None:
    """Let Docker know the servers' containers; they run."""
    for member in cluster.members():
        docker.put_container(member["container"])


def writes(cluster: FakeCluster) -> list[tuple[str, str, str]]:
    return [request for request in cluster.requests if request[1] != "GET"]


def test_servers_are_joined_from_the_first_with_the_addresses_of_the_others(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    result = run(module_run, clusters(3, joined=joined_by_hand(docker)))
    assert docker.called("exec") == [["exec", "labctl-ada-consul1", "consul", "join", "10.213.0.3", "10.213.0.4"]]
    assert docker.objects("volume") == {}
    assert (result["changed"], result["joined"]) == (True, True)
    assert result["command"] == "consul join 10.213.0.3 10.213.0.4"


def test_a_lab_that_somebody_has_changed_since_is_joined_as_it_is_now(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    cluster = clusters(5, joined=joined_by_hand(docker))
    now = [{"state": "running", "profile": "gossip", **member} for member in cluster.members()]
    locks: list[dict[str, Any]] = []

    def look(_: str) -> list[dict[str, Any]]:
        locks.extend(docker.objects("volume").values())
        return now

    result = run(module_run, cluster, members=now[:3], eyes=replace(EYES, members_of=look))
    assert len(locks) == 1
    assert [lock["Labels"]["raft-labctl.lock"] for lock in locks] == ["ada"]
    (join,) = docker.called("exec")
    assert join[4:] == [server["address"] for server in now[1:]]
    assert result["cluster"]["voters"] == 5
    assert result["ansible_facts"]["consul_lab_members"] == now


def test_a_lab_that_somebody_else_took_while_its_agents_came_up_is_not_joined(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    cluster = clusters(3, joined=joined_by_hand(docker))
    theirs, said = lock_holder.holder("labctl down ada", 900).note, cluster.answer

    def answer(number: int, method: str, path: str) -> tuple[int, Any]:
        for name in docker.objects("volume"):
            docker.lose_volume(name)
        labels = {"raft-labctl.lock": "ada", "raft-labctl.holder": theirs}
        docker.put("volume", "theirs", {"Name": "theirs", "Labels": labels, "CreatedAt": ""})
        cluster.answer = said  # type: ignore[method-assign]
        return said(number, method, path)

    cluster.answer = answer  # type: ignore[method-assign]
    result = run(module_run, cluster)
    assert result["failure"] == "refused"
    assert "`labctl down ada`" in result["msg"]
    assert docker.called("exec") == []


def test_nobody_is_joined_for_a_labctl_that_is_gone(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABCTL_ASKER", f"{2**22 + 1} 1")
    said = run(module_run, clusters(3))["msg"]
    assert said == "The lab ada was not joined, because the labctl that wanted it was ended."
    assert (docker.called("exec"), docker.objects("volume")) == ([], {})


def test_a_ready_cluster_is_reported_as_its_servers_see_it(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    result = run(module_run, clusters(3, leader=1, term=5))
    assert (result["changed"], result["joined"], result["command"]) == (False, True, "")
    cluster = result["cluster"]
    assert (cluster["leader"], cluster["term"], cluster["voters"]) == ("consul2", 5, 3)
    assert [server["role"] for server in cluster["servers"]] == ["follower", "leader", "follower"]
    assert set(cluster["seconds"]) == {"join", "election"}
    assert docker.called("exec") == []


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
    assert all(
        f"{server}: follower, term 2, leader none" in result["msg"] for server in ("consul1", "consul2", "consul3")
    )
    assert "Likely cause: no candidate has won an election yet" in result["msg"]
    assert writes(cluster) == []


@pytest.mark.usefixtures("docker")
@pytest.mark.parametrize("elapsed", [29.0, 60.0])
def test_what_was_over_before_it_began_is_no_time_of_its_own_and_it_asks_once_all_the_same(
    clusters: Callable[..., FakeCluster], module_run: ModuleRun, elapsed: float
) -> None:
    begun = time.monotonic()
    result = run(module_run, clusters(3, leader=None), timeout=30, elapsed=elapsed)
    assert "The lab ada was not ready after 30 seconds" in result["msg"]
    assert "consul3: follower, term 2, leader none" in result["msg"]
    assert time.monotonic() - begun < 30 / HURRY


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
    assert docker.called("exec") == []


def test_a_server_that_does_not_answer_in_time_is_named(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    cluster = clusters(3)
    put_containers(docker, cluster)
    cluster.servers[0].broken = True
    result = run(module_run, cluster, timeout=1)
    assert "consul1 does not answer (HTTP 500" in result["msg"]


@pytest.mark.parametrize("joined", [False, True])
def test_nobody_waits_for_a_server_that_stopped_meanwhile(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun, *, joined: bool
) -> None:
    cluster = clusters(3, joined=lambda: joined)
    put_containers(docker, cluster)
    docker.container("labctl-ada-consul2")["State"] |= {"Status": "exited", "Running": False}
    cluster.servers[1].broken = True
    begun = time.monotonic()
    result = run(module_run, cluster, timeout=60)
    assert time.monotonic() - begun < LONG_SECONDS
    assert result["failure"] == "not_ready"
    assert "The lab ada cannot become ready because consul2 is not running" in result["msg"]


def test_a_server_that_is_down_for_a_moment_is_waited_for_and_an_engine_that_does_not_answer_too(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    cluster = clusters(3)
    put_containers(docker, cluster)
    state = docker.container("labctl-ada-consul2")["State"]
    state["Running"] = False
    cluster.servers[1].broken = True
    looked: list[list[str]] = []

    def look(containers: list[str]) -> list[dict[str, Any]]:
        looked.append(containers)
        if len(looked) == 1:
            raise docker_api.DockerError("The engine restarts.")
        containers_now = EYES.inspected(containers)
        state["Running"], cluster.servers[1].broken = True, False
        return containers_now

    eyes = replace(EYES, inspected=look)
    assert run(module_run, cluster, timeout=60, eyes=eyes)["cluster"]["leader"] == "consul1"
    # More than once, or the first answer would have ended it; a busy machine looks once more.
    assert len(looked) >= 2


def test_who_waits_for_an_election_notices_that_voters_were_removed(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    cluster = clusters(3, leader=None)
    put_containers(docker, cluster)
    docker.lose("labctl-ada-consul2")
    docker.lose("labctl-ada-consul3")
    result = run(module_run, cluster, timeout=60, eyes=replace(EYES, seldom=0.1))
    assert "cannot become ready because consul2, consul3 are not running" in result["msg"]


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


# -- with a server that is stopped on purpose -----------------------------------------------------------------


def without_first(
    docker: FakeDocker, cluster: FakeCluster, module_run: ModuleRun, *, state: str = "exited", **changed: Any
) -> dict[str, Any]:
    """Wait for a leader after term 2 with consul1 stopped."""
    docker.put_container("labctl-ada-consul1", state=state)
    members = cluster.members()
    members[0] |= {"state": state, "http_port": None}
    settings = {"members": members, "join": False, "without": ["consul1"], "after_term": 2}
    return run(module_run, cluster, **{**settings, **changed})


def test_the_others_agree_on_a_new_leader_and_are_asked_alone(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    cluster = clusters(3, leader=1, term=3)
    result = without_first(docker, cluster, module_run)
    assert (result["changed"], result["joined"]) == (False, True)
    found = result["cluster"]
    assert (found["leader"], found["term"], found["voters"]) == ("consul2", 3, 3)
    assert found["seconds"]["leaderless"] == pytest.approx(time.time() - moment(FINISHED), abs=5)
    assert result["ansible_facts"] == {"consul_lab_cluster": found}
    assert {name for name, _, _ in cluster.requests} == {"consul2", "consul3"}
    assert [request[1] for request in writes(cluster)] == ["PUT", "DELETE"]


def test_followers_that_still_name_the_stopped_leader_have_no_new_one(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    cluster = clusters(3, leader=0)
    result = without_first(docker, cluster, module_run, timeout=1)
    assert result["failure"] == "not_ready"
    assert "Without consul1, the lab ada had no new leader after 1 seconds" in result["msg"]
    assert "consul2 and consul3 still name consul1, which is stopped, as leader (consul2: follower" in result["msg"]
    assert "; consul1 is stopped). Likely cause: followers wait for their heartbeat timeout" in result["msg"]
    assert writes(cluster) == []


def test_a_leader_of_the_old_term_is_no_new_one(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    cluster = clusters(3, leader=1, term=2)
    result = without_first(docker, cluster, module_run, timeout=1)
    assert "consul2 leads in term 2, and one newer than 2 is wanted" in result["msg"]
    assert writes(cluster) == []


def test_a_server_that_runs_cannot_be_left_out(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    cluster = clusters(3, leader=1, term=3)
    result = without_first(docker, cluster, module_run, state="running")
    assert result["failure"] == "usage"
    assert "labctl-ada-consul1 runs, and only a stopped server of the lab ada can be left out" in result["msg"]
    assert cluster.requests == []


@pytest.mark.usefixtures("docker")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"timeout": -1}, "Cannot wait for -1 seconds: set consul_cluster_timeout to 0 to 86400."),
        ({"timeout": 10**18}, "Cannot wait for 1e+18 seconds: set consul_cluster_timeout to 0 to 86400."),
        ({"elapsed": "nan"}, "Cannot count nan seconds that are over: set consul_cluster_since to when it began."),
        ({"elapsed": "inf"}, "Cannot count inf seconds that are over: set consul_cluster_since to when it began."),
    ],
)
def test_nobody_waits_for_longer_than_a_day(module_run: ModuleRun, arguments: dict[str, Any], says: str) -> None:
    result = module_run(consul_cluster.main, name="ada", **arguments)
    assert result["failure"] == "usage"
    assert result["msg"] == says


@pytest.mark.usefixtures("docker")
@pytest.mark.parametrize(
    ("without", "failure", "says"),
    [
        (["consul9"], "usage", "The lab ada has no server 'consul9': it has consul1, consul2, consul3."),
        (["consul1", "consul3"], "refused", "without consul1, consul3: 1 of 3 servers would be left"),
    ],
)
def test_servers_that_cannot_be_left_out_are_refused_before_anybody_is_asked(
    clusters: Callable[..., FakeCluster], module_run: ModuleRun, without: list[str], failure: str, says: str
) -> None:
    cluster = clusters(3)
    for check in (False, True):
        result = run(module_run, cluster, check=check, without=without)
        assert result["failure"] == failure
        assert says in result["msg"]
    assert cluster.requests == []


@pytest.mark.parametrize(
    ("stamp", "seconds"),
    [
        ("1970-01-01T00:00:10Z", 10),
        ("1970-01-01T00:00:10.25Z", 10.25),
        ("2026-11-23T14:11:21.878123456Z", 1_795_443_081.878123456),
    ],
)
def test_a_time_of_docker_is_read_with_its_fraction(stamp: str, seconds: float) -> None:
    assert moment(stamp) == pytest.approx(seconds, abs=1e-6)


def test_check_mode_says_who_leads_now(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    result = run(module_run, clusters(3, leader=2, term=4), check=True)
    assert (result["cluster"]["leader"], result["cluster"]["term"]) == ("consul3", 4)
    assert result["ansible_facts"] == {"consul_lab_cluster": result["cluster"]}
    assert docker.calls == []


@pytest.mark.usefixtures("docker")
def test_no_lab_is_ready_while_a_server_would_refuse_to_list_tokens(
    clusters: Callable[..., FakeCluster], module_run: ModuleRun
) -> None:
    cluster = clusters(3)
    cluster.servers[1].legacy = 2
    begun = time.monotonic()
    assert run(module_run, cluster)["cluster"]["leader"] == "consul1"
    assert (time.monotonic() - begun >= 0.5 / HURRY, cluster.servers[1].legacy) == (True, 0)
    cluster.servers[1].legacy = 1000
    result = run(module_run, cluster, timeout=1)
    assert "1 seconds: consul2 has not yet left the legacy mode of access control (consul1: leader" in result["msg"]


@pytest.mark.parametrize("check", [False, True])
def test_servers_that_nobody_names_are_looked_for_and_become_a_fact(
    docker: FakeDocker, clusters: Callable[..., FakeCluster], module_run: ModuleRun, *, check: bool
) -> None:
    cluster = clusters(3)
    for member in cluster.members():
        labels = {"raft-labctl.lab": "ada", "raft-labctl.owner": "ada", "raft-labctl.server": member["name"]}
        docker.put_container(member["container"], labels=labels)
        docker.container(member["container"])["NetworkSettings"] = {
            "Networks": {"lab": {"IPAddress": member["address"]}},
            "Ports": {"8500/tcp": [{"HostPort": str(member["http_port"])}]},
        }
    result = module_run(partial(consul_cluster.main, EYES), check=check, name="ada")
    assert result["cluster"]["leader"] == "consul1"
    members = result["ansible_facts"]["consul_lab_members"]
    assert [(member["name"], member["http_port"]) for member in members] == [
        (member["name"], member["http_port"]) for member in cluster.members()
    ]


@pytest.mark.usefixtures("docker")
def test_a_lab_without_servers_is_none_whoever_looked(module_run: ModuleRun) -> None:
    result = module_run(partial(consul_cluster.main, EYES), name="ada")
    assert result["msg"] == "There is no lab ada on this Docker host: `labctl up ada` starts it."


@pytest.mark.usefixtures("docker")
def test_no_servers_are_no_lab(module_run: ModuleRun) -> None:
    result = module_run(partial(consul_cluster.main, EYES), name="ada", members=[])
    assert result["msg"] == "There is no lab ada on this Docker host: `labctl up ada` starts it."
