"""What happened, in few words: each time without a leader, and what else went wrong, with the lines that show it.

An incident is made of records that were already reported, so nothing here reads a line. It is reported when all that
belongs to it has settled: at the latest when the story ends.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from labctl.raft.answers import MOST_SKEW
from labctl.raft.clock_differences import MOST_APART
from labctl.raft.disks import OF_DISKS, Disks
from labctl.raft.event import MAY_BE_ITSELF, Event
from labctl.raft.incident import Advice, Incident, Tries
from labctl.raft.named_leaders import IN_DOUBT, NamedLeaders
from labctl.raft.pauses import OF_PAUSES, Pauses
from labctl.raft.progress import Progress
from labctl.raft.records import HAS_LEADER, MOST_EVIDENCE, NO_VOTER, Election, Leadership, PreVote, evidence_of
from labctl.raft.server_names import Names
from labctl.raft.timers import seconds_between

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from labctl.raft.lost_quorum import LostQuorum
    from labctl.raft.named_leaders import Naming
    from labctl.raft.records import Evidence

SHOWS_A_LEADER = frozenset({"leader_entered", "new_leader_announced", "follower_entered"})
"""Events by which a server begins to lead, or another one hears that it does, or names the leader that it follows."""
MISSES_A_LEADER = "heartbeat_timeout"
OF_INCIDENTS = SHOWS_A_LEADER | OF_PAUSES | OF_DISKS | {MISSES_A_LEADER}
"""The events that `Incidents` takes in."""

SETTLED_AFTER = timedelta(seconds=10)
"""By then after an election, all earlier candidacies have been reported."""
FLAPPING, FLAPPING_WITHIN = 3, timedelta(minutes=10)
"""Leaders are said to change again and again from so many times without a leader, each so near to the one before."""
DISRUPTS, DISRUPTS_WITHIN = 3, timedelta(minutes=10)
"""A server is said to disturb a leader from so many candidacies on that came to nothing while there was one."""
SPLIT_AGAIN = 2
"""Votes that are split in this many terms of one time without a leader are split again and again."""
TRIED_IN_VAIN = 3
"""From this many failed candidacies on, a first leader is said to have come late."""
MOST_TRIES = 512
"""Candidacies of one time without a leader that are looked at one by one; of the rest only how many there are."""


@dataclass(slots=True)
class _Victory:
    """A server entered leader state; what was tried until then.

    Attributes:
        server, time, event's place: who and when.
        tries: who stood since the victory before, in order.
        named: the leaders that others named until then, since the victory before.
        left_out: how many of them are not looked at.
        before: the leadership before it, once that is reported.
        lost: the one before that, where only others named that leader.
        own: its own leadership, once that is reported.
    """

    server: str
    time: datetime | None
    evidence: Evidence
    tries: list[Election | PreVote]
    named: NamedLeaders
    left_out: int = 0
    before: Leadership | None = None
    lost: Leadership | None = None
    own: Leadership | None = None


class Incidents:
    """Finds the incidents of a story. Feed it all records in their order with `feed`, then `finish`.

    Attributes:
        searches: elections, and pre-votes that came to nothing, before which no leader is known, and which are no
            incident: at the least, one was sought.

    Args:
        tell: takes each incident.
        leads: whether a server leads, as far as is known.
        is_explained: whether what was done to a server since a time is known.
        begin: what was over by then is not told.
        reads_all: whether the logs of all who vote are read, as far as is known.
        logs: how many servers' logs are read.
        progress: how much of the logs is read.
        names: who is who.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a story knows
        self,
        tell: Callable[[Incident], None],
        leads: Callable[[str], bool],
        is_explained: Callable[[str, datetime], bool],
        begin: datetime | None = None,
        reads_all: Callable[[], bool] = lambda: False,
        logs: Callable[[], int] = lambda: 1,
        progress: Progress | None = None,
        names: Names | None = None,
    ) -> None:
        self._reads_all, self._logs = reads_all, logs
        self._names = Names() if names is None else names
        self._progress = progress if progress is not None else Progress(reads_all)
        self._tell_any, self._begin = tell, begin
        self._pauses, self._disks = Pauses(self._tell, leads), Disks(self._tell, leads, is_explained)
        self._tries: deque[Election | PreVote] = deque()
        self._left_out = 0
        self._victories: deque[_Victory] = deque()
        self._last: Leadership | None = None
        self._lost: Leadership | None = None  # the one before the last, where only others named that leader
        self._now: datetime | None = None
        self._sees_leaders = True
        self._heard: Event | None = None
        self._named = NamedLeaders(self._names.place)  # since a server entered leader state
        self._first_named: Event | None = None  # by which a server has, or misses, a leader
        self._missed: Event | None = None  # a leader, by the last line that says so
        self._last_tries: list[Election | PreVote] = []
        self.searches: list[Election | PreVote] = []
        self._advised: set[Advice] = set()
        self._run: Incident | None = None  # of times without a leader, each near to the one before

    def _is_told(self, incident: Incident) -> bool:
        return self._begin is None or incident.until is None or incident.until >= self._begin

    def _tell(self, incident: Incident) -> None:
        if self._is_told(incident):
            incident.advice = next((advice for advice in incident.lessons if advice not in self._advised), None)
            self._advised.update([incident.advice] if incident.advice is not None else [])
            self._tell_any(incident)

    def feed(self, record: object) -> None:
        """Take in the next record; of the events, only those `OF_INCIDENTS` are needed."""
        if isinstance(record, Event):
            self._hear(record)
        elif isinstance(record, (Election, PreVote)):
            self._try(record)
        elif isinstance(record, Leadership):
            self._lead(record)

    def _hear(self, event: Event) -> None:
        kind = event.event
        if kind in OF_PAUSES:
            self._pauses.feed(event)
        if kind in OF_DISKS:
            self._disks.feed(event)
        if kind == MISSES_A_LEADER and event.peer:
            self._missed = event
            self._first_named = self._first_named or event
        if kind in SHOWS_A_LEADER and (kind != "follower_entered" or event.peer) and MAY_BE_ITSELF not in event.values:
            self._now = event.time or self._now
            if kind != "leader_entered":
                self._heard = event
                self._first_named = self._first_named or event
                return
            named, self._named = self._named, NamedLeaders(self._names.place)
            self._victories.append(_Victory(event.server, event.time, evidence_of(event), [], named))
            self._settle()

    def name(self, naming: Naming) -> None:
        """Take in the leader that the last event names."""
        self._named.add(naming)

    def _try(self, attempt: Election | PreVote) -> None:
        # The victory that came next after it began; behind the last one, the time goes on.
        for victory in self._victories:
            if victory.time is None or attempt.start is None or attempt.start <= victory.time:
                if len(victory.tries) < MOST_TRIES:
                    victory.tries.append(attempt)
                else:
                    victory.left_out += 1
                return
        if len(self._tries) >= MOST_TRIES:
            self._tries.popleft()
            self._left_out += 1
        self._tries.append(attempt)

    def _lead(self, leadership: Leadership) -> None:
        leadership.stood_still = self._pauses.stood_still(leadership)
        before = self._last
        if before is not None and leadership.without_leader is not None:
            is_after = leadership.without_leader == seconds_between(before.until, leadership.since)
            leadership.after_standstill = before.stood_still and is_after
            leadership.after_announcement = before.is_announced and is_after
        victory = next(
            (
                it
                for it in self._victories
                if it.own is None and it.server == leadership.server and it.time == leadership.since
            ),
            None,
        )
        if victory is not None and leadership.since_known:
            # For a leadership that is reported after its successor, nothing shows what came before.
            victory.own = leadership
            if not leadership.is_older:
                victory.before, victory.lost = self._last, self._lost
        if leadership.superseded is None or self._last is None or self._last.since != leadership.superseded:
            if not leadership.is_older or self._last is None:
                self._lost = self._last if _is_only_named(leadership) else None
                self._last = leadership
        else:
            # An older one, of which lines tell only when its successor leads already.
            self._overlap(leadership, self._last.server, self._last.term, self._last.evidence[:2])
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

    def finish(self, *, sees_leaders: bool = True) -> None:
        """The story has ended. Logs in which nobody says that it leads do not show that nobody does."""
        self._sees_leaders = sees_leaders
        for victory in self._victories:
            if victory.own is None:
                victory.before, victory.lost = self._last, self._lost
            self._close(victory)
        self._victories.clear()
        self._close_last()
        self._flap(None)
        self._pauses.finish()
        self._disks.finish()

    # -- a time without a leader -----------------------------------------------------------------------------

    def _close(self, victory: _Victory) -> None:
        time = victory.time
        # What was tried before the victory before it came to nothing, and was told late, belongs here too.
        before, tried = self._follow_named(
            victory.before, victory.lost, [*self._carried(time), *victory.tries],
            lambda lost: [it for it in victory.named.since(lost, time) if self._is_before(it, victory)],
        )  # fmt: skip
        gap, disturbing = _split(tried, before, time)
        self._disturb(before, disturbing)
        self._split_again(gap)
        if before is not None and before.superseded is not None and before.superseded == time:
            term = victory.own.term if victory.own is not None else None
            self._overlap(before, victory.server, term, [victory.evidence])
            return
        won = next(
            (attempt for attempt in reversed(gap) if isinstance(attempt, Election) and attempt.outcome == "won"), None
        )
        lost = [attempt for attempt in gap if attempt.outcome != "won"]
        if (before is None and len(lost) < TRIED_IN_VAIN) or (victory.own is not None and victory.own.is_older):
            # A cluster's first election is no incident, nor is a log that begins with one.
            self._search(gap)
            return
        handed_over = before is not None and before.ended_by == "transfer" and not lost
        if handed_over:
            return
        since = _end_of(before)
        if since is not None and time is not None and since > time:
            since = None  # by the clocks of two servers, it ended later than that
        incident = Incident(
            "no_leader", since, time, _two(before, victory.server),
            term=victory.own.term if victory.own is not None else won.term if won is not None else None,
            ended_by=before.ended_by if before is not None else None,
            without_majority=before.without_majority if before is not None else None,
            tries=_tries(gap), winner=victory.server, won=won, split_terms=_split_terms(gap),
            left_out=victory.left_out + self._let_go(), quorum=_quorum(before, gap),
            unreached=before.unreached if before is not None else [],
            inferred=_stood_still(before),
            is_announced=before is not None and before.is_announced,
            may_be_led=victory.own is not None and victory.own.between_known is False,
        )  # fmt: skip
        incident.newer = _newer(before, tried) if self._reads_all() else None
        incident.newer_from = before.newer_from if before is not None else None
        incident.prove(_evidence_of_end(before, incident.quorum))
        for attempt in lost:
            incident.prove(attempt.evidence[:1])
        incident.prove([victory.evidence])
        self._flap(incident)
        self._tell(incident)

    def _is_before(self, naming: Naming, victory: _Victory) -> bool:
        """Whether a leader led before a victory of which, if it is its own, no line of its own tells."""
        if not self._is_one(naming.leader, victory.server) or victory.time is None:
            return True
        late = victory.time - naming.time
        return late > MOST_APART and self._progress.begins_after(victory.server, naming.time + MOST_APART)

    def _follow_named(
        self,
        before: Leadership | None,
        lost: Leadership | None,
        tried: list[Election | PreVote],
        named_since: Callable[[Leadership | None], list[Naming]],
    ) -> tuple[Leadership | None, list[Election | PreVote]]:
        """Tell of the time before a leader that others name. Returns the last such, and who stood after it."""
        named = self._without_old_news(named_since(lost))
        if before is None or not any(self._is_one(naming.leader, before.server) for naming in named):
            lost, named = before, self._without_old_news(named_since(before))
        if lost is None or not named:
            return before, tried
        last = named[-1]
        # Who stood earlier did so before that leader, or under it.
        after = [
            attempt
            for attempt in tried
            if attempt.start is None
            or attempt.start >= (last.time if attempt.candidate == last.event.server else last.time - IN_DOUBT)
        ]
        self._close_by(named[0], lost, [attempt for attempt in tried if attempt not in after])
        called = next(naming.leader for naming in named if self._is_one(naming.leader, last.leader))
        another = Leadership(self._names(called) or called, None, None, None, "unknown", since_known=False)
        another.evidence.append(evidence_of(last.event))
        return another, after

    def _is_one(self, leader: str, other: str) -> bool:
        return self._names.place(leader) == self._names.place(other)

    def _without_old_news(self, named: list[Naming]) -> list[Naming]:
        """Those that are no gossip of a leader whose own log would show that it led then."""
        return [it for it in named if not it.is_by_gossip or not self._progress.has(it.leader, it.time)]

    def _close_by(self, naming: Naming, before: Leadership, tried: list[Election | PreVote]) -> None:
        """A time without a leader is over by a line that names one."""
        gap, disturbing = _split(tried, before, naming.time)
        self._disturb(before, disturbing)
        self._split_again(gap)
        if before.ended_by == "transfer" or (not gap and before.ended_by == "unknown"):
            return  # that nobody led at some time is not seen; who stood may have done so under that leader
        inferred = _stood_still(before)
        since = None if inferred else _end_of(before)  # who stood still ceased to lead some time before
        heard = None if naming.is_missed else naming.time
        leader = self._names(naming.leader) or naming.leader
        if since is None and heard is None:
            return
        incident = Incident(
            "no_leader", since, None, _two(before, leader), winner=leader, heard=heard,
            ended_by=before.ended_by, without_majority=before.without_majority,
            tries=_tries(gap), split_terms=_split_terms(gap), left_out=self._let_go(), quorum=_quorum(before, gap),
            unreached=before.unreached, inferred=inferred,
        )  # fmt: skip
        incident.prove(_evidence_of_end(before, incident.quorum))
        for attempt in gap:
            incident.prove(attempt.evidence[:1])
        incident.prove([evidence_of(naming.event)])
        self._flap(incident)
        self._tell(incident)

    def _let_go(self) -> int:
        """How many candidacies were dropped since a time without a leader was last reported."""
        left_out, self._left_out = self._left_out, 0
        return left_out

    def _carried(self, until: datetime | None) -> list[Election | PreVote]:
        carried = []
        while self._tries and (until is None or (start := self._tries[0].start) is None or start <= until):
            carried.append(self._tries.popleft())
        return carried

    def _last_and_tries(self) -> tuple[Leadership | None, list[Election | PreVote]]:
        before, tried = self._last, list(self._tries)
        if before is not None and before.ended_by is None:
            return before, tried
        return self._follow_named(before, self._lost, tried, self._named.since)

    def _close_last(self) -> None:
        """Nobody leads where the log ends."""
        before, self._last_tries = self._last_and_tries()
        gap, disturbing = _split(self._last_tries, before, None)
        self._disturb(before, disturbing)
        self._split_again(gap)
        self._tries.clear()
        if before is not None and before.ended_by is None:
            return
        is_named = before is not None and before.ended_by == "unknown" and before.until is None
        missed = self._missed_since()
        if is_named and missed is None and (not gap or _had_a_leader(gap if len(gap) < TRIED_IN_VAIN else gap[-1:])):
            # A server had this leader, and none stood for want of one, except those that did not hear it.
            self._disturb(before, [attempt for attempt in gap if _had_a_leader([attempt])])
            return
        if before is not None and is_named and missed is None and self._is_followed_since(before.server, gap):
            if not self._is_known_before(gap):
                self._search(gap)
            return
        heard = self._heard_after(before)
        if before is None and (not gap or (len(gap) < TRIED_IN_VAIN and (heard is not None or _had_a_leader(gap)))):
            # A server that heard of a leader had a first election, or missed one that the others did not report.
            self._search([attempt for attempt in gap if not _had_a_leader([attempt])])
            return
        missing = {attempt.candidate for attempt in gap} - _outsiders(gap)
        if before is None and not missing:
            return  # a server that is no voter stands in vain, whatever else happens
        since = None if any(attempt.breaks_off for attempt in gap) else _end_of(before)
        if heard is not None and (missed is not None or _stood_after(heard, gap)):
            # That leader was lost too, and no line shows when.
            heard, since = None, None
        elif heard is not None and _stood_still(before):
            since = None  # it ceased to lead some time before it gave up
        winner = heard.peer if heard is not None else None
        incident = Incident(
            "no_leader", since, None, _two(before, winner), lasts=heard is None and self._sees_leaders, winner=winner,
            heard=heard.time if heard is not None else None,
            ended_by=before.ended_by if before is not None else None,
            without_majority=before.without_majority if before is not None else None,
            tries=_tries(gap), split_terms=_split_terms(gap), left_out=self._let_go(), quorum=_quorum(before, gap),
            unreached=before.unreached if before is not None else [],
            # A server that is cut off stands in vain, too: only a majority without a leader elects one.
            may_be_led=is_named or (before is None and len(missing) <= self._logs() // 2),
        )  # fmt: skip
        incident.prove(_evidence_of_end(before, incident.quorum))
        for attempt in gap:
            incident.prove(attempt.evidence[:1])
        incident.prove([evidence_of(event) for event in (heard, missed) if event is not None])
        self._flap(incident)
        self._tell(incident)

    def _search(self, tried: list[Election | PreVote]) -> None:
        self.searches += [attempt for attempt in tried if isinstance(attempt, Election) or attempt.outcome != "won"]

    def _missed_since(self) -> Event | None:
        """The line by which a server missed its leader, where nobody stood, or heard of one, since then."""
        missed, heard = self._missed, self._heard
        if missed is None or missed.time is None or self._tried_since(missed.time):
            return None
        return None if heard is not None and heard.time is not None and heard.time > missed.time else missed

    def _tried_since(self, time: datetime) -> bool:
        return any(attempt.start is None or attempt.start >= time for attempt in self._last_tries)

    def _is_known_before(self, tried: list[Election | PreVote]) -> bool:
        """Whether a line shows a leader before anybody stood."""
        first, begun = self._first_named, tried[0].start if tried else None
        if first is None or first.event == MISSES_A_LEADER:
            return True
        return begun is None or first.time is None or first.time < begun

    def _is_followed_since(self, leader: str, tried: list[Election | PreVote]) -> bool:
        """Whether a server says that it has this leader, after all who stood."""
        heard = self._heard
        return heard is not None and self._is_one(heard.peer or "", leader) and heard.time is not None and all(
            attempt.start is not None and attempt.start <= heard.time for attempt in tried
        )  # fmt: skip

    def _heard_after(self, before: Leadership | None) -> Event | None:
        """The last that a server heard of a leader after the last leadership in the logs."""
        heard = self._heard
        if heard is None or heard.time is None or not heard.peer:
            return None
        if before is None:
            return heard
        is_later = before.until is None or heard.time >= before.until
        return heard if is_later and not self._is_one(heard.peer, before.server) else None

    # -- what else went wrong --------------------------------------------------------------------------------

    def _overlap(self, before: Leadership, server: str, term: int | None, evidence: list[Evidence]) -> None:
        incident = Incident(
            "two_leaders", before.superseded, before.until, [before.server, server], term=term,
            ended_by=before.ended_by,
        )  # fmt: skip
        incident.prove([*evidence, *before.evidence[-1:]])
        self._tell(incident)

    def _disturb(self, leadership: Leadership | None, disturbing: list[Election | PreVote]) -> None:
        """Candidacies under a leader: a server that stands again and again disturbs the others."""
        newer = [
            attempt
            for attempt in disturbing
            if isinstance(attempt, Election) and leadership is not None and (attempt.term or 0) > (leadership.term or 0)
        ]
        for server in dict.fromkeys(election.candidate for election in newer):
            mine = [election for election in newer if election.candidate == server]
            if len(mine) < DISRUPTS:
                continue
            incident = Incident("disruptive_server", mine[0].start, mine[-1].end, [server], tries=_tries(list(mine)))
            for election in mine:
                incident.prove(election.evidence[:1])
            self._tell(incident)

    def _split_again(self, gap: list[Election | PreVote]) -> None:
        """Candidacies of one time without a leader: in several terms the votes were split."""
        split = [attempt for attempt in gap if isinstance(attempt, Election) and attempt.outcome == "split"]
        terms = _split_terms(gap)
        if len(terms) < SPLIT_AGAIN:
            return
        ends = [election.end for election in split if election.end is not None]
        candidates = list(dict.fromkeys(election.candidate for election in split))
        incident = Incident(
            "split_votes", split[0].start, max(ends, default=None), candidates, split_terms=terms, count=len(terms)
        )
        for election in split:
            incident.prove(election.evidence[:1])
        self._tell(incident)

    def _flap(self, gap: Incident | None) -> None:
        """Take in the next time without a leader; tell a run of them, once it is over, as what they are together."""
        if gap is not None and (not gap.is_loss or not self._is_told(gap)):
            return
        run, begun = self._run, (gap.since or gap.until or gap.heard) if gap is not None else None
        if run is not None and (begun is None or run.until is None or begun - run.until > FLAPPING_WITHIN):
            if run.count >= FLAPPING:
                self._tell(run)
            run = None
        if gap is not None:
            run = run or Incident("flapping", begun, None, [])
            run.until = gap.until or gap.heard or (None if gap.lasts else gap.since)
            run.count += 1
            # Who was lost, and who came then.
            run.servers += [server for server in gap.servers if server not in run.servers][
                : MOST_EVIDENCE - len(run.servers)
            ]
            run.prove(gap.evidence[-1:])
        self._run = run


def _had_a_leader(tried: list[Election | PreVote]) -> bool:
    """Whether a server refused because it had a leader."""
    return any(no.reason.startswith(HAS_LEADER) for attempt in tried for no in attempt.refusals)


def _outsiders(tried: list[Election | PreVote]) -> set[str]:
    """Who was refused because it is no voter of the cluster."""
    return {attempt.candidate for attempt in tried if any(no.reason in NO_VOTER for no in attempt.refusals)}


def _quorum(before: Leadership | None, gap: list[Election | PreVote]) -> LostQuorum | None:
    """That too few voters were there when the leadership ended or a server stood after it."""
    if before is not None and before.quorum is not None:
        return before.quorum
    return next((attempt.quorum for attempt in gap if attempt.quorum is not None), None)


def _evidence_of_end(before: Leadership | None, quorum: LostQuorum | None) -> list[Evidence]:
    """The lines that show how a leadership ended, and why."""
    why = [loss.evidence for loss in quorum.gone] if quorum is not None else []
    end = before.evidence[-1:] if before is not None else []
    return [*why, *(before.unreached_evidence if before is not None and quorum is None else []), *end]


def _is_only_named(leadership: Leadership) -> bool:
    """Whether no line shows since when or until when a leader led."""
    return not leadership.since_known and leadership.until is None and leadership.ended_by == "unknown"


def _stood_after(heard: Event, tried: list[Election | PreVote]) -> bool:
    return any(attempt.start is None or attempt.start > heard.time for attempt in tried if heard.time)


def _stood_still(before: Leadership | None) -> bool:
    """Whether a leader ceased to lead some time before it gave up (inferred)."""
    return before is not None and (before.silent_since is not None or before.stood_still)


def _end_of(before: Leadership | None) -> datetime | None:
    """When a leadership ended, where that is known and not only that it was over by then."""
    if before is None or before.ended_by is None:
        return None
    if before.silent_since is not None:
        return before.silent_since
    return None if before.ended_by in {"silent", "restarted", "unknown"} else before.until


def _two(before: Leadership | None, winner: str | None) -> list[str]:
    return list(dict.fromkeys(name for name in (before.server if before is not None else None, winner) if name))


def _split(
    tried: list[Election | PreVote], before: Leadership | None, until: datetime | None
) -> tuple[list[Election | PreVote], list[Election | PreVote]]:
    """The candidacies without a leader, and those under one."""
    tried = [attempt for attempt in tried if until is None or attempt.start is None or attempt.start <= until]
    if before is None:
        return tried, []
    end = (before.silent_since or before.until) if before.ended_by is not None else until
    if end is None:
        return ([], tried) if before.ended_by is None else (tried, [])
    if before.ended_by is None:
        return [], tried
    gap = [attempt for attempt in tried if attempt.start is None or attempt.start >= end - _BEFORE]
    return gap, [attempt for attempt in tried if attempt not in gap]


_BEFORE = timedelta(seconds=1)
"""A candidate that brings a leader down stood before that."""


def _tries(records: list[Election | PreVote]) -> list[Tries]:
    tries: dict[str, Tries] = {}
    for attempt in records:
        tries.setdefault(attempt.candidate, Tries(attempt.candidate)).add(attempt)
    return list(tries.values())


def _newer(before: Leadership | None, tried: list[Election | PreVote]) -> Election | None:
    """Who stood in the newer term that a leader gave way to, where nobody else can have."""
    if before is None or before.ended_by != "newer_term" or before.until is None or before.term is None:
        return None
    # By another clock, a candidacy may seem to be later than what it did.
    stood = [
        attempt
        for attempt in tried
        if isinstance(attempt, Election)
        and attempt.candidate != before.server
        and (attempt.term is None or attempt.term > before.term)
        and (attempt.start is None or attempt.start <= before.until + MOST_SKEW)
    ]
    known = [election for election in stood if election.start is not None and election.start <= before.until]
    if len({election.candidate for election in stood}) != 1 or not known:
        return None
    return known[-1] if known[-1] is stood[-1] else replace(known[-1], term=None)


def _split_terms(records: list[Election | PreVote]) -> list[int]:
    terms = (record.term for record in records if isinstance(record, Election) and record.outcome == "split")
    return sorted({term for term in terms if term is not None})
