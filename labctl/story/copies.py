"""Logs that were given twice under two names: a copy, packed or not, or one that was made when the log was shorter.

No two servers say of themselves the same at the same moments, so such a log is read once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from labctl.raft.speakers import own_address
from labctl.story.coverage import Coverage
from labctl.story.log_names import servers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from labctl.story.log_reader import Log


def without_copies(logs: Sequence[Log], note: Callable[[str], None]) -> list[Log]:
    """The logs, of which none is the same as another one, or the beginning of another one."""
    alike: dict[str, list[Log]] = {}
    copies: set[int] = set()
    for log in sorted(logs, key=lambda candidate: _likeliest(candidate.recording.place)):
        if log.survey is None or not log.survey.events or log.recording.is_named:
            continue
        others = alike.setdefault(log.survey.events[0].line, [])
        for at, other in enumerate(others):
            if not _seems_the_same(log, other) or (is_first := _is_beginning(log, other)) is None:
                continue
            copy, whole = (log, other) if is_first else (other, log)
            copies.add(id(copy))
            others[at] = whole
            note(f"{copy.recording.name} has no line that {whole.recording.name} does not have: it is left out.")
            break
        else:
            others.append(log)
    kept = [log for log in logs if id(log) not in copies]
    if copies:
        # What distinguishes a log from its copy only is no part of its name.
        unnamed = [log for log in kept if not log.recording.is_named and log.recording.path is not None]
        for log, server in zip(unnamed, servers_of([each_log.recording.place for each_log in unnamed]), strict=True):
            log.recording = replace(log.recording, server=server)
    return kept


def _likeliest(place: str) -> tuple[bool, int, int, str]:
    """Which of two logs is the likelier one not to be the copy, by where they are."""
    return not place.endswith(".log"), place.count("/"), len(place), place


def _seems_the_same(log: Log, two: Log) -> bool:
    """Whether one server says in both who it is, and one beginning goes on as the other does."""
    if log.survey is None or two.survey is None:
        return False
    both = list(zip(log.survey.events, two.survey.events, strict=False))
    return any(own_address(event) for event, _ in both) and all(a.line == b.line for a, b in both)


def _is_beginning(log: Log, two: Log) -> bool | None:
    """Whether a log is the same as another one or its beginning; False where it is the other way round, else None."""
    first, second = _bytes(log), _bytes(two)
    a = b = b""
    while True:
        a, b = a or next(first, b""), b or next(second, b"")
        if not a or not b:
            return not a
        length = min(len(a), len(b))
        if a[:length] != b[:length]:
            return None
        a, b = a[length:], b[length:]


def _bytes(log: Log) -> Iterator[bytes]:
    return (chunk for chunk in log.recording.chunks(bytearray(), Coverage(log.recording.name)) if chunk)
