"""One event: what one line of one server's log says, under the name that the rest of labctl knows it by."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

ASKS_FIRST = "asks_first"
"""A value of an event that a server becomes a candidate, where it is known to ask for pre-votes before it stands."""
MAY_BE_ITSELF = "may_be_itself"
"""A value of an event that a server hears of a leader, where that name may be its own: it leads, and no log has it."""
OTHER = "other"
"""The event of a line that no rule knows; it keeps its text."""


NOTHING: Mapping[str, str] = MappingProxyType({})


class Event(NamedTuple):
    """What a server said, and where it said so. A tuple: a log has millions, and a dataclass takes thrice as long.

    Attributes:
        time: with its zone; None where the line does not say.
        server: the server whose log it is; "" if that is unknown.
        event: a name out of `labctl.raft.grammar.EVENTS`, or `other`.
        term: the term that the event belongs to; None where the line does not say.
        term_source: `line` where the line names the term, else None; a reading of several lines may infer it.
        peer: the other server in the event as the line names it: by address, else by ID, else by name.
        level: `trace`, `debug`, `info`, `warn`, `error`, or None.
        module: as the line has it, or None.
        file: where the line stood, or None.
        line_no: its number there, from 1.
        line: the line as it came, without its line end. Print it through `labctl.raft.log_line.clean`.
        values: the line's named values (`tally`, `needed`, `reason`, `error`, ...), all as text.
    """

    time: datetime | None
    server: str
    event: str
    term: int | None
    term_source: Literal["line", "inferred"] | None
    peer: str | None
    level: str | None
    module: str | None
    file: str | None
    line_no: int
    line: str
    values: Mapping[str, str] = NOTHING


def new_event(values: tuple[Any, ...]) -> Event:
    """An event of all its values in their order: a tuple is made in half the time that a named one takes."""
    return tuple.__new__(Event, values)
