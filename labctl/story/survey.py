"""What the beginning of a log shows of the whole: its servers, its zone, and the order of its lines.

A file is looked at in its first half megabyte, then at places all over it, and wherever stamps go back: a log in order
costs little more than that.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, NamedTuple

from labctl.raft.line_order import Order, Stamp, order_of, stamp_of
from labctl.raft.log_line import open_envelope
from labctl.raft.prefilter import likely_lines
from labctl.raft.reader import read_line
from labctl.raft.speakers import Speakers, own_address
from labctl.story.line_forms import name_and_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labctl.raft.event import Event

UNKNOWN = timezone(timedelta(0), "unknown")
"""The zone of a stamp without one, as long as no neighbour has shown it."""
NOBODY = ""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


IN_ORDER = Order("sorted")
MOST_TIMES = 65_536
"""Stamps by which the order of a log is judged."""
YEAR = timedelta(days=365)
AHEAD = timedelta(days=1)
"""A stamp may seem to lie this far behind the moment at which its log was written: its zone may not be known."""


class Sample(NamedTuple):
    """A line somewhere in a log: the container, the pod or the file that it names, or the machine, and its time.

    What stands in front of other programs' lines may be anything: `is_ours` says that a server wrote it.
    """

    source: str
    host: str
    time: datetime
    is_ours: bool


@dataclass
class Survey:
    """The facts about a log before it is read.

    Attributes:
        events: at its beginning, each with the server or the machine that its line names, else with no server.
        sources: the containers and pods that its lines name.
        hosts: the machines that they name.
        tags: the tags of Fluentd, where they distinguish servers: several, of which no two are of one server.
        first: its first stamp.
        last: its last one; None where that is not known without reading all of it.
        zone: that of its first stamp that has one.
        lacks_zones: whether it has stamps without one.
        speakers: the servers whose lines name none.
        order: the order of its lines.
        is_whole: whether that is all of it.
        later_sources: the containers and pods that lines behind its beginning name.
        later_hosts: the machines that they name, and nothing better.
    """

    events: list[Event] = field(default_factory=list)
    sources: set[str] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)
    first: datetime | None = None
    last: datetime | None = None
    zone: tzinfo | None = None
    lacks_zones: bool = False
    speakers: Speakers = field(default_factory=Speakers)
    order: Order = IN_ORDER
    is_whole: bool = False
    later_sources: set[str] = field(default_factory=set)
    later_hosts: set[str] = field(default_factory=set)

    @property
    def latest(self) -> datetime | None:
        """The latest stamp of its beginning."""
        return max((event.time for event in self.events if event.time is not None), default=None)

    def kind_of(self, server: str, line: str) -> set[str]:
        """The kind of a server's name that a line has; a heading's names have no line."""
        envelope = open_envelope(line) if line else None
        if envelope is None or envelope.source == server:
            return self.sources
        return self.hosts if envelope.host == server else self.tags

    def check_tags(self) -> None:
        """Forget tags that distinguish no servers: a single one, or two of lines in which one server names itself."""
        whose: dict[str, set[str]] = {}
        for event in self.events:
            if event.server in self.tags and (address := own_address(event)) is not None:
                whose.setdefault(address, set()).add(event.server)
        if len(self.tags) == 1 or any(len(tags) > 1 for tags in whose.values()):
            self.tags = set()


def of_beginning(chunks: Iterable[bytes], near: datetime) -> Survey:
    """Look at the beginning of a log that was written at about that time."""
    survey, latest = Survey(), near + AHEAD
    known: dict[str, set[str]] = {}
    for number, raw in likely_lines(chunks):
        name, raw = name_and_line(raw)  # noqa: PLW2901 - it is the line that came
        line = raw.decode("utf-8", "replace")
        event = read_line(line, server=name or "", line_no=number, zone=UNKNOWN, near=near, of_hosts=True)
        if event is not None and event.time is not None and event.time > latest:
            # Where it names no year, it is of the year before.
            event = read_line(line, server=name or "", line_no=number, zone=UNKNOWN, near=near - YEAR, of_hosts=True)
        if event is None:
            continue
        survey.events.append(event)
        if event.time is not None:
            near = event.time
            survey.first = survey.first or event.time
            if event.time.tzinfo is UNKNOWN:
                survey.lacks_zones = True
            elif survey.zone is None:
                survey.zone = event.time.tzinfo
        if event.server and event.server not in known:
            known[event.server] = survey.kind_of(event.server, line if name is None else "")
            known[event.server].add(event.server)
        if not event.server or known[event.server] is survey.tags:
            survey.speakers.take(event)
    survey.check_tags()
    return survey


def set_order(survey: Survey, zone: tzinfo, later: Iterable[Sample]) -> None:
    """Find the order of a log, by its beginning and by places behind it; `zone` is for stamps without one."""
    samples = list(itertools.islice(later, MOST_TIMES))
    survey.later_sources.update(sample.source for sample in samples if sample.source and sample.is_ours)
    survey.later_hosts.update(sample.host for sample in samples if sample.host and not sample.source and sample.is_ours)
    behind = (Stamp(sample.source or sample.host, placed(sample.time, zone)) for sample in samples)
    begin = (stamp_of(event, placed(event.time, zone)) for event in survey.events if event.time is not None)
    stamps = list(itertools.islice(itertools.chain(begin, behind), MOST_TIMES))
    is_nameless = len({stamp.server for stamp in stamps}) == 1
    survey.order = order_of(stamps, of_several=is_nameless and survey.speakers.are_several)
    if survey.order.kind == "reversed":
        survey.speakers = Speakers()
        for event in reversed(survey.events):
            if not event.server:
                survey.speakers.take(event)


def placed(time: datetime, zone: tzinfo) -> datetime:
    """A time whose zone was not known, in this zone."""
    return time.replace(tzinfo=zone) if time.tzinfo is UNKNOWN else time


def moment_of(microseconds: int) -> datetime | None:
    """The time for a number of microseconds."""
    try:
        return EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return None
