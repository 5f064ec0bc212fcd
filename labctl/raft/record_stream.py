"""Events in, records out: each event at once, followed by the records that it settles, and incidents at the end."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from labctl.raft.collection import Conclusion
from labctl.raft.event import OTHER
from labctl.raft.faults import Fault
from labctl.raft.incidents import OF_INCIDENTS, Incidents
from labctl.raft.records import Election, PreVote
from labctl.raft.story import VOTES_AGAIN, Story

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from labctl.raft.collection import Completed, Record
    from labctl.raft.event import Event
    from labctl.raft.incident import Incident
    from labctl.raft.server_names import Names

MOST_INCIDENTS = 256
"""Incidents that are held until it is known which of them stands in front of which."""
MOST_WAITING = 64
"""Events that are held back until a server's next line is seen."""


def records(
    events: Iterable[Event],
    *,
    since: datetime | None = None,
    names: Names | None = None,
    reached: Callable[[], datetime | None] = lambda: None,
    complete: bool = False,
) -> Iterator[Record]:
    """Turn events into a story: each event with the records that it settles; incidents and a `Conclusion` come last.

    Args:
        events: in order of time.
        since: what was over by then is left out; terms and names are still known from it.
        names: who is who, as far as it is known beforehand.
        reached: how far the log goes, asked when the last event was told; None where nothing is known but the events.
        complete: whether these are the logs of all servers of a cluster; else that is seen where lines show it.
    """
    story = Story(names, reached, complete=complete)
    waiting: list[Incident] = []
    incidents = Incidents(
        waiting.append, story.leads, story.is_explained, since, story.reads_all, lambda: len(story.servers),
        story.progress, story.names,
    )  # fmt: skip
    begun = since is None
    for event in _with_next_lines(events):
        told = story.feed(event)
        if story.silence is not None and (begun or since is None):
            incidents.feed(story.silence)
            yield story.silence
        if event.event == OTHER and event.time is not None:
            # It changes nothing, but shows that time has passed.
            story.settle(event.time)
        begun = begun or (event.time is not None and since is not None and event.time >= since)
        if begun:
            yield told
        if told.event in OF_INCIDENTS:
            incidents.feed(told)
        if story.naming is not None:
            incidents.name(story.naming)
        if story.settled:
            yield from _taken(story, incidents, since)
            yield from _oldest(waiting)
    story.finish()
    yield from _taken(story, incidents, since)
    incidents.finish(sees_leaders=not story.tells_no_elections)
    if (unseen := story.not_seen()) is not None:
        waiting.append(unseen)
    yield from sorted(waiting, key=lambda incident: incident.order)
    yield Conclusion(
        story.servers, story.unparsed, story.unknown, story.leaders_known, tuple(sorted(story.waiting)),
        tuple(incidents.searches),
    )  # fmt: skip


def _taken(story: Story, incidents: Incidents, since: datetime | None) -> Iterator[Completed]:
    """Take out the settled records; finished ones explain later ones, even where they are not shown."""
    for record in story.drain():
        incidents.feed(record)
        if not _is_over(record, since):
            yield record


def _is_over(record: Completed, since: datetime | None) -> bool:
    """Whether what a record tells was over by a time."""
    until = record.end if isinstance(record, (Election, PreVote)) else record.until
    if isinstance(record, Fault) and not record.lasts:
        # When a server that was killed is started again is not known.
        until = until or record.since
    return since is not None and until is not None and until < since


def _oldest(incidents: list[Incident]) -> list[Incident]:
    """Take the oldest incidents out where there are many: a log without end has thousands."""
    if len(incidents) <= MOST_INCIDENTS:
        return []
    incidents.sort(key=lambda incident: incident.order)
    oldest = incidents[: MOST_INCIDENTS // 2]
    del incidents[: MOST_INCIDENTS // 2]
    return oldest


def _with_next_lines(events: Iterable[Event]) -> Iterator[Event]:
    """Say of a second request for a vote whether it was refused: only a server's next line shows that it was not."""
    held: deque[Event] = deque()
    for event in events:
        if held:
            first = held[0]
            if event.server == first.server:
                if event.event == "vote_duplicate_candidate":
                    held[0] = first._replace(values={**first.values, VOTES_AGAIN: event.peer or ""})
                yield from held
                held.clear()
            elif len(held) >= MOST_WAITING or _is_later(event, first):
                yield from held
                held.clear()
        if held or event.event == "vote_duplicate_term":
            held.append(event)
        else:
            yield event
    yield from held


def _is_later(event: Event, than: Event) -> bool:
    return event.time is not None and than.time is not None and (event.time - than.time).total_seconds() > 1
