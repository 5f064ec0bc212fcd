"""A leader that only the lines of others name is a leader: it ends a time without one, and was the last before another.

It need not lead when it is named: what a refusal or a heartbeat timeout says may be older.
"""

from __future__ import annotations

import pytest

from labctl.raft.incident_sentences import of_incident
from labctl.raft.log_notes import DOCKER
from labctl.raft.summary_sentences import of_leadership
from tests.unit.raft.logs import told
from tests.unit.raft.test_not_read import (
    follows,
    gives_up,
    hears,
    line,
    log,
    misses,
    refuses,
    stands,
    starts,
    timed_out,
    wins,
)

NO_LINE = "after a time without one; no line shows how long that was."
PREVIOUS = "No line says why 10.0.0.{}:8300, which led before, stopped leading."


def gaps(logs: dict[str, str]) -> list[str]:
    """The times without a leader, as they are told."""
    return [of_incident(incident) for incident in told(logs)[0].incidents if incident.kind == "no_leader"]


def leads(second: float, server: int) -> str:
    return line(second, f'entering leader state: leader="Node at 10.0.0.{server}:8300 [Leader]"')


def test_a_leader_that_a_refusal_names_long_after_the_last_one_was_lost_leads() -> None:
    (said,) = gaps({"s2": log(leads(0, 2), gives_up(10, 2), refuses(50, 3, 1))})
    assert said.startswith(
        "2024-03-05 14:00:10 UTC: nobody led for at most about 40 s; 10.0.0.1:8300 led then, and no line shows since"
    )


def test_a_leader_that_is_missed_when_the_next_one_stands_was_the_one_before_it() -> None:
    first, second = gaps({"s2": log(leads(0, 2), gives_up(10, 2), misses(50, 1), wins(50, 2, 10))})
    assert "14:00:10 UTC: nobody led; no line shows until when. s2, the previous leader, could not reach a maj" in first
    assert first.endswith("Then 10.0.0.1:8300 became leader.")
    assert f"s2 became leader, {NO_LINE} {PREVIOUS.format(1)} s2 won term 10" in second


def test_who_stood_before_a_leader_that_a_refusal_names_did_not_stand_after_it() -> None:
    logs = log(misses(0, 1), stands(0.001, 2, 3), follows(5, 2), refuses(20, 1, 3), wins(30.001, 2, 6))
    first, second = gaps({"s2": logs})
    assert "10.0.0.3:8300 leads by now, after a time without a leader; no line shows how long that was." in first
    assert f"{PREVIOUS.format(1)} s2 stood once in term 3" in first
    assert f"s2 became leader, {NO_LINE} {PREVIOUS.format(3)} s2 won term 6" in second


@pytest.mark.parametrize("later", [600, 3500])
@pytest.mark.parametrize("first_lines", [[], starts(0, 3)], ids=["cut", "started again"])
def test_a_leader_that_others_follow_before_its_own_log_begins_led_then(later: int, first_lines: list[str]) -> None:
    begins = [line_.replace("14:00:00.000", f"14:{later // 60:02}:{later % 60:02}.000") for line_ in first_lines]
    logs = {
        "s1": log(leads(0, 1), gives_up(10, 1)),
        "s2": log(follows(12, 2, 3)),
        "s3": log(begins, wins(later + 5, 3, 9)),
    }
    first, second = gaps(logs)
    assert "14:00:10 UTC: nobody led for at most about 2 s; s3 led then, and no line shows since when." in first
    role = "the previous leader" if first_lines else "which led before"
    assert f"s3 became leader, {NO_LINE} No line says why s3, {role}, stopped leading." in second


def test_the_two_names_of_a_leader_are_one_leader() -> None:
    logs = {
        "s1": log(starts(0, 1), wins(2, 1, 2), gives_up(10, 1), hears(12, 2)),
        "s3": log(starts(0, 3), misses(40, 2), wins(40, 3, 4)),
    }
    assert ["s2 led then" in gaps(logs)[0], "10.0.0.2" in "".join(gaps(logs))] == [True, False]


