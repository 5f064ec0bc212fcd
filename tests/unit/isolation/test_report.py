"""The verdict: a crossing counts whatever else is unproven, and without a control nothing is proven."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labctl.isolation.attempts import Attempt, Join
from labctl.isolation.outcomes import AttemptResult, JoinResult, Outcome
from labctl.isolation.report import Proof, Verdict, worst
from labctl.isolation.targets import place_of
from tests.unit.isolation.labs import lab

PLACE = place_of("a", "local", lab("a", "10.213.0"))
CONTROL = Attempt("control", "local", "a", "consul2", "10.213.0.3", 8300)
CROSSING = Attempt("server", "local", "b", "consul1", "10.213.1.2", 8300)
JOIN = Join("consul1", "local", "b", "consul1", "10.213.1.2")
MEMBERS = frozenset({("consul1", "10.213.0.2")})
GOOD = Proof(
    PLACE,
    controls=(AttemptResult(CONTROL, Outcome.CONNECTED),),
    tries=(AttemptResult(CROSSING, Outcome.NO_ANSWER),),
    joins=(JoinResult(JOIN, Outcome.NO_ANSWER),),
    before=MEMBERS,
    after=MEMBERS,
)


def test_a_lab_is_apart_where_no_try_and_every_control_connects() -> None:
    assert GOOD.verdict is Verdict.APART
    assert GOOD.count() == {Outcome.NO_ANSWER: 2}


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.CONNECTED])
def test_a_control_that_does_not_connect_proves_nothing(outcome: Outcome) -> None:
    proof = replace(GOOD, controls=(AttemptResult(CONTROL, outcome),))
    assert proof.verdict is Verdict.UNKNOWN
    assert proof.unproven == [f"the control to its own consul2 (10.213.0.3:8300) failed: {outcome}"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"controls": ()}, "no server of it runs"),
        (
            {"tries": (AttemptResult(CROSSING, Outcome.UNKNOWN),)},
            "1 of the connections proved nothing, such as the one to 10.213.1.2:8300",
        ),
        ({"joins": (JoinResult(JOIN, Outcome.UNKNOWN, "killed"),)}, "the join of consul1 to b proved nothing: killed"),
        ({"after": None}, "did not say who is a member"),
        ({"place": replace(PLACE, down=("consul3",))}, "consul3 does not run"),
        ({"doubts": ("it burns",)}, "it burns"),
    ],
)
def test_what_was_not_seen_is_unknown_and_says_why(changed: dict[str, object], reason: str) -> None:
    proof = replace(GOOD, **changed)  # type: ignore[arg-type]
    assert proof.verdict is Verdict.UNKNOWN
    assert any(reason in sentence for sentence in proof.unproven)


@pytest.mark.parametrize(
    "changed",
    [
        {"tries": (AttemptResult(CROSSING, Outcome.CONNECTED),)},
        {"joins": (JoinResult(JOIN, Outcome.CONNECTED),)},
        {"sockets": (("labctl-a-consul1", "/var/run/docker.sock"),)},
        {"after": MEMBERS | {("consul1", "10.213.1.2")}},
        {"after": frozenset({("consul9", "10.213.0.2")})},
    ],
)
def test_what_crossed_is_crossed_whatever_is_unproven_besides(changed: dict[str, object]) -> None:
    proof = replace(GOOD, controls=(AttemptResult(CONTROL, Outcome.REFUSED),), **changed)  # type: ignore[arg-type]
    assert proof.verdict is Verdict.CROSSED


def test_members_that_came_and_went_are_named() -> None:
    proof = replace(GOOD, after=frozenset({("consul9", "10.213.0.9")}))
    assert proof.strangers == ["+ consul9 10.213.0.9", "- consul1 10.213.0.2"]


def test_the_worst_verdict_counts_and_none_is_no_proof() -> None:
    assert worst([Verdict.APART, Verdict.CROSSED, Verdict.UNKNOWN]) is Verdict.CROSSED
    assert worst([Verdict.UNKNOWN, Verdict.APART]) is Verdict.UNKNOWN
    assert worst([]) is Verdict.UNKNOWN
