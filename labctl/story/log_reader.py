"""Reads saved logs as one stream of events: the server of each line, and all lines in order of time.

A log that is in order is read once and as it comes. One that is not is sorted first, once it was read to its end: only
the lines that may be an event, and in a file without a name where they are many.
"""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import partial
from typing import TYPE_CHECKING

from labctl.raft.clocks import TELLS_OF_CLOCKS, Clocks
from labctl.raft.durations import about
from labctl.raft.line_order import Order, Stamp, microseconds, order_of, stamp_of
from labctl.raft.log_line import open_envelope
from labctl.raft.merge import merge
from labctl.raft.prefilter import likely_lines
from labctl.raft.raft_groups import RaftGroups
from labctl.raft.reader import is_told, read_line
from labctl.raft.speakers import SPEAKING, Speakers, own_address
from labctl.raft.time_window import in_window
from labctl.story import survey as surveys
from labctl.story.attribution import ONLY, Attribution, attributions, names_of_paths, several
from labctl.story.copies import without_copies
from labctl.story.coverage import Coverage, Coverages
from labctl.story.doubles import doubled, overlap, united
from labctl.story.line_forms import name_and_line
from labctl.story.line_sorter import LineSorter, WaitingLine
from labctl.story.live_names import LiveNames
from labctl.story.survey import NOBODY, Survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from labctl.raft.event import Event
    from labctl.raft.server_names import Names
    from labctl.story.log_files import LogEnd, Recording

MOST_STREAMS = 128
"""Servers of one input that are sorted separately; if there are more, they share a stream."""
MOST_CLOCKS = 5
LATE = timedelta(seconds=2)
"""A line of another server may come this late where several write into one stream."""
_NO_TIME = -(1 << 62)


@dataclass
class Log:
    """A recording, and what is known of it before it is read."""

    recording: Recording
    survey: Survey | None
    near: datetime
    coverage: Coverage
    zone: tzinfo = UTC
    attribution: Attribution = field(default_factory=Attribution)
    partly_read: set[str] = field(default_factory=set)
    is_double: bool = False
    guessed: str = ""
    _is_known: bool = False

    def __post_init__(self) -> None:
        self._latest = self.near + surveys.AHEAD

    def read(self, raw: bytes, number: int, near: datetime, zone: tzinfo) -> Event | None:
        """Read a line and its server."""
        name, raw = name_and_line(raw)
        line = raw.decode("utf-8", "replace")
        server = self.attribution.server or name or ""

        def read(near: datetime | None) -> Event | None:
            return read_line(
                line, server=server, line_no=number, file=self.recording.name, zone=zone, near=near,
                otherwise=self.attribution.otherwise, of_hosts=self.attribution.of_hosts,
            )  # fmt: skip

        event = read(near)
        if event is not None and event.time is not None:
            if self._is_too_late(event.time):
                # Where it names no year, it is of the year before.
                event = read(near - surveys.YEAR)
            if not self._is_known:
                self._is_known, self.guessed = True, _guessed(read, near)
        self.coverage.see(event, number, line)
        if event is not None and event.server in self.attribution.called:
            event = event._replace(server=self.attribution.called[event.server])
        if event is None or not self.attribution.by_address:
            return event
        address = own_address(event)
        if not address:
            return None
        self.partly_read.add(address)
        return event._replace(server=address)

    def end(self, end: bytes, near: datetime, zone: tzinfo) -> datetime | None:
        """The last stamp at its end."""
        time = self.recording.time_at(end, near, zone)
        if time is not None and self._is_too_late(time):
            time = self.recording.time_at(end, near - surveys.YEAR, zone)
        return time

    def _is_too_late(self, time: datetime) -> bool:
        """Whether a stamp lies behind the moment at which the log was written, which may still go on."""
        if time <= self._latest:
            return False
        self._latest = max(self._latest, self.recording.written() + surveys.AHEAD)
        return time > self._latest

    def told_guess(self) -> str | None:
        """A sentence about stamps whose year or date is guessed; None where all say it themselves."""
        if not self.guessed:
            return None
        name = self.recording.name if self.recording.path else "standard input"
        when = "they were read" if self.recording.path is None else "the file was last written"
        which = "the latest one before" if self.guessed == "year" else "the one nearest to when"
        return f"The stamps of {name} name no {self.guessed}: it is guessed, {which} {when}."


def _guessed(read: Callable[[datetime | None], Event | None], near: datetime) -> str:
    """What the stamp of a line does not name: the `year`, the whole `date`, or nothing."""
    if (told := read(None)) is None or told.time is not None:
        return ""
    two_days = timedelta(days=2)
    times = [
        event.time for event in (read(near), read(near - two_days)) if event is not None and event.time is not None
    ]
    return "date" if times and times[0] - times[-1] == two_days else "year"


