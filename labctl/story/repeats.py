"""Lines that a server repeats, folded: shown at once, and once more with a count when the repetition is over.

A leader that cannot reach a server says so every few seconds. What matters between two of these lines would be gone
from a screen within a minute.
"""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from labctl.raft import durations
from labctl.raft.event_sentences import phrase
from labctl.raft.outage_tracker import BACK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from labctl.raft.event import Event

STILL = frozenset(
    {
        *("peer_unreachable", "heartbeat_failed", "append_failed", "append_rejected", "vote_rpc_failed"),
        *("suspect", "marked_failed", "member_failed", "no_known_peers", "election_suppressed"),
        "prevote_rejected_by_me",
    }
)
"""Events that report a state as unchanged."""
CAMPAIGN = frozenset(
    {
        *("candidate_entered", "votes_needed", "vote_self", "vote_requested", "vote_granted", "election_timeout"),
        *("prevote_self", "prevote_requested", "prevote_granted", "prevote_lost", "prevote_denied"),
    }
)
"""Events of a server that stands for election. One that stands again and again while nobody else does anything has no
majority, and repeats itself with ever higher terms."""
_TOLD_IN_FULL = 2
"""This many candidacies in a row are shown whole."""
_NEWS_OF_ITSELF = frozenset(
    {
        *("candidate_entered", "follower_entered", "leader_entered", "config_initial"),
        *("quorum_lost_stepdown", "new_leader_stepdown", "leadership_lost"),
    }
)
_NEWS_OF_A_PEER = frozenset({BACK, "member_join", "peer_added", "peer_removed"})
_ELECTION = frozenset(
    {
        *("vote_granted", "prevote_granted", "vote_rejected_by_me", "prevote_rejected_by_me", "vote_duplicate_term"),
        *("newer_term_seen_on_vote", "newer_term_fallback", "election_won", "leader_entered", "follower_entered"),
        *("config_initial", "heartbeat_timeout", "new_leader_announced"),
    }
)
QUIET = timedelta(seconds=30)
"""A repetition that pauses for this long is over: a leader's tries are at most some 20 s apart."""
FIRST_REPORT, LONGEST_REPORT = timedelta(minutes=1), timedelta(minutes=16)
"""While it goes on, it is reported again after this, then each time after twice as long, up to the longer."""
MOST_RUNS = 64
MOST_HELD = 1024
"""At most this much is held back until the count of an earlier repetition is known."""


class FoldedEvent(NamedTuple):
    """Something to show now.

    Attributes:
        event: the event; of several, the last one.
        words: what that means, or None.
        times: how often it was repeated since it began.
        more: how many of these were not shown before; over everything shown, each event is counted once.
        since: when it began.
        varied: whether each one differed, of which this is the last: another term.
        first: the first one of several.
        last: the last of several that are shown in the place of the first.
    """

    event: Event
    words: str | None
    times: int = 1
    more: int = 1
    since: datetime | None = None
    varied: bool = False
    first: Event | None = None
    last: Event | None = None

    @property
    def sentence(self) -> str | None:
        """The words, with how often and for how long: `cannot reach consul3 (61 times in 2 min 23 s)`."""
        if self.words is None or self.times == 1:
            return self.words
        took = durations.elapsed(self.since, (self.last or self.event).time)
        often = f"{self.times} times{f' in {took}' if took else ''}"
        if not self.varied:
            return f"{self.words} ({often})"
        if self.last is None:
            return f"{self.words} (the last of {often})"
        term = f", the last in term {self.last.term}" if self.last.term is not None else ""
        return f"{self.words} (the first of {often}{term})"


def once(event: Event) -> FoldedEvent:
    """An event by itself."""
    return FoldedEvent(event, phrase(event), since=event.time, first=event)


class _Run:
    """Something that a server repeats."""

    def __init__(self, event: Event, words: str) -> None:
        self.first, self.last, self.words = event, event, words
        self.is_campaign = event.event in CAMPAIGN
        self.since = event.time
        self.count, self.told = 1, 1
        self.varied = False
        self.reported, self.wait = event.time, FIRST_REPORT

    def add(self, event: Event, words: str) -> None:
        # The term differs each time; of a candidate, only its later lines show what it asked for.
        is_same = event.event == "candidate_entered" and event.term == self.last.term
        self.varied = self.varied or (words != self.words and not is_same)
        self.last, self.words = event, words
        self.count += 1

    def is_due(self) -> bool:
        """Whether it has gone on long enough to be reported again."""
        return _is_after(self.last.time, self.reported, self.wait)

    def report(self) -> FoldedEvent:
        more = self.count - self.told
        told = FoldedEvent(self.last, self.words, self.count, more, self.since, self.varied, self.first)
        self.told, self.reported = self.count, self.last.time
        self.wait = min(2 * self.wait, LONGEST_REPORT)
        return told


