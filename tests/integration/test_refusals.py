"""Refusals: each bad input gets its sentence and its exit code, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.harness import IMAGE, VERSION, Person, docker, ended, left_of, new_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# `root` without capabilities is held back by file modes as everybody is.
HELD_BACK = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
BAD_NAMES = ["../x", "", "x" * 64, "-x", "a b", "\N{RACING CAR}", "Ada", "x\n", "-", "a_b"]
LABEL = "raft-labctl-test"
WORKSPACES = "/var/tmp/raft-labctl-image-"  # noqa: S108 where the role makes images, unless told otherwise


def labs_of(owner: str) -> list[str]:
    """All containers, networks and volumes of a person's labs."""
    wrong = []
    for kind in ("container", "network", "volume"):
        words = ("-aq",) if kind == "container" else ("-q",)
        wrong += docker(kind, "ls", *words, "--filter", f"label=raft-labctl.owner={owner}").split()
    return wrong


@pytest.fixture
def eve(people: Callable[[str], Person]) -> Iterator[Person]:
    """Somebody who makes mistakes: nothing of theirs may be left, on Docker or among their labs' files."""
    person = people(f"eve-{new_name()}")
    yield person
    assert labs_of(person.owner) == []
    assert not (person.state / "labs").exists() or list((person.state / "labs").iterdir()) == []
    assert not list((person.state / "runs").glob("run-*"))


@pytest.mark.parametrize("lab", BAD_NAMES, ids=ascii)
def test_a_name_that_cannot_be_a_labs_is_refused(eve: Person, lab: str) -> None:
    for verb in ("up", "down", "join", "stop", "status"):
        result = eve.run(verb, "--", lab)
        assert result.code == 2, result
        assert "cannot be the name of a lab" in result.sentence()
        assert "for example `ada`" in result.sentence()
    assert not eve.state.exists()


def test_an_option_where_the_name_should_be_is_refused(eve: Person) -> None:
    result = eve.run("up", "-x")
    assert result.code == 2
    assert "-x" in result.sentence()


@pytest.mark.parametrize("count", ["0", "2", "4", "9", "-1"])
def test_a_number_of_servers_that_cannot_be_is_refused(eve: Person, count: str) -> None:
    result = eve.run("up", new_name(), "--servers", count)
    assert result.code == 2
    assert f"cannot have {count} servers" in result.sentence()
    assert "1, 3, 5 or 7" in result.sentence()


@pytest.mark.parametrize("version", ["latest", "1.8", "one", "1.8.7; id"])
def test_what_is_not_a_version_is_refused(eve: Person, version: str) -> None:
    result = eve.run("up", new_name(), "--consul-version", version)
    assert result.code == 2
    assert ascii(version).strip("'") in result.sentence()


def forgotten_candidates() -> set[str]:
    """Images that were being made, where labctl makes them, by a run whose folder is gone, and so the run.

    Those that are being made now are not meant, nor what Docker keeps below an image that was finished.
    """
    mark = '{{.ID}} {{index .Config.Labels "raft-labctl.image-state"}}'
    ids = docker("image", "ls", "--quiet", "--filter", "label=raft-labctl.image-state").split()
    said = [docker("image", "inspect", "--format", mark, image, check=False) for image in ids]
    states = [line.split(" ", 1) for line in said if f" candidate of {os.uname().nodename} {WORKSPACES}" in line]
    return {image for image, state in states if not Path(state.rpartition(" ")[2]).exists()}


@pytest.mark.parametrize("source", ["debian", "registry", "release"])
def test_a_version_that_does_not_exist_is_refused_by_each_source(eve: Person, source: str) -> None:
    # Where there is no network, the source is out of reach; where there is one, it has no such version.
    before = forgotten_candidates()
    result = eve.run("up", new_name(), "--consul-version", "9.9.9", "--image-source", source)
    assert result.code == 1
    assert "9.9.9" in result.sentence()
    assert docker("image", "ls", "-q", "--no-trunc", "--filter", "label=raft-labctl.consul-version=9.9.9") == ""
    assert forgotten_candidates() <= before


@pytest.fixture
def other_binary(image: str) -> Iterator[str]:
    """An image of the source `binary` that somebody made of another file; the oldest, so that nobody else takes it."""
    name = f"{image.rpartition(':')[0]}:0.0.1"
    labels = ("image-source=binary", "image-origin=sha256:other", "consul-version=0.0.1")
    words = [word for label in labels for word in ("--change", f"LABEL raft-labctl.{label}")]
    container = docker("create", image)
    docker("commit", *words, container, name)
    docker("rm", container)
    yield name
    docker("image", "rm", name)


