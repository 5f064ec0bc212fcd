"""How much two servers' clocks may differ, as far as the servers' announcements show it.

A leader says that it leads, and Consul's servers tell each other of it at once. A server that hears of it later than
that can be, or before it was said, has another clock. That bounds how far apart two clocks are, by less than a second.

A server that, by the stamps, answers at once again and again has the same clock: chance does that only once.
"""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from labctl.raft.durations import is_whole

if TYPE_CHECKING:
    from datetime import datetime

    from labctl.raft.event import Event
    from labctl.raft.progress import Progress
    from labctl.raft.server_names import Names

LEADS, HEARS = "leader_entered", "new_leader_announced"
_ASKS = "candidate_entered"
# What a server says because another one asked it just now; a refusal may name who.
_ANSWERS = frozenset(
    {
        *("vote_rejected_by_me", "prevote_rejected_by_me", "vote_duplicate_term", "newer_term_seen_on_vote"),
        *("prevote_request_seen", "follower_entered"),
    }
)
_TAKEN = _ANSWERS | {LEADS, HEARS, _ASKS}
AT_ONCE = timedelta(milliseconds=10)
"""A server that is asked answers this soon, in a network that works."""
ASKED_OFTEN = 2
"""This many requests must have been answered at once for that to be no chance."""
GOSSIP = timedelta(milliseconds=500)
"""How soon the others have heard of a leader, in a network that works."""
MOST_LATE = timedelta(seconds=2)
"""A server that always hears later was frozen or cut off, or its clock is ahead: the logs cannot tell which."""
MOST_APART = timedelta(seconds=4)
"""News of a leader this long before or after its own line belongs to the same leadership."""
MOST = 8
"""Leaderships, and lines about them, that are compared."""
MOST_SERVERS = 64
_ZERO, _SECOND = timedelta(), timedelta(seconds=1)


class Bounds(NamedTuple):
    """By how much one clock is ahead of another one: at least, and at most."""

    least: timedelta
    most: timedelta


SAME = Bounds(_ZERO, _ZERO)
"""Of one machine's clock, and where nothing shows that two clocks differ."""
AGREE = Bounds(-AT_ONCE, AT_ONCE)
"""Of clocks by which one server answers another one at once."""
UNKNOWN = Bounds(-MOST_APART, MOST_APART)
"""Of clocks of which lines say what cannot be."""


