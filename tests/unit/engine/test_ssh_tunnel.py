"""A Docker host over SSH: one connection, through which its engine and its servers answer, and what breaks it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from labctl.engine import client, labs, ssh_tunnel, status
from labctl.engine.ssh_command import Address
from labctl.errors import LabctlError
from labctl.shared.docker_api import DockerError, Engine
from tests.unit.engine.ssh_stand_in import FakeSsh

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.unit.stand_ins import FakeCluster, FakeDocker

ROOM = Address("room", "ada")


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSsh]:
    made = FakeSsh(tmp_path / "ssh-bin")
    # A socket's path may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="lt-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        monkeypatch.setenv("PATH", made.path)
        yield made
        ssh_tunnel.close_all()
        assert folders() == []


def folders() -> list[Path]:
    return list(Path(os.environ["XDG_RUNTIME_DIR"]).glob("labctl-ssh-*"))


@pytest.fixture
def engine(ssh: FakeSsh, docker: FakeDocker) -> FakeDocker:
    """An engine on that host."""
    ssh.remote.symlink_to(docker.host.removeprefix("unix://"))
    return docker


def sentence(address: Address = ROOM, name: str = "", within: float | None = None) -> str:
    with pytest.raises(LabctlError) as caught:
        ssh_tunnel.Connection(address, name, within)
    assert folders() == []
    return caught.value.sentence


def test_the_engine_answers_over_a_socket_that_only_this_user_reaches(engine: FakeDocker) -> None:
    key = engine.put_container(
        "labctl-ada-consul1", labels={"raft-labctl.lab": "ada", "raft-labctl.owner": "ada"}, state="exited"
    )
    there = client.connect_to(ROOM, "room-1")
    assert [container["Id"] for container in there.containers(filters={"label": "raft-labctl.lab=ada"})] == [key]
    assert there.host == "room-1"
    (folder,) = folders()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_docker_host_and_a_context_name_such_a_host(engine: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.put_container(
        "labctl-ada-consul1", labels={"raft-labctl.lab": "ada", "raft-labctl.owner": "ada"}, state="exited"
    )
    monkeypatch.setenv("DOCKER_HOST", "ssh://ada@room:2222")
    there = client.connect()
    assert len(there.containers(filters={"label": "raft-labctl.lab=ada"})) == 1
    assert there.host == "ssh://ada@room:2222"
    assert client.connect().place is there.place


def test_servers_are_asked_through_doors_that_one_call_opens(
    ssh: FakeSsh, engine: FakeDocker, clusters: Callable[..., FakeCluster]
) -> None:
    cluster = clusters()
    there = client.connect_to(ROOM, "room-1")
    summaries = [
        {
            "Id": fake_server.name,
            "Names": [f"/labctl-ada-{fake_server.name}"],
            "Image": "x",
            "Created": 1,
            "State": "running",
            "Labels": {
                "raft-labctl.lab": "ada",
                "raft-labctl.owner": "ada",
                "raft-labctl.server": fake_server.name,
                "raft-labctl.servers": "3",
            },
            "Ports": [{"PrivatePort": 8500, "PublicPort": fake_server.http_port, "IP": "127.0.0.1"}],
            "NetworkSettings": {"Networks": {"x": {"IPAddress": fake_server.address}}},
        }
        for fake_server in cluster.servers
    ]
    engine.beside().container_list = summaries
    (lab,) = labs.list_labs(there)
    assert lab.host == "room-1"
    apis = [server.api for server in lab.servers]
    assert all(api is not None and Path(api.socket).is_socket() for api in apis)
    assert status.ask(lab).ready
    labs.list_labs(there)
    assert [("-O" in call) for call in ssh.calls] == [False, True]


def test_the_docker_command_meets_the_engine_over_the_same_connection(
    engine: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engine
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    there = ssh_tunnel.connection(ROOM)
    assert there.environment()["DOCKER_HOST"] == f"unix://{there.socket}"
    assert "DOCKER_CONTEXT" not in there.environment()


def test_a_socket_that_the_docker_host_names_itself_is_taken(ssh: FakeSsh, engine: FakeDocker) -> None:
    ssh.greets("ready unix:///run/user/1000/docker.sock")
    Engine(path=ssh_tunnel.connection(ROOM).socket).containers({}, doing="x")
    assert any(word.endswith(":/run/user/1000/docker.sock") for word in ssh.calls[-1])
    assert engine.calls


def test_there_is_one_connection_for_each_host_and_a_new_one_for_one_that_broke(ssh: FakeSsh) -> None:
    first = ssh_tunnel.connection(ROOM)
    assert ssh_tunnel.connection(ROOM) is first
    assert ssh_tunnel.connection(Address("other")) is not first
    assert first.process is not None
    first.process.kill()
    first.process.wait()
    assert ssh_tunnel.connection(ROOM) is not first
    assert len(ssh.calls) == 3


def test_a_host_that_lets_one_wait_delays_no_other(ssh: FakeSsh) -> None:
    assert ssh
    begun, other_is_there = threading.Event(), threading.Event()

    def slow(address: Address, name: str, _within: float | None) -> Any:
        if address == ROOM:
            begun.set()
            assert other_is_there.wait(20)
        return SimpleNamespace(name=f"{address.host}{name}", close=lambda: None)

    with ThreadPoolExecutor(2) as pool:
        waits = pool.submit(ssh_tunnel.connection, ROOM, connect=slow)
        assert begun.wait(20)
        assert ssh_tunnel.connection(Address("other"), connect=slow).name == "other"
        other_is_there.set()
        assert waits.result().name == "room"


def test_a_killed_labctl_leaves_no_ssh_and_its_folder_is_removed_by_the_next_one(ssh: FakeSsh) -> None:
    assert ssh
    script = (
        "from labctl.engine import ssh_command, ssh_tunnel\n"
        "import time\n"
        "made = ssh_tunnel.Connection(ssh_command.Address('room'))\n"
        "print(made.process.pid, flush=True)\n"
        "time.sleep(1000)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        (folder,) = folders()
        process.send_signal(signal.SIGKILL)
    ends = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
        assert time.monotonic() < ends
        time.sleep(0.05)
    os.utime(folder, (0, 0))
    ssh_tunnel.connection(ROOM)
    assert not folder.exists()


def test_the_folder_of_a_run_that_goes_on_stays(ssh: FakeSsh) -> None:
    assert ssh
    first = ssh_tunnel.connection(ROOM)
    (folder,) = folders()
    os.utime(folder, (0, 0))
    ssh_tunnel.connection(Address("other"))
    assert folder.exists()
    assert first.alive


# -- what goes wrong ------------------------------------------------------------------------------------------


def test_an_engine_behind_which_nobody_listens_is_told_as_stopped(ssh: FakeSsh) -> None:
    assert ssh
    there = client.connect_to(ROOM, "room-1")
    with pytest.raises(LabctlError, match="Docker does not run on the Docker host room-1: start it there"):
        labs.list_labs(there)
    with (
        pytest.raises(LabctlError, match="Docker does not run on the Docker host room-1"),
        client.explained(there.place),
    ):
        list(there.log_so_far("x"))


def test_a_connection_that_broke_is_told_as_lost(engine: FakeDocker) -> None:
    assert engine
    there = client.connect_to(ROOM, "room-1")
    place = there.place
    assert isinstance(place, ssh_tunnel.Connection)
    place.refuse_lost()
    assert place.process is not None
    place.process.kill()
    for look in (lambda: labs.list_labs(there), place.refuse_lost, lambda: place.forward_ports([1])):
        with pytest.raises(LabctlError, match="The connection to the Docker host room-1 was lost"):
            look()


def test_an_sshd_that_forwards_nothing_is_told(ssh: FakeSsh) -> None:
    ssh.answers_itself()
    there = client.connect_to(ROOM, "room-1")
    place = there.place
    assert isinstance(place, ssh_tunnel.Connection)
    with pytest.raises(LabctlError, match="The sshd of the Docker host room-1 forwards nothing"):
        labs.list_labs(there)
    ssh.forwards_nothing()
    with pytest.raises(LabctlError, match=r"Could not forward another port to the Docker host .*: mux_client_forward"):
        place.forward_ports([8500])


def test_what_the_engine_itself_refuses_is_not_taken_for_a_broken_connection(engine: FakeDocker) -> None:
    engine.answer("network ls", err="Error response from daemon: no such file", code=1)
    there = client.connect_to(ROOM, "room-1")
    assert there.place.explain(DockerError("no such file", said="no such file")) is None
    with pytest.raises(LabctlError, match="listing networks: no such file"), client.explained(there.place):
        there.networks(filters={"label": "x"})


def test_a_host_that_says_nothing_is_given_up(ssh: FakeSsh) -> None:
    ssh.greets("")
    with pytest.raises(LabctlError, match="The Docker host ssh://ada@room was not reached: nothing within 0 s"):
        ssh_tunnel.connection(ROOM, within=0.5)


PROXY = "sleep 300"


def odd_ssh(ssh: FakeSsh, script: str) -> None:
    (ssh.folder / "ssh").write_text(f"#!/bin/sh\n{script}\n")


@pytest.mark.parametrize(
    "script",
    [
        f"trap '' TERM HUP; {PROXY}",
        f"{PROXY} & wait",
        f"{PROXY} & echo labctl-reach denied unix:///var/run/docker.sock; exec cat >/dev/null",
    ],
)
def test_an_ssh_that_does_not_end_is_ended_with_all_that_it_started(
    ssh: FakeSsh, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setenv("LABCTL_TEST_SSH", str(ssh.folder))
    odd_ssh(ssh, script)
    begun = time.monotonic()
    sentence(within=1.0)
    assert time.monotonic() - begun < 8
    assert started_by(ssh) == []


def started_by(ssh: FakeSsh) -> list[str]:
    """The processes that a program of this test has started, but for this one."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if (
                f"LABCTL_TEST_SSH={ssh.folder}\0".encode() in entry.read_bytes()
                and int(entry.parent.name) != os.getpid()
            ):
                found.append((entry.parent / "cmdline").read_text())
    return found


