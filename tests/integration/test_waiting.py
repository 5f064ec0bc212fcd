"""The original lesson: servers that wait for each other until somebody joins them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.harness import VERSION, Person, container, docker, left_of, started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module")
def lab(ada: Person, module_names: Callable[[], str]) -> str:
    """A lab that nobody has joined."""
    lab = module_names()
    document = ada.done("up", lab, "--pace", "real", "--consul-version", VERSION, "--no-join", "--json").json
    assert document["changed"] is True
    assert document["leader"] is None
    assert [server["name"] for server in document["servers"]] == ["consul1", "consul2", "consul3"]
    return lab


@pytest.fixture
def paused(lab: str) -> Iterator[list[str]]:
    """Two of the three servers, paused."""
    two = [container(lab, "consul2"), container(lab, "consul3")]
    docker("pause", *two)
    yield two
    docker("unpause", *two, check=False)


def test_a_lab_that_was_never_joined_waits_and_says_how_to_join_it(ada: Person, lab: str) -> None:
    status = ada.run("status", lab)
    assert status.code == 3
    assert "not ready" in status.out
    assert "labctl join" in status.out
    document = ada.run("status", lab, "--json")
    assert document.code == 3
    assert document.json["ready"] is False
    assert document.json["leader"] is None
    assert {server["state"] for server in document.json["servers"]} == {"running"}
    (row,) = [row for row in ada.done("ls", "--json").json if row["lab"] == lab]
    assert row["ready"] is False
    assert row["leader"] is None


def test_a_lab_that_was_never_joined_can_be_stopped_and_started_and_still_waits(ada: Person, lab: str) -> None:
    before = started(lab)
    ada.done("stop", lab)
    stopped = ada.run("status", lab, "--json")
    assert stopped.code == 3
    assert {server["state"] for server in stopped.json["servers"]} == {"exited"}
    ada.done("start", lab)
    assert {key: value[0] for key, value in started(lab).items()} == {key: value[0] for key, value in before.items()}
    assert ada.run("status", lab).code == 3
    again = ada.done("up", lab, "--no-join", "--json").json
    assert again["changed"] is False
    assert again["leader"] is None


def test_a_join_that_is_not_ready_in_time_tells_each_servers_view_and_the_likely_cause(
    ada: Person, lab: str, paused: list[str]
) -> None:
    assert len(paused) == 2
    # Time for Ansible to begin on a busy machine; then the servers are asked.
    result = ada.run("join", lab, "--timeout", "10")
    assert result.code == 3
    sentence = result.sentence()
    assert lab in sentence
    assert "10 seconds" in sentence
    assert all(server in sentence for server in ("consul1", "consul2", "consul3"))
    assert "Likely cause: 1 of 3 servers answer and a quorum needs 2" in sentence
    assert result.seconds < 10 + 10
    as_json = ada.run("join", lab, "--timeout", "1", "--json")
    assert (as_json.code, as_json.out) == (3, "")
    assert '"code": 3' in as_json.err


def test_join_makes_the_waiting_servers_a_cluster_and_a_second_join_changes_nothing(ada: Person, lab: str) -> None:
    first = ada.done("join", lab, "--json").json
    assert first["changed"] is True
    assert first["voters"] == 3
    assert first["leader"] in {"consul1", "consul2", "consul3"}
    assert ada.done("status", lab, "--json").json["leader"] == first["leader"]
    before = started(lab)
    second = ada.done("join", lab, "--json").json
    assert second["changed"] is False
    assert (second["leader"], second["term"]) == (first["leader"], first["term"])
    assert "nothing to do" in ada.done("join", lab).out
    assert started(lab) == before


def test_a_lab_that_was_never_joined_can_be_removed(ada: Person, name: str) -> None:
    ada.done("up", name, "--pace", "real", "--servers", "3", "--no-join")
    ada.done("down", name)
    assert left_of(name) == []
