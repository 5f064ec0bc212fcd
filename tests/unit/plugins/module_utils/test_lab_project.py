"""Changes to a lab on a Docker host: refusals, files, removals."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import pytest

from plugins.module_utils import lab_project
from plugins.module_utils.docker_cli import Docker
from plugins.module_utils.lab_machine import Machine
from plugins.module_utils.lab_parts import LabParts, find
from plugins.module_utils.lab_project import LabProject
from plugins.module_utils.shared.docker_api import DockerError, Engine
from plugins.module_utils.shared.lab_server import LabServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.stand_ins import FakeDocker

LABELS = {"raft-labctl.lab": "ada", "raft-labctl.owner": "ada"}
POOL = "10.213.0.0/16"


def project(folder: Path, lab: str = "ada") -> LabProject:
    return LabProject(Docker(), lab, "ada", folder, machine=Machine(routes=folder / "routes"))


def server(name: str = "consul1", state: str = "running") -> LabServer:
    return LabServer(name, f"labctl-ada-{name}", f"labctl-ada-{name}-id", state, "10.213.0.2", None)


# -- subnets and names ----------------------------------------------------------------------------------------


def test_a_lab_keeps_its_subnet(docker: FakeDocker, tmp_path: Path) -> None:
    lab_parts = LabParts(subnet="10.213.7.0/28")
    assert [str(network) for network in project(tmp_path).plan(lab_parts, POOL, "")] == ["10.213.7.0/28"]
    assert [str(network) for network in project(tmp_path).plan(lab_parts, POOL, "10.213.7.0/28")] == ["10.213.7.0/28"]
    with pytest.raises(DockerError, match="keeps it while it exists") as caught:
        project(tmp_path).plan(lab_parts, POOL, "10.213.8.0/28")
    assert caught.value.failure == "refused"
    assert docker.calls == []


def test_a_new_lab_gets_subnets_that_no_network_has(docker: FakeDocker, tmp_path: Path) -> None:
    docker.put_network("somebody", "10.213.0.0/17")
    docker.put_network("six", "fd00::/64")
    # A bridge whose addresses somebody else gives, and what older engines say of it.
    bare: list[Any] = [{"Config": [{}]}, {"Config": [{"Gateway": "10.1.0.1"}]}, {"Config": None}, {}, None]
    for number, ipam in enumerate(bare):
        docker.put(
            "network",
            f"bare{number}",
            {"Id": f"bare{number}", "Name": f"bare{number}", "Driver": "bridge", "Labels": None, "IPAM": ipam},
        )
    plan = project(tmp_path).plan(LabParts(), POOL, "")
    assert len(plan) == lab_project.SUBNET_TRIES
    assert all(str(network.network_address) >= "10.213.128.0" for network in plan)


def kernel(*routes: str) -> str:
    """The text of /proc/net/route."""

    def column(number: int) -> str:
        return number.to_bytes(4, "little").hex().upper()

    networks = map(ipaddress.IPv4Network, routes)
    lines = [
        f"tun0 {column(int(network.network_address))} 0 1 0 0 0 {column(int(network.netmask))} 0 0 0\n"
        for network in networks
    ]
    return "head\n" + "".join(lines)


@pytest.fixture
def routed(tmp_path: Path) -> Callable[..., None]:
    """Gives this host these routes."""

    def give(*routes: str) -> None:
        (tmp_path / "routes").write_text(kernel(*routes), encoding="ascii")

    return give


@pytest.mark.usefixtures("routed")
def test_networks_of_one_name_both_have_their_subnets_and_a_name_without_end_is_short(
    docker: FakeDocker, tmp_path: Path
) -> None:
    for key, subnet in (("one", "10.213.7.16/28"), ("two", "10.213.7.32/28")):
        ipam = {"Config": [{"Subnet": subnet}]}
        called = "\x1b[2J" + "x" * 10_000
        docker.put("network", key, {"Id": key, "Name": called, "Driver": "bridge", "Labels": None, "IPAM": ipam})
    for subnet in ("10.213.7.16/28", "10.213.7.32/28"):
        with pytest.raises(DockerError, match=f"taken by the Docker network .*x[.]{{3}}' .{subnet}") as caught:
            project(tmp_path).plan(LabParts(), POOL, subnet)
        assert caught.value.sentence.isprintable()
        assert len(caught.value.sentence) < 200


@pytest.mark.parametrize("route", ["10.213.7.16/28", "10.213.7.20/32"])
def test_a_route_of_the_host_is_in_the_way_too(
    docker: FakeDocker, tmp_path: Path, routed: Callable[..., None], route: str
) -> None:
    routed("10.0.0.0/8", route)
    with pytest.raises(DockerError, match=f"taken by a route of this host to {route}") as caught:
        project(tmp_path).plan(LabParts(), POOL, "10.213.7.16/28")
    assert caught.value.failure == "refused"
    assert docker.called("network", "ls")


@pytest.mark.usefixtures("docker")
@pytest.mark.parametrize("routes", [["10.0.0.0/8"], ["0.0.0.0/1", "128.0.0.0/1"], ["10.0.0.0/8", "10.213.7.0/24"]])
def test_a_subnet_inside_of_a_vpns_route_is_taken_and_the_route_is_told(
    tmp_path: Path, routed: Callable[..., None], routes: list[str]
) -> None:
    routed(*routes)
    made = project(tmp_path)
    (wanted,) = made.plan(LabParts(), POOL, "10.213.7.16/28")
    made.subnet = str(wanted)
    (note,) = made.notes(LabParts())
    told = routes[-1] if routes[-1] != "128.0.0.0/1" else "0.0.0.0/1"
    assert note.startswith(f"The subnet 10.213.7.16/28 of the lab ada is a part of {told}, to which this Docker host")
    assert "--subnet-pool" in note
    # Who has it already was told.
    assert made.notes(LabParts(subnet=made.subnet)) == []
    free = project(tmp_path).plan(LabParts(), POOL, "")
    assert len(free) == lab_project.SUBNET_TRIES
    routed("192.168.0.0/16")
    assert made.plan(LabParts(), POOL, "10.213.7.16/28") == [wanted]
    assert made.notes(LabParts()) == []


def test_a_pool_that_routes_have_taken_is_refused_with_one_of_them(
    docker: FakeDocker, tmp_path: Path, routed: Callable[..., None]
) -> None:
    routed("10.213.4.0/28")
    docker.put_network("somebody", "10.213.4.16/28")
    with pytest.raises(DockerError, match=r"All subnets of 10\.213\.4\.0/27 are taken, one of them by ") as caught:
        project(tmp_path).plan(LabParts(), "10.213.4.0/27", "")
    assert "a route of this host to 10.213.4.0/28: choose" in str(caught.value) or "somebody" in str(caught.value)
    assert "--subnet-pool (consul_lab_subnet_pool)" in str(caught.value)
    with pytest.raises(DockerError, match=r"one of them by a route of this host to 10\.213\.4\.0/28: choose"):
        project(tmp_path).plan(LabParts(), "10.213.4.0/28", "")


def test_a_subnet_that_a_network_has_is_refused_by_its_name(docker: FakeDocker, tmp_path: Path) -> None:
    docker.put_network("somebody", "10.213.7.0/24")
    with pytest.raises(DockerError, match="taken by the Docker network somebody") as caught:
        project(tmp_path).plan(LabParts(), POOL, "10.213.7.16/28")
    assert caught.value.failure == "refused"


def test_a_pool_that_is_used_up_is_refused(docker: FakeDocker, tmp_path: Path) -> None:
    docker.put_network("somebody", "10.213.0.0/16")
    with pytest.raises(DockerError, match=r"All subnets of 10\.213\.4\.0/24 are taken"):
        project(tmp_path).plan(LabParts(), "10.213.4.0/24", "")


@pytest.mark.parametrize(("pool", "subnet"), [("nonsense", ""), (POOL, "nonsense"), (POOL, "8.8.8.0/28")])
@pytest.mark.usefixtures("docker")
def test_a_subnet_that_is_none_is_wrong_usage(tmp_path: Path, pool: str, subnet: str) -> None:
    with pytest.raises(DockerError, match="The lab ada was not started") as caught:
        project(tmp_path).plan(LabParts(), pool, subnet)
    assert caught.value.failure == "usage"


def test_a_container_of_somebody_else_with_our_name_is_refused(docker: FakeDocker, tmp_path: Path) -> None:
    docker.put_container("labctl-ada-consul2")
    with pytest.raises(DockerError, match="labctl-ada-consul2 exists and is not a server of the lab ada") as caught:
        project(tmp_path).refuse_taken_names(LabParts(), 3)
    assert caught.value.failure == "refused"
    project(tmp_path).refuse_taken_names(LabParts(), 1)
    project(tmp_path).refuse_taken_names(LabParts(servers=(server("consul2"),)), 3)


# -- files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("service", "oneoff"), [("consul1", "False"), ("consul1", "True"), ("web", "False")])
def test_a_stranger_that_compose_would_take_for_a_server_is_refused(
    docker: FakeDocker, tmp_path: Path, service: str, oneoff: str
) -> None:
    compose = {"com.docker.compose.project": "labctl-ada", "com.docker.compose.oneoff": oneoff}
    docker.put_container("labctl-ada-consul1", labels={**LABELS, "raft-labctl.server": "consul1", **compose})
    docker.put_container("stranger", labels={**compose, "com.docker.compose.service": service})
    work, lab_parts = project(tmp_path), find(Engine(), "ada")
    if (service, oneoff) != ("consul1", "False"):
        work.refuse_taken_names(lab_parts, 3)
        return
    with pytest.raises(DockerError, match="The container stranger has Compose's labels of the lab ada") as caught:
        work.refuse_taken_names(lab_parts, 3)
    assert caught.value.failure == "refused"


def test_the_environment_fills_in_addresses_and_ports(tmp_path: Path) -> None:
    subnet = ipaddress.IPv4Network("10.213.7.0/28")
    assert project(tmp_path).environment(subnet, 3, 8500) == (
        "LAB_SUBNET=10.213.7.0/28\n"
        "CONSUL1_ADDRESS=10.213.7.2\nCONSUL1_HTTP_PORT=8500\n"
        "CONSUL2_ADDRESS=10.213.7.3\nCONSUL2_HTTP_PORT=8501\n"
        "CONSUL3_ADDRESS=10.213.7.4\nCONSUL3_HTTP_PORT=8502\n"
    )
    assert project(tmp_path).environment(subnet, 1, 0).endswith("CONSUL1_HTTP_PORT=\n")


def test_compose_sees_the_labs_own_project_and_addresses_whatever_the_users_shell_says(
    docker: FakeDocker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = ("COMPOSE_PROJECT_NAME", "COMPOSE_ENV_FILES", "COMPOSE_PROFILES", "CONSUL1_ADDRESS", "LAB_SUBNET")
    for name in (*theirs, "DOCKER_DEFAULT_PLATFORM", "CONSUL9_ADDRESS", "DOCKER_CONTEXT"):
        monkeypatch.setenv(name, "theirs")
    said = tmp_path / "said"
    (docker.folder / "docker").write_text(f'#!/bin/sh\n{{ echo "$@"; env; }} > {said}\n', encoding="utf-8")
    made = project(tmp_path)
    made.write("{}", made.environment(ipaddress.IPv4Network("10.213.7.0/28"), 1, 0))
    made.compose_up()
    words, *lines = said.read_text(encoding="utf-8").splitlines()
    assert f"--project-name labctl-ada --project-directory {tmp_path} " in words
    assert f"--env-file {tmp_path}/.env " in words
    # Compose before 2.19 ends with an error where it meets the second.
    assert not {"--remove-orphans", "--progress"} & set(words.split())
    seen = dict(line.split("=", 1) for line in lines)
    assert [name for name, value in seen.items() if value == "theirs"] == ["CONSUL9_ADDRESS", "DOCKER_CONTEXT"]
    assert seen["DOCKER_HOST"] == docker.host


def test_files_are_written_for_this_user_only_and_the_difference_is_kept(tmp_path: Path) -> None:
    first = project(tmp_path)
    first.write("one\n", "a=1\n")
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "compose.yaml": 0o600,
        ".env": 0o600,
    }
    assert (first.outcome.before, first.outcome.after) == ("", "one\na=1\n")
    second = project(tmp_path)
    inode = (tmp_path / ".env").stat().st_ino
    second.write("two\n", "a=1\n")
    assert (second.outcome.before, second.outcome.after) == ("one\na=1\n", "two\na=1\n")
    assert (tmp_path / ".env").stat().st_ino == inode


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(DockerError, match=r"could not be written to .*compose\.yaml: No such file"):
        project(tmp_path / "missing").write("one", "two")


def test_only_our_files_are_removed(tmp_path: Path) -> None:
    project(tmp_path).write("one\n", "a=1\n")
    mine = tmp_path / "notes.txt"
    mine.write_text("keep", encoding="utf-8")
    project(tmp_path).remove_files()
    assert list(tmp_path.iterdir()) == [mine]
    mine.unlink()
    project(tmp_path).remove_files()
    assert not tmp_path.exists()


# -- what a killed change left --------------------------------------------------------------------------------


def replacement(docker: FakeDocker, server: str, number: int, *, started: str = "0001-01-01T00:00:00Z") -> str:
    """A container under the name that Compose gives to one that is to replace a server's."""
    name = f"{number:012x}_labctl-ada-{server}"
    labels = {**LABELS, "raft-labctl.server": server}
    docker.put_container(name, labels=labels, state="created" if started.startswith("0001") else "running")
    docker.container(name)["State"]["StartedAt"] = started
    return name


