"""Where one server's HTTP API is reached, and one question asked of it.

A server's port is published on its Docker host's loopback. Where that host is another machine, the port is forwarded
to a Unix socket on this one, which nobody else may open.
"""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Door:
    """A server's HTTP API: its port on the Docker host's loopback, and the socket that leads there from elsewhere."""

    port: int
    socket: str = ""

    def connection(self, timeout: float) -> http.client.HTTPConnection:
        """A connection that is not open yet; `timeout` is in seconds."""
        if self.socket:
            return _SocketConnection(self.socket, timeout)
        return http.client.HTTPConnection(LOOPBACK, self.port, timeout=timeout)

    def request(self, method: str, path: str, body: bytes | None = None, timeout: float = 2.0) -> Any:
        """Ask for a JSON document. Raises OSError or ValueError where there is no good answer."""
        connection = self.connection(timeout)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
            if answer.status != http.client.OK:
                raise OSError(f"HTTP {answer.status}: {text.strip()[:200]}")
            return json.loads(text) if text.strip() else None
        except http.client.HTTPException as error:
            raise OSError(f"{type(error).__name__} {error}") from error
        finally:
            connection.close()


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__(LOOPBACK, timeout=timeout)
        self._path = path
        self.sock: socket.socket

    def connect(self) -> None:
        """Open the connection. Raises OSError."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
