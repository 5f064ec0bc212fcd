"""Clocks that contradict each other by more than a moment: nobody can hear of a leader before it leads.

Nor is an older term won after a newer one: a majority has given its votes in that.

Up to two seconds `merge` moves a server's lines. A larger difference cannot be corrected without a guess, but a
reader has to know about it: the order of the story is then not the order of the events.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from labctl.raft.durations import duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from labctl.raft.event import Event
    from labctl.raft.server_names import Names

LEAST = timedelta(seconds=5)
"""Smaller differences are not reported."""
AGREE = timedelta(seconds=3)
"""Lines about the same two clocks may differ by this much."""
SOON = timedelta(seconds=30)
"""By then, every server has heard of a new leader, or was away."""
MOST = 64
"""Lines of each server about each other one that are compared."""
MOST_SERVERS = 64

_HEARS = frozenset({"new_leader_announced", "follower_entered"})
_KNOWN = frozenset({"follower_entered", "candidate_entered", "config_initial", "heartbeat_timeout"})
"""After one of these a server does not lead until it says so."""
TELLS_OF_CLOCKS = _HEARS | _KNOWN | {"leader_entered", "leadership_lost", "peer_unreachable", "member_join"}
"""The events that are taken in; the last ones only say how far a server's log goes."""


class _Said(NamedTuple):
    time: datetime
    where: str


class _Won(NamedTuple):
    """A term that a server won."""

    term: int
    server: str
    said: _Said


class Clocks:
    """What servers say of the same moments, each by its own clock."""

    def __init__(self) -> None:
        self._leads: dict[str, list[_Said]] = {}
        self._stood: dict[str, int | None] = {}
        self._won: list[_Won] = []
        self.hears: dict[tuple[str, str], list[_Said]] = {}
        self._known_since: dict[str, datetime] = {}
        self._ends: dict[str, tuple[datetime, datetime]] = {}

    def take(self, event: Event) -> None:
        """Take in an event."""
        time, server = event.time, event.server
        if time is None or (server not in self._ends and len(self._ends) >= MOST_SERVERS):
            return
        begin, end = self._ends.get(server, (time, time))
        if time > end or time < begin or server not in self._ends:
            self._ends[server] = (min(begin, time), max(end, time))
        if event.event in _KNOWN and server not in self._known_since:
            self._known_since[server] = time
        if event.event == "candidate_entered":
            self._stood[server] = event.term
        elif event.event == "follower_entered":
            self._stood.pop(server, None)
        if event.event == "leader_entered":
            _keep(self._leads.setdefault(server, []), event)
            term = self._stood.pop(server, None)
            if term is not None and len(self._won) < MOST:
                self._won.append(_Won(term, server, _Said(time, _place_of(event))))
        elif event.peer and event.event in _HEARS:
            key = (server, event.peer)
            if key in self.hears or len(self.hears) < MOST_SERVERS * MOST_SERVERS:
                _keep(self.hears.setdefault(key, []), event)

    def notes(self, names: Names) -> Iterator[str]:
        """Say which clocks contradict each other, by how much, and which lines say so."""
        noted: set[frozenset[str]] = set()
        heard: dict[tuple[str, str], list[_Said]] = {}
        for (server, peer), said in self.hears.items():
            leader = names.server(peer)
            if leader is not None and leader != server and leader in self._leads:
                heard.setdefault((server, leader), []).extend(said)
        for (server, leader), said in sorted(heard.items()):
            apart = self._apart(server, leader, sorted(said))
            if apart is not None:
                late, line, cause = apart
                noted.add(frozenset((server, leader)))
                behind, other = (server, leader) if late > timedelta() else (leader, server)
                yield (
                    f"{behind}'s clock is about {duration(abs(late.total_seconds()))} behind {other}'s: {server} hears "
                    f"at {line.where} that {leader} leads, and {leader} says so itself at {cause.where}."
                )

        yield from self._of_terms(noted)

    def _of_terms(self, noted: set[frozenset[str]]) -> Iterator[str]:
        """Say which clocks have an older term won after a newer one, but those that are noted."""
        won = sorted(self._won, key=lambda victory: victory.said.time)
        for older, newer in ((late, early) for at, late in enumerate(won) for early in won[:at]):
            pair, by = frozenset((older.server, newer.server)), older.said.time - newer.said.time
            if older.term >= newer.term or by <= LEAST or len(pair) == 1 or pair in noted:
                continue
            noted.add(pair)
            yield (
                f"{older.server}'s clock is at least {duration(by.total_seconds())} ahead of {newer.server}'s, or they "
                f"are of two clusters: {older.server} wins term {older.term} at {older.said.where}, when "
                f"{newer.server} has won term {newer.term} already, at {newer.said.where}."
            )

    def _apart(self, server: str, leader: str, said: Sequence[_Said]) -> tuple[timedelta, _Said, _Said] | None:
        """How far apart two clocks are, with two lines that say so; None where nothing contradicts that they agree."""
        causes = sorted(self._leads[leader])
        if any(-SOON <= cause.time - saying.time <= LEAST for saying in said for cause in causes):
            return None
        line = said[0]
        for cause in sorted(causes, key=lambda saying: abs(saying.time - line.time)):
            late = cause.time - line.time
            places = [_at(causes, saying.time, late) for saying in said]
            if all(places):
                # It did not lead yet when it was heard that it did; or who heard of it hears nothing when it does.
                is_early = late > timedelta() and (
                    self._did_not_lead(leader, line.time) or self._was_there(server, cause.time)
                )
                return (late, line, cause) if is_early or len(set(places)) > 1 else None
        return None

    def _did_not_lead(self, leader: str, time: datetime) -> bool:
        since = self._known_since.get(leader)
        return since is not None and since <= time

    def _was_there(self, server: str, time: datetime) -> bool:
        begin, end = self._ends[server]
        return begin <= time and end - time >= SOON


def _at(causes: Sequence[_Said], time: datetime, late: timedelta) -> _Said | None:
    """The lines that came this long after a time, or about that."""
    return next((saying for saying in causes if abs(saying.time - time - late) <= AGREE), None)


def _keep(lines: list[_Said], event: Event) -> None:
    if event.time is not None and len(lines) < MOST:
        lines.append(_Said(event.time, _place_of(event)))


def _place_of(event: Event) -> str:
    return f"{event.file}:{event.line_no}" if event.file else f"line {event.line_no}"
