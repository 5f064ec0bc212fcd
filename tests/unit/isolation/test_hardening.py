"""Each check of a container passes for a server as labctl makes it, and fails for one that breaks just it."""

from __future__ import annotations

from typing import Any

import pytest

from labctl.isolation.hardening import CHECKS, Container, judge
from tests.unit.isolation.labs import INFO, container, lab

WITH_ALL = {"SecurityOptions": ["name=apparmor", "name=seccomp,profile=default", "name=selinux", "name=userns"]}


def changed(path: str, value: Any) -> dict[str, Any]:
    """A server with one thing that is different."""
    inspected = container("a")
    *folders, last = path.split("/")
    part = inspected
    for folder in folders:
        part = part[folder]
    part[last] = value
    return inspected


def results(inspected: dict[str, Any], info: dict[str, Any] = INFO) -> dict[str, tuple[str, str]]:
    return {row.number: (row.result, row.why) for row in judge("local", "a", [Container(inspected, info)])}


PASSING = results(container("a"))
MOUNT = {"Type": "bind", "Source": "/etc", "Destination": "/x", "Propagation": "rprivate"}


def test_a_server_as_labctl_makes_it_fails_nothing() -> None:
    assert {number for number, (result, _) in PASSING.items() if result == "fails"} == set()
    assert {number for number, (result, _) in PASSING.items() if result == "by design"} == {"5.12", "5.15", "5.27"}
    assert {number for number, (result, _) in PASSING.items() if result == "not applicable"} == {"5.2", "5.3", "5.31"}
    assert all(why for result, why in PASSING.values() if result != "ok")


@pytest.mark.parametrize(
    ("path", "value", "number", "why"),
    [
        ("Config/User", "", "4.1", "root"),
        ("Config/User", "0:8500", "4.1", "root"),
        ("Config/User", "root", "4.1", "root"),
        ("HostConfig/CapAdd", ["CAP_SYS_ADMIN"], "5.4", "SYS_ADMIN"),
        ("HostConfig/CapAdd", ["NET_ADMIN"], "5.4", "NET_ADMIN"),
        ("HostConfig/CapDrop", None, "5.4", "Docker gives"),
        ("HostConfig/Privileged", True, "5.5", "root"),
        ("Mounts", [MOUNT], "5.6", "/etc"),
        ("NetworkSettings/Ports", {"8500/tcp": [{"HostIp": "127.0.0.1", "HostPort": "80"}]}, "5.8", "80"),
        ("NetworkSettings/Ports", {"22/tcp": [{"HostIp": "127.0.0.1", "HostPort": "2022"}]}, "5.9", "22/tcp"),
        ("HostConfig/PublishAllPorts", True, "5.9", "all"),
        ("HostConfig/NetworkMode", "host", "5.10", "network"),
        ("HostConfig/Memory", 0, "5.11", "limit"),
        ("HostConfig/ReadonlyRootfs", False, "5.13", ""),
        ("NetworkSettings/Ports", {"8500/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8500"}]}, "5.14", "8500/tcp"),  # noqa: S104 - data
        ("NetworkSettings/Ports", {"8500/tcp": [{"HostIp": "::", "HostPort": "8500"}]}, "5.14", "8500/tcp"),
        ("HostConfig/RestartPolicy", {"Name": "always"}, "5.15", "always"),
        ("HostConfig/RestartPolicy", {"Name": "on-failure", "MaximumRetryCount": 9}, "5.15", "9 times"),
        ("HostConfig/PidMode", "host", "5.16", "processes"),
        ("HostConfig/IpcMode", "host", "5.17", "memory"),
        ("HostConfig/Devices", [{"PathOnHost": "/dev/sda"}], "5.18", "/dev/sda"),
        ("HostConfig/DeviceCgroupRules", ["c 1:3 rwm"], "5.18", "c 1:3 rwm"),
        ("HostConfig/Ulimits", [{"Name": "nofile", "Hard": 9}], "5.19", "nofile=9"),
        ("Mounts", [MOUNT | {"Propagation": "rshared"}], "5.20", "/x"),
        ("HostConfig/UTSMode", "host", "5.21", "host name"),
        ("HostConfig/SecurityOpt", ["no-new-privileges", "seccomp=unconfined"], "5.22", "filtered"),
        ("HostConfig/CgroupParent", "/system", "5.25", "/system"),
        ("HostConfig/SecurityOpt", [], "5.26", "rights"),
        ("HostConfig/SecurityOpt", ["no-new-privileges:false"], "5.26", "rights"),
        ("HostConfig/PidsLimit", None, "5.29", "limit"),
        ("HostConfig/PidsLimit", -1, "5.29", "limit"),
        ("HostConfig/NetworkMode", "default", "5.30", "default bridge"),
        ("NetworkSettings/Networks/bridge", {"IPAddress": "172.17.0.2"}, "5.30", "default bridge"),
        ("HostConfig/UsernsMode", "host", "5.31", "users"),
        ("Mounts", [MOUNT | {"Source": "/var/run/docker.sock"}], "5.32", "/var/run/docker.sock"),
        ("Mounts", [MOUNT | {"Destination": "/run/docker.sock"}], "5.32", "/run/docker.sock"),
        ("NetworkSettings/Networks/labctl-b", {"IPAddress": "10.9.0.2"}, "labctl", "labctl-b"),
    ],
)
def test_what_breaks_a_check_fails_it_and_is_named(path: str, value: Any, number: str, why: str) -> None:
    result, said = results(changed(path, value))[number]
    assert result == "fails"
    assert why in said
    assert PASSING[number][0] != "fails"