def names(docker: FakeDocker) -> list[str]:
    return sorted(container["Name"].lstrip("/") for container in docker.objects("container").values())


def test_what_was_to_replace_a_server_goes_where_that_is_there_still_and_else_is_the_server(
    docker: FakeDocker, tmp_path: Path
) -> None:
    docker.put_container("labctl-ada-consul1", labels={**LABELS, "raft-labctl.server": "consul1"})
    beside = replacement(docker, "consul1", 1)
    instead = replacement(docker, "consul2", 2)
    work = project(tmp_path)
    assert work.settle(find(Engine(), "ada")) is True
    assert names(docker) == ["labctl-ada-consul1", "labctl-ada-consul2"]
    assert work.outcome.actions == [
        f"removed {beside}, which a killed change left",
        f"named {instead} labctl-ada-consul2 again",
    ]
    assert work.settle(find(Engine(), "ada")) is False


def test_of_several_that_were_to_replace_a_server_one_that_ran_is_the_server_and_none_that_ran_goes(
    docker: FakeDocker, tmp_path: Path
) -> None:
    replacement(docker, "consul1", 1)
    ran = replacement(docker, "consul1", 2, started="2026-01-01T10:00:00Z")
    also = replacement(docker, "consul1", 3, started="2026-01-01T11:00:00Z")
    assert project(tmp_path).settle(find(Engine(), "ada")) is True
    assert names(docker) == [also, "labctl-ada-consul1"]
    assert docker.container("labctl-ada-consul1")["Id"] == f"{ran}-id"


