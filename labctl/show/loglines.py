"""Log lines as `labctl logs` prints them: the server's name in its colour, levels that stand out."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import click

from labctl.raft.read import is_raft
from labctl.show.style import coloured, harmless, paint, paint_server, sign

if TYPE_CHECKING:
    from collections.abc import Callable

    from labctl.engine.logs import LogLine

_ALARMING = re.compile(r"\[(WARN|ERR|ERROR)\]")


def printer(*, servers: list[str], raft: bool, as_json: bool, prefix: bool) -> Callable[[LogLine], None]:
    """Make the function that prints a line, or leaves it out where only Raft is asked for."""
    longest = max((len(name) for name in servers), default=0)
    colour = coloured()
    bar = sign("bar")

    def text(line: LogLine) -> str:
        body = harmless(line.text)
        alarm = _ALARMING.search(body)
        if alarm:
            style = "yellow" if alarm.group(1) == "WARN" else "red"
            body = f"{body[: alarm.start()]}{paint(alarm.group(), style, colour=colour)}{body[alarm.end() :]}"
        if not prefix:
            return body
        return f"{paint_server(line.server, f'{line.server:<{longest}} {bar}', colour=colour)} {body}"

    def write(line: LogLine) -> None:
        if raft and not is_raft(line.text):
            return
        if as_json:
            click.echo(json.dumps({"time": line.taken, "server": line.server, "line": line.text}))
        else:
            click.echo(text(line), color=colour)

    return write
