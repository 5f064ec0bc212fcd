"""The module consul_lab against a docker program with objects of its own."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from plugins.module_utils import lab_parts
from plugins.module_utils.lab_machine import Machine
from plugins.module_utils.lab_project import LabProject
from plugins.module_utils.shared import derived_secrets, lock_holder, quotas
from plugins.module_utils.shared.docker_api import DockerError
from plugins.modules import consul_lab

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.stand_ins import FakeCluster, FakeDocker, ModuleRun


class Lab:
    """Runs the module for one lab; returns its result."""

    def __init__(self, run: ModuleRun, folder: Path) -> None:
        self.module_run = run
        self.folder = folder
        self.machine = Machine(routes=folder / "no-routes")

    def __call__(self, state: str = "present", *, check: bool = False, **changed: Any) -> dict[str, Any]:
        servers = changed.get("servers", 3)
        project = {"lab": "ada", "owner": "ada", "servers": [f"consul{number + 1}" for number in range(servers)]}
        arguments = {
            "name": "ada",
            "owner": "ada",
            "state": state,
            "compose": json.dumps(project | {"pace": changed.pop("pace", "teach"), "memory": 256 << 20}),
            "image": "raft-labctl/consul:1.8.7",
            "directory": str(self.folder),
        }
        return self.module_run(partial(consul_lab.main, self.machine), check=check, **{**arguments, **changed})


@pytest.fixture
def lab(module_run: ModuleRun, docker: FakeDocker, tmp_path: Path) -> Lab:  # noqa: ARG001 - on PATH
    return Lab(module_run, tmp_path / "labs" / "ada")


def states(docker: FakeDocker) -> dict[str, str]:
    return {container["Name"][1:]: container["State"]["Status"] for container in docker.objects("container").values()}


# -- present -------------------------------------------------------------------------------------------------


def test_a_lab_is_made_and_its_members_are_facts(lab: Lab, docker: FakeDocker) -> None:
    result = lab()
    assert result["changed"] is True
    assert result["actions"] == ["made a gossip key"]
    members = result["ansible_facts"]["consul_lab_members"]
    first = int(result["subnet"].split("/")[0].rsplit(".", 1)[1])
    assert [
        (member["name"], member["state"], int(member["address"].rsplit(".", 1)[1]) - first) for member in members
    ] == [
        ("consul1", "running", 2),
        ("consul2", "running", 3),
        ("consul3", "running", 4),
    ]
    assert all(isinstance(member["http_port"], int) for member in members)
    assert sorted(states(docker)) == ["labctl-ada-consul1", "labctl-ada-consul2", "labctl-ada-consul3"]
    assert f"LAB_SUBNET={result['subnet']}" in result["diff"]["after"]


def test_the_second_run_changes_nothing(lab: Lab, docker: FakeDocker) -> None:
    first = lab()
    before = docker.objects("container")
    second = lab()
    assert (second["changed"], second["actions"]) == (False, [])
    assert second["subnet"] == first["subnet"]
    assert second["ansible_facts"] == first["ansible_facts"]
    assert second["diff"]["before"] == second["diff"]["after"]
    assert docker.objects("container") == before


def test_a_server_that_was_removed_by_hand_comes_back_at_its_address(lab: Lab, docker: FakeDocker) -> None:
    first = lab()["ansible_facts"]["consul_lab_members"]
    docker.lose("labctl-ada-consul2")
    result = lab()
    assert result["changed"] is True
    again = result["ansible_facts"]["consul_lab_members"]
    assert [server["address"] for server in again] == [server["address"] for server in first]


def test_a_stopped_server_is_started_and_that_is_a_change(lab: Lab, docker: FakeDocker) -> None:
    lab()
    docker.container("labctl-ada-consul2")["State"]["Status"] = "exited"
    assert lab()["changed"] is True
    assert set(states(docker).values()) == {"running"}


def test_a_paused_server_is_woken_because_compose_cannot_start_it(lab: Lab, docker: FakeDocker) -> None:
    lab()
    docker.container("labctl-ada-consul2")["State"]["Status"] = "paused"
    assert lab(check=True)["actions"] == ["would start consul2"]
    assert docker.called("unpause") == []
    assert lab()["changed"] is True
    assert set(states(docker).values()) == {"running"}
    assert len(docker.called("unpause")) == 1


def test_another_pace_keeps_the_key_the_subnet_and_the_data(lab: Lab, docker: FakeDocker) -> None:
    first = lab()
    volumes = docker.objects("volume")
    second = lab(pace="real")
    assert second["changed"] is True
    assert second["subnet"] == first["subnet"]
    assert docker.objects("volume") == volumes
    assert '"pace": "teach"' in second["diff"]["before"]
    assert '"pace": "real"' in second["diff"]["after"]


def test_ports_are_those_that_were_asked_for(lab: Lab) -> None:
    members = lab(http_port=18500)["ansible_facts"]["consul_lab_members"]
    assert [member["http_port"] for member in members] == [18500, 18501, 18502]


def test_a_helper_that_a_killed_run_left_is_removed(lab: Lab, docker: FakeDocker) -> None:
    labels = {"raft-labctl.lab": "ada", "raft-labctl.owner": "ada"}
    marks = {
        "a": {"raft-labctl.helper": "configuration"},
        "b": {"raft-labctl.probe": "verify"},
        "c": {"raft-labctl.reserved-servers": "3"},
    }
    helpers = {docker.put_container(name, labels=labels | mark) for name, mark in marks.items()}
    lab()
    assert helpers.isdisjoint(docker.objects("container"))


def test_a_container_of_somebody_with_the_labs_label_is_left_alone(lab: Lab, docker: FakeDocker) -> None:
    theirs = docker.put_container("x", labels={"raft-labctl.lab": "ada", "raft-labctl.owner": "ada"})
    lab()
    assert theirs in docker.objects("container")
    lab(state="absent")
    assert list(docker.objects("container")) == [theirs]


def fault_in(docker: FakeDocker, server: str, name: str, life: str | None = None) -> str:
    """A helper of a fault in the network of a server, begun in its life of now or in another one."""
    there = docker.container(f"labctl-ada-{server}")
    labels = {
        "raft-labctl.lab": "ada",
        "raft-labctl.owner": "ada",
        "raft-labctl.fault": "ab12cd",
        "raft-labctl.fault-life": there["State"]["StartedAt"] if life is None else life,
    }
    helper = docker.put_container(name, labels=labels)
    docker.container(name)["HostConfig"] = {"NetworkMode": f"container:{there['Id']}"}
    return helper


def test_up_leaves_a_fault_that_lasts_alone_and_removes_the_helper_of_one_that_is_over(
    lab: Lab, docker: FakeDocker
) -> None:
    lab()
    lasting, over = fault_in(docker, "consul1", "lasting"), fault_in(docker, "consul2", "over", "2020-01-01T00:00:00Z")
    docker.container("labctl-ada-consul3")["State"]["Status"] = "exited"
    stopped = fault_in(docker, "consul3", "stopped")
    lab()
    left = docker.objects("container")
    assert (lasting in left, over in left, stopped in left) == (True, False, False)


def test_up_removes_the_helper_of_a_fault_whose_server_it_makes_again(lab: Lab, docker: FakeDocker) -> None:
    lab()
    helper = fault_in(docker, "consul1", "helper")
    lab(pace="real")
    assert helper not in docker.objects("container")


def test_down_removes_the_helpers_of_faults_that_last(lab: Lab, docker: FakeDocker) -> None:
    lab()
    fault_in(docker, "consul1", "helper")
    lab(state="absent")
    assert docker.objects("container") == {}


def test_what_is_made_first_has_the_workshops_labels_so_that_its_down_and_its_end_find_it(
    lab: Lab, docker: FakeDocker
) -> None:
    labels = {"raft-labctl.workshop": "w", "raft-labctl.seat": "01", "raft-labctl.number": "1"}
    lab(name="w-01", labels=labels)
    made = docker.objects("volume")["labctl-w-01-config"]["Labels"]
    assert labels.items() <= made.items()
    assert made["raft-labctl.lab"] == "w-01"


def test_nothing_is_made_for_a_labctl_that_was_ended(
    lab: Lab, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABCTL_ASKER", f"{os.getpid()} 1")
    assert lab()["msg"] == "The lab ada was not started, because the labctl that wanted it was ended."
    assert docker.everything() == {"container": {}, "network": {}, "volume": {}}
    assert not lab.folder.exists()
    monkeypatch.delenv("LABCTL_ASKER")
    lab()
    monkeypatch.setenv("LABCTL_ASKER", f"{os.getpid()} 1")
    assert lab("absent")["changed"]


def test_a_subnet_that_is_taken_meanwhile_is_replaced_by_the_next(lab: Lab, docker: FakeDocker) -> None:
    docker.answer("compose", err="failed: Pool overlaps with other one on this address space", code=1)
    result = lab()
    assert len(docker.called("compose")) == 2
    assert result["subnet"] in result["diff"]["after"]
    assert result["diff"]["after"].count("LAB_SUBNET") == 1
    assert docker.objects("network")["labctl-ada"]["IPAM"]["Config"][0]["Subnet"] == result["subnet"]


def test_a_subnet_that_was_asked_for_is_not_replaced(lab: Lab, docker: FakeDocker) -> None:
    docker.answer("compose", err="Error: Pool overlaps with other one on this address space", code=1)
    result = lab(subnet="10.213.7.0/28")
    assert "Pool overlaps" in result["msg"]
    assert len(docker.called("compose")) == 1


HELD = "Error response from daemon: Address already in use"


def test_an_address_that_a_dead_engine_holds_is_freed_with_the_network_and_the_data_stays(
    lab: Lab, docker: FakeDocker
) -> None:
    lab()
    lab("stopped")
    volumes = set(docker.objects("volume"))
    docker.answer("compose", err=HELD, code=1)
    result = lab(pace="real")
    assert "recreated the network, whose addresses were blocked" in result["actions"]
    assert docker.called("network", "rm") == [["network", "rm", "labctl-ada"]]
    assert set(docker.objects("volume")) == volumes
    assert {member["state"] for member in result["ansible_facts"]["consul_lab_members"]} == {"running"}


def test_a_network_named_like_the_id_of_another_does_not_take_that_one_along(lab: Lab, docker: FakeDocker) -> None:
    """Docker lets a network be called anything, and looks for an ID first."""
    lab()
    theirs = "f" * 64
    docker.put("network", theirs, {"Id": theirs, "Name": "precious", "Driver": "bridge", "Labels": None})
    labels = docker.objects("network")["labctl-ada"]["Labels"]
    docker.put("network", "0" * 64, {"Id": "0" * 64, "Name": theirs, "Driver": "bridge", "Labels": labels})
    assert lab("absent")["changed"]
    assert set(docker.objects("network")) == {theirs}


def test_servers_that_run_are_not_taken_apart_for_an_address(lab: Lab, docker: FakeDocker) -> None:
    lab()
    before = docker.everything()
    docker.answer("compose", err=HELD, code=1)
    result = lab(pace="real")
    assert "An address of the lab ada is held" in result["msg"]
    assert docker.everything() == before


BUSY = [
    'Error: Conflict. The container name "/labctl-ada-consul2" is already in use by container 8ba2.',
    "Error response from daemon: removal of container 8ba2 is already in progress",
    "Error response from daemon: No such container: 8ba2",
]


@pytest.mark.parametrize("said", BUSY)
def test_what_the_engine_still_does_for_a_compose_that_was_killed_is_waited_for(
    said: str, lab: Lab, docker: FakeDocker
) -> None:
    lab.machine = replace(lab.machine, busy=0.01)
    lab()
    docker.answer("compose", err=said, code=1, times=2)
    result = lab(pace="real")
    assert {member["state"] for member in result["ansible_facts"]["consul_lab_members"]} == {"running"}
    docker.answer("compose", err=said, code=1, times=9)
    assert said in lab(pace="teach")["msg"]
    assert len(docker.called("compose")) == 1 + 3 + 3


def test_a_container_of_somebody_that_came_meanwhile_is_named_and_stays(lab: Lab, docker: FakeDocker) -> None:
    lab()
    docker.lose("labctl-ada-consul2")
    docker.answer("compose", err=BUSY[0], code=1)

    def pause(_: float) -> None:
        docker.put_container("labctl-ada-consul2", labels={"theirs": "yes"})

    lab.machine = replace(lab.machine, sleep=pause)
    result = lab()
    assert "A container named labctl-ada-consul2 exists and is not a server of the lab ada" in result["msg"]
    assert len(docker.called("compose")) == 2
    assert docker.container("labctl-ada-consul2")["Config"]["Labels"] == {"theirs": "yes"}


def test_a_server_of_somebody_else_that_came_meanwhile_is_told_and_not_touched(lab: Lab, docker: FakeDocker) -> None:
    lab()
    docker.answer("compose", err=BUSY[0], code=1)
    labels = {"raft-labctl.lab": "ada", "raft-labctl.owner": "eve", "raft-labctl.server": "consul1"}
    name = "0123456789ab_labctl-ada-consul1"

    def pause(_: float) -> None:
        docker.lose("labctl-ada-consul1")
        docker.put_container(name, labels=labels, state="exited")

    lab.machine = replace(lab.machine, sleep=pause)
    result = lab(pace="real")
    assert result["failure"] == "refused"
    assert "A part of the lab ada on this Docker host belongs to eve, not to ada" in result["msg"]
    assert docker.container(name)["State"]["Status"] == "exited"


def test_a_lab_that_cannot_start_leaves_nothing(lab: Lab, docker: FakeDocker) -> None:
    docker.answer("compose", err="Bind for 127.0.0.1:18500 failed: port is already allocated", code=1)
    result = lab(http_port=18500)
    assert result["failed"] is True
    assert result["failure"] == "refused"
    assert "Port 18500" in result["msg"]
    assert docker.everything() == {"container": {}, "network": {}, "volume": {}}
    assert not lab.folder.exists()


def test_a_lab_that_was_there_keeps_its_data_when_a_change_fails(lab: Lab, docker: FakeDocker) -> None:
    lab()
    before = docker.everything()
    docker.answer("compose", err="Error: no", code=1)
    assert lab(pace="real")["failed"] is True
    assert docker.everything() == before
    assert lab.folder.exists()


# -- growing and shrinking -----------------------------------------------------------------------------------


def adopt(docker: FakeDocker, cluster: FakeCluster) -> None:
    """Let the lab's servers be reachable where the cluster answers."""
    for name in states(docker):
        inspected = docker.container(name)
        server = cluster.servers[int(name[-1]) - 1]
        server.address = inspected["NetworkSettings"]["Networks"]["labctl-ada"]["IPAddress"]
        inspected["NetworkSettings"]["Ports"]["8500/tcp"][0]["HostPort"] = str(server.http_port)


