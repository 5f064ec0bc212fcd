"""The leaderships, one after the other, and the servers that each leader could not reach."""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from labctl.raft.clock_differences import MOST_APART, UNKNOWN
from labctl.raft.durations import is_whole
from labctl.raft.log_notes import DOCKER
from labctl.raft.outage_tracker import OutageTracker
from labctl.raft.records import Leadership, add_evidence
from labctl.raft.timers import seconds_between

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from labctl.raft.candidacy import Candidacy
    from labctl.raft.clock_differences import ClockDifferences
    from labctl.raft.event import Event
    from labctl.raft.lost_quorum import LostQuorum
    from labctl.raft.outage_tracker import Outage
    from labctl.raft.progress import Progress
    from labctl.raft.records import EndedBy, TermSource
    from labctl.raft.server_names import Names

UNSETTLED = 64
"""The most leaderships that are kept open: one with this many after it is over, even if its server did not say so."""

GIVES_UP_SOON = timedelta(seconds=1)
"""A leader that resumes after a silence learns this soon that it leads no longer, if it does not."""
MOST_TERMS = 4096
"""Of so many terms, the tracker knows who stood in them; others are counted."""
AT_ONCE = timedelta(milliseconds=100)
"""Two servers lead at once only where that is longer: the old one learns of the new one's term by its victory."""
OLD_NEWS = timedelta(seconds=2)
"""How late a server may hear from the others that there is a leader."""
_ZERO, _SECOND = timedelta(), timedelta(seconds=1)
# These say that a leadership was over by some time, and not when it ended.
_NOT_SEEN = frozenset({"silent", "unknown", "restarted"})
_LOSES_VOTERS = frozenset({"quorum_lost", "killed", "stopped", "ended", "paused"})


class _Skipped(NamedTuple):
    """The terms between two leaders, without their own, and how many stood meanwhile whose term no line tells."""

    after: int
    before: int
    without_term: int


class Suspension(NamedTuple):
    """When and how the process of a leader ceased to run: it leads on only if it goes on in time.

    Attributes:
        time: when.
        by: `killed`, `stopped`, `ended` or `paused`.
        event: the line that says so.
    """

    time: datetime | None
    by: EndedBy
    event: Event


class OpenLeadership:
    """A leadership that goes on, and the contact of its leader with the others."""

    def __init__(self, number: int, leadership: Leadership) -> None:
        self.number = number
        self.leadership = leadership
        self.contact = OutageTracker(leadership.server, leadership.term)
        self.suspended: Suspension | None = None
        self.spoke: datetime | None = None  # when it spoke after a silence
        self.alive: datetime | None = None  # the last that shows it alive before that
        self.seen: datetime | None = None  # when a line of another server showed that it led
        self.shown: datetime | None = None  # when a line first showed that it led


