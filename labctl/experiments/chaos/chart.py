"""A chaos run over time: what each server's clients got, which faults there were, who led, and the latency.

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
# The approximate width of a letter in this drawing.
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
    """The whole drawing."""

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
        chart.bars += [_bar(interval, lane, scale, run.seconds) for interval in report.slices]
        chart.faults += [
            _fault(disturbance, lane, scale) for disturbance in run.disturbances if lane.name in disturbance.servers
        ]
    chart.leaders = [_leadership(span, lanes[-1], scale) for span in run.leaderships]
    every = next((step for step in _TICKS if run.seconds / step <= _MOST_TICKS), _TICKS[-1])
    chart.seconds = [Tick(LEFT + at * scale, f"{at} s") for at in range(0, int(run.seconds) + 1, every)]
    chart.waits = [Tick(chart.latency_y + _depth(at), label) for at, label in _SCALE]
    chart.median = list(_lines(report, 0.5, chart.latency_y, scale))
    chart.slow = list(_lines(report, 0.95, chart.latency_y, scale))
    chart.lost = [
        Tick(
            LEFT + (interval.begin + interval.seconds / 2) * scale,
            f"{interval.asked - interval.answered} of {interval.asked} got no answer",
        )
        for interval in report.slices
        if interval.answered < interval.asked
    ]
    return chart


_SCALE = ((1.0, "1 ms"), (10.0, "10 ms"), (100.0, "100 ms"), (1000.0, "1 s"), (10_000.0, "10 s"))


def _depth(milliseconds: float) -> float:
    """Where a wait is drawn, from the top, on a logarithmic scale."""
    within = min(max(milliseconds, _FASTEST_MS), _SLOWEST_MS)
    return LATENCY * (1 - math.log(within / _FASTEST_MS) / math.log(_SLOWEST_MS / _FASTEST_MS))


def _lines(report: Report, part: float, top: float, scale: float) -> Iterator[str]:
    """The points of each unbroken line; where nothing was answered, there is none."""
    points: list[str] = []
    for interval in [*report.slices, None]:
        wait = interval.wait(part) if interval is not None else None
        if interval is None or wait is None:
            if points:
                yield " ".join(points if len(points) > 1 else points * 2)
            points = []
            continue
        points.append(f"{LEFT + (interval.begin + interval.seconds / 2) * scale:.1f},{top + _depth(wait):.1f}")


def _bar(interval: Slice, lane: Lane, scale: float, seconds: float) -> Bar:
    share = interval.servers[lane.name].value
    height = round((share or 0.0) * _BAR, 1)
    width = min(interval.seconds, max(seconds - interval.begin, 0.0)) * scale
    served = "nobody asked" if share is None else f"served {share:.0%} of the time"
    words = f"{lane.name}, {_time(interval.begin, interval.begin + interval.seconds)}: {served}"
    return Bar(
        round(LEFT + interval.begin * scale, 1),
        lane.y + LANE - 4 - height,
        round(max(width - 0.6, 0.4), 1),
        height,
        words,
    )


def _leadership(span: LeadershipSpan, lane: Lane, scale: float) -> Band:
    labels = (f"{span.server}, term {span.term}", span.server, span.server.removeprefix("consul"))
    words = f"{span.server} led in term {span.term}, {_time(span.begin, span.end)}"
    return _band(span.begin, span.end, (lane.y + 4, LANE - 10), labels, words, scale)


def _fault(disturbance: Disturbance, lane: Lane, scale: float) -> Band:
    words = f"{disturbance.what}, {_time(disturbance.begin, disturbance.end)}"
    return _band(disturbance.begin, disturbance.end, (lane.y + 1, LANE - 3), (disturbance.step.verb,), words, scale)


def _band(  # noqa: PLR0913, PLR0917 - all that a band is
    begin: float, end: float, rows: tuple[float, float], labels: Sequence[str], words: str, scale: float
) -> Band:
    """A band with the first label that fits; `rows` are its top and its height."""
    width = round(max((end - begin) * scale, 1.0), 1)
    label = next((text for text in labels if len(text) * _LETTER + 8 <= width), "")
    return Band(round(LEFT + begin * scale, 1), rows[0], width, rows[1], label, words)


def _time(begin: float, end: float) -> str:
    return f"{begin:.1f} s to {end:.1f} s"
