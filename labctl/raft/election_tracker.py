"""Who became a candidate, who answered, and what each candidacy came to, once that is known of its rivals too.

What a candidacy was is seen only by what follows. Since raft 1.7 a server asks for pre-votes first: it becomes a
candidate, and may have stood in no election at all. So a candidacy is told late, as a round of pre-votes, as an
election, or as both.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from labctl.raft.records import ALREADY_VOTED, HAS_LEADER, Election, PreVote, Refusal, add_evidence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from labctl.raft.event import Event
    from labctl.raft.lost_quorum import LostQuorum
    from labctl.raft.records import Cause, Evidence, Outcome, TermSource
    from labctl.raft.server_names import Names

UNSETTLED = 64
"""Candidacies that are kept open until it is known what their rivals came to."""
MOST_ANSWERS = 256
"""Answers of which it is not known yet whom they met."""
SETTLED_AFTER = timedelta(seconds=5)
"""An election is told so long after it was over: by then all who were asked have said what they had to say."""
RIVALS_APART = timedelta(seconds=20)
"""Candidates of one term stand at most so far apart: no election timeout of Consul is longer."""

MOST_SKEW = timedelta(seconds=2)
"""How far clocks may be apart, as in `labctl.raft.merge`."""
ASKED_AT_ONCE = timedelta(milliseconds=250)
"""By so much nearer must one of two candidacies be for an answer to be to that one."""
LATE = timedelta(milliseconds=100)
"""How late an answer may come that does not say whom it is for."""
STILL_ANSWERED = timedelta(seconds=10)
"""So long a candidate waits for an answer to its request: the Raft transport of Consul gives up then."""
PROMPT = timedelta(milliseconds=50)
"""What is said so soon after a server asked is an answer to that, and not to what it had asked before."""

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
        asked: some line shows that it asked for votes, and not for pre-votes only.
        pre_vote: what lines say of its pre-vote; None where they say nothing.
        ended: how it ended; None while it goes on.
        stood_again: the term in which its server became a candidate next, without having been anything else.
        unprompt: who refused so late that it may be to what its server asked next, by when that was.
        begun, over: its place among all events, which are in order even where clocks are not; `over` is None while it
            goes on.
        quorum: as an election has it.
        not_asked: whom its server could not ask, and when it said so last.
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
    asked: bool = False
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
    unprompt: dict[str, datetime] = field(default_factory=dict)
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
        if all(one.server != refusal.server for one in self.refusals):
            self.refusals.append(refusal)

    def refuse_pre_vote(self, refusal: Refusal) -> None:
        """Note a refusal of the pre-vote; the voter's own line, which has a reason, is better than the candidate's."""
        self.pre_refusals = [one for one in self.pre_refusals if one.server != refusal.server or one.reason]
        if all(one.server != refusal.server for one in self.pre_refusals):
            self.pre_refusals.append(refusal)

    def forget_from(self, time: datetime | None) -> None:
        """Its server asks anew at a time: within that stamp, a refusal may be to either."""
        for server, when in self.unprompt.items():
            if time is not None and when >= time:
                self.refusals = [one for one in self.refusals if one.server != server]
                self.pre_refusals = [one for one in self.pre_refusals if one.server != server or not one.reason]

    @property
    def only_asked_beforehand(self) -> bool:
        """Whether it has asked for pre-votes, and for no vote so far."""
        asked_again = self.stood_again is not None and self.stood_again == self.term
        return self.pre_vote in {"asked", "lost"} or (self.pre_vote is None and asked_again)

    def has_answer_of(self, server: str, *, pre_vote: bool) -> bool:
        """Whether a server has said yes or no to this candidate, as far as the logs say."""
        votes, refusals = (self.pre_votes, self.pre_refusals) if pre_vote else (self.votes, self.refusals)
        return server in votes or any(one.server == server for one in refusals)

    def has_vote_of(self, server: str) -> bool:
        """Whether a server voted for this candidate, as far as the logs say; a candidate votes for itself."""
        return server == self.server or server in self.votes


class Answer(NamedTuple):
    """A server's refusal of which it is not known yet whom it met.

    Attributes:
        number: its place among all events.
        event: the line.
        refusal: what it says.
        candidate: the peer that the line names, if it does.
    """

    number: int
    event: Event
    refusal: Refusal
    candidate: str | None


class ElectionTracker:
    """The candidacies of a story.

    Args:
        names: who is who.
        is_over: whether what ended at a time is left out of the story.
        settled: takes elections and rounds of pre-votes, in the order in which they began.
        is_apart: whether what one server sends cannot reach another one at a time, as far as is known.
        asks_first: whether a server asks for pre-votes, as far as its log shows.
        servers: whose logs are read.
        reads_all: whether these are the logs of all who vote, as far as is known.

    Attributes:
        number: how many events were told so far.
    """

    def __init__(  # noqa: PLR0913 - what a story knows and a candidacy needs
        self,
        names: Names,
        *,
        is_over: Callable[[datetime | None], bool],
        settled: Callable[[Election | PreVote], None],
        is_apart: Callable[[str, str, datetime | None], bool],
        asks_first: Callable[[str], bool],
        servers: Callable[[], list[str]],
        reads_all: Callable[[], bool],
    ) -> None:
        self._names, self._is_over, self._tell = names, is_over, settled
        self._is_apart, self._asks_first, self._servers, self._reads_all = is_apart, asks_first, servers, reads_all
        self.number = 0
        self._open: deque[Candidacy] = deque()
        self._settled: deque[Candidacy] = deque(maxlen=UNSETTLED)
        self._answers: deque[Answer] = deque(maxlen=MOST_ANSWERS)

    @property
    def are_open(self) -> bool:
        """Whether anybody's candidacy is not told yet."""
        return bool(self._open)

    def begin(self, candidacy: Candidacy) -> None:
        """A server is a candidate."""
        candidacy.begun = self.number
        self._open.append(candidacy)
        if len(self._open) > UNSETTLED:
            self._settle_oldest()

    def end(self, one: Candidacy, how: Ended, event: Event | None) -> None:
        """A candidacy is over, by what a line says; None where no line says when."""
        one.ended, one.over = how, self.number
        if event is not None:
            one.end = event.time
            add_evidence(one.evidence, event)

    def of_others(self, server: str) -> Iterator[Candidacy]:
        """The open candidacies of the other servers."""
        return (one for one in self._open if one.server != server)

    def answer(self, event: Event, refusal: Refusal, candidate: str | None) -> None:
        """A server refuses its vote; whom that met is decided when more is known."""
        self._answers.append(Answer(self.number, event, refusal, candidate))

    def is_to(self, one: Candidacy, event: Event, *, pre_vote: bool = False) -> bool:
        """Whether a refusal, whose line names no term, is to this candidacy, and not to one of its server's before.

        A slow network delivers a request late, and a server that was frozen answers all of them when it goes on.
        """
        if not pre_vote and one.only_asked_beforehand:
            return False
        if event.time is None or one.start is None or _is_prompt(event.time, one.start):
            return True
        one.unprompt.setdefault(event.server, event.time)
        first = one
        for other in itertools.chain(self._settled, self._open):
            if other.server != one.server or other.start is None or event.time - other.start >= STILL_ANSWERED:
                continue
            if other.begun < first.begun:
                first = other
            asked = pre_vote or other.pre_vote in {None, "won"}
            if other.begun < one.begun and asked and not other.has_answer_of(event.server, pre_vote=pre_vote):
                return False
        # Who stands again had stood before, also where its log begins only then.
        stood_again = first.cause == "election_timeout"
        return not stood_again or first.start is None or event.time - first.start >= STILL_ANSWERED

    def takes_back(self, event: Event) -> None:
        """What a server said last was no refusal: it votes again for whom it had voted for."""
        if self._answers and self._answers[-1].event.server == event.server and self._answers[-1].candidate is None:
            self._answers.pop()

    def asking(self, server: str, term: int | None, time: datetime | None) -> list[Candidacy]:
        """Who may be asking a server for its vote of a term just now, and does not have it."""
        return [
            one
            for one in self._open
            if one.term == term
            and one.ended is None
            and one.pre_vote != "lost"
            and not one.has_vote_of(server)
            and not self._is_apart(one.server, server, time)
        ]

    def voted_for(self, server: str, term: int | None) -> str | None:
        """Whom a server has voted for in a term, where that is known."""
        standing = (one for one in self._open if one.term == term and self._asked_for_votes(one))
        found = [one.server for one in standing if one.has_vote_of(server)]
        return found[0] if len(found) == 1 else None

    def newest_term(self) -> int:
        """The newest term for which somebody asks for votes in earnest just now, or 0."""
        terms = (one.term for one in self._open if one.ended is None and one.pre_vote not in {"asked", "lost"})
        return max((term for term in terms if term is not None), default=0)

    def settle_until(self, now: datetime) -> None:
        """Tell what was over long enough before a time."""
        while self._open:
            first = self._open[0]
            if first.end is None or first.ended is None or now - first.end < SETTLED_AFTER:
                return
            self._settle_oldest()

    def finish(self) -> None:
        """The log has ended: nothing more will be known."""
        while self._open:
            self._settle_oldest()

    # -- what a candidacy came to ----------------------------------------------------------------------------

    def _settle_oldest(self) -> None:
        one = self._open[0]
        rivals = self._rivals_of(one)
        if self._answers:
            self._take_answers(one, rivals)
        standing = [other for other in rivals if self._asked_for_votes(other)]
        # Within a stamp, what met the candidacy before may stand behind this one; who voted has not refused.
        refusals = (refusal for refusal in one.refusals if not one.has_vote_of(refusal.server))
        one.refusals = [_explained(refusal, standing) for refusal in refusals]
        self._open.popleft()
        self._settled.append(one)
        if self._is_over(one.end):
            return
        # A voter whose ID nobody had explained when it voted may have a name by now.
        one.votes = list(dict.fromkeys(self._names(voter) or voter for voter in one.votes))
        one.pre_votes = list(dict.fromkeys(self._names(voter) or voter for voter in one.pre_votes))
        cut_off = self._is_cut_off(one)
        voting = self._asked_for_votes(one)
        if one.pre_vote is not None or not voting:
            self._tell(_pre_vote(one, cut_off=cut_off and not one.pre_votes, went_on=voting))
        if voting:
            self._tell(self._election(one, standing, cut_off=cut_off and not one.refusals))

    def _rivals_of(self, one: Candidacy) -> list[Candidacy]:
        """Who else stood in the same term."""
        term, server = one.term, one.server
        if term is None:
            return []
        known = itertools.chain(self._settled, self._open)
        return [other for other in known if other.term == term and other.server != server]

    def _asked_for_votes(self, one: Candidacy) -> bool:
        if one.ended == "won" or one.asked or one.pre_vote == "won":
            return True
        if one.pre_vote is not None:
            return False
        if one.stood_again is not None and one.stood_again == one.term:
            # A candidate that asks for votes moves to the next term; who only asks beforehand does not.
            return False
        # A server that asks beforehand says so when it has won that, at any level.
        return not self._asks_first(one.server)

    def _is_cut_off(self, one: Candidacy) -> bool:
        others = [name for name in self._servers() if name != one.server]
        return bool(others) and all(
            self._is_apart(one.server, name, one.start) or self._is_apart(name, one.server, one.start)
            for name in others
        )

    def _election(self, one: Candidacy, rivals: list[Candidacy], *, cut_off: bool) -> Election:
        return Election(
            one.server, one.term, one.term_source, one.cause, one.start, one.end, one.votes, one.tally, one.needed,
            one.refusals, one.waited, "won" if one.pre_vote == "won" else None, self._outcome(one, rivals),
            cut_off and one.ended != "won", one.evidence, one.quorum,
        )  # fmt: skip

    def _outcome(self, one: Candidacy, rivals: list[Candidacy]) -> Outcome:
        if one.ended == "won":
            return "won"
        if any(other.ended == "won" for other in rivals) or self._is_refused(one):
            return "lost"
        if one.ended in {None, "restart", "silent"}:
            return "undecided"
        if self._met_a_vote_for_another(one) and any(self._splits(one, other) for other in rivals):
            return "split"
        return "lost" if one.ended == "follower" else "abandoned"

    def _is_refused(self, one: Candidacy) -> bool:
        """Whether it could not win any more, whoever else stood."""
        firm = [refusal for refusal in one.refusals if refusal.reason != ALREADY_VOTED]
        if any(refusal.reason.startswith(HAS_LEADER) for refusal in firm) and one.ended not in {None, "silent"}:
            return True
        others = {name for name in self._servers() if name != one.server}
        needed = one.needed if one.needed is not None else len(others) if len(others) > 1 else None
        return needed is not None and len(firm) >= needed

    def _met_a_vote_for_another(self, one: Candidacy) -> bool:
        """Whether somebody refused who had voted already: without such a line, no two candidates met."""
        if any(refusal.reason == ALREADY_VOTED for refusal in one.refusals):
            return True
        return any(answer.candidate is None and self._may_have_met(answer, one) for answer in self._answers)

    def _splits(self, one: Candidacy, other: Candidacy) -> bool:
        """Whether the votes were divided between two candidates of one term."""
        if _are_disjoint(one, other):
            return False
        return not self._is_apart(one.server, other.server, one.start) or not self._is_apart(
            other.server, one.server, one.start
        )

    def _take_answers(self, one: Candidacy, rivals: list[Candidacy]) -> None:
        """Take the refusals that met this candidacy."""
        rest: deque[Answer] = deque(maxlen=MOST_ANSWERS)
        for answer in self._answers:
            if self._met(answer, one, rivals):
                one.refuse(answer.refusal)
                add_evidence(one.evidence, answer.event)
            else:
                rest.append(answer)
        self._answers = rest

    def _met(self, answer: Answer, one: Candidacy, rivals: list[Candidacy]) -> bool:
        event, voter = answer.event, answer.event.server
        if not self._may_have_met(answer, one):
            return False
        if answer.candidate is not None:
            return self._names.server(answer.candidate) == one.server and self.is_to(one, event)
        if event.time is not None and one.start is not None and event.time < one.start and rivals:
            return False  # nobody answers before he is asked, unless clocks differ
        # Whoever else may have been refused by the same line makes it unclear whom it met.
        if not self._reads_all():
            return False
        others = [other for other in rivals if self._may_have_met(answer, other)]
        heard = [other for other in others if all(refusal.server != voter for refusal in other.refusals)]
        return event.term == one.term and all(_is_nearer(event.time, one, other) for other in heard)

    def _may_have_met(self, answer: Answer, one: Candidacy) -> bool:
        event, voter = answer.event, answer.event.server
        if voter == one.server or one.has_vote_of(voter) or self._is_apart(one.server, voter, event.time):
            return False
        if (answer.candidate is None and event.term != one.term) or one.only_asked_beforehand:
            return False
        later = (other for other in itertools.chain(self._settled, self._open) if other.server == one.server)
        if any(one.begun < other.begun < answer.number for other in later):
            return False  # it has asked anew since
        if (
            answer.candidate is not None
            and answer.number < one.begun
            and any(
                other.server == one.server and other.begun < answer.number
                for other in itertools.chain(self._settled, self._open)
            )
        ):
            return False  # it had asked before
        return _is_timely(answer, one) and not self._was_kept(event, one)

    def _was_kept(self, event: Event, one: Candidacy) -> bool:
        """Whether an answer came only when all was over: the network kept the request, or a process that was frozen."""
        if one.end is None or event.time is None or event.time <= one.end:
            return False
        voter = event.server
        return self._is_apart(one.server, voter, one.end) or self._is_apart(voter, one.server, one.end)


