"""Candidacies that are nearly the same are told once; nothing that differs is."""

from __future__ import annotations

import io
import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.raft.records import Election, PreVote, Refusal
from labctl.raft.series import FOLDED, MOST_OPEN, Series, folded
from labctl.raft.summary_sentences import of_series
from labctl.story import json_view
from labctl.story.source import source
from labctl.story.text_view import StoryText
from tests.unit.raft.logs import DATA, SAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BEGIN = datetime(2021, 1, 24, tzinfo=UTC)
LOST_QUORUM = SAMPLES / "lost-quorum"


def stood(term: int | None, candidate: str = "n1", **more: object) -> Election:
    start = BEGIN + timedelta(seconds=10 * (term or 0))
    election = Election(
        candidate, term, "line", "election_timeout", start, start + timedelta(seconds=5), outcome="abandoned", tally=1,
        needed=2, waited=5.0, votes=[candidate],
    )  # fmt: skip
    return replace(election, **more)  # type: ignore[arg-type]


def asked(term: int, **more: object) -> PreVote:
    return replace(PreVote("n1", term, "election_timeout", BEGIN, outcome="lost", tally=1, needed=2), **more)  # type: ignore[arg-type]


def told(records: Iterable[Election | PreVote]) -> list[tuple[str, int | None, int]]:
    return [
        (record.first.candidate, record.first.term, record.count)
        if isinstance(record, Series)
        else (record.candidate, record.term, 1)
        for record in folded(records)
        if isinstance(record, (Series, Election, PreVote))
    ]


def elections_in(path: str, *, every: bool = False) -> list[str]:
    out = io.StringIO()
    StoryText(out, columns=1000, every=every).write(source([path]).records())
    return out.getvalue().partition("\nElections\n")[2].partition("\n\n")[0].splitlines()


def test_a_server_that_is_alone_is_told_once_and_with_all_each_time() -> None:
    first, second, many, last = elections_in(str(LOST_QUORUM))
    assert "in term 2 because" in first
    assert "in term 3 because it had not heard from a leader" in second
    assert many == (
        "  consul2 stood 12 times in 17.3 s, in terms 4 to 15, because it had got no majority in time "
        "(1.02 to 1.94 s); each time it had 1 of the 2 votes it needed; nobody could answer it; "
        "it had no majority when its time was over."
    )
    assert "in term 16 because" in last
    assert len(elections_in(str(LOST_QUORUM), every=True)) == 15


def test_json_has_every_election() -> None:
    out = io.StringIO()
    json_view.write_document(source([str(LOST_QUORUM)]).records(), out)
    assert [election["term"] for election in json.loads(out.getvalue())["elections"]] == list(range(2, 17))


def test_rounds_of_pre_votes_in_one_term_are_folded_too() -> None:
    path = DATA / "live" / "consul-1.22-dev_raft-1.7.0_info_no-network"
    many = [series for series in folded(source([str(path)]).records()) if isinstance(series, Series)]
    assert [(series.first.candidate, series.count) for series in many] == [
        ("consul3", 9),
        ("consul1", 7),
        ("consul2", 8),
    ]
    assert of_series(many[0]).startswith("consul3 asked 9 times in 11.8 s whether it could win term 3, because it had")


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(stood(3, outcome="lost"), id="another outcome"),
        pytest.param(stood(3, cause="heartbeat_timeout"), id="another reason to stand"),
        pytest.param(stood(3, refusals=[Refusal("n2", "our last index is greater")]), id="another reason to lose"),
        pytest.param(stood(3, candidate="n2"), id="another server"),
        pytest.param(stood(7), id="not the next term"),
        pytest.param(stood(3, cut_off=True), id="nobody could answer"),
        pytest.param(stood(3, tally=2, votes=["n1", "n2"]), id="other votes"),
    ],
)
def test_what_differs_is_told_by_itself(other: Election) -> None:
    before, after = (stood(1), stood(2)), (stood(4), stood(5))
    assert len(told([*before, other, *after])) == 5


def test_of_several_servers_each_has_its_own_series() -> None:
    pairs = [stood(term, candidate) for term in range(1, 6) for candidate in ("n1", "n2")]
    assert told(pairs) == [("n1", 1, 5), ("n2", 1, 5)]
    assert told(pairs[:4]) == [("n1", 1, 1), ("n2", 1, 1), ("n1", 2, 1), ("n2", 2, 1)]


def test_after_a_victory_another_story_begins() -> None:
    won = stood(4, "n2", outcome="won")
    assert told([*map(stood, (1, 2, 3)), won, *map(stood, (4, 5, 6))]) == [("n1", 1, 3), ("n2", 4, 1), ("n1", 4, 3)]


def test_asking_beforehand_moves_no_term() -> None:
    assert told([asked(3), asked(3), asked(3)]) == [("n1", 3, 3)]
    assert len(told([stood(3), stood(3), stood(3)])) == 3


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["n1", "n2", "n3"]), st.integers(1, 4), st.sampled_from(["abandoned", "split", "won"])
        ),
        max_size=200,
    )
)
def test_every_candidacy_is_told_once_and_each_server_s_in_order(given_ones: list[tuple[str, int, str]]) -> None:
    ones = [stood(term, candidate, outcome=outcome) for candidate, term, outcome in given_ones]
    records = [record for record in folded(ones) if isinstance(record, (Series, Election))]
    assert sum(series.count if isinstance(series, Series) else 1 for series in records) == len(ones)
    assert all(series.count >= FOLDED for series in records if isinstance(series, Series))
    for server in ("n1", "n2", "n3"):
        mine = [election.term for election in ones if election.candidate == server]
        shown = itertools.chain.from_iterable(
            range(record.first.term or 0, (record.last.term or 0) + 1) if isinstance(record, Series) else [record.term]
            for record in records
            if (record.first if isinstance(record, Series) else record).candidate == server
        )
        assert list(shown) == mine


def test_few_wait_for_more_that_are_like_them() -> None:
    taken = 0

    def endless() -> Iterator[Election]:
        nonlocal taken
        for term in itertools.count():
            taken += 1
            yield stood(term, f"n{term}")

    first = next(folded(endless()))
    assert isinstance(first, Election)
    assert first.term == 0
    assert taken <= MOST_OPEN + 1
