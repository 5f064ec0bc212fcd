"""A story as JSON, the shape of DESIGN's `story`: rows as they are told, and never half of a document."""

from __future__ import annotations

import itertools
import json
import shutil
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

import orjson

from labctl.raft.event import Event
from labctl.raft.faults import Fault
from labctl.raft.incident import Incident
from labctl.raft.incident_sentences import of_incident
from labctl.raft.outage_tracker import Outage
from labctl.raft.records import Election, Leadership, PreVote
from labctl.story.spool import AT_ONCE, IN_MEMORY_BYTES, Spool, kept_text
from labctl.story.timers_json import timeouts_row
from labctl.terminal.style import CONTROL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from labctl.raft.collection import Conclusion, Record
    from labctl.raft.incident import Tries
    from labctl.raft.lost_quorum import LostQuorum
    from labctl.raft.records import Evidence, Refusal
    from labctl.raft.timers import Timers

CHARACTERS = 1 << 18


# orjson writes a time as `isoformat` does.


def event_row(event: Event) -> dict[str, Any]:
    """One event."""
    return {
        "time": event.time,
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
    """One election."""
    return {
        "term": election.term,
        "candidate": election.candidate,
        "votes": election.votes,
        "needed": election.needed,
        "outcome": election.outcome,
        "cause": election.cause,
        "start": election.start,
        "end": election.end,
        "seconds": election.seconds,
        "tally": election.tally,
        "refusals": [refusal_row(one) for one in election.refusals],
        "pre_vote": election.pre_vote,
        "waited": election.waited,
        "cut_off": election.cut_off,
        "evidence": evidence_rows(election.evidence),
    }


def incident_row(one: Incident) -> dict[str, Any]:
    """Something that went wrong."""
    return {
        "kind": one.kind,
        "servers": one.servers,
        "from": one.since,
        "to": one.until,
        "seconds": one.seconds,
        "lasts": one.lasts,
        "inferred": one.inferred,
        "may_be_led": one.may_be_led,
        "term": one.term,
        "ended_by": one.ended_by,
        "winner": one.winner,
        "elections": one.elections,
        "split_terms": one.split_terms,
        "count": one.count,
        "longest": one.longest,
        "led": one.led,
        "by": one.by,
        "what": one.what or None,
        "quorum": quorum_row(one.quorum),
        "unreached": one.unreached,
        "no_votes": one.no_votes,
        "no_elections": one.no_elections,
        "tries": [tries_row(tries) for tries in one.tries],
        "sentence": of_incident(one),
        "evidence": evidence_rows(one.evidence),
    }


def quorum_row(one: LostQuorum | None) -> dict[str, Any] | None:
    """The majority that was lost; None where none was."""
    if one is None:
        return None
    return {
        "voters": one.voters,
        "left": one.left,
        "needed": one.needed,
        "gone": [
            {
                "server": gone.server,
                "how": gone.how,
                "from": gone.since,
                "by": gone.by,
                "fault": gone.what or None,
            }
            for gone in one.gone
        ],
    }


def tries_row(one: Tries) -> dict[str, Any]:
    """What servers tried while nobody led."""
    return {
        "server": one.server,
        "elections": [{"outcome": outcome, "count": count} for outcome, count in one.elections.items()],
        "pre_votes": one.pre_votes,
        "undecided_pre_votes": one.undecided_pre_votes,
        "terms": one.terms,
        "cut_off": one.cut_off,
    }


def pre_vote_row(one: PreVote) -> dict[str, Any]:
    """One round of pre-votes."""
    return {
        "term": one.term,
        "candidate": one.candidate,
        "votes": one.votes,
        "needed": one.needed,
        "outcome": one.outcome,
        "inferred": one.inferred,
        "cause": one.cause,
        "start": one.start,
        "end": one.end,
        "seconds": one.seconds,
        "tally": one.tally,
        "refusals": [refusal_row(refusal) for refusal in one.refusals],
        "waited": one.waited,
        "cut_off": one.cut_off,
        "evidence": evidence_rows(one.evidence),
    }


def refusal_row(one: Refusal) -> dict[str, Any]:
    """A vote that was refused."""
    return {"server": one.server, "reason": one.reason, "voted_for": one.voted_for, "leader": one.leader}


def evidence_rows(evidence: Iterable[Evidence]) -> list[dict[str, Any]]:
    """The lines that something was read from."""
    return [{"server": one.server, "file": one.file, "line_no": one.line_no} for one in evidence]


def leader_row(one: Leadership) -> dict[str, Any]:
    """One leadership."""
    return {
        "server": one.server,
        "term": one.term,
        "term_source": one.term_source,
        "from": one.since,
        "from_known": one.since_known,
        "to": one.until,
        "seconds": one.seconds,
        "seconds_bound": one.bound,
        "ended_by": one.ended_by,
        "without_leader": one.without_leader,
        "without_leader_bound": one.without_leader_bound,
        "without_majority": one.without_majority,
        "superseded": one.superseded,
        "silent_since": one.silent_since,
        "to_inferred": one.is_end_inferred,
        "gave_up": one.gave_up,
        "gave_up_by": one.gave_up_by,
        "evidence": evidence_rows(one.evidence),
    }


def outage_row(outage: Outage) -> dict[str, Any]:
    """One server that a leader could not reach."""
    return {
        "server": outage.server,
        "leader": outage.leader,
        "term": outage.term,
        "from": outage.since,
        "to": outage.until,
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
        "from": fault.since,
        "to": fault.until,
        "seconds": fault.seconds,
        "ended_by": fault.ended_by,
    }


ROWS: Mapping[str, tuple[type, Callable[[Any], dict[str, Any]]]] = {
    "incidents": (Incident, incident_row),
    "elections": (Election, election_row),
    "pre_votes": (PreVote, pre_vote_row),
    "leaders": (Leadership, leader_row),
    "outages": (Outage, outage_row),
    "faults": (Fault, fault_row),
}
"""The lists of the document: of which records, and how one is written."""


def write_document(  # noqa: PLR0913, PLR0917 - what stands in it
    records: Iterable[Record],
    out: IO[str],
    timers: Timers | None = None,
    notes: Sequence[str] = (),
    unread: Callable[[], dict[str, Any] | None] = lambda: None,
    in_memory: int = IN_MEMORY_BYTES,
) -> None:
    """Write a story as one JSON document, and nothing where it could not be told to its end.

    `notes` may become more while the story is told, and `unread` is asked at its end. More than `in_memory` bytes of a
    kind wait in a file.
    """
    # Half of a document is worse than none: a log may be damaged in the middle.
    with kept_text(in_memory) as whole:
        _write(records, whole, lambda end: frame(end, timers, unread(), notes), in_memory)
        whole.seek(0)
        shutil.copyfileobj(whole, out, CHARACTERS)


def frame(
    end: Conclusion, timers: Timers | None, unread: dict[str, Any] | None, notes: Sequence[str]
) -> dict[str, Any]:
    """The document without its rows, in the order in which it is written: what is known only at the end comes last."""
    return {
        "incidents": [],
        "events": [],
        "elections": [],
        "pre_votes": [],
        "leaders": [],
        "outages": [],
        "faults": [],
        "timeouts": timeouts_row(timers),
        "servers": end.servers,
        "unparsed": end.unparsed,
        "unread": unread,
        "notes": list(notes),
    }


def _write(
    records: Iterable[Record], out: IO[str], document: Callable[[Conclusion], dict[str, Any]], in_memory: int
) -> None:
    writers = {kind: _writer(row) for kind, row in ROWS.values()}
    with Spool(writers, in_memory) as spool, kept_text(in_memory) as events:
        # What happened is known only at the end, and stands first.
        _list(events, (_text(event_row(event)) for event in spool.passing(records)))
        rows: dict[str, Iterator[str]] = {key: spool.lines(kind) for key, (kind, _) in ROWS.items()}
        for number, (key, value) in enumerate(document(spool.conclusion).items()):
            out.write(f'{"," if number else "{"}"{key}":')
            if key == "events":
                events.seek(0)
                shutil.copyfileobj(events, out, CHARACTERS)
            elif key in rows:
                _list(out, rows[key])
            else:
                out.write(_text(value))
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
    # Many rows are one text: a file that may be in memory looks at its size with each that is written.
    rows = iter(rows)
    while some := list(itertools.islice(rows, AT_ONCE)):
        out.write(separator)
        out.write(",\n".join(some))
        separator = ",\n"
    out.write("[]" if separator == "[\n" else "\n]")


def write_stream(records: Iterable[Record], out: IO[str]) -> None:
    """Write each event as a JSON document of one line, as soon as it is told."""
    for record in records:
        if isinstance(record, Event):
            out.write(f"{_text(event_row(record))}\n")
            out.flush()
