"""Every fault of the network by its effect; that it heals, even if labctl is gone; and that it touches nothing else."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from labctl.engine.kv import Store
from labctl.faults import inject
from labctl.raft.prediction import has_pre_vote
from labctl.shared.consul_client import ConsulClient
from labctl.shared.lab_names import LABEL_LAB
from tests.integration.elections import ELECTION_SECONDS, status_of
from tests.integration.fixtures import up
from tests.integration.harness import VERSION, container, docker, get, inspect, servers, wait_until
from tests.integration.server_networks import (
    EVERYBODY,
    NAMES,
    address,
    broken,
    counted,
    helpers,
    is_clean,
    knock,
    log_of,
    reaches,
    seen_by,
    who_reaches_whom,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.harness import Person

KEY = "who-wrote"


def role(ada: Person, lab: str, server: str) -> str:
    """The role that a server itself reports."""
    return next(str(server_["role"]) for server_ in status_of(ada, lab)["servers"] if server_["name"] == server)


# Consul itself holds a request for up to 7 s where nobody leads just then.
ANSWER_SECONDS = 20


def refusal(lab: str, server: str, value: str) -> str:
    """What Consul says to a write through a server that it does not commit; "" where it does."""
    words = ["docker", "exec", container(lab, server), "consul", "kv", "put", KEY, value]
    asked = subprocess.run(words, capture_output=True, check=False, text=True, timeout=ANSWER_SECONDS)
    return "" if asked.returncode == 0 else asked.stderr.strip() or f"exit code {asked.returncode}"


def must_refuse(lab: str, server: str, value: str) -> None:
    said = refusal(lab, server, value)
    assert "Unexpected response code: 500" in said, said or "it was written"


def must_go_on(lab: str, server: str, value: str) -> None:
    """The side takes a write; on a busy machine two servers may elect again, and then any server refuses."""
    wait_until(lambda: not refusal(lab, server, value), ELECTION_SECONDS, f"a write through {server}")


def test_what_is_noted_never_shares_a_line_with_consul(ada: Person, lab: str) -> None:
    at = next(str(server["http"]) for server in status_of(ada, lab)["servers"] if server["name"] == "consul1")
    port = int(at.rpartition(":")[2])
    over = threading.Event()

    def ask() -> None:
        store = Store(ConsulClient(port), lab, 5.0)
        # Bounded: the engine keeps 64 MB of a server's log, and drops the oldest lines of more.
        for _ in range(60_000):
            if over.is_set():
                break
            store.get(KEY, "stale")
        store.close()

    talker = threading.Thread(target=ask)
    talker.start()
    try:
        many = f"i=0; while [ $i -lt 60000 ]; do {inject.NOTE} || exit 1; i=$((i+1)); done"
        docker("exec", container(lab, "consul1"), "/bin/sh", "-c", many, "PROBE labctl.fault: probe")
    finally:
        over.set()
        talker.join()
    lines = log_of(lab, "consul1")
    noted = [line for line in lines if "PROBE" in line]
    assert len(noted) == 60_000, (len(lines), lines[0])
    assert set(noted) == {"PROBE labctl.fault: probe"}


def another_leads(ada: Person, lab: str, leader: str) -> None:
    wait_until(
        lambda: status_of(ada, lab)["leader"] not in {None, leader}, ELECTION_SECONDS, f"a leader instead of {leader}"
    )


def test_an_isolated_leader_gives_up_and_the_others_elect_a_new_one(ada: Person, lab: str) -> None:
    before = status_of(ada, lab)
    fault = broken(ada, lab, "isolate", "leader", "--for", "120s")
    leader = str(before["leader"])
    assert fault["servers"] == [leader]
    assert fault["forecast"]["leader"] == "lost"
    early = status_of(ada, lab)
    # It may lead still, until its lease is over; but nothing is committed through it.
    assert early["writes"] is not True or early["leader"] != leader
    assert who_reaches_whom(ada, lab) == {pair for pair in EVERYBODY if leader not in pair}
    another_leads(ada, lab, leader)
    wait_until(lambda: role(ada, lab, leader) != "leader", ELECTION_SECONDS, f"{leader} to step down")
    other = next(name for name in NAMES if name != leader)
    wait_until(lambda: seen_by(lab, other, leader) == "failed", ELECTION_SECONDS, f"{other} to miss {leader}")
    must_refuse(lab, leader, "of nobody")
    must_go_on(lab, other, "of the majority")
    now = status_of(ada, lab)
    assert [fault_["fault"] for fault_ in now["faults"]] == [fault["fault"]]
    assert now["term"] > before["term"]
    ada.done("fault", "heal", fault["fault"], "--lab", lab)
    assert who_reaches_whom(ada, lab) == EVERYBODY
    wait_until(lambda: status_of(ada, lab)["ready"], ELECTION_SECONDS, f"{leader} to be back")
    assert get(lab, leader, KEY) == "of the majority"
    story = ada.done("story", lab, "--json").json
    told = next(fault_ for fault_ in story["faults"] if fault_["fault"] == fault["fault"])
    assert (told["what"], told["servers"], told["ended_by"]) == (f"isolate {leader}", [leader], "heal")
    # The one that was cut off comes back with a higher term, and may make the others elect once more.
    assert story["leaders"][-1]["server"] == status_of(ada, lab)["leader"]


def test_a_leader_on_the_smaller_side_leads_nobody_and_the_larger_side_goes_on(ada: Person, lab: str) -> None:
    leader = str(status_of(ada, lab)["leader"])
    others = [name for name in NAMES if name != leader]
    broken(ada, lab, "partition", leader, "/", ",".join(others), "--for", "120s")
    assert who_reaches_whom(ada, lab) == {(others[0], others[1]), (others[1], others[0])}
    another_leads(ada, lab, leader)
    wait_until(lambda: role(ada, lab, leader) != "leader", ELECTION_SECONDS, f"{leader} to step down")
    must_refuse(lab, leader, "of the smaller side")
    must_go_on(lab, others[0], "of the larger side")
    ada.done("fault", "heal", "--lab", lab)
    wait_until(lambda: status_of(ada, lab)["ready"], ELECTION_SECONDS, f"{leader} to be back")
    assert get(lab, leader, KEY) == "of the larger side"


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
    assert [fault_["fault"] for fault_ in ada.done("fault", "ls", lab, "--json").json] == [second["fault"]]


def test_one_way_drops_what_the_first_sends_and_nothing_else(ada: Person, lab: str) -> None:
    first, second = address(ada, lab, "consul1"), address(ada, lab, "consul2")
    broken(ada, lab, "one-way", "consul1", "consul2")
    with ThreadPoolExecutor(4) as pool:
        at_two = pool.submit(counted, lab, "consul2", first, 5)
        at_one = pool.submit(counted, lab, "consul1", second, 5)
        pool.submit(knock, lab, "consul1", second)
        pool.submit(knock, lab, "consul2", first)
    (came, _), (through, _) = at_two.result()
    assert came > 0
    assert through == 0
    (came, _), (through, _) = at_one.result()
    # A packet may come between the reading of the two counters.
    assert came >= through > 0
    assert came - through <= 1


@pytest.mark.parametrize("from_leader", [True, False])
def test_one_way_is_enough_to_make_a_follower_stand_and_the_others_elect_when_it_is_back(
    ada: Person, lab: str, *, from_leader: bool
) -> None:
    before = status_of(ada, lab)
    leader = str(before["leader"])
    follower = next(name for name in NAMES if name != leader)
    pair = (leader, follower) if from_leader else (follower, leader)
    broken(ada, lab, "one-way", *pair, "--for", "120s")
    # A connection needs both ways, so the follower hears nothing of its leader, whichever is gone.
    assert who_reaches_whom(ada, lab) == EVERYBODY - {(leader, follower), (follower, leader)}
    wait_until(lambda: role(ada, lab, follower) == "candidate", ELECTION_SECONDS, f"{follower} to stand")
    # The third server has a leader and does not vote, so all others keep their term.
    assert status_of(ada, lab)["leader"] == leader
    ada.done("fault", "heal", "--lab", lab)
    wait_until(lambda: status_of(ada, lab)["ready"], ELECTION_SECONDS, f"{follower} to be back")
    # Who asks beforehand raises no term, and nobody need give way to it.
    assert (status_of(ada, lab)["term"] > before["term"]) is not has_pre_vote(VERSION)


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


def index(ada: Person, lab: str, server: str) -> int:
    return next(
        int(server_["commit_index"] or 0) for server_ in status_of(ada, lab)["servers"] if server_["name"] == server
    )


def test_a_follower_behind_a_narrow_rate_falls_behind_and_catches_up(ada: Person, lab: str) -> None:
    leader = str(status_of(ada, lab)["leader"])
    follower = next(name for name in NAMES if name != leader)
    fault = broken(ada, lab, "rate", "2", follower, "--for", "120s")
    large = "head -c 300000 /dev/zero | tr '\\0' x | consul kv put large -"
    docker("exec", container(lab, leader), "sh", "-c", large)
    written = index(ada, lab, leader)
    time.sleep(3)
    assert index(ada, lab, follower) < written
    ada.done("fault", "heal", fault["fault"], "--lab", lab)
    own = ("exec", container(lab, follower), "consul", "kv", "get", "-stale", "large")
    wait_until(lambda: len(docker(*own, check=False)) == 300_000, ELECTION_SECONDS, f"{follower} to catch up")


def test_a_server_that_loses_everything_is_missed_by_the_others(ada: Person, lab: str) -> None:
    broken(ada, lab, "loss", "100", "consul3", "--for", "120s")
    assert who_reaches_whom(ada, lab) == {pair for pair in EVERYBODY if "consul3" not in pair}
    wait_until(lambda: seen_by(lab, "consul1", "consul3") == "failed", ELECTION_SECONDS, "consul1 to miss consul3")


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


def rules_of_the_host(*labs: str) -> set[str]:
    """The Docker host's own rules, without those that Docker has for other labs: people start and remove them."""
    own = {network["Id"][:12] for lab in labs for network in inspect("network", *networks(lab))}
    own |= {address for lab in labs for server in servers(lab) for address in addresses(server)}
    lines = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout.splitlines()
    of_labs = re.compile(r"\bbr-|\b\d+\.\d+\.\d+\.\d+/")
    return {
        re.sub(r"\[\d+:\d+\]", "", line)
        for line in lines
        if not line.startswith("#") and (not of_labs.search(line) or any(own_process in line for own_process in own))
    }


