"""Which servers a fault is for."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labctl.errors import ExitCode, LabctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROLES = ("leader", "follower", "any", "majority", "minority")


@dataclass(frozen=True)
class Cluster:
    """The state of a lab when a fault is planned.

    Attributes:
        servers: all that are there, in order.
        running: those that run and are not paused.
        leader: who leads, or "".
        size: how many servers vote, also those whose container is gone: a majority is one of these.
        gone: the servers of the lab whose container is gone.
        voteless: those that are there and have no vote.
    """

    lab: str
    servers: tuple[str, ...]
    running: tuple[str, ...]
    leader: str
    size: int
    gone: tuple[str, ...] = ()
    voteless: frozenset[str] = frozenset()

    @property
    def quorum(self) -> int:
        """How many servers are a majority."""
        return self.size // 2 + 1

    @property
    def followers_first(self) -> list[str]:
        """Those that run and vote, the leader last."""
        voters = [name for name in self.running if name not in self.voteless]
        return sorted(voters, key=lambda name: name == self.leader)


def resolve(target: str, cluster: Cluster, choose: Callable[[Sequence[str]], str] = random.choice) -> list[str]:
    """The servers that a target means: names with commas between them, or a role. Raises LabctlError.

    Args:
        target: `consul1`, `consul1,consul3`, or one of `ROLES`. `majority` and `minority` take followers first.
        cluster: the lab as it is now.
        choose: picks one of several that will do.
    """
    if target in ROLES:
        return _of_role(target, cluster, choose)
    names = [name.strip() for name in target.split(",")]
    for name in names:
        if name in ROLES:
            raise LabctlError(
                f"{name} is a role, and a role stands alone: name it without the others, or name servers.",
                ExitCode.USAGE,
            )
        if name in cluster.gone:
            raise LabctlError(
                f"{name} of the lab {cluster.lab} is gone: `labctl up {cluster.lab}` makes it again; "
                f"there are {', '.join(cluster.servers)}."
            )
        if name not in cluster.servers:
            raise LabctlError(
                f"The lab {cluster.lab} has no server or role {name!a}: it has {', '.join(cluster.servers)}, "
                f"and the roles are {', '.join(ROLES)}.",
                ExitCode.USAGE,
            )
    if twice := {name for name in names if names.count(name) > 1}:
        raise LabctlError(f"{min(twice)} is named twice: name each server once.", ExitCode.USAGE)
    return names


def _of_role(role: str, cluster: Cluster, choose: Callable[[Sequence[str]], str]) -> list[str]:
    if not cluster.running:
        raise LabctlError(f"No server of the lab {cluster.lab} runs: `labctl start {cluster.lab}` starts them.")
    if role == "any":
        return [choose(cluster.running)]
    if not cluster.leader and role in {"leader", "follower"}:
        raise LabctlError(
            f"The lab {cluster.lab} has no leader now, so nobody is its {role}: name a server, or wait for an election "
            f"(`labctl status {cluster.lab}`)."
        )
    if role == "leader":
        return [cluster.leader]
    followers = [name for name in cluster.running if name != cluster.leader]
    if role == "follower":
        if not followers:
            raise LabctlError(f"The lab {cluster.lab} has no follower that runs: only {cluster.leader} does.")
        return [choose(followers)]
    count = cluster.quorum if role == "majority" else cluster.size - cluster.quorum
    if count == 0:
        raise LabctlError(f"The lab {cluster.lab} has one server; a one-server lab has no minority.", ExitCode.USAGE)
    return cluster.followers_first[:count]


def sides(words: Sequence[str], cluster: Cluster) -> list[list[str]]:
    """The sides of a partition, as in `consul1,consul2 / consul3`. Raises LabctlError where one is not on one side."""
    parts = [part.strip() for part in " ".join(words).split("/")]
    if len(parts) < 2 or not all(parts):  # noqa: PLR2004 - two sides
        raise LabctlError(
            "A partition has two sides or more: write them with a slash between, as in `consul1,consul2 / consul3`.",
            ExitCode.USAGE,
        )
    groups = [[name.strip() for name in part.replace(" ", ",").split(",") if name.strip()] for part in parts]
    named = [name for side in groups for name in resolve(",".join(side), cluster)]
    for name in cluster.servers:
        if named.count(name) > 1:
            raise LabctlError(f"{name} is on two sides: name each server once.", ExitCode.USAGE)
        if name not in named:
            raise LabctlError(f"{name} is missing from the partition: name each server exactly once.", ExitCode.USAGE)
    return groups
