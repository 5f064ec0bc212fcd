"""Labs on Docker hosts that are reached over SSH: Ansible makes them there, and labctl looks at them from here."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.docker_hosts import GUEST, DockerHosts
from tests.integration.elections import ELECTION_SECONDS
from tests.integration.harness import (
    ROOT,
    SCRIPTS,
    VERSION,
    Person,
    docker,
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
        assert [(row["lab"], row["host"], row["ready"]) for row in shown] == [(name, host.url, True)]
    # Nothing of it is on this machine's own engine.
    assert left_of(labs[0]) == []


def test_looking_works_as_on_a_laptop(cleo: Person, lab: str) -> None:
    status = cleo.done("status", lab, "--json").json
    assert status["ready"] is True
    assert {server["role"] for server in status["servers"]} == {"leader", "follower"}
    members = cleo.done("members", lab, "--json").json
    assert [(member["name"], member["state"]) for member in members] == [
        (f"consul{number}", "alive") for number in (1, 2, 3)
    ]
    assert "leads" in cleo.done("story", lab).out
    lines = cleo.done("logs", lab, "--tail", "2", "--json").out.splitlines()
    assert {json.loads(line)["server"] for line in lines} == {"consul1", "consul2", "consul3"}
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


def test_labctl_makes_stops_starts_and_removes_a_lab_there(hosts: DockerHosts, cleo: Person) -> None:
    host = hosts.hosts[1]
    name = new_name()
    try:
        for words in (("up", name, "--pace", "real", "--json"), ("stop", name), ("start", name), ("up", name)):
            done = cleo.run(*words, DOCKER_HOST=host.url)
            assert done.code == 0, done.err
        assert "nothing to do" in done.out
        assert left_of(name) == []
        done = cleo.run("down", name, DOCKER_HOST=host.url)
        assert done.code == 0, done.err
        assert left_of(name, host.host) == []
    finally:
        remove_lab(name, host.host)


def test_who_has_a_lab_there_is_told_while_one_waits_as_on_a_laptop(
    hosts: DockerHosts, cleo: Person, tmp_path: Path
) -> None:
    host, name = hosts.hosts[0], new_name()
    stranger = f"labctl-{name}-lock-0"
    docker("volume", "create", "--label", f"raft-labctl.lock={name}", stranger, host=host.host)
    try:
        begun = time.monotonic()
        up = cleo.start("up", name, "--pace", "real", "--consul-version", VERSION, into=tmp_path / "up")
        said = "Waiting for somebody (the lock does not say who)"
        wait_until(lambda: said in (tmp_path / "up").read_text(), 20, "whom `up` waits for")
        assert time.monotonic() - begun < 20
        docker("volume", "rm", stranger, host=host.host)
        up.communicate(timeout=120)
        assert up.returncode == 0
    finally:
        docker("volume", "rm", "--force", stranger, host=host.host, check=False)
        remove_lab(name, host.host)


def test_a_host_that_says_nothing_costs_a_command_its_timeout_and_seconds_more(cleo: Person) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(8)
        there = f"ssh://root@127.0.0.1:{deaf.getsockname()[1]}"
        done = cleo.run("up", new_name(), "--timeout", "5", DOCKER_HOST=there)
        assert (done.code, done.seconds < 5 + 5 + 4) == (1, True), done
        assert f"The Docker host {there} was not reached: " in done.sentence()
        for words in (("ls",), ("down", new_name())):
            done = cleo.run(*words, DOCKER_HOST=there)
            assert (done.code, done.seconds < 20 + 4) == (1, True), done


def test_a_socket_that_is_elsewhere_is_the_same_to_labctl_and_to_ansible(hosts: DockerHosts, cleo: Person) -> None:
    host, name = hosts.hosts[1], new_name()
    there = "/run/elsewhere/docker.sock"

    def moved(source: str, target: str) -> None:
        subprocess.run(
            [*host.inside, "sh", "-c", f"mkdir -p {Path(target).parent} && mv {source} {target}"], check=True
        )

    moved("/run/docker.sock", there)
    try:
        url = f"{host.url}{there}"
        made = cleo.run("up", name, "--servers", "1", "--pace", "real", "--json", DOCKER_HOST=url)
        assert made.code == 0, made.err
        assert [row["lab"] for row in cleo.run("ls", "--json", DOCKER_HOST=url).json if row["lab"] == name] == [name]
        done = cleo.run("down", name, DOCKER_HOST=url)
        assert done.code == 0, done.err
        assert left_of(name, host.host) == []
    finally:
        moved(there, "/run/docker.sock")
        remove_lab(name, host.host)


def test_chaos_works_over_it_and_measuring_is_refused(cleo: Person, lab: str) -> None:
    done = cleo.done("chaos", lab, "--for", "10s", "--seed", "1", "--json").json
    assert done["verdict"] == "valid", done
    refused = cleo.run("measure", "failover", lab, "--times", "1")
    assert refused.code == 4
    assert "whose clock stamps the logs" in refused.sentence()


def logins(host: DockerHost) -> int:
    """How often somebody logged in."""
    return (host.folder / "sshd.log").read_text().count("Accepted publickey")


def test_a_look_costs_one_handshake(hosts: DockerHosts, cleo: Person, lab: str) -> None:
    host = hosts.hosts[0]
    before = logins(host)
    cleo.done("status", lab)
    cleo.done("exec", "--lab", lab, "consul1", "--", "true")
    assert logins(host) == before + 2


def test_nothing_is_left_of_a_labctl_that_was_killed(cleo: Person, lab: str) -> None:
    following = cleo.start("logs", lab, "-f")
    wait_until(lambda: sockets_of(cleo), 20, "the connection")
    wait_until(lambda: any("BatchMode" in line for line in cleo.processes().values()), 20, "its ssh")
    (folder,) = map(Path, sockets_of(cleo))
    assert folder.stat().st_mode & 0o777 == 0o700
    following.kill()
    following.communicate()
    wait_until(lambda: not cleo.processes(), 20, "its ssh to end")
    assert folder.exists()
    os.utime(folder, (0, 0))
    cleo.done("status", lab)
    assert sockets_of(cleo) == []


# -- what goes wrong ------------------------------------------------------------------------------------------


def refused(person: Person, where: str) -> str:
    """The sentence of a look at a Docker host that fails."""
    done = person.run("ls", DOCKER_HOST=where)
    assert done.code == 1, done
    return done.sentence()


def test_who_may_not_log_in_or_not_use_docker_is_told(hosts: DockerHosts, cleo: Person) -> None:
    address = hosts.hosts[0].address
    said = refused(cleo, f"ssh://nobody@{address}")
    assert f"was not reached: it refused the login nobody@{address}" in said
    said = refused(cleo, f"ssh://{GUEST}@{address}")
    assert said.startswith(f"The user {GUEST} may not use the Docker socket of the Docker host ssh://{GUEST}@{address}")
    assert "was not reached: it answers, and no sshd does" in refused(cleo, f"ssh://root@{address}:2222")
    assert "the name no-such.invalid is not known" in refused(cleo, "ssh://root@no-such.invalid")
    assert sockets_of(cleo) == []


def test_an_sshd_that_forwards_nothing_is_told(hosts: DockerHosts, cleo: Person) -> None:
    host = hosts.hosts[1]
    path = host.folder / "sshd_config"
    before = path.read_text()
    try:
        host.stop_sshd()
        path.write_text(f"AllowStreamLocalForwarding no\n{before}")
        host.start_sshd()
        said = refused(cleo, host.url)
        assert said.startswith(f"The sshd of the Docker host {host.url} forwards nothing")
    finally:
        host.stop_sshd()
        path.write_text(before)
        host.start_sshd()


def test_an_engine_that_stopped_is_told(hosts: DockerHosts, cleo: Person) -> None:
    host = hosts.hosts[1]
    host.stop()
    try:
        said = refused(cleo, host.url)
        assert said == (
            f"Docker does not run on the Docker host {host.url}: start it there (`sudo systemctl start docker`)."
        )
        # A socket without a listener, as after a crash.
        hosts.ssh(host, "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"/run/dead.sock\")'")
        assert "Docker does not run on the Docker host" in refused(cleo, f"{host.url}/run/dead.sock")
    finally:
        host.start()


def test_a_host_key_that_changed_or_is_unknown_is_refused_by_labctl_and_by_ansible(
    hosts: DockerHosts, cleo: Person, labs: list[str]
) -> None:
    host = hosts.hosts[1]
    path = inventory(hosts, cleo.home, {labs[1]: host}, cleo.owner)
    trusted = hosts.known_hosts.read_text()
    before = logins(host)
    try:
        host.change_host_key()
        said = refused(cleo, host.url)
        assert "its host key is not the one that is known for it" in said
        assert f"ssh-keygen -R '{host.address}'" in said
        done = play(cleo, path, "down.yml")
        assert done.code != 0
        assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in done.out
        hosts.known_hosts.write_text("")
        said = refused(cleo, host.url)
        assert "its host key is not known here" in said
        assert f"ssh-keyscan {host.address} >> ~/.ssh/known_hosts" in said
        assert play(cleo, path, "down.yml").code != 0
        assert hosts.known_hosts.read_text() == ""
        assert logins(host) == before
        hosts.learn()
        assert hosts.known_hosts.read_text() != trusted
        assert [row["lab"] for row in cleo.run("ls", "--json", DOCKER_HOST=host.url).json] == [labs[1]]
    finally:
        hosts.learn()


def test_a_host_that_loses_its_power_ends_what_follows_it_and_harms_no_other(
    hosts: DockerHosts, cleo: Person, labs: list[str]
) -> None:
    host = hosts.hosts[1]
    assert cleo.run("start", labs[1], DOCKER_HOST=host.url).code == 0
    cleo.env["DOCKER_HOST"] = host.url
    out = cleo.home / "followed"
    try:
        following = cleo.start("logs", labs[1], "-f", into=out)
    finally:
        cleo.env["DOCKER_HOST"] = hosts.hosts[0].url
    wait_until(lambda: out.stat().st_size, 20, "a line")
    host.die()
    begun = time.monotonic()
    _, said = following.communicate(timeout=NOTICED_SECONDS)
    assert time.monotonic() - begun < NOTICED_SECONDS
    assert following.returncode == 1
    assert re.fullmatch(f"error: The connection to the Docker host {host.url} was lost: .* repeat this\\.\n", said), (
        said
    )
    assert re.search("nothing answered within 10 seconds|no way leads to", refused(cleo, host.url))
    assert cleo.run("ls", "--json").json[0]["lab"] == labs[0]
    host.start()
    cleo.run("start", labs[1], DOCKER_HOST=host.url)
    assert cleo.run("status", labs[1], DOCKER_HOST=host.url).code == 0
