"""The events of several servers in one order: by their stamps, and every cause before its effect.

Stamps alone are not enough. Before Consul 1.7 they are whole seconds, and the clocks of two machines are never the
same. What one server says can be the effect of what another one did: who refuses a candidate was asked by it. Where an
effect comes before its cause, the clock of its server is behind, and all that follows from that server is moved. That
brings the elections into order; which candidacy a refusal answered may stay unclear where clocks differ.
"""

from __future__ import annotations

import heapq
from collections import deque
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from labctl.raft.server_names import Names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from labctl.raft.event import Event

MOST_SKEW = timedelta(seconds=2)
"""How far behind a server's clock may be for its events to be moved. Elections are not nearer to each other."""
MOST_AHEAD = 4096
"""How many events of each server are looked at for a cause, at most."""

# Cause before effect among events of one stamp, which may be a whole second: who stands, who refuses it, who votes for
# it, who wins, who leads, who hears of it.
_PHASES = {
    "newer_term_seen_on_vote": 1,
    "vote_rejected_by_me": 1,
    "vote_duplicate_term": 1,
    "vote_duplicate_candidate": 1,
    "prevote_request_seen": 1,
    "prevote_rejected_by_me": 1,
    "vote_granted": 2,
    "election_won": 3,
    "leader_entered": 4,
    "leadership_acquired": 4,
    "new_leader_announced": 5,
}
# What a server says because another one stood for election.
_ANSWERS = frozenset(
    {"newer_term_seen_on_vote", "vote_rejected_by_me", "vote_duplicate_term", "prevote_rejected_by_me"}
)
# What a server says because of what another one, which it names, did before.
_BY_A_PEER = {
    "new_leader_announced": "leader_entered",
    "follower_entered": "leader_entered",
    "vote_granted": "newer_term_seen_on_vote",
}

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def merge(streams: Iterable[Iterable[Event]], names: Names | None = None) -> Iterator[Event]:
    """Bring the events of several servers into one order, lazily.

    A server's own order is never changed, not even where its clock went back. An event without a time stays
    behind its predecessor of the same server; before the first time, in front of it. At the same time a cause
    comes before its effect, and else the earlier stream first.

    Args:
        streams: one for each server, each in the order of its log.
        names: who is who, as far as it is known beforehand.
    """
    return _Merge([_Stream(number, events) for number, events in enumerate(streams)], names or Names()).events()


class _Stamped(NamedTuple):
    """An event, the latest time that its server has shown so far, and its place among those of that time."""

    time: datetime
    phase: int
    event: Event


def _stamped(events: Iterable[Event]) -> Iterator[_Stamped]:
    waiting: list[Event] = []
    latest: datetime | None = None
    phase = 0
    for event in events:
        if event.time is not None and (latest is None or event.time > latest):
            latest, phase = event.time, 0
        if latest is None:
            waiting.append(event)
            continue
        yield from (_Stamped(latest, 0, early) for early in waiting)
        waiting.clear()
        phase = max(phase, _PHASES.get(event.event, 0))
        yield _Stamped(latest, phase, event)
    yield from (_Stamped(_LONG_AGO, 0, early) for early in waiting)


class _Stream:
    """One server's events, of which some can be looked at before it is their turn."""

    def __init__(self, number: int, events: Iterable[Event]) -> None:
        self.number = number
        self.behind = timedelta()
        self.taken = 0
        self._rest = _stamped(events)
        self._ahead: deque[_Stamped] = deque()

    def head(self) -> _Stamped | None:
        """What comes next, without taking it."""
        return next(self.ahead(), None)

    def take(self) -> Event:
        """Take the next event."""
        self.taken += 1
        return self._ahead.popleft().event

    def ahead(self) -> Iterator[_Stamped]:
        """What comes, without taking it, as its clock would have it if it were right."""
        at = 0
        while True:
            if at == len(self._ahead):
                following = next(self._rest, None)
                if following is None:
                    return
                self._ahead.append(following)
            stamped = self._ahead[at]
            yield stamped._replace(time=_later(stamped.time, self.behind)) if self.behind else stamped
            at += 1


