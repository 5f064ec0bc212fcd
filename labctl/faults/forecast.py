"""The consequences of a fault, shown before it acts: who is left, whether there is a leader, how long there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from labctl.faults.reachability import reaching
from labctl.raft.prediction import has_pre_vote, usual_wait
from labctl.raft.timers import timers_of
from labctl.results import ForecastResult
from labctl.shared.words import listed

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from labctl.faults.context import FaultContext

Lead = Literal["stays", "at risk", "lost", "none"]

_AFTERWARDS = ("isolate", "partition", "one-way", "pause")
"""Faults that leave a follower running alone: without pre-vote, it starts elections in ever higher terms."""
_ROOM_FOR_HEARTBEATS = 64
"""Heartbeats of an idle lab take a few kilobytes a second."""


@dataclass(frozen=True)
class Forecast:
    """The consequences of a fault.

    Attributes:
        together: how many voters reach each other then, at most.
        voters: how many servers vote.
        quorum: how many of them are needed.
        leader: what happens to the leader; `none` where there is none now.
        leaderless: how long there is usually no leader: from and to, in seconds; None where there is always one,
            or where none can be elected.
        writes: whether writes are committed while the fault lasts, once there is a leader; None at a risk.
        sentence: all this for a person.
    """

    together: int
    voters: int
    quorum: int
    leader: Lead
    leaderless: tuple[int, int] | None
    writes: bool | None
    sentence: str

    @property
    def result(self) -> ForecastResult:
        """What `--json` shows of it."""
        return ForecastResult(
            self.together, self.voters, self.quorum, self.leader, self.leaderless, self.writes, self.sentence
        )


class Outlook:
    """The possible consequences in a lab as it is now.

    Args:
        scene: the lab.
        verb: the fault, such as `isolate`.
        seconds: how long it lasts; None where nothing ends it.
    """

    def __init__(self, scene: FaultContext, verb: str, seconds: float | None = None) -> None:
        self._cluster, self._verb, self._seconds = scene.cluster, verb, seconds
        self._cuts = scene.cuts
        self._timers = timers_of(scene.lab.raft_multiplier)
        self._pre_vote = has_pre_vote(scene.lab.spec.version)
        running = [name for name in scene.cluster.running if name not in scene.cluster.voteless]
        largest = self._largest([running])
        # A leader that reaches no majority leads only until its lease is over.
        leads = scene.cluster.leader in largest and len(largest) >= scene.cluster.quorum
        self._leader = scene.cluster.leader if leads else ""

    def of_groups(self, groups: Sequence[Sequence[str]], *, cut: bool = False) -> Forecast:
        """Only these groups reach each other; with `cut` the others run on."""
        largest = self._largest(groups)
        count, cluster = len(largest), self._cluster
        remain = f"{count} of {cluster.size} {'remains' if count == 1 else 'remain'}"
        together = f"{remain}{' together' if count > 1 else ''}"
        runs_on = cut or cluster.leader in {name for group in groups for name in group}
        gives_up = self._gives_up(cluster.leader) if runs_on else ""
        if count < cluster.quorum:
            sentence = f"{remain}, and {self._needed()}: no leader, no writes{gives_up}"
            return self._forecast(count, "lost" if cluster.leader else "none", None, False, sentence)
        if not self._leader:
            return self._awaited(count, f"{together}, and nobody leads now")
        if self._leader in largest:
            spare = "; no other may be lost" if count == cluster.quorum < cluster.size else ""
            sentence = f"{together}: {self._leader} leads on, and writes go on{spare}{self._afterwards(largest)}"
            return self._forecast(count, "stays", None, True, sentence)
        wait = self._wait(count)
        sentence = f"{together}: {_nobody_for(wait)}, then they elect a new leader, and writes go on"
        if self._seconds is not None and self._seconds < wait[1]:
            sentence += "; the fault may end before that"
        return self._forecast(count, "lost", wait, True, sentence + gives_up)

    def of_return(self, names: Sequence[str]) -> Forecast:
        """These servers come back."""
        cluster = self._cluster
        largest = self._largest([[*cluster.running, *names]])
        count, only_one = len(largest), len(names) == 1
        if count < cluster.quorum:
            sentence = (
                f"{count} of {cluster.size} {'runs' if count == 1 else 'run'} then, and {self._needed()}: no leader, "
                "no writes"
            )
            return self._forecast(count, "none", None, False, sentence)
        together = f"{count} of {cluster.size} {'is' if count == 1 else 'are together'} then"
        if not self._leader:
            return self._awaited(count, f"{together}, and nobody leads now")
        follow = f"{listed(names)} {'follows' if only_one else 'follow'} it"
        sentence = f"{together}: {self._leader} leads on, {follow}, and writes go on"
        return self._forecast(count, "stays", None, True, sentence)

    def of_loss(self, names: Sequence[str], percent: float) -> Forecast:
        """This many of a hundred packets from and to these servers are lost."""
        if percent >= 100:  # noqa: PLR2004 - percent
            rest = [name for name in self._cluster.running if name not in names]
            return self.of_groups([rest, *([name] for name in names)], cut=True)
        return self._of_weakness(names, f"losing {percent:g} % of the packets", "loses some of what it is sent")

    def of_rate(self, names: Sequence[str], kilobytes: int) -> Forecast:
        """This much gets through in a second."""
        if kilobytes >= _ROOM_FOR_HEARTBEATS:
            return self._slower(f"large writes take longer where {listed(names)} must have them")
        return self._of_weakness(names, f"only {kilobytes} kB in a second", "gets some of what it is sent late")

    def of_delay(self, names: Sequence[str], milliseconds: int) -> Forecast:
        """These servers' packets leave late, by at most this much."""
        if milliseconds < self._timers.lease * 500:
            return self._slower(f"what {listed(names)} must send for a write takes {milliseconds} ms longer")
        return self._of_weakness(names, f"a delay of {milliseconds} ms", "answers late")

    def of_one_way(self, senders: Collection[str], receivers: Collection[str]) -> Forecast:
        """What some send to others is dropped. No answer gets through either, so no connection survives."""
        leader, cluster = self._leader, self._cluster
        running = self._largest([cluster.running])
        count = len(running)
        if not leader:
            return self.of_groups([cluster.running])
        against = set(receivers) if leader in senders else set(senders) if leader in receivers else set()
        reached = [name for name in running if name not in against]
        remain = f"{len(reached)} of {cluster.size} {'remains' if len(reached) == 1 else 'remain together'}"
        if len(reached) >= cluster.quorum:
            alone = [name for name in running if name in against]
            vain = f"; {listed(alone)} {'hears' if len(alone) == 1 else 'hear'} no leader" if alone else ""
            sentence = f"{remain}: {leader} leads on, and writes go on{vain}{self._afterwards(reached)}"
            return self._forecast(len(reached), "stays", None, True, sentence)
        wait = self._wait(count - 1) if count - 1 >= cluster.quorum else None
        then = f": {_nobody_for(wait)}, then the others elect a new leader" if wait else ""
        sentence = f"{leader} reaches {len(reached) - 1} of the others{then}{self._gives_up(leader)}"
        return self._forecast(count, "lost", wait, None, sentence)

    # -- parts -----------------------------------------------------------------------------------------------

    def _of_weakness(self, names: Sequence[str], doing: str, suffers: str) -> Forecast:
        cluster, leader = self._cluster, self._leader
        running = self._largest([cluster.running])
        count = len(running)
        if count < cluster.quorum or not leader:
            return self.of_groups([cluster.running])
        strong = [name for name in running if name not in names]
        together = f"{count} of {cluster.size} {'remains' if count == 1 else 'remain together'}"
        if leader in strong and len(strong) >= cluster.quorum:
            only_one = len(names) == 1
            in_vain = f"{listed(names)}, which {suffers}," if only_one else f"each of {listed(names)}"
            sentence = (
                f"{together}: {leader} leads on, and writes go on; {in_vain} may stand for election"
                + self._afterwards(strong, may=True)
            )
            return self._forecast(count, "stays", None, True, sentence)
        wait = self._wait(count - 1) if count - 1 >= cluster.quorum else None
        loser = "it" if list(names) == [leader] else leader
        then = f": then {_nobody_for(wait)}" if wait else ""
        sentence = f"{together}, but {doing} at {listed(names)} may cost {loser} its lead{then}"
        return self._forecast(count, "at risk", wait, None, sentence)

    def _slower(self, how: str) -> Forecast:
        forecast = self.of_groups([self._cluster.running])
        if not forecast.writes or forecast.leader != "stays":
            return forecast
        sentence = f"{forecast.sentence}; {how}"
        return self._forecast(forecast.together, "stays", None, True, sentence)

    def _awaited(self, count: int, front: str) -> Forecast:
        _, most = self._wait(count)
        sentence = f"{front}: no writes until they have elected a leader, usually within {most} s at this pace"
        return self._forecast(count, "none", (0, most), False, sentence)

    def _forecast(
        self, together: int, leader: Lead, leaderless: tuple[int, int] | None, writes: bool | None, sentence: str
    ) -> Forecast:
        if self._cuts is None:
            sentence += ". Docker did not say which other faults there are"
        cluster = self._cluster
        return Forecast(together, cluster.size, cluster.quorum, leader, leaderless, writes, sentence)

    def _largest(self, groups: Sequence[Sequence[str]]) -> list[str]:
        """The most voters that reach each other, also through the existing faults."""
        voters = [[name for name in group if name not in self._cluster.voteless] for group in groups]
        parts = [part for group in voters for part in reaching(group, self._cuts or ())]
        return max(parts, key=len, default=[])

    def _needed(self) -> str:
        return "1 is needed" if self._cluster.quorum == 1 else f"{self._cluster.quorum} are needed"

    def _wait(self, followers: int) -> tuple[int, int]:
        low, high = usual_wait(self._timers, self._cluster.size, followers, pre_vote=self._pre_vote)
        return math.floor(low), math.ceil(high)

    def _gives_up(self, leader: str) -> str:
        return f"; {leader} gives up when its lease of {self._timers.lease:g} s is over" if leader else ""

    def _afterwards(self, with_leader: Collection[str], *, may: bool = False) -> str:
        """What an isolated follower does when it is back: its higher term ends the leadership."""
        alone = [name for name in self._cluster.running if name not in with_leader and name != self._leader]
        short = self._seconds is not None and self._seconds < self._timers.heartbeat
        if self._pre_vote or not alone or short or not (may or self._verb in _AFTERWARDS):
            return ""
        term = "its newer term" if may else f"when that is over, the newer term of {listed(alone)}"
        return f"; {term} may cost {self._leader} its lead"


def _nobody_for(wait: tuple[int, int]) -> str:
    return f"nobody leads for {wait[0]} to {wait[1]} s at this pace"
