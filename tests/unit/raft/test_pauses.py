"""Servers that stood still: what is known is told as known, what is inferred as inferred, and nothing twice."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from labctl.raft import log_notes
from labctl.raft.incident_sentences import of_incident
from labctl.raft.summary_sentences import of_leadership
from labctl.story import json_view, page_view
from labctl.story.source import source
from labctl.story.text_view import StoryText
from tests.unit.raft.lines import BEGIN, FOLLOWS, LEADS, MISSED, OUT_OF_REACH, STARTS, told
from tests.unit.raft.logs import DATA

if TYPE_CHECKING:
    from labctl.raft.collection import Collection
    from labctl.raft.incident import Incident

PAUSED, GOES_ON = "[INFO]  labctl.docker: container paused", "[INFO]  labctl.docker: container unpaused"
KILLED = "[INFO]  labctl.docker: container killed: signal=9"
GIVES_UP = "[WARN]  agent.server.raft: failed to contact quorum of nodes, stepping down"
LATE = "[DEBUG] agent.server.raft: failed to contact: server-id=10.0.0.{}:8300 time={}s"
RECORDED = DATA / "live" / "consul-1.23-dev_raft-1.7.3_info_two-of-three-paused"
AT = "2026-11-24 12:00:0{} UTC: "


def pauses(story: Collection) -> list[Incident]:
    return [incident for incident in story.incidents if incident.kind == "pause"]


def sentences(*lines: tuple[float, str, str]) -> list[str]:
    return [of_incident(incident) for incident in pauses(told(*lines))]


def began(second: float, what: str = "pause consul1") -> tuple[float, str, str]:
    line = log_notes.began(BEGIN + timedelta(seconds=second), "ab", what, ["consul1"], 30)
    return (second, "consul1", line.partition(" ")[2])


def ended(second: float) -> tuple[float, str, str]:
    return (second, "consul1", log_notes.ended(BEGIN, "ab", ["consul1"]).partition(" ")[2])


FROZEN = (5.001, "consul1", PAUSED)
WHO = "consul1, which led,"
FOR_8_S = f"{WHO} was frozen for 8.0 s, as Docker says."


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        pytest.param([FROZEN, (13.001, "consul1", GOES_ON)], FOR_8_S, id="Docker"),
        pytest.param([began(4.9), FROZEN, (13.001, "consul1", GOES_ON), ended(13.1)],
                     f"{WHO} was frozen by labctl for 8.0 s.", id="labctl, and Docker says when"),
        pytest.param([began(5.001), ended(13.001)], f"{WHO} was frozen by labctl for at most 8.0 s.",
                     id="the log alone"),
        pytest.param([FROZEN, (13.001, "consul1", KILLED)], FOR_8_S, id="killed"),
        pytest.param([FROZEN], f"{WHO} was frozen, as Docker says, and the logs do not show that it went on.",
                     id="it lasts"),
        pytest.param([FROZEN, (13.001, "consul1", GOES_ON), (21.0, "consul1", PAUSED), (25.001, "consul1", GOES_ON)],
                     f"{WHO} was frozen twice within 20.0 s, for 8.0 s at the longest, as Docker says.", id="twice"),
        pytest.param([(5.001, "consul2", PAUSED), (13.001, "consul2", GOES_ON)],
                     "consul2 was frozen for 8.0 s, as Docker says.", id="a follower"),
    ],
)  # fmt: skip
def test_a_server_that_was_frozen_is_told_once(lines: list[tuple[float, str, str]], said: str) -> None:
    (sentence,) = sentences(LEADS, *lines)
    assert sentence.partition(": ")[2] == said


@pytest.mark.parametrize("what", ["kill consul1", "isolate consul1", "stop consul1"])
def test_what_is_no_pause_is_not_told_as_one(what: str) -> None:
    assert sentences(LEADS, began(5.0, what), ended(13.0)) == []


def test_pauses_that_are_far_apart_are_told_one_by_one() -> None:
    again = (2000.0, "consul1", PAUSED), (2001.0, "consul1", GOES_ON)
    assert len(sentences(LEADS, FROZEN, (13.001, "consul1", GOES_ON), *again)) == 2


def test_each_pause_names_its_lines() -> None:
    (incident,) = pauses(told(LEADS, FROZEN, (13.001, "consul1", GOES_ON)))
    assert [(line.server, line.line_no) for line in incident.evidence] == [("consul1", 1)]
    (silence,) = pauses(told(LEADS, (1.5, "consul2", MISSED), (47.5, "consul1", FOLLOWS.format("10.0.0.1"))))
    assert {line.server for line in silence.evidence} == {"consul1", "consul2"}


def test_a_leader_that_gives_up_without_a_warning_had_stood_still() -> None:
    late = [(30.001, "consul1", LATE.format(number, 12)) for number in (2, 3)]
    (said,) = sentences(LEADS, *late, (30.001, "consul1", GIVES_UP))
    assert said.startswith(
        "2026-11-24 12:00:22 UTC: consul1, which led, had stood still before it gave up for at least 8.0 s (inferred): "
    )
    (said,) = sentences(LEADS, (30.0, "consul1", GIVES_UP))
    assert "had stood still before it gave up; no line shows for how long (inferred)" in said


@pytest.mark.parametrize("still", [True, False])
def test_nobody_led_for_longer_than_since_a_leader_that_had_stood_still_gave_up(still: bool) -> None:
    wins = (36.003, "consul2", LEADS[2].replace("10.0.0.1", "10.0.0.2"))
    warns = [] if still else [(29.9, "consul1", OUT_OF_REACH)]
    story = told(LEADS, *warns, (30.003, "consul1", GIVES_UP), wins)
    (incident,) = [incident for incident in story.incidents if incident.kind == "no_leader"]
    said = of_incident(incident)
    assert ("nobody led for at least 6.0 s (inferred). consul1, the previous leader, had stood still (inferred); "
            "when it went on, it could not reach a majority and gave up." in said) == still  # fmt: skip
    assert ("nobody led for 6.0 s. consul1, the previous leader, could not reach a majority" in said) != still
    old, new = map(of_leadership, story.leaders)
    assert ("led for at most 30.0 s, until" if still else "led for 30.0 s, until") in old
    assert ("after at least 6.0 s without" if still else "after 6.0 s without") in new


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([LEADS, (29.9, "consul1", OUT_OF_REACH), (30.0, "consul1", GIVES_UP)], id="it warned"),
        pytest.param([(30.0, "consul1", GIVES_UP)], id="its log begins there"),
        pytest.param([LEADS, (2.0, "consul1", GIVES_UP)], id="it led only just"),
        pytest.param([LEADS, (30.0, "consul1", GIVES_UP.removeprefix("[WARN]  "))], id="levels are not known"),
    ],
)
def test_a_leader_of_which_that_is_not_known_is_not_said_to_have_stood_still(
    lines: list[tuple[float, str, str]],
) -> None:
    assert sentences(*lines) == []


def test_a_leader_that_others_missed_and_that_gives_up_late_is_told_once() -> None:
    (said,) = sentences(LEADS, (17.5, "consul2", MISSED), (30.0, "consul1", GIVES_UP))
    assert said == (
        "2026-11-24 12:00:17 UTC: consul1, which led, was silent for at least 12.5 s, while others missed it: "
        "stopped, frozen or cut off (inferred)."
    )


def test_a_server_that_starts_again_was_silent_and_nobody_knows_why() -> None:
    (said,) = sentences(LEADS, (1.5, "consul1", OUT_OF_REACH), (11.5, "consul2", STARTS))
    assert said.endswith(
        "consul2 was silent for at least 10.0 s, while others missed it: stopped, frozen or cut off (inferred)."
    )


# -- a pause of which Docker has forgotten ----------------------------------------------------------------------


def test_the_leadership_of_a_frozen_server_ends_at_its_last_sign_of_life() -> None:
    out = StringIO()
    json_view.write_document(source([str(RECORDED)]).records(), out)
    document = json.loads(out.getvalue())
    led = document["leaders"][0]
    assert (led["server"], led["ended_by"], led["to_inferred"]) == ("consul3", "silent", True)
    assert (led["to"], led["silent_since"]) == ("2026-11-29T08:19:06.521000+00:00", "2026-11-29T08:19:17.380000+00:00")
    assert (led["seconds"], led["seconds_bound"]) == (0.003, "at_least")
    assert (led["gave_up"], led["gave_up_by"]) == ("2026-11-29T08:19:29.713000+00:00", "quorum_lost")
    assert document["leaders"][1]["without_leader"] is None
    gap, pause = (incident for incident in document["incidents"] if incident["kind"] in {"no_leader", "pause"})
    assert (gap["inferred"], gap["from"], gap["ended_by"]) == (True, "2026-11-29T08:19:17.380000+00:00", "silent")
    assert (pause["inferred"], pause["servers"], pause["seconds"], pause["led"]) == (True, ["consul3"], 12.333, True)
    assert [evidence["server"] for evidence in pause["evidence"]] == ["consul2", "consul3"]
    assert [event["server"] for event in document["events"] if event["event"] == "silence"] == ["consul3"]


def test_a_forgotten_pause_is_told_in_text_and_on_the_page() -> None:
    out = StringIO()
    StoryText(out, columns=1000).write(source([str(RECORDED)]).records())
    text = out.getvalue()
    said = "was silent for at least 12.3 s, while others missed it: stopped, frozen or cut off (inferred)."
    led = "consul3 led in term 2 for at least 3 ms and at most 10.9 s, until it fell silent: stopped, frozen or cut off"
    for told_there in (text, page_view.html(source([str(RECORDED)]).records())):
        assert "nobody led for at least 12.3 s (inferred)" in told_there
        assert said in told_there
        assert f"{led} (inferred)." in told_there
        assert "had been silent for at least 12.3 s: stopped, frozen or cut off (inferred)" in told_there


def test_a_leader_that_led_on_after_a_silence_did_not_cease_to_lead() -> None:
    lines = LEADS, (1.5, "consul2", MISSED), (10.0, "consul1", OUT_OF_REACH), (20.0, "consul1", OUT_OF_REACH)
    assert [of_leadership(leadership) for leadership in told(*lines).leaders] == ["consul1 leads."]


def test_a_leader_that_was_missed_by_another_clock_before_it_led_did_not_cease_before_that() -> None:
    follows = FOLLOWS.format("10.0.0.2") + "10.0.0.1:8300"
    story = told((1.0, "consul2", follows), (10.0, *LEADS[1:]), (9.0, "consul2", MISSED), (20.0, "consul1", STARTS))
    led = story.leaders[-1]
    assert led.since is not None
    assert led.until is None or led.until >= led.since


def test_how_long_nobody_led_is_not_said_where_who_stood_still_hears_of_its_successor_at_once() -> None:
    hears = (30.011, "consul1", "[INFO]  agent.server: New leader elected: payload=consul2")
    (incident,) = [
        incident
        for incident in told(LEADS, (30.003, "consul1", GIVES_UP), hears, complete=False).incidents
        if incident.kind == "no_leader"
    ]
    said = of_incident(incident)
    assert "consul2 leads by now, after a time without a leader; no line shows how long that was." in said
    assert "consul1, which led before, had stood still (inferred); when it went on, it could not reach" in said
