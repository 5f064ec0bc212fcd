"""The engine's HTTP API: which socket is asked, what is sent, and the one sentence that is made of a failure."""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

import pytest

from labctl.runner.processes import alive
from plugins.module_utils.shared import docker_api
from plugins.module_utils.shared.docker_api import DockerError, Engine, plain_socket
from tests.unit.faulty_engine import FaultyEngine
from tests.unit.pipes import lonely

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.stand_ins import FakeDocker

LAB = {"label": "raft-labctl.lab=ada"}
LABELS = {"raft-labctl.lab": "ada"}


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyEngine]:
    """An engine that says whatever a test lets it say."""
    made = FaultyEngine()
    monkeypatch.setenv("DOCKER_HOST", made.host)
    yield made
    made.close()


# -- which socket -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "context", "config", "expected"),
    [
        ("unix:///run/user/1000/docker.sock", "", "", "/run/user/1000/docker.sock"),
        ("unix:///run/x.sock", "desktop", '{"currentContext": "desktop"}', "/run/x.sock"),
        ("tcp://127.0.0.1:2376", "", "", None),
        ("ssh://ada@host", "", "", None),
        ("", "", "", docker_api.DEFAULT_SOCKET),
        ("", "default", '{"currentContext": "desktop"}', docker_api.DEFAULT_SOCKET),
        ("", "desktop", "", None),
        ("", "", '{"currentContext": "desktop"}', None),
        ("", "", '{"currentContext": ""}', docker_api.DEFAULT_SOCKET),
        ("", "", "{broken", docker_api.DEFAULT_SOCKET),
        ("", "", "[]", docker_api.DEFAULT_SOCKET),
    ],
)
def test_the_socket_is_the_one_that_the_docker_command_uses(  # noqa: PLR0913, PLR0917 - one for each thing that decides
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, context: str, config: str, expected: str | None
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    monkeypatch.setenv("DOCKER_CONTEXT", context)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    if config:
        (tmp_path / "config.json").write_text(config, encoding="utf-8")
    assert plain_socket() == expected


@pytest.mark.parametrize(
    ("context", "host", "expected"),
    [
        ("colima", "unix:///home/ada/.colima/default/docker.sock", "/home/ada/.colima/default/docker.sock"),
        ("rootless", "unix:///run/user/1000/docker.sock", "/run/user/1000/docker.sock"),
        ("desktop", "npipe:////./pipe/docker_engine", None),
        ("far", "ssh://ada@far", None),
    ],
)
def test_a_context_of_the_docker_command_with_a_plain_socket_is_taken_directly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, context: str, host: str, expected: str | None
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST")
    # As the docker command writes it (tests/integration/test_contexts.py).
    folder = tmp_path / "contexts" / "meta" / hashlib.sha256(context.encode()).hexdigest()
    folder.mkdir(parents=True)
    described = {"Name": context, "Metadata": {}, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}
    (folder / "meta.json").write_text(json.dumps(described), encoding="utf-8")
    assert plain_socket() == docker_api.DEFAULT_SOCKET
    monkeypatch.setenv("DOCKER_CONTEXT", context)
    assert plain_socket() == expected
    monkeypatch.delenv("DOCKER_CONTEXT")
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": context}), encoding="utf-8")
    assert plain_socket() == expected


def test_settings_that_wait_or_have_no_end_are_as_if_they_were_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    path = lonely(tmp_path / "config.json")
    begun = time.monotonic()
    assert plain_socket() == "/var/run/docker.sock"
    assert time.monotonic() - begun < 5
    path.unlink()
    path.symlink_to("/dev/zero")
    assert plain_socket() == "/var/run/docker.sock"


@pytest.mark.parametrize("meta", ["{broken", "[]", "null", '{"Endpoints": {"docker": {}}}', None])
def test_a_context_that_cannot_be_read_is_left_to_the_docker_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meta: str | None
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setenv("DOCKER_CONTEXT", "x")
    folder = tmp_path / "contexts" / "meta" / hashlib.sha256(b"x").hexdigest()
    folder.mkdir(parents=True)
    if meta is not None:
        (folder / "meta.json").write_text(meta, encoding="utf-8")
    assert plain_socket() is None


def test_anything_but_a_plain_socket_goes_through_the_docker_command(
    docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = docker.put_container("labctl-ada-consul1", labels=LABELS)
    path = docker.host.removeprefix("unix://")
    relay = "import os,select,socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\nwhile 1:\n"
    relay += " r=select.select([0,s],[],[])[0]\n if 0 in r:\n  d=os.read(0,65536)\n  d and s.sendall(d)\n"
    relay += " if s in r:\n  d=s.recv(65536)\n  if not d: break\n  os.write(1,d)\n"
    (docker.folder / "relay.py").write_text(relay, encoding="utf-8")
    program = f'#!/bin/sh\n[ "$*" = "system dial-stdio" ] && exec python3 {docker.folder}/relay.py {path}\nexit 9\n'
    (docker.folder / "docker").write_text(program, encoding="utf-8")
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:2376")
    assert [container["Id"] for container in Engine().containers(LAB, doing="looking")] == [key]


def test_what_the_docker_command_says_of_its_connection_is_told(
    docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    (docker.folder / "docker").write_text("#!/bin/sh\necho 'error: no such host x' >&2\nexit 1\n", encoding="utf-8")
    monkeypatch.setenv("DOCKER_HOST", "ssh://ada@x")
    with pytest.raises(DockerError, match="Docker failed while looking: error: no such host x"):
        Engine().networks({}, doing="looking")


def test_an_engine_that_gives_no_answer_has_not_said_that_there_is_no_file(docker: FakeDocker, tmp_path: Path) -> None:
    asked = {"container": "labctl-ada-consul1-id", "path": "/consul/config/gossip.json", "doing": "looking for the key"}
    docker.put_container("labctl-ada-consul1", labels=LABELS)
    docker.answer("cp", err="Could not find the file /consul/config/gossip.json in container x", code=1)
    assert Engine().has_file(**asked) is False
    for said in ("No such container: x", "Error: input/output error"):
        docker.answer("cp", err=said, code=1)
        with pytest.raises(DockerError, match="while looking for the key"):
            Engine().has_file(**asked)
    with pytest.raises(DockerError, match="does not answer"):
        Engine(2, str(tmp_path / "nobody")).has_file(**asked)


def test_a_host_without_the_docker_command_is_told_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", "ssh://ada@x")
    with pytest.raises(DockerError, match="not installed on this Docker host"):
        Engine().networks({}, doing="looking")


# -- an engine that does not answer -----------------------------------------------------------------------------


def test_no_engine_is_told_with_what_helps() -> None:
    with pytest.raises(DockerError, match="The Docker Engine does not answer: start it"):
        Engine().networks({}, doing="looking")


def test_a_socket_that_this_user_may_not_use_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: socket.socket, _address: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(DockerError, match="join the group `docker`"):
        Engine().networks({}, doing="looking")


def test_an_engine_that_hangs_is_given_up(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path_factory.mktemp("s") / "sock"
    monkeypatch.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("sock")
        listener.listen()
        monkeypatch.setenv("DOCKER_HOST", "unix://sock")
        with pytest.raises(DockerError, match=r"did not answer within 0\.05\d? seconds while looking"):
            Engine(0.05).networks({}, doing="looking")


def test_something_that_is_no_engine_is_told(docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> None:
    (docker.folder / "docker").write_text("#!/bin/sh\nread -r line\necho hello\n", encoding="utf-8")
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(DockerError, match="Docker failed while looking: BadStatusLine"):
        Engine().networks({}, doing="looking")


def test_a_docker_command_that_does_not_hang_up_is_ended_with_all_that_it_started(
    docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = docker.folder / "pids"
    program = f"#!/bin/sh\ntrap '' TERM\nsleep 1000 &\necho $$ $! >{note}\nwhile :; do sleep 1000; done\n"
    (docker.folder / "docker").write_text(program, encoding="utf-8")
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    begun = time.monotonic()
    with pytest.raises(DockerError, match=r"did not answer within 0\.6\d? seconds while looking"):
        Engine(0.6).get("/info", doing="looking")
    assert time.monotonic() - begun < 6
    pids, ends = note.read_text(encoding="utf-8").split(), time.monotonic() + 2
    # A machine that has no time for them may take a moment more than whoever killed them waits.
    while any(alive(int(pid)) for pid in pids) and time.monotonic() < ends:
        time.sleep(0.02)
    assert [pid for pid in pids if alive(int(pid))] == []


# -- what there is, and what changes it ---------------------------------------------------------------------------


def test_what_the_engine_refuses_is_told_with_what_was_tried(docker: FakeDocker) -> None:
    docker.answer("network ls", err="Error response from daemon: bad filter", code=1)
    with pytest.raises(DockerError) as caught:
        Engine().networks({"driver": "bridge"}, doing="looking")
    assert caught.value.sentence == "Docker failed while looking: bad filter"
    assert caught.value.said == "bad filter"


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b"x " * 100_000, json.dumps({"message": "no " * 100_000}).encode()],
    ids=["deep", "text", "message"],
)
def test_a_refusal_without_an_end_is_one_sentence_that_somebody_can_read(
    odd: FaultyEngine, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr(odd, "answer", lambda *_: (500, body))
    with pytest.raises(DockerError, match=r"^Docker failed while looking: [^\n]{3900,4100}\.\.\.$"):
        Engine().networks({}, doing="looking")
    monkeypatch.setattr(odd, "answer", lambda *_: (500, body + b": no space left on device"))
    with pytest.raises(DockerError, match="disk is full"):
        Engine().networks({}, doing="looking")


def test_stopped_containers_are_found_too_and_one_that_is_gone_meanwhile_is_left_out(docker: FakeDocker) -> None:
    key = docker.put_container("labctl-ada-consul1", labels=LABELS, state="exited")
    gone = docker.put_container("labctl-ada-consul2", labels=LABELS)
    docker.answer(f"inspect {gone}", err=f"No such container: {gone}", code=1)
    assert [container["Id"] for container in Engine().containers(LAB, doing="looking")] == [key]
    assert Engine().container_names({"name": "labctl-ada-"}, doing="looking") == [
        "labctl-ada-consul1",
        "labctl-ada-consul2",
    ]


def test_any_other_failure_to_look_is_raised(docker: FakeDocker) -> None:
    docker.answer("inspect", err="out of memory", code=1)
    with pytest.raises(DockerError, match="out of memory"):
        Engine().inspected(["x"], doing="looking")


def test_no_volumes_are_an_empty_list(docker: FakeDocker) -> None:
    assert Engine().volumes(LAB, doing="looking") == []
    docker.put("volume", "v", {"Name": "v", "Labels": LABELS})
    assert [volume["Name"] for volume in Engine().volumes(LAB, doing="looking")] == ["v"]


@pytest.mark.parametrize(
    ("label", "listed"),
    [("raft-labctl.lab=ada", "ad"), ("raft-labctl.lab", "abd"), ("raft-labctl.lab=", ""), ("raft-labctl.lab=a=b", "")],
)
def test_an_engine_that_makes_nothing_of_a_filter_does_not_widen_what_was_asked_for(
    odd: FaultyEngine, label: str, listed: str
) -> None:
    of_lab = dict.fromkeys("ad", LABELS) | {"b": {"raft-labctl.lab": "bob"}, "c": {}, "e": None}
    more = {"State": "running", "Image": "", "Created": 0, "Size": 0, "NetworkSettings": {}}
    everything = [
        {"Id": name, "Name": name, "Names": [f"/{name}"], "Labels": of_lab[name], **more}
        for name in ("a", "b", "c", "d", "e")
    ]
    paths = ("/containers/json", "/networks", "/images/json")
    odd.says = {f"GET {path}": [*everything, {"Id": "f", "Name": "f", **more}] for path in paths}
    odd.says["GET /volumes"] = {"Volumes": everything}
    asked, engine = {"label": label}, Engine()
    assert engine.container_names(asked, doing="looking") == list(listed)
    assert [network["Name"] for network in engine.networks(asked, doing="looking")] == list(listed)
    assert [volume["Name"] for volume in engine.volumes(asked, doing="looking")] == list(listed)
    assert [image["Id"] for image in engine.get("/images/json", asked, doing="looking")] == list(listed)
    assert len(engine.networks({"driver": "bridge"}, doing="looking")) == 6


def test_all_are_tried_before_the_first_failure_is_raised(docker: FakeDocker) -> None:
    keys = [docker.put_container(f"c{number}") for number in range(12)]
    docker.stick(keys[0], "device or resource busy")
    with pytest.raises(DockerError, match="device or resource busy"):
        Engine().remove("container", keys, doing="removing")
    assert list(docker.objects("container")) == [keys[0]]


def test_nothing_to_do_asks_nobody(docker: FakeDocker) -> None:
    Engine().remove("volume", [], doing="removing")
    Engine().change("stop", [], doing="stopping")
    assert docker.calls == []


@pytest.mark.parametrize(
    ("stamp", "seconds"),
    [
        ("2026-11-30T00:00:01Z", 1795996801),
        ("2026-11-30T00:00:01.123456789Z", 1795996801.123456789),
        ("2026-11-30T01:00:01.5+01:00", 1795996801.5),
        ("2026-11-29T17:30:01-06:30", 1795996801),
        ("2026-11-30t00:00:01z", 1795996801),
        ("0001-01-01T00:00:00Z", -62135596800),
    ],
)
def test_a_stamp_of_an_engine_is_read_in_any_zone(stamp: str, seconds: float) -> None:
    assert docker_api.moment(stamp) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    "stamp",
    ["", "soon", "2026-11-30T00:00:01", "2026-11-31T00:00:01Z", "0000-01-01T00:00:00Z", "2026-11-30T00:00:01.Z",
     "2026-11-30T00:00:01+99:00", "2026-11-30T00:00:01Z\n", "9" * 10_000],
)  # fmt: skip
def test_a_stamp_that_is_none_is_one_sentence(stamp: str) -> None:
    with pytest.raises(DockerError, match=r"^Cannot make sense of .* is no moment") as caught:
        docker_api.moment(stamp)
    assert len(caught.value.sentence) < 400


def test_an_output_in_many_pieces_is_read_in_no_time(odd: FaultyEngine) -> None:
    pieces = [b"ab\xc3", b"", b"\xa4c"]
    framed = [struct.pack(">BxxxL", 1, len(piece)) + piece for piece in pieces]
    # The last one is cut off in its middle, as where a container ends; so is the header behind it.
    cut = struct.pack(">BxxxL", 2, 9) + b"tail"
    odd.says["GET /containers/x/logs"] = b"".join(framed) + cut
    words: dict[str, Any] = {"lines": 9, "since": 0, "doing": "reading"}
    assert Engine().log("x", "stdout", **words) == "abäctail"
    odd.says["GET /containers/x/logs"] = b"".join(framed) + b"\1\0\0"
    assert Engine().log("x", "stdout", **words) == "abäc"
    odd.says["GET /containers/x/logs"] = bytes([1, 0, 0, 0, 0, 0, 0, 0]) * (1 << 18)
    begun = time.process_time()
    assert not Engine().log("x", "stdout", **words)
    assert time.process_time() - begun < 2


def test_a_command_in_a_container_gives_what_it_printed(docker: FakeDocker) -> None:
    docker.answer("exec", out="Successfully joined cluster by contacting 2 nodes.\n")
    said = Engine().execute("labctl-ada-consul1", ["consul", "join", "10.213.0.3"], doing="joining")
    assert said == "Successfully joined cluster by contacting 2 nodes.\n"
    assert docker.calls == [["exec", "labctl-ada-consul1", "consul", "join", "10.213.0.3"]]


def test_a_command_that_fails_is_told_with_what_it_printed(docker: FakeDocker) -> None:
    docker.answer("exec", err="Error joining address '10.213.0.3': refused\n", code=1)
    with pytest.raises(DockerError, match=r"Docker failed while joining: Error joining address '10\.213\.0\.3'"):
        Engine().execute("x", ["consul", "join"], doing="joining")
    docker.answer("exec", err="Container x is not running", code=1)
    with pytest.raises(DockerError, match="Container x is not running"):
        Engine().execute("x", ["consul", "join"], doing="joining")


@pytest.mark.parametrize(
    ("answer", "message"),
    [("nothing", "nothing"), ('"text"', '"text"'), ("{}", "{}"), (json.dumps({"message": "no space"}), "no space")],
)
def test_a_refusal_in_any_shape_is_read(answer: str, message: str) -> None:
    assert docker_api.message_of(answer.encode()) == message


def test_a_name_cannot_leave_its_part_of_the_path(docker: FakeDocker) -> None:
    Engine().inspected(["../../volumes/x?force=1"], doing="looking")
    assert docker.calls == [["container", "inspect", "../../volumes/x?force=1"]]


def test_the_end_of_a_log_is_what_a_stream_had_since_a_time(docker: FakeDocker) -> None:
    engine = docker.beside()
    engine.so_far = {"a/b": b"one\ntwo\n"}
    assert Engine().log("a/b", "stderr", lines=5, since=12.25, doing="reading") == "one\ntwo\n"
    assert (engine.tails, engine.sinces) == ([5], [12.25])
