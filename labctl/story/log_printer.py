"""Log lines as `labctl logs` prints them: the server's name in its colour, levels that stand out, Raft in words."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import click

from labctl.raft.event_sentences import phrase
from labctl.raft.reader import is_raft, read_line
from labctl.raft.story import Story
from labctl.show.style import coloured, harmless, paint, paint_server, sign, width

if TYPE_CHECKING:
    from labctl.engine.labs import Server
    from labctl.engine.logs import LogLine
    from labctl.raft.event import Event

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
    """Prints only the lines about Raft, and under each what it means; without the prefix, the lines alone."""

    def __init__(self, servers: list[Server], *, as_json: bool, prefix: bool) -> None:
        super().__init__(servers, as_json=as_json, prefix=prefix)
        self._story = Story()
        self._number = 0
        for server in servers:
            self._story.names.add(server.name, server.address)

    def write(self, line: LogLine) -> None:
        """Print a line about Raft."""
        self._number += 1
        read = read_line(line.text, server=line.server, line_no=self._number)
        if read is None:
            return
        event = self._story.tell(read._replace(time=line.when or read.time))
        # Nobody asks for what is settled, and a log may have no end.
        self._story.take()
        if not is_raft(event):
            return
        if self._as_json:
            click.echo(json.dumps({**line_row(line), **meaning_row(event)}))
            return
        click.echo(self._text(line), color=self._colour)
        words = phrase(event)
        if words and self._prefix:
            said = paint(f"{sign('means')} {words}", "dim", colour=self._colour)
            click.echo(f"{self._front(line.server)}   {said}", color=self._colour)


def line_row(line: LogLine) -> dict[str, Any]:
    """One line as `labctl logs --json` prints it."""
    return {"time": line.taken, "server": line.server, "line": line.text}


def meaning_row(event: Event) -> dict[str, Any]:
    """What `--raft` adds to it."""
    return {"event": event.event, "term": event.term, "words": phrase(event)}
