"""Whether the lines of one input stand in order of time, and if not, what has become of it.

Logs are put together by others: pod after pod, newest line first, a later file in front of an earlier one. A server's
own clock can go back, too, and then its lines stand as it wrote them.
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from labctl.raft.durations import is_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

Kind = Literal["sorted", "mixed", "reversed", "set back"]
"""`mixed` lines are in no order, `reversed` ones have the newest first; `set back` is a clock that was."""

STEP = timedelta(seconds=2)
"""A smaller step back is no clock that was set back."""
FEW = 2
"""A clock is set back at most this often; mixed lines go back more often."""
RARE = 0.02
"""At most this many of a server's own lines go back in time: some come a moment late, some when a clock is set."""
MOSTLY = 0.9
_SECOND = timedelta(seconds=1)
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)


class Order(NamedTuple):
    """How the lines of an input stand.

    Attributes:
        kind: in what order they are.
        back: how far the clock was set back, where it was.
    """

    kind: Kind
    back: timedelta = timedelta()


def microseconds(time: datetime) -> int:
    """A time as a number that sorts."""
    return (time - _BEGIN) // timedelta(microseconds=1)


def order_of(lines: Sequence[tuple[str, datetime]]) -> Order:
    """Determine the order of lines, from the server and the time of each."""
    times = [time for _, time in lines]
    falls = [at for at in range(1, len(times)) if _falls(times[at - 1], times[at])]
    if not falls:
        return Order("sorted")
    rises = sum(moment < two for moment, two in itertools.pairwise(times))
    is_of_one = len({server for server, _ in lines}) == 1
    if len(falls) >= MOSTLY * (len(falls) + rises) and times[-1] < times[0] and (is_of_one or len(falls) > 1):
        return Order("reversed")
    if not is_of_one:
        return Order("mixed")
    return _of_one_server(times, falls)


def _falls(before: datetime, time: datetime) -> bool:
    # A stamp of whole seconds is anywhere in its second: among finer ones it may stand behind its equals.
    return time < before and not (is_whole(time) and before - time < _SECOND)


def _of_one_server(times: list[datetime], falls: list[int]) -> Order:
    runs = [times[begin:end] for begin, end in zip([0, *falls], [*falls, len(times)], strict=True)]
    ranges = sorted((min(run), max(run)) for run in runs)
    if all(first[1] <= second[0] for first, second in itertools.pairwise(ranges)):
        return Order("mixed")  # whole pieces: a later file in front of an earlier one
    back = max(times[at - 1] - times[at] for at in falls)
    if back < STEP:
        return Order("sorted")
    if len(falls) > RARE * len(times):
        return Order("mixed")
    return Order("set back", back) if len(falls) <= FEW else Order("mixed")