def peers_without_those_that_left(cluster: FakeCluster, docker: FakeDocker) -> Callable[[int, str, str], Any]:
    names = {key: container["Name"][-7:] for key, container in docker.objects("container").items()}

    said = cluster.answer

    def answer(number: int, method: str, path: str) -> tuple[int, Any]:
        if path != "/v1/status/peers":
            return said(number, method, path)
        left = {names[call[1]] for call in docker.called("leave")}
        return 200, [f"{fake_server.address}:8300" for fake_server in cluster.servers if fake_server.name not in left]

    return answer


def test_servers_beyond_the_new_size_leave_the_last_first_and_lose_their_data(
    lab: Lab, docker: FakeDocker, clusters: Callable[..., FakeCluster]
) -> None:
    lab(servers=5)
    cluster = clusters(5)
    adopt(docker, cluster)
    names = {key: container["Name"][-7:] for key, container in docker.objects("container").items()}
    cluster.answer = peers_without_those_that_left(cluster, docker)  # type: ignore[assignment,method-assign]
    result = lab(servers=3)
    assert [names[call[1]] for call in docker.called("leave")] == ["consul5", "consul4"]
    assert result["actions"] == [
        "consul5 left the cluster",
        "consul4 left the cluster",
        "removed consul5",
        "removed consul4",
    ]
    assert sorted(docker.objects("volume")) == [
        "labctl-ada-config",
        "labctl-ada-consul1",
        "labctl-ada-consul2",
        "labctl-ada-consul3",
    ]