@pytest.mark.parametrize("words", [("up", "ada"), ("up", "ada", "--dry-run"), ("image", "build")], ids=" ".join)
def test_a_binary_that_is_named_is_looked_at_although_there_is_an_image_of_another(
    eve: Person, tmp_path: Path, other_binary: str, words: tuple[str, ...]
) -> None:
    assert docker("image", "ls", "-q", other_binary)
    words = tuple(new_name() if word == "ada" else word for word in words)
    result = eve.run(*words, "--binary", str(tmp_path / "consul"))
    assert result.code == 2
    assert "cannot be read (No such file or directory)" in result.sentence()
    (tmp_path / "consul").write_text("#!/bin/sh\n", encoding="utf-8")
    result = eve.run(*words, "--binary", str(tmp_path / "consul"))
    assert result.code == 2
    assert "is not a program" in result.sentence()


def test_a_binary_that_is_a_text_file_is_refused(eve: Person, tmp_path: Path) -> None:
    text = tmp_path / "consul"
    text.write_text("I am Consul, believe me.\n")
    result = eve.run("up", new_name(), "--binary", str(text))
    assert result.code == 2
    assert str(text) in result.sentence()


def test_a_binary_that_is_not_there_is_refused(eve: Person, tmp_path: Path) -> None:
    result = eve.run("up", new_name(), "--binary", str(tmp_path / "consul"))
    assert result.code == 2
    assert str(tmp_path / "consul") in result.sentence()


INVENTORIES = {
    "missing": (None, "does not exist"),
    "empty": ("", "names no lab"),
    "no lab": ("all:\n  hosts:\n    somewhere:\n", "names no lab"),
    "another lab": ("labs:\n  hosts:\n    another:\n      ansible_connection: local\n", "another"),
    "no inventory": ("labs: [unclosed\n", "cannot be read"),
}


@pytest.mark.parametrize("kind", INVENTORIES)
def test_an_inventory_without_the_lab_is_refused(eve: Person, kind: str, tmp_path: Path) -> None:
    text, sign = INVENTORIES[kind]
    path = tmp_path / "hosts.yml"
    if text is not None:
        path.write_text(text)
    result = eve.run("up", new_name(), "--pace", "real", "--inventory", str(path))
    assert result.code == 2
    assert sign in result.sentence()
    assert str(path) in result.sentence()


