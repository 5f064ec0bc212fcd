"""The current state of a lab's servers, asked over their loopback ports."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from labctl.shared import server_status
from labctl.shared.parallel import each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labctl.engine.labs import Lab, Server

ASK_SECONDS = 1.0
# Each thread waits for one server; with this many, sixty labs with silent servers cost no more than one of them. Where
# servers answer at once, few threads are ever started.
AT_ONCE = 192


@dataclass(frozen=True)
class Status:
    """A lab with its servers' views; `views` is in the order of `lab.servers`."""

    lab: Lab
    views: tuple[server_status.View, ...]

    @property
    def problem(self) -> str | None:
        """Why the servers are not one cluster with one leader, or None."""
        if self.lab.missing:
            return f"{', '.join(self.lab.missing)} {'is' if len(self.lab.missing) == 1 else 'are'} gone"
        return server_status.disagreement(list(self.views))

    @property
    def ready(self) -> bool:
        """Every server names the same leader and all are voters; the committed write is `up`'s own test."""
        return self.problem is None

    @property
    def leader(self) -> server_status.View | None:
        """The server that leads, or None."""
        return server_status.leader_of(list(self.views))

    @property
    def voters(self) -> frozenset[str]:
        """The voters' addresses; empty where no server knows. Without a leader, any server's knowledge counts."""
        leader = self.leader
        return leader.voters if leader else frozenset().union(*(view.voters for view in self.views))

    @property
    def joined(self) -> bool:
        """Whether the servers were ever one cluster: then at least one knows voters."""
        return any(view.voters for view in self.views)

    @property
    def answers(self) -> bool:
        """Whether any server answers; of those that do not, nobody knows whether they were joined."""
        return any(not view.problem for view in self.views)

    @property
    def identities(self) -> list[tuple[str, str]]:
        """The name of each server by its ID: the ID of the voter at its address, or the one that it reports."""
        at = {server.address: server.name for server in self.lab.servers}
        own = [(view.name, view.node_id) for view in self.views if view.node_id]
        told = [
            (at[address], node_id)
            for view in self.views
            for address, node_id in view.voter_ids.items()
            if address in at
        ]
        return list(dict.fromkeys([*own, *told]))

    def pairs(self) -> list[tuple[Server, server_status.View]]:
        """Each server with its view."""
        return list(zip(self.lab.servers, self.views, strict=True))


def ask(lab: Lab) -> Status:
    """Ask all servers of a lab at once; one that does not answer costs a second."""
    return _status(lab, server_status.read_views([server.member for server in lab.servers], ASK_SECONDS))


def ask_all(labs: Sequence[Lab]) -> list[Status]:
    """Ask all servers of many labs at once: those that do not answer cost a second together."""
    if len(labs) < 2:  # noqa: PLR2004 - then there is nothing to do beside it
        return [ask(lab) for lab in labs]
    members = [server.member for lab in labs for server in lab.servers]
    views = iter(each(lambda member: server_status.read_view(member, ASK_SECONDS), members, AT_ONCE))
    return [_status(lab, list(itertools.islice(views, len(lab.servers)))) for lab in labs]


def _status(lab: Lab, views: Sequence[server_status.View]) -> Status:
    """A lab with its views; only Docker knows that a server is frozen."""
    told = (
        replace(view, problem="is frozen") if server.state == "paused" else view
        for server, view in zip(lab.servers, views, strict=True)
    )
    return Status(lab, tuple(told))
