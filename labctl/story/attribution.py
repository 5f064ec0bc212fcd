"""Which server wrote the lines of each log: by the lines, else by the user, else by the names of the files.

Two servers are never taken for one, and one never for two, as far as possible; where that is uncertain, a note says
so.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from labctl.raft.speakers import Speakers, own_address
from labctl.story.log_names import servers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from labctl.raft.event import Event
    from labctl.story.log_files import Recording
    from labctl.story.survey import Survey

    _Log = tuple[Recording, Survey | None]

_ANY_HOST = re.compile(r"localhost|[0-9a-f]{12,64}|-", re.ASCII)
"""Words that are no machine's name: a container's is its ID, unless it was named."""
OVERLAP = timedelta(seconds=1)


@dataclass
class Attribution:
    """Which server wrote the lines of a log.

    Attributes:
        server: the writer of all lines; "" where each line may name its own.
        otherwise: the writer of a line that names none.
        of_hosts: machines that the lines name are servers.
        by_address: only the lines count with which a server names its own address.
        is_one: all are of one server.
        is_said: the user named the server.
        called: the names to show for servers that the lines call by the path of a file.
    """

    server: str = ""
    otherwise: str = ""
    of_hosts: bool = True
    by_address: bool = False
    is_one: bool = False
    is_said: bool = False
    called: Mapping[str, str] = field(default_factory=dict)

    def of(self, event: Event) -> str | None:
        """The server of an event that was read without this attribution: it has the server that its line names."""
        if self.by_address:
            return own_address(event)
        server = self.server or event.server or self.otherwise
        return self.called.get(server, server)


def attributions(
    logs: Sequence[_Log], note: Callable[[str], None], firsts: Sequence[int] | None = None
) -> list[Attribution]:
    """Find the writers of each log's lines, from the beginnings of the logs.

    Args:
        logs: what is read.
        note: receives notes for a reader of the story.
        firsts: for each log the number of the first one that holds the same lines of one server, or its own.
    """
    firsts = firsts or range(len(logs))
    names = _names(logs, firsts)
    _join(logs, names, note)
    hosts, sources = _used(names, logs, _host), _used(names, logs, _source)
    by_log = [_of_one(name, log, hosts, sources, note) for name, log in zip(names, logs, strict=True)]
    for attribution, first in zip(by_log, firsts, strict=True):
        if attribution is not by_log[first]:
            attribution.server = by_log[first].server
    called = names_of_paths(
        [
            name
            for _, survey in logs
            if survey
            for name in (*survey.sources, *survey.hosts, *survey.later_sources, *survey.later_hosts)
        ],
        {attribution.otherwise for attribution in by_log},
    )
    for attribution in by_log:
        attribution.called, attribution.server = called, called.get(attribution.server, attribution.server)
    _tell_doubles(by_log, logs, note)
    return by_log


def names_of_paths(names: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Names for servers that lines call by a path (`==> /var/log/n1/consul.log <==`): as for files of these paths.

    Two servers never get one name, nor that of another one, of those that are `taken` or among the names.
    """
    names = set(names)
    paths = sorted(path for path in names if "/" in path)
    others = {server for server in names if "/" not in server} | set(taken)
    return {path: name for path, name in zip(paths, servers_of(paths), strict=True) if name not in others}


def _used(names: Sequence[str], logs: Sequence[_Log], named: Callable[[_Log], str | None]) -> Counter[str]:
    """How many servers' logs name the same machine, or the same container."""
    return Counter(
        server for _, server in {(name, named(log)) for name, log in zip(names, logs, strict=True)} if server
    )


def _of_one(
    name: str, log: _Log, hosts: Counter[str], sources: Counter[str], note: Callable[[str], None]
) -> Attribution:
    recording, survey = log
    attribution = Attribution(otherwise=name, is_said=recording.is_named)
    if survey is None:
        # A log that is read only once has its writers in its lines.
        attribution.server = name if recording.is_named else ""
        return attribution
    # The beginning of a log may show one server, and what comes later others.
    named = survey.sources | survey.later_sources or survey.hosts | survey.later_hosts or survey.tags
    attribution.is_one = len(named) <= 1
    attribution.of_hosts = not (survey.sources or survey.later_sources) and bool(named)
    if attribution.is_one and not named and not attribution.is_said and survey.speakers.are_several:
        attribution.by_address, attribution.is_one = True, False
        note(f"{several(recording.name, survey.speakers)} {ONLY}")
    elif attribution.is_one:
        source, host = _source(log), _host(log)
        # Two machines that give their containers the same name are still two servers.
        own = source if source and sources[source] == 1 else host if host and hosts[host] == 1 else None
        attribution.server = own or name
    return attribution


