"""The forecast of a fault: who is left, whether there is a leader, how long there is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labctl.engine import labs
from labctl.faults.context import FaultContext
from labctl.faults.forecast import Outlook
from labctl.faults.targets import Cluster
from labctl.raft.prediction import expected, usual_wait
from labctl.raft.timers import timers_of
from tests.unit import engine_stand_in as stand_in

LAB = labs.labs_from(stand_in.lab("ada"), "local")[0]
THREE = ("consul1", "consul2", "consul3")
GOES_ON = "and writes go on"
NO_OTHER = "; no other may be lost"
GIVES_UP = "; consul2 gives up when its lease of 2.5 s is over"
NOBODY = "nobody leads for 10 to 21 s at this pace"
AWAITED = (
    "3 of 3 {}, and nobody leads now: no writes until they have elected a leader, usually within 19 s at this pace"
)
TOGETHER = "3 of 3 are together then"
LEADS_ON = f"2 of 3 remain together: consul2 leads on, {GOES_ON}{NO_OTHER}"


def scene(  # noqa: PLR0913 - what a lab can be
    *,
    leader: str = "consul2",
    running: tuple[str, ...] = THREE,
    size: int = 3,
    cuts: tuple[str, ...] | None = (),
    version: str = "1.8.7",
    pace: str = "teach",
    voteless: frozenset[str] = frozenset(),
) -> FaultContext:
    names = tuple(f"consul{number}" for number in range(1, max(size, len(running)) + 1))
    lab = replace(LAB, spec=replace(LAB.spec, version=version, pace=pace))
    return FaultContext(lab, Cluster("ada", names, running, leader, size, (), voteless), cuts)


@pytest.mark.parametrize(
    ("groups", "said", "leader", "writes"),
    [
        ([["consul1", "consul2"]], LEADS_ON, "stays", True),
        (
            [["consul1", "consul3"]],
            f"2 of 3 remain together: {NOBODY}, then they elect a new leader, {GOES_ON}",
            "lost",
            True,
        ),
        ([["consul1"]], "1 of 3 remains, and 2 are needed: no leader, no writes", "lost", False),
        ([["consul2"]], f"1 of 3 remains, and 2 are needed: no leader, no writes{GIVES_UP}", "lost", False),
        ([], "0 of 3 remain, and 2 are needed: no leader, no writes", "lost", False),
        ([THREE], f"3 of 3 remain together: consul2 leads on, {GOES_ON}", "stays", True),
    ],
)
def test_what_remains_when_servers_are_taken_away(
    groups: list[list[str]], said: str, leader: str, writes: bool
) -> None:
    forecast = Outlook(scene(), "kill").of_groups(groups)
    assert (forecast.sentence, forecast.leader, forecast.writes) == (said, leader, writes)
    assert (forecast.voters, forecast.quorum) == (3, 2)


@pytest.mark.parametrize(
    ("pace", "version", "wait"),
    [("teach", "1.8.7", (10, 21)), ("real", "1.8.7", (2, 5)), ("teach", "1.22.0", (5, 15)), ("real", "1.22.0", (1, 3))],
)
def test_how_long_nobody_leads_is_that_of_the_pace_and_of_the_version(
    pace: str, version: str, wait: tuple[int, int]
) -> None:
    forecast = Outlook(scene(pace=pace, version=version), "kill").of_groups([["consul1", "consul3"]])
    assert forecast.leaderless == wait
    assert f"nobody leads for {wait[0]} to {wait[1]} s at this pace" in forecast.sentence


@pytest.mark.parametrize("pre_vote", [True, False])
@pytest.mark.parametrize("servers", [3, 5, 7])
def test_the_quick_prediction_agrees_with_that_of_measure(servers: int, pre_vote: bool) -> None:
    timers = timers_of(5)
    low, high = usual_wait(timers, servers, servers - 1, pre_vote=pre_vote)
    spread = expected(timers, servers, pre_vote=pre_vote).leaderless.spread
    assert spread.minimum <= low < spread.p5 < spread.p95 < high
    assert high == pytest.approx(spread.maximum, rel=0.05)


def test_with_fewer_followers_it_takes_longer() -> None:
    timers = timers_of(5)
    all_there, two_gone = (usual_wait(timers, 5, left, pre_vote=False) for left in (4, 3))
    assert two_gone[1] > all_there[1]


@pytest.mark.parametrize(("seconds", "said"), [(10.0, True), (60.0, False), (None, False)])
def test_a_fault_that_may_be_over_before_anybody_else_leads_says_so(seconds: float | None, said: bool) -> None:
    forecast = Outlook(scene(), "pause", seconds).of_groups([["consul1", "consul3"]])
    assert forecast.sentence.endswith("; the fault may end before that") is said


def test_a_leader_that_is_cut_off_leads_until_its_lease_is_over() -> None:
    forecast = Outlook(scene(), "isolate", 60.0).of_groups([["consul1", "consul3"], ["consul2"]], cut=True)
    assert forecast.sentence.endswith(f"then they elect a new leader, {GOES_ON}{GIVES_UP}")


@pytest.mark.parametrize(
    ("verb", "version", "seconds", "said"),
    [
        ("isolate", "1.8.7", 60.0, True),
        ("pause", "1.8.7", None, True),
        ("kill", "1.8.7", None, False),
        ("isolate", "1.8.7", 4.0, False),
        ("isolate", "1.22.0", 60.0, False),
    ],
)
def test_a_follower_that_was_alone_may_end_the_leadership_when_it_is_back(
    verb: str, version: str, seconds: float | None, said: bool
) -> None:
    forecast = Outlook(scene(version=version), verb, seconds).of_groups([["consul1", "consul2"]])
    afterwards = "; when that is over, the newer term of consul3 may cost consul2 its lead"
    assert forecast.sentence == LEADS_ON + (afterwards if said else "")


@pytest.mark.parametrize(
    ("running", "said"),
    [
        (THREE, AWAITED.format("remain together")),
        (("consul1",), "1 of 3 remains, and 2 are needed: no leader, no writes"),
    ],
)
def test_while_nobody_leads_it_promises_no_writes(running: tuple[str, ...], said: str) -> None:
    outlook = Outlook(scene(leader="", running=running), "loss", 60.0)
    for forecast in (outlook.of_groups([running]), outlook.of_loss(["consul1"], 20), outlook.of_delay(["consul1"], 9)):
        assert (forecast.sentence, forecast.writes, forecast.leader) == (said, False, "none")


def test_a_leader_that_reaches_no_majority_any_more_is_none() -> None:
    forecast = Outlook(scene(running=("consul2",)), "start").of_return(["consul1"])
    assert "nobody leads now: no writes until" in forecast.sentence
    cut = Outlook(scene(cuts=("isolate consul2",)), "delay", 60.0).of_delay(["consul1"], 9)
    assert "nobody leads now" in cut.sentence


@pytest.mark.parametrize(
    ("leader", "running", "back", "said", "writes"),
    [
        ("consul2", THREE[1:], ["consul1"], f"{TOGETHER}: consul2 leads on, consul1 follows it, {GOES_ON}", True),
        ("", THREE[1:], ["consul1"], AWAITED.format("are together then"), False),
        ("", (), ["consul1"], "1 of 3 runs then, and 2 are needed: no leader, no writes", False),
    ],
)
def test_what_comes_back_promises_writes_only_where_somebody_leads(
    leader: str, running: tuple[str, ...], back: list[str], said: str, writes: bool
) -> None:
    forecast = Outlook(scene(leader=leader, running=running), "start").of_return(back)
    assert (forecast.sentence, forecast.writes) == (said, writes)


@pytest.mark.parametrize(
    ("names", "leader", "says"),
    [
        (["consul2"], "at risk", f"but losing 70 % of the packets at consul2 may cost it its lead: then {NOBODY}"),
        (["consul1", "consul3"], "at risk", f"at consul1 and consul3 may cost consul2 its lead: then {NOBODY}"),
        (["consul1"], "stays", "consul2 leads on, and writes go on; consul1, which loses some of what it is sent, may"),
    ],
)
def test_loss_may_cost_the_leader_its_lead(names: list[str], leader: str, says: str) -> None:
    forecast = Outlook(scene(), "loss", 60.0).of_loss(names, 70)
    assert says in forecast.sentence
    assert forecast.leader == leader
    assert forecast.writes is (True if leader == "stays" else None)


def test_losing_everything_is_being_cut_off() -> None:
    lost = Outlook(scene(), "loss", 60.0).of_loss(["consul2"], 100)
    assert (lost.leader, lost.leaderless, lost.together) == ("lost", (10, 21), 2)


@pytest.mark.parametrize(("milliseconds", "leader"), [(200, "stays"), (1249, "stays"), (1250, "at risk")])
def test_a_delay_costs_the_leader_its_lead_only_where_it_nears_the_lease(milliseconds: int, leader: str) -> None:
    assert Outlook(scene(), "delay", 60.0).of_delay(["consul2"], milliseconds).leader == leader


@pytest.mark.parametrize(("kilobytes", "leader"), [(8, "at risk"), (1000, "stays")])
def test_a_rate_costs_the_leader_its_lead_only_where_heartbeats_have_no_room(kilobytes: int, leader: str) -> None:
    assert Outlook(scene(), "rate", 60.0).of_rate(["consul2"], kilobytes).leader == leader


@pytest.mark.parametrize(
    ("senders", "receivers", "leader", "says"),
    [
        (
            ["consul2"],
            ["consul1"],
            "stays",
            "consul1 hears no leader; when that is over, the newer term of",
        ),
        (["consul1"], ["consul2"], "stays", "consul1 hears no leader"),
        (["consul1"], ["consul3"], "stays", "3 of 3 remain together: consul2 leads on, and writes go on"),
        (["consul2"], ["consul1", "consul3"], "lost", "consul2 reaches 0 of the others: nobody leads for 10 to 21 s"),
    ],
)
def test_one_way_costs_the_leader_its_lead_where_it_reaches_no_majority(
    senders: list[str], receivers: list[str], leader: str, says: str
) -> None:
    forecast = Outlook(scene(), "one-way", 60.0).of_one_way(senders, receivers)
    assert says in forecast.sentence
    assert forecast.leader == leader


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([["consul1", "consul2"], ["consul3"]], "2 of 5 remain, and 3 are needed: no leader, no writes"),
        ([["consul1", "consul2", "consul3"]], "3 of 5 remain together: consul2 leads on, and writes go on"),
    ],
)
def test_a_majority_is_one_of_all_that_vote_also_of_those_that_are_gone(groups: list[list[str]], said: str) -> None:
    assert Outlook(scene(size=5), "kill").of_groups(groups).sentence.startswith(said)


def test_who_has_no_vote_is_in_no_majority() -> None:
    lab = scene(running=(*THREE, "consul4", "consul5"), voteless=frozenset({"consul1", "consul3"}))
    forecast = Outlook(lab, "partition", 60.0).of_groups([list(THREE), ["consul4", "consul5"]], cut=True)
    assert forecast.sentence.startswith("2 of 3 remain together: nobody leads for")
