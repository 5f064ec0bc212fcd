"""A server's own words sought in a line, whatever stands in front of them and around them.

Other loggers, shippers and log stores put a line into lines and JSON of their own, quoted; people copy it with colours,
as a quotation, out of a table. What carried the line may say when, and whose it is. Nothing in a line can make a
function raise, and every expression takes time in proportion to the line.
"""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from labctl.raft.durations import in_zone
from labctl.raft.line_core import (
    CALLER,
    LEVEL,
    LEVELS,
    MODULE,
    REPEATED,
    VALUES_BEGIN,
    Envelope,
    as_text,
    clean,
    inner,
    is_of_a_server,
    moment,
    taken_apart,
)
from labctl.raft.line_front import LONGEST_FRONT, NO_FRONT, STAMP, Front, front_of, is_name, moment_of, peel, since_1970

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime, tzinfo

# A terminal's colours, whose first character was lost or spelled out when they were copied.
_LOST_COLOUR = re.compile(r"(?:\^\[|\\x1b|\\u001[bB]|\\0?33|\\e|\u241b)?\[\d{0,3}(?:;\d{1,3}){0,4}m", re.ASCII)
_ANY_LEVEL = re.compile(r"\[(?:TRACE|DEBUG|INFO|WARN|ERROR|ERR|TRC|DBG|INF|WRN)\]")
_MOST_LEVELS = 16
# Directly in front of its level stands the server's own stamp.
_OWN_STAMP = re.compile(
    rf"(?: [\[(]? {STAMP} | (?<![\d:.,]) (?P<alone> \d\d:\d\d:\d\d (?:[.,]\d{{1,9}})? ) ) [\])]? \s*$",
    re.VERBOSE | re.ASCII,
)
_LONGEST_STAMP = 64
_OBJECT = re.compile(r"\{\s*\\?\"")
# A quote after what a quoted text follows, and none since: "message": "..., msg="..., a spreadsheet's field
_IN_QUOTES = re.compile(r'(?:^|[=:,\[(\s])\s?"[^"]*$')
_TO_THE_QUOTE = re.compile(r'(?:[^"\\]|\\.)*')
_DOUBLED_QUOTES = re.compile(r'(?:[^"]|"")*')
_MODULE_IN_QUOTES = re.compile(r"\"(?=(?:[\w-]{1,40}\.){0,4}raft:[ ])", re.ASCII)
_CLOSING = ("'", "`", "|", ">")
_FENCE = "```"
_MOST_CLOSED = 6
_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9]{0,9}[ ]?/?>")
# Of Fluentd and of Fluent Bit: "... +0000 kube.consul: {...", "[0] kube.consul: [[1936163289.123456, {}], {..."
_SHIPPERS_TAG = re.compile(
    r"[\d\])][ ](?P<tag>[A-Za-z][\w.*-]{0,200}):[ ]{1,4}(?:\[\[?[\d.]{1,30},[ ](?:\{\}\],[ ])?)?$"
)
_DEEPEST = 5
"""How deep envelopes may be nested."""
_MOST_OBJECTS = 64
_TEXTS = ("log", "message", "MESSAGE", "msg", "output", "textPayload", "line", "body", "_raw", "content", "text")
"""The members in which shippers put a line, the usual ones first."""
_TIMES = ("time", "@timestamp", "timestamp", "ts", "_time", "__REALTIME_TIMESTAMP", "receiveTimestamp")
_MODULE_MEMBERS = ("@module", "module", "logger", "component", "system", "subsystem", "name")
_LEVEL_MEMBERS = ("@level", "level", "severity", "lvl")
_PODS = ("pod_name", "pod", "podName")
_CONTAINERS = ("container_name", "CONTAINER_NAME", "container", "containerName")
_HOSTS = ("_HOSTNAME", "hostname", "host", "node_name", "nodename", "Host")


_MOST_DIGITS = 20
_FIRST_SECONDS, _MOST_NANOSECONDS = 10**9, 10**19
"""A stamp in units since 1970: in seconds from 2001 on, in nanoseconds until 2286."""


class _Core(NamedTuple):
    """Where a server's own words begin in a line, and its stamp in front of them."""

    begin: int
    level: int
    own: datetime | None
    clock: str | None


