"""The command lines for ssh, and the meaning of its answers."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from labctl.engine import ssh_command
from labctl.engine.ssh_command import Address, address_of
from labctl.errors import ExitCode, LabctlError


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("ssh://room", Address("room")),
        ("ssh://ada@Room.example:2222", Address("Room.example", "ada", 2222)),
        ("ssh://ada@[fd00::1]:2222", Address("fd00::1", "ada", 2222)),
        ("ssh://a%40b@10.0.0.1", Address("10.0.0.1", "a@b")),
        ("ssh://room/run/user/1000/docker.sock", Address("room", socket="/run/user/1000/docker.sock")),
        ("ssh://room/", Address("room")),
    ],
)
def test_an_address_is_read(url: str, address: Address) -> None:
    assert address_of(url) == address


@pytest.mark.parametrize(
    "address", [Address("room"), Address("fd00::1", "ada", 22), Address("h", socket="/run/d.sock")]
)
def test_an_address_is_written_as_it_is_read(address: Address) -> None:
    assert address_of(address.url) == address


@pytest.mark.parametrize(
    "url",
    [
        "ssh://", "tcp://room", "ssh://ada:secret@room", "ssh://room:port", "ssh://-oProxyCommand=x", "ssh://-l@room",
        "ssh://room/a b", "ssh://room/$(id)", "ssh://room?x=1",
    ],
)  # fmt: skip
def test_what_is_no_address_is_wrong_usage(url: str) -> None:
    with pytest.raises(LabctlError, match="is no address of a Docker host") as caught:
        address_of(url)
    assert caught.value.code is ExitCode.USAGE


def test_a_connection_asks_nobody_trusts_nobody_and_notices_that_a_host_is_gone() -> None:
    words = ssh_command.master(Address("room"), Path("/x/control"), Path("/x/docker.sock"))
    for option in ("BatchMode=yes", "StrictHostKeyChecking=yes", "ControlPersist=no", "ServerAliveInterval=4"):
        assert option in words
    assert words[-3:-1] == ["--", "room"]
    assert "-l" not in words
    assert "-p" not in words
    assert not any("IdentityFile" in word or "KnownHosts" in word for word in words)


def test_what_an_address_names_is_told_to_ssh() -> None:
    address = Address("room", "ada", 2222, Path("/keys/my %h key"), Path("/keys/known"), "/run/d.sock")
    words = ssh_command.master(address, Path("/x/control"), Path("/x/docker.sock"))
    assert 'IdentityFile="/keys/my %%h key"' in words
    assert "IdentitiesOnly=yes" in words
    assert 'UserKnownHostsFile="/keys/known"' in words
    assert words[words.index("-l") + 1] == "ada"
    assert words[words.index("-p") + 1] == "2222"
    assert words[words.index("-L") + 1] == "/x/docker.sock:/run/d.sock"


def test_several_ways_are_opened_in_one_call() -> None:
    words = ssh_command.forward(Path("/x/control"), [(Path("/x/1"), "127.0.0.1:1"), (Path("/x/2"), "127.0.0.1:2")])
    assert [words[at + 1] for at, word in enumerate(words) if word == "-L"] == ["/x/1:127.0.0.1:1", "/x/2:127.0.0.1:2"]
    assert words[words.index("-F") + 1] == "none"


# -- the script that runs on the Docker host --------------------------------------------------------------------


def greeted(script: str, **env: str) -> ssh_command.Greeting:
    kept = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"} | env
    done = subprocess.run(
        ["/bin/sh", "-c", script], check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=kept
    )
    greeting = ssh_command.greeting(done.stdout.strip())
    assert greeting is not None, done
    assert done.stderr == ""
    return greeting


def test_the_docker_host_says_that_its_socket_may_be_used(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(os.path.relpath(tmp_path / "s"))
        greeting = greeted(ssh_command.script(str(tmp_path / "s")))
        assert greeting == ssh_command.Greeting("ready", str(tmp_path / "s"))
        assert greeted(ssh_command.script(None), DOCKER_HOST=f"unix://{tmp_path}/s") == greeting


def test_the_docker_host_says_whether_docker_is_missing_or_stopped(tmp_path: Path) -> None:
    script = ssh_command.script(str(tmp_path / "absent"))
    if not Path("/usr/sbin/dockerd").exists():
        assert greeted(script, PATH=str(tmp_path)).state == "missing"
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert greeted(script, PATH=f"{tmp_path}:/bin:/usr/bin").state == "stopped"


def test_the_docker_host_says_that_its_docker_is_elsewhere() -> None:
    assert greeted(ssh_command.script(None), DOCKER_HOST="tcp://10.0.0.1:2375") == ssh_command.Greeting(
        "elsewhere", "tcp://10.0.0.1:2375"
    )


@pytest.mark.parametrize("line", ["", "Welcome", "labctl-reach", "labctl-reach ready", "x labctl-reach ready y"])
def test_what_a_login_shell_prints_is_no_greeting(line: str) -> None:
    assert ssh_command.greeting(line) is None


# -- sentences --------------------------------------------------------------------------------------------------

CHANGED = """@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
Host key for room has changed and you have requested strict checking.
Host key verification failed.
"""
UNKNOWN = """No ED25519 host key is known for room and you have requested strict checking.
Host key verification failed.
"""


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (CHANGED, "its host key is not the one that is known for it"),
        (UNKNOWN, "its host key is not known here"),
        ("Host key verification failed.", "its host key could not be verified"),
        ("ssh: Could not resolve hostname room: Name or service not known", "the name room is not known"),
        ("ssh: connect to host room port 22: Connection refused", "it answers, and no sshd does"),
        ("ssh: connect to host room port 22: Connection timed out", "nothing answered within 10 seconds"),
        ("Connection timed out during banner exchange", "nothing answered within 10 seconds"),
        ("ssh: connect to host room port 22: No route to host", "no way leads to room"),
        ("ssh: connect to host room port 22: Network is unreachable", "no way leads to room"),
        ("ada@room: Permission denied (publickey).", "it refused the login ada@room"),
        ("Received disconnect: 2: Too many authentication failures", "after too many keys"),
        ("WARNING: UNPROTECTED PRIVATE KEY FILE!\nada@room: Permission denied (publickey).", "chmod 600"),
        ("kex_exchange_identification: Connection closed by remote host", "sshd there hung up"),
        ("first\nsomething new.\n", "something new; `ssh ada@room` shows more"),
        ("", "ssh ended and said nothing"),
        ("x" * 4000, f"not reached: {'x' * 300}...; `ssh ada@room` shows more."),
    ],
)
def test_what_ssh_says_becomes_a_sentence_that_helps(said: str, says: str) -> None:
    sentence = ssh_command.not_connected("room-1", Address("room", "ada"), said).sentence
    assert sentence.startswith("The Docker host room-1 was not reached: ")
    assert says in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")


def test_a_sentence_on_a_host_key_names_the_file_and_the_port() -> None:
    address = Address("room", "ada", 2222, known_hosts=Path("/keys/known"))
    changed = ssh_command.not_connected("room-1", address, CHANGED).sentence
    assert "`ssh-keygen -f /keys/known -R '[room]:2222'`" in changed
    unknown = ssh_command.not_connected("room-1", address, UNKNOWN).sentence
    assert re.search(r"`ssh -p 2222 ada@room`.*`ssh-keyscan -p 2222 room >> /keys/known`", unknown)


def test_a_sentence_on_a_refused_login_names_the_key_that_was_tried() -> None:
    address = Address("room", "ada", 2222, key=Path("/keys/own"))
    said = ssh_command.not_connected("room-1", address, "ada@room: Permission denied (publickey).").sentence
    assert re.search(r"`ssh -i /keys/own -p 2222 ada@room`.*`ssh-copy-id -i /keys/own -p 2222 ada@room`", said)
