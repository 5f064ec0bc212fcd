"""Servers and volumes that were removed by hand: labctl reports the damage, and `up` repairs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.fixtures import up
from tests.integration.harness import Person, container, docker, get, left_of, node_ids, put

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def lab(ada: Person, module_names: Callable[[], str]) -> str:
    """A lab of three with data."""
    lab = module_names()
    up(ada, lab)
    put(lab, "kept", "by the others")
    return lab


def test_a_server_that_was_removed_is_named_by_status_and_made_again_by_up(ada: Person, lab: str) -> None:
    up(ada, lab)
    ids = node_ids(ada, lab)
    docker("rm", "-f", container(lab, "consul2"))
    status = ada.run("status", lab)
    assert status.code == 3
    assert "onsul2 is gone" in status.out
    document = ada.run("status", lab, "--json")
    assert document.code == 3
    assert document.json["ready"] is False
    for verb in ("start", "restart"):
        refused = ada.run(verb, lab)
        assert refused.code == 1
        assert "consul2" in refused.sentence()
        assert f"labctl up {lab}" in refused.sentence()
    said = ada.done("up", lab).out
    assert "consul2 is gone: it is made again" in said
    assert node_ids(ada, lab) == ids
    assert get(lab, "consul2", "kept") == "by the others"


def test_a_server_that_was_removed_with_its_data_gets_it_back_from_the_others(ada: Person, lab: str) -> None:
    up(ada, lab)
    addresses = {name: address for name, (_, address) in node_ids(ada, lab).items()}
    docker("rm", "-f", container(lab, "consul3"))
    docker("volume", "rm", container(lab, "consul3"))
    ada.done("up", lab)
    assert {name: address for name, (_, address) in node_ids(ada, lab).items()} == addresses
    assert get(lab, "consul3", "kept") == "by the others"


def test_a_lab_with_lost_parts_is_removed_whole(ada: Person, name: str) -> None:
    ada.done("up", name, "--pace", "real", "--servers", "3", "--no-join")
    docker("rm", "-f", container(name, "consul1"), container(name, "consul3"))
    docker("volume", "rm", container(name, "consul3"))
    ada.done("down", name)
    assert left_of(name) == []
