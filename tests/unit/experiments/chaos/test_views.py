"""A chaos run as people see it: text, JSON, svg and html of one that is made up."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from labctl.experiments.chaos import chart, html_view, json_view, text_view
from labctl.experiments.chaos.history import Final, Operation
from labctl.experiments.chaos.report import Report, report_of
from labctl.experiments.chaos.schedule import Step
from tests.unit.experiments.chaos.chaos_run import run
from tests.unit.stand_ins import Ascii

if TYPE_CHECKING:
    from tests.unit.stand_ins import StreamChange


EVIL = '<script>alert(1)</script>\x1b[2J"&'


@pytest.fixture
def report() -> Report:
    return report_of(run())


def broken() -> Report:
    """The same, and one acknowledged write is gone."""
    made = run()
    assert made.final is not None
    added = dict(made.final.added)
    added.pop("set/adder2:3")
    return report_of(replace(made, final=Final(added, made.final.registers)))


def test_the_text_shows_each_server_over_time_and_what_was_broken(report: Report) -> None:
    lines = text_view.report_text(report, columns=60).splitlines()
    rows = {line.split()[0]: line for line in lines if line[:1].isalpha()}
    # Nobody was served from the first request that failed, at 2.2 s, to the next one that was answered, at 5.2 s.
    assert rows["consul1"] == "consul1   ██▂··▆████"
    assert rows["consul2"].split()[1] == "█" * 10
    below = lines[lines.index(rows["consul1"]) + 1]
    assert below == f"{'':<10}  KKK"
    assert rows["leader"] == "leader    11··222222"
    assert all(len(line) <= 60 for line in lines)
    assert lines[-2].startswith("valid: Consul kept every promise")
    legend = " ".join(" ".join(lines[lines.index(rows["leader"]) + 1 :]).split())
    assert legend.startswith(
        "A column is 1 s. Bars: how much of it the server's clients were served, █ all, · nothing. Below: K kill. "
        "Leader: the number of the server, · nobody."
    )
    assert not any("pause" in line for line in lines)  # it was left out


def test_the_text_of_a_broken_promise_shows_the_request(report: Report) -> None:
    text = text_view.report_text(broken(), columns=100)
    assert "invalid  every write is there: the write of set/adder2:3 was acknowledged, and it is gone." in text
    assert "3.200s to    3.210s  adder2 writes set/adder2:3 through consul2: done" in text
    assert "set/adder2:3" not in text_view.report_text(report)


def test_json_has_everything_and_is_one_document(report: Report) -> None:
    document = json.loads(json_view.text(report))
    assert (document["verdict"], document["seed"], document["availability"] < 1) == ("valid", 7, True)
    assert [fault["skipped"] for fault in document["faults"]] == [None, "nobody leads"]
    assert len(document["timeline"]) == 10
    assert [server["availability"] for server in document["timeline"][3]["servers"]] == [0.0, 1.0, 1.0]
    assert document["requests"] == {
        "asked": 61, "answered": 55, "refused": 3, "unanswered": 3, "p50_ms": 20.0, "p95_ms": 20.0, "max_ms": 100.0
    }  # fmt: skip
    invalid = json.loads(json_view.text(broken()))
    assert invalid["verdict"] == "invalid"
    shown = next(check for check in invalid["checks"] if check["check"] == "set")
    assert [operation["key"] for operation in shown["history"]] == ["set/adder2:3"]


def test_a_history_can_be_read_again(report: Report) -> None:
    text = json_view.history_text(report.run.operations)
    again = [Operation(**json.loads(line)) for line in text.splitlines()]
    rounded = [
        operation._replace(begin=round(operation.begin, 6), end=round(operation.end, 6))
        for operation in report.run.operations
    ]
    assert again == rounded


def test_the_drawing_is_xml_with_bars_bands_and_leaders(report: Report) -> None:
    root = ET.fromstring(html_view.svg(report))  # noqa: S314 - our own
    kinds = [element.get("class") for element in root.iter() if element.get("class")]
    assert kinds.count("served") == 1 + 30  # one in the legend
    assert kinds.count("fault") == 1 + 1
    assert kinds.count("leads") == 2
    titles = [element.text for element in root.iter("{http://www.w3.org/2000/svg}title")]
    assert "kill consul1, 2.0 s to 5.0 s" in titles
    assert "consul1, 3.0 s to 4.0 s: served 0% of the time" in titles
    assert "2 of 2 got no answer" not in titles  # the other servers answered in that slice
    assert "2 of 6 got no answer" in titles


def test_everything_is_drawn_on_the_paper(report: Report) -> None:
    drawing = chart.chart_of(report)
    drawn: list[chart.Bar | chart.Band] = [*drawing.bars, *drawing.faults, *drawing.leaders]
    for shape in drawn:
        assert 0 <= shape.x <= shape.x + shape.width <= drawing.width
        assert 0 <= shape.y <= shape.y + shape.height <= drawing.height
    points = [point for line in [*drawing.median, *drawing.slow] for point in line.split()]
    assert points
    for point in points:
        x, y = map(float, point.split(","))
        assert 0 <= x <= drawing.width
        assert drawing.latency_y <= y <= drawing.bottom


def test_a_slice_without_an_answer_breaks_the_line() -> None:
    silent = replace(
        run(), operations=tuple(operation for operation in run().operations if not 4 <= operation.begin < 5)
    )
    assert len(chart.chart_of(report_of(silent)).median) == 2


def test_the_page_needs_no_network_and_shows_what_shows_it() -> None:
    page = html_view.html(broken())
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert not re.search(r'(src|href)="', page)
    assert "adder2 writes set/adder2:3 through consul2: done" in page
    assert "left out: nobody leads" in page


def test_hostile_text_stays_text() -> None:
    made = run()
    evil = replace(
        made,
        lab=EVIL,
        version=EVIL,
        disturbances=(replace(made.disturbances[0], what=EVIL), replace(made.disturbances[1], skipped=EVIL)),
        final=Final({EVIL: EVIL}, {"register/a": EVIL}),
    )
    page = html_view.html(report_of(evil))
    assert "<script" not in page
    assert "\x1b" not in page
    ET.fromstring(html_view.svg(report_of(evil)))  # noqa: S314 - our own
    assert "\x1b" not in text_view.report_text(report_of(evil), columns=80)


def test_a_run_without_an_answer_is_told_too() -> None:
    nothing = report_of(replace(run(), operations=(), final=None, disturbances=(), leaderships=(), ready_after=None))
    text = text_view.report_text(nothing, columns=80)
    assert "None of 0 requests was answered." in text
    assert "unknown: Nobody knows" in text
    assert "unknown" in html_view.html(nothing)
    assert json.loads(json_view.text(nothing))["availability"] is None


def test_a_schedule_is_a_table_with_its_seed() -> None:
    steps = (Step(2.0, 3.5, "kill", ("leader",)), Step(6.0, 2.0, "loss", ("40", "any")))
    text = text_view.schedule_text(steps, 7)
    assert text.splitlines()[1] == "2.0s  3.5s  kill leader"
    assert "--seed 7" in text
    assert json_view.schedule_document("ada", 7, steps)["schedule"][1] == {
        "at": 6.0, "seconds": 2.0, "fault": "loss 40 any"
    }  # fmt: skip


def test_the_strips_need_no_wide_characters(report: Report, standard_output: StreamChange) -> None:
    standard_output(Ascii())
    text = text_view.strips(report.run, 60)
    assert text.isascii()
    assert "consul2   9999999999" in text
