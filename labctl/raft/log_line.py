"""A line of a log, taken apart: when, how grave, which module, what it says, and its named values.

The envelopes of all generations of Consul are read here, whatever stands in front of them (docker compose,
Docker's or kubectl's own stamps, journald, syslog). A line is other people's text: nothing in it can make a
function raise.
"""

from __future__ import annotations

import json
import re
from calendar import monthrange
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, timedelta, tzinfo
from datetime import time as time_of_day
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from labctl.raft.durations import of_whole_seconds
from labctl.raft.event import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST = 65_536
"""Characters of a line that are looked at; Docker itself cuts lines at 16 KiB."""

_LEVELS = {
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

# What others put in front of a line; each is taken off as often as it is there.
_PREFIX = re.compile(
    r"""
      (?P<aware> \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d (?:\.\d{1,9})? (?:Z|[+-]\d\d:?\d\d) ) [ ]+
    | (?P<naive> \d{4}/\d\d/\d\d[ ]\d\d:\d\d:\d\d (?:\.\d{1,6})? ) [ ]+
    | (?P<source> [A-Za-z0-9][\w.@-]{0,127} ) [ ]{0,64} \|[ ]?            # docker compose
    | \[pod/ (?P<pod> [^\]\s/]{1,255} ) [^\]\s]{0,255} \][ ]                # kubectl --prefix
    | (?P<day> [A-Z][a-z]{2}[ ][ \d]\d )[ ] (?P<clock> \d\d:\d\d:\d\d )[ ] (?P<host> \S{1,255} ) [ ]
      [\w./-]{1,64} (?:\[\d+\])? :[ ]*                                    # syslog, journald
    | (?: (?P<clock2> \d\d:\d\d:\d\d )[ ] )? (?P<host2> \S{1,255} ) [ ]
      [\w./-]{1,64} \[\d+\]:[ ]*                                         # journald without the date
    | (?P<clock3> \d\d:\d\d:\d\d (?:\.\d{1,9})? ) [ ]+ (?=\[)           # somebody cut the date
    | \[\d+\][ ] (?=\d{4}/)                                               # a process id
    | [\w.-]{1,64}:[ ]+ (?=\d{4}/\d\d/\d\d[ ])                            # syslog's tag
    """,
    re.VERBOSE | re.ASCII,
)
_MOST_PREFIXES = 6
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_LEVEL = re.compile(r"\[([A-Z]{3,5})\][ ]*", re.ASCII)
_MODULE = re.compile(r"([A-Za-z][\w.-]{0,80}):[ ]+", re.ASCII)
_INNER_MODULE = re.compile(r"(raft|raft-net|serf|memberlist):[ ]+")
# Syslog drops date and level, so only these names make a line one of a server's.
_MODULES_WITHOUT_LEVEL = re.compile(
    r"raft|raft-net|consul|nomad|serf|memberlist|autopilot|agent(?:\.server(?:\.[a-z.]+)?)?"
)

# How nearly every line begins since Consul 1.7; everything else is taken apart piece by piece.
_USUAL = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d))[ ]+"
    r"(?=\[(?:TRACE|DEBUG|INFO|WARN|ERROR)\][ ]*[A-Za-z][\w.-]{0,80}:[ ]+)",
    re.ASCII,
)
REPEATED = 512
"""A server says the same again and again, only the stamp differs: up to so many characters are remembered."""