def test_what_a_docker_host_says_without_end_fills_neither_the_disk_nor_the_memory(ssh: FakeSsh) -> None:
    odd_ssh(ssh, "while :; do echo much; echo more >&2; done")
    kept: list[int] = []

    def measured() -> None:
        while not ended.wait(0.05):
            kept.extend(file.stat().st_size for folder in folders() for file in folder.iterdir() if file.is_file())

    ended = threading.Event()
    watching = threading.Thread(target=measured)
    watching.start()
    tracemalloc.start()
    try:
        assert "nothing within 1 s" in sentence(within=1.0)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        ended.set()
        watching.join()
    assert max(kept, default=0) < 200_000
    assert most < 4_000_000


def test_a_host_that_says_nothing_costs_a_command_hardly_more_than_the_time_it_has(
    ssh: FakeSsh, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh.greets("")
    monkeypatch.setenv("DOCKER_HOST", "ssh://ada@room")
    begun = time.monotonic()
    with pytest.raises(LabctlError, match="The Docker host ssh://ada@room was not reached: nothing within 1 s"):
        client.connect_within(0.1, late=0.5)
    assert time.monotonic() - begun < 3


def test_without_the_program_it_is_named(tmp_path: Path, ssh: FakeSsh, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ssh
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert (
        sentence() == "The program ssh is not installed here: install your system's OpenSSH client (`openssh-client`)."
    )


def test_a_key_that_is_not_there_is_named_before_ssh_is_started(tmp_path: Path, ssh: FakeSsh) -> None:
    assert "there is no key" in sentence(Address("room", key=tmp_path / "absent"))
    assert ssh.calls == []


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("denied unix:///var/run/docker.sock", "The user ada may not use the Docker socket of the Docker host room-1"),
        ("stopped unix:///var/run/docker.sock", "Docker does not run on the Docker host room-1"),
        ("missing unix:///var/run/docker.sock", "Docker is not installed on the Docker host room-1"),
        ("elsewhere tcp://10.0.0.1:2375", "DOCKER_HOST is 'tcp://10.0.0.1:2375' on the Docker host room-1"),
    ],
)
def test_what_the_docker_host_says_of_docker_is_one_sentence(ssh: FakeSsh, state: str, says: str) -> None:
    ssh.greets(state)
    assert sentence(name="room-1").startswith(says)


def test_what_a_login_says_that_may_run_nothing_is_told(ssh: FakeSsh) -> None:
    ssh.says_instead("This account is currently not available.")
    assert "was not reached: This account is currently not available;" in sentence()


def test_what_ssh_says_is_one_sentence(ssh: FakeSsh) -> None:
    ssh.fails("banner\nada@room: Permission denied (publickey).\n")
    assert "it refused the login ada@room" in sentence()


def test_a_socket_can_be_forwarded_that_this_user_alone_reaches(ssh: FakeSsh) -> None:
    """What ssh makes is behind the folder's mode; so is what it takes for control."""
    assert ssh
    there = ssh_tunnel.connection(ROOM)
    assert Path(str(there.socket)).is_socket()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.connect(str(there.socket))


def test_a_host_whose_line_does_not_end_is_given_up_in_time_and_not_kept_whole() -> None:
    tracemalloc.start()
    with subprocess.Popen(["sh", "-c", "exec tr '\\0' x </dev/zero"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert list(ssh_tunnel.lines_until(process.stdout, time.monotonic() + 0.7)) == []
        process.kill()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2_000_000
