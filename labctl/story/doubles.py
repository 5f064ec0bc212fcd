"""Lines that two logs hold of one server: rotated files that overlap, or a file beside the journal of the same process.

Copying a log and cutting it off afterwards leaves its last lines in both files. No two servers say of themselves the
same at the same moment, so such logs are one server's, and what stands in both is told once.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from datetime import timedelta
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

from labctl.raft.durations import is_whole
from labctl.raft.event import OTHER
from labctl.raft.log_line import open_envelope
from labctl.raft.prefilter import likely_lines
from labctl.raft.reader import is_told, read_line
from labctl.raft.speakers import own_address
from labctl.story.coverage import Coverage
from labctl.story.line_forms import name_and_line
from labctl.story.survey import EPOCH, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from labctl.raft.event import Event
    from labctl.story.log_files import Recording
    from labctl.story.survey import Survey

    _Log = tuple[Recording, Survey | None]

MOST = 65_536
"""Lines of a log that are compared."""
FEWEST, FEWEST_OF_OTHERS = 2, 8
"""Lines that logs must have in common in which no server names itself: rotated ones, and those of other names."""
NEAR = timedelta(seconds=2)
"""Lines of one log are not more out of order than that."""


def doubled(logs: Sequence[_Log], note: Callable[[str], None]) -> list[int]:
    """For each log, the number of the first one that holds lines of the same server that it holds too, or its own."""
    firsts = list(range(len(logs)))
    for other, number in sorted(_may_be_doubled(logs)):
        if firsts[other] == other and firsts[number] == number and _share_lines(logs[other], logs[number]):
            firsts[number] = other
            note(
                f"{logs[other][0].name} and {logs[number][0].name} hold the same lines of one server: what stands in "
                "both is told once."
            )
    return firsts


def _may_be_doubled(logs: Sequence[_Log]) -> set[tuple[int, int]]:
    """Pairs of logs that have a name, a server that names itself, or a line with a fine stamp in common."""
    pairs: set[tuple[int, int]] = set()
    first: dict[Any, int] = {}
    for number, (recording, survey) in enumerate(logs):
        marks: set[Any] = {recording.server}
        for event in survey.events if survey is not None else ():
            marks.add(own_address(event))
            if event.time is not None and not is_whole(event.time) and is_told(event):
                marks.add(_key(event))
        others = {first.setdefault(mark, number) for mark in marks if mark}
        pairs.update((other, number) for other in others if other != number)
    return pairs


def _share_lines(log: _Log, other: _Log) -> bool:
    """Whether two logs hold the same lines of one server, and where both tell of a time, none contradicts the other."""
    span = _common_time(log[1], other[1])
    if span is None or log[0].is_named or other[0].is_named:
        return False
    # Where both beginnings tell of one time, they are enough; reading all of two long logs takes its time.
    seen = min(span[1], *(survey.latest for _, survey in (log, other) if survey and survey.latest))
    span = (span[0], seen) if span[0] <= seen else span
    lines, others = _lines(*log, *span), _lines(*other, *span)
    if not (_due(lines, span, other[1]) <= others or _due(others, span, log[1]) <= lines):
        return False
    both = lines & others
    fine = Counter({line: count for line, count in both.items() if not is_whole(line[1])})
    if any(is_of_itself for is_of_itself, *_ in fine):
        return True
    # Machines that are started in one second, each with the same address of its own, say the same in that second.
    is_one = log[0].server == other[0].server
    rough = both.total() if is_one or any(is_of_itself for is_of_itself, *_ in both) else 0
    return fine.total() >= (FEWEST if is_one else FEWEST_OF_OTHERS) or rough >= FEWEST_OF_OTHERS


def _due(lines: Counter[Any], span: tuple[datetime, datetime], other: Survey | None) -> Counter[Any]:
    """Those of a log's lines that another one of the same server has, unless it lacks lines of the time in between.

    Of the moment at which it begins, or up to which it is known, it need not have all lines.
    """
    ends = {other.first, other.last, other.latest} if other is not None else set()
    return Counter({line: count for line, count in lines.items() if line[1] not in ends or line[1] not in span})


def _common_time(survey: Survey | None, other: Survey | None) -> tuple[datetime, datetime] | None:
    """The time of which the logs of two single servers both tell."""
    if survey is None or other is None or not (_is_of_one(survey) and _is_of_one(other)):
        return None
    if survey.first is None or other.first is None:
        return None
    since = max(survey.first, other.first)
    until = min(survey.last or survey.first, other.last or other.first)
    return (since, until) if since <= until else None


def _is_of_one(survey: Survey) -> bool:
    named = survey.sources | survey.later_sources or survey.hosts | survey.later_hosts or survey.tags
    return survey.order.kind == "sorted" and len(named) <= 1 and not survey.speakers.are_several


def _lines(recording: Recording, survey: Survey | None, since: datetime, until: datetime) -> Counter[Any]:
    """What a log says in a time, and how often."""
    if survey is None:
        return Counter()
    is_seen = survey.is_whole or (survey.latest is not None and until <= survey.latest)
    events = iter(survey.events) if is_seen else _read(recording, survey.first)
    inside = (event for event in events if event.time is not None and since <= event.time <= until and is_told(event))
    return Counter((own_address(event) is not None, *_key(event)) for event in islice(inside, MOST))


def _read(recording: Recording, near: datetime | None) -> Iterator[Event]:
    for number, raw in likely_lines(recording.chunks(bytearray(), Coverage(recording.name))):
        line = name_and_line(raw)[1].decode("utf-8", "replace")
        event = read_line(line, server="", line_no=number, zone=UNKNOWN, near=near)
        if event is not None:
            near = event.time or near
            yield event


def _key(event: Event) -> tuple[Any, ...]:
    """What makes a line another one, whatever stands in front of it."""
    envelope = open_envelope(event.line) if event.event == OTHER else None
    said = envelope.message if envelope is not None else ""
    return event.time, event.event, event.term, event.peer, event.module, said, tuple(sorted(event.values.items()))


def overlap(surveys: Sequence[Survey | None]) -> bool:
    """Whether two of one server's logs, in the order in which they begin, tell of one time."""
    return any(_common_time(*pair) is not None for pair in pairwise(surveys))