def _stamped_core(text: str) -> _Core | None:
    for match in itertools.islice(_ANY_LEVEL.finditer(text), _MOST_LEVELS):
        at = max(0, match.start() - _LONGEST_STAMP)
        stamp = _OWN_STAMP.search(text[at : match.start()])
        if stamp is None:
            continue
        own = moment_of(stamp["date"], stamp["clock"], stamp["zone"]) if stamp["date"] else None
        return _Core(at + stamp.start(), match.start(), own, stamp["alone"])
    return None


class Seeker:
    """Looks for a server's own words in a line, whatever stands in front of them and around them.

    Args:
        zone: where the server's clock is.
        near: when about the line was written.
    """

    def __init__(self, zone: tzinfo, near: datetime | None) -> None:
        self._zone, self._near = zone, near
        self._objects = 0

    def seek(self, text: str, outer: Front = NO_FRONT, depth: int = 0) -> Envelope | None:
        """Find them in a text that came in another envelope; None where there are none."""
        if depth > _DEEPEST:
            return None
        if text[:1] == "{" and (envelope := self._in_objects(text, 0, outer, depth)) is not None:
            return envelope
        plain = _LOST_COLOUR.sub("", text)
        core = _stamped_core(plain)
        begins = _OBJECT.search(plain)
        if begins is not None and (core is None or begins.start() < core.begin):
            # In a string in JSON, half of a colour's sequence is half of another one.
            begins = _OBJECT.search(text)
            envelope = self._in_objects(text, begins.start(), outer, depth) if begins else None
            if envelope is not None:
                return envelope
        if core is not None:
            return self._of_core(plain, core, outer, depth)
        envelope = self._without_stamp(plain, outer, depth)
        if envelope is not None or not (once := _once_unquoted(text)):
            return envelope
        return self.seek(once, outer, depth + 1)

    def _without_stamp(self, text: str, outer: Front, depth: int) -> Envelope | None:
        """Find them where the server's own stamp is missing; syslog takes the level, too."""
        front, rest = peel(text)
        if LEVEL.match(rest):
            return self._of_core(rest, _Core(0, 0, None, None), _within(outer, front), depth)
        module = MODULE.match(rest)
        if module is not None and is_of_a_server(module[1]):
            return self._envelope(rest, None, None, _within(outer, front))
        if (level := _ANY_LEVEL.search(text)) is not None:
            return self._of_core(text, _Core(level.start(), level.start(), None, None), outer, depth)
        if (quoted := _MODULE_IN_QUOTES.search(text)) is not None:
            front = front_of(text[: quoted.start()])
            return self._envelope(_unquoted(text[quoted.end() :]), None, None, _within(outer, front))
        return None

    def _of_core(self, text: str, core: _Core, outer: Front, depth: int) -> Envelope | None:
        before = text[: core.begin].rstrip()
        front = _within(outer, front_of(text[: core.begin]))
        said = text[core.level :]
        if before[-2:] == '\\"':
            said = _unquoted(said.replace('\\"', '"').replace("\\\\", "\\"))
        elif _IN_QUOTES.search(before.replace('\\"', "").replace('""', "")):
            said = _unquoted(said)
        if said[-1:] in _CLOSING:
            said = _without_end(said, before)
        own = self._envelope(said, core.own, core.clock, front)
        if own.module is not None and is_of_a_server(own.module):
            return own
        # It may be the words of who carried the line.
        return self._in_words_of_another(said, front, depth) or own

    def _in_words_of_another(self, said: str, front: Front, depth: int) -> Envelope | None:
        """Find them in what another logger says, but not in the values behind that, which may hold anything."""
        module = MODULE.search(said)
        behind = said[module.end() :] if module else said
        core, begins = _stamped_core(behind), _OBJECT.search(behind)
        places = [core.begin if core else None, begins.start() if begins else None]
        at = min((place for place in places if place is not None), default=None)
        values = VALUES_BEGIN.search(behind)
        if at is None or (values is not None and values.start() < at):
            return None
        envelope = self.seek(behind, front, depth + 1)
        return envelope if envelope is not None and envelope.module and is_of_a_server(envelope.module) else None

    def _envelope(self, said: str, own: datetime | None, clock: str | None, front: Front) -> Envelope:
        match = LEVEL.match(said)
        if match is not None and (caller := CALLER.match(said, match.end())) is not None:
            said = match[0] + said[caller.end() :]
        level, module, message, values = taken_apart(said) if len(said) < REPEATED else taken_apart.__wrapped__(said)
        carried = front.moment(self._zone, self._near)
        naive = own if own is not None and own.tzinfo is None else None
        if own is not None and naive is None:
            time: datetime | None = own
        elif front.time is not None and front.time.tzinfo is not None:
            time = carried
        elif naive is not None:
            time = in_zone(naive, self._zone)
        else:
            alone = Front(rough=(None, clock)).moment(self._zone, carried or self._near) if clock else None
            time = alone or carried
        return Envelope(time, level, module, message, values, front.source, front.host, carried, naive, front.tag)

    # -- JSON ------------------------------------------------------------------------------------------------------

    def _in_objects(self, text: str, at: int, outer: Front, depth: int) -> Envelope | None:
        entry = _object(text[at:])
        if entry is None:
            return None
        front = _within(outer, _tagged(_LOST_COLOUR.sub("", text[:at]))) if at else outer
        return self._in_entry(entry, _within(front, _front_of_entry(entry)), depth)

    def _in_entry(self, entry: Mapping[str, Any], outer: Front, depth: int) -> Envelope | None:
        """The first member that holds a server's words; else what the members themselves say."""
        self._objects += 1
        if self._objects > _MOST_OBJECTS or depth > _DEEPEST:
            return None
        if isinstance(entry.get("@message"), str):
            return self._of_members(entry, entry["@message"], _text_of(entry.get("@module")), outer)
        others = (value for name, value in entry.items() if name not in _TEXTS)
        for value in itertools.chain((entry.get(name) for name in _TEXTS), others):
            if isinstance(value, dict):
                envelope = self._in_entry(value, outer, depth + 1)
            elif (words := _words(value)) and _MAY_HOLD.search(words):
                envelope = self.seek(words, outer, depth + 1)
            else:
                continue
            if envelope is not None:
                return envelope
        message = next((entry[name] for name in _TEXTS if isinstance(entry.get(name), str)), None)
        module = next((name for key in _MODULE_MEMBERS if (name := _text_of(entry.get(key)))), None)
        if message is None or module is None or not is_of_a_server(module):
            return None
        return self._of_members(entry, message, module, outer)

    def _of_members(self, entry: Mapping[str, Any], message: str, module: str | None, outer: Front) -> Envelope:
        """A line that is JSON itself."""
        stamp = _text_of(entry.get("@timestamp"))
        own = moment(stamp) if stamp else None
        level = next((name for key in _LEVEL_MEMBERS if (name := _text_of(entry.get(key)))), None)
        values = {clean(key): clean(as_text(value)) for key, value in entry.items() if not key.startswith("@")}
        name, message = inner(clean(module) if module else None, clean(message))
        return Envelope(
            time=own if own is not None and own.tzinfo is not None else outer.moment(self._zone, self._near),
            level=LEVELS.get(level.upper()) if level else None,
            module=name,
            message=message,
            values=values,
            source=outer.source,
            host=outer.host,
            carried=outer.moment(self._zone, self._near),
            tag=outer.tag,
        )