def test_a_lab_that_somebody_else_took_while_a_server_left_loses_nothing(
    lab: Lab, docker: FakeDocker, clusters: Callable[..., FakeCluster]
) -> None:
    lab(servers=5)
    cluster = clusters(5)
    adopt(docker, cluster)
    before = states(docker)
    said = peers_without_those_that_left(cluster, docker)
    theirs = lock_holder.holder("labctl down ada", 900).note

    def peers(number: int, method: str, path: str) -> Any:
        if docker.called("leave"):
            for name, volume in docker.objects("volume").items():
                if "raft-labctl.lock" in volume["Labels"] and name != "theirs":
                    docker.lose_volume(name)
            labels = {"raft-labctl.lock": "ada", "raft-labctl.holder": theirs}
            docker.put("volume", "theirs", {"Name": "theirs", "Labels": labels, "CreatedAt": ""})
        return said(number, method, path)

    cluster.answer = peers  # type: ignore[method-assign]
    result = lab(servers=3)
    assert result["failure"] == "refused"
    assert result["msg"].startswith("Cannot go on with the lab ada: its lock was removed")
    assert "`labctl down ada`" in result["msg"]
    assert len(docker.called("leave")) == 1
    assert states(docker) == before
    assert {f"labctl-ada-consul{number}" for number in range(1, 6)} <= set(docker.objects("volume"))


