"""Leaders follow each other in the order of their terms, whatever the clocks of their servers and the logs show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.raft.lines import told

if TYPE_CHECKING:
    from labctl.raft.collection import Collection

Line = tuple[float, str, str]
GIVES_UP = "[WARN]  agent.server.raft: failed to contact quorum of nodes, stepping down"
TWICE = "[INFO]  agent.server.raft: duplicate requestVote for same term: term=3"


def announced(number: int) -> str:
    return f"[INFO]  agent.server: New leader elected: payload=consul{number}"


def stands(number: int, term: int) -> str:
    node = f"Node at 10.0.0.{number}:8300 [Candidate]"
    return f'[INFO]  agent.server.raft: entering candidate state: node="{node}" term={term}'


def wins(second: float, number: int, term: int) -> list[Line]:
    leader = f'[INFO]  agent.server.raft: entering leader state: leader="Node at 10.0.0.{number}:8300 [Leader]"'
    won = f"[INFO]  agent.server.raft: election won: term={term} tally=2"
    server = f"consul{number}"
    return [(second, server, stands(number, term)), (second, server, won), (second, server, leader)]


def leads(second: float, number: int, term: int, seconds: float = 0.6) -> list[Line]:
    return [*wins(second, number, term), (second + seconds, f"consul{number}", GIVES_UP)]


def gaps(story: Collection) -> list[tuple[int | None, float | None, bool]]:
    """Of each time without a leader: the term of who led next, how long it was, and whether others may have led."""
    return [
        (incident.term, incident.seconds, incident.may_be_led)
        for incident in story.incidents
        if incident.kind == "no_leader"
    ]


def without(story: Collection) -> list[tuple[int | None, float | None]]:
    return [(leadership.term, leadership.without_leader) for leadership in story.leaders]


# Consul2 leads in term 3, by a clock that is 3 s ahead: its lines come behind those of term 4.
LATER = (25.0, "consul1", announced(1))
BEHIND = [*leads(1, 1, 2, 3.0), *leads(7.4, 3, 4), *leads(8.2, 2, 3), *leads(9.5, 1, 5), LATER]


def test_who_led_in_the_term_between_did_so_before_whatever_its_clock_shows() -> None:
    story = told(*sorted(BEHIND, key=lambda stamped_line: stamped_line[0]), complete=False)
    assert without(story) == [(2, None), (4, None), (3, None), (5, 1.5)]
    assert gaps(story)[:2] == [(4, 3.4, True), (5, 1.5, False)]


def test_an_older_term_of_another_cluster_is_not_between() -> None:
    story = told(*leads(1, 1, 8), *leads(4, 2, 9), *leads(30, 3, 2), *leads(33, 1, 3), complete=True)
    assert [term for term, seconds in without(story) if seconds is not None] == [9, 2, 3]


def test_two_led_at_once_only_where_that_is_so_by_both_clocks() -> None:
    # All hear of consul2 1.5 s before it says that it leads: its clock is ahead by that.
    heard = [(3.6, "consul1", announced(2)), (3.6, "consul3", announced(2))]
    first = (-9.0, "consul2", announced(1))
    lines = [first, *leads(1, 1, 2, 1.0), *heard, *leads(5, 2, 3, 1.0), *wins(5.5, 3, 4)]
    story = told(*sorted(lines, key=lambda stamped_line: stamped_line[0]), complete=False)
    assert [incident.kind for incident in story.incidents if incident.kind == "two_leaders"] == []
    assert [leadership.superseded for leadership in story.leaders if leadership.superseded is not None] == []
    at_once = told(*leads(1, 1, 2, 1.0), *wins(5, 2, 3), *wins(5.5, 3, 4), (6.0, "consul2", GIVES_UP))
    assert [incident.kind for incident in at_once.incidents if incident.kind == "two_leaders"] == ["two_leaders"]


def test_what_shows_an_old_leaders_clock_only_after_its_end_counts_too() -> None:
    # It hears 1.8 s late of consul2, and so gave up more than a second before consul2 led.
    first, heard = (-9.0, "consul2", announced(1)), (6.8, "consul1", announced(2))
    lines = [first, *leads(1, 1, 2, 4.5), *wins(5, 2, 3), heard]
    story = told(*sorted(lines, key=lambda line: line[0]), complete=False)
    assert [leadership.superseded for leadership in story.leaders if leadership.superseded is not None] == []
    assert [incident.kind for incident in story.incidents if incident.kind == "two_leaders"] == []


@pytest.mark.parametrize(("seconds", "kinds"), [(4.9, []), (9.0, ["two_leaders"])])
def test_by_clocks_of_which_nothing_is_known_two_led_at_once_only_for_longer_than_they_differ(
    seconds: float, kinds: list[str]
) -> None:
    lines = [*leads(1, 1, 2, seconds), *wins(5, 2, 3)]
    story = told(*sorted(lines, key=lambda line: line[0]), complete=False)
    assert [incident.kind for incident in story.incidents if incident.kind == "two_leaders"] == kinds


def test_a_time_without_a_leader_is_not_told_over_one_of_whom_others_heard() -> None:
    heard = (6.0, "consul3", announced(2))
    begins = (6.1, "consul2", announced(2))
    stood = (6.5, "consul2", stands(2, 3))
    assert without(told(*leads(1, 1, 2), stood, *leads(7, 3, 4))) == [(2, None), (4, 5.4)]
    # Of term 3 no line tells: whoever stood in it may have won, though a part of each log is here.
    assert without(told(*leads(1, 1, 2), *leads(7, 3, 4))) == [(2, None), (4, None)]
    for unseen in ([heard], [heard, begins]):
        assert without(told(*leads(1, 1, 2), *unseen, *leads(7, 3, 4))) == [(2, None), (None, None), (4, None)]
    # Its own log shows when it led.
    first = (0.0, "consul2", announced(1))
    assert without(told(first, *leads(1, 1, 2), *leads(5.5, 2, 3, 1.0), heard, *leads(7, 3, 4)))[-3:] == [
        (2, None), (3, 3.9), (4, 0.5),
    ]  # fmt: skip


def test_who_leads_now_may_have_led_before_its_log_begins_where_another_heard_of_it() -> None:
    hears = (4.7, "consul3", announced(1))
    lines = [(0.0, "consul3", announced(2)), *leads(1, 2, 4, 2.0), hears]
    assert without(told(*lines, *wins(6.4, 1, 8)))[-1:] == [(8, None)]
    # By clocks that may differ, the same line is read only when it leads.
    late = [(0.0, "consul3", announced(2)), *leads(1, 2, 4, 2.0), *wins(6.4, 1, 8), hears]
    assert without(told(*late, complete=False))[-1:] == [(8, None)]
    # Its own log shows that it did not.
    stood = [(6.0 + (term - 5) / 10, "consul2", stands(2, term)) for term in (5, 6, 7)]
    assert without(told((0.0, "consul1", announced(2)), *lines, *stood, *wins(6.4, 1, 8)))[-1:] == [(8, 3.4)]


def test_who_stood_when_others_still_had_it_as_their_leader_did_not_lead_then() -> None:
    still = "[WARN]  agent.server.raft: rejecting vote request since we have a leader: from=10.0.0.3:8300 leader={}"
    missed = '[WARN]  agent.server.raft: heartbeat timeout reached, starting election: last-leader=""'
    lines = [(1.0, "consul2", missed), (1.0, "consul2", stands(2, 3)), (1.1, "consul1", still.format("10.0.0.2:8300"))]
    follows = '[INFO]  agent.server.raft: entering follower state: follower="Node at 10.0.0.2:8300 [Follower]" leader='
    story = told(*lines, *wins(2.5, 3, 4), (3.0, "consul2", follows), complete=False)
    assert [(leadership.server, leadership.until, leadership.ended_by) for leadership in story.leaders][:1] == [
        ("consul2", None, "unknown")
    ]
    assert [incident.kind for incident in story.incidents if incident.kind == "two_leaders"] == []


def test_a_leader_that_is_announced_by_an_earlier_clock_did_not_lead_before() -> None:
    story = told((1.0, "consul1", announced(2)), *wins(3.4, 2, 3), complete=False)
    assert [(leadership.server, leadership.term) for leadership in story.leaders] == [("consul2", 3)]
    # So long before, it was another leadership.
    story = told((1.0, "consul1", announced(2)), *wins(9.0, 2, 3), complete=False)
    assert [(leadership.server, leadership.term) for leadership in story.leaders] == [("consul2", None), ("consul2", 3)]


def test_who_refused_is_not_told_where_somebody_whose_log_ends_before_may_have_asked() -> None:
    first = [(-9.0, f"consul{number}", announced(1)) for number in (1, 2, 3)]
    asked = [(5.0, "consul2", stands(2, 3)), (5.0, "consul2", "[DEBUG] agent.server.raft: votes: needed=2")]
    own = (5.1, "consul3", stands(3, 3))
    refuses = (6.0, "consul3", TWICE)

    def refusals(*lines: Line) -> list[str]:
        story = told(*first, *asked, own, refuses, *lines)
        return [
            no.server for election in story.elections if election.candidate == "consul2" for no in election.refusals
        ]

    assert refusals((7.0, "consul2", "[DEBUG] agent.server.raft: votes: needed=2")) == []
    assert refusals((7.0, "consul1", announced(2)), (7.1, "consul2", announced(2))) == ["consul3"]


def test_who_is_only_named_by_others_need_not_lead_where_they_hear_of_another_later() -> None:
    refuses = "[WARN]  agent.server.raft: rejecting vote request since we have a leader: from=10.0.0.1:8300 leader={}"
    named = (1.0, "consul3", refuses.format("10.0.0.2:8300"))
    heard = [(1.2, "consul2", announced(1)), (1.3, "consul3", announced(1))]
    (led,) = told(named, heard[0], heard[1], complete=False).leaders
    assert (led.server, led.until, led.ended_by) == ("consul2", None, "unknown")
