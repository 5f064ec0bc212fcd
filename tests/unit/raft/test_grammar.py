"""Every wording of every event, as the generations of Consul have it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from labctl.raft.grammar import EVENTS, RULES
from labctl.raft.read import read_line


def wordings() -> list[tuple[str, str, int | None, str | None]]:
    text = (Path(__file__).parents[2] / "data" / "raft" / "wordings.txt").read_text(encoding="utf-8")
    rows = [line.split(" | ", 3) for line in text.splitlines() if line and not line.startswith("#")]
    return [
        (says, event, None if term == "-" else int(term), None if peer == "-" else peer)
        for event, term, peer, says in rows
    ]


WORDINGS = wordings()


@pytest.mark.parametrize(("says", "event", "term", "peer"), WORDINGS, ids=[row[0][:60] for row in WORDINGS])
def test_a_wording_is_its_event_with_the_term_and_the_peer_that_the_line_names(
    says: str, event: str, term: int | None, peer: str | None
) -> None:
    found = read_line(f"2021-01-24T00:02:16.691Z [INFO]  {says}", server="consul1", line_no=7)
    assert found is not None
    assert (found.event, found.term, found.peer) == (event, term, peer)
    assert found.term_source == (None if term is None else "line")


def test_every_event_of_the_table_has_a_wording_here() -> None:
    assert {event for _, event, _, _ in WORDINGS} == EVENTS


def test_every_rule_begins_with_a_whole_literal_word_or_with_a_value() -> None:
    for rule in RULES:
        assert re.match(r"\(\?P<|(?:[\w-]|\\[()])+(?:[ :$]|$|\(\?: )", rule.says), rule


@pytest.mark.parametrize(
    "says",
    [
        "agent.http: election won: tally=2",
        "raft: New leader elected: consul1",
        "agent.server: entering leader state",
        "agent: cluster leadership acquired",
        "consul: EventMemberJoin: consul2 10.0.0.3",
        "raft: it said: Election won. Tally: 2",
        "Election won. Tally: 2",
    ],
)
def test_the_words_of_an_event_from_another_part_of_the_server_are_not_the_event(says: str) -> None:
    found = read_line(f"2021-01-24T00:02:16.691Z [INFO]  {says}", server="consul1", line_no=1)
    assert found is not None
    assert found.event == "other"
