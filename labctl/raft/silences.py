"""Servers that said nothing while others missed them, where no line says why.

A healthy server says little, so silence alone is none: it counts from when another server could not reach it, called it
failed, or had no heartbeat from it as its leader; and it has ended when the server says what one says that was away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl.raft.event import Event
from labctl.raft.outage_tracker import BACK, BEHIND

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from labctl.raft.server_names import Names

LEAST_SECONDS = 5.0
"""A leader that is cut off gives up within a lease, half of that where Consul's timers are the longest."""
LEAST_OF_FOLLOWERS_SECONDS = 20.0
"""A follower that is cut off says so when its heartbeat timer has run out, which may be this long."""
_MISSES = frozenset({"peer_unreachable", "heartbeat_failed", "append_failed", "marked_failed", "member_failed"})
_MET = frozenset({BACK, BEHIND, "member_join"})
_STARTS = frozenset({"config_initial", "container_started"})
_RETURNS = _STARTS | {
    *("follower_entered", "newer_term_seen_on_vote", "newer_term_fallback", "peer_newer_term", "quorum_lost_stepdown"),
    *("leadership_lost", "peer_unreachable", "heartbeat_failed", "heartbeat_timeout", "suspicion_denied"),
}
_NAMES_ONE = _MISSES | _MET | {"heartbeat_timeout"}


class Silences:
    """The silences of a story.

    Args:
        names: who is who.
        is_explained: whether what was done to a server, or to the network, since a time is known.
        leads: whether a server leads, as far as is known.

    Attributes:
        was_missed: whether others had missed the server of the last event.
    """

    def __init__(
        self, names: Names, is_explained: Callable[[str, datetime], bool], leads: Callable[[str], bool]
    ) -> None:
        self._names, self._is_explained, self._leads = names, is_explained, leads
        self._missed: dict[str, Event] = {}
        self.was_missed = False

    def take(self, event: Event) -> Event | None:
        """Take in the next event before it is reported. Returns the silence that it ends."""
        self.was_missed = event.server in self._missed
        silence = self._ended_by(event) if self.was_missed else None
        if event.event in _NAMES_ONE and event.time is not None:
            peer = self._names.server(event.peer)
            if event.event in _MET:
                self._missed.pop(peer or "", None)
            elif peer is not None and peer != event.server:
                self._missed.setdefault(peer, event)
        return silence

    def _ended_by(self, event: Event) -> Event | None:
        missed, time = self._missed.pop(event.server), event.time
        since = missed.time
        if time is None or since is None or event.event not in _RETURNS:
            return None
        seconds = (time - since).total_seconds()
        leads = self._leads(event.server)
        soon = event.event in _STARTS or leads
        if seconds < (LEAST_SECONDS if soon else LEAST_OF_FOLLOWERS_SECONDS):
            return None
        if self._is_explained(event.server, since):
            return None
        by = {"missed_by": missed.server, "missed_file": missed.file or "", "missed_line": str(missed.line_no)}
        values = {"seconds": f"{seconds:.3f}", **by, **({"led": ""} if leads else {})}
        return Event(
            time, event.server, "silence", None, None, None, None, None, event.file, event.line_no, event.line, values
        )
