"""What the story of a part of the logs claims, that of the whole claims too, or the part says that it does not know."""

from __future__ import annotations

import itertools
import random
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import pytest

from labctl.raft.collection import Collection, collect
from labctl.raft.merge import merge
from labctl.raft.reader import read_line
from labctl.raft.record_stream import records
from tests.unit.raft.logs import DATA, SAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from labctl.raft.event import Event
    from labctl.raft.incident import Incident
    from labctl.raft.records import Election, Evidence, Leadership, PreVote

CLUSTERS = sorted(
    path for path in (*SAMPLES.iterdir(), *(DATA / "live").glob("*")) if len(list(path.glob("*.log"))) > 1
)
NOT_KNOWN = frozenset({None, "silent", "unknown", "restarted"})
CUTS = 24


class Claim(NamedTuple):
    """A claim: about what, what is said of it, and the lines that say so."""

    about: tuple[object, ...]
    says: object
    lines: frozenset[tuple[str, int]]


def lines_of(evidence: Iterable[Evidence]) -> frozenset[tuple[str, int]]:
    return frozenset((evidence_.server, evidence_.line_no) for evidence_ in evidence)


@cache
def streams_of(name: str) -> dict[str, tuple[Event, ...]]:
    folder = next(path for path in CLUSTERS if path.name == name)
    streams = {}
    for path in sorted(folder.glob("*.log")):
        lines = path.read_text(encoding="utf-8").splitlines()
        read = (read_line(line, server=path.stem, line_no=number) for number, line in enumerate(lines, 1))
        streams[path.stem] = tuple(event for event in read if event is not None)
    return streams


def story_of(streams: dict[str, tuple[Event, ...]]) -> Collection:
    return collect(records(merge(streams.values())))


def is_of_level_info(event: Event) -> bool:
    return event.level not in {"debug", "trace"}


def claims_of(story: Collection) -> list[Claim]:
    """All that a story claims; what it says not to know is no claim."""
    return [
        *itertools.chain.from_iterable(map(of_election, story.elections)),
        *itertools.chain.from_iterable(map(of_pre_vote, story.pre_votes)),
        *itertools.chain.from_iterable(map(of_leadership, story.leaders)),
        *itertools.chain.from_iterable(map(of_incident, story.incidents)),
    ]


def of_election(election: Election) -> Iterator[Claim]:
    if election.start is None:
        return
    lines, about = lines_of(election.evidence), (election.candidate, election.evidence[0].line_no)
    if election.outcome != "undecided":
        yield Claim((*about, "won"), election.outcome == "won", lines)
    if election.outcome == "split":
        yield Claim((*about, "split"), True, lines)
    if election.cause != "unknown":
        yield Claim((*about, "cause"), election.cause, lines)
    if election.term_source == "line":
        yield Claim((*about, "term"), election.term, lines)
    for no in election.refusals:
        yield Claim((*about, "refused", no.server), True, lines)


def of_pre_vote(pre_vote: PreVote) -> Iterator[Claim]:
    if pre_vote.outcome == "undecided":
        return
    lines, about = lines_of(pre_vote.evidence), (pre_vote.candidate, pre_vote.evidence[0].line_no)
    yield Claim((*about, "pre-vote"), pre_vote.outcome, lines)
    if pre_vote.outcome == "lost":
        yield Claim((*about, "won"), False, lines)


def of_leadership(leadership: Leadership) -> Iterator[Claim]:
    lines = lines_of(leadership.evidence)
    if leadership.since_known and leadership.term_source == "line":
        yield Claim((leadership.server, leadership.since, "led in"), leadership.term, lines)
    if leadership.ended_by not in NOT_KNOWN:
        # Who hands its leadership over gives way to the newer term of the other one.
        by = "newer_term" if leadership.ended_by == "transfer" else leadership.ended_by
        yield Claim((leadership.server, leadership.until, "ended by"), by, lines)
    if leadership.gave_up is not None:
        # It had been silent before that, which another server's log shows.
        yield Claim((leadership.server, leadership.gave_up, "ended by"), leadership.gave_up_by, lines)
    if leadership.without_leader is not None:
        yield Claim((leadership.server, leadership.since, "without"), round(leadership.without_leader, 6), lines)


