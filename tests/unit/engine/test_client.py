"""Which engine labctl talks to, and the one sentence for an engine that does not answer."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from labctl.cli.main import run
from labctl.engine import client
from labctl.engine.labs import list_labs
from labctl.errors import ExitCode, LabctlError
from labctl.shared.docker_api import DockerError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.stand_ins import FakeDocker


def refusal() -> LabctlError:
    """The error of the first request."""
    with pytest.raises(LabctlError) as caught:
        list_labs(client.connect())
    return caught.value


@pytest.fixture
def contexts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docker configuration with two contexts, of which `far` is the current one."""
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": "far"}), encoding="utf-8")
    for name in ("far", "near"):
        folder = tmp_path / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
        folder.mkdir(parents=True)
        meta = {
            "Name": name,
            "Metadata": {},
            "Endpoints": {"docker": {"Host": f"ssh://{name}", "SkipTLSVerify": False}},
        }
        (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
    return tmp_path


@pytest.mark.usefixtures("contexts")
def test_the_current_context_is_the_engine_as_for_the_docker_command() -> None:
    assert client.address() == "ssh://far"
    assert client.host_name() == "ssh://far"


@pytest.mark.usefixtures("contexts")
def test_docker_context_goes_before_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "near")
    assert client.address() == "ssh://near"
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    assert client.address() is None


@pytest.mark.usefixtures("contexts")
def test_docker_host_goes_before_every_context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://room:2375")
    assert client.address() == "tcp://room:2375"


def test_without_any_of_them_the_engine_is_the_default_one(contexts: Path) -> None:
    (contexts / "config.json").write_text("{broken", encoding="utf-8")
    assert client.address() is None
    assert client.host_name() == "local"


def test_a_socket_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/user/1000/docker.sock")
    assert client.host_name() == "local"


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("unix://", "it names no socket"),
        ("unix:///" + "x" * 107, "has 108 bytes, and no more than 107"),
        ("unix:///\udc80" + "x" * 10_000, "bytes, and no more than 107"),
        ("tcp://[::1", "it is no host with a port (Invalid IPv6 URL)"),
        ("tcp://host:99999", "it is no host with a port (Port out of range"),
        ("tcp://host:0", "its port is 0"),
        ("tcp://host:x", "it is no host with a port"),
        ("ssh://", "is no address of a Docker host"),
        ("ssh://[::1", "is no address of a Docker host"),
        ("foo\x1b[31m://bar", "is none of unix, tcp, ssh"),
        ("fd://", '"fd" is none of unix, tcp, ssh'),
        ("http://127.0.0.1:1", '"http" is none of unix, tcp, ssh'),
        ("://", '"" is none of unix, tcp, ssh'),
        ("ssh://a\nb", "is no address of a Docker host"),
        ("ssh://a b", "is no address of a Docker host"),
        ("ssh://ada%00@room", "is no address of a Docker host"),
        ("ssh://room:0", "is no address of a Docker host"),
    ],
)
@pytest.mark.parametrize("by_context", [False, True])
def test_an_address_that_no_engine_can_have_is_wrong_usage_in_one_sentence(  # noqa: PLR0913 - fixtures
    contexts: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    where: str,
    says: str,
    *,
    by_context: bool,
) -> None:
    if by_context:
        (meta,) = contexts.glob(f"contexts/meta/{hashlib.sha256(b'far').hexdigest()}/meta.json")
        meta.write_text(json.dumps({"Endpoints": {"docker": {"Host": where}}}), encoding="utf-8")
    else:
        monkeypatch.setenv("DOCKER_HOST", where)
    for words in (["ls"], ["up", "ada", "--timeout", "5"], ["down", "ada"], ["logs", "ada"]):
        assert run(words) == ExitCode.USAGE
        (line,) = capsys.readouterr().err.splitlines()
        assert says in line
        assert len(line) < 600
        assert line.isprintable()
    run(["doctor"])
    assert says in capsys.readouterr().out


def test_an_engine_that_is_not_there_is_one_sentence() -> None:
    error = refusal()
    # Where somebody chose an engine, labctl starts none.
    assert re.match(r"No Docker Engine answers at unix://.*/no-engine\.sock: start that one", error.sentence)
    assert error.code is ExitCode.FAILED


def test_an_engine_that_nobody_chose_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    error = client.explain(DockerError("no", said="Cannot connect to the Docker daemon"))
    assert error.sentence.startswith("No Docker Engine answers at /var/run/docker.sock: `labctl doctor --fix` starts")


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (
            'Failed to initialize: unable to resolve docker endpoint: context "nope": context not found: open c.json',
            'Cannot tell which Docker Engine is meant: context "nope": context not found',
        ),
        (
            "Failed to initialize: unable to resolve docker endpoint: open /home/ada/.docker/ca.pem: permission denied",
            "Cannot tell which Docker Engine is meant: open /home/ada/.docker/ca.pem: permission denied. ",
        ),
        (
            "failed to open the raw stream connection: dial tcp: lookup room: no such host",
            "/no-engine.sock (dial tcp: lookup room: no such host): start that one",
        ),
    ],
)
def test_the_docker_commands_settings_are_not_taken_for_an_engine_that_is_down(said: str, says: str) -> None:
    sentence = client.explain(DockerError(f"Docker failed: {said}", said=said)).sentence
    assert says in sentence
    assert "doctor --fix" not in sentence


