"""How times are spread: the least, the middle, the most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


LEAST = 20
"""With this many times, one is the one in twenty below p5, and one above p95."""


@dataclass(frozen=True)
class Distribution:
    """How times are spread, in seconds.

    Of fewer than `LEAST` times, p5 and p95 are drawn between the two least and the two most, and mean nothing.

    Attributes:
        minimum: the least: of those that were measured, or that is possible.
        p5: one in twenty is less.
        p50: half are less.
        p95: one in twenty is more.
        maximum: the most: of those that were measured, or that ninety-nine in a hundred stay below.
    """

    minimum: float
    p5: float
    p50: float
    p95: float
    maximum: float

    def usual(self, seconds: float) -> bool:
        """Whether a time is one of the ninety in a hundred in the middle."""
        return self.p5 <= seconds <= self.p95


def quantile(ordered: Sequence[float], share: float) -> float:
    """The time below which that share of ordered times is; between two times, on the line from one to the other."""
    at = share * (len(ordered) - 1)
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (at - below) * (ordered[above] - ordered[below])


def distribution_of(seconds: Sequence[float]) -> Distribution | None:
    """How measured times are spread; None where there are none."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    p5, p50, p95 = (quantile(ordered, share) for share in (0.05, 0.5, 0.95))
    return Distribution(ordered[0], p5, p50, p95, ordered[-1])