def test_a_state_folder_that_cannot_be_written_is_named(eve: Person, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    lab = new_name()
    result = ended([*HELD_BACK, *eve.words("up", lab)], eve.env | {"XDG_STATE_HOME": str(closed)}, eve.home)
    assert result.code == 1
    assert str(closed) in result.sentence()
    assert "XDG_STATE_HOME" in result.sentence()
    assert left_of(lab) == []
    file = tmp_path / "file"
    file.write_text("")
    result = eve.run("up", lab, XDG_STATE_HOME=str(file))
    assert result.code == 1
    assert str(file) in result.sentence()
    assert list(closed.iterdir()) == []


@pytest.fixture
def taken_network() -> Iterator[tuple[str, str]]:
    """A network that has nothing to do with labctl: its name and its subnet."""
    name = new_name()
    for third in range(0, 256, 16):
        subnet = f"10.254.{third}.0/24"
        if docker("network", "create", "--label", LABEL, "--subnet", subnet, name, check=False):
            break
    else:
        pytest.fail("no free subnet for this test in 10.254.0.0/16")
    yield name, subnet
    docker("network", "rm", name)


def test_a_subnet_that_is_taken_is_refused_and_its_owner_named(eve: Person, taken_network: tuple[str, str]) -> None:
    network, subnet = taken_network
    result = eve.run("up", new_name(), "--subnet", subnet.replace("0/24", "32/28"))
    assert result.code == 4
    assert network in result.sentence()
    assert subnet in result.sentence()


@pytest.mark.parametrize("subnet", ["10.254", "8.8.8.0/28", "10.254.1.0/30", "10.254.1.3/28"])
def test_what_cannot_be_a_labs_subnet_is_refused(eve: Person, subnet: str) -> None:
    result = eve.run("up", new_name(), "--subnet", subnet)
    assert result.code == 2
    assert subnet in result.sentence()


def test_a_port_that_is_taken_is_refused_and_named(eve: Person) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        result = eve.run("up", new_name(), "--pace", "real", "--servers", "1", "--http-port", str(port))
    assert result.code == 4
    assert str(port) in result.sentence()
    assert "--http-port" in result.sentence()


STRANGERS = {
    "container": ("create", "-consul2", ("--name",), (IMAGE,)),
    "volume": ("create", "-consul1", (), ()),
    "network": ("create", "", ("--subnet", "192.168.253.0/28"), ()),
}


@pytest.mark.parametrize("kind", STRANGERS)
def test_what_has_a_name_of_the_lab_and_is_not_ours_is_refused_and_left_alone(eve: Person, kind: str) -> None:
    lab = new_name()
    verb, suffix, before, after = STRANGERS[kind]
    name = f"labctl-{lab}{suffix}"
    docker(kind, verb, "--label", LABEL, *before, name, *after)
    try:
        result = eve.run("up", lab)
        assert result.code == 4
        assert f"{kind} named {name}" in result.sentence()
        assert eve.done("down", lab, "--json").json["removed"] == []
        assert left_of(lab) == [f"{kind} {name}"]
    finally:
        docker(kind, "rm", name)


def test_a_command_for_a_lab_that_is_not_there_says_how_to_start_it(eve: Person) -> None:
    lab = new_name()
    for words in (("status", lab), ("members", lab), ("join", lab), ("logs", lab), ("start", lab), ("stop", lab)):
        result = eve.run(*words)
        assert result.code == 1
        assert f"labctl up {lab}" in result.sentence()
    assert not eve.state.exists()


def test_an_unknown_command_or_option_is_wrong_usage(eve: Person) -> None:
    result = eve.run("statsu")
    assert result.code == 2
    assert "status" in result.sentence()
    assert eve.run("up", "--serves", "3").code == 2
    assert "--servers" in eve.run("up", "--serves", "3").sentence()


def test_errors_are_one_json_document_on_stderr_where_json_is_asked_for(eve: Person) -> None:
    result = eve.run("up", "../x", "--json")
    assert (result.code, result.out) == (2, "")
    assert json.loads(result.err)["code"] == 2


@pytest.mark.parametrize("kind", ["missing", "refusing", "forbidden"])
def test_an_engine_that_is_not_there_is_one_sentence_that_says_what_to_do(
    eve: Person, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "docker.sock"
    before: list[str] = []
    with socket.socket(socket.AF_UNIX) as engine:
        if kind != "missing":
            engine.bind(str(path))
        if kind == "forbidden":
            engine.listen()
            path.chmod(0)
            before = HELD_BACK
        for words in (("up", new_name()), ("ls",), ("down", "--all"), ("image", "ls")):
            result = ended([*before, *eve.words(*words)], eve.env | {"DOCKER_HOST": f"unix://{path}"}, eve.home)
            assert result.code == 1, words
            if kind == "forbidden":
                assert "You do not have permission to use the Docker socket" in result.sentence()
                assert "usermod -aG docker" in result.sentence()
            else:
                assert (
                    f"No Docker Engine answers at unix://{path}: start that one, or correct DOCKER_HOST"
                    in result.sentence()
                )


@pytest.mark.parametrize("kind", ["deaf", "full"])
def test_an_engine_that_never_answers_is_one_sentence_in_time(eve: Person, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    commands = (("up", new_name()), ("ls",), ("down", "--all"), ("image", "ls"))
    with socket.socket(socket.AF_UNIX) as engine, contextlib.ExitStack() as calls:
        engine.bind(str(path))
        engine.listen(0 if kind == "full" else 64)
        # An engine that takes no call any more has as many waiting as it has room for.
        with contextlib.suppress(BlockingIOError):
            while kind == "full":
                call = calls.enter_context(socket.socket(socket.AF_UNIX))
                call.setblocking(False)
                call.connect(str(path))
        env = eve.env | {"DOCKER_HOST": f"unix://{path}"}
        with ThreadPoolExecutor(len(commands)) as beside:
            results = list(beside.map(lambda words: ended(eve.words(*words), env, eve.home), commands))
    for result in results:
        assert result.code == 1
        assert f"unix://{path}: it did not answer within 20 seconds" in result.sentence()
        assert result.seconds < 20 + 10


def test_a_machine_without_the_docker_command_is_told_what_to_install(eve: Person, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for program in ("sh", "env", "mkdir", "chmod", "rm", "sleep", "stty", "tty"):
        place = shutil.which(program)
        assert place, program
        (programs / program).symlink_to(place)
    result = eve.run("up", new_name(), "--consul-version", VERSION, PATH=str(programs))
    assert result.code == 1
    assert "docker command is not installed" in result.sentence()
    assert "labctl doctor --fix" in result.sentence()
    result = eve.run("up", new_name(), PATH=str(programs), DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert result.code == 1
    assert "start that one, or correct DOCKER_HOST" in result.sentence()
