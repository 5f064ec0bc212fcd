"""A story laid out: a lane for each server, time running down, what was said in rows, votes as arrows between lanes.

Pure geometry, in pixels; the svg and the html draw the same picture.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from labctl.raft import durations, summary_sentences
from labctl.raft.collection import Conclusion
from labctl.raft.event import Event
from labctl.raft.event_sentences import phrase
from labctl.raft.faults import Fault
from labctl.raft.incident import Incident
from labctl.raft.incident_sentences import of_no_incident
from labctl.raft.outage_tracker import Outage
from labctl.raft.records import Election
from labctl.raft.series import Series, folded
from labctl.story.file_names import FileNames
from labctl.story.text_view import NOT_SEEN, TITLES, WHERE, grouped, sentences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import date, datetime

    from labctl.raft.collection import Record
    from labctl.raft.timers import Timers

_Kind = TypeVar("_Kind")
Role = Literal["follower", "candidate", "leader"]
Meaning = Literal["request", "grant", "refusal"]

MOST_ROWS = MOST_SENTENCES = 2000
"""Rows that are drawn, and sentences of each kind; a browser gets slow beyond."""
TOP, ROW, GAP = 84, 22, 20
TITLE_HEIGHT = 28
LEFT, LANE, TEXT = 120, 150, 560
PAUSE_SECONDS = 1.0
"""Between rows that are this far apart, the elapsed time is written."""

_ROLES: dict[str, Role] = {
    "candidate_entered": "candidate",
    "leader_entered": "leader",
    "follower_entered": "follower",
    "quorum_lost_stepdown": "follower",
    "config_initial": "follower",
}
# The direction: `out` from the server that speaks to its peer, `in` from the peer to it.
_ARROWS: dict[str, tuple[Literal["in", "out"], Meaning]] = {
    "vote_requested": ("out", "request"),
    "vote_granted": ("in", "grant"),
    "vote_rejected_by_me": ("out", "refusal"),
    "vote_duplicate_term": ("out", "refusal"),
    "prevote_requested": ("out", "request"),
    "prevote_granted": ("in", "grant"),
    "prevote_denied": ("in", "refusal"),
    "prevote_rejected_by_me": ("out", "refusal"),
}


@dataclass(frozen=True)
class Row:
    """One event, or several of the same kind of one server in a row.

    Attributes:
        number: from 1.
        y: where, in pixels from the top.
        x: the middle of its server's lane.
        server: whose it is.
        role: what that server is from here on.
        clock: the time of day, with the date where the day changes; "" where the line has none.
        since: the time since the first event.
        pause: the time since the row before, where it is long.
        words: what it means.
        line: what the server wrote.
        times: how many events it stands for.
    """

    number: int
    y: int
    x: int
    server: str
    role: Role
    clock: str
    since: str
    pause: str
    words: str
    line: str
    times: int = 1


@dataclass(frozen=True)
class Segment:
    """A server's role from one row to another."""

    server: str
    role: Role
    x: int
    begin: int
    end: int


@dataclass(frozen=True)
class Band:
    """Behind a lane, from one row to another: its server was out of the leader's reach, or disturbed on purpose."""

    meaning: Literal["outage", "fault"]
    server: str
    x: int
    begin: int
    end: int
    words: str


@dataclass(frozen=True)
class Arrow:
    """A request, a vote or a refusal, from lane to lane in a row."""

    row: int
    y: int
    begin: int
    end: int
    meaning: Meaning


@dataclass(frozen=True)
class Lane:
    """A server's place."""

    server: str
    x: int


@dataclass
class Picture:
    """The whole drawing; `left_out` counts the events that had no place, `sentences` stand by title.

    `happened` stands first: each incident in words, and the lines that show it; `files` says what their files are.
    """

    lanes: list[Lane]
    rows: list[Row] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    bands: list[Band] = field(default_factory=list)
    happened: list[tuple[str, str]] = field(default_factory=list)
    files: str = ""
    sentences: dict[str, list[str]] = field(default_factory=dict)
    left_out: int = 0

    @property
    def text_x(self) -> int:
        """Where the words begin."""
        return LEFT + LANE * max(len(self.lanes), 1)

    @property
    def width(self) -> int:
        """In pixels."""
        return self.text_x + TEXT

    @property
    def height(self) -> int:
        """In pixels."""
        return (self.rows[-1].y if self.rows else TOP) + 2 * ROW


def picture_of(
    records: Iterable[Record], timers: Timers | None = None, files: FileNames | None = None, most: int = MOST_ROWS
) -> Picture:
    """Lay out a story, in at most that many rows."""
    files = files or FileNames()
    drawn, said, end = _Drawing(most), _Said(), Conclusion([], 0)
    for record in folded(records):
        if isinstance(record, Event):
            drawn.add(record)
        elif isinstance(record, Conclusion):
            end = record
        else:
            said.add(record)
    picture = drawn.picture(end.servers)
    picture.bands = [
        *(
            band
            for fault in said.first(Fault)
            for name in fault.servers
            for band in drawn.band(
                "fault", name, fault.since, _end_of(fault), summary_sentences.of_fault(fault), picture
            )
        ),
        *(
            band
            for outage in said.first(Outage)
            for band in drawn.band(
                "outage", outage.server, outage.since, outage.until, summary_sentences.of_outage(outage), picture
            )
        ),
    ]
    tell = sentences(timers, files)
    paragraphs = (sentence.partition(WHERE) for sentence in said.of(Incident, tell[Incident]))
    picture.happened = [(words, where) for words, _, where in paragraphs]
    if all(words.startswith(NOT_SEEN) for words, _ in picture.happened):
        picture.happened.insert(0, (of_no_incident(end), ""))
    picture.files = files.said()
    picture.sentences = {
        TITLES[Election]: list(grouped(said.of(Election, tell[Election]))),
    }
    picture.sentences |= {title: said.of(kind, tell[kind]) for kind, title in TITLES.items() if kind is not Election}
    return picture


