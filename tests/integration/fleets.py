"""Workshops over several Docker hosts that are reached over SSH, and their fixtures."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from tests.integration.docker_hosts import DockerHosts
from tests.integration.harness import Person, docker, left_of, new_name, remove_lab
from tests.integration.harness import started as started_on
from tests.integration.workshops import REAPER, WORKSHOP, Room

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from tests.integration.docker_hosts import DockerHost
    from tests.integration.harness import Result

NAMES = ("red", "green")
CARRIED = Path("/var/tmp/raft-labctl-of-a-killed-run.tar")  # noqa: S108 - where an image is carried through


class Fleet(Room):
    """A workshop whose seats live on Docker hosts that are reached over SSH; `with` removes it.

    Args:
        person: the instructor.
        hosts: the Docker hosts; they are called as NAMES has it.
        keys: of the workshop's file.
    """

    def __init__(self, person: Person, hosts: DockerHosts, **keys: Any) -> None:
        self.docker_hosts = hosts
        self.hosts: dict[str, DockerHost] = dict(zip(NAMES, hosts.hosts, strict=True))
        super().__init__(person, **{"hosts": self.described(), **keys})

    def described(self, **green: Any) -> list[dict[str, Any]]:
        """The hosts as a workshop's file has them; `green` changes keys of the second."""
        common = {"user": "root", "key": str(self.docker_hosts.key), "known_hosts": str(self.docker_hosts.known_hosts)}
        made = [{"name": name, "address": host.address, **common} for name, host in self.hosts.items()]
        return [made[0], made[1] | green]

    def labs_on(self, host: DockerHost) -> set[str]:
        """The labs that a Docker host has anything of."""
        hosts_named = set()
        for kind in ("container", "network", "volume"):
            words = [kind, "ls", *(["--all"] if kind == "container" else [])]
            words += ["--filter", f"label={WORKSHOP}={self.name}", "--format", '{{.Label "raft-labctl.lab"}}']
            hosts_named |= set(docker(*words, host=host.host).split())
        return hosts_named

    def reapers_on(self, host: DockerHost) -> list[str]:
        """The containers of a Docker host that wait for the workshop's end."""
        words = ["container", "ls", "-q", "--all", "--filter", f"label={REAPER}={self.name}"]
        return docker(*words, host=host.host).split()

    def started(self, *names: str) -> dict[str, tuple[str, str]]:
        """Each server's container on those hosts, or on all, and when it was started."""
        hosts = [self.hosts[name] for name in names or self.hosts]
        return {
            server: when
            for host in hosts
            for lab in self.labs_on(host)
            for server, when in started_on(lab, host.host).items()
        }

    def seats(self) -> list[dict[str, Any]]:
        """The seats as `status --json` shows them."""
        seats: list[dict[str, Any]] = self.run("status", "--json").json["seats"]
        return seats

    def of(self, host: str) -> set[str]:
        """The seats of one host, as `status` shows them."""
        return {seat["seat"] for seat in self.seats() if seat["host"] == host}

    def ready(self) -> set[str]:
        """The seats that are ready."""
        return {seat["seat"] for seat in self.seats() if seat["ready"]}

    def left(self) -> list[str]:
        """Everything that is still there, on any host."""
        leftovers = []
        for host in self.hosts.values():
            leftovers += self.reapers_on(host)
            leftovers += [part for lab in self.labs_on(host) for part in left_of(lab, host.host)]
        return leftovers

    def remove(self) -> None:
        """Remove everything, whatever state it is in."""
        self.docker_hosts.learn()
        for host in self.hosts.values():
            host.start()
            for reaper in self.reapers_on(host):
                docker("rm", "--force", reaper, host=host.host, check=False)
            for lab in self.labs_on(host):
                remove_lab(lab, host.host)

    def __enter__(self) -> Self:
        """Nothing is made yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Remove it."""
        self.remove()


@pytest.fixture(scope="module")
def hosts(image: str) -> Iterator[DockerHosts]:
    """Two Docker hosts without an image."""
    assert image
    with DockerHosts(len(NAMES)) as hosts:
        yield hosts
    assert hosts.left() == []


@pytest.fixture(scope="module")
def dora(hosts: DockerHosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """An instructor whose ssh knows nothing but what the workshop's file says."""
    assert hosts
    with tempfile.TemporaryDirectory(prefix="lt-") as sockets:
        person = Person(f"dora-{new_name()}", tmp_path_factory.mktemp("dora"), settings={"XDG_RUNTIME_DIR": sockets})
        yield person
        person.end_processes()
        assert list(Path(sockets).iterdir()) == []


@pytest.fixture(scope="module")
def carried(hosts: DockerHosts, dora: Person, request: pytest.FixtureRequest) -> Iterator[tuple[Fleet, Result]]:
    """A workshop of the test file's SEATS, and the output of its first `up`, with hosts that had no image."""
    with Fleet(dora, hosts, seats=request.module.SEATS) as fleet:
        for host in hosts.hosts:
            assert docker("image", "ls", "-q", host=host.host) == ""
        CARRIED.touch()
        os.utime(CARRIED, (time.time() - 7200,) * 2)
        yield fleet, fleet.done("up", "--json")
        fleet.remove()
        assert fleet.left() == []


@pytest.fixture
def fleet(carried: tuple[Fleet, Result]) -> Fleet:
    """The workshop, every seat ready."""
    fleet, _ = carried
    for host in fleet.hosts.values():
        host.start()
    fleet.docker_hosts.learn()
    fleet.write(hosts=fleet.described())
    fleet.done("up")
    return fleet
