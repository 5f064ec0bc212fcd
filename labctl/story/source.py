"""`labctl story`: the events of a lab, or of saved logs, and what is shown of them."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from labctl.engine import client as engine
from labctl.engine import clock, logs, status
from labctl.engine.labs import choose_lab
from labctl.errors import ExitCode, LabctlError
from labctl.raft import record_stream
from labctl.raft.collection import collect
from labctl.raft.event import OTHER, Event
from labctl.raft.prefilter import is_likely, may_name
from labctl.raft.reader import is_told, read_line
from labctl.raft.server_names import Names
from labctl.raft.timers import timers_of
from labctl.shared import lab_names
from labctl.shared.durations import DAY, SECONDS
from labctl.story import container_acts, log_files, own_stamps
from labctl.story.coverage import Coverages
from labctl.story.log_clock import LogClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import tzinfo

    from labctl.engine.client import Client
    from labctl.engine.labs import Lab
    from labctl.engine.logs import LogLine
    from labctl.raft.collection import Record
    from labctl.raft.records import Election
    from labctl.raft.timers import Timers
    from labctl.story.log_files import Recording

_OFFSET = re.compile(r"([+-])([01][0-9]|2[0-3]):?([0-5][0-9])?", re.ASCII)
_LONGEST_AGO = 36_525 * DAY
_AGO = re.compile(r"([0-9]{1,6})([smhd])")

# What ends the wait of one term and begins the next: a server says it while it still is in the old one.
_OF_THE_TERM_BEFORE = frozenset({"heartbeat_timeout", "newer_term_seen_on_vote"})


MOST_NOTES = 50


class Notes(list[str]):
    """Notes for a reader of a story, each once, and not more than anybody would read."""

    def say(self, sentence: str) -> None:
        """Take in a sentence."""
        if sentence not in self and len(self) < MOST_NOTES:
            self.append(sentence)


@dataclass(frozen=True)
class Source:
    """Where a story comes from.

    Attributes:
        events: in order of time.
        servers: the servers' names, where they are known before anything was read.
        timers: what the servers' timers are set to, where that is known.
        names: who is who, as far as it is known beforehand.
        reached: how far the logs go, once all events were read; None where that is unknown.
        files: what is read; None is standard input.
        logs: the names for lines of the logs.
        notes: notes for a reader of the story, in sentences; complete when all events were read.
        coverages: how much of the logs was read, once all events were.
        goes_on: whether it is followed: then pauses are among its events.
        complete: whether these are the logs of all servers of a cluster.
    """

    events: Iterator[Event]
    servers: list[str] = field(default_factory=list)
    timers: Timers | None = None
    names: Names = field(default_factory=Names)
    reached: Callable[[], datetime | None] = lambda: None
    files: tuple[Path | None, ...] = ()
    logs: tuple[str, ...] = ()
    notes: Notes = field(default_factory=Notes)
    coverages: Coverages = field(default_factory=Coverages)
    goes_on: bool = False
    complete: bool = False

    def records(self, since: datetime | None = None) -> Iterator[Record]:
        """Its story, from a time on: what was over by then is left out."""
        told = record_stream.records(
            self.events, since=since, names=self.names, reached=self.reached, complete=self.complete
        )
        return (record for record in told if not is_pause(record)) if self.goes_on else told


def source(  # noqa: PLR0913 - what `labctl story` can be told
    what: Sequence[str],
    *,
    sample: str = "",
    follow: bool = False,
    everything: bool = False,
    raft_multiplier: int | None = None,
    owner: str = "",
    lab: str | None = None,
    called: Mapping[str, str] | None = None,
    zone: tzinfo | None = None,
    connect: Callable[[], Client] = engine.connect,
) -> Source:
    """Open what the user named: a recording that labctl ships, nothing or a lab, or else logs. Raises LabctlError.

    Where nothing is named, the lab is `lab`, else the only one of `owner`, or the only one there is. `called` says
    whose log a file is, `zone` the zone of stamps that name none, `connect` how the engine is reached.
    """
    asked = _Asked(follow, everything, called or {}, zone, connect)
    chosen = _source(what, asked, sample=sample, owner=owner, lab=lab)
    return chosen if raft_multiplier is None else replace(chosen, timers=timers_of(raft_multiplier))


class _Asked(NamedTuple):
    """How to read logs."""

    follow: bool
    everything: bool
    called: Mapping[str, str]
    zone: tzinfo | None
    connect: Callable[[], Client]


def _source(what: Sequence[str], asked: _Asked, *, sample: str, owner: str, lab: str | None) -> Source:
    if sample:
        if what or asked.follow:
            raise LabctlError("--sample NAME is a story of its own: leave out the rest.", ExitCode.USAGE)
        of_sample = log_files.sample(sample)
        return _of_recordings(of_sample, timers_of(log_files.MULTIPLIER), asked)
    if not what or (len(what) == 1 and _means_a_lab(what[0])):
        if asked.called or asked.zone is not None:
            raise LabctlError("--name and --timezone are for logs: a lab's are known.", ExitCode.USAGE)
        return _of_lab(asked.connect(), what[0] if what else lab, owner, asked)
    if asked.follow and list(what) != [log_files.STANDARD_INPUT]:
        raise LabctlError("Only a lab, or `-` for standard input, can be followed.", ExitCode.USAGE)
    recordings = log_files.find(what, asked.called, live=asked.follow)
    multiplier = log_files.multiplier_of(recordings)
    timers = timers_of(multiplier) if multiplier else None
    return _of_recordings(recordings, timers, asked)


def _of_recordings(recordings: list[Recording], timers: Timers | None, asked: _Asked) -> Source:
    names, reached, notes, coverages = Names(), log_files.LogEnd(), Notes(), Coverages(everything=asked.everything)
    events = log_files.events(
        recordings, everything=asked.everything, zone=asked.zone, names=names, reached=reached, note=notes.say,
        live=asked.follow, coverages=coverages,
    )  # fmt: skip
    files = tuple(recording.path for recording in recordings)
    return Source(
        coverages.checked(events), timers=timers, names=names, reached=lambda: reached.time, files=files, notes=notes,
        logs=tuple(recording.name for recording in recordings), coverages=coverages,
        complete=timers is not None,  # a bundle, or a sample, of a whole lab
    )  # fmt: skip


def _means_a_lab(name: str) -> bool:
    """Whether a word names a lab: it could, and there is no file of that name."""
    return lab_names.name_problem(name) is None and not log_files.is_there(Path(name), unknown=False)


def _of_lab(client: Client, name: str | None, owner: str, asked: _Asked) -> Source:
    everything = asked.everything
    lab = choose_lab(client, name, owner)
    servers = list(lab.servers)
    if asked.follow:
        of_lab = of_lines(lab, container_acts.follow(client, lab, servers), everything=everything, live=True)
        return replace(of_lab, names=names_of(lab, ask=True), goes_on=True)
    lines = logs.LineFile(logs.read(client, servers))
    acts = container_acts.so_far(client, lab)
    known = of_lines(lab, container_acts.beside(lines, acts, servers), everything=everything)
    # The line that says which ID is whose may come after those that name the ID. Few lines name a server at all.
    for event in events_of(lines.those(may_name)):
        known.names.learn(event)
    return replace(known, reached=lambda: _now(lab))


def _now(lab: Lab) -> datetime | None:
    """The time where the lab is: its logs go so far, even if nothing was logged for long."""
    with contextlib.suppress(LabctlError):
        return clock.now(lab.place)
    return None


def of_lines(lab: Lab, lines: Iterable[LogLine | None], *, everything: bool = False, live: bool = False) -> Source:
    """The lines of a lab, and what is known of it."""
    names, notes = names_of(lab), Notes()
    servers = [server.name for server in lab.servers]
    events = events_of(lines, everything=everything, live=live, note=notes.say)
    return Source(events, servers, timers_of(lab.raft_multiplier), names, notes=notes, complete=True)


def names_of(lab: Lab, *, ask: bool = False) -> Names:
    """Who is who in a lab: its addresses and, with `ask`, the IDs that its servers report, before a line has them."""
    names = Names()
    for server in lab.servers:
        names.add(server.name, server.address)
    for name, identity in status.ask(lab).identities if ask else ():
        names.identify(name, identity)
    return names


def pause(now: datetime) -> Event:
    """A placeholder event: no line came, and time has passed, so that what is over is reported."""
    return Event(now, "", OTHER, None, None, None, None, None, None, 0, "")


def is_pause(record: Record) -> bool:
    """Whether a record only says that time passed while a lab said nothing."""
    return isinstance(record, Event) and record.line_no == 0 and not record.server


def events_of(
    lines: Iterable[LogLine | None],
    *,
    everything: bool = False,
    live: bool = False,
    note: Callable[[str], None] = lambda _: None,
    late: timedelta | None = None,
) -> Iterator[Event]:
    """Read lines of a lab in order of time: by the servers' own stamps where these are as fine as Docker's.

    Where lines pause, there is a placeholder event (`is_pause`): what is over by then is reported.

    Args:
        lines: with Docker's time of each.
        everything: also the events that are `other`.
        live: the lines are reported as they come.
        note: receives notes about their order.
        late: how late a line may come; None is as late as such lines do.
    """
    numbers: dict[str, int] = {}
    clock_there = LogClock()
    for line in own_stamps.in_own_order(lines, live=live, note=note, late=late):
        if line is None:
            if now := clock_there.now():
                yield pause(now)
            continue
        clock_there.set(line.when)
        if line.of_docker:
            yield act_of(line)
            continue
        number = numbers[line.server] = numbers.get(line.server, 0) + 1
        if not (everything or is_likely(line.text)):
            continue
        event = read_line(line.text, server=line.server, line_no=number)
        if event is not None and (everything or is_told(event)):
            yield event._replace(time=line.when or event.time)


def act_of(line: LogLine) -> Event:
    """An act on a server: it is in no log, so it has no line number and no level."""
    read = read_line(line.text, server=line.server, line_no=0)
    if read is None:
        raise ValueError(line.text)
    return read._replace(time=line.when or read.time, level=None)


def moment(text: str, now: datetime) -> datetime:
    """Read how long ago (`10m`) or when (`2021-01-24T00:02:16`); without a zone it is UTC. Raises LabctlError."""
    try:
        if match := _AGO.fullmatch(text):
            ago = int(match[1]) * SECONDS[match[2]]
            if ago > _LONGEST_AGO:
                raise LabctlError(
                    f"Cannot look back {text}: no log is older than 100 years. Give a shorter time, or leave out "
                    "--since.",
                    ExitCode.USAGE,
                )
            return now - timedelta(seconds=ago)
        time = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        sentence = f"{text!a} is no time: write how long ago, such as 10m, or when, such as 2021-01-24T00:02:16."
        raise LabctlError(sentence, ExitCode.USAGE) from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def zone(text: str) -> tzinfo:
    """Read a zone by its name (`Europe/Berlin`), or by its offset (`+02:00`). Raises LabctlError."""
    if match := _OFFSET.fullmatch(text):
        away = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
        return timezone(-away if match[1] == "-" else away)
    try:
        return UTC if text in {"UTC", "Z"} else ZoneInfo(text)
    except (OSError, ValueError, KeyError) as error:
        raise LabctlError(
            f"{text!a} is no time zone: write its name, such as Europe/Berlin, or its offset, such as +02:00.",
            ExitCode.USAGE,
        ) from error


def called(pairs: Sequence[str]) -> dict[str, str]:
    """Read which file is whose log: `FILE=NAME`. Raises LabctlError."""
    servers: dict[str, str] = {}
    for pair in pairs:
        file, _, server = pair.rpartition("=")
        if not file or not server.strip() or not server.isprintable():
            raise LabctlError(f"{pair!a} names no server: write FILE=NAME.", ExitCode.USAGE)
        if servers.setdefault(file, server) != server:
            raise LabctlError(f"{file} cannot be both {servers[file]} and {server}.", ExitCode.USAGE)
    return servers


def of_one_election(source: Source, number: int) -> Iterator[Record]:
    """The story of one election, counted from 1 in the order in which they began. Raises LabctlError.

    It begins where the candidate gave up waiting for a leader and ends where the election, and what followed from
    it in the same term, was over.
    """
    whole = collect(source.records())
    there = len(whole.elections)
    if not 1 <= number <= there:
        raise LabctlError(
            f"There is no election {number}: the story has {there}" + (f", 1 to {there}." if there else "."),
            ExitCode.USAGE,
        )
    election = whole.elections[number - 1]
    mine = (election.candidate, election.term)
    return replace(
        whole,
        events=_around(whole.events, election),
        # What sums up several times without a leader is about other elections, too.
        incidents=[it for it in whole.incidents if it.kind != "flapping" and it.covers(election.start)],
        elections=[election],
        pre_votes=[],
        leaders=[leader for leader in whole.leaders if (leader.server, leader.term) == mine],
        outages=[outage for outage in whole.outages if (outage.leader, outage.term) == mine],
        faults=[fault for fault in whole.faults if fault.overlaps(election.start, election.end)],
    ).records()


def _around(told: list[Event], election: Election) -> list[Event]:
    """The events of an election's term, with the candidate's timeout in front of them."""
    events = []
    waiting: Event | None = None
    for event in told:
        if event.server == election.candidate and event.event == election.cause:
            waiting = event
        if election.term is None or event.term != election.term or event.event in _OF_THE_TERM_BEFORE:
            continue
        if waiting is not None and event.server == election.candidate:
            events += [waiting] if waiting is not event else []
            waiting = None
        events.append(event)
    return events