def test_a_server_that_left_before_a_killed_command_ended_is_not_asked_again(
    lab: Lab, docker: FakeDocker, clusters: Callable[..., FakeCluster]
) -> None:
    lab(servers=5)
    cluster = clusters(5)
    adopt(docker, cluster)
    gone = next(fake_server for fake_server in cluster.servers if fake_server.name == "consul5")
    docker.container("labctl-ada-consul5")["State"] |= {"Status": "exited", "Running": False}
    names = {key: container["Name"][-7:] for key, container in docker.objects("container").items()}

    said = cluster.answer

    def peers(number: int, method: str, path: str) -> tuple[int, Any]:
        if path != "/v1/status/peers":
            return said(number, method, path)
        left = {gone.name} | {names[call[1]] for call in docker.called("leave")}
        return 200, [f"{fake_server.address}:8300" for fake_server in cluster.servers if fake_server.name not in left]

    cluster.answer = peers  # type: ignore[method-assign]
    assert lab(servers=3)["actions"] == ["consul4 left the cluster", "removed consul5", "removed consul4"]
    assert "labctl-ada-consul5" not in docker.objects("volume")


@pytest.mark.parametrize(("server", "state"), [("consul2", "exited"), ("consul1", "paused"), ("consul5", "exited")])
def test_a_lab_gets_smaller_only_while_all_its_servers_run(
    lab: Lab, docker: FakeDocker, clusters: Callable[..., FakeCluster], server: str, state: str
) -> None:
    lab(servers=5)
    adopt(docker, clusters(5))
    docker.container(f"labctl-ada-{server}")["State"]["Status"] = state
    before = docker.everything()
    result = lab(servers=3)
    assert result["failure"] == "refused"
    assert result["msg"] == (
        "The lab ada can only get smaller while all its servers run, because a server that leaves asks the others, and "
        f"{server} is {'paused' if state == 'paused' else 'stopped'}: `labctl start ada` first."
    )
    assert docker.called("leave") == []
    assert docker.everything() == before


def test_servers_that_were_never_joined_need_not_leave(
    lab: Lab, docker: FakeDocker, clusters: Callable[..., FakeCluster]
) -> None:
    lab()
    adopt(docker, clusters(3, joined=lambda: False))
    assert lab(servers=1)["actions"] == ["removed consul3", "removed consul2"]
    assert docker.called("leave") == []
    assert list(states(docker)) == ["labctl-ada-consul1"]
    assert sorted(docker.objects("volume")) == ["labctl-ada-config", "labctl-ada-consul1"]


def test_a_server_that_the_others_still_count_is_not_removed(
    lab: Lab, docker: FakeDocker, clusters: Callable[..., FakeCluster]
) -> None:
    lab()
    adopt(docker, clusters(3))
    lab.machine = replace(lab.machine, leave=0.0)
    result = lab(servers=1)
    assert result["failure"] == "not_ready"
    assert "consul3 was asked to leave and the others still count it" in result["msg"]
    assert len(states(docker)) == 3


class Refused:
    """Makes a joined lab of three smaller after something happened to it, and gives the module's result.

    Whatever is refused has changed nothing, in check mode as well, and told no server to leave.
    """

    def __init__(self, lab: Lab, docker: FakeDocker, cluster: FakeCluster) -> None:
        self.lab = lab
        self.docker = docker
        self.cluster = cluster

    def __call__(self, servers: int = 1) -> str:
        before = self.docker.everything()
        result = self.lab(servers=servers)
        assert result.get("failure") == "refused", result
        assert self.docker.called("leave") == []
        assert self.docker.everything() == before
        assert self.lab(servers=servers, check=True)["msg"] == result["msg"]
        assert "\n" not in result["msg"]
        return str(result["msg"])


