"""Impossible faults get one sentence, and leave nothing: no helper, no rule, no line in a log, no other state."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.elections import status_of
from tests.integration.harness import SERIES
from tests.integration.server_networks import broken, traces
from tests.integration.strict_engine import StrictEngine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.harness import Person


# The words behind `labctl fault`, the exit code, and a part of the sentence.
BAD_INPUT: list[tuple[str, int, str]] = [
    ("isolate consul9", 2, "no server or role 'consul9'"),
    ("kill boss", 2, "no server or role 'boss'"),
    ("pause consul1,consul1", 2, "consul1 is named twice"),
    ("partition consul1,consul2 / consul2,consul3", 2, "consul2 is on two sides"),
    ("partition consul1 / consul3", 2, "consul2 is missing from the partition"),
    ("partition consul1,consul2,consul3", 2, "two sides or more"),
    ("partition consul1,consul2 / consul9", 2, "no server or role 'consul9'"),
    ("loss 101 consul1", 2, "101 percent cannot be lost: say 0.1 to 100"),
    ("loss 0 consul1", 2, "0 percent"),
    ("loss 0.05 consul1", 2, "0.05 percent"),
    ("loss nan consul1", 2, "nan percent"),
    ("loss inf consul1", 2, "inf percent"),
    ("loss -3 consul1", 2, "No such option '-3'"),
    ("loss much consul1", 2, "'much' is no number. It comes first"),
    ("rate 0 consul1", 2, "say 1 to 1000000"),
    ("rate 99999999999999 consul1", 2, "say 1 to 1000000"),
    ("isolate consul1 --for -5s", 2, "at least a second and at most a day: -5 seconds is not that"),
    ("isolate consul1 --for 0s", 2, "0 seconds is not that"),
    ("isolate consul1 --for 10ms", 2, "0.01 seconds is not that"),
    ("isolate consul1 --for 25h", 2, "90000 seconds is not that"),
    ("isolate consul1 --for nan", 2, "'nan' is no time"),
    ("isolate consul1 --for inf", 2, "'inf' is no time"),
    ("isolate consul1 --for soon", 2, "'soon' is no time"),
    ("kill consul1 --for -5s", 2, "-5 seconds is not that"),
    ("pause consul1 --for nan", 2, "'nan' is no time"),
    ("start consul1 --for 5s", 2, "No such option '--for'"),
    ("one-way consul1 consul1", 2, "cannot be cut off from itself"),
    ("resume consul1", 1, "cannot be resumed: it is running"),
    ("start any", 1, "can be started: none is down"),
    ("delay 0 consul1", 2, "Invalid delay"),
    ("delay -1 consul1", 2, "No such option '-1'"),
    ("delay 10 consul1 --jitter 11", 2, "Invalid delay"),
    *([("transfer-leader", 4, "came with Consul 1.15")] if SERIES < (1, 15) else []),
    ("heal zz", 2, "There is no fault 'zz'"),
    ("heal abcdef", 1, "has no fault abcdef"),
    ("heal abcdef --all", 2, "abcdef is one fault and --all means all"),
]


@pytest.fixture
def strict() -> Iterator[StrictEngine]:
    # A socket's path may have 107 bytes; a test's own folder is too deep.
    with tempfile.TemporaryDirectory(prefix="labctl-") as folder:
        engine = StrictEngine(Path(folder) / "sock")
        yield engine
        engine.close()


def test_bad_input_is_one_sentence_and_nothing_happens(ada: Person, lab: str) -> None:
    before = traces(lab)
    for words, code, sentence in BAD_INPUT:
        result = ada.run("fault", *words.split(), "--lab", lab)
        assert (result.code, sentence in result.sentence()) == (code, True), f"{words}: {result}"
    assert traces(lab) == before


@pytest.mark.parametrize(("verb", "state"), [("kill", "exited"), ("pause", "paused")])
def test_a_fault_on_a_server_that_does_not_run_is_refused_and_nothing_is_half_done(
    ada: Person, lab: str, verb: str, state: str
) -> None:
    broken(ada, lab, verb, "consul3")
    before = traces(lab, of_network=("consul1", "consul2"))
    for words in (
        "isolate consul3",
        "partition consul1 / consul2,consul3",
        "one-way consul1 consul3",
        "loss 5 consul3",
    ):
        result = ada.run("fault", *words.split(), "--lab", lab)
        assert (result.code, f"consul3 cannot be changed: it is {state}" in result.sentence()) == (1, True), words
    for words in ("pause consul2,consul3", "start consul2,consul3"):
        result = ada.run("fault", *words.split(), "--lab", lab)
        assert (result.code, "cannot be" in result.sentence()) == (1, True), words
    assert traces(lab, of_network=("consul1", "consul2")) == before


def test_without_the_right_to_add_rules_it_is_one_sentence_and_nothing_is_half_done(
    ada: Person, lab: str, strict: StrictEngine
) -> None:
    before = traces(lab)
    for words in ("isolate leader", "partition consul1 / consul2,consul3", "delay 50 consul1"):
        result = ada.run("fault", *words.split(), "--lab", lab, DOCKER_HOST=strict.host)
        assert result.code == 1
        assert "took no rule" in result.sentence()
        assert "only kill, stop and pause are left" in result.sentence()
    assert traces(lab) == before
    assert strict.asked >= 5
    assert status_of(ada, lab)["ready"]


def test_without_the_right_to_look_at_rules_servers_come_back_and_no_network_is_called_clean(
    ada: Person, lab: str, strict: StrictEngine
) -> None:
    broken(ada, lab, "kill", "consul3")
    result = ada.run("fault", "heal", "--lab", lab, DOCKER_HOST=strict.host)
    assert result.code == 1
    assert "not permitted" in result.sentence()
    assert "running" in traces(lab)["consul3"][0]


def test_dry_run_says_what_would_happen_and_does_nothing(ada: Person, lab: str) -> None:
    before = traces(lab)
    result = ada.done("fault", "kill", "majority", "--dry-run", "--lab", lab)
    assert "1 of 3 remains, and 2 are needed: no leader, no writes" in result.out
    for words in (
        ("isolate", "leader"),
        ("loss", "30"),
        ("rate", "8"),
        ("delay", "20"),
        ("pause", "any", "--for", "5s"),
    ):
        ada.done("fault", *words, "--dry-run", "--lab", lab)
    assert traces(lab) == before
    assert status_of(ada, lab)["ready"]
    assert json.loads(ada.done("fault", "ls", lab, "--json").out) == []
