"""A story as JSON, the shape of DESIGN's `story`: rows as they are told, and never half of a document."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

import orjson

from labctl.show.style import CONTROL
from labctl.show.timers_json import timeouts_row
from labctl.story.spool import Spool, kept_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from labctl.raft.event import Event
    from labctl.raft.faults import Fault
    from labctl.raft.outage_tracker import Outage
    from labctl.raft.records import Election, Leadership
    from labctl.raft.story import Story

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


def frame(story: Story) -> dict[str, Any]:
    """The document without its rows, in the order in which it is written: what is known only at the end comes last."""
    return {
        "events": [],
        "elections": [],
        "leaders": [],
        "outages": [],
        "faults": [],
        "timeouts": timeouts_row(story.timers),
        "servers": story.servers,
        "unparsed": story.unparsed,
    }


def write_document(story: Story, events: Iterator[Event], out: IO[str]) -> None:
    """Write what `story` tells as one JSON document, and nothing where it could not be told to its end."""
    # Half of a document is worse than none: a log may be damaged in the middle.
    with kept_text() as whole:
        _write(story, events, whole)
        whole.seek(0)
        shutil.copyfileobj(whole, out, CHARACTERS)


def _write(story: Story, events: Iterator[Event], out: IO[str]) -> None:
    with Spool(story, {kind: _writer(row) for kind, row in ROWS.items()}) as spool:
        rows: dict[str, Iterator[str]] = {"events": (_text(event_row(event)) for event in spool.passing(events))}
        rows |= {kind: spool.lines(kind) for kind in ROWS}
        for number, key in enumerate(frame(story)):
            out.write(f'{"," if number else "{"}"{key}":')
            if key in rows:
                _list(out, rows[key])
            else:
                out.write(_text(frame(story)[key]))
    out.write("}\n")


ROWS: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "elections": election_row,
    "leaders": leader_row,
    "outages": outage_row,
    "faults": fault_row,
}


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


def write_stream(_: Story, events: Iterable[Event], out: IO[str]) -> None:
    """Write each event as a JSON document of one line, as soon as it is told."""
    for event in events:
        out.write(f"{_text(event_row(event))}\n")
        out.flush()
