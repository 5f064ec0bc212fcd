"""Measured failovers as text, JSON and svg: the numbers are there, to scale, and a name is never more than text."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from labctl.experiments.failover import chart, views
from labctl.experiments.failover.chart import DOTS_HIGH, LEFT, RIGHT, chart_of
from labctl.experiments.failover.text_view import text
from labctl.raft.failover import PHASES
from tests.unit.raft.failovers import failover, measurement

SVG = "{http://www.w3.org/2000/svg}"
THREE = measurement(failover(1.2, 2.7, 2.75), failover(1.45, 2.9, 2.96), failover(1.9, 3.5, 3.54))


def tree(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - our own


def lines(columns: int = 100) -> list[str]:
    return text(THREE, columns).splitlines()


def test_the_table_has_what_was_measured_beside_what_was_predicted() -> None:
    row = next(line for line in lines() if line.startswith("detection"))
    said = THREE.expected.detection.spread
    predicted = f"{said.p5:.2f} - {said.p50:.2f} - {said.p95:.2f}"
    assert row.split("  ")[0:1] == ["detection"]
    assert row.split()[1:4] == ["1.20", "1.45", "1.90"]
    assert predicted in row
    assert sum(line.startswith(("detection", "election", "no leader", "first write")) for line in lines()) == 8


@pytest.mark.parametrize(("rounds", "has_p95"), [(2, False), (19, False), (20, True)])
def test_a_p95_is_shown_only_of_so_many_rounds_that_one_in_twenty_is_one(rounds: int, has_p95: bool) -> None:
    measured = measurement(*[failover(1.2, 2.7, 2.75)] * (rounds - 1), failover(1.9, 3.5, 3.54))
    (head,) = [line for line in text(measured, 100).splitlines() if line.startswith("SECONDS")]
    heads = ["SECONDS", "MIN", "MEDIAN", *(["P95"] if has_p95 else []), "MAX", "PREDICTED", "P5-MEDIAN-P95"]
    assert head.split() == heads
    row = json.loads(views.written(measured, "json"))["phases"][0]["measured"]
    assert (row["p5"] is not None, row["p95"] is not None) == (has_p95, has_p95)
    assert (row["minimum"], row["p50"], row["maximum"]) == (1.2, pytest.approx(1.2, abs=0.4), 1.9)


@pytest.mark.parametrize("columns", [1, 60, 80, 100, 400])
def test_no_line_is_wider_than_the_terminal_or_than_a_page(columns: int) -> None:
    assert max(map(len, lines(columns))) <= max(60, min(columns, 100))


def test_what_was_measured_stands_below_what_was_predicted_to_scale() -> None:
    shown = lines()
    at = next(number for number, line in enumerate(shown) if line.startswith("detection") and "━" in line)
    axis, predicted, counted = shown[at - 1 : at + 2]
    second = axis.index("2 s") - axis.index("1 s")
    assert abs((counted.index("1") - axis.index("0 s")) / second - 1.2) < 0.06
    assert abs((predicted.index("┃") - axis.index("0 s")) / second - THREE.expected.detection.spread.p50) < 0.06
    assert predicted.index("━") < predicted.index("┃") < predicted.rindex("━")
    assert counted.split() == ["1", "1", "1"]


def test_many_in_one_place_are_counted_and_more_than_nine_are_a_plus() -> None:
    shown = text(measurement(*[failover(1.2, 2.7, 2.7)] * 4, *[failover(2.0, 3.0, 3.0)] * 12), 100).splitlines()
    at = next(number for number, line in enumerate(shown) if line.startswith("detection") and "━" in line)
    assert shown[at + 1].split() == ["4", "+"]


def test_sentences_say_what_it_means() -> None:
    said = " ".join(lines())
    assert "The leader of the lab ada was killed 3 times" in said
    assert "Time without a leader: median 2.90 s, longest 3.50 s; the first write came 0.05 s later (median)" in said
    assert "So an election timer has to run out too: 3.0 campaigns for each leader (3.0 predicted)" in said
    assert "Of 12 times, 12 are where 90 in 100 should be" in said
    assert "The moment of the kill is known to 0.02 s, that of the first write to 0.03 s" in said


def test_pre_vote_is_explained_as_what_it_is() -> None:
    said = text(measurement(failover(1.2, 1.9, 2.0), pre_vote=True), 100)
    assert "With pre-vote that costs no vote" in " ".join(said.split())


def test_a_measurement_that_was_ended_early_says_so() -> None:
    early = replace(THREE, times=20, by="pause")
    assert text(early, 100).startswith("The leader of the lab ada was paused 3 of 20 times")
    assert views.written(measurement(failover(1, 2, 3)), "text").startswith(
        "The leader of the lab ada was killed 1 time\n"
    )


def test_json_has_every_round_and_the_same_numbers() -> None:
    document = json.loads(views.written(THREE, "json"))
    assert [phase["phase"] for phase in document["phases"]] == list(PHASES)
    first = document["phases"][0]
    assert first["measured"] == {"minimum": 1.2, "p5": None, "p50": 1.45, "p95": None, "maximum": 1.9}
    assert first["predicted"]["minimum"] == 0.9
    assert first["usual"] == 3
    row = document["rounds"][1]
    assert (row["round"], row["old_leader"], row["new_leader"], row["term"]) == (2, "consul1", "consul3", 8)
    assert (row["detection"], row["election"], row["leaderless"], row["first_write"]) == (1.45, 1.45, 2.9, 2.96)
    assert (row["stood"], row["lost_terms"], row["uncertain"], row["unseen"]) == ([7, 7, 8], 1, 0.02, 0.03)
    assert document["campaigns"]["measured"] == 3
    assert document["timeouts"] == {"heartbeat": 1, "election": 1, "lease": 0.5}


def test_each_failover_is_a_dot_of_each_phase_where_its_time_is() -> None:
    chart = chart_of(THREE)
    assert [len(row.dots) for row in chart.rows] == [3, 3, 3, 3]
    at_one_second, at_two_seconds = (
        next(tick.x for tick in chart.ticks if tick.words == words) for words in ("1 s", "2 s")
    )
    detection = chart.rows[0]
    for dot, seconds in zip(detection.dots, (1.2, 1.45, 1.9), strict=True):
        assert dot.x == pytest.approx(at_one_second + (seconds - 1) * (at_two_seconds - at_one_second), abs=4)
    assert detection.median == pytest.approx(at_one_second + 0.45 * (at_two_seconds - at_one_second), abs=1)


@pytest.mark.parametrize("times", [1, 20, 500])
def test_dots_stay_in_their_row(times: int) -> None:
    chart = chart_of(measurement(*[failover(1.2, 2.7, 2.75)] * times, failover(1.9, 3.0, 3.1)))
    for row in chart.rows:
        # Of very many in one place, the dots become small before they leave the row.
        most = DOTS_HIGH if times <= 40 else times + 4
        assert all(row.base < dot.y <= row.base + most + 3 for dot in row.dots)
        assert all(LEFT <= dot.x <= RIGHT for dot in row.dots)


def test_the_svg_is_xml_with_a_title_and_all_sentences() -> None:
    root = tree(views.written(THREE, "svg"))
    assert len(root.findall(f".//{SVG}circle")) == 12 + 1
    assert root.findtext(f"{SVG}title") == "The leader of the lab ada was killed 3 times"
    description = root.findtext(f"{SVG}desc") or ""
    assert all(sentence in description for sentence in chart_of(THREE).sentences)
    assert [group.get("data-phase") for group in root.findall(f"{SVG}g[@data-phase]")] == [
        "detection", "election", "no leader", "first write",
    ]  # fmt: skip


def test_what_a_version_says_is_text_in_a_picture() -> None:
    evil = '<script>alert(1)</script>"&{{ 7 * 7 }}\x1b[31m'
    root = tree(chart.svg(replace(THREE, version=evil)))
    assert root.findall(f".//{SVG}script") == []
    assert "49" not in (root.findtext(f"{SVG}desc") or "").split(evil[:8])[0]
    assert "<script>alert(1)</script>" in (root.findtext(f"{SVG}desc") or "")


@pytest.mark.parametrize("seconds", [0.95, 12.0, 400.0])
def test_a_failover_that_took_very_long_is_still_on_the_picture(seconds: float) -> None:
    measured = measurement(failover(seconds, seconds + 1.2, seconds + 1.3))
    chart = chart_of(measured)
    assert all(LEFT <= dot.x <= RIGHT for row in chart.rows for dot in row.dots)
    assert 3 <= len(chart.ticks) <= 12
    assert text(measured, 60)
