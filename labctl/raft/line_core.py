"""A server's own words, taken apart: how grave, which module, what it says, and its named values.

Here nothing stands in front of them. They are other people's text: nothing in them can make a function raise.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from labctl.raft.durations import is_of_a_clock, of_whole_seconds
from labctl.raft.event import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST = 65_536
"""Characters of a line that are looked at; Docker itself cuts lines at 16 KiB."""

LEVELS = {
    "TRACE": "trace",
    "TRC": "trace",
    "DEBUG": "debug",
    "DBG": "debug",
    "INFO": "info",
    "INF": "info",
    "WARN": "warn",
    "WRN": "warn",
    "ERROR": "error",
    "ERR": "error",
}

# Colours, cursor moves, window titles: whole sequences, so that their parameters do not stay behind as text.
_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]"
)

LEVEL = re.compile(r"\[([A-Z]{3,5})\][ ]*", re.ASCII)
MODULE = re.compile(r"([A-Za-z][\w.-]{0,80}):[ ]+", re.ASCII)
_INNER_MODULE = re.compile(r"(raft|raft-net|serf|memberlist):[ ]+")
# Syslog drops date and level, so only these names make a line one of a server's.
_SERVERS_MODULES = re.compile(
    r"consul|nomad|agent(?:\.client|\.server(?:\.[a-z.]+)?)?"
    r"|(?:[\w-]+\.)*(?:raft|raft-net|serf|memberlist|autopilot)(?:\.[\w-]+)*"
)
# The caller of the logger, where a server is configured to log it.
CALLER = re.compile(r"[\w./@+-]{1,200}\.go:\d{1,6}:[ ]+", re.ASCII)

REPEATED = 512
"""Servers repeat themselves with only the stamp changed: texts of up to this many characters are remembered."""

# "backoff time=10ms" is one key with a blank (raft replication.go:414).
VALUES_BEGIN = re.compile(r":[ ](?=[A-Za-z][\w.-]{0,40}(?:[ ]time)?=)", re.ASCII)
# Before hclog 1.0 quotes inside quotes are not escaped: a value ends at a quote before a key or the end.
_VALUE = re.compile(
    r"""(?P<key>[A-Za-z][\w.-]{0,40}(?:[ ]time)?)=
        (?: "(?: (?P<quoted>.*?) "(?=,?$|[ ][A-Za-z][\w.-]{0,40}(?:[ ]time)?=) | (?P<unclosed>.*)$ )
          | (?P<bare>\[[^\]"]{0,500}\] | [^\s"]*) )
    """,
    re.VERBOSE | re.ASCII,
)
_SUFFRAGE = {0: "Voter", 1: "Nonvoter", 2: "Staging"}


class Envelope(NamedTuple):
    """One line of a server's log, taken apart.

    Attributes:
        time: when the server wrote it, with its zone; None where the line does not say.
        level: `trace`, `debug`, `info`, `warn`, `error`, or None where it was stripped.
        module: as written (`raft`, `agent.server.raft`, `consul`), or None where the line names none.
        message: what it says, without the named values behind it.
        values: the `key=value` pairs, or the other members of a JSON line, all as text.
        source: the container, the pod or the file (of `grep -H`, as it is written) that the line says it is of, or
            None.
        host: the machine that syslog, journald or a shipper names, or a word in front that may be one, or None.
        carried: the stamp of who carried the line (Docker, journald, a log store), or None; `time` is it only where
            the server's own stamp is missing, or has no zone and this one has.
        naive: the server's own stamp where it has no zone, as it is written, without one; else None.
        tag: by what Fluentd or Fluent Bit sorts its lines (`kube.consul`), or None: it may be of a server, or of all.
    """

    time: datetime | None
    level: str | None
    module: str | None
    message: str
    values: Mapping[str, str] = NOTHING
    source: str | None = None
    host: str | None = None
    carried: datetime | None = None
    naive: datetime | None = None
    tag: str | None = None


def clean(line: str) -> str:
    """Return the line as one that is safe on a terminal: no escape sequence, control or bidi character."""
    line = line.rstrip("\r\n")
    if line.isprintable():
        return line
    line = _ESCAPE.sub("", line).replace("\t", " ")
    return "".join(character for character in line if character.isprintable())


@lru_cache(maxsize=4096)
def taken_apart(text: str) -> tuple[str | None, str | None, str, Mapping[str, str]]:
    """Take apart what stands behind the stamp: level, module, message, values."""
    match = LEVEL.match(text)
    level = LEVELS.get(match[1]) if match else None
    if match and level:
        text = text[match.end() :]
    named = MODULE.match(text)
    message, values = _split_values(text[named.end() :] if named else text)
    module, message = inner(named[1] if named else None, message)
    return level, module, message, values


def inner(module: str | None, message: str) -> tuple[str | None, str]:
    """Serf and memberlist name themselves again inside their message; so does Raft inside NATS."""
    match = _INNER_MODULE.match(message)
    if match is None or module is None:
        return module, message
    known = match[1] in module.split(".")
    return (module if known else f"{module}.{match[1]}"), message[match.end() :]


def _split_values(text: str) -> tuple[str, Mapping[str, str]]:
    begin = VALUES_BEGIN.search(text)
    if begin is None:
        return text, NOTHING
    values: dict[str, str] = {}
    for match in _VALUE.finditer(text, begin.end()):
        quoted = match["quoted"] if match["quoted"] is not None else match["unclosed"]
        values[match["key"]] = match["bare"] if quoted is None else quoted.replace('\\"', '"')
    return text[: begin.start()], values


@lru_cache(maxsize=256)
def is_of_a_server(module: str) -> bool:
    """Whether only a server that uses Raft has a module of this name: then it is known where its level was taken."""
    return _SERVERS_MODULES.fullmatch(module) is not None


def moment(stamp: str) -> datetime | None:
    """The moment of a stamp in ISO 8601; None if it is not one."""
    try:
        time = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    if not is_of_a_clock(time):
        return None
    return time if time.microsecond or "." in stamp else of_whole_seconds(time)


def as_text(value: Any) -> str:
    """Write a JSON value as the text format would; `{}` is what is left of a server object."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        if {"Suffrage", "ID", "Address"} <= value.keys():
            kind = value["Suffrage"]
            role = _SUFFRAGE.get(kind, kind) if isinstance(kind, int) else kind
            return f"{{{role} {value['ID']} {value['Address']}}}"
        if not value:
            return ""
    return json.dumps(value, ensure_ascii=False)