def _is_prompt(time: datetime, start: datetime) -> bool:
    """Whether an answer came at once. Stamps of whole seconds do not show that."""
    return bool(time.microsecond or start.microsecond) and timedelta() <= time - start <= PROMPT


def _is_nearer(time: datetime | None, one: Candidacy, other: Candidacy) -> bool:
    """Whether an answer came when one asked and not when the other did: who stands asks everybody at once."""
    if time is None or one.start is None or other.start is None:
        return False
    return abs(time - one.start) + ASKED_AT_ONCE < abs(time - other.start)


def _is_timely(answer: Answer, one: Candidacy) -> bool:
    """Whether an answer came while somebody was a candidate, or so near to it that a wrong clock explains the rest."""
    time = answer.event.time
    if answer.number < one.begun:
        return time is not None and one.start is not None and one.start - time <= MOST_SKEW
    if one.over is None or answer.number <= one.over:
        return time is None or one.start is None or time - one.start < RIVALS_APART
    # A request for a vote may come late, where a server was not there before: that answer decides nothing any more.
    late = MOST_SKEW if answer.candidate is not None else LATE
    return time is not None and one.end is not None and time - one.end <= late


def _pre_vote(one: Candidacy, *, cut_off: bool, went_on: bool) -> PreVote:
    over = one.ended not in {None, "restart", "silent"}
    outcome: Literal["won", "lost", "undecided"] = (
        "won" if went_on else "lost" if one.pre_vote == "lost" or over else "undecided"
    )
    return PreVote(
        one.server, one.term, one.cause, one.start, one.pre_vote_end or one.end, one.pre_votes, one.pre_tally,
        one.needed, one.pre_refusals, one.waited, outcome, outcome == "lost" and one.pre_vote != "lost",
        cut_off and outcome != "won", one.evidence, one.quorum,
    )  # fmt: skip


def _explained(refusal: Refusal, rivals: list[Candidacy]) -> Refusal:
    if refusal.reason != ALREADY_VOTED or refusal.voted_for is not None:
        return refusal
    voted_for = [one.server for one in rivals if one.has_vote_of(refusal.server)]
    return replace(refusal, voted_for=voted_for[0]) if len(voted_for) == 1 else refusal


def _are_disjoint(one: Candidacy, other: Candidacy) -> bool:
    """Whether one was over before the other one began."""
    if one.start is not None and other.start is not None and abs(one.start - other.start) > RIVALS_APART:
        return True
    over, begun = (one.over, other.begun) if one.begun <= other.begun else (other.over, one.begun)
    return over is not None and over <= begun
