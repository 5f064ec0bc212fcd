"""What Consul's timeouts predict for a failover: when it is detected, and when there is a new leader.

Detection has a closed form. A follower that last heard its leader at L gives up when its heartbeat timer fires for the
first time after L + t, t being the heartbeat timeout. The timer is restarted whenever it fires and knows nothing of
L, so what is left of it at L + t is the rest of a renewal process: longer than x with the probability that is the
integral of 1 - F from x on, divided by the mean, 1.5 t, where F is uniform from t to 2 t. L itself is a little before
the loss: a leader speaks to each follower after 50 to 100 ms at any pace, and in heartbeats after t/10 to t/5. The
first of the followers to give up detects the loss.

The new leader comes about by the rules in `labctl.raft.simulation`. With pre-vote that has a closed form too: it is
there as soon as a majority of all servers has given up, so with the second of two followers, the third of four.
Without, an election timer has to run out as well, and which one depends on who stood in which term; so the
rules are played out many times, always with the same seed.

All of this is about a lab that was left alone for a while: timers that were all started by the same election a moment
ago know of each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import comb
from random import Random
from typing import TYPE_CHECKING

from labctl.raft.quantiles import Distribution, quantile
from labctl.raft.simulation import COMMIT_SECONDS, HEARTBEATS, play
from labctl.shared import consul_versions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from labctl.raft.timers import Timers

FEWEST_SERVERS = 3
"""With fewer, what is left of a lab that lost its leader is no majority."""
DRAWS = 10_000
SHARES = tuple((number + 0.5) / 200 for number in range(200))
"""The shares at which a curve is given."""
USUAL_MAXIMUM = 0.99
QUICK_DRAWS = 1000
_SILENCES = 64
# The last of them is a thirtieth of a millisecond of the slowest timer there is; times are shown in milliseconds.
_HALVINGS = 20


@dataclass(frozen=True)
class Outlook:
    """What is predicted of one phase.

    Attributes:
        spread: its times.
        curve: its quantiles at `SHARES`, in seconds.
    """

    spread: Distribution
    curve: tuple[float, ...]


@dataclass(frozen=True)
class Expected:
    """What is predicted of a failover.

    Attributes:
        detection: from the loss of the leader to the first heartbeat timeout of another server.
        election: from then to the new leader.
        leaderless: from the loss of the leader to the new one.
        campaigns: the number of campaigns, on average.
        pre_vote: whether candidates ask beforehand.
    """

    detection: Outlook
    election: Outlook
    leaderless: Outlook
    campaigns: float
    pre_vote: bool


def still_waiting(seconds: float, least: float) -> float:
    """The probability that the rest of a wait, seen at any moment, is longer than that.

    Args:
        seconds: how long.
        least: waits follow each other, each from this to twice this long.
    """
    if seconds <= 0:
        return 1.0
    if seconds <= least:
        return 1.0 - seconds / (1.5 * least)
    return (2.0 * least - seconds) ** 2 / (3.0 * least**2) if seconds < 2.0 * least else 0.0


def believes(seconds: float, timers: Timers) -> float:
    """The probability that a follower still believes in its leader that long after the loss."""
    rest = (still_waiting(seconds + silence - timers.heartbeat, timers.heartbeat) for silence in _silences(timers))
    return sum(rest) / _SILENCES


def undetected(seconds: float, timers: Timers, servers: int) -> float:
    """The probability that no follower has given up its leader that long after the loss."""
    return believes(seconds, timers) ** (servers - 1)


def no_majority(seconds: float, timers: Timers, servers: int) -> float:
    """The probability that those that gave up the leader are no majority yet, that long after the loss."""
    followers, quorum = servers - 1, servers // 2 + 1
    yes = believes(seconds, timers)
    return sum(comb(followers, gone) * (1 - yes) ** gone * yes ** (followers - gone) for gone in range(quorum))


@cache
def expected(timers: Timers, servers: int, *, pre_vote: bool) -> Expected:
    """Predict the failover of a lab.

    Args:
        timers: of its servers.
        servers: how many it has with the leader, at least `FEWEST_SERVERS`.
        pre_vote: whether its candidates ask beforehand (Consul 1.20.2 and newer).
    """
    random = Random(servers)  # noqa: S311 - the same prediction each time
    played = [play(random, timers, servers, pre_vote=pre_vote) for _ in range(DRAWS)]
    soonest = timers.heartbeat - _longest_silence(timers)
    # Without pre-vote, the first candidate, or another one in the same term, has to stand again.
    again = 0.0 if pre_vote else timers.election
    leaderless = (
        _exact(lambda seconds: no_majority(seconds, timers, servers), soonest, timers)
        if pre_vote
        else _drawn([each_play.leaderless for each_play in played], soonest + again)
    )
    return Expected(
        _exact(lambda seconds: undetected(seconds, timers, servers), soonest, timers),
        _drawn([each_play.leaderless - each_play.detection for each_play in played], again),
        leaderless,
        sum(each_play.campaigns for each_play in played) / DRAWS,
        pre_vote,
    )


def has_pre_vote(version: str) -> bool:
    """Whether servers of that version ask beforehand who would vote for them."""
    return consul_versions.has(version, "pre-vote")


def usual_wait(timers: Timers, servers: int, followers: int, *, pre_vote: bool) -> tuple[float, float]:
    """How long nobody leads when the leader is lost, in 98 of 100 cases: from and to, in seconds.

    Quicker than `expected` and less exact, for a sentence.

    Args:
        timers: of its servers.
        servers: how many vote.
        followers: how many of them are left, at least a majority.
        pre_vote: whether candidates ask beforehand.
    """
    random = Random(servers)  # noqa: S311 - the same prediction each time
    drawn = sorted(
        play(random, timers, servers, pre_vote=pre_vote, followers=followers).leaderless for _ in range(QUICK_DRAWS)
    )
    return quantile(drawn, 1 - USUAL_MAXIMUM), quantile(drawn, USUAL_MAXIMUM)


def _longest_silence(timers: Timers) -> float:
    return 2.0 * min(COMMIT_SECONDS, timers.heartbeat / HEARTBEATS)


@cache
def _silences(timers: Timers) -> tuple[float, ...]:
    """How long a leader was not heard by a follower when it was lost: quantiles of equal shares, in seconds."""

    def longer(seconds: float) -> float:
        return still_waiting(seconds, COMMIT_SECONDS) * still_waiting(seconds, timers.heartbeat / HEARTBEATS)

    return tuple(
        _where(longer, 1 - (number + 0.5) / _SILENCES, _longest_silence(timers)) for number in range(_SILENCES)
    )


def _where(longer: Callable[[float], float], share: float, most: float) -> float:
    """The time that is exceeded with that probability, where it is between 0 and `most`."""
    low, high = 0.0, most
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if longer(middle) > share else (low, middle)
    return high


def _exact(longer: Callable[[float], float], soonest: float, timers: Timers) -> Outlook:
    curve = tuple(_where(longer, 1 - share, 3.0 * timers.heartbeat) for share in SHARES)
    p5, p50, p95, most = (
        _where(longer, 1 - share, 3.0 * timers.heartbeat) for share in (0.05, 0.5, 0.95, USUAL_MAXIMUM)
    )
    return Outlook(Distribution(soonest, p5, p50, p95, most), curve)


def _drawn(seconds: Sequence[float], soonest: float) -> Outlook:
    ordered = sorted(seconds)
    p5, p50, p95, most = (quantile(ordered, share) for share in (0.05, 0.5, 0.95, USUAL_MAXIMUM))
    return Outlook(Distribution(soonest, p5, p50, p95, most), tuple(quantile(ordered, share) for share in SHARES))
