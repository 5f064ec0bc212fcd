"""A story as JSON, the shape of DESIGN's `story`, written as it is told; elections and reigns are kept till the end."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from labctl.raft.election import Election, Reign
    from labctl.raft.event import Event
    from labctl.raft.story import Story


def _stamp(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def event_row(event: Event) -> dict[str, Any]:
    """One event."""
    return {
        "time": _stamp(event.time),
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
    """One campaign; `tally`, `refusals` and `pre_vote` are more than the shape asks for."""
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
        "refusals": [{"server": one.server, "reason": one.reason} for one in election.refusals],
        "pre_vote": election.pre_vote,
    }


def leader_row(reign: Reign) -> dict[str, Any]:
    """One reign."""
    return {
        "server": reign.server,
        "term": reign.term,
        "from": _stamp(reign.since),
        "to": _stamp(reign.until),
        "ended_by": reign.ended_by,
    }


def frame(story: Story) -> dict[str, Any]:
    """The whole document but for its events, which are too many to be kept."""
    return {
        "events": [],
        "elections": [election_row(one) for one in story.elections],
        "leaders": [leader_row(one) for one in story.leaders],
        "servers": story.servers,
        "unparsed": story.unparsed,
    }


def write_document(story: Story, events: Iterable[Event], out: IO[str]) -> None:
    """Write what `story` tells as one JSON document; events come first, because the rest is known only at the end."""
    begin, separator = '{"events":[', "\n"
    out.write(begin)
    for event in events:
        out.write(f"{separator}{orjson.dumps(event_row(event)).decode()}")
        separator = ",\n"
    out.write(f"\n{orjson.dumps(frame(story)).decode().removeprefix(begin)}\n")


def write_stream(_: Story, events: Iterable[Event], out: IO[str]) -> None:
    """Write each event as a JSON document of one line, as soon as it is told."""
    for event in events:
        out.write(f"{orjson.dumps(event_row(event)).decode()}\n")
        out.flush()
