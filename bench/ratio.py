"""How many times as long ours takes as the plain docker command, with an interval, from pairs measured in turns."""

from __future__ import annotations

import random
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

RESAMPLES = 10_000
SEED = 1
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Ratio:
    """The ratio of the medians, and a bootstrap interval of it: `low` and `high` hold 95 % of the resampled ratios."""

    ratio: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.ratio:.2f} (95 %: {self.low:.2f} to {self.high:.2f})"


def ratio(ours: Sequence[float], plain: Sequence[float]) -> Ratio:
    """Compare the medians of two series whose entries of one round belong together.

    Whole rounds are drawn anew, so that what slowed both sides of a round slows both sides of the drawn one.
    """
    pairs = list(zip(ours, plain, strict=True))
    draw = random.Random(SEED)  # noqa: S311 - an interval is no secret
    ratios = sorted(_of_medians(draw.choices(pairs, k=len(pairs))) for _ in range(RESAMPLES))
    outside = int(RESAMPLES * (1 - CONFIDENCE) / 2)
    return Ratio(_of_medians(pairs), ratios[outside], ratios[-1 - outside])


def _of_medians(pairs: Sequence[tuple[float, float]]) -> float:
    ours, plain = zip(*pairs, strict=True)
    return float(statistics.median(ours) / statistics.median(plain))
