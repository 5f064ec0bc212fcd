"""Servers that are killed, stopped or frozen: as the others see them, and that only their own fault is undone."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from labctl.raft import log_notes
from labctl.shared.consul_client import ConsulClient
from tests.integration.elections import ELECTION_SECONDS, status_of
from tests.integration.harness import SERIES, container, docker, inspect, wait_until
from tests.integration.server_networks import (
    EVERYBODY,
    NAMES,
    broken,
    helpers,
    is_clean,
    log_of,
    seen_by,
    who_reaches_whom,
)

if TYPE_CHECKING:
    from tests.integration.harness import Person

LEASE_SECONDS = 8


def state(lab: str, server: str) -> str:
    """Docker's word for how a server is."""
    return str(inspect("container", container(lab, server))[0]["State"]["Status"])


def waiting(ada: Person, fault: str) -> bool:
    """Whether a process waits for the end of a fault's lease, or heals it."""
    return any(fault in words for words in ada.processes().values())


@pytest.mark.parametrize(
    ("verb", "down", "back"), [("pause", "paused", "resume"), ("kill", "exited", "start"), ("stop", "exited", "start")]
)
def test_a_follower_that_is_taken_away_is_missed_by_the_others_and_comes_back(
    ada: Person, lab: str, verb: str, down: str, back: str
) -> None:
    fault = broken(ada, lab, verb, "follower")
    (server,) = fault["servers"]
    now = status_of(ada, lab)
    (row,) = [server_ for server_ in now["servers"] if server_["name"] == server]
    assert row["state"] == down
    assert (now["ready"], now["writes"], now["voters"], now["quorum"], now["answering"]) == (False, True, 3, 2, 2)
    assert now["condition"].startswith("Writes go on: 2 of 3 voters are together, and 2 are needed")
    assert (row["voter"], server in row["counted_by"]) == (True, False)
    assert (fault["forecast"]["leader"], fault["forecast"]["writes"]) == ("stays", True)
    assert [(fault_["fault"], fault_["what"]) for fault_ in now["faults"]] == [(fault["fault"], f"{verb} {server}")]
    other = next(name for name in NAMES if name != server)
    # Also one that was stopped: it does not leave its cluster.
    wait_until(lambda: seen_by(lab, other, server) == "failed", ELECTION_SECONDS, f"{other} to miss {server}")
    assert broken(ada, lab, back, "any")["servers"] == [server]
    assert status_of(ada, lab)["faults"] == []
    wait_until(lambda: status_of(ada, lab)["ready"], ELECTION_SECONDS, f"{server} to be back")
    wait_until(lambda: seen_by(lab, other, server) == "alive", ELECTION_SECONDS, f"{other} to see {server}")
    told = ada.done("story", lab, "--json").json["faults"][-1]
    assert (told["what"], told["servers"], told["ended_by"]) == (f"{verb} {server}", [server], "heal")


@pytest.mark.parametrize("verb", ["kill", "stop", "pause"])
def test_a_leader_that_is_taken_away_is_followed_by_another_one(ada: Person, lab: str, verb: str) -> None:
    before = status_of(ada, lab)
    (leader,) = broken(ada, lab, verb, "leader")["servers"]
    assert leader == before["leader"]
    wait_until(lambda: status_of(ada, lab)["leader"] not in {None, leader}, ELECTION_SECONDS, "another leader")
    now = status_of(ada, lab)
    assert now["term"] > before["term"]
    healed = ada.done("fault", "heal", "--all", "--lab", lab, "--json").json
    assert healed["started"] == [leader]
    wait_until(lambda: status_of(ada, lab)["ready"], ELECTION_SECONDS, f"{leader} to follow")
    assert status_of(ada, lab)["term"] >= now["term"]


@pytest.mark.parametrize("verb", ["kill", "pause"])
def test_a_server_that_was_taken_away_for_a_time_comes_back_though_its_terminal_is_gone(
    ada: Person, lab: str, verb: str
) -> None:
    process = ada.start("fault", verb, "consul2", "--lab", lab, "--for", f"{LEASE_SECONDS}s")
    process.communicate()
    assert process.returncode == 0
    # As where a terminal is closed: whatever is left of its group ends.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    assert state(lab, "consul2") != "running"
    wait_until(lambda: state(lab, "consul2") == "running", ELECTION_SECONDS, "consul2 to be back by itself")
    wait_until(lambda: not ada.processes(), ELECTION_SECONDS, "no process to be left")
    wait_until(lambda: status_of(ada, lab)["ready"], ELECTION_SECONDS, f"{lab} to be ready")


