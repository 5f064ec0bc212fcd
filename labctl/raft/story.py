"""A story out of events: terms carried to where no line prints them, campaigns, winners, and what ended each reign.

The same code follows a live lab and reads a finished file: each event is told once, as soon as it comes, and
only the elections of the last few terms are kept open.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from labctl.raft.election import Cause, Election, EndedBy, Reign
from labctl.raft.event import OTHER, Event
from labctl.raft.grammar import voice_of
from labctl.raft.names import Names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

UNSETTLED = 64
"""Campaigns that are kept until it is known what their rivals came to."""

TRANSFER_SECONDS = 10.0
"""How long a transfer of leadership may take: the longest election timeout that Consul can be given."""

# Terms that a line prints and that are not the term its server is in: a candidate before its pre-vote only proposes.
_PROPOSED = frozenset({"candidate_entered", "prevote_self", "prevote_requested", "prevote_granted", "votes_needed"})
# The term of the next event of these is new; what they end belongs to the old one.
_ENDS: dict[str, EndedBy] = {
    "quorum_lost_stepdown": "quorum_lost",
    "new_leader_stepdown": "new_leader",
    "peer_newer_term": "newer_term",
    "newer_term_seen_on_vote": "newer_term",
    "transfer_started": "transfer",
    "removed_self": "removed",
    "leaving": "left",
}


@dataclass
class _Server:
    """What the story knows of one server."""

    name: str
    role: Literal["follower", "candidate", "leader"] = "follower"
    term: int | None = None
    cause: Cause = "unknown"
    election: Election | None = None
    reign: Reign | None = None
    ending: EndedBy | None = None
    transferring: datetime | None = None
    last: datetime | None = None


class Story:
    """What happened. Feed it events in their order with `tell`, then `finish`.

    Attributes:
        elections: the campaigns that are settled, in the order in which they began.
        leaders: reigns, in the order in which they began.
        unparsed: lines of a Raft module that no rule knew.
        names: who is who.
    """

    def __init__(self) -> None:
        self.elections: list[Election] = []
        self.leaders: list[Reign] = []
        self.unparsed = 0
        self.names = Names()
        self._servers: dict[str, _Server] = {}
        self._open: deque[Election] = deque()
        self._won: int | None = None
        self._from_the_beginning = False
        self._acts: dict[str, Callable[[_Server, Event], int | None]] = {
            "config_initial": self._start,
            "no_known_peers": self._wait,
            "heartbeat_timeout": self._time_out,
            "election_timeout": self._try_again,
            "candidate_entered": self._stand,
            "votes_needed": self._count,
            "vote_self": self._count,
            "vote_requested": self._count,
            "vote_granted": self._count,
            "prevote_self": self._pre_vote,
            "prevote_requested": self._pre_vote,
            "prevote_received": self._pre_vote,
            "prevote_granted": self._pre_vote,
            "prevote_denied": self._pre_vote,
            "prevote_won": self._pre_vote,
            "prevote_lost": self._pre_vote,
            "prevote_denied_newer_term": self._fall_back,
            "newer_term_fallback": self._fall_back,
            "election_won": self._win,
            "leader_entered": self._lead,
            "follower_entered": self._follow,
            "leadership_lost": self._lose,
            "vote_rejected_by_me": self._refuse,
            "vote_duplicate_term": self._refuse,
            "new_leader_announced": self._announce,
            **dict.fromkeys(_ENDS, self._notice),
        }

    @property
    def servers(self) -> list[str]:
        """The servers whose logs were read."""
        return sorted(self._servers)

    def told(self, events: Iterable[Event]) -> Iterator[Event]:
        """Tell all events, one after the other, then finish."""
        yield from map(self.tell, events)
        self.finish()

    def tell(self, event: Event) -> Event:
        """Take in the next event. Returns it with its term where that can be inferred, and its peer by name."""
        if event.event == OTHER:
            if voice_of(event.module) == "raft":
                self.unparsed += 1
            return event
        self.names.learn(event)
        server = self._servers.get(event.server)
        if server is None:
            server = self._servers[event.server] = _Server(event.server)
        server.last = event.time or server.last
        act = self._acts.get(event.event)
        term = act(server, event) if act else None
        if event.term is not None:
            self._seen(server, event)
        return self._told(event, term if term is not None else server.term)

    def finish(self) -> None:
        """Settle what is open: the log has ended."""
        for server in self._servers.values():
            if server.reign and self._is_superseded(server.reign):
                self._end_reign(server, server.last, "silent")
        while self._open:
            self._settle_oldest()

    # -- terms -----------------------------------------------------------------------------------------------

    def _seen(self, server: _Server, event: Event) -> None:
        if event.event not in _PROPOSED and (server.term is None or event.term > server.term):  # type: ignore[operator]
            server.term = event.term

    def _told(self, event: Event, term: int | None) -> Event:
        peer = self.names(event.peer)
        source = event.term_source
        if event.term is not None:
            term = event.term
        elif term is not None:
            source = "inferred"
        if peer == event.peer and term == event.term:
            return event
        return Event(
            event.time, event.server, event.event, term, source, peer, event.level, event.module, event.file,
            event.line_no, event.line, event.values,
        )  # fmt: skip

    def _next_term(self, server: _Server, event: Event) -> tuple[int | None, Literal["line", "inferred"] | None]:
        """The term of a candidacy. Before Consul 0.7 no line has it: it is counted, from 1 at the first election."""
        if event.term is not None:
            return event.term, "line"
        own = max(server.term or 0, self._won or 0)
        if own == 0 and not self._from_the_beginning:
            return None, None
        for one in self._open:
            if one.term is not None and one.candidate != server.name and not _unheard(one, server.name, event.time):
                own = max(own, one.term)
        return own + 1, "inferred"

    # -- what each event does --------------------------------------------------------------------------------

    def _wait(self, _: _Server, __: Event) -> None:
        """A server without peers, before any election: the log begins before the cluster does."""
        self._from_the_beginning = True

    def _time_out(self, server: _Server, _: Event) -> None:
        server.cause = "heartbeat_timeout"

    def _try_again(self, server: _Server, event: Event) -> int | None:
        server.cause = "election_timeout"
        return self._end_election(server, event)

    def _stand(self, server: _Server, event: Event) -> int | None:
        self._end_election(server, event)
        self._end_reign(server, event.time, "newer_term")
        cause: Cause = "transfer" if server.cause == "unknown" and server.role == "follower" else server.cause
        term, source = self._next_term(server, event)
        election = Election(server.name, term, source, cause, event.time)
        server.role, server.cause, server.election, server.ending = "candidate", "unknown", election, None
        self._open.append(election)
        if term is not None and event.term is None:
            server.term = term
        if len(self._open) > UNSETTLED:
            self._settle_oldest()
        return term

    def _count(self, server: _Server, event: Event) -> int | None:
        if server.election is None:
            return None
        election = server.election
        if event.event == "votes_needed":
            election.needed = _number(event.values.get("needed"))
        elif event.event == "vote_granted":
            tally = _number(event.values.get("tally"))
            voter = self.names(event.peer)
            election.vote(voter or (server.name if tally == 1 else None), tally)
        elif event.event == "vote_self":
            election.vote(server.name, None)
        return election.term

    def _pre_vote(self, server: _Server, event: Event) -> int | None:
        if server.election is None:
            return None
        if event.event == "prevote_won":
            server.election.pre_vote = "won"
        elif event.event == "prevote_lost":
            server.election.pre_vote = "lost"
        return server.election.term

    def _win(self, server: _Server, event: Event) -> int | None:
        election = server.election
        if election is None:
            # The log begins in the middle of a campaign.
            election = server.election = Election(server.name, event.term, event.term_source, "unknown", None)
            self._open.append(election)
        election.tally = _number(event.values.get("tally")) or election.tally
        election.outcome, election.end = "won", event.time
        self._won = max(self._won or 0, election.term or 0)
        server.term = election.term if election.term is not None else server.term
        return election.term

    def _lead(self, server: _Server, event: Event) -> int | None:
        term = server.election.term if server.election else server.term
        self._end_reign(server, event.time, "restarted")
        server.role, server.election, server.ending = "leader", None, None
        server.reign = Reign(server.name, term, event.time)
        self.leaders.append(server.reign)
        return term

    def _follow(self, server: _Server, event: Event) -> int | None:
        term = server.term
        if server.election:
            server.election.fell_back = True
            term = self._end_election(server, event)
        self._end_reign(server, event.time, "newer_term")
        server.role, server.cause = "follower", "unknown"
        return term

    def _start(self, server: _Server, event: Event) -> None:
        """A process begins: whatever the one before it was doing is over."""
        self._end_election(server, event)
        self._end_reign(server, event.time, "restarted")
        server.role, server.cause = "follower", "unknown"

    def _fall_back(self, server: _Server, event: Event) -> int | None:
        if server.election is None:
            return None
        server.election.fell_back = True
        return self._end_election(server, event)

    def _notice(self, server: _Server, event: Event) -> int | None:
        """What will end a reign says so before it ends; losing the quorum ends it at once."""
        term = server.reign.term if server.reign else None
        ending = _ENDS[event.event]
        if ending == "transfer":
            server.transferring = event.time
        if ending != "newer_term" or not self._is_transferring(server, event):
            server.ending = ending
        if event.event == "quorum_lost_stepdown":
            self._end_reign(server, event.time, "quorum_lost")
        return term

    @staticmethod
    def _is_transferring(server: _Server, event: Event) -> bool:
        """Whether the newer term is that of the server which the leader hands its leadership to."""
        if server.ending != "transfer" or server.transferring is None or event.time is None:
            return server.ending == "transfer"
        return (event.time - server.transferring).total_seconds() < TRANSFER_SECONDS

    def _lose(self, server: _Server, event: Event) -> int | None:
        term = server.reign.term if server.reign else server.term
        self._end_reign(server, event.time, "stopped")
        return term

    def _refuse(self, server: _Server, event: Event) -> int | None:
        if event.event == "vote_duplicate_term":
            # The line names no candidate: it is who stands in that term just now.
            for one in self._open:
                if one.term == event.term and one.end is None and one.candidate != server.name:
                    one.refuse(server.name, "already voted")
            return event.term
        candidate = self._servers.get(self.names.server(event.peer) or "")
        if candidate is None or candidate.election is None:
            return None
        candidate.election.refuse(server.name, event.values.get("reason") or _reason_of(event))
        return candidate.election.term

    def _announce(self, _: _Server, event: Event) -> int | None:
        leader = self._servers.get(self.names.server(event.peer) or "")
        return leader.reign.term if leader and leader.reign else None

    # -- ends ------------------------------------------------------------------------------------------------

    def _end_election(self, server: _Server, event: Event) -> int | None:
        election, server.election = server.election, None
        if election is None:
            return server.term
        if election.end is None:
            election.end = event.time
        return election.term

    def _end_reign(self, server: _Server, time: datetime | None, otherwise: EndedBy) -> None:
        if server.reign is None:
            return
        server.reign.until, server.reign.ended_by = time, server.ending or otherwise
        server.reign, server.ending = None, None

    def _is_superseded(self, reign: Reign) -> bool:
        later = self.leaders[self.leaders.index(reign) + 1 :]
        return any(one.server != reign.server for one in later)

    def _settle_oldest(self) -> None:
        election = self._open.popleft()
        known = [*self.elections[-UNSETTLED:], *self._open]
        same = election.term is not None
        rivals = [one for one in known if same and one.term == election.term and one.candidate != election.candidate]
        election.settle([one for one in rivals if one.pre_vote != "lost"])
        # A voter whose ID nobody had explained when it voted may have a name by now.
        election.votes = [self.names(one) or one for one in election.votes]
        self.elections.append(election)


def _unheard(election: Election, server: str, now: datetime | None) -> bool:
    """Whether a server did not take over a candidate's term: it stood at the same moment, or it had a leader.

    A server that has a leader refuses a vote before it looks at its term (raft.go, requestVote).
    """
    if election.end is None and election.start == now:
        return True
    return any(one.server == server and one.reason.startswith("we have a leader") for one in election.refusals)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and text.isascii() else None


def _reason_of(event: Event) -> str:
    """The reason of a refusal as the line words it, where it stands in the message and not in a value."""
    return event.line.partition(" since ")[2].partition(":")[0].strip()
