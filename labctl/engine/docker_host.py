"""Where a Docker Engine is reached: as the docker command reaches it, or through a connection to another host."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from labctl.errors import LabctlError
from labctl.shared import process_limits
from labctl.shared.consul_client import ConsulClient
from labctl.shared.docker_api import Engine

if TYPE_CHECKING:
    from collections.abc import Iterable

# The script only reads; a host that takes longer than this is of no use.
SECONDS = 20
# A host's description of itself has some kilobytes.
MOST_BYTES = 16 * 1024 * 1024


class DockerHost:
    """The engine that the docker command uses on this machine, and servers on loopback.

    Attributes:
        name: what the Docker host is called in sentences; "" where it is whatever the docker command uses.
        socket: the engine's socket here; None where it is whatever the docker command uses.
    """

    name: str = ""
    socket: str | None = None

    def api(self, port: int) -> ConsulClient:
        """The HTTP API of the server with that port on the Docker host's loopback."""
        return ConsulClient(port)

    def engine(self, seconds: float) -> Engine:
        """The engine, with a limit in seconds on the wait for an answer."""
        return Engine(seconds, self.socket)

    def forward_ports(self, ports: Iterable[int]) -> None:
        """Make `api` work for each of these ports. Raises LabctlError."""

    def explain(self, error: Exception) -> LabctlError | None:  # noqa: ARG002 - a connection looks at it
        """Why the engine did not answer, where the place knows more than the client's error says."""
        return None

    def refuse_lost(self) -> None:
        """Raise LabctlError where the way to the Docker host is broken."""

    def environment(self) -> dict[str, str]:
        """The environment in which the docker command reaches this engine."""
        return os.environ.copy()

    def shell(self) -> list[str]:
        """The words that run a shell on the Docker host; it reads its script from standard input."""
        return ["sh"]

    def script(self, text: str, seconds: float = SECONDS, most: int = MOST_BYTES) -> str:
        """Run a shell script on the Docker host, and return what it printed. Raises LabctlError."""
        try:
            done = process_limits.run(self.shell(), seconds, stdin=text.encode(), most=most)
        except (OSError, process_limits.NotEndedError) as error:
            raise LabctlError(f"Could not inspect the Docker host{self._of_it()}: {error}.") from error
        if done.code != 0:
            self.refuse_lost()
            said = (done.err.strip().splitlines() or ["no reason given"])[-1]
            raise LabctlError(f"Could not inspect the Docker host{self._of_it()}: {said}.")
        return done.out

    def _of_it(self) -> str:
        return f" {self.name}" if self.name else ""


LOCAL_HOST = DockerHost()
