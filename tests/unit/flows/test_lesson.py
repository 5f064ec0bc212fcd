"""What a learner is told of an election."""

from __future__ import annotations

from labctl.flows.lesson import TOLD
from labctl.raft.grammar import EVENTS


def test_every_event_that_is_told_is_one_that_the_grammar_knows() -> None:
    assert set(EVENTS) >= TOLD