class LeadershipTracker:
    """The leaderships of a story.

    Args:
        names: who is who.
        last: when a server last said something.
        settled: takes leaderships in the order in which they began, and outages in that in which they ended.
        reads_all: whether the logs of all who vote are read, as far as is known.
        quorum: whether too few voters ran at a time, or, where that is asked, could be reached by a server.
        clocks: by how much servers' clocks may differ.
        progress: how much of the logs is read.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a story knows and a leadership needs
        self,
        names: Names,
        last: Callable[[str], datetime | None],
        settled: Callable[[Leadership | Outage], None],
        reads_all: Callable[[], bool],
        quorum: Callable[[str, datetime | None, bool], LostQuorum | None],
        clocks: ClockDifferences,
        progress: Progress,
    ) -> None:
        self._settled, self._reads_all, self._quorum = settled, reads_all, quorum
        self._clocks, self._progress = clocks, progress
        self._last_term: int | None = None
        self._led_term: int | None = None  # of who became leader last
        self._skipped: dict[int, _Skipped] = {}  # by the identity of a leadership that is not settled
        self._stood: set[int] = set()  # the terms in which somebody was a candidate, since the first of these
        self._stood_without_term = 0
        self._waiting: deque[Leadership] = deque()
        self._names, self._last = names, last
        self._open: dict[str, OpenLeadership] = {}
        self._begun = 0
        self._newest = ""
        self._newest_of_another = 0
        self._vacant: datetime | None = None
        self._others_follow: tuple[datetime, str] | None = None
        self._announced: tuple[datetime, str] | None = None
        self._another: tuple[datetime, str] | None = None  # a leader that others heard of, other than the last one
        self._misses_lines = False  # since the last leader, from a log that is read
        self._now: datetime | None = None
        self._down: dict[str, datetime] = {}
        self._missed_by: dict[str, datetime] = {}  # who misses the last leader, and has heard of none since

    @property
    def leader(self) -> str | None:
        """Who became leader last, where it still leads."""
        leadership = self._open.get(self._newest)
        return self._newest if leadership is not None and leadership.number == self._begun else None

    def of(self, server: str) -> Leadership | None:
        """The leadership of a server that leads."""
        leadership = self._open.get(server)
        return leadership.leadership if leadership else None

    def begin(self, server: str, term: int | None, event: Event, candidacy: Candidacy | None = None) -> None:
        """A server leads. It must not have led until now.

        Args:
            server: who.
            term: in which term.
            event: the line that says so.
            candidacy: of which it came.
        """
        self._end_suspended(server)
        leadership = Leadership(server, term, event.time)
        if term is not None:
            by_line = candidacy is not None and candidacy.term_source == "line"
            leadership.term_source = "line" if by_line or event.term is not None else "inferred"
        if candidacy is not None:
            leadership.evidence += candidacy.evidence[:1]
        add_evidence(leadership.evidence, event)
        newest = self._open.get(self._newest)
        self._see(event.time)
        if self._is_late(leadership):
            self._add_older(leadership)
            return
        for other in [name for name, leads in self._open.items() if name != server and leads.seen is not None]:
            self._fall_silent(other)  # of one that only others name, no line tells how it ended
        leadership.leaps = not self._follows(self._last_term, leadership)
        knows_of_all = not leadership.leaps or (self._reads_all() and not self._misses_lines)
        if leadership.leaps and term is not None and self._led_term is not None:
            self._skipped[id(leadership)] = _Skipped(self._led_term, term, self._stood_without_term)
        leadership.between_known = knows_of_all and not self._another_led(server)
        if (newest is None or newest.number < self._begun) and leadership.between_known:
            leadership.without_leader = seconds_between(self._vacant, event.time)
        self._supersede(server, term, event.time)
        self._add(leadership)

    def assume(self, server: str, term: int | None, event: Event, *, led: datetime | None = None) -> None:
        """A line shows that a server leads, and none says since when.

        Args:
            server: who.
            term: in which term, where that is known.
            event: the line.
            led: when it led already, or spoke last. A server elected since then is its successor.
        """
        source: TermSource | None = None if term is None else "inferred"
        leadership = Leadership(server, term, None, since_known=False, term_source=source)
        add_evidence(leadership.evidence, event)
        newest = self._open.get(self._newest)
        since = None
        if newest is not None and newest.number == self._begun:
            since = newest.leadership.since or newest.shown
        # Within a stamp of whole seconds, either may be the earlier one.
        rough = _SECOND if since is not None and is_whole(since) else timedelta()
        # A server whose log begins with giving up led before that; a leader known meanwhile came after it.
        is_newer = event.event != "quorum_lost_stepdown" if led is None else since is None or since <= led - rough
        if since is None or is_newer or server == self._newest:
            self._add(leadership)
            self._open[server].seen = event.time if event.server != server else None
            self._open[server].shown = event.time
            return
        # It wrote nothing between: it was frozen or cut off, and does not know yet of who came after it.
        leadership.superseded = newest.leadership.since if newest is not None else None
        leadership.superseded_by = self._newest
        self._add_older(leadership)

    def _add_older(self, leadership: Leadership) -> None:
        """Take in a leadership that began before the one that was told before it."""
        leadership.is_older = True
        self._open[leadership.server] = OpenLeadership(self._begun - 1, leadership)
        self._waiting.append(leadership)

    def _is_late(self, leadership: Leadership) -> bool:
        """Whether it began before one that is already reported: then a clock is wrong, and terms are right.

        How long nobody led before the one that is already reported is unknown then.
        """
        since, term = leadership.since, leadership.term
        if since is None or term is None or leadership.term_source != "line":
            return False
        newer = {
            waiting.term: waiting
            for waiting in self._waiting
            if waiting.term_source == "line" and waiting.since is not None and since - waiting.since <= MOST_APART
        }
        terms = [other for other in newer if other is not None and other > term]
        if not terms:
            return False
        successor = newer[min(terms)]
        successor.without_leader, successor.between_known = None, False
        return True

    def _another_led(self, server: str) -> bool:
        """Whether others heard, since the last leader gave up, of one whose log does not show when it led."""
        if self._another is None or self._vacant is None:
            return False
        time, leader = self._another
        if time <= self._vacant:
            return False
        # Who leads now may have led before, too, where its log begins later.
        name = (
            server if self._names.place(leader) == self._names.place(server) else self._names.server(leader) or leader
        )
        last = self._last(name)
        if last is None or last < time or self._progress.begins_after(name, time + MOST_APART):
            return True
        return not self._progress.shows(name, self._vacant)

    def stand(self, term: int | None) -> None:
        """A server is a candidate."""
        if term is None:
            self._stood_without_term += 1
        elif len(self._stood) < MOST_TERMS:
            self._stood.add(term)
        else:
            self._stood_without_term += 1

    def _doubt_skipped(self, leadership: Leadership) -> None:
        """Forget how long nobody led where no log tells who stood in a term before: that one may have won.

        A candidate's clock may be ahead, so this is decided as late as everything else of the leadership.
        """
        skipped = self._skipped.pop(id(leadership), None)
        if skipped is None:
            return
        told = sum(skipped.after < stood < skipped.before for stood in self._stood)
        if skipped.before - skipped.after - 1 > told + skipped.without_term:
            leadership.without_leader, leadership.between_known = None, False
        known = [other.after for other in self._skipped.values()]
        oldest = min([*known, *([] if self._led_term is None else [self._led_term])], default=None)
        self._stood = {stood for stood in self._stood if oldest is not None and stood > oldest}

    @staticmethod
    def _follows(before: int | None, leadership: Leadership) -> bool:
        """Whether nobody else can have led in between, whatever is read: a term has one leader."""
        return leadership.term is not None and before is not None and leadership.term == before + 1

    def is_of_another(self, server: str, term: int) -> bool:
        """Whether another server is known to have led in a term lately: then this one did not."""
        known = (leadership.leadership for leadership in self._open.values())
        return any(leadership.term == term and leadership.server != server for leadership in (*known, *self._waiting))

    def is_news(self, server: str) -> bool:
        """Whether nobody is known to lead, and the last leader was another server."""
        return not self._open and self._newest != server

    def is_vacant(self, leader: str, since: datetime) -> bool:
        """Whether nobody is known to lead, and the last leader was another one that had been lost by a time."""
        is_another = self._names.place(leader) != self._names.place(self._newest)
        return not self._open and self._vacant is not None and since >= self._vacant and is_another

    def show(self, server: str) -> None:
        """A server's own line shows that it leads, which others had said."""
        if (leadership := self._open.get(server)) is not None:
            leadership.seen = None

    def _add(self, leadership: Leadership) -> None:
        if self._newest != leadership.server:
            self._newest_of_another = self._begun
        self._begun += 1
        self._newest, self._another, self._misses_lines = leadership.server, None, False
        self._missed_by.clear()
        self._led_term, self._stood_without_term = leadership.term, 0
        self._open[leadership.server] = OpenLeadership(self._begun, leadership)
        self._waiting.append(leadership)
        oldest = next(iter(self._open))
        if self._begun - self._open[oldest].number > UNSETTLED:
            self._fall_silent(oldest)

    def _supersede(self, server: str, term: int | None, time: datetime | None) -> None:
        """A newer leader: an older one that does not know of it yet can no longer commit anything."""
        for leadership in self._open.values():
            old = leadership.leadership
            if old.server == server or old.superseded is not None or leadership.suspended is not None:
                continue
            if term is None or old.term is None or term > old.term:
                old.superseded, old.superseded_by = time, server

    def suspend(self, server: str, by: EndedBy, event: Event) -> None:
        """A leader's process is killed, stopped or frozen: it will say nothing more.

        The line of a fault stands there before it is done; Docker says when it was, and who is stopped says so itself.
        """
        leadership = self._open.get(server)
        if leadership is None:
            return
        before = leadership.suspended
        is_nearer = before is not None and before.event.event == "fault_began" and before.by == by == "stopped"
        if before is None or is_nearer or (event.module == DOCKER and before.event.module != DOCKER):
            leadership.suspended = Suspension(event.time, by, event)

    def suspend_unless_known(self, server: str, by: EndedBy, event: Event) -> None:
        """The process of a leader ended, which may already be known by a line that is nearer to why."""
        if (leadership := self._open.get(server)) is not None and leadership.suspended is None:
            self.suspend(server, by, event)

    def was_silent(self, server: str, since: datetime, now: datetime) -> None:
        """A leader speaks after a silence; whether it still leads is seen by what it says next."""
        if (leadership := self._open.get(server)) is not None:
            leadership.leadership.silent_since, leadership.spoke = since, now
            proof, led = self._last_proof(server, since), leadership.leadership.since
            # By another clock, it may have been missed before its last line.
            leadership.alive = led if proof is not None and led is not None and proof < led else proof

    def _last_proof(self, server: str, until: datetime) -> datetime | None:
        """When a line last showed that a leader ran: one of its own, or one of who follows it."""
        proofs = [self._last(server)]
        if self._others_follow is not None and self._names.place(self._others_follow[1]) == self._names.place(server):
            proofs.append(self._others_follow[0])
        return max((time for time in proofs if time is not None and time <= until), default=None)

    def resume(self, server: str) -> None:
        """A process that was frozen goes on, or was not killed after all."""
        leadership = self._open.get(server)
        if leadership is not None and leadership.leadership.superseded is None:
            leadership.suspended = None

    def _end_suspended(self, but: str) -> None:
        """Another server leads, so those that do not run lead no longer."""
        for server, leadership_ in list(self._open.items()):
            if leadership_.suspended is not None and server != but:
                self.end(server, leadership_.suspended.event, leadership_.suspended.by)

    @property
    def none_yet(self) -> bool:
        """Whether nobody has led so far."""
        return not self._begun

    def end(self, server: str, event: Event, by: EndedBy, *, needed: int | None = None) -> None:
        """A server leads no longer, if it did. `needed` are the votes of a majority, where it lost contact with one."""
        leadership = self._open.get(server)
        if leadership is None:
            return
        if leadership.suspended is not None:
            # It ceased to lead when it ceased to run, whatever it learned of that later.
            event, by = leadership.suspended.event, leadership.suspended.by
            leadership.leadership.is_announced = event.event == "fault_began"
        if by == "restarted" and not self._spoke(leadership):
            # That may be its first start, before it led: its clock may be ahead of that of who named it.
            self.lose_track(server)
            return
        del self._open[server]
        add_evidence(leadership.leadership.evidence, event)
        if by == "quorum_lost":
            leadership.leadership.without_majority = leadership.contact.without_majority(needed)
            unreached = leadership.contact.unreached(self._names)
            leadership.leadership.unreached = [name for name, _ in unreached]
            leadership.leadership.unreached_evidence = [line for _, line in unreached]
        if by in _LOSES_VOTERS:
            leadership.leadership.quorum = self._quorum(server, event.time, by == "quorum_lost")
        # When the process was started says only that it led no longer.
        self._close(leadership, self._last(server) if by == "restarted" else event.time, by)

    def _spoke(self, leadership: OpenLeadership) -> bool:
        """Whether a leader wrote a line itself since it is known to lead, where only others say that it does."""
        last = self._last(leadership.leadership.server)
        return leadership.seen is None or (last is not None and last >= leadership.seen)

    def _fall_silent(self, server: str) -> None:
        """A leader whose log ends or goes on in another file: when its leadership ended is unknown."""
        leadership, last = self._open.pop(server), self._last(server)
        if last is None or leadership.seen is not None or server in self._names.partly_read:
            # What others said may have been old, and no line of its own shows that it led; or not all of them are read.
            self._close(leadership, None, "unknown")
        else:
            self._close(leadership, last, "silent")

    def is_just_named(self, server: str, time: datetime | None) -> bool:
        """Whether only others said that a server leads, and so shortly before a time that their clocks may be ahead."""
        leadership = self._open.get(server)
        if leadership is None or leadership.seen is None or time is None:
            return False
        return time - leadership.seen <= MOST_APART

    def lead_again(self, server: str, time: datetime | None) -> None:
        """A server begins to lead that led already: no line says that it had ceased to, or clocks differ."""
        if not self.is_just_named(server, time):
            self.lose_track(server)
            return
        named = self._open.pop(server).leadership
        self._waiting = deque(leadership for leadership in self._waiting if leadership is not named)
        self._vacant = None

    def lose_track(self, server: str) -> None:
        """A leadership is over, and no line says when or why."""
        leadership = self._open.pop(server, None)
        if leadership is not None:
            self._close(leadership, None, "unknown")

    def _close(self, leadership: OpenLeadership, time: datetime | None, by: EndedBy) -> None:
        old = leadership.leadership
        self._see(time)
        old.until, old.ended_by = time, by
        if leadership.spoke is not None and time is not None and time - leadership.spoke > GIVES_UP_SOON:
            old.silent_since = None  # it led on
        if old.silent_since is not None:
            # What it learned when it went on is not when it ceased to lead.
            if by != "restarted":
                old.gave_up, old.gave_up_by = time, by
            old.until = leadership.alive
            old.ended_by = by = "restarted" if by == "restarted" else "silent"
        if time is None or by in _NOT_SEEN or by == "transfer":
            old.superseded = None
        self._doubt_overlap(old)
        if leadership.number == self._begun:
            # When a leader fell silent, nobody knows: its last line may be hours older.
            self._vacant = None if by in _NOT_SEEN or old.silent_since is not None else time
            self._last_term = old.term
        self._tell_outages(leadership.contact.end(time, self._names))
        self._tell_ended()

    def _doubt_overlap(self, old: Leadership) -> None:
        """Forget that a newer leader led at once with this one, where the clocks of both leave that open."""
        if old.superseded is None or old.until is None:
            return
        ahead = (self._clocks.between(old.server, old.superseded_by) or UNKNOWN).most
        if old.until - old.superseded - max(ahead, _ZERO) < AT_ONCE:
            old.superseded = None

    def is_superseded(self, server: str) -> bool:
        """Whether a leader of a newer term is known."""
        leadership = self._open.get(server)
        return leadership is not None and leadership.leadership.superseded is not None

    def follow(self, leader: str | None, time: datetime | None) -> None:
        """A server names the leader that it follows."""
        if leader and time is not None:
            self._others_follow = (time, leader)
            self._hear_of(leader, time)

    def announce(self, leader: str | None, time: datetime | None) -> None:
        """A server hears who leads now."""
        if leader and time is not None:
            self._announced = (time, leader)
            self._hear_of(leader, time)

    def miss(self, server: str, time: datetime | None) -> None:
        """A server has heard from no leader in time."""
        if time is not None:
            self._missed_by[server] = time

    def find(self, server: str) -> None:
        """A server has a leader."""
        self._missed_by.pop(server, None)

    def miss_lines(self) -> None:
        """A server's log has a gap: it may have led meanwhile."""
        self._misses_lines = True

    def name(self, leader: str, time: datetime) -> None:
        """A server names the leader that it has or had, whose last heartbeat may be older."""
        if self._names.place(leader) != self._names.place(self._newest):
            self._another = (time, leader)

    def _hear_of(self, leader: str, time: datetime) -> None:
        if self._names.place(leader) != self._names.place(self._newest):
            self._another = (time, leader)
            return
        newest = self._open.get(self._newest)
        since = newest.leadership.since if newest is not None else None
        if newest is not None and since is not None and time < since and not self._progress.shows(self._newest, time):
            # By the same clock, that is a leadership before this one, of which its log does not tell.
            newest.leadership.without_leader, newest.leadership.between_known = None, False

    def find_down(self, server: str, time: datetime | None) -> None:
        """Another server asked a leader for its vote, and nothing runs there."""
        if server in self._open and time is not None:
            self._down[server] = time

    def reach(self, event: Event) -> None:
        """Take in what a server says of its contact with another; it counts while it leads."""
        leadership = self._open.get(event.server)
        outage = leadership.contact.take(event, self._names) if leadership else None
        if outage is not None:
            self._tell_outages([outage])

    def _tell_outages(self, outages: list[Outage]) -> None:
        for outage in outages:
            self._settled(outage)

    def _tell_ended(self) -> None:
        """Tell what has ended, but nothing before what began earlier and goes on."""
        while self._waiting and self._waiting[0].ended_by is not None and self._is_sure(self._waiting[0]):
            self._settle(self._waiting.popleft())

    def _settle(self, leadership: Leadership) -> None:
        # What showed its clock may have come after its end.
        self._doubt_overlap(leadership)
        self._doubt_skipped(leadership)
        self._settled(leadership)

    def _is_sure(self, leadership: Leadership) -> bool:
        """Whether no leader of a term before, whose clock is behind, can be told yet, and its own clock is known."""
        since = leadership.since
        if len(self._waiting) >= UNSETTLED:
            return True
        until = leadership.until if leadership.superseded is not None else None
        if until is not None and self._now is not None and self._now - until <= MOST_APART:
            return False
        return not leadership.leaps or since is None or self._now is None or self._now - since > MOST_APART

    def _see(self, time: datetime | None) -> None:
        if time is not None and (self._now is None or time > self._now):
            self._now = time

    def finish(self) -> None:
        """The log has ended: who still leads is the last one; a leader before it fell silent."""
        for server, leadership_ in list(self._open.items()):
            newest = self._newest_of_another if server == self._newest else self._begun
            if leadership_.suspended is not None:
                self.end(server, leadership_.suspended.event, leadership_.suspended.by)
            elif self._last(server) is None:
                # Only others named it: nobody knows whether it leads still.
                self.lose_track(server)
            elif newest > leadership_.number or self._was_left(server) or self._lacks_majority(server):
                self._fall_silent(server)
            elif self._is_missed_by_all(server):
                self.lose_track(server)
            else:
                self._tell_outages(leadership_.contact.end(None, self._names, leads=True))
        self._open.clear()
        for leadership in self._waiting:
            self._settle(leadership)
        self._waiting.clear()

    def _lacks_majority(self, server: str) -> bool:
        """Whether too few of all who vote still had this leader when they spoke last, long after its own last line."""
        read = len(self._progress.servers)
        return self._reads_all() and read - len(self._missing(server)) <= read // 2

    def _is_missed_by_all(self, server: str) -> bool:
        """Whether none of several others whose logs are read has this leader any more; the rest of them may."""
        missing = self._missing(server)
        return len(missing) > 1 and missing == {name for name in self._progress.servers if name != server}

    def _missing(self, server: str) -> set[str]:
        last = self._last(server)
        return {name for name, time in self._missed_by.items() if last is not None and time - last > MOST_APART}

    def _was_left(self, server: str) -> bool:
        """Whether others follow somebody else since this leader's log ends, or found that it did not run."""
        last = self._last(server)
        if last is not None and (down := self._down.get(server)) is not None and down > last:
            return True
        if last is None:
            return False
        if (seen := self._open[server].seen) is not None and self._announced is not None:
            # No line of its own shows that it led: whom others name later may have come after it.
            time, leader = self._announced
            if time > seen and self._names.place(leader) != self._names.place(server):
                return True
        said = [self._others_follow] if self._others_follow is not None else []
        # Gossip may lag by a moment.
        said += [(self._announced[0] - OLD_NEWS, self._announced[1])] if self._announced is not None else []
        return any(time > last and self._names.place(leader) != self._names.place(server) for time, leader in said)