@pytest.mark.parametrize("name", ["mine", "0123456789a_labctl-ada-consul1", "0123456789ab_labctl-ada-consul2"])
def test_a_server_of_any_other_name_is_left_alone(docker: FakeDocker, tmp_path: Path, name: str) -> None:
    docker.put_container(name, labels={**LABELS, "raft-labctl.server": "consul1"})
    assert project(tmp_path).settle(find(Engine(), "ada")) is False
    assert names(docker) == [name]


@pytest.mark.parametrize("name", ["mine", "0123456789ab_labctl-ada-consul2"])
def test_what_has_the_labels_of_a_server_that_another_one_is_is_none_and_goes_with_the_lab(
    docker: FakeDocker, tmp_path: Path, name: str
) -> None:
    for container in ("labctl-ada-consul1", name):
        docker.put_container(container, labels={**LABELS, "raft-labctl.server": "consul1"})
    lab_parts = find(Engine(), "ada")
    assert [lab_server.container for lab_server in lab_parts.servers] == ["labctl-ada-consul1"]
    assert lab_parts.doubles == (f"{name}-id",)
    assert f"The container {name} has the labels of consul1, and another one is that server" in lab_parts.strangers[0]
    assert project(tmp_path).settle(lab_parts) is False
    assert project(tmp_path).absent(lab_parts).empty
    assert names(docker) == []


