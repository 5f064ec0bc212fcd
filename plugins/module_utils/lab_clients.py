"""Clients of the HTTP APIs of a lab's servers, for use on their Docker host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .shared.consul_client import ConsulClient
from .shared.credentials import Keys
from .shared.docker_api import DockerError, Engine

if TYPE_CHECKING:
    from collections.abc import Iterable


class LabClients:
    """The clients of one lab; the credentials of a `full` one are read when the first of them is used."""

    def __init__(self, lab: str, containers: Iterable[str], profile: str) -> None:
        self._keys = Keys(lab, containers, _archive) if profile == "full" else None

    def of(self, port: int | None) -> ConsulClient | None:
        """The client for a port of this host's loopback; None for a server without one, because it does not run."""
        return ConsulClient(port, keys=self._keys) if port else None


def _archive(container: str, path: str) -> bytes:
    try:
        content: bytes = Engine().get_files(container, path, doing="reading the lab's token")
    except DockerError as error:
        raise OSError(error.sentence) from error
    return content
