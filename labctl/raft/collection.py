"""A story that is held whole: the records of each kind, in the order in which they were told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from labctl.raft.event import Event
from labctl.raft.faults import Fault
from labctl.raft.incident import Incident
from labctl.raft.outage_tracker import Outage
from labctl.raft.records import Election, Leadership, PreVote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


LeadersKnown = Literal["seen", "waiting", "unknown"]
"""What logs say of leaders: that there was one; none, and servers that wait for the others; or nothing."""


class Conclusion(NamedTuple):
    """What is known only when the last event was told, and the last record of a story.

    Attributes:
        servers: those whose logs were read, by name.
        unparsed: how many lines of a Raft module no rule knew.
        unknown: the first of them.
        leaders_known: what the logs say of leaders at all.
        waiting: servers that knew no peers and waited.
        searches: elections, and pre-votes that came to nothing, before which no leader is known, of which the logs do
            not show how long nobody led.
    """

    servers: list[str]
    unparsed: int
    unknown: Event | None = None
    leaders_known: LeadersKnown = "unknown"
    waiting: tuple[str, ...] = ()
    searches: tuple[Election | PreVote, ...] = ()


Completed = Election | PreVote | Leadership | Outage | Fault
"""What becomes known of several events."""
Record = Event | Completed | Incident | Conclusion
"""What a story is made of."""


@dataclass
class Collection:
    """All records of a story. A log may have millions: hold only what is small, or of which a part is wanted.

    Attributes:
        events: each as it was told.
        incidents: what went wrong, in the order in which it was known.
        elections: in the order in which they began.
        pre_votes: rounds of pre-votes, in the order in which they began.
        leaders: leaderships, in the order in which they began.
        outages: in the order in which they ended.
        faults: what was broken on purpose, in the order in which it began.
        servers: those whose logs were read.
        unparsed: lines of a Raft module that no rule knew.
        leaders_known, waiting: as a conclusion has them.
    """

    events: list[Event] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    elections: list[Election] = field(default_factory=list)
    pre_votes: list[PreVote] = field(default_factory=list)
    leaders: list[Leadership] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    servers: list[str] = field(default_factory=list)
    unparsed: int = 0
    leaders_known: LeadersKnown = "unknown"
    waiting: tuple[str, ...] = ()
    searches: tuple[Election | PreVote, ...] = ()

    def add(self, record: Record) -> None:
        """Take in the next record."""
        match record:
            case Event():
                self.events.append(record)
            case Incident():
                self.incidents.append(record)
            case Election():
                self.elections.append(record)
            case PreVote():
                self.pre_votes.append(record)
            case Leadership():
                self.leaders.append(record)
            case Outage():
                self.outages.append(record)
            case Fault():
                self.faults.append(record)
            case _:
                self.servers, self.unparsed = record.servers, record.unparsed
                self.leaders_known, self.waiting = record.leaders_known, record.waiting

    def records(self) -> Iterator[Record]:
        """All of it as one stream."""
        yield from self.events
        yield from self.incidents
        yield from self.elections
        yield from self.pre_votes
        yield from self.leaders
        yield from self.outages
        yield from self.faults
        yield Conclusion(self.servers, self.unparsed, None, self.leaders_known, self.waiting)


def collect(records: Iterable[Record]) -> Collection:
    """Hold a whole story."""
    whole = Collection()
    for record in records:
        whole.add(record)
    return whole