_MAY_HOLD = re.compile(r"[\[{]|(?:raft|consul|nomad|serf|memberlist|autopilot|agent)[\w.-]{0,80}:[ ]", re.ASCII)


def _within(outer: Front, inner: Front) -> Front:
    """What two fronts say together: the inner one knows better, but a stamp with a zone beats one without."""
    if outer is NO_FRONT:
        return inner
    if inner is NO_FRONT:
        return outer
    time = inner.time or outer.time
    if inner.time is not None and inner.time.tzinfo is None and outer.time is not None and outer.time.tzinfo:
        time = outer.time
    return Front(
        time, inner.rough or outer.rough, inner.source or outer.source, inner.host or outer.host, inner.tag or outer.tag
    )


def _tagged(text: str) -> Front:
    """What stands in front of a document; a tag there is no machine."""
    front = front_of(text)
    match = _SHIPPERS_TAG.search(text) if len(text) <= LONGEST_FRONT else None
    if match is None or (front.host or match["tag"]) != match["tag"] or not is_name(match["tag"]):
        return front
    return front._replace(host=None, tag=match["tag"])


def _without_end(said: str, before: str) -> str:
    """A server's words without what closes what was opened in front of them: a quotation, code, an element of HTML."""
    for _ in range(_MOST_CLOSED):
        last = said[-1:]
        if last in {"'", "`"}:
            opened, closed = before.count(last), len(said) - len(said.rstrip(last))
            if closed < len(_FENCE) and not (opened % 2 or opened == closed):
                return said
            said = said[: -max(min(opened, closed), 1 if closed < len(_FENCE) else closed)]
        elif last == "|" and "`" in before:
            said = said[:-1].rstrip()
        elif last == ">" and "<" in before and _TAG.fullmatch(said, at := said.rfind("<")):
            said = said[:at].rstrip()
        else:
            return said
    return said


