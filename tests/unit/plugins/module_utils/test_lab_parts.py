"""The existing parts of a lab are read from Docker's labels, and from nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from plugins.module_utils.lab_parts import LabParts, find, refuse_foreign, refuse_profile
from plugins.module_utils.shared.docker_api import DockerError, Engine

if TYPE_CHECKING:
    from tests.unit.stand_ins import FakeDocker

LABELS = {"raft-labctl.lab": "ada", "raft-labctl.owner": "ada"}


def test_a_lab_is_what_carries_its_label(docker: FakeDocker) -> None:
    docker.put_container("labctl-ada-consul2", labels={**LABELS, "raft-labctl.server": "consul2"})
    docker.put_container(
        "labctl-ada-consul1", labels={**LABELS, "raft-labctl.server": "consul1", "raft-labctl.servers": "3"}
    )
    helper = docker.put_container("helper", labels={**LABELS, "raft-labctl.helper": "network"})
    docker.put_container("theirs", labels=LABELS)
    docker.put_container("labctl-bob-consul1", labels={"raft-labctl.lab": "bob", "raft-labctl.server": "consul1"})
    docker.put_container("unlabelled", labels=None)
    docker.put_network("labctl-ada", "10.213.7.0/28", LABELS)
    docker.put_network("bridge", "172.17.0.0/16")
    docker.put("volume", "labctl-ada-config", {"Name": "labctl-ada-config", "Labels": {**LABELS}})
    lab_parts = find(Engine(), "ada")
    assert [lab_server.name for lab_server in lab_parts.servers] == ["consul1", "consul2"]
    assert lab_parts.size == 3
    assert lab_parts.helpers == (helper,)
    (said,) = lab_parts.strangers
    assert said.startswith("The container theirs has the label raft-labctl.lab and is neither a server nor a helper")
    assert lab_parts.owners == {"ada"}
    assert lab_parts.subnet == "10.213.7.0/28"
    assert lab_parts.networks == ("labctl-ada",)
    assert lab_parts.volumes == ("labctl-ada-config",)
    assert not lab_parts.empty
    assert lab_parts.names() == [
        "labctl-ada-consul1",
        "labctl-ada-consul2",
        "container helper-id",
        "network labctl-ada",
        "volume labctl-ada-config",
    ]


def test_a_lab_that_is_not_there_is_empty(docker: FakeDocker) -> None:
    docker.put_container("other", labels=None)
    lab_parts = find(Engine(), "ada")
    assert lab_parts.empty
    assert lab_parts.names() == []


def test_a_stopped_server_keeps_its_address_and_has_no_port(docker: FakeDocker) -> None:
    document = {
        "Id": "x",
        "Name": "/labctl-ada-consul1",
        "Config": {"Labels": {**LABELS, "raft-labctl.server": "consul1"}},
        "State": {"Status": "exited", "StartedAt": ""},
        "NetworkSettings": {
            "Networks": {"labctl-ada": {"IPAddress": "", "IPAMConfig": {"IPv4Address": "10.213.7.2"}}},
            "Ports": {"8500/tcp": None},
        },
    }
    docker.put("container", "x", document)
    (lab_server,) = find(Engine(), "ada").servers
    assert lab_server.fact() == {
        "name": "consul1",
        "container": "labctl-ada-consul1",
        "state": "exited",
        "address": "10.213.7.2",
        "http_port": None,
        "profile": "gossip",
    }


def test_a_helper_says_nothing_of_a_labs_size(docker: FakeDocker) -> None:
    docker.put_container("x", labels={**LABELS, "raft-labctl.server": "consul1", "raft-labctl.servers": "1"})
    docker.put_container("y", labels={**LABELS, "raft-labctl.servers": "7"})
    assert find(Engine(), "ada").size == 1


def test_a_lab_that_does_not_say_its_size_has_none(docker: FakeDocker) -> None:
    docker.put_container("x", labels={**LABELS, "raft-labctl.server": "consul1", "raft-labctl.servers": ""})
    assert find(Engine(), "ada").size == 0


@pytest.mark.parametrize(
    "odd",
    [
        {"raft-labctl.servers": "many"},
        {"raft-labctl.servers": "²"},
        {"raft-labctl.servers": "9" * 5000},
        {"raft-labctl.server": "../../../../tmp/owned"},
        {"raft-labctl.consul-version": "{{ 1 }}"},
    ],
)
def test_what_has_labels_that_labctl_never_writes_is_none_of_the_labs(docker: FakeDocker, odd: dict[str, str]) -> None:
    docker.put_container("x", labels={**LABELS, "raft-labctl.server": "consul1", **odd})
    docker.put("volume", "v", {"Name": "v", "Labels": {**LABELS, **odd}})
    lab_parts = find(Engine(), "ada")
    assert (lab_parts.empty, lab_parts.size, lab_parts.servers, lab_parts.owners) == (True, 0, (), frozenset())
    assert [sentence.split(" has ")[0] for sentence in lab_parts.strangers] == ["The container x", "The volume v"]


def test_a_lab_of_another_owner_is_refused_by_name() -> None:
    with pytest.raises(DockerError, match="belongs to bob, not to ada") as caught:
        refuse_foreign("x", "ada", LabParts(owners=frozenset({"bob"})))
    assert caught.value.failure == "refused"
    refuse_foreign("x", "ada", LabParts(owners=frozenset({"ada"})))
    refuse_foreign("x", "ada", LabParts())


def test_a_servers_port_is_the_one_that_its_profile_publishes(docker: FakeDocker) -> None:
    docker.put_container("x", labels={**LABELS, "raft-labctl.server": "consul1", "raft-labctl.profile": "full"})
    docker.container("x")["NetworkSettings"]["Ports"] = {"8501/tcp": [{"HostPort": "32768"}], "8500/tcp": None}
    (server,) = find(Engine(), "ada").servers
    assert (server.profile, server.http_port) == ("full", 32768)


def test_a_profile_is_told_by_the_servers_else_by_the_volume_and_old_labs_have_the_default(docker: FakeDocker) -> None:
    assert find(Engine(), "ada").profile == ""
    docker.put(
        "volume",
        "labctl-ada-config",
        {"Name": "labctl-ada-config", "Labels": {**LABELS, "raft-labctl.profile": "open"}},
    )
    assert find(Engine(), "ada").profile == "open"
    docker.put_container("x", labels={**LABELS, "raft-labctl.server": "consul1"})
    assert find(Engine(), "ada").profile == "gossip"


def test_another_profile_is_refused_and_a_new_lab_may_have_any() -> None:
    with pytest.raises(DockerError, match=r"the profile open and keeps it.*`labctl down x`.*profile full") as caught:
        refuse_profile("x", "full", LabParts(profile="open"))
    assert caught.value.failure == "refused"
    refuse_profile("x", "open", LabParts(profile="open"))
    refuse_profile("x", "full", LabParts())


def test_what_an_engine_lists_besides_what_was_asked_for_is_not_the_labs() -> None:
    class Careless(Engine):
        """Lists everything, whatever the filter."""

        def containers(self, _: dict[str, str], *, doing: str) -> list[dict[str, Any]]:
            assert doing
            return []

        def networks(self, _: dict[str, str], *, doing: str) -> list[dict[str, Any]]:
            assert doing
            return [{"Id": "n", "Name": "bridge", "Labels": {}}]

        def volumes(self, _: dict[str, str], *, doing: str) -> list[dict[str, Any]]:
            assert doing
            eves = {**LABELS, "raft-labctl.lab": "eve"}
            return [{"Name": "thesis", "Labels": None}, {"Name": "labctl-eve-consul1", "Labels": eves}]

    assert find(Careless(), "ada").empty


@pytest.mark.parametrize("removing", [False, True])
def test_a_lab_with_a_part_of_somebody_else_is_refused_with_what_helps(removing: bool) -> None:
    lab_parts = LabParts(owners=frozenset({"ada", "eve"}))
    with pytest.raises(DockerError) as caught:
        refuse_foreign("ada", "ada", lab_parts, removing=removing)
    assert caught.value.failure == "refused"
    assert "A part of the lab ada on this Docker host belongs to eve, not to ada" in caught.value.sentence
    assert "`labctl down ada --force`" in caught.value.sentence
    assert "choose another name" not in caught.value.sentence
