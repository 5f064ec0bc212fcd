"""What stands in front of a server's own words: who carried the line, when, and from where.

Docker, journald, syslog, Kubernetes, log stores, `grep` and people who quote put stamps, machines, containers, files,
levels, line numbers and marks there. Nothing of it is the server's own; it may say whose line it is, and when about
it was written. A front is other people's text: nothing in it can make a function raise.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, timedelta, tzinfo
from datetime import time as time_of_day
from functools import lru_cache
from typing import NamedTuple

from labctl.raft.durations import in_zone, is_of_a_clock, of_whole_seconds, on_the_clock_of

_CLOCK = r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
STAMP = rf"""
    (?P<date> \d{{4}}[-/]\d\d[-/]\d\d ) (?: [T_] | [ ]{{1,2}} ) (?P<clock> {_CLOCK} )
    (?P<zone> [ ]?(?:Z|UTC|GMT)\b | [ ]?[+-]\d\d:?\d\d(?:[ ]UTC)?(?!\d) )?
"""
"""A date and a time of day, for a verbose pattern."""
# "12. consul:" is the number of a line, "ship.go:12" the caller of a logger, "==>" a mark.
_HOST = r"(?=[\w:])(?!\d{1,9}[.)]?[ ])(?![^\s:]{1,128}\.go:\d)[^\s\[\]\"]{0,254}[^\s\[\]\":]"
_FIELD = r"[^\s\[\]\"]{0,254}[^\s\[\]\":]"

_PIECE = re.compile(
    rf"""
      \[pod/ (?P<pod> [^\]\s/]{{1,255}} ) [^\]\s]{{0,255}} \](?=\s|$)          # kubectl --prefix
    | (?P<stamp> [\[(]? {STAMP} (?:[ ][A-Z]{{3,5}}(?=[ ]))? [\])]? ) [:,;|]? (?=[\s"]|$)
    | (?P<epoch> 1\d{{9}} (?:\.\d{{1,9}})? ) :? (?=\s|$)                       # journald short-unix
    | (?P<day> [^\W\d_]{{3,5}}\.?[ ]{{1,2}}\d{{1,2}} | \d{{1,2}}\.?[ ][^\W\d_]{{3,5}}\.? ) [ ]
      (?P<clock2> {_CLOCK} ) (?=\s|$)                                        # syslog, journald
    | [^\W\d_]{{3,9}}\.?[ ]\d{{1,2}},[ ]\d{{4}}[ ]@[ ]{_CLOCK} (?=\s|$)        # Kibana
    | (?P<clock3> {_CLOCK} ) (?=\s|$)                                        # somebody cut the date
    | (?P<source> (?!\d{{1,9}}[ ]|std(?:out|err)[ ]) [A-Za-z0-9][\w.@-]{{0,127}} ) [ ]{{0,64}} \|   # docker compose
    | <\d{{1,3}}> (?:1(?=[ ]))?                                             # syslog's priority
    | (?P<host> {_HOST} ) [ ] [\w./@-]{{1,128}} (?P<process>\[\d{{1,10}}\])? : (?=\s|$)    # syslog, journald
    | (?P<host2> {_FIELD} ) [ ] {_FIELD} [ ] (?:-|\d{{1,10}}) [ ] {_FIELD} [ ] (?:-|\[[^\]]{{1,512}}\]) (?=\s|$)
    | [\w./@-]{{1,128}} \[\d{{1,10}}\] : (?=\s|$)                            # journald without the machine
    | MESSAGE=                                                              # journald's export
    | std(?:out|err) [ ] [FP] (?=\s|$)                                      # CRI
    | [^\W\d_]{{2,4}} [.,]? (?=[ ]\d{{4}}-|[ ][^\W\d_]{{3,5}}[ ]{{1,2}}\d)        # a day of the week
    | \[ [ ]{{0,12}} \d{{1,12}} (?:\.\d{{1,9}})? [^\]\[]{{0,20}} \] (?=\s|$)      # the time since the boot, a process
    | [A-Z]{{4,5}} \[\d{{1,9}}\] (?=\s|$)                                   # logrus
    | (?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR) :? (?=\s|$)
    | \d{{1,9}} (?: [:.)]? (?=\s) | [:-] (?=$|[A-Za-z]|\d{{4}}[-/]) )           # the number of a line
    | (?!==>) [>*#|`$+=-]{{1,16}} (?=\s|$|>)                                        # Markdown, mail
    """,
    re.VERBOSE,
)
_ANY_STAMP = re.compile(STAMP, re.VERBOSE)
_LEVEL_BEGINS = re.compile(r"\[[A-Z]{3,5}\]")
_MOST_PIECES = 24
LONGEST_FRONT = 2048

_FILE = re.compile(r"(?P<file>(?:[A-Za-z]:)?[^:\"(]{1,255}):(?:\d{1,9}:)?")
_FILE_OF_CONTEXT = re.compile(r"(?P<file>[^:\"(]{1,250}\.[A-Za-z0-9]{1,4})-(?:\d{1,9}-)?")
# What stands behind a file's name may be indented, and have a front of its own.
_FILE_IN_FRONT = re.compile(
    r"""(?: (?P<file> [^:\s"'(=]{1,250} \.(?:log|txt|out|err|json)(?:\.\d{1,4})?(?:\.gz)?
                    | [.~]{0,2}/?(?:[\w.@-]{1,64}/){1,16}(?![\w.@-]{0,64}\.go:)[\w.@-]{1,128}
                 ) : (?:\d{1,9}:)? (?![ ](?![ ]))
          | (?P<beside> [^:\s"'(=]{1,250} \.(?:log|txt|out)(?:\.\d{1,4})? ) -\d{1,9}- )""",
    re.VERBOSE | re.ASCII,
)
_QUOTES = "'`\\"
_BLANK = re.compile(r"\s")
_MOST_WORDS_BETWEEN = 6
# "pod": "consul-0", pod=consul-0, {pod="consul-0"}
_LABEL = re.compile(
    r"""(?<![\w.])(?P<key>pod|pod_name|podname|container|container_name|host|hostname|_HOSTNAME|instance|node|server)
        "{0,2}[ ]?[=:][ ]?"{0,2}(?P<value>[\w.@-]{1,253})""",
    re.VERBOSE | re.IGNORECASE,
)
_SOURCES = ("pod", "pod_name", "podname", "container", "container_name")
_ENDING = re.compile(r"(?<=[\w-])\.(?:log|txt|out)(?:\.\d{1,4})?\Z", re.ASCII)
# What is another one in each line, or names a container that nobody named: `12ab34cd`, `0b4f-...`, `17`.
_NUMBERED = re.compile(r"[0-9a-f]{8,}|[0-9a-f-]{32,}|\d+", re.ASCII | re.IGNORECASE)
_TAGS = frozenset(
    {"consul", "nomad", "vault", "docker", "dockerd", "stdout", "stderr", "message", "msg", "log", "textpayload"}
)
"""Words that stand in front of every server's lines, and name none."""
_MOST_WORDS = 3
_NAMED = re.compile(r"[A-Za-z0-9][\w.@/-]{0,253}")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LARGEST_SECONDS = 1e11
"""Seconds since 1970 of the year 5138: a larger number counts thousandths, or less."""


class Front(NamedTuple):
    """What stood in front of a line.

    Attributes:
        time: the last stamp with a zone, else the last one without, which has no `tzinfo`; or None.
        rough: a day, or None, and a time of day, which a year or a date must be found for; or None.
        source: the container, the pod or the file that the line came from, where that is said plainly; or None.
        host: the machine, or a word that may name one; or None.
        tag: by what Fluentd or Fluent Bit sorts its lines (`kube.consul`); or None.
    """

    time: datetime | None = None
    rough: tuple[str | None, str] | None = None
    source: str | None = None
    host: str | None = None
    tag: str | None = None

    def moment(self, zone: tzinfo, near: datetime | None) -> datetime | None:
        """When the line was carried; None where that is not said, or nobody knows of which year or date it was."""
        if self.time is not None:
            return self.time if self.time.tzinfo is not None else in_zone(self.time, zone)
        if self.rough is None or near is None:
            return None
        return _nearest(*self.rough, on_the_clock_of(zone, near))


NO_FRONT = Front()


def peel(text: str) -> tuple[Front, str]:
    """Split off the known prefix; return it and the rest."""
    aware: datetime | None = None
    naive: datetime | None = None
    rough: tuple[str | None, str] | None = None
    source: str | None = None
    host: str | None = None
    at = 0
    for _ in range(_MOST_PIECES):
        # "[INFO]": what the server itself wrote begins.
        match = None if _LEVEL_BEGINS.match(text, at) else _PIECE.match(text, at)
        if match is None:
            break
        if match["stamp"]:
            moment = moment_of(match["date"], match["clock"], match["zone"])
            if match["zone"]:
                aware = moment or aware
            else:
                naive = moment or naive
        elif match["epoch"]:
            aware = since_1970(float(match["epoch"])) or aware
        elif clock := match["clock2"] or match["clock3"]:
            rough = (match["day"], clock)
        elif match["host"]:
            # "word tag:" may be a sentence where nothing says that a log begins so.
            if not match["process"] and not (aware or naive or rough):
                break
            host = match["host"]
        else:
            source = match["pod"] or match["source"] or source
            host = match["host2"] or host
        at = match.end()
        while text[at : at + 1].isspace():
            at += 1
    return Front(aware or naive, rough, source, host), text[at:]


def front_of(text: str) -> Front:
    """Read all that stands in front of a server's own words, of which nothing is the server's."""
    return _front_of(text) if 0 < len(text) <= LONGEST_FRONT else NO_FRONT


@lru_cache(maxsize=1024)
def _front_of(text: str) -> Front:
    front, rest = peel(text)
    if not rest.strip():
        return front
    if (stamp := _ANY_STAMP.search(rest)) is not None:
        time = moment_of(stamp["date"], stamp["clock"], stamp["zone"])
        front = front._replace(time=time or front.time)
        rest = f"{rest[: stamp.start()]} {rest[stamp.end() :]}"
    if front.source is None:
        front = _labelled(front, rest)
    if front.source is not None or front.host is not None:
        return front
    # Only `grep` leaves no blank behind a name.
    bare = rest.lstrip("'`")
    file = _FILE.fullmatch(bare) or _FILE_OF_CONTEXT.fullmatch(bare)
    if file is not None and not _BLANK.search(file["file"]):
        return front._replace(source=_server_of(file["file"]))
    names = _named(rest)
    # Behind a quote, all of it may begin once more.
    for fromkey in dict.fromkeys((text, text.rpartition('"')[2])):
        inner, words = _between_words(fromkey)
        if inner.source is not None or inner.host is not None:
            return front._replace(time=front.time or inner.time, source=inner.source, host=inner.host)
        names = names or _named(words)
    return front._replace(host=names)


def _server_of(file: str) -> str:
    """Whose log a file is: its whole path, as two folders may have a log of one name, without what rotation added."""
    return _ENDING.sub("", file.removeprefix("./"))


def _between_words(text: str) -> tuple[Front, str]:
    """What stands in front where words stand before it and between, of which nobody knows; and these words."""
    words: list[str] = []
    for _ in range(_MOST_WORDS_BETWEEN):
        front, text = peel(text)
        if front.source is not None or front.host is not None or not text:
            return front, " ".join(words)
        if (file := _FILE_IN_FRONT.match(text)) is not None:
            source = _server_of(file["file"] or file["beside"])
            inner = front_of(text[file.end() :])
            return (front._replace(source=source) if inner.source is None and inner.host is None else inner), ""
        bare = text.lstrip(_QUOTES)
        if bare != text:
            text = bare
            continue
        word, _, text = text.partition(" ")
        words.append(word)
    return NO_FRONT, ""


def _labelled(front: Front, rest: str) -> Front:
    labels = {match["key"].lower(): match["value"] for match in _LABEL.finditer(rest)}
    source = next((labels[key] for key in _SOURCES if key in labels), None)
    host = next((value for key, value in labels.items() if key not in _SOURCES), None)
    return front._replace(source=source, host=front.host or host)


def _named(rest: str) -> str | None:
    """The word that may name a machine: the field behind the stamp, the pod before its container, a word alone."""
    if "," in rest:
        fields = [field.strip('" ') for field in rest.split(",")]
        return next((field for field in fields if is_name(field)), None)
    words = [word.rstrip(":|,") for word in rest.strip("\"' ").split()]
    words = [word for word in words if word and word not in {"-", "==>"}]
    if not 1 <= len(words) <= _MOST_WORDS:
        return None
    if len(words) == 1:
        return words[0] if is_name(words[0]) else None
    # stern: namespace, pod, container; other words are words
    return words[-2] if is_name(words[-2]) and re.search(r"[\d-]", words[-2]) else None


def is_name(word: str) -> bool:
    """Whether a word may name a server."""
    return bool(_NAMED.fullmatch(word)) and not _NUMBERED.fullmatch(word) and word.lower() not in _TAGS


# -- stamps ------------------------------------------------------------------------------------------------------


def moment_of(day: str, clock: str, zone: str | None) -> datetime | None:
    """The moment of a date, a time of day, and what says its zone; without that, a moment without one."""
    try:
        zone = zone.strip() if zone else ""
        offset = f"{zone[:3]}:{zone[3:6].lstrip(':')}" if zone[:1] in ("+", "-") else "+00:00" if zone else ""
        moment = datetime.fromisoformat(f"{day.replace('/', '-')}T{clock.replace(',', '.')}{offset}")
    except ValueError:
        return None
    if not is_of_a_clock(moment):
        return None
    return moment if _has_fraction(clock) else of_whole_seconds(moment)


def _has_fraction(clock: str) -> bool:
    return "." in clock or "," in clock


def since_1970(seconds: float) -> datetime | None:
    """The moment so many seconds after 1970 began, or thousandths, millionths, billionths of them."""
    for _ in range(3):
        if abs(seconds) >= _LARGEST_SECONDS:
            seconds /= 1000
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment if is_of_a_clock(moment) else None


def _nearest(day: str | None, clock: str, near: datetime) -> datetime | None:
    """The moment nearest to another one that has this day (`Aug  9`), of whatever year, and this time of day."""
    try:
        time = time_of_day.fromisoformat(clock.replace(",", "."))
        if day is None:
            dates = [near.date() + timedelta(days=shift) for shift in (-1, 0, 1)]
        else:
            words = day.replace(".", " ").split()
            name = next(word for word in words if not word.isdecimal())
            number = int(next(word for word in words if word.isdecimal()))
            month = _MONTHS.index(name[:3].lower()) + 1
            years = [near.year + shift for shift in (-1, 0, 1)]
            dates = [date(year, month, number) for year in years if _is_day(year, month, number)]
        moments = [datetime.combine(day, time, near.tzinfo) for day in dates]
        nearest = min(moments, key=lambda moment: abs(moment - near), default=None)
    except (ValueError, OverflowError, StopIteration):
        return None
    return nearest if nearest is None or _has_fraction(clock) else of_whole_seconds(nearest)


def _is_day(year: int, month: int, day: int) -> bool:
    return MINYEAR <= year <= MAXYEAR and 1 <= day <= monthrange(year, month)[1]
