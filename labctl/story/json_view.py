"""A story as JSON, the shape of DESIGN's `story`: rows as they come, and never half of a document."""

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
        "refusals": [refusal_row(refusal) for refusal in election.refusals],
        "pre_vote": election.pre_vote,
        "waited": election.waited,
        "cut_off": election.cut_off,
        "evidence": evidence_rows(election.evidence),
    }


def incident_row(incident: Incident) -> dict[str, Any]:
    """Something that went wrong."""
    return {
        "kind": incident.kind,
        "servers": incident.servers,
        "from": incident.since,
        "to": incident.until,
        "seconds": incident.seconds,
        "lasts": incident.lasts,
        "inferred": incident.inferred,
        "may_be_led": incident.may_be_led,
        "term": incident.term,
        "ended_by": incident.ended_by,
        "winner": incident.winner,
        "elections": incident.elections,
        "split_terms": incident.split_terms,
        "count": incident.count,
        "longest": incident.longest,
        "led": incident.led,
        "by": incident.by,
        "what": incident.what or None,
        "quorum": quorum_row(incident.quorum),
        "unreached": incident.unreached,
        "no_votes": incident.no_votes,
        "no_elections": incident.no_elections,
        "tries": [tries_row(tries) for tries in incident.tries],
        "sentence": of_incident(incident),
        "evidence": evidence_rows(incident.evidence),
    }


def quorum_row(lost_quorum: LostQuorum | None) -> dict[str, Any] | None:
    """The majority that was lost; None where none was."""
    if lost_quorum is None:
        return None
    return {
        "voters": lost_quorum.voters,
        "left": lost_quorum.left,
        "needed": lost_quorum.needed,
        "gone": [
            {
                "server": gone.server,
                "how": gone.how,
                "from": gone.since,
                "by": gone.by,
                "fault": gone.what or None,
            }
            for gone in lost_quorum.gone
        ],
    }


def tries_row(tries_: Tries) -> dict[str, Any]:
    """The attempts of servers while there was no leader."""
    return {
        "server": tries_.server,
        "elections": [{"outcome": outcome, "count": count} for outcome, count in tries_.elections.items()],
        "pre_votes": tries_.pre_votes,
        "undecided_pre_votes": tries_.undecided_pre_votes,
        "terms": tries_.terms,
        "cut_off": tries_.cut_off,
    }


def pre_vote_row(pre_vote: PreVote) -> dict[str, Any]:
    """One round of pre-votes."""
    return {
        "term": pre_vote.term,
        "candidate": pre_vote.candidate,
        "votes": pre_vote.votes,
        "needed": pre_vote.needed,
        "outcome": pre_vote.outcome,
        "inferred": pre_vote.inferred,
        "cause": pre_vote.cause,
        "start": pre_vote.start,
        "end": pre_vote.end,
        "seconds": pre_vote.seconds,
        "tally": pre_vote.tally,
        "refusals": [refusal_row(refusal) for refusal in pre_vote.refusals],
        "waited": pre_vote.waited,
        "cut_off": pre_vote.cut_off,
        "evidence": evidence_rows(pre_vote.evidence),
    }


def refusal_row(refusal: Refusal) -> dict[str, Any]:
    """A vote that was refused."""
    return {
        "server": refusal.server,
        "reason": refusal.reason,
        "voted_for": refusal.voted_for,
        "leader": refusal.leader,
    }


def evidence_rows(evidence: Iterable[Evidence]) -> list[dict[str, Any]]:
    """The lines that are the evidence."""
    return [{"server": line.server, "file": line.file, "line_no": line.line_no} for line in evidence]


def leader_row(leadership: Leadership) -> dict[str, Any]:
    """One leadership."""
    return {
        "server": leadership.server,
        "term": leadership.term,
        "term_source": leadership.term_source,
        "from": leadership.since,
        "from_known": leadership.since_known,
        "to": leadership.until,
        "seconds": leadership.seconds,
        "seconds_bound": leadership.bound,
        "ended_by": leadership.ended_by,
        "without_leader": leadership.without_leader,
        "without_leader_bound": leadership.without_leader_bound,
        "without_majority": leadership.without_majority,
        "superseded": leadership.superseded,
        "silent_since": leadership.silent_since,
        "to_inferred": leadership.is_end_inferred,
        "gave_up": leadership.gave_up,
        "gave_up_by": leadership.gave_up_by,
        "evidence": evidence_rows(leadership.evidence),
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
    """A fault that was injected."""
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
    """Write a story as one JSON document, and nothing where it could not be read to its end.

    `notes` may grow while the story is written, and `unread` is called at its end. More than `in_memory` bytes of a
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
    """The parts of the document around its rows, in the order of writing: what is known only at the end comes last."""
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
    return lambda record: _text(row(record))


def _text(row: object) -> str:
    try:
        text = orjson.dumps(row).decode()
    except orjson.JSONEncodeError:
        # The name of a file need not be UTF-8.
        return json.dumps(row, default=datetime.isoformat)
    if text.isascii() and "\x7f" not in text:
        return text
    # Escaped, the text is the same for a reader, and harmless on a terminal.
    return CONTROL.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


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
    """Write each event as a JSON document of one line, as soon as it comes."""
    for record in records:
        if isinstance(record, Event):
            out.write(f"{_text(event_row(record))}\n")
            out.flush()
