"""Join a lab's servers and wait until they are one ready cluster, with a deadline."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils import consul_views
from ansible.module_utils.docker_api import DockerError, Engine

POLL_SECONDS = 0.02
PASSES = ("PUT", "DELETE")
APPLY_SECONDS = 5.0


class NotReadyError(Exception):
    """The cluster did not become ready in time; the message is one sentence."""


class Cluster:
    """The servers of one lab, with a deadline."""

    def __init__(self, lab: str, members: list[dict[str, Any]], timeout: float) -> None:
        self.lab = lab
        self.containers = [member["container"] for member in members]
        self.members = [
            consul_views.Member(member["name"], member["address"], member["http_port"]) for member in members
        ]
        self.timeout = timeout
        self.ends = time.monotonic() + timeout

    def views(self) -> list[consul_views.View]:
        """Ask all servers."""
        return consul_views.read_views(self.members)

    def pause(self, why: str) -> None:
        """Wait a moment. Raises NotReadyError where time is up."""
        if time.monotonic() >= self.ends:
            views = self.views()
            seen = "; ".join(consul_views.describe(view) for view in views)
            raise NotReadyError(
                f"The lab {self.lab} was not ready after {self.timeout:.0f} seconds: {why} ({seen}). "
                f"Likely cause: {consul_views.likely_cause(views)}."
            )
        time.sleep(POLL_SECONDS)

    def wait_for_agents(self) -> list[consul_views.View]:
        """Wait until every server's agent answers."""
        while True:
            views = self.views()
            silent = [view for view in views if view.problem]
            if not silent:
                return views
            stopped = [member.name for member in self.members if member.http_port is None]
            if stopped:
                raise NotReadyError(
                    f"The lab {self.lab} cannot become ready because {', '.join(stopped)} "
                    f"{'is' if len(stopped) == 1 else 'are'} not running: "
                    f"`labctl start {self.lab}` starts what is stopped, "
                    f"and `labctl up {self.lab}` makes again what is missing."
                )
            self.pause(f"{silent[0].name} {silent[0].problem}")

    def strangers(self, views: list[consul_views.View]) -> bool:
        """Whether some server does not know as many members as the lab has."""
        return any(view.members < len(self.members) for view in views)

    def join_words(self) -> list[str]:
        """The manual join: on the first server, the addresses of the others."""
        return ["consul", "join", *(member.address for member in self.members[1:])]

    def join(self) -> None:
        """Join, and join again while members are missing; counting them is the only proof."""
        engine = Engine()
        while True:
            try:
                engine.execute(self.containers[0], self.join_words(), doing="joining the servers")
                why = "the servers were joined and do not all see each other yet"
            except DockerError as error:
                why = error.sentence
            settle = time.monotonic() + 1.0
            while time.monotonic() < settle:
                if not self.strangers(self.views()):
                    return
                self.pause(why)

    def wait_until_ready(self) -> tuple[list[consul_views.View], float]:
        """Wait until ready, twice in a row. Returns the last views and when a leader was first agreed on."""
        agreed = 0.0
        passed = 0
        while True:
            views = self.views()
            why = consul_views.disagreement(views)
            leader = consul_views.leader_of(views)
            if why is None and leader is not None:
                agreed = agreed or time.monotonic()
                left = max(0.1, min(APPLY_SECONDS, self.ends - time.monotonic()))
                why = consul_views.write_is_applied(self.members, leader, PASSES[passed], left)
                if why is None:
                    passed += 1
                    if passed == len(PASSES):
                        return self.views(), agreed
                    continue
            passed = 0
            self.pause(why or "no leader")
