"""Measured failovers laid out for a drawing: the prediction as a hill, each measured one as a dot below it.

Pure geometry, in pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labctl.experiments.failover.sentences import MEANINGS, NAMES, sentences, subtitle, title
from labctl.raft.failover import PHASES
from labctl.terminal.templates import template

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labctl.raft.failover import Measurement, Phase
    from labctl.raft.quantiles import Distribution

WIDTH = 1000
LEFT, RIGHT = 264, 968
TOP, ROW, BELOW = 132, 128, 64
HILL, BASE = 62, 70
DOTS_HIGH = 48
_SIZES = (7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0)
_STEPS = 240
_SMOOTH = 0.05
_TICKS = 10


@dataclass(frozen=True)
class Dot:
    """One failover."""

    x: float
    y: float


@dataclass(frozen=True)
class Row:
    """One phase.

    Attributes:
        name: of it.
        meaning: from when to when it lasts.
        measured: its median, to be read.
        predicted: the predicted one.
        base: where the hill stands and the dots hang, in pixels from the top.
        hill: the outline of what is predicted.
        band: the part of it between p5 and p95.
        middle: where the predicted median is, and how high the hill is there.
        median: where the measured median is.
        dots: what was measured.
        radius: of a dot.
    """

    name: str
    meaning: str
    measured: str
    predicted: str
    base: int
    hill: str
    band: str
    middle: tuple[float, float]
    median: float
    dots: tuple[Dot, ...]
    radius: float


@dataclass(frozen=True)
class Tick:
    """A line of the scale."""

    x: float
    words: str


@dataclass(frozen=True)
class Chart:
    """The whole drawing."""

    title: str
    subtitle: str
    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]
    sentences: tuple[str, ...]

    @property
    def bottom(self) -> int:
        """Where the scale stands."""
        return TOP + ROW * len(self.rows)

    @property
    def height(self) -> int:
        """In pixels."""
        return self.bottom + BELOW


def svg(measurement: Measurement) -> str:
    """Draw failovers that were measured; at least one."""
    return template("failover.svg.j2").render(
        c=chart_of(measurement), width=WIDTH, left=LEFT, right=RIGHT, top=TOP, row=ROW
    )


def chart_of(measurement: Measurement) -> Chart:
    """Lay out failovers that were measured."""
    most = 1.04 * max(
        max(measurement.predicted(each_phase).spread.maximum, *measurement.seconds(each_phase)) for each_phase in PHASES
    )
    scale = (RIGHT - LEFT) / most
    rows = tuple(
        _row(measurement, phase, TOP + ROW * number + BASE, scale, most)
        for number, phase in enumerate(PHASES)
        if measurement.failovers
    )
    step = next((candidate for candidate in (0.5, 1, 2, 5, 10, 20, 50) if most / candidate <= _TICKS), 100)
    ticks = tuple(
        Tick(_px(LEFT + number * step * scale), f"{number * step:g} s") for number in range(int(most / step) + 1)
    )
    return Chart(title(measurement), subtitle(measurement), rows, ticks, tuple(sentences(measurement)))


def _row(measurement: Measurement, phase: Phase, base: int, scale: float, most: float) -> Row:
    outlook, seconds = measurement.predicted(phase), sorted(measurement.seconds(phase))
    heights = _hill(outlook.curve, outlook.spread, most, _SMOOTH * measurement.timers.heartbeat)
    spread, measured = outlook.spread, measurement.measured(phase)
    dots, radius = _dots(seconds, base, scale)
    at = min(int(spread.p50 / most * _STEPS), _STEPS)
    return Row(
        name=NAMES[phase],
        meaning=MEANINGS[phase],
        measured=f"{measured.p50:.2f} s" if measured else "",
        predicted=f"{spread.p50:.2f} s",
        base=base,
        hill=_outline(heights, base, scale, most, 0.0, most),
        band=_outline(heights, base, scale, most, spread.p5, spread.p95),
        middle=(_px(LEFT + spread.p50 * scale), _px(base - heights[at] * HILL)),
        median=_px(LEFT + measured.p50 * scale) if measured else 0.0,
        dots=dots,
        radius=radius,
    )


def _hill(curve: Sequence[float], spread: Distribution, most: float, smooth: float) -> list[float]:
    """How dense the predicted times are along the scale, from 0 to 1; nothing below what is possible."""

    def density(at: float) -> float:
        return sum(math.exp(-(((at - point) / smooth) ** 2) / 2) for point in curve)

    heights = [density(number / _STEPS * most) for number in range(_STEPS + 1)]
    heights = [
        0.0 if number / _STEPS * most < spread.minimum - smooth else height for number, height in enumerate(heights)
    ]
    highest = max(heights)
    return [height / highest for height in heights]


def _outline(  # noqa: PLR0913, PLR0917 - a part of a curve
    heights: Sequence[float], base: int, scale: float, most: float, begin: float, end: float
) -> str:
    within = [number for number in range(_STEPS + 1) if begin <= number / _STEPS * most <= end]
    points = [(LEFT + number / _STEPS * most * scale, base - heights[number] * HILL) for number in within]
    if not points:
        return ""
    corners = [(points[0][0], float(base)), *points, (points[-1][0], float(base))]
    return "M" + " ".join(f"{_px(x)} {_px(y)}" for x, y in corners) + "z"


def _dots(seconds: Sequence[float], base: int, scale: float) -> tuple[tuple[Dot, ...], float]:
    """Dots that hang from the base, one below the other where there is no room beside it; as large as they fit."""
    dots: list[Dot] = []
    for size in _SIZES:
        dots, stacks = [], dict[int, int]()
        for second in seconds:
            column = int(second * scale / size)
            stacks[column] = stacks.get(column, 0) + 1
            y = base + 3 + size * (stacks[column] - 0.5)
            dots.append(Dot(_px(LEFT + (column + 0.5) * size), _px(y)))
        if max(stacks.values(), default=0) * size <= DOTS_HIGH:
            return tuple(dots), _px(size / 2 - 0.4)
    return tuple(dots), _SIZES[-1] / 2


def _px(value: float) -> float:
    return round(value, 1)