class _Said:
    """The first records of each kind, and how many more there are."""

    def __init__(self) -> None:
        self._first: dict[type, list[Any]] = {kind: [] for kind in (Incident, *TITLES)}
        self._more: Counter[type] = Counter()

    def add(self, record: Record | Series) -> None:
        kind = record.kind if isinstance(record, Series) else type(record)
        kept = self._first[kind]
        if len(kept) < MOST_SENTENCES:
            kept.append(record)
        else:
            self._more[kind] += record.count if isinstance(record, Series) else 1

    def first(self, kind: type[_Kind]) -> list[_Kind]:
        return self._first[kind]

    def of(self, kind: type, told: Callable[[Any], str]) -> list[str]:
        """A sentence for each, and one about those that are left out."""
        more = self._more[kind]
        rest = [f"And {more} more, which are not told here: as text or JSON the story has all of them."]
        return [*map(told, self._first[kind]), *(rest if more else [])]


def _end_of(fault: Fault) -> datetime | None:
    """Until when a fault is drawn; None means to the end. One whose end is unknown is drawn where it began."""
    return None if fault.lasts else fault.until or fault.since


class _Drawing:
    def __init__(self, most: int) -> None:
        self._most = most
        self._rows: list[tuple[Row, Event]] = []
        self._roles: dict[str, Role] = {}
        self._first: datetime | None = None
        self._day: date | None = None
        self._left_out = 0
        self._y = TOP

    def add(self, event: Event) -> None:
        words = phrase(event)
        role = self._roles[event.server] = _ROLES.get(event.event, self._roles.get(event.server, "follower"))
        if words is None:
            return
        if self._rows and not self._left_out and self._is_again(event):
            row, first = self._rows[-1]
            self._rows[-1] = (replace(row, times=row.times + 1), first)
            return
        if len(self._rows) >= self._most:
            self._left_out += 1
            return
        pause = self._pause(event.time)
        self._y += ROW + (GAP if pause else 0)
        self._rows.append((
            Row(
                len(self._rows) + 1, self._y, 0, event.server, role, self._clock(event.time), self._since(event.time),
                pause, words, event.line.strip(),
            ),
            event,
        ))  # fmt: skip

    def _is_again(self, event: Event) -> bool:
        """Whether it repeats the row before: a leader that cannot reach a server logs that many times."""
        before = self._rows[-1][1]
        return (before.server, before.event, before.peer) == (event.server, event.event, event.peer)

    def _since(self, time: datetime | None) -> str:
        if time is None:
            return ""
        self._first = self._first or time
        return durations.offset(self._first, time)

    def _clock(self, time: datetime | None) -> str:
        """The time of day by the clock of the first event, with the date where the day changes."""
        if time is None:
            return ""
        self._first = self._first or time
        time = durations.on_the_clock_of(self._first.tzinfo, time)
        is_new, self._day = self._day != time.date(), time.date()
        return f"{time:%Y-%m-%d} {time:%H:%M:%S}" if is_new else f"{time:%H:%M:%S}"

    def _pause(self, time: datetime | None) -> str:
        before = next((event.time for _, event in reversed(self._rows) if event.time), None)
        if time is None or before is None:
            return ""
        seconds = (time - before).total_seconds()
        return durations.duration(seconds) if seconds >= PAUSE_SECONDS else ""

    def picture(self, servers: list[str]) -> Picture:
        lanes = [Lane(name, LEFT + LANE // 2 + LANE * number) for number, name in enumerate(servers)]
        places = {lane.server: lane.x for lane in lanes}
        picture = Picture(lanes, left_out=self._left_out)
        for row, event in self._rows:
            x = places.get(row.server, LEFT)
            picture.rows.append(replace(row, x=x))
            if event.event in _ARROWS and event.peer in places and event.peer != event.server:
                way, meaning = _ARROWS[event.event]
                ends = (x, places[event.peer]) if way == "out" else (places[event.peer], x)
                picture.arrows.append(Arrow(row.number, row.y, *ends, meaning))
        picture.segments = [segment for lane in lanes for segment in _segments(lane, picture)]
        return picture

    def band(  # noqa: PLR0913, PLR0917 - all that a band is
        self,
        meaning: Literal["outage", "fault"],
        server: str,
        since: datetime | None,
        until: datetime | None,
        words: str,
        picture: Picture,
    ) -> list[Band]:
        """Where the rows of a time are, in a server's lane; none where no row is in it."""
        x = next((lane.x for lane in picture.lanes if lane.server == server), None)
        if since is None or x is None:
            return []
        moments = [(row.y, event.time) for row, event in self._rows if event.time is not None]
        inside = [y for y, time in moments if since <= time and (until is None or time <= until)]
        if not inside:
            return []
        end = inside[-1] if until else picture.height - ROW
        return [Band(meaning, server, x, inside[0], max(end, inside[0] + 1), words)]


def _segments(lane: Lane, picture: Picture) -> list[Segment]:
    segments: list[Segment] = []
    role: Role = "follower"  # every server begins as a follower, until it says otherwise
    begin = TOP
    for row in picture.rows:
        if row.server == lane.server and row.role != role:
            segments.append(Segment(lane.server, role, lane.x, begin, row.y))
            role, begin = row.role, row.y
    return [*segments, Segment(lane.server, role, lane.x, begin, picture.height - ROW)]
