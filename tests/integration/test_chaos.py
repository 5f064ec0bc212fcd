"""`labctl chaos` on a real lab: it breaks it, heals it, and says whether a promise was broken, also when one was."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from labctl.errors import ExitCode
from tests.integration.elections import ELECTION_SECONDS, status_of
from tests.integration.harness import container, docker, wait_until
from tests.integration.server_networks import NAMES, helpers, is_clean

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.harness import Person

PREFIX = "raft-labctl/chaos/"
SHORT = ("--for", "12s", "--seed", "4")


def keys(lab: str) -> list[str]:
    """The keys that runs have left in a lab, or have there now."""
    words = ["exec", container(lab, "consul2"), "consul", "kv", "get", "-keys", "-separator=", PREFIX]
    return docker(*words, check=False).split()


def unwrapped(report: Path) -> str:
    """The text of a report, whatever its lines are."""
    return " ".join(report.read_text(encoding="utf-8").split())


def is_whole(ada: Person, lab: str) -> bool:
    """Whether nothing is broken any more: every server runs, every network is clean, no helper is left."""
    states = {server["state"] for server in status_of(ada, lab)["servers"]}
    return states == {"running"} and all(is_clean(lab, name) for name in NAMES) and not helpers(lab)


def check(report: dict[str, Any], name: str) -> dict[str, Any]:
    check_: dict[str, Any] = next(check for check in report["checks"] if check["check"] == name)
    return check_


def test_a_run_breaks_heals_and_finds_every_promise_kept(ada: Person, lab: str, tmp_path: Path) -> None:
    history = tmp_path / "history.jsonl"
    mix = "kill,pause,isolate,partition,one-way,loss,rate"
    report = ada.done("chaos", lab, *SHORT, "--mix", mix, "--history", str(history), "--json").json
    assert report["verdict"] == "valid", report["checks"]
    assert {check["verdict"] for check in report["checks"]} == {"valid"}
    happened = [fault for fault in report["faults"] if not fault["skipped"]]
    assert happened
    assert report["requests"]["answered"] > 300
    assert len(history.read_text(encoding="utf-8").splitlines()) == report["requests"]["asked"]
    # The schedule begins after two quiet seconds: until then everybody is served.
    assert report["timeline"][0]["availability"] > 0.9
    assert [server["server"] for server in report["timeline"][0]["servers"]] == list(NAMES)
    assert report["leaders"][0]["begin"] == 0.0
    assert is_whole(ada, lab)
    assert keys(lab) == []
    told = {fault["fault"] for fault in ada.done("story", lab, "--json").json["faults"]}
    assert {fault["fault"] for fault in happened} <= told


def test_the_same_seed_plans_the_same_and_planning_changes_nothing(ada: Person, lab: str) -> None:
    first, again = (ada.done("chaos", lab, *SHORT, "--dry-run", "--json").json for _ in range(2))
    assert first == again
    assert first["schedule"]
    assert (helpers(lab), keys(lab)) == ([], [])


def test_a_write_that_is_removed_behind_its_back_is_found_out(ada: Person, lab: str, tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    process = ada.start("chaos", lab, *SHORT, "--mix", "loss", "--json", into=out)
    # A key of the set is written once and acknowledged soon after.
    wait_until(lambda: any(key.endswith("/set/adder1:2") for key in keys(lab)), 20, "the first writes")
    key = next(key_ for key_ in keys(lab) if key_.endswith("/set/adder1:2"))
    time.sleep(0.5)
    docker("exec", container(lab, "consul2"), "consul", "kv", "delete", key)
    _, err = process.communicate(timeout=120)
    assert process.returncode == ExitCode.FAILED, err
    report = json.loads(out.read_text(encoding="utf-8"))
    assert report["verdict"] == "invalid"
    set_check = check(report, "set")
    assert (set_check["verdict"], set_check["violations"]) == ("invalid", 1)
    assert [operation["key"] for operation in set_check["history"]] == ["set/adder1:2"]
    assert [operation["outcome"] for operation in set_check["history"]] == ["done"]
    assert check(report, "cas")["verdict"] == "valid"
    assert keys(lab) == []


def test_a_register_that_is_written_behind_its_back_is_found_out(ada: Person, lab: str, tmp_path: Path) -> None:
    out = tmp_path / "report.txt"
    process = ada.start("chaos", lab, *SHORT, "--mix", "pause", into=out)
    wait_until(lambda: any(key.endswith("register/b") for key in keys(lab)), 20, "the registers")
    key = next(key_ for key_ in keys(lab) if key_.endswith("register/b"))
    docker("exec", container(lab, "consul2"), "consul", "kv", "put", key, "mine")
    process.communicate(timeout=120)
    assert process.returncode == ExitCode.FAILED
    text = unwrapped(out)
    assert "register/b had the value 'mine', which no client wrote" in text
    assert " invalid: Consul, or somebody behind its back, broke a promise" in text


def test_ctrl_c_ends_the_breaking_and_the_lab_is_healed_and_checked(ada: Person, lab: str, tmp_path: Path) -> None:
    out = tmp_path / "report.txt"
    process = ada.start("chaos", lab, "--for", "10m", "--mix", "pause,kill", into=out)
    wait_until(
        lambda: {server["state"] for server in status_of(ada, lab)["servers"]} != {"running"}, 60, "something to break"
    )
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == ExitCode.INTERRUPTED, err
    text = unwrapped(out)
    assert "Interrupted: only a part of the schedule was done." in text
    assert "valid: Consul kept every promise" in text
    assert is_whole(ada, lab)
    assert keys(lab) == []


def test_what_a_killed_run_leaves_is_mended_by_heal_and_the_next_run(ada: Person, lab: str) -> None:
    process = ada.start("chaos", lab, "--for", "10m", "--mix", "pause,kill,loss")
    wait_until(
        lambda: {server["state"] for server in status_of(ada, lab)["servers"]} != {"running"}, 60, "something to break"
    )
    process.send_signal(signal.SIGKILL)
    process.communicate()
    ada.done("fault", "heal", "--lab", lab)
    wait_until(lambda: status_of(ada, lab)["ready"], ELECTION_SECONDS, f"{lab} to be ready")
    assert is_whole(ada, lab)
    assert keys(lab)
    assert ada.done("chaos", lab, "--for", "10s", "--mix", "loss", "--json").json["verdict"] == "valid"
    assert keys(lab) == []


def test_the_page_is_written_and_the_verdict_said(ada: Person, lab: str, tmp_path: Path) -> None:
    page = tmp_path / "chaos.html"
    result = ada.done("chaos", lab, "--for", "10s", "--mix", "rate", "--format", "html", "-o", str(page))
    assert result.out.splitlines()[-1].startswith("valid: ")
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--for", "5s"), ExitCode.USAGE, "too short"),
        (("--for", "-5s"), ExitCode.USAGE, "too short"),
        (("--for", "2h"), ExitCode.USAGE, "too long"),
        (("--for", "soon"), ExitCode.USAGE, "is no time"),
        (("--mix", "burn"), ExitCode.USAGE, "'burn' is nothing to break"),
        (("--mix", ","), ExitCode.USAGE, "The mix is empty"),
        (("--seed", "-1"), ExitCode.USAGE, "--seed"),
        (("-o", "no/such/report.html"), ExitCode.USAGE, "there is no such folder"),
        (("--history", "/"), ExitCode.USAGE, "is a directory"),
    ],
)
def test_bad_input_is_one_sentence(ada: Person, lab: str, words: tuple[str, ...], code: int, says: str) -> None:
    result = ada.run("chaos", lab, *words)
    assert result.code == code
    assert says in result.sentence()
    assert (helpers(lab), keys(lab)) == ([], [])


def test_a_lab_that_is_not_ready_or_somebody_elses_is_left_alone(ada: Person, bob: Person, lab: str) -> None:
    foreign = bob.run("chaos", lab)
    assert foreign.code == ExitCode.REFUSED
    assert ada.owner in foreign.sentence()
    ada.done("fault", "pause", "consul3", "--lab", lab)
    result = ada.run("chaos", lab)
    assert result.code == ExitCode.NOT_READY
    assert "consul3" in result.sentence()
    assert keys(lab) == []