def test_a_name_that_somebody_took_while_a_server_was_without_it_is_told_with_a_way_out(
    docker: FakeDocker, tmp_path: Path
) -> None:
    instead = replacement(docker, "consul1", 1)
    docker.put_container("labctl-ada-consul1")
    docker.container("labctl-ada-consul1")["Config"]["Image"] = "redis:7"
    docker.answer("container rename", err="Conflict. The container name is already in use by container 1.", code=1)
    with pytest.raises(DockerError) as caught:
        project(tmp_path).settle(find(Engine(), "ada"))
    assert caught.value.failure == "refused"
    assert caught.value.sentence == (
        "Cannot give consul1 of the lab ada its name labctl-ada-consul1 back, which a killed change took from it: the "
        "container labctl-ada-c of the image redis:7 has it. Rename that one (`docker rename labctl-ada-consul1 NEW`) "
        "or remove it, then run the same command again."
    )
    assert names(docker) == [instead, "labctl-ada-consul1"]


def test_what_somebody_else_brought_since_the_last_look_is_not_touched(docker: FakeDocker, tmp_path: Path) -> None:
    docker.put_container("labctl-ada-consul1", labels={**LABELS, "raft-labctl.server": "consul1"}, state="exited")
    work = project(tmp_path)
    lab_parts = find(Engine(), "ada")
    eves = {**LABELS, "raft-labctl.owner": "eve", "raft-labctl.server": "consul2"}
    docker.put_container("labctl-ada-consul2", labels=eves, state="exited")
    for act in (lambda: work.forget_addresses(lab_parts), work.parts, lambda: work.absent(lab_parts)):
        docker.put_container("labctl-ada-consul1", labels={**LABELS, "raft-labctl.server": "consul1"}, state="exited")
        with pytest.raises(DockerError, match="he lab ada on this Docker host belongs to eve") as caught:
            act()
        assert caught.value.failure == "refused"
        assert "labctl-ada-consul2" in names(docker)