class ClockDifferences:
    """The clocks of the servers of a story.

    Args:
        names: who is who.
        progress: how much of the logs is read; None where they are read from their beginnings.
        are_one: whether all stamps are of one clock.
    """

    def __init__(self, names: Names, progress: Progress | None = None, *, are_one: bool = False) -> None:
        self._names, self._progress, self._are_one = names, progress, are_one
        self._led: dict[str, deque[datetime]] = {}
        self._heard: dict[tuple[str, str], deque[datetime]] = {}
        self._late: dict[str, dict[str, Bounds]] = {}  # by leader, by who hears of it
        self._known: dict[tuple[str, str], Bounds | None] = {}
        self._asked: dict[str, deque[tuple[datetime, str | None]]] = {}
        self._answered: dict[str, deque[tuple[datetime, str | None]]] = {}
        self._at_once: dict[frozenset[str], set[datetime]] = {}  # by who asked and who answered, when that was
        self._agree: dict[str, set[str]] = {}

    def take(self, event: Event) -> None:
        """Take in leaders and who hears of them; requests and who answers them."""
        if self._are_one or event.time is None or event.event not in _TAKEN:
            return
        if event.event == LEADS:
            if event.server in self._led or len(self._led) < MOST_SERVERS:
                self._led.setdefault(event.server, deque(maxlen=MOST)).append(event.time)
                self._late.pop(event.server, None)
                self._known.clear()
        elif event.event == HEARS and event.peer:
            key = (event.server, event.peer)
            if key in self._heard or len(self._heard) < MOST_SERVERS * MOST_SERVERS:
                self._heard.setdefault(key, deque(maxlen=MOST)).append(event.time)
                self._late.clear()
                self._known.clear()
        elif event.event != HEARS:
            self._take_answer(event, event.time)

    def _take_answer(self, event: Event, now: datetime) -> None:
        """Take in a request or an answer, whichever of the two is read first."""
        kept = self._asked if event.event == _ASKS else self._answered
        if event.server not in kept and len(kept) >= MOST_SERVERS:
            return
        peer = event.peer if event.event != "follower_entered" else None  # it may name a leader
        kept.setdefault(event.server, deque(maxlen=MOST)).append((now, peer))
        if event.event == _ASKS:
            for server, answered in self._answered.items():
                for time, whom in answered:
                    self._compare(event.server, now, server, time, whom)
        else:
            for server, asked in self._asked.items():
                for time, _ in asked:
                    self._compare(server, time, event.server, now, peer)

    def _compare(self, asks: str, asked: datetime, answers: str, answered: datetime, peer: str | None) -> None:
        """Note that a server answered at once, by the stamps; those of whole seconds do not show it."""
        if asks == answers or not timedelta() <= answered - asked <= AT_ONCE or is_whole(asked) or is_whole(answered):
            return
        if peer and self._names.server(peer) not in {None, asks}:
            return
        times = self._at_once.setdefault(frozenset((asks, answers)), set())
        if len(times) >= ASKED_OFTEN:
            return
        times.add(asked)
        if len(times) == ASKED_OFTEN:
            # Having the same clock is transitive.
            all_of_them = self._agree.get(asks, {asks}) | self._agree.get(answers, {answers})
            self._agree.update(dict.fromkeys(all_of_them, all_of_them))
            self._known.clear()

    def between(self, server: str, other: str) -> Bounds | None:
        """How far the clock of `server` is ahead of that of the `other`; None where nothing shows it."""
        if self._are_one:
            return SAME
        if (server, other) not in self._known:
            self._known[server, other] = self._between(server, other)
        return self._known[server, other]

    def _between(self, server: str, other: str) -> Bounds | None:
        least, most, is_known = UNKNOWN.least, UNKNOWN.most, False
        for leader in self._led:
            late = self._of(leader)
            if server in late and other in late:
                is_known = True
                least = max(least, late[server].least - late[other].most)
                most = min(most, late[server].most - late[other].least)
        if other in self._agree.get(server, ()):
            if least <= AT_ONCE and most >= -AT_ONCE:
                return AGREE
            # One of the two is wrong: a server that was frozen hears late of a leader.
            return Bounds(min(least, -AT_ONCE), max(most, AT_ONCE))
        return None if not is_known else Bounds(least, most) if least <= most else UNKNOWN

    def _of(self, leader: str) -> dict[str, Bounds]:
        """By how much the others' clocks are ahead of a leader's."""
        known = self._late.get(leader)
        if known is None:
            known = self._late[leader] = {leader: SAME}
            for (server, peer), heard in self._heard.items():
                if self._names.server(peer) == leader != server:
                    seen = [time for time in heard if self._sees(leader, time)]
                    if (bounds := _ahead(seen, self._led[leader])) is not None:
                        known[server] = bounds
        return known

    def _sees(self, leader: str, heard: datetime) -> bool:
        """Whether a leader's log is read as far before as what was heard of it can be from."""
        return self._progress is None or self._progress.shows(leader, heard - MOST_APART)


def _ahead(heard: list[datetime], led: deque[datetime]) -> Bounds | None:
    """How far the hearer's clock is ahead: news never arrives before the event, and soon after it."""
    late = []
    for time in heard:
        near = [time - moment for moment in led if abs(time - moment) <= MOST_APART]
        if len(near) == 1:
            late.append(near[0])
    if not late:
        return None
    least = min(late)
    # Times within a second cannot be told apart.
    rough = _SECOND if is_whole(heard[0]) or is_whole(led[0]) else _ZERO
    if least > MOST_LATE:
        return Bounds(UNKNOWN.least, least + rough)
    return Bounds(least - rough - GOSSIP, least + rough)
