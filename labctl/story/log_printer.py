"""Log lines as `labctl logs` prints them: the server's name in its colour, levels that stand out, Raft in words."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC
from typing import TYPE_CHECKING, Any

import click

from labctl.raft import log_notes
from labctl.raft.event_sentences import phrase
from labctl.raft.reader import is_raft, is_unparsed, read_line
from labctl.raft.records import Election
from labctl.raft.story import Story
from labctl.raft.summary_sentences import of_election
from labctl.raft.timers import timers_of
from labctl.shared.words import stamp
from labctl.story.log_clock import LogClock
from labctl.story.repeats import FoldedEvent, Repeats, once
from labctl.story.source import act_of, names_of
from labctl.terminal.live_lines import LinesBelow
from labctl.terminal.style import (
    coloured,
    cut,
    harmless,
    paint,
    paint_server,
    sign,
    terminal_columns,
    width,
    wrapped,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labctl.engine.labs import Lab, Server
    from labctl.engine.logs import LogLine
    from labctl.raft.event import Event
    from labctl.raft.server_names import Names
    from labctl.raft.timers import Timers

_ALARMING = re.compile(r"\[(WARN|ERR|ERROR)\]")


class LogLines:
    """Prints lines.

    Args:
        servers: whose logs they are.
        as_json: one document a line.
        prefix: put the server's name in front.
    """

    def __init__(self, servers: list[Server], *, as_json: bool, prefix: bool) -> None:
        self._longest = max((width(harmless(server.name)) for server in servers), default=0)
        self._as_json, self._prefix = as_json, prefix
        self._colour = coloured()

    def wait(self) -> None:
        """No line comes for a moment."""

    def finish(self) -> None:
        """The logs have ended."""

    def write(self, line: LogLine) -> None:
        """Print a line."""
        if self._as_json:
            click.echo(json.dumps(line_row(line)))
        else:
            click.echo(self._text(line), color=self._colour)

    def _text(self, line: LogLine) -> str:
        body = harmless(line.text)
        alarm = _ALARMING.search(body)
        if alarm:
            style = "yellow" if alarm.group(1) == "WARN" else "red"
            body = f"{body[: alarm.start()]}{paint(alarm.group(), style, colour=self._colour)}{body[alarm.end() :]}"
        return f"{self._front(line.server)} {body}" if self._prefix else body

    def _front(self, server: str) -> str:
        name = harmless(server)
        blank = " " * (self._longest - width(name))
        return paint_server(server, f"{name}{blank} {sign('bar')}", colour=self._colour)


class RaftLines(LogLines):
    """Prints Raft's events in words: each line's meaning, repeats folded, each election as soon as it is over.

    Args:
        servers: whose logs they are.
        as_json: one document a line, none left out.
        prefix: put time and server in front; without it, only the lines about Raft as they came.
        lines: each line as it came under what it means, none left out.
        names: who is who, as far as it is known beforehand.
        timers: what the servers' timers are set to, where that is known.
    """

    def __init__(  # noqa: PLR0913 - how it is to look
        self,
        servers: list[Server],
        *,
        as_json: bool,
        prefix: bool,
        lines: bool = False,
        names: Names | None = None,
        timers: Timers | None = None,
    ) -> None:
        super().__init__(servers, as_json=as_json, prefix=prefix)
        self.story = Story(names=names)
        self._timers = timers
        self._number = 0
        self._lines = lines
        self.clock = LogClock()
        self._below = LinesBelow(sys.stdout)
        self._repeats = Repeats(reports=not self._below.rewrites)
        for server in servers:
            self.story.names.add(server.name, server.address)

    def write(self, line: LogLine) -> None:
        """Print a line about Raft, or what it means."""
        self._number += not line.of_docker
        number = self._number
        read = act_of(line) if line.of_docker else read_line(line.text, server=line.server, line_no=number)
        if read is None:
            return
        event = self.story.feed(read._replace(time=line.when or read.time))
        self.clock.set(event.time)
        if event.time is not None:
            # Also a line that is not about Raft shows that time has passed.
            self.story.settle(event.time)
        is_shown = is_raft(event) or event.module in {log_notes.MODULE, log_notes.DOCKER}
        is_told = is_shown and (self._lines or phrase(event) is not None or is_unparsed(event))
        elections = [election for election in self.story.drain() if isinstance(election, Election)]
        if self._as_json or not self._prefix:
            if is_shown:
                self._write_alone(line, event)
            return
        told = [text for told_ in self._folded(event, told=is_told) for text in self._told(told_)]
        self._show(told + [text for election in elections for text in self._of_election(election)])

    def wait(self) -> None:
        """Print the elections that are over by now: no line may come for long."""
        now = self.clock.now()
        if now is not None and not self._as_json and self._prefix:
            self.story.settle(now)
            elections = [election for election in self.story.drain() if isinstance(election, Election)]
            if elections:
                self._show([text for election in elections for text in self._of_election(election)])

    def finish(self) -> None:
        """The logs have ended: print what went on, and the elections that are over now."""
        self.story.finish()
        elections = [election for election in self.story.drain() if isinstance(election, Election)]
        if self._as_json or not self._prefix:
            return
        told = [text for told_ in self._repeats.finish() for text in self._told(told_)]
        self._show(told + [text for election in elections for text in self._of_election(election)])

    def _write_alone(self, line: LogLine, event: Event) -> None:
        if self._as_json:
            click.echo(json.dumps({**line_row(line), **meaning_row(event)}))
        else:
            click.echo(self._text(line), color=self._colour)

    def _folded(self, event: Event, *, told: bool) -> Iterable[FoldedEvent]:
        """What to print for an event; even an event that is not printed may end a repetition."""
        if self._lines:
            return [once(event)] if told else []
        return self._repeats.take(event) if told else self._repeats.over(event)

    def _show(self, told: list[str]) -> None:
        self._below.write(told, [self._cut(told_) for told_ in self._repeats.going_on()])

    def _told(self, told: FoldedEvent) -> list[str]:
        """One event, in as many lines as it needs; an unknown line is cut to fit."""
        event, words = told.event, told.sentence
        front, indent = self._time_and_server(event)
        lines = self._wrapped(front, indent, words) if words is not None else []
        if self._lines:
            lines += self._wrapped(front, indent, event.line.strip(), "dim")
        elif words is None:
            lines += [f"{front} {paint(self._line(event, indent), 'dim', colour=self._colour)}"]
        return lines

    def _line(self, event: Event, indent: int) -> str:
        raw = harmless(event.line.strip())
        # The time stands in front already.
        bare = raw[max(raw.find("["), 0) :]
        return cut(bare, self._columns - indent) if self._columns else bare

    def _wrapped(self, front: str, indent: int, words: str, style: str = "") -> list[str]:
        columns, words = self._columns, harmless(words)
        lines = wrapped(words, max(columns - indent, 20), indent="  ").split("\n") if columns else [words]
        first, *more = [paint(line, style, colour=self._colour) for line in lines]
        return [f"{front} {first}", *(" " * indent + line for line in more)]

    def _cut(self, told: FoldedEvent) -> str:
        front, indent = self._time_and_server(told.event)
        return f"{front} {paint(cut(told.sentence or '', self._columns - indent), 'dim', colour=self._colour)}"

    def _of_election(self, election: Election) -> list[str]:
        """The sentence of an election that is over, set off from the servers' lines."""
        text = f"{sign('point')} {harmless(of_election(election, self._timers))}"
        lines = wrapped(text, max(self._columns, 40), indent="  ").split("\n") if self._columns else [text]
        return [paint(line, "bold", colour=self._colour) for line in lines]

    def _time_and_server(self, event: Event) -> tuple[str, int]:
        """The front of a line, and how many columns it takes with the blank behind it."""
        clock = f"{event.time:%H:%M:%S}.{event.time.microsecond // 1000:03}" if event.time else " " * 12
        name = self._front(event.server)
        return f"{paint(clock, 'dim', colour=self._colour)} {name}", width(clock) + width(name) + 2

    @property
    def _columns(self) -> int:
        """How wide the terminal is now; 0 where there is none."""
        return terminal_columns() or 0


def raft_lines(lab: Lab, servers: list[Server], *, as_json: bool, prefix: bool, lines: bool) -> LogLines:
    """A printer for the lines about Raft of some servers of a lab. The servers are asked for their IDs."""
    timers = timers_of(lab.raft_multiplier)
    names = names_of(lab, ask=True)
    return RaftLines(servers, as_json=as_json, prefix=prefix, lines=lines, names=names, timers=timers)


def line_row(line: LogLine) -> dict[str, Any]:
    """One line as `labctl logs --json` prints it."""
    written = stamp(line.written and line.written.astimezone(UTC))
    return {"time": written or line.taken, "server": line.server, "line": line.text}


def meaning_row(event: Event) -> dict[str, Any]:
    """The fields that `--raft` adds to it."""
    return {"event": event.event, "term": event.term, "words": phrase(event)}