class Repeats:
    """Folds a stream of events; what is shown at once is in the order of the events.

    Args:
        reports: whether what goes on is reported from time to time; else only when it is over, since something else
            shows it meanwhile.
    """

    def __init__(self, *, reports: bool = True) -> None:
        self._reports = reports
        self.runs: dict[tuple[str, str], _Run] = {}
        # How often a server stood while nothing else happened in any election.
        self._alone: dict[str, int] = {}

    def going_on(self) -> list[FoldedEvent]:
        """The repetitions that are not over, in the order in which they began."""
        return [
            FoldedEvent(run.last, run.words, run.count, 0, run.since, run.varied, run.first)
            for run in self.runs.values()
            if run.count > 1
        ]

    def take(self, event: Event) -> Iterator[FoldedEvent]:
        """Take in the next event. Returns what to show now: what is over by it, and itself if it is no repeat."""
        words = phrase(event)
        yield from self.over(event)
        in_vain = event.event in CAMPAIGN and self._stands_alone(event.server)
        if words is None or not (in_vain or event.event in STILL):
            yield once(event)
            return
        key = (event.server, f"{event.event} {event.peer}" if in_vain else words)
        if run := self.runs.get(key):
            run.add(event, words)
            if self._reports and run.is_due():
                yield run.report()
            return
        if len(self.runs) >= MOST_RUNS:
            yield from self._end(next(iter(self.runs)))
        self.runs[key] = _Run(event, words)
        yield once(event)

    def finish(self) -> Iterator[FoldedEvent]:
        """The stream has ended, and so has all that went on."""
        for key in list(self.runs):
            yield from self._end(key)

    def folded(self, events: Iterable[Event]) -> Iterator[FoldedEvent]:
        """All of a stream, folded."""
        for event in events:
            yield from self.take(event)
        yield from self.finish()

    def goes_on(self, first: Event | None) -> bool:
        """Whether what began with an event may be repeated."""
        return any(run.first is first for run in self.runs.values())

    def end(self, first: Event | None) -> Iterator[FoldedEvent]:
        """End the repetition that began with an event."""
        for key in [key for key, run in self.runs.items() if run.first is first]:
            yield from self._end(key)

    def over(self, event: Event) -> Iterator[FoldedEvent]:
        """End what an event ends: by what its server becomes, by what its peer does, or because it is later.

        Or it is far earlier: after a clock was set back, no duration is known.
        """
        self._count(event)
        for key, run in list(self.runs.items()):
            far = _is_after(event.time, run.last.time, QUIET) or _is_after(run.last.time, event.time, QUIET)
            if self._is_over(run, event) or far:
                yield from self._end(key)

    def _is_over(self, run: _Run, event: Event) -> bool:
        if run.is_campaign and not self._stands_alone(run.last.server):
            return True
        if run.last.server != event.server:
            return False
        if event.event in _NEWS_OF_ITSELF:
            return not (event.event == "candidate_entered" and self._stands_alone(event.server))
        return event.event in _NEWS_OF_A_PEER and event.peer == run.last.peer

    def _count(self, event: Event) -> None:
        """Count candidacies in a row: any other news about an election begins a new row."""
        server = event.server
        own_vote = event.event == "vote_granted" and event.peer in {server, None}
        if event.event in CAMPAIGN and (own_vote or event.event not in {"vote_granted", "prevote_granted"}):
            stood = self._alone.get(server, 0) + (event.event == "candidate_entered")
            self._alone = {server: stood}
        elif event.event in _ELECTION:
            self._alone.clear()

    def _stands_alone(self, server: str) -> bool:
        return self._alone.get(server, 0) >= _TOLD_IN_FULL

    def _end(self, key: tuple[str, str]) -> Iterator[FoldedEvent]:
        run = self.runs.pop(key)
        if run.count > run.told:
            yield run.report()


def in_order(events: Iterable[Event]) -> Iterator[FoldedEvent]:
    """A finite stream, folded: a repetition stands in the place of its first line."""
    repeats, held = Repeats(reports=False), deque[FoldedEvent]()
    for event in events:
        for told in repeats.take(event):
            _hold(held, told)
        while held and len(held) > MOST_HELD and repeats.goes_on(held[0].first):
            for told in list(repeats.end(held[0].first)):
                _hold(held, told)
        while held and not repeats.goes_on(held[0].first):
            yield held.popleft()
    for told in repeats.finish():
        _hold(held, told)
    yield from held


def _hold(held: deque[FoldedEvent], told: FoldedEvent) -> None:
    """Add something to show, or add its count to its first line."""
    if told.times == 1:
        held.append(told)
        return
    at = next(at for at, told_ in enumerate(held) if told_.first is told.first and told_.times == 1)
    words = held[at].words
    held[at] = told._replace(event=held[at].event, words=words, more=told.times, last=told.event)


def _is_after(time: datetime | None, last: datetime | None, wait: timedelta) -> bool:
    return time is not None and last is not None and time - last > wait
