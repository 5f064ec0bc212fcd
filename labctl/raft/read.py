"""Lines in, events out: one line, and the lines of several servers in one order."""

from __future__ import annotations

import heapq
from datetime import UTC, datetime, tzinfo
from operator import itemgetter
from typing import TYPE_CHECKING

from labctl.raft.envelope import open_envelope
from labctl.raft.event import OTHER, Event
from labctl.raft.grammar import meaning_of, voice_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# What Consul itself says about Raft's leader; the rest of what it says is about something else.
_CONSUL_ABOUT_RAFT = frozenset({"leadership_acquired", "leadership_lost", "new_leader_announced"})

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

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def read_line(  # noqa: PLR0913 - all that a line does not say itself
    line: str,
    *,
    server: str,
    line_no: int,
    file: str | None = None,
    zone: tzinfo = UTC,
    near: datetime | None = None,
    otherwise: str = "",
    of_hosts: bool = False,
) -> Event | None:
    """Read one line of a server's log.

    Args:
        line: as it came, with or without its line end.
        server: whose log it is; "" takes the container's name that docker compose put in front, where it did.
        line_no: its number in the file, from 1.
        file: where it stood, or None.
        zone: where the server's clock is, for the stamps that Consul wrote without an offset before 1.7.
        near: when about the line was written, for stamps without a year or a date.
        otherwise: whose log it is where neither `server` nor the line says.
        of_hosts: take the machine that syslog or journald names, where nothing else says whose log it is.

    Returns:
        Its event, named `other` where no rule knows the wording; None where it is no line of a server's log
        (a banner, a blank, a comment, binary garbage). Never raises, whatever the line holds.
    """
    envelope = open_envelope(line, zone=zone, near=near)
    if envelope is None:
        return None
    time, level, module, _, values, source, host = envelope
    meaning = meaning_of(envelope)
    whose = server or source or (host if of_hosts else None) or otherwise
    text = line.rstrip("\r\n")
    if meaning is None:
        return Event(time, whose, OTHER, None, None, None, level, module, file, line_no, text, values)
    name, term, peer, said = meaning
    if said:
        values = {**values, **said} if values else said
    by = None if term is None else "line"
    return Event(time, whose, name, term, by, peer, level, module, file, line_no, text, values)  # type: ignore[arg-type]


def is_told(event: Event) -> bool:
    """Whether an event belongs into a story: it has a name, or Raft said it in words that no rule knows."""
    return event.event != OTHER or voice_of(event.module) == "raft"


def is_unparsed(event: Event) -> bool:
    """Whether Raft said something in words that no rule knows. Some that are known are `other`: they have no name."""
    if event.event != OTHER or voice_of(event.module) != "raft":
        return False
    envelope = open_envelope(event.line)
    return envelope is None or meaning_of(envelope) is None


def is_raft(said: Event | str) -> bool:
    """Whether an event or a line is about Raft: what `grep raft` was for, without its false friends.

    These are the lines of a Raft module, known to the grammar or not, and Consul's three about the leader.
    """
    event = read_line(said, server="", line_no=1) if isinstance(said, str) else said
    if event is None:
        return False
    return (
        voice_of(event.module) == "raft"
        or event.event in _CONSUL_ABOUT_RAFT
        or (event.module is None and event.event != OTHER)
    )


def merge(streams: Iterable[Iterable[Event]]) -> Iterator[Event]:
    """Bring the events of several servers into one order of time, lazily.

    A server's own order is never changed, not even where its clock went back. An event without a time stays
    behind its predecessor of the same server; before the first time, in front of it. At the same time a cause
    comes before its effect, and else the earlier stream first.

    Args:
        streams: one for each server, each in the order of its log.
    """
    return map(itemgetter(1), heapq.merge(*map(_stamped, streams), key=itemgetter(0)))


def _stamped(events: Iterable[Event]) -> Iterator[tuple[tuple[datetime, int], Event]]:
    """Give each event the latest time that its server has shown so far, and its place among those of that time."""
    waiting: list[Event] = []
    latest: datetime | None = None
    phase = 0
    for event in events:
        if event.time is not None and (latest is None or event.time > latest):
            latest, phase = event.time, 0
        if latest is None:
            waiting.append(event)
            continue
        yield from (((latest, 0), early) for early in waiting)
        waiting.clear()
        phase = max(phase, _PHASES.get(event.event, 0))
        yield (latest, phase), event
    yield from (((_LONG_AGO, 0), early) for early in waiting)