@pytest.mark.parametrize(("verb", "back", "down"), [("kill", "start", "exited"), ("pause", "resume", "paused")])
def test_a_lease_that_is_over_does_not_undo_a_later_fault(
    ada: Person, lab: str, verb: str, back: str, down: str
) -> None:
    first = broken(ada, lab, verb, "consul2", "--for", f"{LEASE_SECONDS}s")
    ada.done("fault", back, "consul2", "--lab", lab)
    assert waiting(ada, first["fault"]), "the lease was over before the second fault: this machine is too slow"
    second = broken(ada, lab, verb, "consul2")
    wait_until(lambda: not waiting(ada, first["fault"]), ELECTION_SECONDS, "the first lease to be over")
    assert state(lab, "consul2") == down
    assert broken(ada, lab, "heal", second["fault"])["started"] == ["consul2"]
    assert state(lab, "consul2") == "running"


def test_a_lease_that_is_over_does_not_start_what_was_started_and_killed_without_labctl(ada: Person, lab: str) -> None:
    fault = broken(ada, lab, "kill", "consul2", "--for", f"{LEASE_SECONDS}s")["fault"]
    docker("start", container(lab, "consul2"))
    docker("kill", container(lab, "consul2"))
    assert waiting(ada, fault), "the lease was over before: this machine is too slow"
    wait_until(lambda: not waiting(ada, fault), ELECTION_SECONDS, "the lease to be over")
    assert state(lab, "consul2") == "exited"


@pytest.mark.skipif(SERIES >= (1, 14), reason="hclog 1.2 of Consul 1.14 writes no line ends of others")
def test_a_line_that_somebody_made_consul_log_is_no_fault_and_starts_nothing(ada: Person, lab: str) -> None:
    ours = log_notes.began(datetime.now(UTC), "abcdef", "stop consul2", ["consul2"], None)
    at = next(str(server["http"]) for server in status_of(ada, lab)["servers"] if server["name"] == "consul2")
    api = ConsulClient(int(at.rpartition(":")[2]))
    service = {"Name": "x", "ID": f"x\n{ours}\nx"}
    api.request("PUT", "/v1/agent/service/register", json.dumps(service).encode())
    # Consul before 1.14 writes the line ends of others as they are, so this is a whole line of its log.
    wait_until(lambda: ours in log_of(lab, "consul2"), ELECTION_SECONDS, "consul2 to write the line")
    docker("stop", container(lab, "consul2"))
    assert status_of(ada, lab)["faults"] == []
    refused = ada.run("fault", "heal", "abcdef", "--lab", lab)
    assert (refused.code, refused.sentence().partition(":")[0]) == (1, f"The lab {lab} has no fault abcdef")
    assert state(lab, "consul2") == "exited"


def test_a_frozen_server_that_is_killed_for_a_time_comes_back(ada: Person, lab: str) -> None:
    broken(ada, lab, "pause", "consul2")
    fault = broken(ada, lab, "kill", "consul2", "--for", f"{LEASE_SECONDS}s")["fault"]
    assert state(lab, "consul2") == "exited"
    wait_until(lambda: state(lab, "consul2") == "running", ELECTION_SECONDS, "consul2 to be back by itself")
    wait_until(lambda: not waiting(ada, fault), ELECTION_SECONDS, "the lease to be over")


def test_heal_also_cleans_the_network_of_a_frozen_server(ada: Person, lab: str) -> None:
    broken(ada, lab, "isolate", "consul2", "--for", "120s")
    cut = broken(ada, lab, "isolate", "consul2", "--for", "120s")["fault"]
    broken(ada, lab, "pause", "consul2")
    assert broken(ada, lab, "heal", cut)["healed"] == [cut]
    assert state(lab, "consul2") == "paused"
    assert len(helpers(lab)) == 1
    assert broken(ada, lab, "heal", "--all")["started"] == ["consul2"]
    assert who_reaches_whom(ada, lab) == EVERYBODY
    assert is_clean(lab, "consul2")
    assert helpers(lab) == []


def test_heal_is_safe_to_repeat_and_says_that_there_is_nothing(ada: Person, lab: str) -> None:
    broken(ada, lab, "kill", "consul3")
    ada.done("fault", "heal", "--lab", lab)
    again = ada.done("fault", "heal", "--lab", lab)
    assert f"The lab {lab} has no fault: nothing to heal." in again.out + again.err
    assert broken(ada, lab, "heal") == {"lab": lab, "changed": False, "healed": [], "started": []}


@pytest.mark.alone
def test_each_verb_answers_at_once_also_beside_a_frozen_server(ada: Person, lab: str) -> None:
    broken(ada, lab, "pause", "consul3")
    begun = time.monotonic()
    assert status_of(ada, lab)["ready"] is False
    # A server that Docker knows to be frozen is not waited for.
    assert time.monotonic() - begun < 1.0
