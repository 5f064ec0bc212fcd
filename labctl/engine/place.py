"""Where a Docker Engine is met: as the docker command meets it here, or through a connection to another host."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from labctl.portable.consul_door import Door

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labctl.errors import LabctlError


class Place:
    """The engine that the docker command uses on this machine, and servers on loopback.

    Attributes:
        name: what the Docker host is called in sentences; "" where it is whatever the docker command uses.
        socket: the engine's socket here; None where it is whatever the docker command uses.
    """

    name: str = ""
    socket: str | None = None

    def door(self, port: int) -> Door:
        """The HTTP API of the server with that port on the Docker host's loopback."""
        return Door(port)

    def open_doors(self, ports: Iterable[int]) -> None:
        """Let `door` lead to each of these ports. Raises LabctlError."""

    def explain(self, error: Exception) -> LabctlError | None:  # noqa: ARG002 - a connection looks at it
        """Why the engine gave no answer, where the place knows more than the error of a client says."""
        return None

    def refuse_lost(self) -> None:
        """Raise LabctlError where the way to the Docker host is broken."""

    def environment(self) -> dict[str, str]:
        """The environment in which the docker command meets this engine."""
        return os.environ.copy()


HERE = Place()
