"""A line in, an event out."""

from __future__ import annotations

from datetime import UTC
from functools import lru_cache
from typing import TYPE_CHECKING

from labctl.raft.event import OTHER, Event, new_event
from labctl.raft.grammar import Meaning, meaning_of, voice_of
from labctl.raft.line_core import is_of_a_server, taken_apart
from labctl.raft.log_line import REPEATED, Envelope, envelope_of, open_envelope, plain, text_of

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

# What Consul itself logs about Raft's leader; the rest of its lines are about something else.
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
    time: datetime | None
    text = text_of(line)
    usual = plain(text, zone)
    if usual is not None:
        time, words, is_carried = usual
        said = _understood(words) if len(words) < REPEATED else _understood.__wrapped__(words)
        level, module, (name, term, peer, values) = said
        whose = server or otherwise
    if usual is None or (is_carried and not (module and is_of_a_server(module))):
        envelope = envelope_of(text, zone, near)
        if envelope is None:
            return None
        time, level, module, _, _, source, host, _, _, tag = envelope
        name, term, peer, values = _meant(envelope)
        whose = server or source or ((host or tag) if of_hosts else None) or otherwise
    by = None if term is None else "line"
    return new_event((time, whose, name, term, by, peer, level, module, file, line_no, line.rstrip("\r\n"), values))


@lru_cache(maxsize=4096)
def _understood(words: str) -> tuple[str | None, str | None, Meaning]:
    """What stands behind a stamp, again and again: level, module, and what it means."""
    level, module, message, values = taken_apart.__wrapped__(words)
    return level, module, _meant(Envelope(None, level, module, message, values))


def _meant(envelope: Envelope) -> Meaning:
    """What a line means, with all its values."""
    meaning, values = meaning_of(envelope), envelope.values
    if meaning is None:
        return Meaning(OTHER, None, None, values)
    event, term, peer, said = meaning
    return Meaning(event, term, peer, {**values, **said} if values and said else said or values)


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
