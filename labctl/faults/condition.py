"""What a lab can do just now: whether it has a leader, whether writes are committed, what may still be lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from labctl.faults.reachability import reaching
from labctl.shared.words import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from labctl.engine.status import Status
    from labctl.faults.inject import ActiveFault
    from labctl.shared.server_status import View

LEASE_SECONDS = 0.5
"""A leader that reaches no majority for this long, times `raft_multiplier`, gives up (raft config.go)."""


@dataclass(frozen=True)
class Condition:
    """What follows from the servers' answers and the known faults.

    Attributes:
        ready: whether every server names the same leader, which can lead, and all are voters.
        problem: why it is not ready; None where it is.
        leader: who claims to lead and has the newest term; None where no server does.
        writes: whether writes are committed; None where the leader may have lost its lead without knowing.
        voters: how many servers vote; 0 where no server says.
        quorum: how many of them are needed; 0 where no server says.
        answering: how many of them answer.
        without: the servers that the lab works without.
        sentence: all this for a person; "" if there is nothing to say.
    """

    ready: bool
    problem: str | None
    leader: View | None
    writes: bool | None
    voters: int
    quorum: int
    answering: int
    without: tuple[str, ...]
    sentence: str


def condition_of(now: Status, faults: Iterable[ActiveFault]) -> Condition:
    """Judge a lab by what its servers say now and by the faults that it has."""
    return _Judgement(now, [fault.words for fault in faults]).condition()


class _Judgement:
    def __init__(self, now: Status, faults: Sequence[str]) -> None:
        self.now = now
        self.lab = now.lab
        self.leader = now.leader
        self.voters = len(now.voters)
        self.quorum = self.voters // 2 + 1 if self.voters else 0
        # The voters that answer, in the order of the servers; a server without a vote does not count.
        self.here = [view for view in now.views if not view.problem and view.address in now.voters]
        self.groups = reaching([view.name for view in self.here], faults)
        self.cuts = [words for words in faults if len(reaching([seen_by.name for seen_by in now.views], [words])) > 1]

    def condition(self) -> Condition:
        if not self.voters:
            return self._said(None, self._unjoined())
        if self.leader is None:
            return self._said(False, self._leaderless())
        if why := self._doubt(self.leader):
            return self._said(None, why, f"{self.leader.name} may lead no longer, and not know it yet")
        following = self._following(self.leader)
        without = [name for name in self._names_of_voters() if name not in following]
        return self._said(True, self._spare(len(following)) if without else "", without=without)

    def _said(
        self, writes: bool | None, sentence: str, doubt: str | None = None, without: Sequence[str] = ()
    ) -> Condition:
        problem = self.now.problem or doubt
        return Condition(
            problem is None, self._by_name(problem), self.leader, writes, self.voters, self.quorum, len(self.here),
            tuple(without), sentence,
        )  # fmt: skip

    def _by_name(self, problem: str | None) -> str | None:
        """The problem with names in place of addresses, longest first, since one may begin another."""
        for server in sorted(self.lab.servers, key=lambda candidate: -len(candidate.address)):
            if problem and server.address:
                problem = problem.replace(server.address, server.name)
        return problem

    def _names_of_voters(self) -> list[str]:
        """The names of the voters, including those whose containers are gone, as far as their names are known."""
        known = [server.name for server in self.lab.servers if server.address in self.now.voters]
        return [*known, *self.lab.missing]

    # -- who follows -----------------------------------------------------------------------------------------

    def _following(self, leader: View) -> list[str]:
        """The voters that follow a leader now, with itself."""
        reached = self._group_of(leader.name)
        return [
            view.name
            for view in self.here
            if view is leader or (view.name in reached and (view.leader, view.term) == (leader.address, leader.term))
        ]

    def _group_of(self, name: str) -> list[str]:
        return next((group for group in self.groups if name in group), [name])

    def _doubt(self, leader: View) -> str:
        """Why a leader may have lost its lead without knowing yet; "" where nothing speaks against it."""
        lease = LEASE_SECONDS * self.lab.raft_multiplier
        group = self._group_of(leader.name)
        others = [view for view in self.here if view is not leader]
        within = [view for view in others if view.name in group and not _silent_for(view, lease)]
        if len(within) + 1 >= self.quorum:
            return ""
        cut = len(group) < self.quorum <= len(self.here)
        why = f"it is cut off ({listed(self.cuts)})" if cut else "a majority has not heard from it within its lease"
        if len(self.here) < self.quorum:
            why = f"{len(self.here)} of {self.voters} voters {_are(self.here)} left, and {self.quorum} are needed"
        return (
            f"{leader.name} says that it leads in term {leader.term}, but {why}: "
            f"it gives up when its lease of {lease:.1f} s is over. {_their_words(leader, others)}"
        )

    # -- sentences -------------------------------------------------------------------------------------------

    def _unjoined(self) -> str:
        running = [server for server in self.lab.servers if server.state == "running"]
        if not running and self.lab.servers:
            return f"No server runs, so there are no writes: `labctl start {self.lab.name}` starts them."
        return ""

    def _leaderless(self) -> str:
        here, largest = len(self.here), max((len(group) for group in self.groups), default=0)
        needed = f"{self.quorum} are needed" if self.quorum > 1 else "1 is needed"
        if here < self.quorum:
            return (
                f"Nobody leads, and there are no writes: {here} of {self.voters} voters {_are(self.here)} left, and "
                f"{needed}. {self._way_back()}"
            )
        if largest < self.quorum:
            return (
                f"Nobody leads, and there are no writes: of {self.voters} voters at most {largest} "
                f"{'reaches' if largest == 1 else 'reach'} each other ({listed(self.cuts)}), and {needed}. "
                f"`labctl fault heal --lab {self.lab.name}` ends that."
            )
        past = {server.address: server for server in self.lab.servers}
        named = {view.leader for view in self.here if view.leader} & set(past)
        still = "".join(
            f" {listed([view.name for view in self.here if view.leader == address])} still "
            f"{'names' if sum(view.leader == address for view in self.here) == 1 else 'name'} {past[address].name}."
            for address in sorted(named)
        )
        return (
            f"Nobody leads, and there are no writes until somebody is elected: {here} of {self.voters} voters answer, "
            f"and {needed}.{still}"
        )

    def _way_back(self) -> str:
        states = {server.state for server in self.lab.servers if server.state != "running"}
        if states == {"paused"}:
            return f"`labctl fault heal --lab {self.lab.name}` lets the frozen go on."
        if states:
            return f"`labctl start {self.lab.name}` starts the others."
        if self.lab.missing:
            return f"`labctl up {self.lab.name}` makes those that are gone again."
        return f"`labctl logs {self.lab.name}` shows what the others say."

    def _spare(self, following: int) -> str:
        spare = following - self.quorum
        left = {0: "no other may be lost", 1: "one more may be lost"}.get(spare, f"{spare} more may be lost")
        return f"Writes go on: {following} of {self.voters} voters are together, and {self.quorum} are needed; {left}."


def _silent_for(view: View, lease: float) -> bool:
    return view.last_contact_ms is not None and view.last_contact_ms > lease * 1000


def _are(things: Sequence[object]) -> str:
    return "is" if len(things) == 1 else "are"


def _their_words(leader: View, others: Sequence[View]) -> str:
    """What the others report of a leader that may be none, each for itself."""
    return f"{'; '.join(_its_word(leader, view) for view in others)}." if others else ""


def _its_word(leader: View, view: View) -> str:
    if view.leader != leader.address:
        return f"{view.name} {'names another leader' if view.leader else 'knows no leader'}"
    heard = view.last_contact_ms
    return f"{view.name} still names it" + ("" if heard is None else f", and heard it {heard / 1000:.1f} s ago")
