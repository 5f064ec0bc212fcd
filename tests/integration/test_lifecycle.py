"""Stop, start and restart: the same cluster comes back, with its data and addresses."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.integration.fixtures import up
from tests.integration.harness import Person, container, docker, get, left_of, node_ids, put, started

if TYPE_CHECKING:
    from collections.abc import Callable

SERVERS = ("consul1", "consul2", "consul3")
SEED = 457  # consul#457: containers that came back in another order had other addresses, and no leader


@pytest.fixture(scope="module")
def first(ada: Person, module_names: Callable[[], str]) -> tuple[str, dict[str, tuple[str, str]]]:
    """A lab of three with data, and the node IDs and addresses that it must keep."""
    lab = module_names()
    up(ada, lab)
    put(lab, "kept", "through everything")
    return lab, node_ids(ada, lab)


@pytest.fixture
def lab(ada: Person, first: tuple[str, dict[str, tuple[str, str]]]) -> str:
    """The lab, ready; a test that failed before may have left it otherwise."""
    lab, _ = first
    up(ada, lab)
    return lab


@pytest.fixture
def same(ada: Person, first: tuple[str, dict[str, tuple[str, str]]]) -> Callable[[], None]:
    """Fail unless the lab is the same cluster as in the beginning, with its data on every server."""

    def check() -> None:
        lab, ids = first
        status = ada.done("status", lab, "--json").json
        assert status["ready"] is True
        assert {server["name"]: (server["id"], server["address"]) for server in status["servers"]} == ids
        for server in SERVERS:
            assert get(lab, server, "kept") == "through everything"

    return check


def test_one_server_stops_and_starts_while_the_others_go_on(ada: Person, lab: str, same: Callable[[], None]) -> None:
    before = started(lab)
    now = ada.done("status", lab, "--json").json
    # Without their leader, the others would elect one first, and the lab would have no term meanwhile.
    follower = next(server["name"] for server in now["servers"] if server["name"] != now["leader"])
    document = ada.done("stop", lab, "--server", follower, "--json").json
    assert document["changed"] is True
    status = ada.run("status", lab, "--json")
    assert status.code == 3
    states = {server["name"]: server["state"] for server in status.json["servers"]}
    assert states == dict.fromkeys(states, "running") | {follower: "exited"}
    assert status.json["term"] >= now["term"]
    assert ada.done("stop", lab, "--server", follower, "--json").json["changed"] is False
    ada.done("start", lab, "--server", follower)
    after = started(lab)
    assert [name for name in after if after[name] != before[name]] == [container(lab, follower)]
    assert {name: addresses[0] for name, addresses in after.items()} == {
        name: addresses[0] for name, addresses in before.items()
    }
    same()


def test_a_stopped_lab_starts_again_as_the_same_cluster(ada: Person, lab: str, same: Callable[[], None]) -> None:
    ada.done("stop", lab)
    status = ada.run("status", lab, "--json")
    assert status.code == 3
    assert {server["state"] for server in status.json["servers"]} == {"exited"}
    assert len(left_of(lab)) == 8
    (row,) = [row for row in ada.done("ls", "--json").json if row["lab"] == lab]
    assert (row["servers"], row["ready"], row["leader"]) == (3, False, None)
    members = ada.run("members", lab)
    assert members.code == 1
    assert lab in members.sentence()
    ada.done("start", lab)
    same()
    assert ada.done("start", lab, "--json").json["changed"] is False


def test_restart_restarts_every_server_and_the_same_cluster_comes_back(
    ada: Person, lab: str, same: Callable[[], None]
) -> None:
    before = started(lab)
    ada.done("restart", lab)
    after = started(lab)
    assert all(after[name][0] == before[name][0] for name in before)
    assert all(after[name][1] != before[name][1] for name in before)
    same()


def test_servers_that_were_restarted_in_a_random_order_keep_their_addresses(
    ada: Person, lab: str, same: Callable[[], None]
) -> None:
    chance = random.Random(SEED)  # noqa: S311 - repeatable on purpose
    down, back = list(SERVERS), list(SERVERS)
    while down == back:
        chance.shuffle(down)
        chance.shuffle(back)
    for server in down:
        docker("stop", "--time", "10", container(lab, server))
    for server in back:
        docker("start", container(lab, server))
    assert ada.done("up", lab, "--json").json["leader"] in SERVERS
    same()


def test_servers_that_were_killed_come_back_with_up(ada: Person, lab: str, same: Callable[[], None]) -> None:
    docker("kill", *(container(lab, server) for server in SERVERS))
    said = ada.done("up", lab).out
    assert "consul1 has exited: it is started" in said
    same()


def test_stop_of_a_server_that_the_lab_has_not_is_refused(ada: Person, lab: str) -> None:
    before = started(lab)
    for verb in ("stop", "start", "restart"):
        result = ada.run(verb, lab, "--server", "consul7")
        assert result.code == 2
        assert "consul1, consul2, consul3" in result.sentence()
    assert started(lab) == before
