"""Who became a candidate, who answered, and what each candidacy came to, once that is known of its rivals too.

What a candidacy was is seen only by what follows. Since raft 1.7 a server asks for pre-votes first: it becomes a
candidate, and may have stood in no election at all. So a candidacy is reported late, as a round of pre-votes, as an
election, or as both.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from labctl.raft.answers import Answer, Answers
from labctl.raft.records import ALREADY_VOTED, HAS_LEADER, Election, PreVote, Refusal, add_evidence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from labctl.raft.candidacy import Candidacy, Ended
    from labctl.raft.clock_differences import ClockDifferences
    from labctl.raft.event import Event
    from labctl.raft.progress import Progress
    from labctl.raft.records import Outcome
    from labctl.raft.server_names import Names
    from labctl.raft.waits import Waits

UNSETTLED = 64
"""Candidacies that are kept open until it is known what their rivals came to."""
SETTLED_AFTER = timedelta(seconds=5)
"""An election is reported this long after its end: by then, all servers that were asked have answered."""
_UNREAD = "\0"
"""A voter whose log is not read: no server is called so."""
RIVALS_APART = timedelta(seconds=20)
"""Candidates of one term stand at most this far apart: no election timeout of Consul is longer."""


class ElectionTracker:
    """The candidacies of a story.

    Args:
        names: who is who.
        settled: takes elections and rounds of pre-votes, in the order in which they began.
        is_apart: whether what one server sends cannot reach another one at a time, as far as is known.
        asks_first: whether a server asks for pre-votes, as far as its log shows.
        asks_at_once: whether a server is known to stand without them.
        reads_all: whether these are the logs of all voters, as far as is known.
        clocks: by how much servers' clocks may differ.
        progress: how much of the logs is read.
        waits: how long timers ran.

    Attributes:
        number: how many events were told so far.
    """

    def __init__(  # noqa: PLR0913 - what a story knows and a candidacy needs
        self,
        names: Names,
        *,
        settled: Callable[[Election | PreVote], None],
        is_apart: Callable[[str, str, datetime | None], bool],
        asks_first: Callable[[str], bool],
        asks_at_once: Callable[[], bool],
        reads_all: Callable[[], bool],
        clocks: ClockDifferences,
        progress: Progress,
        waits: Waits,
    ) -> None:
        self._names, self._tell = names, settled
        self._is_apart, self._asks_first, self._progress = is_apart, asks_first, progress
        self._reads_all, self._asks_at_once, self._waits = reads_all, asks_at_once, waits
        self.number = 0
        self._open: deque[Candidacy] = deque()
        self._settled: deque[Candidacy] = deque(maxlen=UNSETTLED)
        self._answers = Answers(names, clocks, is_apart, progress, lambda: itertools.chain(self._settled, self._open))

    def begin(self, candidacy: Candidacy) -> None:
        """A server is a candidate."""
        candidacy.begun = self.number
        self._open.append(candidacy)
        if len(self._open) > UNSETTLED:
            self._settle_oldest()

    def end(self, candidacy: Candidacy, how: Ended, event: Event | None) -> None:
        """A candidacy is over, by what a line says; None where no line says when."""
        candidacy.ended, candidacy.over = how, self.number
        if event is not None:
            candidacy.end = event.time
            add_evidence(candidacy.evidence, event)

    def of_others(self, server: str) -> Iterator[Candidacy]:
        """The open candidacies of the other servers."""
        return (candidacy for candidacy in self._open if candidacy.server != server)

    def answer(self, event: Event, refusal: Refusal, candidate: str | None, *, pre_vote: bool = False) -> None:
        """A server refuses its vote or pre-vote; which candidacy it refused is decided when more is known."""
        self._answers.add(Answer(self.number, event, refusal, candidate, pre_vote))

    def is_to(self, candidacy: Candidacy, event: Event, refusal: Refusal) -> bool:
        """Whether a refusal of this moment is to this candidacy, as far as is known by now."""
        return self._answers.is_to(candidacy, Answer(self.number, event, refusal, event.peer))

    def has_leader(self, server: str, candidacy: Candidacy) -> bool:
        """Whether a server has refused this candidate because it had a leader, as far as is known by now."""
        waiting = self._answers.of(server, candidacy.server, since=candidacy.begun)
        return any(no.server == server and no.reason.startswith(HAS_LEADER) for no in (*candidacy.refusals, *waiting))

    def takes_back(self, event: Event) -> None:
        """The server's last answer was no refusal: it votes again for the same candidate."""
        self._answers.take_back(event)

    def asking(self, server: str, term: int | None, time: datetime | None) -> list[Candidacy]:
        """The candidates that may be asking a server for its vote in a term now, and do not have it."""
        return [
            candidacy
            for candidacy in self._open
            if candidacy.term == term
            and candidacy.ended is None
            and candidacy.pre_vote != "lost"
            and not candidacy.has_vote_of(server)
            and not self._is_apart(candidacy.server, server, time)
        ]

    def voted_for(self, server: str, term: int | None) -> str | None:
        """The server that a server has voted for in a term, where that is known."""
        standing = (
            candidacy
            for candidacy in self._open
            if candidacy.term == term and self._asked_for_votes(candidacy) and self._is_known_to_ask(candidacy)
        )
        candidates = [candidacy.server for candidacy in standing if candidacy.has_vote_of(server)]
        return candidates[0] if len(candidates) == 1 else None

    def newest_term(self) -> int:
        """The newest term in which a server now asks for real votes, or 0."""
        terms = (
            candidacy.term
            for candidacy in self._open
            if candidacy.ended is None and candidacy.pre_vote not in {"asked", "lost"}
        )
        return max((term for term in terms if term is not None), default=0)

    def settle_until(self, now: datetime | None) -> None:
        """Report what was over long enough before a time."""
        while self._open:
            first = self._open[0]
            if now is None or first.end is None or first.ended is None or now - first.end < SETTLED_AFTER:
                return
            self._settle_oldest()

    def finish(self) -> None:
        """The log has ended: nothing more will be known."""
        while self._open:
            self._settle_oldest()

    # -- what a candidacy came to ----------------------------------------------------------------------------

    def _settle_oldest(self) -> None:
        candidacy = self._open[0]
        rivals = self._rivals_of(candidacy)
        if candidacy.start is not None:
            self._answers.forget(candidacy.start)
        self._answers.give_to(candidacy)
        for other in rivals:
            self._answers.give_to(other, until=candidacy.end)
        standing = [other for other in rivals if self._asked_for_votes(other)]
        # Within a stamp, what met the candidacy before may stand behind this one; who voted has not refused.
        refusals = (refusal for refusal in candidacy.refusals if not candidacy.has_vote_of(refusal.server))
        candidacy.refusals = [_explained(refusal, standing) for refusal in refusals]
        self._open.popleft()
        self._settled.append(candidacy)
        if candidacy.waited is not None and not self._waits.fits(candidacy.waited, candidacy.start):
            candidacy.waited = None
        # A voter whose ID was unknown when it voted may have a name by now.
        candidacy.votes = list(dict.fromkeys(self._names(voter) or voter for voter in candidacy.votes))
        candidacy.pre_votes = list(dict.fromkeys(self._names(voter) or voter for voter in candidacy.pre_votes))
        # A fault may be over while it waits: what a voter answers by its own log counts, whichever request that met.
        is_cut_off = self._is_cut_off(candidacy) and not self._answers.may_have_met(candidacy)
        cut_off = is_cut_off or (self._reached_nobody(candidacy) and self._reads_all())
        voting = self._asked_for_votes(candidacy)
        if candidacy.pre_vote is not None or not voting:
            self._tell(_pre_vote(candidacy, cut_off=cut_off and not candidacy.pre_votes, went_on=voting))
        if voting:
            self._tell(self._election(candidacy, standing, cut_off=cut_off and not candidacy.refusals))

    def _rivals_of(self, candidacy: Candidacy) -> list[Candidacy]:
        """Who else stood in the same term."""
        term, server = candidacy.term, candidacy.server
        if term is None:
            return []
        known = itertools.chain(self._settled, self._open)
        return [other for other in known if other.term == term and other.server != server]

    def _asked_for_votes(self, candidacy: Candidacy) -> bool:
        if candidacy.ended == "won" or candidacy.asked or candidacy.pre_vote == "won":
            return True
        if candidacy.pre_vote is not None:
            return False
        if candidacy.stood_again is not None and candidacy.stood_again == candidacy.term:
            # A candidate that asks for votes moves to the next term; who only asks beforehand does not.
            return False
        # A server that asks beforehand says so when it has won that, at any level.
        return not self._asks_first(candidacy.server)

    def _may_not_have_asked(self, candidacy: Candidacy) -> bool:
        """Whether no line shows that it asked for votes: raft 1.7 is silent at level info about a pre-vote it lost."""
        shows = (
            candidacy.asked
            or candidacy.refusals
            or candidacy.tally
            or candidacy.pre_vote is not None
            or candidacy.stood_again is not None
        )
        return (
            candidacy.may_ask_first and not shows and not self._asks_at_once() and candidacy.ended not in {None, "won"}
        )

    def _is_known_to_ask(self, candidacy: Candidacy) -> bool:
        """Whether one that asks for votes, as it seems by now, cannot be one that only asks for pre-votes."""
        shows = candidacy.ended == "won" or candidacy.asked or candidacy.pre_vote is not None
        return shows or not candidacy.may_ask_first or self._asks_at_once()

    def _is_cut_off(self, candidacy: Candidacy) -> bool:
        """Whether it could reach nobody from its beginning to its end: what it asks is sent again until it arrives."""
        others = [name for name in self._progress.servers if name != candidacy.server]
        # A voter whose log is not read is in no fault that is known, but for one that cuts the candidate off from all.
        others += [] if self._reads_all() or not others else [_UNREAD]
        return bool(others) and all(
            self._is_apart(candidacy.server, name, time) or self._is_apart(name, candidacy.server, time)
            for name in others
            for time in (candidacy.start, candidacy.end or candidacy.start)
        )

    def _reached_nobody(self, candidacy: Candidacy) -> bool:
        """Whether it could ask no server whose log is read: then it took no part in a split vote."""
        others = {name for name in self._progress.servers if name != candidacy.server}
        # By number: who is meant may not be known.
        return (
            bool(others) and len(others) <= len(candidacy.unreached) and candidacy.tally <= 1 and not candidacy.refusals
        )

    def _election(self, candidacy: Candidacy, rivals: list[Candidacy], *, cut_off: bool) -> Election:
        return Election(
            candidacy.server, candidacy.term, candidacy.term_source, candidacy.cause, candidacy.start,
            candidacy.end, candidacy.votes, candidacy.tally, candidacy.needed,
            candidacy.refusals, candidacy.waited, "won" if candidacy.pre_vote == "won" else None,
            self._outcome(candidacy, rivals),
            cut_off and candidacy.ended != "won", candidacy.evidence, candidacy.quorum,
            breaks_off=candidacy.ended == "silent",
            no_network=cut_off and candidacy.ended != "won" and candidacy.had_no_network,
        )  # fmt: skip

    def _outcome(self, candidacy: Candidacy, rivals: list[Candidacy]) -> Outcome:
        if candidacy.ended == "won":
            return "won"
        if self._may_not_have_asked(candidacy):
            return "undecided"
        if any(other.ended == "won" for other in rivals) or self._is_refused(candidacy):
            return "lost"
        if candidacy.ended in {None, "restart", "silent"}:
            return "undecided"
        met = not self._reached_nobody(candidacy) and self._met_a_vote_for_another(candidacy)
        if met and any(self._splits(candidacy, other) for other in rivals):
            return "split"
        return "lost" if candidacy.ended == "follower" else "abandoned"

    def _is_refused(self, candidacy: Candidacy) -> bool:
        """Whether it could no longer win, whatever others did."""
        firm = [refusal for refusal in candidacy.refusals if refusal.reason != ALREADY_VOTED]
        if any(refusal.reason.startswith(HAS_LEADER) for refusal in firm) and candidacy.ended not in {None, "silent"}:
            return True
        others = {name for name in self._progress.servers if name != candidacy.server}
        needed = candidacy.needed if candidacy.needed is not None else len(others) if len(others) > 1 else None
        return needed is not None and len(firm) >= needed

    def _met_a_vote_for_another(self, candidacy: Candidacy) -> bool:
        """Whether a server that had voted already refused: without such a line, no two candidates competed."""
        if any(refusal.reason == ALREADY_VOTED for refusal in candidacy.refusals):
            return True
        return self._answers.may_have_met_another_vote(candidacy)

    def _splits(self, candidacy: Candidacy, other: Candidacy) -> bool:
        """Whether the votes were divided between two candidates of one term."""
        if _are_disjoint(candidacy, other):
            return False
        return not self._is_apart(candidacy.server, other.server, candidacy.start) or not self._is_apart(
            other.server, candidacy.server, candidacy.start
        )


