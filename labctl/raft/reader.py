"""A line in, an event out."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from labctl.raft.event import OTHER, Event
from labctl.raft.grammar import meaning_of, voice_of
from labctl.raft.log_line import open_envelope

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

# What Consul itself says about Raft's leader; the rest of what it says is about something else.
_CONSUL_ABOUT_RAFT = frozenset({"leadership_acquired", "leadership_lost", "new_leader_announced"})


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
        of_hosts: take the machine that syslog or journald names, or Fluentd's tag, where nothing else says whose log
            it is.

    Returns:
        Its event, named `other` where no rule knows the wording; None where it is no line of a server's log
        (a banner, a blank, a comment, binary garbage). Never raises, whatever the line holds.
    """
    envelope = open_envelope(line, zone=zone, near=near)
    if envelope is None:
        return None
    time, level, module, _, values, source, host, _, _, tag = envelope
    meaning = meaning_of(envelope)
    whose = server or source or ((host or tag) if of_hosts else None) or otherwise
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
