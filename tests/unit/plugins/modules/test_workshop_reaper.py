"""The module workshop_reaper: one container that waits for a workshop's end, and no other."""

from __future__ import annotations

import json
import urllib.parse
from types import SimpleNamespace
from typing import Any

import pytest

from plugins.module_utils.shared import docker_api, lab_names
from plugins.modules import workshop_reaper

WORDS: dict[str, Any] = {"workshop": "raft101", "owner": "ada", "end": 1795539600, "image": "i", "script": "s"}


class FakeEngine:
    """Containers that are made, started and removed, in order."""

    def __init__(self) -> None:
        self.there: dict[str, dict[str, Any]] = {}
        self.done: list[str] = []

    def containers(self, filters: dict[str, str], *, doing: str) -> list[dict[str, Any]]:
        assert doing
        assert filters == {"label": "raft-labctl.reaper=raft101"}
        return list(self.there.values())

    def create(self, body: dict[str, Any], *, doing: str, name: str = "") -> str:
        assert doing
        assert name not in self.there, "Conflict. The container name is already in use"
        self.there[name] = {"Id": name, "Config": {"Labels": body["Labels"]}, "State": {"Running": False}, "body": body}
        self.done.append(f"create {name}")
        return name

    def change(self, verb: str, containers: list[str], *, doing: str) -> None:
        assert doing
        for container in containers:
            self.there[container]["State"]["Running"] = True
            self.done.append(f"{verb} {container}")

    def remove(self, kind: str, things: list[str], *, doing: str) -> None:
        assert doing
        assert kind == "container"
        for thing in things:
            del self.there[thing]
            self.done.append(f"remove {thing}")


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


def answer(engine: Any, check: bool = False, **different: Any) -> dict[str, Any]:
    result: dict[str, Any] = workshop_reaper.answer(WORDS | different, check_mode=check, engine=engine)
    return result


def test_an_end_is_a_container_that_has_the_socket_and_nothing_else(engine: FakeEngine) -> None:
    assert answer(engine)["changed"]
    (made,) = engine.there.values()
    assert made["State"]["Running"]
    assert made["Config"]["Labels"] == {
        "raft-labctl.reaper": "raft101",
        "raft-labctl.owner": "ada",
        "raft-labctl.expires": lab_names.stamp(WORDS["end"]),
        "raft-labctl.removes": "owned",
    }
    host = made["body"]["HostConfig"]
    assert (host["NetworkMode"], host["CapDrop"], host["ReadonlyRootfs"]) == ("none", ["ALL"], True)
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert [mount["Target"] for mount in host["Mounts"]] == ["/run/docker.sock"]
    assert "Ports" not in json.dumps(made["body"])


def test_the_same_end_again_changes_nothing(engine: FakeEngine) -> None:
    answer(engine)
    engine.done.clear()
    assert answer(engine)["changed"] is False
    assert engine.done == []


def test_another_end_is_there_before_the_old_one_goes(engine: FakeEngine) -> None:
    answer(engine)
    engine.done.clear()
    answer(engine, end=WORDS["end"] + 60)
    assert [line.split()[0] for line in engine.done] == ["create", "start", "remove"]
    assert len(engine.there) == 1


def test_one_that_stopped_is_made_again(engine: FakeEngine) -> None:
    answer(engine)
    for container in engine.there.values():
        container["State"]["Running"] = False
    assert answer(engine)["changed"]
    assert [container["State"]["Running"] for container in engine.there.values()] == [True]


def test_never_removes_it(engine: FakeEngine) -> None:
    answer(engine)
    assert answer(engine, end=0, image="", script="")["changed"]
    assert engine.there == {}
    assert answer(engine, end=0)["changed"] is False


def test_check_mode_says_and_does_nothing(engine: FakeEngine) -> None:
    assert answer(engine, check=True)["changed"]
    assert engine.done == []


def ends(engine: FakeEngine) -> dict[str, str]:
    """Whose ends there are, and when they are."""
    labels = [container["Config"]["Labels"] for container in engine.there.values()]
    return {label["raft-labctl.owner"]: label["raft-labctl.expires"] for label in labels}


def test_two_owners_have_ends_of_their_own_and_neither_touches_the_others(engine: FakeEngine) -> None:
    answer(engine)
    assert answer(engine, owner="bob")["changed"]
    assert len(engine.there) == 2
    answer(engine, owner="bob", end=WORDS["end"] + 60)
    assert ends(engine) == {"ada": lab_names.stamp(WORDS["end"]), "bob": lab_names.stamp(WORDS["end"] + 60)}
    answer(engine, owner="bob", end=0)
    assert set(ends(engine)) == {"ada"}
    assert answer(engine)["changed"] is False


def test_no_end_removes_what_an_engine_lists_besides_it(engine: FakeEngine) -> None:
    answer(engine)
    engine.there["consul1"] = {
        "Id": "consul1", "Config": {"Labels": {"raft-labctl.owner": "ada"}}, "State": {"Running": True}
    }  # fmt: skip
    answer(engine, end=0)
    assert list(engine.there) == ["consul1"]


