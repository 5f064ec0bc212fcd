"""Ctrl-C and SIGKILL in the middle of up and down, at three moments each; `make soak` tries many more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.integration.elections import status_of
from tests.integration.harness import VERSION, container, docker, get, put, servers, started, wait_until
from tests.integration.kills import UP, how_long, interrupt, kill, moments, must_come_up, must_go_down

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.harness import Person

SEED = 2015
COUNT = 3
SERVERS = 3
JOIN_SECONDS = 60


@pytest.fixture(scope="module")
def seconds(ada: Person, module_names: Callable[[], str]) -> tuple[float, float]:
    """How long `up` and `down` take here and now."""
    lab = module_names()
    return how_long(ada, "up", lab, *UP), how_long(ada, "down", lab)


@pytest.mark.alone
def test_ctrl_c_during_up_ends_at_once_with_one_sentence_and_no_orphan(
    ada: Person, names: Callable[[], str], seconds: tuple[float, float]
) -> None:
    lab = names()
    for moment in moments(SEED, COUNT, seconds[0]):
        assert interrupt(ada, lab, moment)
    must_come_up(ada, lab, "after Ctrl-C")
    must_go_down(ada, lab, "after Ctrl-C")


def test_after_up_was_killed_the_next_up_is_ready_and_the_next_down_leaves_nothing(
    ada: Person, names: Callable[[], str], seconds: tuple[float, float]
) -> None:
    lab = names()
    for moment in moments(SEED + 1, COUNT, seconds[0]):
        what = kill(ada, "up", lab, moment)
        if moment.number % 2:
            must_come_up(ada, lab, what)
        must_go_down(ada, lab, what)


def test_after_down_was_killed_the_next_down_leaves_nothing_and_the_next_up_is_ready(
    ada: Person, names: Callable[[], str], seconds: tuple[float, float]
) -> None:
    lab = names()
    for moment in moments(SEED + 2, COUNT, seconds[1]):
        must_come_up(ada, lab, f"before {moment}")
        what = kill(ada, "down", lab, moment)
        if moment.number % 2:
            must_come_up(ada, lab, what)
        must_go_down(ada, lab, what)


def test_nobody_goes_on_waiting_for_a_lab_that_is_removed(ada: Person, names: Callable[[], str]) -> None:
    lab = names()
    process = ada.start("up", lab, "--pace", "teach", "--consul-version", VERSION)
    wait_until(lambda: members_of(lab) == SERVERS, JOIN_SECONDS, "the servers know each other")
    # labctl alone: Ansible goes on, and waits for an election that takes its time at this pace.
    process.kill()
    process.communicate(timeout=60)
    assert ada.processes()
    must_go_down(ada, lab, "killed while it waited for a leader")


def members_of(lab: str) -> int:
    """How many members the first server knows; 0 while it does not run."""
    first = next((server for server in servers(lab) if server["Name"].endswith("consul1")), None)
    if first is None or not first["State"]["Running"]:
        return 0
    return docker("exec", first["Id"], "consul", "members", check=False).count(" alive ")


def test_containers_under_names_of_compose_that_a_killed_change_left_are_put_right(
    ada: Person, names: Callable[[], str]
) -> None:
    lab = names()
    must_come_up(ada, lab, "first")
    put(lab, "kept", "data")
    image = docker("inspect", "--format", "{{.Image}}", container(lab, "consul3"))
    # As Compose leaves them: two that had replaced their servers, and one whose server was there still.
    for number, server in enumerate(("consul1", "consul2")):
        docker("stop", "--time", "1", container(lab, server))
        docker("rename", container(lab, server), f"{number:012x}_{container(lab, server)}")
    labels = json.loads(docker("inspect", "--format", "{{json .Config.Labels}}", container(lab, "consul3")))
    words = [word for label in labels.items() for word in ("--label", "=".join(label))]
    docker("create", "--name", f"abcdefabcdef_{container(lab, 'consul3')}", *words, image)
    assert len(servers(lab)) == 4
    assert [server["name"] for server in status_of(ada, lab)["servers"]] == ["consul1", "consul2", "consul3"]
    said = ada.done("up", lab, *UP).out
    assert said.count("is left of a change that was killed: it is repaired") == 3
    assert sorted(started(lab)) == [container(lab, server) for server in ("consul1", "consul2", "consul3")]
    assert get(lab, "consul3", "kept") == "data"
    assert "nothing to do" in ada.done("up", lab, *UP).out
    must_go_down(ada, lab, "at the end")
