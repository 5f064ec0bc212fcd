"""Every fault by its effect, seen from inside; that it heals, whoever is gone; and that it touches nobody else."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.disturbed import (
    EVERYBODY,
    NAMES,
    address,
    counted,
    helpers,
    is_clean,
    knock,
    reaches,
    who_reaches_whom,
)
from tests.integration.elections import ELECTION_SECONDS, status_of
from tests.integration.fixtures import up
from tests.integration.harness import Person, docker, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module")
def lab(ada: Person, module_names: Callable[[], str]) -> str:
    """A lab that every test leaves as it found it."""
    name = module_names()
    up(ada, name)
    return name


@pytest.fixture(autouse=True)
def healed(ada: Person, lab: str) -> Iterator[None]:
    """Begin with a lab that is ready, and leave no fault."""
    wait_until(lambda: status_of(ada, lab)["ready"], ELECTION_SECONDS, f"{lab} to be ready")
    yield
    ada.done("fault", "heal", "--lab", lab)


def broken(ada: Person, lab: str, *words: str) -> dict[str, Any]:
    result: dict[str, Any] = ada.done("fault", *words, "--lab", lab, "--json").json
    return result


def test_an_isolated_leader_gives_up_and_the_others_elect_a_new_one(ada: Person, lab: str) -> None:
    before = status_of(ada, lab)
    fault = broken(ada, lab, "isolate", "leader", "--for", "60s")
    leader = str(before["leader"])
    assert fault["servers"] == [leader]
    assert who_reaches_whom(ada, lab) == {pair for pair in EVERYBODY if leader not in pair}
    wait_until(
        lambda: status_of(ada, lab)["leader"] not in {None, leader}, ELECTION_SECONDS, f"a leader instead of {leader}"
    )
    now = status_of(ada, lab)
    assert [one["fault"] for one in now["faults"]] == [fault["fault"]]
    assert now["term"] > before["term"]
    ada.done("fault", "heal", fault["fault"], "--lab", lab)
    assert who_reaches_whom(ada, lab) == EVERYBODY
    wait_until(lambda: status_of(ada, lab)["ready"], ELECTION_SECONDS, f"{leader} to be back")
    story = ada.done("story", lab, "--json").json
    told = next(one for one in story["faults"] if one["fault"] == fault["fault"])
    assert (told["what"], told["servers"], told["ended_by"]) == (f"isolate {leader}", [leader], "heal")
    assert story["leaders"][-1]["server"] == now["leader"]


def test_a_partition_has_sides_and_no_leader_without_a_majority(ada: Person, lab: str) -> None:
    broken(ada, lab, "partition", "consul1", "/", "consul2", "/", "consul3")
    assert who_reaches_whom(ada, lab) == set()
    wait_until(lambda: status_of(ada, lab)["leader"] is None, ELECTION_SECONDS, "everybody to be without a leader")
    ada.done("fault", "heal", "--lab", lab)
    assert who_reaches_whom(ada, lab) == EVERYBODY


def test_faults_compose_and_heal_one_by_one(ada: Person, lab: str) -> None:
    first = broken(ada, lab, "partition", "consul1,consul2", "/", "consul3")
    second = broken(ada, lab, "isolate", "consul1")
    assert who_reaches_whom(ada, lab) == set()
    ada.done("fault", "heal", first["fault"], "--lab", lab)
    assert who_reaches_whom(ada, lab) == {("consul2", "consul3"), ("consul3", "consul2")}
    assert [one["fault"] for one in ada.done("fault", "ls", lab, "--json").json] == [second["fault"]]


def test_one_way_drops_what_the_first_sends_and_nothing_else(ada: Person, lab: str) -> None:
    one, two = address(ada, lab, "consul1"), address(ada, lab, "consul2")
    broken(ada, lab, "one-way", "consul1", "consul2")
    with ThreadPoolExecutor(4) as pool:
        at_two = pool.submit(counted, lab, "consul2", one, 5)
        at_one = pool.submit(counted, lab, "consul1", two, 5)
        pool.submit(knock, lab, "consul1", two)
        pool.submit(knock, lab, "consul2", one)
    (came, _), (through, _) = at_two.result()
    assert came > 0
    assert through == 0
    (came, _), (through, _) = at_one.result()
    # A packet may come between the reading of the two counters.
    assert came >= through > 0
    assert came - through <= 1


def test_loss_drops_about_as_many_as_it_says(ada: Person, lab: str) -> None:
    broken(ada, lab, "loss", "50", "consul2")
    with ThreadPoolExecutor(2) as pool:
        at_two = pool.submit(counted, lab, "consul2", address(ada, lab, "consul1"), 6)
        pool.submit(knock, lab, "consul1", address(ada, lab, "consul2"))
    (came, _), (through, _) = at_two.result()
    assert came > 20
    assert 0.1 < through / came < 0.9


def test_rate_lets_only_so_much_through(ada: Person, lab: str) -> None:
    broken(ada, lab, "rate", "8", "consul2")
    with ThreadPoolExecutor(2) as pool:
        at_two = pool.submit(counted, lab, "consul2", address(ada, lab, "consul1"), 6)
        pool.submit(knock, lab, "consul1", address(ada, lab, "consul2"))
    (came, size), (through, left) = at_two.result()
    assert 0 < through < came
    # What a second allows may be used up at once, at the beginning too.
    assert left < min(size, 2 * 7 * 8 * 1024)


@pytest.mark.parametrize(
    ("verb", "state", "back"), [("pause", "paused", "resume"), ("kill", "exited", "start"), ("stop", "exited", "start")]
)
def test_processes_are_stopped_and_come_back(ada: Person, lab: str, verb: str, state: str, back: str) -> None:
    (server,) = broken(ada, lab, verb, "follower")["servers"]
    (row,) = [one for one in status_of(ada, lab)["servers"] if one["name"] == server]
    assert row["state"] == state
    assert broken(ada, lab, back, "any")["servers"] == [server]
    wait_until(lambda: status_of(ada, lab)["ready"], ELECTION_SECONDS, f"{server} to be back")
    told = ada.done("story", lab, "--json").json["faults"]
    assert told[-1]["what"] == f"{verb} {server}"


def test_a_process_that_was_taken_away_for_a_time_comes_back_by_itself(ada: Person, lab: str) -> None:
    (server,) = broken(ada, lab, "kill", "follower", "--for", "6s")["servers"]
    assert not status_of(ada, lab)["ready"]
    wait_until(lambda: status_of(ada, lab)["ready"], ELECTION_SECONDS, f"{server} to be back by itself")


def test_a_fault_ends_by_itself_and_leaves_nothing(ada: Person, lab: str) -> None:
    broken(ada, lab, "isolate", "consul2", "--for", "10s")
    assert not reaches(ada, lab, "consul1", "consul2")
    wait_until(lambda: not helpers(lab), 40, "the helper to be gone")
    assert who_reaches_whom(ada, lab) == EVERYBODY
    assert is_clean(lab, "consul2")


def test_a_fault_ends_though_its_helper_was_killed(ada: Person, lab: str) -> None:
    broken(ada, lab, "isolate", "consul2", "--for", "10s")
    docker("kill", *helpers(lab))
    assert not reaches(ada, lab, "consul1", "consul2")
    wait_until(lambda: reaches(ada, lab, "consul1", "consul2"), 40, "the kernel to forget the fault")
    assert who_reaches_whom(ada, lab) == EVERYBODY
    ada.done("fault", "heal", "--lab", lab)
    assert is_clean(lab, "consul2")


@pytest.mark.parametrize("seconds", [0.12, 0.2, 0.28, 0.36])
def test_labctl_killed_while_it_breaks_something_leaves_nothing_that_heal_does_not_mend(
    ada: Person, lab: str, seconds: float
) -> None:
    process = ada.start("fault", "partition", "consul1", "/", "consul2,consul3", "--lab", lab, "--for", "30s")
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    ada.done("fault", "heal", "--lab", lab)
    assert who_reaches_whom(ada, lab) == EVERYBODY
    assert all(is_clean(lab, server) for server in NAMES)
    assert helpers(lab) == []


def test_another_lab_and_the_docker_host_are_not_touched(
    ada: Person, bob: Person, lab: str, names: Callable[[], str]
) -> None:
    other = names()
    up(bob, other)
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=False).stdout
    before = re.sub(r"\[\d+:\d+\]|#.*", "", rules)
    broken(ada, lab, "partition", "consul1", "/", "consul2", "/", "consul3")
    assert who_reaches_whom(bob, other) == EVERYBODY
    assert status_of(bob, other)["ready"]
    now = subprocess.run(["iptables-save"], capture_output=True, text=True, check=False).stdout
    assert re.sub(r"\[\d+:\d+\]|#.*", "", now) == before
    refused = bob.run("fault", "heal", "--lab", lab)
    assert refused.code == 4
    assert who_reaches_whom(ada, lab) == set()


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("isolate", "consul9"), 2, "no server or role 'consul9'"),
        (("partition", "consul1,consul2", "/", "consul2,consul3"), 2, "consul2 is on two sides"),
        (("partition", "consul1", "/", "consul3"), 2, "consul2 is on no side"),
        (("loss", "101", "consul1"), 2, "101 percent"),
        (("isolate", "consul1", "--for", "-5s"), 2, "-5 seconds"),
        (("one-way", "consul1", "consul1"), 2, "cannot be cut off from itself"),
        (("resume", "consul1"), 1, "cannot be resumed: it is running"),
        (("delay", "0", "consul1"), 2, "is no delay"),
        (("delay", "10", "consul1", "--jitter", "11"), 2, "is no delay"),
        (("transfer-leader",), 4, "came with Consul 1.15"),
        (("heal", "zz"), 2, "name of no fault"),
        (("heal", "abcdef"), 1, "has no fault abcdef"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_happens(
    ada: Person, lab: str, words: tuple[str, ...], code: int, sentence: str
) -> None:
    result = ada.run("fault", *words, "--lab", lab)
    assert (result.code, sentence in result.sentence()) == (code, True), result
    assert helpers(lab) == []
    assert who_reaches_whom(ada, lab) == EVERYBODY


def test_the_network_of_a_server_that_is_down_is_refused_and_nothing_is_half_done(ada: Person, lab: str) -> None:
    broken(ada, lab, "kill", "consul3")
    result = ada.run("fault", "partition", "consul1", "/", "consul2,consul3", "--lab", lab)
    assert result.code == 1
    assert "consul3 cannot be changed: it is exited" in result.sentence()
    assert helpers(lab) == []
    assert all(is_clean(lab, server) for server in ("consul1", "consul2"))


def test_dry_run_says_what_would_happen_and_does_nothing(ada: Person, lab: str) -> None:
    result = ada.done("fault", "kill", "majority", "--dry-run", "--lab", lab)
    assert "1 of 3 remains, and 2 are needed: no leader, no writes" in result.out
    assert status_of(ada, lab)["ready"]
    assert json.loads(ada.done("fault", "ls", lab, "--json").out) == []