def united(
    logs: Iterable[Iterable[Event]], *, fine: bool = False, left_out: Callable[[int], None] = lambda _: None
) -> Iterator[Event]:
    """The events of one server's logs in order of time; what stands in several of them comes once.

    Args:
        logs: in the order in which they begin.
        fine: of stamps of whole seconds, take two equal lines of two logs for two.
        left_out: receives at the end how many lines were left out.
    """
    streams = [_placed(number, events) for number, events in enumerate(logs)]
    said: Counter[tuple[int, tuple[Any, ...]]] = Counter()
    told: Counter[tuple[Any, ...]] = Counter()
    recent: deque[tuple[datetime, int, tuple[Any, ...]]] = deque()
    doubles = 0
    for latest, number, _, event in heapq.merge(*streams, key=lambda placed: placed[:3]):
        while recent and latest - recent[0][0] > NEAR:
            _, of, old = recent.popleft()
            del said[of, old], told[old]
        if event.time is None or (fine and is_whole(event.time)):
            yield event
            continue
        key = _key(event)
        recent.append((latest, number, key))
        said[number, key] += 1
        # A server may say the same twice within a moment: then it stands twice in one log.
        if said[number, key] > told[key]:
            told[key] += 1
            yield event
        else:
            doubles += 1
    left_out(doubles)


def _placed(number: int, events: Iterable[Event]) -> Iterator[tuple[datetime, int, int, Event]]:
    """Events with the latest time that their log has shown so far."""
    latest: datetime | None = None
    waiting: list[Event] = []
    for at, event in enumerate(events):
        if event.time is not None and (latest is None or event.time > latest):
            latest = event.time
        if latest is None:
            waiting.append(event)
            continue
        yield from ((latest, number, -1, early) for early in waiting)
        waiting.clear()
        yield latest, number, at, event
    yield from ((EPOCH, number, -1, early) for early in waiting)
