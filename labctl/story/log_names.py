"""The server of a log, by the name of its file: the shortest part of the paths that distinguishes all servers.

`server1/consul.log` and `server2/consul.log` are `server1` and `server2`, `10.0.0.1.log` is `10.0.0.1`. What was
rotated is one server's: `consul.log`, `consul.log.1` and `consul.log.2.gz`, or Consul's own
`consul-1704714140000000000.log`.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PACKED = (".gz", ".zst", ".xz", ".bz2", ".lz4", ".zip", ".tgz", ".tar")
_ENDINGS = (*_PACKED, ".log", ".txt", ".out", ".err", ".stdout", ".stderr", ".json", ".jsonl", ".ndjson", ".csv")
_LOG = re.compile(r"\.(?:log|txt|out|err|stdout|stderr|jsonl?|ndjson|csv)\Z", re.IGNORECASE)
_NUMBERED = re.compile(r"(?P<name>.+)\.(?P<number>\d{1,4})", re.DOTALL)
# Consul puts nanoseconds between name and ending; logrotate a date behind the ending, others one in front of it.
_STAMPED = re.compile(
    r"(?P<name>.+?)[-._](?:\d{19}|\d{10}|(?:19|20)\d\d-?[01]\d-?[0-3]\d(?:[-T_.]?\d\d[-:.]?\d\d(?:[-:.]?\d\d)?(?:\.\d{1,9})?Z?)?"
    r"(?:-\d{10})?)(?P<ending>(?:\.[a-z]{2,6})?)",
    re.DOTALL,
)
_OF_A_SYSTEM = frozenset({"syslog", "messages", "daemon"})
"""Names without an ending that are rotated all the same."""


class Place(NamedTuple):
    """Where a log is, and what its name shows.

    Attributes:
        folders: the path's parts in front of the name, an archive being one of them.
        base: the name without its endings and without what rotation added.
        rotated: whether rotation added something.
        full: the whole name.
    """

    folders: tuple[str, ...]
    base: str
    rotated: bool
    full: str

    @property
    def log(self) -> tuple[tuple[str, ...], str]:
        """The common part of a log and of those that were rotated away from it."""
        return self.folders, self.base


def place_of(path: str, beside: frozenset[str] = frozenset()) -> Place:
    """Take a path apart; `beside` are the names of the logs that were given, too."""
    *folders, full = [part for part in path.split("/") if part not in {"", "."}] or [path]
    name = _without(full, _PACKED)
    rotated = False
    if match := _NUMBERED.fullmatch(name):
        rotated = bool(_LOG.search(match["name"])) or match["name"] in _OF_A_SYSTEM | beside
        name = match["name"] if rotated else name
    elif match := _STAMPED.fullmatch(name):
        rotated, name = True, match["name"]
    base = _without(name, _ENDINGS)
    return Place(tuple(folders), base, rotated, full)


def _without(name: str, endings: tuple[str, ...]) -> str:
    """A name without any of these endings; a name is never empty."""
    while True:
        ending = next((suffix for suffix in endings if name.lower().endswith(suffix) and len(name) > len(suffix)), None)
        if ending is None:
            return name
        name = name[: -len(ending)]


def servers_of(paths: Sequence[str], apart: Iterable[int] = ()) -> list[str]:
    """The server of each path's log: a name for each; the same name for what was rotated.

    Args:
        paths: where the logs are, each another one.
        apart: the numbers of paths whose names look as if they were rotated, and which are servers of their own.
    """
    beside = frozenset(path.rpartition("/")[2] for path in paths)
    places = [place_of(path, beside) for path in paths]
    alone = set(apart) | _not_rotated(places)
    logs = [(*place.log, place.full if number in alone else "") for number, place in enumerate(places)]
    names = _told_apart(dict.fromkeys(logs))
    return [names[log] for log in logs]


def _not_rotated(places: list[Place]) -> set[int]:
    """Those with the base of another log that were not rotated from it: `a.log` beside `a.txt`."""
    unrotated = Counter(place.log for place in places if not place.rotated)
    return {number for number, place in enumerate(places) if not place.rotated and unrotated[place.log] > 1}


_Log = tuple[tuple[str, ...], str, str]


def _told_apart(logs: Iterable[_Log]) -> dict[_Log, str]:
    """The shortest names that differ: the file's, else the folder in which those of the same name differ, else both."""
    logs = list(logs)
    names = {log: log[2] or log[1] for log in logs}
    for alike in _alike(names):
        names.update(_by_folder(alike))
    for alike in _alike(names):
        names.update({place: "/".join((names[place], place[2] or place[1])) for place in alike})
    for alike in _alike(names):
        names.update({place: "/".join((*place[0], place[2] or place[1])) for place in alike})
    return names


def _alike(names: dict[_Log, str]) -> list[list[_Log]]:
    by_name: dict[str, list[_Log]] = {}
    for log, name in names.items():
        by_name.setdefault(name, []).append(log)
    return [logs for logs in by_name.values() if len(logs) > 1]


def _by_folder(logs: list[_Log]) -> dict[_Log, str]:
    """Names of logs whose files have the same one: the nearest folder that distinguishes all of them."""
    deepest = max(len(log[0]) for log in logs)
    padded = {log: (*(("",) * (deepest - len(log[0]))), *log[0]) for log in logs}
    near = {place: [_without(folder, _PACKED) for folder in reversed(folders)] for place, folders in padded.items()}
    differs = [level for level in range(deepest) if len({near[log][level] for log in logs}) > 1]
    for level in differs:
        names = {log: near[log][level] or log[2] or log[1] for log in logs}
        if len(set(names.values())) == len(logs):
            return names
    # No single folder does: those that differ at all, from the outermost to the innermost.
    joined = {
        log: "/".join(near[log][level] for level in reversed(differs) if near[log][level]) or log[2] or log[1]
        for log in logs
    }
    if len(set(joined.values())) == len(logs):
        return joined
    return {log: "/".join((*log[0], log[2] or log[1])) for log in logs}
