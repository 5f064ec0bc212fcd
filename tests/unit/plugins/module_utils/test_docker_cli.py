"""The docker command on a Docker host, and the one sentence that is made of what it says."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from plugins.module_utils.docker_cli import Docker
from plugins.module_utils.shared.docker_api import DockerError, explain

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.stand_ins import FakeDocker

SOCKET = "dial unix /var/run/docker.sock: connect:"


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (f"permission denied while trying to connect to the Docker daemon socket: {SOCKET} permission denied", "group"),
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is it running?", "does not answer"),
        ("docker: 'compose' is not a docker command.\nSee 'docker --help'", "Compose v2 is not installed"),
        ("Error: write /var/lib/docker/x: no space left on device", "disk is full"),
    ],
)
def test_what_is_known_gets_a_sentence_that_helps(said: str, says: str) -> None:
    assert says in explain(said, "starting the servers")


def test_what_is_not_known_is_told_with_what_was_tried_and_the_line_that_tells_most() -> None:
    said = " Container a  Creating\nError response from daemon: conflict\nTry --help\n"
    assert explain(said, "making x") == "Docker failed while making x: Error response from daemon: conflict"


def test_without_the_word_error_the_last_line_is_told() -> None:
    assert explain("one\ntwo\n\n", "making x") == "Docker failed while making x: two"


def test_silence_is_told_too() -> None:
    assert explain(" \n", "making x") == "Docker failed while making x: it said nothing"


def test_what_docker_prints_is_returned(docker: FakeDocker) -> None:
    docker.answer("version", out="28.2\n")
    assert Docker().run("version", doing="asking") == "28.2\n"
    assert docker.calls == [["version"]]


def test_a_failure_carries_what_docker_said(docker: FakeDocker) -> None:
    docker.answer("compose", err="Error: no\n", code=1)
    with pytest.raises(DockerError) as caught:
        Docker().run("compose", "up", doing="starting")
    assert caught.value.sentence == "Docker failed while starting: Error: no"
    assert caught.value.said == "Error: no\n"
    assert caught.value.failure == "failed"


def test_a_failure_that_is_only_on_standard_output_is_told(docker: FakeDocker) -> None:
    docker.answer("x", out="Error on stdout", code=1)
    with pytest.raises(DockerError, match="Error on stdout"):
        Docker().run("x", doing="trying")


def test_a_host_without_docker_is_told_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DockerError, match="not installed on this Docker host"):
        Docker().run("version", doing="asking")


@pytest.mark.parametrize("kind", ["container", "network", "volume"])
def test_what_is_gone_meanwhile_is_left_out(docker: FakeDocker, kind: str) -> None:
    # The stand-in says it in Docker's own three wordings.
    docker.put(kind, "here", {"Id": "here", "Name": "here", "Config": {}})
    assert [document["Id"] for document in Docker().inspect(kind, ["gone", "here"], "looking")] == ["here"]
    assert Docker().inspect(kind, ["gone"], "looking") == []


@pytest.mark.parametrize("said", ["", "{", "{}", "[7]", '[{"Id": "x"}]'])
def test_what_is_no_answer_of_inspect_is_told(docker: FakeDocker, said: str) -> None:
    docker.answer("inspect", out=said)
    with pytest.raises(DockerError, match="Cannot make sense of what the Docker Engine answered while looking"):
        Docker().inspect("container", ["x"], "looking")


def test_any_other_failure_of_inspect_is_raised(docker: FakeDocker) -> None:
    docker.answer("inspect", err="Cannot connect to the Docker daemon", code=1)
    with pytest.raises(DockerError, match="does not answer"):
        Docker().inspect("container", ["x"], "looking")


def test_nothing_to_inspect_asks_nobody(docker: FakeDocker) -> None:
    assert Docker().inspect("container", [], "looking") == []
    assert docker.calls == []


def test_containers_are_listed_also_when_stopped_and_with_whole_ids(docker: FakeDocker) -> None:
    key = docker.put_container("labctl-ada-consul1", labels={"raft-labctl.lab": "ada"}, state="exited")
    docker.put_container("other", labels=None)
    assert Docker().ids("container", "label=raft-labctl.lab=ada", doing="looking") == [key]
    assert {"-a", "--no-trunc"} <= set(docker.calls[0])


def test_docker_inherits_the_labs_lock(docker: FakeDocker, tmp_path: Path) -> None:
    (docker.folder / "docker").write_text('#!/bin/sh\nreadlink "/proc/self/fd/$1"\n', encoding="utf-8")
    handle = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    try:
        assert Docker((handle,)).run(str(handle), doing="looking").strip() == str(tmp_path / "lock")
        with pytest.raises(DockerError):
            Docker().run(str(handle), doing="looking")
    finally:
        os.close(handle)


def test_a_docker_that_does_not_end_is_ended_and_told(docker: FakeDocker) -> None:
    (docker.folder / "docker").write_text("#!/bin/sh\nexec sleep 1000\n", encoding="utf-8")
    begun = time.monotonic()
    with pytest.raises(DockerError, match="Cannot go on with starting the servers: the docker command was ended, beca"):
        Docker().run("compose", "up", doing="starting the servers", seconds=0.3)
    assert time.monotonic() - begun < 5