@pytest.fixture
def refused(lab: Lab, docker: FakeDocker, clusters: Callable[..., FakeCluster]) -> Refused:
    lab()
    cluster = clusters(3)
    adopt(docker, cluster)
    return Refused(lab, docker, cluster)


@pytest.mark.parametrize("broken", [[0], [0, 1, 2]])
def test_a_lab_of_which_a_server_that_stays_answers_with_an_error_keeps_all_of_them(
    refused: Refused, broken: list[int]
) -> None:
    for number in broken:
        refused.cluster.servers[number].broken = True
    assert refused() == (
        'The lab ada was not made smaller, because consul1 does not say who is in its cluster (HTTP 500: "No cluster '
        'leader"), and nothing was changed: `labctl status ada` shows what its servers say; try again when all answer.'
    )


def test_a_lab_of_which_a_server_that_stays_does_not_answer_in_time_keeps_all_of_them(refused: Refused) -> None:
    refused.lab.machine = replace(refused.lab.machine, answer=0.2)
    refused.cluster.answer = lambda *_: time.sleep(1.0)  # type: ignore[assignment,method-assign]
    assert "because consul1 does not say who is in its cluster (timed out)" in refused()


def test_a_lab_of_which_nobody_answers_keeps_all_its_servers(refused: Refused) -> None:
    for number in (1, 2, 3):
        bindings = refused.docker.container(f"labctl-ada-consul{number}")["NetworkSettings"]["Ports"]["8500/tcp"]
        bindings[0]["HostPort"] = "1"
    assert "because consul1 does not say who is in its cluster (" in refused()


@pytest.mark.parametrize("said", ["peers", {"a": 1}, [1], ["no port"]])
def test_an_answer_that_is_no_list_of_peers_is_none(refused: Refused, said: Any) -> None:
    refused.cluster.answer = lambda *_: (200, said)  # type: ignore[method-assign]
    assert "because consul1 does not say who is in its cluster (its answer is no list of peers)" in refused()


def test_a_server_that_stays_and_lost_its_data_is_not_all_that_is_kept(refused: Refused) -> None:
    answer = refused.cluster.answer
    refused.cluster.answer = (  # type: ignore[method-assign]
        lambda number, *words: (200, []) if number == 0 else answer(number, *words)
    )
    assert refused() == (
        "The lab ada was not made smaller, because consul1 is in no cluster and consul3 is, which would be removed "
        "with its data: `labctl join ada` first."
    )


def test_nothing_is_removed_beside_a_server_that_never_joined_while_another_may_have_the_data(refused: Refused) -> None:
    refused.cluster.joined = lambda: False
    refused.docker.container("labctl-ada-consul2")["State"]["Status"] = "exited"
    assert "and consul2 is stopped: `labctl start ada` first." in refused()
    refused.docker.container("labctl-ada-consul2")["State"]["Status"] = "running"
    refused.cluster.servers[1].broken = True
    assert "because consul2 does not say who is in its cluster" in refused()


def test_a_server_that_stays_and_was_removed_by_hand_is_made_again_first(refused: Refused) -> None:
    refused.docker.lose("labctl-ada-consul1")
    assert refused() == (
        "The lab ada was not made smaller, because it has lost consul1: `labctl up ada --servers 3` makes it again."
    )


def test_a_voter_that_was_removed_by_hand_would_take_the_majority_away(refused: Refused) -> None:
    refused.docker.lose("labctl-ada-consul3")
    assert refused() == (
        "The lab ada was not made smaller, because it has lost consul3, which the others still count: `labctl up ada "
        "--servers 3` makes it again."
    )


def test_a_server_whose_address_nobody_knows_may_still_be_counted(refused: Refused) -> None:
    networks = refused.docker.container("labctl-ada-consul3")["NetworkSettings"]["Networks"]
    networks.clear()
    refused.docker.lose_network("labctl-ada")
    assert "consul3 has no address" in refused()


def test_a_lab_without_a_leader_does_not_get_smaller(refused: Refused) -> None:
    refused.cluster.leader = None
    assert refused() == (
        "The lab ada was not made smaller, because consul1 knows no leader, and only a leader lets a server leave: "
        "`labctl status ada` shows what its servers say; try again when one leads."
    )


def test_a_server_that_stays_and_falls_silent_meanwhile_has_not_said_that_the_other_left(
    lab: Lab, docker: FakeDocker, clusters: Callable[..., FakeCluster]
) -> None:
    lab()
    cluster = clusters(3)
    adopt(docker, cluster)
    answer = cluster.answer
    lab.machine = replace(lab.machine, leave=0.5)
    cluster.answer = lambda *words: (500, "stuck") if docker.called("leave") else answer(*words)  # type: ignore[method-assign]
    result = lab(servers=1)
    assert result["failure"] == "not_ready"
    assert result["msg"] == (
        'consul3 was asked to leave, and consul1 did not say within 0 seconds that it has left (HTTP 500: "stuck"), '
        "so nothing was removed: `labctl status ada` shows what the servers say; run the same again when all answer."
    )
    assert len(states(docker)) == 3
    assert "labctl-ada-consul3" in docker.objects("volume")


def test_a_lab_that_grows_asks_its_servers_nothing(
    lab: Lab, docker: FakeDocker, clusters: Callable[..., FakeCluster]
) -> None:
    lab()
    cluster = clusters(3)
    adopt(docker, cluster)
    lab(servers=5)
    assert len(states(docker)) == 5
    assert cluster.requests == []


# -- stopped, started, restarted, absent ---------------------------------------------------------------------


