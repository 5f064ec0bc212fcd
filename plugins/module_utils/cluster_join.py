"""Join a lab's servers and wait until they are one ready cluster, with a deadline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .lab_clients import LabClients
from .lab_parts import members_of
from .shared import server_status
from .shared.credentials import FOLDER, RECOVERY_TOKEN
from .shared.docker_api import DockerError, Engine
from .shared.waiting import CLOCK, Clock

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_SECONDS = 0.02
# After a long wait for an election, ask less often: at this share of the time so far, up to a limit.
PATIENCE, LONGEST_PAUSE = 0.03, 0.1
# A server in legacy mode checks after ever longer waits whether it may leave it, and each request costs all servers.
LEGACY_SECONDS = 0.5
PASSES = ("PUT", "DELETE")
APPLY_SECONDS = 5.0
# How often Docker is asked whether the servers run: where one does not answer, and otherwise. Two looks must agree
# that a server is stopped, so that a server that is being restarted is waited for; each look may take that long.
LOOK_SECONDS, SELDOM_SECONDS = 0.7, 2.0
ENGINE_SECONDS = 5.0
# At least this long it asks, even where its time was over before it began.
LEAST_SECONDS = 1.0


class NotReadyError(Exception):
    """The cluster did not become ready in time; the message is one sentence."""


def _inspected(containers: list[str]) -> list[dict[str, Any]]:
    """The servers' containers as Docker has them. Raises DockerError."""
    documents: list[dict[str, Any]] = Engine(ENGINE_SECONDS).inspected(
        containers, doing="looking whether the servers run"
    )
    return documents


@dataclass(frozen=True)
class ClusterTools:
    """The outside world of a wait for servers.

    Attributes:
        clock: the time for the wait.
        members_of: the servers that a lab has now.
        inspected: containers as Docker has them.
        seldom: how often Docker is asked whether the servers run, in seconds, while all answer.
    """

    clock: Clock = CLOCK
    members_of: Callable[[str], list[dict[str, Any]]] = members_of
    inspected: Callable[[list[str]], list[dict[str, Any]]] = _inspected
    seldom: float = SELDOM_SECONDS


EYES = ClusterTools()