# -- what shows no newer leader ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "old", [refuses(15, 3, 1), misses(15, 1)], ids=["of the leader that is lost", "missed by who had it"]
)
def test_who_still_has_the_leader_that_is_lost_knows_no_new_one(old: str) -> None:
    (said, *_) = gaps({"s1": log(leads(0, 1), gives_up(10, 1)), "s2": log(old)})
    assert "led then" not in said
    assert "14:00:10 UTC: nobody leads from here on" in said


def test_a_refusal_soon_after_a_leader_was_lost_may_name_the_one_before_it() -> None:
    logs = {"s1": log(wins(0, 1, 2), gives_up(10, 1)), "s2": log(refuses(15, 3, 4)), "s3": log(wins(20, 3, 9))}
    (said,) = gaps(logs)
    assert "no leader is seen for 10.0 s; one of whom no line here tells may have led meanwhile." in said


def test_who_was_frozen_may_name_a_leader_of_long_ago() -> None:
    frozen = [line(second, f"container {what}", module=DOCKER) for second, what in ((0, "paused"), (50, "unpaused"))]
    logs = {
        "s1": log(wins(1, 1, 2), gives_up(10, 1)),
        "s2": log(frozen, refuses(50.1, 3, 4)),
        "s3": log(wins(60, 3, 9)),
    }
    assert not any("10.0.0.4" in said.partition("Then")[0] for said in gaps(logs))


def test_gossip_that_a_server_hears_when_it_is_started_may_be_old() -> None:
    logs = {
        "s1": log(wins(0, 1, 2), gives_up(10, 1)),
        "s2": log(starts(20, 2), hears(20.1, 5)),
        "s3": log(timed_out(11), wins(30, 3, 9)),
    }
    assert not any("s5" in said for said in gaps(logs))


def test_a_leader_that_is_only_named_stands_among_the_leaders() -> None:
    led = "10.0.0.1:8300 led; no line shows since when, or until when."
    for last in ([refuses(50, 3, 1)], [misses(50, 1)], [refuses(50, 3, 1), misses(90, 1), *wins(90, 2, 7)]):
        story, _ = told({"s2": log(leads(0, 2), gives_up(10, 2), last)})
        assert list(map(of_leadership, story.leaders))[1:2] == [led]
    story, _ = told({"s2": log(leads(0, 2), gives_up(10, 2), refuses(15, 3, 1), wins(90, 2, 7), gives_up(99, 2))})
    assert [leadership.server for leadership in story.leaders] == ["s2", "10.0.0.1:8300", "s2"]
    story, _ = told({"s2": log(leads(0, 2), gives_up(10, 2)), "s4": log(refuses(15, 3, 1))})
    assert [leadership.server for leadership in story.leaders] == ["s2"], "s4 may have had it before s2 led"


def test_the_name_that_a_leader_hears_of_may_be_its_own() -> None:
    acquired = line(0, "cluster leadership acquired", module="agent.server")
    lost = line(0, "cluster leadership lost", module="agent.server")
    said = gaps({"log": log(acquired, line(0, "New leader elected: payload=srv-1", module="agent.server"), lost)})
    assert not any("srv-1" in sentence for sentence in said)


def test_who_stood_after_a_leader_that_others_name_is_told_once() -> None:
    tries = [stands(12, 2, 3), timed_out(14), stands(14, 2, 4)]
    logs = {"s1": log(wins(0, 1, 2), gives_up(10, 1)), "s2": log(misses(12, 1), tries, follows(15, 2, 3))}
    logs["s2"] += "\n" + log(misses(60, 3), stands(60, 2, 6), timed_out(62), wins(62, 2, 7))
    first, second = gaps(logs)
    assert "s2 stood twice in terms 3 and 4" in first
    assert "s2 stood once in term 6 and did not win. s2 won term 7" in second


def test_who_stood_shows_no_time_without_a_leader_after_one_that_handed_over() -> None:
    hands_over = line(10, "starting leadership transfer: id=s3 address=10.0.0.3:8300")
    refuses_s2 = line(11, "rejecting vote request since we have a leader: from=10.0.0.2:8300 leader=10.0.0.3:8300")
    logs = {"s1": log(wins(0, 1, 2), hands_over, follows(10, 1), refuses_s2), "s2": log(stands(10.999, 2, 4))}
    assert not any("led then" in sentence or "leads by now" in sentence for sentence in gaps(logs))
