"""What a story is about, besides the events: elections, rounds of pre-votes, and the leaderships that came of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from labctl.raft.timers import seconds_between

if TYPE_CHECKING:
    from datetime import datetime

    from labctl.raft.event import Event
    from labctl.raft.lost_quorum import LostQuorum

Outcome = Literal["won", "lost", "split", "abandoned", "undecided"]
PreVoteOutcome = Literal["won", "lost", "undecided"]
Cause = Literal["heartbeat_timeout", "election_timeout", "transfer", "unknown"]
EndedBy = Literal[
    "quorum_lost",
    "log_failed",
    "newer_term",
    "new_leader",
    "transfer",
    "removed",
    "left",
    "stopped",
    "killed",
    "ended",
    "paused",
    "restarted",
    "silent",
    "unknown",
]
TermSource = Literal["line", "inferred"]
Bound = Literal["exact", "at_least", "at_most"]
"""How to read a length: exact, at least, or at most."""

MOST_EVIDENCE = 24
"""Lines that are named for one record: its first ones and its last."""
ALREADY_VOTED = "already voted"
"""The reason of who says `duplicate requestVote for same term`."""
HAS_LEADER = "we have a leader"
"""How the reason of who has a leader begins."""
OWN_LOG = "our last "
"""How the reason of who has the longer or newer log begins."""
NO_VOTER = frozenset({"node is not in configuration", "node is not a voter"})
"""The reasons for refusing a server that has no vote."""
IS_LEADER = "we have a leader: us"
"""The same reason of who is that leader; Raft has no words of its own for that."""


class Evidence(NamedTuple):
    """A line that a claim stands on.

    Attributes:
        server: whose it is.
        file: where it stood, or None: a lab's log is no file.
        line_no: its number there, from 1; 0 for what Docker says was done to the server, which stands in no log.
    """

    server: str
    file: str | None
    line_no: int

    def __str__(self) -> str:
        if self.file is None and not self.line_no:
            return f"Docker of {self.server}"
        return f"{self.file if self.file is not None else self.server}:{self.line_no}"


def evidence_of(event: Event) -> Evidence:
    """Where an event was read."""
    return Evidence(event.server, event.file, event.line_no)


def add_evidence(to: list[Evidence], event: Event) -> None:
    """Name one more line, once; the last one gives way where there are many."""
    evidence = evidence_of(event)
    if evidence in to:
        return
    if len(to) >= MOST_EVIDENCE:
        to.pop()
    to.append(evidence)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A server that did not vote for a candidate, and why, in the words of its log (`our last index is greater`).

    Attributes:
        server: who refused.
        reason: why; "" where only the candidate's log says that it was refused.
        voted_for: the candidate that it had voted for already, where that is the reason and the logs say it.
        leader: which leader it had, where that is why and its line says it.
    """

    server: str
    reason: str
    voted_for: str | None = None
    leader: str | None = None


@dataclass(slots=True)
class Election:
    """One server's candidacy for which it asked for votes.

    Attributes:
        candidate: who stood.
        term: in which term; None where no line says and none can be inferred.
        term_source: `line` or `inferred`.
        cause: why it stood: no heartbeat in time, no majority in its candidacy before, leadership was handed to it.
        start: when it became a candidate; None where its log has no times, or begins later.
        end: when that was over; None where its log does not say.
        votes: who voted for it as far as the logs say.
        tally: votes it counted.
        needed: votes it needed.
        refusals: who refused, and why.
        waited: how long the timer ran that made it stand, in seconds: the heartbeat timeout or the election timeout, by
            its cause. None where the log does not show when it began, or whether a vote restarted it.
        pre_vote: `won` where it had asked beforehand whether it could win.
        outcome: `won`; `lost`: another server won that term, or was led already, or a majority refused; `split`:
            several stood at once and nobody won; `abandoned`: its time was over before it had a majority, and no line
            says why; `undecided`: its log ends before that.
        cut_off: nobody could answer, as far as is known from what was broken on purpose, or because it could ask
            nobody.
        quorum: that too few voters ran when it began, where that is known.
        no_network: nobody could answer because its own machine had no route to any of them, as it says.
        breaks_off: its server's log has a gap before it was over.
        evidence: the lines that say so.
    """

    candidate: str
    term: int | None
    term_source: TermSource | None
    cause: Cause
    start: datetime | None
    end: datetime | None = None
    votes: list[str] = field(default_factory=list)
    tally: int = 0
    needed: int | None = None
    refusals: list[Refusal] = field(default_factory=list)
    waited: float | None = None
    pre_vote: Literal["won"] | None = None
    outcome: Outcome = "undecided"
    cut_off: bool = False
    evidence: list[Evidence] = field(default_factory=list, compare=False)
    quorum: LostQuorum | None = field(default=None, compare=False)
    no_network: bool = False
    breaks_off: bool = field(default=False, compare=False)

    @property
    def seconds(self) -> float | None:
        """How long it took, in seconds."""
        return seconds_between(self.start, self.end)


