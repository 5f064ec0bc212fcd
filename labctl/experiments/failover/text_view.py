"""Measured failovers as text: a table, and below it measured and predicted times, to scale."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from labctl.experiments.failover.sentences import MEANINGS, NAMES, sentences, subtitle, title
from labctl.raft.failover import PHASES
from labctl.raft.quantiles import LEAST
from labctl.terminal.style import paint, sign, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labctl.raft.failover import Measurement
    from labctl.raft.quantiles import Distribution

WIDEST = 100
NARROWEST = 60
_LABEL = 14
_WITH_MEANINGS = 94
_MOST = 9


def text(measurement: Measurement, columns: int) -> str:
    """The whole measurement, for a terminal of that many columns."""
    columns = max(NARROWEST, min(columns, WIDEST))
    parts = [
        paint(title(measurement), "bold"),
        "\n".join(textwrap.wrap(f"{subtitle(measurement)}.", columns)),
        "",
        _table(measurement, meanings=columns >= _WITH_MEANINGS),
        "",
        *_strips(measurement, columns - _LABEL),
        *textwrap.wrap(_legend(), columns, initial_indent=" " * _LABEL, subsequent_indent=" " * _LABEL),
        "",
        *("\n".join(textwrap.wrap(sentence, columns)) for sentence in sentences(measurement)),
    ]
    return "\n".join(parts) + "\n"


def _legend() -> str:
    return f"{sign('band')} predicted for 90 in 100, {sign('middle')} the median; digits count what was measured"


def _table(measurement: Measurement, *, meanings: bool) -> str:
    """Measured times beside the predicted ones; with few rounds there is no p95."""
    rows, enough = [], len(measurement.failovers) >= LEAST
    for phase in PHASES:
        observed, said = measurement.measured(phase), measurement.predicted(phase).spread
        if observed is not None:
            times = (
                observed.minimum,
                observed.p50,
                *([observed.p95] if enough else []),
                observed.maximum,
            )
            measured = [f"{seconds:.2f}" for seconds in times]
            predicted = f"{said.p5:.2f} - {said.p50:.2f} - {said.p95:.2f}"
            rows.append([NAMES[phase], *measured, predicted, *([MEANINGS[phase]] if meanings else [])])
    heads = ["min", "median", *(["p95"] if enough else []), "max", "predicted p5-median-p95"]
    return table(["seconds", *heads, *([""] if meanings else [])], rows)


def _strips(measurement: Measurement, columns: int) -> list[str]:
    """Each phase on a line of time: above it the prediction, below it how many were measured there."""
    most = max(
        max(measurement.predicted(each_phase).spread.maximum, *measurement.seconds(each_phase)) for each_phase in PHASES
    )
    scale = (columns - 1) / most
    lines = [f"{'':{_LABEL}}{_axis(most, scale, columns)}"]
    for phase in PHASES:
        predicted = _predicted(measurement.predicted(phase).spread, scale, columns)
        lines += [
            f"{NAMES[phase]:{_LABEL}}{paint(predicted, 'cyan')}".rstrip(),
            f"{'':{_LABEL}}{_counted(measurement.seconds(phase), scale, columns)}".rstrip(),
        ]
    return lines


def _axis(most: float, scale: float, columns: int) -> str:
    """The seconds, as many as have room."""
    step = next(
        candidate
        for candidate in (1, 2, 5, 10, 20, 50, 100, 200, 500)
        if candidate * scale >= _MOST or candidate >= most
    )
    line = [" "] * columns
    for second in range(0, int(most) + 1, step):
        at = int(second * scale)
        label = f"{second} s"
        if at + len(label) <= columns:
            line[at : at + len(label)] = label
    return "".join(line).rstrip()


def _predicted(spread: Distribution, scale: float, columns: int) -> str:
    line = [" "] * columns
    for begin, end, mark in (
        (spread.minimum, spread.maximum, sign("line")),
        (spread.p5, spread.p95, sign("band")),
        (spread.p50, spread.p50, sign("middle")),
    ):
        for at in range(int(begin * scale), int(end * scale) + 1):
            line[at] = mark
    return "".join(line).rstrip()


def _counted(seconds: Sequence[float], scale: float, columns: int) -> str:
    counts = [0] * columns
    for second in seconds:
        counts[int(second * scale)] += 1
    return "".join(" " if not count else str(count) if count <= _MOST else "+" for count in counts).rstrip()
