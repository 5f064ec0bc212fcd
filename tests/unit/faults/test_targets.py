"""Which servers a fault is for, and what remains of the cluster."""

from __future__ import annotations

import pytest

from labctl.errors import ExitCode, LabctlError
from labctl.faults.targets import Cluster, resolve, sides

THREE = ("consul1", "consul2", "consul3")
FIVE = (*THREE, "consul4", "consul5")


def cluster(
    servers: tuple[str, ...] = THREE, leader: str = "consul2", running: tuple[str, ...] | None = None
) -> Cluster:
    return Cluster("ada", servers, servers if running is None else running, leader, len(servers))


def of_five(leader: str = "consul2", voteless: frozenset[str] = frozenset()) -> Cluster:
    """A lab of five servers of which two containers are gone."""
    return Cluster("ada", THREE, THREE, leader, 5, ("consul4", "consul5"), voteless)


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
    ("target", "lab", "words", "code"),
    [
        ("consul9", cluster(), "no server or role 'consul9'", ExitCode.USAGE),
        ("follower,leader", cluster(), "follower is a role, and a role stands alone", ExitCode.USAGE),
        ("", cluster(), "no server or role ''", ExitCode.USAGE),
        ("consul1,consul1", cluster(), "consul1 is named twice", ExitCode.USAGE),
        ("consul4", of_five(), "consul4 of the lab ada is gone: `labctl up ada` makes it again", ExitCode.FAILED),
        ("leader", cluster(leader=""), "has no leader now", ExitCode.FAILED),
        ("follower", cluster(leader=""), "has no leader now", ExitCode.FAILED),
        ("follower", cluster(running=("consul2",)), "has no follower that runs", ExitCode.FAILED),
        ("any", cluster(running=()), "No server of the lab ada runs", ExitCode.FAILED),
        ("minority", cluster(("consul1",), "consul1"), "a one-server lab has no minority", ExitCode.USAGE),
    ],
)
def test_a_target_that_means_nobody_is_one_sentence(target: str, lab: Cluster, words: str, code: ExitCode) -> None:
    with pytest.raises(LabctlError, match=words) as caught:
        resolve(target, lab)
    assert caught.value.code is code


@pytest.mark.parametrize(
    ("role", "names"), [("majority", ["consul1", "consul3", "consul2"]), ("minority", ["consul1", "consul3"])]
)
def test_a_majority_is_one_of_all_that_vote_also_of_those_that_are_gone(role: str, names: list[str]) -> None:
    assert resolve(role, of_five()) == names


def test_who_has_no_vote_is_in_no_majority() -> None:
    lab = Cluster("ada", FIVE, FIVE, "consul2", 3, (), frozenset({"consul1", "consul3"}))
    assert resolve("majority", lab) == ["consul4", "consul5"]


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
        (["consul1", "/", "consul3"], "consul2 is missing from the partition"),
        (["consul1,consul2", "/", "consul7"], "no server or role 'consul7'"),
    ],
)
def test_sides_that_do_not_fit_are_one_sentence(words: list[str], sentence: str) -> None:
    with pytest.raises(LabctlError, match=sentence) as caught:
        sides(words, cluster())
    assert caught.value.code is ExitCode.USAGE


def test_a_server_that_is_gone_need_not_be_on_a_side_and_cannot() -> None:
    assert sides(["consul1", "/", "consul2,consul3"], of_five()) == [["consul1"], ["consul2", "consul3"]]
    with pytest.raises(LabctlError, match="consul5 of the lab ada is gone"):
        sides(["consul1,consul5", "/", "consul2,consul3"], of_five())
