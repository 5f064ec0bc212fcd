"""Whether the lines of one input stand in order of time, and if not, what has become of it.

Logs are put together by others: pod after pod, newest line first, a later file in front of an earlier one. A server's
own clock can go back, too, and then its lines stand as it wrote them. Where either may be the case, terms decide:
those of one server only rise.
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from labctl.raft.durations import is_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from labctl.raft.event import Event

Kind = Literal["sorted", "mixed", "reversed", "set back"]
"""`mixed` lines are in no order, `reversed` ones have the newest first; `set back` is a clock that was."""

STEP = timedelta(seconds=2)
"""A smaller step back is no clock that was set back."""
FEW = 2
"""A clock is set back at most this often; mixed lines go back more often."""
RARE = 0.02
"""At most this many of a server's own lines go back in time: some come a moment late, some when a clock is set."""
MOSTLY = 0.9
_RISING = frozenset({"candidate_entered", "election_won"})
"""What a server says with its own term."""
_SECOND = timedelta(seconds=1)
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)


class Order(NamedTuple):
    """How the lines of an input stand.

    Attributes:
        kind: in what order they are.
        back: how far the clock was set back, where it was, or may have been.
    """

    kind: Kind
    back: timedelta = timedelta()


def microseconds(time: datetime) -> int:
    """A time as a number that sorts."""
    return (time - _BEGIN) // timedelta(microseconds=1)


class Stamp(NamedTuple):
    """What of a line shows its place: its server, its time, and its server's term where it says that."""

    server: str
    time: datetime
    term: int | None = None


def stamp_of(event: Event, time: datetime) -> Stamp:
    """That of an event of this time."""
    return Stamp(event.server, time, event.term if event.event in _RISING else None)


def order_of(lines: Sequence[Stamp], *, of_several: bool = False) -> Order:
    """Determine the order of lines; `of_several` where they are of several servers and name none."""
    times = [line.time for line in lines]
    falls = [at for at in range(1, len(times)) if _falls(times[at - 1], times[at])]
    if not falls:
        return Order("sorted")
    back = max(times[at - 1] - times[at] for at in falls)
    if not of_several and back >= STEP and _rise(lines) and not _rise(sorted(lines, key=lambda line: line.time)):
        return Order("set back", back)
    rises = sum(moment < two for moment, two in itertools.pairwise(times))
    is_of_one = not of_several and len({line.server for line in lines}) == 1
    if len(falls) >= MOSTLY * (len(falls) + rises) and times[-1] < times[0] and (is_of_one or len(falls) > 1):
        return Order("reversed")
    if not is_of_one:
        return Order("mixed")
    return _of_one_server(times, falls, back)


def _falls(before: datetime, time: datetime) -> bool:
    # A stamp of whole seconds is anywhere in its second: among finer ones it may stand behind its equals.
    return time < before and not (is_whole(time) and before - time < _SECOND)


def _rise(lines: Iterable[Stamp]) -> bool:
    """Whether no server's term falls in this order."""
    latest: dict[str, int] = {}
    for server, _, term in lines:
        if term is not None:
            if term < latest.get(server, term):
                return False
            latest[server] = term
    return True


def _of_one_server(times: list[datetime], falls: list[int], back: timedelta) -> Order:
    if back < STEP:
        return Order("sorted")
    runs = [times[begin:end] for begin, end in zip([0, *falls], [*falls, len(times)], strict=True)]
    ranges = sorted((min(run), max(run)) for run in runs)
    if all(first[1] <= second[0] for first, second in itertools.pairwise(ranges)):
        # Whole pieces: a later file in front of an earlier one, as far as is known.
        return Order("mixed", back if len(falls) <= FEW else timedelta())
    if len(falls) == 1 or len(falls) <= min(FEW, RARE * len(times)):
        return Order("set back", back)
    return Order("mixed")
