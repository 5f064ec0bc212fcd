"""A story out of events: terms carried to where no line prints them, elections, leaderships, and what ended each.

The same code follows a live lab and reads a finished file: each event is reported once, as soon as it comes, and
only the last few elections and leaderships are needed for what comes next.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from labctl.raft.candidacy import Candidacy
from labctl.raft.clock_differences import ClockDifferences
from labctl.raft.election_tracker import ElectionTracker
from labctl.raft.electorate import Electorate
from labctl.raft.event import ASKS_FIRST, MAY_BE_ITSELF, OTHER, Event, new_event
from labctl.raft.faults import Faults
from labctl.raft.incident import Incident
from labctl.raft.leadership_tracker import LeadershipTracker
from labctl.raft.lost_quorum import lost_quorum
from labctl.raft.membership import SAYS_WHO_VOTES, Membership
from labctl.raft.named_leaders import STALE, Followers
from labctl.raft.numbers import number_of
from labctl.raft.outage_tracker import BACK, BEHIND, LOST, REMOVED
from labctl.raft.progress import Progress
from labctl.raft.reader import is_unparsed
from labctl.raft.records import ALREADY_VOTED, HAS_LEADER, OWN_LOG, Refusal, add_evidence
from labctl.raft.server_names import Names
from labctl.raft.server_state import ServerState
from labctl.raft.silences import Silences
from labctl.raft.timers import seconds_between, seconds_of
from labctl.raft.waits import Waits

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from labctl.raft.candidacy import Ended
    from labctl.raft.collection import Completed, LeadersKnown
    from labctl.raft.lost_quorum import LostQuorum
    from labctl.raft.named_leaders import Naming
    from labctl.raft.records import EndedBy, Leadership

TRANSFER_SECONDS = 10.0
"""How long a transfer of leadership may take: the longest election timeout that Consul can be given."""

LATE_SECONDS = 11.0
"""How late a request for a vote may fail: the Raft transport of Consul waits 10 s for an answer."""
HANDED_OVER_SECONDS = 1.0
"""How soon a leader gives way to the server that it hands its leadership to: no timer of Consul's is shorter."""
_AT_ONCE_SECONDS = 0.1
NO_NETWORK = "network is unreachable"
"""What the kernel of a server says at once that has no route to another one, as without any network."""
GIVES_UP_SECONDS = 1.0
"""Consul notices this soon that its Raft leads no longer."""
GAP_SECONDS = 60.0
"""A candidate is silent for so long only where lines are missing: no timer of Consul runs for more than 20 s."""

# Terms that a line prints and that are not the term its server is in: a candidate before its pre-vote only proposes.
# What cannot be asked for its pre-vote is said in the same words as what cannot be asked for its vote.
_PROPOSED = frozenset(
    {
        *("candidate_entered", "prevote_self", "prevote_requested", "prevote_granted", "votes_needed"),
        *("vote_rpc_failed", "prevote_unsupported"),
    }
)
_TOLD_WITH_MORE = frozenset(
    {
        *("vote_rejected_by_me", "prevote_rejected_by_me", "vote_duplicate_term", "candidate_entered", "fault_ended"),
        *("container_killed", "container_stopped", "container_ended", "container_paused", "new_leader_announced"),
    }
)
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
# Only a leader says this, and while it leads.
_LEADS = frozenset({"peer_unreachable", "quorum_lost_stepdown", "peer_added", "config_change", "leadership_acquired"})
# Only a leader says this; it may say it a moment after it has ceased to be one.
_LED = frozenset({"replication_pipelining", "peer_newer_term", "transfer_started", "new_leader_stepdown"})
_BY_A_LEADER = _LEADS | _LED | {"leadership_lost"}
# What was done to the process of a server, and what that does to its leadership.
_SUSPENDS: dict[str, EndedBy] = {
    "container_killed": "killed",
    "container_stopped": "stopped",
    "container_ended": "ended",
    "container_paused": "paused",
}
_BREAKS: dict[str, EndedBy] = {"kill": "killed", "stop": "stopped", "pause": "paused"}
_ASKS_FIRST = "prevote_"
VOTES_AGAIN = "votes_again"
"""A value of `duplicate requestVote for same term` where the next line says that the vote was granted, again."""
# How a line names no server: the leader chooses its successor itself.
_NOBODY = frozenset({None, "<nil>", "null"})
_GRAVE = frozenset({"warn", "error"})
"""Levels of a log that does not say who stands for election, wins or leads: that is of level info."""


