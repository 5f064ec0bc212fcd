"""What happened, in few words: each time without a leader, and what else went wrong, with the lines that show it.

An incident is made of records that are told already, so nothing here reads a line. It is told when all that belongs
to it has settled: at the latest when the story ends.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from labctl.raft.event import Event
from labctl.raft.records import HAS_LEADER, MOST_EVIDENCE, Election, Leadership, PreVote, evidence_of
from labctl.raft.timers import seconds_between

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from labctl.raft.records import Cause, EndedBy, Evidence, Outcome

SHOWS_A_LEADER = frozenset({"leader_entered", "new_leader_announced"})
"""Events by which a server begins to lead, or another one hears that it does."""

IncidentKind = Literal["no_leader", "two_leaders", "flapping", "disruptive_server", "not_seen"]
SETTLED_AFTER = timedelta(seconds=10)
"""So long after a leader was elected, all who stood before it have been told."""
FLAPPING, FLAPPING_WITHIN = 3, timedelta(minutes=10)
"""Leaders are said to change again and again from so many times without a leader, each so near to the one before."""
DISRUPTS, DISRUPTS_WITHIN = 3, timedelta(minutes=10)
"""A server is said to disturb a leader from so many candidacies on that came to nothing while there was one."""
TRIED_IN_VAIN = 3
"""From so many candidacies on that came to nothing, a first leader is said to have come late."""
MOST_TRIES = 512
"""Candidacies of one time without a leader that are looked at one by one; of the rest only how many there are."""


@dataclass(slots=True)
class Tries:
    """How often one server stood for election, or asked whether it could, and what came of it.

    Attributes:
        server: who.
        elections: how many elections it stood in, by their outcome.
        pre_votes: how many rounds of pre-votes it lost, or that are undecided.
        undecided_pre_votes: how many of them are.
        terms: the first and the last term of them.
        causes: why, and how often.
        refused: who refused, and why, and how often; the reason in the words of Raft.
        cut_off: how often nobody could answer.
        since, until: from the first to the last.
    """

    server: str
    elections: Counter[Outcome] = field(default_factory=Counter)
    pre_votes: int = 0
    undecided_pre_votes: int = 0
    terms: tuple[int, int] | None = None
    causes: Counter[Cause] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    cut_off: int = 0
    since: datetime | None = None
    until: datetime | None = None

    def add(self, one: Election | PreVote) -> None:
        """Take in one more."""
        if isinstance(one, Election):
            self.elections[one.outcome] += 1
        elif one.outcome != "won":
            self.pre_votes += 1
            self.undecided_pre_votes += one.outcome == "undecided"
        if one.outcome == "won":
            # It is told by itself, and of a pre-vote that is won what became of it.
            return
        self.causes[one.cause] += 1
        self.cut_off += one.cut_off
        if one.term is not None:
            first, last = self.terms or (one.term, one.term)
            self.terms = min(first, one.term), max(last, one.term)
        for no in one.refusals:
            if len(self.refused) < MOST_EVIDENCE or (no.server, no.reason) in self.refused:
                self.refused[no.server, no.reason] += 1
        self.since = one.start if self.since is None else self.since
        self.until = one.end or one.start or self.until


@dataclass(slots=True)
class Incident:
    """Something that went wrong.

    Attributes:
        kind: `no_leader`: a time without a leader; `two_leaders`: one led on that did not know yet of its successor;
            `flapping`: leaders changed again and again; `disruptive_server`: a server stood again and again while there
            was a leader; `not_seen`: what the logs do not show, which is no incident.
        since: when it began; None where no line shows it.
        until: when it was over; None where it lasts, or where no line shows it.
        lasts: the log ends before it was over.
        inferred: when it began is seen only by that others missed the leader: it lasted at least so long.
        servers: whom it is about: who led before, who led then; the two leaders; who disturbs.
        term: the term of the leader who came then, or of the newer one of two.
        ended_by: why the leadership before it ended, where there was one.
        leadership_since_known: whether the leadership before it is known from its beginning on.
        tries: who stood meanwhile, who won last.
        winner: who became leader in the end.
        won: that election, where a line shows it.
        heard: when another server heard of the winner, of whose victory no log tells.
        split_terms: terms in which the votes were split.
        count: of `flapping` how many times nobody led.
        left_out: candidacies that are in none of `tries`, because there were so many.
        no_votes: of `not_seen` whether no line is of level debug, at which candidates say who voted.
        evidence: the lines that show it.
    """

    kind: IncidentKind
    since: datetime | None
    until: datetime | None
    servers: list[str]
    lasts: bool = False
    inferred: bool = False
    term: int | None = None
    ended_by: EndedBy | None = None
    without_majority: float | None = None
    tries: list[Tries] = field(default_factory=list)
    winner: str | None = None
    won: Election | None = None
    heard: datetime | None = None
    split_terms: list[int] = field(default_factory=list)
    count: int = 0
    no_votes: bool = False
    left_out: int = 0
    evidence: list[Evidence] = field(default_factory=list)

    @property
    def seconds(self) -> float | None:
        """How long it lasted, in seconds; None where that is not known."""
        return seconds_between(self.since, self.until)

    @property
    def order(self) -> tuple[float, bool]:
        """By which incidents are told: when it began, or was over."""
        time = self.since or self.until or self.heard
        if self.kind == "not_seen":
            return (math.inf, True)
        # What several of them are together stands in front of the first of them.
        return (time.timestamp() if time is not None else 0.0, self.kind != "flapping")

    def covers(self, time: datetime | None) -> bool:
        """Whether it went on at a time, as far as is known."""
        if time is None or (self.since is None and self.until is None):
            return False
        return (self.since is None or self.since <= time) and (self.until is None or time <= self.until)

    @property
    def elections(self) -> int:
        """How many times somebody stood for election meanwhile."""
        return sum(sum(one.elections.values()) for one in self.tries)

    def prove(self, evidence: list[Evidence]) -> None:
        """Name more lines."""
        for one in evidence:
            if one not in self.evidence and len(self.evidence) < MOST_EVIDENCE:
                self.evidence.append(one)


@dataclass(slots=True)
class _Victory:
    """A server entered leader state; what was tried until then.

    Attributes:
        server, time, event's place: who and when.
        tries: who stood since the victory before, in order.
        left_out: how many of them are not looked at.
        before: the leadership before it, once it is told.
        own: its own leadership, once it is told.
    """

    server: str
    time: datetime | None
    evidence: Evidence
    tries: list[Election | PreVote]
    left_out: int = 0
    before: Leadership | None = None
    own: Leadership | None = None


class Incidents:
    """Finds the incidents of a story. Feed it all records in their order with `feed`, then `finish`.

    Args:
        tell: takes each incident.
    """

    def __init__(self, tell: Callable[[Incident], None]) -> None:
        self._tell = tell
        self._tries: deque[Election | PreVote] = deque()
        self._left_out = 0
        self._victories: deque[_Victory] = deque()
        self._last: Leadership | None = None
        self._now: datetime | None = None
        self._heard: Event | None = None
        self._run: Incident | None = None  # of times without a leader, each near to the one before

    def feed(self, record: object) -> None:
        """Take in the next record; of the events, only those that show a leader are needed."""
        if isinstance(record, Event) and record.event != "leader_entered":
            self._now, self._heard = record.time or self._now, record
        elif isinstance(record, Event):
            self._now = record.time or self._now
            self._victories.append(_Victory(record.server, record.time, evidence_of(record), []))
            self._settle()
        elif isinstance(record, (Election, PreVote)):
            self._try(record)
        elif isinstance(record, Leadership):
            self._lead(record)

    def _try(self, one: Election | PreVote) -> None:
        # The victory that came next after it began; behind the last one, the time goes on.
        for victory in self._victories:
            if victory.time is None or one.start is None or one.start <= victory.time:
                if len(victory.tries) < MOST_TRIES:
                    victory.tries.append(one)
                else:
                    victory.left_out += 1
                return
        if len(self._tries) >= MOST_TRIES:
            self._tries.popleft()
            self._left_out += 1
        self._tries.append(one)

    def _lead(self, one: Leadership) -> None:
        victory = next(
            (it for it in self._victories if it.own is None and it.server == one.server and it.time == one.since), None
        )
        if victory is not None and one.since_known:
            victory.own, victory.before = one, self._last
        self._last = one
        self._settle()

    def _settle(self) -> None:
        while self._victories:
            first = self._victories[0]
            if first.own is None or (
                first.time is not None and self._now is not None and self._now - first.time < SETTLED_AFTER
            ):
                return
            self._victories.popleft()
            self._close(first)

    def finish(self) -> None:
        """The story has ended."""
        for victory in self._victories:
            if victory.own is None:
                victory.before = self._last
            self._close(victory)
        self._victories.clear()
        self._close_last()
        self._flap(None)

    # -- a time without a leader -----------------------------------------------------------------------------

    def _close(self, victory: _Victory) -> None:
        before, time = victory.before, victory.time
        # What was tried before the victory before it came to nothing, and was told late, belongs here too.
        tried = [*self._carried(time), *victory.tries]
        gap, disturbing = _split(tried, before, time)
        self._disturb(before, disturbing)
        if before is not None and before.superseded is not None and before.superseded == time:
            self._overlap(before, victory)
            return
        won = next((one for one in reversed(gap) if isinstance(one, Election) and one.outcome == "won"), None)
        lost = [one for one in gap if one.outcome != "won"]
        if before is None and len(lost) < TRIED_IN_VAIN:
            # A cluster's first election is no incident, nor is a log that begins with one.
            return
        handed_over = before is not None and before.ended_by == "transfer" and not lost
        if handed_over:
            return
        since = _end_of(before)
        incident = Incident(
            "no_leader", since, time, _two(before, victory.server),
            term=victory.own.term if victory.own is not None else won.term if won is not None else None,
            ended_by=before.ended_by if before is not None else None,
            without_majority=before.without_majority if before is not None else None,
            tries=_tries(gap), winner=victory.server, won=won, split_terms=_split_terms(gap),
            left_out=victory.left_out + self._let_go(),
            inferred=before is not None and before.silent_since is not None,
        )  # fmt: skip
        incident.prove(before.evidence[-1:] if before is not None else [])
        for one in lost:
            incident.prove(one.evidence[:1])
        incident.prove([victory.evidence])
        self._flap(incident)
        self._tell(incident)

    def _let_go(self) -> int:
        """How many candidacies were let go of since a time without a leader was told last."""
        left_out, self._left_out = self._left_out, 0
        return left_out

    def _carried(self, until: datetime | None) -> list[Election | PreVote]:
        carried = []
        while self._tries and (until is None or (start := self._tries[0].start) is None or start <= until):
            carried.append(self._tries.popleft())
        return carried

    def _close_last(self) -> None:
        """Nobody leads where the log ends."""
        before = self._last
        gap, disturbing = _split(list(self._tries), before, None)
        self._disturb(before, disturbing)
        self._tries.clear()
        if before is not None and before.ended_by is None:
            return
        if before is not None and before.ended_by == "unknown" and before.until is None and not gap:
            # Somebody had this leader, and nobody stood because it was missed.
            return
        heard = self._heard_after(before)
        if before is None and (not gap or (len(gap) < TRIED_IN_VAIN and (heard is not None or _had_a_leader(gap)))):
            # Who heard of a leader had a first election, or missed one of which the others did not say so.
            return
        since = _end_of(before)
        if heard is not None and any(one.start is None or one.start > heard.time for one in gap if heard.time):
            # That leader was lost too, and no line shows when.
            heard, since = None, None
        winner = heard.peer if heard is not None else None
        incident = Incident(
            "no_leader", since, None, _two(before, winner), lasts=heard is None, winner=winner,
            heard=heard.time if heard is not None else None,
            ended_by=before.ended_by if before is not None else None,
            without_majority=before.without_majority if before is not None else None,
            tries=_tries(gap), split_terms=_split_terms(gap), left_out=self._let_go(),
        )  # fmt: skip
        incident.prove(before.evidence[-1:] if before is not None else [])
        for one in gap:
            incident.prove(one.evidence[:1])
        incident.prove([evidence_of(heard)] if heard is not None else [])
        self._flap(incident)
        self._tell(incident)

    def _heard_after(self, before: Leadership | None) -> Event | None:
        """What a server heard last of a leader, after the last leadership that a log tells of."""
        heard = self._heard
        if heard is None or heard.time is None or not heard.peer:
            return None
        if before is None:
            return heard
        is_later = before.until is None or heard.time > before.until
        return heard if is_later and heard.peer != before.server else None

    # -- what else went wrong --------------------------------------------------------------------------------

    def _overlap(self, before: Leadership, victory: _Victory) -> None:
        incident = Incident(
            "two_leaders", before.superseded, before.until, [before.server, victory.server],
            term=victory.own.term if victory.own is not None else None, ended_by=before.ended_by,
        )  # fmt: skip
        incident.prove([victory.evidence, *before.evidence[-1:]])
        self._tell(incident)

    def _disturb(self, leadership: Leadership | None, disturbing: list[Election | PreVote]) -> None:
        """Candidacies while somebody led: one server that stands again and again disturbs the others."""
        newer = [
            one
            for one in disturbing
            if isinstance(one, Election) and leadership is not None and (one.term or 0) > (leadership.term or 0)
        ]
        for server in dict.fromkeys(one.candidate for one in newer):
            mine = [one for one in newer if one.candidate == server]
            if len(mine) < DISRUPTS:
                continue
            incident = Incident("disruptive_server", mine[0].start, mine[-1].end, [server], tries=_tries(list(mine)))
            for one in mine:
                incident.prove(one.evidence[:1])
            self._tell(incident)

    def _flap(self, gap: Incident | None) -> None:
        """Take in the next time without a leader; tell a run of them, once it is over, as what they are together."""
        run, until = self._run, gap.until if gap is not None else None
        if run is not None and (until is None or run.until is None or until - run.until > FLAPPING_WITHIN):
            if run.count >= FLAPPING:
                self._tell(run)
            run = None
        if gap is not None:
            run = run or Incident("flapping", gap.since or gap.until, None, [])
            run.until = gap.until
            run.count += 1
            if gap.winner and gap.winner not in run.servers and len(run.servers) < MOST_EVIDENCE:
                run.servers.append(gap.winner)
            run.prove(gap.evidence[-1:])
        self._run = run


def _had_a_leader(tried: list[Election | PreVote]) -> bool:
    """Whether somebody refused because it had a leader."""
    return any(no.reason.startswith(HAS_LEADER) for one in tried for no in one.refusals)


def _end_of(before: Leadership | None) -> datetime | None:
    """When a leadership ended, where that is known and not only that it was over by then."""
    if before is None or before.ended_by in {None, "silent", "restarted", "unknown"}:
        return None
    return before.silent_since or before.until


def _two(before: Leadership | None, winner: str | None) -> list[str]:
    return list(dict.fromkeys(one for one in (before.server if before is not None else None, winner) if one))


def _split(
    tried: list[Election | PreVote], before: Leadership | None, until: datetime | None
) -> tuple[list[Election | PreVote], list[Election | PreVote]]:
    """Who stood while nobody led, and who did while somebody led."""
    tried = [one for one in tried if until is None or one.start is None or one.start <= until]
    if before is None:
        return tried, []
    end = (before.silent_since or before.until) if before.ended_by is not None else until
    if end is None:
        return ([], tried) if before.ended_by is None else (tried, [])
    if before.ended_by is None:
        return [], tried
    gap = [one for one in tried if one.start is None or one.start >= end - _BEFORE]
    return gap, [one for one in tried if one not in gap]


_BEFORE = timedelta(seconds=1)
"""A candidate that brings a leader down stood before that."""


def _tries(records: list[Election | PreVote]) -> list[Tries]:
    tries: dict[str, Tries] = {}
    for one in records:
        tries.setdefault(one.candidate, Tries(one.candidate)).add(one)
    return list(tries.values())


def _split_terms(records: list[Election | PreVote]) -> list[int]:
    terms = (one.term for one in records if isinstance(one, Election) and one.outcome == "split")
    return sorted({term for term in terms if term is not None})
