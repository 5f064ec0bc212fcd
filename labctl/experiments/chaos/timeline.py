"""Availability and latency over time: the answers that clients got in each slice of a run.

Clients send one request at a time, so a waiting client sends no more: counting requests would hide the worst
seconds. Therefore availability is a share of the clients' time: the time in which the pending request got an answer.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from labctl.raft.quantiles import quantile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from labctl.experiments.chaos.history import Operation

MOST_SLICES = 120
WITH_AN_ANSWER = frozenset({"done", "mismatch"})


@dataclass
class Share:
    """A part of a whole, both in seconds of clients' time."""

    part: float = 0.0
    whole: float = 0.0

    def add(self, seconds: float, *, good: bool) -> None:
        """More time, and whether it counts for the part."""
        self.whole += seconds
        self.part += seconds if good else 0.0

    @property
    def value(self) -> float | None:
        """From 0 to 1; None where there is no whole."""
        return self.part / self.whole if self.whole else None


@dataclass
class Slice:
    """A slice of time.

    Attributes:
        begin: in seconds since the run began.
        seconds: how long the slice is.
        asked: how many requests began in it.
        waits: how long those of them took that were answered, in milliseconds, in order.
        available: the share of all clients' time in it.
        servers: that of each server's clients.
    """

    begin: float
    seconds: float
    asked: int = 0
    waits: list[float] = field(default_factory=list)
    available: Share = field(default_factory=Share)
    servers: dict[str, Share] = field(default_factory=dict)

    @property
    def answered(self) -> int:
        """How many of the requests that began in it were answered."""
        return len(self.waits)

    def wait(self, part: float) -> float | None:
        """A quantile of how long answered requests took, in milliseconds; None where none was answered."""
        return quantile(self.waits, part) if self.waits else None


def timeline(
    operations: Iterable[Operation], seconds: float, servers: Sequence[str], most: int = MOST_SLICES
) -> list[Slice]:
    """Cut a run into slices of a second, longer ones where there would be too many.

    Args:
        operations: the whole history.
        seconds: how long the clients went on.
        servers: the lab's.
        most: how many slices there may be.
    """
    width = max(1.0, seconds / most)
    count = max(1, -int(-seconds // width))
    slices = [Slice(at * width, width, servers={name: Share() for name in servers}) for at in range(count)]
    clients: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        clients[operation.client].append(operation)
        piece = slices[min(int(operation.begin / width), count - 1)]
        piece.asked += 1
        if operation.outcome in WITH_AN_ANSWER:
            piece.waits.append(operation.milliseconds)
    for asked in clients.values():
        for operation, until in zip(asked, [*(each.begin for each in asked[1:]), asked[-1].end], strict=True):
            good = operation.outcome in WITH_AN_ANSWER
            for piece, part in _parts(slices, width, operation.begin, until):
                piece.available.add(part, good=good)
                piece.servers[operation.server].add(part, good=good)
    for piece in slices:
        piece.waits.sort()
    return slices


def _parts(slices: Sequence[Slice], width: float, begin: float, end: float) -> Iterator[tuple[Slice, float]]:
    """The slices that a time lies in, and how much of it lies in each."""
    for piece in slices[min(int(begin / width), len(slices) - 1) :]:
        if piece.begin >= end:
            return
        yield piece, min(end, piece.begin + width) - max(begin, piece.begin)


def availability(slices: Iterable[Slice]) -> float | None:
    """The share of all clients' time in which the pending request was answered; None where nobody asked."""
    whole = Share()
    for interval in slices:
        whole.part += interval.available.part
        whole.whole += interval.available.whole
    return whole.value