# -- removing -------------------------------------------------------------------------------------------------


def test_removing_looks_again_until_nothing_is_left(docker: FakeDocker, tmp_path: Path) -> None:
    docker.put_container("labctl-ada-consul1", labels={**LABELS, "raft-labctl.server": "consul1"})
    docker.put_network("labctl-ada", "10.213.7.0/28", LABELS)
    docker.answer("network rm", err="network labctl-ada has active endpoints", code=1)
    assert project(tmp_path).absent(find(Engine(), "ada")).empty
    assert len(docker.called("network", "rm")) == 2


def test_what_bears_the_labs_label_and_no_owner_was_never_ours_and_stays(docker: FakeDocker, tmp_path: Path) -> None:
    docker.put_network("labctl-ada", "10.213.7.0/28", LABELS)
    nobodys = {"raft-labctl.lab": "ada"}
    docker.put("volume", "thesis", {"Name": "thesis", "Labels": nobodys})
    docker.put_container("work", labels={**nobodys, "raft-labctl.server": "consul1"})
    lab_parts = find(Engine(), "ada")
    assert ["thesis" in lab_parts.strangers[1], "work" in lab_parts.strangers[0]] == [True, True]
    assert project(tmp_path).absent(lab_parts).empty
    assert list(docker.objects("volume")) == ["thesis"]
    assert names(docker) == ["work"]
    assert docker.objects("network") == {}


