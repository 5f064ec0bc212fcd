"""The proof as text and JSON: what crossed is named, every check has its row, and no line is too wide."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from labctl.isolation import json_view, text_view
from labctl.isolation.hardening import CHECKS, Container, judge
from labctl.isolation.outcomes import AttemptResult, JoinResult, Outcome
from labctl.isolation.report import Report
from labctl.terminal.style import width
from tests.unit.isolation import labs
from tests.unit.isolation.test_report import CONTROL, CROSSING, GOOD, JOIN, PLACE


def report(proof: Any = GOOD, *, privileged: bool = False) -> Report:
    servers = labs.lab("a", "10.213.0")
    servers[1]["HostConfig"]["Privileged"] = privileged
    return Report((proof,), tuple(judge("local", "a", [Container(server, labs.INFO) for server in servers])), 12.34)


CROSSED = replace(
    GOOD,
    tries=(
        AttemptResult(CROSSING, Outcome.CONNECTED),
        AttemptResult(replace(CROSSING, kind="engine", lab="", server=""), Outcome.DECOY),
    ),
    joins=(JoinResult(JOIN, Outcome.CONNECTED, "joined"),),
    sockets=(("labctl-a-consul1", "/run/docker.sock"),),
    after=frozenset({("consul1", "10.213.0.2"), ("\x1b[31mevil", "10.9.9.9")}),
)


def shown(made: Report, columns: int = 120, *, each: bool = False) -> list[str]:
    return text_view.text(made, columns, each=each).splitlines()


def test_a_row_for_each_lab_counts_how_its_tries_ended() -> None:
    row = next(line for line in shown(report()) if line.startswith("a "))
    assert row.split() == ["a", "1/1", "0", "0", "2", "0", "0", "apart"]
    assert any(line.startswith("Nothing crossed: 1 connection and 1 join") for line in shown(report()))


def test_whatever_crossed_is_named_and_what_others_wrote_moves_no_cursor() -> None:
    text = "\n".join(shown(report(CROSSED)))
    assert "from a: b consul1 at 10.213.1.2:8300 connected" in text
    assert "from a: `consul join 10.213.1.2` in consul1 joined consul1 of b" in text
    assert "from a: the container labctl-a-consul1 has an engine's socket at /run/docker.sock" in text
    assert r"members changed meanwhile: + \x1b[31mevil 10.9.9.9" in text
    assert "Something crossed, and is named above" in text
    assert "1 connection ended at something on the way" in text
    assert "\x1b" not in text


def test_what_is_not_proven_says_why() -> None:
    text = "\n".join(shown(report(replace(GOOD, controls=(AttemptResult(CONTROL, Outcome.REFUSED),)))))
    assert "a is not proven: the control to its own consul2 (10.213.0.3:8300) failed: refused" in text
    assert "Not all is proven" in text
    assert "Nothing crossed" not in text


def test_each_check_is_a_row_with_its_number_and_a_container_that_differs_is_named() -> None:
    lines = shown(report(privileged=True))
    for number, title, _ in CHECKS:
        assert any(line.startswith(f"{number} ") and title in line for line in lines)
    rows = [line for line in lines if line.startswith("5.5 ")]
    assert len(rows) == 2
    assert sum("fails" in row and "labctl-a-consul2: it may do all" in row for row in rows) == 1
    assert sum("ok" in row and "all others" in row for row in rows) == 1
    assert lines[-1] == "1 of 30 checks of containers fails."


def test_reasons_stand_below_where_there_is_no_room_beside() -> None:
    lines = shown(report(privileged=True), 80)
    at = next(number for number, line in enumerate(lines) if line.startswith("5.5 ") and "fails" in line)
    assert lines[at + 1].strip() == "labctl-a-consul2: it may do all that root may"


def test_labs_of_several_docker_hosts_are_told_apart() -> None:
    there = replace(GOOD, place=replace(PLACE, host="two"))
    lines = shown(replace(report(), proofs=(GOOD, there)))
    assert any(line.startswith("a on local ") for line in lines)
    assert any(line.startswith("a on two ") for line in lines)


def test_each_try_is_a_line_where_that_is_asked_for() -> None:
    lines = shown(report(CROSSED), each=True)
    assert sum("10.213.1.2:8300" in line and line.startswith("a ") for line in lines) == 2
    assert any("consul join b consul1" in line and "connected" in line for line in lines)
    assert not any("consul join b consul1" in line for line in shown(report(CROSSED)))


@pytest.mark.parametrize("columns", [80, 120, 400])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    for made in (report(), report(CROSSED, privileged=True)):
        assert max(width(line) for line in shown(made, columns)) <= min(columns, 120)


def test_the_json_document_has_what_crossed_and_every_try_where_asked_for() -> None:
    document = json_view.verify_document(report(CROSSED), each=False)
    assert json.loads(json.dumps(document)) == document
    assert (document["verdict"], document["seconds"]) == ("crossed", 12.3)
    assert [attempt["outcome"] for attempt in document["tries"]] == ["connected"]
    assert document["tries"][0]["to"] == "b"
    assert document["joins"][0]["joiner"] == "consul1"
    assert document["labs"][0]["sockets"] == [{"container": "labctl-a-consul1", "path": "/run/docker.sock"}]
    every = json_view.verify_document(report(CROSSED), each=True)
    assert [attempt["outcome"] for attempt in every["tries"]] == ["connected", "decoy"]
    assert len(document["hardening"]) == len(CHECKS)
