"""Something that went wrong, in few words: a time without a leader, and what else; and the lines that show it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from labctl.raft.records import IS_LEADER, MOST_EVIDENCE, Election, PreVote
from labctl.raft.timers import seconds_between

if TYPE_CHECKING:
    from datetime import datetime

    from labctl.raft.lost_quorum import LostQuorum
    from labctl.raft.records import Cause, EndedBy, Evidence, Outcome

IncidentKind = Literal[
    "no_leader",
    "two_leaders",
    "flapping",
    "split_votes",
    "disruptive_server",
    "pause",
    "slow_disk",
    "failed_writes",
    "not_seen",
]
Advice = Literal["hand over", "split"]


@dataclass(slots=True)
class Tries:
    """How often one server stood for election or asked for pre-votes, and with what outcome.

    Attributes:
        server: who.
        elections: how many elections it stood in, by their outcome.
        pre_votes: how many rounds of pre-votes it lost, or that are undecided.
        undecided_pre_votes: how many of them are.
        not_shown: of how many elections no line says whether it asked for votes at all.
        breaks_off: whether a gap in its log hides how one of them was decided.
        ends_undecided, ends_undecided_beforehand: whether the last one is, of the elections and of the pre-votes.
        terms: the first and the last term of them.
        causes: why, and how often.
        refused: who refused, and why, and how often; the reason in the words of Raft.
        cut_off: how often nobody could answer.
        no_network: how often because it had no route to anybody.
        since, until: from the first to the last.
    """

    server: str
    elections: Counter[Outcome] = field(default_factory=Counter)
    pre_votes: int = 0
    undecided_pre_votes: int = 0
    not_shown: int = 0
    breaks_off: bool = False
    ends_undecided: bool = False
    ends_undecided_beforehand: bool = False
    terms: tuple[int, int] | None = None
    causes: Counter[Cause] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    cut_off: int = 0
    no_network: int = 0
    since: datetime | None = None
    until: datetime | None = None

    def add(self, attempt: Election | PreVote) -> None:
        """Take in one more."""
        is_open = attempt.outcome == "undecided" and not attempt.breaks_off
        self.breaks_off = self.breaks_off or (attempt.outcome == "undecided" and attempt.breaks_off)
        if isinstance(attempt, Election):
            self.elections[attempt.outcome] += 1
            self.ends_undecided = is_open
            self.not_shown += attempt.outcome == "undecided" and attempt.end is not None
        elif attempt.outcome != "won":
            self.pre_votes += 1
            self.undecided_pre_votes += attempt.outcome == "undecided"
            self.ends_undecided_beforehand = is_open
        if attempt.outcome == "won":
            # It is reported by itself, and a won pre-vote by its outcome.
            return
        self.causes[attempt.cause] += 1
        self.cut_off += attempt.cut_off
        self.no_network += attempt.no_network
        if attempt.term is not None:
            first, last = self.terms or (attempt.term, attempt.term)
            self.terms = min(first, attempt.term), max(last, attempt.term)
        for no in attempt.refusals:
            why = (no.server, IS_LEADER if no.leader is not None and no.leader == no.server else no.reason)
            if len(self.refused) < MOST_EVIDENCE or why in self.refused:
                self.refused[why] += 1
        self.since = attempt.start if self.since is None else self.since
        self.until = attempt.end or attempt.start or self.until


@dataclass(slots=True)
class Incident:
    """Something that went wrong.

    Attributes:
        kind: `no_leader`: a time without a leader; `two_leaders`: one led on that did not know yet of its successor;
            `flapping`: leaders changed again and again; `split_votes`: the votes were split in several terms of one
            time without a leader; `disruptive_server`: a server stood again and again while there was a leader;
            `pause`: a server was frozen, or was silent while others missed it; `slow_disk`: a server took long to
            write; `failed_writes`: it could not write; `not_seen`: what the logs do not show, which is no incident.
        since: when it began; None where no line shows it.
        until: when it was over; None where it lasts, or where no line shows it.
        lasts: the log ends before it was over.
        inferred: of a time without a leader: when it began is seen only by that others missed the leader, so it lasted
            at least that long; of a pause and a slow disk: no line says so, but something that does not fit otherwise.
        servers: those that it is about: the old and the new leader; the two leaders; the disturber.
        is_announced: it began when a line said that a server is about to be killed, stopped or frozen, so it lasted at
            most that long.
        term: the term of the leader who came then, or of the newer one of two.
        ended_by: why the leadership before it ended, where there was one.
        leadership_since_known: whether the leadership before it is known from its beginning on.
        tries: who stood meanwhile, who won last.
        winner: who became leader in the end.
        won: that election, where a line shows it.
        newer: of a leader that gave way to a newer term, the election of that term, where it is known whose; without
            its term where that is not known.
        newer_from: the server from which such a leader learned of it, where its line says it.
        heard: when another server heard of the winner, of whose victory no log tells.
        split_terms: terms in which the votes were split.
        count: of `flapping` how many times nobody led; of `split_votes` in how many terms; of a pause and of what a
            disk did how often, each near to the one before.
        longest: of these the longest, in seconds.
        led: whether the server that paused, or whose disk it was, led then.
        by: who froze it, as far as is known.
        what: what took long or failed, in words.
        quorum: that too few voters ran, or could be reached, for anybody to lead, where that is known.
        unreached: the servers that did not answer the old leader when it gave up.
        left_out: how many candidacies are missing from `tries`, because there were so many.
        no_votes: of `not_seen` whether no line is of level debug, at which candidates say who voted.
        no_elections: of `not_seen` whether none is of level info, at which servers say who stands, wins and leads.
        may_be_led: whether a server without a log may have led meanwhile, so that it may have been shorter.
        advice: what would have made it shorter, or why it was so long, where that was not said of one before.
        evidence: the lines that show it.
    """

    kind: IncidentKind
    since: datetime | None
    until: datetime | None
    servers: list[str]
    lasts: bool = False
    inferred: bool = False
    is_announced: bool = False
    term: int | None = None
    ended_by: EndedBy | None = None
    without_majority: float | None = None
    tries: list[Tries] = field(default_factory=list)
    winner: str | None = None
    won: Election | None = None
    newer: Election | None = None
    newer_from: str | None = None
    heard: datetime | None = None
    split_terms: list[int] = field(default_factory=list)
    count: int = 0
    no_votes: bool = False
    no_elections: bool = False
    may_be_led: bool = False
    left_out: int = 0
    longest: float | None = None
    led: bool = False
    by: Literal["labctl", "docker"] | None = None
    what: str = ""
    quorum: LostQuorum | None = None
    unreached: list[str] = field(default_factory=list)
    advice: Advice | None = None
    evidence: list[Evidence] = field(default_factory=list)

    @property
    def seconds(self) -> float | None:
        """How long it lasted, in seconds; None where that is not known."""
        return seconds_between(self.since, self.until)

    @property
    def is_loss(self) -> bool:
        """Whether a leader is known to have been lost."""
        return self.kind == "no_leader" and self.ended_by is not None and not (self.winner is None and self.may_be_led)

    @property
    def lessons(self) -> list[Advice]:
        """What can be learned from it, the more useful first."""
        applies: dict[Advice, bool] = {
            "hand over": self.ended_by in {"stopped", "killed"},
            "split": bool(self.split_terms),
        }
        return [advice for advice, it_does in applies.items() if it_does and self.kind == "no_leader"]

    @property
    def order(self) -> tuple[float, bool]:
        """The order of incidents: when each began, or was over."""
        time = self.since or self.until or self.heard
        if self.kind == "not_seen":
            return (math.inf, True)
        if time is None and self.lasts:
            return (math.inf, False)
        # An incident that sums up several stands in front of the first of them.
        return (time.timestamp() if time is not None else 0.0, self.kind != "flapping")

    def covers(self, time: datetime | None) -> bool:
        """Whether it went on at a time, as far as is known."""
        if time is None or (self.since is None and self.until is None):
            return False
        return (self.since is None or self.since <= time) and (self.until is None or time <= self.until)

    @property
    def elections(self) -> int:
        """The number of campaigns meanwhile."""
        return sum(sum(tries_.elections.values()) for tries_ in self.tries)

    def prove(self, evidence: list[Evidence]) -> None:
        """Name more lines."""
        for item in evidence:
            if item not in self.evidence and len(self.evidence) < MOST_EVIDENCE:
                self.evidence.append(item)