class Cluster:
    """The servers of one lab to ask, those that are stopped on purpose, and a deadline."""

    def __init__(self, params: dict[str, Any], eyes: ClusterTools = EYES) -> None:
        self.eyes, self.clock = eyes, eyes.clock
        self.lab: str = params["name"]
        everybody = params["members"]
        self.profile: str = everybody[0]["profile"] if everybody else ""
        self._clients = LabClients(self.lab, [member["container"] for member in everybody], self.profile)
        self.stopped = [self._member(member) for member in params["members"] if member["name"] in params["without"]]
        running = [member for member in params["members"] if member["name"] not in params["without"]]
        self.containers = [member["container"] for member in running]
        self.members = [self._member(member) for member in running]
        self.after_term: int = params["after_term"]
        self.timeout: float = params["timeout"]
        self.ends = self.clock.now() + max(self.timeout - params["elapsed"], LEAST_SECONDS)
        self._looked = self.clock.now()
        self._stopped: set[str] = set()

    def _member(self, fact: dict[str, Any]) -> server_status.Member:
        return server_status.Member(fact["name"], fact["address"], self._clients.of(fact["http_port"]))

    def views(self) -> list[server_status.View]:
        """Ask all servers."""
        return server_status.read_views(self.members)

    def pause(self, why: str, seconds: float = POLL_SECONDS) -> None:
        """Wait a moment. Raises NotReadyError where time is up."""
        if self.clock.now() >= self.ends:
            raise NotReadyError(self._too_late(why))
        self.clock.sleep(seconds)

    def _too_late(self, why: str) -> str:
        views = self.views()
        seen = [server_status.describe(view) for view in views]
        seen += [f"{member.name} is stopped" for member in self.stopped]
        sentence = f"{why} ({'; '.join(seen)}). Likely cause: {server_status.likely_cause(views, self.stopped)}."
        if not self.stopped:
            return f"The lab {self.lab} was not ready after {self.timeout:.0f} seconds: {sentence}"
        stopped = ", ".join(member.name for member in self.stopped)
        return f"Without {stopped}, the lab {self.lab} had no new leader after {self.timeout:.0f} seconds: {sentence}"

    def wait_for_agents(self) -> list[server_status.View]:
        """Wait until every server's agent answers."""
        while True:
            views = self.views()
            silent = [view for view in views if view.problem]
            if not silent:
                return views
            self._refuse([member.name for member in self.members if member.api is None])
            self._refuse_stopped(views)
            self.pause(f"{silent[0].name} {silent[0].problem}")

    def _refuse(self, stopped: list[str]) -> None:
        """Raise NotReadyError where servers do not run."""
        if stopped:
            raise NotReadyError(
                f"The lab {self.lab} cannot become ready because {', '.join(stopped)} "
                f"{'is' if len(stopped) == 1 else 'are'} not running: "
                f"`labctl start {self.lab}` starts stopped servers, "
                f"and `labctl up {self.lab}` recreates missing ones."
            )

    def _refuse_stopped(self, views: list[server_status.View]) -> None:
        """Raise NotReadyError where a server has stopped meanwhile, or was removed; look sooner where one is silent.

        Nothing would start it again: if the lab was removed meanwhile, the wait would go on until the time is up.
        """
        silent = self._stopped or any(view.problem for view in views)
        self._look(LOOK_SECONDS if silent else self.eyes.seldom)

    def _look(self, every: float) -> None:
        """Ask Docker whether all servers run, if `every` seconds have passed. Raises NotReadyError."""
        now = self.clock.now()
        if now - self._looked < every:
            return
        try:
            containers = self.eyes.inspected(self.containers)
        except DockerError:
            # An engine that restarts may leave its containers running, so the wait goes on.
            return
        finally:
            self._looked = self.clock.now()
        running = {container["Name"].lstrip("/") for container in containers if container["State"]["Running"]}
        stopped = [member.name for member, container in zip(self.members, self.containers) if container not in running]
        self._refuse([name for name in stopped if name in self._stopped])
        self._stopped = set(stopped)

    def strangers(self, views: list[server_status.View]) -> bool:
        """Whether some server does not know as many members as the lab has."""
        return any(view.members < len(self.members) for view in views)

    def join_words(self) -> list[str]:
        """The manual join: on the first server, the addresses of the others.

        Before there is a leader, a server with access control accepts no token but its own recovery token.
        """
        shown = [f"-token-file={FOLDER}/{RECOVERY_TOKEN}"] if self.profile == "full" else []
        return ["consul", "join", *shown, *(member.address for member in self.members[1:])]

    def join(self) -> None:
        """Join, and join again while members are missing; counting them is the only proof."""
        engine = Engine()
        while True:
            try:
                engine.execute(self.containers[0], self.join_words(), doing="joining the servers")
                why = "the servers were joined and do not all see each other yet"
            except DockerError as error:
                why = error.sentence
            settle = self.clock.now() + 1.0
            while self.clock.now() < settle:
                views = self.views()
                if not self.strangers(views):
                    return
                self._refuse_stopped(views)
                self.pause(why)

    def _wait_for_a_leader(self) -> None:
        """Wait until the first server names a leader, with the cheapest question there is.

        Asking all servers all about themselves costs ten times as much of a core, and ten seats that wait for their
        elections together would slow each other's down.
        """
        api, begun = self.members[0].api, self.clock.now()
        while api is not None:
            try:
                if api.request("GET", "/v1/status/leader"):
                    return
            except (OSError, ValueError):
                # The views show what is wrong with it.
                return
            self._refuse_stopped([])
            waited = self.clock.now() - begun
            self.pause("no server knows a leader yet", min(LONGEST_PAUSE, max(POLL_SECONDS, PATIENCE * waited)))

    def wait_until_ready(self) -> tuple[list[server_status.View], float]:
        """Wait until ready, twice in a row. Returns the last views and when a leader was first agreed on."""
        agreed = 0.0
        passed = 0
        self._wait_for_a_leader()
        while True:
            views = self.views()
            self._refuse_stopped(views)
            why = server_status.disagreement(views, self.stopped)
            leader = server_status.leader_of(views)
            if why is None and leader is not None and leader.term <= self.after_term:
                why = f"{leader.name} leads in term {leader.term}, and one newer than {self.after_term} is wanted"
            if why is None and leader is not None:
                agreed = agreed or self.clock.now()
                left = max(0.1, min(APPLY_SECONDS, self.ends - self.clock.now()))
                why = server_status.write_is_applied(self.members, leader, PASSES[passed], left)
                if why is None:
                    passed += 1
                    if passed == len(PASSES):
                        return self.views(), agreed
                    continue
            passed = 0
            seldom = any(view.legacy_acl for view in views)
            self.pause(why or "no leader", LEGACY_SECONDS if seldom else POLL_SECONDS)
