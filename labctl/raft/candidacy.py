"""A server that is a candidate: what it asks, who answers it, and how that ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from labctl.raft.records import add_evidence

if TYPE_CHECKING:
    from datetime import datetime

    from labctl.raft.event import Event
    from labctl.raft.lost_quorum import LostQuorum
    from labctl.raft.records import Cause, Evidence, Refusal, TermSource

Ended = Literal["won", "follower", "timeout", "again", "restart", "silent"]
"""How a candidacy ended: its server won, followed somebody (or a newer term), its time was over, it became a candidate
again, its process was started again, or it fell silent."""


@dataclass(slots=True)
class Candidacy:
    """A server that is a candidate, as far as its log and those of the others go.

    Attributes:
        server: who.
        term, term_source, cause, start, waited: as an election has them.
        unprompted: no line says why it became a candidate, which it had not been before.
        was_follower: its log shows that it was a follower before.
        asked: some line shows that it asked for votes, and not for pre-votes only.
        may_ask_first: its version may be one that asks for pre-votes and says nothing of those that it loses.
        pre_vote: what lines say of its pre-vote; None where they say nothing.
        ended: how it ended; None while it goes on.
        stood_again: the term in which its server became a candidate next, without having been anything else.
        begun, over: its place among all events, which are in order even where clocks are not; `over` is None while it
            goes on.
        quorum: as an election has it.
        not_asked: the servers that it could not ask, and when it last said so.
        unreached: those of them that it never reached: a mere timeout may belong to an earlier campaign.
        no_route: those of them to which its own machine had no route.
    """

    server: str
    term: int | None
    term_source: TermSource | None
    cause: Cause
    start: datetime | None
    waited: float | None = None
    end: datetime | None = None
    ended: Ended | None = None
    stood_again: int | None = None
    unprompted: bool = False
    was_follower: bool = False
    asked: bool = False
    may_ask_first: bool = False
    needed: int | None = None
    votes: list[str] = field(default_factory=list)
    tally: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    pre_vote: Literal["asked", "won", "lost"] | None = None
    pre_vote_end: datetime | None = None
    pre_votes: list[str] = field(default_factory=list)
    pre_tally: int = 0
    pre_refusals: list[Refusal] = field(default_factory=list)
    not_asked: dict[str, datetime | None] = field(default_factory=dict)
    unreached: set[str] = field(default_factory=set)
    no_route: set[str] = field(default_factory=set)
    begun: int = 0
    over: int | None = None
    evidence: list[Evidence] = field(default_factory=list)
    quorum: LostQuorum | None = None

    def vote(self, server: str | None, tally: int | None) -> None:
        """Note a granted vote; the voter is unknown in logs that name none."""
        self.asked = True
        if server and server not in self.votes:
            self.votes.append(server)
        self.tally = max(self.tally, tally if tally is not None else len(self.votes))

    def refuse(self, refusal: Refusal) -> None:
        """Note a refusal, once for each server."""
        self.asked = True
        if all(known.server != refusal.server for known in self.refusals):
            self.refusals.append(refusal)

    def refuse_pre_vote(self, refusal: Refusal) -> None:
        """Note a refusal of the pre-vote; the voter's own line, which has a reason, is better than the candidate's."""
        self.pre_refusals = [known for known in self.pre_refusals if known.server != refusal.server or known.reason]
        if all(known.server != refusal.server for known in self.pre_refusals):
            self.pre_refusals.append(refusal)

    def take(self, event: Event, refusal: Refusal, *, pre_vote: bool) -> None:
        """Note a refusal that another server's line tells of."""
        if pre_vote:
            self.pre_vote = self.pre_vote or "asked"
            self.refuse_pre_vote(refusal)
        else:
            self.refuse(refusal)
        add_evidence(self.evidence, event)

    @property
    def had_no_network(self) -> bool:
        """Whether it had no route to any of the servers that it could not ask."""
        return bool(self.no_route) and self.no_route >= self.not_asked.keys()

    @property
    def only_asked_beforehand(self) -> bool:
        """Whether it has asked for pre-votes, and for no vote so far."""
        asked_again = self.stood_again is not None and self.stood_again == self.term
        return self.pre_vote in {"asked", "lost"} or (self.pre_vote is None and asked_again)

    def has_answer_of(self, server: str, *, pre_vote: bool) -> bool:
        """Whether a server said yes to this candidate, or no and why, as far as the logs say."""
        votes, refusals = (self.pre_votes, self.pre_refusals) if pre_vote else (self.votes, self.refusals)
        return server in votes or any(refusal.server == server and refusal.reason for refusal in refusals)

    def has_vote_of(self, server: str) -> bool:
        """Whether a server voted for this candidate, as far as the logs say; a candidate votes for itself."""
        return server == self.server or server in self.votes