class Story:
    """What happened, as it becomes known: feed it events in their order with `feed`, then `finish`.

    Args:
        names: who is who, as far as it is known beforehand.
        reached: how far the log goes; None where nothing is known but the events.
        complete: whether these are the logs of all servers of a cluster.

    Attributes:
        settled: records that will no longer change, in the order in which they settled, until they are taken.
        silence: that of a server which the last event ended, where there was one.
        naming: the leader that the last event named, where it named one.
        unparsed: lines of a Raft module that no rule knew; `unknown` is the first of them.
        names: who is who.
        progress: how much of the logs is read by now.
        membership: who votes, as far as it is known by now.
        waiting: servers that knew no peers and waited.
        reads_all: whether the logs of all who vote are read: what no line says of any of them did not happen.
    """

    def __init__(
        self,
        names: Names | None = None,
        reached: Callable[[], datetime | None] = lambda: None,
        *,
        complete: bool = False,
    ) -> None:
        self.settled: list[Completed] = []
        self.silence: Event | None = None
        self.naming: Naming | None = None
        self.unparsed = 0
        self.unknown: Event | None = None
        self.names = Names() if names is None else names
        self.membership = Membership(self.names)
        self._servers: dict[str, ServerState] = {}
        self._electorate = Electorate(self.names, self._servers, complete=complete)
        self.reads_all = self._electorate.reads_all
        self._faults = Faults(self._settle)
        self._waits = Waits(self.reads_all)
        self.progress = Progress(self.reads_all)
        self._clocks = ClockDifferences(self.names, self.progress, are_one=complete)
        self._elections = ElectionTracker(
            self.names,
            settled=self._settle,
            is_apart=self._faults.are_apart,
            asks_first=self._asks_first,
            asks_at_once=lambda: any(server_state.asks_at_once for server_state in self._servers.values()),
            reads_all=self.reads_all,
            clocks=self._clocks,
            progress=self.progress,
            waits=self._waits,
        )
        self._leaderships = LeadershipTracker(
            self.names, self._last_word, self._settle, self.reads_all, self._lost_quorum, self._clocks, self.progress
        )
        self.is_explained = self._faults.explain
        self._silences = Silences(self.names, self.is_explained, self.leads)
        self._reached = reached
        self._last: datetime | None = None
        self._won: int | None = None
        self._from_the_beginning: bool | None = None
        self._counts = True
        self._elected = False
        self._leader_named = False
        self._followers = Followers()
        self._named_by: tuple[str, set[str]] = ("", set())  # a leader, and who has named it
        self.waiting: set[str] = set()
        self._debug = False
        self._somebody_asks_first = False
        self._transfer: Event | None = None
        self._acts: dict[str, Callable[[ServerState, Event], int | None]] = {
            "config_initial": self._start,
            "no_known_peers": self._wait,
            "election_suppressed": self._wait_longer,
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
            "vote_rpc_failed": self._fail_to_ask,
            "prevote_denied": self._pre_vote,
            "prevote_won": self._pre_vote,
            "prevote_lost": self._pre_vote,
            "prevote_denied_newer_term": self._pre_vote,
            "prevote_rejected_by_me": self._refuse_pre_vote,
            "newer_term_fallback": self._fall_back,
            "election_won": self._win,
            "leader_entered": self._lead,
            "follower_entered": self._follow,
            "leadership_lost": self._lose,
            "vote_rejected_by_me": self._refuse,
            "vote_duplicate_term": self._refuse_twice,
            "vote_duplicate_candidate": self._vote_again,
            "new_leader_announced": self._announce,
            "transfer_done_or_lost": self._after_transfer,
            "fault_began": self._break,
            "fault_ended": self._mend,
            "fault_failed": self._spare,
            "container_unpaused": self._go_on,
            "container_started": self._start_container,
            "shutdown_began": self._shut_down,
            "log_write_failed": self._fail_to_write,
            **dict.fromkeys(_SUSPENDS, self._suspend),
            **dict.fromkeys(_ENDS, self._notice),
            **dict.fromkeys((*LOST, BACK, BEHIND, REMOVED), self._reach),
        }

    @property
    def servers(self) -> list[str]:
        """The servers whose logs were read."""
        return sorted(self._servers)

    @property
    def leaders_known(self) -> LeadersKnown:
        """What the logs say of leaders at all."""
        if self._leader_named or not self._leaderships.none_yet:
            return "seen"
        return "waiting" if self.waiting else "unknown"

    def leads(self, server: str) -> bool:
        """Whether a server leads, as far as is known."""
        return self._leaderships.of(server) is not None

    def _lost_quorum(self, server: str, time: datetime | None, reach: bool = False) -> LostQuorum | None:
        """Whether too few voters ran at a time; with `reach`, whether a server could reach too few."""
        return lost_quorum(self.membership, self.names, self._faults, time, server if reach else None)

    def feed(self, event: Event) -> Event:
        """Take in the next event. Returns it with its term where that can be inferred, and its peer by name."""
        time, kind, level, module = event.time, event.event, event.level, event.module
        if time is not None and (self._last is None or time > self._last):
            self._last = time
        # Whatever a server says, it is not silent.
        self.silence, self.naming = self._silences.take(event), None
        if self.silence is not None:
            self._had_been(self.silence)
        if kind == OTHER or (module is not None and module.startswith("agent.client")):
            return self._of_no_server(event)
        self.names.learn(event)
        self._clocks.take(event)
        if kind in SAYS_WHO_VOTES:
            event = self._who_votes(event)
        self._elections.number += 1
        server = self._servers.get(event.server) or self._servers.setdefault(event.server, ServerState(event.server))
        if level == "debug":
            self._debug = server.tells_requests = True
        server.tells = server.tells or level not in _GRAVE
        self.progress.take(event)
        if kind in _TOLD_WITH_MORE:
            event = self._with_more(server, event)
        self._break_off(server, event)
        if server.role != "leader" and kind in _BY_A_LEADER:
            self._assume_leader(server, event)
        self._end_old_transfer(server, event)
        act = self._acts.get(kind)
        term = act(server, event) if act else None
        server.last = time or server.last
        if event.term is not None:
            self._seen(server, event)
        self._elections.settle_until(self._last)
        if kind == "vote_rpc_failed" and _may_be_older(server, event):
            return self._told(event, None)
        return self._told(event, term if term is not None else server.term)

    def _who_votes(self, event: Event) -> Event:
        event = self.membership.feed(event)
        self._electorate.take(self.membership.members or ())
        return event

    def _had_been(self, silence: Event) -> None:
        """A server had been silent until now."""
        if silence.time is not None:
            since = silence.time - timedelta(seconds=float(silence.values["seconds"]))
            self._leaderships.was_silent(silence.server, since, silence.time)

    def _of_no_server(self, event: Event) -> Event:
        """Take in what is no event of a server's: unknown words, and what a client says."""
        if event.event != OTHER:
            self.names.learn(event)
            self._leader_named = self._leader_named or (event.event == "new_leader_announced" and bool(event.peer))
            return self._told(event, None)
        if is_unparsed(event):
            self.unparsed += 1
            self.unknown = self.unknown or event
        return event

    def drain(self) -> list[Completed]:
        """Take out the records that will no longer change: an endless log has millions of elections."""
        settled, self.settled = self.settled, []
        return settled

    def _settle(self, record: Completed) -> None:
        self.settled.append(record)

    def finish(self) -> None:
        """Settle what is open: the log has ended."""
        self.progress.is_over = True
        self._leaderships.finish()
        self._elections.finish()
        self._faults.finish(self._end)

    def settle(self, now: datetime) -> None:
        """Settle what was over long enough before a time, also where nobody has said anything since."""
        self._elections.settle_until(now)

    # -- terms -----------------------------------------------------------------------------------------------

    def _seen(self, server: ServerState, event: Event) -> None:
        if event.event not in _PROPOSED and (server.term is None or event.term > server.term):  # type: ignore[operator]
            server.term = event.term

    def _told(self, event: Event, term: int | None) -> Event:
        time, server, kind, its_term, source, called, level, module, file, line_no, line, values = event
        peer = self.names(called) if called else None
        if its_term is not None:
            term = its_term
        elif term is not None:
            source = "inferred"
        if peer == called and term == its_term:
            return event
        return new_event((time, server, kind, term, source, peer, level, module, file, line_no, line, values))

    def _next_term(self, server: ServerState, event: Event) -> tuple[int | None, Literal["line", "inferred"] | None]:
        """The term of a candidacy. Before Consul 0.7 no line has it: it is counted, from 1 at the first election."""
        if event.term is not None:
            return event.term, "line"
        if event.values.get("node") == "":
            return None, None  # the line is cut off in front of it
        own = max(server.term or 0, self._won or 0)
        if not self._counts or (own == 0 and not self._from_the_beginning):
            return None, None
        for candidacy in self._elections.of_others(server.name):
            if candidacy.term is not None and not self._is_unheard(candidacy, server.name, event.time):
                own = max(own, candidacy.term)
        return own + 1, "inferred"

    def _is_unheard(self, candidacy: Candidacy, server: str, now: datetime | None) -> bool:
        """Whether a server did not take over a candidate's term: it stood at the same moment, or it had a leader.

        A server that has a leader refuses a vote before it looks at its term (raft.go, requestVote).
        """
        return (candidacy.end is None and candidacy.start == now) or self._elections.has_leader(server, candidacy)

    # -- what each event does --------------------------------------------------------------------------------

    def _wait(self, server: ServerState, _: Event) -> None:
        """A server without peers, before any election: the log begins before the cluster does."""
        if self._from_the_beginning is None:
            self._from_the_beginning = not self._elected and not self._leader_named
        self.waiting.add(server.name)
        # Its heartbeat timer runs on and is restarted each time; no line says when.
        server.timer = None

    def _wait_longer(self, server: ServerState, _: Event) -> None:
        """A server without a vote, whose timer runs on and is restarted each time."""
        server.timer = None
        self._electorate.has_no_vote(server.name)

    def _time_out(self, server: ServerState, event: Event) -> None:
        self._leads_no_longer(server)
        server.cause, server.tells_timeouts = "heartbeat_timeout", True
        self._learn_wording(server, is_new="last-leader-addr" in event.values)
        server.waited = self._waits.by_the_timer(server, event.time) if self._waits.ran_through(server, event) else None
        self._hear_of_leader(event.peer, event)
        self._name(event.peer, event)
        self._followers.have_none(event)
        self._leaderships.miss(server.name, event.time)
        known = self.names(event.peer)
        if known is not None and known not in self._servers:
            # Nobody reads the log of that leader, so this is all that is known of its end.
            self._leaderships.lose_track(known)

    @staticmethod
    def _learn_wording(server: ServerState, *, is_new: bool) -> None:
        """A line shows by its wording whether a server may ask for pre-votes, also in the candidacy before it."""
        if server.is_new is None and server.before is not None and not is_new:
            server.before.may_ask_first = False
        server.is_new = is_new

    def _leads_no_longer(self, server: ServerState) -> None:
        """What only a follower or a candidate says; at level warn, no other line shows that a leadership is over."""
        self._leaderships.lose_track(server.name)
        server.role = None if server.role == "leader" else server.role

    def _has_no_leader(self, server: ServerState) -> None:
        """What only a server says that has no leader, and is none: else it refuses because of that leader.

        Only who is handed a leadership gets as far with a leader.
        """
        if server.ending != "transfer":
            self._leads_no_longer(server)
            server.role = server.role or "follower"

    def _try_again(self, server: ServerState, event: Event) -> int | None:
        self._leads_no_longer(server)
        server.cause, server.tells_timeouts = "election_timeout", True
        server.waited = self._waits.by_the_timer(server, event.time)
        return self._end_candidacy(server, event, "timeout")

    def _stand(self, server: ServerState, event: Event) -> int | None:
        self._end_candidacy(server, event, "again")
        self._step_down(server, event)
        self._electorate.stands(server.name)
        self._followers.have_none(event)
        cause = server.cause
        unprompted = cause == "unknown" and server.role != "candidate"
        if unprompted and self._transfer is not None and self._is_handed_to(server.name, event.time, self._transfer):
            cause = "transfer"
        term, source = self._next_term(server, event)
        if server.before is not None:
            self._stand_again(server, server.before, term)
        self._elected = True
        candidacy = Candidacy(server.name, term, source, cause, event.time, server.waited, unprompted=unprompted)
        candidacy.was_follower = server.role == "follower"
        candidacy.quorum = self._lost_quorum(server.name, event.time)
        # Before Consul 1.7 no line had named values: the server names itself in the sentence.
        has_values = "node" in event.values and "[candidate] entering" not in event.line.lower()
        is_new = server.is_new or (server.is_new is None and has_values)
        candidacy.may_ask_first = is_new and not server.moves_on
        add_evidence(candidacy.evidence, event)
        server.role, server.cause, server.ending = "candidate", "unknown", None
        server.candidacy = server.before = candidacy
        server.timer, server.waited = event.time, None
        server.stood_before, server.stood = server.stood, event.time
        self._elections.begin(candidacy)
        self._leaderships.stand(term)
        for other in self._servers.values():
            other.was_asked = other.was_asked or other is not server
        if term is not None and event.term is None:
            server.term = term
        return term

    @staticmethod
    def _stand_again(server: ServerState, before: Candidacy, term: int | None) -> None:
        """A candidate stands again: who had asked for pre-votes only is still in its term, and who won them says so."""
        before.stood_again = term
        if term is not None and before.term == term:
            server.asks_first = True
        elif term is not None and before.term is not None and before.pre_vote is None:
            server.moves_on = True

    def _is_handed_to(self, server: str, time: datetime | None, begun: Event) -> bool:
        """Whether a leader said that it transfers its leadership, to this server or to any."""
        if begun.server == server:
            return False
        if begun.time is not None and time is not None:
            passed = (time - begun.time).total_seconds()
            if not -1.0 <= passed < TRANSFER_SECONDS:
                return False
        return begun.peer in _NOBODY or self.names.place(begun.peer or "") == self.names.place(server)

    def _count(self, server: ServerState, event: Event) -> int | None:
        if event.event == "votes_needed":
            server.needed = number_of(event.values.get("needed")) or server.needed
            self._electorate.need(server.needed or 0)
        candidacy = server.candidacy
        if candidacy is None:
            return None
        if event.event == "votes_needed":
            candidacy.needed = server.needed
            return candidacy.term
        candidacy.asked = True
        if event.event == "vote_granted":
            tally = number_of(event.values.get("tally"))
            voter = self.names(event.peer)
            if event.peer and (known := self._servers.get(voter or "")) and candidacy.term is not None:
                # A server that votes is in that term; before Consul 0.7 no line says so, and later ones only sometimes.
                known.term = max(known.term or 0, candidacy.term)
            candidacy.vote(voter or (server.name if tally == 1 else None), tally)
        elif event.event == "vote_self":
            candidacy.vote(server.name, None)
        add_evidence(candidacy.evidence, event)
        return candidacy.term

    def _pre_vote(self, server: ServerState, event: Event) -> int | None:
        server.asks_first = True
        candidacy = server.candidacy
        if candidacy is None:
            return None
        kind = event.event.removeprefix(_ASKS_FIRST)
        if kind in {"won", "lost"}:
            candidacy.pre_vote, candidacy.pre_vote_end = ("won" if kind == "won" else "lost"), event.time
            server.timer = event.time  # that restarts its election timer
        elif candidacy.pre_vote is None:
            candidacy.pre_vote = "asked"
        if kind in {"granted", "self"}:
            voter = self.names(event.peer) or server.name
            if voter not in candidacy.pre_votes:
                candidacy.pre_votes.append(voter)
        elif kind == "denied" and event.peer and not self._could_not_ask(candidacy, event):
            candidacy.refuse_pre_vote(Refusal(self.names(event.peer) or event.peer, ""))
        tally = number_of(event.values.get("tally"))
        if kind != "denied_newer_term":
            candidacy.pre_tally = max(candidacy.pre_tally, tally if tally is not None else len(candidacy.pre_votes))
        candidacy.needed = number_of(event.values.get("votesNeeded")) or candidacy.needed
        if kind not in {"requested", "received"}:
            add_evidence(candidacy.evidence, event)
        if kind == "denied_newer_term":
            candidacy.pre_vote, candidacy.pre_vote_end = "lost", event.time
            return self._end_candidacy(server, event, "follower")
        return candidacy.term

    def _fail_to_ask(self, server: ServerState, event: Event) -> int | None:
        if event.term is None and event.line.count('"') % 2 == 0 and "error" in event.values:
            # Raft names the term here since before it could ask for pre-votes, of which it says the same.
            server.asks_at_once = True
        if server.candidacy is not None and event.peer:
            name = self.names(event.peer) or event.peer
            server.candidacy.not_asked[name] = event.time
            is_late = "timeout" in event.line or "timed out" in event.line
            # What fails at once is of this campaign; any other failure may belong to the campaign before.
            at_once = "refused" in event.line or NO_NETWORK in event.line
            if not is_late and (at_once or not _may_be_older(server, event)):
                server.candidacy.unreached.add(name)
            if NO_NETWORK in event.line:
                server.candidacy.no_route.add(name)
            if "refused" in event.line:
                self._leaderships.find_down(name, event.time)
        return None

    def _could_not_ask(self, candidacy: Candidacy, denied: Event) -> bool:
        """Whether nobody denied a pre-vote: Raft counts servers that it could not ask as denied at once."""
        failed = candidacy.not_asked.get(self.names(denied.peer) or denied.peer or "")
        between = seconds_between(failed, denied.time)
        return between is not None and between <= _AT_ONCE_SECONDS

    def _asks_first(self, name: str) -> bool:
        """Whether a server asks for pre-votes: it or, where no line of its own says otherwise, another one does."""
        server = self._servers.get(name)
        if server is None or server.asks_first or server.asks_at_once:
            return server is not None and server.asks_first
        return self._somebody_asks_first or any(each_server.asks_first for each_server in self._servers.values())

    def _refuse_pre_vote(self, server: ServerState, event: Event) -> None:
        candidate = self._servers.get(self.names.server(event.peer) or "")
        if candidate is not None:
            candidate.asks_first = True
        self._somebody_asks_first = True  # the line need not say who
        refusal = self._refusal(server.name, event)
        if refusal.leader is not None:
            self._name(event.values.get("leader"), event)
        if event.peer:
            self._elections.answer(event, refusal, event.peer, pre_vote=True)

    def _win(self, server: ServerState, event: Event) -> int | None:
        candidacy = server.candidacy
        if candidacy is None:
            # The log begins in the middle of a campaign.
            candidacy = server.candidacy = Candidacy(server.name, event.term, event.term_source, "unknown", None)
            self._elections.begin(candidacy)
        # A server that is handed the leadership asks for no pre-vote, whatever its version.
        at_once = candidacy.pre_vote is None and candidacy.start is not None and not candidacy.unprompted
        server.asks_at_once = server.asks_at_once or at_once
        self._elected = True
        candidacy.tally = number_of(event.values.get("tally")) or candidacy.tally
        candidacy.asked = True
        self._elections.end(candidacy, "won", event)
        self._won = max(self._won or 0, candidacy.term or 0)
        server.term = candidacy.term if candidacy.term is not None else server.term
        return candidacy.term

    def _lead(self, server: ServerState, event: Event) -> int | None:
        candidacy = server.candidacy
        if candidacy is not None and candidacy.ended is None:
            # A server that enters leader state has won, with or without the line that says so.
            self._elections.end(candidacy, "won", event)
            self._won = max(self._won or 0, candidacy.term or 0)
        term = candidacy.term if candidacy else server.term
        self._leaderships.lead_again(server.name, event.time)
        server.role, server.candidacy, server.before, server.ending = "leader", None, None, None
        server.timer, server.led = None, True
        self._elected = True
        self._leaderships.begin(server.name, term, event, candidacy)
        return term

    def _assume_leader(self, server: ServerState, event: Event) -> None:
        """A server that says what only a leader says leads: since before its log, or since lines that are cut."""
        says = event.event
        if "node" in event.values:
            return
        is_over = says == "leadership_lost" and (server.role is None or _had_just_led(server, event))
        if says not in _LEADS and not is_over and not (server.role is None and says in _LED):
            return
        candidacy, server.candidacy, server.before = server.candidacy, None, None
        if candidacy is not None and candidacy.ended is None:
            self._elections.end(candidacy, "won", None)
            server.term = candidacy.term if candidacy.term is not None else server.term
        if self._leaderships.of(server.name) is None:
            term = candidacy.term if candidacy is not None else server.term
            if candidacy is None and term is not None and self._leaderships.is_of_another(server.name, term):
                term = None  # what it knows of a term is that it heard of its successor
            self._leaderships.assume(
                server.name, term, event, led=_led_at(server, event) if candidacy is None else None
            )
        self._leaderships.show(server.name)
        server.role, server.ending, server.timer, server.led = "leader", None, None, True
        self._elected = True

    def _hear_of_leader(self, peer: str | None, event: Event, *, leads: bool = False) -> None:
        """A line names a leader before the first one of the log: that leadership is older, or still goes on."""
        leader = self.names(peer) or peer
        self._leader_named = self._leader_named or bool(leader)
        if leader:
            self._show_earlier_terms()
        if (leader and (leads or not self._elected) and self._leaderships.none_yet) or (
            leader and leads and self._is_named_again(leader, event)
        ):
            self._assume_named(leader, event)

    def _name(self, peer: str | None, event: Event) -> None:
        """A line names a leader, which may have been lost since."""
        time = event.time
        if not peer or time is None:
            return
        runs = not self._silences.was_missed and not self._faults.explain(event.server, time - STALE)
        self.naming = self._followers.name(event, self.names(peer), runs=runs)
        if self.naming is not None and not self.naming.is_missed:
            self._leaderships.find(event.server)
        if self.naming is not None and not self.naming.is_fresh:
            self._leaderships.name(peer, time)
        if self.naming is not None and self.naming.leader not in self._servers:
            self._assume_newer(self.naming)

    def _assume_newer(self, naming: Naming) -> None:
        """A line shows a leader after the last one, whose own log is not read."""
        if naming.after is not None and self._leaderships.is_vacant(naming.leader, naming.after):
            self._leaderships.assume(naming.leader, None, naming.event)
            if naming.is_missed:
                self._leaderships.lose_track(naming.leader)

    def _show_earlier_terms(self) -> None:
        """A line shows a leader, or a candidate; where none is known so far, there were elections before."""
        if not self._elected:
            self._from_the_beginning = False

    def _assume_named(self, leader: str, event: Event) -> None:
        """Others name a leader; where its own log shows that it does not lead by now, it did so before."""
        named = self._servers.get(leader)
        self._leaderships.assume(leader, None, event)
        # What is announced may be what it says itself in a moment, by another clock.
        if named is not None and named.role in {"follower", "candidate"} and event.event != "new_leader_announced":
            self._leaderships.lose_track(leader)

    def _is_named_again(self, leader: str, event: Event) -> bool:
        """Whether a second server names a leader whose log is not read, while nobody else is known to lead."""
        if leader in self._servers or not self._leaderships.is_news(leader):
            return False
        if self._named_by[0] != leader:
            self._named_by = (leader, set())
        self._named_by[1].add(event.server)
        return len(self._named_by[1]) > 1

    def _follow(self, server: ServerState, event: Event) -> int | None:
        term = server.term
        if server.is_new is None:
            self._learn_wording(server, is_new="leader-address" in event.values)
        if server.candidacy:
            term = self._end_candidacy(server, event, "follower")
        self._step_down(server, event)
        server.followed = event.time if server.role is None and not server.led else None
        server.role, server.cause, server.ending, server.before = "follower", "unknown", None, None
        server.timer, server.waited = event.time, None
        # One that asked shortly before may still be heard.
        server.was_asked = bool(event.peer) or any(True for _ in self._elections.of_others(server.name))
        self._leaderships.follow(event.peer, event.time)
        self._hear_of_leader(event.peer, event)
        self._followers.have_none(event)
        self._name(event.peer, event)
        return term

    def _step_down(self, server: ServerState, event: Event) -> None:
        """A server no longer leads. Where no line of its own says why, a newer term in other logs does."""
        leadership = self._leaderships.of(server.name)
        if leadership is None:
            return
        if event.event == "candidate_entered" and self._leaderships.is_just_named(server.name, event.time):
            return  # by an earlier clock, others may have heard of what it leads in when it has won
        by = server.ending
        if by in {None, "newer_term"} and (candidacy := self._handed_to(server, leadership, event)) is not None:
            by = candidacy.cause = "transfer"
        if by is None:
            newer = self._elections.newest_term() > (leadership.term or 0)
            by = "newer_term" if newer or self._leaderships.is_superseded(server.name) else "unknown"
        self._leaderships.end(server.name, event, by, needed=server.needed)

    def _handed_to(self, server: ServerState, leadership: Leadership, event: Event) -> Candidacy | None:
        """The candidacy for which a leader gave way, where that shows that it was told to stand.

        A server stands when a timeout is over, and says so; only one that is handed the leadership waits for none. At
        level info, nothing else shows it. A leader that runs gives way to no other request (raft.go, requestVote). That
        no line of a timeout was left out is seen by those of others.
        """
        newer = [
            candidacy
            for candidacy in self._elections.of_others(leadership.server)
            if candidacy.ended in {None, "won"} and (candidacy.term or 0) > (leadership.term or 0)
        ]
        if len(newer) != 1 or leadership.term is None or event.event != "follower_entered" or server.tells_requests:
            return None
        (candidacy,) = newer
        passed = seconds_between(candidacy.start, event.time)
        tells_timeouts = any(known.tells_timeouts for known in self._servers.values())
        is_shown = (
            candidacy.unprompted and candidacy.term_source == "line" and candidacy.was_follower and tells_timeouts
        )
        return candidacy if is_shown and passed is not None and passed < HANDED_OVER_SECONDS else None

    def _start(self, server: ServerState, event: Event) -> None:
        """A process begins: whatever the one before it was doing is over."""
        self._faults.run(event)
        self._faults.restart(event)
        self._followers.start(event)
        self._end_candidacy(server, event, "restart")
        self._leaderships.end(server.name, event, server.ending or "restarted", needed=server.needed)
        server.role, server.cause, server.ending, server.before = "follower", "unknown", None, None
        server.timer = None

    def _start_container(self, server: ServerState, event: Event) -> None:
        server.is_back = True
        self._start(server, event)

    def _go_on(self, server: ServerState, event: Event) -> None:
        server.is_back = True
        self._faults.run(event)
        self._leaderships.resume(server.name)

    def _shut_down(self, server: ServerState, event: Event) -> None:
        """Its process ends. A server that had left or had transferred its leadership led no longer."""
        self._faults.halt(event)
        if server.ending not in {"left", "transfer"}:
            self._leaderships.suspend(server.name, "stopped", event)

    @staticmethod
    def _fail_to_write(server: ServerState, event: Event) -> None:
        """A leader that cannot write an entry gives up; a follower only says so (raft.go, dispatchLogs)."""
        if event.values.get("what", "").lower() == "commit":
            server.ending = "log_failed"

    def _suspend(self, server: ServerState, event: Event) -> None:
        server.is_back = False
        self._faults.halt(event)
        by = _SUSPENDS[event.event]
        if by == "ended":
            # Docker no longer has to say how: the line of the fault does.
            by = _BREAKS.get(self._faults.verb_of(event.values.get("fault", "")), by)
            if by == "stopped":
                # It took its time to end; the line of the fault is nearer to when it was told to.
                self._leaderships.suspend_unless_known(server.name, by, event)
                return
        self._leaderships.suspend(server.name, by, event)

    def _fall_back(self, server: ServerState, event: Event) -> int | None:
        return self._end_candidacy(server, event, "follower") if server.candidacy else None

    def _notice(self, server: ServerState, event: Event) -> int | None:
        """What will end a leadership says so before it ends; losing the quorum ends it at once."""
        leadership = self._leaderships.of(server.name)
        term = leadership.term if leadership else None
        ending = _ENDS[event.event]
        if ending == "transfer":
            server.transferring, self._transfer = event.time, event
            for candidacy in self._elections.of_others(server.name):
                # Within a stamp, its effect may have been told before it.
                if (
                    candidacy.unprompted
                    and candidacy.ended is None
                    and self._is_handed_to(candidacy.server, candidacy.start, event)
                ):
                    candidacy.cause = "transfer"
        if (ending != "newer_term" or not self._is_transferring(server, event)) and server.ending != "left":
            server.ending = ending
        if event.event == "peer_newer_term" and leadership is not None:
            leadership.newer_from = self.names(event.peer) or event.peer
        if event.event == "newer_term_seen_on_vote":
            server.was_asked = True
            # The line itself belongs to the old term, the next ones to the new.
            term = term if term is not None else server.term
            server.term = max(server.term or 0, self._elections.newest_term()) or None
        if event.event == "quorum_lost_stepdown":
            self._leaderships.end(server.name, event, "quorum_lost", needed=server.needed)
            self._followers.have_none(event)
            server.role, server.ending = "follower", None
        return term

    def _after_transfer(self, server: ServerState, event: Event) -> None:
        """A transfer that failed ends no leadership, and makes no candidate."""
        if "error" not in event.values:
            return
        server.ending = None if server.ending == "transfer" else server.ending
        if self._transfer is not None and self._transfer.server == server.name:
            self._transfer = None

    def _end_old_transfer(self, server: ServerState, event: Event) -> None:
        """What ends a leadership long after its leader wanted to hand it over is something else."""
        if server.ending == "transfer" and not self._is_transferring(server, event):
            server.ending = None

    @staticmethod
    def _is_transferring(server: ServerState, event: Event) -> bool:
        """Whether the newer term is that of the server which the leader hands its leadership to."""
        if server.ending != "transfer" or server.transferring is None or event.time is None:
            return server.ending == "transfer"
        return (event.time - server.transferring).total_seconds() < TRANSFER_SECONDS

    def _reach(self, _: ServerState, event: Event) -> None:
        self._leaderships.reach(event)

    def _lose(self, server: ServerState, event: Event) -> int | None:
        leadership = self._leaderships.of(server.name)
        term = leadership.term if leadership else server.term
        self._leaderships.end(server.name, event, server.ending or "unknown", needed=server.needed)
        server.ending = None
        server.role = "follower" if server.role == "leader" else server.role
        return term

    def _break(self, server: ServerState, event: Event) -> None:
        self._faults.begin(event)
        server.is_back = False
        by = _BREAKS.get(event.values.get("what", "").partition(" ")[0])
        if by is not None:
            # It will write nothing more, so no other line says when it ceased to lead; unless that did not happen.
            self._leaderships.suspend(server.name, by, event)

    def _mend(self, server: ServerState, event: Event) -> None:
        if self._faults.verb_of(event.values.get("id", "")) == "pause":
            self._leaderships.resume(server.name)
        self._faults.end(event)

    def _spare(self, server: ServerState, event: Event) -> None:
        self._faults.fail(event)
        self._leaderships.resume(server.name)

    # -- answers ---------------------------------------------------------------------------------------------

    def _refusal(self, server: str, event: Event) -> Refusal:
        reason = event.values.get("reason") or _reason_of(event)
        leader = event.values.get("leader") if reason.startswith(HAS_LEADER) else None
        return Refusal(server, reason, None, self.names(leader) if leader else None)

    def _refuse(self, server: ServerState, event: Event) -> int | None:
        refusal = self._refusal(server.name, event)
        self._show_earlier_terms()
        if refusal.leader is not None:
            if self.names.server(event.values.get("leader")) not in {None, server.name}:
                self._leads_no_longer(server)
            self._hear_of_leader(event.values.get("leader"), event, leads=True)
            self._name(event.values.get("leader"), event)
        elif refusal.reason.startswith(OWN_LOG):
            self._has_no_leader(server)
        candidate = self._servers.get(self.names.server(event.peer) or "")
        candidacy = candidate.candidacy if candidate is not None else None
        self._elections.answer(event, refusal, event.peer)
        return candidacy.term if candidacy is not None and self._elections.is_to(candidacy, event, refusal) else None

    def _refuse_twice(self, server: ServerState, event: Event) -> int | None:
        self._has_no_leader(server)
        candidacy = server.candidacy
        if candidacy is not None and candidacy.term is None and event.term is not None:
            # It has voted for itself, so that is the term in which it stands.
            candidacy.term, candidacy.term_source = event.term, "inferred"
        if VOTES_AGAIN not in event.values:
            self._elections.answer(event, Refusal(server.name, ALREADY_VOTED), None)
        return event.term

    def _vote_again(self, server: ServerState, event: Event) -> int | None:
        """A candidate asks once more, and gets the vote that it had got."""
        self._elections.takes_back(event)
        candidate = self._servers.get(self.names.server(event.peer) or "")
        candidacy = candidate.candidacy if candidate is not None else None
        if candidacy is None:
            return None
        candidacy.vote(server.name, candidacy.tally)
        add_evidence(candidacy.evidence, event)
        return candidacy.term

    def _with_more(self, server: ServerState, event: Event) -> Event:
        """Add what the line lacks, or has without a name: the candidate of a refusal, a server's leader."""
        if event.event == "candidate_entered":
            return event._replace(values={**event.values, ASKS_FIRST: "yes"}) if server.asks_first else event
        if event.event == "vote_duplicate_term":
            return self._with_candidate(event)
        if event.event == "new_leader_announced":
            may_be = server.role == "leader" and self.names.server(event.peer) is None
            return event._replace(values={**event.values, MAY_BE_ITSELF: ""}) if may_be else event
        known: dict[str, str] = {}
        if event.event in _SUSPENDS:
            fault = self._faults.done_by(event, _SUSPENDS[event.event])
            known = {"fault": fault} if fault else {}
        elif event.event == "fault_ended":
            known = (
                {"back": ""} if server.is_back and self._faults.verb_of(event.values.get("id", "")) in _BREAKS else {}
            )
        elif leader := self.names.server(event.values.get("leader")):
            known = {"leader_name": leader}
        return event._replace(values={**event.values, **known}) if known else event

    def _with_candidate(self, event: Event) -> Event:
        """Add to a refusal its candidate, and whom the server voted for, as far as known: the line does not say."""
        if VOTES_AGAIN in event.values:
            return event
        asking = self._elections.asking(event.server, event.term, event.time)
        voted_for = self._elections.voted_for(event.server, event.term)
        values = {**event.values, "voted_for": voted_for} if voted_for else event.values
        return event._replace(peer=asking[0].server if len(asking) == 1 else event.peer, values=values)

    def _announce(self, server: ServerState, event: Event) -> int | None:
        self._hear_of_leader(event.peer, event, leads=True)
        self._leaderships.announce(event.peer, event.time)
        if MAY_BE_ITSELF not in event.values:
            self._name(event.peer, event)
        if self.names.server(event.peer) != server.name:
            server.heard = event.time
        leadership = self._leaderships.of(self.names.server(event.peer) or "")
        self._leader_named = True
        term = leadership.term if leadership else None
        if term is not None:
            # A server that was a follower before says nothing else about it.
            server.term = max(term, server.term or 0)
        return term

    # -- ends ------------------------------------------------------------------------------------------------

    def _end_candidacy(self, server: ServerState, event: Event, how: Ended) -> int | None:
        candidacy, server.candidacy = server.candidacy, None
        if candidacy is None:
            return server.term
        if candidacy.ended is None:
            # When a process was started does not say when the one before it ended.
            self._elections.end(candidacy, how, None if how == "restart" else event)
        asked = candidacy.asked or candidacy.pre_vote == "won" or (candidacy.pre_vote is None and not server.asks_first)
        if candidacy.term is not None and asked:
            server.term = max(candidacy.term, server.term or 0)
        return candidacy.term

    def _break_off(self, server: ServerState, event: Event) -> None:
        """Where the rest of a candidacy is missing from its server's log, what follows is of another one."""
        candidacy = server.candidacy
        if candidacy is None or not _is_behind_a_gap(server, candidacy, event):
            return
        if candidacy.ended is None:
            self._elections.end(candidacy, "silent", None)
        self._leaderships.miss_lines()
        # In which terms it stood meanwhile, no line says; where none is printed, they can be counted no more.
        self._counts = self._counts and candidacy.term_source == "line"
        server.candidacy = server.before = None
        server.role, server.cause, server.term, server.timer, server.waited = None, "unknown", None, None, None

    def not_seen(self) -> Incident | None:
        """What the logs do not show and a reader may miss; None if nothing."""
        # A log of which no line says which member it is of may be that of any.
        voters = () if self._electorate.strangers() else self.membership.voters or ()
        missing = {
            self.names(member.id) or member.id
            for member in voters
            if not self._electorate.is_read(member.id, member.address)
        }
        no_votes, no_elections = self._elected and not self._debug, self.tells_no_elections
        if not missing and not no_votes and not no_elections:
            return None
        return Incident("not_seen", None, None, sorted(missing), no_votes=no_votes, no_elections=no_elections)

    @property
    def tells_no_elections(self) -> bool:
        """Whether no log has a line of the level at which servers say who stands, wins and leads."""
        return bool(self._servers) and not any(server_state.tells for server_state in self._servers.values())

    def _last_word(self, server: str) -> datetime | None:
        """When a server last said something, where it also says who leads."""
        known = self._servers.get(server)
        return known.last if known is not None and known.tells else None

    def _end(self) -> datetime | None:
        """How far the log goes: at least as far as its last event."""
        return max((moment for moment in (self._last, self._reached()) if moment is not None), default=None)


