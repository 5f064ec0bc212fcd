"""An HTTP connection whose whole answer has a deadline and a limit in bytes.

The timeout of a socket is one for each piece of an answer, so a server that sends a byte now and then could hold the
reader for as long as it likes; and the standard library reads as many bytes as the other side announces.
"""

from __future__ import annotations

import http.client
import io
import time
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

MOST_BYTES = 64 * 1024 * 1024


class TimedConnection(http.client.HTTPConnection):
    """An HTTP connection; each answer must be read within `timeout` seconds, counted from the request."""

    def __init__(self, host: str, port: int | None = None, *, timeout: float, most: int = MOST_BYTES) -> None:
        super().__init__(host, port, timeout=timeout)
        self.sock: socket.socket
        self.timeout: float
        self.ends = time.monotonic() + timeout
        self._most = most

    def left(self) -> float:
        """Seconds that are left of the timeout. Raises TimeoutError where none are."""
        left = self.ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def request(  # type: ignore[override]
        self,
        method: str,
        url: str,
        body: bytes | IO[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        encode_chunked: bool = False,
    ) -> None:
        """Send a request. Raises OSError."""
        self.ends = time.monotonic() + self.timeout
        if self.sock is not None:
            self.sock.settimeout(self.timeout)
        super().request(method, url, body, headers or {}, encode_chunked=encode_chunked)

    def response_class(  # type: ignore[override]
        self, sock: socket.socket, *options: Any, **named: Any
    ) -> http.client.HTTPResponse:
        """The library's response object, read within the time that is left."""
        answer = _Answer(sock, *options, **named)
        answer.fp = _Lines(_Pieces(answer.fp.detach(), sock, self, self._most))
        answer.most = self._most
        return answer


class _Answer(http.client.HTTPResponse):
    """Refuse to read an answer that announces itself as too long."""

    fp: _Lines
    most: int

    def begin(self) -> None:
        """Read the head. Raises IncompleteRead where it has no end: the library would take it for complete."""
        self.fp.of_head = 0
        super().begin()
        if self.fp is not None:
            self.fp.of_head = None

    def read(self, amt: int | None = None) -> bytes:
        if self.length is not None and self.length > self.most:
            raise too_long(self.most)
        try:
            return super().read(amt)
        except (MemoryError, OverflowError) as error:
            # Each chunk of an answer announces its length, too.
            raise too_long(self.most) from error


def too_long(most: int) -> OSError:
    """The error for an answer that is longer than any expected one."""
    return OSError(f"it answers with more than {most >> 20} MiB")


class _Lines(io.BufferedReader):
    """The stream of an answer; `of_head` is how many lines of its head have come, None behind that."""

    of_head: int | None = None

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if self.of_head is not None:
            # The library reports an answer that did not begin.
            if not line and self.of_head:
                raise http.client.IncompleteRead(line)
            self.of_head += 1
        return line


class _Pieces(io.RawIOBase):
    """The bytes of one answer, as they come."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, connection: TimedConnection, most: int) -> None:
        self._raw, self._sock, self._connection, self._most = raw, sock, connection, most
        self._seen = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._connection.left())
        count = self._raw.readinto(buffer)
        self._seen += count or 0
        if self._seen > self._most:
            raise too_long(self._most)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()