@dataclass(slots=True)
class PreVote:
    """One round in which a server asked whether it could win an election; raft 1.7 does before it asks for votes.

    Attributes:
        candidate: who asked.
        term: the term that it would have stood in. It does not move for that.
        cause: why it asked, as for an election.
        start: when it began.
        end: when it was over; None where its log does not say.
        votes: who said yes, as far as the logs say.
        tally: how many said yes.
        needed: how many it needed.
        refusals: who said no, and why.
        waited: as for an election.
        outcome: `won`: it went on to ask for votes; `lost`: it did not; `undecided`: its log ends before that.
        inferred: no line says that it came to nothing: it asked again, or its time was over. At level info, raft 1.7
            is silent about it where too few answer.
        cut_off, quorum, no_network, breaks_off: as for an election.
        evidence: the lines that say so.
    """

    candidate: str
    term: int | None
    cause: Cause
    start: datetime | None
    end: datetime | None = None
    votes: list[str] = field(default_factory=list)
    tally: int = 0
    needed: int | None = None
    refusals: list[Refusal] = field(default_factory=list)
    waited: float | None = None
    outcome: PreVoteOutcome = "undecided"
    inferred: bool = False
    cut_off: bool = False
    evidence: list[Evidence] = field(default_factory=list, compare=False)
    quorum: LostQuorum | None = field(default=None, compare=False)
    no_network: bool = False
    breaks_off: bool = field(default=False, compare=False)

    @property
    def seconds(self) -> float | None:
        """How long it took, in seconds."""
        return seconds_between(self.start, self.end)


INFERRED_ENDS = frozenset({"silent", "restarted"})
"""What ended leaderships of which only the last sign of life is known."""


@dataclass(slots=True)
class Leadership:
    """One server's leadership.

    Attributes:
        server: who led.
        term: in which term; None where no line says.
        term_source: `line` or `inferred`.
        since: when it became leader; None where no line says.
        until: when it ceased to be, as far as that is known; None while it leads.
        ended_by: what ended it; None while it leads. `silent`: its log just ends before another leads. `unknown`: it
            was over, and no line says when or why.
        since_known: whether the logs show its beginning; one that is older than the logs, or whose first lines are
            missing, has none.
        without_leader: how long there had been no leader before it, in seconds; None where that is not known.
        between_known: whether nobody else can have led between the leadership before it and this one; None where that
            was not looked at.
        leaps: whether there are terms between that of the leadership before it and its own.
        without_majority: how long it had not reached a majority when it gave up for that, in seconds.
        superseded: when another server became leader of a newer term before this one knew: from then on, at the
            latest, it could commit nothing. `superseded_by` is that server.
        quorum: that too few voters were there when it ended, where that is known.
        newer_from: the server from which it learned of a newer term, where its line says it.
        unreached: the servers that did not answer when it gave up for want of a majority; `unreached_evidence` are the
            last lines that say so.
        silent_since: when others began to miss it, where it was silent from then on, gave up when it went on or was
            started again, and no line says why: it was stopped, frozen or cut off (inferred). Then `until` is the last
            that shows it alive.
        gave_up, gave_up_by: when it gave up after that silence, and why.
        stood_still: whether it had stood still before it gave up (inferred): then it could commit for less time than it
            led, and nobody led for longer. `after_standstill`: whether the leadership before it had.
        is_announced: whether its end is the moment in which a line said that it is about to be killed, stopped or
            frozen: it led until then at least. `after_announcement`: whether the leadership before it ended so.
        is_older: whether it began before the leadership that was told before it: lines tell of it only when its
            successor leads already.
        evidence: the lines that say so.
    """

    server: str
    term: int | None
    since: datetime | None
    until: datetime | None = None
    ended_by: EndedBy | None = None
    since_known: bool = True
    without_leader: float | None = None
    without_majority: float | None = None
    superseded: datetime | None = None
    term_source: TermSource | None = None
    silent_since: datetime | None = None
    gave_up: datetime | None = None
    gave_up_by: EndedBy | None = None
    superseded_by: str = field(default="", compare=False)
    quorum: LostQuorum | None = field(default=None, compare=False)
    newer_from: str | None = field(default=None, compare=False)
    unreached: list[str] = field(default_factory=list, compare=False)
    unreached_evidence: list[Evidence] = field(default_factory=list, compare=False)
    between_known: bool | None = field(default=None, compare=False)
    leaps: bool = field(default=False, compare=False)
    stood_still: bool = field(default=False, compare=False)
    after_standstill: bool = field(default=False, compare=False)
    is_announced: bool = field(default=False, compare=False)
    after_announcement: bool = field(default=False, compare=False)
    is_older: bool = field(default=False, compare=False)
    evidence: list[Evidence] = field(default_factory=list, compare=False)

    @property
    def is_end_inferred(self) -> bool:
        """Whether it ended by then at the earliest: its end is the last sign of life of its leader."""
        return self.ended_by in INFERRED_ENDS

    @property
    def seconds(self) -> float | None:
        """How long it lasted, in seconds, as far as that is known."""
        return seconds_between(self.since, self.until)

    @property
    def bound(self) -> Bound | None:
        """Whether its length is exact; None if no length is known."""
        if self.seconds is None:
            return None
        is_least = self.is_end_inferred or self.is_announced
        return "at_least" if is_least else "at_most" if self.stood_still else "exact"

    @property
    def without_leader_bound(self) -> Bound | None:
        """Whether the time without a leader before it is exact; None if no length is known."""
        if self.without_leader is None:
            return None
        return "at_least" if self.after_standstill else "at_most" if self.after_announcement else "exact"
