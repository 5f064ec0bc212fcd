"""What a story is about: elections, and the leaderships of the leaders that won them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

Outcome = Literal["won", "lost", "split", "abandoned"]
Cause = Literal["heartbeat_timeout", "election_timeout", "transfer", "unknown"]
EndedBy = Literal[
    "quorum_lost",
    "newer_term",
    "new_leader",
    "transfer",
    "removed",
    "left",
    "stopped",
    "killed",
    "restarted",
    "silent",
]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A server that did not vote for a candidate, and why, in the words of its log (`our last index is greater`).

    `voted_for` is whom it had voted for already, where that is why and the logs say it.
    """

    server: str
    reason: str
    voted_for: str | None = None


@dataclass(slots=True)
class Election:
    """One server's campaign in one term; it is filled in while the story goes on.

    Attributes:
        candidate: who stood.
        term: in which term; None where no line says and none can be inferred.
        term_source: `line` or `inferred`.
        cause: why it stood: no heartbeat in time, no majority in its campaign before, leadership was handed to it.
        start: when it became a candidate; None where its log has no times.
        end: when the campaign was decided.
        votes: who voted for it as far as the log says.
        tally: votes it counted.
        needed: votes it needed.
        refusals: who refused, and why.
        waited: how long the timer ran that made it stand, in seconds: the heartbeat timer or the election timer, by its
            cause. None where the log does not show when it began.
        pre_vote: how the pre-vote went, in generations that have one.
        outcome: None while it is open. `split` means that nobody had a majority of a term in which several stood,
            `lost` that another server won or a majority refused, `abandoned` that too few answered, or that the
            pre-vote failed and no vote was asked for.
    """

    candidate: str
    term: int | None
    term_source: Literal["line", "inferred"] | None
    cause: Cause
    start: datetime | None
    end: datetime | None = None
    votes: list[str] = field(default_factory=list)
    tally: int = 0
    needed: int | None = None
    refusals: list[Refusal] = field(default_factory=list)
    waited: float | None = None
    pre_vote: Literal["won", "lost"] | None = None
    outcome: Outcome | None = None
    fell_back: bool = False

    @property
    def seconds(self) -> float | None:
        """How long the campaign took, in seconds."""
        return None if self.start is None or self.end is None else (self.end - self.start).total_seconds()

    def refuse(self, server: str, reason: str) -> None:
        """Note a refusal, once for each server."""
        if all(one.server != server for one in self.refusals):
            self.refusals.append(Refusal(server, reason))

    def has_vote_of(self, server: str) -> bool:
        """Whether a server voted for this candidate, as far as the logs say; a candidate votes for itself."""
        return server == self.candidate or server in self.votes

    def vote(self, server: str | None, tally: int | None) -> None:
        """Note a granted vote; the voter is unknown in logs that name none."""
        if server and server not in self.votes:
            self.votes.append(server)
        self.tally = max(self.tally, tally if tally is not None else len(self.votes))

    def settle(self, rivals: list[Election]) -> None:
        """Decide what a campaign that was not won came to, by what the others of its term came to."""
        self.refusals = [_explained(one, rivals) for one in self.refusals]
        if self.outcome is not None:
            return
        if self.pre_vote == "lost":
            self.outcome = "abandoned"
        elif any(one.outcome == "won" for one in rivals):
            self.outcome = "lost"
        elif rivals:
            self.outcome = "split"
        elif self.fell_back or (self.needed is not None and len(self.refusals) >= self.needed):
            self.outcome = "lost"
        else:
            self.outcome = "abandoned"


ALREADY_VOTED = "already voted"
"""The reason of who says `duplicate requestVote for same term`."""


def _explained(refusal: Refusal, rivals: list[Election]) -> Refusal:
    if refusal.reason != ALREADY_VOTED:
        return refusal
    voted_for = [one.candidate for one in rivals if one.has_vote_of(refusal.server)]
    return replace(refusal, voted_for=voted_for[0]) if len(voted_for) == 1 else refusal


@dataclass(slots=True)
class Leadership:
    """One server's leadership.

    Attributes:
        server: who led.
        term: in which term.
        since: when it became leader.
        until: when it ceased to be; None while it leads.
        ended_by: what ended it; None while it leads. `silent` means that its log just ends before another leads.
        without_leader: how long there had been no leader before it, in seconds; None where that is not known.
        without_majority: how long it had not reached a majority when it gave up for that, in seconds.
    """

    server: str
    term: int | None
    since: datetime | None
    until: datetime | None = None
    ended_by: EndedBy | None = None
    without_leader: float | None = None
    without_majority: float | None = None
