"""Labs on Docker hosts that are reached over SSH: Ansible makes them there, and labctl looks at them from here."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.docker_hosts import DockerHosts
from tests.integration.elections import ELECTION_SECONDS
from tests.integration.harness import (
    ROOT,
    SCRIPTS,
    VERSION,
    Person,
    ended,
    left_of,
    new_name,
    remove_lab,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.docker_hosts import DockerHost
    from tests.integration.harness import Result

NOTICED_SECONDS = 25.0
"""Three times four seconds without an answer, and what a busy machine needs."""


@pytest.fixture(scope="module")
def hosts(image: str) -> Iterator[DockerHosts]:
    with DockerHosts(2, image) as hosts:
        yield hosts
    assert hosts.left() == []


def inventory(hosts: DockerHosts, folder: Path, labs: dict[str, DockerHost], owner: str) -> Path:
    """One lab on each of these hosts, as a user writes it."""
    described = {
        "labs": {
            "hosts": {lab: {"ansible_host": host.address} for lab, host in labs.items()},
            "vars": {
                "ansible_user": "root",
                "ansible_port": hosts.hosts[0].port,
                "ansible_ssh_private_key_file": str(hosts.key),
                "ansible_ssh_common_args": f"-o StrictHostKeyChecking=yes -o UserKnownHostsFile={hosts.known_hosts}",
                "ansible_python_interpreter": "auto_silent",
                "consul_lab_owner": owner,
                "consul_lab_pace": "real",
                "consul_image_version": VERSION,
            },
        }
    }
    path = folder / "hosts.json"
    path.write_text(json.dumps(described))
    return path


def play(person: Person, path: Path, playbook: str) -> Result:
    words = [str(SCRIPTS / "ansible-playbook"), "-i", str(path), f"playbooks/{playbook}"]
    return ended(words, person.env | {"PATH": f"{SCRIPTS}:{person.env['PATH']}"}, ROOT)


@pytest.fixture(scope="module")
def cleo(hosts: DockerHosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """Somebody whose Docker host is the first one, and whose ssh knows it."""
    settings = hosts.settings() | {"DOCKER_HOST": hosts.hosts[0].url}
    person = Person(f"cleo-{new_name()}", tmp_path_factory.mktemp("cleo"), settings=settings)
    yield person
    person.end_processes()


@pytest.fixture(scope="module")
def labs(hosts: DockerHosts, cleo: Person) -> Iterator[list[str]]:
    """A lab on each host, made by ansible-playbook over SSH."""
    names = [new_name(), new_name()]
    where = dict(zip(names, hosts.hosts, strict=True))
    done = play(cleo, inventory(hosts, cleo.home, where, cleo.owner), "up.yml")
    assert done.code == 0, done.out + done.err
    yield names
    for lab, host in where.items():
        remove_lab(lab, host.host)


@pytest.fixture
def lab(labs: list[str], cleo: Person) -> str:
    """The lab of the first host, ready."""
    wait_until(lambda: cleo.run("status", labs[0]).code == 0, ELECTION_SECONDS, "the lab to be ready")
    return labs[0]


def sockets_of(person: Person) -> list[str]:
    """Folders with sockets that somebody's commands left."""
    return [str(path) for path in Path(person.env["XDG_RUNTIME_DIR"]).glob("labctl-ssh-*")]


@pytest.fixture(scope="module", autouse=True)
def runtime(cleo: Person) -> Iterator[None]:
    """A folder of this module for sockets."""
    with tempfile.TemporaryDirectory(prefix="lt-", dir="/tmp") as folder:
        cleo.env["XDG_RUNTIME_DIR"] = folder
        yield


def test_each_host_shows_its_own_labs_under_its_own_name(hosts: DockerHosts, cleo: Person, labs: list[str]) -> None:
    for name, host in zip(labs, hosts.hosts, strict=True):
        shown = cleo.run("ls", "--json", DOCKER_HOST=host.url).json
        assert [(one["lab"], one["host"], one["ready"]) for one in shown] == [(name, host.url, True)]
    # Nothing of it is on this machine's own engine.
    assert left_of(labs[0]) == []


def test_looking_works_as_on_a_laptop(cleo: Person, lab: str) -> None:
    status = cleo.done("status", lab, "--json").json
    assert status["ready"] is True
    assert {one["role"] for one in status["servers"]} == {"leader", "follower"}
    members = cleo.done("members", lab, "--json").json
    assert [(one["name"], one["state"]) for one in members] == [(f"consul{one}", "alive") for one in (1, 2, 3)]
    assert "becomes leader" in cleo.done("story", lab).out or "leader" in cleo.done("story", lab).out
    assert "raft" in cleo.done("logs", lab, "--tail", "20").out
    assert "consul2" in cleo.done("exec", "--lab", lab, "consul1", "--", "consul", "members").out
    assert sockets_of(cleo) == []


def test_faults_work_and_are_healed(cleo: Person, lab: str) -> None:
    before = cleo.done("status", lab, "--json").json["leader"]
    cleo.done("fault", "isolate", "leader", "--lab", lab)
    wait_until(
        lambda: cleo.run("status", lab, "--json").json["leader"] not in {None, before}, ELECTION_SECONDS, "a new leader"
    )
    assert cleo.run("status", lab, "--json").json["faults"]
    cleo.done("fault", "heal", "--lab", lab)
    cleo.done("fault", "kill", "consul2", "--lab", lab, "--for", "3s")
    assert cleo.run("status", lab).code == 3
    wait_until(lambda: cleo.run("status", lab).code == 0, ELECTION_SECONDS + 10, "the lease to end")
