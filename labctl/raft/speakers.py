"""The addresses that a server logs as its own: two of them within one life are two servers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from labctl.raft.server_names import is_anywhere

if TYPE_CHECKING:
    from datetime import datetime

    from labctl.raft.event import Event

SPEAKING = frozenset({"follower_entered", "candidate_entered", "leader_entered"})
"""What a server says with its own address: `Node at 10.0.0.1:8300`."""
_REFUSES = frozenset({"vote_rejected_by_me", "prevote_rejected_by_me"})
BACK = timedelta(seconds=2)
"""A restart comes later in time: where a log goes back to an earlier time, another server's log follows."""
MOST = 64
"""Addresses of one stream that are kept."""


def own_address(event: Event) -> str | None:
    """The address that a line's server logs as its own, if it is specific: not `[::]`."""
    node = event.values.get("node")
    if event.event not in SPEAKING or not node or is_anywhere(node):
        return None
    return node


class Speakers:
    """The speakers of a stream that names no server.

    A server that is started again may have another address: it says so by its first configuration, then that it is a
    follower. Raft before 1.0 (Consul 0.7) prints no configuration. Who has an address again after another one is rather
    one of two servers that were both started again.

    Attributes:
        addresses: in the order in which they were seen.
        are_several: whether two of them are of one life, and so of two servers.
    """

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.are_several = False
        self._now: str | None = None
        self._time: datetime | None = None
        self._started = True

    def take(self, event: Event) -> None:
        """Take in the next event of the stream."""
        if event.event == "config_initial":
            self._started = True
            return
        address = own_address(event)
        if address is None:
            # No server asks itself.
            self.are_several = self.are_several or (
                event.event in _REFUSES and event.peer is not None and event.peer == self._now
            )
            return
        has_it_again = address != self._now and address in self.addresses
        if address not in self.addresses and len(self.addresses) < MOST:
            self.addresses.append(address)
        goes_back = event.time is not None and self._time is not None and self._time - event.time > BACK
        restarted = event.event == "follower_entered" and (self._started or not _prints_its_configuration(event))
        restarted = restarted and not goes_back and not has_it_again
        if self._now is not None and address != self._now and not restarted:
            self.are_several = True
        self._now, self._started = address, False
        self._time = event.time or self._time


def _prints_its_configuration(follower: Event) -> bool:
    """Whether who became a follower printed its configuration when it was started: since it also names the leader."""
    return "follower" in follower.values or "(Leader:" in follower.line