def _once_unquoted(text: str) -> str:
    """A text that stands quoted in a part of a document, of which nobody knows where it begins; "" where none does."""
    if '\\"' in text:
        return text.replace("\\\\", "\0").replace('\\"', '"').replace("\0", "\\")
    return text.replace('""', '"') if '""' in text else ""


def _unquoted(text: str) -> str:
    """The text up to the quote that ends it, as JSON, Go or a spreadsheet quotes."""
    match = _TO_THE_QUOTE.match(text)
    end = match.end() if match else len(text)
    if text[end : end + 2] == '""':
        doubled = _DOUBLED_QUOTES.match(text)
        return (doubled[0] if doubled else text).replace('""', '"')
    body = text[:end]
    try:
        return clean(json.loads(f'"{body}"')).strip()
    except (ValueError, RecursionError):
        return body.replace('\\"', '"')


def _object(text: str) -> dict[str, Any] | None:
    """The JSON object that a text begins with, also where it stands in a string or in a field of a spreadsheet."""
    return _decoded(text) or _decoded(_unquoted(text))


def _decoded(text: str) -> dict[str, Any] | None:
    try:
        entry, _ = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


_DECODER = json.JSONDecoder()


def _words(value: Any) -> str | None:
    """The line that a member holds: journald writes one that is no UTF-8 as a list of bytes."""
    if isinstance(value, list) and value and all(type(code) is int and 0 <= code <= 0xFF for code in value):  # noqa: PLR2004
        value = bytes(value).decode("utf-8", "replace")
    if not isinstance(value, str):
        return None
    first = next((line for line in value.splitlines() if line.strip()), "")
    return clean(first).strip()


def _text_of(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _front_of_entry(entry: Mapping[str, Any]) -> Front:
    """When a shipper took a line, and from where."""
    # Where the members are the server's own, what is at the top is not the shipper's.
    own = "@message" in entry
    if own and not any(isinstance(value, dict) and value for value in entry.values()):
        return NO_FRONT
    time = None if own else next(filter(None, (_any_moment(entry.get(name)) for name in _TIMES)), None)
    names: dict[str, str] = {}
    waiting: list[tuple[int, Mapping[str, Any]]] = [(0, entry)]
    for depth, fields in itertools.islice(_growing(waiting), _MOST_OBJECTS):
        for key, value in fields.items():
            named = value.get("name") if isinstance(value, dict) else value
            if isinstance(named, str) and 0 < len(named) < REPEATED and not (own and depth == 0):
                names.setdefault(key, clean(named).lstrip("/"))
            if isinstance(value, dict) and depth < 3:  # noqa: PLR2004 - resource.labels.pod_name
                waiting.append((depth + 1, value))
    source = next((names[key] for key in (*_PODS, *_CONTAINERS) if key in names), None)
    host = next((names[key] for key in _HOSTS if key in names), None)
    return Front(time=time, source=source or None, host=host or None)


def _growing(waiting: list[tuple[int, Mapping[str, Any]]]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """All of a list, also what is added to it meanwhile."""
    at = 0
    while at < len(waiting):
        yield waiting[at]
        at += 1


def _any_moment(value: Any) -> datetime | None:
    """The moment of a stamp as text, or as the seconds since 1970, or a part of them."""
    if isinstance(value, str):
        if not value[:16].isdecimal():
            time = moment(value)
            return time if time is not None and time.tzinfo is not None else None
        value = int(value) if len(value) < _MOST_DIGITS and value.isascii() and value.isdecimal() else None
    if isinstance(value, int | float) and not isinstance(value, bool) and _FIRST_SECONDS < value < _MOST_NANOSECONDS:
        return since_1970(float(value))
    return None
