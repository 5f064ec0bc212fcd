"""Who votes in a cluster, as far as its logs say, and whether the logs of all of them are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from labctl.raft.membership import Member
    from labctl.raft.server_names import Names


class Electorate:
    """The voters of a story.

    Args:
        names: who is who.
        servers: those whose logs are read, by now.
        complete: whether these are the logs of all servers of a cluster.
    """

    def __init__(self, names: Names, servers: Collection[str], *, complete: bool) -> None:
        self._names, self._servers, self._complete = names, servers, complete
        self._most_voters = 0
        self._voters: set[tuple[str, str]] = set()  # all who had a vote at some time
        self._nonvoters: set[tuple[str, str]] = set()  # all who were in the cluster at some time without one
        self._voteless: set[str] = set()  # servers that said so of themselves, and have not stood since

    def take(self, members: Iterable[Member]) -> None:
        """Take in who is in the cluster now."""
        for member in members:
            (self._voters if member.votes else self._nonvoters).add((member.id, member.address))

    def need(self, votes: int) -> None:
        """So many votes are a majority: of twice as many servers but one, or of one less."""
        self._most_voters = max(self._most_voters, 2 * votes - 1)

    def has_no_vote(self, server: str) -> None:
        """A server says that it has no vote, and so does not stand."""
        self._voteless.add(server)

    def stands(self, server: str) -> None:
        """A server stands, so it has a vote."""
        self._voteless.discard(server)

    def reads_all(self) -> bool:
        """Whether the logs of all who vote are read: what no line says of any of them did not happen."""
        if self._complete:
            return True
        unread = [voter for voter in self._voters if not self.is_read(*voter)]
        if self._voters and len(unread) != len(self._voters):
            # Who says where it is, and that is where no member is, has joined later and is none of these.
            nameless = [name for name in self.strangers() if not self._names.tells_its_address(name)]
            return not unread or (len(unread) <= len(nameless) and self._are_enough())
        return self._are_enough()

    def _are_enough(self) -> bool:
        """Whether as many logs are read as servers have ever voted; a non-voter's is not one of them."""
        voters = {self._names.server(name) for voter in self._voters for name in voter}
        others = {self._names.server(name) for nonvoter in self._nonvoters for name in nonvoter} - voters
        others |= self._voteless
        return 0 < self._most_voters <= sum(name not in others for name in self._servers)

    def is_read(self, identity: str, address: str) -> bool:
        """Whether the log of a member is read."""
        return any(self._names.server(name) in self._servers for name in (identity, address))

    def strangers(self) -> list[str]:
        """Servers whose logs are read and of which no line says which member they are."""
        known = {self._names.server(name) for voter in self._voters | self._nonvoters for name in voter}
        return [name for name in self._servers if name not in known]
