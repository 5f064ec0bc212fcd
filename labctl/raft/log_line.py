"""A line of a log, taken apart: when, how grave, which module, what it says, and its named values.

The lines of all generations of Consul are read here, and of others that use the same Raft, whatever stands in front of
them or around them. A line is other people's text: nothing in it can make a function raise.
"""

from __future__ import annotations

import re
from datetime import UTC
from typing import TYPE_CHECKING, NamedTuple

from labctl.raft.durations import in_zone
from labctl.raft.line_core import LONGEST, REPEATED, Envelope, clean, is_of_a_server, moment, taken_apart
from labctl.raft.line_front import NO_FRONT, front_of
from labctl.raft.line_search import Seeker

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

__all__ = ["LONGEST", "REPEATED", "Envelope", "clean", "envelope_of", "open_envelope", "plain", "text_of"]

# How nearly every line begins since Consul 1.7, and how it did before; everything else is taken apart piece by piece.
_AWARE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)"
_BEGINS = (
    rf"(?:(?P<aware>{_AWARE})|(?P<naive>\d{{4}}/\d\d/\d\d[ ]\d\d:\d\d:\d\d))[ ]+"
    r"(?=\[(?:TRACE|DEBUG|INFO|WARN|ERROR|ERR)\][ ]*[A-Za-z][\w.-]{0,80}:[ ]+(?!\d{4}[-/]))"
)
_USUAL = re.compile(_BEGINS, re.ASCII)
_PLAIN = re.compile(rf"(?P<carried>{_AWARE}[ ]+)??{_BEGINS}", re.ASCII)
# In front of such a line, what needs no closer look holds no quotes, no other level, no colours and no JSON.
_NOT_PLAIN = re.compile(r"[\"'`{]|<(?!\d)|\[(?!\d{1,10}\]:|pod/)")


def open_envelope(line: str, *, zone: tzinfo = UTC, near: datetime | None = None) -> Envelope | None:
    """Take a line apart; None where it is no line of a server's log (a banner, a blank, binary garbage).

    Args:
        line: one line, as it came.
        zone: where the server's clock is, for the stamps that Consul wrote without an offset before 1.7.
        near: when about the line was written, with its zone: for the stamps of syslog, which have no year, and those
            that have no date; None leaves such a line without a time.
    """
    return envelope_of(text_of(line), zone, near)


def text_of(line: str) -> str:
    """What of a line is read."""
    return clean(line[:LONGEST]).strip()


class Plain(NamedTuple):
    """A line in the form that nearly all have.

    Attributes:
        time: when it was written.
        words: what stands behind the stamp.
        is_carried: another stamp stands in front of its own, as Docker puts it there.
    """

    time: datetime
    words: str
    is_carried: bool


def plain(text: str, zone: tzinfo) -> Plain | None:
    """Take apart the text of a line in front of which nothing stands but a stamp; None where it needs a closer look.

    One that `is_carried` needs that, too, where its module is not one of a server.
    """
    usual = _PLAIN.match(text)
    if usual is None or text.endswith("```"):
        return None
    carried, aware, naive = usual.groups()
    time = moment(aware or naive.replace("/", "-"))
    if time is None or (carried and naive):
        return None
    return Plain(time if aware else in_zone(time, zone), text[usual.end() :], bool(carried))


def envelope_of(text: str, zone: tzinfo, near: datetime | None) -> Envelope | None:
    """As `open_envelope`, of what `text_of` makes of a line."""
    usual = _USUAL.search(text) if text[:1] != "{" else None
    if usual is not None and (envelope := _opened(text, usual, zone, near)) is not None:
        return envelope
    return Seeker(zone, near).seek(text)


def _opened(text: str, usual: re.Match[str], zone: tzinfo, near: datetime | None) -> Envelope | None:
    """Take a usual line apart; None where what stands in front of it needs a closer look."""
    aware, naive = usual.groups()
    time = moment(aware or naive.replace("/", "-"))
    said = text[usual.end() :]
    if time is None or said[-3:] == "```":
        return None
    level, module, message, values = taken_apart(said) if len(said) < REPEATED else taken_apart.__wrapped__(said)
    front = NO_FRONT
    if before := text[: usual.start()]:
        if _NOT_PLAIN.search(before) or module is None or not is_of_a_server(module):
            return None
        front = front_of(before)
    if aware and front is NO_FRONT:
        return Envelope(time, level, module, message, values)
    carried = front.moment(zone, near)
    if aware:
        return Envelope(time, level, module, message, values, front.source, front.host, carried)
    if carried is not None:
        return None
    local = in_zone(time, zone)
    return Envelope(local, level, module, message, values, front.source, front.host, None, time)
