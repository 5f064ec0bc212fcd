"""An election and a leadership in one sentence each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from labctl.raft import summary_sentences
from labctl.raft.records import Election, Leadership, Refusal
from labctl.shared import words

BEGIN = datetime(2021, 1, 24, 0, 0, 1, 500_000, UTC)


def election(**settings: object) -> Election:
    made = Election("consul1", 4, "line", "heartbeat_timeout", BEGIN, needed=2)
    for name, value in settings.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("tally", "needed", "words"),
    [
        (0, 2, "0 of the 2 votes it needed"),
        (1, 2, "1 of the 2 votes it needed"),
        (2, 2, "the 2 votes it needed"),
        (1, 1, "the one vote it needed"),
        (3, 2, "3 votes and needed 2"),
        (1, None, "1 vote"),
        (2, None, "2 votes"),
    ],
)
def test_votes_are_counted_beside_those_that_were_needed(tally: int, needed: int | None, words: str) -> None:
    assert summary_sentences.counted_votes(tally, needed) == words


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"outcome": "won", "votes": ["consul1", "consul3"], "tally": 2, "end": BEGIN + timedelta(seconds=0.35)},
            (
                "consul1 stood in term 4 because it had not heard from a leader in time; "
                "it had the 2 votes it needed, its own and consul3's; it won after 350 ms."
            ),
        ),
        (
            {"outcome": "lost", "tally": 1, "refusals": [Refusal("consul2", "our last index is greater")]},
            (
                "consul1 stood in term 4 because it had not heard from a leader in time; "
                "it had 1 of the 2 votes it needed; "
                "consul2 refused because its own log was longer; it lost."
            ),
        ),
        (
            {"outcome": "split", "tally": 1, "refusals": [Refusal("consul2", "already voted")]},
            (
                "consul1 stood in term 4 because it had not heard from a leader in time; "
                "it had 1 of the 2 votes it needed; "
                "consul2 refused because it had already voted in that term; the vote was split and nobody won."
            ),
        ),
        (
            {"outcome": "abandoned", "term": None, "cause": "unknown"},
            "consul1 stood in a term that no line names; it had no majority when its time was over.",
        ),
        (
            {"outcome": "lost", "refusals": [Refusal("consul2", "of the moon"), Refusal("consul3", "")]},
            (
                "consul1 stood in term 4 because it had not heard from a leader in time; "
                "consul2 refused because of the moon; consul3 refused; it lost."
            ),
        ),
    ],
)
def test_an_election_is_told_in_one_sentence(settings: dict[str, object], sentence: str) -> None:
    assert summary_sentences.of_election(election(**settings)) == sentence


@pytest.mark.parametrize(
    ("seconds", "ended", "sentence"),
    [
        (None, None, "consul1 leads in term 4."),
        (2.04, "quorum_lost", "consul1 led in term 4 for 2.0 s, until it could not reach a majority."),
        (125.5, "transfer", "consul1 led in term 4 for 2 min 5 s, until it handed leadership over."),
        (0.5, "silent", "consul1 led in term 4 for at least 500 ms, until its log ends."),
    ],
)
def test_a_reign_is_told_with_its_end(seconds: float | None, ended: str | None, sentence: str) -> None:
    until = None if seconds is None else BEGIN + timedelta(seconds=seconds)
    assert summary_sentences.of_leadership(Leadership("consul1", 4, BEGIN, until, ended)) == sentence  # type: ignore[arg-type]


def test_who_led_until_a_line_said_what_was_going_to_be_done_led_that_long_at_least() -> None:
    led = Leadership("consul1", 4, BEGIN, BEGIN + timedelta(seconds=2), "killed", is_announced=True)
    assert summary_sentences.of_leadership(led) == "consul1 led in term 4 for at least 2.0 s, until it was killed."
    assert led.bound == "at_least"
    after = Leadership("consul2", 5, BEGIN + timedelta(seconds=5), without_leader=3.0, after_announcement=True)
    assert summary_sentences.of_leadership(after) == "consul2 leads in term 5 after at most 3.0 s without a leader."


def test_names_are_listed_as_a_sentence_does() -> None:
    assert [words.listed(list(names)) for names in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]