def _later(time: datetime, by: timedelta) -> datetime:
    try:
        return time + by
    except OverflowError:
        return time


class _Merge:
    def __init__(self, streams: list[_Stream], names: Names) -> None:
        self._streams = streams
        self._heads: list[tuple[datetime, int, int, int]] = []
        self._names = names
        self._stands: dict[str, Event] = {}
        self._told: set[tuple[str, str]] = set()
        self._answered: set[tuple[str, str, str]] = set()

    def events(self) -> Iterator[Event]:
        for stream in self._streams:
            self._push(stream)
        while self._heads:
            _, _, number, taken = heapq.heappop(self._heads)
            stream = self._streams[number]
            head = stream.head()
            if taken != stream.taken or head is None:
                continue
            yield from self._causes(stream, head)
            yield self._take(stream)

    def _push(self, stream: _Stream) -> None:
        head = stream.head()
        if head is not None:
            heapq.heappush(self._heads, (head.time, head.phase, stream.number, stream.taken))

    def _take(self, stream: _Stream) -> Event:
        event = stream.take()
        self._names.learn(event)
        if event.event == "candidate_entered":
            self._stands[event.server] = event
            self._answered = {answered for answered in self._answered if answered[0] != event.server}
        elif event.event == "leader_entered":
            self._told.add((event.event, event.server))
        elif event.event in _ANSWERS:
            candidate = next((stand for stand in self._stands.values() if self._may_have_asked(stand, event)), None)
            if candidate is not None:
                self._answered.add((candidate.server, event.server, event.event))
        self._push(stream)
        return event

    # -- causes ----------------------------------------------------------------------------------------------

    def _causes(self, stream: _Stream, effect: _Stamped) -> Iterator[Event]:
        """Take from another stream what an effect needs, and all before that; the effect's clock is behind by it."""
        event = effect.event
        is_cause = self._cause_of(event)
        if is_cause is None:
            return
        until = effect.time if event.event == "vote_granted" else _later(effect.time, MOST_SKEW - stream.behind)
        nearest: tuple[timedelta, int, _Stream] | None = None
        for other in self._streams:
            if other is stream:
                continue
            for count, stamped in enumerate(islice(other.ahead(), MOST_AHEAD), 1):
                if stamped.time > until:
                    break
                if is_cause(stamped.event):
                    late = max(stamped.time - effect.time, timedelta())
                    nearest = (
                        min(nearest, (late, count, other), key=lambda it: it[:2]) if nearest else (late, count, other)
                    )
                    break
        if nearest is None:
            return
        late, count, other = nearest
        for _ in range(count):
            yield self._take(other)
        stream.behind += late

    def _cause_of(self, event: Event) -> Callable[[Event], bool] | None:
        """What must have been told before an event; None where it was, or where nothing needs to be."""
        if event.event in _ANSWERS:
            if any(self._may_have_asked(stand, event) for stand in self._stands.values()):
                return None
            return lambda earlier: earlier.event == "candidate_entered" and self._may_have_asked(earlier, event)
        cause = _BY_A_PEER.get(event.event)
        peer = self._names.server(event.peer)
        if cause is None or peer is None or peer == event.server or (cause, peer) in self._told:
            return None
        return lambda earlier: (earlier.event, earlier.server) == (cause, peer)

    def _may_have_asked(self, candidacy: Event, answer: Event) -> bool:
        """Whether a server's answer can be one to this candidacy: a server is asked once in each."""
        if candidacy.server == answer.server:
            return False
        if (candidacy.server, answer.server, answer.event) in self._answered:
            return False
        if answer.term is not None and candidacy.term is not None and answer.term != candidacy.term:
            return False
        asker = self._names.server(answer.peer)
        if answer.peer is None or candidacy.values.get("node") == answer.peer:
            return True
        return asker is None or asker == candidacy.server