def test_what_cannot_be_removed_is_named(docker: FakeDocker, tmp_path: Path) -> None:
    docker.put("volume", "labctl-ada-consul1", {"Name": "labctl-ada-consul1", "Labels": LABELS})
    docker.stick("labctl-ada-consul1", "volume is in use")
    with pytest.raises(DockerError, match="left are volume labctl-ada-consul1"):
        project(tmp_path).absent(find(Engine(), "ada"))


def test_a_removal_that_docker_refuses_for_another_reason_is_told_at_once(docker: FakeDocker, tmp_path: Path) -> None:
    key = docker.put_container("labctl-ada-consul1", labels={**LABELS, "raft-labctl.server": "consul1"})
    docker.stick(key, "device or resource busy")
    with pytest.raises(DockerError, match=r"removing the containers of the lab ada: .*busy"):
        project(tmp_path).absent(find(Engine(), "ada"))
    assert len(docker.called("container", "rm")) == 1


# -- ports and subnets that are taken -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        "Bind for 127.0.0.1:18500 failed: port is already allocated",
        "Error starting userland proxy: listen tcp4 127.0.0.1:18500: bind: address already in use",
        "failed to bind host port for 127.0.0.1:18500:10.213.7.2:8500/tcp: address already in use",
        'time="2026-01-02T03:04:05Z" level=warning\nBind for 127.0.0.1:18500 failed: port is already allocated',
    ],
)
def test_a_taken_port_is_named(said: str) -> None:
    error = lab_project.port_error(DockerError("x", said=said))
    assert error is not None
    assert "Port 18500 on this Docker host's loopback is taken" in error.sentence
    assert error.failure == "refused"


def test_a_taken_port_without_a_number_is_told() -> None:
    error = lab_project.port_error(DockerError("x", said="listen: bind: address already in use"))
    assert error is not None
    assert error.sentence.startswith("A port on this")


@pytest.mark.parametrize(
    "said",
    [
        "Error response from daemon: Address already in use",
        "Error response from daemon: failed to set up container networking: Address already in use",
    ],
)
def test_an_address_that_is_held_is_no_taken_port(said: str) -> None:
    error = DockerError("x", said=said)
    assert lab_project.port_error(error) is None
    told = lab_project.address_error(error, "ada")
    assert told is not None
    assert "labctl stop ada" in told.sentence


def test_another_failure_is_no_taken_port() -> None:
    assert lab_project.port_error(DockerError("x", said="no such image")) is None


@pytest.mark.parametrize(
    "said",
    [
        'Error response from daemon: OCI runtime create failed: exec: "consul": executable file not found in $PATH',
        'Error: exec: "/bin/consul": stat /bin/consul: no such file or directory: unknown',
        "exec /bin/consul: exec format error",
    ],
)
def test_an_image_that_cannot_run_consul_is_named(said: str) -> None:
    error = lab_project.image_error(DockerError("x", said=said), "raft-labctl/consul:1.8.7")
    assert error is not None
    assert "The image raft-labctl/consul:1.8.7 on this Docker host cannot run consul (exec" in error.sentence
    assert "`docker image rm --force raft-labctl/consul:1.8.7`" in error.sentence


def test_a_file_that_is_missing_elsewhere_is_no_broken_image() -> None:
    said = "open /x/compose.yaml: no such file or directory"
    assert lab_project.image_error(DockerError("x", said=said), "i") is None


def test_an_overlap_is_a_taken_subnet() -> None:
    assert lab_project.subnet_is_taken(DockerError("x", said="Pool overlaps with other one on this address space"))
    assert not lab_project.subnet_is_taken(DockerError("x", said="no such image"))
