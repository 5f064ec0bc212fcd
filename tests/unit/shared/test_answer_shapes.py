"""An answer that no engine gives becomes one sentence, whatever it is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from labctl.cli.main import run
from labctl.engine import client, images, labs
from labctl.errors import ExitCode, LabctlError
from labctl.shared import answer_shapes, lock_holder
from labctl.shared.docker_api import DockerError, Engine
from labctl.workshop import seat_locks
from labctl.workshop.model.file import LOCAL, Host
from plugins.module_utils import lab_parts
from plugins.module_utils.shared import docker_api
from tests.unit import engine_stand_in as stand_in
from tests.unit.faulty_engine import FaultyEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ONE = stand_in.container("ada", "consul1")
LISTS: list[Any] = [
    None, 7, "x", {}, [None], [[]], [7], [{}], b"", b"<html>\x1b[31m", b"[" * 50_000, b"\xff\xfe", b"x" * 10_000,
    [{**ONE, "Id": None}], [{**ONE, "Id": ["x"]}], [{**ONE, "Labels": ["raft-labctl.lab"]}],
    [{**ONE, "Labels": {**ONE["Labels"], "raft-labctl.lab": 7}}], [{**ONE, "Names": "x"}], [{**ONE, "Names": [7]}],
    [{**ONE, "State": 7}], [{**ONE, "Created": "now"}], [{**ONE, "Created": 10**40}], [{**ONE, "Created": -1}],
    [{**ONE, "Ports": {}}], [{**ONE, "Ports": [7]}], [{**ONE, "Ports": [{"PrivatePort": "8500"}]}],
    [{**ONE, "Id": ""}], [{**ONE, "Id": "../x"}], [{**ONE, "Id": "x" * 10_000}], [{**ONE, "Names": ["\ud800"]}],
    [{**ONE, "NetworkSettings": []}], [{**ONE, "NetworkSettings": {"Networks": []}}], [{**ONE, "Image": {}}],
    [{**ONE, "NetworkSettings": {"Networks": {"a": {"IPAddress": 7}}}}],
]  # fmt: skip


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyEngine]:
    made = FaultyEngine()
    monkeypatch.setenv("DOCKER_HOST", made.host)
    monkeypatch.setenv("LABCTL_OWNER", "ada")
    yield made
    made.close()


def is_one_sentence(said: str) -> bool:
    (line,) = said.splitlines()
    return len(line) < 600 and line.isprintable() and "Unexpected error" not in line


@pytest.mark.parametrize("said", LISTS)
@pytest.mark.parametrize("words", [["ls"], ["status", "ada"], ["up", "ada"], ["down", "ada"], ["stop", "ada"]])
def test_a_list_of_containers_that_is_none_is_told_in_a_sentence(
    engine: FaultyEngine, capsys: pytest.CaptureFixture[str], words: list[str], said: Any
) -> None:
    engine.says["GET /containers/json"] = said
    assert run(words) == ExitCode.FAILED
    err = capsys.readouterr().err
    assert is_one_sentence(err)
    assert "Cannot make sense of what the Docker Engine answered while listing containers: " in err


@pytest.mark.parametrize(
    ("path", "said", "words"),
    [
        ("/containers/json", [{key: value for key, value in ONE.items() if key != "State"}], ["ls"]),
        ("/networks", None, ["down", "ada"]),
        ("/networks", [{"Id": "x"}], ["down", "ada"]),
        ("/networks", [{"Id": "x", "Name": "x", "IPAM": []}], ["down", "ada"]),
        ("/networks", [{"Id": "x", "Name": "x", "IPAM": {"Config": [{"Subnet": "10.0.0.0/99"}]}}], ["down", "ada"]),
        ("/volumes", [], ["down", "ada"]),
        ("/volumes", {"Volumes": {}}, ["down", "ada"]),
        ("/volumes", {"Volumes": [{"Name": 7}]}, ["down", "ada"]),
        ("/images/json", {}, ["image", "ls"]),
        ("/images/json", [{"Id": "x", "RepoTags": {}}], ["image", "ls"]),
    ],
)
def test_another_list_that_is_none_is_told_in_a_sentence(
    engine: FaultyEngine, capsys: pytest.CaptureFixture[str], path: str, said: Any, words: list[str]
) -> None:
    engine.says[f"GET {path}"] = said
    assert run(words) == ExitCode.FAILED
    assert is_one_sentence(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("path", "ask"),
    [
        ("POST /containers/create", lambda engine: engine.create({}, doing="x")),
        ("POST /containers/a/exec", lambda engine: engine.run("a", ["true"], doing="x")),
        ("GET /containers/a/json", lambda engine: engine.inspected(["a"], doing="x")),
        ("GET /info", lambda engine: engine.get("/info", doing="x")),
        ("GET /version", lambda engine: engine.get("/version", doing="x")),
    ],
)
@pytest.mark.parametrize("said", [None, [], 7, b"", b"{", [{}]])
def test_every_reader_of_answers_says_what_was_wrong(
    engine: FaultyEngine, path: str, ask: Callable[[Engine], object], said: Any
) -> None:
    engine.says[path] = said
    with pytest.raises(DockerError, match="Cannot make sense of what the Docker Engine answered while x: it is "):
        ask(Engine(5))


def test_a_server_that_is_none_is_told() -> None:
    state = {"Status": "running", "Running": True, "StartedAt": ""}
    whole = {"Id": "a", "Name": "/a", "Config": {}, "State": state, "NetworkSettings": {}}
    assert answer_shapes.CONTAINER(whole, "it") is None
    ports = {"Ports": {"8500/tcp": [{"HostPort": "many"}]}}
    odd = answer_shapes.CONTAINER({**whole, "NetworkSettings": ports}, "it")
    assert str(odd) == "it.NetworkSettings.Ports.'8500/tcp'[0].HostPort is \"many\", and not a port"


STATE = {"Status": "running", "Running": True, "StartedAt": "2026-11-30T00:00:00Z"}
WHOLE = {
    "Id": ONE["Id"], "Name": "/labctl-ada-consul1", "Config": {"Labels": ONE["Labels"]}, "State": STATE,
    "NetworkSettings": {},
}  # fmt: skip


@pytest.mark.parametrize(
    "changed",
    [
        {"Name": None}, {"NetworkSettings": None}, {"Config": None}, {"State": {}},
        {"State": {**STATE, "Running": None}},
        {"State": {"Status": "running", "StartedAt": ""}}, {"Mounts": {}}, {"Mounts": [None]},
        {"Config": {"Labels": []}}, {"HostConfig": {"NetworkMode": 7}}, {"HostConfig": {"SecurityOpt": "x"}},
        {"NetworkSettings": {"Ports": {"8500/tcp": [{"HostPort": "65536"}]}}},
        {"HostConfig": {"Ulimits": [None]}},
        {"NetworkSettings": {"Ports": {"many/tcp": []}}}, {"NetworkSettings": {"Ports": {"70000/tcp": []}}},
        {"NetworkSettings": {"Networks": {"x": {"IPAddress": "10.0.0.300"}}}},
        {"NetworkSettings": {"Networks": {"x": {"IPPrefixLen": 129}}}},
    ],
)  # fmt: skip
def test_an_odd_container_is_one_sentence_for_whoever_looks_for_a_lab(engine: FaultyEngine, changed: Any) -> None:
    engine.containers = [ONE]
    engine.says[f"GET /containers/{ONE['Id']}/json"] = {**WHOLE, **changed}
    with pytest.raises(
        docker_api.DockerError, match="Cannot make sense of what the Docker Engine answered while looking for"
    ):
        lab_parts.find(docker_api.Engine(5), "ada")


@pytest.mark.parametrize(
    ("networks", "ports", "address", "port"),
    [
        ({"x": None}, {"8500/tcp": [{"HostPort": ""}]}, "", None),
        ({"x": {"IPAMConfig": None}}, {"8500/tcp": [{"HostPort": None}]}, "", None),
        ({"x": {"IPAMConfig": {"IPv4Address": None}}}, {"8500/tcp": None}, "", None),
        (None, None, "", None),
        ({"x": None, "y": {"IPAddress": "10.0.0.2"}}, {"8500/tcp": [{"HostPort": "80"}]}, "10.0.0.2", 80),
    ],
)
def test_a_container_that_says_less_than_others_is_read(
    engine: FaultyEngine, networks: Any, ports: Any, address: str, port: int | None
) -> None:
    engine.containers = [{**ONE, "NetworkSettings": {"Networks": networks}}]
    said = {**WHOLE, "Mounts": None, "HostConfig": None, "NetworkSettings": {"Networks": networks, "Ports": ports}}
    engine.says[f"GET /containers/{ONE['Id']}/json"] = said
    (server,) = lab_parts.find(docker_api.Engine(5), "ada").servers
    assert (server.address, server.http_port) == (address, port)
    (lab,) = labs.list_labs(client.connect())
    assert lab.servers[0].address == address


def test_an_image_that_does_not_say_when_it_was_made_is_one(engine: FaultyEngine) -> None:
    # Go's time of none.
    engine.images = [{**stand_in.image("1.8.7"), "Created": -62_135_596_800}]
    assert run(["image", "ls"]) == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"Created": None}, {"Created": -1}, {"Created": []}, {"Size": None}, {"Size": "big"}, {"Size": -1},
        {"RepoTags": [None]}, {"Labels": 7}, {"Created": ...}, {"Size": ...},
    ],
)  # fmt: skip
def test_an_odd_image_is_one_sentence(
    engine: FaultyEngine, capsys: pytest.CaptureFixture[str], changed: dict[str, Any]
) -> None:
    image = {**stand_in.image("1.8.7"), **changed}
    engine.images = [{key: value for key, value in image.items() if value is not ...}]
    engine.says["GET /images/json"] = engine.images
    assert run(["image", "ls"]) == ExitCode.FAILED
    err = capsys.readouterr().err
    assert is_one_sentence(err)
    assert "Cannot make sense of what the Docker Engine answered while listing images" in err


@pytest.mark.parametrize("said", [{}, {"Arch": None}, {"Arch": 7}])
def test_an_engine_that_does_not_say_for_what_it_runs_programs_is_told(engine: FaultyEngine, said: Any) -> None:
    engine.says["GET /version"] = said
    with pytest.raises(LabctlError, match=r"Cannot make sense of .* while asking which engine it is: .*Arch"):
        images.origin_of_binary(client.connect(), "/bin/sh")


def test_locks_that_anybody_left_are_one_line_for_each_lab_and_what_is_no_answer_none(
    engine: FaultyEngine,
) -> None:
    here = Host("here", LOCAL)
    locks = seat_locks.SeatLocks([here], ["ada"], pause=0.01)
    real = lock_holder.holder("labctl up ada", 900).note
    labels = [{"raft-labctl.lock": "ada", "raft-labctl.holder": f"no note {number}"} for number in range(50)]
    engine.volumes = [{"Name": f"v{at}", "Labels": labels_} for at, labels_ in enumerate(labels)]
    held: list[seat_locks.HeldSeat] = []
    with locks:
        for said in (None, b"<html>", engine):
            engine.says = {} if said is engine else {"GET /volumes": said}
            asked_again(engine)
            held += locks.drain()
        labels[7]["raft-labctl.holder"] = real
        asked_again(engine)
        held += locks.drain()
    assert [image.who for image in held[:1]] == [f"{lock_holder.NOBODY_KNOWN}, and 49 more"]
    assert len(held) == 2
    assert "`labctl up ada`" in held[1].who


def test_a_lock_that_is_seen_before_anything_waits_for_it_is_told_once_something_does(engine: FaultyEngine) -> None:
    note = lock_holder.holder("labctl restart ada", 900).note
    engine.volumes = [{"Name": "v", "Labels": {"raft-labctl.lock": "ada", "raft-labctl.holder": note}}]
    begun: set[str] = set()
    with seat_locks.SeatLocks([Host("here", LOCAL)], ["ada"], pause=0.01) as locks:
        asked_again(engine)
        assert list(locks.drain(begun.__contains__)) == []
        begun.add("ada")
        assert [held.lab for held in locks.drain(begun.__contains__)] == ["ada"]
        assert list(locks.drain(begun.__contains__)) == []
        # Whoever had it has it no more: of that nobody is told.
        engine.volumes = []
        asked_again(engine)
        assert list(locks.drain()) == []


def asked_again(engine: FaultyEngine) -> None:
    """Wait until it was asked from beginning to end."""
    before, ends = len(engine.asked), time.monotonic() + 10
    while len(engine.asked) < before + 3 and time.monotonic() < ends:
        time.sleep(0.01)
    assert time.monotonic() < ends
