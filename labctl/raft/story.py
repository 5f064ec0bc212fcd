"""A story out of events: terms carried to where no line prints them, elections, leaderships, and what ended each.

The same code follows a live lab and reads a finished file: each event is told once, as soon as it comes, and
only the last few elections and leaderships are needed for what comes next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from labctl.raft.collection import Conclusion
from labctl.raft.election_tracker import ElectionTracker
from labctl.raft.event import OTHER, Event
from labctl.raft.faults import Faults
from labctl.raft.leadership_tracker import LeadershipTracker
from labctl.raft.membership import SAYS_WHO_VOTES, Membership
from labctl.raft.numbers import number_of
from labctl.raft.outage_tracker import BACK, BEHIND, LOST, REMOVED
from labctl.raft.reader import is_unparsed
from labctl.raft.records import ALREADY_VOTED, Election
from labctl.raft.server_names import Names
from labctl.raft.timers import seconds_between

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from labctl.raft.collection import Record
    from labctl.raft.faults import Fault
    from labctl.raft.outage_tracker import Outage
    from labctl.raft.records import Cause, EndedBy, Leadership

TRANSFER_SECONDS = 10.0
"""How long a transfer of leadership may take: the longest election timeout that Consul can be given."""


Role = Literal["follower", "candidate", "leader"]

LATE_SECONDS = 11.0
"""How late a request for a vote may fail: the Raft transport of Consul waits 10 s for an answer."""

# Terms that a line prints and that are not the term its server is in: a candidate before its pre-vote only proposes.
# What cannot be asked for its pre-vote is said in the same words as what cannot be asked for its vote.
_PROPOSED = frozenset(
    {
        *("candidate_entered", "prevote_self", "prevote_requested", "prevote_granted", "votes_needed"),
        *("vote_rpc_failed", "prevote_unsupported"),
    }
)
_REFUSALS = frozenset({"vote_rejected_by_me", "prevote_rejected_by_me"})
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
    role: Role
    term: int | None = None
    cause: Cause = "unknown"
    election: Election | None = None
    needed: int | None = None  # votes that are a majority
    stood: datetime | None = None  # when it last became a candidate
    stood_before: datetime | None = None  # and when before that
    timer: datetime | None = None  # when its heartbeat or its election timer began to run
    waited: float | None = None
    ending: EndedBy | None = None
    transferring: datetime | None = None
    killed: datetime | None = None  # when a line said that it is killed next
    last: datetime | None = None


def records(
    events: Iterable[Event],
    *,
    since: datetime | None = None,
    names: Names | None = None,
    reached: Callable[[], datetime | None] = lambda: None,
) -> Iterator[Record]:
    """Tell a story: each event, and behind it what is settled by it; a `Conclusion` is the last.

    Args:
        events: in order of time.
        since: what was over by then is left out; terms and names are still known from it.
        names: who is who, as far as it is known beforehand.
        reached: how far the log goes, asked when the last event was told; None where nothing is known but the events.
    """
    story = Story(since, names, reached)
    begun = since is None
    for event in events:
        told = story.tell(event)
        begun = begun or (event.time is not None and since is not None and event.time >= since)
        if begun:
            yield told
        if story.settled:
            yield from story.take()
    story.finish()
    yield from story.take()
    yield Conclusion(story.servers, story.unparsed, story.unknown)


class Story:
    """What happened, as it becomes known: feed it events in their order with `tell`, then `finish`.

    Args:
        since: elections, leaderships and outages that were over by then are left out.
        names: who is who, as far as it is known beforehand.
        reached: how far the log goes; None where nothing is known but the events.

    Attributes:
        settled: what will not change any more, in the order in which it settled, until it is taken.
        unparsed: lines of a Raft module that no rule knew; `unknown` is the first of them.
        names: who is who.
        membership: who votes, as far as it is known by now.
    """

    def __init__(
        self,
        since: datetime | None = None,
        names: Names | None = None,
        reached: Callable[[], datetime | None] = lambda: None,
    ) -> None:
        self.settled: list[Election | Leadership | Outage | Fault] = []
        self.unparsed = 0
        self.unknown: Event | None = None
        self.names = Names() if names is None else names
        self.membership = Membership(self.names)
        self._since = since
        self._servers: dict[str, _Server] = {}
        settle = self._settle
        self._elections = ElectionTracker(self.names, self._is_over, settle)
        self._leaderships = LeadershipTracker(
            self.names, self._is_over, lambda server: self._servers[server].last, settle
        )
        self._faults = Faults(self._is_over, settle)
        self._reached = reached
        self._last: datetime | None = None
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
            "transfer_done_or_lost": self._after_transfer,
            "fault_began": self._break,
            "fault_ended": lambda _, event: self._faults.end(event),
            "fault_failed": self._spare,
            **dict.fromkeys(_ENDS, self._notice),
            **dict.fromkeys((*LOST, BACK, BEHIND, REMOVED), self._reach),
        }

    @property
    def servers(self) -> list[str]:
        """The servers whose logs were read."""
        return sorted(self._servers)

    def tell(self, event: Event) -> Event:
        """Take in the next event. Returns it with its term where that can be inferred, and its peer by name."""
        if event.time is not None and (self._last is None or event.time > self._last):
            self._last = event.time
        if event.event == OTHER or (event.module or "").startswith("agent.client"):
            return self._of_no_server(event)
        self.names.learn(event)
        if event.event in SAYS_WHO_VOTES:
            event = self.membership.tell(event)
        server = self._servers.get(event.server)
        if server is None:
            # The line before a candidacy says why; a log that begins with one has lost it.
            role: Role = "candidate" if event.event == "candidate_entered" else "follower"
            server = self._servers[event.server] = _Server(event.server, role)
        server.last = event.time or server.last
        if event.event == "vote_duplicate_term":
            event = self._with_candidates(event)
        elif event.event in _REFUSALS and (leader := self.names.server(event.values.get("leader"))):
            event = event._replace(values={**event.values, "leader_name": leader})
        act = self._acts.get(event.event)
        term = act(server, event) if act else None
        if event.term is not None:
            self._seen(server, event)
        if event.event == "vote_rpc_failed" and _may_be_older(server, event):
            return self._told(event, None)
        return self._told(event, term if term is not None else server.term)

    def _of_no_server(self, event: Event) -> Event:
        """Take in what is no event of a server's: unknown words, and what a client says."""
        if event.event != OTHER:
            self.names.learn(event)
            return self._told(event, None)
        if is_unparsed(event):
            self.unparsed += 1
            self.unknown = self.unknown or event
        return event

    def take(self) -> list[Election | Leadership | Outage | Fault]:
        """Take out what will not change any more: a log without end has millions of elections."""
        settled, self.settled = self.settled, []
        return settled

    def _settle(self, record: Election | Leadership | Outage | Fault) -> None:
        self.settled.append(record)

    def finish(self) -> None:
        """Settle what is open: the log has ended."""
        self._end_killed()
        self._leaderships.finish()
        self._elections.finish()
        self._faults.finish(self._end)

    # -- terms -----------------------------------------------------------------------------------------------

    def _seen(self, server: _Server, event: Event) -> None:
        if event.event not in _PROPOSED and (server.term is None or event.term > server.term):  # type: ignore[operator]
            server.term = event.term

    def _told(self, event: Event, term: int | None) -> Event:
        peer = self.names(event.peer) if event.peer else None
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
        for one in self._elections.of_others(server.name):
            if one.term is not None and not _unheard(one, server.name, event.time):
                own = max(own, one.term)
        return own + 1, "inferred"

    # -- what each event does --------------------------------------------------------------------------------

    def _wait(self, server: _Server, _: Event) -> None:
        """A server without peers, before any election: the log begins before the cluster does."""
        self._from_the_beginning = True
        # Its heartbeat timer runs on and is started anew each time; no line says when.
        server.timer = None

    def _time_out(self, server: _Server, event: Event) -> None:
        server.cause = "heartbeat_timeout"
        server.waited = seconds_between(server.timer, event.time) if _heard_of_no_leader(event) else None

    def _try_again(self, server: _Server, event: Event) -> int | None:
        server.cause = "election_timeout"
        server.waited = seconds_between(server.timer, event.time)
        return self._end_election(server, event)

    def _stand(self, server: _Server, event: Event) -> int | None:
        self._end_election(server, event)
        self._end_leadership(server, event.time, "newer_term")
        cause: Cause = "transfer" if server.cause == "unknown" and server.role == "follower" else server.cause
        term, source = self._next_term(server, event)
        election = Election(server.name, term, source, cause, event.time, waited=server.waited)
        server.role, server.cause, server.election, server.ending = "candidate", "unknown", election, None
        server.timer, server.waited = event.time, None
        server.stood_before, server.stood = server.stood, event.time
        self._elections.begin(election)
        if term is not None and event.term is None:
            server.term = term
        return term

    def _count(self, server: _Server, event: Event) -> int | None:
        if server.election is None:
            return None
        election = server.election
        if event.event == "votes_needed":
            election.needed = server.needed = number_of(event.values.get("needed"))
        elif event.event == "vote_granted":
            tally = number_of(event.values.get("tally"))
            voter = self.names(event.peer)
            if event.peer and (known := self._servers.get(voter or "")) and election.term is not None:
                # Who votes is in that term; before Consul 0.7 no line says so, and later ones only sometimes.
                known.term = max(known.term or 0, election.term)
            election.vote(voter or (server.name if tally == 1 else None), tally)
        elif event.event == "vote_self":
            election.vote(server.name, None)
        return election.term

    def _pre_vote(self, server: _Server, event: Event) -> int | None:
        if server.election is None:
            return None
        # Until it is won it is lost: where too few answer, no line says so.
        if event.event == "prevote_won":
            server.election.pre_vote = "won"
        elif server.election.pre_vote is None:
            server.election.pre_vote = "lost"
        return server.election.term

    def _win(self, server: _Server, event: Event) -> int | None:
        election = server.election
        if election is None:
            # The log begins in the middle of a campaign.
            election = server.election = Election(server.name, event.term, event.term_source, "unknown", None)
            self._elections.begin(election)
        election.tally = number_of(event.values.get("tally")) or election.tally
        election.outcome, election.end = "won", event.time
        self._won = max(self._won or 0, election.term or 0)
        server.term = election.term if election.term is not None else server.term
        return election.term

    def _lead(self, server: _Server, event: Event) -> int | None:
        self._end_killed()
        term = server.election.term if server.election else server.term
        self._end_leadership(server, event.time, "restarted")
        server.role, server.election, server.ending = "leader", None, None
        server.timer = None
        self._leaderships.begin(server.name, term, event.time)
        return term

    def _follow(self, server: _Server, event: Event) -> int | None:
        term = server.term
        if server.election:
            server.election.fell_back = True
            term = self._end_election(server, event)
        self._end_leadership(server, event.time, "newer_term")
        server.role, server.cause = "follower", "unknown"
        server.timer, server.waited = event.time, None
        return term

    def _start(self, server: _Server, event: Event) -> None:
        """A process begins: whatever the one before it was doing is over."""
        self._end_killed()
        self._faults.restart(event)
        self._end_election(server, event)
        self._end_leadership(server, event.time, "restarted")
        server.role, server.cause = "follower", "unknown"
        server.timer = None

    def _fall_back(self, server: _Server, event: Event) -> int | None:
        if server.election is None:
            return None
        server.election.fell_back = True
        return self._end_election(server, event)

    def _notice(self, server: _Server, event: Event) -> int | None:
        """What will end a leadership says so before it ends; losing the quorum ends it at once."""
        leadership = self._leaderships.of(server.name)
        term = leadership.term if leadership else None
        ending = _ENDS[event.event]
        if ending == "transfer":
            server.transferring = event.time
        if ending != "newer_term" or not self._is_transferring(server, event):
            server.ending = ending
        if event.event == "newer_term_seen_on_vote":
            # What it says of itself is of the old term, what comes next of the new one.
            term = term if term is not None else server.term
            server.term = max(server.term or 0, self._elections.newest_term()) or None
        if event.event == "quorum_lost_stepdown":
            self._end_leadership(server, event.time, "quorum_lost")
        return term

    @staticmethod
    def _after_transfer(server: _Server, event: Event) -> None:
        """A transfer that failed ends no leadership."""
        if "error" in event.values and server.ending == "transfer":
            server.ending = None

    @staticmethod
    def _is_transferring(server: _Server, event: Event) -> bool:
        """Whether the newer term is that of the server which the leader hands its leadership to."""
        if server.ending != "transfer" or server.transferring is None or event.time is None:
            return server.ending == "transfer"
        return (event.time - server.transferring).total_seconds() < TRANSFER_SECONDS

    def _reach(self, _: _Server, event: Event) -> None:
        self._leaderships.reach(event)

    def _lose(self, server: _Server, event: Event) -> int | None:
        leadership = self._leaderships.of(server.name)
        term = leadership.term if leadership else server.term
        self._end_leadership(server, event.time, "stopped")
        return term

    def _break(self, server: _Server, event: Event) -> None:
        self._faults.begin(event)
        if event.values.get("what", "").startswith("kill "):
            # It will write nothing more, so no other line says when it ceased to lead; unless it was not killed.
            server.killed = event.time

    def _spare(self, server: _Server, event: Event) -> None:
        self._faults.fail(event)
        server.killed = None

    def _end_killed(self) -> None:
        """Something follows from it that servers were killed: then they were."""
        for server in self._servers.values():
            if server.killed is not None:
                self._end_leadership(server, server.killed, "killed")
                server.killed = None

    def _refuse(self, server: _Server, event: Event) -> int | None:
        if event.event == "vote_duplicate_term":
            if server.election and server.election.term is None and event.term is not None:
                # It has voted for itself, so that is the term in which it stands.
                server.election.term, server.election.term_source = event.term, "inferred"
            for one in self._elections.asking(server.name, event.term):
                one.refuse(server.name, ALREADY_VOTED)
            return event.term
        candidate = self._servers.get(self.names.server(event.peer) or "")
        if candidate is None or candidate.election is None:
            return None
        candidate.election.refuse(server.name, event.values.get("reason") or _reason_of(event))
        return candidate.election.term

    def _with_candidates(self, event: Event) -> Event:
        """Add to a refusal whom it refused, and whom the server had voted for: the line does not say."""
        asking = self._elections.asking(event.server, event.term)
        if len(asking) != 1:
            return event
        voted_for = self._elections.voted_for(event.server, event.term)
        values = {**event.values, "voted_for": voted_for} if voted_for else event.values
        return event._replace(peer=asking[0].candidate, values=values)

    def _announce(self, server: _Server, event: Event) -> int | None:
        leadership = self._leaderships.of(self.names.server(event.peer) or "")
        term = leadership.term if leadership else None
        if term is not None:
            # A server that was a follower before says nothing else about it.
            server.term = max(term, server.term or 0)
        return term

    # -- ends ------------------------------------------------------------------------------------------------

    def _end_election(self, server: _Server, event: Event) -> int | None:
        election, server.election = server.election, None
        if election is None:
            return server.term
        if election.end is None:
            election.end = event.time
        if election.term is not None and election.pre_vote != "lost":
            server.term = max(election.term, server.term or 0)
        return election.term

    def _end_leadership(self, server: _Server, time: datetime | None, otherwise: EndedBy) -> None:
        self._leaderships.end(server.name, time, server.ending or otherwise, needed=server.needed)
        server.ending = None

    def _end(self) -> datetime | None:
        """How far the log goes: at least as far as its last event."""
        return max((one for one in (self._last, self._reached()) if one is not None), default=None)

    def _is_over(self, time: datetime | None) -> bool:
        return self._since is not None and time is not None and time < self._since


def _unheard(election: Election, server: str, now: datetime | None) -> bool:
    """Whether a server did not take over a candidate's term: it stood at the same moment, or it had a leader.

    A server that has a leader refuses a vote before it looks at its term (raft.go, requestVote).
    """
    if election.end is None and election.start == now:
        return True
    return any(one.server == server and one.reason.startswith("we have a leader") for one in election.refusals)


def _heard_of_no_leader(event: Event) -> bool:
    """Whether a heartbeat timeout says that it had no leader: then nothing can have started the timer anew.

    Before Consul 0.7 the line does not say.
    """
    values = event.values
    return event.peer is None and ("last-leader" in values or "last-leader-addr" in values or '""' in event.line)


def _may_be_older(server: _Server, event: Event) -> bool:
    """Whether a request that failed may be one of the campaign before: nobody answered it."""
    between = seconds_between(server.stood_before, event.time)
    return between is not None and between <= LATE_SECONDS


def _reason_of(event: Event) -> str:
    """The reason of a refusal as the line words it, where it stands in the message and not in a value."""
    return event.line.partition(" since ")[2].partition(":")[0].strip()
