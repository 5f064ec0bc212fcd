"""Show what the servers do while they start and join: their log lines, in a learner's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.engine.logs import Follower
from labctl.raft import summary_sentences
from labctl.raft.event_sentences import phrase
from labctl.raft.reader import read_line
from labctl.raft.records import Election
from labctl.raft.story import Story
from labctl.raft.timers import timers_of
from labctl.story.own_stamps import when_written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from labctl.engine.client import Client
    from labctl.engine.labs import Lab
    from labctl.progress import Steps

WAITING = "no_known_peers"
# The events of an election that a learner needs; the rest is in `labctl logs --raft`.
TOLD = frozenset(
    {
        WAITING,
        "bootstrap_attempt",
        "heartbeat_timeout",
        "candidate_entered",
        "votes_needed",
        "vote_granted",
        "vote_rejected_by_me",
        "vote_duplicate_term",
        "newer_term_fallback",
        "prevote_won",
        "prevote_lost",
        "election_timeout",
        "election_won",
        "leader_entered",
        "new_leader_announced",
        "new_leader_stepdown",
        "quorum_lost_stepdown",
        "leadership_lost",
    }
)
DRAIN_SECONDS = 0.15


class ServerWatch:
    """Follows the servers' logs and shows each event that has a sentence, once, in order of time.

    `identities` are servers with their IDs, as far as they are known: a log names an ID before it explains it.
    `follow` reads the logs.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - as above
        self,
        client: Client,
        lab: Lab,
        steps: Steps,
        since: float,
        identities: Iterable[tuple[str, str]] = (),
        follow: Callable[..., Follower] = Follower,
    ) -> None:
        servers = list(lab.servers)
        self._steps = steps
        self._follower = follow(client, servers, since=since)
        self.story, self._timers = Story(complete=True), timers_of(lab.raft_multiplier)
        for server in servers:
            self.story.names.add(server.name, server.address)
        for name, identity in identities:
            self.story.names.identify(name, identity)
        self._number = 0
        self._won: Election | None = None

    def show(self, seconds: float = 0.0) -> None:
        """Show the new events, waiting up to that many seconds for the first line."""
        for line in self._follower.take(seconds):
            self._number += 1
            event = read_line(line.text, server=line.server, line_no=self._number)
            if event is None:
                continue
            told = self.story.feed(event._replace(time=when_written(line) or event.time))
            text = phrase(told) if event.event in TOLD else None
            if text:
                self._steps.heard(line.server, text)
        self._settle()

    def _settle(self) -> None:
        """Keep the last election that was won and drop the rest: the wait may take hours."""
        won = [
            election for election in self.story.drain() if isinstance(election, Election) and election.outcome == "won"
        ]
        self._won = won[-1] if won else self._won

    def end(self) -> None:
        """Show the last lines, sum up the election that was won in a sentence, and stop following."""
        self.show(DRAIN_SECONDS)
        self._follower.stop()
        self.story.finish()
        self._settle()
        if self._won is not None:
            self._steps.note(summary_sentences.of_election(self._won, self._timers))
