"""A story that is held whole: the records of each kind, in the order in which they were told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from labctl.raft.event import Event
from labctl.raft.faults import Fault
from labctl.raft.outage_tracker import Outage
from labctl.raft.records import Election, Leadership

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Conclusion(NamedTuple):
    """What is known only when the last event was told, and the last record of a story.

    Attributes:
        servers: those whose logs were read, by name.
        unparsed: how many lines of a Raft module no rule knew.
        unknown: the first of them.
    """

    servers: list[str]
    unparsed: int
    unknown: Event | None = None


Record = Event | Election | Leadership | Outage | Fault | Conclusion
"""What a story is made of."""


@dataclass
class Collection:
    """All records of a story. A log may have millions: hold only what is small, or of which a part is wanted.

    Attributes:
        events: each as it was told.
        elections: in the order in which they began.
        leaders: leaderships, in the order in which they began.
        outages: in the order in which they ended.
        faults: what was broken on purpose, in the order in which it began.
        servers: those whose logs were read.
        unparsed: lines of a Raft module that no rule knew.
    """

    events: list[Event] = field(default_factory=list)
    elections: list[Election] = field(default_factory=list)
    leaders: list[Leadership] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    servers: list[str] = field(default_factory=list)
    unparsed: int = 0

    def add(self, record: Record) -> None:
        """Take in the next record."""
        match record:
            case Event():
                self.events.append(record)
            case Election():
                self.elections.append(record)
            case Leadership():
                self.leaders.append(record)
            case Outage():
                self.outages.append(record)
            case Fault():
                self.faults.append(record)
            case _:
                self.servers, self.unparsed = record.servers, record.unparsed

    def records(self) -> Iterator[Record]:
        """All of it as one stream."""
        yield from self.events
        yield from self.elections
        yield from self.leaders
        yield from self.outages
        yield from self.faults
        yield Conclusion(self.servers, self.unparsed)


def collect(records: Iterable[Record]) -> Collection:
    """Hold a whole story."""
    whole = Collection()
    for record in records:
        whole.add(record)
    return whole