@pytest.mark.parametrize(
    ("path", "value", "number"),
    [
        ("AppArmorProfile", "docker-default", "5.2"),
        ("ProcessLabel", "system_u:system_r:container_t:s0", "5.3"),
        ("HostConfig/CpuShares", 512, "5.12"),
        ("HostConfig/NanoCpus", 10, "5.12"),
        ("HostConfig/RestartPolicy", {"Name": "on-failure", "MaximumRetryCount": 5}, "5.15"),
        ("HostConfig/UsernsMode", "", "5.31"),
        ("Config/Healthcheck", {"Test": ["CMD", "consul", "info"]}, "5.27"),
    ],
)
def test_what_the_benchmark_wants_is_ok(path: str, value: Any, number: str) -> None:
    assert results(changed(path, value), WITH_ALL)[number] == ("ok", "")


@pytest.mark.parametrize(
    ("path", "value", "number"),
    [
        ("AppArmorProfile", "", "5.2"),
        ("AppArmorProfile", "unconfined", "5.2"),
        ("ProcessLabel", "", "5.3"),
        ("HostConfig/SecurityOpt", ["label=disable"], "5.3"),
    ],
)
def test_what_the_engine_has_must_be_used(path: str, value: Any, number: str) -> None:
    assert results(changed(path, value), WITH_ALL)[number][0] == "fails"


def test_an_engine_without_seccomp_cannot_filter() -> None:
    assert results(container("a"), {"SecurityOptions": None})["5.22"][0] == "not applicable"


def test_servers_that_are_alike_are_one_row_and_the_one_that_differs_is_named() -> None:
    servers = lab("a", "10.213.0")
    servers[1]["HostConfig"]["Privileged"] = True
    rows = [row for row in judge("local", "a", [Container(server, INFO) for server in servers]) if row.number == "5.5"]
    assert [(row.result, row.containers, row.alike) for row in rows] == [
        ("ok", ("labctl-a-consul1", "labctl-a-consul3"), False),
        ("fails", ("labctl-a-consul2",), False),
    ]


def test_a_helper_of_a_fault_may_disturb_a_network_and_no_more() -> None:
    helper = changed("HostConfig/CapAdd", ["NET_ADMIN"])
    helper["Config"] = {"User": "0:0", "Labels": {"raft-labctl.lab": "a", "raft-labctl.fault": "f1"}}
    helper["HostConfig"]["NetworkMode"] = "container:x"
    assert [results(helper)[number][0] for number in ("4.1", "5.4", "labctl")] == ["by design", "by design", "ok"]
    helper["HostConfig"]["CapAdd"] = ["NET_ADMIN", "SYS_ADMIN"]
    helper["HostConfig"]["Privileged"] = True
    assert [results(helper)[number][0] for number in ("5.4", "5.5")] == ["fails", "fails"]


def test_each_number_is_checked_once() -> None:
    numbers = [number for number, _, _ in CHECKS]
    assert len(numbers) == len(set(numbers)) >= 25