def several(name: str, speakers: Speakers) -> str:
    """Note that a log is of several servers and does not show which line is whose."""
    there = speakers.addresses
    if len(there) == 1:
        return f"{name} is of {there[0]} and of another server, and does not say whose a line is."
    some = ", ".join(there[:5]) + (f" and {len(there) - 5} more" if len(there) > 5 else "")  # noqa: PLR2004
    return f"{name} is of {len(there)} servers ({some}) and does not say whose a line is."


ONLY = "Only the lines in which a server names itself are told of it: give each server a file of its own."


def _host(log: _Log) -> str | None:
    """The machine that a log is of, where its lines name one and nothing better."""
    survey = log[1]
    if survey is None or survey.sources or len(survey.hosts) != 1 or log[0].is_named:
        return None
    (host,) = survey.hosts
    return None if _ANY_HOST.fullmatch(host) else host


def _source(log: _Log) -> str | None:
    survey = log[1]
    if survey is None or len(survey.sources) != 1 or log[0].is_named:
        return None
    return next(iter(survey.sources))


def _names(logs: Sequence[_Log], firsts: Sequence[int]) -> list[str]:
    """The user's name of each log, else its file's name; logs that overlap in time were not rotated."""
    unnamed = [number for number, (recording, _) in enumerate(logs) if not recording.is_named]
    names = [recording.server for recording, _ in logs]
    paths = [logs[number][0].place for number in unnamed]
    groups: dict[str, list[int]] = {}
    for at, number in enumerate(unnamed):
        groups.setdefault(names[number], []).append(at)
    apart = [
        at for group in groups.values() if len({firsts[unnamed[at]] for at in group}) > 1
        and _overlap([logs[unnamed[at]][1] for at in group if firsts[unnamed[at]] == unnamed[at]])
        for at in group
    ]  # fmt: skip
    if apart:
        for at, name in zip(unnamed, servers_of(paths, apart), strict=True):
            names[at] = name
    return names


def _overlap(surveys: Sequence[Survey | None]) -> bool:
    """Whether two of these logs overlap in time; unknown times do not."""
    ranges = sorted(
        (survey.first, survey.last or survey.first)
        for survey in surveys
        if survey is not None and survey.first is not None
    )
    return any(first[1] - second[0] > OVERLAP for first, second in itertools.pairwise(ranges))


def _addresses(survey: Survey | None) -> list[str]:
    return (
        survey.speakers.addresses
        if survey is not None and not survey.sources and not survey.speakers.are_several
        else []
    )


def _join(logs: Sequence[_Log], names: list[str], note: Callable[[str], None]) -> None:
    """Two logs of the same address, one behind the other, are of one server, whatever their files are called."""
    first: dict[str, int] = {}
    for number, (recording, survey) in enumerate(logs):
        addresses = _addresses(survey)
        if len(addresses) != 1 or recording.is_named:
            continue
        other = first.setdefault(addresses[0], number)
        if names[other] == names[number]:
            continue
        both = [logs[other][1], survey]
        if all(survey_ is not None and survey_.last is not None for survey_ in both) and not _overlap(both):
            note(
                f"{logs[other][0].name} and {recording.name} are of one server, {addresses[0]}, one behind the other: "
                f"it is called {names[other]}."
            )
            old = names[number]
            for at, name in enumerate(names):
                names[at] = names[other] if name == old else name


def _tell_doubles(
    by_log: Sequence[Attribution],
    logs: Sequence[_Log],
    note: Callable[[str], None],
) -> None:
    """Note which logs seem to be of one server but are told as two."""
    seen: dict[str, int] = {}
    for number, attribution in enumerate(by_log):
        addresses = _addresses(logs[number][1])
        if len(addresses) != 1 or not attribution.server:
            continue
        other = seen.setdefault(addresses[0], number)
        if by_log[other].server != attribution.server:
            note(
                f"{logs[other][0].name} and {logs[number][0].name} are both of {addresses[0]}, at the same time: "
                f"they are told as two servers, {by_log[other].server} and {attribution.server}. If they are "
                "one's, leave one "
                "out."
            )