def _pre_vote(candidacy: Candidacy, *, cut_off: bool, went_on: bool) -> PreVote:
    over = candidacy.ended not in {None, "restart", "silent"}
    outcome: Literal["won", "lost", "undecided"] = (
        "won" if went_on else "lost" if candidacy.pre_vote == "lost" or over else "undecided"
    )
    return PreVote(
        candidacy.server, candidacy.term, candidacy.cause, candidacy.start, candidacy.pre_vote_end or candidacy.end,
        candidacy.pre_votes, candidacy.pre_tally,
        candidacy.needed, candidacy.pre_refusals, candidacy.waited, outcome,
        outcome == "lost" and candidacy.pre_vote != "lost",
        cut_off and outcome != "won", candidacy.evidence, candidacy.quorum, breaks_off=candidacy.ended == "silent",
        no_network=cut_off and outcome != "won" and candidacy.had_no_network,
    )  # fmt: skip


def _explained(refusal: Refusal, rivals: list[Candidacy]) -> Refusal:
    if refusal.reason != ALREADY_VOTED or refusal.voted_for is not None:
        return refusal
    voted_for = [candidacy.server for candidacy in rivals if candidacy.has_vote_of(refusal.server)]
    return replace(refusal, voted_for=voted_for[0]) if len(voted_for) == 1 else refusal


def _are_disjoint(candidacy: Candidacy, other: Candidacy) -> bool:
    """Whether one was over before the other one began."""
    if candidacy.start is not None and other.start is not None and abs(candidacy.start - other.start) > RIVALS_APART:
        return True
    over, begun = (candidacy.over, other.begun) if candidacy.begun <= other.begun else (other.over, candidacy.begun)
    return over is not None and over <= begun
