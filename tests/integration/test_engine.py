"""The Docker Engine under a lab is stopped, or dies with its machine: the same cluster comes back with its data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.fixtures import up
from tests.integration.harness import Person, container, docker, left_of, new_name, node_ids
from tests.integration.own_engine import OwnEngine, running_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SERVERS = ("consul1", "consul2", "consul3")


@pytest.fixture(scope="module")
def engine(image: str) -> Iterator[OwnEngine]:
    """An engine that runs and has the image."""
    with running_engine(image) as engine:
        yield engine


@pytest.fixture(scope="module")
def dora(engine: OwnEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """Somebody who uses that engine, where its ports are."""
    person = Person("dora", tmp_path_factory.mktemp("dora"), engine.inside, {"DOCKER_HOST": engine.host})
    yield person
    person.end_processes()


@pytest.fixture(scope="module")
def first(dora: Person) -> tuple[str, dict[str, tuple[str, str]]]:
    """A lab with data, and the node IDs and addresses that it must keep."""
    lab = new_name()
    up(dora, lab)
    dora.done("exec", "--lab", lab, "consul1", "--", "consul", "kv", "put", "kept", "over a restart")
    return lab, node_ids(dora, lab)


@pytest.fixture
def same(dora: Person, engine: OwnEngine, first: tuple[str, dict[str, tuple[str, str]]]) -> Callable[[], None]:
    """Fail unless the lab is the same cluster as in the beginning, with its data on every server."""

    def check() -> None:
        lab, ids = first
        assert dora.done("status", lab, "--json").json["ready"] is True
        assert node_ids(dora, lab) == ids
        for server in SERVERS:
            words = ("exec", container(lab, server), "consul", "kv", "get", "-stale", "kept")
            assert docker(*words, host=engine.host) == "over a restart"

    return check


def test_after_the_engine_was_stopped_the_lab_is_stopped_and_starts_as_the_same_cluster(
    dora: Person, engine: OwnEngine, first: tuple[str, dict[str, tuple[str, str]]], same: Callable[[], None]
) -> None:
    lab, _ = first
    engine.stop()
    for words in (("ls",), ("up", lab), ("down", lab), ("status", lab)):
        result = dora.run(*words)
        assert result.code == 1
        assert engine.host in result.sentence()
        assert "start that one, or correct DOCKER_HOST" in result.sentence()
    engine.start()
    status = dora.run("status", lab, "--json")
    assert status.code == 3
    assert {server["state"] for server in status.json["servers"]} == {"exited"}
    dora.done("start", lab)
    same()


def test_after_the_engine_died_with_its_machine_up_brings_the_same_cluster_back(
    dora: Person, engine: OwnEngine, first: tuple[str, dict[str, tuple[str, str]]], same: Callable[[], None]
) -> None:
    lab, _ = first
    engine.die()
    assert (engine.folder / "docker.pid").exists()
    result = dora.run("up", lab)
    assert result.code == 1
    assert "start that one, or correct DOCKER_HOST" in result.sentence()
    engine.start()
    status = dora.run("status", lab, "--json")
    assert status.code == 3
    assert "running" not in {server["state"] for server in status.json["servers"]}
    said = dora.done("up", lab).out
    assert "it is started" in said
    same()
    dora.done("down", lab)
    assert left_of(lab, engine.host) == []
