"""Refusals, and the candidacy that each answered: no line names it, and no clock is certain.

A refusing server names the candidate or the term, never both. So a refusal is matched to a candidacy only where it
can have met no other one: because there is none, because all others have their answers, or because it came right
after this request, by clocks that nothing shows to differ.
"""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from labctl.raft.clock_differences import SAME, UNKNOWN, Bounds
from labctl.raft.durations import is_whole
from labctl.raft.numbers import number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from labctl.raft.candidacy import Candidacy
    from labctl.raft.clock_differences import ClockDifferences
    from labctl.raft.event import Event
    from labctl.raft.progress import Progress
    from labctl.raft.records import Refusal
    from labctl.raft.server_names import Names

MOST_ANSWERS = 256
"""Answers whose candidacy is not known yet."""
MOST_COMPARED = 32
"""At most this many refusals of a candidate by one server are compared with the requests."""
MOST_SKEW = timedelta(seconds=2)
"""How far clocks may be apart where nothing is known of them, as in `labctl.raft.merge`."""
NOT_KNOWN = Bounds(-MOST_SKEW, MOST_SKEW)
ASKED_AT_ONCE = timedelta(milliseconds=250)
"""How much nearer one of two candidacies must be for an answer to be to that one."""
STILL_ANSWERED = timedelta(seconds=10)
"""A candidate waits this long for an answer to its request: then Consul's Raft transport gives up."""
PROMPT = timedelta(milliseconds=50)
"""An answer this soon after a request is to that request, not to an earlier one."""
AGAIN = timedelta(seconds=1)
"""No server stands again sooner: Consul's timers run at least this long."""
FORGOTTEN_AFTER = timedelta(seconds=30)
"""No answer comes this long before its candidacy began, by any clock."""
OLDER_TERM = "our last term is greater"
"""The reason of who has an entry of a newer term at the end of its log."""
_ZERO, _SECOND = timedelta(), timedelta(seconds=1)


class Answer(NamedTuple):
    """A server's refusal whose candidacy is not known yet.

    Attributes:
        number: its place among all events.
        event: the line.
        refusal: what it says.
        candidate: the peer that the line names, if it does.
        pre_vote: whether it refuses a pre-vote.
    """

    number: int
    event: Event
    refusal: Refusal
    candidate: str | None
    pre_vote: bool = False


