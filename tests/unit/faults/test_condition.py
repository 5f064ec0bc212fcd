"""What a lab is able to do just now, by its servers' answers and the faults that are known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from labctl.engine.status import Status
from labctl.faults.condition import LEASE_SECONDS, condition_of
from labctl.faults.inject import ActiveFault
from labctl.faults.reachability import reaching
from labctl.raft.timers import timers_of
from labctl.shared.server_status import View
from tests.unit.cli.test_tables import LAB, READY, WAITING, view

if TYPE_CHECKING:
    from labctl.faults.condition import Condition

NOBODY = ""


def down(number: int, problem: str = "is not running") -> View:
    server = LAB.servers[number]
    return View(server.name, server.address, problem=problem)


def judged(*views: View, state: str = "exited", faults: tuple[str, ...] = ()) -> Condition:
    servers = tuple(
        replace(server, state=state if view.problem else "running", http_port=None if view.problem else 1)
        for server, view in zip(LAB.servers, views, strict=True)
    )
    active = [ActiveFault("ab12cd", words, (), None) for words in faults]
    return condition_of(Status(replace(LAB, servers=servers), views), active)


def test_the_lease_is_the_one_that_the_story_tells_of() -> None:
    assert timers_of(LAB.raft_multiplier).lease == LEASE_SECONDS * LAB.raft_multiplier


def test_a_lab_that_is_ready_needs_no_words() -> None:
    now = condition_of(READY, [])
    assert (now.ready, now.writes, now.sentence, now.without) == (True, True, "", ())
    assert (now.voters, now.quorum, now.answering) == (3, 2, 3)


def test_of_a_lab_that_was_never_joined_nobody_knows_who_votes() -> None:
    now = condition_of(WAITING, [])
    assert (now.ready, now.writes, now.voters, now.quorum, now.sentence) == (False, None, 0, 0, "")


def test_with_one_server_down_it_works_and_no_other_may_be_lost() -> None:
    now = judged(view(0), view(1), down(2))
    assert (now.ready, now.writes, now.without) == (False, True, ("consul3",))
    assert now.sentence == "Writes go on: 2 of 3 voters are together, and 2 are needed; no other may be lost."
    assert now.problem == "consul3 is not running"


def test_a_voter_whose_container_is_gone_is_one_that_it_works_without() -> None:
    gone = Status(replace(LAB, servers=LAB.servers[1:]), (view(1, state="leader", leader="10.213.0.3"),
        view(2, leader="10.213.0.3")))  # fmt: skip
    assert condition_of(gone, []).without == ("consul1",)


def test_with_the_leader_down_nobody_leads_and_who_still_names_it_says_so() -> None:
    now = judged(down(0), view(1), view(2, leader=NOBODY))
    assert (now.leader, now.writes, now.answering) == (None, False, 2)
    assert now.sentence == (
        "Nobody leads, and there are no writes until somebody is elected: 2 of 3 voters answer, and 2 are needed. "
        "consul2 still names consul1."
    )


@pytest.mark.parametrize(
    ("state", "way"),
    [("exited", "`labctl start ada` starts the others."), ("paused", "`labctl fault heal --lab ada` lets the frozen")],
)
def test_with_two_of_three_down_there_is_no_leader_and_no_write(state: str, way: str) -> None:
    now = judged(down(0), down(1), view(2, leader=NOBODY), state=state)
    assert (now.writes, now.voters, now.quorum, now.answering) == (False, 3, 2, 1)
    assert now.sentence.startswith(
        f"Nobody leads, and there are no writes: 1 of 3 voters is left, and 2 are needed. {way}"
    )


def test_with_all_down_nobody_says_who_votes() -> None:
    now = judged(down(0), down(1), down(2))
    assert (now.writes, now.voters) == (None, 0)
    assert now.sentence == "No server runs, so there are no writes: `labctl start ada` starts them."


def test_a_leader_that_was_just_cut_off_is_not_taken_at_its_word() -> None:
    now = judged(view(0), view(1, last_contact_ms=1200.0), view(2, leader=NOBODY), faults=("isolate consul1",))
    assert (now.ready, now.writes) == (False, None)
    assert now.sentence == (
        "consul1 says that it leads in term 2, but it is cut off (isolate consul1): it gives up when its lease of "
        "2.5 s is over. consul2 still names it, and heard it 1.2 s ago; consul3 knows no leader."
    )


@pytest.mark.parametrize(
    "faults", [("isolate consul3",), ("partition consul1,consul2 / consul3",), ("loss 9 consul1",)]
)
def test_a_leader_that_reaches_a_majority_is_taken_at_its_word(faults: tuple[str, ...]) -> None:
    now = judged(view(0), view(1), view(2), faults=faults)
    assert now.writes is True
    assert now.without == (() if faults[0].startswith("loss") else ("consul3",))


def test_a_leader_that_nobody_heard_within_its_lease_is_in_doubt_without_any_known_fault() -> None:
    now = judged(view(0), view(1, last_contact_ms=2600.0), view(2, last_contact_ms=2700.0))
    assert (now.ready, now.writes) == (False, None)
    assert "a majority has not heard from it within its lease" in now.sentence
    assert judged(view(0), view(1, last_contact_ms=2400.0), view(2, last_contact_ms=2700.0)).writes is True


def test_a_leader_that_is_left_alone_is_in_doubt() -> None:
    now = judged(view(0), down(1), down(2))
    assert now.writes is None
    assert "but 1 of 3 voters is left, and 2 are needed: it gives up when its lease" in now.sentence


def test_servers_that_are_cut_off_from_each_other_elect_nobody() -> None:
    views = [view(number, state="follower", leader=NOBODY) for number in range(3)]
    now = judged(*views, faults=("partition consul1 / consul2 / consul3",))
    assert now.writes is False
    assert now.sentence == (
        "Nobody leads, and there are no writes: of 3 voters at most 1 reaches each other "
        "(partition consul1 / consul2 / consul3), and 2 are needed. `labctl fault heal --lab ada` ends that."
    )


def test_an_old_leader_is_one_that_it_works_without() -> None:
    new = LAB.servers[1].address
    now = judged(view(0), view(1, state="leader", term=3, leader=new), view(2, term=3, leader=new))
    assert (now.writes, now.without) == (True, ("consul1",))
    assert now.problem == (
        "the servers name different leaders: consul1 names consul1, consul2 names consul2, consul3 names consul2"
    )


@pytest.mark.parametrize(
    ("faults", "groups"),
    [
        ((), [["consul1", "consul2", "consul3"]]),
        (("isolate consul2",), [["consul2"], ["consul1", "consul3"]]),
        (("isolate consul2", "isolate consul1"), [["consul2"], ["consul1"], ["consul3"]]),
        (("partition consul1,consul2 / consul3", "isolate consul1"), [["consul1"], ["consul2"], ["consul3"]]),
        (("loss 70 consul1", "one-way consul1 consul2", "kill consul1", ""), [["consul1", "consul2", "consul3"]]),
        (("isolate consul9",), [["consul1", "consul2", "consul3"]]),
    ],
)
def test_faults_part_servers_into_groups(faults: tuple[str, ...], groups: list[list[str]]) -> None:
    assert reaching(("consul1", "consul2", "consul3"), faults) == groups