class Falls:
    """Where the lines of a log go back in time although it seemed to be in order."""

    def __init__(self) -> None:
        self.count = self._first = 0
        self._most = timedelta()
        self._before: datetime | None = None

    def see(self, time: datetime, number: int) -> None:
        """The next line has this time."""
        if self._before is not None and time < self._before - LATE:
            self.count += 1
            self._first = self._first or number
            self._most = max(self._most, self._before - time)
        self._before = time

    def told(self, name: str) -> str:
        """A sentence about that."""
        places = f"in line {self._first}" if self.count == 1 else f"at {self.count} places, first in line {self._first}"
        return (
            f"The stamps of {name} go back by {'' if self.count == 1 else 'up to '}{about(self._most.total_seconds())} "
            f"{places}. It is told in the order of its lines: put it in order with sort where that is not the servers'."
        )


class _Seen:
    """Facts about lines, collected while they are taken in; those of a server `as_they_stand` are not to be sorted."""

    def __init__(self, *, as_they_stand: bool = False) -> None:
        self._as_they_stand = as_they_stand
        self.latest: dict[str, int] = {}
        self.times: list[Stamp] = []
        self.speakers = Speakers()
        self.tags: set[str] = set()

    def take(self, stream: str, event: Event, raw: bytes) -> WaitingLine:
        """Take in a line's event. Returns what is kept of it: a line without a time stays behind its predecessor."""
        if stream not in self.latest and (envelope := open_envelope(event.line)) is not None and envelope.tag == stream:
            self.tags.add(stream)
        offset = timedelta()
        if event.time is not None:
            time = microseconds(event.time)
            self.latest[stream] = max(time, self.latest.get(stream, time)) if self._as_they_stand else time
            offset = event.time.utcoffset() or offset
            if len(self.times) < surveys.MOST_TIMES:
                self.times.append(stamp_of(event, event.time))
        self.speakers.take(event)
        return WaitingLine(self.latest.setdefault(stream, _NO_TIME), event.line_no, int(offset.total_seconds()), raw)