def of_incident(incident: Incident) -> Iterator[Claim]:
    lines = lines_of(incident.evidence)
    if incident.kind == "no_leader" and incident.until and incident.ended_by and not incident.may_be_led:
        # A part may know a server by its address only.
        if not any(":" in server for server in incident.servers):
            yield Claim((incident.winner, incident.until, "before"), incident.servers[0], lines)
    elif incident.kind == "split_votes":
        yield from (Claim(("split", term), True, lines) for term in incident.split_terms)
    elif incident.kind == "pause" and not incident.inferred and not incident.lasts and incident.count == 1:
        yield Claim((*incident.servers, incident.since, "frozen"), (incident.until, incident.by), lines)
    elif incident.kind == "failed_writes":
        yield Claim((*incident.servers, incident.what, "failed"), True, lines)
    elif incident.kind == "slow_disk":
        yield Claim((*incident.servers, incident.what, "slow"), True, lines)
    for gone in incident.quorum.gone if incident.quorum is not None else ():
        yield Claim((gone.since, "gone"), (gone.how, gone.by), frozenset())


def split_term_of(election: Election) -> Claim:
    """That the votes of a term were split is told with the election where that happened only once."""
    return Claim(("split", election.term), election.outcome == "split", lines_of(election.evidence))


def parts(name: str) -> Iterable[tuple[str, dict[str, tuple[Event, ...]]]]:
    """Parts of the logs: beginnings, ends, windows, fewer servers, and what level info has."""
    chance = random.Random(name)  # noqa: S311 - the same parts each time
    streams = streams_of(name)
    times = sorted(event.time for stream in streams.values() for event in stream if event.time is not None)
    for number in range(CUTS):
        begin, end = sorted(chance.sample(range(len(times)), 2))
        since, until = chance.choice([(None, times[end]), (times[begin], None), (times[begin], times[end])])
        servers = chance.sample(sorted(streams), chance.randint(1, len(streams)))
        keep: Callable[[Event], bool] = chance.choice(
            [lambda _: True, lambda event: event.level not in {"debug", "trace"}]
        )
        yield (
            f"{number}: {since} to {until} of {servers}",
            {
                server: tuple(
                    event
                    for event in streams[server]
                    if keep(event)
                    and event.time is not None
                    and (since is None or event.time >= since)
                    and (until is None or event.time <= until)
                )
                for server in servers
            },
        )


@pytest.mark.parametrize("name", [path.name for path in CLUSTERS])
def test_what_a_part_claims_the_whole_claims_too(name: str) -> None:
    whole: dict[tuple[object, ...], set[object]] = {}
    story = story_of(streams_of(name))
    for claim in [*claims_of(story), *map(split_term_of, story.elections)]:
        whole.setdefault(claim.about, set()).add(claim.says)
    wrong = [
        f"{part}: {claim.about} says {claim.says}, the whole {whole.get(claim.about)}"
        for part, streams in parts(name)
        for claim in claims_of(story_of(streams))
        if claim.says not in whole.get(claim.about, set())
        # Of a leadership that was handed over, only lines of level debug tell; the whole has no incident then.
        and (claim.about[-1] != "before" or claim.about in whole)
    ]
    assert not wrong, "\n".join(wrong[:20])


@pytest.mark.parametrize("name", [path.name for path in CLUSTERS])
def test_a_claim_whose_lines_are_all_in_a_part_is_made_there(name: str) -> None:
    whole = claims_of(story_of(streams_of(name)))
    missing = []
    for part, streams in parts(name):
        lines = {(event.server, event.line_no) for event in itertools.chain.from_iterable(streams.values())}
        made = {claim.about for claim in claims_of(story_of(streams))}
        missing += [
            f"{part}: {claim}"
            for claim in whole
            if claim.about[-1] in {"won", "led in"} and claim.lines and claim.lines <= lines and claim.about not in made
        ]
    assert not missing, "\n".join(missing[:20])


@pytest.mark.parametrize("name", [path.name for path in CLUSTERS])
def test_level_info_knows_nearly_all_of_it(name: str) -> None:
    streams = streams_of(name)
    whole = {claim.about for claim in claims_of(story_of(streams)) if claim.about[-1] in {"won", "led in", "ended by"}}
    brief = {server: tuple(event for event in stream if is_of_level_info(event)) for server, stream in streams.items()}
    made = {claim.about for claim in claims_of(story_of(brief))}
    unknown = whole - made
    assert len(unknown) <= 0.05 * len(whole) or len(unknown) <= 1, unknown
