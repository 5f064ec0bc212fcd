"""Availability and latency over time: what clients were told in each slice of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from labctl.chaos.history import Operation

MOST_SLICES = 120
WITH_AN_ANSWER = frozenset({"done", "mismatch"})


@dataclass
class Slice:
    """The requests that began in a slice of time.

    Attributes:
        begin: in seconds since the run began.
        seconds: how long the slice is.
        answered: how many got an answer that says what happened.
        asked: how many there were.
        waits: how long the answered ones took, in milliseconds, in order.
        servers: answered and asked of each server.
    """

    begin: float
    seconds: float
    answered: int = 0
    asked: int = 0
    waits: list[float] = field(default_factory=list)
    servers: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def availability(self) -> float | None:
        """The share of requests that were answered; None where nobody asked."""
        return share(self.answered, self.asked)

    def wait(self, quantile: float) -> float | None:
        """How long an answered request took, in milliseconds: 0.5 is the median. None where none was answered."""
        return self.waits[min(int(quantile * len(self.waits)), len(self.waits) - 1)] if self.waits else None


def share(part: int, whole: int) -> float | None:
    """A part of a whole, from 0 to 1; None where there is no whole."""
    return part / whole if whole else None


def timeline(operations: Iterable[Operation], seconds: float, servers: Sequence[str]) -> list[Slice]:
    """Cut a run into slices of a second, longer ones where there would be too many.

    Args:
        operations: the whole history.
        seconds: how long the clients went on.
        servers: the lab's.
    """
    width = max(1.0, seconds / MOST_SLICES)
    slices = [Slice(number * width, width) for number in range(max(1, -int(-seconds // width)))]
    for one in operations:
        piece = slices[min(max(int(one.begin / width), 0), len(slices) - 1)]
        answered = one.outcome in WITH_AN_ANSWER
        before = piece.servers.get(one.server, (0, 0))
        piece.servers[one.server] = (before[0] + answered, before[1] + 1)
        piece.asked += 1
        piece.answered += answered
        if answered:
            piece.waits.append(one.milliseconds)
    for piece in slices:
        piece.waits.sort()
        piece.servers = {name: piece.servers.get(name, (0, 0)) for name in servers}
    return slices
