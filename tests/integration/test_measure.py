"""Failovers measured on real servers: the numbers make sense, and the lab is as it was, however it ended."""

from __future__ import annotations

import json
import signal
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest

from labctl.raft.prediction import has_pre_vote
from tests.integration.elections import ELECTION_SECONDS, status_of, story_of
from tests.integration.fixtures import up
from tests.integration.harness import VERSION, Person, container, docker, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.alone

HEARTBEAT = 1.0
# A leader is heard all 50 to 100 ms; on a busy machine an answer may be late.
SLACK = 0.15
PHASES = ["detection", "election", "leaderless", "first_write"]


@pytest.fixture(scope="module")
def lab(ada: Person, module_names: Callable[[], str]) -> str:
    """A lab that every test leaves as it found it."""
    name = module_names()
    up(ada, name)
    return name


def keys(lab: str) -> str:
    """The remaining keys of the run."""
    return docker("exec", container(lab, "consul1"), "consul", "kv", "get", "-keys", "-recurse", "raft-labctl/")


def must_be_as_it_was(ada: Person, lab: str) -> None:
    wait_until(lambda: status_of(ada, lab)["ready"], ELECTION_SECONDS, f"{lab} to be ready")
    assert [server["state"] for server in status_of(ada, lab)["servers"]] == ["running"] * 3
    assert keys(lab) == ""


def must_make_sense(ada: Person, lab: str, document: dict[str, Any], by: str, times: int) -> None:
    assert (document["lab"], document["servers"], document["by"], document["times"]) == (lab, 3, by, times)
    assert [phase["phase"] for phase in document["phases"]] == PHASES
    assert len(document["rounds"]) == times
    before: dict[str, Any] | None = None
    for round_ in document["rounds"]:
        assert round_["old_leader"] != round_["new_leader"], round_
        assert round_["detected_by"] != round_["old_leader"] != round_["through"], round_
        assert round_["detection"] + round_["uncertain"] > HEARTBEAT - SLACK, round_
        if not has_pre_vote(VERSION):
            # Whom the first candidate asks has heard from the leader just now: an election timer has to run out, too.
            assert round_["election"] > HEARTBEAT - SLACK, round_
            assert round_["lost_terms"] >= 1, round_
            assert len(round_["stood"]) >= 2, round_
        assert round_["leaderless"] == pytest.approx(round_["detection"] + round_["election"], abs=0.001), round_
        assert round_["first_write"] > round_["leaderless"] - SLACK, round_
        assert 0 <= round_["uncertain"] < 5, round_
        assert round_["stood"][-1] == round_["term"] or round_["term"] in round_["stood"], round_
        if before is not None:
            assert round_["old_leader"] == before["new_leader"], (before, round_)
            assert round_["term"] > before["term"], (before, round_)
        before = round_
    story = story_of(ada, lab)
    led = [(leader["server"], leader["term"]) for leader in story["leaders"]]
    assert [(round_["new_leader"], round_["term"]) for round_ in document["rounds"]] == led[-times:]
    struck = [fault["what"] for fault in story["faults"]][-times:]
    assert struck == [f"{by} {round_['old_leader']}" for round_ in document["rounds"]]


@pytest.mark.parametrize(("by", "times"), [("kill", 3), ("pause", 2)])
def test_failovers_are_measured_and_the_lab_is_as_it_was(ada: Person, lab: str, by: str, times: int) -> None:
    result = ada.done("measure", "failover", lab, "--by", by, "--times", str(times), "--json")
    must_make_sense(ada, lab, result.json, by, times)
    assert result.err == ""
    must_be_as_it_was(ada, lab)


def test_a_picture_goes_into_a_file_and_what_happens_to_the_terminal(ada: Person, lab: str, tmp_path: Path) -> None:
    path = tmp_path / "failover.svg"
    words = ("measure", "failover", lab, "--times", "1", "--format", "svg", "-o", str(path))
    assert "1 of 1: " in ada.done(*words).out
    root = ET.fromstring(path.read_text(encoding="utf-8"))  # noqa: S314 - labctl's own
    assert root.tag.endswith("svg")
    must_be_as_it_was(ada, lab)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_shows_what_it_has_and_brings_the_leader_back(
    ada: Person, lab: str, tmp_path: Path, number: signal.Signals
) -> None:
    into = tmp_path / "out"
    process = ada.start("measure", "failover", lab, "--times", "9", "--by", "pause", into=into)
    wait_until(lambda: "1 of 9: " in into.read_text(encoding="utf-8"), ELECTION_SECONDS, "the first failover")
    wait_until(lambda: down(ada, lab), ELECTION_SECONDS, "the second leader to be paused")
    process.send_signal(number)
    _, err = process.communicate(timeout=ELECTION_SECONDS)
    assert (process.returncode, err) == (130, "Interrupted.\n")
    shown = into.read_text(encoding="utf-8")
    assert f"The leader of the lab {lab} was paused 1 of 9 times" in shown
    assert "detection" in shown
    assert down(ada, lab) == []
    must_be_as_it_was(ada, lab)


def down(ada: Person, lab: str) -> list[str]:
    """The servers that do not run."""
    return [server["name"] for server in status_of(ada, lab)["servers"] if server["state"] != "running"]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--times", "0"), 2, "0 failovers cannot be measured: say 1 to 500"),
        (("--times", "501"), 2, "501 failovers cannot be measured"),
        (("--by", "magic"), 2, "'magic' is not one of 'kill', 'pause'"),
        (("-o", "no/such/folder.svg"), 2, "there is no such folder"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_happens(
    ada: Person, lab: str, words: tuple[str, ...], code: int, sentence: str
) -> None:
    term = status_of(ada, lab)["term"]
    result = ada.run("measure", "failover", lab, *words)
    assert (result.code, sentence in result.sentence()) == (code, True), result
    assert status_of(ada, lab)["term"] == term


def test_a_lab_that_is_not_ready_is_refused_and_left_alone(ada: Person, bob: Person, lab: str) -> None:
    assert bob.run("measure", "failover", lab).code == 4
    ada.done("fault", "kill", "follower", "--lab", lab)
    result = ada.run("measure", "failover", lab, "--json")
    assert result.code == 3
    assert result.out == ""
    said = json.loads(result.err)
    assert said["code"] == 3
    assert "is not ready because" in said["error"]
    assert "labctl fault heal" in said["error"]
    ada.done("fault", "heal", "--lab", lab)
    must_be_as_it_was(ada, lab)


def test_a_lab_with_one_server_is_refused(ada: Person, name: str) -> None:
    up(ada, name, "--servers", "1")
    result = ada.run("measure", "failover", name)
    assert (result.code, "nobody can follow its leader" in result.sentence()) == (4, True)
    assert status_of(ada, name)["ready"]