def test_stop_and_start_keep_containers_and_volumes(lab: Lab, docker: FakeDocker) -> None:
    lab()
    ids, volumes = list(docker.objects("container")), docker.objects("volume")
    assert lab("stopped")["actions"] == ["stopped consul1", "stopped consul2", "stopped consul3"]
    assert set(states(docker).values()) == {"exited"}
    assert lab("stopped")["changed"] is False
    assert lab("started")["actions"] == ["started consul1", "started consul2", "started consul3"]
    assert set(states(docker).values()) == {"running"}
    assert lab("started")["changed"] is False
    assert (list(docker.objects("container")), docker.objects("volume")) == (ids, volumes)


def test_one_server_is_meant_where_one_is_named(lab: Lab, docker: FakeDocker) -> None:
    lab()
    assert lab("stopped", server="consul2")["actions"] == ["stopped consul2"]
    assert states(docker)["labctl-ada-consul2"] == "exited"
    assert lab("restarted", server="consul1")["actions"] == ["stopped consul1", "started consul1"]
    assert states(docker)["labctl-ada-consul2"] == "exited"


def test_a_server_that_the_lab_does_not_have_is_wrong_usage(lab: Lab) -> None:
    lab()
    result = lab("stopped", server="consul9")
    assert result["failure"] == "usage"
    assert "'consul9'" in result["msg"]
    assert "consul1, consul2, consul3" in result["msg"]


def test_a_paused_server_is_woken_to_be_stopped(lab: Lab, docker: FakeDocker) -> None:
    lab()
    docker.container("labctl-ada-consul1")["State"]["Status"] = "paused"
    assert lab("stopped", check=True, server="consul1")["actions"] == ["would stop consul1"]
    assert lab("stopped", server="consul1")["actions"] == ["stopped consul1"]
    assert len(docker.called("unpause")) == 1


def test_a_lab_that_lost_a_server_is_not_started_by_halves(lab: Lab, docker: FakeDocker) -> None:
    lab()
    docker.lose("labctl-ada-consul2")
    assert "has lost consul2: `labctl up ada`" in lab("started")["msg"]


@pytest.mark.parametrize("state", ["stopped", "started", "restarted"])
def test_a_lab_that_is_not_there_cannot_be(lab: Lab, state: str) -> None:
    assert "There is no lab ada on this Docker host: `labctl up ada` starts it." in lab(state)["msg"]


def test_absent_removes_everything_and_says_what(lab: Lab, docker: FakeDocker) -> None:
    lab()
    docker.put_container("labctl-bob-consul1", labels={"raft-labctl.lab": "bob", "raft-labctl.server": "consul1"})
    result = lab("absent")
    assert result["changed"] is True
    assert result["removed"] == [
        "labctl-ada-consul1",
        "labctl-ada-consul2",
        "labctl-ada-consul3",
        "network labctl-ada",
        "volume labctl-ada-config",
        "volume labctl-ada-consul1",
        "volume labctl-ada-consul2",
        "volume labctl-ada-consul3",
    ]
    assert list(states(docker)) == ["labctl-bob-consul1"]
    assert not lab.folder.exists()
    again = lab("absent")
    assert (again["changed"], again["removed"]) == (False, [])


@pytest.mark.parametrize(("kind", "is_gone"), [("volume", True), ("network", False)])
def test_the_files_go_with_the_lab_also_where_the_engine_is_lost_before_it_has_said_that_all_is_gone(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, kind: str, *, is_gone: bool
) -> None:
    lab()
    really, real_look = LabProject.remove, LabProject.parts
    lost = []

    def remove(self: LabProject, of: str, ids: list[str]) -> None:
        really(self, of, ids)
        lost.append(of)
        if kind == of == "network":
            raise DockerError("the engine is lost")

    def look(self: LabProject) -> Any:
        if kind in lost:
            raise DockerError("the engine is lost")
        return real_look(self)

    monkeypatch.setattr(LabProject, "remove", remove)
    monkeypatch.setattr(LabProject, "parts", look)
    assert "the engine is lost" in lab("absent")["msg"]
    assert lab.folder.exists() is not is_gone


# -- check mode ----------------------------------------------------------------------------------------------


def writes(docker: FakeDocker) -> list[list[str]]:
    return [call for call in docker.calls if call[1] not in ("ls", "inspect")]


def changes(docker: FakeDocker) -> list[list[str]]:
    """What was written besides the lab's lock."""
    return [call for call in writes(docker) if "labctl-ada-lock-" not in call[2]]


def test_check_mode_says_what_would_be_made_and_makes_nothing(lab: Lab, docker: FakeDocker) -> None:
    result = lab(check=True)
    assert result["changed"] is True
    assert result["actions"] == [f"would make and start consul{number}" for number in (1, 2, 3)]
    assert "LAB_SUBNET" in result["diff"]["after"]
    assert writes(docker) == []
    assert not lab.folder.exists()


@pytest.mark.parametrize(
    ("state", "changed", "actions"),
    [
        ("present", {}, []),
        ("present", {"pace": "real"}, ["would make the servers again with other settings, keeping their data"]),
        ("stopped", {}, ["would stop consul1", "would stop consul2", "would stop consul3"]),
        ("started", {}, []),
        ("restarted", {"server": "consul1"}, ["would restart consul1"]),
    ],
)
def test_check_mode_of_a_lab_that_is_there(
    lab: Lab, docker: FakeDocker, state: str, changed: dict[str, Any], actions: list[str]
) -> None:
    lab()
    before = len(writes(docker))
    result = lab(state, check=True, **changed)
    assert result["actions"] == actions
    assert result["changed"] is bool(actions)
    assert len(writes(docker)) == before


