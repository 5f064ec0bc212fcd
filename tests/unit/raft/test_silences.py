"""Servers that fell silent while others missed them, and those that say that they end."""

from __future__ import annotations

import pytest

from labctl.raft import log_notes
from labctl.raft.event_sentences import phrase
from labctl.raft.summary_sentences import of_leadership
from tests.unit.raft.lines import BEGIN, FOLLOWS, LEADS, MET, MISSED, OUT_OF_REACH, STARTS, told


def fault(seconds: float) -> str:
    """What labctl writes into the log of a server that it cuts off."""
    return log_notes.began(BEGIN, "ab", "isolate consul2", ["consul2"], seconds).partition(" ")[2]


def silences(*lines: tuple[float, str, str]) -> list[tuple[str, str | None]]:
    return [(event.server, phrase(event)) for event in told(*lines).events if event.event == "silence"]


INFERRED = "had been silent for at least {}: stopped, frozen or cut off (inferred)"


def test_a_leader_that_nobody_heard_and_that_comes_back_was_silent() -> None:
    back = (47.5, "consul1", FOLLOWS.format("10.0.0.1"))
    assert silences(LEADS, (1.5, "consul2", MISSED), back) == [("consul1", INFERRED.format("46.0 s"))]


def test_a_follower_that_was_out_of_reach_and_starts_again_was_silent() -> None:
    lines = LEADS, (1.5, "consul1", OUT_OF_REACH), (11.5, "consul2", STARTS)
    assert silences(*lines) == [("consul2", INFERRED.format("10.0 s"))]


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([(9, "consul2", STARTS)], id="nobody missed it"),
        pytest.param([(8, "consul1", OUT_OF_REACH), (9, "consul2", STARTS)], id="soon"),
        pytest.param([(1, "consul1", OUT_OF_REACH), (9, "consul2", FOLLOWS.format("10.0.0.2"))], id="a quiet follower"),
        pytest.param(
            [(1, "consul1", OUT_OF_REACH), (2, "consul1", MET), (29, "consul2", STARTS)], id="it was met again"),
        pytest.param([(1, "consul1", OUT_OF_REACH), (28, "consul2", "[INFO]  agent.server.raft: what nobody knows"),
                      (29, "consul2", STARTS)], id="it said something"),
        pytest.param([(1, "consul2", "[INFO]  agent.server: shutting down server"), (2, "consul1", OUT_OF_REACH),
                      (29, "consul2", STARTS)], id="it said that it ends"),
        pytest.param([(1, "consul2", "[INFO]  labctl.docker: container paused"), (2, "consul1", OUT_OF_REACH),
                      (29, "consul2", STARTS)], id="Docker says it"),
        pytest.param([(1, "consul2", fault(20)),
                      (2, "consul1", OUT_OF_REACH), (29, "consul2", STARTS)], id="it was cut off"),
    ],
)  # fmt: skip
def test_what_is_known_or_was_no_silence_is_not_inferred(lines: list[tuple[float, str, str]]) -> None:
    assert silences(LEADS, *lines) == []


def test_a_fault_that_was_over_long_before_explains_nothing() -> None:
    lines = (0.5, "consul2", fault(5)), (10.0, "consul1", OUT_OF_REACH), (40.0, "consul2", STARTS)
    assert silences(LEADS, *lines) == [("consul2", INFERRED.format("30.0 s"))]


def test_a_leader_that_shuts_down_led_until_then() -> None:
    shuts = (5.0, "consul1", "[INFO]  agent.server: shutting down server")
    leads = (7.0, "consul2", "[INFO]  agent.server.raft: entering leader state")
    story = told(LEADS, shuts, leads, (9.0, "consul1", STARTS))
    assert [of_leadership(leadership) for leadership in story.leaders] == [
        "consul1 led for about 5 s, until it was stopped.",
        "consul2 leads after about 2 s without a leader.",
    ]
    assert [phrase(event) for event in story.events if event.event == "shutdown_began"] == ["shuts down"]


def test_who_left_the_cluster_before_it_shuts_down_was_not_stopped() -> None:
    leaves = (5.0, "consul1", "[INFO]  agent.server: server starting leave")
    shuts = (6.0, "consul1", "[INFO]  agent.server: shutting down server")
    follows = (5.5, "consul1", FOLLOWS.format("10.0.0.1"))
    story = told(LEADS, leaves, follows, shuts)
    assert [leadership.ended_by for leadership in story.leaders] == ["left"]