class Answers:
    """The refusals that have not found their candidacies yet.

    Args:
        names: who is who.
        clocks: how much servers' clocks may differ.
        is_apart: whether what one server sends cannot reach another one at a time, as far as is known.
        progress: how much of the logs is read.
        candidacies: all that are known, the oldest first.
    """

    def __init__(
        self,
        names: Names,
        clocks: ClockDifferences,
        is_apart: Callable[[str, str, datetime | None], bool],
        progress: Progress,
        candidacies: Callable[[], Iterable[Candidacy]],
    ) -> None:
        self._names, self._clocks, self._is_apart = names, clocks, is_apart
        self._progress, self._candidacies = progress, candidacies
        self._waiting: deque[Answer] = deque(maxlen=MOST_ANSWERS)

    def add(self, answer: Answer) -> None:
        """A server refuses; which candidacy it refused is decided when more is known."""
        self._waiting.append(answer)

    def take_back(self, event: Event) -> None:
        """The server's last answer was no refusal: it votes again for the same candidate."""
        if self._waiting and self._waiting[-1].event.server == event.server and self._waiting[-1].candidate is None:
            self._waiting.pop()

    def give_to(self, candidacy: Candidacy, *, until: datetime | None = None) -> None:
        """Give a candidacy the refusals that met it, of those until a time: first those that name it."""
        for is_named in (True, False):
            waiting = [answer for answer in self._waiting if (answer.candidate is not None) is is_named]
            for answer in waiting:
                if until is not None and (answer.event.time is None or answer.event.time > until):
                    continue
                if not is_named:
                    is_met = self._met_by_term(answer, candidacy)
                else:
                    is_met = self._names_it(answer, candidacy.server) and self._is_known(answer, candidacy.server)
                    is_met = is_met and self._met_by_name(answer, candidacy)
                if is_met:
                    candidacy.take(answer.event, answer.refusal, pre_vote=answer.pre_vote)
                    self._waiting.remove(answer)

    def forget(self, begun: datetime) -> None:
        """Forget what was said long before the oldest candidacy that is not decided began."""
        while self._waiting and (time := self._waiting[0].event.time) is not None and begun - time > FORGOTTEN_AFTER:
            self._waiting.popleft()

    def of(self, server: str, candidate: str, *, since: int) -> list[Refusal]:
        """What a server has answered a candidate since a place among all events, where that is not decided yet."""
        return [
            answer.refusal
            for answer in self._waiting
            if answer.event.server == server and answer.number > since and self._names_it(answer, candidate)
        ]

    def may_have_met(self, candidacy: Candidacy) -> bool:
        """Whether a server may have refused this candidacy, whatever else the refusal can have been to."""
        return any(
            self._may_meet(answer, candidacy) and (answer.candidate is None or self._names_it(answer, candidacy.server))
            for answer in self._waiting
        )

    def may_have_met_another_vote(self, candidacy: Candidacy) -> bool:
        """Whether a server that had voted already may have refused this candidacy."""
        return any(
            answer.candidate is None
            and self._may_meet(answer, candidacy)
            and (
                self._is_prompt(answer, candidacy)
                or (
                    answer.event.server not in candidacy.not_asked
                    and not any(self._may_be_prompt(answer, other, PROMPT) for other in self._others(answer, candidacy))
                )
            )
            for answer in self._waiting
        )

    def is_to(self, candidacy: Candidacy, answer: Answer) -> bool:
        """Whether a refusal of this moment is to a candidacy, as far as is known by now."""
        return self._names_it(answer, candidacy.server) and self._met_by_name(answer, candidacy)

    # -- what an answer was to --------------------------------------------------------------------------------

    def _met_by_name(self, answer: Answer, candidacy: Candidacy) -> bool:
        """Whether a refusal that names its candidate is to this candidacy, and not to another one of the same server.

        A slow network delivers a request late, and a server that was frozen answers all of them when it goes on.
        """
        if not self._may_meet(answer, candidacy):
            return False
        time = answer.event.time
        if time is None or candidacy.start is None:
            return candidacy.begun < answer.number and (candidacy.over is None or answer.number <= candidacy.over)
        known = [other for other in self._candidacies() if other.server == candidacy.server and other.start is not None]
        others = self._others(answer, candidacy)
        if self._is_prompt(answer, candidacy) and not any(
            self._may_be_prompt(answer, other, PROMPT) for other in others
        ):
            return True
        if others and not self._must_have_been_refused(answer, candidacy):
            return False
        # A server that stands again had stood before, even where its log begins only now.
        asked = (other for other in known if other.start is not None and time - other.start < STILL_ANSWERED)
        first = min(asked, key=lambda other: other.begun, default=candidacy)
        soon = not _is_rough(time) and _ZERO <= time - candidacy.start <= ASKED_AT_ONCE
        if not soon and not self._shows_all(answer, candidacy):
            return False
        return first.cause != "election_timeout" or first.start is None or time - first.start >= STILL_ANSWERED

    def _must_have_been_refused(self, answer: Answer, candidacy: Candidacy) -> bool:
        """Whether a server has refused so often that its refusals are too many for the others of who asked.

        That is so where they cannot all find another candidacy each, and then which is which does not matter.
        """
        voter, pre_vote = answer.event.server, answer.pre_vote
        candidacies = [other for other in self._candidacies() if other.server == candidacy.server]
        waiting = [
            other
            for other in self._waiting
            if (other.event.server, other.pre_vote, other.refusal) == (voter, pre_vote, answer.refusal)
            and self._names_it(other, candidacy.server)
            and self._is_known(other, candidacy.server)
            and self._shows_all(other, candidacy)
        ]
        if len(waiting) > MOST_COMPARED:
            return False
        can_be = {other.number: [it for it in candidacies if self._may_be(other, it)] for other in waiting}
        can_be = {number: refusable for number, refusable in can_be.items() if refusable}
        return _have_each_one(can_be) and not _have_each_one(can_be, candidacy)

    def _shows_all(self, answer: Answer, candidacy: Candidacy) -> bool:
        """Whether the log of who asked begins early enough to show all that an answer can be to."""
        time, bounds = answer.event.time, self._bounds(answer, candidacy)
        return (
            time is None
            or bounds == SAME
            or self._progress.shows(candidacy.server, time - bounds.most - STILL_ANSWERED)
        )

    def _is_known(self, answer: Answer, server: str) -> bool:
        """Whether a server's log is read so far that it shows all that an answer can be to."""
        time, voter = answer.event.time, answer.event.server
        if time is None or self._between(voter, server, is_rough=_is_rough(time)) == SAME:
            return True
        # At the end, clocks of which nothing is known are taken for the same: most logs are of such.
        otherwise = SAME if self._progress.is_over else NOT_KNOWN
        asked = time - self._between(voter, server, otherwise, is_rough=_is_rough(time)).least
        if self._progress.reaches(server, asked):
            return True
        last = max(
            (candidacy.start for candidacy in self._candidacies() if candidacy.server == server and candidacy.start),
            default=None,
        )
        return last is not None and asked < last + AGAIN

    def _met_by_term(self, answer: Answer, candidacy: Candidacy) -> bool:
        """Whether a refusal that names its term only, as does who has voted already, is to this candidacy."""
        # Any other candidate that the same line may have refused makes its target unclear.
        if not self._may_meet(answer, candidacy):
            return False
        if not self._progress.is_over and not all(self._is_known(answer, name) for name in self._progress.servers):
            return False
        if not self._sees_who_stood(answer):
            return False
        known, voter, term = list(self._candidacies()), answer.event.server, answer.event.term
        others = self._others(answer, candidacy)
        if any(other.term == term and other.has_vote_of(voter) for other in known):
            # One of them had its vote, which is known, so it refused all that asked it else.
            if not others:
                return self._is_prompt(answer, candidacy) or self._sees_who_stood(answer, STILL_ANSWERED)
            waiting = [
                other
                for other in self._waiting
                if other.candidate is None and (other.event.server, other.event.term) == (voter, term)
            ]
            asked = [
                other
                for other in known
                if other is candidacy or any(self._may_be(each, other, UNKNOWN) for each in waiting)
            ]
            if len(waiting) >= len(asked) and not any(self._is_in_doubt(other, voter) for other in asked):
                return next(number for number, other in enumerate(asked) if other is candidacy) == waiting.index(answer)
        return self._is_prompt(answer, candidacy) and not any(
            self._may_be_prompt(answer, other, ASKED_AT_ONCE) for other in others
        )

    def _sees_who_stood(self, answer: Answer, within: timedelta = MOST_SKEW) -> bool:
        """Whether no server without a log can have stood in its term so shortly before an answer."""
        time = answer.event.time
        stood = {other.server for other in self._candidacies() if other.term == answer.event.term}
        return time is None or self._progress.shows_all(time - within, time, stood | {answer.event.server})

    def _is_in_doubt(self, candidacy: Candidacy, voter: str) -> bool:
        """Whether a voter may have refused a candidate by another line, or have got no request of it."""
        return voter in candidacy.not_asked or bool(self.of(voter, candidacy.server, since=candidacy.begun))

    def _names_it(self, answer: Answer, candidate: str) -> bool:
        return answer.candidate is not None and self._names.server(answer.candidate) == candidate

    def _others(self, answer: Answer, candidacy: Candidacy) -> list[Candidacy]:
        """The other candidacies that an answer can be to; clocks of which nothing is known may be far apart."""
        is_named = answer.candidate is not None
        return [
            other
            for other in self._candidacies()
            if other is not candidacy
            and (not is_named or other.server == candidacy.server)
            and self._may_be(answer, other, UNKNOWN)
        ]

    def _may_meet(self, answer: Answer, candidacy: Candidacy) -> bool:
        """Whether an answer can be to a candidacy, and came while that could still gain by it."""
        if not self._may_be(answer, candidacy):
            return False
        time, voter = answer.event.time, answer.event.server
        if time is None or candidacy.end is None:
            return True
        late = time - candidacy.end
        bounds = self._bounds(answer, candidacy)
        if late - bounds.most > MOST_SKEW:
            return False
        # The network kept the request, or a process that was frozen.
        is_kept = self._is_apart(candidacy.server, voter, candidacy.end) or self._is_apart(
            voter, candidacy.server, candidacy.end
        )
        return late <= _ZERO or not is_kept

    def _may_be(self, answer: Answer, candidacy: Candidacy, otherwise: Bounds = NOT_KNOWN) -> bool:
        """Whether an answer can be to a candidacy at all; `otherwise` is for clocks of which nothing is known."""
        event, voter = answer.event, answer.event.server
        if voter == candidacy.server or candidacy.has_answer_of(voter, pre_vote=answer.pre_vote):
            return False
        if not answer.pre_vote and candidacy.only_asked_beforehand:
            return False
        if not _may_be_of_term(answer, candidacy.term):
            return False
        if self._is_apart(candidacy.server, voter, event.time):
            return False
        if event.time is None or candidacy.start is None:
            return True
        late, bounds = event.time - candidacy.start, self._bounds(answer, candidacy, otherwise)
        return late >= bounds.least and late - bounds.most < STILL_ANSWERED

    def _bounds(self, answer: Answer, candidacy: Candidacy, otherwise: Bounds = NOT_KNOWN) -> Bounds:
        """By how much the clock of who answers may be ahead of that of who asked."""
        is_rough = _is_rough(answer.event.time) or _is_rough(candidacy.start)
        return self._between(answer.event.server, candidacy.server, otherwise, is_rough=is_rough)

    def _between(self, answers: str, asks: str, otherwise: Bounds = NOT_KNOWN, *, is_rough: bool) -> Bounds:
        bounds = self._clocks.between(answers, asks) or otherwise
        return Bounds(bounds.least - _SECOND, bounds.most + _SECOND) if is_rough and bounds != SAME else bounds

    def _is_prompt(self, answer: Answer, candidacy: Candidacy) -> bool:
        """Whether an answer came at once after this one asked, by clocks of which nothing shows that they differ."""
        time, start = answer.event.time, candidacy.start
        if time is None or start is None or _is_rough(time) or _is_rough(start):
            return False  # stamps of whole seconds do not show that
        bounds = self._clocks.between(answer.event.server, candidacy.server) or SAME
        return bounds.least <= _ZERO <= bounds.most and _ZERO <= time - start <= PROMPT

    def _may_be_prompt(self, answer: Answer, candidacy: Candidacy, within: timedelta) -> bool:
        """Whether an answer may have come so soon after this one asked, by any clocks that may be."""
        time, start = answer.event.time, candidacy.start
        if time is None or start is None:
            return True
        late, bounds = time - start, self._bounds(answer, candidacy)
        return late >= bounds.least and late - bounds.most <= within


def _may_be_of_term(answer: Answer, term: int | None) -> bool:
    """Whether an answer may be to a candidate of a term, whatever the clocks say.

    Who compares logs has found the request's term no older than its own (raft.go, requestVote), and that is no older
    than that of its last entry.
    """
    if answer.candidate is None:
        return answer.event.term is not None and answer.event.term == term
    if answer.refusal.reason != OLDER_TERM or term is None:
        return True
    least = number_of(answer.event.values.get("last-term") or answer.event.values.get("ours"))
    return least is None or term >= least


def _is_rough(time: datetime | None) -> bool:
    return time is not None and is_whole(time)


def _have_each_one(can_be: dict[int, list[Candidacy]], but: Candidacy | None = None) -> bool:
    """Whether each of some answers can have met a candidacy that none of the others has met, but not this one."""
    met: dict[int, int] = {}

    def finds_one(answer: int, seen: set[int]) -> bool:
        for candidacy in can_be[answer]:
            if candidacy is not but and id(candidacy) not in seen:
                seen.add(id(candidacy))
                if id(candidacy) not in met or finds_one(met[id(candidacy)], seen):
                    met[id(candidacy)] = answer
                    return True
        return False

    return all(finds_one(answer, set()) for answer in can_be)
