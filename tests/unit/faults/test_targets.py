"""Which servers a fault is for, and what remains of the cluster."""

from __future__ import annotations

import pytest

from labctl.errors import ExitCode, LabctlError
from labctl.faults.targets import Cluster, preview, resolve, sides

THREE = ("consul1", "consul2", "consul3")
FIVE = (*THREE, "consul4", "consul5")


def cluster(
    servers: tuple[str, ...] = THREE, leader: str = "consul2", running: tuple[str, ...] | None = None
) -> Cluster:
    return Cluster("ada", servers, servers if running is None else running, leader)


@pytest.mark.parametrize(
    ("target", "servers", "names"),
    [
        ("leader", THREE, ["consul2"]),
        ("follower", THREE, ["consul1"]),
        ("any", THREE, ["consul1"]),
        ("majority", THREE, ["consul1", "consul3"]),
        ("minority", THREE, ["consul1"]),
        ("majority", FIVE, ["consul1", "consul3", "consul4"]),
        ("minority", FIVE, ["consul1", "consul3"]),
        ("consul3", THREE, ["consul3"]),
        ("consul3, consul1", THREE, ["consul3", "consul1"]),
    ],
)
def test_a_target_is_servers_or_a_role_and_followers_go_first(
    target: str, servers: tuple[str, ...], names: list[str]
) -> None:
    assert resolve(target, cluster(servers), choose=lambda some: some[0]) == names


@pytest.mark.parametrize(
    ("target", "lab", "words"),
    [
        ("consul9", cluster(), "no server or role 'consul9'"),
        ("", cluster(), "no server or role ''"),
        ("consul1,consul1", cluster(), "consul1 is named twice"),
        ("leader", cluster(leader=""), "has no leader now"),
        ("follower", cluster(leader=""), "has no leader now"),
        ("follower", cluster(running=("consul2",)), "has no follower that runs"),
        ("any", cluster(running=()), "No server of the lab ada runs"),
        ("minority", cluster(("consul1",), "consul1"), "a minority of one is nobody"),
    ],
)
def test_a_target_that_means_nobody_is_one_sentence(target: str, lab: Cluster, words: str) -> None:
    with pytest.raises(LabctlError, match=words) as caught:
        resolve(target, lab)
    assert caught.value.code in {ExitCode.USAGE, ExitCode.FAILED}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["consul1,consul2", "/", "consul3"], [["consul1", "consul2"], ["consul3"]]),
        (["consul1", "consul2/consul3"], [["consul1", "consul2"], ["consul3"]]),
        (["consul1/consul2/consul3"], [["consul1"], ["consul2"], ["consul3"]]),
    ],
)
def test_sides_are_written_with_a_slash_between(words: list[str], expected: list[list[str]]) -> None:
    assert sides(words, cluster()) == expected


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["consul1,consul2,consul3"], "two sides or more"),
        (["consul1", "/", ""], "two sides or more"),
        (["consul1,consul2", "/", "consul2,consul3"], "consul2 is on two sides"),
        (["consul1", "/", "consul3"], "consul2 is on no side"),
        (["consul1,consul2", "/", "consul7"], "no server or role 'consul7'"),
    ],
)
def test_sides_that_do_not_fit_are_one_sentence(words: list[str], sentence: str) -> None:
    with pytest.raises(LabctlError, match=sentence) as caught:
        sides(words, cluster())
    assert caught.value.code is ExitCode.USAGE


@pytest.mark.parametrize(
    ("reachable", "said"),
    [
        ([["consul1", "consul2"], ["consul3"]], "2 of 3 remain together: writes go on"),
        ([["consul1", "consul3"], ["consul2"]], "2 of 3 remain together: they elect a new leader, and writes go on"),
        ([["consul1"], ["consul2"], ["consul3"]], "1 of 3 remains, and 2 are needed: no leader, no writes"),
        ([], "0 of 3 remain, and 2 are needed: no leader, no writes"),
    ],
)
def test_what_remains_is_said_beforehand(reachable: list[list[str]], said: str) -> None:
    assert preview(reachable, cluster()) == said
