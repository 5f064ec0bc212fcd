"""A chaos run as svg, and as one self-contained html file: drawn over time, the verdicts, and what shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from labctl.experiments.chaos import text_view
from labctl.experiments.chaos.chart import LANE, LEFT, RIGHT, TOP, chart_of
from labctl.experiments.chaos.history import operation_sentence
from labctl.terminal.templates import template

if TYPE_CHECKING:
    from labctl.experiments.chaos.report import Report


def svg(report: Report) -> str:
    """Draw a run."""
    return template("chaos.svg.j2").render(
        c=chart_of(report), title=_title(report), sentence=text_view.sentence(report), left=LEFT, right=RIGHT, top=TOP,
        lane_height=LANE,
    )  # fmt: skip


def html(report: Report) -> str:
    """Make a page of a run. It needs no network."""
    return template("chaos.html.j2").render(
        report=report,
        run=report.run,
        title=_title(report),
        sentence=text_view.sentence(report),
        requests=text_view.requests(report),
        names=text_view.NAMES,
        operation_sentence=operation_sentence,
        drawing=Markup(svg(report)),  # noqa: S704 - made by the template above, which escapes
    )


def _title(report: Report) -> str:
    return f"Chaos in the lab {report.run.lab}"