class LogReader:
    """Reads recordings.

    Args:
        recordings: which.
        everything: also events that are `other`.
        zone: that of stamps that have none; None learns it from their neighbours.
        names: learns who is who from the beginnings, before the first event is reported.
        reached: learns how far the logs go, once all were read.
        note: receives notes for a reader of the story, in sentences.
        live: standard input is still being written; its lines are reported as they come.
        coverages: learns how much was read of each.
        sorter: makes the sorter for the lines of an unsorted input, by its name.
    """

    def __init__(  # noqa: PLR0913 - all that a story is told from
        self,
        recordings: Iterable[Recording],
        *,
        everything: bool = False,
        zone: tzinfo | None = None,
        names: Names | None = None,
        reached: LogEnd | None = None,
        note: Callable[[str], None] = lambda _: None,
        live: bool = False,
        coverages: Coverages | None = None,
        sorter: Callable[[str], LineSorter] = LineSorter,
    ) -> None:
        self._recordings, self._sorter = list(recordings), sorter
        self._everything, self._zone, self._names = everything, zone, names
        self._reached, self._note, self._live = reached, note, live
        self._coverages = coverages or Coverages()

    def events(self) -> Iterator[Event]:
        """All events in one order of time. Raises LabctlError."""
        logs = without_copies([self._log(recording) for recording in self._recordings], self._note)
        self._coverages.logs = [log.coverage for log in logs]
        self._learn_zones(logs)
        for log in logs:
            self._look_at_order(log)
        if self._names is not None:
            for log in logs:
                log.partly_read = self._names.partly_read
        surveyed = [(log.recording, log.survey) for log in logs]
        firsts = doubled(surveyed, self._note)
        for log, attribution, first in zip(logs, attributions(surveyed, self._note, firsts), firsts, strict=True):
            log.attribution, log.is_double = attribution, logs[first] is not log
            self._learn_names(log)
        with contextlib.ExitStack() as kept:
            streams = self._streams(logs, kept)
            groups = RaftGroups()
            for event in streams[0] if len(streams) == 1 else self._watched(merge(streams, self._names)):
                if groups.take(event):
                    yield event
        for sentence in (*groups.notes(), *filter(None, (log.told_guess() for log in logs)), *self._coverages.notes()):
            self._note(sentence)

    def _watched(self, events: Iterator[Event]) -> Iterator[Event]:
        """The events of several servers; at their end, clocks that contradict each other are noted."""
        clocks = Clocks()
        for event in events:
            if event.event in TELLS_OF_CLOCKS:
                clocks.take(event)
            yield event
        if self._names is not None:
            for sentence in itertools.islice(clocks.notes(self._names), MOST_CLOCKS):
                self._note(sentence)

    # -- before the first event -----------------------------------------------------------------------------

    def _log(self, recording: Recording) -> Log:
        near, coverage = recording.written(), self._coverages.of(recording.name)
        if not recording.is_file():
            return Log(recording, None, near, coverage)
        chunks, whole = recording.beginning()
        survey = surveys.of_beginning(chunks, near)
        survey.is_whole = whole
        survey.last = recording.last_time(survey.first or near) or (survey.latest if whole else None)
        return Log(recording, survey, near, coverage)

    def _learn_zones(self, logs: list[Log]) -> None:
        """A stamp without a zone has that of its neighbours: in its log, else in the same server's others."""
        of_servers = {log.recording.server: log.survey.zone for log in logs if log.survey and log.survey.zone}
        others = {f"{log.survey.zone}" for log in logs if log.survey and log.survey.zone} - {"UTC"}
        for log in logs:
            own = log.survey.zone if log.survey else None
            log.zone = self._zone or own or of_servers.get(log.recording.server) or UTC
            if log.survey is None:
                continue
            for time in ("first", "last"):
                stamp = getattr(log.survey, time)
                setattr(log.survey, time, stamp and surveys.placed(stamp, log.zone))
            if self._zone is None and log.survey.lacks_zones and others and log.zone is UTC and own is None:
                self._note(
                    f"The stamps of {log.recording.name} name no zone, and are taken for UTC; others are of "
                    f"{', '.join(sorted(others))}. Say which with --timezone."
                )

    def _look_at_order(self, log: Log) -> None:
        if log.survey is None:
            return
        later = () if log.survey.is_whole else log.recording.samples(log.survey.first or log.near)
        surveys.set_order(log.survey, log.zone, later)
        self._tell_order(log.recording.name, log.survey.order)

    def _tell_order(self, name: str, order: Order) -> None:
        if order.kind == "reversed":
            self._note(f"{name} has its newest line first: it is told from its end to its beginning.")
        elif order.kind == "set back":
            self._note(
                f"The stamps of {name} go back by {about(order.back.total_seconds())}: a clock was set back, or lines "
                "of another server are among them. It is told in the order of its lines."
            )
        elif order.kind == "mixed":
            unless = ""
            if order.back:
                back = about(order.back.total_seconds())
                unless = f" If instead its clock was set back by {back}, what is told of that time is out of order."
            self._note(f"The lines of {name} are not in order of time: they were put in it.{unless}")

    def _learn_names(self, log: Log) -> None:
        if log.survey is None or self._names is None:
            return
        for event in log.survey.events:
            server = log.attribution.of(event)
            if server is not None:
                self._names.learn(event if server == event.server else event._replace(server=server))
        log.survey.events = []

    # -- events ---------------------------------------------------------------------------------------------

    def _streams(self, logs: list[Log], kept: contextlib.ExitStack) -> list[Iterator[Event]]:
        streams: list[Iterator[Event]] = []
        pieces: dict[str, list[Log]] = {}
        for log in logs:
            kind = log.survey.order.kind if log.survey else None
            if kind in {"sorted", "set back"} and log.attribution.is_one:
                pieces.setdefault(log.attribution.server or log.attribution.otherwise, []).append(log)
            elif kind == "sorted":
                streams.append(in_window(self._as_they_stand(log), LATE))
            elif kind is None and self._live:
                streams.append(self._as_they_come(log))
            else:
                sorter = self._sorter(log.recording.name)
                kept.callback(sorter.close)
                streams += self._sorted(log, sorter)
        for server, of_one in pieces.items():
            of_one.sort(key=lambda log: (log.survey.first if log.survey else None) or log.near)
            parts, is_double = map(self._as_they_stand, of_one), any(log.is_double for log in of_one)
            if is_double:
                streams.append(united(parts))
            elif overlap([log.survey for log in of_one]):
                streams.append(united(parts, fine=True, left_out=partial(self._tell_left_out, server)))
            else:
                streams.append(itertools.chain.from_iterable(parts))
        return streams

    def _tell_left_out(self, server: str, doubles: int) -> None:
        if doubles:
            lines = "1 line stands" if doubles == 1 else f"{doubles} lines stand"
            self._note(f"{lines} in two logs of {server}, and {'is' if doubles == 1 else 'are'} told once.")

    def _as_they_stand(self, log: Log) -> Iterator[Event]:
        """The events of a log in the order of its lines."""
        recording, near, zone = log.recording, log.near, log.zone
        learns = self._zone is None and log.survey is not None and log.survey.lacks_zones
        speakers = Speakers() if log.attribution.is_one and not log.attribution.by_address else None
        end, falls = bytearray(), Falls()
        for number, raw in likely_lines(recording.chunks(end, log.coverage), everything=self._everything):
            event = log.read(raw, number, near, zone)
            if event is None or not (self._everything or is_told(event)):
                continue
            if event.time is not None:
                falls.see(event.time, number)
                near = event.time
                if learns and near.tzinfo is not zone:
                    zone = near.tzinfo or zone
            if speakers is not None and (event.event in SPEAKING or event.event == "config_initial"):
                speakers.take(event)
            yield event
        if speakers is not None and speakers.are_several and not log.attribution.is_said:
            self._note(f"{several(recording.name, speakers)} All are told as one server's.")
        if falls.count and log.survey is not None and log.survey.order.kind == "sorted":
            self._note(falls.told(recording.name))
        if self._reached is not None:
            self._reached.see(log.end(bytes(end), near, zone))

    def _sorted(self, log: Log, sorter: LineSorter) -> list[Iterator[Event]]:
        """The events of a log that is not, or may not be, in order of time: a stream for each server."""
        seen = _Seen(as_they_stand=log.survey is not None and log.survey.order.kind == "set back")
        for raw, event in self._read_all(log):
            stream = event.server if event.server in seen.latest or len(seen.latest) < MOST_STREAMS else NOBODY
            sorter.add(stream, seen.take(stream, event, raw))
        are_several = len(seen.latest) == 1 and seen.speakers.are_several
        order = log.survey.order if log.survey is not None else order_of(seen.times, of_several=are_several)
        name = log.recording.name if log.recording.path else "standard input"
        if log.survey is None:
            self._tell_order(name, order)
        says_whose = len(seen.latest) != 1 or log.attribution.is_said or log.attribution.by_address
        if seen.speakers.are_several and not says_whose and order.kind != "reversed":
            log.attribution.by_address = True
            self._note(f"{several(name, seen.speakers)} {ONLY}")
        if log.survey is None:
            # Only now are all names known.
            log.attribution.called = names_of_paths(seen.latest) | (
                dict.fromkeys(seen.tags, log.attribution.otherwise) if len(seen.latest) == 1 else {}
            )
        return [self._again(log, sorter, stream, order) for stream in sorter.streams()]

    def _read_all(self, log: Log) -> Iterator[tuple[bytes, Event]]:
        """Each line of a log that may be an event, with the event."""
        near, zone, end = log.near, log.zone, bytearray()
        for number, raw in likely_lines(log.recording.chunks(end, log.coverage), everything=self._everything):
            event = log.read(raw, number, near, zone)
            if event is None or not (self._everything or is_told(event)):
                continue
            if event.time is not None:
                near = event.time
                zone = near.tzinfo or zone if self._zone is None else zone
            yield raw, event
        if self._reached is not None:
            self._reached.see(log.end(bytes(end), near, zone))

    def _again(self, log: Log, sorter: LineSorter, stream: str, order: Order) -> Iterator[Event]:
        """Read the lines of a stream that wait."""
        for kept in _read(sorter, stream, order):
            zone = timezone(timedelta(seconds=kept.offset)) if kept.offset else UTC
            near = surveys.moment_of(kept.time) or log.near
            event = log.read(kept.line, abs(kept.number), near, zone)
            if event is not None:
                yield event

    def _as_they_come(self, log: Log) -> Iterator[Event]:
        """The events of a pipe that is still being written, sorted as far as a moment allows."""
        near, zone, names = log.near, log.zone, LiveNames(log.attribution.otherwise)
        self._note(f"Lines of standard input that come up to {LATE.seconds} s late are put where they belong.")

        def read() -> Iterator[Event | None]:
            nonlocal near
            for line in log.recording.live_lines(log.coverage, everything=self._everything):
                if line is None:
                    yield None
                    continue
                event = log.read(line[1], line[0], near, zone)
                if event is not None and (self._everything or is_told(event)):
                    near = event.time or near
                    yield event._replace(server=names.of(event))

        yield from in_window(read(), LATE)


def _read(sorter: LineSorter, stream: str, order: Order) -> Iterator[WaitingLine]:
    if order.kind == "set back" and not sorter.spilled:
        return sorter.as_added(stream)
    return sorter.read(stream, newest_first=order.kind == "reversed")
