"""The Docker hosts that tests make are what a fleet has: reached by address, apart from each other, and mortal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.docker_hosts import GUEST, DockerHosts
from tests.integration.harness import docker, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.docker_hosts import DockerHost

SSH_FAILED = 255


@pytest.fixture(scope="module")
def hosts(image: str) -> Iterator[DockerHosts]:
    with DockerHosts(2, image) as hosts:
        yield hosts
    assert hosts.left() == []


@pytest.fixture
def first(hosts: DockerHosts) -> DockerHost:
    return hosts.hosts[0]


def test_each_has_an_engine_and_a_home_of_its_own(hosts: DockerHosts, image: str) -> None:
    engines = set()
    for host in hosts.hosts:
        said = hosts.ssh(host, "docker info --format {{.ID}}; echo $HOME; docker image ls -q " + image).stdout.split()
        engines.add(said[0])
        assert said[1] == str(host.home)
        assert said[2] == docker("image", "ls", "-q", image)
    assert len(engines | {docker("info", "--format", "{{.ID}}")}) == 3


def test_they_reach_each_other(hosts: DockerHosts) -> None:
    for docker_host, other in (hosts.hosts, hosts.hosts[::-1]):
        look = f"timeout 3 python3 -c 'import socket; socket.create_connection((\"{other.address}\", {other.port}))'"
        done = hosts.ssh(docker_host, look)
        assert done.returncode == 0, done.stderr


def test_a_guest_may_log_in_and_not_use_docker(hosts: DockerHosts, first: DockerHost) -> None:
    assert hosts.ssh(first, "id -un", user=GUEST).stdout == f"{GUEST}\n"
    assert "permission denied" in hosts.ssh(first, "docker ps", user=GUEST).stderr


def test_a_host_key_that_changed_is_refused_until_it_is_learned(hosts: DockerHosts, first: DockerHost) -> None:
    first.change_host_key()
    done = hosts.ssh(first, "true")
    assert done.returncode == SSH_FAILED
    assert "HOST IDENTIFICATION HAS CHANGED" in done.stderr
    hosts.learn()
    assert hosts.ssh(first, "true").returncode == 0


def test_a_host_without_power_answers_nobody_and_comes_back_with_what_it_had(
    hosts: DockerHosts, first: DockerHost, image: str
) -> None:
    made = docker("run", "-d", "--entrypoint", "/bin/sh", image, "-c", "sleep 1000", host=first.host)
    first.die()
    assert hosts.ssh(first, "true").returncode == SSH_FAILED
    first.start()
    assert hosts.ssh(first, "docker ps -aq --no-trunc").stdout.split() == [made]
    assert hosts.ssh(first, "docker ps -q").stdout == ""
    docker("rm", made, host=first.host)


def test_an_engine_stops_and_its_host_stays(hosts: DockerHosts, first: DockerHost) -> None:
    first.stop()
    assert "Cannot connect" in hosts.ssh(first, "docker ps").stderr
    first.start()
    wait_until(lambda: hosts.ssh(first, "docker ps").returncode == 0, 20, "the engine")