def old_end(engine: FakeEngine) -> None:
    """An end of ada's as an older labctl wrote it down: it removes the labs of any owner."""
    answer(engine)
    ((name, container),) = engine.there.items()
    del container["Config"]["Labels"]["raft-labctl.removes"]
    engine.there = {name.rpartition("-")[0]: container | {"Id": name.rpartition("-")[0]}}


def test_an_end_that_would_remove_others_labs_too_is_refused_to_others_and_made_anew_for_its_owner(
    engine: FakeEngine,
) -> None:
    old_end(engine)
    with pytest.raises(docker_api.DockerError, match="belongs to ada, not to bob") as caught:
        answer(engine, owner="bob")
    assert caught.value.failure == "refused"
    assert answer(engine, owner="bob", end=0)["changed"] is False
    assert len(engine.there) == 1
    assert answer(engine)["changed"]
    assert [container["Config"]["Labels"].get("raft-labctl.removes") for container in engine.there.values()] == [
        "owned"
    ]
    assert answer(engine, owner="bob")["changed"]


@pytest.mark.parametrize(
    ("owner", "word", "answered"),
    [
        ("ada", "ada", "ada"),
        ("a da", "a%20da", "a da"),
        ('a"b\\', "a%5C%22b%5C%5C", 'a\\"b\\\\'),
        ("host$pc&x=1", "host%24pc%26x%3D1", r"host$pc\u0026x=1"),
        ("é<>", "%5Cu00e9%3C%3E", r"é\u003c\u003e"),
    ],
)
def test_the_owner_reaches_the_script_as_a_part_of_a_question_and_of_an_answer(
    engine: FakeEngine, owner: str, word: str, answered: str
) -> None:
    answer(engine, owner=owner)
    (made,) = engine.there.values()
    assert made["body"]["Cmd"] == ["raft101", str(WORDS["end"]), word, answered]
    assert json.loads(f'"{answered}"') == owner
    assert json.loads(f'"{urllib.parse.unquote(word)}"') == owner


def test_of_two_commands_that_write_the_same_end_down_neither_fails(engine: FakeEngine) -> None:
    create = engine.create

    def second(body: dict[str, Any], *, doing: str, name: str = "") -> str:
        create(body, doing=doing, name=name)
        raise docker_api.DockerError("no", said="Conflict. The container name is already in use")

    engine.create = second  # type: ignore[method-assign]
    assert answer(engine)["changed"]
    assert [container["State"]["Running"] for container in engine.there.values()] == [True]


def failing(*_: object, **__: object) -> str:
    raise docker_api.DockerError("no", said="Conflict. The container name is already in use")


def test_a_name_that_somebody_elses_container_has_is_told(engine: FakeEngine) -> None:
    engine.create = failing  # type: ignore[method-assign]
    with pytest.raises(docker_api.DockerError):
        answer(engine)
    assert engine.done == []


def test_one_that_removes_itself_meanwhile_is_removed(engine: FakeEngine) -> None:
    answer(engine)
    remove = engine.remove

    def late(kind: str, things: list[str], *, doing: str) -> None:
        remove(kind, things, doing=doing)
        raise docker_api.DockerError("no", said="removal of container x is already in progress")

    engine.remove = late  # type: ignore[method-assign]
    assert answer(engine, end=0)["changed"]
    assert engine.there == {}


@pytest.mark.parametrize("different", [{"workshop": "a b"}, {"image": ""}, {"script": ""}])
def test_what_cannot_be_is_wrong_usage(engine: FakeEngine, different: dict[str, Any]) -> None:
    with pytest.raises(docker_api.DockerError) as caught:
        answer(engine, **different)
    assert caught.value.failure == "usage"
    assert engine.done == []


@pytest.mark.parametrize(("gid", "user"), [(994, "8500:994"), (0, "0:0")])
def test_it_is_root_only_where_the_socket_is_roots(gid: int, user: str) -> None:
    status: Any = SimpleNamespace(st_gid=gid)
    assert workshop_reaper.user_of("/var/run/docker.sock", lambda _: status) == user


@pytest.mark.parametrize("expires", ["2026-13-45T99:99:99Z", "soon", "9" * 10_000])
def test_a_container_that_waits_for_no_moment_is_not_ours_and_is_told(engine: FakeEngine, expires: str) -> None:
    labels = {"raft-labctl.reaper": "raft101", "raft-labctl.owner": "ada", "raft-labctl.expires": expires}
    odd = {"Id": "odd", "Name": "/odd", "Config": {"Labels": labels}, "State": {"Running": True}}
    engine.there["odd"] = odd
    result = answer(engine)
    assert result["changed"] is True
    assert "odd" in engine.there
    assert "The container odd has the label raft-labctl.expires with" in result["warnings"][0]


@pytest.mark.parametrize("end", [-1, 253402300800, 10**18, 10**30])
def test_an_end_that_no_calendar_has_is_refused_before_anything_is_made(engine: FakeEngine, end: int) -> None:
    with pytest.raises(docker_api.DockerError, match="Cannot end the workshop raft101 at") as refused:
        answer(engine, end=end)
    assert refused.value.failure == "usage"
    assert engine.done == []
