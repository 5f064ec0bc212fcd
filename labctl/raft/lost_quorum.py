"""That too few voters ran, or could be reached, for anybody to lead, and what had been done to the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from labctl.raft.faults import Faults
    from labctl.raft.membership import Membership
    from labctl.raft.records import Evidence
    from labctl.raft.server_names import Names

How = Literal["killed", "stopped", "ended", "paused", "shut down", "cut off"]
By = Literal["labctl", "docker", "itself"]


class Gone(NamedTuple):
    """A voter that did not run, or that could not be reached.

    Attributes:
        server: who.
        how: what was done to it; `cut off`: the network between it and another server.
        since: since when.
        by: who did it, as far as is known: labctl, somebody according to Docker, or the server by its own log.
        what: the fault as it was asked for, where labctl did it.
        evidence: the line that says so.
    """

    server: str
    how: How
    since: datetime | None
    by: By
    what: str
    evidence: Evidence


class LostQuorum(NamedTuple):
    """Too few voters.

    Attributes:
        gone: those that were lost.
        voters: how many there are.
        needed: how many of them must be there.
        reach: the server that could not reach them, where those count that ran and could not be reached.
    """

    gone: tuple[Gone, ...]
    voters: int
    needed: int
    reach: str | None = None

    @property
    def left(self) -> int:
        """How many were left."""
        return self.voters - len(self.gone)


def lost_quorum(
    membership: Membership, names: Names, faults: Faults, time: datetime | None, reach: str | None
) -> LostQuorum | None:
    """Whether what was done to voters left too few of them at a time, as far as is known.

    Args:
        membership: who votes.
        names: who is who.
        faults: what was done.
        time: when.
        reach: a server: then those count, too, that it could not reach.
    """
    voters, needed = membership.voters, membership.needed
    if time is None or not voters or needed is None or not faults.are_known:
        return None
    called = {names.server(member.id) or names.server(member.address) or member.address for member in voters}
    losses = (faults.gone(name, time, reach if name != reach else None) for name in sorted(called))
    lost = LostQuorum(tuple(loss for loss in losses if loss is not None), len(voters), needed, reach)
    return lost if lost.left < needed else None
