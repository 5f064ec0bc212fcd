"""Labs of every size, and labs that get another size or pace while they keep their data."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.integration.fixtures import up
from tests.integration.harness import (
    Person,
    container,
    docker,
    get,
    inspect,
    left_of,
    node_ids,
    put,
    servers,
    started,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("size", [1, 5, 7])
def test_a_lab_of_any_size_becomes_ready_with_all_servers_voting(ada: Person, name: str, size: int) -> None:
    document = ada.done("up", name, "--pace", "real", "--servers", str(size), "--json").json
    assert document["voters"] == size
    status = ada.done("status", name, "--json").json
    assert status["ready"] is True
    assert [server["name"] for server in status["servers"]] == [f"consul{number + 1}" for number in range(size)]
    assert all(server["voter"] for server in status["servers"])
    assert sum(server["role"] == "leader" for server in status["servers"]) == 1
    removed = ada.done("down", name, "--json").json
    assert removed["changed"] is True
    assert len(removed["removed"]) == 2 * size + 2
    assert left_of(name) == []
    assert not (ada.state / "labs" / name).exists()


@pytest.fixture
def lab(ada: Person, names: Callable[[], str]) -> str:
    """A lab of three with something to lose."""
    lab = names()
    up(ada, lab)
    put(lab, "kept", "before")
    return lab


def test_a_lab_grows_to_five_and_shrinks_to_three_and_keeps_its_data(ada: Person, lab: str) -> None:
    before = node_ids(ada, lab)
    said = ada.done("up", lab, "--servers", "5").out
    assert "consul4, consul5 join" in said.splitlines()[0]
    grown = ada.done("status", lab, "--json").json
    assert grown["ready"] is True
    assert len(grown["servers"]) == 5
    assert all(server["voter"] for server in grown["servers"])
    assert get(lab, "consul5", "kept") == "before"

    said = ada.done("up", lab, "--servers", "3").out
    assert "consul4, consul5 leave" in said.splitlines()[0]
    shrunk = ada.done("status", lab, "--json").json
    assert shrunk["ready"] is True
    assert node_ids(ada, lab) == before
    assert get(lab, "consul3", "kept") == "before"
    peers = ada.done("exec", "--lab", lab, "consul1", "--", "consul", "operator", "raft", "list-peers").out
    assert len(peers.splitlines()[1:]) == 3
    assert [thing for thing in left_of(lab) if thing.endswith(("consul4", "consul5"))] == []


def test_a_lab_whose_server_does_not_answer_keeps_the_others_and_its_data(ada: Person, lab: str) -> None:
    before, volumes = started(lab), left_of(lab)
    docker("pause", container(lab, "consul1"))
    try:
        refused = ada.run("up", lab, "--servers", "1")
        assert refused.code == 4
        assert "and consul1 is paused: `labctl start" in refused.sentence()
        assert (started(lab), left_of(lab)) == (before, volumes)
    finally:
        docker("unpause", container(lab, "consul1"))
    # Stopped as a process and not as a container: Docker says that it runs, and it says nothing.
    (stuck,) = [server["State"]["Pid"] for server in servers(lab) if server["Name"].endswith("consul1")]
    os.kill(stuck, signal.SIGSTOP)
    try:
        refused = ada.run("up", lab, "--servers", "1")
        assert refused.code == 4
        assert "because consul1 does not say who is in its cluster (timed out)" in refused.sentence()
        assert (started(lab), left_of(lab)) == (before, volumes)
    finally:
        os.kill(stuck, signal.SIGCONT)
    ada.done("up", lab)
    assert get(lab, "consul3", "kept") == "before"
    ada.done("up", lab, "--servers", "1")
    assert get(lab, "consul1", "kept") == "before"
    assert [thing for thing in left_of(lab) if thing.endswith(("consul2", "consul3"))] == []


def test_another_pace_is_announced_and_keeps_servers_and_data(ada: Person, lab: str) -> None:
    before = node_ids(ada, lab)
    said = ada.done("up", lab, "--pace", "teach").out
    assert "pace real becomes teach" in said.splitlines()[0]
    assert {server["Config"]["Labels"]["raft-labctl.pace"] for server in servers(lab)} == {"teach"}
    for server in servers(lab):
        (now,) = inspect("container", server["Id"])
        assert "raft_multiplier" not in " ".join(now["Args"]) or "raft_multiplier = 1" not in " ".join(now["Args"])
    assert node_ids(ada, lab) == before
    assert get(lab, "consul2", "kept") == "before"
    assert ada.done("up", lab, "--json").json["changed"] is False