def _had_just_led(server: ServerState, lost: Event) -> bool:
    """Whether a server had led until its log began: with its being a follower, and what only a leader says of that."""
    between = seconds_between(server.followed, lost.time)
    return between is not None and 0 <= between <= GIVES_UP_SECONDS


def _led_at(server: ServerState, event: Event) -> datetime | None:
    """When a server led already that says so by this line first: it had written nothing in between."""
    if event.event == "quorum_lost_stepdown" and server.heard is not None and server.heard == server.last:
        return None  # it heard of its successor before it knew of that itself
    silent = seconds_of(event.values.get("time")) if event.event == "peer_unreachable" else None
    if silent is None or event.time is None or silent > timedelta.max.total_seconds() / 2:
        return server.last
    try:
        contact = event.time - timedelta(seconds=silent)
    except OverflowError:
        return server.last
    return contact if server.last is None else min(contact, server.last)


def _is_behind_a_gap(server: ServerState, candidacy: Candidacy, event: Event) -> bool:
    """Whether a candidate was silent for so long that lines are missing, and its next line is not of its term."""
    between = seconds_between(server.last, event.time)
    return between is not None and between > GAP_SECONDS and (event.term is None or event.term != candidacy.term)


def _may_be_older(server: ServerState, event: Event) -> bool:
    """Whether a request that failed may be one of the campaign before: nobody answered it."""
    between = seconds_between(server.stood_before, event.time)
    return between is not None and between <= LATE_SECONDS


def _reason_of(event: Event) -> str:
    """The reason of a refusal as the line words it, where it stands in the message and not in a value."""
    return event.line.partition(" since ")[2].partition(":")[0].strip()
