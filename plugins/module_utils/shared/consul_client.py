"""A client for one server's HTTP API: where it is reached, and single requests.

A server's port is published on its Docker host's loopback. Where that host is another machine, the port is forwarded
to a Unix socket on this one, which nobody else may open. The servers of a `full` lab speak TLS and require a token.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from .http_deadline import TimedConnection

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

LOOPBACK = "127.0.0.1"
# A server's answers to labctl have kilobytes, except for the keys of a long `chaos`.
MOST_BYTES = 16 * 1024 * 1024


class Access(Protocol):
    """Credentials for the servers of a `full` lab, and the name to verify (`credentials`)."""

    @property
    def server_name(self) -> str:
        """The name in the servers' certificate."""

    @property
    def context(self) -> ssl.SSLContext:
        """TLS with the lab's servers. Raises OSError."""

    def headers(self, path: str) -> dict[str, str]:
        """The headers of a request."""


@dataclass(frozen=True)
class ConsulClient:
    """A server's HTTP API.

    Attributes:
        port: its port on the Docker host's loopback.
        socket: a Unix socket that leads there from elsewhere; "" where this is the Docker host.
        keys: returns the credentials for a `full` lab, or raises OSError; None for every other lab.
    """

    port: int
    socket: str = ""
    keys: Callable[[], Access] | None = field(default=None, repr=False, compare=False)

    def connection(self, timeout: float, most: int = MOST_BYTES) -> http.client.HTTPConnection:
        """A connection that is not open yet; `timeout` is in seconds, for the whole of an answer of `most` bytes."""
        return _Connection(self, timeout, most)

    def request(
        self, method: str, path: str, body: bytes | None = None, timeout: float = 2.0, *, most: int = MOST_BYTES
    ) -> Any:
        """Request a JSON document. Raises OSError or ValueError where there is no good answer within `timeout`."""
        connection = self.connection(timeout, most)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
            if answer.status != http.client.OK:
                raise OSError(f"HTTP {answer.status}: {text.strip()[:200]}")
            return json.loads(text) if text.strip() else None
        except http.client.HTTPException as error:
            raise OSError(f"{type(error).__name__} {error}") from error
        except RecursionError as error:
            raise ValueError("its JSON is nested too deeply") from error
        finally:
            connection.close()


class _Connection(TimedConnection):
    """HTTP through a client: over TCP or a Unix socket, and over TLS where the client has keys."""

    def __init__(self, api: ConsulClient, timeout: float, most: int) -> None:
        super().__init__(LOOPBACK, api.port, timeout=timeout, most=most)
        self._api = api

    def connect(self) -> None:
        """Open the connection. Raises OSError."""
        access = self._api.keys() if self._api.keys is not None else None
        if self._api.socket:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(self._api.socket)
        else:
            super().connect()
        if access is not None:
            # The connection is left open by a failed handshake, if it is not closed here.
            with contextlib.ExitStack() as undo:
                undo.callback(self.close)
                self.sock = access.context.wrap_socket(self.sock, server_hostname=access.server_name)
                undo.pop_all()

    def request(  # type: ignore[override]
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        encode_chunked: bool = False,
    ) -> None:
        """Send a request, with the token where the client has keys. Raises OSError."""
        shown = self._api.keys().headers(url) if self._api.keys is not None else {}
        super().request(method, url, body, {**(headers or {}), **shown}, encode_chunked=encode_chunked)
