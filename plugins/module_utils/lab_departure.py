"""Servers that leave a lab for good: only when the remaining servers are known to have the lab's data without them.

A server's answer about its cluster is one of three: its peers, that it is in none, or nothing. No answer
is no reason to remove data, so anything unknown is refused before anything is changed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .lab_clients import LabClients
from .lab_machine import MACHINE, Machine
from .shared import lab_names, subnets
from .shared.docker_api import DockerError
from .shared.parallel import each

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lab_parts import LabParts
    from .shared.docker_api import Engine
    from .shared.lab_server import LabServer

FAILED_LEAVE_SECONDS = 10.0
# Docker's words for a server that does not run, in ours.
_STATES = {"exited": "stopped", "dead": "stopped", "created": "not started yet"}


@dataclass(frozen=True)
class View:
    """One server's answer: the addresses of its peers, itself among them, or why they are unknown."""

    peers: frozenset[str] = frozenset()
    problem: str = ""


class Departure:
    """The servers of a lab beyond its new size, the last first: `surplus`. Those that stay are `remaining`.

    `keep` raises DockerError once the lab's lock is lost. A server may take half a minute to leave, so it is
    called before each, and before anything is removed.
    """

    def __init__(  # noqa: PLR0913 - who leaves which lab, and how
        self,
        engine: Engine,
        lab: str,
        parts: LabParts,
        servers: int,
        *,
        keep: Callable[[], None] = lambda: None,
        machine: Machine = MACHINE,
    ) -> None:
        self.machine = machine
        self._hold = keep
        self.engine = engine
        self.lab = lab
        self.parts = parts
        self.keep = lab_names.server_names(servers)
        self.surplus = [server for server in reversed(parts.servers) if server.name not in self.keep]
        self.remaining = [server for server in parts.servers if server.name in self.keep]
        self.clients = LabClients(lab, [server.id for server in parts.servers], parts.profile)
        self._voters: list[LabServer] = []

    def check(self) -> None:
        """Find out which servers must leave before they are removed. Raises DockerError where that is not known."""
        if not self.surplus:
            return
        if not self.remaining:
            raise self._lost(self.keep, "")
        self._refuse_stopped(self.remaining)
        running = [server for server in self.parts.servers if server.state == "running"]
        views = dict(zip((server.id for server in running), each(self._view, running, len(running))))
        self._refuse_silent(self.remaining, views)
        counted = frozenset().union(*(views[server.id].peers for server in self.remaining))
        if counted:
            self._voters = [server for server in self.surplus if self._counts(counted, server)]
            self._refuse_without_all(running, counted)
        else:
            self._refuse_the_only_data(views)

    def leave(self) -> list[str]:
        """Make them leave the cluster, one after the other, and remove them with their data. Returns what was done."""
        actions = []
        for server in self._voters:
            self._hold()
            self._leave(server)
            actions.append(f"{server.name} left the cluster")
        # Not by Compose: its --remove-orphans would also remove containers that are no servers of the lab.
        names = ", ".join(server.name for server in self.surplus)
        self._hold()
        self.engine.remove("container", [server.id for server in self.surplus], doing=f"removing {names}")
        volumes = [lab_names.container_name(self.lab, server.name) for server in self.surplus]
        ours = [volume for volume in volumes if volume in self.parts.volumes]
        self._hold()
        self.engine.remove("volume", ours, doing=f"removing the data of {names}")
        return actions + [f"removed {server.name}" for server in self.surplus]

    # -- refusals --------------------------------------------------------------------------------------------

    def _refuse_stopped(self, servers: list[LabServer]) -> None:
        for server in servers:
            if server.state != "running":
                raise DockerError(
                    f"The lab {self.lab} can only get smaller while all its servers run, because a server that leaves "
                    f"asks the others, and {server.name} is {_STATES.get(server.state, server.state)}: "
                    f"`labctl start {self.lab}` first.",
                    "refused",
                )

    def _refuse_silent(self, servers: list[LabServer], views: dict[str, View]) -> None:
        for server in servers:
            if views[server.id].problem:
                raise DockerError(
                    f"The lab {self.lab} was not made smaller, because {server.name} does not say who is in its "
                    f"cluster ({views[server.id].problem}), and nothing was changed: `labctl status {self.lab}` shows "
                    "what its servers say; try again when all answer.",
                    "refused",
                )

    def _refuse_without_all(self, running: list[LabServer], counted: frozenset[str]) -> None:
        """Refuse where a server would have to leave and a voter is missing: the majority might go with it."""
        if not self._voters:
            return
        self._refuse_stopped(self._voters)
        here = {address for server in running for address in self._addresses(server)}
        lost = sorted(counted - here)
        if lost:
            raise self._lost([self._name_of(address) for address in lost], ", which the others still count")
        for server in [*self.remaining, *self._voters]:
            if not self._knows_a_leader(server):
                raise DockerError(
                    f"The lab {self.lab} was not made smaller, because {server.name} knows no leader, and only a "
                    f"leader lets a server leave: `labctl status {self.lab}` shows what its servers say; try again "
                    "when one leads.",
                    "refused",
                )

    def _refuse_the_only_data(self, views: dict[str, View]) -> None:
        """No remaining server is in a cluster: refuse where one that would be removed is in one, or may be."""
        self._refuse_stopped(self.surplus)
        self._refuse_silent(self.surplus, views)
        for server in self.surplus:
            if views[server.id].peers:
                raise DockerError(
                    f"The lab {self.lab} was not made smaller, because {self.remaining[0].name} is in no cluster and "
                    f"{server.name} is, which would be removed with its data: `labctl join {self.lab}` first.",
                    "refused",
                )

    def _lost(self, names: list[str], but: str) -> DockerError:
        size = max(self.parts.size, len(self.keep))
        return DockerError(
            f"The lab {self.lab} was not made smaller, because it has lost {', '.join(names)}{but}: "
            f"`labctl up {self.lab} --servers {size}` makes it again.",
            "refused",
        )

    # -- what the servers report -----------------------------------------------------------------------------

    def _view(self, server: LabServer) -> View:
        try:
            return View(_addresses_in(self._asked(server, "/v1/status/peers")))
        except (OSError, ValueError) as error:
            return View(problem=str(error) or type(error).__name__)

    def _knows_a_leader(self, server: LabServer) -> bool:
        try:
            leader = self._asked(server, "/v1/status/leader")
        except (OSError, ValueError):
            return False
        return isinstance(leader, str) and leader != ""

    def _asked(self, server: LabServer, path: str) -> Any:
        api = self.clients.of(server.http_port)
        if api is None:
            raise OSError("its HTTP port is not published")
        return api.request("GET", path, timeout=self.machine.answer)

    def _addresses(self, server: LabServer) -> set[str]:
        """Where the others know a server: its current address, and the one that it was created with."""
        known = {server.address} - {""}
        numbers = {name: number for number, name in enumerate(lab_names.server_names(lab_names.SIZES[-1]))}
        if self.parts.subnet and server.name in numbers:
            known.add(str(self._planned()[numbers[server.name]]))
        return known

    def _planned(self) -> list[str]:
        planned: list[str] = subnets.addresses(subnets.parse(self.parts.subnet), lab_names.SIZES[-1])
        return planned

    def _name_of(self, address: str) -> str:
        planned = self._planned() if self.parts.subnet else []
        return f"consul{planned.index(address) + 1}" if address in planned else f"the server at {address!a}"

    def _counts(self, counted: frozenset[str], server: LabServer) -> bool:
        known = self._addresses(server)
        if not known:
            raise DockerError(
                f"The lab {self.lab} was not made smaller, because {server.name} has no address, so nobody knows "
                f"whether the others count it: `docker inspect {server.container}` shows its networks.",
                "refused",
            )
        return bool(known & counted)

    def _leave(self, server: LabServer) -> None:
        """Make a server leave the cluster for good, and wait until the others no longer count it."""
        failure: DockerError | None = None
        try:
            self.engine.execute(server.id, ["consul", "leave"], doing=f"letting {server.name} leave the cluster")
        except DockerError as error:
            # A server that leaves may be gone before it has answered; the others show whether it left.
            failure = error
        seconds = self.machine.leave if failure is None else FAILED_LEAVE_SECONDS
        ends = time.monotonic() + seconds
        while True:
            views = [(other, self._view(other)) for other in self.remaining]
            silent = [(other, view) for other, view in views if view.problem]
            if not silent and not any(self._counts(view.peers, server) for _server, view in views):
                return
            if time.monotonic() >= ends:
                break
            time.sleep(0.2)
        if failure is not None:
            raise failure
        if silent:
            other, view = silent[0]
            raise DockerError(
                f"{server.name} was asked to leave, and {other.name} did not say within {seconds:.0f} seconds that it "
                f"has left ({view.problem}), so nothing was removed: `labctl status {self.lab}` shows what the servers "
                "say; run the same again when all answer.",
                "not_ready",
            )
        raise DockerError(
            f"{server.name} was asked to leave and the others still count it as a voter after {seconds:.0f} seconds: "
            f"`labctl status {self.lab}` shows their views.",
            "not_ready",
        )


def _addresses_in(peers: Any) -> frozenset[str]:
    """The addresses of `/v1/status/peers`; null and an empty list are no cluster. Raises ValueError."""
    listed = [] if peers is None else peers
    if isinstance(listed, list) and all(isinstance(address, str) and ":" in address for address in listed):
        return frozenset(address.rpartition(":")[0] for address in listed)
    raise ValueError("its answer is no list of peers")
