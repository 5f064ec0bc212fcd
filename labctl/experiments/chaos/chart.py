"""A chaos run laid out over time: what each server's clients got, what was broken, who led, how long answers took.

Pure geometry, in pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from labctl.experiments.chaos.report import Disturbance, LeadershipSpan, Report
    from labctl.experiments.chaos.timeline import Slice

LEFT, WIDTH, RIGHT = 104, 940, 24
TOP, LANE, GAP = 64, 34, 12
LATENCY = 180
_BAR = 26
_FASTEST_MS, _SLOWEST_MS = 1.0, 10_000.0
_TICKS = (5, 10, 20, 30, 60, 120, 300)
_MOST_TICKS = 12
# A letter of this drawing is about so wide.
_LETTER = 5.8


@dataclass(frozen=True)
class Bar:
    """A server's slice; as high as the share of its clients' time in which they were served."""

    x: float
    y: float
    width: float
    height: float
    words: str


@dataclass(frozen=True)
class Band:
    """A time on a lane, with a label where there is room for one."""

    x: float
    y: float
    width: float
    height: float
    label: str
    words: str


@dataclass(frozen=True)
class Lane:
    """A row with a name."""

    name: str
    y: float


@dataclass(frozen=True)
class Tick:
    """A mark of an axis."""

    at: float
    label: str


@dataclass
class Chart:
    """What is drawn."""

    lanes: list[Lane]
    bars: list[Bar] = field(default_factory=list)
    faults: list[Band] = field(default_factory=list)
    leaders: list[Band] = field(default_factory=list)
    seconds: list[Tick] = field(default_factory=list)
    waits: list[Tick] = field(default_factory=list)
    median: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)
    lost: list[Tick] = field(default_factory=list)

    @property
    def latency_y(self) -> float:
        """Where the drawing of latency begins."""
        return self.lanes[-1].y + LANE + GAP

    @property
    def bottom(self) -> float:
        """Where the axis of time is."""
        return self.latency_y + LATENCY

    @property
    def width(self) -> int:
        """In pixels."""
        return LEFT + WIDTH + RIGHT

    @property
    def height(self) -> float:
        """In pixels."""
        return self.bottom + 40


def chart_of(report: Report) -> Chart:
    """Lay out a report."""
    run = report.run
    scale = WIDTH / max(run.seconds, 1.0)
    lanes = [Lane(name, TOP + number * LANE) for number, name in enumerate([*run.servers, "leader"])]
    chart = Chart(lanes)
    for lane in lanes[:-1]:
        chart.bars += [_bar(one, lane, scale, run.seconds) for one in report.slices]
        chart.faults += [_fault(one, lane, scale) for one in run.disturbances if lane.name in one.servers]
    chart.leaders = [_leadership(one, lanes[-1], scale) for one in run.leaderships]
    every = next((step for step in _TICKS if run.seconds / step <= _MOST_TICKS), _TICKS[-1])
    chart.seconds = [Tick(LEFT + at * scale, f"{at} s") for at in range(0, int(run.seconds) + 1, every)]
    chart.waits = [Tick(chart.latency_y + _depth(at), label) for at, label in _SCALE]
    chart.median = list(_lines(report, 0.5, chart.latency_y, scale))
    chart.slow = list(_lines(report, 0.95, chart.latency_y, scale))
    chart.lost = [
        Tick(LEFT + (one.begin + one.seconds / 2) * scale, f"{one.asked - one.answered} of {one.asked} got no answer")
        for one in report.slices
        if one.answered < one.asked
    ]
    return chart


_SCALE = ((1.0, "1 ms"), (10.0, "10 ms"), (100.0, "100 ms"), (1000.0, "1 s"), (10_000.0, "10 s"))


def _depth(milliseconds: float) -> float:
    """Where a wait is drawn, from the top: ten times as long is always as much higher."""
    within = min(max(milliseconds, _FASTEST_MS), _SLOWEST_MS)
    return LATENCY * (1 - math.log(within / _FASTEST_MS) / math.log(_SLOWEST_MS / _FASTEST_MS))


def _lines(report: Report, part: float, top: float, scale: float) -> Iterator[str]:
    """The points of each unbroken line; where nothing was answered, there is none."""
    points: list[str] = []
    for one in [*report.slices, None]:
        wait = one.wait(part) if one is not None else None
        if one is None or wait is None:
            if points:
                yield " ".join(points if len(points) > 1 else points * 2)
            points = []
            continue
        points.append(f"{LEFT + (one.begin + one.seconds / 2) * scale:.1f},{top + _depth(wait):.1f}")


def _bar(one: Slice, lane: Lane, scale: float, seconds: float) -> Bar:
    share = one.servers[lane.name].value
    height = round((share or 0.0) * _BAR, 1)
    width = min(one.seconds, max(seconds - one.begin, 0.0)) * scale
    served = "nobody asked" if share is None else f"served {share:.0%} of the time"
    words = f"{lane.name}, {_time(one.begin, one.begin + one.seconds)}: {served}"
    return Bar(
        round(LEFT + one.begin * scale, 1), lane.y + LANE - 4 - height, round(max(width - 0.6, 0.4), 1), height, words
    )


def _leadership(one: LeadershipSpan, lane: Lane, scale: float) -> Band:
    labels = (f"{one.server}, term {one.term}", one.server, one.server.removeprefix("consul"))
    words = f"{one.server} led in term {one.term}, {_time(one.begin, one.end)}"
    return _band(one.begin, one.end, (lane.y + 4, LANE - 10), labels, words, scale)


def _fault(one: Disturbance, lane: Lane, scale: float) -> Band:
    words = f"{one.what}, {_time(one.begin, one.end)}"
    return _band(one.begin, one.end, (lane.y + 1, LANE - 3), (one.step.verb,), words, scale)


def _band(  # noqa: PLR0913, PLR0917 - all that a band is
    begin: float, end: float, rows: tuple[float, float], labels: Sequence[str], words: str, scale: float
) -> Band:
    """A band with the first label that there is room for; `rows` are its top and its height."""
    width = round(max((end - begin) * scale, 1.0), 1)
    label = next((one for one in labels if len(one) * _LETTER + 8 <= width), "")
    return Band(round(LEFT + begin * scale, 1), rows[0], width, rows[1], label, words)


def _time(begin: float, end: float) -> str:
    return f"{begin:.1f} s to {end:.1f} s"