def test_check_mode_of_a_smaller_lab_and_of_none(
    lab: Lab, docker: FakeDocker, clusters: Callable[..., FakeCluster]
) -> None:
    lab()
    adopt(docker, clusters(3, joined=lambda: False))
    before = docker.everything()
    smaller = lab(check=True, servers=1)["actions"]
    assert smaller[:2] == ["would remove consul2", "would remove consul3"]
    assert lab("absent", check=True)["actions"][0] == "would remove labctl-ada-consul1"
    assert docker.everything() == before


# -- refusals ------------------------------------------------------------------------------------------------


def seat(**changed: str) -> dict[str, Any]:
    """A lab that is a seat of a workshop, with other labels."""
    labels = {"workshop": "w", "seat": "ada", "number": "1", **changed}
    return {"name": "w-ada", "labels": {f"raft-labctl.{name}": value for name, value in labels.items()}}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"name": "../x"}, "cannot be the name of a lab"),
        ({"name": "x" * 64}, "64 characters"),
        ({"owner": ""}, "needs an owner"),
        ({"compose": ""}, "`compose` and `image`"),
        ({"image": ""}, "`compose` and `image`"),
        ({"http_port": 65535}, "choose 1 to 65533"),
        ({"at_once": 0}, "Cannot start 0 labs at a time: set consul_lab_at_once to 1 to 4096."),
        ({"at_once": 10**9}, "Cannot start 1000000000 labs at a time: set consul_lab_at_once to 1 to 4096."),
        ({"pids": 15}, "Cannot give a server 15 processes: set consul_lab_pids to 16 to 4194304."),
        ({"pids": -1}, "Cannot give a server -1 processes: set consul_lab_pids to 16 to 4194304."),
        ({"pids": 10**30}, "processes: set consul_lab_pids to 16 to 4194304."),
        (seat(number="4097"), 'with raft-labctl.number="4097": labctl would not know it as its own. Set consul_lab'),
        (seat(number="0"), "Set consul_lab_seat_number to 1 to 4096."),
        (seat(number="1" * 10_000), "Set consul_lab_seat_number to 1 to 4096."),
        (seat(seat="{{ 7 }}"), "Set consul_lab_seat to the seat's name"),
        (seat(workshop="else"), "Set consul_lab_workshop to the workshop's name"),
        ({"labels": {"raft-labctl.pace": "fast"}}, "Set the label raft-labctl.pace to what labctl itself would write."),
        ({"http_port": -1}, "cannot be the first HTTP port"),
        ({"profile": "full"}, "cannot have the profile full, because `consul tls` is there since Consul 1.4.1"),
        ({"seed": "ab"}, "must have 64 hex digits"),
        ({"seed": "x" * 64}, "must have 64 hex digits"),
        ({"seed_file": "/x"}, "read on the controller"),
    ],
)
def test_wrong_arguments_are_refused_before_docker_is_asked(
    lab: Lab, docker: FakeDocker, changed: dict[str, Any], says: str
) -> None:
    result = lab(**changed)
    assert result["failure"] == "usage"
    assert says in result["msg"]
    assert docker.calls == []
    assert not lab.folder.exists()


@pytest.mark.parametrize("state", ["present", "stopped", "restarted", "absent"])
def test_a_lab_of_somebody_else_is_refused(lab: Lab, docker: FakeDocker, state: str) -> None:
    lab()
    before = docker.everything()
    result = lab(state, owner="bob")
    assert result["failure"] == "refused"
    assert "belongs to ada, not to bob" in result["msg"]
    assert docker.everything() == before


def test_a_lab_of_somebody_else_is_removed_by_force_with_a_warning_that_says_whose_it_is(
    lab: Lab, docker: FakeDocker
) -> None:
    lab()
    refused = lab("absent", owner="bob")
    assert "`labctl down ada --force`, or consul_lab_force=true, removes it anyway" in refused["msg"]
    before = docker.everything()
    preview = lab("absent", owner="bob", force=True, check=True)
    assert preview["owner"] == "ada"
    assert docker.everything() == before
    result = lab("absent", owner="bob", force=True)
    assert (result["changed"], result["owner"]) == (True, "ada")
    assert docker.everything() == {"container": {}, "network": {}, "volume": {}}


def test_force_of_another_owner_is_a_warning_and_of_oneself_is_none(lab: Lab) -> None:
    parts = lab_parts.LabParts(owners=frozenset({"ada"}))
    said = "The lab ada belongs to ada, and {} because consul_lab_force is set."
    for dry, verb in ((True, "would be removed"), (False, "was removed")):
        assert consul_lab.whose({"name": "ada", "owner": "bob"}, parts, dry=dry)["warnings"] == [said.format(verb)]
    lab()
    result = lab("absent", force=True)
    assert (result["changed"], result["owner"]) == (True, "ada")
    assert consul_lab.whose({"name": "ada", "owner": "ada"}, parts, dry=False) == {"owner": "ada"}


@pytest.mark.parametrize("state", ["present", "stopped", "started", "restarted"])
def test_only_a_removal_can_be_forced(lab: Lab, docker: FakeDocker, state: str) -> None:
    result = lab(state, force=True)
    assert result["failure"] == "usage"
    assert "Only the removal of a lab can be forced" in result["msg"]
    assert docker.calls == []