@pytest.mark.parametrize("said", ["exec: consul: no such file or directory", "mount /x: permission denied"])
def test_what_an_engine_refused_is_its_answer(said: str) -> None:
    sentence = client.explain(DockerError(f"Docker failed while starting: {said}", said=said, status=400)).sentence
    assert sentence == f"Docker failed while starting: {said}"


@pytest.mark.parametrize("host", ["ssh://x\0y", "ssh://x\0@y", "ssh://\ud800", "ssh://\ud800@room"])
def test_a_context_that_no_program_can_be_told_is_wrong_usage(
    contexts: Path, capsys: pytest.CaptureFixture[str], host: str
) -> None:
    (meta,) = contexts.glob(f"contexts/meta/{hashlib.sha256(b'far').hexdigest()}/meta.json")
    meta.write_text(json.dumps({"Endpoints": {"docker": {"Host": host}}}), encoding="utf-8")
    assert run(["ls"]) == ExitCode.USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert "is no address of a Docker host" in line


def test_settings_that_are_nested_too_deeply_are_settings_that_cannot_be_read(contexts: Path) -> None:
    (meta,) = contexts.glob(f"contexts/meta/{hashlib.sha256(b'far').hexdigest()}/meta.json")
    meta.write_text("[" * 100_000, encoding="utf-8")
    assert client.address() is None
    (contexts / "config.json").write_text('{"currentContext":' * 100_000, encoding="utf-8")
    assert client.address() is None


def test_a_socket_that_nobody_listens_on_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(os.path.relpath(tmp_path / "s"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/s")
    assert "No Docker Engine answers" in refusal().sentence


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (DockerError("no", said="permission denied while"), "You do not have permission"),
        (DockerError("no", said="Cannot connect to the Docker daemon"), "No Docker Engine answers"),
        (DockerError("Docker failed while starting: name is in use", status=409), "Docker failed while starting: name"),
        (DockerError("late", late=3.4), "did not answer within 3.4 seconds"),
    ],
)
def test_what_an_engine_raises_becomes_a_sentence_of_one_line(error: DockerError, says: str) -> None:
    sentence = client.explain(error).sentence
    assert says in sentence
    assert "\n" not in sentence


def test_what_is_not_dockers_is_not_explained() -> None:
    with pytest.raises(ZeroDivisionError), client.explained():
        raise ZeroDivisionError


# -- lists ------------------------------------------------------------------------------------------------------


def test_lists_come_from_the_socket_without_the_library(docker: FakeDocker) -> None:
    labels = {"raft-labctl.lab": "ada"}
    key = docker.put_container("labctl-ada-consul1", labels=labels, state="exited")
    docker.put_network("labctl-ada", "10.213.7.0/28", labels)
    docker.put("volume", "labctl-ada-config", {"Name": "labctl-ada-config", "Labels": labels})
    quick, filters = client.connect(), {"label": "raft-labctl.lab=ada"}
    assert [container["Id"] for container in quick.containers(filters=filters)] == [key]
    assert [network["Name"] for network in quick.networks(filters=filters)] == ["labctl-ada"]
    assert [volume["Name"] for volume in quick.volumes(filters=filters)] == ["labctl-ada-config"]


def test_what_the_engine_refuses_is_told(docker: FakeDocker) -> None:
    docker.answer("network ls", err="Error response from daemon: bad filter", code=1)
    with pytest.raises(LabctlError, match="Docker failed while listing networks: bad filter"), client.explained():
        client.connect().networks(filters={"label": "x"})


@pytest.mark.parametrize(
    ("said", "until"), [({"SystemTime": "2026-11-24T12:00:00.25Z"}, "1795521600.250000"), ({}, None), (None, None)]
)
def test_an_engine_is_asked_for_no_event_that_is_still_to_come(said: Any, until: str | None) -> None:
    asked: list[dict[str, Any]] = []

    class Engine:
        def get(self, path: str, **_: Any) -> Any:
            assert path == "/info"
            return said

        def ask(self, _method: str, path: str, query: dict[str, Any], **_: Any) -> bytes:
            asked.append({"path": path, **query})
            return b'{"Action":"kill"}\n\n{"Action":"die"}\n'

    made = client.Client()
    made._engine = cast("Any", Engine())
    assert made.events_so_far(filters={"type": ["container"]}) == [{"Action": "kill"}, {"Action": "die"}]
    (query,) = asked
    assert (query["path"], query["since"], query["filters"]) == ("/events", "0", '{"type": ["container"]}')
    assert query["until"] == until or (until is None and abs(float(query["until"]) - time.time()) < 60)