def networks(lab: str) -> list[str]:
    return docker("network", "ls", "-q", "--filter", f"label={LABEL_LAB}={lab}").split()


def addresses(server: dict[str, Any]) -> list[str]:
    return [f"{network['IPAddress']}/" for network in server["NetworkSettings"]["Networks"].values()]


def test_another_lab_and_the_docker_host_are_not_touched(
    ada: Person, bob: Person, lab: str, names: Callable[[], str]
) -> None:
    other = names()
    up(bob, other)
    before = rules_of_the_host(lab, other)
    assert any("-j DNAT" in line for line in before)
    broken(ada, lab, "partition", "consul1", "/", "consul2", "/", "consul3")
    assert who_reaches_whom(bob, other) == EVERYBODY
    assert status_of(bob, other)["ready"]
    assert rules_of_the_host(lab, other) == before
    refused = bob.run("fault", "heal", "--lab", lab)
    assert refused.code == 4
    assert who_reaches_whom(ada, lab) == set()


def test_a_fault_of_a_server_that_was_started_again_is_over_and_the_story_says_why(ada: Person, lab: str) -> None:
    fault = broken(ada, lab, "isolate", "consul1", "--for", "120s")["fault"]
    assert [fault_["fault"] for fault_ in status_of(ada, lab)["faults"]] == [fault]
    docker("kill", container(lab, "consul1"))
    docker("start", container(lab, "consul1"))
    assert status_of(ada, lab)["faults"] == []
    assert ada.done("fault", "ls", lab, "--json").json == []
    wait_until(lambda: status_of(ada, lab)["ready"], ELECTION_SECONDS, f"{lab} to be ready")
    told = next(fault_ for fault_ in ada.done("story", lab, "--json").json["faults"] if fault_["fault"] == fault)
    assert (told["ended_by"], told["seconds"] < 60) == ("restart", True)
    refused = ada.run("fault", "heal", fault, "--lab", lab)
    assert (refused.code, refused.sentence().partition(":")[0]) == (1, f"The lab {lab} has no fault {fault}")
    assert helpers(lab) == []


def test_up_leaves_a_fault_alone_that_lasts_and_so_does_the_story(ada: Person, lab: str) -> None:
    fault = broken(ada, lab, "isolate", "consul2", "--for", "120s")["fault"]
    wait_until(lambda: not status_of(ada, lab)["ready"], ELECTION_SECONDS, "consul2 to miss its leader")
    assert ada.run("up", lab, "--pace", "real", "--timeout", "5").code == 3
    assert [fault_["fault"] for fault_ in ada.done("fault", "ls", lab, "--json").json] == [fault]
    assert ("consul1", "consul2") not in who_reaches_whom(ada, lab)
    told = next(fault_ for fault_ in ada.done("story", lab, "--json").json["faults"] if fault_["fault"] == fault)
    assert (told["to"], told["seconds"], told["ended_by"]) == (None, None, None)
    text = " ".join(ada.done("story", lab).out.split())
    assert "consul2 is disturbed on purpose, and still is where the log ends: isolate consul2." in text