# "backoff time=10ms" is one key with a blank (raft replication.go:414).
_VALUES_BEGIN = re.compile(r":[ ](?=[A-Za-z][\w.-]{0,40}(?:[ ]time)?=)", re.ASCII)
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
        source: the container that docker compose, or the pod that kubectl, put in front of the line, or None.
        host: the machine that syslog or journald put there, or None.
    """

    time: datetime | None
    level: str | None
    module: str | None
    message: str
    values: Mapping[str, str] = NOTHING
    source: str | None = None
    host: str | None = None


def clean(line: str) -> str:
    """Return the line as one that is safe on a terminal: no escape sequence, control or bidi character."""
    line = line.rstrip("\r\n")
    if line.isprintable():
        return line
    line = _ESCAPE.sub("", line).replace("\t", " ")
    return "".join(character for character in line if character.isprintable())


def open_envelope(line: str, *, zone: tzinfo = UTC, near: datetime | None = None) -> Envelope | None:
    """Take a line apart; None where it is no line of a server's log (a banner, a blank, binary garbage).

    Args:
        line: one line, as it came.
        zone: where the server's clock is, for the stamps that Consul wrote without an offset before 1.7.
        near: when about the line was written, with its zone: for the stamps of syslog, which have no year, and those
            that have no date; None leaves such a line without a time.
    """
    text = clean(line[:LONGEST]).strip()
    usual = _USUAL.match(text)
    if usual is not None and (time := _moment(usual[1])) is not None:
        said = text[usual.end() :]
        level, module, message, values = _said(said) if len(said) < REPEATED else _said.__wrapped__(said)
        return Envelope(time, level, module, message, values)
    time, source, host, text = _peel(text, zone, near)
    if text.startswith("{"):
        return _from_json(text, time, source, host)
    level, module, message, values = _said.__wrapped__(text)
    if not level:
        named = _MODULE.match(text)
        if named is None or not _MODULES_WITHOUT_LEVEL.fullmatch(named[1]):
            return None
    return Envelope(time, level, module, message, values, source, host)


@lru_cache(maxsize=4096)
def _said(text: str) -> tuple[str | None, str | None, str, Mapping[str, str]]:
    """Take apart what stands behind the stamp: level, module, message, values."""
    found = _LEVEL.match(text)
    level = _LEVELS.get(found[1]) if found else None
    if found and level:
        text = text[found.end() :]
    named = _MODULE.match(text)
    message, values = _split_values(text[named.end() :] if named else text)
    module, message = _inner(named[1] if named else None, message)
    return level, module, message, values


def _peel(text: str, zone: tzinfo, near: datetime | None) -> tuple[datetime | None, str | None, str | None, str]:
    """Take off what stands in front. The last stamp with a zone is the server's own and beats one without."""
    aware: datetime | None = None
    naive: datetime | None = None
    rough: datetime | None = None
    source: str | None = None
    host: str | None = None
    for _ in range(_MOST_PREFIXES):
        # "[INFO]": what the server itself wrote begins.
        if text[:1] == "[" and text[1:2].isupper():
            break
        found = _PREFIX.match(text)
        if found is None:
            break
        if found["aware"]:
            aware = _moment(found["aware"]) or aware
        elif found["naive"]:
            naive = _moment(found["naive"].replace("/", "-"))
        elif found["source"] or found["pod"]:
            source = found["source"] or found["pod"]
        elif clock := found["clock"] or found["clock2"] or found["clock3"]:
            rough = _nearest(found["day"], clock, near.astimezone(zone)) if near else None
        host = found["host"] or found["host2"] or host
        text = text[found.end() :].lstrip()
    return aware or (naive.replace(tzinfo=zone) if naive else rough), source, host, text


def _nearest(day: str | None, clock: str, near: datetime) -> datetime | None:
    """The moment nearest to another one that has this day (`Aug  9`), of whatever year, and this time of day."""
    if day is not None and day[:3] not in _MONTHS:
        return None
    try:
        time = time_of_day.fromisoformat(clock)
        if day is None:
            dates = [near.date() + timedelta(days=shift) for shift in (-1, 0, 1)]
        else:
            month = _MONTHS.index(day[:3]) + 1
            years = [near.year + shift for shift in (-1, 0, 1)]
            dates = [date(year, month, int(day[4:])) for year in years if _is_day(year, month, int(day[4:]))]
        moments = [datetime.combine(one, time, near.tzinfo) for one in dates]
        nearest = min(moments, key=lambda one: abs(one - near), default=None)
        return nearest if nearest is None or "." in clock else of_whole_seconds(nearest)
    except (ValueError, OverflowError):
        return None


def _is_day(year: int, month: int, day: int) -> bool:
    return MINYEAR <= year <= MAXYEAR and 1 <= day <= monthrange(year, month)[1]


def _moment(stamp: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    return time if time.microsecond or "." in stamp else of_whole_seconds(time)


def _inner(module: str | None, message: str) -> tuple[str | None, str]:
    """Serf and memberlist name themselves again inside their message; so does Raft inside NATS."""
    inner = _INNER_MODULE.match(message)
    if inner is None or module is None:
        return module, message
    known = inner[1] in module.split(".")
    return (module if known else f"{module}.{inner[1]}"), message[inner.end() :]


def _split_values(text: str) -> tuple[str, Mapping[str, str]]:
    begin = _VALUES_BEGIN.search(text)
    if begin is None:
        return text, NOTHING
    values: dict[str, str] = {}
    for found in _VALUE.finditer(text, begin.end()):
        quoted = found["quoted"] if found["quoted"] is not None else found["unclosed"]
        values[found["key"]] = found["bare"] if quoted is None else quoted.replace('\\"', '"')
    return text[: begin.start()], values


def _from_json(text: str, outer: datetime | None, source: str | None, host: str | None) -> Envelope | None:
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or not isinstance(entry.get("@message"), str):
        return None
    stamp, level, module = entry.get("@timestamp"), entry.get("@level"), entry.get("@module")
    own = _moment(stamp) if isinstance(stamp, str) else None
    values = {clean(key): clean(_as_text(value)) for key, value in entry.items() if not key.startswith("@")}
    name, message = _inner(clean(module) if isinstance(module, str) else None, clean(entry["@message"]))
    return Envelope(
        time=own if own is not None and own.tzinfo is not None else outer,
        level=_LEVELS.get(level.upper()) if isinstance(level, str) else None,
        module=name,
        message=message,
        values=values,
        source=source,
        host=host,
    )


def _as_text(value: Any) -> str:
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
