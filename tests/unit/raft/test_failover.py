"""Failovers: what Consul's timeouts predict, held against timers that are simulated one by one; and what logs tell."""

from __future__ import annotations

import math
from dataclasses import astuple, replace
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from labctl.raft import prediction
from labctl.raft.collection import collect
from labctl.raft.event import Event
from labctl.raft.failover import FailoverTimeline, timeline_of
from labctl.raft.prediction import SHARES, believes, expected, no_majority, still_waiting, undetected
from labctl.raft.quantiles import Distribution, distribution_of, quantile
from labctl.raft.record_stream import records
from labctl.raft.simulation import COMMIT_SECONDS, play, rest_of_a_wait
from labctl.raft.timers import timers_of
from labctl.story import log_files
from tests.unit.raft.failovers import BEGIN, failover, measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from labctl.raft.timers import Timers

REAL, TEACH = timers_of(1), timers_of(5)
DRAWS = 2000
# With this many draws, the largest gap between a distribution and itself is almost never more (Kolmogorov, p = 1e-6).
NEAR = 2.7 / math.sqrt(DRAWS)


def drawing(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - the same draws each time


def gap(seconds: Sequence[float], longer: Callable[[float], float]) -> float:
    """The largest distance between what was drawn and a distribution."""
    ordered = sorted(seconds)
    return max(abs((1 - longer(seconds)) - (number + 0.5) / len(ordered)) for number, seconds in enumerate(ordered))


def fires(random: Random, least: float) -> list[float]:
    """When a timer fires that restarts itself each time, from long before 0 on."""
    timers = [-(12.0 + random.random()) * least]
    while timers[-1] < 4 * least:
        timers.append(timers[-1] + random.uniform(least, 2 * least))
    return timers


def gives_up(random: Random, heartbeat: float) -> float:
    """When a follower gives its leader up that is lost at 0: as in raft.go's runFollower, timer by timer."""
    heard = max(fire for least in (COMMIT_SECONDS, heartbeat / 10) for fire in fires(random, least) if fire <= 0)
    return next(fire for fire in fires(random, heartbeat) if fire > 0 and fire - heard >= heartbeat)


@pytest.mark.parametrize(("timers", "servers"), [(REAL, 3), (REAL, 5), (TEACH, 3)])
def test_detection_is_predicted_as_timers_that_are_simulated_one_by_one_have_it(timers: Timers, servers: int) -> None:
    random = drawing(7)
    seen = [min(gives_up(random, timers.heartbeat) for _ in range(servers - 1)) for _ in range(DRAWS)]
    assert gap(seen, lambda seconds: undetected(seconds, timers, servers)) < NEAR
    # The check can fail: with one server more, the distribution is another one.
    assert gap(seen, lambda seconds: undetected(seconds, timers, servers + 1)) > NEAR


def test_the_rest_of_a_wait_is_drawn_as_its_probability_says() -> None:
    random = drawing(3)
    assert gap([rest_of_a_wait(random, 2.0) for _ in range(DRAWS)], lambda seconds: still_waiting(seconds, 2.0)) < NEAR
    assert gap([2.0 + 2.0 * random.random() for _ in range(DRAWS)], lambda seconds: still_waiting(seconds, 2.0)) > NEAR
    assert [still_waiting(seconds, 1.0) for seconds in (-1, 0, 1, 2, 9)] == pytest.approx([1, 1, 1 / 3, 0, 0])


@pytest.mark.parametrize("servers", [3, 5, 7])
def test_with_pre_vote_the_leader_is_there_when_a_majority_has_given_the_old_one_up(servers: int) -> None:
    random = drawing(11)
    played = [play(random, REAL, servers, pre_vote=True) for _ in range(DRAWS)]
    assert gap([play.detection for play in played], lambda seconds: undetected(seconds, REAL, servers)) < NEAR
    assert gap([play.leaderless for play in played], lambda seconds: no_majority(seconds, REAL, servers)) < NEAR
    without = [play(random, REAL, servers, pre_vote=False) for _ in range(DRAWS)]
    assert gap([play.leaderless for play in without], lambda seconds: no_majority(seconds, REAL, servers)) > 0.5


def test_without_pre_vote_one_of_two_candidates_of_the_same_term_has_to_stand_again() -> None:
    """Of three servers: the first stands until the second does too, and then whose election timer is over wins."""

    def leaderless(random: Random) -> float:
        first, second = sorted(gives_up(random, 1.0) for _ in range(2))
        again = first
        while again < second:
            again += random.uniform(1.0, 2.0)
        return min(again, second + random.uniform(1.0, 2.0))

    random = drawing(5)
    simulated = sorted(leaderless(random) for _ in range(DRAWS // 4))
    played = sorted(play(random, REAL, 3, pre_vote=False).leaderless for _ in range(DRAWS))
    for share in (0.05, 0.25, 0.5, 0.75, 0.95):
        assert quantile(simulated, share) == pytest.approx(quantile(played, share), abs=0.12), share


@pytest.mark.parametrize("servers", [3, 5, 7])
@pytest.mark.parametrize("pre_vote", [True, False])
def test_nothing_that_is_played_out_is_sooner_than_what_is_said_to_be_possible(servers: int, pre_vote: bool) -> None:
    said = expected(REAL, servers, pre_vote=pre_vote)
    random, tries = drawing(1), DRAWS // 3
    played = [play(random, REAL, servers, pre_vote=pre_vote) for _ in range(tries)]
    assert said.detection.spread.minimum <= min(play.detection for play in played)
    assert said.leaderless.spread.minimum <= min(play.leaderless for play in played)
    assert said.election.spread.minimum <= min(play.leaderless - play.detection for play in played) + 1e-9
    assert min(play.detection for play in played) < said.detection.spread.minimum + 0.1
    assert sum(play.campaigns for play in played) / tries == pytest.approx(said.campaigns, rel=0.05)


@pytest.mark.parametrize("pre_vote", [True, False])
def test_a_prediction_is_in_order_and_the_same_each_time(pre_vote: bool) -> None:
    said = expected(REAL, 3, pre_vote=pre_vote)
    for outlook in (said.detection, said.election, said.leaderless):
        spread = outlook.spread
        assert spread.minimum <= spread.p5 < spread.p50 < spread.p95 < spread.maximum
        assert list(outlook.curve) == sorted(outlook.curve)
        assert len(outlook.curve) == len(SHARES)
        assert quantile(outlook.curve, 0.5) == pytest.approx(spread.p50, abs=0.02)
    prediction.expected.cache_clear()
    assert expected(REAL, 3, pre_vote=pre_vote) == said


def test_pre_vote_saves_about_the_time_of_an_election_timer() -> None:
    for servers in (3, 5, 7):
        slow, fast = (expected(REAL, servers, pre_vote=votes_first) for votes_first in (False, True))
        assert slow.detection == fast.detection
        assert 0.6 < slow.leaderless.spread.p50 - fast.leaderless.spread.p50 < 1.2
        assert fast.campaigns == pytest.approx(servers // 2 + 1, abs=0.1)


def test_more_servers_notice_sooner() -> None:
    middles = [expected(REAL, servers, pre_vote=False).detection.spread.p50 for servers in (3, 5, 7)]
    assert middles == sorted(middles, reverse=True)


def test_a_follower_believes_for_a_heartbeat_timeout_and_for_three_at_most() -> None:
    assert believes(0.89, REAL) == 1.0
    assert believes(0.99, REAL) < 1.0
    assert believes(2.89, REAL) > 0.0
    assert believes(3.0, REAL) == 0.0
    # A leader is heard all 50 to 100 ms at any pace, so of longer timeouts that is a smaller part.
    assert believes(4.89, TEACH) == 1.0
    assert believes(4.99, TEACH) < 1.0


def recorded(name: str, since: str) -> FailoverTimeline:
    """The failover of a recording that labctl ships, from a time on."""
    moment = datetime.fromisoformat(since)
    failover_timeline = timeline_of(collect(records(log_files.events(log_files.sample(name)))).events, moment)
    assert failover_timeline is not None
    return failover_timeline


def test_recorded_failovers_went_by_the_rules() -> None:
    """Three servers, of which the leader was killed: the second that gave up won, or both had to wait once more."""
    with_pre_vote = recorded("consul-1.21", "2026-11-23T04:39:50+00:00")
    assert (with_pre_vote.detected_by, with_pre_vote.leader, with_pre_vote.stood) == ("consul3", "consul2", (5, 5))
    assert 0.7 < (with_pre_vote.elected - with_pre_vote.detected).total_seconds() < 0.8
    without = recorded("consul-1.8", "2026-11-23T04:39:53+00:00")
    assert (without.detected_by, without.leader, without.stood) == ("consul3", "consul2", (10, 10, 11))
    assert (without.elected - without.detected).total_seconds() > REAL.election


# -- what is measured ----------------------------------------------------------------------------------------


def event(seconds: float, server: str, what: str, term: int | None = None) -> Event:
    return Event(BEGIN + timedelta(seconds=seconds), server, what, term, "line", None, "warn", "raft", None, 1, "")


STORY = [
    event(-0.5, "consul2", "heartbeat_timeout"),
    event(1.2, "consul3", "heartbeat_timeout"),
    event(1.2, "consul3", "candidate_entered", 7),
    event(1.6, "consul2", "heartbeat_timeout"),
    event(1.6, "consul2", "candidate_entered", 7),
    event(2.7, "consul3", "candidate_entered", 8),
    event(2.71, "consul3", "election_won", 8),
    event(2.72, "consul3", "leader_entered", 8),
    event(9.0, "consul2", "candidate_entered", 9),
]


def test_a_failover_is_read_from_the_survivors_logs() -> None:
    failover_timeline = timeline_of(STORY, BEGIN)
    assert failover_timeline is not None
    assert (failover_timeline.detected - BEGIN, failover_timeline.detected_by) == (timedelta(seconds=1.2), "consul3")
    assert (failover_timeline.elected - BEGIN, failover_timeline.leader, failover_timeline.term) == (
        timedelta(seconds=2.72),
        "consul3",
        8,
    )
    assert failover_timeline.stood == (7, 7, 8)


def test_a_failover_that_is_not_over_is_none() -> None:
    assert timeline_of(STORY[:7], BEGIN) is None
    assert timeline_of([], BEGIN) is None
    assert timeline_of([replaced._replace(time=None) for replaced in STORY], BEGIN) is None
    # A leader without a timeout before it was made by something else.
    assert timeline_of(STORY[7:], BEGIN) is None


def test_the_phases_of_a_failover() -> None:
    failover_ = failover(1.2, 2.7, 2.75)
    assert [
        failover_.seconds(phase) for phase in ("detection", "election", "leaderless", "first_write")
    ] == pytest.approx([1.2, 1.5, 2.7, 2.75])
    assert failover_.lost_terms == 1


@pytest.mark.parametrize(
    ("stood", "term", "lost"), [((7, 7, 8), 8, 1), ((8,), 8, 0), ((7, 8, 9, 9), 9, 2), ((None, 8), 8, 0)]
)
def test_terms_without_a_winner_are_lost(stood: tuple[int | None, ...], term: int, lost: int) -> None:
    failover_ = failover(1, 2, 3)
    assert replace(failover_, told=replace(failover_.told, stood=stood, term=term)).lost_terms == lost


def test_a_measurement_counts_what_is_usual() -> None:
    measured = measurement(failover(1.2, 2.7, 2.8), failover(1.4, 2.9, 3.0), failover(9.0, 19.0, 19.1))
    distribution = measured.measured("detection")
    assert distribution is not None
    assert astuple(distribution) == pytest.approx((1.2, 1.22, 1.4, 8.24, 9.0))
    assert [measured.usual(phase) for phase in ("detection", "election", "leaderless", "first_write")] == [2, 2, 2, 2]
    assert measured.predicted("first_write") == measured.predicted("leaderless") == measured.expected.leaderless
    assert measured.campaigns == 3
    assert measurement().measured("election") is None
    assert measurement().campaigns is None


def test_quantiles_lie_between_what_was_measured() -> None:
    distribution = distribution_of([3.0, 1.0, 2.0])
    assert distribution is not None
    assert astuple(distribution) == pytest.approx((1.0, 1.1, 2.0, 2.9, 3.0))
    assert distribution_of([4.0]) == Distribution(4.0, 4.0, 4.0, 4.0, 4.0)
    assert distribution_of([]) is None