# -- limits --------------------------------------------------------------------------------------------------


@pytest.fixture
def limits(tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """Writes a file of limits; returns the arguments that name it."""

    def write(text: str) -> dict[str, str]:
        path = tmp_path / "limits.ini"
        path.write_text(text, encoding="utf-8")
        return {"limits_file": str(path), "memory": "256m"}

    return write


def test_a_lab_within_its_owners_limits_is_made_and_no_place_is_left_held(
    lab: Lab, docker: FakeDocker, limits: Callable[[str], dict[str, Any]]
) -> None:
    result = lab(**limits("[everybody]\nlabs = 1\nservers = 3\nmemory = 768m\n"))
    assert result["changed"] is True
    assert sorted(states(docker)) == ["labctl-ada-consul1", "labctl-ada-consul2", "labctl-ada-consul3"]


def test_more_than_an_owner_may_have_is_refused_before_anything_is_made(
    lab: Lab, docker: FakeDocker, limits: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    result = lab(**limits("[everybody]\nservers = 9\n[ada]\nservers = 2\n"))
    assert result["failure"] == "refused"
    assert result["msg"] == (
        "The lab ada would be more than ada may have on this Docker host, so nothing was changed: at most 2 servers "
        "(ada has 0, this would make 3; section [ada]); remove a lab of yours with `labctl down`, or ask the admin to "
        f"raise the limits in {tmp_path / 'limits.ini'}."
    )
    assert changes(docker) == []
    assert not lab.folder.exists()


def test_a_lab_that_is_there_is_not_refused_by_a_limit_that_came_later_and_may_not_grow(
    lab: Lab, docker: FakeDocker, limits: Callable[[str], dict[str, Any]]
) -> None:
    lab()
    words = limits("[everybody]\nlabs = 0\nservers = 1\nmemory = 1m\n")
    assert lab(**words)["changed"] is False
    docker.lose("labctl-ada-consul2")
    assert lab(**words)["changed"] is True
    before = docker.everything()
    assert "ada has 3, this would make 5" in lab(servers=5, **words)["msg"]
    assert docker.everything() == before
    assert lab(servers=5, check=True, **words)["failure"] == "refused"
    assert lab("absent", **words)["changed"] is True


def test_a_file_of_limits_that_cannot_be_understood_starts_nothing(
    lab: Lab, docker: FakeDocker, limits: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    result = lab(**limits("[eve]\nservers = many\n"))
    assert result["failure"] == "failed"
    assert result["msg"] == (
        f"The limits of this Docker host in {tmp_path / 'limits.ini'} cannot be understood (section [eve], key "
        "servers: 'many' is not a whole number, nor `unlimited`), so nothing was started: its admin must fix it."
    )
    assert changes(docker) == []


def test_a_lab_that_cannot_start_gives_its_place_back(
    lab: Lab, docker: FakeDocker, limits: Callable[[str], dict[str, Any]]
) -> None:
    words = limits("[everybody]\nservers = 5\n")
    docker.answer("compose", err="Error: no", code=1)
    assert lab(**words)["failed"] is True
    assert docker.everything() == {"container": {}, "network": {}, "volume": {}}
    lab(**words)
    docker.answer("compose", err="Error: no", code=1)
    assert lab(servers=5, **words)["failed"] is True
    assert len(states(docker)) == 3


def test_the_module_and_the_doctor_look_for_the_same_file() -> None:
    assert consul_lab.argument_spec()["limits_file"]["default"] == quotas.LIMITS_FILE


def test_an_engine_that_does_not_answer_is_told(lab: Lab, docker: FakeDocker) -> None:
    docker.answer("ls", err="Cannot connect to the Docker daemon", code=1, times=9)
    result = lab()
    assert "The Docker Engine does not answer" in result["msg"]
    assert result["failure"] == "failed"


def test_a_folder_that_cannot_be_written_is_told_and_is_no_hindrance_to_removal(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "labs").write_text("not a folder", encoding="utf-8")
    assert "XDG_STATE_HOME" in lab()["msg"]
    assert lab("absent")["changed"] is False


def test_a_lab_of_another_profile_is_refused_and_left_as_it_is(lab: Lab, docker: FakeDocker) -> None:
    lab()
    before = docker.everything()
    result = lab(profile="open")
    assert result["failure"] == "refused"
    assert "has the profile gossip and keeps it while it exists" in result["msg"]
    assert docker.everything() == before


# -- the seed ------------------------------------------------------------------------------------------------

SEED = bytes(range(32)).hex()


def key_of(docker: FakeDocker) -> str:
    content = docker.objects("volume")["labctl-ada-config"]["Files"]["gossip.json"]["content"]
    return str(json.loads(content)["encrypt"])


def test_a_lab_that_is_made_again_from_its_seed_has_the_same_key(lab: Lab, docker: FakeDocker) -> None:
    result = lab(seed=SEED)
    first = key_of(docker)
    assert SEED not in json.dumps(result)
    assert first not in json.dumps(result)
    lab("absent")
    lab(seed=SEED)
    assert key_of(docker) == first == derived_secrets.gossip_key(bytes.fromhex(SEED))
    lab("absent")
    lab()
    assert key_of(docker) != first


def test_a_seed_that_is_refused_is_not_told(lab: Lab) -> None:
    wrong = "0123456789abcdef" * 4 + "0"
    assert wrong not in json.dumps(lab(seed=wrong))
