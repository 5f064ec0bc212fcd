"""A story as JSON, the shape of DESIGN's `story`: rows as they are told, and never half of a document."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

import orjson

from labctl.raft.event import Event
from labctl.raft.faults import Fault
from labctl.raft.outage_tracker import Outage
from labctl.raft.records import Election, Leadership
from labctl.show.style import CONTROL
from labctl.show.timers_json import timeouts_row
from labctl.story.spool import Spool, kept_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from labctl.raft.collection import Conclusion, Record
    from labctl.raft.timers import Timers

CHARACTERS = 1 << 18


def _stamp(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def event_row(event: Event) -> dict[str, Any]:
    """One event."""
    return {
        "time": event.time,  # orjson writes it as `isoformat` does
        "server": event.server,
        "event": event.event,
        "term": event.term,
        "term_source": event.term_source,
        "peer": event.peer,
        "level": event.level,
        "module": event.module,
        "file": event.file,
        "line_no": event.line_no,
        "line": event.line,
    }


def election_row(election: Election) -> dict[str, Any]:
    """One campaign."""
    return {
        "term": election.term,
        "candidate": election.candidate,
        "votes": election.votes,
        "needed": election.needed,
        "outcome": election.outcome,
        "cause": election.cause,
        "start": _stamp(election.start),
        "end": _stamp(election.end),
        "seconds": election.seconds,
        "tally": election.tally,
        "refusals": [
            {"server": one.server, "reason": one.reason, "voted_for": one.voted_for} for one in election.refusals
        ],
        "pre_vote": election.pre_vote,
        "waited": election.waited,
    }


def leader_row(leadership: Leadership) -> dict[str, Any]:
    """One leadership."""
    return {
        "server": leadership.server,
        "term": leadership.term,
        "from": _stamp(leadership.since),
        "to": _stamp(leadership.until),
        "ended_by": leadership.ended_by,
        "without_leader": leadership.without_leader,
        "without_majority": leadership.without_majority,
    }


def outage_row(outage: Outage) -> dict[str, Any]:
    """One server that a leader could not reach."""
    return {
        "server": outage.server,
        "leader": outage.leader,
        "term": outage.term,
        "from": _stamp(outage.since),
        "to": _stamp(outage.until),
        "seconds": outage.seconds,
        "ended_by": outage.ended_by,
        "behind": outage.behind,
    }


def fault_row(fault: Fault) -> dict[str, Any]:
    """Something that was broken on purpose."""
    return {
        "fault": fault.id,
        "what": fault.what,
        "servers": fault.servers,
        "from": _stamp(fault.since),
        "to": _stamp(fault.until),
        "seconds": fault.seconds,
        "ended_by": fault.ended_by,
    }


ROWS: Mapping[str, tuple[type, Callable[[Any], dict[str, Any]]]] = {
    "elections": (Election, election_row),
    "leaders": (Leadership, leader_row),
    "outages": (Outage, outage_row),
    "faults": (Fault, fault_row),
}
"""The lists of the document: of which records, and how one is written."""


def write_document(
    records: Iterable[Record],
    out: IO[str],
    timers: Timers | None = None,
    notes: Sequence[str] = (),
    unread: Callable[[], dict[str, Any] | None] = lambda: None,
) -> None:
    """Write a story as one JSON document, and nothing where it could not be told to its end.

    `notes` may become more while the story is told, and `unread` is asked at its end.
    """
    # Half of a document is worse than none: a log may be damaged in the middle.
    with kept_text() as whole:
        _write(records, whole, lambda end: conclusion_row(end, timers, unread(), notes))
        whole.seek(0)
        shutil.copyfileobj(whole, out, CHARACTERS)


def conclusion_row(
    end: Conclusion, timers: Timers | None, unread: dict[str, Any] | None, notes: Sequence[str]
) -> dict[str, Any]:
    """What stands behind the lists of a story."""
    return {
        "timeouts": timeouts_row(timers),
        "servers": end.servers,
        "unparsed": end.unparsed,
        "unread": unread,
        "notes": list(notes),
    }


def _write(records: Iterable[Record], out: IO[str], conclusion: Callable[[Conclusion], dict[str, Any]]) -> None:
    with Spool({kind: _writer(row) for kind, row in ROWS.values()}) as spool:
        out.write('{"events":')
        _list(out, (_text(event_row(event)) for event in spool.passing(records)))
        for key, (kind, _) in ROWS.items():
            out.write(f',"{key}":')
            _list(out, spool.lines(kind))
        for key, value in conclusion(spool.conclusion).items():
            out.write(f',"{key}":{_text(value)}')
    out.write("}\n")


def _writer(row: Callable[[Any], dict[str, Any]]) -> Callable[[Any], str]:
    return lambda one: _text(row(one))


def _text(row: object) -> str:
    try:
        text = orjson.dumps(row).decode()
    except orjson.JSONEncodeError:
        # The name of a file need not be UTF-8.
        return json.dumps(row, default=datetime.isoformat)
    if text.isascii() and "\x7f" not in text:
        return text
    # A reader gets the same characters, and a terminal none that it obeys.
    return CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def _list(out: IO[str], rows: Iterable[str]) -> None:
    separator = "[\n"
    for row in rows:
        out.write(separator)
        out.write(row)
        separator = ",\n"
    out.write("[]" if separator == "[\n" else "\n]")


def write_stream(records: Iterable[Record], out: IO[str]) -> None:
    """Write each event as a JSON document of one line, as soon as it is told."""
    for record in records:
        if isinstance(record, Event):
            out.write(f"{_text(event_row(record))}\n")
            out.flush()
