"""A story drawn: lanes, roles, arrows, and nothing that a log line says becomes anything but text."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.raft import log_notes
from labctl.raft.collection import collect
from labctl.raft.reader import read_line
from labctl.raft.record_stream import records
from labctl.story import log_files, mermaid_view, page_view
from labctl.story.diagram import MOST_ROWS, picture_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from labctl.raft.collection import Record
    from labctl.raft.event import Event

SVG = "{http://www.w3.org/2000/svg}"
EVIL = [
    "<script>alert(1)</script>", "]]>", "--><b>", '"onload="x', "\x00\x1b[31m\x08", "{{ 7 * 7 }}", "&amp;",
    "\u202eabc", "\ufffe\uffff",
]  # fmt: skip


def sample(name: str) -> Iterator[Record]:
    return records(log_files.events(log_files.sample(name)))


def hostile(text: str) -> Iterator[Record]:
    lines = [
        f'2021-01-24T00:00:01Z [INFO]  agent.server.raft: entering candidate state: node="{text}" term=2',
        f'2021-01-24T00:00:02Z [ERROR] agent.server.raft: failed to heartbeat to: peer={text} error="{text}"',
        f"2021-01-24T00:00:02Z [WARN] raft: Rejecting vote request from {text} since {text}",
    ]  # fmt: skip
    read = [read_line(line, server=f"consul1{text}", line_no=number) for number, line in enumerate(lines, 1)]
    return records(event for event in read if event is not None)


def text_in(svg: str) -> str:
    return "".join(ET.fromstring(svg).itertext())  # noqa: S314 - made by us


@pytest.mark.parametrize("count", [MOST_ROWS, 3 * MOST_ROWS])
def test_a_picture_of_a_long_story_tells_its_beginning_and_says_so(count: int) -> None:
    begin = datetime(2021, 1, 24, tzinfo=UTC)

    def events() -> Iterator[Event]:
        for number in range(count):
            time = (begin + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            line = f"{time} [INFO]  agent.server.raft: entering candidate state: node=x term={number + 2}"
            event = read_line(line, server=f"consul{1 + number % 2}", line_no=number)
            assert event is not None
            yield event

    drawn = picture_of(records(events()))
    assert len(drawn.rows) == MOST_ROWS
    told = drawn.sentences["Elections"]
    more = count - MOST_ROWS
    assert (len(told), drawn.left_out) == (MOST_ROWS + (more > 0), more)
    assert told[0].startswith("consul1 stood in term 2")
    # Whose log ends with it may have asked for pre-votes only.
    did = "stood" if more else "became a candidate"
    assert told[MOST_ROWS - 1].startswith(f"consul2 {did} in term {MOST_ROWS + 1}")
    if more:
        assert told[-1].startswith(f"And {more} more, which are not told here")


def test_every_server_has_a_lane_and_every_event_a_row() -> None:
    drawn = picture_of(sample("consul-1.15"))
    assert [lane.server for lane in drawn.lanes] == ["consul1", "consul2", "consul3"]
    assert len({lane.x for lane in drawn.lanes}) == 3
    assert [row.number for row in drawn.rows] == list(range(1, len(drawn.rows) + 1))
    ys = [row.y for row in drawn.rows]
    assert ys == sorted(set(ys))
    assert drawn.left_out == 0


def test_roles_follow_each_other_down_a_lane_without_a_gap() -> None:
    drawn = picture_of(sample("consul-1.15"))
    for lane in drawn.lanes:
        segments = [segment for segment in drawn.segments if segment.server == lane.server]
        assert [segment.end for segment in segments[:-1]] == [segment.begin for segment in segments[1:]]
        assert all(segment.role != two.role for segment, two in itertools.pairwise(segments))
    led = [
        segment.server
        for segment in sorted(drawn.segments, key=lambda segment: segment.begin)
        if segment.role == "leader"
    ]
    assert led == ["consul2", "consul3", "consul3", "consul1", "consul3"]


def test_a_vote_goes_from_the_voter_to_the_candidate_and_a_refusal_too() -> None:
    drawn = picture_of(sample("consul-1.15"))
    names = {lane.x: lane.server for lane in drawn.lanes}
    arrows = {
        (names[arrow.begin], names[arrow.end], arrow.meaning, drawn.rows[arrow.row - 1].words) for arrow in drawn.arrows
    }
    assert ("consul2", "consul1", "request", "asks consul1 for its vote in term 2") in arrows
    assert ("consul3", "consul2", "grant", "has the vote of consul3: 2 votes in term 2") in arrows
    assert ("consul3", "consul1", "refusal", "does not vote for consul1: it has a leader, consul2") in arrows


def test_a_server_out_of_the_leaders_reach_has_a_band_from_when_on_until_when() -> None:
    drawn = picture_of(sample("consul-1.15"))
    times = {row.y: row.since for row in drawn.rows}
    bands = {(band.server, times.get(band.begin), times.get(band.end)) for band in drawn.bands}
    assert len(drawn.bands) == len(collect(sample("consul-1.15")).outages) == len(drawn.sentences["Out of reach"]) > 3
    assert {server for server, _, _ in bands} == {"consul1", "consul2", "consul3"}
    svg = ET.fromstring(page_view.svg(sample("consul-1.15")))  # noqa: S314 - made by us
    titles = [element.findtext(f"{SVG}title") for element in svg.findall(f".//{SVG}rect[@class='band outage']")]
    assert [title for title in titles if title] == drawn.sentences["Out of reach"]


def test_what_was_broken_on_purpose_has_a_band_of_its_own() -> None:
    begin = datetime(2021, 1, 24, tzinfo=UTC)
    lines = [
        log_notes.began(begin, "ab12cd", "isolate consul1", ["consul1"], 30),
        "2021-01-24T00:00:02Z [INFO]  agent.server.raft: entering follower state: follower=x leader=",
        log_notes.ended(begin + timedelta(seconds=3), "ab12cd", ["consul1"]),
        "2021-01-24T00:00:09Z [INFO]  agent.server.raft: entering follower state: follower=x leader=",
    ]
    read = [read_line(line, server="consul1", line_no=number) for number, line in enumerate(lines, 1)]
    drawn = picture_of(records(event for event in read if event is not None))
    (band,) = drawn.bands
    assert (band.meaning, band.server, band.begin, band.end) == ("fault", "consul1", drawn.rows[0].y, drawn.rows[2].y)
    assert drawn.sentences["On purpose"] == [band.words]
    assert "until it was healed: isolate consul1" in band.words


def test_what_a_server_says_again_and_again_is_one_row() -> None:
    line = "2021-01-24T00:00:0{}Z [WARN]  agent.server.raft: failed to contact: server-id=x time=1s"
    read = [read_line(line.format(second), server="consul1", line_no=second) for second in range(5)]
    (row,) = picture_of(records(event for event in read if event)).rows
    assert row.times == 5
    drawn = picture_of(sample("consul-1.15"), most=20)
    assert len(drawn.rows) == 20
    assert drawn.left_out > 100
    assert MOST_ROWS > 1000


def test_the_svg_is_xml_with_a_title_and_every_word() -> None:
    svg = page_view.svg(sample("consul-1.21"))
    root = ET.fromstring(svg)  # noqa: S314 - made by us
    assert root.find(f"{SVG}title") is not None
    assert len(root.findall(f".//{SVG}g[@class='row']")) == len(picture_of(sample("consul-1.21")).rows)
    assert "would not be elected: it starts no election and waits" in text_in(svg)
    assert re.findall(r"(?:https?:)?//[\w.]+", svg) == ["http://www.w3.org"]


def test_the_page_needs_no_network_and_runs_only_its_own_script() -> None:
    html = page_view.html(sample("2015"))
    assert re.findall(r"(?:https?:)?//[\w.]+", html.partition("<script>")[0]) == ["http://www.w3.org"]
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert (
        f"default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;; script-src &#39;sha256-{digest}&#39;".replace(
            "&#39;", "'"
        )
        in html.replace("&#39;", "'")
    )
    assert "consul1_1 stood in term 1" in html


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize("make", [page_view.svg, page_view.html, mermaid_view.mermaid])
def test_a_hostile_line_stays_text(make: Callable[[Iterator[Record]], str], evil: str) -> None:
    made = make(hostile(evil))
    assert made.count("<script") == (1 if make is page_view.html else 0)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e\ufffe\uffff]", made)
    assert "<b>" not in made
    assert "{{" not in made or evil.startswith("{{")
    if make is page_view.svg:
        ET.fromstring(made)  # noqa: S314 - made by us


@given(st.text(max_size=40))
def test_any_text_gives_well_formed_pictures(text: str) -> None:
    ET.fromstring(page_view.svg(hostile(text)))  # noqa: S314 - made by us
    lines = mermaid_view.mermaid(hostile(text)).splitlines()
    assert all(re.fullmatch(r"[\w .,:()/+'#;%>-]*", line) for line in lines)


def test_mermaid_has_a_participant_for_each_server_and_arrows_for_votes() -> None:
    lines = mermaid_view.mermaid(sample("consul-1.15")).splitlines()
    assert lines[:4] == ["sequenceDiagram", *(f"    participant s{number} as consul{number}" for number in (1, 2, 3))]
    assert "    s3-->>s2: consul2 has the vote of consul3: 2 votes in term 2" in lines
    assert "    s3-xs1: consul3 does not vote for consul1: it has a leader, consul2" in lines


def test_nothing_is_a_picture_too() -> None:
    ET.fromstring(page_view.svg(records([])))  # noqa: S314 - made by us
    assert mermaid_view.mermaid(records([])) == "sequenceDiagram\n"


def test_the_date_stands_where_the_day_changes_by_the_clock_of_the_first_event(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    stamps = ("2024-01-08T23:59:59.900+0800", "2024-01-08T15:59:59.950Z", "2024-01-09T00:00:01.000+0800")
    said = ("entering leader state: leader=x", "new leader elected, stepping down", "election won: tally=2")
    path.write_text(
        "".join(f"{stamp} [INFO]  raft: {what}\n" for stamp, what in zip(stamps, said, strict=True)), "utf-8"
    )
    rows = picture_of(records(log_files.events(log_files.find([str(path)])))).rows
    assert [row.clock for row in rows] == ["2024-01-08 23:59:59", "23:59:59", "2024-01-09 00:00:01"]


def test_what_happened_stands_first_on_the_page_with_the_lines_that_show_it() -> None:
    page = page_view.html(sample("lost-leader"))
    paragraph = page[page.index("What happened") : page.index("<svg")]
    assert "nobody led for at most 3.0 s" in paragraph
    assert "lost-leader/consul1.log:76, lost-leader/consul3.log:56" in paragraph


def test_the_page_has_its_title_once_and_a_picture_that_stands_alone_has_it_too() -> None:
    title = "The story of an election: consul1, consul2, consul3"
    page = page_view.html(sample("lost-leader"))
    assert page.partition("<body>")[2].count(title) == 1
    assert f">{title}</text>" in page_view.svg(sample("lost-leader"))
