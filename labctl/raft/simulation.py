"""A failover played out by the rules of hashicorp/raft, with timers drawn at random. No clock: time is a number.

The rules, with where they stand in raft v1.1.2 (Consul 1.8) unless it says otherwise:

- A follower's heartbeat timer runs from once to twice the heartbeat timeout, and is restarted whenever it fires. It
  counts only where the leader was last heard a whole heartbeat timeout ago (`runFollower`). A vote that is granted
  counts as hearing a leader (`requestVote`).
- The follower then forgets its leader, stands in the next term and votes for itself. It stands again when its election
  timer, from once to twice the election timeout, is over (`runCandidate`).
- A server that knows a leader refuses its vote before it looks at the term. One that stands in the same term has voted
  for itself already. One that is in an older term follows the newer one, and votes (`requestVote`). A candidate that
  hears of a newer term is a follower again (`runCandidate`).
- With pre-vote (raft 1.7, Consul 1.20.2), a candidate first asks who would vote for it. A server that knows a leader
  would not, and who stands would: nobody has voted yet (`requestPreVote`). Only a majority lets it vote for itself in
  earnest.

So the first to time out cannot win: all others still know the leader. Without pre-vote it has also used up its vote of
the next term, and the one that times out second stands in that same term and gets nothing from it. Somebody's election
timer has to run out as well. With pre-vote nothing is used up, and the server that makes the majority complete wins.

What is left out: the milliseconds that requests, answers and the disk take (two candidates that stand within them may
split a vote once more), a request for a vote that is lost because it went over a connection that a restart has closed,
logs of different length, and a machine too busy to run a timer on time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from labctl.raft.timers import Timers

COMMIT_SECONDS = 0.05
"""A leader tells each follower what is committed after once to twice this, at any pace (CommitTimeout, config.go)."""
HEARTBEATS = 10
"""A leader's heartbeats come after once to twice this part of the heartbeat timeout (`heartbeat`, replication.go)."""


@dataclass(frozen=True)
class Played:
    """A failover that was played out.

    Attributes:
        detection: from the loss of the leader to the first heartbeat timeout, in seconds.
        leaderless: from the loss of the leader to the new one, in seconds.
        campaigns: how many times somebody stood, the last time with success.
    """

    detection: float
    leaderless: float
    campaigns: int


@dataclass(slots=True)
class _Server:
    fires: float  # when its timer is over
    term: int = 0
    voted: int = 0  # the last term in which it voted
    heard: float = -math.inf  # when it last granted a vote
    candidate: bool = False
    has_leader: bool = True


@dataclass(frozen=True, slots=True)
class _Rules:
    timers: Timers
    quorum: int


def rest_of_a_wait(random: Random, least: float) -> float:
    """The rest, at an independent moment, of waits from `least` to twice that, in seconds.

    A moment falls into long waits more often than into short ones, and anywhere within.
    """
    return random.random() * least * math.sqrt(1.0 + 3.0 * random.random())


def play(random: Random, timers: Timers, servers: int, *, pre_vote: bool, followers: int | None = None) -> Played:
    """Lose the leader of that many servers at time 0, and let the others elect a new one.

    Args:
        random: where the timers are drawn.
        timers: of all servers.
        servers: how many there are with the lost one; at least 3, or nobody could be elected.
        pre_vote: whether candidates ask beforehand.
        followers: how many of the others are there, at least a majority; None means all.
    """
    there = [_Server(_first_timeout(random, timers)) for _ in range(servers - 1 if followers is None else followers)]
    rules = _Rules(timers, servers // 2 + 1)
    detection = math.inf
    campaigns = 0
    while True:
        server = min(there, key=lambda each: each.fires)
        now = server.fires
        if not server.candidate and now - server.heard < timers.heartbeat:
            server.fires = now + _wait(random, timers.heartbeat)
            continue
        detection = min(detection, now)
        campaigns += 1
        server.candidate, server.has_leader = True, False
        server.fires = now + _wait(random, timers.election)
        others = [other for other in there if other is not server]
        random.shuffle(others)
        if pre_vote and not _would_win(server, others, rules.quorum):
            continue
        if _wins(random, now, server, others, rules):
            return Played(detection, now, campaigns)


def _first_timeout(random: Random, timers: Timers) -> float:
    heard = min(rest_of_a_wait(random, COMMIT_SECONDS), rest_of_a_wait(random, timers.heartbeat / HEARTBEATS))
    return timers.heartbeat - heard + rest_of_a_wait(random, timers.heartbeat)


def _wait(random: Random, least: float) -> float:
    return least * (1.0 + random.random())


def _would_win(server: _Server, others: list[_Server], quorum: int) -> bool:
    return 1 + sum(not other.has_leader and other.term <= server.term + 1 for other in others) >= quorum


def _wins(random: Random, now: float, server: _Server, others: list[_Server], rules: _Rules) -> bool:
    """Stand in the next term, and ask everybody for a vote."""
    server.term += 1
    server.voted = server.term
    votes = 1
    for other in others:
        if other.has_leader:
            continue
        if other.term > server.term:
            _follow(random, now, server, other.term, rules.timers)
            return False
        if other.term < server.term:
            _follow(random, now, other, server.term, rules.timers)
        if other.voted < server.term:
            other.voted, other.heard = server.term, now
            votes += 1
    return votes >= rules.quorum


def _follow(random: Random, now: float, server: _Server, term: int, timers: Timers) -> None:
    """Take over a newer term. A candidate becomes a follower, whose timer restarts."""
    server.term = term
    if server.candidate:
        server.candidate = False
        server.fires = now + _wait(random, timers.heartbeat)
